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

SCORE = "score"
_MODEL = ("params", "batch_stats")  # the fields of a state that are the network


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
        best = checkpoint_managers.BestN(get_metric_fn=_score, n=1, keep_checkpoints_without_metrics=False)
        self._manager = storage.open_manager(
            self._folder,
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(
                [checkpoint_managers.LatestN(2), best]
            ),
            best_fn=_score,
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
            items = {
                name: storage.read_item(self._manager, step, name, item, card)
                for name, item in _items(wanted).items()
            }
            return _state(wanted, items), card

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
        return card and (best, card[SCORE])

    @property
    def due(self) -> bool:
        """Whether the last checkpoint is too old."""
        return time.monotonic() - self._last >= self._seconds

    def save(self, state: State, card: dict[str, Any], score: float | None = None) -> None:
        """Saves `state` in the background, unless its step is there already; `score` ranks it for "best"."""
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        ranked = {} if score is None else {SCORE: score}
        arguments = storage.save_arguments(_items(state), {**card, "step": step, **ranked})
        with storage.saving(self._folder):
            self._manager.save(step, args=arguments, metrics=ranked or None, force=True)
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


def _score(metrics: dict[str, float] | None) -> float | None:
    """The figure that ranks; runs begun before it had this name have a mean J."""
    return metrics.get(SCORE, metrics.get("J")) if metrics else None


def _items(state: State) -> dict[str, dict[str, Any]]:
    """The network, and the other fields flat by path: a checkpoint then knows none of Optax's own classes."""
    leaves = jax.tree_util.tree_leaves_with_path(_rest(state))
    training = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
    return {"model": {name: getattr(state, name) for name in _MODEL}, "training": training}


def _state(wanted: State, items: dict[str, dict[str, Any]]) -> State:
    """The inverse of `_items`, in the structure of `wanted`."""
    leaves = [items["training"][name] for name in _items(wanted)["training"]]
    rest = jax.tree.unflatten(jax.tree.structure(_rest(wanted)), leaves)
    return wanted._replace(**items["model"], **rest)


def _rest(state: State) -> dict[str, Any]:
    return {name: value for name, value in state._asdict().items() if name not in _MODEL}
