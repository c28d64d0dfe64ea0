from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vos3d_jax.models import observe, prepare
from vos3d_jax.models.abstract import abstract_model
from vos3d_jax.models.layers import BatchNorm, Conv, ConvSettings

CLIP = jax.ShapeDtypeStruct((1, 8, 128, 224, 3), np.uint8)


@pytest.fixture(scope="module")
def published_calls():
    return observe.convolutions(abstract_model("dcseg"), CLIP)


def test_the_published_network_has_the_convolutions_of_its_paper(published_calls):
    seen = Counter()
    for call in published_calls:
        shapes = call.geometry
        kind = shapes.size, shapes.inputs, shapes.outputs, shapes.kernel, shapes.stride, call.depthwise
        seen[kind] += call.count
    one = (1, 1, 1)
    for kind, count in {
        ((8, 128, 224), 3, 64, (3, 7, 7), (1, 2, 2), False): 1,  # the stem
        ((4, 16, 28), 128, 512, one, one, False): 8,  # the pointwise convolutions of stage 2
        ((2, 8, 14), 256, 256, (3, 3, 3), one, True): 35,  # the depthwise ones of stage 3, but the first
        ((1, 4, 7), 256, 256, (1, 1, 7), one, False): 1,  # the bridge: second ones that a list once forgot
        ((1, 4, 7), 256, 256, (1, 7, 1), one, False): 1,
        ((8, 32, 56), 256, 256, (3, 3, 3), one, False): 5,  # the last refinement, 256 channels of stage 1
    }.items():
        assert seen[kind] == count, kind
    assert seen.total() == 155 + 22  # of encoder and decoder, as in the published file


def test_a_scanned_convolution_counts_as_often_as_the_scan_is_long(published_calls):
    counts = {call.path: call.count for call in published_calls}
    assert counts["encoder", "stage3", "first", "reduce"] == 1
    assert counts["encoder", "stage3", "rest", "reduce"] == 35


class Twice(nnx.Module):
    """A convolution at two sizes, at one of them once a frame; its inputs are not one clip."""

    def __init__(self):
        self.conv = Conv(32, 32, (1, 3, 3), ending="norm", settings=ConvSettings(np.random.default_rng(0)))
        self.unused = Conv(4, 4, (1, 1, 1), settings=ConvSettings(np.random.default_rng(0)))

    def follow(self, x, maps):
        def step(sum_, frame):
            return sum_ + self.conv(frame[:, None]), None

        start = jnp.zeros_like(x[:, :1])
        return {"sum": jax.lax.scan(step, start, jnp.moveaxis(x, 1, 0))[0], "small": self.conv(maps["small"])}


INPUTS = jnp.ones((2, 5, 12, 20, 32)), {"small": jnp.ones((1, 1, 6, 4, 32))}


def test_a_convolution_that_is_run_at_two_sizes_is_listed_for_each():
    calls = observe.convolutions(Twice(), *INPUTS, method="follow")
    assert [(call.path, call.geometry.batch, call.geometry.size, call.count) for call in calls] == [
        (("conv",), 2, (1, 12, 20), 5),
        (("conv",), 1, (1, 6, 4), 1),
    ]


class TwoNorms(nnx.Module):
    """A norm that is folded into its convolution, and one that stands alone."""

    def __init__(self):
        settings = ConvSettings(np.random.default_rng(0))
        self.conv = Conv(32, 32, (1, 3, 3), ending="norm", settings=settings)
        self.norm = BatchNorm(32, settings)

    def __call__(self, x):
        return self.norm(self.conv(x))


def test_what_is_prepared_is_frozen_whichever_view_is_given():
    # Trap: folded norms were frozen, and those that stand alone followed the view.
    model, x = TwoNorms(), INPUTS[0]
    expected = model(x)
    given = prepare(nnx.view(model, batch_norm="train"), x)(x)
    np.testing.assert_allclose(given, expected, atol=2e-5 * float(jnp.abs(expected).max()))


def test_any_method_is_prepared_for_any_inputs():
    model = Twice()
    run = prepare(model, *INPUTS, method="follow")
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5 * float(jnp.abs(b).max())),
        run(*INPUTS),
        jax.jit(model.follow)(*INPUTS),
    )
    with pytest.raises(ValueError, match=r"prepared for inputs of shapes .*\(2, 5, 12, 20, 32\)"):
        run(INPUTS[0][:, :4], INPUTS[1])
