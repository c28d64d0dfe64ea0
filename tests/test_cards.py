"""What a card tells about masks: the demo's weights, a new decoder, an untrained network are named."""

import pytest

from vos3d_jax import cards

TRAINED = {
    "config": "davis",
    "step": 4000,
    "trained": {"steps": 4000, "data": ["davis2016", "moving_shapes"], "init_from": ""},
}
PORTED = {"source": {"file": "bmvc_final.pth"}, "step": 0, "report": {"random": [], "allowed": []}}


def _trained(step=4000, **changes):
    return {**TRAINED, "step": step, "trained": {**TRAINED["trained"], **changes}}


@pytest.mark.parametrize(
    "card",
    [
        TRAINED,
        PORTED,
        _trained(step=400),
        _trained(data=["moving_shapes"], init_from="a folder"),
        {"config": "davis", "step": 7},  # of a training before cards said this
        {**PORTED, "report": {"random": [], "allowed": ["stranger.weight: unknown"]}},
    ],
)
def test_a_network_with_trained_weights_raises_no_doubt(card):
    assert cards.doubt(card) is None


@pytest.mark.parametrize(
    "card, said",
    [
        ({"step": 0, "system": "dcseg"}, "names no training"),
        (_trained(data=["moving_shapes"]), "generated videos alone (moving_shapes)"),
        (_trained(step=399), "only 399 of the 4,000 steps"),
        (
            {**PORTED, "report": {"random": ["head/bias", "head/kernel", "bridge/bias"], "allowed": []}},
            "3 of its tensors are random (head, bridge)",
        ),
        (
            {**PORTED, "report": {"random": [], "allowed": ["bn1.running_var: broken"]}},
            "1 of its tensors hold values that no trained network has",
        ),
    ],
)
def test_a_network_whose_masks_cannot_be_good_is_named_in_one_line(card, said):
    line = cards.doubt(card)
    assert said in line and "\n" not in line
