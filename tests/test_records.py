"""The one rule for results that are there already."""

from pathlib import Path

import pytest

from vos3d_jax import records

NOW = {"weights": "ab" * 32, "settings": {"overlap": 3, "tail": "code"}, "videos": [["bear", 24]]}


def test_a_record_that_says_more_is_of_the_same():
    assert records.same({**NOW, "path": "somewhere"}, NOW)
    assert records.same({**NOW, "settings": {"tail": "code", "overlap": 3}}, NOW)
    assert not records.same({}, NOW)
    assert not records.same({"weights": NOW["weights"]}, NOW)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": {"overlap": 0, "tail": "code"}}, "with overlap 0 (now 3)"),
        ({"weights": "cd" * 32, "videos": []}, "with other weights, other videos"),
        ({"settings": {"overlap": 0, "tail": "paper"}}, "with overlap 0 (now 3), tail paper (now code)"),
    ],
)
def test_what_differs_is_named_and_digests_and_lists_only_by_their_names(changes, words):
    assert records.differences({**NOW, **changes}, NOW) == words
    message = str(records.occupied(Path("out"), words))
    assert message == f"out is there already, {words}: give another --output, or add --overwrite"


def test_unfinished_results_of_something_else_are_refused_with_the_difference():
    message = str(records.unfinished(Path("out"), "7 masks", "with overlap 0 (now 3)"))
    assert message.startswith("out holds 7 masks, with overlap 0 (now 3): give the command of that run again")


def test_without_a_record_nothing_is_known(tmp_path):
    (tmp_path / "record.json").write_bytes(b"{")
    (tmp_path / "list.json").write_bytes(b"[]")
    for name in ("record.json", "list.json", "nothing.json"):
        assert records.read(tmp_path / name) == {}
    assert records.differences({}, NOW) == ""
    message = str(records.occupied(Path("out"), ""))
    assert message == "out is there already: give another --output, or add --overwrite"
