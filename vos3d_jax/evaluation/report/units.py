"""How sure each headline figure is: over sequences or objects, never frames.

A figure is a mean over units (sequences, objects or groups, as its benchmark has it). `units` gives the
units' values and weights, so that their weighted mean is the figure; the bootstrap and the paired test draw
units. Figures that are no mean over units (pooled F, frame-mAP, the saliency measures) have no interval.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vos3d_jax.evaluation import benchmarks
from vos3d_jax.evaluation.metrics import Interval, confidence_interval
from vos3d_jax.evaluation.report.figures import FRAME_METRICS, UNITS, facts
from vos3d_jax.evaluation.scores import Row, Scores, statistics_of

_FEW = 6  # of fewer units no sign-flip test gets below 0.05: 2 of the 2**5 patterns of signs are 0.0625


@dataclass(frozen=True)
class Units:
    """What a figure is the weighted mean of.

    Attributes:
        names: of the units where the figure is defined.
        values: one a unit.
        weights: one a unit.
    """

    names: tuple[str, ...]
    values: tuple[float, ...]
    weights: tuple[float, ...]


def units(scores: Scores, figure: str) -> Units | None:
    """Returns the values whose weighted mean is `figure`; None where it is no mean over sequences or objects.

    Units are what the benchmark averages: sequences (of JumpCut: clips, each the mean of its key frames),
    objects, or the clips of J-HMDB, weighted so that its three splits count the same.
    """
    value = _value(figure)
    if value is None:
        return None
    groups: dict[str, str] = {}
    values: dict[str, list[float]] = defaultdict(list)
    for row in _rows(scores, figure):
        name = row.sequence if scores.average == "sequences" else row.name
        values[name].append(value(row))
        groups[name] = row.group if scores.average == "groups" else ""
    means = {name: known_mean(numbers) for name, numbers in values.items()}
    known = {name: mean for name, mean in means.items() if not math.isnan(mean)}
    if not known:
        return None
    sizes = Counter(groups[name] for name in known)
    weights = (1 / sizes[groups[name]] if scores.average == "groups" else 1.0 for name in known)
    return Units(tuple(known), tuple(known.values()), tuple(weights))


def interval(scores: Scores, figure: str) -> Interval | None:
    """Returns the 95 % bootstrap interval of a headline figure over its units; None without units."""
    over = units(scores, figure)
    return None if over is None else _interval(over.values, over.weights)


@lru_cache(64)  # csv, page and terminal show the same
def _interval(values: tuple[float, ...], weights: tuple[float, ...]) -> Interval:
    return confidence_interval(np.array(values), weights=np.array(weights))


def fewer(scores: Scores, figure: str) -> int | None:
    """Returns how many units a figure's interval is over, if fewer than `counted_over` says; else None."""
    over = units(scores, figure)
    known = _count(scores) if over is None else len(over.names)
    return None if known == _count(scores) else known


def known_mean(values: Iterable[float]) -> float:
    """Returns the mean without NaN; NaN where there are no values."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def row_metrics(scores: Scores) -> list[str]:
    """Returns the metrics that rows have, those of frames first."""
    metrics = dict.fromkeys(metric for row in scores.rows for metric in row.series)
    return sorted(metrics, key=lambda metric: metric not in FRAME_METRICS)


def row_columns(scores: Scores) -> list[tuple[str, str, dict[str, float]]]:
    """Returns (metric, "mean" or another statistic, row -> value) of all that is reported of rows."""
    columns = []
    for metric in row_metrics(scores):
        by_row = {row.name: row.statistics(metric) for row in scores.rows if metric in row.series}
        for name in statistics_of(metric):
            columns.append((metric, name, {row: getattr(of, name) for row, of in by_row.items()}))
    return columns


def worst_first(rows: Iterable[Row], metric: str) -> list[Row]:
    """Returns the rows by the mean of a metric, those where it is not defined last."""
    sign = -1 if facts(metric).lower else 1

    def badness(row: Row) -> tuple[bool, float]:
        value = row.statistics(metric).mean if metric in row.series else math.nan
        return math.isnan(value), 0.0 if math.isnan(value) else sign * value

    return sorted(rows, key=badness)


def counted_over(scores: Scores) -> str:
    """Returns what the intervals are over, in words: "20 sequences"."""
    return f"{_count(scores)} {UNITS[scores.average]}{'s' * (_count(scores) != 1)}"


def few(scores: Scores) -> str:
    """Returns a warning where intervals are over too few units to mean much; else ""."""
    if _count(scores) >= _FEW:
        return ""
    return (
        f"intervals over {counted_over(scores)} mean little, and p cannot be small: so few say hardly"
        " anything of others"
    )


def _count(scores: Scores) -> int:
    if scores.average == "sequences":
        return len({row.sequence for row in scores.rows})
    return len(scores.rows)


def _rows(scores: Scores, figure: str) -> list[Row]:
    """The rows a figure is the mean of."""
    metric, _, statistic = figure.partition(" ")
    if metric == "J&F":
        return [row for row in scores.rows if "J" in row.series and "F" in row.series]
    rows = [row for row in scores.rows if metric in row.series]
    if metric == "T":
        stable = benchmarks.find(scores.benchmark).stable
        return [row for row in rows if not stable or row.sequence in stable]
    if metric == "error":
        return [row for row in rows if row.group == f"distance {statistic.removeprefix('d')}"]
    return rows


def _value(figure: str):
    """The function row -> value of a figure; None for figures that no row has."""
    if figure == "J&F":
        return lambda row: (row.statistics("J").mean + row.statistics("F").mean) / 2
    metric, _, statistic = figure.partition(" ")
    if metric == "error":
        return lambda row: row.statistics("error").mean
    if statistic in ("mean", "recall", "decay"):
        return lambda row: getattr(row.statistics(metric), statistic)
    return None
