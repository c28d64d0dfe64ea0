"""Polylines with fewer points: a radial filter, then Douglas and Peucker's rule, as in T's original tool.

The rule of the DAVIS-2016 toolkits is recursive; here all parts of all curves of one depth are split
together, so a mask costs some tens of array operations instead of one call a point.
"""

import numpy as np
from jaxtyping import Num


def simplify(curves: list[Num[np.ndarray, "_ 2"]], tolerance: float) -> list[Num[np.ndarray, "_ 2"]]:
    """Returns the curves without points within `tolerance` of what is left; first and last points stay.

    Curves of fewer than 3 points are as they were. Points have whole coordinates.
    """
    if not curves:
        return []
    curves = [_radial(curve, tolerance) if len(curve) >= 3 else curve for curve in curves]
    ends = np.cumsum([len(curve) for curve in curves])
    starts = ends - [len(curve) for curve in curves]
    points = np.concatenate(curves)
    keep = _kept(points.astype(np.float64), starts, ends - 1, tolerance**2)
    return [points[start:end][keep[start:end]] for start, end in zip(starts, ends, strict=True)]


def _radial(curve: np.ndarray, tolerance: float) -> np.ndarray:
    """Drops points closer than `tolerance` to the last kept one; the very last point always stays."""
    if tolerance <= 1:  # neighbours with whole coordinates are at least 1 apart
        return curve
    limit = tolerance**2
    points = curve.tolist()
    kept = [0]
    x, y = points[0]
    for index, (next_x, next_y) in enumerate(points[1:-1], 1):
        if (next_x - x) ** 2 + (next_y - y) ** 2 >= limit:
            kept.append(index)
            x, y = next_x, next_y
    return curve[[*kept, len(points) - 1]]


def _kept(points: np.ndarray, first: np.ndarray, last: np.ndarray, limit: float) -> np.ndarray:
    """Which points stay when the parts (first..last) are split at the point farthest from their segment.

    Of equally far points the last one splits; a part is done when `limit`, squared, is not exceeded.
    """
    keep = np.zeros(len(points), bool)
    keep[first] = keep[last] = True
    x, y = points.T.copy()
    while True:
        long = last - first > 1
        first, last = first[long], last[long]
        if first.size == 0:
            return keep
        counts = last - first - 1
        offsets = np.cumsum(counts) - counts
        inner = np.arange(counts.sum()) + np.repeat(first + 1 - offsets, counts)
        distance = _squared_distances(x, y, first, last, inner, counts)
        farthest = np.maximum.reduceat(distance, offsets)
        ties = np.flatnonzero(distance == np.repeat(farthest, counts))
        split = np.empty(first.size, np.int64)
        split[np.searchsorted(offsets, ties, "right") - 1] = inner[ties]  # in order: the last tie stays
        far = farthest > limit
        first, last, split = first[far], last[far], split[far]
        keep[split] = True
        first, last = np.concatenate([first, split]), np.concatenate([split, last])


def _squared_distances(
    x: np.ndarray, y: np.ndarray, first: np.ndarray, last: np.ndarray, inner: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """The squared distance of each inner point to the segment first-last of its part.

    The foot's place along the segment is a float32 quotient, as in the original: it decides ties.
    """
    along_x, along_y = x[last] - x[first], y[last] - y[first]
    length = np.maximum(along_x**2 + along_y**2, 1)  # whole numbers: 1 only stands in for 0
    ends = np.stack([x[first], y[first], along_x, along_y, length])
    start_x, start_y, along_x, along_y, length = np.repeat(ends, counts, axis=1)
    point_x, point_y = x[inner], y[inner]
    product = (point_x - start_x) * along_x + (point_y - start_y) * along_y
    fraction = (product.astype(np.float32) / length.astype(np.float32)).astype(np.float64)
    fraction = np.minimum(np.maximum(fraction, 0), 1)
    return (point_x - (start_x + fraction * along_x)) ** 2 + (point_y - (start_y + fraction * along_y)) ** 2
