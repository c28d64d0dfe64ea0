import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy_network

from vos3d_jax import recipe, schema
from vos3d_jax.training import optimisers

_PARAMS = {
    "encoder": {
        "stage1": {
            "first": {"kernel": np.ones((2, 3), np.float32)},
            "rest": {
                "kernel": np.ones((3, 2, 3), np.float32),
                "norm": {"scale": np.ones((3, 2), np.float32)},
            },
        }
    },
    "head": {"kernel": np.ones(4, np.float32)},
}


def _stage(groups=(), **changes):
    optimiser = {"learning_rate": 0.1, "groups": [dict(pattern=p, rate=r) for p, r in groups]}
    return schema.parse(toy_network.stage(optimiser=optimiser, **changes), recipe.Stage, "config")


def test_groups_are_found_by_the_unstacked_path_and_the_first_counts():
    stage = _stage([("stage1/[02]/kernel", 0.0), ("^encoder/", 0.5)])
    factors = optimisers.rate_factors(_PARAMS, stage)
    assert factors["encoder/stage1/first/kernel"] == 0
    np.testing.assert_array_equal(factors["encoder/stage1/rest/kernel"].ravel(), [0.5, 0, 0.5])
    assert factors["encoder/stage1/rest/kernel"].shape == (3, 1, 1)
    assert factors["head/kernel"] == 1


def test_frozen_batch_norm_freezes_scale_and_bias_but_no_kernel():
    for mode, expected in (("frozen", 0), ("train", 1)):
        factors = optimisers.rate_factors(_PARAMS, _stage(batch_norm=mode))
        assert np.all(factors["encoder/stage1/rest/norm/scale"] == expected)
        assert np.all(factors["encoder/stage1/rest/kernel"] == 1)


def test_wholly_frozen_parameters_are_not_trained_and_partly_frozen_ones_are():
    stage = _stage([("stage1/[02]/", 0.0), ("^head/", 0.0)])
    trained, frozen = optimisers.partition(_PARAMS, optimisers.rate_factors(_PARAMS, stage))
    assert set(trained) == {"encoder/stage1/rest/kernel", "encoder/stage1/rest/norm/scale"}
    assert set(frozen) == {"encoder/stage1/first/kernel", "head/kernel"}


def test_rates_need_shapes_only_so_they_can_be_taken_inside_a_jitted_step():
    stage = _stage([("stage1/2/", 0.0)])
    traced = jax.jit(lambda params: jax.tree.map(jnp.asarray, optimisers.rate_factors(params, stage)))
    factors = traced(_PARAMS)
    np.testing.assert_array_equal(factors["encoder/stage1/rest/norm/scale"].ravel(), [1, 0, 1])


def _run(stage, params, gradients, steps=3):
    factors = optimisers.rate_factors(params, stage)
    flat, _ = optimisers.partition(params, factors)
    optimiser = optimisers.make(stage.optimiser, factors)
    state = optimiser.init(flat)
    for _ in range(steps):
        updates, state = optimiser.update(gradients, state, flat)
        flat = optax.apply_updates(flat, jax.tree.map(lambda update: 0.1 * update, updates))
    return flat


def test_a_frozen_block_of_a_stacked_parameter_does_not_move_and_a_slow_one_moves_slowly():
    stage = _stage([("stage1/1/", 0.0), ("stage1/2/", 0.5)])
    params = {"encoder": {"stage1": {"rest": {"kernel": np.ones((3, 2), np.float32)}}}}
    gradients = {"encoder/stage1/rest/kernel": jnp.full((3, 2), 0.3)}
    moved = 1 - np.asarray(_run(stage, params, gradients)["encoder/stage1/rest/kernel"])
    assert np.all(moved[0] == 0)
    np.testing.assert_allclose(moved[1] / moved[2], 0.5, rtol=1e-5)


def test_it_is_the_adam_of_the_paper():
    rng = np.random.default_rng(0)
    params = {"head": {"kernel": rng.normal(size=5).astype(np.float32)}}
    gradient = rng.normal(size=5).astype(np.float32)
    result = _run(_stage(), params, {"head/kernel": jnp.asarray(gradient)})["head/kernel"]
    value, mean, square = params["head"]["kernel"].astype(float), 0.0, 0.0
    for step in range(1, 4):
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient.astype(float) ** 2
        root = np.sqrt(square / (1 - 0.999**step))
        value = value - 0.1 * (mean / (1 - 0.9**step)) / (root + 1e-8)
    np.testing.assert_allclose(result, value, rtol=5e-5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {0: 1, 5: 1}),
        ({"schedule": "cosine"}, {0: 1, 5: 0.5, 10: 0}),
        ({"schedule": "exponential", "decay": 0.5, "decay_steps": 5}, {0: 1, 5: 0.5, 10: 0.25}),
        ({"schedule": "cosine", "warmup_steps": 4}, {0: 0.25, 3: 1, 4: 1, 7: 0.5, 10: 0}),
    ],
)
def test_schedules_begin_at_the_rate_and_end_as_they_say(changes, expected):
    schedule = optimisers.schedule(recipe.Optimiser(learning_rate=1.0, **changes), 10)
    for step, rate in expected.items():
        assert float(schedule(step)) == pytest.approx(rate, abs=1e-6)
