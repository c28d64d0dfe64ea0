"""The encoders by name: how each is made, and what it can be asked for (3DC-Seg, Table 1, and its code)."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from vos3d_jax.constants import BLOCKS
from vos3d_jax.models import csn, r2plus1d, resnet3d
from vos3d_jax.models.encoder import HALVING, Encoder
from vos3d_jax.models.layers import ConvSettings


@dataclasses.dataclass(frozen=True)
class Backbone:
    """One kind of encoder.

    Attributes:
        build: returns the encoder; takes width, remat, settings, and the arguments that `choices` names.
        choices: {argument of the network: its values}, depth among them; None where the check of all networks
            is enough. Other arguments in `_DEFAULTS` keep the value there.
        epsilons: {depth: epsilon of batch norm that the published weights had}, where it is not 1e-5.
    """

    build: Callable[..., Encoder]
    choices: Mapping[str, Sequence[Any] | None]
    epsilons: Mapping[int, float] = dataclasses.field(default_factory=dict)


def _resnet3d(*, temporal_strides: bool, **options: Any) -> Encoder:
    plans = HALVING if temporal_strides else resnet3d.NO_TEMPORAL_STRIDES
    return resnet3d.ResNet3D(plans=plans, **options)


# What only some encoders take, and what it is for the others.
_DEFAULTS = {"separation": "ir", "stem_time_padding": 1, "temporal_strides": True}

BACKBONES: dict[str, Backbone] = {
    "csn": Backbone(
        csn.CSN, {"depth": tuple(BLOCKS["csn"]), "separation": ("ir", "ip"), "stem_time_padding": None}
    ),
    "resnet": Backbone(_resnet3d, {"depth": tuple(BLOCKS["resnet"]), "temporal_strides": (True, False)}),
    "r2plus1d": Backbone(
        partial(r2plus1d.R2Plus1D, pool="space"),
        {"depth": tuple(BLOCKS["r2plus1d"])},
        {depth: published.epsilon for depth, published in r2plus1d.PUBLISHED.items()},
    ),
}


def choices(backbone: str) -> dict[str, Sequence[Any]]:
    """Returns {argument: its values} of all that a network with this encoder can be asked for."""
    known = {**{name: (value,) for name, value in _DEFAULTS.items()}, **BACKBONES[backbone].choices}
    return {name: values for name, values in known.items() if values is not None}


def epsilon(backbone: str, depth: int) -> float:
    """Returns the epsilon of batch norm of the published networks; 1e-5 for what there is not."""
    known = next((row.epsilons for name, row in BACKBONES.items() if name == backbone), {})
    return next((value for published, value in known.items() if published == depth), 1e-5)


def encoder(
    backbone: str, arguments: Mapping[str, Any], *, settings: ConvSettings, **options: Any
) -> Encoder:
    """Returns the encoder for the (checked) arguments of a network; `options` go to `build` beside them."""
    row = BACKBONES[backbone]
    asked = {name: arguments[name] for name in ("width", "remat", *row.choices)}
    return row.build(**asked, **options, settings=settings)
