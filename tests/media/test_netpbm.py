"""Binary PGM and PPM files: values as stored, damage named."""

import numpy as np
import pytest
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.media.netpbm import read_netpbm


def test_trap_21_values_are_not_scaled_to_the_full_range(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 7\n\x03\x07")
    assert read_netpbm(tmp_path / "a.pgm").tolist() == [[3, 7]]
    (tmp_path / "b.pgm").write_bytes(b"P5\n# comment 9\n2\t1\n# another\n1000\n\x03\xe8\x00\x02")
    values = read_netpbm(tmp_path / "b.pgm")
    assert values.dtype == np.uint16
    assert values.tolist() == [[1000, 2]]


def test_trap_30_colours_are_rgb_and_equal_those_of_pillow(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.ppm")
    assert np.array_equal(read_netpbm(tmp_path / "a.ppm"), pixels)


def test_a_first_pixel_that_looks_like_a_blank_belongs_to_the_picture(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 255\n\n\x20")
    assert read_netpbm(tmp_path / "a.pgm").tolist() == [[10, 32]]


@pytest.mark.parametrize(
    "data",
    [b"", b"P5", b"P3 1 1 255\n1 2 3", b"P5 2 2 255\n\x00", b"P5 0 2 255\n", b"P6 1 1 70000\n" + bytes(9)],
)
def test_trap_31_truncated_and_other_files_are_refused_by_name(tmp_path, data):
    (tmp_path / "a.pgm").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.pgm (is damaged|cannot be read as a binary PGM)"):
        read_netpbm(tmp_path / "a.pgm")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"a\.pgm cannot be read \(No such file"):
        read_netpbm(tmp_path / "a.pgm")
