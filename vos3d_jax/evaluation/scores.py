"""The result of an evaluation as one object, which is also the file scores.json.

Aggregation: specs/spec-metrics.md section 4: statistics of each sequence first, then the plain mean over
sequences (never over frames, which moves DAVIS-2016 by half a point).
"""

import json
from dataclasses import asdict, dataclass, field

import numpy as np

from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.metrics import Statistics, statistics

_STATISTICS = ("mean", "recall", "decay")


@dataclass(frozen=True)
class SequenceScores:
    """J and F of the scored frames of one sequence.

    Attributes:
        name: the sequence.
        size: (height, width) of its masks.
        frames: names of the scored frames, in order.
        j_frames, f_frames: their values, 0..1.
    """

    name: str
    size: tuple[int, int]
    frames: tuple[str, ...]
    j_frames: tuple[float, ...]
    f_frames: tuple[float, ...]

    @property
    def j(self) -> Statistics:
        """Mean, recall and decay of J over the frames."""
        return statistics(self.j_frames)

    @property
    def f(self) -> Statistics:
        """Mean, recall and decay of F over the frames."""
        return statistics(self.f_frames)


@dataclass(frozen=True)
class Scores:
    """What a method reached in a benchmark.

    Attributes:
        benchmark: a row of `benchmarks.BENCHMARKS`.
        title: what people call it.
        protocol: the name of the rule by which frames were scored.
        rule: that rule in words.
        complete: the videos are the whole benchmark at its own resolution; otherwise the figures are no
            benchmark result and say so in `subject`.
        method: whose masks they are.
        sequences: one entry a sequence.
        versions: of the software that scored.
    """

    benchmark: str
    title: str
    protocol: str
    rule: str
    complete: bool
    method: str
    sequences: tuple[SequenceScores, ...]
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def j(self) -> Statistics:
        """Means over the sequences of J mean, J recall and J decay."""
        return _mean([sequence.j for sequence in self.sequences])

    @property
    def f(self) -> Statistics:
        """Means over the sequences of F mean, F recall and F decay."""
        return _mean([sequence.f for sequence in self.sequences])

    @property
    def j_and_f(self) -> float:
        """(J mean + F mean) / 2."""
        return (self.j.mean + self.f.mean) / 2

    @property
    def subject(self) -> str:
        """What was scored, in words: "DAVIS-2016 val, not in full: 10 sequences, 625 frames at 427x240"."""
        sizes = sorted({sequence.size for sequence in self.sequences})
        shown = f"{sizes[0][1]}x{sizes[0][0]}" if len(sizes) == 1 else f"{len(sizes)} sizes"
        frames = sum(len(sequence.frames) for sequence in self.sequences)
        plural = "sequence" if len(self.sequences) == 1 else "sequences"
        caveat = "" if self.complete else ", not in full"
        return f"{self.title}{caveat}: {len(self.sequences)} {plural}, {frames} frames at {shown}"

    def to_json(self) -> str:
        """The text of scores.json: all figures for readers, and all that `from_json` needs."""
        return json.dumps(
            {
                "benchmark": self.benchmark,
                "title": self.title,
                "protocol": self.protocol,
                "rule": self.rule,
                "complete": self.complete,
                "subject": self.subject,
                "method": self.method,
                "J&F": self.j_and_f,
                "J": asdict(self.j),
                "F": asdict(self.f),
                "means": "of each sequence over its frames, then over sequences",
                "versions": self.versions,
                "sequences": [
                    {
                        "name": sequence.name,
                        "size": list(sequence.size),
                        "J": asdict(sequence.j),
                        "F": asdict(sequence.f),
                        "frames": list(sequence.frames),
                        "J_frames": list(sequence.j_frames),
                        "F_frames": list(sequence.f_frames),
                    }
                    for sequence in self.sequences
                ],
            },
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str, source: str = "scores.json") -> "Scores":
        """The object that `to_json` wrote; its figures follow from the values of the frames.

        Raises:
            UserError: the text is no such file; `source` names it.
        """
        try:
            stored = json.loads(text)
            sequences = tuple(
                SequenceScores(
                    name=entry["name"],
                    size=(int(entry["size"][0]), int(entry["size"][1])),
                    frames=tuple(entry["frames"]),
                    j_frames=tuple(float(value) for value in entry["J_frames"]),
                    f_frames=tuple(float(value) for value in entry["F_frames"]),
                )
                for entry in stored["sequences"]
            )
            names = ("benchmark", "title", "protocol", "rule", "complete", "method", "versions")
            return cls(sequences=sequences, **{name: stored[name] for name in names})
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UserError(
                f"{source} is no scores.json of this program ({type(error).__name__}: {error}): score again"
            ) from None


def require_comparable(first: Scores, second: Scores) -> None:
    """Returns if the two may stand in one table.

    Raises:
        UserError: they follow different protocols, or score different sequences, frames or sizes.
    """
    for name in ("benchmark", "protocol"):
        values = getattr(first, name), getattr(second, name)
        if values[0] != values[1]:
            raise UserError(
                f"results of different {name}s are not compared ({values[0]!r} and {values[1]!r}): "
                "score both sets of masks with one"
            )
    described = [
        {sequence.name: (sequence.size, sequence.frames) for sequence in scores.sequences}
        for scores in (first, second)
    ]
    for name in [*described[0], *described[1]]:
        if described[0].get(name) != described[1].get(name):
            raise UserError(
                f"the two results do not score the same frames of {name!r} at the same size: score both sets "
                "of masks on the same data"
            )


def _mean(rows: list[Statistics]) -> Statistics:
    return Statistics(*(float(np.mean([getattr(row, name) for row in rows])) for name in _STATISTICS))
