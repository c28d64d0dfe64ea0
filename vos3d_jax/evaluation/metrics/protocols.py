"""IoU of SegTrack v2 and J-HMDB, and the error of JumpCut, from their papers' definitions.

SegTrack v2 (Li et al., ICCV 2013), J-HMDB (Jhuang et al., ICCV 2013), JumpCut (Fan et al., SIGGRAPH Asia
2015). There are no official tools for these; which mean a paper took is partly open, so both are given by
name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vos3d_jax.evaluation.metrics.foreground import Mask, check_sizes
from vos3d_jax.evaluation.metrics.regions import region_similarity


@dataclass(frozen=True)
class GroupMeans:
    """`over_groups`: of each group first, then over groups; `over_all`: every value weighs the same."""

    over_groups: float
    over_all: float


def group_means(groups: Iterable[Sequence[float]]) -> GroupMeans:
    """Returns both means of values in groups (frames of a video, objects of a video, key frames of a clip).

    NaN values are left out, and groups that have no others. Nothing at all: NaN.
    """
    known = [[value for value in group if not np.isnan(value)] for group in groups]
    known = [group for group in known if group]
    if not known:
        return GroupMeans(float("nan"), float("nan"))
    return GroupMeans(
        float(np.mean([np.mean(group) for group in known])), float(np.mean(np.concatenate(known)))
    )


def merged_ious(frames: Iterable[tuple[Mask, Mask]]) -> list[float]:
    """Returns the IoU of each (result, truth), merged; 1 if both are empty (SegTrack, J-HMDB: Hou et al.)."""
    return [region_similarity(result, truth) for result, truth in frames]


def jumpcut_error(result: Mask, truth: Mask) -> float:
    """Returns wrong pixels over the object's true area, in percent: may exceed 100; NaN without an object.

    Raises:
        ValueError: the sizes differ.
    """
    check_sizes(result, truth)
    area = np.count_nonzero(truth)
    wrong = np.count_nonzero((result != 0) != (truth != 0))
    return 100 * wrong / area if area else float("nan")


def jumpcut_transfers(
    length: int, distance: int, keys: Sequence[int] = range(0, 97, 16)
) -> list[tuple[int, int]]:
    """Returns (key frame, scored frame) of each run in a clip; those that would end after it are left out."""
    return [(key, key + distance) for key in keys if key + distance < length]
