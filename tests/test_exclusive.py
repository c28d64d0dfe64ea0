"""Two commands that write to one folder."""

import pytest

from vos3d_jax.errors import UserError
from vos3d_jax.exclusive import exclusive


def test_a_second_command_is_refused_until_the_first_has_ended(tmp_path):
    out = tmp_path / "a folder" / "öut"
    with exclusive(out):
        with pytest.raises(UserError, match="another command is writing to .*öut: wait until it has ended"):
            with exclusive(out):
                raise AssertionError("let in")
        (out / "scores.json").write_text("{}")
    with exclusive(out):
        pass
    assert [path.name for path in out.iterdir()] == ["scores.json"]


def test_a_folder_in_which_nothing_came_to_be_is_not_left(tmp_path):
    with pytest.raises(KeyError), exclusive(tmp_path / "out"):
        raise KeyError
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/out cannot be written .*: name a folder that can be"):
        with exclusive(tmp_path / "file/out"):
            raise AssertionError("let in")
