"""Results of every benchmark from random values, aggregated by the scorer's own code."""

import math
from dataclasses import replace

import numpy as np

from vos3d_jax.data.video import Video
from vos3d_jax.evaluation import benchmarks
from vos3d_jax.evaluation.aggregation import headline
from vos3d_jax.evaluation.run_measures import RunMeasures
from vos3d_jax.evaluation.runs import Run
from vos3d_jax.evaluation.scores import Row, Scores

_OF_MAPS = ("max F", "mean F", "adaptive F", "weighted F", "S", "max E", "MAE", "pooled F", "pooled MAE")


def rows_of(benchmark, random, frames=7):
    """Some rows of a benchmark, with a value that is not defined among those of T and of errors."""
    rules = benchmarks.find(benchmark)
    names = rules.sequences[:6] or ("first", "second", "third")
    metrics = [metric for metric in rules.metrics if metric in ("J", "F", "T", "IoU", "error")]
    rows = []

    def add(name, sequence, group="", count=frames):
        series = {metric: tuple(random.uniform(0, 1, count)) for metric in metrics}
        if rules.stable and sequence not in rules.stable:
            series.pop("T", None)
        elif "T" in series:
            series["T"] = (*series["T"][:-2], math.nan)
        if "error" in series:
            series["error"] = (math.nan if random.random() < 0.2 else 200 * random.random(),)
        shown = tuple(f"{index:05d}" for index in range(count))
        rows.append(Row(name, sequence, group, (24, 32), shown, series))

    if rules.frames == "transfers":
        for sequence in names:
            for distance in benchmarks.JUMPCUT_DISTANCES:
                for key in range(0, 16 * int(random.integers(1, 4)), 16):
                    add(f"{sequence} key{key:03d}+{distance}", sequence, f"distance {distance}", 1)
    elif rules.parts:
        for group, clips in (("split1", 3), ("split2", 2), ("split3", 5)):
            for clip in range(clips):
                add(f"{group}/clap/clip{clip}", f"{group}/clap/clip{clip}", group)
    elif rules.average == "objects":
        for count, sequence in enumerate(names, 1):
            for number in range(1, count + 1):
                add(f"{sequence}_{number}", sequence)
    else:
        for sequence in names:
            add(sequence, sequence)
    return tuple(rows)


def make_scores(benchmark, seed=0, *, method="a method", rows=None, **changes):
    """Scores of random rows, or of `rows`, which get some T; figures of maps and boxes are random numbers."""
    random = np.random.default_rng(seed)
    rules = benchmarks.find(benchmark)
    if rows is None:
        rows = rows_of(benchmark, random)
    elif "T" in rules.metrics:
        rows = tuple(replace(row, series={"T": (0.25,), **row.series}) for row in rows)
    figures, notes = headline(rules, [_run(row) for row in rows], [_part(row) for row in rows])
    names = [name for name in _OF_MAPS if rules.takes_maps]
    names += ["frame-mAP"] if "frame_map" in rules.metrics else []
    figures = {**figures, **{name: random.uniform(0, 1) for name in names}}
    fields = {
        "benchmark": rules.name,
        "title": rules.title,
        "protocol": rules.protocol,
        "rule": rules.rule,
        "average": rules.average,
        "complete": True,
        "method": method,
        "metrics": rules.metrics,
        "rows": rows,
        "figures": figures,
        "notes": notes,
        "provenance": {"data": "0a" * 32, "results": f"{seed}b" * 32, "model_card": None, "maps": "16 bits"},
    }
    return Scores(**{**fields, **changes})


def _run(row):
    video = Video(row.sequence, 1, lambda _: None, lambda _: None, row.size, ("00000",))
    return Run(row.name, row.sequence, video, range(1), (), (0,), group=row.group)


def _part(row):
    return RunMeasures(
        rows=(row,),
        truth="",
        results="",
        images=0,
        saliency=np.zeros(0),
        levels=np.zeros((0, 2), np.int64),
        pixels=(1, 2),
        boxes=(),
    )
