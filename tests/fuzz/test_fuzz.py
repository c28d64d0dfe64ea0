"""The driver notices all that must never happen; and a minute of it for every kind of file."""

import random

import pytest
from fuzz import driver, mutations

FAULTS = {
    "raises": "raise ValueError('boom')",
    "warns": "import warnings; warnings.warn('overflow')",
    "aborts": "import os; os.abort()",
    "takes memory": "bytearray(300 << 20)",
    "never ends": "\n    while True: pass",
    "runs a program": "import os; os.system('true')",
    "says too much": "raise UserError('one\\ntwo')",
}


def _kind(folder, name, body):
    (folder / f"{name}.py").write_text(
        f"""
from vos3d_jax.errors import UserError

def samples(folder):
    (folder / "a.bin").write_bytes(b"good" * 100)
    return [folder / "a.bin"]

def read(path):
    content = path.read_bytes()
    if content == b"good" * 100:
        return
    if not content.startswith(b"good"):
        raise UserError("no such file")
    {body}
"""
    )
    return name


@pytest.mark.parametrize("body", FAULTS.values(), ids=list(FAULTS))
def test_the_driver_notices_a_reader_that(body, tmp_path):
    name = f"kind_{list(FAULTS.values()).index(body)}"
    _kind(tmp_path, name, body)
    report = driver.fuzz(name, 0.05, limit=1, keep=tmp_path / "kept", path=tmp_path)
    assert report.outcomes["read"] >= 1
    [file] = report.faults.values()
    assert file.read_bytes().startswith(b"good") and file.read_bytes() != b"good" * 100


def test_a_reader_without_a_fault_has_none(tmp_path):
    _kind(tmp_path, "kind_fine", "return")
    report = driver.fuzz("kind_fine", 0.2, keep=tmp_path / "kept", path=tmp_path)
    assert not report.faults and not (tmp_path / "kept").exists()
    assert report.outcomes["read"] and report.outcomes["refused"] and report.seconds >= 0.2


def test_changes_are_the_same_for_a_seed_and_different_from_the_file():
    content = bytes(range(256)) * 8
    first = [mutations.change(content, random.Random(seed), [content]) for seed in range(200)]
    again = [mutations.change(content, random.Random(seed), [content]) for seed in range(200)]
    assert first == again
    assert sum(changed != content for changed in first) > 180
    assert len({len(changed) for changed in first}) > 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["checkpoints", "pictures", "videos"])
def test_a_minute_of_changed_files_finds_no_fault(kind, tmp_path):
    report = driver.fuzz(f"fuzz.{kind}", 60, keep=tmp_path / "kept")
    assert report.faults == {}, str(report)
    assert report.outcomes["read"] and report.outcomes["refused"], str(report)
