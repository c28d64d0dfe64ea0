"""The state dicts of published files as {name: shape}, and files of such names with the recipe's weights."""

import functools
import json
import lzma
import pickle
import struct
from pathlib import Path

import numpy as np
from golden_files import GOLDEN, recipe

from vos3d_jax.porting import rules, targets
from vos3d_jax.porting.export import naming_arguments
from vos3d_jax.porting.readers import Checkpoint, LazyTensor
from vos3d_jax.porting.readers.file_bytes import Chunk
from vos3d_jax.porting.readers.lazy import Storage
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
    """{name in the files of `source`: the recipe's value}, the parameters of a network of ours.

    The recipe does not know Caffe2's word for a variance, which is not negative.
    """
    shapes = targets.shapes(system, arguments)
    found = rules.torch_names(shapes, source, naming_arguments({"system": system, "arguments": arguments}))
    planar = rules.SOURCES[source].planar
    values = {
        name: recipe.weight(name, rules.torch_shape(path, shapes[path], planar=planar))
        for path, name in found.items()
    }
    return {name: abs(value) if name.endswith("_riv") else value for name, value in values.items()}


def write(path: Path, tensors: dict[str, np.ndarray], wrapper: str = "blobs") -> Path:
    """Writes a checkpoint, in the container of its suffix: .pth, .legacy, .safetensors or .pkl (Caffe2)."""
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps({wrapper: tensors}, protocol=2))
    elif path.suffix == ".safetensors":
        write_safetensors(path, tensors)
    elif path.suffix == ".legacy":
        write_legacy(path, tensors)
    else:
        write_pth(path, tensors)
    return path


def write_legacy(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    """Writes a stream as torch 0.4 to 1.5 did (checkpoint-formats.md, section 2)."""
    kinds = {np.dtype(np.float32): b"FloatStorage", np.dtype(np.int64): b"LongStorage"}

    def text(word):
        return b"X" + struct.pack("<I", len(word.encode())) + word.encode()

    def integers(values):
        return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"

    stored = {id(array): array for array in tensors.values()}  # names of one array share it
    keys = {number: str(94_000_000_000 + 80 * index) for index, number in enumerate(stored)}
    parts = [b"\x80\x02ccollections\nOrderedDict\n)R("]
    for name, array in tensors.items():
        size = b"J" + struct.pack("<i", array.size)
        storage = b"(" + text("storage") + b"ctorch\n" + kinds[array.dtype] + b"\n" + text(keys[id(array)])
        strides = integers(stride // array.itemsize for stride in np.empty(array.shape, array.dtype).strides)
        parts += [text(name), b"ctorch._utils\n_rebuild_tensor_v2\n(", storage, text("cpu"), size, b"NtQK\0"]
        parts += [integers(array.shape), strides, b"\x89ccollections\nOrderedDict\n)RtR"]
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4, "long": 4}}
    head = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, system))
    order = sorted(stored, key=keys.get)
    with open(path, "wb") as file:
        file.write(head + b"".join([*parts, b"u."]) + pickle.dumps([keys[number] for number in order], 2))
        for number in order:
            file.write(struct.pack("<q", stored[number].size) + stored[number].tobytes())
    return path
