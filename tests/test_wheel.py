"""The built wheel, used outside the checkout."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A clone without its tests, in a folder called as `git clone` calls it."""
    source = tmp_path_factory.mktemp("clone") / "vos3d_jax"
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.splitlines():
        if not name.startswith("tests/") and (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    return source


@pytest.fixture(scope="module")
def installed(checkout, tmp_path_factory) -> Path:
    """A folder that holds just what the wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(checkout)], check=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def _run(installed: Path, elsewhere: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_wheel_gives_the_commands(installed, tmp_path):
    result = _run(installed, tmp_path, "vos3d_jax")
    assert result.returncode == 0 and "segment" in result.stdout
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    assert "vos3d = vos3d_jax.__main__:main" in entry_points.read_text()


@pytest.mark.slow
def test_the_wheel_finds_its_recipes_by_name(installed, tmp_path):
    result = _run(
        installed, tmp_path, "vos3d_jax.main", "--config=davis.py", f"--config.data_dir={tmp_path}/DAVIS"
    )
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1 and f"{tmp_path}/DAVIS" in result.stderr


@pytest.mark.slow
def test_the_wheel_holds_what_a_report_is_made_of(installed):
    folder = installed / "vos3d_jax/evaluation"
    assert (folder / "published.json").exists()
    templates = {path.name for path in (ROOT / "vos3d_jax/evaluation/report/templates").iterdir()}
    assert {"page.html", "style.css", "sort.js"} <= templates
    assert {path.name for path in (folder / "report/templates").iterdir()} == templates


@pytest.mark.slow
def test_the_wheel_holds_no_tests_and_no_data(installed):
    names = {path.relative_to(installed).parts[0] for path in installed.rglob("*.py")}
    assert names == {"vos3d_jax"}
    assert not list(installed.rglob("*.npz"))


@pytest.mark.slow
def test_trap_an_installed_checkout_works_from_the_folder_above_it(checkout, tmp_path):
    # There the checkout's own folder, called vos3d_jax too, is found first.
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", str(tmp_path)], check=True)
    python = str(tmp_path / "bin/python")
    # Packages that only the tests' own environment holds (a venv does not see those of another one).
    packages = sysconfig.get_path("purelib")
    environment = {**os.environ, "PYTHONPATH": packages}
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-e", str(checkout)], check=True, env=environment)
    script = "import vos3d_jax; print(vos3d_jax.__file__, vos3d_jax.__version__)"
    result = subprocess.run([python, "-c", script], cwd=checkout.parent, capture_output=True, text=True)
    assert str(checkout / "vos3d_jax" / "__init__.py") in result.stdout, result.stderr
