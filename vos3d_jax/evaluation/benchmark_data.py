"""A benchmark with the videos that it is scored on: found once, and passed on to everything that scores."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vos3d_jax.data import datasets
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.benchmarks import find
from vos3d_jax.evaluation.runs import Benchmark, Run
from vos3d_jax.inference.registry import kind_of
from vos3d_jax.media.encodings import Choice, require_choice

if TYPE_CHECKING:  # scores from files need no recipe
    from vos3d_jax.recipe import Config


@dataclass(frozen=True)
class BenchmarkData:
    """What is scored.

    Attributes:
        rules: the benchmark.
        videos: its videos as the data set has them, or some of them (then scores are marked as not complete).
        folder: of the data, if one was given.
        mask_values: what to make of masks whose values cannot be told for certain (`media.encodings.decide`).
        asked: what was asked for beside; None: the benchmark's own.
    """

    rules: Benchmark
    videos: Sequence[Video]
    folder: str | Path | None = None
    mask_values: Choice = None
    asked: Mapping[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def runs(self) -> list[Run]:
        """The tasks that the benchmark sets on the videos, in its order, at its own size.

        Raises:
            UserError: there are no videos, or one has nothing to score.
        """
        if not self.videos:
            raise UserError(
                f"there are no videos to score in {self.rules.title}: check the data set and its split"
            )
        return [run for video in self.videos for run in self.rules.runs(video)]


def load(
    rules: Benchmark,
    data_dir: str | Path | None,
    *,
    resolution: str | None = None,
    split: str | None = None,
    mask_values: Choice = None,
    **options: Any,
) -> BenchmarkData:
    """Returns a benchmark with its videos, their part ("split1/...") before their name if it has parts.

    Arguments and errors as `scoring.score`.
    """
    require_choice(mask_values)
    asked = {"resolution": resolution, "split": split, "mask_values": mask_values, **options}
    if rules.dataset == "folder":  # the others say themselves what their masks mean
        options = {**options, "mask_values": mask_values}
    parts = rules.parts or (("", split or rules.split),)
    chosen = [(part, name) for part, name in parts if split in (None, part, name)]
    if not chosen:
        raise UserError(
            f"{rules.title} has no split {split!r}: choose one of "
            f"{', '.join(part for part, _ in parts)}, or give none for all of them"
        )
    options = {"resolution": resolution or rules.resolution, **rules.options, **options}
    videos = [
        replace(video, name=f"{part}/{video.name}" if part else video.name)
        for part, name in chosen
        for video in datasets.load(rules.dataset, name, data_dir=data_dir, **options)
    ]
    if split not in (None, rules.split):
        rules = replace(rules, title=f"{rules.title} (split {split})")
    return BenchmarkData(rules, videos, data_dir, mask_values, asked)


def load_for(config: "Config") -> BenchmarkData:
    """Returns what a config's network is scored on.

    Raises:
        UserError: the data, or the benchmark, are not there, or it gives masks, and the network takes none.
    """
    rules, asked = find(config.evaluation.benchmark), config.evaluation.data
    if asked.name != rules.dataset:
        raise UserError(
            f"config.evaluation: benchmark {rules.name} is of the data {rules.dataset}, not {asked.name}:"
            " name these, or a benchmark of yours"
        )
    split = None if asked.split == rules.split else asked.split
    data = load(rules, config.data_dir or None, split=split, **asked.options)
    datasets.require_readable(data.videos, asked.name, asked.split, asked.options)
    if any(run.given for run in data.runs) and not kind_of(config.system).takes_masks:
        raise UserError(
            f"{rules.name} gives the first frame's mask, and a {config.system} takes none: evaluate it on"
            " another benchmark, or score masks of another method with `python -m vos3d_jax.score`"
        )
    return data
