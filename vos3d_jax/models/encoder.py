"""What all encoders here share: the maps they give, stem, and stages of equal blocks under `lax.scan`.

Equal blocks of a stage are one block with stacked parameters (`rest`); the first block, with its projection,
stands alone (`first`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vos3d_jax.models import convolution
from vos3d_jax.models.layers import BatchNormMode, Conv, Setting, pure, rematerialised

Pool = Literal["none", "space", "all"]
# Of the first block of each stage.
STRIDES: tuple[Mapping[str, Any], ...] = (dict(stride=(1, 1, 1)), *3 * (dict(stride=(2, 2, 2)),))


class EncoderFeatures(NamedTuple):
    """The maps of an encoder: strides (time, height and width) are (1,4), (1,4), (2,8), (4,16), (8,32).

    `pool` is the stem's output, pooled where the encoder pools; without a pool all strides in space halve.
    """

    pool: Float[Array, "..."]
    r2: Float[Array, "..."]
    r3: Float[Array, "..."]
    r4: Float[Array, "..."]
    r5: Float[Array, "..."]


class Stem(nnx.Module):
    """Convolution (3,7,7) with stride (1,2,2), batch norm, ReLU, max pool (1,3,3) with stride (1,2,2).

    `time_padding` 3 is the slip of 3DC-Seg's ip-CSN: T frames become T + 4 in its released code. The 3D
    ResNets have 7 taps in time (`time_taps`), which the same padding suits.
    """

    def __init__(
        self,
        width: int,
        *,
        time_padding: int,
        time_taps: int = 3,
        pool: Pool = "space",
        rng: np.random.Generator,
        setting: Setting,
    ):
        self.pool = pool
        self.conv = Conv(
            3,
            width,
            (time_taps, 7, 7),
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
        return max_pool(jax.nn.relu(self.conv(x, batch_norm)), self.pool)


def max_pool(x: Float[Array, "b t h w c"], pool: Pool) -> Float[Array, "b t2 h2 w2 c"]:
    """`x` itself ("none"), or the largest of 3x3 windows at stride 2 ("space"), of 3x3x3 ("all")."""
    if pool == "none":
        return x
    x = convolution.max_pool3d(x)
    if pool == "space":
        return x
    window, stride, padding = (1, 3, 1, 1, 1), (1, 2, 1, 1, 1), ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0))
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, stride, padding)


class Stage(nnx.Module):
    """`first` (projection and stride), then `rest`: equal blocks, stacked on a new first axis.

    Args:
        first: the first block.
        make: makes another one.
        count: how many others there are.
        remat: as of `DCSeg`.
    """

    def __init__(self, first: nnx.Module, make: Callable[[], nnx.Module], count: int, *, remat: bool):
        self.remat = remat
        self.first = first
        self.rest = _stacked(make, count) if count else None

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


class Encoder(nnx.Module):
    """Stem and four stages of w, 2w, 4w, 8w channels of width; a stage gives `expansion` times its width.

    Args:
        stem: from a normalised clip to the first stage's input, of `width` channels.
        block: block(inputs, width, stride=, projection=, ...) makes one; a projection where channels change.
        counts: blocks of each stage.
        width: w.
        expansion: channels that leave a block, over its width.
        firsts: the further arguments of each stage's first block.
        remat: as of `DCSeg`.
    """

    def __init__(
        self,
        stem: nnx.Module,
        block: Callable[..., nnx.Module],
        counts: Sequence[int],
        *,
        width: int,
        expansion: int = 1,
        firsts: Sequence[Mapping[str, Any]] = STRIDES,
        remat: bool,
    ):
        self.stem = stem
        inputs, outputs = width, []
        for number, (count, first) in enumerate(zip(counts, firsts, strict=True)):
            inner = width * 2**number
            outputs.append(expansion * inner)
            beginning = block(inputs, inner, projection=inputs != outputs[-1], **first)
            inputs = outputs[-1]
            equal = partial(block, inputs, inner, projection=False, stride=(1, 1, 1))
            setattr(self, f"stage{number + 1}", Stage(beginning, equal, count - 1, remat=remat))
        self.outputs = tuple(outputs)

    def __call__(self, x: Float[Array, "b t h w 3"], batch_norm: BatchNormMode = "frozen") -> EncoderFeatures:
        """The feature maps of a normalised clip."""
        pool = self.stem(x, batch_norm)
        r2 = self.stage1(pool, batch_norm)
        r3 = self.stage2(r2, batch_norm)
        r4 = self.stage3(r3, batch_norm)
        return EncoderFeatures(pool, r2, r3, r4, self.stage4(r4, batch_norm))


def _stacked(make: Callable[[], nnx.Module], count: int) -> nnx.Module:
    block = make()
    state = nnx.to_pure_dict(nnx.state(block))
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(state)):
        # Only the shapes are asked for (`abstract`), and those of the other blocks are the same.
        state = jax.tree.map(lambda leaf: jnp.full((count, *leaf.shape), jnp.nan, leaf.dtype), state)
    else:
        states = [state, *(nnx.to_pure_dict(nnx.state(make())) for _ in range(count - 1))]
        state = jax.tree.map(_stack, *states)
    return nnx.merge(nnx.graphdef(block), state)


def _stack(*leaves: Array) -> Array:
    # numpy stacks faster.
    return jnp.asarray(np.stack([np.asarray(leaf) for leaf in leaves]))
