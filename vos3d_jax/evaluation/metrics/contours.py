"""Contour accuracy F, equal to the official DAVIS tools (specs/spec-metrics.md section 2)."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool

from vos3d_jax.evaluation.metrics.masks import Mask, count, without_void

_TOLERANCE = 0.008  # of the image's diagonal: how far apart two contours still agree


@dataclass(frozen=True)
class BoundaryCounts:
    """The integers behind F: boundary pixels, and how many lie within `radius` of the other mask's."""

    radius: int
    mask: int
    truth: int
    matched_mask: int
    matched_truth: int


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
    mask, truth = without_void(mask, truth, void)
    radius = boundary_radius(*mask.shape)
    window = _joint_window(mask, truth)
    if window is None:
        return BoundaryCounts(radius, 0, 0, 0, 0)
    edge, true_edge = boundary_map(mask[window]), boundary_map(truth[window])
    return BoundaryCounts(
        radius,
        mask=count(edge),
        truth=count(true_edge),
        matched_mask=count(edge & _dilate(true_edge, radius)),
        matched_truth=count(true_edge & _dilate(edge, radius)),
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
