"""R(2+1)D: ResNets whose 3x3x3 convolutions are a (1,3,3) and a (3,1,1) one. Tran et al., CVPR 2018."""

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import jax
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.constants import BLOCKS
from vos3d_jax.models.encoder import HALVING, Encoder, Plan, Pool, max_pool, projection
from vos3d_jax.models.layers import Conv, ConvSettings, Triple, encoder_normal

MidPlanes = Literal["block", "conv"]


class Published(NamedTuple):
    """What the published files of one depth have in common; epsilon is not stored in them."""

    midplanes: MidPlanes
    epsilon: float


# 18 is torchvision's, 34 that of VMZ and ig65m; 10 is ours.
PUBLISHED = {10: Published("conv", 1e-5), 18: Published("block", 1e-5), 34: Published("conv", 1e-3)}


def middle_width(inputs: int, outputs: int) -> int:
    """Returns the channels inside a pair: the most with which it has no more weights than a 3x3x3 kernel."""
    return 27 * inputs * outputs // (9 * inputs + 3 * outputs)


class Pair(nnx.Module):
    """(1,3,3) with the stride in space, batch norm, ReLU, (3,1,1) with that in time, batch norm.

    `dilation` is the distance in frames of the taps of the second.
    """

    def __init__(
        self,
        inputs: int,
        middle: int,
        outputs: int,
        *,
        stride: Triple = (1, 1, 1),
        dilation: int = 1,
        settings: ConvSettings,
    ):
        options = dict(ending="norm", settings=settings, initial=encoder_normal)
        self.space = Conv(inputs, middle, (1, 3, 3), stride=(1, *stride[1:]), **options)
        options |= dict(stride=(stride[0], 1, 1), dilation=(dilation, 1, 1))
        self.time = Conv(middle, outputs, (3, 1, 1), **options)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t2 h2 w2 o"]:
        """Returns time(ReLU(space(x))): no ReLU at the end; time, height and width over the stride."""
        return self.time(jax.nn.relu(self.space(x)))


class Block(nnx.Module):
    """ReLU(pair2(ReLU(pair1(x))) + shortcut); the stride is in the first pair.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        stride: of time, height and width.
        dilations: of the two pairs, in frames. They differ where a network keeps the frames that its stride
            would drop: its first pair still sees frames at the old distance.
        midplanes: "block" (torchvision) gives both pairs the middle width of the block's own channels, "conv"
            (Caffe2, VMZ, ig65m) each that of its own: they differ where the channels change.
        settings: of the network.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        stride: Triple = (1, 1, 1),
        dilations: tuple[int, int] = (1, 1),
        midplanes: MidPlanes,
        settings: ConvSettings,
    ):
        first = middle_width(inputs, outputs)
        second = first if midplanes == "block" else middle_width(outputs, outputs)
        self.pair1 = Pair(inputs, first, outputs, stride=stride, dilation=dilations[0], settings=settings)
        self.pair2 = Pair(outputs, second, outputs, dilation=dilations[1], settings=settings)
        self.shortcut = projection(inputs, outputs, stride, settings=settings)

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t2 h2 w2 o"]:
        """Returns ReLU(pairs + shortcut): `outputs` channels, time, height and width over the stride."""
        y = self.pair2(jax.nn.relu(self.pair1(x)))
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Stem(nnx.Module):
    """(1,7,7) with stride (1,2,2), batch norm, ReLU, (3,1,1), batch norm, ReLU, then `max_pool`.

    The middle width is 45 for 64 channels, by decree: the formula of the pairs does not apply.
    """

    def __init__(self, width: int, *, pool: Pool, settings: ConvSettings):
        self.pool = pool
        middle = max(1, 45 * width // 64)
        options = dict(ending="norm", settings=settings, initial=encoder_normal)
        self.space = Conv(3, middle, (1, 7, 7), stride=(1, 2, 2), **options)
        self.time = Conv(middle, width, (3, 1, 1), **options)

    def __call__(self, x: Float[Array, "b t h w 3"]) -> Float[Array, "b t h2 w2 c"]:
        """Returns the map of a normalised clip: a half, pooled a quarter, of its height and width."""
        x = jax.nn.relu(self.space(x))
        return max_pool(jax.nn.relu(self.time(x)), self.pool)


class R2Plus1D(Encoder):
    """The encoder: stem and four stages of w, 2w, 4w, 8w channels.

    Args:
        depth: a key of `PUBLISHED`.
        width: w.
        plans: of the stages.
        pool: pre-trained networks have none, and strides of 2, 4, 8, 16 in space; 3DC-Seg puts its own
            ("space") after the stem, which doubles them.
        remat: as of `DCSeg`.
        settings: of the network.
    """

    def __init__(
        self,
        depth: int,
        *,
        width: int = 64,
        plans: Sequence[Plan] = HALVING,
        pool: Pool = "none",
        remat: bool = False,
        settings: ConvSettings,
    ):
        super().__init__(
            Stem(width, pool=pool, settings=settings),
            partial(Block, midplanes=PUBLISHED[depth].midplanes, settings=settings),
            BLOCKS["r2plus1d"][depth],
            width=width,
            plans=plans,
            remat=remat,
        )
