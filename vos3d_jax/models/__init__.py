"""Networks: build them from plain arguments, describe them by a card, run them compiled."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import nnx

from vos3d_jax.errors import UserError
from vos3d_jax.models.classifier import CSNClassifier, R2Plus1DClassifier, ResNet3DClassifier
from vos3d_jax.models.dcseg import DCSeg
from vos3d_jax.models.forward import forward, prepare

__all__ = ["SYSTEMS", "build_model", "forward", "model_card", "network_class", "prepare"]

SYSTEMS: dict[str, type] = {
    model.system: model for model in (DCSeg, CSNClassifier, ResNet3DClassifier, R2Plus1DClassifier)
}


def build_model(system: str, *, seed: int = 0, **arguments: Any) -> nnx.Module:
    """Returns a network with random weights, the same ones for the same `seed` on every machine.

    Args:
        system: a key of `SYSTEMS`.
        seed: of the weights.
        **arguments: of the system's class, plain JSON values; what is not given has the published value.

    Raises:
        UserError: for an unknown system or argument, or a value that cannot be.
    """
    return network_class(system, arguments)(rng=np.random.default_rng(seed), **arguments)


def network_class(system: str, arguments: Mapping[str, Any]) -> type:
    """Returns the class of `system`, which has arguments of these names.

    Raises:
        UserError: for an unknown system or argument.
    """
    if system not in SYSTEMS:
        raise UserError(f"there is no system {system!r}: choose from {', '.join(SYSTEMS)}")
    parameters = inspect.signature(SYSTEMS[system].__init__).parameters
    known = [name for name in parameters if name not in ("self", "rng")]
    for name in arguments:
        if name not in known:
            raise UserError(f"{system} has no argument {name!r}; it has {', '.join(known)}")
    return SYSTEMS[system]


def model_card(model: nnx.Module) -> dict[str, Any]:
    """Returns {"system", "arguments"}: what `build_model(card["system"], **card["arguments"])` needs."""
    return {"system": model.system, "arguments": model.arguments}
