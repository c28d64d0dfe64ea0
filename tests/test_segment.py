import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import segment_runs
from PIL import Image
from segment_runs import everything_in, killed_after, load_brightness, prepare_brightness, run, square
from toy_predictor import Following

from vos3d_jax import models, segment, storage
from vos3d_jax.inference.clipwise import ClipWise
from vos3d_jax.inference.registry import PREDICTORS
from vos3d_jax.media.encodings import read_mask
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.masks import PALETTE
from vos3d_jax.media.video_writer import VideoWriter

stand_in, video = segment_runs.stand_in, segment_runs.video


def test_a_network_is_run_as_it_was_trained_unless_told_otherwise(video, monkeypatch):
    lengths = []

    def prepare(model, clip):
        lengths.append(clip.shape[1])
        return prepare_brightness(model, clip)

    monkeypatch.setattr(models, "prepare", prepare)
    for options in (["--checkpoint=own-model"], ["--checkpoint=own-model", "--clip_length=5"], []):
        assert run(video, "square.npy", "--short_edge=0", "--overwrite", "--no-overlay", *options) == 0
    assert lengths == [4, 5, 8]


def test_a_network_that_gives_no_masks_is_refused_before_anything_is_made(video, capsys):
    assert run(video, "square.npy", "--checkpoint=classifier-model") == 2
    assert "a csn_classifier gives no masks: give a dcseg" in capsys.readouterr().err
    assert not (video / "out").exists()


def test_the_flags_of_settings_are_those_of_all_predictors_and_each_refuses_what_it_does_not_have(
    video, monkeypatch, capsys
):
    monkeypatch.setitem(PREDICTORS, "dcseg", Following)
    assert run(video, "square.npy", "--trust=0.5", "--no-overlay") == 0
    assert "no object was found" in capsys.readouterr().err  # as none was given
    assert json.loads((video / "out" / "square.json").read_text())["settings"]["trust"] == 0.5
    monkeypatch.setitem(PREDICTORS, "other", ClipWise)
    assert run(video, "square.npy", "--overlap=1") == 2
    assert "error: predictor.overlap is not a known key: known are trust\n" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        segment.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--trust SHARE what stays" in said and "--overlap N frames that clips share" in said


def test_the_step_that_is_asked_for_is_the_one_that_is_loaded(video, monkeypatch):
    asked = []

    def load(folder, step):
        asked.append(step)
        return load_brightness(folder)

    monkeypatch.setattr(storage, "load_model_and_card", load)
    for step in ("best", "7"):
        assert run(video, "square.npy", "--short_edge=0", "--overwrite", f"--step={step}") == 0
    assert asked == ["best", 7]


def test_the_opening_lines_say_which_step_the_network_is_of(video, capsys):
    assert run(video, "square.npy", "--short_edge=0") == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "model: the dcseg of step 300"
    assert said[1].endswith("square.npy: 11 frames of 64x48")


def test_an_array_file_gives_masks_in_davis_layout_an_overlay_and_soft_maps(video, capsys):
    assert run(video, "square.npy", "--short_edge=0", "--soft") == 0
    out = video / "out"
    names = [f"{index:05d}.png" for index in range(11)]
    assert sorted(path.name for path in out.iterdir()) == ["soft", "square", "square.json", "square.mp4"]
    assert sorted(path.name for path in (out / "square").iterdir()) == names
    for index, name in enumerate(names):
        with Image.open(out / "square" / name) as image:
            assert image.mode == "P" and image.getpalette()[:12] == PALETTE[:4].ravel().tolist()
        np.testing.assert_array_equal(read_mask(out / "square" / name), square()[index, :, :, 0] > 0)
        with Image.open(out / "soft" / "square" / name) as image:
            np.testing.assert_array_equal(np.array(image), (square()[index, :, :, 0] > 0) * 65535)
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
            with killed_after(6):
                assert run(video, name, "--short_edge=0") == 130
        for _ in range(2):  # made, and shown again
            assert run(video, name, "--short_edge=0") == 0
            assert ("no object was found in any frame" in capsys.readouterr().err) == empty


