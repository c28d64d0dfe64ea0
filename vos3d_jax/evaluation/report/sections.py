"""What the sections of the page show of a result; how it looks is in templates/<section>.html."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vos3d_jax.data.video import Video
from vos3d_jax.evaluation import published
from vos3d_jax.evaluation.metrics import Interval
from vos3d_jax.evaluation.report.attributes import NAMES, attribute_means
from vos3d_jax.evaluation.report.charts import Chart, lines
from vos3d_jax.evaluation.report.comparison import compare_all, explained
from vos3d_jax.evaluation.report.figures import (
    AVERAGES,
    FRAME_METRICS,
    HEADLINES,
    best,
    facts,
    format_value,
)
from vos3d_jax.evaluation.report.made import Made, Other
from vos3d_jax.evaluation.report.pictures import in_words, jpegs, worst_scenes
from vos3d_jax.evaluation.report.units import row_columns, row_metrics, worst_first
from vos3d_jax.evaluation.scores import DEFECTS, Row, Scores

_SCENES = 12
_CHARTS = 60  # small ones at most: those of the worst rows
# Keys of `Scores.provenance` in words; those in "versions" and "options" are names of their own.
_LABELS = {
    "data": "fingerprint of the true masks",
    "results": "fingerprint of the results",
    "model_card": "fingerprint of the network's card",
    "maps": "soft maps",
    "masks": "values of the masks",
}
_PREFIXES = {"versions": "version of ", "options": "option of the data: "}
_FINGERPRINT = re.compile(r"(?:sha256:)?[0-9a-f]{32,}")


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        head: what stands above it.
        figure: what its values are of.
        values: row -> value.
        class_: "minor" where it gives way on a phone.
        signed: positive values have a sign, too.
    """

    head: str
    figure: str
    values: Mapping[str, float]
    class_: str = ""
    signed: bool = False


def cards(scores: Scores, intervals: Mapping[str, Interval | None]) -> dict[str, float]:
    """Returns the figures that have a card, each with the end of its scale."""
    bounds = {
        name: (scores.figures[name], *([interval.high] if (interval := intervals[name]) else []))
        for name in HEADLINES
        if name in scores.figures
    }
    return {name: _end_of_scale(name, values) for name, values in bounds.items()}


def comparison(
    scores: Scores,
    others: Sequence[Other],
    refused: Sequence[tuple[str, str]],
    percent: bool,
) -> dict[str, Any]:
    """Returns all figures, the differences to each other, and whom it is not compared with, and why."""
    every = [scores, *(other.scores for other in others)]
    compared = compare_all(scores, every[1:], percent)
    by_figure = [{item.figure: item for item in differences} for differences in compared]
    return {
        "figures": list(dict.fromkeys(name for one in every for name in one.figures)),
        "compared": list(zip(others, by_figure, strict=True)),
        "explained": explained(compared),
        "refused": refused,
    }


def sequences(scores: Scores, others: Sequence[Other]) -> dict[str, Any] | None:
    """Returns all rows, worst first, with a bar for each metric and columns of numbers.

    None where nothing was measured of single rows (soft maps alone).
    """
    metrics = row_metrics(scores)
    if not metrics:
        return None
    columns = [
        Column(f"{metric} {name}", metric, values, "minor" if metric == "T" or name != "mean" else "")
        for metric, name, values in row_columns(scores)
    ]
    first, ours = metrics[0], _means(scores, metrics[0])
    for number, other in enumerate(others):
        theirs = _means(other.scores, first)
        less = {
            row.name: ours.get(row.name, math.nan) - theirs.get(row.name, math.nan) for row in scores.rows
        }
        columns.append(Column(f"{first} less {other.name}", first, less, "minor" if number else "", True))
    bars = {metric: _means(scores, metric) for metric in metrics if metric in FRAME_METRICS}
    return {
        "rows": worst_first(scores.rows, first),
        "grouped": any(row.group for row in scores.rows),
        "bars": {metric: (means, _end_of_scale(metric, means.values())) for metric, means in bars.items()},
        "columns": columns,
    }


def over_time(scores: Scores, others: Sequence[Other], percent: bool) -> dict[str, Any] | None:
    """Returns a small chart for each row with more than one frame, worst first; None where there are none.

    The first metric of the others is drawn too.
    """
    metrics = [metric for metric in row_metrics(scores) if metric in FRAME_METRICS]
    rows = [row for row in scores.rows if any(len(row.series.get(metric, ())) > 1 for metric in metrics)]
    if not rows:
        return None
    every = [scores, *(other.scores for other in others)]
    top = max(_end_of_scale(metric, _means(one, metric).values()) for one in every for metric in metrics)
    theirs = [{row.name: row.series for row in one.rows} for one in every[1:]]
    charts = []
    for row in worst_first(rows, metrics[0])[:_CHARTS]:
        series = [(metric, row.series[metric]) for metric in metrics if metric in row.series]
        curves = [
            (f"theirs{number}", by_name[row.name][metrics[0]])
            for number, by_name in enumerate(theirs)
            if metrics[0] in by_name[row.name]
        ]
        means = {metric: row.statistics(metric).mean for metric, _ in series}
        words, label = in_words(row, means.get, percent), _sentence(row, series, percent)
        ends = (row.frames[0], row.frames[-1])
        charts.append(Chart(row.name, words, label, lines([*curves, *series], top), ends))
    return {"charts": charts, "left": len(rows) - len(charts), "metrics": metrics, "top": top}


