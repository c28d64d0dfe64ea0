"""What is written is there whole or not at all, by one command at a time."""

import errno
import os

import pytest

from vos3d_jax import files
from vos3d_jax.errors import UserError


def test_a_second_command_is_refused_until_the_first_has_ended(tmp_path):
    out = tmp_path / "a folder" / "öut"
    with files.exclusive(out):
        with pytest.raises(UserError, match="another command is writing to .*öut: wait until it has ended"):
            with files.exclusive(out):
                raise AssertionError("let in")
        (out / "scores.json").write_text("{}")
    with files.exclusive(out):
        pass
    assert [path.name for path in out.iterdir()] == ["scores.json"]


def test_a_folder_in_which_nothing_came_to_be_is_not_left(tmp_path):
    with pytest.raises(KeyError), files.exclusive(tmp_path / "out"):
        raise KeyError
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/out cannot be written .*: a file stands where"):
        with files.exclusive(tmp_path / "file/out"):
            raise AssertionError("let in")


def test_an_unwritable_folder_is_named_before_anything_is_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/inside cannot be written"):
        files.make_folder(tmp_path / "file" / "inside")
    files.make_folder(tmp_path / "new" / "inside")
    assert not any((tmp_path / "new" / "inside").iterdir())


def test_a_file_that_is_not_finished_replaces_nothing_and_leaves_nothing(tmp_path):
    files.write(tmp_path / "new" / "a.txt", b"before")
    with pytest.raises(KeyError), files.replacing(tmp_path / "new" / "a.txt") as file:
        file.write(b"half")
        raise KeyError
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "new").iterdir()] == [("a.txt", b"before")]


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.EACCES, "give a folder that you may write to"),
        (errno.ENOSPC, "free some space, or give a folder on another disk"),
        (errno.EIO, "give another folder"),
    ],
)
def test_what_fails_is_told_with_its_own_mend(number, mend):
    reason = os.strerror(number)
    with pytest.raises(UserError) as refusal, files.writing("out"):
        raise OSError(number, reason)
    assert str(refusal.value) == f"out cannot be written ({reason}): {mend}"
