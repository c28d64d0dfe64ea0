"""Array files of strangers: forged headers are refused in one line, and nothing in them is executed."""

import io
import struct
import zipfile

import numpy as np
import pytest

from vos3d_jax.errors import UserError
from vos3d_jax.media.frames import open_frames

GOOD = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 4, 6, 3), }"


def _npy(header, version=(1, 0), length=None, data=bytes(144)):
    text = header.encode("latin-1")
    count = struct.pack("<H" if version == (1, 0) else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes(version) + count + text + data


class _Program:
    def __reduce__(self):
        return (open, ("/nowhere/executed", "w"))


def _objects():
    file = io.BytesIO()
    np.save(file, np.array([_Program()], object), allow_pickle=True)
    return file.getvalue()


FORGED = {
    "no magic": b"PK\3\4 no array at all",
    "empty": b"",
    "objects, which would be a program": _objects(),
    "as objects of the right shape": _npy(GOOD.replace("|u1", "|O")),
    "a giant frame": _npy(GOOD.replace("4, 6", "10**9, 10**9")),
    "a giant frame in digits": _npy(GOOD.replace("4, 6", "1000000000, 1000000000")),
    "sides whose product is beyond 64 bits": _npy(GOOD.replace("4, 6", f"{2**40}, {2**40}")),
    "sides whose product is negative": _npy(GOOD.replace("4, 6", "-4, -6")),
    "a negative length": _npy(GOOD.replace("(2,", "(-2,")),
    "truth values as sides": _npy(GOOD.replace("4, 6", "True, False")),
    "text as a side": _npy(GOOD.replace("4, 6", "'4', 6")),
    "no dictionary": _npy("[1, 2, 3]"),
    "no literal": _npy("__import__('os').abort()"),
    "deeper than the parser goes": _npy("(" * 5000),
    "an unknown type": _npy(GOOD.replace("|u1", "|zz")),
    "a header of 4 GB": _npy(GOOD, version=(2, 0), length=2**32 - 1),
    "a version of the future": _npy(GOOD, version=(9, 9)),
    "a header that is cut": _npy(GOOD)[:40],
    "a header in another encoding": _npy(GOOD.replace("descr", "d\xe9scr")),
    "null bytes": _npy("\0" * 64),
    "frames that are not there": _npy(GOOD, data=b""),
}


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_forged_array_is_one_line(tmp_path, name, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        path.write_bytes(FORGED[name])
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("arr_0.npy", FORGED[name])
    with pytest.raises(UserError, match=rf"a\.{suffix}") as refused:
        open_frames(path)
    assert "\n" not in str(refused.value)


def test_a_length_that_the_file_does_not_have_ends_the_reading_and_is_told(tmp_path):
    (tmp_path / "a.npy").write_bytes(_npy(GOOD.replace("(2,", f"({10**15},")))
    reading = open_frames(tmp_path / "a.npy").reading(tell=str)
    assert len(list(reading)) == 2
    assert f"ends within frame 2 of {10**15}" in reading.summary()


@pytest.mark.parametrize("change", ["encrypted", "another compression", "another size"])
def test_a_damaged_zip_is_one_line(tmp_path, change):
    np.savez_compressed(tmp_path / "a.npz", np.zeros((2, 4, 6, 3), np.uint8))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    entry = data.index(b"PK\1\2")
    if change == "encrypted":
        data[6] |= 1
        data[entry + 8] |= 1
    elif change == "another compression":
        data[8] = data[entry + 10] = 99
    else:
        data[entry + 20 : entry + 24] = struct.pack("<I", 5)
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.npz"):
        list(open_frames(tmp_path / "a.npz").read())
