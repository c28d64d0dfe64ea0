"""Frames in a folder: their order, their orientation, and what lies beside them."""

import numpy as np
import pytest
from PIL import Image
from video_files import FORMS

from vos3d_jax.errors import UserError
from vos3d_jax.media.folders import VIDEO_SUFFIXES, picture_files
from vos3d_jax.media.frames import open_frames


def _folder(root, names):
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        elif path.suffix in (".jpg", ".png", ".webp"):
            Image.fromarray(np.full((8, 12, 3), 90, np.uint8)).save(path)
        else:
            path.write_bytes(b"something")
    return root


BESIDE = [
    (["masks/", "frames/"], "2 folders (frames, masks)"),
    (["clip.mp4"], "1 video (clip.mp4)"),
    (["0_mask.png", "1_MASK.png", "2-masks.png"], "3 masks (0_mask.png, 1_MASK.png, 2-masks.png)"),
    (["notes.txt", "a.heic"], "2 other files (a.heic, notes.txt)"),
    (
        ["a/", "b.MOV", "c_mask.jpg", *(f"{n}.txt" for n in range(12))],
        "1 folder (a), 1 video (b.MOV), 1 mask (c_mask.jpg), 12 other files (0.txt, 1.txt, 2.txt, ...)",
    ),
]


@pytest.mark.parametrize(("names", "said"), BESIDE)
def test_what_lies_beside_the_frames_is_left_out_and_said(tmp_path, names, said):
    _folder(tmp_path, [*names, "frame10.jpg", "frame9.jpg", ".hidden", ".hidden.png"])
    files, note = picture_files(tmp_path)
    assert [file.name for file in files] == ["frame9.jpg", "frame10.jpg"]
    assert note == f"not read: {said}"
    told = []
    assert len(list(open_frames(tmp_path).reading(tell=told.append))) == 2
    assert told == [f"{tmp_path}: not read: {said}"]


MENDS = (
    "that holds the frames",
    "give the video",
    "may not end with _mask",
    "that holds the frames",
    "that holds the frames",
)


@pytest.mark.parametrize(
    ("names", "mend"), [(names, mend) for (names, _), mend in zip(BESIDE, MENDS, strict=True)]
)
def test_a_folder_without_frames_is_refused_with_what_there_is(tmp_path, names, mend):
    _folder(tmp_path, names)
    with pytest.raises(UserError, match="holds no frames .*, but ") as refused:
        picture_files(tmp_path)
    assert names[0].strip("/") in str(refused.value) and mend in str(refused.value)


def test_every_form_of_video_that_is_read_is_known_by_its_name():
    assert {f".{suffix}" for suffix, _ in FORMS} <= set(VIDEO_SUFFIXES)


def test_an_empty_folder_and_one_with_frames_alone_have_nothing_to_say(tmp_path):
    with pytest.raises(UserError, match=r"holds no frames \([^)]*\): give the folder"):
        open_frames(tmp_path)
    assert picture_files(_folder(tmp_path, ["a.webp", "mask.png", "unmask.jpg"]))[1] is None


def test_a_video_in_the_layout_of_a_training_has_its_frames_in_frames_and_its_own_name(tmp_path, monkeypatch):
    bear = tmp_path / "bear"
    _folder(tmp_path, ["bear/frames/", "bear/masks/", "bear/frames/0.png", "bear/masks/0.png"])
    monkeypatch.chdir(bear / "frames")
    for given in (bear, bear / "frames", ".", ".."):
        video = open_frames(given)
        assert (video.name, video.files[0].resolve()) == ("bear", bear / "frames" / "0.png")
    _folder(bear, ["1.png"])  # pictures of its own come first, and the folder is named as not read
    assert open_frames(bear).files == (bear / "1.png",) and "frames" in open_frames(bear).note
    _folder(tmp_path, ["davis/JPEGImages/", "davis/JPEGImages/0.png"])
    with pytest.raises(UserError, match="give one or several of them, .*davis/JPEGImages$"):
        open_frames(tmp_path / "davis")


def test_of_a_folder_of_videos_those_are_named_that_can_be_given(tmp_path):
    names = ["bear/", "bear/frames/", "bear/frames/0.png", "camel/", "camel/0.png", "masks/", "masks/0.png"]
    _folder(tmp_path, [*names, "__MACOSX/", "__MACOSX/._0.png", "notes/", "notes/a.txt", "train.txt"])
    with pytest.raises(UserError) as refused:
        open_frames(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path} holds no frames, but folders with frames: give one or several of them, "
        f"{tmp_path / 'bear'} {tmp_path / 'camel'}"
    )


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_one_picture_is_refused_with_the_folder_to_give(tmp_path, suffix):
    _folder(tmp_path, [f"0.{suffix}"])
    with pytest.raises(
        UserError, match=f"0.{suffix} is a picture and no video: give the folder of the frames"
    ):
        open_frames(tmp_path / f"0.{suffix}")


@pytest.mark.parametrize("tag", range(1, 9))
def test_frames_of_a_telephone_are_turned_upright_and_it_is_said_once(tmp_path, tag):
    stored = np.zeros((24, 32, 3), np.uint8)
    stored[:12, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = tag
    for number in range(3):
        Image.fromarray(stored).save(tmp_path / f"{number}.png", exif=exif)
    told = []
    video = open_frames(tmp_path)
    frames = [picture.pixels for _, picture in video.reading(tell=told.append)]
    assert video.size == ((32, 24) if tag >= 5 else (24, 32))
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    for frame in frames:
        assert frame.shape[:2] == video.size
        assert frame[corner[tag]].tolist() == [255] * 3 and (frame == 255).mean() == 0.25
    assert told == ([f"frame 0: turned upright by its orientation tag {tag}"] if tag > 1 else [])
