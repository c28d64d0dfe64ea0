"""3DC-Seg's own F and MAE: all pixels of all frames of all sequences in one list, in bounded memory.

As 3DC-Seg's evaluation computes its Table 5. F is the harmonic mean of precision and recall (beta^2 = 1) at
the best of all thresholds. It differs by several points from the F of `saliency`: never put both in one
column.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, Num

from vos3d_jax.evaluation.metrics.foreground import check_sizes
from vos3d_jax.evaluation.metrics.regions import region_similarity

Probability = Float32[np.ndarray, "h w"]
Truth = Bool[np.ndarray, "h w"] | Num[np.ndarray, "h w"]
Numbers = np.ndarray | np.number
Frames = Callable[[], Iterable[tuple[Probability, Truth]]]

# Non-negative float32 numbers are in the order of their bits. A bin holds those with equal upper bits.
_LOWER_BITS = 12
_BINS = (int(np.float32(1).view(np.uint32)) >> _LOWER_BITS) + 1
_BINS_A_PASS = 256


@dataclass(frozen=True)
class Pooled:
    """F at the best threshold, and the mean absolute error, of all pixels."""

    max_f: float
    mae: float


@dataclass(frozen=True)
class SequenceLog:
    """What 3DC-Seg logs of one sequence: mean IoU, F and MAE (not the figures of its table)."""

    iou: float
    f: float
    mae: float


def pooled_saliency(frames: Frames) -> Pooled:
    """Returns the exact figures of all frames, whose pixels are read at least twice but never kept.

    A first pass counts pixels in some 260 thousand bins of scores. Bins that could hold the best threshold
    (few) are counted by single score in a second pass, the next 256 of them in a third if need be.

    Args:
        frames: gives, each time it is called, the same (probability of the foreground 0..1 float32 [h, w],
            truth [h, w], not zero: foreground) of all frames that have a truth.

    Raises:
        ValueError: there are no pixels; a probability is outside 0..1; sizes differ.
    """
    bins = np.zeros((_BINS, 2), np.int64)
    error = 0.0
    for probability, truth in frames():
        keys, on = _keys(probability, truth)
        bins += np.bincount((keys >> _LOWER_BITS) * 2 + on, minlength=2 * _BINS).reshape(_BINS, 2)
        error += float(np.abs(probability.ravel() - on).sum(dtype=np.float64))
    total, positives = int(bins.sum()), int(bins[:, 1].sum())
    if not total:
        raise ValueError("there are no pixels to pool")
    if not positives:
        return Pooled(math.nan, error / total)
    false, true = bins[::-1].cumsum(0)[::-1].T  # at a threshold that takes in all of a bin
    best = float(_f(false, true, positives).max())
    # At best, all of a bin's foreground has higher scores than its background.
    reachable = _f(false - bins[:, 0], true, positives)
    unsure = np.flatnonzero((reachable > best) & (bins.min(1) > 0))
    unsure = unsure[np.argsort(-reachable[unsure], kind="stable")]
    while unsure.size:
        chosen, unsure = unsure[:_BINS_A_PASS], unsure[_BINS_A_PASS:]
        scores = _single_scores(frames, chosen)
        for number, counts in zip(chosen, scores, strict=True):
            above = np.array([false[number], true[number]]) - bins[number]
            best = max(best, float(_f(*(counts[::-1].cumsum(0) + above).T, positives).max()))
        unsure = unsure[reachable[unsure] > best]
    return Pooled(best, error / total)


def pooled_levels(counts: Int[np.ndarray, "levels 2"]) -> Pooled:
    """Returns the exact figures of probabilities stored as whole numbers (pictures of 8 or 16 bits).

    Args:
        counts: how many pixels have each value 0, 1, ..., which stand for 0 to 1 in equal steps; [:, 0] where
            the truth is background, [:, 1] where it is foreground.

    Raises:
        ValueError: there are no pixels.
    """
    total, positives = int(counts.sum()), int(counts[:, 1].sum())
    if not total:
        raise ValueError("there are no pixels to pool")
    levels = np.arange(len(counts)) / (len(counts) - 1)
    mae = float((levels * counts[:, 0] + (1 - levels) * counts[:, 1]).sum() / total)
    if not positives:
        return Pooled(math.nan, mae)
    false, true = counts[::-1].cumsum(0).T
    return Pooled(float(_f(false, true, positives).max()), mae)


def sequence_log(frames: Iterable[tuple[Probability, Truth]]) -> SequenceLog:
    """Returns what 3DC-Seg logs of a sequence: of its masks (probability above a half), and MAE.

    F is the better one of the masks and of all pixels taken as foreground; IoU is the mean over frames.
    """
    ious, error, counts = [], 0.0, np.zeros(4, np.int64)
    for probability, truth in frames:
        _, on = _keys(probability, truth)
        predicted = probability > 0.5
        ious.append(region_similarity(predicted, truth))
        error += float(np.abs(probability.ravel() - on).sum(dtype=np.float64))
        counts += np.bincount(predicted.ravel() * 2 + on, minlength=4)
    if not ious:
        raise ValueError("there are no frames to score")
    background, foreground = counts[0] + counts[2], counts[1] + counts[3]
    f = float(_f(np.stack([counts[2], background]), np.stack([counts[3], foreground]), int(foreground)).max())
    return SequenceLog(float(np.mean(ious)), f, error / int(counts.sum()))


def _keys(probability: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the bits of each score, 1 where the truth is foreground), flat."""
    check_sizes(probability, truth)
    if not (probability.min(initial=0) >= 0 and probability.max(initial=1) <= 1):
        raise ValueError("probabilities must be 0 to 1, and no NaN")
    positive = np.abs(probability).ravel()  # -0.0 is 0.0
    return positive.view(np.uint32).astype(np.int64), (truth != 0).ravel().astype(np.int64)


def _single_scores(frames: Frames, bins: np.ndarray) -> np.ndarray:
    """How many pixels have each score of these bins, [bins, scores, off or on]."""
    size = 1 << _LOWER_BITS
    place = np.full(_BINS, -1)
    place[bins] = np.arange(bins.size)
    counts = np.zeros(bins.size * size * 2, np.int64)
    for probability, truth in frames():
        keys, on = _keys(probability, truth)
        where = place[keys >> _LOWER_BITS]
        inside = where >= 0
        entries = (where[inside] * size + (keys[inside] & (size - 1))) * 2 + on[inside]
        counts += np.bincount(entries, minlength=counts.size)
    return counts.reshape(bins.size, size, 2)


def _f(false: Numbers, true: Numbers, positives: int) -> Numbers:
    """2 P R / (P + R), 0 where nothing is right (3DC-Seg's NaN, which its maximum must ignore)."""
    return 2 * true / np.maximum(false + true + positives, 1)
