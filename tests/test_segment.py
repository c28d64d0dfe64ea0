import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image
from toy_predictor import Following

from vos3d_jax import cards, files, models, segment, storage
from vos3d_jax.errors import UserError
from vos3d_jax.inference import results
from vos3d_jax.inference.clipwise import ClipWise
from vos3d_jax.inference.registry import PREDICTORS
from vos3d_jax.media.encodings import read_mask
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.masks import PALETTE
from vos3d_jax.media.video_writer import VideoWriter
from vos3d_jax.models.description import remember


class _Brightness(nnx.Module):
    """Stands in for a network: foreground where red is bright."""

    system = "dcseg"


def _prepare(model, clip):
    return lambda clip: jnp.stack(
        [jnp.zeros(clip.shape[:4]), jnp.asarray(clip[..., 0], jnp.float32) - 127], -1
    )


def _load_model_and_card(folder, step=None):
    """The stand-in, in the folders that these tests name."""
    if not folder.endswith("model"):
        raise UserError(f"{folder} is missing: give a folder that holds a model")
    model, card = _Brightness(), {"system": "dcseg", "step": 300 if step is None else step, "config": "davis"}
    if folder.startswith("own"):
        remember(model, {"clip_length": 4, "overlap": 1}, "a test")
    if folder.startswith("small"):
        remember(model, {"short_edge": 0, "trained_edge": 32}, "a test")
    if folder.startswith("classifier"):
        model.system = "csn_classifier"
    if folder.startswith("demo"):
        card["trained"] = {"steps": 300, "data": ["moving_shapes"], "init_from": ""}
        remember(model, {}, "a test", cards.doubt(card))
    return model, card


@pytest.fixture
def _stand_in(monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("models"))
    for name in ("model", "own-model", "small-model", "classifier-model", "demo-model"):
        os.mkdir(name)
    monkeypatch.setattr(models, "prepare", _prepare)
    monkeypatch.setattr(storage, "load_model_and_card", _load_model_and_card)


def _square(length=11, height=48, width=64):
    frames = np.zeros((length, height, width, 3), np.uint8)
    for t in range(length):
        frames[t, 8:24, 2 * t : 2 * t + 16] = 255
    return frames


def _segment(folder, name, *options):
    out = str(folder / "out")
    return segment.main(["--checkpoint=model", f"--input={folder / name}", f"--output={out}", *options])


def _everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def video(tmp_path, _stand_in):
    np.save(tmp_path / "square.npy", _square())
    return tmp_path


def test_a_network_is_run_as_it_was_trained_unless_told_otherwise(video, monkeypatch):
    lengths = []

    def prepare(model, clip):
        lengths.append(clip.shape[1])
        return _prepare(model, clip)

    monkeypatch.setattr(models, "prepare", prepare)
    for options in (["--checkpoint=own-model"], ["--checkpoint=own-model", "--clip_length=5"], []):
        assert _segment(video, "square.npy", "--short_edge=0", "--overwrite", "--no-overlay", *options) == 0
    assert lengths == [4, 5, 8]


def test_a_network_that_gives_no_masks_is_refused_before_anything_is_made(video, capsys):
    assert _segment(video, "square.npy", "--checkpoint=classifier-model") == 2
    assert "a csn_classifier gives no masks: give a dcseg" in capsys.readouterr().err
    assert not (video / "out").exists()


def test_the_flags_of_settings_are_those_of_all_predictors_and_each_refuses_what_it_does_not_have(
    video, monkeypatch, capsys
):
    monkeypatch.setitem(PREDICTORS, "dcseg", Following)
    assert _segment(video, "square.npy", "--trust=0.5", "--no-overlay") == 0
    assert "no object was found" in capsys.readouterr().err  # as none was given
    assert json.loads((video / "out" / "square.json").read_text())["settings"]["trust"] == 0.5
    monkeypatch.setitem(PREDICTORS, "other", ClipWise)
    assert _segment(video, "square.npy", "--overlap=1") == 2
    assert "error: predictor.overlap is not a known key: known are trust\n" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        segment.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--trust SHARE what stays" in said and "--overlap N frames that clips share" in said


def test_the_step_that_is_asked_for_is_the_one_that_is_loaded(video, monkeypatch):
    asked = []

    def load(folder, step):
        asked.append(step)
        return _load_model_and_card(folder)

    monkeypatch.setattr(storage, "load_model_and_card", load)
    for step in ("best", "7"):
        assert _segment(video, "square.npy", "--short_edge=0", "--overwrite", f"--step={step}") == 0
    assert asked == ["best", 7]


