"""Region similarity J, contour accuracy F and their statistics, equal to the official DAVIS tools.

Pure functions of arrays. Definitions and traps: specs/spec-metrics.md sections 0 to 3 and 13, read there from
the 2016 and 2017 toolkits (Perazzi et al., CVPR 2016). A mask is foreground wherever it is not zero; what is
one object of several, or void, is decided by the caller.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Num

Mask = Bool[np.ndarray, "h w"] | Num[np.ndarray, "h w"]

_TOLERANCE = 0.008  # of the image's diagonal: how far apart two contours still agree


@dataclass(frozen=True)
class Statistics:
    """What is reported of the values of one sequence: `mean`, `recall` and `decay` (see `statistics`)."""

    mean: float
    recall: float
    decay: float


@dataclass(frozen=True)
class BoundaryCounts:
    """The integers behind F: boundary pixels, and how many lie within `radius` of the other mask's."""

    radius: int
    mask: int
    truth: int
    matched_mask: int
    matched_truth: int


def region_similarity(mask: Mask, truth: Mask, void: Mask | None = None) -> float:
    """J, 0..1: the intersection of mask and truth over their union, without the void pixels.

    1 if the union is empty: an object that is absent and not found is right.

    Args:
        mask: the result [h, w].
        truth: the ground truth [h, w].
        void: pixels that do not count [h, w], or None.

    Raises:
        ValueError: the sizes differ.
    """
    intersection, union = region_counts(mask, truth, void)
    return intersection / union if union else 1.0


def region_counts(mask: Mask, truth: Mask, void: Mask | None = None) -> tuple[int, int]:
    """(intersection, union) in pixels: the integers behind J. Arguments as `region_similarity`."""
    mask, truth = _without_void(mask, truth, void)
    intersection = _count(mask & truth)
    return intersection, _count(mask) + _count(truth) - intersection


def boundary_f(mask: Mask, truth: Mask, void: Mask | None = None) -> float:
    """F, 0..1: the harmonic mean of the precision and recall of the mask's boundary pixels.

    A boundary pixel is right if one of the other boundary lies within ceil(0.008 x diagonal of the image).
    Two masks without boundary agree (1), even full against empty, since the outline of the image is no
    boundary; one without boundary against one with gives 0. Void pixels are emptied in both masks first.

    Args:
        mask: the result [h, w].
        truth: the ground truth [h, w].
        void: pixels that do not count [h, w], or None.

    Raises:
        ValueError: the sizes differ.
    """
    counts = boundary_counts(mask, truth, void)
    if counts.mask == 0 or counts.truth == 0:
        return 1.0 if counts.mask == counts.truth else 0.0
    precision = counts.matched_mask / counts.mask
    recall = counts.matched_truth / counts.truth
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_counts(mask: Mask, truth: Mask, void: Mask | None = None) -> BoundaryCounts:
    """The integers behind F. Arguments as `boundary_f`."""
    mask, truth = _without_void(mask, truth, void)
    radius = boundary_radius(*mask.shape)
    window = _joint_window(mask, truth)
    if window is None:
        return BoundaryCounts(radius, 0, 0, 0, 0)
    edge, true_edge = boundary_map(mask[window]), boundary_map(truth[window])
    return BoundaryCounts(
        radius,
        mask=_count(edge),
        truth=_count(true_edge),
        matched_mask=_count(edge & _dilate(true_edge, radius)),
        matched_truth=_count(true_edge & _dilate(edge, radius)),
    )


def boundary_map(mask: Mask) -> Bool[np.ndarray, "h w"]:
    """Where a pixel differs from its right, lower or lower right neighbour, [h, w].

    Nothing is compared with the outside of the image: the last row sees only its right neighbours, the last
    column only its lower ones, and the lower right corner is never set.
    """
    mask = mask != 0
    edge = np.zeros(mask.shape, bool)
    edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edge[:-1] |= mask[:-1] != mask[1:]
    edge[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return edge


def boundary_radius(height: int, width: int) -> int:
    """How many pixels apart two boundaries of an image of this size may be: 8 at 480x854, 4 at 240x427."""
    return math.ceil(_TOLERANCE * math.sqrt(height**2 + width**2))


def statistics(values: Sequence[float] | Num[np.ndarray, " n"]) -> Statistics:
    """Mean, recall and decay of the values of a sequence's frames, in order.

    - mean: without NaN.
    - recall: the share of values above 0.5 (0.5 itself is not); NaN counts as not above.
    - decay: mean of the first quarter minus mean of the last. Quarters share their edge value; a single value
      has decay 0. The official Python tools keep the edges in 8 bits and go wrong from 256 values on; ours
      are wide (no DAVIS sequence is that long).

    No values at all: NaN throughout.
    """
    values = np.asarray(values, np.float64)
    if values.size == 0:
        return Statistics(math.nan, math.nan, math.nan)
    # 1e-10 lifts the .5 that n = 3, 7, 11... give above numpy's rounding to even.
    edges = np.round(np.linspace(1, values.size, 5) + 1e-10).astype(int) - 1
    first, last = values[edges[0] : edges[1] + 1], values[edges[3] : edges[4] + 1]
    return Statistics(
        mean=_mean(values),
        recall=_count(values > 0.5) / values.size,
        decay=_mean(first) - _mean(last),
    )


def _count(array: np.ndarray) -> int:
    return int(np.count_nonzero(array))


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else math.nan


def _without_void(mask: Mask, truth: Mask, void: Mask | None) -> tuple[np.ndarray, np.ndarray]:
    if mask.shape != truth.shape or (void is not None and void.shape != truth.shape):
        shapes = [array.shape for array in (mask, truth, void) if array is not None]
        raise ValueError(f"mask, truth and void must have one shape, not {shapes}")
    mask, truth = mask != 0, truth != 0
    if void is None:
        return mask, truth
    counted = void == 0
    return mask & counted, truth & counted


def _joint_window(mask: np.ndarray, truth: np.ndarray) -> tuple[slice, slice] | None:
    """The part of the image that holds every boundary pixel of both masks; None if both are empty.

    It is the bounding box of both with a ring of background around it (where the image has one), so the map
    of the part is the part of the map.
    """
    either = mask | truth
    rows, columns = np.flatnonzero(either.any(1)), np.flatnonzero(either.any(0))
    if rows.size == 0:
        return None
    return slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(columns[0] - 1, 0), columns[-1] + 2)


def _dilate(edge: np.ndarray, radius: int) -> np.ndarray:
    """The pixels whose squared distance to a set pixel is at most radius squared (outside is not set)."""
    offsets = np.arange(-radius, radius + 1) ** 2
    disk = (offsets[:, None] + offsets <= radius**2).astype(np.uint8)
    return cv2.dilate(edge.view(np.uint8), disk, borderType=cv2.BORDER_CONSTANT, borderValue=0) != 0
