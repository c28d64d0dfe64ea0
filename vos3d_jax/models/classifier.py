"""The encoders as their authors trained them: on the classes of clips.

3DC-Seg's encoder starts from one; they are here so that a backbone can be checked against published logits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Num

from vos3d_jax.constants import DCSEG_MEAN, VMZ_INPUT
from vos3d_jax.models import arguments as given
from vos3d_jax.models import backbones
from vos3d_jax.models.description import describe
from vos3d_jax.models.layers import ConvSettings, fan_in_uniform, normalise


class Linear(nnx.Module):
    """x @ kernel + bias."""

    def __init__(self, inputs: int, outputs: int, *, rng: np.random.Generator):
        self.kernel = nnx.Param(jnp.asarray(fan_in_uniform(rng, (inputs, outputs))))
        self.bias = nnx.Param(jnp.asarray(fan_in_uniform(rng, (inputs, outputs))[0]))

    def __call__(self, x: Float[Array, "b i"]) -> Float[Array, "b o"]:
        """Returns x @ kernel + bias, in the dtype of `x`."""
        y = jnp.dot(x, self.kernel[...].astype(x.dtype), precision="highest")
        return y + self.bias[...].astype(x.dtype)


class Classifier(nnx.Module):
    """Encoder, mean over time and space, linear layer: what the classifiers below have in common.

    Args:
        backbone: a key of `BACKBONES`, which says what its arguments may be.
        arguments: all of the system's, of its constructor's `locals()`.
        rng: makes the first weights.
        **options: of the encoder, beside the arguments.

    Raises:
        UserError: for a value that cannot be.
    """

    segments = False

    def __init__(
        self, backbone: str, arguments: Mapping[str, Any], *, rng: np.random.Generator, **options: Any
    ):
        self._arguments = given.to_static(arguments)
        values = dict(self._arguments)
        given.check(self.system, values, given.RULES | backbones.choices(backbone))
        self.mean, self.std, self.dtype = values["mean"], values["std"], values["dtype"]
        settings = ConvSettings(rng, *(values[name] for name in ("implementation", "epsilon", "momentum")))
        self.encoder = backbones.encoder(backbone, values, settings=settings, **options)
        self.fc = Linear(self.encoder.outputs[-1], values["classes"], rng=rng)

    __repr__ = __str__ = describe

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values: `build_model(self.system, **self.arguments)`."""
        return given.to_json(self._arguments)

    def __call__(
        self,
        clip: Num[Array, "b t h w 3"] | Num[np.ndarray, "b t h w 3"],
    ) -> Float[Array, "b k"]:
        """Returns class logits of whole clips, float32 at least; clip is RGB 0..255, uint8 or float."""
        x = normalise(clip, self.mean, self.std, self.dtype)
        pooled = self.encoder(x.astype(self.dtype)).r5
        return self.fc(pooled.astype(x.dtype).mean((1, 2, 3)))


class CSNClassifier(Classifier):
    """Encoder, mean over time and space, linear layer; the defaults are VMZ's (epsilon 1e-3).

    The arguments are those of `DCSeg`, as far as there is an encoder to describe; `mean` and `std` are of
    RGB 0..255 and nothing else divides.
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
        mean: Sequence[float] = VMZ_INPUT["mean"],
        std: Sequence[float] = VMZ_INPUT["std"],
        dtype: str = "float32",
        remat: bool = False,
        implementation: str = "auto",
        rng: np.random.Generator,
    ):
        super().__init__("csn", locals(), rng=rng)


class ResNet3DClassifier(Classifier):
    """3D ResNet with the pool (3,3,3) of 3DC-Seg's class for classification; arguments as `DCSeg`'s.

    No published file of it is known, and no golden numbers: the constants are those of 3DC-Seg.
    """

    system = "resnet3d_classifier"

    def __init__(
        self,
        *,
        depth: int = 50,
        width: int = 64,
        temporal_strides: bool = True,
        classes: int = 400,
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        mean: Sequence[float] = DCSEG_MEAN,
        std: Sequence[float] = (1.0, 1.0, 1.0),
        dtype: str = "float32",
        remat: bool = False,
        implementation: str = "auto",
        rng: np.random.Generator,
    ):
        super().__init__("resnet", locals(), rng=rng, pool="all")


class R2Plus1DClassifier(Classifier):
    """R(2+1)D without a pool: of depth 18 torchvision's, of depth 34 that of VMZ and ig65m.

    `epsilon` is, if not given, the published one of the depth: 1e-5 for 18, 1e-3 for 34; other arguments as
    `DCSeg`'s.
    """

    system = "r2plus1d_classifier"

    def __init__(
        self,
        *,
        depth: int = 34,
        width: int = 64,
        classes: int = 400,
        epsilon: float | None = None,
        momentum: float = 0.9,
        mean: Sequence[float] = VMZ_INPUT["mean"],
        std: Sequence[float] = VMZ_INPUT["std"],
        dtype: str = "float32",
        remat: bool = False,
        implementation: str = "auto",
        rng: np.random.Generator,
    ):
        epsilon = backbones.epsilon("r2plus1d", depth) if epsilon is None else epsilon
        super().__init__("r2plus1d", locals(), rng=rng, pool="none")
