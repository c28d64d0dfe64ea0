"""Each bridge, refinement and block that 3DC-Seg has beside the published ones equals the original."""

import numpy as np
import pytest
from golden_files import assert_golden, load_json, load_npz
from golden_networks import golden_input, torch_layout, unstacked
from variant_networks import names, set_weights

from vos3d_jax.models import r2plus1d, resnet3d, stages
from vos3d_jax.models.bridges import BRIDGES
from vos3d_jax.models.layers import Setting
from vos3d_jax.models.refinement import REFINEMENTS
from vos3d_jax.porting import rules_variants


def make(kind, *sizes, epsilon=1e-5, **options):
    return kind(*sizes, rng=np.random.default_rng(0), setting=Setting(epsilon=epsilon), **options)


def assert_equals_the_original(module, case, path, theirs, table):
    """`module` stands alone in the golden file; in a network it is at `path`, under the name `theirs`."""
    prefix = f"modules.{case}."
    found = names([path + own for own in unstacked(module)], table)
    found = {ours: prefix + name.removeprefix(theirs) for ours, name in found.items()}
    manifest = load_json("3dcseg/modules_manifest.json")[case]
    listed = {prefix + name for name in manifest["state"] if not name.endswith("num_batches_tracked")}
    assert set(found.values()) == listed
    set_weights(module, found, path)
    inputs = [
        golden_input(f"dcseg.golden.modules.{case}.{i}", tuple(shape), -1, 1)
        for i, shape in enumerate(manifest["inputs"])
    ]
    assert_golden(torch_layout(module(*inputs)), load_npz("3dcseg/modules.npz"), case)


@pytest.mark.parametrize(
    "bridge, case, sizes", [("c3d", "C3D", (6, 5)), ("nl3d", "NL", (6, 8)), ("aspp", "ASPPModule", (64, 64))]
)
def test_bridges_equal_the_original(bridge, case, sizes):
    module = make(BRIDGES[bridge], *sizes)
    assert_equals_the_original(module, case, "bridge/", "decoders.0.GC.", rules_variants.BRIDGES[bridge])


@pytest.mark.parametrize(
    "refinement, case, sizes",
    [
        ("upsampling", "RefineSimple", (5, 4)),
        ("light", "Refine3dLight", (5, 4)),
        ("light_gn", "Refine3dLightGN", (64, 32)),
        ("dg", "Refine3dDG", (5, 4)),
        ("two_plus_one_d", "Refine2plus1d", (5, 4)),
        ("conv_transpose", "Refine3dConvTranspose", (5, 4)),
    ],
)
def test_refinements_equal_the_original(refinement, case, sizes):
    module = make(REFINEMENTS[refinement], *sizes)
    table = rules_variants.REFINEMENTS[refinement]
    assert_equals_the_original(module, case, "refine4/", "decoders.0.RF4.", table)


BLOCKS = {
    "plain_stride2_downsample": dict(stride=(2, 2, 2)),
    "plain_dilated_no_temporal_stride": dict(stride=(1, 2, 2), dilation=(2, 1, 1)),
}


@pytest.mark.parametrize("case", BLOCKS)
def test_dense_blocks_equal_the_original(case):
    block = make(resnet3d.Bottleneck, 16, 8, projection=True, **BLOCKS[case])
    table = rules_variants.encoder("resnet", "", "")
    assert_equals_the_original(block, case, "encoder/stage1/0/", "layer1.0.", table)


@pytest.mark.parametrize(
    "case, inputs, stride",
    [("r2plus1d_block_stride2", 8, (2, 2, 2)), ("r2plus1d_block_identity", 16, (1, 1, 1))],
)
def test_factorised_blocks_equal_the_original(case, inputs, stride):
    block = make(
        r2plus1d.Block, inputs, 16, stride=stride, projection=inputs != 16, midplanes="block", epsilon=1e-3
    )
    table = rules_variants.encoder("r2plus1d", "", "stem")
    assert_equals_the_original(block, case, "encoder/stage1/0/", "layer1.0.", table)


def test_the_stem_of_3d_resnets_equals_the_original():
    stem = make(stages.Stem, 64, time_padding=3, time_taps=7)
    table = rules_variants.encoder("resnet", "", "")
    assert_equals_the_original(stem, "stem_resnet", "encoder/stem/", "", table)
