"""The training loop: build, restore; for every batch a step, log, save, evaluate.

A run is a list of stages; the step of its state counts through them. The batches of a stage are a function
of (seed, stage, step), so a run that was killed goes on by slicing the data at its step.
"""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import UInt8

from vos3d_jax import files, models, runtime
from vos3d_jax.compiling import compiling
from vos3d_jax.data import pipeline
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.progress import duration
from vos3d_jax.recipe import Config
from vos3d_jax.training import optimisers, sharding, stage_data, summary, tasks, workdirs
from vos3d_jax.training.checkpoints import SCORE, Checkpoints
from vos3d_jax.training.state import (
    State,
    Step,
    abstract_state,
    begin_stage,
    first_state,
    make_step,
    model_of,
    network,
)
from vos3d_jax.training.writer import Meter, Writer

Metrics = Mapping[str, jax.Array | float]
# A network -> how good it is (larger is better), and pictures of what it says by their names.
Score = Callable[[nnx.Module], tuple[float, Mapping[str, UInt8[np.ndarray, "_h _w 3"]]]]


@dataclass(frozen=True)
class _Run:
    """What is the same in all stages of a run."""

    config: Config
    mesh: jax.sharding.Mesh
    checkpoints: Checkpoints
    writer: Writer
    score: Score | None


def train(
    config: Config, workdir: Path, score: Score | None = None, scored_on: Sequence[Video] = ()
) -> nnx.Module:
    """Returns the network after all stages; goes on where the newest checkpoint in `workdir` stands.

    Args:
        config: the run.
        workdir: its folder, made if missing.
        score: what a network says about held-out frames, asked as the config's evaluation says; its value
            ranks checkpoints.
        scored_on: the videos that `score` is of: the run belongs to them, too.

    Raises:
        UserError: no stages, data missing, no such network or task, sizes that do not divide over the
            devices, a workdir of another config or other data, of a run that goes on, or one that cannot be
            written (all before anything compiles); a metric that is no finite number.
        SystemExit: after SIGTERM or SIGINT, with 128 + the signal, when the step is finished and saved.
    """
    config.require_stages()
    config = tasks.with_losses(config)
    mesh = sharding.make_mesh(config.mesh)
    mixtures = stage_data.load_mixtures(config)
    config = stage_data.with_sizes(config, mixtures)
    for stage in config.stages:
        sharding.check(stage, mesh)
        network(config, stage)  # an impossible one must not claim the workdir
    # Nor must weights that cannot be had; in a folder that is claimed already there may be later ones.
    begun = None if workdirs.is_claimed(workdir) else first_state(config)
    workdirs.claim(workdir, config, stage_data.identities(config, mixtures, scored_on))

    with files.exclusive(workdir), Checkpoints(workdir, config.checkpoint_seconds) as checkpoints:
        restored = checkpoints.restore(lambda step: abstract_state(config, step))
        recent: list[Metrics] = []
        if restored:
            (state, card), weights = restored, ""
            recent.extend(card["recent"])
        else:
            state, weights = begun or first_state(config)
        resumed = restored is not None
        state = jax.device_put(state, sharding.replicated(mesh))
        del restored, begun  # on a device they would hold a second state in the host's memory
        with Writer(workdir, int(state.step), config.log_seconds) as writer:
            writer.text(summary.describe(config, mesh, state, mixtures, workdir, resumed, weights))
            if int(state.step) == config.total_steps:
                writer.text("training is finished already")
            run = _Run(config, mesh, checkpoints, writer, score)
            while int(state.step) < config.total_steps:
                state = _train_stage(run, state, mixtures[config.stage_at(int(state.step))], recent)
            best = checkpoints.best()
            if best and best[0] < config.total_steps:
                writer.text(
                    f"best held-out score was {best[1]:.3f} at step {best[0]}; to evaluate that network, add"
                    f" --mode=evaluate --step=best --checkpoint={workdir} --workdir=OTHER"
                )
    return model_of(jax.device_get(state), config)


