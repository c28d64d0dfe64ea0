"""Scores a network as a user would run it: the predictor, the benchmark's code, and baselines beside it."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from flax import nnx
from jaxtyping import UInt8

from vos3d_jax import models, storage
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import Scores, benchmarks, everything_foreground, report, score_predictions
from vos3d_jax.evaluation.scores import SequenceScores
from vos3d_jax.inference import Predictor
from vos3d_jax.models.abstract import abstract_model
from vos3d_jax.training.sources import load_videos
from vos3d_jax.training.stages import Config, Evaluation
from vos3d_jax.training.state import network

# Arguments that say how a network computes, not which network it is.
_HOW = ("dtype", "remat", "implementation")

_Masks = Callable[[Video], Iterator[UInt8[np.ndarray, "h w"]]]


def held_out(config: Config) -> list[Video]:
    """Returns the videos to score on; UserError when they, or the benchmark, are not there."""
    benchmarks.find(config.evaluation.benchmark)
    return load_videos(config, config.evaluation.data)


def evaluate(config: Config, model: nnx.Module, output: Path, say: Callable[[str], None] = print) -> Scores:
    """Returns the scores of `model`; writes `<output>/evaluation/` and prints the tables.

    The folder holds `scores.json`, `masks/<sequence>/<frame>.png` and `pictures/<sequence>.png`, and with
    baselines their scores in `baselines/<method>/scores.json`.

    Raises:
      UserError: data missing, or `output` cannot be written.
    """
    videos, settings = held_out(config), config.evaluation
    folder = output / "evaluation"
    unfinished = output / "evaluation.tmp"
    shutil.rmtree(unfinished, ignore_errors=True)
    results = []
    if settings.baselines:
        untrained = models.build_model(model.system, seed=config.seed, **model.arguments)
        for method, masks in (
            ("everything foreground", everything_foreground),
            ("untrained network", predictions(untrained, settings, say)),
        ):
            scores = _score(settings, videos, masks, method, say)
            report.write(scores, unfinished / "baselines" / method.replace(" ", "_"))
            results.append((method, scores))
    masks = report.saving(predictions(model, settings, say), unfinished / "masks")
    scores = _score(settings, videos, masks, "trained network", say)
    report.write(scores, unfinished, videos=videos, masks_dir=unfinished / "masks")
    _replace(folder, unfinished)
    report.show(report.table(scores))
    if results:
        report.show(report.compare_table([*results, ("trained network", scores)]))
    say(f"J {scores.j.mean:.3f}  F {scores.f.mean:.3f}; scores, masks and pictures are in {folder}")
    return scores


def load_model(config: Config, folder: str | Path, step: storage.Step = None) -> nnx.Module:
    """Returns the network stored in `folder`; UserError when it is missing or not the config's network.

    `step` is that of `storage.load_model`.
    """
    card = storage.load_card(folder, step)
    ours = models.model_card(network(config, config.stages[-1]))
    # A card from before an argument existed does not hold it: its network has the default.
    theirs = models.model_card(abstract_model(card["system"], **card["arguments"]))
    wanted, stored = ({"system": one["system"], **one["arguments"]} for one in (ours, theirs))
    for name in sorted((wanted.keys() | stored.keys()) - set(_HOW)):
        if wanted.get(name) != stored.get(name):
            raise UserError(
                f"{folder} holds another network than config {config.name}: its {name} is"
                f" {stored.get(name)!r}, the config's is {wanted.get(name)!r}: give the one of its training"
            )
    return storage.load_model(folder, step)


def quick_score(config: Config) -> Callable[[nnx.Module], float]:
    """Returns a function of a network that gives its mean J, with nothing written: what ranks checkpoints."""
    videos = held_out(config)

    def score(model: nnx.Module) -> float:
        masks = predictions(model, config.evaluation, lambda line: None)
        return float(score_predictions(config.evaluation.benchmark, videos, masks).j.mean)

    return score


def predictions(model: nnx.Module, settings: Evaluation, announce: Callable[[str], None]) -> _Masks:
    """Returns the method "run the predictor over the video" for `score_predictions`."""
    arguments = {**settings.predictor, "short_edge": settings.short_edge or None}
    predictor = Predictor(model, **arguments, announce=announce)

    def masks(video: Video) -> Iterator[UInt8[np.ndarray, "h w"]]:
        for frame in predictor.stream(video.read_frame(index) for index in range(video.length)):
            yield frame.mask

    return masks


def _score(
    settings: Evaluation, videos: Sequence[Video], masks: _Masks, method: str, say: Callable[[str], None]
) -> Scores:
    say(f"scoring {method} on {len(videos)} videos of {benchmarks.find(settings.benchmark).title}")
    done = iter(range(1, len(videos) + 1))

    def progress(sequence: SequenceScores) -> None:
        say(f"  {next(done)}/{len(videos)} {sequence.name}  J {sequence.j.mean:.3f}  F {sequence.f.mean:.3f}")

    return score_predictions(settings.benchmark, videos, masks, method=method, progress=progress)


def _replace(folder: Path, unfinished: Path) -> None:
    """A finished evaluation takes the place of an old one; a broken one never does."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    except OSError as error:
        raise UserError(f"cannot write {folder} ({error.strerror}): give another --workdir") from error
