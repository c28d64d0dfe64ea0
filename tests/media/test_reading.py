"""What stands for frames that cannot be decoded: stated by a rule, counted and said."""

import numpy as np
import pytest
from PIL import Image

from vos3d_jax.errors import UserError
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.reading import Picture, Reading


def _pictures(pattern, error=None):
    """A picture for each letter, whose value is its number; x stands for one that cannot be decoded."""
    for number, letter in enumerate(pattern):
        if letter == "x":
            yield Picture(None, said="broken")
        else:
            yield Picture(np.full((2, 2, 3), number, np.uint8))
    if error:
        raise UserError(error)


def _read(pattern, rule, error=None, length=None):
    told = []
    reading = Reading("clip", _pictures(pattern, error), length, rule, told.append)
    return [(number, int(picture.pixels[0, 0, 0])) for number, picture in reading], reading, told


@pytest.mark.parametrize(
    ("pattern", "repeat", "skip", "stop"),
    [
        ("oooo", [(0, 0), (1, 1), (2, 2), (3, 3)], [(0, 0), (1, 1), (2, 2), (3, 3)], None),
        ("ooxo", [(0, 0), (1, 1), (2, 1), (3, 3)], [(0, 0), (1, 1), (3, 3)], [(0, 0), (1, 1)]),
        ("oxxo", [(0, 0), (1, 0), (2, 0), (3, 3)], [(0, 0), (3, 3)], [(0, 0)]),
        (
            "oooxx",
            [(0, 0), (1, 1), (2, 2), (3, 2), (4, 2)],
            [(0, 0), (1, 1), (2, 2)],
            [(0, 0), (1, 1), (2, 2)],
        ),
    ],
)
def test_numbers_are_places_by_every_rule(pattern, repeat, skip, stop):
    for rule, expected in (("repeat", repeat), ("skip", skip), ("stop", stop or repeat)):
        found, reading, told = _read(pattern, rule)
        assert found == expected
        good = len(expected) if rule == "stop" else pattern.count("o")
        assert reading.decoded == good
        if "x" not in pattern:
            assert reading.summary() is None and reading.stopped is None and not told
        elif rule == "stop":
            assert reading.stopped == f"clip: frame {pattern.index('x')} cannot be decoded (broken)"
        else:
            assert reading.summary().startswith(f"{good} of {len(pattern)} frames decoded")
            assert told == [f"frame {n} cannot be decoded: broken" for n, x in enumerate(pattern) if x == "x"]


def test_before_the_first_good_picture_stands_that_picture():
    assert _read("xxoo", "repeat")[0] == [(0, 2), (1, 2), (2, 2), (3, 3)]
    assert _read("xxoo", "skip")[0] == [(2, 2), (3, 3)]


@pytest.mark.parametrize("pattern", ["", "xxx"])
def test_a_video_without_any_picture_is_refused(pattern):
    with pytest.raises(UserError, match="clip has no frame that can be decoded"):
        _read(pattern, "repeat")
    with pytest.raises(UserError, match="clip"):
        _read(pattern, "stop")


@pytest.mark.parametrize("rule", ["repeat", "skip", "stop"])
def test_what_came_before_an_early_end_is_kept_and_the_end_is_said(rule):
    found, reading, _ = _read("ooo", rule, "clip ends here", length=9)
    assert len(found) == 3 and reading.summary() == "3 of 9 frames decoded; clip ends here"
    assert reading.stopped == ("clip ends here" if rule == "stop" else None)
    with pytest.raises(UserError, match="clip ends here"):
        _read("", rule, "clip ends here")


def test_many_bad_frames_are_counted_and_not_told_one_by_one():
    _, reading, told = _read("o" + "xo" * 50, "repeat")
    assert len(told) == 11 and told[-1].startswith("more such frames")
    assert reading.summary() == (
        "51 of 101 frames decoded; the picture before is used in the place of frames "
        "1, 3, 5, 7, 9, 11, 13, 15, 17, 19, ..."
    )


def test_a_word_that_is_no_rule_is_refused():
    with pytest.raises(UserError, match="bad_frames is 'ignore': give one of repeat, skip, stop"):
        _read("o", "ignore")


def test_a_damaged_picture_of_a_folder_keeps_its_place_and_is_named(tmp_path):
    for number in range(6):
        Image.new("RGB", (16, 12), (40 * number, 0, 0)).save(tmp_path / f"{number:05d}.png")
    damaged = tmp_path / "00004.png"
    damaged.write_bytes(damaged.read_bytes()[:50])
    told = []
    reading = open_frames(tmp_path).reading(tell=told.append)
    assert [int(picture.pixels[0, 0, 0]) for _, picture in reading] == [0, 40, 80, 120, 120, 200]
    assert reading.summary().startswith("5 of 6 frames decoded")
    assert len(told) == 1 and told[0].startswith("frame 4 cannot be decoded") and str(damaged) in told[0]
