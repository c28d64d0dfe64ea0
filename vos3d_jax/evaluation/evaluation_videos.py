"""The videos that a run is scored on, and how they are scored while it trains: a few frames, and pictures."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from flax import nnx
from jaxtyping import UInt8

from vos3d_jax.data.datasets import require_readable
from vos3d_jax.data.video import Video, annotated, excerpt
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import benchmarks, network, score_predictions, scoring
from vos3d_jax.evaluation.benchmarks import Benchmark
from vos3d_jax.media.overlay import side_by_side
from vos3d_jax.recipe import Config

_MOST_PICTURES = 8


class Look(NamedTuple):
    """What a network says about held-out frames during training.

    Attributes:
      value: the mean J (where the benchmark does not measure it, the first of its figures).
      pictures: of up to eight videos a frame, its truth and the mask side by side, uint8 [h, w, 3].
    """

    value: float
    pictures: Mapping[str, UInt8[np.ndarray, "_h _w 3"]]


def videos(config: Config) -> list[Video]:
    """Returns the videos to score on.

    Raises:
      UserError: they, or the benchmark, are not there, or it gives a mask, which no network here takes.
    """
    rules = benchmarks.find(config.evaluation.benchmark)
    data = config.evaluation.data
    if data.name != rules.dataset:
        raise UserError(
            f"config.evaluation: benchmark {rules.name} is of the data {rules.dataset}, not {data.name}: name"
            " these, or a benchmark of yours"
        )
    if rules.first_mask or rules.frames == "transfers":
        raise UserError(
            f"{rules.name} gives the first frame's mask, and a {config.system} takes none: evaluate it on"
            " another benchmark, or score masks of another method with `python -m vos3d_jax.score`"
        )
    found = scoring.benchmark_videos(rules, config.data_dir or None, **reader_arguments(config))
    require_readable(found, data.name, data.split, data.options)
    return found


def reader_arguments(config: Config) -> dict[str, Any]:
    """Returns what of the data of the config's evaluation is not the benchmark's own."""
    data, rules = config.evaluation.data, benchmarks.find(config.evaluation.benchmark)
    return {**({"split": data.split} if data.split != rules.split else {}), **data.options}


def quick_score(config: Config, say: Callable[[str], None] = print) -> Callable[[nnx.Module], Look]:
    """Returns a function of a network that scores it as the config's evaluation says for during training.

    Nothing is written. `say` is told when the network is compiled for a size of frames.
    """
    settings = config.evaluation
    chosen = _few(videos(config), settings.quick_videos, settings.quick_frames)
    rules = benchmarks.find(settings.benchmark)
    if "J" in rules.metrics:
        rules = dataclasses.replace(rules, metrics=("J",))
    for video in chosen:
        rules.runs(video)  # too short for the protocol: better known before anything compiles

    announce = say

    def look(model: nnx.Module) -> Look:
        nonlocal announce
        masks, pictures = network.masks(model, settings, announce), {}
        announce = _say_nothing  # what was compiled once serves all later weights

        def watched(video: Video) -> Iterator[UInt8[np.ndarray, "h w"]]:
            shown = _shown_frame(rules, video)
            for index, mask in enumerate(masks(video)):
                if index == shown and len(pictures) < _MOST_PICTURES:
                    caption = f"{video.name} {video.frame_names[index]}"
                    pictures[video.name] = side_by_side(
                        video.read_frame(index), video.read_mask(index), mask, caption=caption
                    )
                yield mask

        figures = score_predictions(rules, chosen, watched).figures
        return Look(float(figures.get("J mean", next(iter(figures.values())))), pictures)

    return look


def _say_nothing(line: str) -> None:
    pass


def _few(videos: Sequence[Video], count: int, frames: int) -> list[Video]:
    """Up to `count` videos, evenly spread, of each the `frames` in a row with the most masks; 0: all."""
    count = min(count or len(videos), len(videos))
    chosen = [videos[(2 * number + 1) * len(videos) // (2 * count)] for number in range(count)]
    return [_richest(video, frames) if 0 < frames < video.length else video for video in chosen]


def _richest(video: Video, frames: int) -> Video:
    """The first `frames` frames in a row of which most have a mask."""
    has_mask = np.zeros(video.length, int)
    has_mask[list(annotated(video))] = 1
    counts = np.convolve(has_mask, np.ones(frames, int), "valid")
    return excerpt(video, int(counts.argmax()), frames)


def _shown_frame(rules: Benchmark, video: Video) -> int:
    """The middle one of the frames that are scored."""
    scored = rules.runs(video)[0].scored
    return scored[len(scored) // 2]
