"""Whatever is in a file, it gives tensors or one `UserError`: what chance must be told to find.

Flips, cuts and splices of every container, in bounded memory and with nothing run: tests/fuzz.
"""

import io
import json
import pickle
import pickletools
import struct
import zipfile

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vos3d_jax.errors import UserError
from vos3d_jax.porting import open_checkpoint

QUICK = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
NAMES = [
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n",
    b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n", b"cnumpy\ndtype\n", b"cnumpy\nndarray\n",
    b"ctorch\nSize\n", b"c_codecs\nencode\n", b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cnumpy._core.numeric\n_frombuffer\n", b"cmmengine.a\nB\n", b"cos\nsystem\n",
    b"ccopyreg\n_reconstructor\n", b"cbuiltins\nset\n", b"ctorch._tensor\n_rebuild_from_type_v2\n",
]  # fmt: skip
VALUES = [
    b"X\x08\0\0\0a.weight", b"X\x07\0\0\0storage", b"X\x01\0\0\0" + b"0", b"U\x02f4", b"U\x01<",
    b"U\x06latin1", b"K\x01", b"K\x04", b"J\xff\xff\xff\xff", b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
    b"C\x04abcd", b"q\0", b"h\0", b"N", b"(", b"t", b"R", b"b",
]  # fmt: skip


def _survives(path, content):
    path.write_bytes(content)
    try:
        for tensor in open_checkpoint(path).values():
            if tensor.nbytes < 1 << 24:
                assert tensor.numpy().shape == tensor.shape
    except UserError as error:
        assert "\n" not in str(error) and str(error).isprintable()


def _archive(pickled):
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", bytes(16))
    return buffer.getvalue()


def _containers(pickled):
    """One pickle as each of the containers that hold one."""
    head = (
        pickle.dumps(0x1950A86A20F9469CFC6C, 2)
        + pickle.dumps(1001, 2)
        + pickle.dumps({"little_endian": True}, 2)
    )
    legacy = head + pickled + pickle.dumps(["0"], 2) + struct.pack("<q", 4) + bytes(16)
    return pickled, _archive(pickled), legacy


@QUICK
@given(st.lists(st.sampled_from(OPCODES + NAMES * 3 + VALUES * 3) | st.binary(max_size=3), max_size=40))
def test_random_programs_of_the_pickle_machine(tmp_path, parts):
    for content in _containers(b"\x80\x02" + b"".join(parts) + b"."):
        _survives(tmp_path / "file", content)


@QUICK
@given(
    st.tuples(*[st.integers(-2, 9) | st.integers(-(1 << 70), 1 << 70)] * 2),
    *[st.lists(st.integers(-1, 5) | st.integers(0, 1 << 66), max_size=5)] * 2,
)
def test_no_numbers_of_a_tensor_reach_outside_its_storage(tmp_path, numbers, shape, strides):
    numel, offset = numbers

    def number(value):
        return pickle.dumps(value, 2)[2:-1]

    def tuple_of(values):
        return b"(" + b"".join(map(number, values)) + b"t"

    storage = b"(U\x07storagectorch\nFloatStorage\nU\x01" + b"0U\x03cpu" + number(numel)
    for form, end in (("zip", b"tQ"), ("legacy", b"NtQ")):
        tensor = (
            b"ctorch._utils\n_rebuild_tensor\n("
            + storage
            + end
            + number(offset)
            + tuple_of(shape)
            + tuple_of(strides)
        )
        pickled = b"\x80\x02}U\x08a.weight" + tensor + b"tRs."
        _survives(tmp_path / "file", _containers(pickled)[{"zip": 1, "legacy": 2}[form]])


@QUICK
@given(st.lists(st.integers(0, 4), max_size=4), st.data())
def test_every_view_within_its_storage_is_what_numpy_makes_of_it(tmp_path, shape, data):
    strides = [data.draw(st.integers(0, 7)) for _ in shape]
    offset = data.draw(st.integers(0, 5))
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    base = np.arange(max(last + 1, offset + 1, 1) + data.draw(st.integers(0, 3)), dtype=np.float32)
    distinct = int(np.prod([n for n, s in zip(shape, strides, strict=True) if s]))
    if distinct > base.size:
        return  # overlapping steps: not an expansion, and more elements than the storage holds
    numbers = [pickle.dumps(v, 2)[2:-1] for v in (base.size, offset, tuple(shape), tuple(strides))]
    tensor = b"ctorch._utils\n_rebuild_tensor\n((U\x07storagectorch\nFloatStorage\nU\x01" + b"0U\x03cpu"
    pickled = b"\x80\x02}U\x08a.weight" + tensor + numbers[0] + b"tQ" + b"".join(numbers[1:]) + b"tRs."
    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", base.tobytes())
    expected = np.lib.stride_tricks.as_strided(base[offset:], shape, [4 * s for s in strides])
    assert np.array_equal(open_checkpoint(tmp_path / "file")["a.weight"].numpy(), expected)


@QUICK
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["a", "b", "dtype", "shape", "data_offsets", "__metadata__"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_as_a_header_of_safetensors(tmp_path, header):
    for content in (header, {"a": header}, {"a": {"dtype": "F32", "shape": header, "data_offsets": [0, 8]}}):
        encoded = json.dumps(content).encode().ljust(8)
        _survives(tmp_path / "file", struct.pack("<Q", len(encoded)) + encoded + bytes(8))
