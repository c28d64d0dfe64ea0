"""Shape contexts of a contour's samples, and what it costs to match two samples.

Belongie et al., PAMI 2002, as the DAVIS-2016 toolkits compute them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

Variant = Literal["matlab", "python"]

# Costs are whole multiples of it: sums of them are exact, so that equally cheap paths compare as equal.
UNIT = 2.0**-42

_SPACING = 3.0  # pixels between samples, at most
_RADIAL, _ANGULAR = 5, 12  # bins: distances up to 2 in powers of two, angles of 30 degrees
_COLUMNS = 128  # of the costs, computed together: larger tables of terms leave the cache
_BLOCK = 32  # samples whose distances to all others are computed together, so that they stay in the cache
_EDGES = (np.tan(np.pi / 6), np.tan(np.pi / 3))  # of the angular bins within a quadrant
# Bins of a quadrant are counted away from the x axis first: where bin 0, 1, 2... is found then.
_CODES = np.array([0, 1, 2, 5, 4, 3, 9, 10, 11, 8, 7, 6], np.uint8)
_NEAR_EDGE = 1e-9  # relative: these angles are computed by the official formula, since rounding decides


@dataclass(frozen=True)
class ShapeContext:
    """The samples of a contour, each with how many samples lie in which direction and distance.

    Attributes:
        samples: [n, 2] positions, the first and the last coincide; the first column is the column of the
            image in the Python variant, the row in the Matlab variant.
        counts: [n, 60] samples a bin: 5 distances (far ones first) x 12 angles.
        mean_distance: between all samples, in pixels.
    """

    samples: Float[np.ndarray, "n 2"]
    counts: Int[np.ndarray, "n bins"]
    mean_distance: float


def shape_context(points: Float[np.ndarray, "n 2"], variant: Variant) -> ShapeContext:
    """Returns the shape context of a closed polygon of (row, column) points, the last equal to the first."""
    samples = sample(points, variant)
    x, y = samples.astype(np.float64).T.copy()
    blocks = [_polar(x, y, slice(start, start + _BLOCK)) for start in range(0, x.size, _BLOCK)]
    mean = sum(float(distance.sum()) for distance, _ in blocks) / x.size**2
    counts = np.concatenate([_counts(distance / mean, angles) for distance, angles in blocks])
    return ShapeContext(samples, counts, mean)


def sample(points: Float[np.ndarray, "n 2"], variant: Variant) -> Float[np.ndarray, "m 2"]:
    """Returns points at most 3 pixels apart along a polygon, its corners among them, by repeated addition.

    The Python variant has the column first and computes in float32, the Matlab variant the row first in
    float64.
    """
    points = points[:, ::-1].astype(np.float32) if variant == "python" else points.astype(np.float64)
    segments = np.diff(points, axis=0)
    lengths = np.sqrt((segments**2).sum(1))
    parts = np.maximum(np.ceil(lengths / points.dtype.type(_SPACING)).astype(int), 1)
    steps = np.repeat((segments / parts[:, None].astype(points.dtype))[:, None], parts.max(), axis=1)
    steps[:, 0] = points[:-1]
    sums = np.add.accumulate(steps, axis=1)
    sums = np.concatenate([sums[:, 1:], sums[:, :1]], axis=1)
    np.put_along_axis(sums, (parts - 1)[:, None, None], points[1:, None], axis=1)
    inner = np.arange(sums.shape[1]) < parts[:, None]
    return np.concatenate([points[:1], sums[inner]])


def matching_costs(first: ShapeContext, second: ShapeContext) -> Float[np.ndarray, "n m"]:
    """Returns the costs to match each sample of one contour with each of another, in multiples of `UNIT`.

    Half the chi-squared distance of their histograms a and b, 0 (equal) to 1. As a and b sum to 1, it is
    1 - sum of 2 a b / (a + b), to which only bins that both fill contribute; written as 2 / (1/a + 1/b), an
    empty bin's reciprocal is infinite and drops out by itself. Neighbouring samples have many bins in common,
    so terms are computed once for each (bin, count, total) of the first contour and then only added.
    """
    from scipy.sparse import csr_array  # takes 0.1 s to import, for this measure only

    totals = first.counts.sum(1)
    row, bins = np.nonzero(first.counts)
    most = totals.max() + 1
    keys, which = np.unique((bins * most + first.counts[row, bins]) * most + totals[row], return_inverse=True)
    shares, total = np.divmod(keys, most)
    bin_of, filled = np.divmod(shares, most)
    reciprocal = (total / filled)[:, None]
    ends = np.searchsorted(row, np.arange(len(totals) + 1))
    choice = csr_array((np.ones(which.size), which, ends), shape=(len(totals), keys.size))
    with np.errstate(divide="ignore"):
        others = (second.counts.sum(1, keepdims=True) / second.counts).T
    costs = np.empty((len(totals), others.shape[1]))
    for left in range(0, others.shape[1], _COLUMNS):
        terms = np.ascontiguousarray(others[:, left : left + _COLUMNS])[bin_of]
        terms += reciprocal
        np.reciprocal(terms, out=terms)
        costs[:, left : left + _COLUMNS] = choice @ terms
    costs *= -2 / UNIT
    costs += 1 / UNIT
    return np.rint(costs, out=costs)


def _polar(x: np.ndarray, y: np.ndarray, block: slice) -> tuple[np.ndarray, np.ndarray]:
    """Distances [block, n] and angular codes of all samples as seen from those of a block."""
    dx, dy = x - x[block, None], y - y[block, None]
    codes = 3 * (dx < 0).view(np.uint8)
    codes += 6 * (dy < 0).view(np.uint8)
    ax, ay = np.abs(dx), np.abs(dy)
    closest = np.minimum(ax, ay)  # how far the point is from the nearest edge of a bin, about
    for edge in _EDGES:
        beyond = edge * ax
        np.subtract(ay, beyond, out=beyond)
        codes += (beyond >= 0).view(np.uint8)
        np.minimum(closest, np.abs(beyond, out=beyond), out=closest)
    ax *= ax
    ay *= ay
    ax += ay
    distance = np.sqrt(ax, out=ax)
    unsure = np.flatnonzero(closest <= np.multiply(distance, _NEAR_EDGE, out=ay))
    codes.ravel()[unsure] = _CODES[_official_bin(dy.ravel()[unsure], dx.ravel()[unsure])]
    return distance, codes


def _official_bin(dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
    """The angular bin by the original's own steps; what rounds up to the full circle is in bin 0."""
    full = 2 * np.pi
    angle = np.fmod(np.fmod(np.arctan2(dy, dx), full) + full, full)
    return np.floor(angle / (full / _ANGULAR)).astype(int) % _ANGULAR


def _counts(distance: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """How many of each row's entries lie in each bin, [rows, 60]: by distance, then by angle.

    Distances are in units of their mean; the edges of their bins are powers of two, so the exponent of a
    number is its bin.
    """
    exponent = (distance.view(np.int64) >> 52) - 1023
    ring = np.clip(1 - exponent, 0, _RADIAL)  # 0: too far, not counted
    rows, size = distance.shape[0], (_RADIAL + 1) * _ANGULAR
    keys = ring * _ANGULAR + codes + np.arange(0, rows * size, size)[:, None]
    counts = np.bincount(keys.ravel(), minlength=rows * size).reshape(rows, _RADIAL + 1, _ANGULAR)
    return counts[:, 1:, _CODES].reshape(rows, -1)
