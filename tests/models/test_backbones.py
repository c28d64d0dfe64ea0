"""Encoders of other arguments than 3DC-Seg's: in 2D, with guidance, with dilation in place of strides."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden_networks import unstacked
from manifests import manifest

from vos3d_jax.models.bridges import GC3D
from vos3d_jax.models.encoder import HALVING, Plan, Stem
from vos3d_jax.models.layers import Conv, ConvSettings, ResidualPair
from vos3d_jax.models.r2plus1d import R2Plus1D
from vos3d_jax.models.refinement import RF3D
from vos3d_jax.models.resnet3d import ResNet3D
from vos3d_jax.porting import rules

FLAT = (1, 3, 3)
FRAME_BY_FRAME = (Plan(), *3 * (Plan(first={"stride": (1, 2, 2)}),))
ResNet2D = partial(ResNet3D, kernel_size=FLAT, stem_kernel=(1, 7, 7), plans=FRAME_BY_FRAME)


def make(kind, *sizes, seed=0, **options):
    settings = ConvSettings(np.random.default_rng(seed), implementation="lax")
    return kind(*sizes, settings=settings, **options)


@pytest.fixture(scope="module")
def resnet50():
    """{path: shape} of RGMP's encoder: a 2D ResNet-50 that takes a mask beside the frame."""
    encoder = make(ResNet2D, 50, guidance=1)
    return {f"encoder/{path}": leaf.shape for path, leaf in unstacked(encoder).items()}


def random(*shape, seed=1):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def run(module, x):
    graphdef, state = nnx.split(module)
    return jax.jit(lambda state, x: nnx.merge(graphdef, state)(x))(state, x)


@pytest.mark.parametrize("source, file", [("torchvision", "torchvision_resnet50"), ("rgmp", "rgmp")])
def test_a_2d_resnet_50_has_the_tensors_of_the_published_files(resnet50, source, file):
    paths = [path for path in resnet50 if source == "rgmp" or "guidance" not in path]
    names = rules.torch_names(paths, source, {"backbone": "image"})
    # Kernels of one tap in time are [o, i, h, w] there.
    ours = {name: rules.torch_shape(path, resnet50[path], planar=True) for path, name in names.items()}
    other = ("fc.", "Decoder.", "Encoder.mean", "Encoder.std")
    theirs = {
        name: shape
        for name, shape in manifest(file).items()
        if not name.startswith(other) and not name.endswith("num_batches_tracked")
    }
    assert ours == theirs


def test_a_2d_resnet_50_has_as_many_parameters_as_the_published_one(resnet50):
    counts = {path: math.prod(shape) for path, shape in resnet50.items()}
    trained = {path: n for path, n in counts.items() if not path.endswith(("/mean", "/var"))}
    assert sum(trained.values()) == 23_511_232  # with the convolution of RGMP's mask, 3,200
    assert sum(n for path, n in trained.items() if "guidance" not in path) == 23_508_032


def test_a_2d_resnet_sees_frames_one_by_one():
    encoder = make(ResNet2D, 14, width=2)
    clip = random(1, 3, 32, 64, 3)
    maps = run(encoder, clip)
    assert [x.shape[1:4] for x in maps] == [(3, 8, 16), (3, 8, 16), (3, 4, 8), (3, 2, 4), (3, 1, 2)]
    alone = run(encoder, clip[:, 2:])
    for together, frame in zip(maps, alone, strict=True):
        np.testing.assert_allclose(together[:, 2:], frame, atol=1e-5)


@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
def test_guidance_is_added_before_the_norm_of_the_stem(batch_norm):
    stem = make(Stem, 4, kernel_size=(1, 7, 7), guidance=1, pool="none")
    plain = make(Stem, 4, kernel_size=(1, 7, 7), pool="none")
    stem.norm.mean[...], stem.norm.var[...] = random(4), jnp.abs(random(4, seed=2)) + 0.5
    # The same function: one convolution of all four channels, whose bias moves the mean of the norm.
    kernels = [stem.conv.kernel[...], stem.guidance.kernel[...]]
    plain.conv.kernel = nnx.Param(jnp.concatenate(kernels, 3))
    plain.conv.norm.mean[...] = stem.norm.mean[...] - stem.guidance.bias[...]
    plain.conv.norm.var[...] = stem.norm.var[...]
    x = random(1, 2, 8, 10, 4)
    stem, plain = (nnx.view(module, batch_norm=batch_norm) for module in (stem, plain))
    np.testing.assert_allclose(stem(x), plain(x), atol=1e-5)
    moved = stem.norm.mean[...] - stem.guidance.bias[...]
    np.testing.assert_allclose(plain.conv.norm.mean[...], moved, atol=1e-5)
    np.testing.assert_allclose(plain.conv.norm.var[...], stem.norm.var[...], atol=1e-5)


def test_the_decoder_of_rgmp_is_made_of_flat_parts():
    flat = partial(Conv, kernel_size=FLAT)
    counts = {
        "GC": (15_598_592, partial(GC3D, 4096, 256)),
        "convG": (1_180_160, partial(ResidualPair, 256, unit=flat)),
        "RF4": (4_719_872, partial(RF3D, 1024, 256, unit=flat)),
        "RF3": (3_540_224, partial(RF3D, 512, 256, unit=flat)),
        "RF2": (2_950_400, partial(RF3D, 256, 256, unit=flat)),
        "pred": (4_610, partial(flat, 256, 2)),
    }
    for name, (count, part) in counts.items():
        shapes = [leaf.shape for leaf in jax.tree.leaves(nnx.state(make(part)))]
        assert sum(map(math.prod, shapes)) == count, name
        theirs = {n: s for n, s in manifest("rgmp").items() if n.startswith(f"Decoder.{name}")}
        assert sum(map(math.prod, theirs.values())) == count * (4 if name == "pred" else 1)


def dilated(*rates):
    """Plans of R(2+1)D whose last stages keep all frames, and see them at these rates."""
    plans, old = list(HALVING[: 4 - len(rates)]), 1
    for rate in rates:
        first = {"stride": (1, 2, 2), "dilations": (old, rate)}
        plans.append(Plan(first, {"dilations": (rate, rate)}))
        old = rate
    return tuple(plans)


def test_dilation_in_place_of_stride_gives_the_same_features_at_more_frames():
    clip = random(1, 9, 16, 16, 3)
    few, many = (run(make(R2Plus1D, 18, width=2, plans=plans), clip) for plans in (HALVING, dilated(2, 4)))
    assert (few.r5.shape[1], many.r5.shape[1]) == (2, 5)
    np.testing.assert_allclose(many.r4[:, ::2], few.r4, atol=1e-5 * np.abs(few.r4).max())
    np.testing.assert_allclose(many.r5[:, ::4], few.r5, atol=1e-5 * np.abs(few.r5).max())
