import numpy as np
import pytest

from vos3d_jax.data import moving_shapes
from vos3d_jax.data.synthesis import Synthesis, affine_map, elastic_map, synthesise

STILL = Synthesis(
    scale=(1.0, 1.0), translation=(0.0, 0.0), rotation=(0.0, 0.0), shear=(0.0, 0.0), elastic=0.0, blur=0.0
)
PUBLISHED = Synthesis()
GENTLE = Synthesis(scale=(0.93, 1.07), translation=(-0.05, 0.05), rotation=(-6.0, 6.0), elastic=0.0)


def _picture(size=(48, 64)):
    video = moving_shapes.videos("stills", count=1, length=1, size=size)[0]
    return video.read_frame(0), video.read_mask(0)


def test_the_published_ranges_are_the_default():
    assert PUBLISHED.scale == (0.7, 1.3) and PUBLISHED.rotation == (-15, 15) and PUBLISHED.elastic == 0.05


@pytest.mark.parametrize("settings", [PUBLISHED, GENTLE, Synthesis(elastic=1.0, blur=1.0)])
def test_a_clip_starts_with_the_picture_moves_and_makes_no_new_ids(settings):
    frame, mask = _picture()
    clip, masks = synthesise(settings, frame, mask, 5, np.random.default_rng(0))
    assert clip.shape == (5, 48, 64, 3) and clip.dtype == np.uint8 and masks.shape == (5, 48, 64)
    np.testing.assert_array_equal(clip[0], frame)
    np.testing.assert_array_equal(masks[0], mask)
    assert all((clip[time] != clip[time + 1]).any() for time in range(4))
    assert set(np.unique(masks)) <= set(np.unique(mask))


def test_the_same_generator_state_gives_the_same_clip():
    one, two = (synthesise(PUBLISHED, *_picture(), 4, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])


def test_a_step_that_changes_nothing_gives_the_picture_again():
    frame, mask = _picture()
    clip, masks = synthesise(STILL, frame, mask, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(clip[2], frame)
    np.testing.assert_array_equal(masks[2], mask)


def test_motion_compounds_from_frame_to_frame():
    settings = Synthesis(**{**vars(STILL), "translation": (1 / 16, 1 / 16)})
    frame, mask = _picture()
    clip, masks = synthesise(settings, frame, mask, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(clip[3, 9:, 12:], frame[:-9, :-12])
    np.testing.assert_array_equal(masks[3, 9:, 12:], mask[:-9, :-12])


def test_what_enters_repeats_the_edge_in_the_picture_and_is_background_in_the_mask():
    settings = Synthesis(**{**vars(STILL), "translation": (0.25, 0.25)})
    frame, mask = _picture()[0], np.ones((48, 64), np.uint8)
    clip, masks = synthesise(settings, frame, mask, 2, np.random.default_rng(0))
    assert (clip[1, :12, :16] == frame[0, 0]).all()
    assert not masks[1, :12].any() and not masks[1, :, :16].any() and masks[1, 12:, 16:].all()


def test_the_affine_map_turns_and_scales_about_the_centre():
    x, y = affine_map((5, 7), rotation=90.0)
    assert (x[2, 3], y[2, 3]) == (3, 2)
    np.testing.assert_allclose((x[4, 3], y[4, 3]), (5, 2), atol=1e-6)  # what lay right lies below
    x, y = affine_map((5, 7), scale=(2.0, 1.0))
    np.testing.assert_allclose((x[0, 5], y[0, 5]), (4, 0), atol=1e-6)


def test_the_elastic_map_moves_by_the_strength_of_smoothed_noise():
    """Uniform noise in [-1, 1] smoothed by sigma has deviation 0.577 / (2 sqrt(pi) sigma)."""
    x, y = elastic_map((400, 400), 210.0, 18.0, np.random.default_rng(0))
    shift = np.stack([x - np.arange(400), y - np.arange(400)[:, None]])
    assert shift.std() == pytest.approx(210 * 0.577 / (2 * np.sqrt(np.pi) * 18), rel=0.25)
