"""The result of an evaluation as one object, which is also the file scores.json.

A row holds the values of one scored unit's frames; figures are the headline numbers. How they are averaged is
said by `average` and `rule`: DAVIS-2016 over sequences, DAVIS-2017 over objects, never over frames, which
moves DAVIS-2016 by half a point.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from numbers import Real
from typing import Any, Literal

from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.metrics import Statistics, statistics

# Defects of the official tools that a scoring may repeat, and what they are.
DEFECTS = {
    "decay_8bit": "the quarters of decay have 8-bit edges, which wrap around from 256 frames on",
    "nan_recall": "an undefined value counts in recall as not above 0.5",
    "assigned_order": "objects of the unsupervised task are named in the order of their proposals",
}

_PARTS = ("mean", "recall", "decay")
_MEAN_ONLY = ("T", "error")  # no tool gives their recall and decay: 0.5 means nothing of them


def statistics_of(metric: str) -> tuple[str, ...]:
    """Returns which statistics of a metric's values are reported."""
    return _PARTS[:1] if metric in _MEAN_ONLY else _PARTS


@dataclass(frozen=True)
class Row:
    """The values of one scored unit: a sequence, one object of it, or one transfer of JumpCut.

    It is made of what JSON has, too: lists become tuples, and None a NaN.

    Attributes:
        name: "bear", "dogs-jump_2" (object 2), "bear key016+8".
        sequence: the video it is of.
        group: what means are taken over first: J-HMDB "split1", JumpCut "distance 8"; else "".
        size: (height, width) of the masks that were compared.
        frames: names of the scored frames, in order.
        series: metric -> its values, one a scored frame ("J", "F" and "IoU" 0..1, "error" in percent), of
            "T" one a pair of consecutive frames. NaN where a value is not defined.
        defects: names of `DEFECTS` that `statistics` repeats.
    """

    name: str
    sequence: str
    group: str
    size: Sequence[int]
    frames: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    defects: Sequence[str] = ()

    def __post_init__(self):
        height, width = self.size
        series = {metric: tuple(map(_number, values)) for metric, values in dict(self.series).items()}
        vars(self).update(
            size=(int(height), int(width)),
            frames=tuple(self.frames),
            series=series,
            defects=tuple(self.defects),
        )

    def statistics(self, metric: str) -> Statistics:
        """Returns mean, recall and decay of a metric over the frames."""
        return _statistics(self.series[metric], self.defects)


@lru_cache(4096)  # tables, page and csv ask for the same many times
def _statistics(values: tuple[float, ...], defects: tuple[str, ...]) -> Statistics:
    return statistics(
        values,
        decay_edges="8-bit" if "decay_8bit" in defects else "wide",
        nan_recall="counted" if "nan_recall" in defects else "left out",
    )


