import re
import shlex
from pathlib import Path

import manifests
import numpy as np
import pytest

from vos3d_jax import configuration, recipe
from vos3d_jax.constants import DCSEG_MEAN
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import benchmarks
from vos3d_jax.inference.registry import PREDICTORS
from vos3d_jax.models.abstract import abstract_model
from vos3d_jax.porting import plan

_FILE = """
from ml_collections import ConfigDict

def get_config(variant=""):
    config = ConfigDict({"seed": 1, "rate": 0.5, "variant": variant})
    config.stages = (ConfigDict({"steps": 3, "size": (32, 32)}),)
    return config
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(_FILE)
    return path


def test_a_config_is_named_after_its_file_and_variant(file):
    assert configuration.load([f"--config={file}"])["name"] == "mine"
    values = configuration.load([f"--config={file}:wide"])
    assert values["name"] == "mine-wide" and values["variant"] == "wide"


def test_overrides_reach_into_stages_in_any_order_and_form(file):
    values = configuration.load(
        ["--config.seed=7", f"--config={file}", "--config.stages[0].steps", "9", "--config.rate=2"]
    )
    assert values["seed"] == 7 and values["stages"][0]["steps"] == 9 and values["rate"] == 2.0


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.sede=1", "names no key of .*seed"),
        ("--config.stages[4].steps=1", r"has 1 of stages, the last is stages\[0\]"),
        ("--config.seed=abc", "--config.seed=abc"),
        ("--config.seed=1.5", "--config.seed=1.5"),
        ("stray", "unexpected argument 'stray'"),
    ],
)
def test_a_wrong_override_is_a_users_error(file, argument, message):
    with pytest.raises(UserError, match=message):
        configuration.load([f"--config={file}", argument])


_OURS = ("demo.py", "davis.py", "davis_small.py")
_EVALUATIONS = ("fbms.py", "visal.py")


@pytest.mark.parametrize("name", _OURS)
@pytest.mark.parametrize(
    ("flag", "read"),
    [
        # Those that --help and error messages name, and some that no file of ours mentions.
        (
            "--config.batch_size=8",
            lambda config: config.stages[0].batch_size == config.stages[1].batch_size == 8,
        ),
        ("--config.stages[0].steps=100", lambda config: config.stages[0].steps == 100),
        ("--config.stages[0].batch_size=8", lambda config: config.stages[0].batch_size == 8),
        ("--config.data_dir=DIR", lambda config: config.data_dir == "DIR"),
        ("--config.init_from=DIR", lambda config: config.init_from == "DIR"),
        ("--config.mesh.data=4", lambda config: config.mesh.data == 4),
        ("--config.mesh.space=2", lambda config: config.mesh.space == 2),
        ("--config.evaluation.every=5", lambda config: config.evaluation.every == 5),
        (
            "--config.evaluation.predictor.clip_length=4",
            lambda config: config.evaluation.predictor["clip_length"] == 4,
        ),
        (
            "--config.stages[1].optimiser.clip_norm=2",
            lambda config: config.stages[1].optimiser.clip_norm == 2.0,
        ),
        (
            "--config.stages[0].data[0].augmentation.short_edge=64",
            lambda config: config.stages[0].data[0].sample.augmentation.short_edge == 64,
        ),
        (
            "--config.stages[0].data[0].augmentation.crop_size=(32,32)",
            lambda config: config.stages[0].data[0].sample.augmentation.crop_size == (32, 32),
        ),
    ],
)
def test_any_key_can_be_overridden_whether_the_file_mentions_it_or_not(name, flag, read):
    assert read(recipe.parse(configuration.load([f"--config={name}", flag], recipe.Config)))


def test_every_flag_that_messages_and_help_name_is_in_the_test_above():
    sources = Path(configuration.__file__).parent.rglob("*.py")
    named = {
        flag for path in sources for flag in re.findall(r"--config\.[a-z_.\[\]0-9]*[a-z]", path.read_text())
    }
    tested = {
        parameter[0].partition("=")[0]
        for mark in test_any_key_can_be_overridden_whether_the_file_mentions_it_or_not.pytestmark
        if mark.args[0] != "name"
        for parameter in mark.args[1]
    }
    assert named - {"--config.seed"} <= tested  # the docstring of the module


def test_the_defaults_that_are_filled_in_change_no_config():
    for name in _OURS + _EVALUATIONS:
        bare, filled = (configuration.load([f"--config={name}"], schema) for schema in (None, recipe.Config))
        assert recipe.parse(bare) == recipe.parse(filled)


@pytest.mark.parametrize("flag", ["--config.evaluation.quick_frame=4", "--config.mesh.dat=4"])
def test_an_unknown_key_stays_unknown(flag):
    with pytest.raises(UserError, match="names no key of .*Did you mean"):
        configuration.load(["--config=demo.py", flag], recipe.Config)


def test_a_larger_batch_makes_the_published_epochs_shorter():
    config, larger = (
        recipe.parse(configuration.load(["--config=davis.py", *flags], recipe.Config))
        for flags in ([], ["--config.batch_size=16"])
    )
    flag = "--config.stages[0].optimiser.decay_steps=9"
    assert configuration.load(["--config=davis.py", flag], recipe.Config)["stages"][0]["steps"] == 25 * 1039
    assert config.stages[0].steps == 25 * 1039 and config.evaluation.every == 5 * 1039
    assert larger.stages[1].steps == 25 * 129 and larger.stages[1].optimiser.decay_steps == 129


def test_trap_a_folder_called_configs_beside_an_installed_package_is_not_ours(tmp_path, monkeypatch):
    for folder in ("vos3d_jax/configs", "configs"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "configs" / "demo.py").write_text("raise SystemExit")
    monkeypatch.setattr(configuration, "__file__", str(tmp_path / "vos3d_jax" / "configuration.py"))
    monkeypatch.chdir(tmp_path / "vos3d_jax")
    with pytest.raises(UserError, match=r"no config demo\.py"):
        configuration.load(["--config=demo.py"])


def test_a_missing_config_is_named_with_those_that_exist():
    with pytest.raises(UserError, match=r"no config nope\.py: give a path, or one of .*demo\.py"):
        configuration.load(["--config=nope.py"])


def test_a_config_that_cannot_be_run_is_a_users_error(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("def get_config(:\n")
    with pytest.raises(UserError, match=r"broken\.py cannot be run: SyntaxError"):
        configuration.load([f"--config={path}"])


@pytest.mark.parametrize("name", ["demo.py", "davis.py", "davis.py:dense", "davis_small.py", *_EVALUATIONS])
def test_every_config_of_ours_is_found_by_name_and_is_valid(name):
    config = recipe.parse(configuration.load([f"--config={name}"]))
    assert len(config.stages) == (0 if name in _EVALUATIONS else 2)
    file = name.partition(":")[0]
    assert configuration.find(file).samefile(configuration.find(f"configs/{file}"))


@pytest.mark.parametrize("name", _EVALUATIONS)
def test_an_evaluation_of_ours_is_of_a_benchmark_and_its_data(name):
    evaluation = recipe.parse(configuration.load([f"--config={name}"])).evaluation
    rules = benchmarks.find(evaluation.benchmark)
    assert (rules.dataset, rules.split) == (evaluation.data.name, evaluation.data.split)
    assert rules.takes_maps and not rules.first_mask


@pytest.mark.parametrize("name", ["davis.py", *_EVALUATIONS])
def test_the_published_file_is_the_network_of_the_published_recipes(name):
    shapes = manifests.manifest("3dcseg_saliencynetwork_gc3d")
    found = plan.make(manifests.checkpoint_of(shapes))
    config = recipe.parse(configuration.load([f"--config={name}"]))
    ours = abstract_model(config.system, **config.model).arguments
    theirs = abstract_model(found.system, **found.arguments).arguments
    assert config.system == found.system
    for arguments in (ours, theirs):
        del arguments["remat"]
    # The file holds these as float32, and here ones stand for all its values.
    theirs["mean"] = [float(str(np.float32(value))) for value in DCSEG_MEAN]
    assert theirs.pop("std") == ours.pop("std") == [1.0, 1.0, 1.0]
    assert ours == theirs


def test_every_flag_in_the_tables_of_the_papers_makes_a_network():
    text = (Path(__file__).parents[1] / "docs" / "reproducing.md").read_text()
    variants = [shlex.split(flags) for flags in re.findall(r"`('?--config\.[^`]*)`", text)]
    assert len(variants) >= 7
    for flags in variants:
        config = recipe.parse(configuration.load(["--config=davis.py", *flags], recipe.Config))
        assert abstract_model(config.system, **config.model).system in PREDICTORS


def test_dashes_and_underscores_are_alike_in_keys_but_not_in_values_and_indices(tmp_path):
    path = tmp_path / "small.py"
    path.write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config():\n"
        "    stages = dict(log_steps=1), dict(log_steps=2)\n"
        "    return ConfigDict(dict(batch_size=1, data_dir='', stages=stages))\n"
    )
    flags = ["--config.batch-size=4", "--config.data-dir=a-b", "--config.stages[-1].log-steps=7"]
    values = configuration.load([f"--config={path}", *flags])
    assert (values["batch_size"], values["data_dir"]) == (4, "a-b")
    assert [stage["log_steps"] for stage in values["stages"]] == [1, 7]
