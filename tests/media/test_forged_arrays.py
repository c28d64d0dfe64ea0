"""Array files whose headers are forged end in one line: numpy raises what it documents nowhere."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from vos3d_jax.errors import UserError
from vos3d_jax.media.frames import open_frames

FRAMES = "'descr': '|u1', 'fortran_order': False, 'shape': "
HEADERS = {
    "a frame of terabytes": f"{{{FRAMES}(1, 1000000, 1000000, 3)}}",
    "a product beyond 64 bits": f"{{{FRAMES}(1, 4294967296, 4294967296, 3)}}",
    "a product that wraps to the right size": f"{{{FRAMES}(2, 18446744073709551616, 6, 3)}}",
    "a negative size": f"{{{FRAMES}(2, -4, -6, 3)}}",
    "a negative length": f"{{{FRAMES}(-2, 4, 6, 3)}}",
    "sizes that are no numbers": f"{{{FRAMES}(2.0, 4, 6, 3)}}",
    "a shape that is no tuple": f"{{{FRAMES}[2, 4, 6, 3]}}",
    "a dtype of objects": "{'descr': '|O', 'fortran_order': False, 'shape': (2, 4, 6, 3)}",
    "a dtype within a dtype": "{'descr': [('a', [('b', '|u1')])], 'fortran_order': False, 'shape': (2,)}",
    "a dtype that is none": "{'descr': 'nonsense', 'fortran_order': False, 'shape': (2, 4, 6, 3)}",
    "a dtype that is a number": "{'descr': 7, 'fortran_order': False, 'shape': (2, 4, 6, 3)}",
    "code": "__import__('os').mkdir('made')",
    "a call in the shape": f"{{{FRAMES}(len('ab'), 4, 6, 3)}}",
    "no dict": "(1, 2)",
    "a key too many": f"{{{FRAMES}(2, 4, 6, 3), 'x': 1}}",
    "no end": "{'descr': '|u1', ",
    "a string without end": "{'descr': '|u1",
    "an indent": "  {\n\t1\n  2}",
    "deep nesting": "(" * 5000,
    "a huge header": "{" + " " * 40_000 + "}",
    "zeros": "\0" * 118,
    "letters that are none": "{'\udcff': 1}",
}


def _npy(header, version=1):
    text = header.encode("utf-8", "surrogateescape")
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text


def _refusal(path):
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as caught:
            for _ in open_frames(path).read():
                pass
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert path.name in message
    return message


@pytest.mark.parametrize("name", HEADERS)
def test_a_forged_header_is_refused_in_every_version_and_container(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for version in (1, 2, 3):
        content = _npy(HEADERS[name], version) + bytes(2 * 4 * 6 * 3)
        (tmp_path / "clip.npy").write_bytes(content)
        with zipfile.ZipFile(tmp_path / "clip.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("video.npy", content)
        for path in (tmp_path / "clip.npy", tmp_path / "clip.npz"):
            _refusal(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("version", [0, 4, 255])
def test_a_version_that_is_none_is_refused(version, tmp_path):
    (tmp_path / "clip.npy").write_bytes(_npy(f"{{{FRAMES}(2, 4, 6, 3)}}", version) + bytes(144))
    _refusal(tmp_path / "clip.npy")


def _npz():
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("video.npy", "w") as file:
            np.lib.format.write_array(file, np.zeros((2, 4, 6, 3), np.uint8))
    return buffer.getvalue()


@pytest.mark.parametrize("field, size", [(10, 2), (20, 4), (24, 4), (28, 2), (42, 4), (8, 2), (16, 4)])
@pytest.mark.parametrize("value", [0, 0xFF, 0xFFFFFFFE])
def test_a_forged_directory_of_an_npz_gives_a_refusal_or_the_frames(field, size, value, tmp_path):
    # The method, sizes, lengths, flags, position and checksum of its one member.
    content = _npz()
    at = content.rfind(b"PK\x01\x02") + field
    forged = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
    (tmp_path / "clip.npz").write_bytes(content[:at] + forged + content[at + size :])
    try:
        frames = list(open_frames(tmp_path / "clip.npz").read())
    except UserError as error:
        assert "clip.npz" in str(error) and "\n" not in str(error)
    else:
        assert len(frames) == 2 and all((frame == 0).all() for frame in frames)


def test_a_length_beyond_the_file_gives_the_frames_that_are_there(tmp_path):
    (tmp_path / "clip.npy").write_bytes(_npy(f"{{{FRAMES}(1000000000000, 4, 6, 3)}}") + bytes(144))
    reading = open_frames(tmp_path / "clip.npy").reading()
    assert len(list(reading)) == 2 and "2 of 1000000000000 frames" in reading.summary().replace(",", "")


def test_the_files_that_were_forged_above_are_read_as_they_are(tmp_path):
    (tmp_path / "clip.npz").write_bytes(_npz())
    (tmp_path / "clip.npy").write_bytes(_npy(f"{{{FRAMES}(2, 4, 6, 3)}}") + bytes(144))
    for name in ("clip.npz", "clip.npy"):
        assert len(list(open_frames(tmp_path / name).read())) == 2
