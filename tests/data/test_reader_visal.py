"""ViSal: flat masks told apart by name, both namings, black and white masks with or without soft edges."""

import logging

import numpy as np
import pytest
from pictures import SIZE, box, counts, save, save_frame

from vos3d_jax.data import datasets
from vos3d_jax.data.readers.visal import VISAL, VISAL_REPACKED
from vos3d_jax.errors import UserError


def load(data_dir):
    return datasets.load("visal", "all", data_dir=data_dir)


def make(root, *names, images="ViSal", ending=".bmp"):
    for name in names:
        sign = "" if name in ("gokart", "snow_leopards") else "_"
        for number in (1, 2):
            save_frame(root / images / name / f"{name}{sign}{number:03d}{ending}")
        save(root / "GroundTruth" / f"{name}{sign}002.bmp", box())
    return root


@pytest.mark.parametrize("images", ["ViSal", ""])
def test_traps_18_and_20_each_sequence_finds_its_own_masks(tmp_path, images):
    make(tmp_path, *VISAL, images=images)
    videos = load(tmp_path)
    assert tuple(video.name for video in videos) == VISAL
    for video in videos:
        assert video.annotated == (1,)
        assert video.read_mask(0) is None
        assert counts(video.read_mask(1)) == {"0": 180, "1": 12}


def test_trap_20_boat_does_not_take_the_masks_of_boat2(tmp_path, caplog):
    make(tmp_path, "boat", "boat2")
    save(tmp_path / "GroundTruth/boat2_007.bmp", box())
    with caplog.at_level(logging.WARNING):
        load(tmp_path)
    assert (
        "boat2: 1 of 2 masks have no frame of their name and are left out (the first: boat2_007"
        in caplog.text
    )
    assert "ViSal boat:" not in caplog.text


def test_trap_20_horse2_of_the_repacked_copies_is_another_video_so_names_are_not_mixed(tmp_path):
    make(tmp_path, *VISAL_REPACKED, ending=".jpg")
    assert tuple(video.name for video in load(tmp_path)) == VISAL_REPACKED
    make(tmp_path, "cow4")
    with pytest.raises(UserError, match=r"as in the release \(cow4\) and as in repacked copies \(cow\)"):
        load(tmp_path)


def test_trap_7_soft_edges_are_cut_at_the_half_and_copies_of_0_and_1_are_taken_as_they_are(tmp_path):
    make(tmp_path, "lion")
    soft = np.zeros(SIZE)
    soft[0, :4] = (1, 127, 128, 255)
    save(tmp_path / "GroundTruth/lion_001.png", soft)
    (tmp_path / "GroundTruth/lion_002.bmp").unlink()
    save(tmp_path / "GroundTruth/lion_002.png", box(value=1))
    (video,) = load(tmp_path)
    assert video.read_mask(0)[0, :4].tolist() == [0, 0, 1, 1]
    assert counts(video.read_mask(1)) == {"0": 180, "1": 12}


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_black_and_white_masks_of_every_mode_are_read_by_their_brightness(tmp_path, mode):
    make(tmp_path, "lion")
    save(tmp_path / "GroundTruth/lion_002.bmp", box(), mode=mode)
    assert counts(load(tmp_path)[0].read_mask(1)) == {"0": 180, "1": 12}


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(
        UserError, match=r"ViSal was not found: .*GroundTruth is not a folder; fetch it from the page"
    ):
        load(tmp_path)
    make(tmp_path, "lion")
    (tmp_path / "GroundTruth/lion_002.bmp").unlink()
    with pytest.raises(UserError, match=r"no mask of 'lion' that fits its frames: no lion_\* is there"):
        load(tmp_path)
    save(tmp_path / "GroundTruth/lion_9.bmp", box())
    with pytest.raises(UserError, match=r"lion_9\.bmp has no frame of its name in .*ViSal/lion"):
        load(tmp_path)
