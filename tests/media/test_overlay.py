"""Pictures for people."""

import numpy as np
import pytest

from vos3d_jax.media.overlay import overlay, side_by_side

FRAME = np.full((40, 60, 3), 100, np.uint8)
MASK = np.zeros((40, 60), np.uint8)
MASK[10:20, 10:30] = 1
MASK[25:40, 40:60] = 2
MASK[0:3, 0:3] = 255


def test_an_empty_mask_leaves_the_frame_as_it_is():
    assert np.array_equal(overlay(FRAME, np.zeros_like(MASK)), FRAME)


def test_objects_are_tinted_and_outlined_and_background_is_untouched():
    picture = overlay(FRAME, MASK)
    assert np.array_equal(picture[MASK == 0], FRAME[MASK == 0])
    assert (picture[10, 10:30] == 255).all(), "the outline lies on the object's border"
    assert (picture[39, 40:60] == 255).all(), "and along the image's"
    red, green, blue = picture[15, 20].astype(int)
    assert red > 150 and green == blue < 100
    assert picture[32, 50].argmax() == 1
    assert len(set(picture[1, 1])) == 1, "void is grey"


def test_the_frame_is_not_changed_in_place():
    before = FRAME.copy()
    overlay(FRAME, MASK, opacity=1.0)
    assert np.array_equal(FRAME, before)


@pytest.mark.parametrize("size", [(16, 24), (240, 427), (480, 854)])
def test_panels_are_of_legible_width_at_every_frame_size(size):
    frame, mask = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    three = side_by_side(frame, mask, mask, caption="bear 00000")
    two = side_by_side(frame, None, mask, caption="bear 00000")
    assert three.shape[0] == two.shape[0]
    assert 320 <= three.shape[1] - two.shape[1] <= 650
    assert (three[:20] < 128).any() and (three[-20:] < 128).any(), "names above, caption below"


def test_the_panels_show_frame_truth_and_mask_in_this_order():
    picture = side_by_side(FRAME, MASK, np.zeros_like(MASK))
    coloured = (picture.max(2).astype(int) - picture.min(2) > 50).any(0)
    third = picture.shape[1] // 3
    assert (
        not coloured[:third].any() and coloured[third : 2 * third].any() and not coloured[2 * third :].any()
    )


def test_a_long_caption_changes_no_size():
    short, long = (side_by_side(FRAME, MASK, MASK, caption=text) for text in ("bear", "bear " * 60))
    assert short.shape == long.shape


def test_a_caption_of_several_lines_is_written_in_one():
    sheets = [side_by_side(FRAME, MASK, MASK, caption=text) for text in ("a bear", "a\nbear")]
    np.testing.assert_array_equal(*sheets)