def _train_stage(run: _Run, state: State, mixture: Sequence[pipeline.Source], recent: list[Metrics]) -> State:
    """The state at the end of the stage that it is in, ready for the next one, and saved.

    `mixture` is its data; `recent` holds the metrics of the steps since the last line that was logged.
    """
    config, mesh, checkpoints, writer = run.config, run.mesh, run.checkpoints, run.writer
    index = config.stage_at(int(state.step))
    stage, first = config.stages[index], config.first_step(index)
    last = first + stage.steps
    batches = pipeline.batches(
        mixture,
        batch_size=stage.batch_size,
        clip_length=stage.clip_length,
        size=stage.size,
        seed=int(
            np.random.SeedSequence([config.seed, index]).generate_state(1)[0] >> 1
        ),  # Grain takes 31 bits
        start_step=int(state.step) - first,
    )
    card = _card(config, index)
    schedule = optimisers.schedule(stage.optimiser, stage.steps)
    batch = sharding.put(next(batches), mesh)
    train_step = _compile(make_step(config, stage, mesh, batch), state, batch, stage.name, writer)

    meter, before = Meter(), None
    with _signals_noted() as stop:
        for step in range(int(state.step) + 1, last + 1):
            rate = np.float32(schedule(step - first - 1))
            state, metrics = train_step(state, batch, rate)
            recent.append(metrics)
            start = time.monotonic()
            batch = sharding.put(next(batches), mesh) if step < last else None
            busy = not all(value.is_ready() for value in metrics.values())
            meter.add(time.monotonic() - start, device_was_busy=busy)
            jax.block_until_ready(before)  # this step may go on while the next one is sent
            before = metrics

            if step % config.log_steps == 0 or step == last:
                values = _means(recent)
                _check(values, step)
                recent.clear()
                speed, waited = meter.report()
                rates = {
                    "learning_rate": float(rate),
                    "clips_per_second": speed * stage.batch_size,
                    "data_wait": waited,
                }
                writer.scalars(step, {"stage": stage.name, **values, **rates})
                metrics_line = "  ".join(f"{name} {value:#.4g}" for name, value in values.items())
                line = (
                    f"{stage.name} {step - first}/{stage.steps}  {metrics_line}  rate {rate:.2e}"
                    f"  {speed * stage.batch_size:.2f} clips/s  waiting for data {waited:.0%}"
                    f"  stage ends in {duration((last - step) / speed)}"
                )
                writer.progress(line, step == last)

            every, value = config.score_every, None
            if run.score is not None and every and (step % every == 0 or step == config.total_steps):
                value = _look(run, state, meter)
            if step < last and (value is not None or checkpoints.due or stop):
                _check(_plain(metrics), step)
                checkpoints.save(state, {**card, "recent": [_plain(one) for one in recent]}, value)
            if stop:
                break

        if int(state.step) == last:
            if index + 1 < len(config.stages):
                state = begin_stage(state, config.stages[index + 1])
                state = jax.device_put(state, sharding.replicated(mesh))
            checkpoints.save(state, {**card, "recent": []}, value)
            checkpoints.wait()
        if stop:
            checkpoints.wait()
            name = signal.Signals(stop[0]).name
            writer.text(f"{name}: saved step {int(state.step)}; the same command goes on from there")
            raise SystemExit(128 + stop[0])
    return state


def _card(config: Config, index: int) -> dict[str, Any]:
    """What a checkpoint of stage `index` says of the network."""
    stages = config.stages[: index + 1]
    return {
        **models.model_card(network(config, config.stages[-1])),
        "config": config.name,
        "stage": stages[-1].name,
        "trained": {
            "steps": config.total_steps,
            "data": sorted({part.name for one in stages for part in one.data}),
            "init_from": config.init_from,
        },
        "inference": {**config.evaluation.predictor, "trained_edge": min(stages[-1].size)},
    }


def _look(run: _Run, state: State, meter: Meter) -> float:
    """The held-out figure of the network as it stands, recorded with its pictures."""
    step, start, writer = int(state.step), time.monotonic(), run.writer
    writer.text(f"scoring held-out frames at step {step}")
    value, pictures = run.score(model_of(jax.device_get(state), run.config))
    writer.scalars(step, {SCORE: value})
    writer.pictures(step, {f"held_out/{name}": picture for name, picture in pictures.items()})
    seconds = time.monotonic() - start
    meter.leave_out(seconds)
    writer.text(f"held-out score {value:.3f} at step {step} ({seconds:.1f} s)")
    return value


def _compile(step: Step, state: State, batch: dict[str, jax.Array], name: str, writer: Writer) -> Step:
    shapes = ", ".join(f"{key} {'x'.join(map(str, array.shape))}" for key, array in batch.items())
    start = time.monotonic()
    with compiling(f"the training step of stage {name} for batches of {shapes}", writer.text):
        compiled = step.lower(state, batch, np.float32(0)).compile()
    runtime.release_memory()
    writer.text(f"compiled in {duration(time.monotonic() - start)}")
    return compiled


def _means(metrics: list[Metrics]) -> dict[str, float]:
    return {name: float(np.mean([np.float32(one[name]) for one in metrics])) for name in metrics[0]}


def _plain(metrics: Metrics) -> dict[str, float]:
    """For a card; a float32 comes back from JSON as it was."""
    return {name: float(value) for name, value in metrics.items()}


def _check(metrics: Mapping[str, float], step: int) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise UserError(
                f"the {name} is {value} at step {step}: lower the stage's learning rate, or set its clip_norm"
            )


@contextlib.contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """While it is entered, SIGTERM and SIGINT only leave a note in the list; a second one acts as ever."""
    notes: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        notes.append(number)
        restore()

    def restore() -> None:
        for one, handler in before.items():
            signal.signal(one, handler)

    # Python lets only the main thread handle signals; elsewhere (a notebook's thread) they act as ever.
    main = threading.current_thread() is threading.main_thread()
    before = {one: signal.signal(one, note) for one in (signal.SIGTERM, signal.SIGINT) if main}
    try:
        yield notes
    finally:
        restore()
