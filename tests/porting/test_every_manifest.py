"""A file with the names and shapes of every published one goes through the command, and nothing is left over.

The values are the recipe's, so the converted network is, bit by bit, that of the golden tests of
tests/models/test_golden_dcseg.py and test_golden_variants.py; some outputs are compared here once more.
"""

import gc

import jax
import manifests
import numpy as np
import pytest
from flax import nnx
from golden_files import assert_golden, load_json, load_npz, recipe
from golden_networks import golden_clip, golden_input, torch_layout

from vos3d_jax import models, port_weights, storage
from vos3d_jax.models.encoder import EncoderFeatures
from vos3d_jax.porting import rules, targets
from vos3d_jax.porting.export import naming_arguments

pytestmark = pytest.mark.slow

WHOLE = "3dcseg_saliencynetwork_gc3d"
# manifest -> (container, words of the golden test or None for the file's own, some of the card's arguments)
FILES = {
    WHOLE: (".legacy", None, {"epsilon": 1e-5}),
    "3dcseg_old_resnetcsn": (".pth", "3dcseg", {"bridge": "gc3d", "epsilon": 1e-5}),
    "3dcseg_old_resnetcsn_nonlocal": (".legacy", "3dcseg", {"bridge": "nl3d"}),
    "3dcseg_old_resnet3d101": (".pth", "3dcseg", {"backbone": "resnet", "depth": 101, "epsilon": 1e-5}),
    "3dcseg_old_r2plus1d34": (".safetensors", "3dcseg", {"backbone": "r2plus1d", "epsilon": 1e-3}),
    "3dcseg_csn_backbone_ir152": (".legacy", "vmz", {"separation": "ir", "epsilon": 1e-3}),
    "3dcseg_csn_backbone_ip152": (".pth", "vmz", {"separation": "ip", "epsilon": 1e-3}),
    "3dcseg_backbone_resnet50": (".legacy", None, {"depth": 50, "epsilon": 1e-5}),
    "3dcseg_backbone_resnet50_no_ts": (".pth", None, {"depth": 50}),
    "3dcseg_backbone_resnet50_csn_ir": (".safetensors", None, {"depth": 50, "epsilon": 1e-3}),
    "3dcseg_backbone_resnet101": (".pth", None, {"depth": 101}),
    "3dcseg_backbone_resnet152": (".pth", None, {"depth": 152}),
    "vmz_ir_csn_152": (".legacy", None, {"separation": "ir", "epsilon": 1e-3}),
    "vmz_ip_csn_152": (".safetensors", None, {"separation": "ip", "epsilon": 1e-3}),
    "caffe2_ir_csn_152": (".pkl", "vmz", {"separation": "ir", "epsilon": 1e-3}),
    "caffe2_ip_csn_152": (".pkl", "vmz", {"separation": "ip", "epsilon": 1e-3}),
    "mmaction2_ir_csn_152": (".pth", None, {"epsilon": 1e-3}),
    "mmaction2_ip_csn_152": (".legacy", None, {"separation": "ip"}),
    "mmaction2_ir_csn_50": (".legacy", None, {"depth": 50}),
    "pytorchvideo_csn_r101": (".pth", None, {"depth": 101, "epsilon": 1e-5}),
    "r2plus1d_34_clip8_ig65m": (".pth", None, {"classes": 487, "epsilon": 1e-3}),
    "r2plus1d_34_clip32_ig65m": (".safetensors", None, {"classes": 359, "epsilon": 1e-3}),
    "r2plus1d_34_kinetics": (".legacy", None, {"classes": 400, "epsilon": 1e-3}),
    "r2plus1d_18_kinetics400": (".legacy", None, {"depth": 18, "epsilon": 1e-5}),
    "caffe2_r2plus1d_34": (".pkl", "r2plus1d", {"classes": 400, "epsilon": 1e-3}),
}
# Decoders alone, completed with the published encoder -> (golden case, container).
DECODERS = {
    "3dcseg_decoder_c3d": ("bridge_C3D", ".pth"),
    "3dcseg_decoder_nl3d": ("bridge_NL", ".safetensors"),
    "3dcseg_decoder_aspp": ("bridge_ASPPModule", ".legacy"),
    "3dcseg_decoder_gc3d_refine_upsampling": ("refine_RefineSimple", ".legacy"),
    "3dcseg_decoder_gc3d_refine_light": ("refine_Refine3dLight", ".pth"),
    "3dcseg_decoder_gc3d_refine_light_gn": ("refine_Refine3dLightGN", ".pth"),
    "3dcseg_decoder_gc3d_refine_dg": ("refine_Refine3dDG", ".safetensors"),
    "3dcseg_decoder_gc3d_refine_2plus1d": ("refine_Refine2plus1d", ".pth"),
    "3dcseg_decoder_gc3d_refine_convtranspose": ("refine_Refine3dConvTranspose", ".legacy"),
}
# Backbones as encoders of whole networks -> (their manifest, --set).
ENCODERS = {
    "resnet50": ("3dcseg_backbone_resnet50", ()),
    "resnet50_no_ts": ("3dcseg_backbone_resnet50_no_ts", ("--set=temporal_strides=false",)),
    "ir_csn_50": ("3dcseg_backbone_resnet50_csn_ir", ()),
    "resnet152_csn_ip": ("3dcseg_csn_backbone_ip152", ()),
}
VARIANTS = ("dcseg.golden.variants", (1, 3, 8, 64, 64))
NO_NETWORK = ("rgmp", "torchvision_resnet50")