def test_the_opening_lines_say_which_step_the_network_is_of(video, capsys):
    assert _segment(video, "square.npy", "--short_edge=0") == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "model: the dcseg of step 300"
    assert said[1].endswith("square.npy: 11 frames of 64x48")


def test_an_array_file_gives_masks_in_davis_layout_an_overlay_and_soft_maps(video, capsys):
    assert _segment(video, "square.npy", "--short_edge=0", "--soft") == 0
    out = video / "out"
    names = [f"{index:05d}.png" for index in range(11)]
    assert sorted(path.name for path in out.iterdir()) == ["soft", "square", "square.json", "square.mp4"]
    assert sorted(path.name for path in (out / "square").iterdir()) == names
    for index, name in enumerate(names):
        with Image.open(out / "square" / name) as image:
            assert image.mode == "P" and image.getpalette()[:12] == PALETTE[:4].ravel().tolist()
        np.testing.assert_array_equal(read_mask(out / "square" / name), _square()[index, :, :, 0] > 0)
        with Image.open(out / "soft" / "square" / name) as image:
            np.testing.assert_array_equal(np.array(image), (_square()[index, :, :, 0] > 0) * 65535)
    overlay = open_frames(out / "square.mp4")
    assert (overlay.length, overlay.size, overlay.rate) == (11, (48, 64), 24)
    said = capsys.readouterr()
    assert "11 frames in " in said.out and str(out / "square") in said.out
    assert "compiling for clips of 8 frames of 64x64" in said.err


@pytest.mark.parametrize("killed", [False, True])
def test_masks_that_are_all_empty_are_told(video, capsys, killed):
    np.save(video / "dark.npy", np.zeros((11, 48, 64, 3), np.uint8))
    for name, empty in (("square.npy", False), ("dark.npy", True)):
        if killed:
            with _killed_after(6):
                assert _segment(video, name, "--short_edge=0") == 130
        for _ in range(2):  # made, and shown again
            assert _segment(video, name, "--short_edge=0") == 0
            assert ("no object was found in any frame" in capsys.readouterr().err) == empty


def test_a_video_keeps_its_rate_and_a_folder_its_names(tmp_path, _stand_in):
    with VideoWriter(tmp_path / "clip.mp4", 10) as writer:
        for frame in _square():
            writer.write(frame)
    (tmp_path / "folder").mkdir()
    for index, frame in enumerate(_square()[:3]):
        Image.fromarray(frame).save(tmp_path / "folder" / f"frame{index + 7}.png")
    assert _segment(tmp_path, "clip.mp4", "--short_edge=96", "--dense", "--tail=paper") == 0
    assert _segment(tmp_path, "folder", "--no-overlay", "--clip_length=4", "--overlap=0") == 0
    out = tmp_path / "out"
    assert open_frames(out / "clip.mp4").rate == 10
    assert _everything_in(out)[:1] == ["clip"] and len(list((out / "clip").iterdir())) == 11
    assert _everything_in(out / "folder") == ["frame7.png", "frame8.png", "frame9.png"]
    assert not (out / "folder.mp4").exists()


def _state(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_what_is_finished_is_not_made_again_and_what_is_of_something_else_not_replaced(video, capsys):
    assert _segment(video, "square.npy", "--short_edge=0") == 0
    before = _state(video / "out")
    assert _segment(video, "square.npy", "--short_edge=0", "--no-overlay") == 0
    said = capsys.readouterr().out
    assert "segmented before, with these weights, settings and input; masks in" in said
    for options, words in (
        ([], r", with short_edge 0 (now 480)"),
        (["--short_edge=0", "--step=7"], ", with step 300 (now 7), other weights"),
        (["--short_edge=0", "--soft"], ", without soft maps"),
    ):
        assert _segment(video, "square.npy", *options) == 2
        said = capsys.readouterr().err
        assert f"out/square is there already{words}: give another --output, or add --overwrite" in said
    np.save(video / "square.npy", _square(3))
    assert _segment(video, "square.npy", "--short_edge=0") == 2
    assert "is there already, with other input: " in capsys.readouterr().err
    assert _state(video / "out") == before
    assert _segment(video, "square.npy", "--short_edge=0", "--overwrite") == 0
    assert len(list((video / "out" / "square").iterdir())) == 3


@pytest.mark.parametrize("place", ["pictures/out", "pictures"])
def test_results_inside_the_folder_of_frames_do_not_make_another_input_of_it(video, capsys, place):
    (video / "pictures").mkdir()
    for index, frame in enumerate(_square(3)):
        Image.fromarray(frame).save(video / "pictures" / f"{index}.png")
    for said in ("3 frames in", "segmented before"):
        assert _segment(video, "pictures", "--short_edge=0", f"--output={video / place}") == 0
        assert said in capsys.readouterr().out


def test_files_of_somebody_else_are_not_replaced(video, capsys):
    (video / "out").mkdir()
    (video / "out" / "square.mp4").write_bytes(b"mine")
    assert _segment(video, "square.npy", "--short_edge=0") == 2
    assert "out/square.mp4 is there already: give another --output" in capsys.readouterr().err
    assert _everything_in(video / "out") == ["square.mp4"]


@contextlib.contextmanager
def _killed_after(frames):
    """A run ends, with all that it has written, before it writes the mask of frame number `frames`."""
    write = results.VideoResults.write

    def killed(self, frame, picture):
        if frame.index == frames:
            raise KeyboardInterrupt
        write(self, frame, picture)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results.VideoResults, "write", killed)
        yield


