"""What a network in memory knows of itself besides its weights, and how it is printed."""

import inspect
import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx


def remember(model: nnx.Module, settings: Mapping[str, Any], origin: str, doubt: str | None = None) -> None:
    """Lets `model`, and what is cloned or merged from it, know how it is to be run and where it is from.

    Args:
        model: a network of `SYSTEMS`.
        settings: of the predictor, JSON values, as its card has them.
        origin: where the weights are from, for people.
        doubt: why its masks cannot be good, if so.
    """
    # Text, because a graph definition must be hashable. Only what all checkpoints of one training share (but
    # for doubt about the first of them): for a new graph definition everything is traced again.
    model._remembered = json.dumps({"settings": dict(settings), "origin": origin, "doubt": doubt})


def remembered(model: nnx.Module) -> dict[str, Any]:
    """Returns the `settings`, `origin` and `doubt` that `model` was told by `remember`; {} for others."""
    return json.loads(getattr(model, "_remembered", "{}"))


def describe(model: nnx.Module) -> str:
    """Returns three lines: the system and its arguments, the size, where the weights are from.

    Of the arguments those that are not the published ones are named. `flax.nnx.display(model)` shows every
    layer.
    """
    published = inspect.signature(type(model).__init__).parameters
    own = [
        f"{name}={value!r}"
        for name, value in model.arguments.items()
        if (default := published[name].default) is not None
        and (list(default) if isinstance(default, tuple) else default) != value
    ]
    counts = {}
    for kind in (nnx.Param, nnx.BatchStat):
        counts[kind] = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(nnx.state(model, kind)))
    origin = remembered(model).get("origin") or "random, as `build_model` makes them, or set since"
    arguments = f"{', '.join(own)}, others as published" if own else "as published"
    return (
        f"{model.system}: {arguments}\n"
        f"  {counts[nnx.Param]:,} parameters and {counts[nnx.BatchStat]:,} running statistics of batch norm\n"
        f"  weights: {origin}"
    )
