import pytest

from vos3d_jax import configuration
from vos3d_jax.errors import UserError
from vos3d_jax.training import stages

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
        ("--config.stages[4].steps=1", "names no key"),
        ("--config.seed=abc", "--config.seed=abc"),
        ("--config.seed=1.5", "--config.seed=1.5"),
        ("stray", "unexpected argument 'stray'"),
    ],
)
def test_a_wrong_override_is_a_users_error(file, argument, message):
    with pytest.raises(UserError, match=message):
        configuration.load([f"--config={file}", argument])


def test_a_missing_config_is_named_with_those_that_exist():
    with pytest.raises(UserError, match=r"no config nope\.py: give a path, or one of .*demo\.py"):
        configuration.load(["--config=nope.py"])


def test_a_config_that_cannot_be_run_is_a_users_error(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("def get_config(:\n")
    with pytest.raises(UserError, match=r"broken\.py cannot be run: SyntaxError"):
        configuration.load([f"--config={path}"])


@pytest.mark.parametrize("name", ["demo.py", "davis.py", "davis.py:dense", "davis_small.py"])
def test_every_config_of_ours_is_found_by_name_and_is_valid(name):
    config = stages.parse(configuration.load([f"--config={name}"]))
    assert len(config.stages) == 2
    file = name.partition(":")[0]
    assert configuration.find(file).samefile(configuration.find(f"configs/{file}"))
