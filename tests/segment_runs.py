"""Runs of the command `segment` with a network that finds what is bright."""

import contextlib
import os

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vos3d_jax import cards, models, segment, storage
from vos3d_jax.errors import UserError
from vos3d_jax.inference import results
from vos3d_jax.models.description import remember


class Brightness(nnx.Module):
    """Stands in for a network: foreground where red is bright."""

    system = "dcseg"


def prepare_brightness(model, clip):
    return lambda clip: jnp.stack(
        [jnp.zeros(clip.shape[:4]), jnp.asarray(clip[..., 0], jnp.float32) - 127], -1
    )


def load_brightness(folder, step=None):
    """The stand-in, in the folders that these tests name."""
    if not folder.endswith("model"):
        raise UserError(f"{folder} is missing: give a folder that holds a model")
    model, card = Brightness(), {"system": "dcseg", "step": 300 if step is None else step, "config": "davis"}
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
def stand_in(monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("models"))
    for name in ("model", "own-model", "small-model", "classifier-model", "demo-model"):
        os.mkdir(name)
    monkeypatch.setattr(models, "prepare", prepare_brightness)
    monkeypatch.setattr(storage, "load_model_and_card", load_brightness)


def square(length=11, height=48, width=64):
    frames = np.zeros((length, height, width, 3), np.uint8)
    for t in range(length):
        frames[t, 8:24, 2 * t : 2 * t + 16] = 255
    return frames


def run(folder, name, *options):
    out = str(folder / "out")
    return segment.main(["--checkpoint=model", f"--input={folder / name}", f"--output={out}", *options])


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def video(tmp_path, stand_in):
    np.save(tmp_path / "square.npy", square())
    return tmp_path


@contextlib.contextmanager
def killed_after(frames):
    """A run ends, with all that it has written, before it writes the mask of frame number `frames`."""
    write = results.VideoResults.write

    def killed(self, frame, picture):
        if frame.index == frames:
            raise KeyboardInterrupt
        write(self, frame, picture)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results.VideoResults, "write", killed)
        yield
