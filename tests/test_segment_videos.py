"""What `segment` leaves and says for videos as people have them: damaged, uneven, turned, oddly named."""

from fractions import Fraction

import av
import numpy as np
import pytest
import toy_network
from PIL import Image
from video_files import numbered_frames, spoil, write_video

from vos3d_jax import segment, storage
from vos3d_jax.media.frames import open_frames

toy_system = toy_network.toy_system
MS = Fraction(1, 1000)


@pytest.fixture
def model(toy_system, tmp_path):
    storage.save_model(toy_network.Toy(rng=np.random.default_rng(0)), tmp_path / "model")
    return tmp_path / "model"


def _segment(model, path, *options):
    options = ["--short_edge=0", "--clip_length=4", "--overlap=1", *options]
    out = model.parent / "out"
    return segment.main([f"--checkpoint={model}", f"--input={path}", f"--output={out}", *options])


def _masks(folder):
    return [int(path.stem) for path in sorted(folder.iterdir())]


def _error(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if "decoded" in line or "error" in line]


def test_broken_frames_are_repeated_left_out_or_stop_the_run_and_the_end_says_so(model, tmp_path, capsys):
    path = spoil(write_video(tmp_path / "clip.mov", numbered_frames(12), "mjpeg"), 3, 4, 9)
    out = tmp_path / "out" / "clip"
    assert _segment(model, path) == 0
    [words] = [line for line in _error(capsys) if line.startswith(str(path))]
    assert words.endswith("9 of 12 frames decoded; the picture before is used in the place of frames 3-4, 9")
    assert _masks(out) == list(range(12))
    assert (out / "00003.png").read_bytes() == (out / "00004.png").read_bytes()
    assert open_frames(tmp_path / "out" / "clip.mp4").length == 12

    assert _segment(model, path, "--bad_frames=skip", "--overwrite") == 0
    assert "9 of 12 frames decoded; no picture for frames 3-4, 9" in _error(capsys)[-1]
    assert _masks(out) == [0, 1, 2, 5, 6, 7, 8, 10, 11]
    shown = [picture.time for picture in open_frames(tmp_path / "out" / "clip.mp4").pictures()]
    assert shown == [Fraction(number, 24) for number in _masks(out)]  # the overlay keeps in step

    assert _segment(model, path, "--bad_frames=stop", "--overwrite") == 2
    [error] = _error(capsys)
    assert "clip.mov: frame 3 at 0.125 s cannot be decoded (" in error
    assert f"are in {out}: --bad_frames=repeat" in error
    assert _masks(out) == [0, 1, 2]


def test_a_video_that_has_fewer_frames_than_it_says_is_segmented_and_told(model, tmp_path, capsys):
    path = write_video(tmp_path / "cut.avi", numbered_frames(12), "mjpeg")
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: places[8] - 8])
    assert _segment(model, path) == 0
    assert "8 of 12 frames decoded" in _error(capsys)[-1]
    assert _masks(tmp_path / "out" / "cut") == list(range(8))


def test_a_damaged_picture_of_a_folder_does_not_cost_the_run(model, tmp_path, capsys):
    folder = tmp_path / "clip" / "frames"
    folder.mkdir(parents=True)
    for number, frame in enumerate(numbered_frames(6)):
        Image.fromarray(frame).save(folder / f"{number:05d}.jpg")
    (folder / "00005.jpg").write_bytes((folder / "00005.jpg").read_bytes()[:200])
    assert _segment(model, folder) == 0
    assert "5 of 6 frames decoded" in _error(capsys)[-1]
    assert _masks(tmp_path / "out" / "clip") == list(range(6))


def test_the_overlay_has_the_times_and_the_pixels_of_the_video(model, tmp_path):
    times = [0, 40, 80, 500, 510, 520, 2000, 2001]
    frames = numbered_frames(8)
    path = write_video(tmp_path / "uneven.mkv", frames, times=times, tick=MS, pixel_aspect=2)
    assert _segment(model, path) == 0
    pictures = list(open_frames(tmp_path / "out" / "uneven.mp4").pictures())
    assert [round(picture.time / MS) for picture in pictures] == times
    assert {picture.pixel_aspect for picture in pictures} == {2}
    with av.open(str(tmp_path / "out" / "uneven.mp4")) as container:
        assert round(container.duration / av.time_base, 2) == 2.04


def test_names_with_colons_are_names_for_reading_and_for_writing(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", numbered_frames(5)).rename("12:30.mp4")
    options = ["--short_edge=0", "--clip_length=4", "--overlap=1"]
    for output in ("2024-05-01T12:30", "file:out"):
        arguments = ["--checkpoint=model", "--input=12:30.mp4", f"--output={output}", *options]
        assert segment.main(arguments) == 0
        assert _masks(tmp_path / output / "12:30") == list(range(5))
        assert open_frames(tmp_path / output / "12:30.mp4").length == 5
