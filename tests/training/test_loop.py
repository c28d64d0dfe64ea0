import dataclasses
import json
import os
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
import toy_network

from vos3d_jax import cards, files, storage
from vos3d_jax.data.augmentation import Augmentation
from vos3d_jax.data.samples import Clip, Still
from vos3d_jax.errors import UserError
from vos3d_jax.training import loop, stage_data
from vos3d_jax.training.checkpoints import Checkpoints

pytestmark = pytest.mark.usefixtures("toy_system")
toy_system = toy_network.toy_system


def _weights(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(storage.model_variables(model))]


def _lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def _losses(workdir):
    return {line["step"]: line["loss"] for line in _lines(workdir)}


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """The workdir and the network of a run that nothing interrupted."""
    workdir = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        toy_network.register(patch)
        return workdir, loop.train(toy_network.config(), workdir)


def test_a_run_leaves_its_config_metrics_and_checkpoints(whole_run, capsys):
    workdir, model = whole_run
    assert json.loads((workdir / "config.json").read_text())["system"] == "toy"
    assert [line["step"] for line in _lines(workdir)] == list(range(1, 13))
    assert {line["stage"] for line in _lines(workdir)} == {"pretrain", "finetune"}
    assert set(_lines(workdir)[0]) >= {"loss", "iou", "learning_rate", "clips_per_second", "data_wait"}
    assert list((workdir / "tensorboard").iterdir())
    for one, other in zip(_weights(model), _weights(storage.load_model(workdir)), strict=True):
        np.testing.assert_array_equal(one, other)
    card = storage.load_card(workdir)
    assert card["trained"] == {"steps": 12, "data": ["moving_shapes"], "init_from": ""}
    assert "generated videos alone" in cards.doubt(card)
    assert card["step"] == 12 and card["inference"]["trained_edge"] == 32
    assert set(card["inference"]) == {"clip_length", "overlap", "tail", "short_edge", "trained_edge"}


