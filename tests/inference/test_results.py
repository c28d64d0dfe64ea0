"""Results replace older ones altogether or not at all, and a run that was killed goes on."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from video_files import write_video

from vos3d_jax.errors import UserError
from vos3d_jax.inference.predictor import Frame
from vos3d_jax.inference.results import VideoResults
from vos3d_jax.media.frames import open_frames
from vos3d_jax.media.reading import Picture
from vos3d_jax.media.video_writer import VideoWriter


@pytest.fixture
def video(tmp_path):
    np.save(tmp_path / "square.npy", np.zeros((1, 8, 8, 3), np.uint8))
    return open_frames(tmp_path / "square.npy")


def segment(video, output, value, **options):
    options = {"overlay": False, "soft": True, "overwrite": True} | options
    key = {"value": value}
    with VideoResults(output, video, key, **options) as results:
        mask = np.full((8, 8), value, np.uint8)
        results.write(Frame(0, mask, mask.astype(np.float32)), Picture(np.zeros((8, 8, 3), np.uint8)))


def contents(folder):
    """All files but those of a run that can go on."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".square.partial" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def fail_at(monkeypatch, number, error):
    """The rename of that number, counted from 1, and no other, fails."""
    rename, calls = Path.rename, []

    def counted(self, target):
        calls.append(target)
        if len(calls) == number:
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", counted)


@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_when_a_rename_fails_the_old_results_are_as_before(video, tmp_path, monkeypatch, number, error):
    output = tmp_path / "out"
    segment(video, output, 0)
    before = contents(output)
    fail_at(monkeypatch, number, error)
    with pytest.raises(UserError if isinstance(error, OSError) else KeyboardInterrupt):
        segment(video, output, 1)
    assert contents(output) == before
    segment(video, tmp_path / "new", 1)
    segment(video, output, 1)  # what was made is kept for the same command
    assert contents(output) == contents(tmp_path / "new")
    assert sorted(path.name for path in output.iterdir()) == ["soft", "square", "square.json"]


def test_when_a_rename_fails_new_results_beside_old_ones_go_too(video, tmp_path, monkeypatch):
    output = tmp_path / "out"
    segment(video, output, 0, soft=False)
    before = contents(output)
    fail_at(monkeypatch, 2, OSError(28, "No space left on device"))  # the soft maps are in place by then
    with pytest.raises(UserError, match="No space left"):
        segment(video, output, 1)
    assert contents(output) == before


@pytest.mark.parametrize("number", range(1, 8))
def test_after_a_kill_between_renames_the_next_run_puts_the_old_results_back(
    video, tmp_path, monkeypatch, number
):
    # Trap: the next run clears what a killed one left, and that may be all there is of the old results.
    output = tmp_path / "out"
    segment(video, output, 0)
    before = contents(output)
    with monkeypatch.context() as patch:
        fail_at(patch, number, KeyboardInterrupt())
        patch.setattr(VideoResults, "_put_back", lambda self: None)
        with pytest.raises(KeyboardInterrupt):
            segment(video, output, 1)
    with pytest.raises(UserError, match="is there already, with value 0"):
        segment(video, output, 2, overwrite=False)
    assert contents(output).items() >= before.items()
    segment(video, output, 0)
    assert contents(output) == before


@pytest.mark.parametrize("number", range(1, 5))
def test_after_a_kill_between_renames_that_replaced_nothing_the_same_run_ends_as_it_would_have(
    video, tmp_path, monkeypatch, number
):
    # Trap: what is in its place already would be taken for the results of somebody else.
    segment(video, tmp_path / "whole", 1)
    output = tmp_path / "out"
    with monkeypatch.context() as patch:
        fail_at(patch, number, KeyboardInterrupt())
        patch.setattr(VideoResults, "_put_back", lambda self: None)
        with pytest.raises(KeyboardInterrupt):
            segment(video, output, 1)
    with VideoResults(output, video, {"value": 1}, overlay=False, soft=True, overwrite=False) as results:
        assert results.done == 1 and not results.finished
    assert contents(output) == contents(tmp_path / "whole")


