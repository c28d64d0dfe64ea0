"""A channel-separated ResNet as its authors trained it: on the classes of clips (the manifests' README).

3DC-Seg's encoder starts from one; it is here so that a backbone can be checked against published logits.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Num

from vos3d_jax.models import arguments as given
from vos3d_jax.models.csn import BLOCKS, CSN
from vos3d_jax.models.layers import BatchNormMode, Conv, Setting, Shape, fan_in_uniform, normalise


class Linear(nnx.Module):
    """x @ kernel + bias."""

    def __init__(self, inputs: int, outputs: int, *, rng: np.random.Generator):
        self.kernel = nnx.Param(jnp.asarray(fan_in_uniform(rng, (inputs, outputs))))
        self.bias = nnx.Param(jnp.asarray(fan_in_uniform(rng, (inputs, outputs))[0]))

    def __call__(self, x: Float[Array, "b i"]) -> Float[Array, "b o"]:
        """The layer's output, in the dtype of `x`."""
        y = jnp.dot(x, self.kernel[...].astype(x.dtype), precision="highest")
        return y + self.bias[...].astype(x.dtype)


class CSNClassifier(nnx.Module):
    """Encoder, mean over time and space, linear layer; the defaults are VMZ's (epsilon 1e-3).

    The arguments are those of `DCSeg`, as far as there is an encoder to describe; `mean` and `std` are of
    RGB 0..255 and nothing else divides.

    Raises:
        UserError: for a value that cannot be.
    """

    system = "csn_classifier"

    def __init__(
        self,
        *,
        depth: int = 152,
        width: int = 64,
        separation: str = "ir",
        stem_time_padding: int = 1,
        classes: int = 400,
        epsilon: float = 1e-3,
        momentum: float = 0.9,
        mean: Sequence[float] = (110.2008, 100.63983, 95.99475),
        std: Sequence[float] = (58.14765, 56.46975, 55.332195),
        dtype: str = "float32",
        remat: bool = False,
        implementation: str = "auto",
        rng: np.random.Generator,
    ):
        self._arguments = given.freeze(
            dict(
                depth=depth,
                width=width,
                separation=separation,
                stem_time_padding=stem_time_padding,
                classes=classes,
                epsilon=epsilon,
                momentum=momentum,
                mean=mean,
                std=std,
                dtype=dtype,
                remat=remat,
                implementation=implementation,
            )
        )
        given.check(self.system, dict(self._arguments), {"depth": tuple(BLOCKS), "separation": ("ir", "ip")})
        self.mean, self.std, self.dtype = tuple(mean), tuple(std), dtype
        self.encoder = CSN(
            depth,
            width=width,
            separation=separation,
            stem_time_padding=stem_time_padding,
            remat=remat,
            rng=rng,
            setting=Setting(implementation=implementation, epsilon=epsilon, momentum=momentum),
        )
        self.fc = Linear(self.encoder.outputs[-1], classes, rng=rng)

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values: `build_model(self.system, **self.arguments)`."""
        return given.thaw(self._arguments)

    def __call__(
        self,
        clip: Num[Array, "b t h w 3"] | Num[np.ndarray, "b t h w 3"],
        batch_norm: BatchNormMode = "frozen",
    ) -> Float[Array, "b k"]:
        """Class logits of whole clips, float32 at least; clip is RGB 0..255, uint8 or float."""
        x = normalise(clip, self.mean, self.std, self.dtype)
        pooled = self.encoder(x.astype(self.dtype), batch_norm).r5
        return self.fc(pooled.astype(x.dtype).mean((1, 2, 3)))

    def convolutions(self, clip_shape: Shape) -> list[tuple[Conv, Shape]]:
        """None: an encoder has no dense convolution whose kernel could be transformed."""
        return []
