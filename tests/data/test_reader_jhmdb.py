"""J-HMDB: MATLAB masks with time last, frames from 1 in palette mode, names no shell would like."""

import logging

import numpy as np
import pytest
from golden_files import shared_data
from pictures import box, counts, manifest, save, save_frame
from PIL import Image

from vos3d_jax.data import datasets
from vos3d_jax.errors import UserError

STRANGE = "Goalkeeper_(7)_[@_!]_catch_f_cm_np1_ri_med_0"


def load(data_dir, split="test1"):
    return datasets.load("jhmdb", split, data_dir=data_dir)


def save_masks(path, masks):
    """[t, h, w] -> the release's file: [h, w, t], Fortran order, compressed."""
    from scipy.io import savemat

    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"part_mask": np.asfortranarray(np.moveaxis(masks, 0, -1))}, do_compression=True)


def save_split(root, label, *lines, split=1):
    (root / "splits").mkdir(exist_ok=True)
    (root / f"splits/{label}_test_split{split}.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def clip(tmp_path):
    for number in (1, 2, 3):
        save_frame(tmp_path / f"Rename_Images/catch/{STRANGE}/0000{number}.png")
    masks = np.stack([box(0, 1), box(1, 1), box(2, 1)])
    save_masks(tmp_path / f"puppet_mask/catch/{STRANGE}/puppet_mask.mat", masks)
    save_split(tmp_path, "catch", f"{STRANGE}.avi 2")
    return tmp_path


def test_trap_23_the_real_clips_give_their_counted_pixels(tmp_path):
    source = shared_data("JHMDB")
    truth = manifest("JHMDB")
    names = [path.split("/")[1:3] for path in truth if path.startswith("puppet_mask")]
    for label, name in names:
        shape = truth[f"puppet_mask/{label}/{name}/puppet_mask.mat"]["part_mask"]
        (tmp_path / f"puppet_mask/{label}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"puppet_mask/{label}/{name}").symlink_to(source / f"puppet_mask/{label}/{name}")
        for number in range(1, shape[2] + 1):  # one real frame where there is one, drawn ones for the rest
            real = source / f"Rename_Images/{label}/{name}/{number:05d}.png"
            frame = tmp_path / f"Rename_Images/{label}/{name}/{number:05d}.png"
            if real.exists():
                frame.parent.mkdir(parents=True, exist_ok=True)
                frame.symlink_to(real)
            else:
                save_frame(frame, size=(240, 320))
    for label in {label for label, _ in names}:
        save_split(tmp_path, label, *(f"{name}.avi 2" for other, name in names if other == label))
    videos = load(tmp_path)
    assert sorted(video.name for video in videos) == sorted("/".join(name) for name in names)
    for video in videos:
        entry = truth[f"puppet_mask/{video.name}/puppet_mask.mat"]
        assert (*video.size, video.length) == tuple(entry["part_mask"])
        pixels = [int(video.read_mask(index).sum()) for index in range(video.length)]
        assert [pixels[0], pixels[-1], sum(pixels)] == entry["fg_first_last_total"]


def test_trap_23_the_real_frames_are_palette_pictures_and_come_as_rgb(tmp_path):
    source = shared_data("JHMDB")
    name = "Goalkeeper_Training_Day_@_7_catch_f_cm_np1_ri_med_0"
    for folder in ("Rename_Images", "puppet_mask"):
        (tmp_path / folder).symlink_to(source / folder)
    save_split(tmp_path, "catch", f"{name}.avi 1", split=3)
    (video,) = load(tmp_path, "train3")
    with Image.open(source / f"Rename_Images/catch/{name}/00001.png") as image:
        assert image.mode == "P"
        assert np.array_equal(video.read_frame(0), np.array(image.convert("RGB")))
    assert video.length == 1  # of 30 masks: the sample has one frame


def test_traps_15_and_23_mask_k_belongs_to_frame_k_plus_1(clip):
    (clip / f"Rename_Images/catch/{STRANGE}/00002.png").unlink()
    (video,) = load(clip)
    assert video.frame_names == ("00001", "00003")
    assert [int(np.flatnonzero(video.read_mask(index)[2])[0]) for index in (0, 1)] == [0, 2]


def test_frames_after_the_last_mask_are_dropped_and_masks_without_frame_reported(clip, caplog):
    save_frame(clip / f"Rename_Images/catch/{STRANGE}/00004.png")
    assert load(clip)[0].length == 3
    for number in (3, 4):
        (clip / f"Rename_Images/catch/{STRANGE}/0000{number}.png").unlink()
    with caplog.at_level(logging.WARNING):
        assert load(clip)[0].length == 2
    assert "1 masks have no frame and are left out" in caplog.text
    assert "20 of 21 classes have no list" in caplog.text


def test_a_clip_of_one_frame_has_lost_its_time_axis_in_matlab(clip):
    from scipy.io import savemat

    savemat(clip / f"puppet_mask/catch/{STRANGE}/puppet_mask.mat", {"part_mask": box(1, 1)})
    (video,) = load(clip)
    assert video.length == 1
    assert counts(video.read_mask(0)) == {"0": 180, "1": 12}


def test_traps_23_and_29_the_class_is_the_first_part_of_a_name_that_no_pattern_would_match(clip):
    (video,) = load(clip)
    assert video.name == f"catch/{STRANGE}"
    assert counts(video.read_mask(2)) == {"0": 180, "1": 12}


def test_trap_17_lists_hold_0_1_and_2_blanks_and_empty_lines(clip):
    save_split(clip, "catch", "gone_a.avi 0", f" {STRANGE}.avi 1 \r", "", "gone_b.avi 2", split=2)
    assert [video.name for video in load(clip, "train2")] == [f"catch/{STRANGE}"]
    with pytest.raises(
        UserError, match=r"the frames of 'catch/gone_b' are missing: .*gone_b is not a folder"
    ):
        load(clip, "test2")
    save_split(clip, "catch", "a.avi 3", split=2)
    with pytest.raises(UserError, match=r'catch_test_split2\.txt has the line "a\.avi 3": expected'):
        load(clip, "test2")


def test_missing_and_damaged_masks_are_named(clip):
    path = clip / f"puppet_mask/catch/{STRANGE}/puppet_mask.mat"
    data = path.read_bytes()
    for damaged in (b"", data[:60], data[:140], b"no MATLAB file at all" * 20):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"puppet_mask\.mat (cannot be read|has no array part_mask)"):
            load(clip)
    path.unlink()
    with pytest.raises(UserError, match=r"puppet_mask\.mat is missing: fetch the masks .*jhmdb\.is\.tue"):
        load(clip)


def test_masks_of_another_size_are_named(clip):
    save(clip / f"Rename_Images/catch/{STRANGE}/00001.png", np.zeros((12, 15, 3)))
    with pytest.raises(UserError, match=r"puppet_mask\.mat is 16x12 but its frame is 15x12"):
        load(clip)


def test_missing_data_and_other_splits_are_named(tmp_path, clip):
    with pytest.raises(UserError, match="no split 'val': use"):
        load(clip, "val")
    with pytest.raises(UserError, match=r"no lists: .*brush_hair_test_split2\.txt is not there"):
        load(clip, "test2")
    with pytest.raises(UserError, match=r"J-HMDB was not found: .*Rename_Images is not a folder; .*jhmdb"):
        load(tmp_path / "none")
