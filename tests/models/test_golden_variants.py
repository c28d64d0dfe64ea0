"""Whole networks of the variants equal the originals: decoders, backbones and classifiers of 3DC-Seg's kin.

The decoders share one pass of the encoder: theirs are run on its maps, in a network with a small encoder.
"""

import jax
import numpy as np
import pytest
from flax import nnx
from golden_files import assert_golden, load_json, load_npz, recipe
from golden_networks import golden_clip, golden_input, recipe_network, torch_layout, unstacked
from variant_networks import names, set_weights, tables

from vos3d_jax.models import build_model
from vos3d_jax.models.stages import EncoderFeatures
from vos3d_jax.porting import rules_variants

pytestmark = pytest.mark.slow


def compiled(model, method):
    graphdef, state = nnx.split(model)
    run = jax.jit(lambda state, x: method(nnx.merge(graphdef, state), x))
    return lambda x: run(nnx.to_pure_dict(state), x)


def variant(**arguments):
    """A network of 3DC-Seg with the recipe's weights."""
    model = build_model("dcseg", **arguments)
    set_weights(model, names(unstacked(model), *tables(**arguments)))
    return model


@pytest.fixture(scope="module")
def encoded():
    """The maps of ir-CSN-152 for the clip of all variants."""
    model = build_model("dcseg", depth=152, decoder_width=1)
    set_weights(model, names(unstacked(model)))
    run = compiled(model, lambda model, x: model.features(x))
    features = run(golden_clip("dcseg.golden.variants", (1, 3, 8, 64, 64)))
    return EncoderFeatures(*features[:5])


DECODERS = {
    "bridge_C3D": dict(bridge="c3d"),
    "bridge_NL": dict(bridge="nl3d"),
    "bridge_ASPPModule": dict(bridge="aspp"),
    "refine_RefineSimple": dict(refinement="upsampling"),
    "refine_Refine3dLight": dict(refinement="light"),
    "refine_Refine3dLightGN": dict(refinement="light_gn"),
    "refine_Refine3dDG": dict(refinement="dg"),
    "refine_Refine2plus1d": dict(refinement="two_plus_one_d"),
    "refine_Refine3dConvTranspose": dict(refinement="conv_transpose"),
}


@pytest.mark.parametrize("case", DECODERS)
def test_the_other_decoders_equal_the_original(encoded, case):
    golden = load_npz("3dcseg/variants_decoder.npz")
    model = variant(depth=14, **DECODERS[case])
    features = compiled(model, lambda model, x: model.decode(x))(encoded)
    for stage in ("bridge", "m2", "logits"):
        assert_golden(torch_layout(getattr(features, stage)), golden, f"{case}.{stage}")


BACKBONES = {
    "resnet50": dict(backbone="resnet", depth=50),
    "resnet101": dict(backbone="resnet", depth=101),
    "resnet50_no_ts": dict(backbone="resnet", depth=50, temporal_strides=False),
    "r2plus1d_34": dict(backbone="r2plus1d", depth=34),
}


@pytest.mark.parametrize("case", BACKBONES)
def test_the_other_kinds_of_backbones_equal_the_original(case):
    golden = load_npz("3dcseg/variants_backbone.npz")
    features = compiled(variant(**BACKBONES[case]), lambda model, x: model.features(x))(
        golden_clip("dcseg.golden.variants", (1, 3, 8, 64, 64))
    )
    for stage in ("r2", "r3", "r4", "r5", "logits"):
        assert_golden(torch_layout(getattr(features, stage)), golden, f"{case}.{stage}")


def run_classifier(model, clip):
    """{name in the golden files: array in PyTorch's layout}."""

    def both(model, clip):
        maps = model.encoder(clip)
        return maps, maps.r5.mean((1, 2, 3)), model.fc(maps.r5.mean((1, 2, 3)))

    maps, pooled, logits = compiled(model, both)(clip)
    stages = ["stem", "layer1", "layer2", "layer3", "layer4"]
    arrays = {name: torch_layout(value) for name, value in zip(stages, maps, strict=True)}
    return {**arrays, "pooled": np.asarray(pooled), "logits": np.asarray(logits)}


