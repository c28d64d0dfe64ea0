"""Videos and masks from folders: layouts, lists, and every kind of damage."""

import importlib
import os
import pickle
import shutil

import numpy as np
import pytest
from golden_files import shared_data
from PIL import Image

from vos3d_jax.data import datasets
from vos3d_jax.errors import UserError

SIZE = (12, 16)


def make_video(frames, masks, names=("00000", "00001", "00002"), size=SIZE):
    frames.mkdir(parents=True)
    masks.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.fromarray(np.full((*size, 3), 40 * number, np.uint8)).save(frames / f"{name}.jpg")
        mask = np.zeros(size, np.uint8)
        mask[2:6, number : number + 3] = 255
        Image.fromarray(mask).save(masks / f"{name}.png")


@pytest.fixture
def davis(tmp_path):
    for name in ("bear", "surf"):
        make_video(tmp_path / "JPEGImages/480p" / name, tmp_path / "Annotations/480p" / name)
    (tmp_path / "ImageSets/2016").mkdir(parents=True)
    (tmp_path / "ImageSets/2016/val.txt").write_text("surf\r\nbear\n\n")
    return tmp_path


def load(data_dir, name="davis2016", split="val", **options):
    return datasets.load(name, split, data_dir=data_dir, **options)


def test_davis_gives_the_videos_of_its_list_with_binary_masks(davis):
    videos = load(davis)
    assert [(video.name, video.length, video.size) for video in videos] == [
        ("surf", 3, SIZE),
        ("bear", 3, SIZE),
    ]
    assert videos[0].frame_names == ("00000", "00001", "00002")
    assert videos[0].read_frame(2).shape == (*SIZE, 3)
    assert abs(int(videos[0].read_frame(2)[0, 0, 0]) - 80) <= 1
    assert videos[0].read_mask(1).sum() == 12
    assert videos[0].read_mask(1)[2, 1] == 1


def test_a_video_can_be_sent_to_another_process(davis):
    video = pickle.loads(pickle.dumps(load(davis)[0]))
    assert np.array_equal(video.read_mask(0), load(davis)[0].read_mask(0))


def test_trap_17_pair_lists_with_slashes_and_blanks_at_the_end_name_their_sequences(davis):
    shutil.rmtree(davis / "ImageSets/2016")
    (davis / "ImageSets/480p").mkdir()
    lines = [f"/JPEGImages/480p/bear/{n:05d}.jpg /Annotations/480p/bear/{n:05d}.png \n" for n in range(3)]
    (davis / "ImageSets/480p/val.txt").write_text("".join(lines))
    assert [video.name for video in load(davis)] == ["bear"]


def test_the_folder_above_davis_will_do(davis, tmp_path_factory):
    parent = tmp_path_factory.mktemp("above")
    shutil.move(davis, parent / "DAVIS")
    assert len(load(parent)) == 2


def test_a_missing_davis_is_named_with_place_page_and_flag(tmp_path):
    with pytest.raises(
        UserError, match=r"https://davischallenge.org/davis2016/code.html .*--config\.data_dir"
    ):
        load(None)
    with pytest.raises(
        UserError, match=rf"{tmp_path}/JPEGImages/480p is not a folder; .*code.html .*data_dir"
    ):
        load(tmp_path)


def test_another_resolution_is_suggested(davis):
    with pytest.raises(UserError, match=r"found in .* at 480p, not at 240p: .*davis_small\.py:480p .*=480p"):
        load(davis, resolution="240p")
    with pytest.raises(UserError, match="found there: 480p"):
        load(davis, "folder", "all", resolution="240p")


def test_a_split_without_list_and_a_listed_sequence_without_folder_are_named(davis):
    with pytest.raises(UserError, match=r"no split 'test' .*2016/test\.txt"):
        load(davis, split="test")
    (davis / "ImageSets/2016/val.txt").write_text("tiger\n")
    with pytest.raises(UserError, match=r"'tiger' are missing: .*480p/tiger is not a folder"):
        load(davis)
    (davis / "ImageSets/2016/val.txt").write_text("\n")
    with pytest.raises(UserError, match=r"val\.txt is empty"):
        load(davis)


