"""Channel-separated 3D ResNets (ir-CSN, ip-CSN), the encoders of 3DC-Seg. Tran et al., ICCV 2019.

The 3x3x3 convolutions are depthwise; only 1x1x1 convolutions mix channels.
"""

from functools import partial
from typing import Literal

import jax
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.constants import BLOCKS
from vos3d_jax.models.encoder import Encoder, Stem, projection
from vos3d_jax.models.layers import Conv, ConvSettings, Triple, encoder_normal
from vos3d_jax.models.separable import SeparableConv

EXPANSION = 4
Separation = Literal["ir", "ip"]


class Bottleneck(nnx.Module):
    """1x1x1 to the bottleneck width, depthwise 3x3x3, 1x1x1 to four times the width, plus the shortcut.

    Interaction-preserved (`ip`) blocks have one more 1x1x1 (`mix`) before the depthwise step, with batch norm
    but **no** ReLU between the two.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        separation: Separation,
        stride: Triple = (1, 1, 1),
        settings: ConvSettings,
    ):
        options = dict(ending="norm", settings=settings, initial=encoder_normal)
        outputs = EXPANSION * width
        self.reduce = Conv(inputs, width, (1, 1, 1), **options)
        self.mix = Conv(width, width, (1, 1, 1), **options) if separation == "ip" else None
        self.separable = SeparableConv(
            width, outputs, stride=stride, inner_norm=True, settings=settings, initial=encoder_normal
        )
        self.shortcut = projection(inputs, outputs, stride, settings=settings)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t2 h2 w2 o"]:
        """Returns ReLU(expanded + shortcut): `outputs` channels, time, height and width over the stride."""
        y = jax.nn.relu(self.reduce(x))
        if self.mix is not None:
            y = self.mix(y)
        y = self.separable(y)
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class CSN(Encoder):
    """The encoder: stem and four stages; `depth` is a key of `BLOCKS`, stage widths are w, 2w, 4w, 8w."""

    def __init__(
        self,
        depth: int,
        *,
        width: int = 64,
        separation: Separation = "ir",
        stem_time_padding: int = 1,
        remat: bool = False,
        settings: ConvSettings,
    ):
        super().__init__(
            Stem(width, padding=(stem_time_padding, 3, 3), settings=settings),
            partial(Bottleneck, separation=separation, settings=settings),
            BLOCKS["csn"][depth],
            width=width,
            expansion=EXPANSION,
            remat=remat,
        )
