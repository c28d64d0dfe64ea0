"""Adam with a schedule and with parameter groups by path (3DC-Seg, section 4.2).

Groups are found by the *unstacked* path of a parameter (`encoder/stage3/7/reduce/kernel`), although equal
blocks are one stacked array: the rate of such an array is then a vector along its first axis. So a part
of a stacked array can be frozen, and no array is split.
"""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vos3d_jax.models import stacking
from vos3d_jax.recipe import Group, Optimiser, Stage

# Scale and bias of batch norms: not trained where their statistics are frozen.
_NORM = Group(r"(^|/)norm[^/]*/(scale|bias)$", 0.0)


def rate_factors(params: dict[str, Any], stage: Stage) -> dict[str, np.ndarray]:
    """Returns how many times the learning rate each parameter learns at in `stage`, flat by path.

    PyTorch's groups are lists of tensors, and a tensor of no group is not trained; here a group is a pattern,
    a parameter of no group has factor 1, and a stacked array has a factor for each of its blocks.

    Args:
        params: nested dicts, equal blocks stacked; only the shapes matter, so they may be traced.
        stage: of `optimiser.groups` the first counts whose pattern is found in the unstacked path. Where its
            batch norm is frozen, scales and biases of norms have factor 0 before all groups.

    Returns:
        float32 factors that broadcast with their parameters: of shape [], or [n, 1, ...] for n stacked
        blocks; 0 is frozen.

    Raises:
        ValueError: equal blocks with a gap between their numbers, which are no model's.
    """
    groups = [*([_NORM] if stage.batch_norm == "frozen" else []), *stage.optimiser.groups]
    shapes = jax.tree.map(lambda param: np.broadcast_to(np.float32(0), param.shape), params)
    stacked = stacking.stack({path: _factor(path, groups) for path in stacking.unstack(shapes)})
    flat = stacking.flatten(params)
    return {
        path: factor.reshape(factor.shape + (1,) * (flat[path].ndim - 1) * factor.ndim)
        for path, factor in stacking.flatten(stacked).items()
    }


def partition(
    params: dict[str, Any], factors: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the (trained, frozen) parameters, flat by path; frozen are those whose factors are all 0."""
    flat = stacking.flatten(params)
    trained = {path: leaf for path, leaf in flat.items() if factors[path].any()}
    return trained, {path: leaf for path, leaf in flat.items() if path not in trained}


def schedule(optimiser: Optimiser, steps: int) -> optax.Schedule:
    """Returns the learning rate as a function of the step within a stage of `steps` steps."""
    rate, warmup = optimiser.learning_rate, optimiser.warmup_steps
    if optimiser.schedule == "cosine":
        main = optax.cosine_decay_schedule(rate, max(1, steps - warmup))
    elif optimiser.schedule == "exponential":
        main = optax.exponential_decay(rate, optimiser.decay_steps, optimiser.decay)
    else:
        main = optax.constant_schedule(rate)
    if not warmup:
        return main
    # The first step already learns: a rate of 0 would waste it.
    return optax.join_schedules([lambda step: rate * (step + 1) / warmup, main], [warmup])


def make(optimiser: Optimiser, factors: dict[str, np.ndarray]) -> optax.GradientTransformation:
    """Returns the optimiser of one stage for its trained parameters, flat by path, each at its factor.

    Its updates are for a learning rate of 1. The step takes the rate as an argument, so that stages that
    differ in nothing but their schedule are one program, compiled once.

    Like `torch.optim.Adam` for `weight_decay=0` (epsilon is added outside the root); otherwise AdamW.
    """
    factors = {path: factor for path, factor in factors.items() if factor.any()}
    parts = [_scale({path: (factor > 0).astype(np.float32) for path, factor in factors.items()})]
    if optimiser.clip_norm:
        parts.append(optax.clip_by_global_norm(optimiser.clip_norm))
    parts.append(optax.scale_by_adam(optimiser.beta1, optimiser.beta2, optimiser.epsilon))
    if optimiser.weight_decay:
        parts.append(optax.add_decayed_weights(optimiser.weight_decay))
    parts.append(_scale({path: -factor for path, factor in factors.items()}))
    return optax.chain(*parts)


def _scale(factors: dict[str, Any]) -> optax.GradientTransformation:
    if all(np.all(factor == 1) for factor in factors.values()):
        return optax.identity()
    return optax.stateless(lambda updates, _: jax.tree.map(lambda u, f: u * jnp.asarray(f), updates, factors))


def _factor(path: str, groups: list[Group]) -> np.ndarray:
    rate = next((group.rate for group in groups if re.search(group.pattern, path)), 1.0)
    return np.asarray(rate, np.float32)
