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
from vos3d_jax.models.layers import (
    BatchNorm,
    Conv,
    ConvSettings,
    Triple,
    as_function,
    encoder_normal,
    rematerialised,
)

Pool = Literal["none", "space", "all"]


class Plan(NamedTuple):
    """What the blocks of a stage are given beside their widths: the first one, and each of the others."""

    first: Mapping[str, Any] = {}
    rest: Mapping[str, Any] = {}


# Stages 2 to 4 begin by halving time, height and width.
HALVING = (Plan(), *3 * (Plan(first={"stride": (2, 2, 2)}),))


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
    """max_pool(ReLU(batch norm(convolution of stride (1,2,2)))).

    Args:
        width: channels that come out.
        kernel_size: (3,7,7) of CSN, (7,7,7) of 3D ResNets, (1,7,7) of 2D ones.
        padding: zeros before and after each axis, if not given what keeps the size. 3 in time for a kernel of
            3 is the slip of 3DC-Seg's ip-CSN: T frames become T + 4 in its released code.
        guidance: channels of the input after RGB, such as a mask. They have a convolution of their own, with
            bias, which is added before the norm (RGMP).
        pool: as of `max_pool`.
        settings: of the network.
    """

    def __init__(
        self,
        width: int,
        *,
        kernel_size: Triple = (3, 7, 7),
        padding: Triple | None = None,
        guidance: int = 0,
        pool: Pool = "space",
        settings: ConvSettings,
    ):
        self.pool = pool
        make = partial(
            Conv, outputs=width, kernel_size=kernel_size, stride=(1, 2, 2), padding=padding, settings=settings
        )
        self.conv = make(3, ending="none" if guidance else "norm")
        self.guidance = make(guidance) if guidance else None
        # Not the norm of a `Conv`, because it comes after the sum.
        self.norm = BatchNorm(width, settings) if guidance else None

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t2 h2 w2 c"]:
        """Returns the map of normalised frames (and their guidance), a quarter of their size."""
        if self.guidance is None:
            y = self.conv(x)
        else:
            y = self.norm(self.conv(x[..., :3]) + self.guidance(x[..., 3:]))
        return max_pool(jax.nn.relu(y), self.pool)


def max_pool(x: Float[Array, "b t h w c"], pool: Pool) -> Float[Array, "b t2 h2 w2 c"]:
    """Returns `x` itself ("none"), or the largest of 3x3 windows at stride 2 ("space"), of 3x3x3 ("all")."""
    if pool == "none":
        return x
    x = convolution.max_pool3d(x)
    if pool == "space":
        return x
    window, stride, padding = (1, 3, 1, 1, 1), (1, 2, 1, 1, 1), ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0))
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, stride, padding)


def projection(inputs: int, outputs: int, stride: Triple, *, settings: ConvSettings) -> Conv | None:
    """Returns a block's strided 1x1x1 shortcut, with batch norm; None where its input is what is added."""
    if inputs == outputs and stride == (1, 1, 1):
        return None
    options = dict(ending="norm", settings=settings, initial=encoder_normal)
    return Conv(inputs, outputs, (1, 1, 1), stride=stride, **options)


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

    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t2 h2 w2 o"]:
        """Returns the output of the last block."""
        x = rematerialised(self.first, x) if self.remat else self.first(x)
        if self.rest is None:
            return x
        function, state = as_function(self.rest)
        if self.remat:
            # prevent_cse is only needed outside of scan, where it would cost speed.
            function = jax.checkpoint(function, prevent_cse=False)
        x, moved = jax.lax.scan(lambda x, block: function(block, x), x, state)
        nnx.update(self.rest, moved)
        return x


class Encoder(nnx.Module):
    """Stem and four stages of w, 2w, 4w, 8w channels of width; a stage gives `expansion` times its width.

    Args:
        stem: from a normalised clip to the first stage's input, of `width` channels.
        block: block(inputs, width, **plan) makes one, with a projection where channels change.
        counts: blocks of each stage.
        width: w.
        expansion: channels that leave a block, over its width.
        plans: of each stage.
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
        plans: Sequence[Plan] = HALVING,
        remat: bool,
    ):
        self.stem = stem
        inputs, outputs = width, []
        for number, (count, plan) in enumerate(zip(counts, plans, strict=True)):
            inner = width * 2**number
            first = block(inputs, inner, **plan.first)
            inputs = expansion * inner
            make = partial(block, inputs, inner, **plan.rest)
            setattr(self, f"stage{number + 1}", Stage(first, make, count - 1, remat=remat))
            outputs.append(inputs)
        self.outputs = tuple(outputs)

    def __call__(self, x: Float[Array, "b t h w i"]) -> EncoderFeatures:
        """Returns the maps of a normalised clip (and of what the stem takes besides, in further channels)."""
        pool = self.stem(x)
        r2 = self.stage1(pool)
        r3 = self.stage2(r2)
        r4 = self.stage3(r3)
        return EncoderFeatures(pool, r2, r3, r4, self.stage4(r4))


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
