import manifests
import numpy as np
import pytest

from vos3d_jax.errors import UserError
from vos3d_jax.porting.compare import compare
from vos3d_jax.porting.convert import convert

CSN = {"depth": 14, "width": 4, "classes": 5}


@pytest.fixture
def tensors():
    return manifests.recipe_tensors("csn_classifier", "vmz", **CSN)


def test_a_model_equals_its_file_bit_by_bit(tmp_path, tensors):
    path = manifests.write(tmp_path / "weights.pth", tensors)
    convert(path, tmp_path / "model")
    rows = compare(tmp_path / "model", path).tensors
    assert len(rows) == len(tensors) and {row.status for row in rows} == {"equal"}


def test_one_changed_bit_is_found(tmp_path, tensors):
    convert(manifests.write(tmp_path / "weights.pth", tensors), tmp_path / "model")
    changed = tensors["layer3.0.conv2.1.running_mean"].copy()
    changed[0] = np.nextafter(changed[0], np.float32(1))
    path = manifests.write(tmp_path / "other.pth", {**tensors, "layer3.0.conv2.1.running_mean": changed})
    (row,) = [row for row in compare(tmp_path / "model", path).tensors if row.status != "equal"]
    assert row.name == "layer3.0.conv2.1.running_mean" and 0 < row.difference < 1e-6


def test_zeros_of_two_signs_are_not_the_same_bits(tmp_path, tensors):
    convert(
        manifests.write(tmp_path / "weights.pth", {**tensors, "fc.bias": np.zeros(5, np.float32)}),
        tmp_path / "model",
    )
    path = manifests.write(tmp_path / "other.pth", {**tensors, "fc.bias": np.full(5, -0.0, np.float32)})
    (row,) = [row for row in compare(tmp_path / "model", path).tensors if row.status != "equal"]
    assert (row.path, row.difference) == ("fc/bias", 0)


def test_a_backbone_file_is_compared_with_the_encoder_it_became(tmp_path, tensors):
    path = manifests.write(tmp_path / "weights.pth", tensors)
    convert(path, tmp_path / "model", into="dcseg")
    rows = compare(tmp_path / "model", path).tensors
    equal = [row for row in rows if row.status == "equal"]
    assert len(equal) == len(tensors) - 2 and all(row.path.startswith("encoder/") for row in equal)
    assert {row.status for row in rows} == {"equal", "only in the model", "only in the file"}
    assert {row.name for row in rows if row.status == "only in the file"} == {"fc.weight", "fc.bias"}


def test_what_only_the_file_has_is_listed(tmp_path, tensors):
    path = manifests.write(tmp_path / "weights.pth", {**tensors, "stranger.weight": np.ones(3, np.float32)})
    convert(path, tmp_path / "model", allow=["stranger.*"])
    *equal, left = compare(tmp_path / "model", path).tensors
    assert {row.status for row in equal} == {"equal"}
    assert (left.path, left.name, left.status) == ("", "stranger.weight", "only in the file")


def test_a_file_of_another_network_is_refused(tmp_path, tensors):
    convert(manifests.write(tmp_path / "weights.pth", tensors), tmp_path / "model")
    other = manifests.recipe_tensors("r2plus1d_classifier", "r2plus1d", depth=10, width=4, classes=5)
    with pytest.raises(UserError, match="no tensor of it belongs to the csn_classifier"):
        compare(tmp_path / "model", manifests.write(tmp_path / "other.pth", other))
