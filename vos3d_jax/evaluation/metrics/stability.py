"""Temporal instability T: how much the outline of an object changes its shape from frame to frame.

T as the DAVIS-2016 toolkits compute it (Perazzi et al., CVPR 2016). It looks at results only; a perfect
result has the instability of the truth. The papers' figures come from the Matlab toolkit; the Python toolkit
differs by some percent.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vos3d_jax.evaluation.metrics.contour_matching import matched_cost
from vos3d_jax.evaluation.metrics.corner_grid import outlines
from vos3d_jax.evaluation.metrics.foreground import Mask
from vos3d_jax.evaluation.metrics.shape_context import (
    UNIT,
    ShapeContext,
    Variant,
    matching_costs,
    shape_context,
)

_SCALE = 5.0  # both toolkits report five times the mean cost


@dataclass(frozen=True)
class Instability:
    """T of a sequence: `values` of each pair of frames (NaN: one has no outline), and their `mean`."""

    values: Float[np.ndarray, " pairs"]
    mean: float


def temporal_instability(
    masks: Iterable[Mask], variant: Variant = "matlab", first_truth: Mask | None = None
) -> Instability:
    """Returns T of a sequence of result masks, 0 (only translations) upwards; lower is better.

    Masks are taken one at a time. The protocols leave out the first and the last frame of a sequence; the
    Matlab toolkit then adds the pair of the first frame's truth and the second frame's result (n - 2 values
    for n frames), the Python toolkit does not (n - 3 values). Data sets average over their stable sequences.

    Args:
        masks: results [h, w] in order, without the first and the last frame.
        variant: "matlab" (published figures) or "python".
        first_truth: the true mask of the first frame, for the Matlab protocol; None: only pairs of results.
    """
    shapes = (outline_shape(mask, variant) for mask in _with_first(first_truth, masks))
    values = []
    before = next(shapes, None)
    for shape in shapes:
        values.append(shape_change(before, shape))
        before = shape
    known = [value for value in values if not np.isnan(value)]
    return Instability(np.array(values, np.float64), float(np.mean(known)) if known else float("nan"))


def outline_shape(mask: Mask, variant: Variant = "matlab") -> ShapeContext | None:
    """Returns the shape of a mask's longest outline (most corners), region or hole; None: it has none.

    Of equally long ones the Matlab variant takes the first, the Python variant the last.
    """
    curves = outlines(mask)
    if not curves:
        return None
    longest = max(curves[::-1] if variant == "python" else curves, key=lambda outline: len(outline.points))
    return shape_context(longest.points, variant)


def shape_change(first: ShapeContext | None, second: ShapeContext | None) -> float:
    """Returns T of two shapes: five times what it costs to match them; NaN if one is None."""
    if first is None or second is None:
        return float("nan")
    return _SCALE * UNIT * matched_cost(matching_costs(first, second))


def _with_first(first: Mask | None, masks: Iterable[Mask]) -> Iterator[Mask]:
    if first is not None:
        yield first
    yield from masks
