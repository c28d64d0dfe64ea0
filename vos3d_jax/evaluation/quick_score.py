"""How a network is scored while it trains: a few frames of a few videos, nothing in files, and pictures."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from flax import nnx
from jaxtyping import UInt8

from vos3d_jax.data.video import Video, annotated, excerpt
from vos3d_jax.evaluation import network
from vos3d_jax.evaluation.benchmark_data import BenchmarkData
from vos3d_jax.evaluation.report.figures import facts
from vos3d_jax.evaluation.runs import Run
from vos3d_jax.evaluation.scoring import score_predictions
from vos3d_jax.media.overlay import side_by_side
from vos3d_jax.recipe import Evaluation

_MOST_PICTURES = 8

Picture = UInt8[np.ndarray, "_h _w 3"]


def quick_score(
    settings: Evaluation, data: BenchmarkData, say: Callable[[str], None] = print
) -> Callable[[nnx.Module], tuple[float, Mapping[str, Picture]]]:
    """Returns a function of a network that scores it as `settings` say for during training.

    It gives the mean J (where the benchmark does not measure it, the first of its figures, with a minus where
    lower is better), and of up to eight videos, by their names, the middle one of the scored frames, its
    truth and the mask side by side.
    `say` is told when the network is compiled for a size of frames.

    Raises:
        UserError: a video is too short for the protocol.
    """
    rules = data.rules
    if "J" in rules.metrics:
        rules = dataclasses.replace(rules, metrics=("J",))
    few = _few(data.videos, settings.quick_videos, settings.quick_frames)
    data = dataclasses.replace(data, rules=rules, videos=few)
    _ = data.runs  # of too short a video there are none: better known before anything compiles
    announce = say

    def look(model: nnx.Module) -> tuple[float, Mapping[str, Picture]]:
        nonlocal announce
        answers, pictures = network.answers(model, settings, announce), {}
        announce = _say_nothing  # what was compiled once serves all later weights

        def watched(run: Run) -> Iterator[UInt8[np.ndarray, "h w"]]:
            video, shown = run.video, run.scored[len(run.scored) // 2]
            for index, mask in zip(run.frames, answers(run), strict=True):
                if index == shown and len(pictures) < _MOST_PICTURES:
                    caption = f"{video.name} {video.frame_names[index]}"
                    pictures[video.name] = side_by_side(
                        video.read_frame(index), video.read_mask(index), mask, caption=caption
                    )
                yield mask

        figures = score_predictions(data, watched).figures
        name = "J mean" if "J mean" in figures else next(iter(figures))
        # What ranks checkpoints is larger where it is better.
        return float(-figures[name] if facts(name).lower else figures[name]), pictures

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
