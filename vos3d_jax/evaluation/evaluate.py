"""Scores a network as a user would run it: predictions in files, the benchmark's scorer, baselines beside it.

An evaluation is made in `<workdir>/evaluation.tmp` and renamed. Its `key.json` says what it is of (weights,
settings, data), so that a killed one goes on where it stood, and one of something else is never mixed in.
"""

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flax import nnx

import vos3d_jax
from vos3d_jax import cards, files, models, records
from vos3d_jax.data.identity import identity
from vos3d_jax.evaluation import network, report, scoring, workers
from vos3d_jax.evaluation.benchmark_data import BenchmarkData
from vos3d_jax.evaluation.scores import Scores
from vos3d_jax.progress import Progress
from vos3d_jax.recipe import Config

_PARTS = "parts"
_FLAGS = ("--workdir", "--overwrite --mode=evaluate")  # what leads elsewhere, and what replaces


def evaluate(
    config: Config,
    data: BenchmarkData,
    model: nnx.Module,
    card: Mapping[str, Any],
    output: Path,
    say: Callable[[str], None] = print,
    *,
    trained_in: str | Path | None = None,
    replace: bool = False,
) -> Scores:
    """Returns the scores of `model`; writes `<output>/evaluation/` and prints the tables.

    The folder holds what `report.write` writes (`scores.json`, tables, `report.html`, pictures), what
    `network.write` writes, `key.json`, and with baselines `baselines/<method>/scores.json`. One that was
    killed goes on where it stood; one that is finished is shown again and not repeated, and one of something
    else is only replaced where that is asked for: the rule of `records`. That of an earlier step of the same
    run on the same videos makes way.

    Args:
        config: its `evaluation` says what is done.
        data: what it is scored on, `benchmark_data.load_for(config)`.
        model: the network.
        card: of the checkpoint that it is from.
        output: the folder of the run.
        say: is told what is going on, a line at a time.
        trained_in: the run that the network is from, whose curves and settings the report shows.
        replace: a finished evaluation of other weights, settings or data makes way.

    Raises:
        UserError: `output` cannot be written, another command evaluates there, or it holds an evaluation of
            something else; a frame or true mask cannot be used.
    """
    folder, unfinished = output / "evaluation", output / "evaluation.tmp"
    key = _key(config, data, card)
    own = trained_in is not None and Path(trained_in).resolve() == output.resolve()
    with files.exclusive(output):
        if (folder / "scores.json").exists():
            before = _record(folder)
            if records.same(before, key):
                say(f"evaluated before, with these weights, settings and data: {folder}")
                return _show(folder, say)
            if own and before.get("videos") == key["videos"] and _is_earlier(before, key):
                say(f"the evaluation of step {before['step']} makes way: the run was trained on")
            elif not replace:
                differences = records.differences(before, key)
                raise records.occupied(folder, differences, *_FLAGS)
        if records.same(begun := _record(unfinished), key):
            say(f"going on with the evaluation that was begun in {unfinished}")
        else:
            if any(unfinished.glob("masks/*/*.png")) and not (replace or (own and _is_earlier(begun, key))):
                raise records.unfinished(
                    unfinished, "an unfinished evaluation", records.differences(begun, key), *_FLAGS
                )
            _remove(unfinished)
            files.write(unfinished / "key.json", (json.dumps(key, indent=1) + "\n").encode())
        if config.evaluation.baselines:
            _score_baselines(config, data, model, unfinished / "baselines", say)
        maps = data.rules.takes_maps
        network.write(model, config.evaluation, data.runs, unfinished, maps=maps)
        say(f"scoring on {data.rules.title}: {', '.join(data.rules.metrics)}")
        with Progress("scoring", "sequences") as progress:
            scores = scoring.score(
                unfinished / "masks",
                data,
                maps_dir=unfinished / "maps" if maps else None,
                method="trained network",
                work_dir=unfinished / _PARTS,
                progress=progress.scored,
                card=cards.digest(card),
            )
        report.write(
            scores,
            unfinished,
            videos=[run.video for run in data.runs],
            masks_dir=unfinished / "masks",
            compare=[report.Other(one) for one in _baselines(unfinished)],
            run=trained_in and report.find_training(trained_in),
        )
        workers.remove_parts(unfinished / _PARTS)
        _remove(folder)
        with files.writing(folder):
            unfinished.rename(folder)
        return _show(folder, say)


def _score_baselines(
    config: Config, data: BenchmarkData, model: nnx.Module, folder: Path, say: Callable[[str], None]
) -> None:
    """Writes the scores of the simplest method and of the network before training, unless they are there."""
    untrained = models.build_model(model.system, seed=config.seed, **model.arguments)
    for method, answer in (
        ("everything foreground", scoring.everything_foreground),
        ("untrained network", network.answers(untrained, config.evaluation, say)),
    ):
        file = folder / method.replace(" ", "_") / "scores.json"
        if not file.exists():
            say(f"scoring {method} on {len(data.videos)} videos of {data.rules.title}")
            files.write(file, scoring.score_predictions(data, answer, method=method).to_json().encode())


def _baselines(folder: Path) -> list[Scores]:
    return [report.read(path) for path in sorted(folder.glob("baselines/*/scores.json"))]


def _show(folder: Path, say: Callable[[str], None]) -> Scores:
    """Prints the tables of a finished evaluation and returns its scores."""
    scores = report.read(folder)
    baselines = _baselines(folder)
    report.show(report.table(scores))
    if baselines:
        report.show(report.compare_table([(one.method, one) for one in (*baselines, scores)]))
    means = [
        name
        for name, value in scores.figures.items()
        if not name.endswith(("recall", "decay")) and not math.isnan(value)
    ]
    line = "  ".join(f"{name} {scores.figures[name]:.3f}" for name in means[:4])
    say(f"{line}; scores, masks, pictures and report.html are in {folder}")
    return scores


def _key(config: Config, data: BenchmarkData, card: Mapping[str, Any]) -> dict[str, Any]:
    """What an evaluation is of, as key.json keeps it."""
    asked = config.evaluation.data
    return {
        "weights": cards.digest(card),
        "step": card.get("step"),
        "benchmark": config.evaluation.benchmark,
        "predictor": config.evaluation.predictor,
        "baselines": config.seed if config.evaluation.baselines else None,
        "data": [asked.name, asked.split, dict(asked.options)],
        "videos": [[video.name, identity(video)] for video in data.videos],
        "version": vos3d_jax.__version__,
    }


def _record(folder: Path) -> dict[str, Any]:
    """What an evaluation that is there is of; where its data lay, as older ones say, too, does not matter."""
    record = records.read(folder / "key.json")
    return {**record, "data": record["data"][:3]} if isinstance(record.get("data"), list) else record


def _is_earlier(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether an evaluation is of a step before the present one; weights without a step have no order."""
    steps = before.get("step"), now["step"]
    return all(isinstance(step, int) for step in steps) and steps[0] < steps[1]


def _remove(folder: Path) -> None:
    """Removes `folder` under another name, so that nobody takes what a kill leaves of it for the whole."""
    with files.writing(folder):
        waste = folder.with_name("evaluation.old")
        if waste.exists():
            shutil.rmtree(waste)
        if folder.exists():
            folder.rename(waste)
            shutil.rmtree(waste)
