"""The package as a user meets it: light to import, listed commands, a clean house."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import vos3d_jax
from vos3d_jax.__main__ import COMMANDS

ROOT = Path(__file__).parents[1]
HEAVY = ("jax", "torch", "tensorflow", "matplotlib", "plotly", "cv2", "av", "PIL", "scipy")


def _python(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_importing_the_package_loads_no_heavy_library():
    code = f"import sys, vos3d_jax; print([m for m in {HEAVY!r} if m in sys.modules])"
    result = _python("-c", code)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_every_public_name_is_there():
    for name in vos3d_jax.__all__:
        assert getattr(vos3d_jax, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = vos3d_jax.nonsense


def test_the_list_of_commands_names_them_all():
    result = _python("-m", "vos3d_jax")
    assert result.returncode == 0
    assert all(f"  {name}" in result.stdout for name in COMMANDS)


def test_an_unknown_command_is_one_line_and_status_2():
    result = _python("-m", "vos3d_jax", "segmnet")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "segmnet" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name):
    result = _python("-m", f"vos3d_jax.{name}", "--help")
    assert result.returncode == 0, result.stderr
    assert f"python -m vos3d_jax.{name} " in result.stdout
    assert "Traceback" not in result.stderr


def test_the_metadata_names_the_version():
    assert metadata.version("vos3d_jax") == vos3d_jax.__version__


def test_the_code_is_linted_and_formatted():
    for arguments in (["check", "."], ["format", "--check", "."]):
        result = _python("-m", "ruff", *arguments)
        assert result.returncode == 0, result.stdout


def test_the_parts_import_each_other_only_in_the_directions_of_the_design():
    result = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
