import json
import subprocess
import sys

import numpy as np
import pytest
import toy_network
from evaluation.pages import read_page
from mask_folders import box, write_grey, write_own

from vos3d_jax import main, models, storage

pytestmark = pytest.mark.usefixtures("toy_system")
toy_system = toy_network.toy_system

_FILE = """
from ml_collections import ConfigDict
import toy_network

def get_config():
    values = dict(system="toy", seed=0, data_dir="", log_steps=1, model=dict(width=4))
    stages = (toy_network.stage(name, steps=3) for name in ("pretrain", "finetune"))
    values["stages"] = tuple(map(ConfigDict, stages))
    values["evaluation"] = dict(
        benchmark="moving_shapes", data=toy_network.VAL, predictor=toy_network.PREDICTOR,
        baselines=True)
    return ConfigDict(values)
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "toy.py"
    path.write_text(_FILE)
    return f"--config={path}"


def _error(capsys, *arguments):
    """The one line on stderr of a run that a user's mistake ends with status 2."""
    assert main.main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("vos3d main: error: ")
    return error


def test_one_command_trains_scores_and_draws_and_a_second_one_scores_what_is_there(tmp_path, config, capsys):
    run, again = tmp_path / "run", tmp_path / "again"
    assert main.main([config, f"--workdir={run}"]) == 0
    output = capsys.readouterr().out
    for part in ("devices ", "network ", "compiling", "compiled in", "finetune 3/3", "everything foreground"):
        assert part in output
    scores = json.loads((run / "evaluation" / "scores.json").read_text())
    assert scores["method"] == "trained network"
    assert list((run / "evaluation" / "masks").glob("*/*.png"))
    assert list((run / "evaluation" / "pictures").glob("*.jpg"))
    assert (run / "evaluation" / "baselines" / "untrained_network" / "scores.json").exists()
    page = read_page((run / "evaluation" / "report.html").read_text())
    for part in (
        "IoU on training clips",
        "Score on held-out frames",
        "untrained network",
        "finetune",
        "optimiser",
    ):
        assert part in page.text

    arguments = [config, "--mode=evaluate", f"--checkpoint={run}", f"--workdir={again}"]
    assert main.main(arguments) == 0
    assert json.loads((again / "evaluation" / "scores.json").read_text()) == scores


def test_a_finished_run_keeps_its_evaluation_when_given_with_other_videos_or_settings(
    tmp_path, config, capsys
):
    run = tmp_path / "run"
    short = [f"--config.stages[{stage}].steps=1" for stage in (0, 1)]
    command = [config, f"--workdir={run}", *short, "--config.evaluation.baselines=False"]
    command += ["--config.evaluation.every=0"]
    assert main.main(command) == 0
    capsys.readouterr()
    scores = (run / "evaluation" / "scores.json").read_bytes()
    longer, other = "--config.evaluation.data.options.length=5", "--config.evaluation.predictor.overlap=0"
    assert "(held-out videos of data set moving_shapes: " in _error(capsys, *command, longer)
    assert "with overlap 1 (now 0)" in _error(capsys, *command, other)
    assert "other videos" in _error(capsys, *command, longer, "--mode=evaluate")
    assert (run / "evaluation" / "scores.json").read_bytes() == scores
    assert main.main([*command, longer, "--mode=evaluate", "--overwrite"]) == 0
    assert (run / "evaluation" / "scores.json").read_bytes() != scores


