"""Names and weights of the variants of 3DC-Seg, for the tests that compare them with golden arrays."""

import re

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from golden_files import recipe
from golden_networks import unstacked

from vos3d_jax.models import stacking
from vos3d_jax.porting import rules, rules_variants

_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def names(paths, *tables, rest="3dcseg") -> dict[str, str]:
    """{path: PyTorch name} by the first of `tables` that has the module, else by the source `rest`."""
    found = {path: _name(path, tables) for path in paths}
    missing = [path for path, name in found.items() if name is None]
    return {**found, **rules.torch_names(missing, rest)}


def tables(backbone="csn", bridge="gc3d", refinement="rf3d", **_) -> list[rules_variants.Table]:
    """The tables of a variant of 3DC-Seg's whole network."""
    found = [rules_variants.BRIDGES.get(bridge, {}), rules_variants.REFINEMENTS.get(refinement, {})]
    if backbone != "csn":
        found.append(rules_variants.encoder(backbone, "encoder.", "conv1"))
    return found


def set_weights(module: nnx.Module, names: dict[str, str], parent: str = "") -> None:
    """Gives every tensor of `module` the recipe's value for its name in `names`.

    These have unstacked paths as keys, in the network in which the module is at `parent` ("bridge/").
    """
    flat = {}
    for own, value in unstacked(module).items():
        path = parent + own
        axes = torch_axes(path, value.ndim)
        shape = tuple(value.shape[axis] for axis in axes)
        flat[own] = recipe.weight(names[path], shape).transpose(np.argsort(axes))
    nnx.update(module, jax.tree.map(jnp.asarray, stacking.stack(flat)))


def torch_axes(path: str, rank: int) -> tuple[int, ...]:
    """The order of our axes in PyTorch's array."""
    if not path.endswith("/kernel") and path != "kernel":
        return tuple(range(rank))
    spatial = tuple(range(rank - 2))
    if re.sub(r"refine\d", "refine{n}", path).removesuffix("/kernel") in rules_variants.INPUTS_FIRST:
        return (rank - 2, rank - 1, *spatial)
    return (rank - 1, rank - 2, *spatial)


def _name(path, tables):
    module, leaf = path.rsplit("/", 1)
    values = {}
    if match := re.fullmatch(r"encoder/stage(\d)/(\d+)/(.+)", module):
        values = dict(s=match[1], b=match[2])
        module = f"encoder/stage{{s}}/{{b}}/{match[3]}"
    elif match := re.fullmatch(r"refine(\d)/(.+)", module):
        values = dict(n=match[1])
        module = f"refine{{n}}/{match[2]}"
    norm_of = module.removesuffix("/norm")
    for table in tables:
        if module in table:
            return f"{table[module][0].format(**values)}.{_LEAVES[leaf]}"
        if norm_of != module and norm_of in table:
            return f"{table[norm_of][1].format(**values)}.{_LEAVES[leaf]}"
    return None
