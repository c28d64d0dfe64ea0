"""3DC-Seg as published equals the original PyTorch network (golden/3dcseg), map by map."""

import jax
import numpy as np
import pytest
from flax import nnx
from golden_files import assert_golden, load_npz
from golden_networks import golden_clip, golden_input, recipe_network, torch_layout

from vos3d_jax.models import build_model

CLIPS = {
    "final_small": (1, 3, 8, 64, 96),
    "final_odd_batch": (2, 3, 4, 96, 64),
    "final_odd_long": (1, 3, 16, 32, 64),
    "final_odd_time5": (1, 3, 5, 64, 64),
    "final_odd_size": (1, 3, 8, 50, 70),
}
VARIANTS = {
    "ir_csn_26": dict(depth=26),
    "ir_csn_50": dict(depth=50),
    "ir_csn_101": dict(depth=101),
    "resnet152_csn_ip": dict(depth=152, separation="ip", stem_time_padding=3),
}


def features_function(model):
    graphdef, state = nnx.split(model)
    state = nnx.to_pure_dict(state)
    compiled = jax.jit(lambda state, clip: nnx.merge(graphdef, state).features(clip))
    return lambda clip: compiled(state, clip)


@pytest.fixture(scope="module")
def published():
    return features_function(recipe_network("dcseg", "3dcseg", depth=152))


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIPS)
def test_every_map_of_the_published_network_equals_the_original(published, name):
    golden = load_npz(f"3dcseg/{name}.npz")
    features = published(golden_clip(f"dcseg.golden.{name}", CLIPS[name]))
    for stage in features._fields:
        assert_golden(torch_layout(getattr(features, stage)), golden, stage)
    probability = jax.nn.softmax(features.logits, -1)[..., 1:]
    assert_golden(torch_layout(probability)[:, 0], golden, "probability")


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_the_other_backbones_equal_the_original(name):
    golden = load_npz("3dcseg/variants_backbone.npz")
    features = features_function(recipe_network("dcseg", "3dcseg", **VARIANTS[name]))(
        golden_clip("dcseg.golden.variants", (1, 3, 8, 64, 64))
    )
    for stage in ("r2", "r3", "r4", "r5", "logits"):
        assert_golden(torch_layout(getattr(features, stage)), golden, f"{name}.{stage}")


def test_sizes_that_four_does_not_divide_give_larger_logits():
    # Trap: only the last step has a fixed factor; 50x70 gives 52x72, as in final_odd_size.
    model = build_model("dcseg", depth=14, width=4, decoder_width=8)
    logits = jax.eval_shape(model, jax.ShapeDtypeStruct((1, 8, 50, 70, 3), np.uint8))
    assert logits.shape == (1, 8, 52, 72, 2)


@pytest.mark.slow
@pytest.mark.parametrize("separation", ["ir", "ip"])
def test_vmz_classifiers_equal_the_original(separation):
    golden = load_npz("3dcseg/vmz_csn_152.npz")
    model = recipe_network(
        "csn_classifier", "vmz", separation=separation, mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0]
    )
    graphdef, state = nnx.split(model)

    @jax.jit
    def run(state, clip):
        model = nnx.merge(graphdef, state)
        return model.encoder(clip), model(clip)

    encoded, logits = run(nnx.to_pure_dict(state), golden_input("dcseg.golden.vmz", (1, 3, 8, 56, 64), -1, 1))
    for name, value in zip(["stem", "layer1", "layer2", "layer3", "layer4"], encoded, strict=True):
        assert_golden(torch_layout(value), golden, f"{separation}.{name}")
    assert_golden(np.asarray(logits), golden, f"{separation}.logits")
