"""Coordinate descent of DCF, row by row: over the coordinates of real vectors and over the bits of codes.

Rows are those of the ratings' id tables. Each row is solved with the other side fixed and changes only
itself, so the order of rows does not matter.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Rows
from dch.experiments.baselines.binary import Floats, SignCodes
from dch.jit import kernel

Doubles = NDArray[np.float64]
RowSelection = NDArray[np.integer]
"""(m,) the rows to solve."""

Arrays = tuple[NDArray[np.int64], NDArray[np.int32], Floats, Floats | SignCodes, Floats]
"""starts, columns and values of the ratings, others, pull."""


@dataclass(frozen=True)
class FixedSide:
    """Everything that is fixed while the rows of one side are solved."""

    rated: Rows
    """Scaled ratings S_j of each row; its columns are rows of the other side, all of which have a vector."""

    others: Floats | SignCodes
    """(n_others, bits): v_j, or the codes d_j."""

    pull: Floats
    """(n, bits): the delegate of each row times the weight of delegates; 0 for no pull."""

    def arrays(self) -> Arrays:
        """Return the arrays in the order that the kernels take."""
        return self.rated.starts, self.rated.columns, self.rated.values, self.others, self.pull


def relax(rows: RowSelection, fixed: FixedSide, vectors: Floats, *, ridge: float, sweeps: int) -> None:
    """Set each coordinate of each row's real vector u to its optimum in turn, in place.

    Every step decreases sum_j (S_j - u . v_j)^2 + ridge |u|^2 - 2 pull . u.

    Args:
        rows: (m,) rows to solve.
        fixed: the other side; its vectors are float32.
        vectors: (n, bits), changed.
        ridge: weight of the squared norm, at least 0.
        sweeps: number of sweeps over the coordinates of a row.
    """
    _relax_rows(rows, fixed.arrays(), vectors, ridge, sweeps)


def descend(rows: RowSelection, fixed: FixedSide, codes: SignCodes, *, sweeps: int) -> int:
    """Set each bit of each row's code b to its optimum in turn, until none flips, in place.

    Every flip decreases sum_j (S_j - b . d_j)^2 - 2 pull . b. A bit whose two values are equally good does
    not change.

    Args:
        rows: (m,) rows to solve; each has a code.
        fixed: the other side; its vectors are codes.
        codes: (n, bits), changed.
        sweeps: maximal number of sweeps over the bits of a row.

    Returns:
        Number of flips; a bit that flips twice counts twice.

    Source:
        Zhang et al., "Discrete collaborative filtering" (SIGIR 2016), the B- and D-subproblems.
    """
    return int(_descend_rows(rows, fixed.arrays(), codes, sweeps))


def squared_error(rated: Rows, users: Floats | SignCodes, items: Floats | SignCodes) -> float:
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
    users: Floats | SignCodes,
    items: Floats | SignCodes,
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
def _relax_rows(rows: RowSelection, fixed: Arrays, vectors: Floats, ridge: float, sweeps: int) -> None:
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
def _descend_rows(rows: RowSelection, fixed: Arrays, codes: SignCodes, sweeps: int) -> int:
    starts, columns, values, others, pull = fixed
    flips = 0
    for row in rows:
        own = slice(starts[row], starts[row + 1])
        target = pull[row].astype(np.float64)
        _add_target(columns[own], values[own], others, target)
        flips += _descend_row(target, _gather(others, columns[own]), codes[row], sweeps)
    return flips


@kernel
def _add_target(
    columns: NDArray[np.int32], values: Floats, others: Floats | SignCodes, target: Doubles
) -> None:
    """Add sum_j S_j d_jk to each target_k, (bits,)."""
    for j in range(len(columns)):
        for k in range(len(target)):
            target[k] += values[j] * others[columns[j], k]


@kernel
def _descend_row(target: Doubles, of_bits: SignCodes, code: NDArray[np.int8], sweeps: int) -> int:
    product = np.zeros(of_bits.shape[1], np.int32)  # b . d_j
    for k in range(len(code)):
        for j in range(len(product)):
            product[j] += code[k] * of_bits[k, j]
    flips = 0
    for _ in range(sweeps):
        before = flips
        for k in range(len(code)):
            agreed = 0
            for j in range(len(product)):
                agreed += product[j] * of_bits[k, j]
            # Without bit k the product is product_j - b_k d_jk: remove the bit's own share from agreed.
            if (target[k] - agreed + len(product) * code[k]) * code[k] < 0:
                _flip(k, code, product, of_bits)
                flips += 1
        if flips == before:
            break
    return flips


@kernel
def _flip(k: int, code: NDArray[np.int8], product: NDArray[np.int32], of_bits: SignCodes) -> None:
    code[k] = -code[k]
    for j in range(len(product)):
        product[j] += 2 * code[k] * of_bits[k, j]


@kernel
def _gather(others: Floats | SignCodes, columns: NDArray[np.int32]) -> NDArray[Any]:
    """Return the vectors of the rated rows as (bits, n), so that a sweep reads memory in order."""
    gathered = np.empty((others.shape[1], len(columns)), others.dtype)
    for j in range(len(columns)):
        for k in range(others.shape[1]):
            gathered[k, j] = others[columns[j], k]
    return gathered
