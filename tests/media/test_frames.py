from fractions import Fraction

import golden_files
import numpy as np
import pytest
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.images import natural_order
from vos3d_jax.media.video_writer import VideoWriter


def _moving_square(length=12, height=48, width=64):
    frames = np.full((length, height, width, 3), 40, np.uint8)
    for t in range(length):
        frames[t, 8:24, 2 * t : 2 * t + 16] = (200, 60, 20)
    return frames


def _write(path, frames, rate=Fraction(10)):
    with VideoWriter(path, rate) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def test_a_folder_is_read_in_natural_order_and_keeps_its_names(tmp_path):
    for number in (10, 9, 1):
        Image.new("RGB", (6, 4), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    Image.new("RGB", (6, 4)).save(tmp_path / ".hidden.png")
    (tmp_path / "notes.txt").write_text("no picture")
    video = open_frames(tmp_path)
    assert [video.frame_name(index) for index in range(3)] == ["frame1", "frame9", "frame10"]
    assert (video.size, video.length, video.rate) == ((4, 6), 3, None)
    assert [frame[0, 0, 0] for frame in video.read()] == [1, 9, 10]
    assert sorted(["a2b", "a10b", "10", "9", "²"], key=natural_order) == ["9", "10", "a2b", "a10b", "²"]


@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
def test_array_files_are_read_frame_by_frame(tmp_path, save):
    frames = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)
    path = tmp_path / ("video.npy" if save is np.save else "video.npz")
    save(path, frames)
    video = open_frames(path)
    assert (video.size, video.length, video.files) == ((4, 6), 5, None)
    np.testing.assert_array_equal(np.stack(list(video.read())), frames)


def _bad_inputs(folder):
    yield "nothing.mp4", "does not exist"
    (folder / "empty").mkdir()
    yield "empty", "holds no frames"
    (folder / "twice").mkdir()
    for suffix in ("jpg", "png"):
        Image.new("RGB", (6, 4)).save(folder / "twice" / f"00000.{suffix}")
    yield "twice", "2 pictures named 00000"
    (folder / "empty.mp4").write_bytes(b"")
    yield "empty.mp4", "is an empty file: fetch it again"
    (folder / "garbage.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    yield "garbage.mp4", "cannot be decoded"
    whole = _write(folder / "whole.mp4", _moving_square()).read_bytes()
    (folder / "half.mp4").write_bytes(whole[: len(whole) // 2])
    yield "half.mp4", "is an mp4 whose index is missing or damaged"
    for name, array in {
        "float.npy": np.zeros((2, 4, 6, 3), np.float32),
        "grey.npy": np.zeros((2, 4, 6), np.uint8),
        "fortran.npy": np.asfortranarray(np.zeros((2, 4, 6, 3), np.uint8)),
        "none.npy": np.zeros((0, 4, 6, 3), np.uint8),
        "objects.npy": np.array([{}], object),
    }.items():
        np.save(folder / name, array, allow_pickle=True)
    yield "float.npy", "float32"
    yield "grey.npy", r"\[2, 4, 6\]"
    yield "fortran.npy", "Fortran order"
    yield "none.npy", "no frames"
    yield "objects.npy", "object"
    np.savez(folder / "two.npz", a=np.zeros(1), b=np.zeros(1))
    yield "two.npz", "holds 2 arrays"
    (folder / "garbage.npy").write_bytes(b"no array")
    yield "garbage.npy", "not a readable array"
    (folder / "garbage.npz").write_bytes(b"no array")
    yield "garbage.npz", "not a readable array"
    (folder / "truncated").mkdir()
    Image.effect_noise((64, 48), 50).convert("RGB").save(folder / "truncated" / "00000.jpg")
    jpeg = (folder / "truncated" / "00000.jpg").read_bytes()
    (folder / "truncated" / "00000.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    yield "truncated", "00000.jpg"


def test_bad_input_is_refused_in_one_line_that_names_it_and_the_mend(tmp_path):
    for name, words in _bad_inputs(tmp_path):
        with pytest.raises(UserError, match=words) as caught:
            open_frames(tmp_path / name)
        assert name in str(caught.value) and ": " in str(caught.value) and "\n" not in str(caught.value)


def test_an_array_file_that_ends_early_names_the_frame(tmp_path):
    np.save(tmp_path / "cut.npy", np.zeros((5, 4, 6, 3), np.uint8))
    data = (tmp_path / "cut.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(data[:-100])
    reading = open_frames(tmp_path / "cut.npy").reading()
    assert len(list(reading)) == 3
    assert reading.summary().startswith("3 of 5 frames decoded") and "within frame 3" in reading.summary()


def test_real_videos_and_sequences_are_read():
    video = open_frames(golden_files.shared_data("videos") / "blackswan.mp4")
    folder = open_frames(golden_files.shared_data("DAVIS") / "JPEGImages/480p/blackswan")
    assert (video.size, video.length, video.rate) == ((480, 854), 50, 30)
    assert (folder.size, folder.length, folder.name) == ((480, 854), 14, "blackswan")
    assert folder.frame_name(13) == "00013"
    # The video is the sequence, encoded again.
    assert np.abs(next(video.read()).astype(int) - next(folder.read())).mean() < 8
