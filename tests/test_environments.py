"""What a machine or a terminal lacks is no reason to fail: a home, an entry for the user, characters."""

import os
import shutil
import subprocess
import sys

import mask_folders
import pytest

from vos3d_jax.data.readers.listing import read_list
from vos3d_jax.errors import UserError

COMMANDS = ["segment", "score", "main", "port_weights", "bench"]


def _run(*arguments, wrapper=(), **environment):
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "LANG")}
    return subprocess.run(
        [*wrapper, sys.executable, "-m", *arguments], env={**kept, **environment}, capture_output=True
    )


def test_a_process_without_a_home_or_an_entry_for_its_user_runs(tmp_path):
    wrapper = ["unshare", "-U", "--map-user=12345", "--map-group=12345"]
    if shutil.which("unshare") is None or subprocess.run([*wrapper, "true"], capture_output=True).returncode:
        pytest.skip("no user without an entry can be made here: unshare -U is not allowed")
    for command in COMMANDS:
        run = _run(f"vos3d_jax.{command}", "--help", wrapper=wrapper)
        assert run.returncode == 0 and b"usage" in run.stdout, run.stderr
    code = "import vos3d_jax as vos; vos.build_model"
    run = subprocess.run(
        [*wrapper, sys.executable, "-c", code], env={"PYTHONPATH": os.getcwd()}, capture_output=True
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_terminal_that_lacks_a_character_fails_no_finished_scoring(tmp_path, encoding):
    data = mask_folders.write_own(tmp_path / "data", {"vidéo": mask_folders.moving()})
    results = tmp_path / "results"
    mask_folders.write_masks(results / "vidéo", mask_folders.moving(shift=1))
    run = _run(
        "vos3d_jax.score", "--benchmark=folder", f"--data_dir={data}", f"--results={results}",
        f"--output={tmp_path / 'out'}", "--workers=1", PYTHONIOENCODING=encoding,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert b"Traceback" not in run.stderr and b"scores.json" in run.stdout
    shown = run.stdout.decode(encoding)
    assert ("vidéo" in shown) == (encoding != "ascii")


_NAMES = ["vidéo", "clip 2"]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-sig", "utf-16-be-sig", "latin-1"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_list_of_names_is_read_whatever_editor_wrote_it(tmp_path, encoding, end):
    """Windows' Notepad and PowerShell write UTF-16; old editors Latin-1."""
    content = end.join([*_NAMES, ""])
    if encoding.endswith("-sig") and encoding != "utf-8-sig":
        content, encoding = "\ufeff" + content, encoding.removesuffix("-sig")
    (tmp_path / "val.txt").write_bytes(content.encode(encoding))
    assert read_list([tmp_path / "val.txt"]) == _NAMES


@pytest.mark.parametrize("content", [b"\xff\xfea", b"a\0b\0", b"\x89PNG\r\n\x1a\n\0\0"])
def test_what_is_no_text_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "val.txt").write_bytes(content)
    with pytest.raises(UserError, match="val.txt is no text: save it as UTF-8"):
        read_list([tmp_path / "val.txt"])