def test_a_video_keeps_its_rate_and_a_folder_its_names(tmp_path, stand_in):
    with VideoWriter(tmp_path / "clip.mp4", 10) as writer:
        for frame in square():
            writer.write(frame)
    (tmp_path / "folder").mkdir()
    for index, frame in enumerate(square()[:3]):
        Image.fromarray(frame).save(tmp_path / "folder" / f"frame{index + 7}.png")
    assert run(tmp_path, "clip.mp4", "--short_edge=96", "--dense", "--tail=paper") == 0
    assert run(tmp_path, "folder", "--no-overlay", "--clip_length=4", "--overlap=0") == 0
    out = tmp_path / "out"
    assert open_frames(out / "clip.mp4").rate == 10
    assert everything_in(out)[:1] == ["clip"] and len(list((out / "clip").iterdir())) == 11
    assert everything_in(out / "folder") == ["frame7.png", "frame8.png", "frame9.png"]
    assert not (out / "folder.mp4").exists()


def test_the_layout_of_a_training_gives_each_video_results_of_its_name(video, capsys):
    for name in ("bear", "camel"):
        (video / name / "frames").mkdir(parents=True)
        (video / name / "masks").mkdir()
        for index, frame in enumerate(square(3)):
            Image.fromarray(frame).save(video / name / "frames" / f"{index}.png")
            Image.fromarray(frame).save(video / name / "masks" / f"{index}.png")
    assert run(video, "bear", f"--input={video / 'camel' / 'frames'}", "--no-overlay") == 0
    assert everything_in(video / "out" / "camel") == ["0.png", "1.png", "2.png"]
    capsys.readouterr()
    assert run(video, "bear/frames", "--no-overlay") == 0
    assert "segmented before" in capsys.readouterr().out


@pytest.mark.parametrize("together", [True, False])
def test_of_several_inputs_one_that_fails_does_not_stop_the_others(video, capsys, together):
    def run(*names):
        paths = [str(video / name) for name in names]
        inputs = ["--input", *paths] if together else [f"--input={path}" for path in paths]
        output = ["--checkpoint=model", f"--output={video / 'out'}"]
        return segment.main([*output, "--short_edge=0", "--no-overlay", *inputs])

    (video / "sizes").mkdir()
    for index, height in enumerate((48, 48, 40)):
        Image.fromarray(square(height=height)[0]).save(video / "sizes" / f"{index}.png")
    np.save(video / "third.npy", square(3))
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
    np.save(video / "other" / "Square.npy", square(3))
    assert run(video, "square.npy", f"--input={video / 'other' / 'Square.npy'}") == 2
    assert "would both have results called Square: rename one" in capsys.readouterr().err
    assert not (video / "out").exists()


def test_a_network_whose_masks_cannot_be_good_is_named_and_the_next_step_too(video, capsys):
    assert run(video, "square.npy", "--short_edge=0", "--checkpoint=demo-model") == 0
    said = capsys.readouterr()
    assert "warning: its masks cannot be good: it was trained on generated videos alone" in said.err
    assert f"score --benchmark=folder --results={video / 'out'} --data_dir=DIR" in said.out.splitlines()[-1]


def test_probabilities_that_are_not_finite_stop_it_and_nothing_is_left(video, monkeypatch, capsys):
    # Trap: the argmax of NaN is 0, and masks of background alone look as if nothing was found.
    monkeypatch.setattr(
        models, "prepare", lambda model, clip: lambda clip: jnp.full((*clip.shape[:4], 2), jnp.nan)
    )
    assert run(video, "square.npy", "--short_edge=0", "--soft") == 2
    assert "error: frame 0: the network's probabilities are not finite" in capsys.readouterr().err
    assert not (video / "out").exists()


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
    before = everything_in(video)
    assert run(video, "square.npy", *[option.format(folder=video) for option in options]) == 2
    errors = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("vos3d segment: error:")
    ]
    assert len(errors) == 1 and words in errors[0]
    assert everything_in(video) == before


def test_an_input_that_is_not_there_is_one_line_too(video, capsys):
    assert run(video, "nothing.mp4") == 2
    assert capsys.readouterr().err.startswith("vos3d segment: error: ")
    assert everything_in(video) == ["square.npy"]


@pytest.mark.parametrize(("rule", "status"), [("repeat", 0), ("skip", 0), ("stop", 2)])
def test_what_was_done_before_a_video_ends_too_early_is_kept_and_the_end_is_told(video, capsys, rule, status):
    data = (video / "square.npy").read_bytes()
    (video / "square.npy").write_bytes(data[:-100])
    for _ in range(2):  # also by a command that finds it finished
        assert run(video, "square.npy", "--short_edge=0", f"--bad_frames={rule}") == status
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
