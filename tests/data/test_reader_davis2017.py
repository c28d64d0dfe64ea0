"""DAVIS-2017: ids and void exactly, the two annotations never mixed, test splits with one mask."""

import numpy as np
import pytest
from golden_files import shared_data
from pictures import box, counts, manifest, save, save_frame, save_ids

from vos3d_jax.data import datasets
from vos3d_jax.errors import UserError
from vos3d_jax.media.encodings import read_mask


def load(data_dir, split="train", **options):
    return datasets.load("davis2017", split, data_dir=data_dir, **options)


@pytest.fixture
def davis(tmp_path):
    for number in range(3):
        save_frame(tmp_path / f"JPEGImages/480p/judo/0000{number}.jpg")
        save_ids(tmp_path / f"Annotations/480p/judo/0000{number}.png", box(number, value=number + 2))
    for split in ("train", "test-dev"):
        save_list(tmp_path, f"2017/{split}.txt")
    return tmp_path


def save_list(root, name):
    (root / "ImageSets" / name).parent.mkdir(parents=True, exist_ok=True)
    (root / "ImageSets" / name).write_text("judo\n")


@pytest.mark.parametrize("split, names", [("train", ["bear", "tennis"]), ("val", ["blackswan"])])
def test_traps_2_4_and_17_the_real_masks_keep_their_ids_and_void(split, names):
    truth = manifest("DAVIS-2017")
    videos = load(shared_data("DAVIS-2017"), split)
    assert [video.name for video in videos] == names
    for video in videos:
        assert video.annotated == tuple(range(video.length))
        for index, frame in enumerate(video.frame_names):
            expected = truth[f"Annotations/480p/{video.name}/{frame}.png"]["counts"]
            assert counts(video.read_mask(index)) == expected


def test_trap_24_and_30_the_real_frames_are_rgb():
    truth = manifest("DAVIS-2017")
    (video,) = load(shared_data("DAVIS-2017"), "val")
    expected = truth["JPEGImages/480p/blackswan/00000.jpg"]["mean_rgb"]
    assert np.abs(video.read_frame(0).mean((0, 1)) - expected).max() < 1


def test_traps_1_5_12_and_18_test_sequences_have_one_mask_grey_ids_and_widths_of_their_own(tmp_path):
    source = shared_data("DAVIS-2017-first-frames")
    truth = manifest("DAVIS-2017-first-frames")
    for name in ("JPEGImages", "ImageSets"):
        (tmp_path / name).symlink_to(source / name)
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations/480p").symlink_to(source / "Annotations/2017")
    videos = load(tmp_path, "test-challenge")
    assert len(videos) == 8
    assert {video.size[1] for video in videos} == {854, 902, 910, 1301}
    for video in videos:
        assert counts(video.read_mask(0)) == truth[f"Annotations/2017/{video.name}/00000.png"]["counts"]


def test_trap_18_a_test_split_gives_no_mask_after_the_first_frame(davis):
    for number in (1, 2):
        (davis / f"Annotations/480p/judo/0000{number}.png").unlink()
    (video,) = load(davis, "test-dev")
    assert video.annotated == (0,)
    assert [video.read_mask(index) is None for index in range(3)] == [False, True, True]
    with pytest.raises(UserError, match=r"judo/00001\.jpg has no mask: expected .*judo/00001\.png; add it"):
        load(davis, "train")
    (davis / "Annotations/480p/judo/00000.png").unlink()
    with pytest.raises(UserError, match=r"'judo' has no mask of its first frame: expected .*00000\.png"):
        load(davis, "test-dev")


def test_trap_4_void_alone_in_a_grey_file_is_void_and_no_object(davis):
    save(davis / "Annotations/480p/judo/00001.png", box(value=255))
    mask = load(davis)[0].read_mask(1)
    assert counts(mask) == {"0": 180, "255": 12}
    assert read_mask(davis / "Annotations/480p/judo/00001.png").max() == 1  # a file that promises nothing


def test_trap_5_ids_may_have_gaps_and_be_missing_in_frames(davis):
    (video,) = load(davis)
    assert [set(np.unique(video.read_mask(index))) for index in range(3)] == [{0, 2}, {0, 3}, {0, 4}]


def test_trap_6_the_masks_of_2016_are_no_255_objects_but_refused_here_and_one_object_there(davis):
    for number in range(3):
        save(davis / f"Annotations/480p/judo/0000{number}.png", box())
    save_list(davis, "2016/train.txt")
    with pytest.raises(UserError, match=r"judo/00000\.png holds 0 and 255 alone, as DAVIS-2016 marks its"):
        load(davis)[0].read_mask(0)
    video = datasets.load("davis2016", "train", data_dir=davis)[0]
    assert counts(video.read_mask(0)) == {"0": 180, "1": 12}


@pytest.mark.parametrize("task, other", [("unsupervised", ""), ("semi_supervised", "_unsupervised")])
def test_trap_28_one_annotation_never_stands_in_for_the_other(davis, task, other):
    if other:
        (davis / "Annotations").rename(davis / f"Annotations{other}")
    wanted = "Annotations" if other else "Annotations_unsupervised"
    with pytest.raises(
        UserError, match=rf"task\) was not found: .*/{wanted}/480p is not a folder; .*davis2017"
    ):
        load(davis, task=task)
    (davis / f"Annotations{other}").rename(davis / wanted)
    assert load(davis, task=task)[0].read_mask(0).max() == 2


def test_the_unsupervised_test_splits_have_lists_of_their_own_and_no_masks(davis):
    with pytest.raises(UserError, match=r"no split 'test-dev' .*ImageSets/2019/test-dev\.txt is not there"):
        load(davis, "test-dev", task="unsupervised")
    save_list(davis, "2019/test-dev.txt")
    (video,) = load(davis, "test-dev", task="unsupervised")
    assert video.annotated == ()
    assert video.read_mask(0) is None


def test_another_task_and_another_resolution_are_named(davis):
    with pytest.raises(UserError, match="no task 'interactive': choose one of semi_supervised, unsupervised"):
        load(davis, task="interactive")
    with pytest.raises(UserError, match=r"480p.*set `resolution`"):
        load(davis, resolution="Full-Resolution")
