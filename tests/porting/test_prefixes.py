"""Weights are found under whatever wrappers and prefixes training programs put around them."""

import itertools
import pickle

import manifests
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vos3d_jax import port_weights
from vos3d_jax.errors import UserError
from vos3d_jax.porting import LazyTensor, open_checkpoint, plan
from vos3d_jax.porting.readers.file_bytes import FileBytes
from vos3d_jax.porting.readers.state_dict import checkpoint as find

WORDS = ("module", "_orig_mod", "model", "net", "network", "_forward_module")
STACKS = ["", *(f"{word}." for word in WORDS), *(f"{a}.{b}." for a, b in itertools.product(WORDS, WORDS))]
# One network of each kind of naming that is read here; its tensors are single numbers, expanded.
SHAPES = {
    "3dcseg": manifests.manifest("3dcseg_saliencynetwork_gc3d"),
    "mmaction2": manifests.manifest("mmaction2_ir_csn_50"),
    "vmz": manifests.manifest("vmz_ip_csn_152"),
}


class Reader:
    """A container that is in memory: what `state_dict.checkpoint` needs of one."""

    types, container, placeholders = (LazyTensor,), "memory", ()

    def __init__(self, value):
        self.value = value

    def tensor(self, value):
        return value


def _found(tmp_path, value, root=None):
    (tmp_path / "file").touch()
    return find(FileBytes(tmp_path / "file"), Reader(value), root)


def _tensors(kind, prefix=""):
    return {prefix + k: v for k, v in manifests.checkpoint_of(SHAPES[kind]).items()}


@pytest.mark.parametrize("number, stack", list(enumerate(STACKS)))
def test_any_pair_of_prefixes_is_taken_off_every_kind_of_network(number, stack, tmp_path):
    kind = list(SHAPES)[number % len(SHAPES)]
    found = _found(tmp_path, _tensors(kind, stack))
    assert (found.prefix, list(found)) == (stack, list(SHAPES[kind]))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(WORDS), max_size=6), st.sampled_from(["", "state_dict", "model", "module"]))
def test_stacks_of_any_order_under_any_wrapper_are_taken_off(tmp_path_factory, words, wrapper):
    stack = "".join(f"{word}." for word in words)
    weights = _tensors("mmaction2", stack)
    found = _found(tmp_path_factory.getbasetemp(), {wrapper: weights, "epoch": {}} if wrapper else weights)
    assert (found.root, found.prefix, list(found)) == (wrapper, stack, list(SHAPES["mmaction2"]))


def test_a_counter_or_a_loss_beside_the_network_does_not_keep_its_prefix_on(tmp_path):
    # Trap: torch's AveragedModel puts `n_averaged` beside `module.*`, Lightning its loss beside `model.*`.
    one = _tensors("vmz")["fc.bias"]
    for beside, status in (("n_averaged", plan.UNUSED), ("loss.weight", plan.UNKNOWN)):
        found = _found(tmp_path, {beside: one, **_tensors("vmz", "module.")})
        assert found.prefix == "module." and set(found) == {beside, *SHAPES["vmz"]}
        assert {row.name: row.status for row in plan.make(found).rows}[beside] == status


def test_a_name_with_and_one_without_the_prefix_are_two_tensors(tmp_path):
    weights = _tensors("vmz")
    found = _found(tmp_path, {**weights, "model.fc.bias": weights["fc.weight"]})
    assert found["fc.bias"] is not found["model.fc.bias"] and found.prefix == ""


def test_the_prefix_of_an_unknown_network_is_what_all_names_share(tmp_path):
    one = _tensors("vmz")["fc.bias"]
    found = _found(tmp_path, {"module.net.a.weight": one, "module.b.weight": one})
    assert (found.prefix, list(found)) == ("module.", ["net.a.weight", "b.weight"])


@pytest.mark.parametrize("root", ["ema", "ema.module", "teachers.best.net"])
def test_weights_at_any_depth_are_named_in_the_message_and_taken_on_request(root, tmp_path):
    weights, value = _tensors("mmaction2", "module."), {}
    inner = value
    for key in root.split("."):
        inner = inner.setdefault(key, {})
    inner.update(weights)
    with pytest.raises(UserError, match=f"no tensors found; top-level keys: .*; give --root={root}$"):
        _found(tmp_path, value)
    found = _found(tmp_path, value, root)
    assert (found.root, list(found)) == (root, list(SHAPES["mmaction2"]))


def test_a_wrong_root_is_answered_with_those_that_are_there(tmp_path):
    value = {"ema": {"module": _tensors("vmz"), "decay": {}}, "teacher": _tensors("vmz")}
    with pytest.raises(UserError, match=r"under emma; .*; give --root=teacher or --root=ema\.module$"):
        _found(tmp_path, value, "emma")
    assert _found(tmp_path, value, "ema").root == "ema.module"  # `module` is a wrapper like any other


def test_a_key_may_hold_dots_itself(tmp_path):
    assert _found(tmp_path, {"a.b": {"c.d": _tensors("vmz")}}, "a.b.c.d").root == "a.b.c.d"


def test_a_network_within_a_larger_one_is_named_and_taken_on_request(tmp_path):
    both = {**_tensors("vmz", "student.net."), **_tensors("vmz", "teacher.")}
    for value, above in ((both, ""), ({"state_dict": both}, "state_dict.")):
        found = _found(tmp_path, value)
        with pytest.raises(
            UserError, match=f"other weights: --root={above}teacher or --root={above}student.net"
        ):
            plan.make(found)
        assert list(_found(tmp_path, value, f"{above}student.net")) == list(SHAPES["vmz"])


def test_other_weights_are_told_beside_those_that_are_taken(tmp_path, capsys):
    tensors = manifests.recipe_tensors("csn_classifier", "vmz", depth=14, width=4, classes=5)
    content = {"state_dict": tensors, "state_dict_ema": {f"module.{k}": v for k, v in tensors.items()}}
    (tmp_path / "file.pkl").write_bytes(pickle.dumps(content, protocol=4))
    assert port_weights.main(["inspect", str(tmp_path / "file.pkl")]) == 0
    assert "--root=state_dict_ema" in capsys.readouterr().out
    assert open_checkpoint(tmp_path / "file.pkl", root="state_dict_ema").prefix == "module."


def test_shared_and_endless_dicts_are_looked_at_once(tmp_path):
    # Trap: forty dicts that each hold the next twice have 2^40 paths.
    inner = {"x": np.float32(0)}
    for _ in range(40):
        inner = {"a": inner, "b": inner}
    inner["again"] = inner
    (tmp_path / "file.pkl").write_bytes(pickle.dumps(inner, protocol=2))
    with pytest.raises(UserError, match="no tensors found; top-level keys: a, b, again$"):
        open_checkpoint(tmp_path / "file.pkl")
