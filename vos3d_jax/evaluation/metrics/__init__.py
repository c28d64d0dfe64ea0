"""The metrics of video object segmentation, equal to the official tools: pure functions of arrays.

Definitions and traps: specs/spec-metrics.md, read there from the tools' code. Nothing here knows files,
videos or benchmarks; what is one object of several, or void, is decided by the caller.
"""

from vos3d_jax.evaluation.metrics.contours import (
    BoundaryCounts,
    boundary_counts,
    boundary_f,
    boundary_map,
    boundary_radius,
)
from vos3d_jax.evaluation.metrics.masks import Mask
from vos3d_jax.evaluation.metrics.regions import region_counts, region_similarity
from vos3d_jax.evaluation.metrics.series import Statistics, statistics

__all__ = [
    "BoundaryCounts",
    "Mask",
    "Statistics",
    "boundary_counts",
    "boundary_f",
    "boundary_map",
    "boundary_radius",
    "region_counts",
    "region_similarity",
    "statistics",
]
