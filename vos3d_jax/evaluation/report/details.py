"""The report's sections on single sequences: scores, scores over time, worst frames, attributes."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vos3d_jax.data.video import Video
from vos3d_jax.evaluation.report.attributes import NAMES, attribute_means
from vos3d_jax.evaluation.report.cells import head, number, row_head, table
from vos3d_jax.evaluation.report.charts import bar, lines
from vos3d_jax.evaluation.report.figures import FRAME_METRICS, UNITS, facts, shown
from vos3d_jax.evaluation.report.made import Other
from vos3d_jax.evaluation.report.markup import Html, element, join
from vos3d_jax.evaluation.report.pictures import KINDS, jpegs, worst_scenes
from vos3d_jax.evaluation.report.units import worst_first
from vos3d_jax.evaluation.scores import Row, Scores

_SCENES = 12
_LINES = 60  # small charts at most: those of the worst rows
MOST_OTHERS = 3  # other methods whose curves and masks are drawn


def metrics_of(scores: Scores) -> list[str]:
    """The metrics that rows have, those of frames first."""
    found = dict.fromkeys(metric for row in scores.rows for metric in row.series)
    of_frames = [metric for metric in FRAME_METRICS if metric in found]
    return [*of_frames, *(metric for metric in found if metric not in FRAME_METRICS)]


def sequences(scores: Scores, others: Sequence[Other]) -> Html | None:
    """A table of all rows, worst first, with a bar for each metric; `others` must be comparable.

    None where nothing was measured of single rows (soft maps alone).
    """
    metrics = metrics_of(scores)
    if not metrics:
        return None
    barred = [metric for metric in metrics if metric in FRAME_METRICS]
    largest = {metric: _largest(scores, metric) for metric in barred}
    full = [metric for metric in barred if metric != "error"]
    theirs = [
        {row.name: row.statistics(metrics[0]).mean for row in other.scores.rows if metrics[0] in row.series}
        for other in others
    ]
    grouped = any(row.group for row in scores.rows)
    heads = [
        head(UNITS[scores.average].capitalize(), sort="ascending", class_=None),
        head("Group", sort="ascending", class_="minor") if grouped else None,
        head(" and ".join(barred), class_="barcell") if barred else None,
    ]
    for metric in metrics:
        heads.append(head(f"{metric} mean", sort="ascending", class_=_weight(metric)))
        if metric in full:
            heads += [head(f"{metric} {name}", sort="ascending", class_="num minor") for name in _MINOR]
    for place, other in enumerate(others):
        title = f"{metrics[0]} less {other.name}"
        heads.append(head(title, sort="ascending", class_="num minor" if place else "num"))
    heads.append(head("Frames", sort="ascending", class_="num minor"))
    rows = []
    for row in worst_first(scores.rows, metrics[0]):
        statistics = {metric: row.statistics(metric) for metric in metrics if metric in row.series}
        means = {metric: statistics[metric].mean for metric in statistics}
        cells = [
            row_head(row.name),
            element("td", row.group, class_="minor") if grouped else None,
            element("td", *(bar(means.get(one), largest[one], one) for one in barred), class_="barcell")
            if barred
            else None,
        ]
        for metric in metrics:
            cells.append(number(metric, means.get(metric), class_="minor" if metric == "T" else ""))
            if metric in full:
                for name in _MINOR:
                    value = getattr(statistics[metric], name) if metric in statistics else None
                    cells.append(number(f"{metric} {name}", value, class_="minor"))
        for place, before in enumerate(theirs):
            less = means.get(metrics[0], math.nan) - before.get(row.name, math.nan)
            cells.append(number(metrics[0], less, signed=True, class_="minor" if place else ""))
        cells.append(element("td", str(len(row.frames)), class_="num minor"))
        rows.append(element("tr", *cells))
    caption = join([_key(barred), "Worst first; press a head to sort." if len(rows) > 1 else None])
    label = f"Scores of each {UNITS[scores.average]}"
    return table(caption, [item for item in heads if item], rows, label=label, sortable=True)


def over_time(scores: Scores, others: Sequence[Other] = ()) -> Html | None:
    """A small chart for each row with more than one frame, worst first; None where there are none.

    The first metric of the first few others is drawn too.
    """
    metrics = [metric for metric in metrics_of(scores) if metric in FRAME_METRICS]
    rows = [row for row in scores.rows if any(len(row.series.get(metric, ())) > 1 for metric in metrics)]
    if not rows:
        return None
    ordered = worst_first(rows, metrics[0])[:_LINES]
    theirs = [{row.name: row for row in other.scores.rows} for other in others[:MOST_OTHERS]]
    top = max(
        _largest(one, metric)
        for one in (scores, *(other.scores for other in others[:MOST_OTHERS]))
        for metric in metrics
    )
    charts = []
    for row in ordered:
        series = [(metric, row.series[metric]) for metric in metrics if metric in row.series]
        curves = [
            (f"theirs{place}", by_name[row.name].series[metrics[0]])
            for place, by_name in enumerate(theirs)
            if metrics[0] in by_name[row.name].series
        ]
        means = ", ".join(f"{metric} {shown(metric, row.statistics(metric).mean)}" for metric, _ in series)
        ends = (element("span", row.frames[place]) for place in (0, -1))
        charts.append(
            element(
                "figure",
                element("figcaption", element("strong", row.name), element("br"), means),
                lines([*curves, *series], _sentence(row, series), top),
                element("div", *ends, class_="ends"),
            )
        )
    left = len(rows) - len(ordered)
    half, whole = (shown(metrics[0], share * top) for share in (0.5, 1.0))
    words = f"From 0 at the bottom to {whole} at the top; the middle line is {half}."
    words += " Every value is in scores.json."
    if others:
        words += f" Of other methods {metrics[0]} is drawn."
    if len(others) > MOST_OTHERS:
        words += f" The first {MOST_OTHERS} of {len(others)} of them are drawn."
    if left:
        words += f" The {len(ordered)} worst are shown, {left} are left out."
    return join(
        [
            element("p", _key(metrics), _their_key(others), words, class_="soft small"),
            element("div", *charts, class_="multiples"),
        ]
    )


def worst_frames(
    scores: Scores,
    videos: Sequence[Video],
    masks_dir: str | Path,
    others: Sequence[Other] = (),
) -> Html | None:
    """The worst frame of the worst sequences as pictures; None without videos of the scored sequences.

    Masks of the first few others stand beside; where they are not at hand, it says why.
    """
    scenes = worst_scenes(scores, videos, _SCENES)
    if not scenes:
        return None
    figures = []
    for scene in scenes:
        beside = [
            (other.name, scene.of(other.scores), other.results)
            for other in others[:MOST_OTHERS]
            if other.results is not None and scene.path(other.results).is_file()
        ]
        panels = [
            element(
                "div",
                element("img", src=uri, alt=_alt(name, scene), width=size[1], height=size[0]),
                element("span", name),
                class_=name if name in KINDS else "theirs",
            )
            for name, uri, size in jpegs(scene, masks_dir, beside)
        ]
        words = f" frame {scene.frame}: {scene.words}"
        words += "".join(f"; {other.name} {scene.of(other.scores).words}" for other in others[:MOST_OTHERS])
        figures.append(
            element(
                "figure",
                element("figcaption", element("strong", scene.row.name), words),
                element("div", *panels, class_="panels"),
                class_="scene",
            )
        )
    words = f"The worst scored frame of each sequence, by {scenes[0].metric}"
    total = len({row.sequence for row in scores.rows})
    words += f", for the {len(scenes)} worst of {total} sequences." if len(scenes) < total else "."
    for other in others[:MOST_OTHERS]:
        words += f" The masks of {other.name} are not shown: {other.absent}." if other.absent else ""
    return join([element("p", words, class_="soft small"), element("div", *figures, class_="scenes")])


def attributes(scores: Scores) -> Html | None:
    """Means over the sequences with and without each attribute; None where attributes are not known."""
    metrics = [metric for metric in ("J", "F") if metric in metrics_of(scores)]
    found = {metric: {item.code: item for item in attribute_means(scores, metric)} for metric in metrics}
    if not metrics or not found[metrics[0]]:
        return None
    rows = []
    for code in found[metrics[0]]:
        items = [(metric, found[metric][code]) for metric in metrics]
        cells = [
            row_head(code, element("span", f" {NAMES[code]}", class_="soft small")),
            element("td", str(items[0][1].count), class_="num", data_value=items[0][1].count),
            element("td", *(bar(item.having, 1.0, metric) for metric, item in items), class_="barcell"),
        ]
        for metric, item in items:
            minor = "" if metric == metrics[0] else "minor"
            cells += [
                number(metric, item.having, class_=minor),
                number(metric, item.lacking, class_="minor"),
                number(metric, item.difference, signed=True, class_=minor),
            ]
        rows.append(element("tr", *cells))
    heads = [
        head("Attribute", sort="ascending", class_=None),
        head("Count", sort="descending"),
        head(" and ".join(metrics), class_="barcell"),
    ]
    for metric in metrics:
        first = "num" if metric == metrics[0] else "num minor"
        heads += [
            head(f"{metric} with", sort="ascending", class_=first),
            head(f"{metric} without", sort="ascending", class_="num minor"),
            head(f"{metric} difference", sort="ascending", class_=first),
        ]
    caption = join([_key(metrics), "Means over the sequences with and without the attribute, hardest first."])
    return table(caption, heads, rows, label="Scores by attribute", sortable=True)


_MINOR = ("recall", "decay")


def _weight(metric: str) -> str:
    """The class of a metric's column: T gives way on a phone."""
    return "num minor" if metric == "T" else "num"


