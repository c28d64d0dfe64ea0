"""Channel-separated 3D ResNets (ir-CSN, ip-CSN), the encoders of 3DC-Seg. Facts: spec-3dc-seg 2.1.

The 3x3x3 convolutions are depthwise; only 1x1x1 convolutions mix channels. Equal blocks of a stage are one
block with stacked parameters under `lax.scan` (`rest`); the first block, with the projection, stands alone.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.models import convolution
from vos3d_jax.models.layers import (
    BatchNormMode,
    Conv,
    Setting,
    Triple,
    encoder_normal,
    pure,
    rematerialised,
)
from vos3d_jax.models.separable import SeparableConv

# 14 is ours: the smallest network with all four stages, for demos and tests.
BLOCKS = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
EXPANSION = 4
Separation = Literal["ir", "ip"]


class EncoderFeatures(NamedTuple):
    """The maps of an encoder: strides (time, height and width) are (1,4), (1,4), (2,8), (4,16), (8,32)."""

    pool: Float[Array, "..."]
    r2: Float[Array, "..."]
    r3: Float[Array, "..."]
    r4: Float[Array, "..."]
    r5: Float[Array, "..."]


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
        stride: Triple,
        projection: bool,
        rng: np.random.Generator,
        setting: Setting,
    ):
        options = dict(ending="norm", rng=rng, setting=setting, initial=encoder_normal)
        outputs = EXPANSION * width
        self.reduce = Conv(inputs, width, (1, 1, 1), **options)
        self.mix = Conv(width, width, (1, 1, 1), **options) if separation == "ip" else None
        self.separable = SeparableConv(
            width, outputs, stride=stride, inner_norm=True, rng=rng, setting=setting, initial=encoder_normal
        )
        self.shortcut = Conv(inputs, outputs, (1, 1, 1), stride=stride, **options) if projection else None

    def __call__(
        self, x: Float[Array, "b t h w i"], batch_norm: BatchNormMode = "frozen"
    ) -> Float[Array, "b t2 h2 w2 o"]:
        """The block's output, after its last ReLU."""
        y = jax.nn.relu(self.reduce(x, batch_norm))
        if self.mix is not None:
            y = self.mix(y, batch_norm)
        y = self.separable(y, batch_norm)
        shortcut = x if self.shortcut is None else self.shortcut(x, batch_norm)
        return jax.nn.relu(y + shortcut)


class Stage(nnx.Module):
    """`first` (projection and stride), then `rest`: the equal blocks, stacked on a new first axis."""

    def __init__(
        self,
        inputs: int,
        width: int,
        blocks: int,
        *,
        separation: Separation,
        stride: Triple,
        remat: bool,
        rng: np.random.Generator,
        setting: Setting,
    ):
        self.remat = remat
        options = dict(separation=separation, rng=rng, setting=setting)
        self.first = Bottleneck(inputs, width, stride=stride, projection=True, **options)
        equal = [
            Bottleneck(EXPANSION * width, width, stride=(1, 1, 1), projection=False, **options)
            for _ in range(blocks - 1)
        ]
        self.rest = _stacked(equal) if equal else None

    def __call__(
        self, x: Float[Array, "b t h w i"], batch_norm: BatchNormMode = "frozen"
    ) -> Float[Array, "b t2 h2 w2 o"]:
        """The output of the last block."""
        x = rematerialised(self.first, batch_norm, x) if self.remat else self.first(x, batch_norm)
        if self.rest is None:
            return x
        function, parameters, statistics = pure(self.rest, batch_norm)
        if self.remat:
            # prevent_cse is only needed outside of scan, where it would cost speed.
            function = jax.checkpoint(function, prevent_cse=False)
        x, moved = jax.lax.scan(lambda x, block: function(*block, x), x, (parameters, statistics))
        nnx.update(self.rest, moved)
        return x


def _stacked(blocks: list[Bottleneck]) -> Bottleneck:
    states = [nnx.to_pure_dict(nnx.state(block)) for block in blocks]
    return nnx.merge(nnx.graphdef(blocks[0]), jax.tree.map(_stack, *states))


def _stack(*leaves: Array) -> Array:
    # Abstract leaves (under eval_shape) have no values; concrete ones are stacked faster by numpy.
    if isinstance(leaves[0], jax.core.Tracer):
        return jnp.stack(leaves)
    return jnp.asarray(np.stack([np.asarray(leaf) for leaf in leaves]))


class Stem(nnx.Module):
    """Convolution (3,7,7) with stride (1,2,2), batch norm, ReLU, max pool (1,3,3) with stride (1,2,2).

    `time_padding` 3 is the slip of 3DC-Seg's ip-CSN: T frames become T + 4 (spec-3dc-seg 2.1).
    """

    def __init__(self, width: int, *, time_padding: int, rng: np.random.Generator, setting: Setting):
        self.conv = Conv(
            3,
            width,
            (3, 7, 7),
            stride=(1, 2, 2),
            padding=(time_padding, 3, 3),
            ending="norm",
            rng=rng,
            setting=setting,
        )

    def __call__(
        self, x: Float[Array, "b t h w 3"], batch_norm: BatchNormMode = "frozen"
    ) -> Float[Array, "b t2 h2 w2 c"]:
        """The pooled map."""
        return convolution.max_pool3d(jax.nn.relu(self.conv(x, batch_norm)))


class CSN(nnx.Module):
    """The encoder: stem and four stages; `depth` is a key of `BLOCKS`, stage widths are w, 2w, 4w, 8w."""

    def __init__(
        self,
        depth: int,
        *,
        width: int = 64,
        separation: Separation = "ir",
        stem_time_padding: int = 1,
        remat: bool = False,
        rng: np.random.Generator,
        setting: Setting,
    ):
        self.stem = Stem(width, time_padding=stem_time_padding, rng=rng, setting=setting)
        inputs, widths = width, [width, 2 * width, 4 * width, 8 * width]
        for number, (stage_width, blocks) in enumerate(zip(widths, BLOCKS[depth], strict=True), start=1):
            stage = Stage(
                inputs,
                stage_width,
                blocks,
                separation=separation,
                stride=(1, 1, 1) if number == 1 else (2, 2, 2),
                remat=remat,
                rng=rng,
                setting=setting,
            )
            setattr(self, f"stage{number}", stage)
            inputs = EXPANSION * stage_width
        self.outputs = tuple(EXPANSION * w for w in widths)

    def __call__(self, x: Float[Array, "b t h w 3"], batch_norm: BatchNormMode = "frozen") -> EncoderFeatures:
        """The feature maps of a normalised clip."""
        pool = self.stem(x, batch_norm)
        r2 = self.stage1(pool, batch_norm)
        r3 = self.stage2(r2, batch_norm)
        r4 = self.stage3(r3, batch_norm)
        return EncoderFeatures(pool, r2, r3, r4, self.stage4(r4, batch_norm))
