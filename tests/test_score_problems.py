"""Bad results for `score`: one line each, with the first offender, how many there are, and the mend."""

import numpy as np
import pytest
import score_runs
from mask_folders import box, moving, write_davis, write_grey, write_masks, write_own
from PIL import Image
from score_runs import SEQUENCES, refused, run

from vos3d_jax.evaluation import report
from vos3d_jax.media.masks import PALETTE

folder = score_runs.folder


def test_a_missing_sequence(folder, capsys):
    for path in (folder / "results/surf").iterdir():
        path.unlink()
    (folder / "results/surf").rmdir()
    error = refused(folder, capsys)
    assert "/results/surf is not a folder (the only one, of 2 sequences): write the masks of each" in error


def test_no_sequence_at_all_names_what_is_there_instead(folder, capsys):
    (folder / "results").rename(folder / "480p")
    (folder / "results").mkdir()
    (folder / "480p").rename(folder / "results/480p")
    error = refused(folder, capsys)
    assert "/results/bear is not a folder (the first of 2, of 2 sequences); /results has 480p: " in error


def test_missing_frames(folder, capsys):
    for name in ("00000", "00002", "00003", "00004"):
        (folder / f"results/surf/{name}.png").unlink()
    error = refused(folder, capsys)
    # The first and the last frame are not scored and need no file.
    assert "/results/surf/00002.png is missing (the first of 2, of 6 frames): write a PNG for each" in error


def test_frames_under_other_names(folder, capsys):
    for name in SEQUENCES:
        for path in (folder / "results" / name).iterdir():
            path.rename(path.with_name(path.name[2:]))
    error = refused(folder, capsys)
    assert (
        "/results/bear/00001.png is missing (the first of 6, of 6 frames); /results/bear has 000.png, "
        in error
    )


def test_wrong_size(folder, capsys):
    write_masks(folder / "results/bear", moving(size=(24, 40)))
    error = refused(folder, capsys)
    assert "/results/bear/00001.png is 40x24 but its frame is 32x24 (the first of 3, of 6 frames)" in error
    assert "resize the masks with nearest neighbour" in error


def test_jpeg_masks_by_their_name_or_in_disguise(folder, capsys):
    for name in ("00001", "00002"):
        path = folder / f"results/bear/{name}.png"
        Image.open(path).convert("L").save(path.with_suffix(".jpg"))
        path.unlink()
    error = refused(folder, capsys)
    assert "/results/bear/00001.jpg is a JPEG, which blurs ids (the first of 2, of 6 frames)" in error
    for path in (folder / "results/bear").glob("*.jpg"):
        path.rename(path.with_suffix(".png"))
    assert "/results/bear/00001.png is a JPEG" in refused(folder, capsys)


def test_colours_instead_of_ids(folder, capsys):
    Image.fromarray(PALETTE[box()]).save(folder / "results/surf/00003.png")
    error = refused(folder, capsys)
    assert "/results/surf/00003.png has colours instead of ids (the only one, of 6 frames)" in error
    assert "palette or grey PNG whose pixel values are the object ids" in error


def soft_mask():
    mask = box() * np.uint8(255)
    mask[4], mask[15] = 85, 170
    return mask


def test_anti_aliased_masks(folder, capsys):
    for index in (1, 2):
        write_grey(folder / f"results/bear/0000{index}.png", soft_mask())
    error = refused(folder, capsys)
    assert "/results/bear/00001.png has 3 grey levels, so its edges are soft (the first of 2, of" in error
    assert "threshold the masks in the middle" in error


def test_void_in_a_result_of_one_object(folder, capsys):
    mask = box()
    mask[0] = 255
    write_masks(folder / "results/bear", [mask] * 5)
    error = refused(folder, capsys)
    assert "/results/bear/00001.png has pixels of 255, which is void and no object (the first of 3" in error


def test_trap_7_255_alone_and_other_ids_are_the_object_of_a_benchmark_with_one(folder):
    write_masks(folder / "results/bear", [mask * np.uint8(255) for mask in moving()])
    write_masks(folder / "results/surf", [mask * np.uint8(7) for mask in moving()])
    assert run(folder) == 0
    assert report.read(folder / "out").figures["J mean"] == 1


@pytest.fixture
def objects(tmp_path):
    """Two objects a video, in one's own folder, and right results."""
    masks = [box() + 2 * box(left=20) for _ in range(4)]
    write_own(tmp_path / "data", {name: masks for name in SEQUENCES})
    for name in SEQUENCES:
        write_masks(tmp_path / "results" / name, masks)
    return tmp_path


