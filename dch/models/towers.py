"""A frozen tower: from the running sums of a bag to a relaxed code and a ranking vector, without torch.

The bag of a user is a weighted sum of embeddings, one per rated item and one per feature token; the bag of an
item has one per rater instead. The sum is kept in fixed point, so that adding and subtracting ratings in any
order gives the same bits, and folding in a rating costs one embedding row. The rest is float32 arithmetic in
a fixed order without fused operations. So a code depends on history and weights only, not on batch, order or
run.
"""

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from dch.errors import ConfigError
from dch.jit import kernel

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Head = tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats, Floats]
"""The weights after the bag: bias, count, gain, shift, output, output_bias, vector_output, vector_bias."""

UNIT = 2.0**20
"""Fixed-point steps per 1.0 in sums and squares: errors near 1e-6, and room for 10**12 ratings in a sum."""

NORM_EPSILON = 1e-5
"""Added to the variance in the layer norm, as torch does."""

COUNT_CENTRE, COUNT_SPREAD = 4.0, 1.5
"""Map log1p(number of ratings) to about [-2, 2]: 0 means 54 ratings, and each 1.0 a factor of 4.5."""


@dataclass(frozen=True)
class TowerWeights:
    """The weights of one tower.

    With h = tanh(norm(x + bias + c * count)), a relaxed code is softsign(h @ output + output_bias), and a
    ranking vector is h @ vector_output + vector_bias.
    """

    bag: Floats
    """(n_tokens, hidden): embeddings of the other side's training ids, then of this side's feature tokens."""

    bias: Floats
    """(hidden,)."""

    count: Floats
    """(hidden,): direction of c, the scaled logarithm of the number of ratings."""

    gain: Floats
    """(hidden,): scale of the layer norm."""

    shift: Floats
    """(hidden,): offset of the layer norm."""

    output: Floats
    """(hidden, bits)."""

    output_bias: Floats
    """(bits,)."""

    vector_output: Floats = field(default_factory=lambda: np.empty((0, 0), np.float32))
    """(hidden, vector_size); empty if the tower makes no ranking vectors."""

    vector_bias: Floats = field(default_factory=lambda: np.empty(0, np.float32))
    """(vector_size,)."""

    def __post_init__(self) -> None:
        hidden, bits = self.output.shape
        if not self.vector_output.size:
            object.__setattr__(self, "vector_output", np.empty((hidden, 0), np.float32))
        shapes = {"bias": hidden, "count": hidden, "gain": hidden, "shift": hidden, "output_bias": bits}
        shapes["vector_bias"] = self.vector_output.shape[1]
        for name, length in shapes.items():
            if getattr(self, name).shape != (length,):
                raise ConfigError(
                    f"{name} has shape {getattr(self, name).shape}, but output needs ({length},)"
                )
        if len(self.vector_output) != hidden:
            raise ConfigError(f"vector_output has {len(self.vector_output)} rows, but output has {hidden}")
        if self.bag.ndim != 2 or self.bag.shape[1] != hidden:
            raise ConfigError(f"bag has shape {self.bag.shape}, but output needs (n_tokens, {hidden})")
        for name in (one.name for one in fields(self)):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.float32))

    @property
    def bits(self) -> int:
        """Length of a code, in bits."""
        return int(self.output.shape[1])

    @property
    def hidden(self) -> int:
        """Width of the bag and of the hidden layer."""
        return int(self.output.shape[0])

    @property
    def vector_size(self) -> int:
        """Length of a ranking vector; 0 if the tower makes none."""
        return int(self.vector_output.shape[1])

    def head(self) -> Head:
        """Return the weights after the bag, in the order that ``encode_row`` expects."""
        return (*self.code_head()[:6], self.vector_output, self.vector_bias)

    def code_head(self) -> Head:
        """Return the same weights without those of the ranking vectors, to make codes only."""
        codes = (self.bias, self.count, self.gain, self.shift, self.output, self.output_bias)
        return (*codes, self.vector_output[:, :0], self.vector_bias[:0])


@kernel
def add_token(sums: NDArray[np.int64], embedding: Floats, weight: float) -> None:
    """Add weight * embedding to one running sum; -weight subtracts exactly the same amount."""
    for j in range(len(sums)):
        sums[j] += np.int64(np.rint(weight * embedding[j] * UNIT))


@kernel
def square_of(weight: float) -> int:
    """Return weight squared in fixed-point steps."""
    return int(np.rint(weight * weight * UNIT))