def test_no_manifest_is_forgotten():
    here = {*FILES, *DECODERS, *NO_NETWORK}
    assert here == {name for name in manifests.names() if not name.startswith("sep3d_")}


def _common_names(name, shapes):
    """{name in the file: name whose value it has in the golden tests}."""
    source = (
        "3dcseg_old" if "_old_" in name else "3dcseg" if "_saliency" in name or "decoder" in name else None
    )
    common = {key: key for key in shapes}
    if name.startswith(("caffe2_", "3dcseg_csn_backbone")):
        common |= {key: canonical for key, canonical, _ in manifests.keymap(name)}
    if name == "3dcseg_old_resnetcsn_nonlocal":
        common = {key: key.replace("s.0.GC.", "s.0.GC.nl.") for key in shapes}
    if source:
        common = {key: rules.SOURCES[source].alias_of(key) or value for key, value in common.items()}
    return common


def _values(name, shapes):
    """({name in the file: value}, {name in the golden tests: value}); second names share their arrays."""
    common = _common_names(name, shapes)
    by_common = {common[key]: recipe.weight(common[key], shape) for key, shape in shapes.items()}
    if "encoder.mean" in shapes:
        by_common["encoder.mean"] = np.array([114.7748, 107.7354, 99.475], np.float32).reshape(1, 3, 1, 1, 1)
        by_common["encoder.std"] = np.ones((1, 3, 1, 1, 1), np.float32)
    return {key: by_common[common[key]] for key in shapes}, by_common


def _converted(name, shapes, container, tmp_path, *options):
    """(folder, card, {name in the golden tests: value}) after the command; the file is removed."""
    values, by_common = _values(name, shapes)
    path = manifests.write(tmp_path / f"weights{container}", values)
    assert port_weights.main(["convert", str(path), f"--output={tmp_path / 'model'}", *options]) == 0
    path.unlink()
    card = storage.load_card(tmp_path / "model")
    assert card["report"]["random"] == card["report"]["allowed"] == []
    assert sum(card["report"]["tensors"].values()) == len(shapes)
    assert not card["report"]["tensors"].keys() - {"used", "alias", "constant", "unused"}
    return tmp_path / "model", card, by_common


def _assert_bits(folder, golden_source, by_common):
    """Every tensor of the network is the recipe's for the name that the golden tests give it."""
    variables, card = storage.load_variables(folder)
    views = targets.views(variables)
    names = rules.torch_names(views, golden_source or card["source"]["kind"], naming_arguments(card))
    for path, view in views.items():
        expected = by_common[names[path]]
        assert np.array_equal(rules.to_torch(path, view).view(np.uint32), expected.view(np.uint32)), path