def test_trap_15_more_objects_than_there_are(objects, capsys):
    write_masks(objects / "results/surf", [3 * box()] * 4)
    error = refused(objects, capsys, benchmark="folder_objects")
    assert (
        "/results/surf/00001.png has the object id 3, but those of the true masks are 1, 2 (the first of 3"
        in error
    )


def test_trap_16_more_than_twenty_proposals(tmp_path, capsys):
    truth = {"bear": [box() + 2 * box(left=20) for _ in range(3)]}
    write_davis(tmp_path / "data", truth, "2017", "Annotations_unsupervised")
    write_masks(tmp_path / "results/bear", [20 * box()] * 3)
    assert run(tmp_path, benchmark="davis2017_unsupervised") == 0
    assert report.read(tmp_path / "out").figures["J mean"] == 0.5
    (tmp_path / "out").rename(tmp_path / "first")
    write_masks(tmp_path / "results/bear", [21 * box()], ["00002"])
    error = refused(tmp_path, capsys, benchmark="davis2017_unsupervised")
    assert "/results/bear/00002.png has the object id 21, but 20 is the largest allowed (the only" in error


@pytest.mark.parametrize("grey", [False, True])
def test_trap_7_255_in_results_of_several_objects(objects, capsys, grey):
    mask = box() * np.uint8(255)
    if grey:
        write_grey(objects / "results/bear/00002.png", mask)
    else:
        write_masks(objects / "results/bear", [mask], ["00002"])
    error = refused(objects, capsys, benchmark="folder_objects")
    assert "/results/bear/00002.png has pixels of 255, which is void and no object (the only one" in error


def test_anti_aliased_masks_of_several_objects(objects, capsys):
    write_grey(objects / "results/bear/00002.png", soft_mask())
    error = refused(objects, capsys, benchmark="folder_objects")
    assert "/results/bear/00002.png has 3 grey levels, so its edges are soft (the only one" in error


def test_damaged_files(folder, capsys):
    (folder / "results/bear/00001.png").write_bytes(b"not a picture")
    error = refused(folder, capsys)
    assert "/results/bear/00001.png cannot be read as a picture (the only one, of 6 frames)" in error
    assert error.endswith(": make these files again")
    whole = (folder / "results/bear/00002.png").read_bytes()
    write_masks(folder / "results/bear", moving())
    (folder / "results/bear/00002.png").write_bytes(whole[:-30])
    assert "/results/bear/00002.png cannot be read" in refused(folder, capsys)
    write_grey(folder / "results/bear/00002.png", box().astype(np.uint16))
    assert "/results/bear/00002.png has the image mode I;16 (the only one" in refused(folder, capsys)


def test_problems_are_counted_over_all_sequences_in_several_processes_too(folder, capsys):
    for name in SEQUENCES:
        write_grey(folder / f"results/{name}/00002.png", soft_mask())
    error = refused(folder, capsys, "--workers=2")
    assert "/results/bear/00002.png has 3 grey levels, so its edges are soft (the first of 2, of 6" in error


def test_maps_are_checked_like_masks(folder, capfd):
    for name in SEQUENCES:
        for index in range(5):
            write_grey(folder / f"maps/{name}/{index:05d}.png", box() * np.uint8(200))
    (folder / "maps/bear/00003.png").unlink()
    options = (f"--maps={folder / 'maps'}",)
    error = refused(folder, capfd, *options, benchmark="davis2016_all_frames")
    assert "/maps/bear/00003.png is missing (the only one, of 10 frames)" in error
    Image.fromarray(PALETTE[box()]).save(folder / "maps/bear/00003.png")
    error = refused(folder, capfd, *options, benchmark="davis2016_all_frames")
    assert "/maps/bear/00003.png is no map: it has the image mode RGB (the only one" in error
    whole = (folder / "maps/bear/00002.png").read_bytes()
    (folder / "maps/bear/00003.png").write_bytes(whole[:-30])
    error = refused(folder, capfd, *options, benchmark="davis2016_all_frames")
    assert "/maps/bear/00003.png cannot be read as a picture (the only one" in error
    write_grey(folder / "maps/bear/00003.png", box() * np.uint8(200))
    assert run(folder, *options, benchmark="davis2016_all_frames") == 0
    assert report.read(folder / "out").figures["pooled F"] == pytest.approx(
        0.8
    )  # one column of ten is wrong on each side
