"""ResNets with full convolutions: in 3D, other encoders of 3DC-Seg (Hara et al., CVPR 2018), or in 2D.

A 2D ResNet (He et al., CVPR 2016) sees frames one by one, [b, t, h, w, c] with any t: its kernels have one
tap in time, and its stages no stride there.
"""

from collections.abc import Sequence
from functools import partial

import jax
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.constants import BLOCKS
from vos3d_jax.models.csn import EXPANSION
from vos3d_jax.models.encoder import HALVING, Encoder, Plan, Pool, Stem, projection
from vos3d_jax.models.layers import Conv, ConvSettings, Triple, encoder_normal

# The last two stages keep the time axis: r4 and r5 have the frames of r3 (`resnet50_no_ts` of 3DC-Seg).
NO_TEMPORAL_STRIDES = (*HALVING[:2], *2 * (Plan(first={"stride": (1, 2, 2), "dilation": (2, 1, 1)}),))


class Bottleneck(nnx.Module):
    """1x1x1 to the bottleneck width, `kernel_size`, 1x1x1 to four times the width, plus the shortcut.

    Batch norm follows each convolution, ReLU the first two and the sum. Stride and dilation are in the second
    (PyTorch's way, not that of the paper, which has the stride in the first).
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        kernel_size: Triple = (3, 3, 3),
        stride: Triple = (1, 1, 1),
        dilation: Triple = (1, 1, 1),
        settings: ConvSettings,
    ):
        options = dict(ending="norm", settings=settings, initial=encoder_normal)
        outputs = EXPANSION * width
        self.reduce = Conv(inputs, width, (1, 1, 1), **options)
        self.spatial = Conv(width, width, kernel_size, stride=stride, dilation=dilation, **options)
        self.expand = Conv(width, outputs, (1, 1, 1), **options)
        self.shortcut = projection(inputs, outputs, stride, settings=settings)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t2 h2 w2 o"]:
        """Returns ReLU(expanded + shortcut): `outputs` channels, time, height and width over the stride."""
        y = jax.nn.relu(self.reduce(x))
        y = jax.nn.relu(self.spatial(y))
        y = self.expand(y)
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet3D(Encoder):
    """The encoder: stem and four stages of bottlenecks of widths w, 2w, 4w, 8w, which give four times that.

    Args:
        depth: a key of `BLOCKS["resnet"]`.
        width: w.
        kernel_size: of the middle convolution of each block; (1,3,3) in 2D.
        stem_kernel: (1,7,7) in 2D.
        guidance: channels that the stem takes after RGB, as of `Stem`.
        plans: of the stages; in 2D strides of (1,2,2), which keep all frames.
        pool: "space" in the segmentation networks of 3DC-Seg, "all" in its class for classification.
        remat: as of `DCSeg`.
        settings: of the network.
    """

    def __init__(
        self,
        depth: int,
        *,
        width: int = 64,
        kernel_size: Triple = (3, 3, 3),
        stem_kernel: Triple = (7, 7, 7),
        guidance: int = 0,
        plans: Sequence[Plan] = HALVING,
        pool: Pool = "space",
        remat: bool = False,
        settings: ConvSettings,
    ):
        super().__init__(
            Stem(width, kernel_size=stem_kernel, guidance=guidance, pool=pool, settings=settings),
            partial(Bottleneck, kernel_size=kernel_size, settings=settings),
            BLOCKS["resnet"][depth],
            width=width,
            expansion=EXPANSION,
            plans=plans,
            remat=remat,
        )
