"""Files beyond the golden samples that want more than to be read: each is refused in one line, at once."""

import io
import json
import os
import pickle
import socket
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path

import manifests
import numpy as np
import pytest
from golden_files import GOLDEN, load_json

from vos3d_jax import port_weights
from vos3d_jax.errors import UserError
from vos3d_jax.porting import open_checkpoint, writers

TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0"
    b"0X\x03\0\0\0cpuK\x04tQK\0K\x04\x85K\x01\x85\x89NtR"
)
HUGE = b"\x8a\x05\0\xe4\x0bT\x02"  # 10**10


def _zip(path, pickled=b"\x80\x02}X\x08\0\0\0a.weight" + TENSOR + b"s.", members=(("data/0", bytes(16)),)):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, content in members:
            archive.writestr(f"archive/{name}", content)
    return path


def _refusal(path):
    """The one line with which a file is refused, in little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as caught:
            for tensor in open_checkpoint(path).values():
                tensor.numpy()
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert "\n" not in message and message.isprintable() and len(message) < 1000
    return message


def _weight(value):
    """A state dict of one tensor as a pickle in the archive of torch."""
    return b"\x80\x02}X\x08\0\0\0a.weight" + value + b"s."


INDICES = TENSOR  # of another type, count and range than a sparse tensor's: nobody looks that far
BUILDERS = {
    "_rebuild_sparse_tensor": b"ctorch.serialization\n_get_layout\nX\x10\0\0\0torch.sparse_coo\x85R("
    + INDICES
    + TENSOR
    + b"ctorch\nSize\n"
    + HUGE
    + HUGE
    + b"\x86\x85Rt\x86",
    "_rebuild_qtensor": b"("
    + TENSOR
    + HUGE
    + b"K\x02\x85K\x01\x85(K\x00G?\xb9\x99\x99\x99\x99\x99\x9aK\x00t\x89Nt",
    "_rebuild_nested_tensor": b"(" + TENSOR + TENSOR + TENSOR + TENSOR + b"t",
    "_rebuild_meta_tensor_no_storage": b"(ctorch\nfloat32\n" + HUGE + b"\x85K\x01\x85\x89t",
    "_rebuild_device_tensor_from_numpy": b"(N)\x89t",
}


@pytest.mark.parametrize("builder", BUILDERS)
def test_tensors_whose_builders_believe_their_indices_are_named_and_not_built(builder, tmp_path):
    # Trap: torch builds a sparse or quantised tensor without looking at its indices, and reads beyond them.
    pickled = _weight(b"ctorch._utils\n" + builder.encode() + b"\n" + BUILDERS[builder] + b"R")
    assert f"a.weight: is made by torch._utils.{builder}" in _refusal(_zip(tmp_path / "file", pickled))


def test_a_sparse_tensor_of_torch_itself_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    sparse = torch.sparse_coo_tensor([[0, 1], [1, 0]], [1.0, 2.0], (2, 2), check_invariants=True)
    torch.save({"a.weight": sparse, "b.weight": torch.ones(2)}, tmp_path / "file")
    assert "a.weight: is made by torch._utils._rebuild_sparse_tensor" in _refusal(tmp_path / "file")


CALLS = [
    b"cbuiltins\nbytes\n", b"c__builtin__\nbytes\n", b"cbuiltins\nbytearray\n", b"cbuiltins\nlist\n",
    b"cbuiltins\nrange\n", b"cbuiltins\nint\n", b"cbuiltins\nset\n", b"ccollections\nOrderedDict\n",
    b"ccollections\nCounter\n", b"ccollections\ndefaultdict\n", b"ctorch\nSize\n", b"ctorch\nFloatStorage\n",
    b"ctorch.storage\nUntypedStorage\n", b"ctorch\nTensor\n", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n",
    b"cnumpy\nzeros\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy._core.numeric\n_frombuffer\n",
    b"c_codecs\nencode\n", b"cpathlib\nPath\n",
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[1:-1].decode().replace("\n", "."))
@pytest.mark.parametrize("arguments", [HUGE + b"\x85", HUGE + b"\x85\x85", HUGE + HUGE + b"\x86"])
def test_no_constructor_makes_what_giant_arguments_ask_for(call, arguments, tmp_path):
    for end in (b"R", b"\x81"):
        _refusal(_zip(tmp_path / "file", _weight(call + arguments + end)))
        (tmp_path / "file.pkl").write_bytes(_weight(call + arguments + end))
        _refusal(tmp_path / "file.pkl")


def test_arrays_of_giant_shapes_over_a_few_bytes_are_refused(tmp_path):
    for shape in (10**10, (10**10,), (1 << 47, 1 << 47), (-1,), (0, 1 << 60)):
        state = (1, shape, np.dtype("f4"), False, b"abcd")

        class Array:
            def __reduce__(self, state=state):
                return np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), state

        (tmp_path / "file.pkl").write_bytes(pickle.dumps({"a_w": Array()}, 2))
        assert "a_w: " in _refusal(tmp_path / "file.pkl")


GROWTH = {
    # Each value holds the one before twice, by the memo or by DUP.
    "tuples": b"\x80\x02Nq\0" + b"".join(b"h\0h\0\x86q\0" for _ in range(60)) + b".",
    "lists": b"\x80\x02]q\0" + b"".join(b"](h\0h\0eq\0" for _ in range(60)) + b".",
    "dicts": b"\x80\x02}q\0" + b"".join(b"}(X\1\0\0\0ah\0X\1\0\0\0bh\0uq\0" for _ in range(60)) + b".",
    "a list that is extended by itself": b"\x80\x02]q\0" + b"(h\0h\0e" * 9 + b"h\0.",
    "dup": b"\x80\x02]" + b"2\x86" * 60 + b".",
    "sizes of sizes": b"\x80\x02]q\0(" + b"K\1" * 1000 + b"e" + b"0ctorch\nSize\nh\0\x85R" * 9 + b".",
}


@pytest.mark.parametrize("name", GROWTH)
def test_values_that_double_take_no_memory(name, tmp_path):
    for path in (_zip(tmp_path / "file", GROWTH[name]), tmp_path / "file.pkl"):
        path.write_bytes(GROWTH[name]) if path.suffix else None
        _refusal(path)


@pytest.mark.parametrize(
    "members, said",
    [
        (["archive_format", "models/model.json", "data/weights/weight_0"], "a .pt2 archive of torch.export"),
        ([".data/extern_modules", "a/b.pkl"], "a package of torch.package"),
        (["constants.pkl", "data.pkl"], "a TorchScript archive"),
        (["code/__torch__/a.py", "data.pkl"], "a TorchScript archive"),
    ],
)
def test_archives_with_a_program_in_them_are_named(members, said, tmp_path):
    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        for name in members:
            archive.writestr(f"top/{name}", b"")
    assert f"is {said}, not a state dict: save model.state_dict()" in _refusal(tmp_path / "file")


@pytest.mark.slow
def test_a_pt2_of_torch_itself_is_named(tmp_path):
    torch = pytest.importorskip("torch")
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(program, tmp_path / "file.pt2")
    assert "a .pt2 archive of torch.export" in _refusal(tmp_path / "file.pt2")


def test_an_archive_in_an_archive_is_not_opened(tmp_path):
    inner = _zip(tmp_path / "inner.pth").read_bytes()
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.writestr("weights/inner.pth", inner)
    assert "it holds weights/inner.pth; unpack it" in _refusal(tmp_path / "outer.zip")
    _zip(tmp_path / "as_pickle", inner)
    assert "malformed pickle" in _refusal(tmp_path / "as_pickle")


def test_a_symbolic_link_in_an_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        archive.writestr("archive/data.pkl", _weight(TENSOR))
        link = zipfile.ZipInfo("archive/data/0")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "../../../../etc/passwd")
    assert "has a symbolic link archive/data/0 in it" in _refusal(tmp_path / "file")


# Field of the directory's entry (offset, size) -> forged values for the record data/0, of 16 bytes.
FORGED = {
    "size": ((24, 4), (0, 15, 17, 1 << 20, 0xFFFFFFFE, 0xFFFFFFFF)),
    "packed size": ((20, 4), (0, 15, 17, 1 << 31, 0xFFFFFFFF)),
    "both sizes": ((20, 8), (17 << 32 | 17, 1 << 52 | 1 << 20)),
    "position": ((42, 4), (0, 1, 1 << 20, 0xFFFFFFFE, 0xFFFFFFFF)),
    "method": ((10, 2), (8, 93, 0xFFFF)),
    "flags": ((8, 2), (1,)),
    "length of the name": ((28, 2), (0, 1, 0xFFFF)),
    "length of the extra field": ((30, 2), (1, 0xFFFF)),
}


@pytest.mark.parametrize("field", FORGED)
def test_a_directory_whose_numbers_are_forged_is_refused(field, tmp_path):
    content = _zip(tmp_path / "file").read_bytes()
    (offset, size), values = FORGED[field]
    at = content.rfind(b"PK\x01\x02") + offset
    for value in values:
        (tmp_path / "file").write_bytes(content[:at] + value.to_bytes(size, "little") + content[at + size :])
        _refusal(tmp_path / "file")


def test_records_that_lie_over_each_other_cannot_claim_more_than_the_file(tmp_path):
    # Trap: many entries for the same bytes, as in the zip bombs that need no nesting.
    members = [(f"data/{i}", bytes(1000)) for i in range(50)]
    content = bytearray(_zip(tmp_path / "file", members=members).read_bytes())
    first = content.find(b"PK\x01\x02")
    at = first
    while (at := content.find(b"PK\x01\x02", at + 1)) >= 0:
        content[at + 20 : at + 28] = struct.pack("<2I", 50_000, 50_000)
    (tmp_path / "file").write_bytes(content)
    assert "claim more bytes than there are" in _refusal(tmp_path / "file")


def _npy(header, content=b"", version=b"\x01\x00"):
    text = header if isinstance(header, bytes) else repr(header).encode()
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + content


def _npz(*members):
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


FLOATS = {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
OTHERS = {
    "array.npy": (_npy(FLOATS), "one numpy array"),
    "objects.npy": (_npy({**FLOATS, "descr": "|O"}, pickle.dumps(print)), "one numpy array"),
    "code.npy": (_npy(b"__import__('os').mkdir('x')"), "one numpy array"),
    "long.npy": (_npy(b"(" * 100_000, version=b"\x03\x00"), "one numpy array"),
    "arrays.npz": (_npz(("a.weight.npy", _npy(FLOATS))), "not one of torch"),
    "objects.npz": (_npz(("data.pkl", b"cos\nsystem\n.")), "not one of torch"),
    "file.h5": (b"\x89HDF\r\n\x1a\n" + bytes(500), "HDF5"),
    "file.msgpack": (b"\x81\xa6params" + bytes(50), "no checkpoint that is known here"),
    "file.onnx": (b"\x08\x07\x12\x07pytorch" + bytes(50), "no checkpoint that is known here"),
    "file.gguf": (b"GGUF\3\0\0\0" + bytes(50), "no checkpoint that is known here"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_other_kinds_are_named_by_content_whatever_they_are_called(name, tmp_path):
    for suffix in (Path(name).suffix, ".pth", ".safetensors"):
        path = (tmp_path / "file").with_suffix(suffix)
        path.write_bytes(OTHERS[name][0])
        assert OTHERS[name][1] in _refusal(path)


def test_a_header_of_safetensors_beyond_all_bounds_is_not_read(tmp_path):
    for length in (101 << 20, 1 << 40, (1 << 64) - 1):
        with open(tmp_path / "file", "wb") as file:
            file.write(struct.pack("<Q", length) + b'{"a":')
            file.truncate(200 << 20)  # a hole
        assert "header length" in _refusal(tmp_path / "file")


def _safetensors(*ranges):
    entries = (
        f'"{name}":{{"dtype":"U8","shape":[{end - at}],"data_offsets":[{at},{end}]}}'
        for name, at, end in ranges
    )
    header = f"{{{','.join(entries)}}}".encode()
    return struct.pack("<Q", len(header)) + header + bytes(16)


@pytest.mark.parametrize(
    "ranges, said",
    [
        ([("a", 0, 8), ("b", 9, 16)], "begin at 9"),  # a hole
        ([("a", 1, 16)], "begin at 1"),
        ([("a", 0, 15)], "cover 15 of 16"),
        ([("a", 0, 16), ("b", 0, 16)], "begin at 0"),  # the same bytes twice
        ([("a", 0, 10), ("b", 8, 16)], "begin at 8"),
        ([("a", 0, 8), ("a", 8, 16)], "names twice: a"),
        ([("a", 0, 8), ("b", 8, 16), ("b", 8, 16)], "names twice: b"),
        ([("a", 0, 17)], "outside of the 16 bytes"),
    ],
)
def test_ranges_of_safetensors_are_the_file_once_and_in_whole(ranges, said, tmp_path):
    (tmp_path / "file").write_bytes(_safetensors(*ranges))
    assert said in _refusal(tmp_path / "file")


@pytest.mark.parametrize("kind", ["pipe", "socket", "link to nothing", "link to itself", "device"])
def test_what_is_no_file_is_not_waited_for(kind, tmp_path):
    path = tmp_path / "file.pth"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    elif kind.startswith("link"):
        path.symlink_to("file.pth" if kind.endswith("itself") else "nowhere")
    else:
        path.symlink_to("/dev/zero")  # a person may well name a link to a file, but that is none
    assert "file.pth" in _refusal(path)


FILES = [GOLDEN / "checkpoints" / name for name in load_json("checkpoints/expected.json")]


@pytest.fixture
def unsafe(monkeypatch):
    """The calls that would run what is in a file; torch cannot be imported."""
    called = []
    for module, names in ((pickle, ("load", "loads", "Unpickler", "_Unpickler")), (np, ("load", "memmap"))):
        for name in names:
            monkeypatch.setattr(module, name, lambda *a, name=name, **k: called.append(name))
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    return called


def test_no_reader_falls_back_to_one_that_runs_what_is_in_a_file(unsafe, tmp_path, capsys):
    other = tmp_path / "other"
    for content, _ in OTHERS.values():
        other.write_bytes(content)
        assert port_weights.main(["inspect", str(other)]) == 2
    for file in FILES:
        assert port_weights.main(["inspect", str(file)]) in (0, 2)
    tensors = manifests.recipe_tensors("csn_classifier", "vmz", depth=14, width=1, classes=2)
    path = manifests.write(tmp_path / "file.pth", tensors)
    assert port_weights.main(["convert", str(path), f"--output={tmp_path / 'model'}"]) == 0
    assert port_weights.main(["compare", str(tmp_path / "model"), str(path)]) == 0
    assert unsafe == []


@pytest.mark.parametrize("write", [writers.write_pth, writers.write_safetensors])
def test_tensors_are_written_over_the_file_that_they_are_read_from(write, tmp_path):
    # Trap: a writer that opens its target first empties what it is about to read.
    path = tmp_path / "file.pth"
    tensors = {f"{i}.weight": np.full(1000, i, np.float32) for i in range(5)}
    writers.write_pth(path, tensors)
    write(path, open_checkpoint(path))
    again = open_checkpoint(path)
    assert all(np.array_equal(again[name].numpy(), array) for name, array in tensors.items())
    assert [file.name for file in tmp_path.iterdir()] == ["file.pth"]


def test_nothing_is_written_over_what_is_read(tmp_path, capsys):
    tensors = manifests.recipe_tensors("csn_classifier", "vmz", depth=14, width=1, classes=2)
    path = manifests.write(tmp_path / "file.pth", tensors)
    before = path.read_bytes()
    assert port_weights.main(["convert", str(path), f"--output={path}"]) == 2
    assert port_weights.main(["convert", str(path), f"--output={tmp_path}"]) == 0  # beside it
    assert port_weights.main(["export", str(tmp_path), f"--output={path}"]) == 2
    assert "is there already" in capsys.readouterr().err
    inside = tmp_path / "checkpoints" / "0" / "model" / "_METADATA"
    assert port_weights.main(["export", str(tmp_path), f"--output={inside}.pth"]) == 0
    assert path.read_bytes() == before and json.loads(inside.read_text())
