import numpy as np
import pytest
from golden_files import assert_golden, load_json, load_npz
from golden_networks import golden_input, set_recipe_weights, torch_layout, unstacked

from vos3d_jax.constants import BLOCKS
from vos3d_jax.models import csn
from vos3d_jax.models.encoder import Stage, Stem
from vos3d_jax.models.layers import ConvSettings
from vos3d_jax.porting import rules

BLOCK_CASES = {
    "ir_stride2_downsample": ("ir", 16, (2, 2, 2)),
    "ir_stride1_downsample": ("ir", 16, (1, 1, 1)),
    "ir_identity": ("ir", 32, (1, 1, 1)),
    "ip_stride2_downsample": ("ip", 16, (2, 2, 2)),
    "ip_identity": ("ip", 32, (1, 1, 1)),
}


def make(kind, *arguments, seed=0, **options):
    return kind(*arguments, settings=ConvSettings(np.random.default_rng(seed)), **options)


def module_names(module, case, path_prefix):
    """{path in the module: recipe name}; golden modules stand alone, so the rules see them as block 0."""
    paths = {f"{path_prefix}{path}": path for path in unstacked(module)}
    if "mix" in getattr(module, "__dict__", {}) and module.mix is not None:
        assert any("/mix/" in path for path in paths)
    names = rules.torch_names(paths, "3dcseg_backbone")
    return {paths[path]: f"modules.{case}.{name.removeprefix('layer1.0.')}" for path, name in names.items()}


@pytest.mark.parametrize("case", BLOCK_CASES)
def test_blocks_equal_the_original(case):
    separation, inputs, stride = BLOCK_CASES[case]
    shape = load_json("3dcseg/modules_manifest.json")[case]["inputs"][0]
    block = make(csn.Bottleneck, inputs, 8, separation=separation, stride=stride)
    assert (block.shortcut is not None) == ("downsample" in case)
    set_recipe_weights(block, module_names(block, case, "encoder/stage1/0/"))
    x = golden_input(f"dcseg.golden.modules.{case}.0", tuple(shape), -1, 1)
    assert_golden(torch_layout(block(x)), load_npz("3dcseg/modules.npz"), case)


@pytest.mark.parametrize("case, time_padding", [("stem_csn", 1), ("stem_csn_ip", 3)])
def test_stems_equal_the_original(case, time_padding):
    # Trap: the stem of the released ip-CSN adds four frames.
    shape = load_json("3dcseg/modules_manifest.json")[case]["inputs"][0]
    stem = make(Stem, 64, padding=(time_padding, 3, 3))
    set_recipe_weights(stem, module_names(stem, case, "encoder/stem/"))
    x = golden_input(f"dcseg.golden.modules.{case}.0", tuple(shape), -1, 1)
    y = stem(x)
    assert y.shape[1] == x.shape[1] + 2 * (time_padding - 1)
    assert_golden(torch_layout(y), load_npz("3dcseg/modules.npz"), case)


@pytest.mark.parametrize("depth", BLOCKS["csn"])
def test_the_number_of_blocks_of_a_stage_is_the_published_one(depth):
    encoder = make(csn.CSN, depth, width=1)
    stages = [encoder.stage1, encoder.stage2, encoder.stage3, encoder.stage4]
    counts = [1 + (0 if s.rest is None else s.rest.reduce.kernel[...].shape[0]) for s in stages]
    assert tuple(counts) == BLOCKS["csn"][depth]


def test_scanned_blocks_equal_the_same_blocks_one_after_another():
    first = make(csn.Bottleneck, 8, 2, separation="ir")
    rest = [make(csn.Bottleneck, 8, 2, seed=seed, separation="ir") for seed in (1, 2, 3)]
    stage = Stage(first, iter(rest).__next__, len(rest), remat=False)
    x = golden_input("scan", (1, 8, 2, 5, 4))
    expected = stage.first(x)
    flat = unstacked(stage)
    for i in (1, 2, 3):
        block = make(csn.Bottleneck, 8, 2, separation="ir")
        _assign(block, {p.removeprefix(f"{i}/"): v for p, v in flat.items() if p.startswith(f"{i}/")})
        expected = block(expected)
    np.testing.assert_allclose(stage(x), expected, atol=1e-6)


def _assign(module, flat):
    from flax import nnx

    from vos3d_jax.models import stacking

    nnx.update(module, stacking.nest(flat))
