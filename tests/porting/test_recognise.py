import manifests
import pytest

from vos3d_jax.errors import UserError
from vos3d_jax.porting.recognise import recognise

# manifest -> (source, system, some of the arguments)
FILES = {
    "3dcseg_saliencynetwork_gc3d": ("3dcseg", "dcseg", {"depth": 152, "bridge": "gc3d", "classes": 2}),
    "3dcseg_old_resnetcsn": ("3dcseg_old", "dcseg", {"depth": 152, "bridge": "gc3d"}),
    "3dcseg_old_resnetcsn_nonlocal": ("3dcseg_old", "dcseg", {"bridge": "nl3d"}),
    "3dcseg_old_resnet3d101": ("3dcseg_old", "dcseg", {"backbone": "resnet", "depth": 101}),
    "3dcseg_old_r2plus1d34": ("3dcseg_old", "dcseg", {"backbone": "r2plus1d", "depth": 34, "width": 64}),
    "3dcseg_csn_backbone_ir152": ("3dcseg_backbone", "csn_classifier", {"separation": "ir"}),
    "3dcseg_csn_backbone_ip152": ("3dcseg_backbone", "csn_classifier", {"separation": "ip"}),
    "3dcseg_backbone_resnet50_csn_ir": ("3dcseg_backbone", "csn_classifier", {"depth": 50}),
    "3dcseg_backbone_resnet152": ("3dcseg_backbone", "resnet3d_classifier", {"depth": 152}),
    "vmz_ip_csn_152": ("vmz", "csn_classifier", {"depth": 152, "separation": "ip", "classes": 400}),
    "mmaction2_ir_csn_50": ("mmaction2", "csn_classifier", {"depth": 50, "separation": "ir"}),
    "mmaction2_ip_csn_152": ("mmaction2", "csn_classifier", {"separation": "ip"}),
    "pytorchvideo_csn_r101": ("pytorchvideo", "csn_classifier", {"depth": 101}),
    "caffe2_ip_csn_152": ("caffe2", "csn_classifier", {"depth": 152, "separation": "ip", "classes": 400}),
    "caffe2_r2plus1d_34": ("caffe2_r2plus1d", "r2plus1d_classifier", {"depth": 34, "width": 64}),
    "r2plus1d_34_clip32_ig65m": ("r2plus1d", "r2plus1d_classifier", {"depth": 34, "classes": 359}),
    "r2plus1d_18_kinetics400": ("r2plus1d", "r2plus1d_classifier", {"depth": 18, "classes": 400}),
    "rgmp": ("rgmp", None, {}),
    "torchvision_resnet50": ("torchvision", None, {}),
}
DECODERS = {
    "3dcseg_decoder_c3d": ("c3d", "rf3d"),
    "3dcseg_decoder_nl3d": ("nl3d", "rf3d"),
    "3dcseg_decoder_aspp": ("aspp", "rf3d"),
    "3dcseg_decoder_gc3d_refine_upsampling": ("gc3d", "upsampling"),
    "3dcseg_decoder_gc3d_refine_light": ("gc3d", "light"),
    "3dcseg_decoder_gc3d_refine_light_gn": ("gc3d", "light_gn"),
    "3dcseg_decoder_gc3d_refine_dg": ("gc3d", "dg"),
    "3dcseg_decoder_gc3d_refine_2plus1d": ("gc3d", "two_plus_one_d"),
    "3dcseg_decoder_gc3d_refine_convtranspose": ("gc3d", "conv_transpose"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_known_by_its_tensors(name):
    source, system, arguments = FILES[name]
    found = recognise("weights", manifests.manifest(name))
    assert (found.source, found.system) == (source, system)
    assert found.arguments.items() >= arguments.items()


@pytest.mark.parametrize("name", DECODERS)
def test_bridge_and_refinement_are_known_by_their_tensors(name):
    found = recognise("weights", manifests.segmentation(name))
    assert (found.arguments["bridge"], found.arguments["refinement"]) == DECODERS[name]


def test_the_stem_of_a_3dcseg_network_with_an_ip_encoder_pads_time_by_three():
    # Trap: a slip of 3DC-Seg; a VMZ file with the same tensors pads by one.
    names = {f"encoder.{k}": v for k, v in manifests.manifest("3dcseg_csn_backbone_ip152").items()}
    decoder = {k: v for k, v in manifests.segmentation("3dcseg_decoder_c3d").items() if "decoders" in k}
    assert recognise("weights", {**names, **decoder}).arguments["stem_time_padding"] == 3
    assert "stem_time_padding" not in recognise("w", manifests.manifest("vmz_ip_csn_152")).arguments


def test_counters_of_batch_norm_are_not_needed():
    names = manifests.manifest("r2plus1d_34_kinetics")
    old = {name: shape for name, shape in names.items() if not name.endswith("num_batches_tracked")}
    assert recognise("weights", old) == recognise("weights", names)


def test_an_unknown_network_is_named_by_what_it_holds():
    with pytest.raises(UserError, match="no checkpoint of a network known here: 2 tensors.*head.weight"):
        recognise("weights.pth", {"head.weight": (2, 3), "head.bias": (2,)})


def test_a_network_of_another_depth_is_named_with_its_blocks():
    names = dict(manifests.manifest("vmz_ir_csn_152"))
    names |= {"layer4.3.conv1.0.weight": (512, 2048, 1, 1, 1)}
    with pytest.raises(UserError, match=r"stages have \[3, 8, 36, 4\] blocks"):
        recognise("weights.pth", names)


def test_names_of_one_kind_with_shapes_of_another_are_stepped_over():
    # Trap: VMZ has no dense 3D ResNet, whatever another name in its file looks like.
    names = {**manifests.manifest("vmz_ir_csn_152"), "layer1.0.conv2.weight": (64, 64, 3, 3, 3)}
    assert recognise("weights", names).backbone == "csn"


def test_a_network_whose_stem_is_not_there_is_refused_by_its_name():
    names = dict(manifests.manifest("3dcseg_old_r2plus1d34"))
    del names["encoder.conv1.3.weight"]
    with pytest.raises(UserError, match="encoder.conv1.3.weight shows how large .* but is not there"):
        recognise("weights", names)


@pytest.mark.parametrize("shape", [(), (0,), (1 << 40,)])
def test_shapes_that_no_layer_has_are_refused_not_stumbled_over(shape):
    names = dict(manifests.manifest("3dcseg_saliencynetwork_gc3d"))
    for name in ("encoder.conv1.weight", "decoders.0.pred2.weight", "decoders.0.convG1.weight"):
        with pytest.raises(UserError, match=name):
            recognise("weights.pth", {**names, name: shape})
