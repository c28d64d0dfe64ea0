"""Checkpoints for the driver: every container that `convert` reads, and a folder that `load_model` opens."""

import pickle
import random
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import manifests
from fuzz import mutations
from golden_files import GOLDEN

from vos3d_jax import models, storage
from vos3d_jax.errors import UserError
from vos3d_jax.porting import convert, open_checkpoint, plan

_TINY = {"depth": 14, "width": 1, "classes": 2}
_NO_NETWORK = ".tensors"  # suffix of files whose tensors alone are read
_LARGEST = 64 << 20  # bytes of a tensor that are read; a view may claim more than its file has
# Instructions and names of pickles, which chance would hardly make: what each file of torch or numpy has.
_WORDS = [
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n",
    b"ctorch._utils\n_rebuild_sparse_tensor\n", b"ctorch._utils\n_rebuild_qtensor\n",
    b"ctorch._tensor\n_rebuild_from_type_v2\n", b"ctorch\nFloatStorage\n", b"ctorch\nBFloat16Storage\n",
    b"ctorch\nSize\n", b"ccollections\nOrderedDict\n", b"cbuiltins\nbytearray\n", b"c__builtin__\nbytes\n",
    b"c_codecs\nencode\n", b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cos\nsystem\n",
    b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy._core.numeric\n_frombuffer\n", b"cmmengine.a\nB\n",
    b"X\x07\0\0\0storage", b"X\x06\0\0\0latin1", b"U\x02f4", b"J\xff\xff\xff\xff",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"K\x04", b"q\0", b"h\0", b"2", b"Q", b"(", b"t", b"R", b"b", b"N",
    b")", b"}", b"]", b"u", b"s", b"e", b"\x85", b"\x94", b"\x81",
]  # fmt: skip


def samples(folder: Path) -> list[Path]:
    torch = manifests.recipe_tensors("csn_classifier", "vmz", **_TINY)
    wrapped = {f"module._orig_mod.{name}": array for name, array in torch.items()}
    caffe2 = manifests.recipe_tensors("csn_classifier", "caffe2", **_TINY)
    files = [
        manifests.write(folder / "zip.pth", wrapped),
        manifests.write(folder / "legacy.legacy", torch),
        manifests.write(folder / "plain.safetensors", torch),
        manifests.write(folder / "caffe2.pkl", caffe2),
    ]
    # Else every change of its pickle ends at its checksum; torch can write none, too.
    files.append(folder / "unchecked.pth")
    files[-1].write_bytes(_without_checksums(files[0].read_bytes()))
    for protocol in (4, 5):
        files.append(folder / f"protocol{protocol}.pkl")
        files[-1].write_bytes(pickle.dumps({"net": torch, "epoch": 3}, protocol))
    for file in sorted((GOLDEN / "checkpoints/valid").iterdir()):
        files.append(Path(shutil.copy(file, folder / f"{file.name}{_NO_NETWORK}")))
    storage.save_model(models.build_model("csn_classifier", **_TINY), folder / "model")
    files.append(folder / "folder.tar")
    with tarfile.open(files[-1], "w") as archive:
        archive.add(folder / "model", "model")
    return files


def read(path: Path) -> None:
    """What `convert` reads of a file; a tar stands for the folder in it, which `load_model` reads."""
    if path.suffix == ".tar":
        return _read_folder(path)
    checkpoint = open_checkpoint(path)
    for tensor in checkpoint.values():
        if tensor.nbytes < _LARGEST:
            assert tensor.numpy().shape == tensor.shape
    if path.suffix == _NO_NETWORK:
        return
    convert.fill(checkpoint, plan.make(checkpoint))


def mutate(content: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """A change of any kind; half of the time with an instruction or a name of pickles, or instead of one."""
    if rng.random() < 0.5:
        at = mutations.place(content, rng) if rng.random() < 0.5 else rng.randrange(len(content))
        word = b"".join(rng.choices(_WORDS, k=rng.choice((1, 1, 2, 5))))
        content = content[:at] + word + content[at + rng.choice((0, 0, 1, len(word))) :]
    return mutations.change(content, rng, others) if rng.random() < 0.6 else content


def _read_folder(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, OSError, ValueError, UnicodeError, OverflowError, EOFError):
            raise UserError("no tar any more") from None  # that is Python's affair
        storage.load_model(Path(folder, "model"))


def _without_checksums(content: bytes) -> bytes:
    """A zip archive whose directory says 0 for every checksum."""
    changed, at = bytearray(content), 0
    while (at := changed.find(b"PK\x01\x02", at)) >= 0:
        changed[at + 16 : at + 20] = bytes(4)
        at += 4
    return bytes(changed)