def test_a_frame_without_mask_is_named_at_loading(davis):
    (davis / "Annotations/480p/bear/00001.png").unlink()
    with pytest.raises(UserError, match=r"bear/00001\.jpg has no mask: expected .*bear/00001\.png; add it"):
        load(davis)
    videos = load(davis, "folder", "all", strict=False)
    assert [video.read_mask(1) is None for video in videos] == [True, False]


def test_trap_11_a_mask_of_another_size_is_named_with_both_sizes(davis):
    Image.fromarray(np.zeros((12, 15), np.uint8)).save(davis / "Annotations/480p/bear/00001.png")
    expected = r"bear/00001\.png is 15x12 but its frame is 16x12: resize the mask with nearest neighbour"
    with pytest.raises(UserError, match=expected):
        load(davis)
    with pytest.raises(UserError, match=expected):
        load(davis, "folder", "all", strict=False)[0].read_mask(1)


def test_a_frame_of_another_size_is_named(davis):
    Image.fromarray(np.zeros((12, 15, 3), np.uint8)).save(davis / "JPEGImages/480p/bear/00001.jpg")
    for use in (lambda: load(davis), lambda: load(davis, "folder", "all", strict=False)[0].read_frame(1)):
        with pytest.raises(UserError, match=r"bear/00001\.jpg is 15x12 but 00000\.jpg is 16x12"):
            use()


def test_trap_19_hidden_files_and_masks_without_frame_are_ignored(davis):
    (davis / "JPEGImages/480p/bear/._00000.jpg").write_bytes(b"")
    (davis / "JPEGImages/480p/bear/Thumbs.db").write_bytes(b"")
    (davis / "Annotations/480p/bear/00009.png").write_bytes(b"")
    assert load(davis)[1].length == 3


@pytest.mark.parametrize("frames, masks", [("frames", "masks"), ("", "masks")])
def test_own_videos_may_lie_one_folder_each_with_spaces_and_umlauts(tmp_path, frames, masks):
    video = tmp_path / "mein Bär"
    (video / masks).parent.mkdir(parents=True)
    make_video(tmp_path / "made/frames", tmp_path / "made/masks", names=("8", "9", "10"))
    if frames:
        shutil.move(tmp_path / "made/frames", video / frames)
    else:
        for path in (tmp_path / "made/frames").iterdir():
            shutil.move(path, video / path.name)
    shutil.move(tmp_path / "made/masks", video / masks)
    shutil.rmtree(tmp_path / "made")
    (found,) = load(tmp_path, "folder", "all")
    assert found.name == "mein Bär"
    assert found.frame_names == ("8", "9", "10")  # trap 16: by number, not by letter
    assert found.read_mask(0).sum() == 12
    (tmp_path / "mine.txt").write_text("mein Bär\n", "utf-8")
    assert [video.name for video in load(tmp_path, "folder", "mine")] == ["mein Bär"]


def test_signs_that_look_like_numbers_are_letters(tmp_path):
    make_video(tmp_path / "bear/frames", tmp_path / "bear/masks", names=("10", "9²", "²"))
    assert load(tmp_path, "folder", "all")[0].frame_names == ("9²", "10", "²")


def test_own_videos_keep_ids_and_void_and_follow_lists(davis):
    mask = np.zeros(SIZE, np.uint8)
    mask[0], mask[1], mask[2] = 1, 2, 255
    only_void = np.where(mask == 255, mask, 0)
    for number, values in enumerate((mask, mask, only_void)):
        Image.fromarray(values).save(davis / f"Annotations/480p/bear/{number:05d}.png")
    bear = load(davis, "folder", "all")[0]
    assert np.array_equal(bear.read_mask(0), mask)
    assert np.array_equal(bear.read_mask(2), only_void)  # trap 4: no object, though it looks like one
    (davis / "train.txt").write_text("bear\n")
    assert [video.name for video in load(davis, "folder", "train")] == ["bear"]
    with pytest.raises(UserError, match=r"no list for the split 'test': write .*test\.txt"):
        load(davis, "folder", "test")


