"""Each bridge, refinement and block that 3DC-Seg has beside the published ones equals the original."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden_files import assert_golden, load_json, load_npz
from golden_networks import golden_input, set_recipe_weights, torch_layout, unstacked

from vos3d_jax.errors import UserError
from vos3d_jax.models import aspp, build_model, encoder, forward, prepare, r2plus1d, resnet3d, stacking
from vos3d_jax.models.bridges import BRIDGES
from vos3d_jax.models.layers import BatchNorm, ConvSettings
from vos3d_jax.models.norms import GroupNorm
from vos3d_jax.models.refinement import REFINEMENTS
from vos3d_jax.porting import rules, targets


def make(kind, *sizes, epsilon=1e-5, implementation="auto", **options):
    settings = ConvSettings(np.random.default_rng(0), implementation, epsilon)
    return kind(*sizes, settings=settings, **options)


def run(module, *inputs):
    graphdef, state = nnx.split(module)
    return np.asarray(jax.jit(lambda state, *x: nnx.merge(graphdef, state)(*x))(state, *inputs))


def assert_equals_the_original(module, case, path, theirs, **words):
    """`module` stands alone in the golden file; in a network it is at `path`, under the name `theirs`."""
    prefix = f"modules.{case}."
    names = rules.torch_names([path + own for own in unstacked(module)], "3dcseg", words)
    names = {ours: prefix + name.removeprefix(theirs) for ours, name in names.items()}
    manifest = load_json("3dcseg/modules_manifest.json")[case]
    listed = {prefix + name for name in manifest["state"] if not name.endswith("num_batches_tracked")}
    assert set(names.values()) == listed
    set_recipe_weights(module, names, path)
    inputs = [
        golden_input(f"dcseg.golden.modules.{case}.{i}", tuple(shape), -1, 1)
        for i, shape in enumerate(manifest["inputs"])
    ]
    assert_golden(torch_layout(run(module, *inputs)), load_npz("3dcseg/modules.npz"), case)


@pytest.mark.parametrize(
    "bridge, case, sizes",
    [("c3d", "C3D", (6, 5)), ("nl3d", "NL", (6, 8)), ("aspp", "ASPPModule", (64, 64))],
)
def test_bridges_equal_the_original(bridge, case, sizes):
    module = make(BRIDGES[bridge], *sizes)
    assert_equals_the_original(module, case, "bridge/", "decoders.0.GC.", bridge=bridge)


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
    assert_equals_the_original(module, case, "refine4/", "decoders.0.RF4.", refinement=refinement)


BLOCKS = {
    "plain_stride2_downsample": dict(stride=(2, 2, 2)),
    "plain_dilated_no_temporal_stride": dict(stride=(1, 2, 2), dilation=(2, 1, 1)),
}


@pytest.mark.parametrize("case", BLOCKS)
def test_dense_blocks_equal_the_original(case):
    block = make(resnet3d.Bottleneck, 16, 8, **BLOCKS[case])
    assert_equals_the_original(block, case, "encoder/stage1/0/", "encoder.layer1.0.", backbone="resnet")


@pytest.mark.parametrize(
    "case, inputs, stride",
    [("r2plus1d_block_stride2", 8, (2, 2, 2)), ("r2plus1d_block_identity", 16, (1, 1, 1))],
)
def test_factorised_blocks_equal_the_original(case, inputs, stride):
    block = make(r2plus1d.Block, inputs, 16, stride=stride, midplanes="block", epsilon=1e-3)
    assert_equals_the_original(block, case, "encoder/stage1/0/", "encoder.layer1.0.", backbone="r2plus1d")


def test_the_stem_of_3d_resnets_equals_the_original():
    stem = make(encoder.Stem, 64, kernel_size=(7, 7, 7))
    assert_equals_the_original(stem, "stem_resnet", "encoder/stem/", "encoder.", backbone="resnet")


def shuffled(module, seed=1):
    """`module` with norms whose scale, bias and statistics are not those of the start."""
    rng = np.random.default_rng(seed)
    flat = {
        path: rng.uniform(0.5, 1.5, value.shape).astype(np.float32)
        if path.rsplit("/", 1)[-1] in ("scale", "bias", "mean", "var")
        else value
        for path, value in unstacked(module).items()
    }
    nnx.update(module, jax.tree.map(jnp.asarray, stacking.stack(flat)))
    return module


PARTS = {
    **{f"bridge {name}": name for name in BRIDGES},
    **{f"refinement {name}": name for name in REFINEMENTS},
}


def random(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def part(name, **options):
    """(module, its inputs)."""
    skip, coarse = random(1, 4, 6, 8, 12), random(1, 2, 3, 4, 8)
    if name.startswith("bridge"):
        return shuffled(make(BRIDGES[PARTS[name]], 12, 8, **options)), [skip]
    return shuffled(make(REFINEMENTS[PARTS[name]], 12, 8, **options)), [skip, coarse]


@pytest.mark.parametrize("name", PARTS)
def test_a_prepared_part_gives_the_same_numbers(name):
    module, inputs = part(name)
    expected = run(module, *inputs)
    assert np.abs(prepare(module, *inputs)(*inputs) - expected).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("mode", ["frozen", "train"])
@pytest.mark.parametrize("name", PARTS)
def test_every_weight_of_a_part_gets_a_gradient(name, mode):
    module, inputs = part(name, implementation="lax")
    module = nnx.view(module, batch_norm=mode, raise_if_not_found=False)
    graphdef, parameters, statistics = nnx.split(module, nnx.Param, nnx.BatchStat)

    def loss(parameters):
        copy = nnx.merge(graphdef, parameters, statistics, copy=True)
        y = copy(*inputs)
        return (y * random(*y.shape, seed=3)).sum(), nnx.to_pure_dict(nnx.state(copy, nnx.BatchStat))

    gradient, moved = jax.jit(jax.grad(loss, has_aux=True))(nnx.to_pure_dict(parameters))
    # What a softmax or the statistics of the batch take away again: only rounding is left.
    idle = ("phi/bias", "expand/bias") if mode == "train" else ("phi/bias",)
    for path, leaf in stacking.flatten(gradient).items():
        assert path in idle or jnp.abs(leaf).max() > 0, path
    same = jax.tree.map(np.array_equal, moved, nnx.to_pure_dict(statistics))
    assert all(x == (mode == "frozen") for x in jax.tree.leaves(same))


@pytest.mark.parametrize("name", PARTS)
def test_parts_keep_half_precision(name):
    module, inputs = part(name)
    half = [x.astype(jnp.bfloat16) for x in inputs]
    assert jax.eval_shape(lambda *x: module(*x), *half).dtype == jnp.bfloat16


def test_a_non_local_block_starts_as_the_identity():
    bridge = make(BRIDGES["nl3d"], 6, 4)
    x = random(1, 2, 5, 4, 6)
    np.testing.assert_array_equal(bridge(x), bridge.reduce(x))


def test_the_non_local_block_says_which_clips_are_too_small():
    with pytest.raises(UserError, match="4x1 here: use frames of more than 32 pixels"):
        make(BRIDGES["nl3d"], 6, 4)(random(1, 2, 1, 4, 6))


def test_the_transposed_convolution_says_which_clips_it_takes():
    refinement = make(REFINEMENTS["conv_transpose"], 5, 4)
    with pytest.raises(UserError, match="multiple of 8 frames"):
        refinement(random(1, 3, 4, 4, 5), random(1, 2, 2, 2, 4))


@pytest.mark.parametrize("dilation, size", [(1, (5, 6)), (3, (7, 4)), (9, (2, 3))])
def test_the_grouped_convolution_is_laxs(dilation, size):
    # Trap: 64 groups of 32 channels, not a depthwise convolution.
    module = aspp.GroupedConv(12, 3, dilation, rng=np.random.default_rng(0))
    x = random(2, 2, *size, 12)
    expected = jax.lax.conv_general_dilated(
        x,
        module.kernel[...],
        (1, 1, 1),
        ((0, 0), (dilation, dilation), (dilation, dilation)),
        rhs_dilation=(1, dilation, dilation),
        feature_group_count=3,
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
    )
    np.testing.assert_allclose(module(x), expected, atol=1e-5)


def test_group_norm_is_that_of_each_clip_and_group():
    norm = shuffled(GroupNorm(6, 3))
    x = random(2, 3, 4, 5, 6)
    y = np.asarray(norm(x))
    for clip in range(2):
        for group in range(3):
            channels = slice(2 * group, 2 * group + 2)
            part = np.asarray(x, np.float64)[clip, ..., channels]
            expected = (part - part.mean()) / np.sqrt(part.var() + 1e-5)
            expected = expected * np.asarray(norm.scale)[channels] + np.asarray(norm.bias)[channels]
            np.testing.assert_allclose(y[clip, ..., channels], expected, atol=1e-5)


def test_the_pool_of_the_resnet_classifier_has_stride_two_in_time_too():
    x = -1 - jnp.abs(random(1, 5, 6, 7, 2))  # all negative: padding must not win
    padded = np.pad(np.asarray(x), ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    y = np.asarray(encoder.max_pool(x, "all"))
    assert y.shape == (1, 3, 3, 4, 2)
    for t, h, w in np.ndindex(3, 3, 4):
        window = padded[:, 2 * t : 2 * t + 3, 2 * h : 2 * h + 3, 2 * w : 2 * w + 3]
        np.testing.assert_array_equal(y[:, t, h, w], window.max((1, 2, 3)))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(backbone="vit"), "backbone='vit': choose from csn, resnet, r2plus1d"),
        (dict(backbone="resnet", depth=34), "backbone resnet has no depth=34: choose from 14, 26, 50"),
        (dict(backbone="r2plus1d"), "backbone r2plus1d has no depth=152: choose from 10, 18, 34"),
        (dict(backbone="resnet", separation="ip"), "backbone resnet has no separation='ip'"),
        (dict(backbone="r2plus1d", depth=18, stem_time_padding=3), "has no stem_time_padding=3"),
        (dict(temporal_strides=False), "dcseg has no temporal_strides=False"),
        (dict(bridge="gcn"), "bridge='gcn': choose from gc3d, c3d, nl3d, aspp"),
        (dict(refinement="heavy"), "refinement='heavy': choose from rf3d, upsampling, light"),
    ],
)
def test_an_impossible_variant_is_named(arguments, words):
    with pytest.raises(UserError, match=words):
        build_model("dcseg", **arguments)


@pytest.mark.parametrize(
    "system, arguments, epsilon",
    [
        ("dcseg", dict(depth=14), 1e-5),
        ("dcseg", dict(backbone="resnet", depth=14), 1e-5),
        ("dcseg", dict(backbone="r2plus1d", depth=34), 1e-3),
        ("r2plus1d_classifier", dict(depth=34), 1e-3),
        ("r2plus1d_classifier", dict(depth=18), 1e-5),
    ],
)
def test_the_published_epsilon_is_the_default(system, arguments, epsilon):
    # Trap: the weights of R(2+1)D-34 fit with any epsilon, and mean 1e-3.
    model = build_model(system, width=1, **arguments)
    norms = [part for _, part in nnx.iter_modules(model.encoder) if isinstance(part, BatchNorm)]
    assert model.arguments["epsilon"] == epsilon
    assert {norm.epsilon for norm in norms} == {epsilon}


@pytest.mark.parametrize(
    "arguments, part, count",
    [
        (dict(bridge="c3d"), "decoder", 51_374_600),
        (dict(bridge="nl3d"), "decoder", 37_875_336),
        (dict(bridge="aspp"), "decoder", 39_738_760),
        (dict(refinement="upsampling"), "decoder", 34_857_992),
        (dict(refinement="light"), "decoder", 13_209_864),
        (dict(refinement="light_gn"), "decoder", 13_247_240),
        (dict(refinement="dg"), "decoder", 12_420_360),
        (dict(refinement="two_plus_one_d"), "decoder", 41_950_664),
        (dict(refinement="conv_transpose"), "decoder", 47_050_760),
        (dict(backbone="resnet", depth=50), "encoder", 46_198_976),
        (dict(backbone="resnet", depth=101), "encoder", 85_245_120),
        (dict(backbone="resnet", depth=152), "encoder", 117_403_840),
        (dict(backbone="r2plus1d", depth=34), "encoder", 63_491_975),
    ],
)
def test_a_variant_has_as_many_parameters_as_the_original(arguments, part, count):
    shapes = targets.shapes("dcseg", {"depth": 14, **arguments})
    ours = sum(
        math.prod(shape)
        for path, shape in shapes.items()
        if path.startswith("encoder/") == (part == "encoder") and not path.endswith(("/mean", "/var"))
    )
    side_outputs = 3 * (2 * 256 * 27 + 2)  # pred3 to pred5, which nothing reads
    assert ours == (count if part == "encoder" else count - side_outputs)


NETWORKS = {
    "c3d": dict(backbone="resnet", depth=14, temporal_strides=False, bridge="c3d", refinement="upsampling"),
    "nl3d": dict(backbone="r2plus1d", depth=10, bridge="nl3d", refinement="two_plus_one_d"),
    "aspp": dict(depth=14, bridge="aspp", refinement="light_gn"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_prepared_variant_gives_the_same_numbers_for_odd_sizes(name):
    model = shuffled(build_model("dcseg", width=4, decoder_width=8, **NETWORKS[name]))
    clip = np.random.default_rng(0).integers(0, 256, (1, 3, 33, 50, 3)).astype(np.uint8)
    expected = np.asarray(forward(model, clip))
    assert expected.shape == (1, 3, 36, 52, 2)
    assert np.abs(prepare(model, clip)(clip) - expected).max() <= 2e-5 * np.abs(expected).max()