CSN_FILES = {
    "vmz_ir_csn_152": ("vmz", dict(depth=152)),
    "vmz_ip_csn_152": ("vmz", dict(depth=152, separation="ip")),
    "mmaction2_ir_csn_50": ("mmaction2", dict(depth=50)),
    "mmaction2_ir_csn_152": ("mmaction2", dict(depth=152)),
    "mmaction2_ip_csn_152": ("mmaction2", dict(depth=152, separation="ip")),
    "pytorchvideo_csn_r101": ("pytorchvideo", dict(depth=101, epsilon=1e-5)),
}


@pytest.mark.parametrize("case", CSN_FILES)
def test_csn_classifiers_of_every_source_equal_the_original(case):
    source, arguments = CSN_FILES[case]
    golden = load_npz(f"csn/{case}.npz")
    mean, std = (np.array(x) for x in ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)))
    clip = (golden_input("csn_clip", (1, 3, 8, 64, 64)) - mean) / std
    arrays = run_classifier(recipe_network("csn_classifier", source, **arguments), clip.astype(np.float32))
    assert_golden(arrays["logits"][0], golden, "logits")
    for name in ("stem", "layer1", "layer2", "layer3", "layer4"):
        entry = {
            name: golden[name],
            f"{name}__shape": golden[f"{name}_shape"],
            f"{name}__step": golden[f"{name}_every"],
            # The largest value is not stored; the tolerance is relative to ours.
            f"{name}__stats": [*golden[f"{name}_stats"], np.abs(arrays[name]).max()],
        }
        assert_golden(arrays[name], entry, name)


R2PLUS1D = {
    "r2plus1d_18": (18, {"a": (2, 3, 8, 112, 112), "b": (1, 3, 16, 112, 112), "c": (1, 3, 7, 65, 97)}),
    "r2plus1d_34": (34, {"a": (1, 3, 8, 112, 112), "b": (1, 3, 32, 112, 112), "c": (1, 3, 9, 50, 71)}),
}


def r2plus1d_classifier(depth, **arguments):
    model = build_model("r2plus1d_classifier", depth=depth, **arguments)
    table = {"fc": ("fc", None), **rules_variants.encoder("r2plus1d", "", "stem")}
    set_weights(model, names(unstacked(model), table))
    return model


def assert_r2plus1d(arrays, file, prefix):
    golden, described = load_npz(f"r2plus1d/{file}.npz"), load_json(f"r2plus1d/{file}.json")["arrays"]
    for name, value in arrays.items():
        key = f"{prefix}.{name}"
        facts = described[key]
        largest = max(abs(facts["min"]), abs(facts["max"]))
        entry = {
            key: golden[key],
            f"{key}__shape": facts["shape"],
            f"{key}__step": facts["step"],
            f"{key}__stats": [facts["mean"], facts["std"], facts["abs_sum"], largest],
        }
        assert_golden(value, entry, key)


@pytest.mark.parametrize("file", R2PLUS1D)
def test_r2plus1d_classifiers_equal_the_original(file):
    depth, clips = R2PLUS1D[file]
    model = r2plus1d_classifier(depth)
    for case, shape in clips.items():
        arrays = run_classifier(model, golden_input(f"hou/r{depth}/{case}", shape, -2, 2))
        assert_r2plus1d(arrays, file, case)
        if (depth, case) == (34, "a"):
            for classes in (359, 487):
                weight = recipe.weight("fc.weight", (classes, 512))
                logits = arrays["pooled"] @ weight.T + recipe.weight("fc.bias", (classes,))
                assert_r2plus1d({f"logits{classes}": logits}, file, case)


def test_the_epsilon_of_r2plus1d_shows_in_the_logits():
    # Trap: 1e-5 in place of 1e-3 fits as well, and gives other numbers: those of the negative control.
    model = r2plus1d_classifier(34, epsilon=1e-5)
    arrays = run_classifier(model, golden_input("hou/r34/a", (1, 3, 8, 112, 112), -2, 2))
    assert_r2plus1d({"logits_with_wrong_eps_1e-5": arrays["logits"]}, "r2plus1d_34", "a")
