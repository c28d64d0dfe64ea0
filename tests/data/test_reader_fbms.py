"""FBMS-59: two kinds of masks, definition files, numbers of any padding, and defects of the data."""

import logging

import numpy as np
import pytest
from golden_files import shared_data
from pictures import SIZE, box, counts, manifest, save, save_frame

from vos3d_jax.data import datasets
from vos3d_jax.errors import UserError

CYAN, RED, WHITE = (0, 255, 255), (255, 0, 0), (255, 255, 255)


def load(data_dir, split="test"):
    return datasets.load("fbms", split, data_dir=data_dir)


def frames(root, name, numbers, pattern="{name}_{number:02d}.jpg", split="Testset"):
    for number in numbers:
        save_frame(root / split / name / pattern.format(name=name, number=number))
    return root / split / name / "GroundTruth"


def save_ppm(path, *colours, background=WHITE):
    """A P6 file: one column of each colour, then background."""
    pixels = np.full((*SIZE, 3), background, np.uint8)
    for column, colour in enumerate(colours):
        pixels[:, column] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"P6\n# made here\n%d %d\n255\n" % (SIZE[1], SIZE[0]) + pixels.tobytes())


def save_pgm(path, *values, largest=65535):
    pixels = np.zeros(SIZE, ">u2" if largest > 255 else np.uint8)
    for column, value in enumerate(values):
        pixels[:, column] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"P5 %d %d %d\n" % (SIZE[1], SIZE[0], largest) + pixels.tobytes())


def save_definition(path, *codes):
    lines = ["Total number of regions", str(len(codes))]
    for index, code in enumerate(codes):
        lines += [f"Scale of region {index}", str(code)]
    lines += ["Total number of labeled frames for this shot", "1", "Frame number", "0", "File name", "x.ppm"]
    path.write_text("\r\n".join(lines) + "\r\n")


def columns(mask):
    return mask[0, :6].tolist()


def test_traps_15_21_and_30_the_real_bear01_gives_its_counted_pixels():
    truth = manifest("FBMS")
    (video,) = load(shared_data("FBMS"), "train")
    assert video.name == "bear01" and video.size == (540, 960)
    assert video.frame_names == tuple(
        f"bear01_{number:04d}" for number in (1, 2, 3, 4, 19, 20)
    )  # with the gap
    assert video.annotated == (0, 5)
    assert [video.read_mask(index) is None for index in range(6)] == [False, True, True, True, True, False]
    for index, number in ((0, 1), (5, 20)):
        colours = truth[f"Trainingset/bear01/GroundTruth/bear01_{number:04d}_gt.ppm"]["counts"]
        assert counts(video.read_mask(index)) == {"0": colours["255,255,255"], "1": colours["0,255,255"]}
    for index, name in enumerate(video.frame_names):
        expected = truth[f"Trainingset/bear01/{name}.jpg"]["mean_rgb"]
        assert np.abs(video.read_frame(index).mean((0, 1)) - expected).max() < 1


def test_trap_21_white_is_background_in_ppm_and_a_colour_is_one_id_in_all_frames(tmp_path):
    truth = frames(tmp_path, "camel01", (1, 20))
    save_ppm(truth / "camel01_0001_gt.ppm", RED)
    save_ppm(truth / "camel01_0020_gt.ppm", RED, CYAN)
    save_ppm(truth / "camel01_0020PROB_gt.ppm", (1, 2, 3))
    (video,) = load(tmp_path)
    assert columns(video.read_mask(0)) == [2, 0, 0, 0, 0, 0]  # cyan is the smaller code
    assert columns(video.read_mask(1)) == [2, 1, 0, 0, 0, 0]


def test_trap_21_black_is_background_in_pgm_and_values_are_not_scaled(tmp_path):
    truth = frames(tmp_path, "people1", (1, 2), "{name}_{number:03d}.jpg")
    save_pgm(truth / "people1_001.pgm", 65535, 0, 3, 300)
    save_pgm(truth / "people1_002.pgm", 3, largest=7)
    (video,) = load(tmp_path)
    assert columns(video.read_mask(0)) == [3, 0, 1, 2, 0, 0]
    assert columns(video.read_mask(1)) == [1, 0, 0, 0, 0, 0]


