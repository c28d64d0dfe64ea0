"""Scores masks, those of a running method (one at a time, nothing is kept) or those in files."""

import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

import vos3d_jax
from vos3d_jax.data import datasets
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.benchmarks import Benchmark, Run, find
from vos3d_jax.evaluation.metrics import boundary_f, region_similarity
from vos3d_jax.evaluation.scores import Scores, SequenceScores
from vos3d_jax.media.images import VOID, read_mask

Masks = Iterator[UInt8[np.ndarray, "h w"] | None]


def score(
    results_dir: str | Path,
    benchmark: str = "davis2016",
    data_dir: str | Path | None = None,
    *,
    resolution: str | None = None,
    method: str | None = None,
    **options,
) -> Scores:
    """The scores of masks in files: `<results_dir>/<sequence>/<frame>.png`, whoever made them.

    Args:
        results_dir: palette or grey PNGs; any id but 0 is foreground.
        benchmark: a row of `benchmarks.BENCHMARKS`; it says which frames count.
        data_dir: the benchmark's data.
        resolution: the folder of frames and masks, if not the benchmark's own ("480p").
        method: the name for tables; the name of the results' folder by default.
        options: further arguments of the data set's reader.

    Raises:
        UserError: results or data are missing, damaged or of different sizes.
    """
    rules = find(benchmark)
    results_dir = Path(results_dir)
    if not results_dir.is_dir():
        raise UserError(f"{results_dir} is not a folder: expected <sequence>/00000.png in it")
    videos = benchmark_videos(rules, data_dir, resolution=resolution, **options)
    return score_predictions(
        rules, videos, masks_on_disk(results_dir, rules), method=method or results_dir.resolve().name
    )


def benchmark_videos(
    benchmark: Benchmark, data_dir: str | Path | None, *, resolution: str | None = None, **options
) -> list[Video]:
    """The videos of a benchmark; arguments and errors as `score`."""
    if benchmark.annotated_only:
        options.setdefault("strict", False)
    return datasets.load(
        benchmark.dataset,
        benchmark.split,
        data_dir=data_dir,
        resolution=resolution or benchmark.resolution,
        **options,
    )


def score_predictions(
    benchmark: Benchmark | str,
    videos: Sequence[Video],
    masks: Callable[[Video], Masks],
    *,
    method: str = "",
    progress: Callable[[SequenceScores], None] | None = None,
) -> Scores:
    """The scores of a method, whose masks are taken one at a time and dropped.

    Args:
        benchmark: the benchmark or its name.
        videos: its videos, or some of them (then the scores are marked as not complete).
        masks: video -> its masks in order, one a frame: ids, uint8 [h, w] of the frame's size; any id but 0
            is foreground. None may stand for a frame that is not scored.
        method: the name for tables.
        progress: called after each sequence.

    Raises:
        UserError: no videos; a mask is missing or of another size; a video has no true masks.
    """
    rules = find(benchmark) if isinstance(benchmark, str) else benchmark
    if not videos:
        raise UserError(f"there are no videos to score in {rules.title}: check the data set and its split")
    sequences = []
    for video in videos:
        for run in rules.runs(video):
            sequences.append(_score_run(rules, run, masks(video)))
            if progress is not None:
                progress(sequences[-1])
    return Scores(
        benchmark=rules.name,
        title=rules.title,
        protocol=rules.protocol,
        rule=rules.rule,
        complete=_is_complete(rules, videos),
        method=method,
        sequences=tuple(sequences),
        versions={
            "vos3d_jax": vos3d_jax.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
    )


def masks_on_disk(results_dir: str | Path, benchmark: Benchmark) -> Callable[[Video], Masks]:
    """A method for `score_predictions` that reads `<results_dir>/<sequence>/<frame>.png`.

    Files of frames that the benchmark leaves out are not opened and may be absent.
    """

    def read(video: Video) -> Masks:
        folder = Path(results_dir) / video.name
        if not folder.is_dir():
            raise UserError(f"there are no masks of {video.name!r}: {folder} is not a folder")
        needed = {index for run in benchmark.runs(video) for index in run.scored}
        for index, name in enumerate(video.frame_names):
            path = folder / f"{name}.png"
            if index not in needed or (benchmark.annotated_only and not path.exists()):
                yield None
                continue
            mask = read_mask(path)
            if mask.shape != video.size:
                raise _wrong_size(str(path), mask.shape, video.size)
            yield mask

    return read


def everything_foreground(video: Video) -> Masks:
    """The masks of the simplest baseline: every pixel of every frame is foreground."""
    for _ in range(video.length):
        yield np.ones(video.size, np.uint8)


def _score_run(rules: Benchmark, run: Run, masks: Masks) -> SequenceScores:
    video = run.video
    names, similarities, accuracies = [], [], []
    count = 0
    for index, mask in zip(run.frames, masks, strict=False):
        count += 1
        truth = video.read_mask(index) if index in run.scored else None
        if index not in run.scored or (truth is None and rules.annotated_only):
            continue
        where = f"{video.name} {video.frame_names[index]}"
        if truth is None:
            raise UserError(f"the frame {where} has no true mask: add it, or remove the frame")
        if mask is None:
            raise UserError(f"there is no mask for {where}: give one a frame")
        if mask.shape != truth.shape:
            raise _wrong_size(f"the mask of {where}", mask.shape, truth.shape)
        void = truth == VOID if rules.void else None
        found, true = (_foreground(array, run.label) for array in (mask, truth))
        names.append(video.frame_names[index])
        similarities.append(region_similarity(found, true, void))
        accuracies.append(boundary_f(found, true, void))
    if count < len(run.frames) or next(masks, run) is not run:
        amount = f"only {count}" if count < len(run.frames) else "more"
        raise UserError(f"{video.name} has {len(run.frames)} frames but {amount} masks: give one a frame")
    if not names:
        raise UserError(f"{video.name} has no true masks to score against: add some, or leave the video out")
    return SequenceScores(video.name, video.size, tuple(names), tuple(similarities), tuple(accuracies))


def _foreground(mask: np.ndarray, label: int | None) -> np.ndarray:
    return mask != 0 if label is None else mask == label


def _is_complete(rules: Benchmark, videos: Sequence[Video]) -> bool:
    """All sequences of the benchmark, at its resolution ("480p" is the height of every frame)."""
    if not rules.sequences:
        return True
    height = int(rules.resolution.removesuffix("p"))
    return {video.name for video in videos} == set(rules.sequences) and all(
        video.size[0] == height for video in videos
    )


def _wrong_size(what: str, size: tuple[int, ...], frame_size: tuple[int, ...]) -> UserError:
    return UserError(
        f"{what} is {size[1]}x{size[0]} but its frame is {frame_size[1]}x{frame_size[0]}: "
        "resize the mask with nearest neighbour"
    )
