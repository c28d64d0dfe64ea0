"""YouTube-VOS and SA-V: objects that enter late, frames that are not annotated, folders of single objects."""

import json

import numpy as np
import pytest
from pictures import SIZE, box, save, save_frame, save_ids

from vos3d_jax.data.datasets import load
from vos3d_jax.errors import UserError

FRAMES = ("00000", "00005", "00010")


@pytest.fixture
def youtube(tmp_path):
    """One video whose object 2 enters in the second annotated frame; frames between are not annotated."""
    root = tmp_path / "train"
    for stem in (*FRAMES, "00002"):
        save_frame(root / f"JPEGImages/0a/{stem}.jpg")
    for place, stem in enumerate(FRAMES):
        save_ids(root / f"Annotations/0a/{stem}.png", box(0, 1) + (box(6, 2) if place else 0))
    write_meta(root, {"0a": {"1": FRAMES, "2": FRAMES[1:]}})
    return tmp_path


def write_meta(root, videos):
    objects = {
        name: {"objects": {number: {"category": "cat", "frames": frames} for number, frames in ids.items()}}
        for name, ids in videos.items()
    }
    (root / "meta.json").write_text(json.dumps({"videos": objects}))


def test_youtube_vos_has_ids_and_frames_between_its_annotations(youtube):
    for data_dir in (youtube, youtube / "train"):
        (video,) = load("youtube_vos", "train", data_dir=data_dir, complete=True)
        assert video.frame_names == ("00000", "00002", "00005", "00010")
        assert video.annotated == (0, 2, 3) and video.read_mask(1) is None
        assert [set(np.unique(video.read_mask(index))) for index in (0, 2)] == [{0, 1}, {0, 1, 2}]


def test_youtube_vos_without_frames_is_its_annotated_frames(youtube):
    (youtube / "train/JPEGImages").rename(youtube / "elsewhere")
    (video,) = load("youtube_vos", "train", data_dir=youtube)
    assert video.frame_names == FRAMES and video.annotated == (0, 1, 2) and not video.read_frame(0).any()


@pytest.mark.parametrize("how", ["meta", "list", "folders"])
def test_the_videos_of_youtube_vos_are_those_of_its_list(youtube, how):
    save_ids(youtube / "train/Annotations/0b/00000.png", box(0, 1))
    expected = ["0a"]
    if how == "list":
        (youtube / "train/mine.txt").write_text("0b\n")
        expected = ["0b"]
    if how == "folders":
        (youtube / "train/meta.json").unlink()
        expected = ["0a", "0b"]
    videos = load("youtube_vos", "mine" if how == "list" else "train", data_dir=youtube / "train")
    assert [video.name for video in videos] == expected


def test_masks_that_are_not_public_are_named_where_all_are_needed(youtube):
    (youtube / "train/Annotations/0a/00010.png").unlink()
    assert load("youtube_vos", "train", data_dir=youtube)[0].annotated == (0, 2)
    with pytest.raises(UserError, match=r"0a has no 00010.png, which meta.json lists: .* only the server"):
        load("youtube_vos", "train", data_dir=youtube, complete=True)


@pytest.mark.parametrize("text", ["", "[]", '{"videos": 3}', '{"videos": {"0a": {}}}', "\x00", "[" * 9999])
def test_a_meta_file_that_is_none_is_refused_in_one_line(youtube, text):
    (youtube / "train/meta.json").write_text(text)
    with pytest.raises(UserError) as caught:
        load("youtube_vos", "train", data_dir=youtube)
    assert "meta.json is no " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def sav(tmp_path):
    """One video of two objects that overlap; every fourth frame is annotated, object 001 is there later."""
    root = tmp_path / "sav_val"
    for index in range(9):
        save_frame(root / f"JPEGImages_24fps/sav_1/{index:05d}.jpg")
    for index in (0, 4, 8):
        save(root / f"Annotations_6fps/sav_1/000/{index:05d}.png", box(0))
        save(root / f"Annotations_6fps/sav_1/001/{index:05d}.png", box(1) if index else np.zeros(SIZE))
    (root / "sav_val.txt").write_text("sav_1\n")
    return tmp_path


def test_every_object_of_sa_v_is_a_video_of_its_own(sav):
    for data_dir in (sav, sav / "sav_val"):
        videos = load("sa_v", "val", data_dir=data_dir)
        assert [video.name for video in videos] == ["sav_1/000", "sav_1/001"]
        assert all(video.annotated == (0, 4, 8) and video.length == 9 for video in videos)
        assert [int(video.read_mask(0).sum()) for video in videos] == [12, 0]


def test_sa_v_is_read_without_frames_and_without_a_list(sav):
    (sav / "sav_val/JPEGImages_24fps").rename(sav / "elsewhere")
    (sav / "sav_val/sav_val.txt").unlink()
    video, _ = load("sa_v", "val", data_dir=sav)
    assert video.frame_names == ("00000", "00004", "00008")


def test_sa_v_in_another_layout_is_named(sav):
    folder = sav / "sav_val/Annotations_6fps/sav_1"
    for number in ("000", "001"):
        for path in (folder / number).iterdir():
            path.unlink()
        (folder / number).rmdir()
    save(folder / "00000.png", box(0))
    with pytest.raises(UserError, match="holds no folders <video>/<object>/00000.png"):
        load("sa_v", "val", data_dir=sav)
