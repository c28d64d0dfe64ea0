import collections

import manifests
import numpy as np
import pytest

from vos3d_jax.porting import plan, rules, targets

WHOLE = {name: manifests.manifest(name) for name in manifests.names() if "_decoder_" not in name}
DECODERS = {
    name: manifests.segmentation(name) for name in manifests.names() if name.startswith("3dcseg_decoder_")
}
NO_NETWORK = ("rgmp", "torchvision_resnet50")


QUICK = ("r2plus1d_18_kinetics400", "mmaction2_ir_csn_50", "3dcseg_backbone_resnet50")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in (*WHOLE, *DECODERS)
        if name not in NO_NETWORK
    ],
)
def test_every_tensor_of_a_published_file_is_ours_or_known_to_be_unused_and_no_network_is_built(
    name, monkeypatch
):
    monkeypatch.setattr(targets, "_model", None)
    found = plan.make(manifests.checkpoint_of({**WHOLE, **DECODERS}[name]))
    assert found.problems == []
    paths = [row.path for row in found.rows if row.status == plan.USED]
    assert collections.Counter(paths) == dict.fromkeys(targets.shapes(found.system, found.arguments), 1)


def test_the_published_network_has_819_live_tensors():
    names = manifests.manifest("3dcseg_saliencynetwork_gc3d")
    live = [name for name in names if rules.SOURCES["3dcseg"].is_live(name)]
    assert len(live) == 155 + 155 * 4 + 22 * 2


MAPS = {
    "caffe2_ir_csn_152": ("csn_classifier", "caffe2", "vmz", {}),
    "caffe2_ip_csn_152": ("csn_classifier", "caffe2", "vmz", {"separation": "ip"}),
    "mmaction2_ir_csn_152": ("csn_classifier", "mmaction2", "vmz", {}),
    "mmaction2_ip_csn_152": ("csn_classifier", "mmaction2", "vmz", {"separation": "ip"}),
    "mmaction2_ir_csn_50": ("csn_classifier", "mmaction2", "vmz", {"depth": 50}),
    "pytorchvideo_csn_r101": ("csn_classifier", "pytorchvideo", "vmz", {"depth": 101}),
    "3dcseg_csn_backbone_ir152": ("csn_classifier", "3dcseg_backbone", "vmz", {}),
    "3dcseg_csn_backbone_ip152": ("csn_classifier", "3dcseg_backbone", "vmz", {"separation": "ip"}),
    "caffe2_r2plus1d_34": ("r2plus1d_classifier", "caffe2_r2plus1d", "r2plus1d", {}),
    "3dcseg_old_r2plus1d34_encoder": ("r2plus1d_classifier", "3dcseg_old", "r2plus1d", {}),
}


@pytest.mark.parametrize("name", MAPS)
def test_the_words_of_two_sources_agree_with_their_key_map_row_by_row(name):
    system, source, canonical, arguments = MAPS[name]
    paths = list(targets.shapes(system, arguments))
    if name.endswith("_encoder"):
        paths = [path for path in paths if path.startswith("encoder/")]
    words = {"classes": 400, **arguments}
    if system == "r2plus1d_classifier":
        words["backbone"] = "r2plus1d"
    theirs = rules.torch_names(paths, source, words)
    common = rules.torch_names(paths, canonical, words)
    rows = {
        one: other for one, other, _ in manifests.keymap(name) if not one.endswith(".num_batches_tracked")
    }
    assert {theirs[path]: common[path] for path in paths} == rows
    assert {transformation for _, _, transformation in manifests.keymap(name)} == {"none"}


def _expanded(table):
    """Our paths with the names of a table for an image ResNet-50."""
    paths = []
    for module, (_, norm) in table.items():
        leaves = ["kernel"] + [f"norm/{leaf}" for leaf in ("scale", "bias", "mean", "var") if norm]
        if module.endswith("/norm"):
            leaves = ["scale", "bias", "mean", "var"]
        if not norm and "encoder" not in module or module.endswith("guidance"):
            leaves.append("bias")
        for stage, blocks in enumerate((3, 4, 6, 3), start=1):
            for block in range(blocks):
                if "shortcut" in module and block:
                    continue
                for number in (4, 3, 2):
                    path = module.format(s=stage, b=block, n=number)
                    paths += [f"{path}/{leaf}" for leaf in leaves]
    return list(dict.fromkeys(paths))


