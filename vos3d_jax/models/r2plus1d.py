"""R(2+1)D: ResNets whose 3x3x3 convolutions are a (1,3,3) and a (3,1,1) one. Tran et al., CVPR 2018."""

from functools import partial
from typing import Literal, NamedTuple

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.models.encoder import Encoder, Pool, max_pool
from vos3d_jax.models.layers import BatchNormMode, Conv, Setting, Triple, encoder_normal

MidPlanes = Literal["block", "conv"]


class Published(NamedTuple):
    """What the published files of one depth have in common; epsilon is not stored in them."""

    blocks: tuple[int, int, int, int]
    midplanes: MidPlanes
    epsilon: float


# 18 is torchvision's, 34 that of VMZ and ig65m; 10 is ours, the smallest with all stages.
PUBLISHED = {
    10: Published((1, 1, 1, 1), "conv", 1e-5),
    18: Published((2, 2, 2, 2), "block", 1e-5),
    34: Published((3, 4, 6, 3), "conv", 1e-3),
}


def middle_width(inputs: int, outputs: int) -> int:
    """Channels between the two convolutions of a pair, so that it has no more weights than a 3x3x3 one."""
    return 27 * inputs * outputs // (9 * inputs + 3 * outputs)


class Pair(nnx.Module):
    """(1,3,3) with the stride in space, batch norm, ReLU, (3,1,1) with the stride in time, batch norm."""

    def __init__(
        self,
        inputs: int,
        middle: int,
        outputs: int,
        *,
        stride: Triple = (1, 1, 1),
        rng: np.random.Generator,
        setting: Setting,
    ):
        options = dict(ending="norm", rng=rng, setting=setting, initial=encoder_normal)
        self.space = Conv(inputs, middle, (1, 3, 3), stride=(1, *stride[1:]), **options)
        self.time = Conv(middle, outputs, (3, 1, 1), stride=(stride[0], 1, 1), **options)

    def __call__(
        self, x: Float[Array, "b t h w i"], batch_norm: BatchNormMode = "frozen"
    ) -> Float[Array, "b t2 h2 w2 o"]:
        """The pair's output, after its last norm."""
        return self.time(jax.nn.relu(self.space(x, batch_norm)), batch_norm)


class Block(nnx.Module):
    """ReLU(pair2(ReLU(pair1(x))) + shortcut); the stride is in the first pair.

    `midplanes` "block" (torchvision) gives both pairs the middle width of the block's own channels, "conv"
    (Caffe2, VMZ, ig65m) each that of its own: they differ where the channels change.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        stride: Triple,
        projection: bool,
        midplanes: MidPlanes,
        rng: np.random.Generator,
        setting: Setting,
    ):
        make = dict(rng=rng, setting=setting)
        first = middle_width(inputs, outputs)
        second = first if midplanes == "block" else middle_width(outputs, outputs)
        self.pair1 = Pair(inputs, first, outputs, stride=stride, **make)
        self.pair2 = Pair(outputs, second, outputs, **make)
        options = dict(stride=stride, ending="norm", initial=encoder_normal, **make)
        self.shortcut = Conv(inputs, outputs, (1, 1, 1), **options) if projection else None

    def __call__(
        self, x: Float[Array, "b t h w i"], batch_norm: BatchNormMode = "frozen"
    ) -> Float[Array, "b t2 h2 w2 o"]:
        """The block's output, after its last ReLU."""
        y = self.pair2(jax.nn.relu(self.pair1(x, batch_norm)), batch_norm)
        shortcut = x if self.shortcut is None else self.shortcut(x, batch_norm)
        return jax.nn.relu(y + shortcut)


class Stem(nnx.Module):
    """(1,7,7) with stride (1,2,2), batch norm, ReLU, (3,1,1), batch norm, ReLU, then the pool, if any.

    The middle width is 45 for 64 channels, by decree: the formula of the pairs does not apply.
    """

    def __init__(self, width: int, *, pool: Pool, rng: np.random.Generator, setting: Setting):
        self.pool = pool
        middle = max(1, 45 * width // 64)
        options = dict(ending="norm", rng=rng, setting=setting, initial=encoder_normal)
        self.space = Conv(3, middle, (1, 7, 7), stride=(1, 2, 2), **options)
        self.time = Conv(middle, width, (3, 1, 1), **options)

    def __call__(
        self, x: Float[Array, "b t h w 3"], batch_norm: BatchNormMode = "frozen"
    ) -> Float[Array, "b t h2 w2 c"]:
        """The map, pooled."""
        x = jax.nn.relu(self.space(x, batch_norm))
        return max_pool(jax.nn.relu(self.time(x, batch_norm)), self.pool)


class R2Plus1D(Encoder):
    """The encoder: stem and four stages of w, 2w, 4w, 8w channels; `depth` is a key of `PUBLISHED`.

    Pre-trained networks have no `pool`, and strides of 2, 4, 8, 16 in space; 3DC-Seg puts its own pool
    ("space") after the stem, which doubles them.
    """

    def __init__(
        self,
        depth: int,
        *,
        width: int = 64,
        pool: Pool = "none",
        remat: bool = False,
        rng: np.random.Generator,
        setting: Setting,
    ):
        published = PUBLISHED[depth]
        make = dict(rng=rng, setting=setting)
        super().__init__(
            Stem(width, pool=pool, **make),
            partial(Block, midplanes=published.midplanes, **make),
            published.blocks,
            width=width,
            remat=remat,
        )
