"""Region similarity J, equal to the official DAVIS tools (specs/spec-metrics.md section 1)."""

from vos3d_jax.evaluation.metrics.masks import Mask, count, without_void


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
    mask, truth = without_void(mask, truth, void)
    intersection = count(mask & truth)
    return intersection, count(mask) + count(truth) - intersection