@pytest.mark.parametrize("source, name", [("rgmp", "rgmp"), ("torchvision", "torchvision_resnet50")])
def test_the_tables_of_networks_to_come_name_every_tensor(source, name):
    words = {"backbone": "image"}
    names = rules.torch_names(_expanded(rules.SOURCES[source].table(words)), source, words)
    live = [key for key in manifests.manifest(name) if rules.SOURCES[source].is_live(key)]
    assert sorted(names.values()) == sorted(live)


def test_resnet50_gives_rgmp_its_encoder():
    words = {"backbone": "image"}
    paths = _expanded(rules.SOURCES["torchvision"].table(words))
    ours, theirs = (rules.torch_names(paths, source, words) for source in ("rgmp", "torchvision"))
    for path in paths:
        expected = theirs[path]
        for number in (4, 3, 2, 1):
            expected = expected.replace(f"layer{number}.", f"res{number + 1}.")
        assert ours[path] == f"Encoder.{expected}"


def test_paths_become_names_in_their_order():
    paths = ["encoder/stem/conv/norm/var", "encoder/stage3/7/separable/depthwise/kernel", "head/bias"]
    names = rules.torch_names(paths, "3dcseg")
    assert list(names.values()) == [
        "encoder.bn1.running_var",
        "encoder.layer3.7.conv2.weight",
        "decoders.0.pred2.bias",
    ]


def test_the_depthwise_convolution_of_ip_blocks_is_number_three():
    # Trap: in ir blocks it is conv2.
    paths = ["encoder/stage1/0/mix/kernel", "encoder/stage1/0/separable/depthwise/norm/scale"]
    assert list(rules.torch_names(paths, "3dcseg").values()) == [
        "encoder.layer1.0.conv2.weight",
        "encoder.layer1.0.bn3.weight",
    ]


def test_caffe2_counts_blocks_through_the_network_and_its_riv_is_the_variance():
    # Traps: no conv_2 in ir blocks; "running inverse variance" is the running variance, copied as it is.
    paths = [f"encoder/stage{s}/{b}/separable/depthwise/norm/var" for s in (1, 2) for b in range(3)]
    names = rules.torch_names(paths, "caffe2")
    assert names["encoder/stage1/0/separable/depthwise/norm/var"] == "comp_0_spatbn_3_riv"
    assert names["encoder/stage2/1/separable/depthwise/norm/var"] == "comp_4_spatbn_3_riv"


def test_a_path_without_a_tensor_in_such_files_is_an_error():
    with pytest.raises(KeyError):
        rules.torch_names(["head/bias"], "vmz")


@pytest.mark.parametrize("shape", [(3, 7, 5, 1, 2), (1, 7, 5, 3, 2), (4, 6), (4,)])
def test_axes_are_permuted_both_ways(shape):
    array = np.arange(np.prod(shape)).reshape(shape)
    path = "fc/kernel" if len(shape) > 1 else "fc/bias"
    np.testing.assert_array_equal(rules.from_torch(path, rules.to_torch(path, array)), array)


def test_a_convolution_of_images_has_no_axis_of_time_in_its_source_and_one_tap_here():
    array = np.arange(2 * 3 * 4 * 5).reshape(1, 2, 3, 4, 5)
    path = "encoder/stem/conv/kernel"
    theirs = rules.to_torch(path, array, planar=True)
    assert theirs.shape == (5, 4, 2, 3) == rules.torch_shape(path, array.shape, planar=True)
    np.testing.assert_array_equal(theirs[4, 3], array[0, ..., 3, 4])
    np.testing.assert_array_equal(rules.from_torch(path, theirs), array)
    # Trap: of several taps none may be dropped without a word; the plan then says "wrong shape".
    assert rules.torch_shape(path, (3, 2, 3, 4, 5), planar=True) == (5, 4, 3, 2, 3)
    assert rules.torch_shape("fc/kernel", (4, 6), planar=True) == (6, 4)


def test_a_transposed_convolution_has_its_inputs_first_in_pytorch():
    array = np.zeros((2, 2, 2, 3, 5))
    assert rules.to_torch("refine4/upsample/kernel", array).shape == (3, 5, 2, 2, 2)
    assert rules.from_torch("refine4/upsample/kernel", array.transpose(3, 4, 0, 1, 2)).shape == array.shape