def test_old_results_that_cannot_be_put_back_are_kept_for_the_next_run(video, tmp_path, monkeypatch):
    output = tmp_path / "out"
    segment(video, output, 0)
    before = contents(output)
    rename, calls = Path.rename, []

    def broken(self, target):
        calls.append(target)
        if len(calls) > 1:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", broken)
        with pytest.raises(UserError, match="Input/output error"):
            segment(video, output, 1)
    with pytest.raises(UserError, match="is there already"):
        segment(video, output, 1, overwrite=False)
    assert contents(output).items() >= before.items()


def test_half_deleted_old_results_never_come_back(video, tmp_path):
    # Trap: a run killed while it deletes what it replaced must not cost the new results.
    output = tmp_path / "out"
    segment(video, output, 1)
    new = contents(output)
    (output / ".square.replaced" / "masks.old").mkdir(parents=True)
    with pytest.raises(UserError, match="is there already"):
        segment(video, output, 0, overwrite=False)
    assert contents(output) == new
    assert not (output / ".square.replaced").exists()
    segment(video, output, 1)
    assert sorted(path.name for path in output.iterdir()) == ["soft", "square", "square.json"]


@pytest.mark.parametrize("number", [None, *range(1, 6)])
def test_soft_maps_of_results_that_are_replaced_go_too_and_files_of_others_stay(
    video, tmp_path, monkeypatch, number
):
    # Trap: beside new masks the old soft maps would be taken for theirs.
    output = tmp_path / "out"
    segment(video, output, 0)
    (output / "square.mp4").write_bytes(b"somebody's")
    before = contents(output)
    if number:  # killed between two renames, or not
        with monkeypatch.context() as patch:
            fail_at(patch, number, KeyboardInterrupt())
            with pytest.raises(KeyboardInterrupt):
                segment(video, output, 1, soft=False)
        assert contents(output) == before
    segment(video, output, 1, soft=False)
    assert sorted(path.name for path in output.iterdir()) == ["square", "square.json", "square.mp4"]
    assert contents(output)["square.mp4"] == b"somebody's"
    with pytest.raises(UserError, match="is there already, without soft maps"):
        segment(video, output, 1, overwrite=False)


def test_the_input_is_not_taken_for_the_overlay_of_an_earlier_run(video, tmp_path):
    # Trap: with --no-overlay no overlay is made, but the older one makes way.
    output = tmp_path / "out"
    segment(video, output, 0, overlay=True)
    other = write_video(output / "square.mp4", np.zeros((2, 8, 8, 3), np.uint8))
    before = contents(output)
    with pytest.raises(UserError, match="square.mp4 is the input itself"):
        segment(open_frames(other), output, 1)
    assert contents(output) == before


def test_a_disk_that_is_full_when_the_overlay_ends_does_not_cost_the_masks(video, tmp_path, monkeypatch):
    def full(self, *exception):
        self._container.close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(VideoWriter, "__exit__", full)
        with pytest.raises(UserError, match="free some space"):
            segment(video, tmp_path, 1, overlay=True)
    with VideoResults(tmp_path, video, {"value": 1}, overlay=True, soft=True, overwrite=False) as results:
        assert results.done == 1
        results.show(0, Picture(np.zeros((8, 8, 3), np.uint8)))
    assert {"square.mp4", "square/00000.png"} < contents(tmp_path).keys()


@pytest.mark.parametrize("name", ["soft", "Soft"])  # the same folder on many a Mac
@pytest.mark.parametrize("soft", [True, False])
def test_a_video_called_soft_cannot_replace_the_soft_maps_of_all_others(video, tmp_path, name, soft):
    output = tmp_path / "out"
    segment(video, output, 0)
    before = contents(output)
    np.save(tmp_path / f"{name}.npy", np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(UserError, match="where soft maps go: rename the input"):
        segment(open_frames(tmp_path / f"{name}.npy"), output, 1, soft=soft)
    assert contents(output) == before


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.EACCES, "give a folder that you may write to"),
        (errno.ENOSPC, "free some space"),
        (errno.EIO, "give another folder"),
    ],
)
def test_what_cannot_be_written_is_told_with_its_own_mend(video, tmp_path, monkeypatch, number, mend):
    fail_at(monkeypatch, 1, OSError(number, os.strerror(number)))
    with pytest.raises(UserError, match=f"{os.strerror(number)}.: {mend}"):
        segment(video, tmp_path / "out", 0)


def test_a_file_in_the_place_of_the_output_folder_is_told_as_such(video, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="a file stands where a folder is needed, so give another folder"):
        segment(video, tmp_path / "file", 0)
