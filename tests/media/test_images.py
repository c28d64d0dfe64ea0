"""Frames of every encoding and orientation, and what is refused."""

import os
import struct
import zlib
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pictures import save
from PIL import Image, ImageOps

from vos3d_jax.errors import UserError
from vos3d_jax.media import images


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK"])
def test_frames_of_every_mode_become_rgb(tmp_path, mode):
    grey = np.full((3, 4), 60, np.uint8)
    path = save(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"), grey, mode)
    frame = images.read_image(path)
    assert frame.shape == (3, 4, 3)
    assert np.abs(frame.astype(int) - 60).max() <= 1


def test_channels_are_in_the_order_rgb(tmp_path):
    frame = np.zeros((2, 2, 3), np.uint8)
    frame[..., 0] = 200
    assert np.array_equal(images.read_image(save(tmp_path / "a.png", frame)), frame)


@pytest.mark.parametrize("keep", [0, 20, 600])
def test_trap_31_a_truncated_jpeg_is_refused_by_name(tmp_path, keep):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "00007.jpg")
    (tmp_path / "00007.jpg").write_bytes((tmp_path / "00007.jpg").read_bytes()[:keep])
    with pytest.raises(UserError, match=r"00007\.jpg cannot be read .* fetch or make it again"):
        images.read_image(tmp_path / "00007.jpg")


def test_the_size_is_read_from_the_header(tmp_path):
    assert images.image_size(save(tmp_path / "a.png", np.zeros((2, 3)))) == (2, 3)


def _tagged(path, picture, tag, **options):
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(picture).save(path, exif=exif, **options)
    return path


# What the tags mean (EXIF 2.32, 4.6.4): where row 0 and column 0 of the stored picture are when it is shown.
SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("tag", SHOWN)
def test_a_picture_is_turned_upright_by_each_orientation_tag(tmp_path, suffix, tag):
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:16, :16] = (200, 0, 0)
    stored[16:, 32:] = (0, 200, 0)
    lossless = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    path = _tagged(tmp_path / f"a.{suffix}", stored, tag, **lossless)
    pixels = images.read_image(path, upright=True)
    expected = SHOWN[tag](stored)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 4
    assert images.orientation(path) == tag and images.image_size(path, upright=True) == expected.shape[:2]
    if suffix != "tif":  # published data sets, which have none, are read as their own tools read them
        assert np.abs(images.read_image(path).astype(int) - stored).max() <= 4
        assert images.image_size(path) == (32, 48)


@settings(max_examples=20, deadline=None)
@given(
    picture=hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))),
    tag=st.integers(1, 8),
)
def test_turning_upright_is_what_pillow_does_for_viewers(tmp_path_factory, picture, tag):
    path = _tagged(tmp_path_factory.mktemp("pictures") / "a.png", picture, tag)
    with Image.open(path) as image:
        shown = np.array(ImageOps.exif_transpose(image))
    assert np.array_equal(images.read_image(path, upright=True), shown)


def _png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_the_orientation_of_a_png_is_found_behind_its_pixels_without_decoding_them(tmp_path):
    path = save(tmp_path / "a.png", np.zeros((4, 6)))
    exif = Image.Exif()
    exif[0x0112] = 6
    whole, end = path.read_bytes()[:-12], path.read_bytes()[-12:]
    path.write_bytes(whole + _png_chunk(b"eXIf", exif.tobytes()[6:]) + end)
    assert (images.image_size(path, upright=True), images.orientation(path)) == ((6, 4), 6)
    assert images.read_image(path, upright=True).shape == (6, 4, 3)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(b"IDAT") + 6] ^= 255
    path.write_bytes(damaged)
    assert (images.image_size(path, upright=True), images.orientation(path)) == ((6, 4), 6)


@pytest.mark.parametrize(
    "content", [b"", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"no exif at all", b"\0" * 40]
)
def test_a_damaged_tag_is_none_as_for_viewers(tmp_path, content):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path, exif=b"Exif\0\0" + content)
    assert (images.image_size(path, upright=True), images.orientation(path)) == ((4, 6), 1)
    assert images.read_image(path, upright=True).shape == (4, 6, 3)


