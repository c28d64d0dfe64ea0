import jax
import manifests
import numpy as np
import pytest

from vos3d_jax import models, storage
from vos3d_jax.errors import UserError
from vos3d_jax.porting import rules, targets
from vos3d_jax.porting.convert import convert
from vos3d_jax.training import initial_weights

SMALL = {"depth": 14, "width": 4, "decoder_width": 8}


@pytest.fixture
def random():
    return storage.model_variables(models.build_model("dcseg", **SMALL))


def _views(variables):
    return targets.views(jax.tree.map(np.asarray, variables))


def test_a_backbone_file_fills_the_encoder_and_the_log_says_what_is_random(tmp_path, random):
    tensors = manifests.recipe_tensors("csn_classifier", "vmz", depth=14, width=4, classes=5)
    path = manifests.write(tmp_path / "weights.pth", tensors)
    variables, line = initial_weights.load(str(path), "dcseg", random)
    loaded, before = _views(variables), _views(random)
    for name in loaded:
        assert np.array_equal(loaded[name], before[name]) == (not name.startswith("encoder/"))
    names = rules.torch_names([name for name in loaded if name.startswith("encoder/")], "vmz")
    for name, theirs in names.items():
        np.testing.assert_array_equal(rules.to_torch(name, loaded[name]), tensors[theirs])
    assert f"encoder ({len(names)} tensors) loaded" in line and "random: bridge (8 tensors)" in line
    jax.tree.map(lambda one, other: None, variables, random)  # the same structure


def test_a_ported_folder_gives_all_that_fits(tmp_path, random):
    tensors = manifests.recipe_tensors("dcseg", "3dcseg", **SMALL, classes=5)
    convert(manifests.write(tmp_path / "weights.pth", tensors), tmp_path / "model")
    variables, line = initial_weights.load(str(tmp_path / "model"), "dcseg", random)
    assert "random: head (2 tensors)" in line
    ported, _ = storage.load_variables(tmp_path / "model")
    loaded, ported = _views(variables), _views(ported)
    for name in loaded:
        assert name.startswith("head/") or np.array_equal(loaded[name], ported[name]), name


def test_another_encoder_is_refused_as_a_whole(tmp_path, random):
    # Trap: of a deeper encoder many tensors would fit by name and shape.
    tensors = manifests.recipe_tensors("csn_classifier", "vmz", depth=26, width=4, classes=5)
    path = manifests.write(tmp_path / "weights.pth", tensors)
    with pytest.raises(UserError, match="encoder of .* is not that of this config"):
        initial_weights.load(str(path), "dcseg", random)


def test_what_is_not_there_is_named(random):
    with pytest.raises(UserError, match="nowhere.pth cannot be read"):
        initial_weights.load("nowhere.pth", "dcseg", random)
