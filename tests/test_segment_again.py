"""`segment` where results are there already: it goes on, shows them, or refuses, and never loses any."""

import numpy as np
import pytest
import segment_runs
from PIL import Image
from segment_runs import everything_in, killed_after, prepare_brightness, run, square

from vos3d_jax import files, models
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.video_writer import VideoWriter

stand_in, video = segment_runs.stand_in, segment_runs.video


def _state(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_what_is_finished_is_not_made_again_and_what_is_of_something_else_not_replaced(video, capsys):
    assert run(video, "square.npy", "--short_edge=0") == 0
    before = _state(video / "out")
    assert run(video, "square.npy", "--short_edge=0", "--no-overlay") == 0
    said = capsys.readouterr().out
    assert "segmented before, with these weights, settings and input; masks in" in said
    for options, words in (
        ([], r", with short_edge 0 (now 480)"),
        (["--short_edge=0", "--step=7"], ", with step 300 (now 7), other weights"),
        (["--short_edge=0", "--soft"], ", without soft maps"),
    ):
        assert run(video, "square.npy", *options) == 2
        said = capsys.readouterr().err
        assert f"out/square is there already{words}: give another --output, or add --overwrite" in said
    np.save(video / "square.npy", square(3))
    assert run(video, "square.npy", "--short_edge=0") == 2
    assert "is there already, with other input: " in capsys.readouterr().err
    assert _state(video / "out") == before
    assert run(video, "square.npy", "--short_edge=0", "--overwrite") == 0
    assert len(list((video / "out" / "square").iterdir())) == 3


@pytest.mark.parametrize("place", ["pictures/out", "pictures"])
def test_results_inside_the_folder_of_frames_do_not_make_another_input_of_it(video, capsys, place):
    (video / "pictures").mkdir()
    for index, frame in enumerate(square(3)):
        Image.fromarray(frame).save(video / "pictures" / f"{index}.png")
    for said in ("3 frames in", "segmented before"):
        assert run(video, "pictures", "--short_edge=0", f"--output={video / place}") == 0
        assert said in capsys.readouterr().out


def test_files_of_somebody_else_are_not_replaced(video, capsys):
    (video / "out").mkdir()
    (video / "out" / "square.mp4").write_bytes(b"mine")
    assert run(video, "square.npy", "--short_edge=0") == 2
    assert "out/square.mp4 is there already: give another --output" in capsys.readouterr().err
    assert everything_in(video / "out") == ["square.mp4"]


@pytest.mark.parametrize("frames", [1, 5, 7, 10])
@pytest.mark.parametrize("soft", [True, False])
def test_a_run_that_was_killed_goes_on_and_ends_as_one_that_was_not(video, monkeypatch, capsys, frames, soft):
    clips = []

    def prepare(model, clip):
        run = prepare_brightness(model, clip)

        def counted(clip):
            clips.extend(
                [1] * isinstance(clip, np.ndarray)
            )  # not where it is only traced, to estimate memory
            return run(clip)

        return counted

    options = ["--short_edge=0", *(["--soft"] if soft else [])]
    assert run(video, "square.npy", *options, f"--output={video / 'whole'}") == 0
    monkeypatch.setattr(models, "prepare", prepare)
    with killed_after(frames):
        assert run(video, "square.npy", *options) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert [path.name for path in (video / "out").iterdir()] == [".square.partial"]
    clips.clear()
    capsys.readouterr()
    assert run(video, "square.npy", *options) == 0
    assert f"going on: the masks of {frames} frames are done" in capsys.readouterr().err
    assert len(clips) == {1: 3, 5: 3, 7: 3, 10: 2}[frames]  # of 3: those that vote for what is not done
    assert everything_in(video / "out") == everything_in(video / "whole")
    for path in (video / "whole").rglob("*.png"):
        again = video / "out" / path.relative_to(video / "whole")
        assert again.read_bytes() == path.read_bytes()
    one, other = (open_frames(video / folder / "square.mp4") for folder in ("out", "whole"))
    np.testing.assert_array_equal(list(one.read()), list(other.read()))


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda folder: np.save(folder / "square.npy", 255 - square()), ["--short_edge=0"]),
        (lambda folder: None, ["--short_edge=0", "--overlap=1"]),
        (lambda folder: None, ["--short_edge=0", "--step=7"]),
        (lambda folder: None, ["--short_edge=0", "--soft"]),  # no soft maps of what is done
    ],
)
def test_what_was_begun_with_something_else_is_never_gone_on_with(video, capsys, change, options):
    with killed_after(7):
        assert run(video, "square.npy", "--short_edge=0") == 130
    change(video)
    assert run(video, "square.npy", *options, "--overwrite") == 0
    assert "going on" not in capsys.readouterr().err
    assert run(video, "square.npy", *options, f"--output={video / 'new'}") == 0
    for path in (video / "new").rglob("*.png"):
        assert (video / "out" / path.relative_to(video / "new")).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("finished", [False, True])