@pytest.mark.parametrize("frames", [1, 5, 7, 10])
@pytest.mark.parametrize("soft", [True, False])
def test_a_run_that_was_killed_goes_on_and_ends_as_one_that_was_not(video, monkeypatch, capsys, frames, soft):
    clips = []

    def prepare(model, clip):
        run = _prepare(model, clip)

        def counted(clip):
            clips.extend(
                [1] * isinstance(clip, np.ndarray)
            )  # not where it is only traced, to estimate memory
            return run(clip)

        return counted

    options = ["--short_edge=0", *(["--soft"] if soft else [])]
    assert _segment(video, "square.npy", *options, f"--output={video / 'whole'}") == 0
    monkeypatch.setattr(models, "prepare", prepare)
    with _killed_after(frames):
        assert _segment(video, "square.npy", *options) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert [path.name for path in (video / "out").iterdir()] == [".square.partial"]
    clips.clear()
    capsys.readouterr()
    assert _segment(video, "square.npy", *options) == 0
    assert f"going on: the masks of {frames} frames are done" in capsys.readouterr().err
    assert len(clips) == {1: 3, 5: 3, 7: 3, 10: 2}[frames]  # of 3: those that vote for what is not done
    assert _everything_in(video / "out") == _everything_in(video / "whole")
    for path in (video / "whole").rglob("*.png"):
        again = video / "out" / path.relative_to(video / "whole")
        assert again.read_bytes() == path.read_bytes()
    one, other = (open_frames(video / folder / "square.mp4") for folder in ("out", "whole"))
    np.testing.assert_array_equal(list(one.read()), list(other.read()))


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda folder: np.save(folder / "square.npy", 255 - _square()), ["--short_edge=0"]),
        (lambda folder: None, ["--short_edge=0", "--overlap=1"]),
        (lambda folder: None, ["--short_edge=0", "--step=7"]),
        (lambda folder: None, ["--short_edge=0", "--soft"]),  # no soft maps of what is done
    ],
)
def test_what_was_begun_with_something_else_is_never_gone_on_with(video, capsys, change, options):
    with _killed_after(7):
        assert _segment(video, "square.npy", "--short_edge=0") == 130
    change(video)
    assert _segment(video, "square.npy", *options, "--overwrite") == 0
    assert "going on" not in capsys.readouterr().err
    assert _segment(video, "square.npy", *options, f"--output={video / 'new'}") == 0
    for path in (video / "new").rglob("*.png"):
        assert (video / "out" / path.relative_to(video / "new")).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("finished", [False, True])
def test_masks_of_an_unfinished_run_of_something_else_are_kept_until_one_says_to_replace_them(
    video, capsys, finished
):
    # Trap: a second command with another setting took hours of work away without a word.
    if finished:  # beside older results, which the unfinished run was to replace
        assert _segment(video, "square.npy", "--short_edge=96") == 0
    with _killed_after(7):
        assert _segment(video, "square.npy", "--short_edge=0", "--overwrite") == 130
    before = _state(video / "out")
    assert _segment(video, "square.npy", "--short_edge=96") == (0 if finished else 2)
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
    assert _segment(video, "square.npy", "--short_edge=0", "--overwrite") == 0
    assert "going on: the masks of 7 frames are done" in capsys.readouterr().err


