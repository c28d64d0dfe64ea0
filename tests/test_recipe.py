import pytest
import toy_network

from vos3d_jax import recipe
from vos3d_jax.errors import UserError

_EVALUATION = {"benchmark": "moving_shapes", "data": toy_network.VAL}


def _values(**changes):
    return {"name": "x", "stages": [toy_network.stage()], "evaluation": _EVALUATION, **changes}


def test_plain_values_become_frozen_data_classes():
    config = recipe.parse(_values(seed=3))
    assert config.seed == 3 and config.stages[0].size == (32, 32)
    assert config.stages[0].data[0].sample.augmentation.short_edge is None
    assert config.stages[0].optimiser.learning_rate == 0.01


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sede": 1}, r"config\.sede is not a known key: did you mean seed\?"),
        ({"seed": "1"}, r"config\.seed is '1': expected a whole number"),
        ({"seed": True}, r"config\.seed is True: expected a whole number"),
        ({"stages": [toy_network.stage("a"), toy_network.stage("a")]}, "must have different names"),
        ({"mesh": 4}, r"config\.mesh is 4: expected a ConfigDict"),
        ({"stages": [toy_network.stage(size=(32, 30))]}, r"\(32, 30\): both sides must be multiples of 32"),
        ({"stages": [toy_network.stage(steps=0)]}, "steps is 0: it must be at least 1"),
        (
            {"stages": [toy_network.stage(batch_norm="off")]},
            r"stages\[0\]\.batch_norm is 'off': expected one of",
        ),
        ({"stages": [toy_network.stage(optimiser={})]}, r"optimiser\.learning_rate is missing"),
        ({"stages": [toy_network.stage(size=(32,))]}, "expected a tuple of 2"),
        (
            {"stages": [toy_network.stage(data=[{"name": "a", "weight": 0}])]},
            r"weight is 0\.0: it must be above",
        ),
        (
            {"stages": [toy_network.stage(data=[{"name": "a", "augmentation": {"crop_size": (64, 32)}}])]},
            r"crop_size \(64, 32\): it must fit into the stage's size \(32, 32\)",
        ),
        ({"stages": [toy_network.stage(optimiser={"learning_rate": 1, "decay_steps": 0})]}, "decay_steps 0"),
        (
            {
                "stages": [
                    toy_network.stage(optimiser={"learning_rate": 1, "groups": [{"pattern": "(", "rate": 0}]})
                ]
            },
            r"'\(' is no regular expression",
        ),
        ({"evaluation": {**_EVALUATION, "predictor": {"short_edge": -3}}}, "short_edge is -3"),
        ({"evaluation": {**_EVALUATION, "every": -1}}, "every is -1"),
        ({"evaluation": {**_EVALUATION, "predictor": {"clip_length": 4, "overlap": 4}}}, "overlap"),
        ({"log_steps": 0}, "log_steps is 0"),
        ({"batch_size": 3}, "batch_size is 3, but no stage has it"),
        ({"stages": [toy_network.stage(data=[{"name": "a", "kind": "film"}])]}, r"data\[0\]\.kind is 'film'"),
    ],
)
def test_a_wrong_key_or_value_is_named_by_its_path(changes, message):
    with pytest.raises(UserError, match=message):
        recipe.parse(_values(**changes))


def test_a_config_without_stages_only_evaluates():
    config = recipe.parse(_values(stages=()))
    assert config.total_steps == 0
    with pytest.raises(UserError, match=r"x has nothing to train: add --mode=evaluate --checkpoint=DIR"):
        config.require_stages()
    recipe.parse(_values()).require_stages()


def test_the_step_says_the_stage_and_the_last_stage_keeps_the_end():
    config = recipe.parse(_values(stages=[toy_network.stage("a", steps=3), toy_network.stage("b", steps=2)]))
    assert [config.stage_at(step) for step in range(6)] == [0, 0, 0, 1, 1, 1]
    assert config.first_step(1) == 3 and config.total_steps == 5
