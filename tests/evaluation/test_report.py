"""What an evaluation leaves behind."""

import io

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import everything_foreground, report, score_predictions
from vos3d_jax.media.images import read_mask

SIZE = (24, 32)


def make_video(name, length=4):
    truth = np.zeros(SIZE, np.uint8)
    truth[4:16, 4:16] = 1
    frame = np.full((*SIZE, 3), 90, np.uint8)
    names = tuple(f"{index:05d}" for index in range(length))
    return Video(name, length, lambda i: frame, lambda i: truth, SIZE, names)


VIDEOS = [make_video("bear"), make_video("surf")]


def truth_of(video):
    return (video.read_mask(index) for index in range(video.length))


def printed(sheet, width=80):
    console = Console(file=io.StringIO(), width=width)
    report.show(sheet, console)
    return console.file.getvalue()


def test_an_evaluation_leaves_scores_masks_and_pictures(tmp_path):
    scores = score_predictions("davis2016", VIDEOS, report.saving(truth_of, tmp_path / "masks"))
    report.write(scores, tmp_path, videos=VIDEOS, masks_dir=tmp_path / "masks")
    assert report.read(tmp_path) == report.read(tmp_path / "scores.json") == scores
    assert np.array_equal(read_mask(tmp_path / "masks/bear/00003.png"), VIDEOS[0].read_mask(3))
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    masks = [f"masks/{name}/{index:05d}.png" for name in ("bear", "surf") for index in range(4)]
    assert found == [*masks, "pictures/bear.png", "pictures/surf.png", "scores.json"]
    with Image.open(tmp_path / "pictures/bear.png") as picture:
        assert picture.width > 3 * 320 and picture.height > 2 * 200


def test_the_table_names_protocol_and_sequences_in_80_columns():
    text = printed(report.table(score_predictions("davis2016", VIDEOS, truth_of)))
    assert "protocol toolkit: all frames but the first and the last" in text
    assert "means over sequences" in text
    assert [line.split()[0] for line in text.splitlines() if "1.000" in line] == ["bear", "surf", "mean"]
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_baselines_stand_in_one_table():
    rows = [
        ("trained network", score_predictions("davis2016", VIDEOS, truth_of)),
        ("everything foreground", score_predictions("davis2016", VIDEOS, everything_foreground)),
    ]
    text = printed(report.compare_table(rows))
    assert "trained network" in text and "everything foreground" in text
    assert f"{144 / 768:.3f}" in text


def test_results_of_different_protocols_are_refused_in_one_table():
    rows = [
        (name, score_predictions(name, VIDEOS, truth_of)) for name in ("davis2016", "davis2016_all_frames")
    ]
    with pytest.raises(UserError, match="are not compared"):
        report.compare_table(rows)
    with pytest.raises(UserError, match="no results to compare"):
        report.compare_table([])


def test_a_file_that_is_missing_or_no_scores_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.json is missing"):
        report.read(tmp_path / "none.json")
    (tmp_path / "scores.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"scores\.json is no scores\.json"):
        report.read(tmp_path)


def test_an_output_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    scores = score_predictions("davis2016", VIDEOS, truth_of)
    with pytest.raises(UserError, match="file/scores.json cannot be written"):
        report.write(scores, tmp_path / "file")