def test_what_differs_is_told_in_the_words_of_settings_that_people_give(video, capsys):
    assert _segment(video, "square.npy", "--checkpoint=small-model") == 0
    assert _segment(video, "square.npy", "--checkpoint=small-model", "--short_edge=0") == 2
    assert ", with short_edge that of the frames, at most 32 (now 0): " in capsys.readouterr().err


def test_the_layout_of_a_training_gives_each_video_results_of_its_name(video, capsys):
    for name in ("bear", "camel"):
        (video / name / "frames").mkdir(parents=True)
        (video / name / "masks").mkdir()
        for index, frame in enumerate(_square(3)):
            Image.fromarray(frame).save(video / name / "frames" / f"{index}.png")
            Image.fromarray(frame).save(video / name / "masks" / f"{index}.png")
    assert _segment(video, "bear", f"--input={video / 'camel' / 'frames'}", "--no-overlay") == 0
    assert _everything_in(video / "out" / "camel") == ["0.png", "1.png", "2.png"]
    capsys.readouterr()
    assert _segment(video, "bear/frames", "--no-overlay") == 0
    assert "segmented before" in capsys.readouterr().out


@pytest.mark.parametrize("rule", ["repeat", "skip"])
def test_it_goes_on_at_the_right_frame_where_some_could_not_be_decoded(video, capsys, rule):
    # Trap: a frame that is skipped has a number and no mask, so that masks are fewer than frames.
    (video / "pictures").mkdir()
    for index, frame in enumerate(_square()):
        Image.fromarray(frame).save(video / "pictures" / f"{index:02d}.png")
    (video / "pictures" / "03.png").write_bytes(b"no picture")
    options = ["--short_edge=0", f"--bad_frames={rule}", "--clip_length=4", "--overlap=1"]
    assert _segment(video, "pictures", *options, f"--output={video / 'whole'}") == 0
    with _killed_after(8):
        assert _segment(video, "pictures", *options) == 130
    assert _segment(video, "pictures", *options) == 0
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
        assert _segment(video, "square.npy") == 2
        assert "another command is writing to" in capsys.readouterr().err
        assert _segment(video, "square.npy", f"--output={video / 'other'}") == 0


@pytest.mark.parametrize("together", [True, False])
def test_of_several_inputs_one_that_fails_does_not_stop_the_others(video, capsys, together):
    def run(*names):
        paths = [str(video / name) for name in names]
        inputs = ["--input", *paths] if together else [f"--input={path}" for path in paths]
        output = ["--checkpoint=model", f"--output={video / 'out'}"]
        return segment.main([*output, "--short_edge=0", "--no-overlay", *inputs])

    (video / "sizes").mkdir()
    for index, height in enumerate((48, 48, 40)):
        Image.fromarray(_square(height=height)[0]).save(video / "sizes" / f"{index}.png")
    np.save(video / "third.npy", _square(3))
    assert run("nothing.mp4", "sizes", "third.npy") == 2
    said = capsys.readouterr().err
    assert "failed: " in said and "nothing.mp4 does not exist" in said and "frame 2 is 64x40" in said
    assert said.splitlines()[-1].startswith("vos3d segment: error: 2 of 3 inputs failed, as said above: ")
    assert sorted(path.name for path in (video / "out").iterdir()) == ["third", "third.json"]
    (video / "sizes" / "2.png").unlink()
    assert run("sizes", "third.npy") == 0
    assert "segmented before" in capsys.readouterr().out
    assert run("nothing.mp4", "none.mp4") == 2


def test_inputs_whose_results_would_have_one_name_are_refused_before_anything_is_made(video, capsys):
    (video / "other").mkdir()
    np.save(video / "other" / "Square.npy", _square(3))
    assert _segment(video, "square.npy", f"--input={video / 'other' / 'Square.npy'}") == 2
    assert "would both have results called Square: rename one" in capsys.readouterr().err
    assert not (video / "out").exists()


def test_a_network_whose_masks_cannot_be_good_is_named_and_the_next_step_too(video, capsys):
    assert _segment(video, "square.npy", "--short_edge=0", "--checkpoint=demo-model") == 0
    said = capsys.readouterr()
    assert "warning: its masks cannot be good: it was trained on generated videos alone" in said.err
    assert f"score --benchmark=folder --results={video / 'out'} --data_dir=DIR" in said.out.splitlines()[-1]


