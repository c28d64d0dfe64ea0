import contextlib
import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from vos3d_jax import models, segment, storage
from vos3d_jax.errors import UserError
from vos3d_jax.media.encodings import read_mask
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.masks import PALETTE
from vos3d_jax.media.video_writer import VideoWriter


class _Brightness(nnx.Module):
    """Stands in for a network: foreground where red is bright."""


def _prepare(model, shape):
    return lambda clip: jnp.stack(
        [jnp.zeros(clip.shape[:4]), jnp.asarray(clip[..., 0], jnp.float32) - 127], -1
    )


def _load_model_and_card(folder, step=None):
    return _Brightness(), {"system": "dcseg", "step": 300}


@pytest.fixture
def _stand_in(monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("models"))
    for name in ("model", "own-model", "classifier-model"):
        os.mkdir(name)

    def load_card(folder, step=None):
        if not folder.endswith("model"):
            raise UserError(f"{folder} is missing: give a folder that holds a model")
        card = {"system": "csn_classifier" if folder.startswith("classifier") else "dcseg", "arguments": {}}
        own = {"inference": {"clip_length": 4, "overlap": 1}} if folder.startswith("own") else {}
        return {**card, **own}

    monkeypatch.setattr(models, "prepare", _prepare)
    monkeypatch.setattr(storage, "load_card", load_card)
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

    def prepare(model, shape):
        lengths.append(shape[1])
        return _prepare(model, shape)

    monkeypatch.setattr(models, "prepare", prepare)
    for options in (["--checkpoint=own-model"], ["--checkpoint=own-model", "--clip_length=5"], []):
        assert _segment(video, "square.npy", "--short_edge=0", "--overwrite", "--no-overlay", *options) == 0
    assert lengths == [4, 5, 8]


def test_a_network_that_gives_no_masks_is_refused_before_anything_is_made(video, capsys):
    assert _segment(video, "square.npy", "--checkpoint=classifier-model") == 2
    assert "holds a csn_classifier, which gives no masks" in capsys.readouterr().err
    assert not (video / "out").exists()


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
    assert said[0].endswith("square.npy: 11 frames of 64x48")
    assert said[1] == "model: the dcseg of step 300"


def test_an_array_file_gives_masks_in_davis_layout_an_overlay_and_soft_maps(video, capsys):
    assert _segment(video, "square.npy", "--short_edge=0", "--soft") == 0
    out = video / "out"
    names = [f"{index:05d}.png" for index in range(11)]
    assert sorted(path.name for path in out.iterdir()) == ["soft", "square", "square.mp4"]
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


def test_results_that_are_there_are_refused_unless_told_otherwise(video, capsys):
    assert _segment(video, "square.npy", "--short_edge=0") == 0
    before = {path: path.stat().st_mtime_ns for path in (video / "out").rglob("*")}
    assert _segment(video, "square.npy") == 2
    assert "out/square is there already: give another --output, or add --overwrite" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in (video / "out").rglob("*")} == before
    np.save(video / "square.npy", _square(3))
    assert _segment(video, "square.npy", "--short_edge=0", "--overwrite") == 0
    assert len(list((video / "out" / "square").iterdir())) == 3


def test_the_input_is_never_overwritten(tmp_path, _stand_in, capsys):
    (tmp_path / "out").mkdir()
    with VideoWriter(tmp_path / "out" / "clip.mp4") as writer:
        writer.write(_square()[0])
    assert _segment(tmp_path / "out" / "..", "out/clip.mp4", "--overwrite") == 2
    assert "is the input itself" in capsys.readouterr().err
    assert _everything_in(tmp_path) == ["out", "out/clip.mp4"]


def test_what_a_killed_run_left_is_cleared(video):
    partial = video / "out" / ".square.partial" / "masks"
    partial.mkdir(parents=True)
    (partial / "99999.png").write_bytes(b"half")
    assert _segment(video, "square.npy", "--short_edge=0", "--no-overlay") == 0
    assert sorted(path.name for path in (video / "out").iterdir()) == ["square"]
    assert not (video / "out" / "square" / "99999.png").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--checkpoint=nothing"], "nothing does not exist"),
        (["--input=nothing.mp4"], "nothing.mp4 does not exist"),
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


@pytest.mark.parametrize(("rule", "status"), [("repeat", 0), ("skip", 0), ("stop", 2)])
def test_what_was_done_before_a_video_ends_too_early_is_kept_and_the_end_is_told(video, capsys, rule, status):
    data = (video / "square.npy").read_bytes()
    (video / "square.npy").write_bytes(data[:-100])
    assert _segment(video, "square.npy", "--short_edge=0", f"--bad_frames={rule}") == status
    said = capsys.readouterr().err
    assert ("10 of 11 frames decoded" in said) == (rule != "stop") and "ends within frame 10 of 11" in said
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