@pytest.fixture(autouse=True)
def _memory():
    yield
    gc.collect()


@pytest.mark.parametrize("name", FILES)
def test_a_published_kind_of_file_becomes_the_network_of_the_golden_tests(name, tmp_path):
    container, golden_source, arguments = FILES[name]
    folder, card, by_common = _converted(name, manifests.manifest(name), container, tmp_path)
    assert card["arguments"].items() >= arguments.items()
    _assert_bits(folder, golden_source, by_common)


@pytest.fixture(scope="module")
def encoded():
    """A function: the maps of the published encoder for the clip of all variants, run once."""
    maps = {}

    def of(model):
        if not maps:
            maps["all"] = _run(lambda model, clip: model.encoder(clip), model, _normalised(model))
        return maps["all"]

    return of


def _normalised(model):
    from vos3d_jax.models.layers import normalise

    return normalise(golden_clip(*VARIANTS), model.mean, model.std, model.dtype) / 255


def _run(method, model, *inputs):
    graphdef, state = nnx.split(model)
    run = jax.jit(lambda state, *inputs: method(nnx.merge(graphdef, state), *inputs))
    return run(nnx.to_pure_dict(state), *inputs)


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_with_the_published_encoder_gives_the_logits_of_the_original(name, encoded, tmp_path):
    case, container = DECODERS[name]
    folder, _, by_common = _converted(name, manifests.segmentation(name), container, tmp_path)
    _assert_bits(folder, None, by_common)
    del by_common
    model = storage.load_model(folder)
    # The encoder is the same one in all of these files, bit by bit: it is run once.
    maps = _run(lambda model, maps: model.decode(EncoderFeatures(*maps)), model, tuple(encoded(model)))
    assert_golden(torch_layout(maps.logits), load_npz("3dcseg/variants_decoder.npz"), f"{case}.logits")


@pytest.mark.parametrize("case", ENCODERS)
def test_a_network_with_another_backbone_gives_the_logits_of_the_original(case, tmp_path):
    name, options = ENCODERS[case]
    decoder = {k: v for k, v in manifests.manifest(WHOLE).items() if k.startswith("decoders.")}
    backbone = {k: v for k, v in manifests.manifest(name).items() if not k.startswith("fc.")}
    shapes = {**{f"encoder.{k}": v for k, v in backbone.items()}, **decoder}
    folder, _, _ = _converted("decoder", shapes, ".pth", tmp_path, *options)
    logits = models.forward(storage.load_model(folder), golden_clip(*VARIANTS))
    assert_golden(torch_layout(logits), load_npz("3dcseg/variants_backbone.npz"), f"{case}.logits")


@pytest.mark.parametrize(
    "name, depth, clip",
    [
        ("r2plus1d_18_kinetics400", 18, ("hou/r18/c", (1, 3, 7, 65, 97))),
        ("caffe2_r2plus1d_34", 34, ("hou/r34/c", (1, 3, 9, 50, 71))),
    ],
)
def test_an_r2plus1d_file_gives_the_logits_of_the_original(name, depth, clip, tmp_path):
    neutral = ("--set=mean=[0.0,0.0,0.0]", "--set=std=[1.0,1.0,1.0]")  # the golden clip is normalised already
    container = FILES[name][0]
    folder, _, _ = _converted(name, manifests.manifest(name), container, tmp_path, *neutral)
    logits = np.asarray(models.forward(storage.load_model(folder), golden_input(*clip, -2, 2)))
    file = f"r2plus1d/r2plus1d_{depth}"
    facts = load_json(f"{file}.json")["arrays"]["c.logits"]
    expected = load_npz(f"{file}.npz")["c.logits"]
    largest = max(abs(facts["min"]), abs(facts["max"]))
    assert facts["step"] == 1 and list(logits.shape) == facts["shape"]
    assert np.abs(logits.reshape(-1) - expected.reshape(-1)).max() <= 2e-5 * largest
