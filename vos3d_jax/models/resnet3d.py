"""3D ResNets with full 3x3x3 convolutions, other encoders of 3DC-Seg. Hara et al., CVPR 2018."""

from functools import partial

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.models import csn
from vos3d_jax.models.csn import EXPANSION
from vos3d_jax.models.encoder import STRIDES, Encoder, Pool, Stem
from vos3d_jax.models.layers import BatchNormMode, Conv, Setting, Triple, encoder_normal

BLOCKS = {**csn.BLOCKS, 200: (3, 24, 36, 3)}
_NO_TEMPORAL_STRIDE = dict(stride=(1, 2, 2), dilation=(2, 1, 1))


class Bottleneck(nnx.Module):
    """1x1x1 to the bottleneck width, 3x3x3, 1x1x1 to four times the width, plus the shortcut."""

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        stride: Triple,
        projection: bool,
        dilation: Triple = (1, 1, 1),
        rng: np.random.Generator,
        setting: Setting,
    ):
        options = dict(ending="norm", rng=rng, setting=setting, initial=encoder_normal)
        outputs = EXPANSION * width
        self.reduce = Conv(inputs, width, (1, 1, 1), **options)
        self.spatial = Conv(width, width, (3, 3, 3), stride=stride, dilation=dilation, **options)
        self.expand = Conv(width, outputs, (1, 1, 1), **options)
        self.shortcut = Conv(inputs, outputs, (1, 1, 1), stride=stride, **options) if projection else None

    def __call__(
        self, x: Float[Array, "b t h w i"], batch_norm: BatchNormMode = "frozen"
    ) -> Float[Array, "b t2 h2 w2 o"]:
        """The block's output, after its last ReLU."""
        y = jax.nn.relu(self.reduce(x, batch_norm))
        y = jax.nn.relu(self.spatial(y, batch_norm))
        y = self.expand(y, batch_norm)
        shortcut = x if self.shortcut is None else self.shortcut(x, batch_norm)
        return jax.nn.relu(y + shortcut)


class ResNet3D(Encoder):
    """The encoder: stem (7,7,7) and four stages of widths w, 2w, 4w, 8w; `depth` is a key of `BLOCKS`.

    Without `temporal_strides` the last two stages keep the time axis (r4 and r5 have the frames of r3), and
    the first 3x3x3 convolution of each has dilation 2 in time: the `resnet50_no_ts` of 3DC-Seg. `pool` is
    "space" in its segmentation networks and "all" in its class for classification.
    """

    def __init__(
        self,
        depth: int,
        *,
        width: int = 64,
        temporal_strides: bool = True,
        pool: Pool = "space",
        remat: bool = False,
        rng: np.random.Generator,
        setting: Setting,
    ):
        make = dict(rng=rng, setting=setting)
        firsts = STRIDES if temporal_strides else (*STRIDES[:2], *2 * (_NO_TEMPORAL_STRIDE,))
        super().__init__(
            Stem(width, time_padding=3, time_taps=7, pool=pool, **make),
            partial(Bottleneck, **make),
            BLOCKS[depth],
            width=width,
            expansion=EXPANSION,
            firsts=firsts,
            remat=remat,
        )
