"""Masks of every encoding, and what is refused."""

import os

import numpy as np
import pytest
from golden_files import load_json, shared_data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.media import images, masks

IDS = np.array([[0, 1, 2], [7, 255, 0]], np.uint8)


def save(folder, array, mode=None, name="a.png"):
    image = Image.fromarray(array)
    if mode is not None:
        image = image.convert(mode)
    image.save(folder / name)
    return folder / name


def test_the_palette_is_the_one_of_pascal_voc():
    assert masks.PALETTE[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert masks.PALETTE[255].tolist() == [224, 224, 192]


def test_the_palette_equals_the_golden_one():
    assert masks.PALETTE.ravel().tolist() == load_json("3dcseg/pipeline_golden.json")["palette"]


@settings(max_examples=20, deadline=None)
@given(mask=hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_palette_files_keep_every_id_exactly(tmp_path_factory, mask):
    path = tmp_path_factory.mktemp("masks") / "new" / "00000.png"
    masks.write_palette_png(path, mask)
    assert np.array_equal(masks.read_ids(path), mask)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.getpalette() == masks.PALETTE.ravel().tolist()
    assert [file.name for file in path.parent.iterdir()] == ["00000.png"]


def test_a_mask_with_colours_is_refused_by_name(tmp_path):
    coloured = np.zeros((4, 5, 3), np.uint8)
    coloured[1, 1] = (128, 0, 0)
    with pytest.raises(UserError, match=r"a\.png has colours instead of ids: save"):
        masks.read_ids(save(tmp_path, coloured))


def test_a_mask_of_16_bits_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"a\.png has the image mode I;16: save"):
        masks.read_ids(save(tmp_path, np.full((2, 2), 300, np.uint16)))


def test_a_damaged_png_and_a_missing_file_are_refused_by_name(tmp_path):
    path = save(tmp_path, np.random.default_rng(0).integers(0, 9, (40, 40)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=r"a\.png cannot be read"):
        masks.read_ids(path)
    with pytest.raises(UserError, match=r"b\.png is missing"):
        masks.read_ids(tmp_path / "b.png")
    with pytest.raises(UserError, match=r"b\.png is missing"):
        images.image_size(tmp_path / "b.png")


def test_an_output_that_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        masks.write_palette_png(tmp_path / "file" / "a.png", IDS)
    assert os.listdir(tmp_path) == ["file"]


def test_a_mask_is_resized_by_the_nearest_centre_without_new_values():
    mask = np.arange(6, dtype=np.uint8).reshape(2, 3)
    resized = masks.resize_mask_nearest(mask, (5, 7))
    rows, columns = ((np.arange(5) + 0.5) * 2 / 5).astype(int), ((np.arange(7) + 0.5) * 3 / 7).astype(int)
    assert np.array_equal(resized, mask[rows][:, columns])


def test_traps_2_and_4_ids_are_the_stored_values_in_every_mode(tmp_path):
    only_void = np.array([[0, 255, 0]], np.uint8)
    for mode in ("L", "LA", "RGB", "RGBA"):
        Image.fromarray(only_void).convert(mode).save(tmp_path / "a.png")
        assert masks.read_ids(tmp_path / "a.png").tolist() == [[0, 255, 0]]
    Image.fromarray(only_void).convert("1").save(tmp_path / "a.png")
    assert masks.read_ids(tmp_path / "a.png").tolist() == [[0, 1, 0]]


def test_brightness_is_that_of_the_colours_and_colours_are_refused(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([0, 0, 0, 255, 255, 255, 90, 90, 90])
    image.save(tmp_path / "a.bmp")
    assert masks.read_grey(tmp_path / "a.bmp").tolist() == [[0, 255, 90]]
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "a.bmp")
    with pytest.raises(
        UserError, match=r"a\.bmp has colours instead of ids: save the mask in black and white"
    ):
        masks.read_grey(tmp_path / "a.bmp")
    Image.fromarray(np.array([[0, 65535]], np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png has more than 8 bits a channel"):
        masks.read_grey(tmp_path / "a.png")


def test_ids_and_void_of_davis_2017_are_exact():
    mask = masks.read_ids(shared_data("DAVIS-2017") / "Annotations/480p/tennis/00000.png")
    assert set(np.unique(mask)) == {0, 1, 2, 255}
    assert np.count_nonzero(mask == 255) == 225


def test_black_and_white_palettes_may_have_transparent_colours_but_no_hidden_object(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 1]], np.uint8))
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(tmp_path / "a.png", transparency=b"\x00\xff")
    assert masks.read_grey(tmp_path / "a.png").tolist() == [[0, 255, 255]]
    image.save(tmp_path / "a.png", transparency=b"\xff\x00")
    with pytest.raises(UserError, match=r"a\.png has its shape in the alpha channel"):
        masks.read_grey(tmp_path / "a.png")
