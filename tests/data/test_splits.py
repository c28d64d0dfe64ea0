"""The videos of a folder that are held out: by its lists, else by the rule that is said."""

import logging

import pytest
from test_readers import load, make_video

from vos3d_jax import command
from vos3d_jax.errors import UserError


@pytest.fixture
def own(tmp_path):
    for number in range(1, 12):
        make_video(tmp_path / f"v{number}" / "frames", tmp_path / f"v{number}" / "masks")
    return tmp_path


def names(root, split):
    return [video.name for video in load(root, "folder", split)]


def test_without_lists_every_fifth_video_is_held_out_and_it_is_said(own, caplog):
    assert names(own, "val") == ["v5", "v10"]
    assert names(own, "train") == [f"v{number}" for number in (1, 2, 3, 4, 6, 7, 8, 9, 11)]
    assert "every fifth video" in caplog.text and "v5, v10 (train: 9 videos)" in caplog.text


def test_a_missing_list_is_what_the_other_does_not_name(own, caplog):
    (own / "val.txt").write_text("v3\nv11\n")
    assert names(own, "val") == ["v3", "v11"] and len(names(own, "train")) == 9
    assert "what val.txt does not name is train" in caplog.text
    (own / "val.txt").rename(own / "train.txt")
    assert names(own, "train") == ["v3", "v11"] and len(names(own, "val")) == 9


def test_two_lists_are_taken_as_they_are_and_a_video_in_both_is_said(own, caplog):
    (own / "train.txt").write_text("v1\nv2\n")
    (own / "val.txt").write_text("v2\n")
    assert names(own, "train") == ["v1", "v2"] and names(own, "val") == ["v2"]
    assert "both name v2" in caplog.text


def test_fewer_than_five_videos_hold_out_the_last_and_one_alone_is_refused(tmp_path):
    make_video(tmp_path / "a/frames", tmp_path / "a/masks")
    with pytest.raises(UserError, match=r"leaves none of its 1 to train: add videos, or .*both"):
        names(tmp_path, "train")
    make_video(tmp_path / "b/frames", tmp_path / "b/masks")
    assert names(tmp_path, "train") == ["a"] and names(tmp_path, "val") == ["b"]
    (tmp_path / "val.txt").write_text("a\nb\n")
    with pytest.raises(UserError, match=r"has no train\.txt: .*leaves none of its 2 to train"):
        names(tmp_path, "train")


def test_a_command_says_a_warning_of_ours_once_as_a_line_without_names_of_modules(own, capsys):
    assert command.run("vos3d test", lambda arguments: [names(own, "train"), names(own, "val")], []) == 0
    error = capsys.readouterr().err
    assert error.startswith(f"{own} has no train.txt") and error.count("\n") == 1
    assert logging.getLogger("vos3d_jax").propagate and not logging.getLogger("vos3d_jax").handlers
