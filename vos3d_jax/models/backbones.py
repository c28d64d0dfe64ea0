"""The encoders of 3DC-Seg by name, and what each can be asked for (Table 1 of its paper and its code)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flax import nnx

from vos3d_jax.models import csn, r2plus1d, resnet3d
from vos3d_jax.models.layers import Setting

# What an encoder has no choice in has the one value that the argument's default is.
CHOICES: dict[str, Mapping[str, Sequence[Any]]] = {
    "csn": {"depth": tuple(csn.BLOCKS), "separation": ("ir", "ip"), "temporal_strides": (True,)},
    "resnet": {
        "depth": tuple(resnet3d.BLOCKS),
        "separation": ("ir",),
        "stem_time_padding": (1,),
        "temporal_strides": (True, False),
    },
    "r2plus1d": {
        "depth": tuple(r2plus1d.PUBLISHED),
        "separation": ("ir",),
        "stem_time_padding": (1,),
        "temporal_strides": (True,),
    },
}


def epsilon(backbone: str, depth: int) -> float:
    """The epsilon of batch norm of the published networks with this encoder; 1e-5 where there is none."""
    kinds = r2plus1d.PUBLISHED if backbone == "r2plus1d" else {}
    return next((kind.epsilon for known, kind in kinds.items() if known == depth), 1e-5)


def encoder(
    backbone: str, arguments: Mapping[str, Any], *, rng: np.random.Generator, setting: Setting
) -> nnx.Module:
    """The encoder of a segmentation network, with its pool, from the network's (checked) arguments."""
    options = dict(width=arguments["width"], remat=arguments["remat"], rng=rng, setting=setting)
    if backbone == "csn":
        options |= {name: arguments[name] for name in ("separation", "stem_time_padding")}
        return csn.CSN(arguments["depth"], **options)
    if backbone == "resnet":
        return resnet3d.ResNet3D(
            arguments["depth"], temporal_strides=arguments["temporal_strides"], **options
        )
    return r2plus1d.R2Plus1D(arguments["depth"], pool="space", **options)