def test_probabilities_that_are_not_finite_stop_it_and_nothing_is_left(video, monkeypatch, capsys):
    # Trap: the argmax of NaN is 0, and masks of background alone look as if nothing was found.
    monkeypatch.setattr(
        models, "prepare", lambda model, clip: lambda clip: jnp.full((*clip.shape[:4], 2), jnp.nan)
    )
    assert _segment(video, "square.npy", "--short_edge=0", "--soft") == 2
    assert "error: frame 0: the network's probabilities are not finite" in capsys.readouterr().err
    assert not (video / "out").exists()


def test_the_input_is_never_overwritten(tmp_path, _stand_in, capsys):
    (tmp_path / "out").mkdir()
    with VideoWriter(tmp_path / "out" / "clip.mp4") as writer:
        writer.write(_square()[0])
    assert _segment(tmp_path / "out" / "..", "out/clip.mp4", "--overwrite") == 2
    assert "is the input itself" in capsys.readouterr().err
    assert _everything_in(tmp_path) == ["out", "out/clip.mp4"]


def test_what_a_killed_run_left_is_cleared(video, capsys):
    partial = video / "out" / ".square.partial" / "masks"
    partial.mkdir(parents=True)
    (partial / "99999.png").write_bytes(b"half")
    assert _segment(video, "square.npy", "--short_edge=0", "--no-overlay") == 2  # whose it is nobody knows
    assert ".square.partial holds 1 mask of an unfinished run: give the command" in capsys.readouterr().err
    (partial / "99999.png").rename(partial / ".99999.png")  # killed while the first mask was being written
    assert _segment(video, "square.npy", "--short_edge=0", "--no-overlay") == 0
    assert sorted(path.name for path in (video / "out").iterdir()) == ["square", "square.json"]
    assert not (video / "out" / "square" / "99999.png").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--checkpoint=nothing"], "nothing does not exist"),
        (["--overlap=8"], "overlap is 8"),
        (["--short_edge=-1"], "short_edge is -1: give a number of pixels, or 0 to keep the frames' size"),
        (["--output={folder}/square.npy"], "a file stands where a folder is needed"),
        (["--output={folder}/square.npy/deeper"], "a file stands where a folder is needed"),
    ],
)
def test_a_mistake_gives_one_line_and_leaves_nothing(video, capsys, options, words):
    before = _everything_in(video)
    assert _segment(video, "square.npy", *[option.format(folder=video) for option in options]) == 2
    errors = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("vos3d segment: error:")
    ]
    assert len(errors) == 1 and words in errors[0]
    assert _everything_in(video) == before


def test_an_input_that_is_not_there_is_one_line_too(video, capsys):
    assert _segment(video, "nothing.mp4") == 2
    assert capsys.readouterr().err.startswith("vos3d segment: error: ")
    assert _everything_in(video) == ["square.npy"]


@pytest.mark.parametrize(("rule", "status"), [("repeat", 0), ("skip", 0), ("stop", 2)])
def test_what_was_done_before_a_video_ends_too_early_is_kept_and_the_end_is_told(video, capsys, rule, status):
    data = (video / "square.npy").read_bytes()
    (video / "square.npy").write_bytes(data[:-100])
    for _ in range(2):  # also by a command that finds it finished
        assert _segment(video, "square.npy", "--short_edge=0", f"--bad_frames={rule}") == status
        said = capsys.readouterr().err
        assert ("10 of 11 frames decoded" in said) == (
            rule != "stop"
        ) and "ends within frame 10 of 11" in said
        assert len(list((video / "out" / "square").iterdir())) == 10


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_a_long_video_needs_no_more_memory_than_a_short_one(tmp_path):
    model = models.build_model("dcseg", depth=14, width=8, decoder_width=16, seed=0)
    storage.save_model(model, tmp_path / "model")
    np.save(tmp_path / "long.npy", np.random.default_rng(0).integers(0, 256, (2000, 64, 96, 3), np.uint8))
    paths = [f"--checkpoint={tmp_path / 'model'}", f"--input={tmp_path / 'long.npy'}", f"--output={tmp_path}"]
    command = [sys.executable, "-m", "vos3d_jax.segment", *paths, "--short_edge=0"]
    end_of_first_clip = tmp_path / ".long.partial" / "masks" / "00004.png"
    resident = []
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if end_of_first_clip.exists():
                resident.append(_resident_megabytes(process.pid))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
    assert process.returncode == 0 and len(list((tmp_path / "long").iterdir())) == 2000
    resident = [value for value in resident if value]  # 0 while the process ends
    print(f"resident MB after the first clip {resident[0]:.0f}, most {max(resident):.0f}")
    assert len(resident) > 20 and max(resident) - resident[0] <= 20


def _resident_megabytes(pid):
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0
