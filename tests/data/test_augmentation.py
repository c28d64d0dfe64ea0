import numpy as np
import pytest
from golden_files import load_json
from hypothesis import given
from hypothesis import strategies as st

from vos3d_jax.data.augmentation import Augmentation, augment, crop_place, prepare
from vos3d_jax.errors import UserError

GOLDEN = load_json("3dcseg/pipeline_golden.json")
PLAIN = Augmentation(short_edge=None)
PUBLISHED = Augmentation(short_edge=480, crop="published", crop_size=(480, 854))


def _frames(count, size, seed=0):
    """Frames whose red channel is the mask's id times 50, so that both must move together."""
    rng = np.random.default_rng(seed)
    masks = [np.zeros(size, np.uint8) for _ in range(count)]
    for mask in masks:
        top, left = rng.integers(0, size[0] - 8), rng.integers(0, size[1] - 8)
        mask[top : top + 8, left : left + 8] = rng.integers(1, 4)
    frames = [np.stack([mask * 50, *rng.integers(0, 256, (2, *size), dtype=np.uint8)], -1) for mask in masks]
    return frames, masks


def test_masks_take_the_pixel_that_pillow_takes():
    """Trap: OpenCV's and PyTorch's nearest take floor(i in / out), half a pixel off."""
    mask = np.repeat(np.array([[1, 2, 3, 4, 5, 6]], np.uint8), 6, 0)
    frame, small = prepare(Augmentation(short_edge=2), _grey(mask), mask)
    assert frame.shape == (2, 2, 3)
    np.testing.assert_array_equal(small, [[2, 5], [2, 5]])


def _grey(mask):
    return np.repeat(mask[..., None], 3, -1)


@pytest.mark.parametrize("case", GOLDEN["padding"], ids=lambda case: str(case["size"]))
def test_what_is_missing_is_split_as_published(case):
    mask = np.ones(case["size"], np.uint8)
    _, clip = augment(PLAIN, [_grey(mask)], [mask], tuple(case["padded"]), np.random.default_rng(0))
    sides = (case["top"], case["bottom"]), (case["left"], case["right"])
    np.testing.assert_array_equal(clip[0], np.pad(mask, sides))


def test_the_published_settings_give_480_by_864_from_480_by_854():
    frames, masks = _frames(2, (480, 854))
    clip, mask = augment(PUBLISHED, frames, masks, (480, 864), np.random.default_rng(0))
    np.testing.assert_array_equal(clip[:, :, 5:-5], np.stack(frames))
    np.testing.assert_array_equal(mask[:, :, 5:-5], np.stack(masks))
    assert not clip[:, :, :5].any() and not clip[:, :, -5:].any()


def test_the_published_crop_stretches_what_is_too_narrow():
    frames, masks = _frames(1, (480, 640))
    _, mask = augment(PUBLISHED, frames, masks, (480, 864), np.random.default_rng(0))
    assert mask[0].any() and mask[0].sum() == pytest.approx(masks[0].sum() * 854 / 640, rel=0.08)


def test_the_whole_clip_is_cropped_at_one_place():
    """Trap: the released code crops every frame at a place of its own."""
    frames, masks = _frames(1, (40, 60))
    frames, masks = frames * 6, masks * 6
    clip, _ = augment(PLAIN, frames, masks, (32, 32), np.random.default_rng(1))
    assert (clip == clip[0]).all()
    published = Augmentation(short_edge=None, crop="published")
    clip, _ = augment(published, frames, masks, (32, 32), np.random.default_rng(1))
    assert not (clip == clip[0]).all()


@given(
    first=st.integers(0, 39),
    extent=st.integers(1, 40),
    part=st.integers(1, 60),
    seed=st.integers(0, 20),
)
def test_a_crop_keeps_the_objects_whole_where_they_fit_and_shows_nothing_else_where_they_do_not(
    first, extent, part, seed
):
    last = min(first + extent, 40) - 1
    top, left = crop_place((first, last, 0, 0), (40, 10), (part, 10), np.random.default_rng(seed))
    assert left == 0 and 0 <= top <= max(40 - part, 0)
    if part >= last - first + 1:
        assert top <= first and last < top + part
    else:
        assert first <= top and top + part <= last + 1


def test_the_published_slip_may_cut_the_objects_on_the_left_only():
    places = np.array(
        [
            crop_place((2, 5, 10, 19), (20, 60), (20, 30), np.random.default_rng(s), slip=True)
            for s in range(200)
        ]
    )
    assert places[:, 1].max() == 19 and places[:, 1].min() == 0 and (places[:, 0] == 0).all()


@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.6, 0.6), (1.7, 1.7)])
@pytest.mark.parametrize("crop", ["clip", "published"])
def test_frames_and_masks_move_together_at_every_scale(scale, crop):
    frames, masks = _frames(3, (70, 90))
    settings = Augmentation(short_edge=None, crop=crop, scale=scale, flip=0.5)
    for seed in range(4):
        clip, mask = augment(settings, frames, masks, (32, 64), np.random.default_rng(seed))
        assert clip.shape == (3, 32, 64, 3) and mask.shape == (3, 32, 64)
        assert np.abs(clip[..., 0].astype(int) - 50 * mask.astype(int)).mean() < 6  # soft edges only
        assert set(np.unique(mask)) <= set(np.unique(masks))


def test_a_flip_is_of_the_whole_clip():
    frames, masks = _frames(3, (32, 64))
    settings = Augmentation(short_edge=None, flip=1.0)
    clip, mask = augment(settings, frames, masks, (32, 64), np.random.default_rng(0))
    np.testing.assert_array_equal(clip[:, :, ::-1], np.stack(frames))
    np.testing.assert_array_equal(mask[:, :, ::-1], np.stack(masks))


def test_colours_change_alike_in_all_frames_and_masks_stay():
    frames, masks = _frames(1, (32, 32))
    settings = Augmentation(short_edge=None, colour=0.4)
    clip, mask = augment(settings, frames * 3, masks * 3, (32, 32), np.random.default_rng(0))
    assert (clip == clip[0]).all() and (clip[0] != frames[0]).any()
    np.testing.assert_array_equal(mask[0], masks[0])


def test_a_video_smaller_than_the_clip_stands_in_the_middle_of_black():
    frames, masks = _frames(1, (20, 30))
    clip, _ = augment(PLAIN, frames, masks, (32, 64), np.random.default_rng(0))
    np.testing.assert_array_equal(clip[0, 6:26, 17:47], frames[0])
    assert clip.sum() == frames[0].astype(int).sum()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": "middle"}, "choose one of clip"),
        ({"scale": (2.0, 1.0)}, "low <= high"),
        ({"colour": 1.5}, "colour"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        Augmentation(**settings)


def test_a_crop_larger_than_the_clip_is_refused():
    frames, masks = _frames(1, (64, 64))
    with pytest.raises(UserError, match="does not fit"):
        augment(Augmentation(None, crop_size=(48, 48)), frames, masks, (32, 64), np.random.default_rng(0))