def test_trap_21_the_definition_file_decides(tmp_path):
    truth = frames(tmp_path, "camel01", (1,))
    save_ppm(truth / "camel01_0001_gt.ppm", RED, CYAN, WHITE, background=(0, 0, 0))
    save_definition(truth / "camel01Def.dat", 0, 0x00FFFF, 0xFF0000)
    assert columns(load(tmp_path)[0].read_mask(0)) == [2, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "split, name, ids",
    [
        ("test", "marple2", [0, 1, 0, 2, 0, 3]),
        ("test", "marple7", [0, 1, 0, 2, 3, 4]),
        ("train", "marple10", [0, 1, 0, 2, 3, 4]),
        ("train", "marple13", [0, 1, 0, 2, 3, 4]),
        ("test", "marple4", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_trap_21_some_regions_of_four_marples_are_background(tmp_path, split, name, ids):
    folder = {"train": "Trainingset", "test": "Testset"}[split]
    truth = frames(tmp_path, name, (1,), split=folder)
    save_pgm(truth / f"{name}_01.pgm", 0, 20, 40, 60, 80, 100, largest=255)
    save_definition(truth / f"{name}Def.dat", 0, 20, 40, 60, 80, 100)
    assert columns(load(tmp_path, split)[0].read_mask(0)) == ids


def test_trap_21_without_definition_two_marples_have_their_darkest_grey(tmp_path):
    for name in ("marple2", "marple7", "marple9"):
        truth = frames(tmp_path, name, (1,))
        save_pgm(truth / f"{name}_01.pgm", 12, 13, 102, 103, largest=255)
    found = {video.name: columns(video.read_mask(0))[:4] for video in load(tmp_path)}
    assert found == {"marple2": [0, 0, 0, 1], "marple7": [0, 1, 2, 3], "marple9": [1, 2, 3, 4]}


def test_trap_21_tennis_has_no_underscore(tmp_path):
    truth = frames(tmp_path, "tennis", (9, 10), "{name}{number:03d}.jpg")
    save_pgm(truth / "tennis010.pgm", 7)
    (video,) = load(tmp_path)
    assert video.frame_names == ("tennis009", "tennis010")
    assert video.annotated == (1,)


def test_trap_16_masks_belong_to_numbers_and_numbers_are_sorted_as_numbers(tmp_path):
    truth = frames(tmp_path, "cars1", (9, 10, 100), "{name}_{number}.jpg")
    save_pgm(truth / "cars1_0010.pgm", 7)
    (video,) = load(tmp_path)
    assert video.frame_names == ("cars1_9", "cars1_10", "cars1_100")
    assert video.annotated == (1,)


def test_a_number_that_no_frame_has_and_an_empty_first_mask_are_left_out_and_reported(tmp_path, caplog):
    truth = frames(tmp_path, "camel01", (1, 2, 3))
    save_ppm(truth / "camel01_0001_gt.ppm")
    save_ppm(truth / "camel01_0003_gt.ppm", RED)
    save_ppm(truth / "camel01_0200_gt.ppm", RED)
    with caplog.at_level(logging.WARNING):
        (video,) = load(tmp_path)
    assert video.annotated == (2,)
    assert (
        "camel01: 1 of 3 masks have a number that no frame has and are left out (the first: camel01_0200"
        in caplog.text
    )
    assert "the first mask, camel01_0001_gt.ppm, is empty and is left out" in caplog.text
    assert "29 of 30 sequences are not in" in caplog.text


def test_the_converted_masks_of_3dcseg_are_read_and_void_is_foreground_there(tmp_path):
    frames(tmp_path, "goats01", (1, 2), "{name}_{number:04d}.jpg")
    save(tmp_path / "inst/test/goats01/goats01_0002.png", box(value=255) + box(8, value=3))
    (video,) = load(tmp_path)
    assert video.annotated == (1,)
    assert counts(video.read_mask(1)) == {"0": 168, "1": 24}


def test_masks_copied_to_png_beside_the_frames_are_read(tmp_path):
    truth = frames(tmp_path, "goats01", (1, 2), "{name}_{number:04d}.jpg")
    save(truth / "002_gt.png", box(value=90))
    (video,) = load(tmp_path)
    assert video.annotated == (1,)
    assert counts(video.read_mask(1)) == {"0": 180, "1": 12}


def test_missing_and_damaged_parts_are_named(tmp_path):
    with pytest.raises(
        UserError, match=r"FBMS-59 was not found: .*/Testset is not a folder; fetch it from https://lmb"
    ):
        load(tmp_path)
    truth = frames(tmp_path, "camel01", (1,))
    with pytest.raises(
        UserError, match=r"no masks: neither .*camel01/GroundTruth nor .*inst/test is a folder"
    ):
        load(tmp_path)
    truth.mkdir()
    with pytest.raises(UserError, match=r"GroundTruth holds no masks: expected \.ppm"):
        load(tmp_path)
    save_ppm(truth / "camel01_01_gt.ppm", RED)
    (truth / "camel01Def.dat").write_text("Total number of regions\n2\nScale of region 0\nwhite\n")
    with pytest.raises(UserError, match=r"camel01Def\.dat is damaged: expected"):
        load(tmp_path)
    with pytest.raises(UserError, match="no split 'val': use"):
        load(tmp_path, "val")


def test_a_mask_of_another_size_and_two_masks_of_one_number_are_named(tmp_path):
    truth = frames(tmp_path, "camel01", (1,))
    save_ppm(truth / "camel01_0001_gt.ppm", RED)
    save_frame(tmp_path / "Testset/camel01/camel01_01.jpg", size=(12, 15))
    with pytest.raises(UserError, match=r"_gt\.ppm is 16x12 but its frame is 15x12"):
        load(tmp_path)[0].read_mask(0)
    save_ppm(truth / "camel01_01_gt.ppm", RED)
    with pytest.raises(UserError, match="have the same number: keep one"):
        load(tmp_path)
