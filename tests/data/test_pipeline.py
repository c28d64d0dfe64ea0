import dataclasses
import itertools

import numpy as np
import pytest
from PIL import Image

from vos3d_jax.data import datasets, moving_shapes
from vos3d_jax.data.augmentation import Augmentation
from vos3d_jax.data.footage import read_pair
from vos3d_jax.data.pipeline import Source, batches
from vos3d_jax.data.samples import Clip, Still
from vos3d_jax.data.samples.clip import ClipSampling
from vos3d_jax.data.synthesis import Synthesis
from vos3d_jax.errors import UserError

SIZE = (32, 64)
LIVELY = Augmentation(short_edge=None, scale=(0.9, 1.2), flip=0.5, colour=0.2)
GENTLE = Synthesis(scale=(0.93, 1.07), translation=(-0.05, 0.05), rotation=(-6.0, 6.0), elastic=0.0)


def _sources(**changes):
    videos = moving_shapes.videos("train", count=3, length=6, size=(36, 70))
    stills = moving_shapes.videos("stills", count=5, length=1, size=(36, 70))
    sources = [
        Source(videos, Clip(sampling=ClipSampling(gap=5), augmentation=LIVELY), weight=1.0),
        Source(stills, Still(augmentation=LIVELY, synthesis=GENTLE), weight=3.0),
    ]
    return [dataclasses.replace(source, **changes) for source in sources]


def _take(count, sources=None, **changes):
    settings = {"batch_size": 2, "clip_length": 4, "size": SIZE, "seed": 0, "num_threads": 0, **changes}
    return list(itertools.islice(batches(sources or _sources(), **settings), count))


def _assert_equal(one, two):
    for left, right in zip(one, two, strict=True):
        for key in ("clip", "mask"):
            np.testing.assert_array_equal(left[key], right[key])


def _picture(**changes):
    (video,) = moving_shapes.videos("stills", count=1, length=1, size=SIZE)
    return dataclasses.replace(video, **changes)


def _still(name, frame, mask):
    """A source of one picture that can be recognised in the batches."""
    video = _picture(name=name, read_frame=lambda _: frame, read_mask=lambda _: mask)
    return Source([video], Still(augmentation=Augmentation(short_edge=None)))


def test_a_batch_holds_clips_and_ids_of_the_size_asked_for():
    batch = _take(1)[0]
    assert batch["clip"].shape == (2, 4, *SIZE, 3) and batch["clip"].dtype == np.uint8
    assert batch["mask"].shape == (2, 4, *SIZE) and batch["mask"].dtype == np.uint8
    assert batch["mask"].any() and set(np.unique(batch["mask"])) <= {0, 1, 2, 3}


def test_the_number_of_threads_does_not_change_the_batches():
    _assert_equal(_take(12), _take(12, num_threads=3))


def test_a_run_that_resumes_gets_the_batches_it_would_have_got():
    whole = _take(12)
    for start in (1, 5, 11):
        _assert_equal(whole[start:], _take(12 - start, start_step=start, num_threads=2))


def test_the_cache_does_not_change_the_batches():
    _assert_equal(_take(10), _take(10, _sources(cache_megabytes=0)))


def test_another_seed_gives_other_batches_and_so_does_every_step():
    seen = {batch["clip"].tobytes() for batch in _take(6) + _take(6, seed=1)}
    assert len(seen) == 12


def test_sources_are_mixed_in_the_exact_proportion_of_their_weights():
    black = _still("black", np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.uint8))
    white = _still("white", np.full((*SIZE, 3), 255, np.uint8), np.zeros(SIZE, np.uint8))
    sources = [dataclasses.replace(black, weight=1.0), dataclasses.replace(white, weight=3.0)]
    clips = np.concatenate([batch["clip"] for batch in _take(20, sources, clip_length=1)])
    assert (clips[:, 0, 0, 0, 0] > 0).mean() == 0.75


def test_every_frame_is_the_start_of_one_sample_an_epoch():
    times = np.zeros((7, *SIZE, 3), np.uint8) + np.arange(7, dtype=np.uint8)[:, None, None, None]
    video = dataclasses.replace(
        moving_shapes.videos("train", count=1, length=7, size=SIZE)[0],
        read_frame=lambda time: times[time],
        read_mask=lambda time: np.zeros(SIZE, np.uint8),
    )
    source = Source([video], Clip(sampling=ClipSampling(gap=1), augmentation=Augmentation(short_edge=None)))
    starts = [int(batch["clip"][0, 0, 0, 0, 0]) for batch in _take(21, [source], batch_size=1, clip_length=1)]
    epochs = [starts[:7], starts[7:14], starts[14:]]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_frames_are_decoded_once_while_the_cache_has_room():
    reads = []
    video = moving_shapes.videos("train", count=1, length=5, size=(36, 70))[0]
    counted = dataclasses.replace(
        video, read_frame=lambda time: (reads.append(time), video.read_frame(time))[1]
    )
    _take(10, [Source([counted], Clip(augmentation=LIVELY))])
    assert sorted(reads) == [0, 1, 2, 3, 4]
    reads.clear()
    _take(3, [Source([counted], Clip(augmentation=LIVELY), cache_megabytes=0)])
    assert len(reads) == 3 * 2 * 4


def test_an_unreadable_frame_is_named(tmp_path):
    for folder in ("JPEGImages/480p/pond", "Annotations/480p/pond", "ImageSets/2016"):
        (tmp_path / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for time in range(4):
        picture = Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
        picture.save(tmp_path / f"JPEGImages/480p/pond/{time:05d}.jpg")
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / f"Annotations/480p/pond/{time:05d}.png")
    (tmp_path / "ImageSets/2016/train.txt").write_text("pond\n")
    broken = tmp_path / "JPEGImages/480p/pond/00002.jpg"
    broken.write_bytes(broken.read_bytes()[:900])
    videos = datasets.load("davis2016", "train", data_dir=tmp_path)
    for threads in (0, 2):
        with pytest.raises(UserError, match="00002.jpg"):
            _take(4, [Source(videos, Clip(augmentation=Augmentation(short_edge=None)))], num_threads=threads)


def test_errors_of_a_decoder_carry_video_and_frame():
    def fail(time):
        raise OSError("broken data stream")

    video = _picture(name="pond", read_frame=fail)
    with pytest.raises(UserError, match=r"pond frame 00000 cannot be read \(broken data stream\)"):
        read_pair(video, 0)


def test_a_frame_without_its_mask_or_with_one_of_another_size_is_named():
    video = _picture(name="pond", read_mask=lambda time: None)
    with pytest.raises(UserError, match="pond frame 00000 has no mask"):
        read_pair(video, 0)
    video = dataclasses.replace(video, read_mask=lambda time: np.zeros((32, 60), np.uint8))
    with pytest.raises(UserError, match="pond frame 00000 is 64x32 but its mask is 60x32"):
        read_pair(video, 0)


def test_a_source_without_frames_is_refused():
    with pytest.raises(UserError, match="source 0 holds no frames:"):
        _take(1, [Source([])])
