"""The state dicts of published files as {name: shape}, and files of such names with the recipe's weights."""

import functools
import json
import lzma
import pickle
from pathlib import Path

import numpy as np
from golden_files import GOLDEN, recipe

from vos3d_jax.porting import rules, targets
from vos3d_jax.porting.export import words
from vos3d_jax.porting.readers import Checkpoint, LazyTensor
from vos3d_jax.porting.readers.lazy import Storage
from vos3d_jax.porting.readers.source import Chunk
from vos3d_jax.porting.writers import write_pth, write_safetensors


@functools.cache
def _all() -> dict:
    return json.loads(lzma.decompress((GOLDEN / "manifests" / "manifests.json.xz").read_bytes()))


def manifest(name: str) -> dict[str, tuple[int, ...]]:
    return {key: tuple(shape) for key, shape in _all()[name].items()}


def names() -> list[str]:
    return [name for name in _all() if not name.endswith("keymaps")]


def keymap(name: str) -> list[list[str]]:
    """[[source name, canonical name, transformation], ...]"""
    maps = _all()["keymaps"] | _all()["r2plus1d_keymaps"]
    return maps[name]["rows"]


def segmentation(decoder: str) -> dict[str, tuple[int, ...]]:
    """A decoder's manifest, completed with the encoder of the published network."""
    whole = manifest("3dcseg_saliencynetwork_gc3d")
    return {k: v for k, v in whole.items() if k.startswith("encoder.")} | manifest(decoder)


def checkpoint_of(shapes: dict[str, tuple[int, ...]]) -> Checkpoint:
    """A checkpoint of these shapes; each tensor is one element, expanded."""
    tensors = {}
    for name, shape in shapes.items():
        dtype = np.dtype(np.int64 if name.endswith("num_batches_tracked") else np.float32)
        content = dtype.type(1).tobytes()
        storage = Storage(name, Chunk(None, 0, len(content), content), dtype)
        tensors[name] = LazyTensor(storage, 0, shape, (0,) * len(shape))
    return Checkpoint(Path("file"), "shapes", tensors)


def recipe_tensors(system: str, source: str, **arguments) -> dict[str, np.ndarray]:
    """{name in the files of `source`: the recipe's value}, the parameters of a network of ours."""
    shapes = targets.shapes(system, arguments)
    found = rules.torch_names(shapes, source, words({"system": system, "arguments": arguments}))
    views = {path: np.broadcast_to(np.float32(0), shape) for path, shape in shapes.items()}
    return {
        name: recipe.weight(name, rules.to_torch(path, views[path]).shape) for path, name in found.items()
    }


def write(path: Path, tensors: dict[str, np.ndarray], wrapper: str = "blobs") -> Path:
    """Writes a checkpoint whose container follows from the suffix: .pth, .safetensors or .pkl (Caffe2)."""
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps({wrapper: tensors}, protocol=2))
    elif path.suffix == ".safetensors":
        write_safetensors(path, tensors)
    else:
        write_pth(path, tensors)
    return path
