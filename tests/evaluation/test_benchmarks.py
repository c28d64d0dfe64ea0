"""What each benchmark asks of a method, and what it scores."""

import numpy as np
import pytest

from vos3d_jax.data.datasets import DATASETS
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation.benchmarks import BENCHMARKS, DAVIS2016_STABLE, DAVIS2016_VAL, find


def video(length, masked=None, name="v", size=(4, 5)):
    names = tuple(f"{index:05d}" for index in range(length))
    masked = range(length) if masked is None else masked
    return Video(
        name,
        length,
        lambda i: np.zeros((*size, 3), np.uint8),
        lambda i: np.zeros(size, np.uint8) if i in masked else None,
        size,
        names,
    )


def only(benchmark, *arguments, **options):
    (run,) = BENCHMARKS[benchmark].runs(video(*arguments, **options))
    return run


def test_davis_2016_has_twenty_sequences_of_which_ten_are_stable_and_two_named_protocols():
    assert len(set(DAVIS2016_VAL)) == 20
    assert len(set(DAVIS2016_STABLE) & set(DAVIS2016_VAL)) == 10
    assert BENCHMARKS["davis2016"].protocol == "toolkit"
    assert BENCHMARKS["davis2016_all_frames"].protocol == "all_frames"
    assert only("davis2016", 5).scored == (1, 2, 3)
    assert only("davis2016_all_frames", 5).scored == (0, 1, 2, 3, 4)


def test_the_rows_are_found_by_their_own_names_and_name_data_sets_that_there_are():
    assert all(find(name).name == name for name in BENCHMARKS)
    assert {row.dataset for row in BENCHMARKS.values()} <= set(DATASETS)
    with pytest.raises(UserError, match="no benchmark 'davis': choose one of davis2016"):
        find("davis")


def test_protocols_of_one_data_set_have_different_names():
    rows = [(row.title, row.protocol) for row in BENCHMARKS.values()]
    assert len(set(rows)) == len(rows)


def test_a_run_without_hint_shows_every_frame():
    run = only("davis2016", 5)
    assert (run.frames, run.given, run.group) == (range(5), (), "")
    assert run.name == run.folder == "v"


def test_the_semi_supervised_task_gives_the_first_mask_and_drops_both_ends():
    run = only("davis2017", 6)
    assert (run.given, run.scored, run.frames) == ((0,), (1, 2, 3, 4), range(6))
    run = only("davis2017_unsupervised", 6)
    assert (run.given, run.scored) == ((), (0, 1, 2, 3, 4, 5))


@pytest.mark.parametrize("name", ["fbms", "visal_original_size", "segtrack_v2", "folder"])
def test_sparse_annotation_is_scored_where_it_is(name):
    run = only(name, 9, masked=(1, 4, 8))
    assert (run.scored, run.frames, run.given) == ((1, 4, 8), range(9), ())
    with pytest.raises(UserError, match="v has no true masks to score against"):
        only(name, 9, masked=())


@pytest.mark.parametrize("name", ["segtrack_v2_objects", "folder_objects"])
def test_a_given_first_mask_is_the_first_there_is_and_is_not_scored(name):
    run = only(name, 9, masked=(1, 4, 8))
    assert (run.scored, run.frames, run.given) == ((4, 8), range(1, 9), (1,))
    with pytest.raises(UserError, match="v has 9 frames, of which .* none: give at least 2"):
        only(name, 9, masked=(1,))


def test_what_a_reader_knows_of_annotation_needs_no_mask_to_be_read():
    def never(index):
        raise AssertionError("read a mask")

    known = Video("v", 9, never, never, (4, 5), tuple(map(str, range(9))), annotated=(2, 6))
    assert BENCHMARKS["fbms"].runs(known)[0].scored == (2, 6)


