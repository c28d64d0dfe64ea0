"""Where the first weights of a run come from: a trained or ported folder, or a published file (`init_from`).

What fits is taken by path and shape; an encoder fits as a whole or not at all, as half an encoder is worth
nothing. Batch statistics belong to the weights and come with them.
"""

import collections
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vos3d_jax import storage
from vos3d_jax.errors import UserError
from vos3d_jax.models import stacking
from vos3d_jax.porting import convert, open_checkpoint, plan, targets

Variables = dict[str, Any]


def load(path: str, system: str, variables: Mapping[str, Any]) -> tuple[Variables, str]:
    """Returns `variables` with the weights of `path`, and a line that says what came and what is random.

    Args:
        path: a folder that `storage.load_model` opens, or a checkpoint that `porting.convert` reads.
        system: of the network that `variables` belong to.
        variables: its random {"params", "batch_stats"}.

    Raises:
        UserError: nothing there, another network's encoder, or a file with problems.
    """
    found, title = _folder(path) if Path(path).is_dir() else _file(path, system)
    flat = {kind: stacking.unstack(tree) for kind, tree in variables.items()}
    ours = {name: leaf for kind in flat.values() for name, leaf in kind.items()}
    fits = {name for name, leaf in ours.items() if name in found and found[name].shape == leaf.shape}
    encoder = {name for name in (*ours, *found) if name.startswith("encoder/")}
    if strange := sorted(encoder - fits):
        raise UserError(
            f"init_from: the encoder of {path} ({title}) is not that of this config: {len(strange)} of "
            f"{len(encoder)} tensors do not fit, the first is {strange[0]}; set config.model to its arguments"
        )
    taken = {
        kind: stacking.stack({n: np.asarray(found[n] if n in fits else leaf) for n, leaf in tree.items()})
        for kind, tree in flat.items()
    }
    random = [name for name in ours if name not in fits]
    line = f"weights   from {path} ({title}): {_parts(fits)} loaded; random: {_parts(random) or 'none'}"
    return jax.tree.map(jnp.array, taken), line


def _folder(path: str) -> tuple[dict[str, np.ndarray], str]:
    variables, card = storage.load_variables(path)
    return targets.views(variables), f"a {card['system']}"


def _file(path: str, system: str) -> tuple[dict[str, np.ndarray], str]:
    checkpoint = open_checkpoint(path)
    variables, done = convert.fill(checkpoint, plan.make(checkpoint, into=system))
    used = {row.path for row in done.rows if row.status == plan.USED}
    views = {name: leaf for name, leaf in targets.views(variables).items() if name in used}
    return views, done.recognised.title


def _parts(names: Iterable[str]) -> str:
    """The parts of the network that `names` are of, with how many tensors of each."""
    counts = collections.Counter(name.split("/")[0] for name in names)
    return ", ".join(f"{part} ({count} tensors)" for part, count in sorted(counts.items()))
