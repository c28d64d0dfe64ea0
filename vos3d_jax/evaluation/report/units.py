"""How sure each headline figure is: over sequences or objects, never frames.

A figure is a mean over units (sequences, objects or groups, as its benchmark has it). `units` gives the
units' values and weights, so that their weighted mean is the figure; the bootstrap and the paired test draw
units. Figures that are no mean over units (pooled F, frame-mAP, the saliency measures) have no interval.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vos3d_jax.evaluation import benchmarks
from vos3d_jax.evaluation.metrics import Interval, confidence_interval
from vos3d_jax.evaluation.report.figures import UNITS, facts
from vos3d_jax.evaluation.scores import Row, Scores

_FEW = 6  # of fewer units no sign-flip test gets below 0.05: 2 of the 2**5 patterns of signs are 0.0625


@dataclass(frozen=True)
class Units:
    """One value and weight a unit; NaN values are left out."""

    names: tuple[str, ...]
    values: np.ndarray
    weights: np.ndarray


def units(scores: Scores, figure: str) -> Units | None:
    """The values whose weighted mean is `figure`; None where it is no mean over sequences or objects.

    Units are what the benchmark averages: sequences (of JumpCut: clips, each the mean of its key frames),
    objects, or the clips of J-HMDB, weighted so that its three splits count the same.
    """
    rows, value = _rows(scores, figure), _value(figure)
    if value is None or not rows:
        return None
    if scores.average == "sequences":
        grouped: dict[str, list[float]] = {}
        for row in rows:
            grouped.setdefault(row.sequence, []).append(value(row))
        names = tuple(grouped)
        values = np.array([_mean(numbers) for numbers in grouped.values()])
        weights = np.ones(len(names))
    else:
        names = tuple(row.name for row in rows)
        values = np.array([value(row) for row in rows])
        weights = np.ones(len(rows))
        if scores.average == "groups":
            sizes = {row.group: 0 for row in rows}
            for row, number in zip(rows, values, strict=True):
                sizes[row.group] += not np.isnan(number)
            weights = np.array([1 / max(sizes[row.group], 1) for row in rows])
    return Units(names, values, weights) if np.isfinite(values).any() else None


def interval(scores: Scores, figure: str) -> Interval | None:
    """The 95 % bootstrap interval of a headline figure over its units; None without units."""
    found = units(scores, figure)
    return None if found is None else confidence_interval(found.values, weights=found.weights)


def fewer(scores: Scores, figure: str) -> int | None:
    """How many units a figure's interval is over, where that is fewer than `counted_over` says; else None."""
    found = units(scores, figure)
    known = _count(scores) if found is None else int(np.isfinite(found.values).sum())
    return None if known == _count(scores) else known


def worst_first(rows: Iterable[Row], metric: str) -> list[Row]:
    """The rows by the mean of a metric, those where it is not defined last."""
    sign = -1 if facts(metric).lower else 1

    def badness(row: Row) -> tuple[bool, float]:
        value = row.statistics(metric).mean if metric in row.series else math.nan
        return math.isnan(value), 0.0 if math.isnan(value) else sign * value

    return sorted(rows, key=badness)


def counted_over(scores: Scores) -> str:
    """What the intervals are over, in words: "20 sequences"."""
    return f"{_count(scores)} {UNITS[scores.average]}{'s' * (_count(scores) != 1)}"


def few(scores: Scores) -> str:
    """A warning where intervals are over too few units to mean much; else ""."""
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


def _mean(numbers: Iterable[float]) -> float:
    known = [number for number in numbers if not np.isnan(number)]
    return float(np.mean(known)) if known else float("nan")