def test_masks_of_an_unfinished_run_of_something_else_are_kept_until_one_says_to_replace_them(
    video, capsys, finished
):
    # Trap: a second command with another setting took hours of work away without a word.
    if finished:  # beside older results, which the unfinished run was to replace
        assert run(video, "square.npy", "--short_edge=96") == 0
    with killed_after(7):
        assert run(video, "square.npy", "--short_edge=0", "--overwrite") == 130
    before = _state(video / "out")
    assert run(video, "square.npy", "--short_edge=96") == (0 if finished else 2)
    said = capsys.readouterr()
    if finished:
        assert "segmented before" in said.out
    else:
        assert (
            "out/.square.partial holds 7 masks of an unfinished run, with short_edge 0 (now 96): give the "
            "command of that run again, which goes on, or another --output, or add --overwrite"
        ) in said.err
    assert {path: time for path, time in _state(video / "out").items() if path.is_file()} == {
        path: time for path, time in before.items() if path.is_file()
    }
    assert run(video, "square.npy", "--short_edge=0", "--overwrite") == 0
    assert "going on: the masks of 7 frames are done" in capsys.readouterr().err


def test_what_differs_is_told_in_the_words_of_settings_that_people_give(video, capsys):
    assert run(video, "square.npy", "--checkpoint=small-model") == 0
    assert run(video, "square.npy", "--checkpoint=small-model", "--short_edge=0") == 2
    assert ", with short_edge that of the frames, at most 32 (now 0): " in capsys.readouterr().err


@pytest.mark.parametrize("rule", ["repeat", "skip"])
def test_it_goes_on_at_the_right_frame_where_some_could_not_be_decoded(video, capsys, rule):
    # Trap: a frame that is skipped has a number and no mask, so that masks are fewer than frames.
    (video / "pictures").mkdir()
    for index, frame in enumerate(square()):
        Image.fromarray(frame).save(video / "pictures" / f"{index:02d}.png")
    (video / "pictures" / "03.png").write_bytes(b"no picture")
    options = ["--short_edge=0", f"--bad_frames={rule}", "--clip_length=4", "--overlap=1"]
    assert run(video, "pictures", *options, f"--output={video / 'whole'}") == 0
    with killed_after(8):
        assert run(video, "pictures", *options) == 130
    assert run(video, "pictures", *options) == 0
    said = capsys.readouterr().err
    assert f"going on: the masks of {8 if rule == 'repeat' else 7} frames are done" in said
    assert said.splitlines()[-1].startswith(f"{video / 'pictures'}: 10 of 11 frames decoded")
    whole = sorted((video / "whole" / "pictures").iterdir())
    assert [path.name for path in whole] == [
        path.name for path in sorted((video / "out" / "pictures").iterdir())
    ]
    for path in whole:
        assert (video / "out" / "pictures" / path.name).read_bytes() == path.read_bytes()
    assert (video / "out" / "pictures.mp4").read_bytes() == (video / "whole" / "pictures.mp4").read_bytes()


def test_two_commands_never_write_the_same_results_at_once(video, capsys):
    with files.exclusive(video / "out" / ".square.partial"):
        assert run(video, "square.npy") == 2
        assert "another command is writing to" in capsys.readouterr().err
        assert run(video, "square.npy", f"--output={video / 'other'}") == 0


def test_the_input_is_never_overwritten(tmp_path, stand_in, capsys):
    (tmp_path / "out").mkdir()
    with VideoWriter(tmp_path / "out" / "clip.mp4") as writer:
        writer.write(square()[0])
    assert run(tmp_path / "out" / "..", "out/clip.mp4", "--overwrite") == 2
    assert "is the input itself" in capsys.readouterr().err
    assert everything_in(tmp_path) == ["out", "out/clip.mp4"]


def test_what_a_killed_run_left_is_cleared(video, capsys):
    partial = video / "out" / ".square.partial" / "masks"
    partial.mkdir(parents=True)
    (partial / "99999.png").write_bytes(b"half")
    assert run(video, "square.npy", "--short_edge=0", "--no-overlay") == 2  # whose it is nobody knows
    assert ".square.partial holds 1 mask of an unfinished run: give the command" in capsys.readouterr().err
    (partial / "99999.png").rename(partial / ".99999.png")  # killed while the first mask was being written
    assert run(video, "square.npy", "--short_edge=0", "--no-overlay") == 0
    assert sorted(path.name for path in (video / "out").iterdir()) == ["square", "square.json"]
    assert not (video / "out" / "square" / "99999.png").exists()
