"""Checkpoints of a run: by time, at a stage's end, on the way out; the newest whole one counts."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import checkpoint_managers

from vos3d_jax import files, storage
from vos3d_jax.errors import UserError
from vos3d_jax.training.state import State

METRIC = "J"


class Checkpoints:
    """The folder `checkpoints/` of a workdir; the latest two steps and the best scored one are kept.

    Args:
      folder: an existing workdir.
      seconds: how old the last checkpoint may get before `due` says yes.
    """

    def __init__(self, folder: Path, seconds: float):
        self._folder = folder / "checkpoints"
        files.make_folder(self._folder)
        self._seconds = seconds
        self._last = time.monotonic()
        best = checkpoint_managers.BestN(get_metric_fn=_metric, n=1, keep_checkpoints_without_metrics=False)
        self._manager = storage.open_manager(
            self._folder,
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(
                [checkpoint_managers.LatestN(2), best]
            ),
            best_fn=_metric,
            best_mode="max",
            cleanup_tmp_directories=True,
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exception: object) -> None:
        # Without this, what was saved last is lost.
        self.wait()
        self._manager.close()

    def restore(self, template: Callable[[int], State]) -> tuple[State, dict[str, Any]] | None:
        """Returns the newest state that is whole, as numpy arrays, and its card; None when there is none yet.

        A damaged checkpoint is renamed to `<step>.damaged`, so that the run can save its step again.

        Args:
          template: shapes and dtypes of the state at a step.

        Raises:
          UserError: there are checkpoints, but none is whole, or the machine cannot read them now.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        if not steps:
            return None

        def read(step: int) -> tuple[State, dict[str, Any]]:
            card = storage.read_card(self._manager, step)
            wanted = template(step)
            model = storage.read_item(self._manager, step, "model", _model_item(wanted), card)
            training = storage.read_item(self._manager, step, "training", _training_item(wanted), card)
            return _join(wanted, model, training), card

        result = storage.newest_whole(self._manager, steps, read)
        if result is None:
            raise UserError(f"no checkpoint in {self._folder} is whole: remove that folder to start again")
        damaged = [step for step in steps if step > int(result[0].step)]
        for step in damaged:
            self._set_aside(step)
        if damaged:
            self._manager.reload()
        return result

    def best(self) -> tuple[int, float] | None:
        """Returns step and score of the best checkpoint; None where none was scored, or it is damaged."""
        best = self._manager.best_step()
        steps = [] if best is None else [best]
        card = storage.newest_whole(self._manager, steps, lambda step: storage.read_card(self._manager, step))
        return card and (best, card["score"])

    @property
    def due(self) -> bool:
        """Whether the last checkpoint is too old."""
        return time.monotonic() - self._last >= self._seconds

    def save(self, state: State, card: dict[str, Any], score: float | None = None) -> None:
        """Saves `state` in the background, unless its step is there already; `score` ranks it for "best"."""
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        items = {"model": _model_item(state), "training": _training_item(state)}
        ranked = {} if score is None else {"score": score}
        arguments = storage.save_arguments(items, {**card, "step": step, **ranked})
        with storage.saving(self._folder):
            self._manager.save(
                step, args=arguments, metrics=None if score is None else {METRIC: score}, force=True
            )
        self._last = time.monotonic()

    def wait(self) -> None:
        """Waits until what was saved is on the disk."""
        with storage.saving(self._folder):
            self._manager.wait_until_finished()

    def _set_aside(self, step: int) -> None:
        """Renames the folder of `step` to a name that Orbax and we pass over."""
        names = itertools.chain([f"{step}.damaged"], (f"{step}.damaged-{n}" for n in itertools.count(2)))
        with files.writing(self._folder):
            (self._folder / str(step)).rename(
                next(self._folder / name for name in names if not (self._folder / name).exists())
            )


def _metric(metrics: dict[str, float] | None) -> float | None:
    return metrics.get(METRIC) if metrics else None


def _model_item(state: State) -> dict[str, Any]:
    return {"params": state.params, "batch_stats": state.batch_stats}


def _training_item(state: State) -> dict[str, Any]:
    """Flat by path: a checkpoint then does not depend on Optax's own classes."""
    rest = {"step": state.step, "optimiser": state.optimiser}
    leaves = jax.tree_util.tree_leaves_with_path(rest)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _join(wanted: State, model: dict[str, Any], training: dict[str, Any]) -> State:
    structure = jax.tree.structure({"step": wanted.step, "optimiser": wanted.optimiser})
    rest = jax.tree.unflatten(structure, [training[name] for name in _training_item(wanted)])
    return State(rest["step"], model["params"], model["batch_stats"], rest["optimiser"])