def test_the_workdir_is_named_after_the_config_unless_given(tmp_path, config, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.main([config, "--config.stages[0].steps=1", "--config.stages[1].steps=1"]) == 0
    assert (tmp_path / "runs" / "toy" / "config.json").exists()


def test_help_is_short_and_has_examples():
    run = subprocess.run(
        [sys.executable, "-m", "vos3d_jax.main", "--help"], capture_output=True, text=True, check=True
    )
    assert "--config=configs/demo.py" in run.stdout and len(run.stdout.splitlines()) < 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.sede=1"], "sede"),
        (["--config.stages[5].steps=3"], "has 2 of stages, the last is stages[1]"),
        (["--config.stages[0].data[7].name=x"], "has 1 of stages[0].data, the last is stages[0].data[0]"),
        (["--config.seed=abc"], "--config.seed=abc"),
        (["--config.stages[0].size=(30,32)"], "multiples of 32"),
        (["--config.system=nothing"], "no system 'nothing'"),
        (["--config.model.width=5", "--mode=evaluate"], "holds another network"),
        (["--mode=evaluate", "--checkpoint=nowhere"], "nowhere does not exist"),
        (["--workdir=/proc/nothing"], "/proc/nothing cannot be written"),
        (["--mode=evaluate", "--step=3"], "no checkpoint of step 3"),
        (["--mode=evaluate", "--step=best"], "was scored"),
        (["--config.evaluation.predictor.short_edge=-3"], "short_edge is -3"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(tmp_path, config, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    storage.save_model(models.build_model("toy"), "runs/toy")
    assert message in _error(capsys, config, *arguments)


def test_missing_data_is_named_before_anything_compiles(tmp_path, config, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = _error(
        capsys, "--config=davis_small.py", "--config.data_dir=nowhere", f"--workdir={tmp_path}/run"
    )
    assert "nowhere" in error and "data_dir" in error and "davischallenge.org" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("soft", ["bear", "surf"])  # trained on, held out
def test_soft_masks_are_named_before_anything_compiles(tmp_path, capsys, monkeypatch, soft):
    monkeypatch.chdir(tmp_path)
    write_own("data", {name: [box() * np.uint8(255)] * 3 for name in ("bear", "surf")})
    for split, name in (("train", "bear"), ("val", "surf")):
        (tmp_path / f"data/{split}.txt").write_text(name)
    mask = box() * np.uint8(255)
    mask[4], mask[15] = 85, 170
    write_grey(f"data/{soft}/masks/00001.png", mask)
    error = _error(capsys, "--config=folder.py", "--config.data_dir=data", "--workdir=run")
    assert f"data/{soft}/masks/00001.png has 3 grey levels, so its edges are soft: threshold the" in error
    assert not (tmp_path / "run").exists()


def test_a_missing_checkpoint_leaves_no_workdir(tmp_path, config, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for flag, words in ([], "run is not a folder"), (["--checkpoint=nowhere"], "nowhere does not exist"):
        assert words in _error(capsys, config, "--mode=evaluate", "--workdir=run", *flag)
    assert not (tmp_path / "run").exists()


def test_a_scored_run_can_be_evaluated_at_its_best_step(tmp_path, config, capsys):
    run, again = tmp_path / "run", tmp_path / "again"
    assert main.main([config, "--config.evaluation.every=4", f"--workdir={run}"]) == 0
    best = storage.load_card(run, "best")
    arguments = [config, "--mode=evaluate", "--step=best", f"--checkpoint={run}", f"--workdir={again}"]
    assert main.main(arguments) == 0
    scores = json.loads((again / "evaluation" / "scores.json").read_text())
    assert f"J mean {best['score']:.3f}" in capsys.readouterr().out.splitlines()[-1] and scores


def test_an_unknown_config_is_named_with_ours(capsys):
    assert "demo.py" in _error(capsys, "--config=nothing.py")


@pytest.mark.parametrize(
    ("argument", "mend"),
    [
        ("--data_dir=X", "--config.data_dir=X"),
        ("--data-dir=X-Y", "--config.data_dir=X-Y"),
        ("--data_dir", "--config.data_dir"),
        ("--stages[1].steps=5", "--config.stages[1].steps=5"),  # trap: --step is near
        ("--evaluation.every=0", "--config.evaluation.every=0"),
        ("--wrokdir=x", "--workdir"),
    ],
)
def test_a_key_of_the_config_without_its_prefix_is_told(capsys, argument, mend):
    with pytest.raises(SystemExit) as ended:
        main.main(["--config=demo.py", argument])
    assert ended.value.code == 2
    assert f"unknown flag {argument}: did you mean {mend}?\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--wrokdir=x"], ["--mode=train", "--checkpoint=x"], ["--step=2"], ["--step=x"], ["--overwrite"], []],
)
def test_wrong_flags_end_with_status_2(config, arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main([*([config] if arguments else []), *arguments])
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--confg=demo.py", "unknown flag --confg=demo.py: did you mean --config?"),
        ("--confg.seed=1", "did you mean --config.seed?"),
        ("--chekpoint=x", "did you mean --checkpoint?"),
        ("--zzz", "unknown flag --zzz (vos3d main --help explains)\n"),
    ],
)
def test_a_misspelt_flag_is_named_before_one_that_is_missing(argument, message, capsys):
    with pytest.raises(SystemExit):
        main.main([argument])
    error = capsys.readouterr().err
    assert message in error and "required" not in error
