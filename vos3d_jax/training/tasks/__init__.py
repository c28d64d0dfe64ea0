"""What a network learns from a batch: one file and one row each; a stage names the row as `task`."""

import dataclasses
from typing import Protocol, runtime_checkable

import jax
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax import schema
from vos3d_jax.errors import UserError
from vos3d_jax.recipe import Config, Stage
from vos3d_jax.training.tasks.clip import ClipSegmentation

Scalar = Float[Array, ""]


@runtime_checkable
class Task(Protocol):
    """A frozen data class of the options that a stage gives as `loss`."""

    def __call__(self, model: nnx.Module, batch: dict[str, jax.Array]) -> tuple[Scalar, dict[str, Scalar]]:
        """Returns the loss of a batch and what else is to be logged, all finite."""

    @staticmethod
    def can_train(model: nnx.Module) -> bool:
        """Returns whether the task is one for `model`."""


TASKS: dict[str, type[Task]] = {"clip": ClipSegmentation}


def task_of(stage: Stage) -> Task:
    """Returns the task of `stage` with its options.

    Raises:
        UserError: there is no such task, or it has no such option.
    """
    if stage.task not in TASKS:
        raise UserError(f"stage {stage.name}: there is no task {stage.task!r}: use {', '.join(TASKS)}")
    return schema.parse(stage.loss, TASKS[stage.task], f"stage {stage.name}: loss")


def with_losses(config: Config) -> Config:
    """Returns `config` with all options of its stages' tasks, defaults too; errors as `task_of`."""
    stages = [dataclasses.replace(one, loss=dataclasses.asdict(task_of(one))) for one in config.stages]
    return dataclasses.replace(config, stages=tuple(stages))