def _largest(scores: Scores, metric: str) -> float:
    """The end of a metric's scale: 1, or what the worst error needs."""
    if not facts(metric).percent:
        return 1.0
    values = [row.statistics(metric).mean for row in scores.rows if metric in row.series]
    known = [value for value in values if not math.isnan(value)]
    return max(known, default=1.0) or 1.0


def _key(metrics: Sequence[str]) -> Html:
    return join([element("span", bar(1.0, 1.0, metric), metric, class_="key") for metric in metrics])


def _their_key(others: Sequence[Other]) -> Html:
    return join(
        [
            element("span", bar(1.0, 1.0, f"theirs{place}"), other.name, class_="key")
            for place, other in enumerate(others[:MOST_OTHERS])
        ]
    )


def _sentence(row: Row, series: Sequence[tuple[str, Sequence[float]]]) -> str:
    parts = []
    for metric, values in series:
        known = np.asarray(values, float)
        if np.isnan(known).all():
            parts.append(f"{metric} is not defined")
            continue
        worst = int(np.nanargmax(known) if facts(metric).lower else np.nanargmin(known))
        parts.append(
            f"{metric} from {shown(metric, values[0])} to {shown(metric, values[-1])}, "
            f"worst {shown(metric, values[worst])} at {row.frames[worst]}"
        )
    return f"{row.name} over {len(row.frames)} frames: " + "; ".join(parts)


def _alt(name: str, scene) -> str:
    where = f"{scene.row.name}, frame {scene.frame}"
    return {
        "frame": f"The frame: {where}",
        "truth": f"The true mask over the frame: {where}",
        "mask": f"The scored mask over the frame: {where}; {scene.words}",
    }.get(name, f"The mask of {name} over the frame: {where}")
