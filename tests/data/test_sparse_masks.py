"""Training where only some frames have a mask: which clips are drawn, and what the other frames count."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vos3d_jax.data import pipeline
from vos3d_jax.data.augmentation import Augmentation, augment
from vos3d_jax.data.samples import Clip, Still
from vos3d_jax.data.samples.clip import RULES, ClipSampling
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError

SIZE = (32, 48)
WITH_MASK = (2, 7)


def _frame(index):
    return np.full((*SIZE, 3), index, np.uint8)


def _mask(with_mask, index):
    mask = np.zeros(SIZE, np.uint8)
    mask[8:16, 10:20] = 1
    return mask if index in with_mask else None


def video(length=12, with_mask=WITH_MASK, known=True):
    return Video(
        name="v",
        length=length,
        read_frame=_frame,
        read_mask=functools.partial(_mask, with_mask),
        size=SIZE,
        frame_names=tuple(map(str, range(length))),
        annotated=with_mask if known else None,
    )


def take(source, count=6, **settings):
    settings = {"batch_size": 2, "clip_length": 4, "size": SIZE, "seed": 3, "num_threads": 0, **settings}
    stream = pipeline.batches([source], **settings)
    return [next(stream) for _ in range(count)]


@given(
    st.sampled_from(sorted(RULES)),
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(1, 20),
    st.integers(0, 99),
)
def test_a_clip_around_a_frame_holds_it_in_order_and_within_the_video(rule, length, clip_length, gap, seed):
    rng = np.random.default_rng(seed)
    frame = int(rng.integers(length))
    times = ClipSampling(rule=rule, gap=gap).frames_around(length, frame, clip_length, rng)
    assert len(times) == clip_length and frame in times and times == sorted(times)
    assert 0 <= times[0] and times[-1] < length


def test_a_frame_with_a_mask_stands_at_every_place_of_the_clips_around_it():
    rng = np.random.default_rng(0)
    sampling = ClipSampling(rule="code", gap=4)
    places = {sampling.frames_around(40, 20, 4, rng).index(20) for _ in range(100)}
    assert places == {0, 1, 2, 3}


@pytest.mark.parametrize("known", [True, False])
def test_every_clip_has_a_mask_and_frames_without_one_are_void(known):
    settings = Augmentation(short_edge=None, flip=0.5, scale=(1.0, 1.3))
    for batch in take(pipeline.Source([video(known=known)], Clip(sparse=True, augmentation=settings))):
        for clip, masks in zip(batch["clip"], batch["mask"], strict=True):
            for frame, mask in zip(clip, masks, strict=True):
                if int(frame[0, 0, 0]) in WITH_MASK:
                    assert set(np.unique(mask)) <= {0, 1} and mask.any()
                else:
                    assert (mask == 255).all()
            assert any(int(frame[0, 0, 0]) in WITH_MASK for frame in clip)


def test_stills_are_the_frames_that_have_a_mask():
    source = pipeline.Source([video()], Still(sparse=True, augmentation=Augmentation(short_edge=None)))
    seen = {int(clip[0, 0, 0, 0]) for batch in take(source) for clip in batch["clip"]}
    assert seen == set(WITH_MASK)


def test_trap_a_frame_without_a_mask_is_void_in_the_padding_too_and_moves_no_crop():
    known, unknown = np.zeros((20, 20), np.uint8), np.full((20, 20), 255, np.uint8)
    known[14:18, 14:18] = 1
    frames = [np.zeros((20, 20, 3), np.uint8)] * 2
    _, masks = augment(Augmentation(), frames, [known, unknown], (32, 32), np.random.default_rng(0))
    assert (masks[1] == 255).all() and masks[0].max() == 1 and (masks[0] == 1).sum() == 16
    for seed in range(8):
        _, masks = augment(Augmentation(), frames, [known, unknown], (8, 8), np.random.default_rng(seed))
        assert (masks[0] == 1).sum() == 16  # the crop holds the whole object


def test_without_the_option_a_frame_without_mask_is_refused_with_the_option_named():
    with pytest.raises(UserError, match="v frame . has no mask: .*sparse=True"):
        take(pipeline.Source([video(with_mask=())], Clip(augmentation=Augmentation(short_edge=None))), 30)


def test_videos_without_any_mask_are_refused():
    with pytest.raises(UserError, match="no frames with a mask"):
        take(pipeline.Source([video(with_mask=())], Clip(sparse=True)))
