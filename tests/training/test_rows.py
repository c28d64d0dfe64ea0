"""A way to make samples and a task are a row each: `main` trains and scores with rows of somebody else."""

import json

import pytest
import toy_network
import toy_rows

from vos3d_jax import main

_FILE = """
from ml_collections import ConfigDict
import toy_network

def get_config():
    data = dict(toy_network.VIDEOS, kind="labelled_clip", margin=1)
    stage = toy_network.stage("finetune", data=(data,), steps=4, task="labelling")
    evaluation = dict(
        benchmark="moving_shapes", data=toy_network.VAL, every=2,
        predictor=dict(clip_length=2, overlap=1, short_edge=0))
    values = dict(system="toy", stages=(ConfigDict(stage),), evaluation=evaluation, log_steps=1)
    return ConfigDict(values)
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    toy_network.register(monkeypatch)
    toy_rows.register(monkeypatch)
    path = tmp_path / "labels.py"
    path.write_text(_FILE)
    return f"--config={path}"


def test_a_sample_and_a_task_with_a_label_are_trained_and_scored_by_a_row_each(tmp_path, config, capsys):
    run = tmp_path / "run"
    assert main.main([config, f"--workdir={run}", "--config.stages[0].loss.smoothing=0.25"]) == 0
    output = capsys.readouterr().out
    assert "for batches of box 2x2x4, clip 2x2x32x32x3, label 2, mask 2x2x32x32" in output
    assert "(labelled_clip): 12 frames in 2 videos" in output
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    trained = [line for line in lines if "score" not in line]
    assert len(trained) == 4 and all(line["box_height"] > 2 for line in trained)
    last = f"finetune 4/4  accuracy {trained[-1]['accuracy']:#.4g}  box_height "
    assert last in output and f"  loss {trained[-1]['loss']:#.4g}  rate " in output
    assert [line["step"] for line in lines if "score" in line] == [2, 4]
    (stage,) = json.loads((run / "config.json").read_text())["stages"]
    assert stage["loss"] == {"smoothing": 0.25} and stage["data"][0]["margin"] == 1
    assert (run / "evaluation" / "scores.json").exists()

    again = [config, "--mode=evaluate", f"--checkpoint={run}", f"--workdir={tmp_path / 'again'}"]
    assert main.main(again) == 0
    capsys.readouterr()
    assert main.main([config, f"--workdir={run}", "--config.stages[0].loss.smoothing=0.5"]) == 2
    assert "stages[0].loss.smoothing is 0.5, there it was 0.25" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.stages[0].task=labeling", "there is no task 'labeling': use clip, labelling"),
        (
            "--config.stages[0].loss.smooth=1",
            "stage finetune: loss.smooth is not a known key: did you mean smoothing?",
        ),
        ("--config.stages[0].loss.smoothing=much", "loss.smoothing is 'much': expected a number"),
        (
            "--config.stages[0].data[0].kind=film",
            "stages[0].data[0].kind is 'film': expected one of 'clip', 'still', 'labelled_clip'",
        ),
        ("--config.stages[0].data[0].kind=clip", "data[0].margin is not a known key"),
    ],
)
def test_a_row_or_an_option_that_is_not_there_is_one_line_before_the_workdir_is_made(
    tmp_path, config, flag, message, capsys
):
    assert main.main([config, f"--workdir={tmp_path / 'run'}", flag]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()
