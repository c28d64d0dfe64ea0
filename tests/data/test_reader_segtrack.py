"""SegTrack v2: objects in folders or not, soft edges, overlaps, endings that differ."""

import numpy as np
import pytest
from pictures import SIZE, box, counts, save, save_frame

from vos3d_jax.data import datasets
from vos3d_jax.errors import UserError
from vos3d_jax.media.images import short_edge_size


def load(data_dir, **options):
    return datasets.load("segtrack_v2", "all", data_dir=data_dir, **options)


@pytest.fixture
def segtrack(tmp_path):
    for number in (6668, 6669):
        save_frame(tmp_path / f"JPEGImages/bmx/bmx_0{number}.png")
        for k in (1, 2):
            save(tmp_path / f"GroundTruth/bmx/{k}/bmx_0{number}.png", np.dstack([box(k)] * 3))
    save_frame(tmp_path / "JPEGImages/girl/girl_9.bmp")
    save_frame(tmp_path / "JPEGImages/girl/girl_10.bmp")
    for number in (9, 10):
        save(tmp_path / f"GroundTruth/girl/girl_{number}.png", box())
    return tmp_path


def test_trap_8_the_union_of_two_full_masks_does_not_overflow(segtrack):
    bmx, girl = load(segtrack)
    assert counts(bmx.read_mask(0)) == {"0": 176, "1": 16}
    assert counts(girl.read_mask(1)) == {"0": 180, "1": 12}


def test_traps_8_and_22_objects_are_painted_in_the_order_of_their_folders(segtrack):
    for number in (6668, 6669):
        save(segtrack / f"GroundTruth/bmx/10/bmx_0{number}.png", box(9))
    bmx, girl = load(segtrack, objects=True)
    assert bmx.read_mask(0)[2, :13].tolist() == [0, 1, 2, 2, 2, 0, 0, 0, 0, 10, 10, 10, 0]
    assert counts(girl.read_mask(0)) == {"0": 180, "1": 12}


def test_traps_15_16_and_22_endings_differ_and_numbers_start_anywhere(segtrack):
    bmx, girl = load(segtrack)
    assert bmx.frame_names == ("bmx_06668", "bmx_06669")
    assert girl.frame_names == ("girl_9", "girl_10")
    assert girl.annotated == (0, 1)


def test_trap_7_soft_edges_are_cut_at_the_half(segtrack):
    soft = np.zeros(SIZE)
    soft[0, :5] = (5, 127, 128, 250, 255)
    save(segtrack / "GroundTruth/girl/girl_9.png", np.dstack([soft] * 3))
    assert load(segtrack)[1].read_mask(0)[0, :6].tolist() == [0, 0, 1, 1, 1, 0]


def test_traps_18_and_19_hidden_files_are_ignored_and_frames_without_mask_have_none(segtrack):
    for folder in ("JPEGImages/girl", "GroundTruth/girl", "GroundTruth/bmx", "GroundTruth/bmx/1"):
        for name in (".DS_Store", "Thumbs.db", "._girl_9.png"):
            (segtrack / folder / name).write_bytes(b"")
    (segtrack / "GroundTruth/girl/girl_9.png").unlink()
    bmx, girl = load(segtrack)
    assert bmx.length == 2
    assert girl.annotated == (1,)
    assert girl.read_mask(0) is None


def test_trap_8_an_object_without_file_of_a_frame_is_out_of_sight_there(segtrack):
    (segtrack / "GroundTruth/bmx/2/bmx_06669.png").unlink()
    bmx, _ = load(segtrack, objects=True)
    assert [sorted(counts(bmx.read_mask(index))) for index in (0, 1)] == [["0", "1", "2"], ["0", "1"]]


def test_trap_14_odd_sizes_are_one_size_for_frame_and_mask(segtrack):
    size = (13, 17)
    for number in (9, 10):
        save_frame(segtrack / f"JPEGImages/girl/girl_{number}.bmp", size=size)
        save(segtrack / f"GroundTruth/girl/girl_{number}.png", box(size=size))
    girl = load(segtrack)[1]
    assert girl.size == girl.read_frame(0).shape[:2] == girl.read_mask(0).shape == size
    assert short_edge_size((259, 327), 480) == (480, 606)


def test_a_mask_of_another_size_and_missing_parts_are_named(segtrack, tmp_path_factory):
    save(segtrack / "GroundTruth/girl/girl_9.png", box(size=(12, 15)))
    with pytest.raises(UserError, match=r"girl_9\.png is 15x12 but its frame is 16x12"):
        load(segtrack)[1].read_mask(0)
    with pytest.raises(
        UserError, match=r"SegTrack v2 was not found: .*JPEGImages is not .*SegTrack2/dataset"
    ):
        load(tmp_path_factory.mktemp("empty"))
    (segtrack / "GroundTruth/girl").rename(segtrack / "GroundTruth/lost")
    with pytest.raises(
        UserError, match=r"the masks of 'girl' are missing: .*GroundTruth/girl is not a folder"
    ):
        load(segtrack)
