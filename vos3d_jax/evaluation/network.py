"""What a network says about a benchmark's videos, in files, a whole sequence at a time.

`masks/<run>/<frame>.png` are palette PNGs of ids, as DAVIS results are; `maps/<run>/<frame>.png` are 16-bit
grey PNGs of the foreground's probability (65535 is 1). A run is made in `partial` and renamed, its masks
last: what has masks is whole, so that a killed evaluation goes on behind it.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from flax import nnx
from jaxtyping import UInt8

from vos3d_jax import files
from vos3d_jax.data.video import Video
from vos3d_jax.evaluation.benchmarks import Run
from vos3d_jax.inference.predictor import Predictor
from vos3d_jax.media.images import write_map_png
from vos3d_jax.media.masks import write_palette_png
from vos3d_jax.progress import Progress
from vos3d_jax.recipe import Evaluation


def write(model: nnx.Module, settings: Evaluation, runs: Sequence[Run], folder: Path, *, maps: bool) -> None:
    """Writes what `model` says about those of `runs` that are not in `folder` yet, and shows its progress.

    Args:
      model: a network that segments clips.
      settings: how clips are cut and frames resized.
      runs: tasks without a first mask; every frame gets a mask, every scored one a map.
      folder: of `masks` and `maps`.
      maps: whether to write maps.

    Raises:
      UserError: a frame cannot be read, or `folder` not be written.
    """
    left = {run.folder: run for run in runs if not (folder / "masks" / run.folder).is_dir()}
    stride = settings.clip_length - settings.overlap
    if left:
        with Progress(
            "segmenting", "frames", sum(len(run.frames) for run in left.values()), warm_up=stride
        ) as progress:
            predictor = Predictor(model, **settings.predictor, announce=progress.say)
            for number, run in enumerate(runs, 1):
                if run.folder in left:
                    progress.say(f"{number}/{len(runs)} {run.folder}: {len(run.frames)} frames")
                    with files.writing(folder):
                        _write_run(predictor, run, folder, maps, progress)
            progress.say(progress.summary())
    shutil.rmtree(folder / "partial", ignore_errors=True)


def masks(
    model: nnx.Module, settings: Evaluation, announce: Callable[[str], None] = lambda line: None
) -> Callable[[Video], Iterator[UInt8[np.ndarray, "h w"]]]:
    """Returns the method "run the predictor over the video" for `evaluation.score_predictions`."""
    predictor = Predictor(model, **settings.predictor, announce=announce)

    def run(video: Video) -> Iterator[UInt8[np.ndarray, "h w"]]:
        for frame in predictor.stream(video.read_frame(index) for index in range(video.length)):
            yield frame.mask

    return run


def _write_run(predictor: Predictor, run: Run, folder: Path, maps: bool, progress: Progress) -> None:
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)  # of an evaluation that was killed
    video, scored = run.video, frozenset(run.scored)
    found = predictor.stream(video.read_frame(index) for index in run.frames)
    for index, frame in zip(run.frames, found, strict=True):
        name = f"{video.frame_names[index]}.png"
        write_palette_png(partial / "masks" / name, frame.mask)
        if maps and index in scored:
            write_map_png(partial / "maps" / name, frame.foreground)
        progress.advance()
    for kind in ("maps", "masks"):
        if (partial / kind).is_dir():
            place = folder / kind / run.folder
            shutil.rmtree(place, ignore_errors=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            (partial / kind).rename(place)
