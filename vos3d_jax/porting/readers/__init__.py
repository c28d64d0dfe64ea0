"""Opens published checkpoints without torch and without executing anything in them.

What is refused: docs/readers.md. Recognised by content, never by name.
"""

import os

from vos3d_jax.porting.readers.file_bytes import FileBytes, printable
from vos3d_jax.porting.readers.lazy import Checkpoint, LazyTensor
from vos3d_jax.porting.readers.numpy_pickle import NumpyPickle
from vos3d_jax.porting.readers.safetensors_file import Safetensors
from vos3d_jax.porting.readers.state_dict import checkpoint
from vos3d_jax.porting.readers.torch_legacy import MAGIC, TorchLegacy
from vos3d_jax.porting.readers.torch_zip import TorchZip
from vos3d_jax.porting.readers.unpickle import Machine

__all__ = ["Checkpoint", "LazyTensor", "open_checkpoint"]


def open_checkpoint(path: str | os.PathLike, *, root: str | None = None) -> Checkpoint:
    """Returns the tensors of a checkpoint by name, each read from the file only when asked for.

    Reads torch's zip archives and its older streams, pickles of numpy arrays (Caffe2) and safetensors.
    Wrappers (`model`, `state_dict`, ...) are opened and prefixes (`module.`, `_orig_mod.`, `model.`, ...) are
    taken off the names; `Checkpoint.root` and `.prefix` say so. Nothing is imported or executed, whatever
    the file asks for.

    Args:
        path: the file.
        root: the path of keys under which the weights lie, for a file that holds several ("state_dict_ema",
            "ema.module"), or what their names begin with ("ema_model"); None finds them.

    Raises:
        UserError: one line that names the file, what is wrong with it, and what to do.
    """
    file = FileBytes(path)
    with file:
        return checkpoint(file, _reader(file), root)


def _reader(file: FileBytes) -> TorchZip | TorchLegacy | NumpyPickle | Safetensors:
    head = file.read(0, min(file.size, 1024))
    if head.startswith(b"PK\x03\x04"):
        return TorchZip(file)
    if problem := _no_checkpoint(head):
        raise file.problem(f"{problem}")
    # A header of 640 bytes begins like a pickle of protocol 2; no pickle has zeros there.
    if head[8:9] == b"{" and (head[:1] != b"\x80" or head[4:8] == bytes(4)):
        return Safetensors(file)
    if head[:1] == b"\x80":
        machine = Machine(file, 0, file.size)
        value = machine.run()
        if type(value) is int and value == MAGIC:
            return TorchLegacy(file, machine.position)
        return NumpyPickle(file, value, tuple(machine.placeholders), machine.position)
    raise file.problem(f"is no checkpoint that is known here: it begins with {printable(head[:8])}")


def _no_checkpoint(head: bytes) -> str | None:
    """What a file is that people hold for a checkpoint, by its first bytes."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "is an empty file (0 bytes): fetch it again"
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<script")):
        return "is a web page, not a checkpoint (an error page of the download site?): fetch the file itself"
    if text.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file: run `git lfs pull`"
    if head[257:262] == b"ustar":
        return "is a torch tar archive (before 0.1.10), or another tar: load and save it with a newer torch"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "is an HDF5 file (Keras, MATLAB), which no network known here is published in: nothing to read"
    if head.startswith(b"\x93NUMPY"):
        return "is one numpy array, not a checkpoint: give the file that holds all tensors by name"
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
        return "is a compressed file: unpack it and give the checkpoint in it"
    return None
