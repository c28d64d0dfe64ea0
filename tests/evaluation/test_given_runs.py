"""A network that takes masks, in training and evaluation on a benchmark that gives them: a row each."""

import dataclasses
import json

import pytest
import toy_network
from toy_predictor import Following

from vos3d_jax import main, models
from vos3d_jax.evaluation import benchmarks, metrics, quick_score
from vos3d_jax.evaluation.benchmark_data import load, load_for
from vos3d_jax.inference.registry import PREDICTORS

toy_system = toy_network.toy_system

_FILE = """
from ml_collections import ConfigDict
import toy_network

def get_config():
    stage = ConfigDict(toy_network.stage("finetune", steps=2))
    evaluation = dict(benchmark="moving_shapes", data=toy_network.VAL, predictor=dict(trust=1.0), every=2)
    return ConfigDict(dict(system="toy", model=dict(width=4), stages=(stage,), evaluation=evaluation))
"""


@pytest.mark.usefixtures("toy_system")
def test_it_is_given_the_first_true_mask_and_scored_on_the_others(tmp_path, monkeypatch):
    """The toy keeps its objects where they were given, so that its scores are known."""
    rules = dataclasses.replace(benchmarks.find("moving_shapes"), first_mask=True)
    monkeypatch.setitem(benchmarks.BENCHMARKS, "moving_shapes", rules)
    monkeypatch.setitem(PREDICTORS, "toy", Following)
    (tmp_path / "toy.py").write_text(_FILE)
    assert main.main([f"--config={tmp_path / 'toy.py'}", f"--workdir={tmp_path / 'run'}"]) == 0
    (row,) = json.loads((tmp_path / "run/evaluation/scores.json").read_text())["rows"]
    (video,) = load(rules, None, **toy_network.VAL["options"]).videos
    first, *others = map(video.read_mask, range(video.length))
    expected = [metrics.region_similarity(first != 0, other != 0) for other in others]
    assert row["frames"] == list(video.frame_names[1:])
    assert row["series"]["J"] == pytest.approx(expected) and min(expected) < 1
    (line,) = (tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1:]
    assert json.loads(line)["score"] == pytest.approx(sum(expected) / 3)


@pytest.mark.usefixtures("toy_system")
def test_trap_where_lower_is_better_the_score_that_ranks_checkpoints_has_a_minus(monkeypatch):
    # "best" would be the network with most wrong pixels.
    row = dataclasses.replace(
        benchmarks.find("moving_shapes"), first_mask=True, frames="transfers", metrics=("error",)
    )
    monkeypatch.setitem(benchmarks.BENCHMARKS, "moving_shapes", row)
    monkeypatch.setitem(PREDICTORS, "toy", Following)
    data = {**toy_network.VAL, "options": {**toy_network.VAL["options"], "length": 9}}
    evaluation = {"benchmark": "moving_shapes", "data": data, "predictor": {"trust": 1.0}, "quick_frames": 0}
    config = toy_network.config(evaluation=evaluation)
    found = load_for(config)
    (video,) = found.videos
    given, truth = video.read_mask(0) != 0, video.read_mask(8) != 0
    wrong = 100 * (given != truth).sum() / truth.sum()
    value, _ = quick_score.quick_score(config.evaluation, found)(models.build_model("toy"))
    assert wrong > 0 and value == pytest.approx(-wrong)
