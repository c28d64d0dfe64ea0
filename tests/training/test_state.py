import jax
import numpy as np
import pytest
import toy_network

from vos3d_jax import recipe
from vos3d_jax.models import stacking
from vos3d_jax.training import sharding, state

pytestmark = pytest.mark.usefixtures("toy_system")
toy_system = toy_network.toy_system


def _train(config, index=0, steps=1):
    mesh = sharding.make_mesh(recipe.Mesh())
    stage = config.stages[index]
    before = jax.device_get(state.begin_stage(state.random_state(config), stage))
    batch = sharding.put(toy_network.batch(), mesh)
    step = state.make_step(config, stage, mesh, batch)
    now, losses = jax.device_put(before, sharding.replicated(mesh)), []
    for _ in range(steps):
        now, metrics = step(now, batch, np.float32(config.stages[index].optimiser.learning_rate))
        losses.append(float(metrics["loss"]))
    return before, jax.device_get(now), losses


def test_the_step_learns_and_counts():
    before, after, losses = _train(toy_network.config(), steps=20)
    assert losses[-1] < 0.8 * losses[0]
    assert before.step == 0 and after.step == 20


def test_batch_statistics_move_in_train_mode_and_stay_in_frozen_mode():
    config = toy_network.config()
    for index, moves in ((0, True), (1, False)):
        before, after, _ = _train(config, index)
        mean = [one.batch_stats["encoder"]["norm"]["mean"] for one in (before, after)]
        assert np.any(mean[0] != mean[1]) == moves
        scale = [one.params["encoder"]["norm"]["scale"] for one in (before, after)]
        assert np.any(scale[0] != scale[1]) == moves


def test_frozen_parameters_have_no_gradient_and_no_optimiser_state_and_do_not_move():
    optimiser = {"learning_rate": 0.1, "groups": [{"pattern": "^encoder/", "rate": 0.0}]}
    config = toy_network.config(stages=[toy_network.stage(optimiser=optimiser)])
    before, after, _ = _train(config)
    for path, value in stacking.flatten(before.params).items():
        moved = np.any(value != stacking.flatten(after.params)[path])
        assert moved == path.startswith("head/")
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(before.optimiser)]
    assert (1, 3, 3, 3, 4) not in shapes and shapes.count((1, 1, 1, 4, 2)) == 2


def test_the_state_given_to_the_step_is_consumed():
    config = toy_network.config()
    mesh = sharding.make_mesh(recipe.Mesh())
    first = jax.device_put(state.random_state(config), sharding.replicated(mesh))
    batch = sharding.put(toy_network.batch(), mesh)
    state.make_step(config, config.stages[0], mesh, batch)(first, batch, np.float32(0.1))
    assert first.params["head"]["kernel"].is_deleted()


def test_a_new_stage_keeps_the_network_and_starts_a_new_optimiser():
    config = toy_network.config()
    _, after, _ = _train(config, steps=2)
    begun = state.begin_stage(after, config.stages[1])
    assert begun.step == 2 and begun.params is after.params
    assert all(np.all(np.asarray(leaf) == 0) for leaf in jax.tree.leaves(begun.optimiser))
