"""What all metrics of masks share: a mask is foreground wherever it is not zero; void pixels do not count."""

import numpy as np
from jaxtyping import Bool, Num

Mask = Bool[np.ndarray, "h w"] | Num[np.ndarray, "h w"]


def without_void(mask: Mask, truth: Mask, void: Mask | None) -> tuple[np.ndarray, np.ndarray]:
    """(mask, truth) as bool arrays that are False where void is set; ValueError if the sizes differ."""
    if mask.shape != truth.shape or (void is not None and void.shape != truth.shape):
        shapes = [array.shape for array in (mask, truth, void) if array is not None]
        raise ValueError(f"mask, truth and void must have one shape, not {shapes}")
    mask, truth = mask != 0, truth != 0
    if void is None:
        return mask, truth
    counted = void == 0
    return mask & counted, truth & counted


def count(array: np.ndarray) -> int:
    """The number of elements that are not zero."""
    return int(np.count_nonzero(array))
