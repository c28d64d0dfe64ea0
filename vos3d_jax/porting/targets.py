"""The tensors that a network needs: their names and shapes, without weights, and arrays to be filled.

Paths are unstacked (`models.stacking`); `params` and `batch_stats` are together, as names tell them apart.
jax is brought in only where the network itself is asked: `inspect` of a published file does without.
"""

import functools
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from vos3d_jax.porting.networks import published_shapes

# A quiet NaN with a mark: an element that still has these bits at the end was never written.
CANARY = np.uint32(0x7FC5EA7D)
Variables = dict[str, Any]
_ALIGNMENT = 64  # bytes: jax uses arrays that begin there as they are, without a copy


def shapes(system: str, given: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Returns {unstacked path: shape} of the network's parameters and statistics, in the order of tables.

    Args:
        system: a key of `models.SYSTEMS`.
        given: arguments that it can have, as `arguments` finds out.
    """
    if (known := published_shapes(system, given)) is not None:
        return known
    from vos3d_jax.models import stacking

    flat = {}
    for kind in abstract(system, given).values():
        for path, leaf in stacking.flatten(kind).items():
            flat[path] = np.broadcast_to(np.float32(0), leaf.shape)  # takes no memory
    return {path: leaf.shape for path, leaf in stacking.unstack(stacking.nest(flat)).items()}


def allocate(system: str, given: Mapping[str, Any]) -> Variables:
    """Returns {"params", "batch_stats"}: float32 arrays as `storage` keeps them, every element `CANARY`."""
    import jax

    def array(leaf: Any) -> np.ndarray:
        size = math.prod(leaf.shape)
        memory = np.empty(size + _ALIGNMENT // 4, np.uint32)
        start = -memory.ctypes.data % _ALIGNMENT // 4
        array = memory[start : start + size].reshape(leaf.shape)
        array.fill(CANARY)
        return array.view(np.float32)

    return jax.tree.map(array, abstract(system, given))


def views(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns {unstacked path: view into the arrays of `variables`}: writing there writes in them."""
    from vos3d_jax.models import stacking

    return {path: leaf for kind in variables.values() for path, leaf in stacking.unstack(kind).items()}


def bits(array: np.ndarray) -> np.ndarray:
    """Returns the bytes of an array, row by row: -0.0 is not 0.0 there, and NaN is equal to itself."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def arguments(system: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all arguments of the network, with the system's own values where none is given.

    Raises:
        UserError: the system does not have such arguments.
    """
    return _model(system, json.dumps(dict(given), sort_keys=True)).arguments


def abstract(system: str, given: Mapping[str, Any]) -> Variables:
    """Returns {"params", "batch_stats"}: pure dicts of shapes and dtypes, without any weight in memory.

    Raises:
        UserError: the system does not have such arguments.
    """
    from flax import nnx

    model = _model(system, json.dumps(dict(given), sort_keys=True))
    _, params, batch_stats = nnx.split(model, nnx.Param, nnx.BatchStat)
    return {"params": nnx.to_pure_dict(params), "batch_stats": nnx.to_pure_dict(batch_stats)}


@functools.lru_cache(maxsize=8)
def _model(system: str, given: str) -> Any:
    from vos3d_jax.models.abstract import abstract_model

    return abstract_model(system, **json.loads(given))
