"""`score` on one's own videos: what masks mean is decided once a video, said, and never guessed."""

import importlib
import json
import os
import shutil

import numpy as np
import pytest
from mask_folders import SIZE, box, write_davis, write_frames, write_grey, write_masks, write_own
from PIL import Image, ImageFilter

command = importlib.import_module("vos3d_jax.score")
GREYS = [part for value in range(256) for part in (value,) * 3]
COUNT = 5


@pytest.fixture
def score(tmp_path, capsys):
    """Runs the command on data/ and results/; gives scores.json, or the one line of a refusal."""

    def run(benchmark, *more, data="data", results="results"):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        status = command.main(
            [
                f"--benchmark={benchmark}",
                f"--data_dir={tmp_path / data}",
                f"--results={tmp_path / results}",
                f"--output={tmp_path / 'out'}",
                "--workers=1",
                *more,
            ]
        )
        shown = capsys.readouterr()
        run.shown = shown.out.replace("\n", " ") + shown.err
        if status == 0:
            return json.loads((tmp_path / "out/scores.json").read_text())
        assert status == 2 and not (tmp_path / "out/scores.json").exists()
        errors = [line for line in shown.err.splitlines() if line.startswith("vos3d score: error: ")]
        assert len(errors) == 1
        return errors[0].replace(str(tmp_path), "")

    return run


