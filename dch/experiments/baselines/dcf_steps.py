"""The descents of discrete collaborative filtering, row by row: over real coordinates, and over bits.

Rows are those of the ratings' id tables. A row is solved with the other side fixed and changes itself alone,
so that the order of rows means nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Rows
from dch.experiments.baselines.binary import Codes, Floats
from dch.jit import kernel

Doubles = NDArray[np.float64]
RowNumbers = NDArray[np.integer]
"""(m,) the rows to work on."""

Arrays = tuple[NDArray[np.int64], NDArray[np.int32], Floats, Floats | Codes, Floats]
"""starts, columns and values of the ratings, others, pull."""


@dataclass(frozen=True)
class Fixed:
    """What stands still while the rows of one side are solved."""

    rated: Rows
    """Scaled ratings S_j of each row; columns are rows of the other side, all of which have a vector."""

    others: Floats | Codes
    """(n_others, bits): v_j, or the codes d_j."""

    pull: Floats
    """(n, bits): what each row is drawn to, its delegate times the weight of delegates; 0 for no pull."""

    def arrays(self) -> Arrays:
        """Return all of it as a kernel takes it."""
        return self.rated.starts, self.rated.columns, self.rated.values, self.others, self.pull


def relax(rows: RowNumbers, fixed: Fixed, vectors: Floats, *, ridge: float, sweeps: int) -> None:
    """Set each coordinate of each row's real vector u to its optimum in turn, in place.

    What falls with every step is sum_j (S_j - u . v_j)^2 + ridge |u|^2 - 2 pull . u.

    Args:
        rows: (m,) rows to solve.
        fixed: the rest; its others are float32.
        vectors: (n, bits), changed.
        ridge: at least 0.
        sweeps: over the coordinates of a row.
    """
    _relax_rows(rows, fixed.arrays(), vectors, ridge, sweeps)


def descend(rows: RowNumbers, fixed: Fixed, codes: Codes, *, sweeps: int) -> int:
    """Set each bit of each row's code b to its optimum in turn, until none flips, in place.

    What falls with every flip is sum_j (S_j - b . d_j)^2 - 2 pull . b. A bit whose two values are equally
    good stays.

    Args:
        rows: (m,) rows to solve; each has a code.
        fixed: the rest; its others are codes.
        codes: (n, bits), changed.
        sweeps: over the bits of a row, at most.

    Returns:
        How many bits flipped, each time counted.

    Source:
        Zhang et al., "Discrete collaborative filtering" (SIGIR 2016), the B- and D-subproblems.
    """
    return int(_descend_rows(rows, fixed.arrays(), codes, sweeps))


def squared_error(rated: Rows, users: Floats | Codes, items: Floats | Codes) -> float:
    """Return the sum over ratings of (S_ij - u_i . v_j)^2.

    Args:
        rated: scaled ratings by user.
        users: (n_users, bits).
        items: (n_items, bits).
    """
    return float(_squared_error(rated.starts, rated.columns, rated.values, users, items))


@kernel
def _squared_error(
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: Floats,
    users: Floats | Codes,
    items: Floats | Codes,
) -> float:
    total = 0.0
    for row in range(len(starts) - 1):
        for at in range(starts[row], starts[row + 1]):
            left = np.float64(values[at])
            for k in range(users.shape[1]):
                left -= np.float64(users[row, k]) * items[columns[at], k]
            total += left * left
    return total


@kernel
def _relax_rows(rows: RowNumbers, fixed: Arrays, vectors: Floats, ridge: float, sweeps: int) -> None:
    starts, columns, values, others, pull = fixed
    for row in rows:
        own = slice(starts[row], starts[row + 1])
        of_bits = _gather(others, columns[own])
        _relax_row(values[own], of_bits, pull[row], vectors[row], ridge, sweeps)


@kernel
def _relax_row(
    values: Floats, of_bits: Floats, pull: Floats, vector: Floats, ridge: float, sweeps: int
) -> None:
    left = values.copy()  # S_j - u . v_j
    for k in range(len(vector)):
        left -= vector[k] * of_bits[k]
    for _ in range(sweeps):
        for k in range(len(vector)):
            slope, curve = pull[k] - ridge * vector[k], np.float64(ridge)
            for j in range(len(left)):
                slope += left[j] * of_bits[k, j]
                curve += of_bits[k, j] * of_bits[k, j]
            step = np.float32(slope / curve) if curve > 0 else np.float32(0)
            vector[k] += step
            left -= step * of_bits[k]


@kernel
def _descend_rows(rows: RowNumbers, fixed: Arrays, codes: Codes, sweeps: int) -> int:
    starts, columns, values, others, pull = fixed
    flips = 0
    for row in rows:
        own = slice(starts[row], starts[row + 1])
        wanted = pull[row].astype(np.float64)
        _add_wanted(columns[own], values[own], others, wanted)
        flips += _descend_row(wanted, _gather(others, columns[own]), codes[row], sweeps)
    return flips


@kernel
def _add_wanted(columns: NDArray[np.int32], values: Floats, others: Floats | Codes, wanted: Doubles) -> None:
    """Add sum_j S_j d_jk to each wanted_k, (bits,)."""
    for j in range(len(columns)):
        for k in range(len(wanted)):
            wanted[k] += values[j] * others[columns[j], k]


@kernel
def _descend_row(wanted: Doubles, of_bits: Codes, code: NDArray[np.int8], sweeps: int) -> int:
    said = np.zeros(of_bits.shape[1], np.int32)  # b . d_j
    for k in range(len(code)):
        for j in range(len(said)):
            said[j] += code[k] * of_bits[k, j]
    flips = 0
    for _ in range(sweeps):
        before = flips
        for k in range(len(code)):
            agreed = 0
            for j in range(len(said)):
                agreed += said[j] * of_bits[k, j]
            # Without bit k the others say said_j - b_k d_jk, so its own share of agreed is taken out again.
            if (wanted[k] - agreed + len(said) * code[k]) * code[k] < 0:
                _flip(k, code, said, of_bits)
                flips += 1
        if flips == before:
            break
    return flips


@kernel
def _flip(k: int, code: NDArray[np.int8], said: NDArray[np.int32], of_bits: Codes) -> None:
    code[k] = -code[k]
    for j in range(len(said)):
        said[j] += 2 * code[k] * of_bits[k, j]


@kernel
def _gather(others: Floats | Codes, columns: NDArray[np.int32]) -> NDArray[Any]:
    """Return the vectors of the rated rows side by side, (bits, n), so that a sweep reads memory in order."""
    gathered = np.empty((others.shape[1], len(columns)), others.dtype)
    for j in range(len(columns)):
        for k in range(others.shape[1]):
            gathered[k, j] = others[columns[j], k]
    return gathered
