"""3DC-Seg: finds and segments the moving objects of a clip. Mahadevan et al., BMVC 2020.

Encoder (as published a channel-separated 3D ResNet) -> bridge -> three refinements -> two-class logits for
every frame.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Num

from vos3d_jax.constants import DCSEG_MEAN
from vos3d_jax.models import arguments as given
from vos3d_jax.models import backbones
from vos3d_jax.models.backbones import BACKBONES
from vos3d_jax.models.bridges import BRIDGES
from vos3d_jax.models.description import describe
from vos3d_jax.models.encoder import EncoderFeatures
from vos3d_jax.models.layers import (
    Conv,
    ConvSettings,
    ResidualPair,
    normalise,
    rematerialised,
)
from vos3d_jax.models.refinement import REFINEMENTS
from vos3d_jax.models.resize import resize_trilinear


class Features(NamedTuple):
    """Every map of the network on its way to the logits, by their names in the released code."""

    pool: Float[Array, "..."]
    r2: Float[Array, "..."]
    r3: Float[Array, "..."]
    r4: Float[Array, "..."]
    r5: Float[Array, "..."]
    bridge: Float[Array, "..."]
    m5: Float[Array, "..."]
    m4: Float[Array, "..."]
    m3: Float[Array, "..."]
    m2: Float[Array, "..."]
    pred2: Float[Array, "..."]
    logits: Float[Array, "..."]


class DCSeg(nnx.Module):
    """The network of 3DC-Seg, every choice an argument; the defaults are the published ones.

    Args:
        backbone: a key of `BACKBONES`: "csn" (channel-separated), "resnet" (full 3x3x3) or "r2plus1d".
        depth: layers of the encoder: csn 14 (ours, the smallest), 26, 50, 101, 152; resnet 200 too; r2plus1d
            10 (ours), 18, 34.
        width: channels of the stem and of stage 1's bottlenecks; the stages give 4, 8, 16, 32 times that
            (r2plus1d: 1, 2, 4, 8 times).
        separation: of csn: "ir" or "ip" (interaction-reduced or -preserved) channel separation.
        stem_time_padding: of csn: 1, or 3 for the slip of the released ip-CSN (4 more frames come out).
        temporal_strides: of resnet: False keeps the time axis in the last two stages (`resnet50_no_ts`).
        bridge: a key of `BRIDGES`.
        refinement: a key of `REFINEMENTS`.
        decoder_width: channels of the decoder and inside the bridge.
        classes: channels of the logits; the last is the foreground.
        epsilon: of the encoder's batch norm, if not given the published one: 1e-5 (although the backbone was
            trained with 1e-3), r2plus1d of depth 34 1e-3. Norms of decoders have 1e-5.
        momentum: of batch norm: the share of the old running value (PyTorch's 0.1 is 0.9 here). The released
            R(2+1)D has 0.1, by mistaking Caffe2's 0.9 for PyTorch's.
        mean: of RGB 0..255, subtracted.
        std: of RGB 0..255, divided by (then 255 divides once more).
        dtype: of the computation: "float32", "bfloat16", or "float64" for exactness checks under x64.
        remat: compute each block again in the backward pass, instead of keeping its inner maps.
        implementation: of the convolutions: "auto" is the fastest here, "lax" the one for meshes.
        rng: makes the first weights.

    Raises:
        UserError: for a value that is none of these.
    """

    system = "dcseg"
    segments = True

    def __init__(
        self,
        *,
        backbone: str = "csn",
        depth: int = 152,
        width: int = 64,
        separation: str = "ir",
        stem_time_padding: int = 1,
        temporal_strides: bool = True,
        bridge: str = "gc3d",
        refinement: str = "rf3d",
        decoder_width: int = 256,
        classes: int = 2,
        epsilon: float | None = None,
        momentum: float = 0.9,
        mean: Sequence[float] = DCSEG_MEAN,
        std: Sequence[float] = (1.0, 1.0, 1.0),
        dtype: str = "float32",
        remat: bool = False,
        implementation: str = "auto",
        rng: np.random.Generator,
    ):
        epsilon = backbones.epsilon(backbone, depth) if epsilon is None else epsilon
        self._arguments = given.to_static(locals())
        arguments = dict(self._arguments)
        choices = {"bridge": tuple(BRIDGES), "refinement": tuple(REFINEMENTS), "backbone": tuple(BACKBONES)}
        given.check(self.system, arguments, given.RULES | choices)
        words = self.system if backbone == "csn" else f"{self.system} with the backbone {backbone}"
        given.check(words, arguments, backbones.choices(backbone))
        self.mean, self.std, self.dtype, self.remat = tuple(mean), tuple(std), dtype, remat
        settings = ConvSettings(rng, implementation, epsilon, momentum)
        self.encoder = backbones.encoder(backbone, arguments, settings=settings)
        c2, c3, c4, c5 = self.encoder.outputs
        settings = dataclasses.replace(settings, epsilon=1e-5)
        self.bridge = BRIDGES[bridge](c5, decoder_width, settings=settings)
        self.bridge_residual = ResidualPair(decoder_width, settings=settings)
        refine = REFINEMENTS[refinement]
        self.refine4 = refine(c4, decoder_width, settings=settings)
        self.refine3 = refine(c3, decoder_width, settings=settings)
        self.refine2 = refine(c2, decoder_width, settings=settings)
        self.head = Conv(decoder_width, classes, (3, 3, 3), settings=settings)

    __repr__ = __str__ = describe

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values: `build_model(self.system, **self.arguments)`."""
        return given.to_json(self._arguments)

    def __call__(
        self, clip: Num[Array, "b t h w 3"] | Num[np.ndarray, "b t h w 3"]
    ) -> Float[Array, "b t2 h2 w2 k"]:
        """Returns logits of every pixel and frame, float32 (float64 in x64), of any range.

        Height and width of the logits are those of the clip if they are multiples of 4, else the next
        multiple (nothing is padded or cropped inside).

        Args:
            clip: RGB 0..255, uint8 or float.

        Raises:
            UserError: for a clip too small for the bridge, or of a size that a refinement cannot double.
        """
        return self.features(clip).logits

    def features(self, clip: Num[Array, "b t h w 3"] | Num[np.ndarray, "b t h w 3"]) -> Features:
        """Returns all the maps on the way to the logits, of a clip as in `__call__`."""
        # The second division by 255 is the released code's: values in about [-0.45, 0.61].
        x = normalise(clip, self.mean, self.std, self.dtype) / 255
        return self.decode(self.encoder(x.astype(self.dtype)))

    def decode(self, encoded: EncoderFeatures) -> Features:
        """Returns all the maps, from those of the encoder on."""
        bridge = self.bridge(encoded.r5)
        m5 = self.bridge_residual(bridge)
        m4 = self._refine(self.refine4, encoded.r4, m5)
        m3 = self._refine(self.refine3, encoded.r3, m4)
        m2 = self._refine(self.refine2, encoded.r2, m3)
        pred2 = self.head(jax.nn.relu(m2))
        pred2 = pred2.astype(jnp.promote_types(pred2.dtype, jnp.float32))
        t, h, w = pred2.shape[1:4]
        # Exactly four times the map, not the size of the clip: 50x70 gives 52x72 in the released code.
        logits = resize_trilinear(pred2, (t, 4 * h, 4 * w))
        return Features(*encoded, bridge, m5, m4, m3, m2, pred2, logits)

    def _refine(self, module: nnx.Module, skip: Array, coarse: Array) -> Array:
        if self.remat:
            return rematerialised(module, skip, coarse)
        return module(skip, coarse)