@pytest.mark.parametrize("tag", [0, 9, 65535])
def test_a_tag_that_means_nothing_turns_nothing(tmp_path, tag):
    path = _tagged(tmp_path / "a.jpg", np.zeros((4, 6, 3), np.uint8), tag)
    assert (images.image_size(path, upright=True), images.orientation(path)) == ((4, 6), 1)


@pytest.mark.parametrize("format", ["GIF", "TGA", "ICO", "PCX", "SGI", "EPS", "PDF", "ICNS", "DDS"])
def test_formats_that_are_not_read_are_not_even_looked_into(tmp_path, format):
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "a.png", format=format)
    with pytest.raises(UserError, match=r"a\.png cannot be read as a picture .*none of JPEG, PNG, BMP"):
        images.read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_several_pictures_in_one_file_are_refused(tmp_path, suffix):
    pictures = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (0, 90, 200)]
    pictures[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=pictures[1:])
    for read in (images.read_image, partial(images.image_size, upright=True), images.orientation):
        with pytest.raises(UserError, match=rf"a\.{suffix} holds several pictures .*: save each"):
            read(tmp_path / f"a.{suffix}")


def test_of_a_jpeg_with_further_pictures_the_main_one_is_read(tmp_path):
    main, depth = (Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (200, 0))
    main.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[depth])
    assert images.read_image(tmp_path / "a.jpg").min() > 190


def _claims(width, height):
    """A PNG of a few bytes that says how large it is."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = _png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + pixels + _png_chunk(b"IEND", b"")


@pytest.mark.parametrize("sides", [(8192, 4097), (10_000, 9_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_by_the_header_alone(tmp_path, sides):
    (tmp_path / "a.png").write_bytes(_claims(*sides))
    for read in (images.read_image, images.image_size):
        with pytest.raises(UserError, match=r"a\.png has more than 33,554,432 pixels.*make it smaller"):
            read(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(_claims(8192, 4096))
    assert images.image_size(tmp_path / "a.png") == (4096, 8192)


def test_a_tiff_of_too_few_bytes_for_its_pixels_is_refused_before_it_takes_memory(tmp_path):
    Image.fromarray(np.full((12, 20, 3), 99, np.uint8)).save(tmp_path / "a.tif")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    width = data.index(struct.pack("<HHI", 256, 4, 1))  # the tag of the width, one 32-bit number
    data[width + 8 : width + 12] = struct.pack("<I", 1 << 20)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.tif cannot be read .*\([0-9]+ bytes for 1048576x12\)"):
        images.read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.png", "deflate.tif", "lzw.tif"])
def test_a_flat_picture_at_the_limit_of_pixels_is_no_fault(tmp_path, name):
    compression = {"deflate.tif": "tiff_adobe_deflate", "lzw.tif": "tiff_lzw"}.get(name)
    flat = Image.new("1", (8192, 4096))
    flat.save(tmp_path / name, **({"compression": compression} if compression else {}))
    assert not images.read_image(tmp_path / name).any()


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_too_few_bytes_for_its_pixels_is_refused_before_it_takes_memory(tmp_path, progressive):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.full((8, 8, 3), 99, np.uint8)).save(path, progressive=progressive)
    data = bytearray(path.read_bytes())
    sizes = data.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    data[sizes : sizes + 4] = struct.pack(">HH", 4096, 8192)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.jpg cannot be read .*\([0-9]+ bytes for 8192x4096\)"):
        images.read_image(path)
    flat = np.full((2048, 2048, 3), 99, np.uint8)
    Image.fromarray(flat).save(path, progressive=progressive, optimize=True, quality=10)
    assert images.read_image(path).shape == flat.shape


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for path in (tmp_path / "a.png", tmp_path):
        with pytest.raises(UserError, match="is no file: a picture"):
            images.read_image(path)
