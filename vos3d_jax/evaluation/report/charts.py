"""The report's charts as inline SVG: bars, intervals, values over time. No library, no script.

Numbers stand as text beside every bar, so bars are hidden from screen readers; a line over time carries a
sentence that says what a reader would see. Colours are the classes of style.css (light, dark and print).
"""

import math
from collections.abc import Sequence

import numpy as np

from vos3d_jax.evaluation.metrics import Interval
from vos3d_jax.evaluation.report.markup import Html, element

_POINTS = 240  # of a line: longer series are thinned, each point then is the lowest of its frames
_WIDTH, _HEIGHT = 240, 60


def bar(value: float | None, largest: float, kind: str) -> Html:
    """A horizontal bar of `value` on a scale from 0 to `largest`; nothing for NaN."""
    if value is None or math.isnan(value) or not largest > 0:
        return Html("")
    share = 100 * min(max(value / largest, 0), 1)
    return element(
        "svg",
        element("rect", class_="track", width=100, height=8),
        element("rect", class_=kind, width=f"{share:.2f}", height=8),
        class_="bar",
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def strip(value: float, found: Interval | None, largest: float) -> Html:
    """A scale from 0 to `largest` with the interval as a band and the value as a mark."""
    parts = [element("rect", class_="track", y=3, width=100, height=4)]
    if found is not None and not math.isnan(found.low):
        low, high = (100 * min(max(bound / largest, 0), 1) for bound in (found.low, found.high))
        width = max(high - low, 0.5)
        parts.append(element("rect", class_="band", x=f"{low:.2f}", y=3, width=f"{width:.2f}", height=4))
    place = 100 * min(max(value / largest, 0), 1)
    parts.append(element("rect", class_="mark", x=f"{max(place - 0.6, 0):.2f}", width=1.2, height=10))
    return element(
        "svg", *parts, class_="strip", viewBox="0 0 100 10", preserveAspectRatio="none", aria_hidden="true"
    )


def lines(series: Sequence[tuple[str, Sequence[float]]], label: str, largest: float = 1.0) -> Html:
    """Values over the frames, one line a metric, from 0 at the bottom to `largest`; gaps where they are NaN.

    Args:
        series: (metric, one value a frame), drawn in the colour of the metric.
        label: the sentence for those who do not see the lines.
        largest: the top of the scale.
    """
    grid = [
        element("line", class_="grid", x1=0, x2=_WIDTH, y1=height, y2=height)
        for height in (0, _HEIGHT / 2, _HEIGHT)
    ]
    drawn = []
    for metric, values in series:
        for points in _runs(values, largest):
            drawn.append(element("polyline", class_=f"line {metric}", points=points))
    return element(
        "svg",
        element("title", label),
        *grid,
        *drawn,
        class_="lines",
        viewBox=f"0 -2 {_WIDTH} {_HEIGHT + 4}",
        preserveAspectRatio="none",
        role="img",
    )


def _runs(values: Sequence[float], largest: float) -> list[str]:
    """The points of each stretch without NaN, thinned to the lowest of equal parts."""
    values = np.asarray(values, np.float64)
    places = np.arange(values.size)
    if values.size > _POINTS:
        parts = np.array_split(places, _POINTS)
        places = np.array([part[_lowest(values[part])] for part in parts])
    spread = max(values.size - 1, 1)
    stretches: list[list[str]] = [[]]
    for place in places:
        value = values[place]
        if np.isnan(value):
            stretches.append([])
            continue
        x = _WIDTH * place / spread if values.size > 1 else _WIDTH / 2
        y = _HEIGHT * (1 - min(max(value / largest, 0), 1))
        stretches[-1].append(f"{x:.1f},{y:.1f}")
    # A lone point has no length: it is drawn as a dash of its own.
    return [" ".join(points if len(points) > 1 else points * 2) for points in stretches if points]


def _lowest(values: np.ndarray) -> int:
    return int(np.argmin(np.where(np.isnan(values), np.inf, values)))
