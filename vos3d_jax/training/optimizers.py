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
from vos3d_jax.training.stages import Group, Optimiser, Stage

# Scale and bias of batch norms: not trained where their statistics are frozen.
_NORM = Group(r"(^|/)norm[^/]*/(scale|bias)$", 0.0)


def rates(params: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """Returns, for every parameter, its share of the learning rate in this stage; 0 is frozen.

    Leaves are float32 and broadcast with the parameter: shape [] or, for stacked blocks, [n, 1, ...].
    """
    groups = [*([_NORM] if stage.batch_norm == "frozen" else []), *stage.optimiser.groups]
    # Only the shapes matter, and inside a jitted step there is nothing else.
    shapes = jax.tree.map(lambda param: np.broadcast_to(np.float32(0), param.shape), params)
    stacked = stacking.stack({path: np.float32(_rate(path, groups)) for path in stacking.unstack(shapes)})

    def fit(param, share):
        share = np.asarray(share)
        return share.reshape(share.shape + (1,) * (param.ndim - share.ndim)) if share.ndim else share

    return jax.tree.map(fit, params, stacked)


def partition(tree: dict[str, Any], shares: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the (trained, frozen) leaves of `tree`, flat by path; frozen have rate 0 throughout."""
    trained, frozen = {}, {}
    flat_shares = stacking.flatten(shares)
    for path, leaf in stacking.flatten(tree).items():
        (trained if np.any(flat_shares[path]) else frozen)[path] = leaf
    return trained, frozen


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


def make(optimiser: Optimiser, shares: dict[str, Any]) -> optax.GradientTransformation:
    """Returns the optimiser of one stage for the trained parameters, flat by path, with their rates `shares`.

    Its updates are for a learning rate of 1. The step takes the rate as an argument, so that stages that
    differ in nothing but their schedule are one program, compiled once.

    Like `torch.optim.Adam` for `weight_decay=0` (epsilon is added outside the root); otherwise AdamW.
    """
    parts = [_scale({path: (share > 0).astype(np.float32) for path, share in shares.items()})]
    if optimiser.clip_norm:
        parts.append(optax.clip_by_global_norm(optimiser.clip_norm))
    parts.append(optax.scale_by_adam(optimiser.beta1, optimiser.beta2, optimiser.epsilon))
    if optimiser.weight_decay:
        parts.append(optax.add_decayed_weights(optimiser.weight_decay))
    parts.append(_scale({path: -share for path, share in shares.items()}))
    return optax.chain(*parts)


def _scale(factors: dict[str, Any]) -> optax.GradientTransformation:
    if all(np.all(factor == 1) for factor in factors.values()):
        return optax.identity()
    return optax.stateless(lambda updates, _: jax.tree.map(lambda u, f: u * jnp.asarray(f), updates, factors))


def _rate(path: str, groups: list[Group]) -> float:
    return next((group.rate for group in groups if re.search(group.pattern, path)), 1.0)
