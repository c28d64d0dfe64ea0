"""What all metrics of masks share: a mask is foreground wherever it is not zero; nothing is ever resized."""

import numpy as np
from jaxtyping import Bool, Num

Mask = Bool[np.ndarray, "h w"] | Num[np.ndarray, "h w"]


def check_sizes(mask: Mask, truth: Mask, void: Mask | None = None) -> None:
    """Returns if all have one size; raises ValueError otherwise."""
    if mask.shape != truth.shape or (void is not None and void.shape != truth.shape):
        shapes = [array.shape for array in (mask, truth, void) if array is not None]
        raise ValueError(f"mask, truth and void must have one shape, not {shapes}")