def save(folder, pictures, ending="png", names=None):
    """Pictures under the names of frames."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(pictures):
        image.save(folder / f"{names[index] if names else f'{index:05d}'}.{ending}")


def own(tmp_path, truths, results):
    """A video "clip" with these pictures for true masks and results."""
    write_frames(tmp_path / "data/clip/frames", len(truths), SIZE)
    save(tmp_path / "data/clip/masks", truths)
    save(tmp_path / "results/clip", results)


def grey(values):
    return Image.fromarray(values)


def indexed(values, palette=GREYS):
    image = Image.fromarray(values)
    image.putpalette(palette)
    return image


def in_alpha(mode, colour):
    alpha = grey(box() * np.uint8(255))
    return Image.merge(mode, [Image.new("L", alpha.size, colour)] * (len(mode) - 1) + [alpha])


WHITE = [box(left=4 + t) * np.uint8(255) for t in range(COUNT)]
RIGHT = [grey(values // 255) for values in WHITE]
SOFT = [grey(values).filter(ImageFilter.GaussianBlur(1.2)) for values in WHITE]


@pytest.mark.parametrize("picture", [grey, indexed])
def test_black_and_white_truths_are_one_object_in_palettes_as_in_greys(tmp_path, score, picture):
    own(tmp_path, [picture(values) for values in WHITE], [grey(np.roll(v, 5, 1) // 255) for v in WHITE])
    found = score("folder")
    assert found["figures"]["J mean"] == pytest.approx(50 / 150)
    assert found["provenance"]["masks"] == {
        "truth": {"one object (0 and 255)": ["clip"]},
        "results": {"one object (0 and 1)": ["clip"]},
    }
    said = "true masks: one object (0 and 255) (1); results: one object (0 and 1) (1)"
    assert said in score.shown and said in (tmp_path / "out/report.html").read_text("utf-8")
    save(tmp_path / "results/clip", [grey(values * 0) for values in WHITE])
    assert score("folder")["figures"]["J mean"] == 0


def test_soft_edges_and_stray_greys_are_refused_for_truths_as_for_results_or_cut(tmp_path, score):
    own(tmp_path, SOFT, RIGHT)
    soft = "00000.png has 28 grey levels, so its edges are soft"
    assert f"/data/clip/masks/{soft}: threshold" in score("folder")
    own(tmp_path, RIGHT, SOFT)
    assert f"/results/clip/{soft} (the first of 5, of 5 frames): threshold" in score("folder")
    stray = [values.copy() for values in WHITE]
    stray[3][0, 0] = 1
    own(tmp_path, [grey(values) for values in stray], RIGHT)
    assert "/data/clip/masks/00003.png has 1 pixel of 1, in a video with more of 255" in score("folder")
    assert score("folder", "--mask_values=half")["figures"]["J&F"] == 1
    own(tmp_path, SOFT, SOFT)
    found = score("folder", "--mask_values=half")
    assert found["figures"]["J&F"] == 1
    words = "one object (soft edges, cut at the half)"
    assert found["provenance"]["masks"] == {"truth": {words: ["clip"]}, "results": {words: ["clip"]}}
    assert found["provenance"]["options"] == {"mask_values": "half"}


@pytest.mark.parametrize("mode, colour", [("RGBA", 255), ("RGBA", 0), ("LA", 255)])
def test_a_shape_in_the_alpha_channel_is_refused(tmp_path, score, mode, colour):
    own(tmp_path, [in_alpha(mode, colour)] * COUNT, RIGHT)
    expected = "00000.png has its shape in the alpha channel"
    assert f"/data/clip/masks/{expected}: save that channel as a grey PNG" in score("folder")
    own(tmp_path, RIGHT, [in_alpha(mode, colour)] * COUNT)
    assert f"/results/clip/{expected} (the first of 5, of 5 frames)" in score("folder")


def two(first, second):
    return [box() * np.uint8(first) + box(left=20) * np.uint8(second) for _ in range(COUNT)]


def test_objects_are_the_ids_that_occur_and_gaps_are_none(tmp_path, score):
    own(tmp_path, list(map(grey, two(1, 3))), list(map(grey, two(1, 3))))
    found = score("folder_objects")
    assert [row["name"] for row in found["rows"]] == ["clip_1", "clip_3"]
    assert found["figures"]["J&F"] == 1
    own(tmp_path, list(map(grey, two(1, 3))), list(map(grey, two(1, 2))))
    error = score("folder_objects")
    assert "00001.png has the object id 2, but those of the true masks are 1, 3 (the first of 4, of" in error
    own(tmp_path, list(map(grey, two(127, 254))), list(map(grey, two(1, 2))))
    assert "has the object id 1, but those of the true masks are 127, 254" in score("folder_objects")
    own(tmp_path, list(map(grey, two(128, 255))), list(map(grey, two(1, 2))))
    assert "/data/clip/masks/00000.png has the greys 128, 255, which are no ids" in score("folder_objects")


def test_more_objects_than_look_like_ids_are_scored_where_values_are_said_to_be_ids(tmp_path, score):
    many = [grey((np.arange(24 * 32).reshape(24, 32) // 30).astype(np.uint8))] * COUNT
    own(tmp_path, many, many)
    for benchmark in ("folder", "folder_objects"):
        assert "00000.png has 25 grey levels, so its edges are soft" in score(benchmark)
        found = score(benchmark, "--mask_values=ids")
        assert found["figures"]["J&F"] == 1 and found["provenance"]["masks"]["results"] == {"ids": ["clip"]}
    save(tmp_path / "results/clip", map(grey, WHITE))
    assert score("folder", "--mask_values=ids")["provenance"]["masks"]["results"] == {
        "one object (0 and 255)": ["clip"]
    }


def test_one_object_in_black_and_white_may_be_given_in_black_and_white(tmp_path, score):
    own(tmp_path, list(map(grey, WHITE)), list(map(grey, WHITE)))
    found = score("folder_objects")
    assert [row["name"] for row in found["rows"]] == ["clip_1"] and found["figures"]["J&F"] == 1
    own(tmp_path, list(map(grey, WHITE)), [*map(grey, WHITE[:-1]), RIGHT[-1]])
    assert "/results/clip/00001.png has pixels of 255, which is void and no" in score("folder_objects")


def test_an_object_that_enters_late_is_scored_from_the_frame_after_and_that_is_said(tmp_path, score):
    truths, ids = [values * (values < 2) for values in two(1, 2)], two(1, 2)
    truths[2:] = ids[2:]
    truths[4] = truths[4] + box(top=16, height=4) * np.uint8(9)
    own(tmp_path, list(map(grey, truths)), list(map(grey, ids)))  # before it enters it is not scored
    found = score("folder_objects")
    rows = {row["name"]: (row["frames"], row["series"]["J"]) for row in found["rows"]}
    assert rows == {
        "clip_1": (["00001", "00002", "00003", "00004"], [1, 1, 1, 1]),
        "clip_2": (["00003", "00004"], [1, 1]),
    }
    assert found["notes"][:2] == [
        "objects that enter late are scored from the frame after: clip_2 (00002)",
        "objects that enter in the last frame are not scored: clip_9 (00004)",
    ]
    assert "clip_2 (00002)" in score.shown
    assert "clip_2 (00002)" in (tmp_path / "out/report.html").read_text("utf-8")
    save(tmp_path / "results/clip", [grey(values * (values < 2)) for values in truths])
    assert {row["name"]: row["series"]["J"] for row in score("folder_objects")["rows"]}["clip_2"] == [0, 0]


def test_a_first_mask_may_be_empty_but_not_all(tmp_path, score):
    empty = grey(np.zeros(SIZE, np.uint8))
    own(tmp_path, [empty, *RIGHT[1:]], RIGHT)
    assert score("folder_objects")["rows"][0]["frames"] == ["00002", "00003", "00004"]
    own(tmp_path, [empty] * COUNT, [empty] * COUNT)
    assert "the true masks of clip have no object before the last (00004)" in score("folder_objects")
    assert "the true masks of clip hold no object" in score("folder")["notes"]


def test_masks_under_other_names_are_named(tmp_path, score):
    masks = tmp_path / "data/clip/masks"
    own(tmp_path, [], RIGHT)
    write_frames(tmp_path / "data/clip/frames", COUNT, SIZE)
    for names, ending in (([f"{t:05d}_mask" for t in range(COUNT)], "png"), (list("01234"), "png")):
        save(masks, RIGHT, ending, names)
        assert (
            f"clip: none of the 5 files in /data/clip/masks has the name of a frame ({names[0]}.png, "
            f"{names[1]}.png, ...; frames are 00000, 00001, ...): name each mask as its frame, such as"
        ) in score("folder")
        for path in masks.iterdir():
            path.unlink()
    save(masks, RIGHT, "jpg")
    assert "none of the 5 files in /data/clip/masks is a mask (.png or .bmp) (00000.jpg" in score("folder")
    save(masks, RIGHT)
    save(masks, RIGHT[:1], names=["00007"])
    score("folder")
    assert (
        "clip: 1 of 6 masks have the name of no frame and are left out (the first: 00007.png)" in score.shown
    )
    for path in (*masks.glob("*.jpg"), masks / "00000.png"):
        path.unlink()  # then masks are numbered one off, and each is that of another frame
    error = score("folder")
    assert "/masks/00007.png has the name of no frame of clip, and the frame 00000." in error


@pytest.mark.parametrize("ending", ["PNG", "bmp", "BMP"])
def test_results_are_found_by_the_endings_that_true_masks_may_have(tmp_path, score, ending):
    own(tmp_path, RIGHT, [])
    save(tmp_path / "results/clip", RIGHT, ending)
    assert score("folder")["figures"]["J&F"] == 1
    save(tmp_path / "results/clip", RIGHT[:1])
    assert "have the same name: keep one of them" in score("folder")


@pytest.mark.parametrize("junk", ["__MACOSX", "@eaDir", "lost+found", "notes"])
def test_folders_without_pictures_are_left_out_by_name(tmp_path, score, junk):
    own(tmp_path, RIGHT, RIGHT)
    (tmp_path / "data" / junk / "x").mkdir(parents=True)
    (tmp_path / "data" / junk / "x/readme.txt").write_text("x")
    (tmp_path / "data" / junk / "._00000.jpg").write_bytes(b"x")
    assert [row["name"] for row in score("folder")["rows"]] == ["clip"]
    assert f"left out, as they hold no pictures: {junk}" in score.shown


def test_results_numbered_from_another_frame_are_refused_with_both_names(tmp_path, score):
    # The first and the last frame of davis2016 are not scored, so files one off were all there.
    masks = [values // 255 for values in WHITE]
    write_davis(tmp_path / "data", {"clip": masks})
    write_masks(tmp_path / "results/clip", masks, [f"{t + 1:05d}" for t in range(COUNT)])
    assert (
        "/results/clip/00005.png has the name of no frame of clip, whose frames are 00000 to 00004 (the only "
        "one, of 3 frames): number the masks as their frames"
    ) in score("davis2016")
    error = score("davis2016_all_frames")
    assert "/results/clip/00000.png is missing (the only one, of 5 frames); " in error
    assert "/results/clip/00005.png has the name of no frame" in error
    write_masks(tmp_path / "results/clip", masks)
    assert "00005.png has the name of no frame" in score("davis2016_all_frames")  # one too many
    (tmp_path / "results/clip/00005.png").rename(tmp_path / "results/clip/._00005.png")
    (tmp_path / "results/clip/notes.txt").write_text("x")
    assert score("davis2016_all_frames")["figures"]["J&F"] == 1


@pytest.mark.parametrize("frames", [True, False], ids=["frames", "masks alone"])
@pytest.mark.parametrize("shift", [1, -1, 2])
@pytest.mark.parametrize("benchmark", ["folder", "folder_objects"])
def test_results_numbered_off_are_refused_as_a_part_too(tmp_path, score, benchmark, shift, frames):
    masks = [values // 255 for values in WHITE]
    first = 3
    names, off = ([f"{t + start:05d}" for t in range(COUNT)] for start in (first, first + shift))
    write_masks(tmp_path / ("data/clip/masks" if frames else "data/clip"), masks, names)
    if frames:
        write_frames(tmp_path / "data/clip/frames", COUNT, SIZE, names)
    write_masks(tmp_path / "results/clip", masks, off)
    strange = next(name for name in off if name not in names)
    scored = names[benchmark == "folder_objects" :]
    missing = next((name for name in scored if name not in off), None)  # the first mask is given, not scored
    for more in ([], ["--partial"]):
        error = score(benchmark, *more)
        assert f"/results/clip/{strange}.png has the name of no frame" in error
        assert missing is None or f"/results/clip/{missing}.png is missing" in error
        assert error.endswith(": number the masks as their frames, and keep other pictures elsewhere")


def test_masks_of_frames_that_nobody_knows_do_no_harm_beside_all_that_are_known(tmp_path, score):
    masks = [values // 255 for values in WHITE]
    write_masks(tmp_path / "data/clip", masks[:3])
    write_masks(tmp_path / "results/clip", masks)
    assert score("folder")["figures"]["J&F"] == 1 and score("folder", "--partial")["figures"]["J&F"] == 1
    (tmp_path / "data/clip/00001.png").unlink()  # every second frame has a true mask
    (tmp_path / "results/clip/00002.png").unlink()
    assert "00002.png is missing (the only one, of 2 frames): write" in score("folder")
    assert len(score("folder", "--partial")["rows"][0]["frames"]) == 1
    assert "1 of 1 sequence is scored" in " ".join(score.shown.split())


def test_a_video_numbered_off_is_not_left_out_as_missing(tmp_path, score):
    masks = [values // 255 for values in WHITE]
    write_own(tmp_path / "data", {"bear": masks, "surf": masks})
    write_masks(tmp_path / "results/bear", masks[:-1])
    write_masks(tmp_path / "results/surf", masks, [f"frame{t}" for t in range(COUNT)])
    for more in ([], ["--partial"]):
        error = score("folder", *more)
        assert "/results/surf/00000.png is missing (the first of 5, of 10 frames); " in error
        assert "/results/surf/frame0.png has the name of no frame: number the masks" in error


def test_maps_numbered_from_another_frame_are_refused_too(tmp_path, score):
    masks = [values // 255 for values in WHITE]
    write_davis(tmp_path / "data", {"clip": masks})
    write_masks(tmp_path / "results/clip", masks)
    for t, values in enumerate(WHITE, 1):
        write_grey(tmp_path / f"maps/clip/{t:05d}.png", values)
    for more in ([], ["--partial"]):
        error = score("davis2016_all_frames", f"--maps={tmp_path / 'maps'}", *more)
        assert "/maps/clip/00000.png is missing" in error
        assert "/maps/clip/00005.png has the name of no frame: number" in error


def test_true_masks_given_as_results_are_said(tmp_path, score):
    write_own(tmp_path / "data", {name: [values // 255 for values in WHITE] for name in ("bear", "surf")})
    for name in ("bear", "surf"):
        write_masks(tmp_path / "results" / name, [values // 255 for values in WHITE])
    equal = "equal the true ones in every pixel: are they the same files?"
    assert score("folder")["notes"] == [f"the masks of bear, surf {equal}"]
    write_masks(tmp_path / "results/surf", [box()], ["00004"])
    assert score("folder")["notes"] == [f"the masks of bear {equal}"]
    os.rename(tmp_path / "results", tmp_path / "data/results")
    found = score("folder", results="data/results")["notes"]
    assert found[1].endswith(f" lie in the data, {tmp_path / 'data'}: see that they are no true masks")
    assert "left out, as they hold no pictures: results" in score.shown


def test_a_palette_sorted_by_brightness_is_refused_in_results_too(tmp_path, score):
    own(tmp_path, RIGHT, [grey(values).convert("RGB").quantize(2) for values in WHITE])
    error = score("folder")
    assert "/results/clip/00000.png shows 0, the background, brighter than 1 (the first of 5" in error


def test_results_that_mix_ids_with_black_and_white_are_refused(tmp_path, score):
    own(tmp_path, RIGHT, [*RIGHT[:3], *map(grey, WHITE[3:])])
    error = score("folder")
    assert "/results/clip/00003.png has pixels of 255, which is void and no object (the only one" in error
