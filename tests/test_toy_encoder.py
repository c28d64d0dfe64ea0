"""A new encoder is a row of BACKBONES: this one, in 2D, is trained and scored by the command as it is."""

import json
from functools import partial

import jax
import pytest
from flax import nnx

from vos3d_jax import main, models
from vos3d_jax.errors import UserError
from vos3d_jax.models.backbones import BACKBONES, Backbone
from vos3d_jax.models.encoder import Encoder, Plan, Stem
from vos3d_jax.models.layers import Conv

_FILE = """
from ml_collections import ConfigDict
import toy_network

def get_config():
    values = dict(seed=0, data_dir="", log_steps=1)
    values["model"] = dict(backbone="frames", depth=6, width=2, decoder_width=2)
    values["model"] |= dict(bridge="c3d", refinement="upsampling", implementation="lax")
    values["stages"] = (ConfigDict(toy_network.stage("pretrain", steps=1)),)
    values["evaluation"] = dict(
        benchmark="moving_shapes", data=toy_network.VAL, baselines=False,
        predictor=dict(clip_length=2, overlap=1, short_edge=0))
    return ConfigDict(values)
"""


class Block(nnx.Module):
    """ReLU(batch norm(3x3)) of each frame."""

    def __init__(self, inputs, outputs, *, stride=(1, 1, 1), settings):
        self.conv = Conv(inputs, outputs, (1, 3, 3), stride=stride, ending="norm", settings=settings)

    def __call__(self, x):
        return jax.nn.relu(self.conv(x))


def encoder(depth, *, width, remat, **make):
    stem = Stem(width, kernel_size=(1, 7, 7), **make)
    plans = (Plan(), *3 * (Plan(first={"stride": (1, 2, 2)}),))
    return Encoder(stem, partial(Block, **make), (1, 1, 1, 2), width=width, plans=plans, remat=remat)


@pytest.fixture
def row(monkeypatch):
    monkeypatch.setitem(BACKBONES, "frames", Backbone(encoder, {"depth": (6,)}))


def test_a_2d_encoder_is_trained_and_scored_by_the_command(tmp_path, row):
    path, run, again = tmp_path / "frames.py", tmp_path / "run", tmp_path / "again"
    path.write_text(_FILE)
    assert main.main([f"--config={path}", f"--workdir={run}"]) == 0
    scores = json.loads((run / "evaluation" / "scores.json").read_text())
    arguments = [f"--config={path}", "--mode=evaluate", f"--checkpoint={run}", f"--workdir={again}"]
    assert main.main(arguments) == 0
    assert json.loads((again / "evaluation" / "scores.json").read_text()) == scores


def test_it_is_offered_and_takes_no_argument_of_another_encoder(row):
    build = partial(models.build_model, "dcseg", width=2, decoder_width=2, depth=6)
    with pytest.raises(UserError, match="backbone='flames': choose from csn, resnet, r2plus1d, frames"):
        build(backbone="flames")
    with pytest.raises(UserError, match="backbone frames has no temporal_strides=False: choose from True"):
        build(backbone="frames", temporal_strides=False)
    with pytest.raises(UserError, match="with the backbone frames has no depth=50: choose from 6"):
        build(backbone="frames", depth=50)
