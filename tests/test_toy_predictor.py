"""A predictor that takes masks is a file and a row: the house trains for it, evaluates it and runs it."""

import dataclasses
import json

import numpy as np
import pytest
import toy_network
from toy_predictor import Following

import vos3d_jax as vos
from vos3d_jax import main, storage
from vos3d_jax.data import datasets
from vos3d_jax.evaluation import benchmarks
from vos3d_jax.inference.registry import PREDICTORS
from vos3d_jax.media.masks import read_ids

toy_system = toy_network.toy_system

_FILE = """
from ml_collections import ConfigDict
import toy_network

def get_config():
    stages = (ConfigDict(toy_network.stage("finetune", steps=2)),)
    evaluation = dict(benchmark="toy_given", data=toy_network.VAL, predictor=dict(trust=0.5), every=1)
    return ConfigDict(dict(system="toy", stages=stages, evaluation=evaluation))
"""


@pytest.fixture
def config(tmp_path, monkeypatch, toy_system):
    """A config whose benchmark gives first masks, and whose network's predictor takes them."""
    row = dataclasses.replace(
        benchmarks.find("moving_shapes"), name="toy_given", objects="given", first_mask=True
    )
    monkeypatch.setitem(benchmarks.BENCHMARKS, "toy_given", row)
    monkeypatch.setitem(PREDICTORS, "toy", Following)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0})  # no processes for four frames
    (tmp_path / "toy.py").write_text(_FILE)
    return f"--config={tmp_path / 'toy.py'}"


def _json(path):
    return json.loads(path.read_text())


def test_a_network_is_trained_and_evaluated_with_the_masks_that_a_benchmark_gives(tmp_path, config, capsys):
    run, again = tmp_path / "run", tmp_path / "again"
    assert main.main([config, f"--workdir={run}"]) == 0
    assert "held-out score" in capsys.readouterr().out  # during training, too
    folder = run / "evaluation"
    assert _json(folder / "key.json")["predictor"] == {"trust": 0.5}
    assert storage.load_card(run)["inference"] == {"trust": 0.5, "trained_edge": 32}

    (video,) = datasets.load("moving_shapes", "val", **toy_network.VAL["options"])
    first, *others = sorted((folder / "masks" / video.name).glob("*.png"))
    given = video.read_mask(0)
    np.testing.assert_array_equal(read_ids(first), given)
    predictor = vos.Predictor(run, announce=lambda line: None)
    assert predictor.settings == Following(trust=0.5)  # of the card
    seen = predictor.stream(map(video.read_frame, range(video.length)), {0: given})
    for frame, path in zip(seen, (first, *others), strict=True):
        np.testing.assert_array_equal(read_ids(path), frame.mask)

    assert main.main([config, "--mode=evaluate", f"--checkpoint={run}", f"--workdir={again}"]) == 0
    assert _json(again / "evaluation" / "scores.json") == _json(folder / "scores.json")


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--config.evaluation.predictor.trust=x", "trust=x"),
        ("--config.evaluation.predictor.overlap=3", "predictor.overlap is not a known key: known are trust"),
    ],
)
def test_its_settings_are_its_own_and_checked_before_anything_is_done(tmp_path, config, capsys, flag, words):
    assert main.main([config, f"--workdir={tmp_path / 'run'}", flag]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_network_that_takes_no_masks_is_not_evaluated_where_some_are_given(
    tmp_path, config, capsys, monkeypatch
):
    monkeypatch.setitem(PREDICTORS, "toy", PREDICTORS["dcseg"])
    text = (tmp_path / "toy.py").read_text()
    (tmp_path / "toy.py").write_text(text.replace("dict(trust=0.5)", "toy_network.PREDICTOR"))
    assert main.main([config, f"--workdir={tmp_path / 'run'}"]) == 2
    assert "toy_given gives the first frame's mask, and a toy takes none" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
