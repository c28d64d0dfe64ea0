"""The state of a run as one pytree, and the training step: one compiled function of (state, batch)."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vos3d_jax import models
from vos3d_jax.errors import UserError
from vos3d_jax.models import stacking
from vos3d_jax.models.abstract import abstract_model
from vos3d_jax.recipe import Config, Stage
from vos3d_jax.training import initial_weights, optimisers, sharding
from vos3d_jax.training.tasks import task_of

Gradients = Callable[
    ["State", dict[str, jax.Array]], tuple[dict[str, Any], dict[str, jax.Array], dict[str, Any]]
]
Step = Callable[["State", dict[str, jax.Array], jax.Array], tuple["State", dict[str, jax.Array]]]


class State(NamedTuple):
    """All that a run needs to go on.

    Attributes:
        step: int32, steps done, through all stages.
        params: pure nested dicts, equal blocks stacked.
        batch_stats: pure nested dicts.
        optimiser: Optax's state for the parameters that this stage trains.
    """

    step: jax.Array
    params: dict[str, Any]
    batch_stats: dict[str, Any]
    optimiser: Any


def network(config: Config, stage: Stage, implementation: str = "auto") -> nnx.Module:
    """Returns the config's network without weights (shapes only), computing in the stage's precision.

    Raises:
        UserError: no such system, task or option of it, arguments that no network can have, or a task that is
            none for this network.
    """
    model = abstract_model(config.system, **_arguments(config, stage, implementation))
    if not task_of(stage).can_train(model):
        raise UserError(
            f"stage {stage.name}: a {config.system} cannot be trained at the task {stage.task!r}: choose"
            " another config.system, or another task"
        )
    return model


def abstract_state(config: Config, step: int) -> State:
    """Returns shapes and dtypes of the state after `step` steps; UserError as `network`."""
    stage = config.stages[config.stage_at(step)]
    return jax.eval_shape(lambda state: begin_stage(state, stage), blank_state(network(config, stage)))


def first_state(config: Config) -> tuple[State, str]:
    """Returns the state that a run begins with, and a line for its log about where the weights are from.

    Raises:
        UserError: `config.init_from` is not there or holds another network.
    """
    state, line = random_state(config), "weights   random"
    if config.init_from:
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        variables, line = initial_weights.load(config.init_from, config.system, variables)
        state = begin_stage(state._replace(**variables), config.stages[0])
    return state, line


def random_state(config: Config) -> State:
    """Returns the state before the first step of the first stage, with random weights."""
    stage = config.stages[0]
    model = models.build_model(config.system, seed=config.seed, **_arguments(config, stage))
    return begin_stage(blank_state(model), stage)


def blank_state(model: nnx.Module) -> State:
    """Returns the state of a run of `model` that has neither stepped nor an optimiser."""
    _, params, batch_stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    return State(jnp.zeros((), jnp.int32), nnx.to_pure_dict(params), nnx.to_pure_dict(batch_stats), None)


def begin_stage(state: State, stage: Stage) -> State:
    """Returns `state` with the optimiser of `stage` at its beginning; everything else is carried over."""
    trained, _, optimiser = _split(state.params, stage)
    return state._replace(optimiser=optimiser.init(trained))


def make_gradients(config: Config, stage: Stage, mesh: jax.sharding.Mesh) -> Gradients:
    """Returns the function (state, batch) -> (gradients, metrics, new batch statistics) of `stage`.

    Only trained parameters are differentiated (the gradients are flat by path): the others are constants
    of the loss, so XLA makes no gradients for them.
    """
    model = network(config, stage, sharding.implementation(mesh))
    # A network without batch norm is the same in both modes.
    graphdef = nnx.graphdef(nnx.view(model, batch_norm=stage.batch_norm, raise_if_not_found=False))
    task = task_of(stage)

    def gradients(state: State, batch: dict[str, jax.Array]):
        trained, frozen = optimisers.partition(state.params, optimisers.rate_factors(state.params, stage))

        def loss(trained):
            params = stacking.nest({**trained, **frozen})
            # Without copy=True the batch statistics cannot be updated under a gradient.
            model = nnx.merge(graphdef, params, state.batch_stats, copy=True)
            value, metrics = task(model, batch)
            return value, ({"loss": value, **metrics}, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)))

        result, (metrics, batch_stats) = jax.grad(loss, has_aux=True)(trained)
        return result, metrics, batch_stats

    return gradients


def make_step(
    config: Config, stage: Stage, mesh: jax.sharding.Mesh, batch: Mapping[str, jax.Array | np.ndarray]
) -> Step:
    """Returns the jitted step of `stage`: (state, batch, rate) -> (state, metrics); it consumes the state.

    Args:
        config: the run.
        stage: which of its stages.
        mesh: the devices; batches lie on them as `sharding.put` puts them.
        batch: one like those that the step will get.

    Of the step's arguments `rate` is the learning rate; metrics are float32 scalars.
    """
    gradients = make_gradients(config, stage, mesh)

    def step(
        state: State, batch: dict[str, jax.Array], rate: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        slopes, metrics, batch_stats = gradients(state, batch)
        trained, frozen, optimiser = _split(state.params, stage)
        updates, optimiser_state = optimiser.update(slopes, state.optimiser, trained)
        trained = jax.tree.map(lambda value, update: value + rate * update, trained, updates)
        params = stacking.nest({**trained, **frozen})
        state = state._replace(
            step=state.step + 1, params=params, batch_stats=batch_stats, optimiser=optimiser_state
        )
        return state, metrics

    whole = sharding.replicated(mesh)
    laid_out = (whole, sharding.of_batch(batch, mesh), whole)
    return jax.jit(step, in_shardings=laid_out, out_shardings=(whole, whole), donate_argnums=0)


def model_of(state: State, config: Config) -> nnx.Module:
    """Returns the network of `state`, computing in the precision of the last stage."""
    graphdef = nnx.graphdef(network(config, config.stages[-1]))
    variables = jax.tree.map(jnp.asarray, (state.params, state.batch_stats))
    return nnx.merge(graphdef, *variables, copy=True)


def _arguments(config: Config, stage: Stage, implementation: str = "auto") -> dict[str, Any]:
    return {**config.model, "dtype": stage.precision, "implementation": implementation}


def _split(params: dict[str, Any], stage: Stage) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """The trained and the frozen parameters, flat by path, and the optimiser of the trained ones."""
    factors = optimisers.rate_factors(params, stage)
    trained, frozen = optimisers.partition(params, factors)
    return trained, frozen, optimisers.make(stage.optimiser, factors)