@pytest.mark.parametrize("stop_at", [3, 6, 9])
def test_a_run_that_was_stopped_and_resumed_equals_one_that_was_not(
    whole_run, tmp_path, monkeypatch, capsys, stop_at
):
    save = Checkpoints.save

    def save_and_be_told_to_stop(self, state, card, score=None):
        save(self, state, card, score)
        if int(state.step) == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    config = dataclasses.replace(toy_network.config(), checkpoint_seconds=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_be_told_to_stop)
        with pytest.raises(SystemExit) as stopped:
            loop.train(config, tmp_path)
    assert stopped.value.code == 143
    assert "SIGTERM: saved step" in capsys.readouterr().out
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99, "loss": 1}\n{"step": 1')  # what a kill may leave

    model = loop.train(config, tmp_path)
    assert "resuming  at step" in capsys.readouterr().out
    for one, other in zip(_weights(model), _weights(whole_run[1]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert _losses(tmp_path) == _losses(whole_run[0])


@pytest.mark.parametrize("stop_at", [2, 5])
def test_trap_a_run_resumed_between_two_lines_of_metrics_logs_the_means_of_the_unbroken_one(
    tmp_path, monkeypatch, capsys, stop_at
):
    config = dataclasses.replace(toy_network.config(log_steps=4), checkpoint_seconds=0.0)
    loop.train(config, tmp_path / "whole")
    save = Checkpoints.save

    def save_and_be_told_to_stop(self, state, card, score=None):
        save(self, state, card, score)
        if int(state.step) == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_be_told_to_stop)
        with pytest.raises(SystemExit):
            loop.train(config, tmp_path / "broken")
    loop.train(config, tmp_path / "broken")
    assert list(_losses(tmp_path / "whole")) == [4, 6, 8, 12]
    assert _losses(tmp_path / "broken") == _losses(tmp_path / "whole")


def test_a_finished_run_is_not_trained_again(whole_run, capsys):
    workdir, model = whole_run
    again = loop.train(toy_network.config(), workdir)
    assert "finished already" in capsys.readouterr().out
    for one, other in zip(_weights(model), _weights(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_workdir_of_another_config_is_refused_with_the_difference(whole_run):
    config = toy_network.config(seed=5, stages=[toy_network.stage(steps=7), toy_network.stage("finetune")])
    with pytest.raises(
        UserError, match=r"seed is 5, there it was 0; stages\[0\]\.steps is 7, there it was 6"
    ):
        loop.train(config, whole_run[0])


def test_trap_a_second_start_does_not_clear_what_the_first_is_saving(whole_run):
    workdir, _ = whole_run
    with files.exclusive(workdir), pytest.raises(UserError, match="another command is writing to"):
        loop.train(toy_network.config(), workdir)


def test_what_moves_nothing_may_change_between_two_starts(whole_run):
    config = toy_network.config(log_seconds=1.0, checkpoint_seconds=3.0, data_dir="/elsewhere")
    loop.train(config, whole_run[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"system": "dcseg", "model": {"depth": 27}}, "depth=27"),
        ({"system": "csn_classifier"}, "a csn_classifier cannot be trained at the task 'clip'"),
        ({"init_from": "nowhere.pth"}, "nowhere.pth cannot be read"),
    ],
)
def test_an_impossible_beginning_is_named_before_the_workdir_is_made(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        loop.train(toy_network.config(**changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_missing_data_is_named_before_the_workdir_is_made(tmp_path):
    missing = {"name": "davis2016", "split": "train"}
    config = toy_network.config(stages=[toy_network.stage(data=[missing])], data_dir=str(tmp_path / "no"))
    with pytest.raises(UserError, match="data_dir"):
        loop.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_ends_the_run_with_the_mend(tmp_path):
    config = toy_network.config(stages=[toy_network.stage(optimiser={"learning_rate": 1e38}, steps=30)])
    with pytest.raises(UserError, match="lower the learning rate|lower the stage's learning rate"):
        loop.train(config, tmp_path)


def test_scores_during_training_rank_the_checkpoints_and_the_best_is_named(tmp_path, capsys):
    scores = iter([0.1, 0.9, 0.2])
    evaluation = {"benchmark": "moving_shapes", "data": toy_network.VAL, "every": 5}
    config = toy_network.config(evaluation=evaluation)
    last = loop.train(config, tmp_path, lambda model: (next(scores), {}))
    scored = {line["step"]: line["score"] for line in _lines(tmp_path) if "score" in line}
    assert scored == {5: 0.1, 10: 0.9, 12: 0.2}  # the last step too, so that it is ranked
    card = storage.load_card(tmp_path, "best")
    assert card["step"] == 10 and card["score"] == 0.9
    assert "best held-out score was 0.900 at step 10" in capsys.readouterr().out
    best = storage.load_model(tmp_path, "best")
    assert any(np.any(one != other) for one, other in zip(_weights(best), _weights(last), strict=True))


def test_every_part_of_a_mixture_becomes_a_source():
    stage = toy_network.stage(data=[toy_network.STILLS, {**toy_network.VIDEOS, "weight": 3.0}])
    config = toy_network.config(stages=[stage])
    still, video = stage_data.load_mixtures(config)[0]
    assert (still.sample, len(still.videos)) == (Still(augmentation=Augmentation(short_edge=None)), 6)
    assert (video.sample, len(video.videos)) == (Clip(augmentation=Augmentation(short_edge=None)), 2)
    assert video.weight == 3.0


_TINY = """
from ml_collections import ConfigDict

def get_config():
    part = dict(name="moving_shapes", augmentation=dict(short_edge=None))
    stills = dict(part, split="stills", kind="still", options=dict(count=8, length=1, size=(32, 32)))
    videos = dict(part, split="train", options=dict(count=2, length=8, size=(32, 32)))
    common = dict(size=(32, 32), clip_length=2, batch_size=2, steps=40, optimiser=dict(learning_rate=1e-3))
    return ConfigDict(dict(
        model=dict(depth=14, width=4, decoder_width=4),
        stages=(dict(common, name="pretrain", data=(stills,), batch_norm="train"),
                dict(common, name="finetune", data=(videos,), batch_norm="frozen")),
        evaluation=dict(benchmark="moving_shapes", predictor=dict(clip_length=2, overlap=1, short_edge=0),
                        data=dict(part, split="val", options=dict(count=1, length=4, size=(32, 32)))),
        checkpoint_seconds=0.0, log_seconds=0.0, log_steps=1))
"""


@pytest.mark.slow
def test_killed_in_both_stages_and_started_again_the_run_finishes_and_loses_little(tmp_path):
    (tmp_path / "tiny.py").write_text(_TINY)
    workdir = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "vos3d_jax.main",
        f"--config={tmp_path / 'tiny.py'}",
        f"--workdir={workdir}",
    ]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}  # compiled once

    def start():
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def steps_of(lines):
        """The last step that a progress line names, counted through both stages."""
        reached = 0
        for line in lines:
            if line.startswith(("pretrain ", "finetune ")):
                name, done = line.split()[:2]
                reached = int(done.split("/")[0]) + (40 if name == "finetune" else 0)
        return reached

    resumed, killed_at = [], []
    for until in (15, 60):  # the middle of stage one, of stage two
        process, lines = start(), []
        for line in process.stdout:
            lines.append(line)
            if steps_of(lines[-1:]) >= until:
                break
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        killed_at.append(steps_of(lines))
        assert killed_at[-1] >= until, lines[-5:]
        resumed += [int(line.split()[3]) for line in lines if line.startswith("resuming")]
    process = start()
    output, _ = process.communicate(timeout=300)
    resumed += [int(line.split()[3]) for line in output.splitlines() if line.startswith("resuming")]
    assert process.returncode == 0, output[-2000:]
    # A checkpoint is due after every step here. Step k is logged before it is saved, and the save of k - 1
    # waited for that of k - 2: a kill can cost two checkpoint intervals of steps, in either stage.
    for stopped, back in zip(killed_at, resumed, strict=True):
        assert stopped - 2 <= back <= stopped
    steps = [line["step"] for line in _lines(workdir) if "loss" in line]
    assert steps == list(range(1, 81))
    assert [line["step"] for line in _lines(workdir) if "score" in line] == list(range(8, 81, 8))
    assert (workdir / "evaluation" / "scores.json").exists()
