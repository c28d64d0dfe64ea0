import jax
import manifests
import numpy as np
import pytest

from vos3d_jax import models, storage
from vos3d_jax.errors import UserError
from vos3d_jax.porting import open_checkpoint, targets
from vos3d_jax.porting.export import default_naming, export, state_dict

DCSEG = {"depth": 14, "width": 4, "decoder_width": 8}
# (manifest, system, naming, arguments)
WHOLE = [
    ("3dcseg_saliencynetwork_gc3d", "dcseg", "3dcseg", {"depth": 152}),
    ("vmz_ip_csn_152", "csn_classifier", "vmz", {"separation": "ip"}),
    ("3dcseg_csn_backbone_ir152", "csn_classifier", "3dcseg_backbone", {}),
    ("mmaction2_ir_csn_50", "csn_classifier", "mmaction2", {"depth": 50}),
    ("pytorchvideo_csn_r101", "csn_classifier", "pytorchvideo", {"depth": 101}),
    ("caffe2_ir_csn_152", "csn_classifier", "caffe2", {}),
    ("r2plus1d_18_kinetics400", "r2plus1d_classifier", "r2plus1d", {"depth": 18}),
    ("caffe2_r2plus1d_34", "r2plus1d_classifier", "caffe2_r2plus1d", {}),
    ("3dcseg_backbone_resnet101", "resnet3d_classifier", "3dcseg_backbone", {"depth": 101}),
]


@pytest.fixture
def folder(tmp_path):
    storage.save_model(models.build_model("dcseg", **DCSEG), tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.slow
@pytest.mark.parametrize("name, system, naming, arguments", WHOLE, ids=[row[0] for row in WHOLE])
def test_an_exported_file_has_all_names_and_shapes_of_the_published_one(name, system, naming, arguments):
    empty = jax.tree.map(
        lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), targets.abstract(system, arguments)
    )
    card = {"system": system, "arguments": targets.arguments(system, arguments)}
    tensors = state_dict(empty, card, naming)
    assert {name: tensor.shape for name, tensor in tensors.items()} == manifests.manifest(name)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torch_opens_the_exported_file_with_weights_only(folder, suffix):
    torch = pytest.importorskip("torch")
    path = folder.parent / f"weights{suffix}"
    tensors, _ = export(folder, path)
    if suffix == ".pth":
        opened = torch.load(path, weights_only=True)
    else:
        opened = pytest.importorskip("safetensors.torch").load_file(path)
    assert opened.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(opened[name].numpy(), tensor, err_msg=name)


def test_the_second_names_of_the_encoder_take_no_room_in_a_pth(folder):
    path = folder.parent / "weights.pth"
    export(folder, path)
    opened = open_checkpoint(path)
    assert opened.aliases()["encoder.resnet.layer1.0.conv2.weight"] == "encoder.layer1.0.conv2.weight"
    assert opened.aliases()["encoder.resnet.bn1.running_var"] == "encoder.bn1.running_var"


def test_a_trained_model_gets_the_usual_names_and_a_ported_one_those_it_came_with():
    trained = {"system": "csn_classifier", "arguments": {}}
    assert default_naming(trained) == "vmz"
    assert default_naming({**trained, "source": {"kind": "caffe2"}}) == "caffe2"
    # A backbone that became an encoder is a whole network now.
    network = {"system": "dcseg", "arguments": {"backbone": "csn"}, "source": {"kind": "vmz"}}
    assert default_naming(network) == "3dcseg"


def test_names_that_do_not_fit_and_files_that_are_there_are_refused(folder):
    with pytest.raises(UserError, match="hold no network like this"):
        export(folder, folder.parent / "weights.pth", naming="vmz")
    with pytest.raises(UserError, match="suffixes"):
        export(folder, folder.parent / "weights.bin")
    (folder.parent / "weights.pth").write_bytes(b"mine")
    with pytest.raises(UserError, match="is there already, and holds something else: give another --output"):
        export(folder, folder.parent / "weights.pth")
    assert (folder.parent / "weights.pth").read_bytes() == b"mine"
    for name in ("weights.pth", "weights.safetensors"):
        export(folder, folder.parent / name, overwrite=True)
        written = (folder.parent / name).stat().st_mtime_ns
        export(folder, folder.parent / name)  # the same again
        assert (folder.parent / name).stat().st_mtime_ns == written
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".")]
    with pytest.raises(UserError, match="3dcseg_old"):
        export(folder, folder.parent / "other.pth", naming="nobody")


@pytest.mark.parametrize("name", ["file/weights.pth", "missing/weights.safetensors", "x" * 300 + ".pth"])
def test_a_file_that_cannot_be_made_is_named(folder, name):
    (folder.parent / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        export(folder, folder.parent / name)
