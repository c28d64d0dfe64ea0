"""Networks with the recipe's weights, and golden layouts, for every test that compares with golden arrays."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from golden_files import recipe

from vos3d_jax.models import build_model, stacking
from vos3d_jax.porting import rules

# Of the classifiers; a segmentation network has it among its arguments.
BACKBONES = {"resnet3d_classifier": "resnet", "r2plus1d_classifier": "r2plus1d"}


def recipe_network(system: str, source: str, **arguments) -> nnx.Module:
    """The network whose weights are the recipe's for the names that `source` gives them."""
    model = build_model(system, **arguments)
    words = {"backbone": BACKBONES.get(system, "csn"), **model.arguments}
    set_recipe_weights(model, rules.torch_names(unstacked(model), source, words))
    return model


def set_recipe_weights(module: nnx.Module, names: dict[str, str], parent: str = "") -> None:
    """Gives every tensor of `module` ({unstacked path: PyTorch name}) the recipe's value for its name.

    A module alone has the paths of a network in which it is at `parent` ("bridge/").
    """
    flat = {}
    for own, value in unstacked(module).items():
        path = parent + own
        shape = rules.to_torch(path, np.asarray(value)).shape
        flat[own] = rules.from_torch(path, recipe.weight(names[path], shape))
    nnx.update(module, jax.tree.map(jnp.asarray, stacking.stack(flat)))


def unstacked(module: nnx.Module) -> dict[str, np.ndarray]:
    return stacking.unstack(nnx.to_pure_dict(nnx.state(module)))


def golden_input(name: str, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> jnp.ndarray:
    """The recipe's input of PyTorch's `shape`, channels last."""
    return jnp.asarray(np.moveaxis(recipe.array(name, shape, low, high), 1, -1))


def golden_clip(name: str, shape: tuple[int, ...]) -> jnp.ndarray:
    """An input clip as RGB 0..255, channels last; the recipe's are in [0, 1)."""
    return np.float32(255) * golden_input(name, shape)


def torch_layout(x) -> np.ndarray:
    return np.moveaxis(np.asarray(x), -1, 1)
