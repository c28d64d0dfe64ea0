import numpy as np
import pytest
from golden_networks import unstacked

from vos3d_jax.models import build_model, stacking


def test_unstacked_names_show_each_block_of_a_stage():
    flat = unstacked(build_model("dcseg", depth=26, width=2, decoder_width=2))
    assert flat["encoder/stage3/1/separable/depthwise/kernel"].shape == (3, 3, 3, 1, 8)
    assert "encoder/stage3/0/shortcut/kernel" in flat
    assert not [path for path in flat if "rest" in path or "first" in path]


def test_stack_is_the_exact_inverse_of_unstack():
    tree = {
        "encoder": {
            "stage1": {
                "first": {"kernel": np.arange(3.0)},
                "rest": {"kernel": np.arange(36.0).reshape(12, 3), "norm": {"scale": np.ones((12, 2))}},
            }
        },
        "head": {"bias": np.zeros(2)},
    }
    flat = stacking.unstack(tree)
    assert flat["encoder/stage1/12/kernel"].tolist() == [33, 34, 35]
    assert [p for p in flat if p.endswith("e1/2/kernel") or p.endswith("e1/10/kernel")][0].endswith(
        "2/kernel"
    )
    again = stacking.stack(flat)
    assert stacking.flatten(again).keys() == stacking.flatten(tree).keys()
    for path, leaf in stacking.flatten(tree).items():
        np.testing.assert_array_equal(stacking.flatten(again)[path], leaf)


def test_blocks_may_come_in_any_order():
    flat = {f"stage1/{i}/kernel": np.full(1, i) for i in (10, 2, 1, 0, 3, 9, 8, 7, 6, 5, 4)}
    assert stacking.stack(flat)["stage1"]["rest"]["kernel"][:, 0].tolist() == list(range(1, 11))


def test_a_missing_block_is_named():
    with pytest.raises(ValueError, match=r"stage1/rest/kernel: blocks \[1, 3\]"):
        stacking.stack({f"stage1/{i}/kernel": np.zeros(1) for i in (0, 1, 3)})


def test_flatten_and_nest_are_inverses():
    tree = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert stacking.flatten(tree) == {"a/b": 1, "a/c/d": 2, "e": 3}
    assert stacking.nest(stacking.flatten(tree)) == tree
