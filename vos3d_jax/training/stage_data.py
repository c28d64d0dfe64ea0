"""The videos that a config names, found before anything compiles."""

import collections
import dataclasses
from collections.abc import Sequence

from vos3d_jax.constants import STRIDE
from vos3d_jax.data import datasets, pipeline
from vos3d_jax.data.identity import identity
from vos3d_jax.data.video import Video
from vos3d_jax.recipe import Config, Data

HELD_OUT = "held-out"


def load_videos(config: Config, part: Data) -> list[Video]:
    """Returns the videos of one part of a mixture; UserError when they are missing."""
    videos = datasets.load(part.name, part.split, data_dir=config.data_dir or None, **part.options)
    datasets.require_readable(videos, part.name, part.split, part.options)
    return videos


def load_mixtures(config: Config) -> list[list[pipeline.Source]]:
    """Returns the data mixture of each stage for `pipeline.batches`; stages share videos."""
    found: dict[str, list[Video]] = {}
    for stage in config.stages:
        for part in stage.data:
            if _words(part) not in found:
                found[_words(part)] = load_videos(config, part)
    return [
        [pipeline.Source(found[_words(part)], part.sample, part.weight) for part in stage.data]
        for stage in config.stages
    ]


def identities(
    config: Config, mixtures: Sequence[Sequence[pipeline.Source]], held_out: Sequence[Video] = ()
) -> dict[str, dict[str, str]]:
    """Returns what the data of a run is: of each part the `identity` of every video, by its name.

    A part is a split of a data set to learn from, or, as the last and under the name `HELD_OUT`, the videos
    that the run is scored on, if any.
    """
    parts = {
        _words(part): source.videos
        for stage, mixture in zip(config.stages, mixtures, strict=True)
        for part, source in zip(stage.data, mixture, strict=True)
    }
    parts |= {HELD_OUT: held_out} if held_out else {}
    return {name: {video.name: identity(video) for video in videos} for name, videos in parts.items()}


def _words(part: Data) -> str:
    """What says which videos a part is of."""
    return " ".join((part.name, part.split, *(f"{name}={value}" for name, value in part.options.items())))


def with_sizes(config: Config, mixtures: Sequence[Sequence[pipeline.Source]]) -> Config:
    """Returns `config` with the size of each stage that leaves it to its data (0, 0): see `Stage.size`."""
    stages = tuple(
        stage if any(stage.size) else dataclasses.replace(stage, size=_usual_size(mixture))
        for stage, mixture in zip(config.stages, mixtures, strict=True)
    )
    return dataclasses.replace(config, stages=stages)


def _usual_size(mixture: Sequence[pipeline.Source]) -> tuple[int, int]:
    frames: collections.Counter[tuple[int, int]] = collections.Counter()
    for source in mixture:
        for video in source.videos:
            frames[source.sample.augmentation.resized(video.size)] += video.length
    usual = max(frames, key=lambda size: (frames[size], size))
    return tuple(max(STRIDE, round(side / STRIDE) * STRIDE) for side in usual)