def test_jumpcut_has_a_run_for_each_key_frame_and_distance_that_ends_inside_the_clip():
    runs = BENCHMARKS["jumpcut"].runs(video(33, name="bear"))
    assert [(run.name, run.folder, run.frames, run.scored, run.group) for run in runs] == [
        ("bear key000+8", "bear/key000", range(9), (8,), "distance 8"),
        ("bear key016+8", "bear/key016", range(16, 25), (24,), "distance 8"),
        ("bear key000+16", "bear/key000", range(17), (16,), "distance 16"),
        ("bear key016+16", "bear/key016", range(16, 33), (32,), "distance 16"),
        ("bear key000+32", "bear/key000", range(33), (32,), "distance 32"),
    ]
    assert [run.given for run in runs] == [(0,), (16,), (0,), (16,), (0,)]
    with pytest.raises(UserError, match="v has 8 frames, too few for a transfer over 8"):
        BENCHMARKS["jumpcut"].runs(video(8))


def test_j_hmdb_runs_carry_their_split():
    run = only("jhmdb", 3, name="split2/clap/some_clip")
    assert (run.group, run.folder) == ("split2", "split2/clap/some_clip")


def test_a_row_says_that_masks_are_given_where_its_runs_give_some():
    for row in BENCHMARKS.values():
        assert all(bool(run.given) == row.first_mask for run in row.runs(video(40)))


def test_3dc_segs_visal_is_resized_to_a_short_edge_of_480():
    run = only("visal", 3, masked=(1,), size=(240, 321))
    assert run.video.size == (480, 642)
    assert run.video.read_frame(0).shape == (480, 642, 3)
    assert run.video.read_mask(1).shape == (480, 642)
    assert run.video.read_mask(0) is None
    assert only("visal_original_size", 3, size=(240, 321)).video.size == (240, 321)


def test_a_video_too_short_for_the_protocol_is_named():
    with pytest.raises(UserError, match="v has 2 frames, of which .* none: give at least 3"):
        BENCHMARKS["davis2016"].runs(video(2))


def test_complete_means_all_frames_of_all_sequences_at_the_benchmarks_own_resolution():
    def is_complete(name, names, height, frames=0):
        lengths = [1] * (len(names) - 1) + [max(frames - len(names) + 1, 1)]
        whole = [video(n, name=name, size=(height, 9)) for name, n in zip(names, lengths, strict=True)]
        return BENCHMARKS[name].is_complete(whole)

    assert is_complete("davis2016", DAVIS2016_VAL, 480, 1376)
    assert not is_complete("davis2016", DAVIS2016_VAL, 240, 1376)
    assert not is_complete("davis2016", DAVIS2016_VAL, 480, 1375)  # an excerpt
    assert not is_complete("davis2016", DAVIS2016_VAL[:-1], 480, 1376)
    assert is_complete("jumpcut", list(map(str, range(22))), 300)
    assert not is_complete("visal", ["boat"], 480)
    assert is_complete("folder", ["mine"], 77)


def test_a_method_is_given_whole_true_masks_without_void_and_each_later_object_where_it_enters():
    def truth(index):
        ids = np.zeros((4, 5), np.uint8)
        ids[0], ids[1, 0] = 1, 255
        if index >= 2:
            ids[2] = 3
        return ids if index % 2 == 0 else None

    names = tuple(f"{index:05d}" for index in range(7))
    entering = Video("v", 7, lambda i: None, truth, (4, 5), names)
    (run,) = BENCHMARKS["folder_objects"].runs(entering)
    masks = run.given_masks()
    assert list(masks) == [0, 2]
    np.testing.assert_array_equal(masks[0], [[1] * 5, [0] * 5, [0] * 5, [0] * 5])
    np.testing.assert_array_equal(masks[2], [[0] * 5, [0] * 5, [3] * 5, [0] * 5])
    assert only("davis2016", 5).given_masks() == {}
    for run in BENCHMARKS["jumpcut"].runs(video(40)):
        assert set(run.given_masks()) <= set(run.given)
    with pytest.raises(UserError, match="v 00016 has no true mask: add it"):
        BENCHMARKS["jumpcut"].runs(video(40, masked=range(9)))[1].given_masks()
