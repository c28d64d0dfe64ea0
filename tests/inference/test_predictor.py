import clip_rule
import golden_files
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import vos3d_jax as vos
from vos3d_jax import models
from vos3d_jax.errors import UserError
from vos3d_jax.inference.clipwise import ClipWise
from vos3d_jax.inference.frame import Frame
from vos3d_jax.inference.predictor import Predictor
from vos3d_jax.inference.sizes import Fit
from vos3d_jax.models.description import remember


class _Brightness(nnx.Module):
    """Stands in for a network: foreground where red is bright, the more so the later in the clip."""

    system = "dcseg"

    def __init__(self, classes=2):
        self.classes = classes
        self.prepared = []

    def prepare(self, shape):
        self.prepared.append(shape)

        def run(clip):
            assert clip.shape == shape
            slope = jnp.arange(1, shape[1] + 1)[:, None, None] / 8
            score = (jnp.asarray(clip[..., 0], jnp.float32) - 127) / 64 * slope
            return jnp.stack([score * k for k in range(self.classes)], -1)

        return run


@pytest.fixture(autouse=True)
def _prepare_stand_ins(monkeypatch):
    monkeypatch.setattr(models, "prepare", lambda model, clip: model.prepare(clip.shape), raising=False)


def _video(length, height=20, width=33):
    return np.random.default_rng(length).integers(0, 256, (length, height, width, 3), np.uint8)


def test_it_is_part_of_the_public_interface():
    assert vos.Predictor is Predictor


@pytest.mark.parametrize("case", golden_files.load_json("3dcseg/pipeline_golden.json")["toy_votes"])
def test_probabilities_are_averaged_as_published(case):
    # spec-3dc-seg.md 6, trap 18: probabilities, not logits
    clip_length = case["clip_length"]
    sides = ((0, 0),) * 3 + Fit((2, 3), None).padding

    class Recipe(nnx.Module):
        system = "dcseg"

        def prepare(self, shape):
            calls = iter(range(len(case["clips"])))

            def run(clip):
                call = next(calls) if isinstance(clip, np.ndarray) else 0  # traced, to see what it needs
                name = f"dcseg.golden.toy.{call}"
                small = golden_files.recipe.array(name, (1, 2, clip_length, 2, 3), -3, 3)
                return jnp.asarray(np.moveaxis(np.pad(small, sides), 1, -1))

            return run

    predictor = Predictor(Recipe(), clip_length=clip_length, overlap=case["overlap"], short_edge=None)
    frames = np.zeros((case["length"], 2, 3, 3), np.uint8)
    means = np.stack([mean for _, mean, _ in predictor.mean_probabilities(frames)])
    expected = np.moveaxis(np.array(case["mean_probability"]), 1, -1)
    np.testing.assert_allclose(means, expected, rtol=0, atol=2e-7)  # the exponential's last bit
    predictor = Predictor(Recipe(), clip_length=clip_length, overlap=case["overlap"], short_edge=None)
    assert [frame.mask.tolist() for frame in predictor.stream(frames)] == case["mask"]


@pytest.mark.parametrize("tail", ["code", "paper"])
@pytest.mark.parametrize(("length", "overlap"), [(1, 1), (3, 2), (4, 0), (5, 3), (9, 1), (10, 2), (11, 3)])
def test_streaming_equals_all_clips_at_once(tail, length, overlap):
    frames, model = _video(length), _Brightness()
    run = model.prepare((1, 4, 20, 33, 3))
    total, count = np.zeros((length, 20, 33, 2)), np.zeros(length)
    for clip in clip_rule.clips(length, clip_length=4, overlap=overlap, tail=tail):
        logits = np.asarray(run(frames[None, list(clip.frames)]), np.float64)[0]
        probability = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        for position, (index, votes) in enumerate(zip(clip.frames, clip.votes, strict=True)):
            total[index] += votes * probability[position]
            count[index] += votes
    expected = total / count[:, None, None, None]
    seen = list(Predictor(model, clip_length=4, overlap=overlap, tail=tail, short_edge=None).stream(frames))
    assert [frame.index for frame in seen] == list(range(length))
    for frame, mean in zip(seen, expected, strict=True):
        np.testing.assert_allclose(frame.probability, mean[..., 1], atol=1e-6)
        np.testing.assert_array_equal(frame.mask, frame.probability > 0.5)


def test_a_frame_leaves_as_soon_as_no_later_clip_can_vote_for_it():
    taken = []

    def frames():
        for index, frame in enumerate(_video(20)):
            taken.append(index)
            yield frame

    predictor = Predictor(_Brightness(), short_edge=None)
    newest = {frame.index: taken[-1] for frame in predictor.stream(frames())}
    assert [newest[index] for index in range(5)] == [7] * 5
    assert [newest[index] for index in range(5, 10)] == [12] * 5
    assert [newest[index] for index in range(15, 20)] == [19] * 5


