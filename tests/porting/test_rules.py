import numpy as np
import pytest
from golden_files import load_json
from golden_networks import unstacked

from vos3d_jax.models import build_model
from vos3d_jax.porting import rules

# (system, arguments, source, manifest)
FILES = [
    ("dcseg", {}, "3dcseg", "3dcseg_saliencynetwork_gc3d"),
    ("csn_classifier", {}, "3dcseg_backbone", "3dcseg_csn_backbone_ir152"),
    ("csn_classifier", {"separation": "ip"}, "3dcseg_backbone", "3dcseg_csn_backbone_ip152"),
    ("csn_classifier", {}, "vmz", "vmz_ir_csn_152"),
    ("csn_classifier", {"separation": "ip"}, "vmz", "vmz_ip_csn_152"),
]


@pytest.mark.slow
@pytest.mark.parametrize("system, arguments, source, manifest", FILES, ids=[row[3] for row in FILES])
def test_every_tensor_of_a_published_file_is_ours_or_known_to_be_unused(system, arguments, source, manifest):
    ours = unstacked(build_model(system, depth=152, **arguments))
    theirs = {name: tuple(shape) for name, shape in load_json(f"manifests/{manifest}.json").items()}
    names = rules.torch_names(ours, source)
    assert len(set(names.values())) == len(names)
    assert set(names.values()) == {name for name in theirs if not rules.is_unused(name, source)}
    for path, name in names.items():
        assert rules.to_torch(path, np.asarray(ours[path])).shape == theirs[name]


def test_the_published_network_has_819_live_tensors():
    manifest = load_json("manifests/3dcseg_saliencynetwork_gc3d.json")
    live = [name for name in manifest if not rules.is_unused(name, "3dcseg")]
    assert len(live) == 155 + 155 * 4 + 22 * 2


def test_names_are_read_both_ways():
    paths = ["encoder/stem/conv/norm/var", "encoder/stage3/7/separable/depthwise/kernel", "head/bias"]
    names = rules.torch_names(paths, "3dcseg")
    assert list(names.values()) == [
        "encoder.bn1.running_var",
        "encoder.layer3.7.conv2.weight",
        "decoders.0.pred2.bias",
    ]
    assert rules.our_paths(paths, "3dcseg") == {name: path for path, name in names.items()}


def test_the_depthwise_convolution_of_ip_blocks_is_number_three():
    # Trap: in ir blocks it is conv2.
    paths = ["encoder/stage1/0/mix/kernel", "encoder/stage1/0/separable/depthwise/norm/scale"]
    assert list(rules.torch_names(paths, "3dcseg").values()) == [
        "encoder.layer1.0.conv2.weight",
        "encoder.layer1.0.bn3.weight",
    ]


def test_a_path_without_a_tensor_in_such_files_is_an_error():
    with pytest.raises(KeyError):
        rules.torch_names(["head/bias"], "vmz")


@pytest.mark.parametrize("shape", [(3, 7, 5, 1, 2), (4, 6), (4,)])
def test_axes_are_permuted_both_ways(shape):
    array = np.arange(np.prod(shape)).reshape(shape)
    path = "fc/kernel" if len(shape) > 1 else "fc/bias"
    np.testing.assert_array_equal(rules.from_torch(path, rules.to_torch(path, array)), array)
