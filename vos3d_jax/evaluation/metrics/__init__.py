"""The metrics of video object segmentation, equal to the official tools: pure functions of arrays.

Definitions are those of the official tools; each module names its own. Nothing here knows files, videos or
benchmarks: which frames count, what is one object of several or void, is decided by the caller.

- J and F of a mask: `region_similarity`, `boundary_f`, both at once `j_and_f`; of a sequence: `statistics`
- temporal instability T: `temporal_instability`, or pair by pair `outline_shape` and `shape_change`
- several objects: `semi_supervised`, `unsupervised`; their means: `mean_over_objects`, `mean_over_sequences`
- saliency: `image_saliency`, `mean_saliency` (PySODMetrics); `pooled_saliency`, `pooled_levels`,
  `sequence_log` (3DC-Seg)
- SegTrack v2, J-HMDB, JumpCut: `merged_ious`, `object_ious`, `group_means`, `frame_map`, `jumpcut_error`
- how sure a mean is: `confidence_interval`, `paired_test`, `holm`
"""

from vos3d_jax.evaluation.metrics.bootstrap import (
    Interval,
    PairedTest,
    confidence_interval,
    holm,
    paired_test,
)
from vos3d_jax.evaluation.metrics.contours import (
    BoundaryCounts,
    boundary_counts,
    boundary_f,
    boundary_map,
    boundary_radius,
    j_and_f,
)
from vos3d_jax.evaluation.metrics.corner_grid import Outline, outlines
from vos3d_jax.evaluation.metrics.detections import (
    Detections,
    average_precision,
    box_iou,
    frame_map,
    largest_region,
    mask_box,
)
from vos3d_jax.evaluation.metrics.foreground import Mask
from vos3d_jax.evaluation.metrics.objects import (
    ObjectScores,
    entering,
    object_count,
    object_ious,
    pair_scores,
    semi_supervised,
    unsupervised,
)
from vos3d_jax.evaluation.metrics.pooled import (
    Pooled,
    SequenceLog,
    pooled_levels,
    pooled_saliency,
    sequence_log,
)
from vos3d_jax.evaluation.metrics.protocols import (
    GroupMeans,
    group_means,
    jumpcut_error,
    jumpcut_transfers,
    merged_ious,
)
from vos3d_jax.evaluation.metrics.regions import region_counts, region_similarity
from vos3d_jax.evaluation.metrics.saliency import Saliency, image_saliency, mean_saliency
from vos3d_jax.evaluation.metrics.series import (
    Statistics,
    mean_over_objects,
    mean_over_sequences,
    statistics,
)
from vos3d_jax.evaluation.metrics.stability import (
    Instability,
    outline_shape,
    shape_change,
    temporal_instability,
)

__all__ = [
    "BoundaryCounts",
    "Detections",
    "GroupMeans",
    "Instability",
    "Interval",
    "Mask",
    "ObjectScores",
    "Outline",
    "PairedTest",
    "Pooled",
    "Saliency",
    "SequenceLog",
    "Statistics",
    "average_precision",
    "boundary_counts",
    "boundary_f",
    "boundary_map",
    "boundary_radius",
    "box_iou",
    "confidence_interval",
    "entering",
    "frame_map",
    "group_means",
    "holm",
    "image_saliency",
    "j_and_f",
    "jumpcut_error",
    "jumpcut_transfers",
    "largest_region",
    "mask_box",
    "mean_over_objects",
    "mean_over_sequences",
    "mean_saliency",
    "merged_ious",
    "object_count",
    "object_ious",
    "outline_shape",
    "outlines",
    "pair_scores",
    "paired_test",
    "pooled_levels",
    "pooled_saliency",
    "region_counts",
    "region_similarity",
    "semi_supervised",
    "sequence_log",
    "shape_change",
    "statistics",
    "temporal_instability",
    "unsupervised",
]
