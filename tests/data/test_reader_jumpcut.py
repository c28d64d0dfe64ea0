"""JumpCut: files are found by patterns, masks belong to numbers."""

import pytest
from pictures import box, counts, save, save_frame

from vos3d_jax.data import datasets
from vos3d_jax.errors import UserError


def load(data_dir, **options):
    return datasets.load("jumpcut", "all", data_dir=data_dir, **options)


def test_the_layout_of_one_folder_a_clip_is_read_as_it_stands(tmp_path):
    for number in (9, 10):
        save_frame(tmp_path / f"bear/frames/{number}.jpg")
        save(tmp_path / f"bear/masks/{number}.png", box())
    (video,) = load(tmp_path)
    assert (video.name, video.frame_names, video.annotated) == ("bear", ("9", "10"), (0, 1))
    assert counts(video.read_mask(1)) == {"0": 180, "1": 12}


def test_patterns_name_any_other_layout_and_masks_are_paired_by_number(tmp_path):
    folder = tmp_path / "my data [1]/SNAPCUT"
    for number in (0, 1, 2):
        save_frame(folder / f"fish/src_{number:03d}.png")
        if number != 1:
            save(folder / f"fish/gt_{number}.png", box())
    (video,) = load(
        tmp_path / "my data [1]", frames="{group}/{clip}/src_*.png", masks="{group}/{clip}/gt_?.png"
    )
    assert video.frame_names == ("src_000", "src_001", "src_002")
    assert video.annotated == (0, 2)


def test_clips_that_are_found_nowhere_and_masks_that_fit_no_frame_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nothing like bear/frames/\*; .*masks=\"\{clip\}/masks/\*\""):
        load(tmp_path)
    with pytest.raises(UserError, match="no folder was given for JumpCut"):
        load(None)
    save_frame(tmp_path / "bear/frames/1.jpg")
    with pytest.raises(UserError, match=r"no mask of 'bear' has the number of a frame; .*\{clip\}/masks"):
        load(tmp_path)
