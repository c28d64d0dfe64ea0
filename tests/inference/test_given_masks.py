"""Masks that are given: a first one, that of a later object and a correction are the same thing."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from toy_predictor import Following

from vos3d_jax import models
from vos3d_jax.errors import UserError
from vos3d_jax.inference.predictor import Predictor
from vos3d_jax.inference.registry import PREDICTORS

SIZE = (20, 33)


class _Bright(nnx.Module):
    """Stands in for a network: foreground where red is bright."""

    system = "following"


@pytest.fixture
def predictor(monkeypatch):
    def prepare(model, clip):
        return lambda clip: jnp.stack(
            [jnp.zeros(clip.shape[:4]), (jnp.asarray(clip[..., 0], jnp.float32) - 127) / 16], -1
        )

    monkeypatch.setattr(models, "prepare", prepare)
    monkeypatch.setitem(PREDICTORS, "following", Following)
    return Predictor(_Bright(), announce=lambda line: None)


def _video(length=6):
    return np.full((length, *SIZE, 3), 255, np.uint8)


def _ids(**boxes):
    """A mask of squares of 6 pixels, by id and column: `_ids(id1=4)`."""
    mask = np.zeros(SIZE, np.uint8)
    for name, left in boxes.items():
        mask[8:14, left : left + 6] = int(name.removeprefix("id"))
    return mask


def test_a_first_mask_a_later_object_and_a_correction_are_given_by_their_frames(predictor):
    first, later, correction = _ids(id1=2), _ids(id3=12), _ids(id1=22)
    seen = list(predictor.stream(_video(), {0: first, 2: later, 4: correction}))
    both, corrected = _ids(id1=2, id3=12), _ids(id3=12, id1=22)
    for frame, expected in zip(seen, [first, first, both, both, corrected, corrected], strict=True):
        np.testing.assert_array_equal(frame.mask, expected)


def test_of_several_objects_there_is_a_probability_each_by_its_id(predictor):
    *_, frame = predictor.stream(_video(3), {0: _ids(id1=2), 1: _ids(id3=12)})
    assert frame.probability.shape == (*SIZE, 4)
    assert (frame.probability.argmax(-1) == frame.mask).all()
    assert not frame.probability[..., 2].any()
    np.testing.assert_allclose(frame.probability.sum(-1), 1, atol=1e-6)
    np.testing.assert_array_equal(frame.foreground, 1 - frame.probability[..., 0])


def test_of_one_object_there_is_one_probability_and_it_is_carried_softly(predictor):
    video = _video()
    video[3:] = 0
    seen = list(predictor.stream(video, {0: _ids(id1=2)}))
    inside = [float(frame.probability[10, 4]) for frame in seen]
    assert inside[0] == 1 and inside == sorted(inside, reverse=True)
    np.testing.assert_allclose(inside[3:], [0.25, 0.25**2, 0.25**3], atol=1e-2)
    assert [bool(frame.mask.any()) for frame in seen] == [True] * 3 + [False] * 3


def test_a_mask_of_all_objects_is_a_beginning(predictor):
    again = _ids(id1=5, id2=20)
    whole = list(predictor.stream(_video(), {0: _ids(id1=2, id2=12), 3: again}))
    from_there = list(predictor.stream(_video(3), {3: again}, first=3))
    for one, other in zip(whole[3:], from_there, strict=True):
        assert one.index == other.index
        np.testing.assert_array_equal(one.probability, other.probability)


def test_a_mask_leaves_with_its_frame_where_the_delay_is_one(predictor):
    taken = []

    def frames():
        for index, frame in enumerate(_video()):
            taken.append(index)
            yield frame

    assert predictor.takes_masks and predictor.delay == 1
    for frame in predictor.stream(frames(), {0: _ids(id1=2)}):
        assert taken[-1] == frame.index


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (_ids()[:-1], r"mask given for frame 1 is uint8 \[19, 33\]: give ids, uint8 \[20, 33\] as the frame"),
        (_ids() > 0, r"mask given for frame 1 is bool \[20, 33\]"),
        (np.zeros((*SIZE, 3), np.uint8), r"mask given for frame 1 is uint8 \[20, 33, 3\]"),
    ],
)
def test_what_can_be_no_mask_of_its_frame_is_named(predictor, mask, words):
    with pytest.raises(UserError, match=words):
        list(predictor.stream(_video(), {1: mask}))


@pytest.mark.parametrize("other", [6, -1, "0"])
def test_a_mask_of_a_frame_that_the_video_does_not_have_is_named(predictor, other):
    with pytest.raises(UserError, match=f"a mask is given for frame {other!r}, and frames are 0 to 5"):
        list(predictor.stream(_video(), {0: _ids(id1=2), other: _ids(id2=2)}))


def test_a_network_that_takes_no_masks_refuses_them_before_it_reads_a_frame(monkeypatch):
    monkeypatch.setitem(PREDICTORS, "following", PREDICTORS["dcseg"])
    predictor = Predictor(_Bright())
    assert not predictor.takes_masks
    with pytest.raises(UserError, match="a following takes no masks"):
        predictor.stream(iter([]), {0: _ids(id1=2)})
