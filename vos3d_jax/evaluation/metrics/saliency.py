"""Saliency measures of one image, equal to PySODMetrics, and their means over a data set.

Definitions: PySODMetrics. Predictions and truths have 8 bits, so all but weighted F follows from how often
each value occurs on and off the object, in the four parts of the image that S looks at.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from vos3d_jax.evaluation.metrics.foreground import check_sizes

Numbers = np.ndarray | np.number

_LEVELS = 256
_BETA2 = 0.3
_EPSILON = np.spacing(1)
_FOREGROUND = 128  # a truth is foreground above it


@dataclass(frozen=True)
class Saliency:
    """The measures of an image, or their means over images; curves run from threshold 255 down to 0.

    Attributes:
        mae: mean absolute error.
        s: structure measure.
        weighted_f: weighted F (beta 1).
        adaptive_f, adaptive_e: at the threshold of twice the mean.
        precision, recall, f_curve, e_curve: [256], at each threshold; F with beta^2 = 0.3.
    """

    mae: float
    s: float
    weighted_f: float
    adaptive_f: float
    adaptive_e: float
    precision: Float[np.ndarray, "256"]
    recall: Float[np.ndarray, "256"]
    f_curve: Float[np.ndarray, "256"]
    e_curve: Float[np.ndarray, "256"]

    @property
    def max_f(self) -> float:
        """The maximum of the curve: of a data set, that of the mean curve, not the mean of maxima."""
        return float(self.f_curve.max())

    @property
    def mean_f(self) -> float:
        """The mean of the curve."""
        return float(self.f_curve.mean())

    @property
    def max_e(self) -> float:
        """The maximum of the curve."""
        return float(self.e_curve.max())

    @property
    def mean_e(self) -> float:
        """The mean of the curve."""
        return float(self.e_curve.mean())


def image_saliency(prediction: UInt8[np.ndarray, "h w"], truth: UInt8[np.ndarray, "h w"]) -> Saliency:
    """Returns all measures of one image.

    Args:
        prediction: 0..255; stretched to the full range unless it is constant.
        truth: foreground where above 128.

    Raises:
        ValueError: the sizes differ.
    """
    check_sizes(prediction, truth)
    mask = truth > _FOREGROUND
    values = _stretched(prediction)
    parts = _part_counts(prediction, mask)
    counts = parts.sum(0)
    precision, recall, f_curve, e_curve = _curves(values, counts)
    adaptive_f, adaptive_e = _adaptive(values, counts)
    return Saliency(
        mae=float((np.abs(values - [[0], [1]]) * counts).sum() / counts.sum()),
        s=_structure(values, parts),
        weighted_f=_weighted_f(values[prediction], mask),
        adaptive_f=adaptive_f,
        adaptive_e=adaptive_e,
        precision=precision,
        recall=recall,
        f_curve=f_curve,
        e_curve=e_curve,
    )


def mean_saliency(images: Iterable[Saliency]) -> Saliency:
    """Returns the means of all measures and curves over images, taken one at a time.

    Raises:
        ValueError: there are no images.
    """
    sums, number = {field.name: 0.0 for field in fields(Saliency)}, 0
    for image in images:
        sums = {name: total + getattr(image, name) for name, total in sums.items()}
        number += 1
    if not number:
        raise ValueError("there are no images to average")
    return Saliency(**{name: total / number for name, total in sums.items()})


def _stretched(prediction: np.ndarray) -> Float[np.ndarray, "256"]:
    """What each 8-bit value stands for: 0..1, the image's own range stretched over it."""
    values = np.arange(_LEVELS) / 255
    low, high = values[prediction.min()], values[prediction.max()]
    return (values - low) / (high - low) if high != low else values


def _part_counts(prediction: np.ndarray, mask: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "4 2 256"]:
    """How often each value occurs off and on the object in the parts around the object's centre."""
    row = column = 0
    if mask.any():
        rows, columns = mask.sum(1), mask.sum(0)
        row = int(np.round(rows @ np.arange(rows.size) / rows.sum())) + 1
        column = int(np.round(columns @ np.arange(columns.size) / columns.sum())) + 1
    keys = prediction + np.where(mask, np.int64(_LEVELS), 0)
    halves = keys[:row], keys[row:]
    parts = [part for half in halves for part in (half[:, :column], half[:, column:])]
    counts = [np.bincount(part.ravel(), minlength=2 * _LEVELS) for part in parts]
    return np.stack(counts).reshape(4, 2, _LEVELS)