@dataclass(frozen=True)
class Scores:
    """What a method reached in a benchmark; made as a `Row` is.

    Attributes:
        benchmark: a row of `benchmarks.BENCHMARKS`.
        title: what people call it.
        protocol: the name of the rule by which frames were scored, with the defects that were asked for.
        rule: that rule in words.
        average: what the figures are means over, after the frames of each.
        complete: the videos are the whole benchmark at its own resolution; otherwise the figures are no
            benchmark result and say so in `subject`.
        method: whose masks they are.
        metrics: what was measured.
        rows: one a scored unit, in the benchmark's order.
        figures: the headline numbers in order: "J&F", "J mean", ... Fractions, but "error ..." in percent.
        notes: what a reader must know: what was left out, and why.
        defects: names of `DEFECTS` that the figures repeat.
        provenance: fingerprints (sha256) of true masks ("data") and "results", of the card of the model
            ("model_card") or None; software "versions", bits of the soft "maps" or None, "options" of the
            data's reader; what the values of the "masks" mean, of "truth" and "results": words -> videos.
    """

    benchmark: str
    title: str
    protocol: str
    rule: str
    average: Literal["sequences", "objects", "groups"]
    complete: bool
    method: str
    metrics: Sequence[str]
    rows: Sequence[Row]
    figures: Mapping[str, float | None]
    notes: Sequence[str] = ()
    defects: Sequence[str] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        figures = {name: _number(value) for name, value in dict(self.figures).items()}
        vars(self).update(figures=figures, provenance=dict(self.provenance))
        for name in ("metrics", "rows", "notes", "defects"):
            vars(self)[name] = tuple(getattr(self, name))

    def statistics(self, metric: str) -> Statistics:
        """Returns the headline mean, recall and decay of a metric; NaN where it has none."""
        return Statistics(*(self.figures.get(f"{metric} {name}", math.nan) for name in _PARTS))

    @property
    def subject(self) -> str:
        """What was scored, in words: "DAVIS-2016 val, not in full: 10 sequences, 625 frames at 427x240"."""
        sizes = sorted({row.size for row in self.rows})
        shown = f"{sizes[0][1]}x{sizes[0][0]}" if len(sizes) == 1 else f"{len(sizes)} sizes"
        sequences = {row.sequence for row in self.rows}
        frames = len({(row.sequence, frame) for row in self.rows for frame in row.frames})
        units = f"{len(sequences)} {'sequence' if len(sequences) == 1 else 'sequences'}"
        if self.average == "objects":
            units += f", {len(self.rows)} {'object' if len(self.rows) == 1 else 'objects'}"
        caveat = "" if self.complete else ", not in full"
        return f"{self.title}{caveat}: {units}, {frames} frames at {shown}"

    @property
    def encodings(self) -> str:
        """What the values of the masks' files mean, and of how many videos; "" where that is not known."""
        told, parts = self.provenance.get("masks", {}), []
        for whose, name in (("true masks", "truth"), ("results", "results")):
            kinds = [f"{words} ({len(videos)})" for words, videos in told.get(name, {}).items()]
            if kinds:
                parts.append(f"{whose}: {', '.join(kinds)}")
        return "; ".join(parts)

    def to_json(self) -> str:
        """Returns the text of scores.json: figures for readers, all that `from_json` needs; NaN is null."""
        stored = {name: value for name, value in vars(self).items() if name not in ("rows", "provenance")}
        stored["subject"] = self.subject
        stored["provenance"] = self.provenance
        stored["rows"] = [
            {
                **{name: getattr(row, name) for name in ("name", "sequence", "group", "size")},
                "statistics": {
                    metric: {name: getattr(row.statistics(metric), name) for name in statistics_of(metric)}
                    for metric in row.series
                },
                "frames": row.frames,
                "series": row.series,
            }
            for row in self.rows
        ]
        without_nan = json.loads(json.dumps(stored), parse_constant=lambda name: None)
        return json.dumps(without_nan, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, source: str = "scores.json") -> "Scores":
        """Returns the object that `to_json` wrote.

        Raises:
            UserError: the text is no such file; `source` names it.
        """
        try:
            stored = json.loads(text)
            names = ("name", "sequence", "group", "size", "frames", "series")
            rows = [
                Row(**{name: entry[name] for name in names}, defects=stored["defects"])
                for entry in stored["rows"]
            ]
            return cls(**{name.name: stored[name.name] for name in fields(cls)} | {"rows": rows})
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{source} is no scores.json of this program ({type(error).__name__}: {error}): score again"
            ) from None


def require_comparable(first: Scores, second: Scores) -> None:
    """Returns if the two may stand in one table.

    Raises:
        UserError: they follow different protocols, or score different sequences, frames, sizes or truths.
    """
    require_same_protocol((first.benchmark, first.protocol), (second.benchmark, second.protocol))
    described = [{row.name: (row.size, row.frames) for row in scores.rows} for scores in (first, second)]
    for name in [*described[0], *described[1]]:
        if described[0].get(name) != described[1].get(name):
            raise other_frames(name)
    truths = [scores.provenance.get("data") for scores in (first, second)]
    if None not in truths and truths[0] != truths[1]:
        raise UserError(
            "the two results were scored against different true masks (their data fingerprints differ): "
            "score both sets of masks on the same data"
        )


def other_frames(name: str) -> UserError:
    """Returns the error of two results of which only one scores some frames of `name`, or at another size."""
    return UserError(
        f"the two results do not score the same frames of {name!r} at the same size: score both sets of "
        "masks on the same data"
    )


def is_comparable(first: Scores, second: Scores) -> bool:
    """Returns whether `require_comparable` lets the two stand in one table."""
    try:
        require_comparable(first, second)
    except UserError:
        return False
    return True


def require_same_protocol(first: tuple[str, str], second: tuple[str, str]) -> None:
    """Returns if two (benchmark, protocol) agree.

    Raises:
        UserError: they do not.
    """
    for name, one, other in zip(("benchmark", "protocol"), first, second, strict=True):
        if one != other:
            raise UserError(
                f"results of different {name}s are not compared ({one!r} and {other!r}): "
                "score both sets of masks with one"
            )


def _number(value: float | None) -> float:
    """A float, of None (as JSON has it) NaN, which is one object, so that equal results compare as equal."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
        raise TypeError(f"{value!r} is no number")
    return math.nan if value is None or math.isnan(value) else float(value)
