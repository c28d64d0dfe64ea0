"""Frames of every encoding, and what is refused. Trap numbers: specs/datasets.md section 12."""

import numpy as np
import pytest
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.media import images

IDS = np.array([[0, 1, 2], [7, 255, 0]], np.uint8)


def save(folder, array, mode=None, name="a.png"):
    image = Image.fromarray(array)
    if mode is not None:
        image = image.convert(mode)
    image.save(folder / name)
    return folder / name


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK"])
def test_frames_of_every_mode_become_rgb(tmp_path, mode):
    grey = np.full((3, 4), 60, np.uint8)
    path = save(tmp_path, grey, mode, "a.tif" if mode == "CMYK" else "a.png")
    frame = images.read_image(path)
    assert frame.shape == (3, 4, 3)
    assert np.abs(frame.astype(int) - 60).max() <= 1


def test_channels_are_in_the_order_rgb(tmp_path):
    frame = np.zeros((2, 2, 3), np.uint8)
    frame[..., 0] = 200
    images.write_png(tmp_path / "a.png", frame)
    assert np.array_equal(images.read_image(tmp_path / "a.png"), frame)


@pytest.mark.parametrize("keep", [0, 20, 600])
def test_trap_31_a_truncated_jpeg_is_refused_by_name(tmp_path, keep):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "00007.jpg")
    (tmp_path / "00007.jpg").write_bytes((tmp_path / "00007.jpg").read_bytes()[:keep])
    with pytest.raises(UserError, match=r"00007\.jpg cannot be read .* fetch or make it again"):
        images.read_image(tmp_path / "00007.jpg")


def test_the_size_is_read_from_the_header(tmp_path):
    assert images.image_size(save(tmp_path, IDS)) == (2, 3)
