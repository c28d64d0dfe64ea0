"""A network as a method: its answers to the runs of a benchmark, one mask at a time, or in files.

`masks/<run>/<frame>.png` are palette PNGs of ids, as DAVIS results are; `maps/<run>/<frame>.png` are 16-bit
grey PNGs of the foreground's probability (65535 is 1). A run is made in `partial` and renamed, its masks
last: what has masks is whole, so that a killed evaluation goes on behind it.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from jaxtyping import UInt8

from vos3d_jax import files, models, storage
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.runs import Run, of_one_answer
from vos3d_jax.inference.frame import Frame
from vos3d_jax.inference.predictor import Predictor
from vos3d_jax.media.images import write_map_png
from vos3d_jax.media.masks import write_palette_png
from vos3d_jax.models.abstract import abstract_model
from vos3d_jax.progress import Progress
from vos3d_jax.recipe import Config, Evaluation

# Arguments that say how a network computes, not which network it is.
_HOW = ("dtype", "remat", "implementation")


def load_model(
    config: Config, folder: str | Path, step: storage.Step = None
) -> tuple[nnx.Module, dict[str, Any]]:
    """Returns the network stored in `folder` and its card; UserError when it is not the config's network.

    `step` is that of `storage.load_model`, as are the other errors.
    """
    card = storage.load_card(folder, step)
    ours = models.model_card(abstract_model(config.system, **config.model))
    # A card from before an argument existed does not hold it: its network has the default.
    theirs = models.model_card(abstract_model(card["system"], **card["arguments"]))
    wanted, stored = ({"system": one["system"], **one["arguments"]} for one in (ours, theirs))
    for name in sorted((wanted.keys() | stored.keys()) - set(_HOW)):
        if wanted.get(name) != stored.get(name):
            raise UserError(
                f"{folder} holds another network than config {config.name}: its {name} is"
                f" {stored.get(name)!r}, the config's is {wanted.get(name)!r}: give the one of its training"
            )
    return storage.load_model_and_card(folder, step)


def answers(
    model: nnx.Module, settings: Evaluation, announce: Callable[[str], None] = lambda line: None
) -> Callable[[Run], Iterator[UInt8[np.ndarray, "h w"]]]:
    """Returns the method "run the predictor over the frames" for `scoring.score_predictions`."""
    predictor = Predictor(model, **settings.predictor, announce=announce)
    return lambda run: (frame.mask for frame in _frames(predictor, run))


def write(model: nnx.Module, settings: Evaluation, runs: Sequence[Run], folder: Path, *, maps: bool) -> None:
    """Writes what `model` says about those of `runs` that are not in `folder` yet, and shows its progress.

    Args:
        model: the network.
        settings: its `predictor` says how it is run.
        runs: every frame that they see gets a mask, every scored one a map; runs of one answer share them.
        folder: of `masks` and `maps`.
        maps: whether to write maps.

    Raises:
        UserError: a frame cannot be read, or `folder` not be written.
    """
    groups = of_one_answer(runs)
    left = {group[0].folder for group in groups if not (folder / "masks" / group[0].folder).is_dir()}
    if left:
        predictor = Predictor(model, **settings.predictor)
        total = sum(len(run.frames) for run, *_ in groups if run.folder in left)
        with Progress("segmenting", "frames", total, warm_up=predictor.delay) as progress:
            predictor.announce = progress.say
            for number, (run, *others) in enumerate(groups, 1):
                if run.folder in left:
                    progress.say(f"{number}/{len(groups)} {run.folder}: {len(run.frames)} frames")
                    scored = {index for one in (run, *others) for index in one.scored}
                    with files.writing(folder):
                        _write_run(predictor, run, scored if maps else set(), folder, progress)
            progress.say(progress.summary())
    shutil.rmtree(folder / "partial", ignore_errors=True)


def _frames(predictor: Predictor, run: Run) -> Iterator[Frame]:
    frames = (run.video.read_frame(index) for index in run.frames)
    return predictor.stream(frames, run.given_masks(), first=run.frames.start)


def _write_run(predictor: Predictor, run: Run, mapped: set[int], folder: Path, progress: Progress) -> None:
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)  # of an evaluation that was killed
    for index, frame in zip(run.frames, _frames(predictor, run), strict=True):
        name = f"{run.video.frame_names[index]}.png"
        write_palette_png(partial / "masks" / name, frame.mask)
        if index in mapped:
            write_map_png(partial / "maps" / name, frame.foreground)
        progress.advance()
    for kind in ("maps", "masks"):
        if (partial / kind).is_dir():
            place = folder / kind / run.folder
            shutil.rmtree(place, ignore_errors=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            (partial / kind).rename(place)
