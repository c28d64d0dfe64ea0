"""The depthwise-separable 3D convolution: one kernel per channel, then a 1x1x1 mix of the channels.

Used by channel-separated ResNets (ip-CSN: batch norm and ReLU between the two steps) and by the separable 3D
convolutions of Hou et al. (BMVC 2019: nothing between them).
"""

import jax
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.models.layers import Conv, ConvSettings, Initialiser, Triple, fan_in_uniform


class SeparableConv(nnx.Module):
    """Depthwise convolution (`kernel_size`, `stride`, `dilation`), then pointwise convolution and batch norm.

    With `inner_norm` a batch norm and a ReLU stand between the two; there is no ReLU at the end.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: Triple = (3, 3, 3),
        *,
        settings: ConvSettings,
        stride: Triple = (1, 1, 1),
        dilation: Triple = (1, 1, 1),
        inner_norm: bool = False,
        initial: Initialiser = fan_in_uniform,
    ):
        self.inner_norm = inner_norm
        self.depthwise = Conv(
            inputs,
            inputs,
            kernel_size,
            stride=stride,
            dilation=dilation,
            depthwise=True,
            ending="norm" if inner_norm else "none",
            settings=settings,
            initial=initial,
        )
        self.pointwise = Conv(inputs, outputs, (1, 1, 1), ending="norm", settings=settings, initial=initial)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t2 h2 w2 o"]:
        """Returns norm(pointwise(depthwise(x))): time, height and width over the stride."""
        x = self.depthwise(x)
        return self.pointwise(jax.nn.relu(x) if self.inner_norm else x)
