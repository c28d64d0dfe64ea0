"""The geometry of the report's charts; the templates draw them as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_POINTS = 240  # of a line: longer series are thinned, each point then is the lowest of its frames
_WIDTH, _HEIGHT = 240, 60  # of the drawing, as templates/macros.html has it


@dataclass(frozen=True)
class Chart:
    """Values over the frames or steps of one thing.

    Attributes:
        title: its name.
        words: what is said of it below the name.
        label: the sentence for those who do not see the lines.
        lines: (kind, points) of each stretch; the kind has a colour.
        ends: what is said of the first and the last place.
    """

    title: str
    words: str
    label: str
    lines: Sequence[tuple[str, str]]
    ends: Sequence[str]


def place(value: float, largest: float) -> float:
    """Returns where a value is on a scale from 0 to `largest`, in percent of its length."""
    return 100 * min(max(value / largest, 0.0), 1.0)


def lines(series: Sequence[tuple[str, Sequence[float]]], largest: float = 1.0) -> list[tuple[str, str]]:
    """Returns the lines of a chart from 0 at the bottom to `largest`, with gaps where values are NaN.

    Args:
        series: (kind, one value a frame).
        largest: the top of the scale.
    """
    return [(kind, points) for kind, values in series for points in _stretches(values, largest)]


def _stretches(values: Sequence[float], largest: float) -> list[str]:
    """The points of each stretch without NaN, thinned to the lowest of equal parts."""
    values = np.asarray(values, np.float64)
    places = np.arange(values.size)
    if values.size > _POINTS:
        ranked = np.where(np.isnan(values), np.inf, values)
        places = np.array([part[ranked[part].argmin()] for part in np.array_split(places, _POINTS)])
    x = _WIDTH * places / (values.size - 1) if values.size > 1 else np.full(1, _WIDTH / 2)
    y = _HEIGHT * (1 - np.clip(values[places] / largest, 0, 1))
    stretches = np.split(np.arange(places.size), np.flatnonzero(np.isnan(y)))
    points = [[f"{x[k]:.1f},{y[k]:.1f}" for k in stretch if y[k] == y[k]] for stretch in stretches]
    # A lone point has no length: it is drawn as a dash of its own.
    return [" ".join(some if len(some) > 1 else some * 2) for some in points if some]
