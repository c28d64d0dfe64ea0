"""Region similarity J, equal to the official DAVIS tools (davis-2017's `measures`)."""

from vos3d_jax.evaluation.metrics import bitmaps
from vos3d_jax.evaluation.metrics.bitmaps import Bitmaps
from vos3d_jax.evaluation.metrics.foreground import Mask, check_sizes


def region_similarity(mask: Mask, truth: Mask, void: Mask | None = None) -> float:
    """Returns J, 0..1: the intersection of mask and truth over their union, without the void pixels.

    1 if the union is empty: an object that is absent and not found is right.

    Args:
        mask: the result [h, w].
        truth: the ground truth [h, w].
        void: pixels that do not count [h, w], or None.

    Raises:
        ValueError: the sizes differ.
    """
    return intersection_over_union(*region_counts(mask, truth, void))


def region_counts(mask: Mask, truth: Mask, void: Mask | None = None) -> tuple[int, int]:
    """Returns (intersection, union) in pixels: the integers behind J. Arguments as `region_similarity`."""
    check_sizes(mask, truth, void)
    bits = bitmaps.pack([mask, truth], 0)
    return region_counts_of(bits if void is None else bits & ~bitmaps.pack([void], 0))


def region_counts_of(pair: Bitmaps) -> tuple[int, int]:
    """Returns (intersection, union) of two bitmaps."""
    return int(bitmaps.count(pair[0] & pair[1])), int(bitmaps.count(pair[0] | pair[1]))


def intersection_over_union(intersection: int, union: int) -> float:
    """Returns the quotient; 1 if both are 0."""
    return intersection / union if union else 1.0