def test_empty_and_missing_folders_are_named(tmp_path, davis):
    for data_dir, expected in [
        (None, "no folder was given"),
        (tmp_path / "none", "none is not a folder"),
        (tmp_path / "ImageSets/2016", "holds no videos"),
    ]:
        with pytest.raises(UserError, match=expected):
            load(data_dir, "folder", "all")
    (tmp_path / "JPEGImages/480p/void").mkdir()
    assert [video.name for video in load(davis, "folder", "all")] == ["bear", "surf"]
    (tmp_path / "mine.txt").write_text("void\n")
    with pytest.raises(UserError, match="void holds no frames"):
        load(davis, "folder", "mine")


def test_two_frames_of_one_name_are_named(davis):
    (davis / "JPEGImages/480p/bear/00000.png").write_bytes(b"")
    with pytest.raises(UserError, match="have the same name: keep one"):
        load(davis)


@pytest.mark.parametrize("place", ["JPEGImages", "Annotations"])
@pytest.mark.parametrize("name", ["davis2016", "folder"])
def test_what_stands_in_the_place_of_a_picture_is_not_left_out_without_a_word(davis, name, place):
    picture = next(path for path in (davis / place / "480p/bear").iterdir() if path.stem == "00001")
    picture.unlink()
    picture.symlink_to("/unmounted/00001")
    with pytest.raises(UserError, match=f"{picture} is a link to nothing: restore .*/unmounted/00001"):
        load(davis, name, "all" if name == "folder" else "val")
    picture.unlink()
    os.mkfifo(picture)
    with pytest.raises(UserError, match=f"{picture} is no file"):
        load(davis, name, "all" if name == "folder" else "val")


def test_a_name_that_no_report_can_hold_is_refused_before_anything_is_scored(davis):
    (davis / "JPEGImages/480p/bear").rename(davis / "JPEGImages/480p/caf\udce9")
    with pytest.raises(UserError, match=r"caf\\udce9' is not UTF-8: rename it"):
        load(davis, "folder", "all")


def test_a_jpeg_among_own_masks_is_named(davis):
    masks = davis / "Annotations/480p/bear"
    (masks / "00001.png").rename(masks / "00001.jpg")
    with pytest.raises(UserError, match="bear/00001.jpg is a JPEG, which blurs ids"):
        load(davis, "folder", "all", strict=False)


def test_unknown_data_sets_and_options_are_named(davis):
    with pytest.raises(
        UserError, match="no data set 'davis17': choose one of davis2016, davis2017, .*folder, moving_shapes"
    ):
        load(davis, "davis17")
    with pytest.raises(UserError, match="unexpected keyword argument 'speed'"):
        load(davis, speed=3)
    with pytest.raises(UserError, match="missing a required .*'count'"):
        load(None, "moving_shapes")


def test_the_real_folders_load_whole():
    train = load(shared_data("DAVIS-240p"), split="train", resolution="240p")
    assert (len(train), sum(video.length for video in train)) == (30, 2079)
    assert {video.size for video in train} == {(240, 427)}
    val = load(shared_data("DAVIS"))
    assert [video.name for video in val][:2] == ["blackswan", "bmx-trees"]
    assert np.count_nonzero(val[0].read_mask(0)) == 41343


def test_trap_10_empty_masks_are_masks():
    videos = {video.name: video for video in load(shared_data("DAVIS-defects"), "folder", "all")}
    assert videos["surf"].frame_names == ("00053", "00054")
    assert videos["surf"].read_mask(1).sum() == 0


def test_own_masks_are_decoded_once_though_all_of_them_decide_what_their_values_mean(davis, monkeypatch):
    reader = importlib.import_module("vos3d_jax.data.readers.folder")
    decoded = []
    read = reader.read_stored
    monkeypatch.setattr(reader, "read_stored", lambda path: decoded.append(path.name) or read(path))
    bear = load(davis, "folder", "all")[0]
    first = [bear.read_mask(index) for index in range(3)]
    assert decoded == ["00000.png", "00001.png", "00002.png"]
    again = [pickle.loads(pickle.dumps(bear)).read_mask(index) for index in range(3)]
    assert len(decoded) == 6  # the decision went along, what was kept did not
    for number, masks in enumerate(zip(first, again, strict=True)):
        expected = np.zeros(SIZE, np.uint8)
        expected[2:6, number : number + 3] = 1
        assert all(np.array_equal(mask, expected) for mask in masks)
    assert load(davis, "folder", "all")[0].meaning(bear.meaning()) == bear.meaning()
    assert len(decoded) == 6
