import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vos3d_jax.models.layers import ConvSettings
from vos3d_jax.models.separable import SeparableConv


@pytest.mark.parametrize("inner_norm", [False, True])
@pytest.mark.parametrize("dilation", [(1, 1, 1), (1, 2, 2)])
def test_a_separable_convolution_is_a_grouped_and_a_pointwise_one(inner_norm, dilation):
    settings = ConvSettings(np.random.default_rng(0), implementation="lax")
    layer = SeparableConv(4, 6, dilation=dilation, inner_norm=inner_norm, settings=settings)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 3, 6, 5, 4)), jnp.float32)
    dimensions = ("NDHWC", "DHWIO", "NDHWC")
    y = jax.lax.conv_general_dilated(
        x,
        layer.depthwise.kernel[...],
        (1, 1, 1),
        [(d, d) for d in dilation],
        rhs_dilation=dilation,
        dimension_numbers=dimensions,
        feature_group_count=4,
    )
    if inner_norm:
        y = jax.nn.relu(y / np.sqrt(1 + 1e-5))
    y = jnp.einsum("bthwi,io->bthwo", y, layer.pointwise.kernel[...][0, 0, 0]) / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(layer(x), y, atol=1e-5)
