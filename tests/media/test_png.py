"""Plain PNGs against Pillow: the same values, or none, for every kind of file."""

import io
import itertools
import os
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from vos3d_jax.media.masks import read_ids, write_palette_png
from vos3d_jax.media.png import png_size, read_plain_png

MASK = np.zeros((20, 70), np.uint8)
MASK[4:12, 5:66], MASK[8:, 60:] = 1, 200


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


END = chunk(b"IEND", b"")


def png(rows, size=MASK.shape, colour=3, depth=8, interlace=0, more=b"", end=END):
    """A PNG of rows that begin with their filter; `more` chunks stand before the pixels."""
    header = struct.pack(">IIBBBBB", size[1], size[0], depth, colour, 0, 0, interlace)
    palette = chunk(b"PLTE", bytes(range(256)) * 3) if colour == 3 else b""
    pixels = chunk(b"IDAT", zlib.compress(bytes(rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + more + pixels + end


def filtered(values, filters):
    """The rows of a picture, as they are (0) or as differences to the left (1)."""
    differences = np.diff(values, axis=1, prepend=np.uint8(0))
    chosen = np.where(np.array(filters)[:, None] == 1, differences, values)
    return np.column_stack([np.array(filters, np.uint8), chosen])


def saved(**options):
    data = io.BytesIO()
    Image.fromarray(MASK).save(data, format="PNG", **options)
    return data.getvalue()


def by_pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image)


@pytest.fixture
def file(tmp_path):
    def write(data):
        (tmp_path / "mask.png").write_bytes(data)
        return tmp_path / "mask.png"

    return write


def test_masks_of_pillow_and_opencv_are_plain(file, tmp_path):
    write_palette_png(tmp_path / "palette.png", MASK)
    values, palette = read_plain_png(tmp_path / "palette.png")
    assert (values == MASK).all() and palette[3:6] == bytes([128, 0, 0])
    values, palette = read_plain_png(file(cv2.imencode(".png", MASK)[1].tobytes()))
    assert (values == MASK).all() and palette is None


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_whatever_is_read_is_what_pillow_reads(tmp_path_factory, data):
    size = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))
    values = data.draw(hnp.arrays(np.uint8, size, elements=st.sampled_from([0, 0, 0, 1, 7, 255])))
    filters = data.draw(st.lists(st.integers(0, 1), min_size=size[0], max_size=size[0]))
    colour = data.draw(st.sampled_from([0, 3]))
    content = png(filtered(values, filters).tobytes(), size, colour)
    path = tmp_path_factory.mktemp("png") / "a.png"
    path.write_bytes(content)
    found = read_plain_png(path)
    np.testing.assert_array_equal(by_pillow(content), values)
    assert (found is None) == (colour == 0 and filters[0] == 0)  # greys that may mix all filters
    if found is not None:
        np.testing.assert_array_equal(found[0], values)
        assert found[0].flags.writeable and found[0].flags.c_contiguous
    assert png_size(path) == size


ROWS = filtered(MASK, [1] * len(MASK)).tobytes()


@pytest.mark.parametrize(
    "content",
    [
        png(ROWS, more=chunk(b"tRNS", b"\0")),
        png(ROWS, more=chunk(b"acTL", bytes(8))),
        png(ROWS, more=chunk(b"NEWC", b"")),
        png(ROWS, interlace=1),
        png(filtered(np.repeat(MASK, 2, 1), [1] * len(MASK)).tobytes(), colour=4),
        png(bytes(20 * 10), colour=3, depth=1),
        png(bytes([2]) + ROWS[1:]),
        png(ROWS[:-1]),
        png(ROWS + b"\0"),
        png(ROWS, end=b""),
        saved(),
        png(ROWS)[:-20] + b"\1" + png(ROWS)[-19:],
        b"",
        b"GIF89a" + bytes(50),
    ],
    ids=itertools.count(),
)
def test_all_others_are_left_to_pillow(file, content):
    assert read_plain_png(file(content)) is None


def test_a_file_that_is_cut_anywhere_is_left_to_pillow(file):
    whole = png(ROWS)
    assert read_plain_png(file(whole)) is not None
    assert all(read_plain_png(file(whole[:end])) is None for end in range(0, len(whole), 7))


def test_a_small_file_that_inflates_to_much_costs_no_memory(file):
    path = file(png(bytes(100_000_000)))
    tracemalloc.start()
    assert read_plain_png(path) is None
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_sizes_that_pillow_has_an_opinion_on_are_left_to_it(file):
    for size in ((0, 5), (2**31 - 1, 2**31 - 1)):
        path = file(png(b"", size))
        assert png_size(path) is None and read_plain_png(path) is None


def test_ancillary_chunks_change_no_value(file):
    content = png(ROWS, more=chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"tEXt", b"a\0b"))
    np.testing.assert_array_equal(read_ids(file(content)), MASK)
    assert read_plain_png(file(content)) is not None


def test_what_is_no_file_of_a_mask_is_neither_waited_for_nor_read_whole(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "huge.png").write_bytes(png(ROWS))
    os.truncate(tmp_path / "huge.png", 1 << 40)  # of zeros that take no room on the disk
    for path in (tmp_path / "pipe.png", tmp_path / "huge.png", "/dev/zero"):
        assert read_plain_png(path) is None
    assert png_size(tmp_path / "pipe.png") is None
