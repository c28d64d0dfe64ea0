"""Contour accuracy F, equal to the official DAVIS tools (davis-2017's `measures`)."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt64

from vos3d_jax.evaluation.metrics import bitmaps
from vos3d_jax.evaluation.metrics.bitmaps import Bitmaps
from vos3d_jax.evaluation.metrics.foreground import Mask, check_sizes
from vos3d_jax.evaluation.metrics.regions import intersection_over_union, region_counts_of

_TOLERANCE = 0.008  # of the image's diagonal: how far apart two contours still agree


@dataclass(frozen=True)
class BoundaryCounts:
    """The integers behind F: boundary pixels, and how many lie within `radius` of the other mask's."""

    radius: int
    mask: int
    truth: int
    matched_mask: int
    matched_truth: int

    @property
    def f(self) -> float:
        """F, 0..1: the harmonic mean of the shares that are matched; 1 if neither mask has a boundary."""
        if self.mask == 0 or self.truth == 0:
            return 1.0 if self.mask == self.truth else 0.0
        precision, recall = self.matched_mask / self.mask, self.matched_truth / self.truth
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_f(mask: Mask, truth: Mask, void: Mask | None = None) -> float:
    """Returns F, 0..1: the harmonic mean of the precision and recall of the mask's boundary pixels.

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
    return boundary_counts(mask, truth, void).f


def boundary_counts(mask: Mask, truth: Mask, void: Mask | None = None) -> BoundaryCounts:
    """Returns the integers behind F. Arguments as `boundary_f`."""
    radius = boundary_radius(*mask.shape)
    return _counts(*_around(_pair(mask, truth, void, radius), radius), mask.shape[1], radius)


def j_and_f(mask: Mask, truth: Mask, void: Mask | None = None) -> tuple[float, float]:
    """Returns (J, F): cheaper than `region_similarity` and `boundary_f` one by one; arguments as there."""
    radius = boundary_radius(*mask.shape)
    return j_and_f_of(_pair(mask, truth, void, radius), mask.shape[1], radius)


def j_and_f_of(pair: Bitmaps, width: int, radius: int, first_word: int = 0) -> tuple[float, float]:
    """Returns (J, F) of the bitmaps of a mask and a truth.

    Args:
        pair: both, of an image or of a part that holds all that is set and the pixels next to it.
        width: of the image.
        radius: `boundary_radius` of the image.
        first_word: where the part begins in the image.
    """
    bits, inner = _around(pair, radius)
    counts = _counts(bits, first_word + inner, width, radius)
    return intersection_over_union(*region_counts_of(bits)), counts.f


def boundary_map(mask: Mask) -> Bool[np.ndarray, "h w"]:
    """Returns where a pixel differs from its right, lower or lower right neighbour, [h, w].

    Nothing is compared with the outside of the image: the last row sees only its right neighbours, the last
    column only its lower ones, and the lower right corner is never set.
    """
    width = mask.shape[1]
    return bitmaps.unpack(bitmaps.edges(bitmaps.pack([mask], 1), 0, width)[0], width)


def boundary_radius(height: int, width: int) -> int:
    """Returns how many pixels apart two boundaries of such an image may be: 8 at 480x854, 4 at 240x427."""
    return math.ceil(_TOLERANCE * math.sqrt(height**2 + width**2))


def _pair(mask: Mask, truth: Mask, void: Mask | None, radius: int) -> Bitmaps:
    check_sizes(mask, truth, void)
    bits = bitmaps.pack([mask, truth], radius)
    if void is not None:
        bits &= ~bitmaps.pack([void], radius)
    return bits


def _around(bits: Bitmaps, radius: int) -> tuple[UInt64[np.ndarray, "masks _rows _words"], int]:
    """The part of bitmaps that matters, and its first word."""
    rows, words = bitmaps.window(bits, radius)
    return np.ascontiguousarray(bits[:, rows, words]), words.start


def _counts(bits: Bitmaps, first_word: int, width: int, radius: int) -> BoundaryCounts:
    edges = bitmaps.edges(bits, first_word, width)
    matched = bitmaps.count(edges & bitmaps.dilate(edges, radius)[::-1])
    return BoundaryCounts(radius, *(int(number) for number in (*bitmaps.count(edges), *matched)))
