"""What each figure of a result means, which way is better, and how it is written: facts for all sheets.

Names are those of `Scores.figures`; definitions: `evaluation.metrics`.
"""

import math
from dataclasses import dataclass

from vos3d_jax.evaluation import published
from vos3d_jax.evaluation.metrics import Interval


@dataclass(frozen=True)
class Figure:
    """A headline figure in words.

    Attributes:
        meaning: for a reader who does not know the measure.
        lower: lower values are better.
        percent: the value is in percent already, and may exceed 100.
    """

    meaning: str
    lower: bool = False
    percent: bool = False


_DECAY = "mean of the first quarter of the frames less that of the last: what is lost over time"
_ERROR = "wrong pixels over the object's true area, {} frames after the given mask"

FIGURES = {
    "J&F": Figure("mean of J mean and F mean"),
    "J mean": Figure("overlap of mask and truth: intersection over union"),
    "J recall": Figure("share of frames whose J is above 0.5"),
    "J decay": Figure(_DECAY, lower=True),
    "F mean": Figure("agreement of the contours, within 0.8 % of the image's diagonal"),
    "F recall": Figure("share of frames whose F is above 0.5"),
    "F decay": Figure(_DECAY, lower=True),
    "T mean": Figure("how much the outline's shape changes from frame to frame", lower=True),
    "IoU mean": Figure("overlap of mask and truth: intersection over union"),
    "IoU of frames": Figure("the same, but every frame counts the same (of its split, where there are some)"),
    "IoU of pixels": Figure("all pixels in both mask and truth over all pixels in either"),
    "frame-mAP": Figure("mean over the actions of the average precision of boxes, at an overlap of 0.5"),
    "error d8": Figure(_ERROR.format(8), lower=True, percent=True),
    "error d16": Figure(_ERROR.format(16), lower=True, percent=True),
    "error d32": Figure(_ERROR.format(32), lower=True, percent=True),
    "pooled F": Figure("best F (beta² = 1) of one threshold over the pixels of all frames: 3DC-Seg's"),
    "pooled MAE": Figure("mean absolute error over the pixels of all frames: 3DC-Seg's", lower=True),
    "max F": Figure("F (beta² = 0.3) at the best threshold of the mean curve: PySODMetrics"),
    "mean F": Figure("F (beta² = 0.3) averaged over all thresholds: PySODMetrics"),
    "adaptive F": Figure("F (beta² = 0.3) at twice the map's mean: PySODMetrics"),
    "weighted F": Figure("F with errors weighted by place and neighbourhood: PySODMetrics"),
    "S": Figure("structural similarity of map and truth: PySODMetrics"),
    "max E": Figure("enhanced alignment at the best threshold of the mean curve: PySODMetrics"),
    "mean E": Figure("enhanced alignment averaged over all thresholds: PySODMetrics"),
    "adaptive E": Figure("enhanced alignment at twice the map's mean: PySODMetrics"),
    "MAE": Figure("mean absolute error of an image, averaged over images: PySODMetrics", lower=True),
}
_PLAIN = Figure("")

# What stands on the cards at the top of the report, as far as it was scored.
HEADLINES = (
    "J&F", "J mean", "F mean", "IoU mean", "frame-mAP", "error d8", "error d16", "error d32",
    "T mean", "pooled F", "pooled MAE",
)  # fmt: skip

# `Scores.average` in words.
AVERAGES = {"sequences": "sequences", "objects": "objects", "groups": "clips, then splits"}
# One of what figures are means over.
UNITS = {"sequences": "sequence", "objects": "object", "groups": "clip"}

# A unit's values over its frames: the metric by which the worst frame is found comes first.
FRAME_METRICS = ("J", "F", "IoU", "error")


def facts(name: str) -> Figure:
    """Returns what is known of a figure, or of a metric of frames ("error")."""
    if name in FIGURES:
        return FIGURES[name]
    return Figure("", lower=True, percent=True) if name == "error" else _PLAIN


def minor(name: str) -> str:
    """Returns the class of a figure's column in the page: on a phone recall and decay give way."""
    return "minor" if name.endswith(("recall", "decay")) else ""


def format_value(name: str, value: float | None, percent: bool = False, *, signed: bool = False) -> str:
    """Returns the value of a figure as all sheets write it; a dash for NaN and None.

    Args:
        name: the figure.
        value: as in `Scores.figures`.
        percent: fractions are in percent with one decimal, as the tables of papers have them, not with three
            decimals; errors, in percent anyhow, have two.
        signed: positive values have a sign, too.
    """
    if value is None or math.isnan(value):
        return "–"
    digits = 2 if facts(name).percent else 3
    if percent and not facts(name).percent:
        value, digits = 100 * value, 1
    rounded = round(value, digits) + 0.0  # no -0.000
    text = f"{rounded:{'+' if signed else ''}.{digits}f}".replace("-", "−")
    return f"{text} %" if facts(name).percent else text


def format_interval(
    name: str, interval: Interval | None, percent: bool = False, *, signed: bool = False
) -> str:
    """Returns an interval of a figure in words, "" where there is none; arguments as `format_value`."""
    if interval is None or math.isnan(interval.low):
        return ""
    low, high = (format_value(name, x, percent, signed=signed) for x in (interval.low, interval.high))
    return f"{low} to {high}"


def best(entry: published.Table, count: int | None = None) -> list[published.Method]:
    """Returns the methods of a published table by its first figure, best first; at most `count`."""
    sign = 1 if facts(entry.figures[0]).lower else -1

    def place(method: published.Method) -> tuple[bool, float]:
        value = method.values[0]
        return value is None, sign * (value or 0.0)

    return sorted(entry.methods, key=place)[:count]