@kernel
def tanh(x: float) -> np.float32:
    """Compute the hyperbolic tangent by sums, products and one division, equal on every processor.

    Within 5e-7 of the exact value.

    Source:
        The rational minimax approximation of degree 13/6 in Eigen (MathFunctionsImpl.h, ptanh).
    """
    x = min(max(x, -7.90531110763549805), 7.90531110763549805)
    s = x * x
    p = -2.76076847742355e-16 * s + 2.00018790482477e-13
    p = p * s - 8.60467152213735e-11
    p = p * s + 5.12229709037114e-08
    p = p * s + 1.48572235717979e-05
    p = p * s + 6.37261928875436e-04
    p = p * s + 4.89352455891786e-03
    q = 1.19825839466702e-06 * s + 1.18534705686654e-04
    q = q * s + 2.26843463243900e-03
    q = q * s + 4.89352518554385e-03
    return np.float32(x * p / q)


@kernel
def add_product(x: Floats, weights: Floats, out: Floats) -> None:
    """Add x @ weights to ``out``, one term after the other, in the order of x.

    Eight terms are added per pass over ``out``, which then stays in registers; each element still gets the
    same additions in the same order, so the same bits, as with one term per pass.

    Args:
        x: (hidden,).
        weights: (hidden, m).
        out: (m,), changed.
    """
    n_unrolled = len(x) // 8 * 8
    for j in range(0, n_unrolled, 8):
        x0, x1, x2, x3 = x[j], x[j + 1], x[j + 2], x[j + 3]
        x4, x5, x6, x7 = x[j + 4], x[j + 5], x[j + 6], x[j + 7]
        w0, w1, w2, w3 = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        w4, w5, w6, w7 = weights[j + 4], weights[j + 5], weights[j + 6], weights[j + 7]
        for b in range(len(out)):
            first_half = (((out[b] + x0 * w0[b]) + x1 * w1[b]) + x2 * w2[b]) + x3 * w3[b]
            out[b] = (((first_half + x4 * w4[b]) + x5 * w5[b]) + x6 * w6[b]) + x7 * w7[b]
    for j in range(n_unrolled, len(x)):
        for b in range(len(out)):
            out[b] += x[j] * weights[j, b]


@kernel
def encode_row(
    sums: NDArray[np.int64],
    squares: int,
    n_ratings: int,
    head: Head,
    scratch: Floats,
    out: Floats,
) -> None:
    """Write the relaxed code of one bag, followed by its ranking vector.

    Args:
        sums: (hidden,) fixed-point sum of weight * embedding.
        squares: fixed-point sum of squared weights; 0 for an empty bag.
        n_ratings: ratings in the bag.
        head: see ``TowerWeights.head``.
        scratch: (hidden,) float32, overwritten.
        out: (bits + vector_size,) float32, overwritten; bits in (-1, 1).
    """
    bias, count, gain, shift, output, output_bias, vector_output, vector_bias = head
    hidden, bits = output.shape
    length = np.sqrt(squares / UNIT) * UNIT
    scale = 1.0 / length if squares > 0 else 0.0
    c = (np.log1p(n_ratings) - COUNT_CENTRE) / COUNT_SPREAD
    mean = 0.0
    for j in range(hidden):
        scratch[j] = np.float32(sums[j] * scale + bias[j] + c * count[j])
        mean += scratch[j]
    mean /= hidden
    variance = 0.0
    for j in range(hidden):
        variance += (scratch[j] - mean) * (scratch[j] - mean)
    spread = 1.0 / np.sqrt(variance / hidden + NORM_EPSILON)
    for j in range(hidden):
        scratch[j] = tanh((scratch[j] - mean) * spread * gain[j] + shift[j])
    out[:bits] = output_bias
    out[bits:] = vector_bias
    add_product(scratch, output, out[:bits])
    add_product(scratch, vector_output, out[bits:])
    for b in range(bits):
        out[b] = out[b] / (np.float32(1.0) + abs(out[b]))


@kernel
def encode_rows(
    rows: NDArray[np.int32],
    sums: NDArray[np.int64],
    squares: NDArray[np.int64],
    n_ratings: NDArray[np.int32],
    head: Head,
) -> Floats:
    """Return relaxed codes and ranking vectors of these rows of the sums, (n, bits + vector_size)."""
    hidden, bits = head[4].shape
    scratch = np.empty(hidden, np.float32)
    outputs = np.empty((len(rows), bits + len(head[7])), np.float32)
    for i in range(len(rows)):
        row = rows[i]
        encode_row(sums[row], squares[row], n_ratings[row], head, scratch, outputs[i])
    return outputs
