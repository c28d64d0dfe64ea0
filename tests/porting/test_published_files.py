"""Files with the names and shapes of published ones give, through the whole way, the original outputs."""

import jax
import manifests
import numpy as np
import pytest
from golden_files import assert_golden, load_npz, recipe
from golden_networks import golden_clip, torch_layout

from vos3d_jax import models, storage
from vos3d_jax.porting.convert import convert

pytestmark = pytest.mark.slow

# In golden/csn all sources have VMZ's constants, so that only their weights differ.
KINETICS = {"mean": (110.2008, 100.63983, 95.99475), "std": (58.14765, 56.46975, 55.332195)}
# manifest, its golden file, container
CLASSIFIERS = [
    ("mmaction2_ir_csn_50", "mmaction2_ir_csn_50", ".pth"),
    ("pytorchvideo_csn_r101", "pytorchvideo_csn_r101", ".safetensors"),
    ("mmaction2_ir_csn_152", "mmaction2_ir_csn_152", ".pth"),
    ("mmaction2_ip_csn_152", "mmaction2_ip_csn_152", ".pth"),
    ("vmz_ir_csn_152", "vmz_ir_csn_152", ".pth"),
    ("vmz_ip_csn_152", "vmz_ip_csn_152", ".pth"),
    ("caffe2_ir_csn_152", "vmz_ir_csn_152", ".pkl"),
    ("caffe2_ip_csn_152", "vmz_ip_csn_152", ".pkl"),
]


def _values(name):
    shapes = manifests.manifest(name)
    if name.startswith("caffe2"):
        # No Caffe2 runs here: its blobs have the values of their canonical names.
        canonical = {blob: key for blob, key, _ in manifests.keymap(name)}
        return {blob: recipe.weight(canonical[blob], shape) for blob, shape in shapes.items()}
    return recipe.state_dict(shapes)


@pytest.mark.parametrize("name, golden, container", CLASSIFIERS, ids=[row[0] for row in CLASSIFIERS])
def test_a_classifier_gives_the_logits_of_its_source(name, golden, container, tmp_path):
    path = manifests.write(tmp_path / f"weights{container}", _values(name))
    done = convert(path, tmp_path / "model", settings=KINETICS)
    assert done.problems == []
    model = storage.load_model(tmp_path / "model")
    expected = load_npz(f"csn/{golden}.npz")["logits"]
    with jax.default_matmul_precision("highest"):
        logits = np.asarray(models.forward(model, golden_clip("csn_clip", (1, 3, 8, 64, 64))))[0]
    assert np.abs(logits - expected).max() <= 2e-5 * np.abs(expected).max()


def test_the_released_network_gives_the_maps_of_the_original(tmp_path):
    values = recipe.state_dict(manifests.manifest("3dcseg_saliencynetwork_gc3d"))
    for name in values:
        if name.startswith("encoder.resnet.") and ".bn1" not in name[:19] and ".fc." not in name:
            values[name] = values[f"encoder.{name.removeprefix('encoder.resnet.')}"]
    values["encoder.mean"] = np.array([114.7748, 107.7354, 99.4750], np.float32).reshape(1, 3, 1, 1, 1)
    values["encoder.std"] = np.ones((1, 3, 1, 1, 1), np.float32)
    convert(manifests.write(tmp_path / "weights.pth", values), tmp_path / "model")
    model = storage.load_model(tmp_path / "model")
    logits = models.forward(model, golden_clip("dcseg.golden.final_small", (1, 3, 8, 64, 96)))
    assert_golden(torch_layout(logits), load_npz("3dcseg/final_small.npz"), "logits")