def worst_frames(
    scores: Scores, videos: Sequence[Video], masks_dir: str | Path, others: Sequence[Other], percent: bool
) -> list[dict[str, Any]]:
    """Returns the worst frame of the worst sequences as pictures; none without videos of them.

    Masks of the others stand beside, where they are at hand.
    """
    frames = []
    for scene in worst_scenes(scores, videos, _SCENES):
        theirs = [(other, scene.of(other.scores)) for other in others]
        beside = [
            (other.name, one, other.results)
            for other, one in theirs
            if other.results is not None and one.path(other.results).is_file()
        ]
        words = [scene.words(percent), *(f"{other.name} {one.words(percent)}" for other, one in theirs)]
        panels = list(jpegs(scene, masks_dir, beside))
        frames.append({"scene": scene, "words": words, "panels": panels})
    return frames


def attributes(scores: Scores) -> dict[str, Any] | None:
    """Returns means over the sequences with and without each attribute; None where none is known."""
    metrics = [metric for metric in ("J", "F") if metric in row_metrics(scores)]
    by_code = {metric: {item.code: item for item in attribute_means(scores, metric)} for metric in metrics}
    if not any(by_code.values()):
        return None
    columns = [
        Column(
            f"{metric} {head}",
            metric,
            {code: getattr(item, value) for code, item in by_code[metric].items()},
            "minor" if metric != metrics[0] or head == "without" else "",
            head == "difference",
        )
        for metric in metrics
        for head, value in (("with", "having"), ("without", "lacking"), ("difference", "difference"))
    ]
    rows = [(code, NAMES[code], item.count) for code, item in by_code[metrics[0]].items()]
    return {"metrics": metrics, "columns": columns, "rows": rows}


def published_results(scores: Scores) -> dict[str, Any] | None:
    """Returns the tables of the same protocol, ours among their rows if it is whole, and those of others."""

    def with_ours(entry: published.Table) -> tuple[published.Table, list[published.Method]]:
        values = tuple(scores.figures.get(name) for name in entry.figures)
        if not scores.complete or not any(name in scores.figures for name in entry.figures):
            return entry, best(entry)
        ours = published.Method(scores.method or "this result", "", values)
        return entry, best(replace(entry, methods=(ours, *entry.methods)))

    same = [with_ours(entry) for entry in published.comparable(scores.benchmark)]
    others = [(entry, best(entry)) for entry in published.context(scores.benchmark)]
    return {"same": same, "others": others} if same or others else None


def provenance(scores: Scores, made: Made | None) -> list[tuple[str, str]]:
    """Returns where the figures come from: command and date, rule, versions, fingerprints, options."""
    return [
        *([] if made is None else [("command", made.command), ("made", made.date)]),
        ("benchmark", scores.benchmark),
        ("protocol", f"{scores.protocol}: {scores.rule}"),
        ("means over", AVERAGES[scores.average]),
        ("method", scores.method),
        *(("repeated defect of the official tool", DEFECTS[name]) for name in scores.defects),
        *_flat({**scores.provenance, "masks": scores.encodings}),
    ]


def is_fingerprint(value: str) -> bool:
    """Returns whether a value is the hash of something, of which the first digits say enough."""
    return _FINGERPRINT.fullmatch(value) is not None


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        label = f"{prefix}{key}" if prefix else _LABELS.get(key, key.replace("_", " "))
        if isinstance(value, dict):
            yield from _flat(value, _PREFIXES.get(key, f"{key} "))
        else:
            yield label, "–" if value is None else str(value)


def _means(scores: Scores, metric: str) -> dict[str, float]:
    return {row.name: row.statistics(metric).mean for row in scores.rows if metric in row.series}


def _end_of_scale(name: str, values: Iterable[float]) -> float:
    """1, or what the worst error needs."""
    return max((value for value in values if value > 0), default=1.0) if facts(name).percent else 1.0


def _sentence(row: Row, series: Sequence[tuple[str, Sequence[float]]], percent: bool) -> str:
    parts = []
    for metric, values in series:
        if np.isnan(values).all():
            parts.append(f"{metric} is not defined")
            continue
        worst = int(np.nanargmax(values) if facts(metric).lower else np.nanargmin(values))
        first, last, lowest = (format_value(metric, values[k], percent) for k in (0, -1, worst))
        parts.append(f"{metric} from {first} to {last}, worst {lowest} at {row.frames[worst]}")
    return f"{row.name} over {len(row.frames)} frames: " + "; ".join(parts)