@pytest.mark.parametrize("tail", ["code", "paper"])
@pytest.mark.parametrize(("length", "clip_length", "overlap"), [(11, 4, 1), (12, 4, 0), (9, 4, 3), (7, 3, 2)])
def test_a_stream_that_is_taken_up_in_the_middle_ends_as_one_from_the_start(
    tail, length, clip_length, overlap
):
    frames = _video(length)
    predictor = Predictor(_Brightness(), clip_length=clip_length, overlap=overlap, tail=tail, short_edge=None)
    whole = list(predictor.stream(frames))
    for done in range(length):
        start = predictor.restart(done)
        assert done - clip_length < start <= done
        again = [one for one in predictor.stream(frames[start:], first=start) if one.index >= done]
        assert [one.index for one in again] == list(range(done, length))
        for one, other in zip(again, whole[done:], strict=True):
            np.testing.assert_array_equal(one.probability, other.probability)


def test_it_compiles_once_for_each_frame_size_and_says_so():
    said, model = [], _Brightness()
    predictor = Predictor(model, short_edge=None, announce=said.append)
    for height in (20, 25, 40):  # 20 and 25 are both padded to 32
        list(predictor.stream(_video(9, height)))
    assert model.prepared == [(1, 8, 32, 64, 3), (1, 8, 64, 64, 3)]
    said = [line for line in said if " so far " not in line]  # of a machine that is busy
    assert [line.split(" ")[0] for line in said] == ["compiling", "first"] * 2
    assert "8 frames of 64x32" in said[0]


def test_masks_leave_at_the_size_of_the_frames():
    frames = np.zeros((2, 30, 50, 3), np.uint8)
    frames[:, 10:20, 20:40] = 255
    model = _Brightness()
    seen = list(Predictor(model, short_edge=64).stream(frames))
    assert model.prepared == [(1, 8, 64, 128, 3)]
    for frame in seen:
        assert frame.mask.shape == frame.probability.shape == (30, 50)
        expected = np.zeros((30, 50), bool)
        expected[10:20, 20:40] = True
        assert (frame.mask != expected).mean() < 0.03
        assert 0 <= frame.probability.min() and frame.probability.max() <= 1


@pytest.mark.parametrize("edge", [20_000, 10**30])
def test_a_size_beyond_every_frame_is_refused_before_a_frame_is_resized(edge):
    with pytest.raises(UserError, match=f"short_edge {edge} makes frames of .*: give a smaller one"):
        next(iter(Predictor(_Brightness(), short_edge=edge).stream(np.zeros((1, 30, 50, 3), np.uint8))))


def test_a_tie_is_background():
    frames = np.full((1, 32, 32, 3), 127, np.uint8)
    [frame] = Predictor(_Brightness(), short_edge=None).stream(frames)
    assert not frame.mask.any() and (frame.probability == 0.5).all()


def test_several_classes_give_ids_and_a_map_for_each():
    frames = np.full((1, 20, 30, 3), 255, np.uint8)
    [frame] = Predictor(_Brightness(classes=4), short_edge=32).stream(frames)
    assert isinstance(frame, Frame) and (frame.mask == 3).all()
    assert frame.probability.shape == (20, 30, 4)
    np.testing.assert_allclose(frame.probability.sum(-1), 1, atol=1e-5)


def test_frames_of_another_size_are_named():
    predictor = Predictor(_Brightness(), short_edge=None)
    with pytest.raises(UserError, match="frame 9 is 33x21 but those before are 33x20"):
        list(predictor.stream(iter([*_video(9), _video(1, 21)[0]])))


def test_settings_are_those_of_the_card_then_those_given():
    model = _Brightness()
    remember(model, {"clip_length": 4, "overlap": 1, "tail": "paper", "short_edge": 0}, "a test")
    assert Predictor(_Brightness()).settings == ClipWise(8, 3, "code", 480)
    assert Predictor(model).settings == ClipWise(4, 1, "paper", 0)
    assert Predictor(nnx.clone(model), overlap=2, short_edge=None).settings == ClipWise(4, 2, "paper", 0)
    assert Predictor(model, overlap="dense").settings == ClipWise(4, 3, "paper", 0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"overlap": 8}, "overlap is 8"),
        ({"short_edge": -1}, "short_edge is -1: give a number of pixels, or 0"),
        ({"clip_length": "8"}, "predictor.clip_length is '8': expected a whole number"),
        ({"clip_length": None}, "predictor.clip_length is None: expected a whole number"),
        ({"overlap": True}, "predictor.overlap is True: expected a whole number or 'dense'"),
        ({"tail": "Code"}, "predictor.tail is 'Code': expected one of 'code', 'paper'"),
        (
            {"memory": 8},
            "predictor.memory is not a known key: known are clip_length, overlap, tail, short_edge$",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings, words):
    with pytest.raises(UserError, match=words):
        Predictor(_Brightness(), **settings)


def test_a_card_with_a_setting_of_another_predictor_is_refused():
    model = _Brightness()
    remember(model, {"memory": 3}, "a test")
    with pytest.raises(UserError, match="the model's card.memory is not a known key"):
        Predictor(model)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_it_stops_at_probabilities_that_are_not_finite_and_names_the_frame(value):
    # Trap: an argmax over NaN is 0, so that all frames would be background without a word.
    class Diverged(nnx.Module):
        system = "dcseg"

        def prepare(self, shape):
            return lambda clip: jnp.zeros((*clip.shape[:4], 2)).at[0, 5, 3, 3, 1].set(value)

    with pytest.raises(
        UserError, match="frame 5: the network's probabilities are not finite.*earlier --step"
    ):
        list(Predictor(Diverged(), short_edge=None).stream(_video(11)))
