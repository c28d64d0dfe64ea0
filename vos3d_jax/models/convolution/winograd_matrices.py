"""The matrices of Winograd's minimal filtering F(m, 3), in exact arithmetic.

y = A^T [(G g) * (B^T d)]: m outputs of a filter g of 3 taps from m + 2 samples d with m + 2 products. The
points decide the rounding error: those of F(4, 3) here lose a fourth of what {0, +-1, +-2} loses. Winograd
1980; Lavin and Gray, CVPR 2016, for the use in networks.
"""

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

_POINTS = {
    2: (Fraction(0), Fraction(1), Fraction(-1)),
    4: (Fraction(0), Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2)),
}


class Matrices(NamedTuple):
    """A^T [m, m + 2], G [m + 2, 3] and B^T [m + 2, m + 2]; all [[1]] for an axis with one tap."""

    output: np.ndarray
    kernel: np.ndarray
    input: np.ndarray


@cache
def matrices(m: int, taps: int) -> Matrices:
    """Returns the matrices of F(m, 3), or the identity for `taps` = 1 (then m is 1)."""
    if taps == 1:
        return Matrices(np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)))
    points, n = _POINTS[m], m + 2
    output, kernel, window = np.zeros((m, n)), np.zeros((n, 3)), np.zeros((n, n))
    for i, point in enumerate(points):
        others = points[:i] + points[i + 1 :]
        norm = np.prod([point - other for other in others])
        output[:, i] = [float(point**j) for j in range(m)]
        kernel[i] = [float(point**j / norm) for j in range(3)]
        window[i, : n - 1] = _polynomial(others)
    output[-1, -1] = kernel[-1, -1] = 1  # the point at infinity
    window[-1] = _polynomial(points)
    # Powers of two move from B^T to G, so that B^T has no tiny entries; this is exact.
    smallest = np.array([np.abs(row[row != 0]).min() for row in window])
    scale = np.minimum(1, 2 ** np.floor(np.log2(smallest)))[:, None]
    return Matrices(output, kernel * scale, window / scale)


def _polynomial(roots):
    """Coefficients of the product of (x - root), lowest degree first."""
    coefficients = np.array([1.0])
    for root in roots:
        coefficients = np.convolve(coefficients, [1.0, -float(root)])
    return coefficients[::-1]