def _curves(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall, F and E at the thresholds 255 to 0."""
    levels = (values * 255).clip(0, 255).astype(np.uint8)  # truncates; values outside do not occur
    histograms = np.stack([np.bincount(levels, weights=row, minlength=_LEVELS) for row in counts])
    false, true = histograms[:, ::-1].cumsum(1)
    precision = true / np.maximum(false + true, 1)
    recall = true / max(counts[1].sum(), 1)
    return precision, recall, _f(precision, recall), _e(false, true, *counts.sum(1))


def _f(precision: Numbers, recall: Numbers) -> Numbers:
    both = _BETA2 * precision + recall
    return (1 + _BETA2) * precision * recall / np.where(both == 0, 1, both)


def _e(false: Numbers, true: Numbers, background: np.integer, foreground: np.integer) -> Numbers:
    """The alignment measure of binary maps with `false` and `true` pixels off and on the object."""
    total = background + foreground
    if foreground == 0:
        aligned = background - false
    elif background == 0:
        aligned = true
    else:
        share_found, share_object = (false + true) / total, foreground / total
        aligned = 0.0
        for is_found, is_object, number in (
            (1, 1, true),
            (1, 0, false),
            (0, 1, foreground - true),
            (0, 0, background - false),
        ):
            a, b = is_found - share_found, is_object - share_object
            aligned = aligned + (2 * a * b / (a**2 + b**2 + _EPSILON) + 1) ** 2 / 4 * number
    return aligned / (total - 1 + _EPSILON)


def _adaptive(values: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """(F, E) of the map above twice its mean. An empty map's threshold is 0, so everything is found."""
    threshold = min(2 * float((values * counts).sum() / counts.sum()), 1)
    background, foreground = counts.sum(1)
    false, true = (counts * (values >= threshold)).sum(1)
    f = 0.0
    if true:
        f = float(_f(true / (false + true), true / foreground))
    return f, float(_e(false, true, background, foreground))


def _structure(values: np.ndarray, parts: np.ndarray) -> float:
    """S: half how even prediction is on and off the object, half how alike the four parts are.

    A part is empty if the object's centre is in the last row or column: PySODMetrics is NaN then; here the
    part, which weighs nothing, is left out.
    """
    counts = parts.sum(0)
    background, foreground = counts.sum(1)
    total = background + foreground
    mean = float((values * counts).sum() / total)
    if foreground == 0:
        return 1 - mean
    if background == 0:
        return mean
    share = foreground / total
    alike = share * _evenness(values, counts[1]) + (1 - share) * _evenness(1 - values, counts[0])
    sizes = parts.sum((1, 2))
    weights = sizes / total
    weights[3] = 1 - weights[:3].sum()
    by_region = sum(
        weight * _likeness(values, part)
        for weight, part, size in zip(weights, parts, sizes, strict=True)
        if size
    )
    return max(0.0, float(0.5 * alike + 0.5 * by_region))


def _evenness(values: np.ndarray, counts: np.ndarray) -> float:
    number = counts.sum()
    mean = (values * counts).sum() / number
    deviation = math.sqrt(((values - mean) ** 2 * counts).sum() / (number - 1)) if number > 1 else 0.0
    return 2 * mean / (mean**2 + 1 + deviation + _EPSILON)


def _likeness(values: np.ndarray, counts: np.ndarray) -> float:
    number = counts.sum()
    x, y = (values * counts).sum() / number, counts[1].sum() / number
    off_mean, off_truth = values - x, np.array([[0.0], [1.0]]) - y
    variance_x, variance_y, covariance = (
        (product * counts).sum() / (number - 1 + _EPSILON)
        for product in (off_mean**2, off_truth**2, off_mean * off_truth)
    )
    a = 4 * x * y * covariance
    b = (x**2 + y**2) * (variance_x + variance_y)
    if a != 0:
        return a / (b + _EPSILON)
    return 1.0 if b == 0 else 0.0


def _weighted_f(prediction: Float[np.ndarray, "h w"], mask: np.ndarray) -> float:
    """F with errors that weigh less near the object's and more far from it (Margolin et al., CVPR 2014)."""
    from scipy.ndimage import distance_transform_edt  # takes 0.1 s to import, for this measure only

    if not mask.any():
        return 0.0
    distance, nearest = distance_transform_edt(~mask, return_indices=True)
    error = np.abs(prediction - mask)
    spread = np.where(mask, error, error[nearest[0], nearest[1]])
    kernel = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 5**2))
    kernel /= kernel.sum()
    smooth = cv2.sepFilter2D(spread, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
    error = np.where(mask, np.minimum(error, smooth), error)
    weight = np.where(mask, 1.0, 2 - np.exp(math.log(0.5) / 5 * distance))
    weighted = error * weight
    missed = weighted[mask].sum()
    true, false = mask.sum() - missed, weighted[~mask].sum()
    recall = 1 - missed / mask.sum()
    precision = true / (true + false + _EPSILON)
    return float(2 * recall * precision / (recall + precision + _EPSILON))
