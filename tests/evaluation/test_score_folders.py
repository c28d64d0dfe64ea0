"""Masks in folders, each benchmark in its layout: the golden figures again, through the public `score`."""

import dataclasses
import math
import os

import numpy as np
import pytest
from golden_files import load_json, load_npz
from mask_folders import SIZE, box, moving, write_davis, write_frames, write_grey, write_masks, write_own

from vos3d_jax import files
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import aggregation, benchmark_data, metrics
from vos3d_jax.evaluation.benchmarks import BENCHMARKS, DAVIS2016_STABLE
from vos3d_jax.evaluation.run_measures import RunMeasures
from vos3d_jax.evaluation.scores import Row, Scores, require_comparable
from vos3d_jax.evaluation.scoring import score, score_predictions
from vos3d_jax.media.images import write_map_png


def unpacked(bits, shape):
    return np.unpackbits(bits)[: math.prod(shape)].reshape(shape)


@pytest.mark.parametrize("name", ["davis2016", "davis2016_all_frames"])
def test_a_real_sequence_has_the_official_j_f_and_t_under_both_protocols(tmp_path, name):
    golden, packed = load_json("metrics/sequence.json"), load_npz("metrics/sequence_car-shadow.npz")
    truth, result = (unpacked(packed[key], golden["shape"]) for key in ("gt", "result"))
    data = write_davis(tmp_path / "data", {"car-shadow": list(truth)})
    write_masks(tmp_path / "results/car-shadow", list(result * np.uint8(255)))
    scores = score(tmp_path / "results", name, data, workers=1)
    kept, protocol = slice(None), "all_frames"
    if name == "davis2016":
        kept, protocol = slice(1, -1), "without_first_and_last"
    series = scores.rows[0].series
    for metric in "JF":
        np.testing.assert_allclose(series[metric], golden[metric][kept], rtol=0, atol=1e-12)
        found = dataclasses.astuple(scores.statistics(metric))
        assert found == pytest.approx(golden[f"{metric}_statistics_{protocol}"], abs=1e-12)
    raw = 5 * np.array(golden["T"]["result_matlab_raw"])
    np.testing.assert_allclose(series["T"], raw, rtol=0, atol=2e-3)
    assert scores.figures["T mean"] == pytest.approx(raw.mean(), abs=1e-4)
    assert not scores.complete and "1 sequence, " in scores.subject


@pytest.mark.parametrize("technique", ["osvos", "rvos"])
@pytest.mark.parametrize("protocol", ["all_frames", "without_first_and_last"])
def test_the_official_per_frame_values_aggregate_to_the_official_table(technique, protocol):
    golden = load_json("metrics/davis2016_osvos_rvos.json")
    values = load_npz("metrics/davis2016_osvos_rvos.npz")
    ends = np.cumsum(golden["frames"])[:-1]
    kept = slice(None) if protocol == "all_frames" else slice(1, -1)
    series = [np.split(values[f"{technique}_{metric}"], ends) for metric in "JF"]
    parts = [
        part(Row(name, name, "", (480, 854), (), {"J": tuple(j[kept]), "F": tuple(f[kept])}))
        for name, j, f in zip(golden["sequences"], *series, strict=True)
    ]
    rules = dataclasses.replace(BENCHMARKS["davis2016"], metrics=("J", "F"))
    figures, _ = aggregation.headline(rules, [], parts)
    expected = golden["techniques"][technique][protocol]
    for metric in "JF":
        found = [figures[f"{metric} {name}"] for name in ("mean", "recall", "decay")]
        assert found == pytest.approx(expected[metric], abs=1e-12)
    assert figures["J&F"] == pytest.approx(expected["JF"], abs=1e-12)


def test_t_is_averaged_over_the_stable_sequences_as_published():
    published = load_json("metrics/davis2016_published.json")
    values = load_npz("metrics/davis2016_published.npz")
    ends = np.cumsum(values["frames_per_sequence"] - 2)[:-1]
    assert set(published["stable"]) == set(DAVIS2016_STABLE)
    for technique in ("osvos", "fst", "jmp"):
        series = np.split(5 * values[f"{technique}_T"], ends)
        parts = [
            part(Row(name, name, "", (480, 854), (), {"T": tuple(map(float, t))}))
            for name, t in zip(published["sequences"], series, strict=True)
        ]
        rules = dataclasses.replace(BENCHMARKS["davis2016"], metrics=("T",))
        figures, _ = aggregation.headline(rules, [], parts)
        assert figures["T mean"] == pytest.approx(published["table"][technique]["T_stable"], abs=1e-6)


@pytest.mark.parametrize("task", ["davis2016_val_single_object", "davis2017_val_multi_object"])
def test_rgmps_released_results_aggregate_to_its_published_ones(task):
    released = load_json("rgmp/released_results.json")[task]
    parts = []
    for name, sequence in released["sequences"].items():
        objects = range(len(sequence["J"]["mean"]))
        # Two values with the stored mean and decay.
        series = [
            {
                metric: tuple(
                    sequence[metric]["mean"][k] + sign * sequence[metric]["decay"][k] / 2 for sign in (1, -1)
                )
                for metric in "JF"
            }
            for k in objects
        ]
        parts.append(part(*(Row(f"{name}_{k + 1}", name, "", (480, 854), (), series[k]) for k in objects)))
    name = "davis2016" if "single" in task else "davis2017"
    rules = dataclasses.replace(BENCHMARKS[name], metrics=("J", "F"))
    figures, _ = aggregation.headline(rules, [], parts)
    for metric in "JF":
        for statistic in ("mean", "decay"):
            expected = released["dataset"][metric][statistic]
            assert figures[f"{metric} {statistic}"] == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize("defects", [(), ("assigned_order",)])
@pytest.mark.parametrize("task", ["semi-supervised", "unsupervised"])
def test_both_davis_2017_tasks_equal_the_official_tool(tmp_path, task, defects):
    volumes = load_npz("metrics/multi_object_masks.npz")
    cases = [case for case in load_json("metrics/multi_object.json") if case["task"] == task]
    chosen = {case["name"]: case for case in cases[1::3]}  # a third of them, of every kind
    folder = "Annotations" if task == "semi-supervised" else "Annotations_unsupervised"
    truths = {name: list(volumes[case["gt"]]) for name, case in chosen.items()}
    write_davis(tmp_path / "data", truths, "2017", folder)
    for name, case in chosen.items():
        result = list(volumes[case["result"]])
        if task == "semi-supervised":
            result[0] = result[-1] = None  # never opened
        write_masks(tmp_path / "results" / name, result)
    benchmark = "davis2017" if task == "semi-supervised" else "davis2017_unsupervised"
    scores = score(tmp_path / "results", benchmark, tmp_path / "data", workers=1, defects=defects)
    rows = {row.name: row for row in scores.rows}
    assert len(rows) == sum(len(case["objects"]) for case in chosen.values())
    for name, case in chosen.items():
        columns = case.get("assignment_cols", range(len(case["objects"])))
        for place, (column, official) in enumerate(zip(columns, case["objects"], strict=True)):
            number = place if defects else column  # trap 16: the tool names objects by their place
            row = rows[f"{name}_{number + 1}"]
            assert row.series["J"] == pytest.approx(official["J"], abs=1e-12)
            assert row.series["F"] == pytest.approx(official["F"], abs=1e-12)
    everything = [row for case in chosen.values() for row in case["objects"]]
    expected = np.mean([entry["J_stat"] for entry in everything], 0)
    assert dataclasses.astuple(scores.statistics("J")) == pytest.approx(expected, abs=1e-12)
    assert scores.average == "objects"


def test_segtrack_equals_the_golden_figures_merged_and_per_object(tmp_path):
    masks, golden = (
        load_npz("metrics/other_masks.npz"),
        load_json("metrics/other_protocols.json")["aggregates"],
    )
    for number, name in enumerate(("bmx", "cheetah", "drift")):
        truth, result = masks[f"gt_{number}"], masks[f"result_{number}"]
        # The first frame is given and not scored: one more stands before those of the golden file.
        truth, result = (np.concatenate([volume[:1], volume]) for volume in (truth, result))
        names = [f"{name}_{index:05d}" for index in range(6, 6 + len(truth))]
        write_frames(tmp_path / "data/JPEGImages" / name, len(truth), truth[0].shape, names)
        for label in range(1, int(truth.max()) + 1):
            for index, frame in enumerate(truth):
                path = tmp_path / "data/GroundTruth" / name / str(label) / f"{names[index]}.png"
                write_grey(path, (frame == label).astype(np.uint8) * np.uint8(255))
        write_masks(tmp_path / "results" / name, list(result), names)
    results, data = tmp_path / "results", tmp_path / "data"
    scores = score(results, "segtrack_v2_objects", data, workers=1)
    assert scores.figures["IoU mean"] == pytest.approx(golden["segtrack_objects_mean"], abs=1e-6)
    assert "bmx_2" in [row.name for row in scores.rows]
    merged = score(results, "segtrack_v2", data, workers=1)
    values = [row.series["IoU"][1:] for row in merged.rows]
    frames = np.concatenate([row.series["IoU"] for row in merged.rows])
    assert merged.figures["IoU of frames"] == pytest.approx(frames.mean())
    expected = golden["segtrack_merged_mean_over_sequences"]
    assert np.mean([np.mean(row) for row in values]) == pytest.approx(expected, abs=1e-6)
    assert merged.figures["IoU mean"] == pytest.approx(
        np.mean([np.mean(row.series["IoU"]) for row in merged.rows])
    )
    with pytest.raises(UserError, match="different benchmarks are not compared"):
        require_comparable(scores, merged)


def saliency_row(monkeypatch, *names):
    rules = dataclasses.replace(BENCHMARKS["folder"], void=False, metrics=names)
    monkeypatch.setitem(BENCHMARKS, "folder", rules)


@pytest.mark.parametrize("deep", [False, True])
def test_saliency_of_maps_in_files_equals_pysodmetrics(tmp_path, monkeypatch, deep):
    saliency_row(monkeypatch, "saliency")
    maps, golden = load_npz("metrics/saliency_maps.npz"), load_json("metrics/saliency.json")["dataset"]
    for name in golden["images"]:
        prediction, truth = maps[f"{name}_pred"], maps[f"{name}_gt"]
        write_own(tmp_path / "data", {name: [(truth > 128).astype(np.uint8)]})
        write_masks(tmp_path / "results" / name, [(prediction > 127).astype(np.uint8)])
        values = prediction.astype(np.uint16) * 257 if deep else prediction
        write_grey(tmp_path / "maps" / name / "00000.png", values)
    scores = score(tmp_path / "results", "folder", tmp_path / "data", maps_dir=tmp_path / "maps", workers=1)
    expected = {"max F": "F_max", "mean F": "F_mean", "adaptive F": "F_adaptive", "S": "S", "MAE": "MAE",
                "max E": "E_max", "mean E": "E_mean", "adaptive E": "E_adaptive"}  # fmt: skip
    for ours, official in expected.items():
        assert scores.figures[ours] == pytest.approx(golden[official], abs=1e-9), ours
    assert scores.figures["weighted F"] == pytest.approx(golden["F_weighted"], abs=1e-6)
    assert scores.provenance["maps"] == ("16 bits" if deep else "8 bits")


def test_pooled_f_of_16_bit_maps_in_files_equals_3dc_segs_evaluation(tmp_path, monkeypatch):
    saliency_row(monkeypatch, "pooled")
    golden = load_json("metrics/saliency.json")["pooled_3dcseg"]
    for number in range(3):
        stored = load_npz(f"metrics/saliency_pooled_{number}.npz")
        name = f"s{number}"
        write_own(tmp_path / "data", {name: list((stored["gt"] != 0).astype(np.uint8))})
        write_masks(tmp_path / "run/masks" / name, list((stored["probability"] > 0.5).astype(np.uint8)))
        for index, probability in enumerate(stored["probability"]):
            write_map_png(tmp_path / "run/maps" / name / f"{index:05d}.png", probability)
    scores = score(tmp_path / "run", "folder", tmp_path / "data", workers=1)
    assert scores.figures["pooled F"] == pytest.approx(golden["f_max_pooled_nanmax"], abs=2e-5)
    assert scores.figures["pooled MAE"] == pytest.approx(golden["mae_pooled"], abs=2e-5)
    assert scores.method == "run"


def test_figures_of_maps_are_left_out_without_maps_and_the_result_says_so(tmp_path, monkeypatch):
    saliency_row(monkeypatch, "J", "F", "saliency", "pooled")
    write_own(tmp_path / "data", {"bear": moving()})
    write_masks(tmp_path / "results/bear", moving())
    scores = score(tmp_path / "results", "folder", tmp_path / "data", workers=1)
    assert "pooled F" not in scores.figures and "max F" not in scores.figures
    assert scores.notes[0] == "saliency measures and pooled F are left out: there are no soft maps"
    assert scores.provenance["maps"] is None


def test_fbms_is_scored_where_it_is_annotated(tmp_path):
    names = [f"cars1_{index:02d}" for index in range(1, 6)]
    write_frames(tmp_path / "data/Testset/cars1", 5, SIZE, names)
    write_masks(tmp_path / "data/inst/test/cars1", [box(), None, None, box(), None], names)
    write_masks(tmp_path / "results/cars1", [box(left=9), None, None, box(), None], names)
    scores = score(tmp_path / "results", "fbms", tmp_path / "data", workers=1)
    assert scores.rows[0].frames == ("cars1_01", "cars1_04")
    assert scores.rows[0].series["J"] == (50 / 150, 1)
    assert not scores.complete


def test_3dc_segs_visal_compares_at_a_short_edge_of_480_and_the_other_row_at_the_own_size(tmp_path):
    names = ["boat_001", "boat_002"]
    write_frames(tmp_path / "data/ViSal/boat", 2, SIZE, names)
    write_grey(tmp_path / "data/GroundTruth/boat_002.png", box() * np.uint8(255))
    write_masks(tmp_path / "own/boat", [None, box()], names)
    write_masks(tmp_path / "large/boat", [None, np.kron(box(), np.ones((20, 20), np.uint8))], names)
    data = tmp_path / "data"
    for folder, benchmark, size in (("own", "visal_original_size", SIZE), ("large", "visal", (480, 640))):
        scores = score(tmp_path / folder, benchmark, data, workers=1)
        assert (scores.figures["J&F"], scores.rows[0].size) == (1, size)
    with pytest.raises(UserError, match="boat_002.png is 32x24 but its frame is 640x480"):
        score(tmp_path / "own", "visal", data, workers=1)


def test_jumpcut_scores_the_end_of_each_transfer_and_averages_key_frames_then_clips(tmp_path):
    def changed(mask, pixels):
        wrong = mask.copy()
        wrong[0, :pixels] = 1
        return wrong

    for clip, length in (("bear", 33), ("goat", 17)):
        write_frames(tmp_path / "data" / clip / "frames", length, SIZE)
        for index in range(length):
            write_grey(tmp_path / f"data/{clip}/masks/{index:05d}.png", box() * np.uint8(255))
    errors = {("bear", 0): (1, 2, 3), ("bear", 16): (5, 20), ("goat", 0): (7, 9)}
    for (clip, key), pixels in errors.items():
        for distance, count in zip((8, 16, 32), pixels, strict=False):
            path = tmp_path / f"results/{clip}/key{key:03d}"
            write_masks(path, [changed(box(), count)], [f"{key + distance:05d}"])
    scores = score(tmp_path / "results", "jumpcut", tmp_path / "data", workers=1)
    assert scores.figures == {"error d8": (3 + 7) / 2, "error d16": (11 + 9) / 2, "error d32": 3}
    assert [row.name for row in scores.rows][:3] == ["bear key000+8", "bear key016+8", "bear key000+16"]
    assert scores.subject.startswith("JumpCut, not in full: 2 sequences, 6 frames")


def test_trap_25_a_transfer_to_a_frame_without_the_object_is_left_out(tmp_path):
    empty = np.zeros(SIZE, np.uint8)
    write_frames(tmp_path / "data/bear/frames", 25, SIZE)
    for index, mask in enumerate([*[box()] * 24, empty]):
        write_grey(tmp_path / f"data/bear/masks/{index:05d}.png", mask * np.uint8(255))
    for key, distance, mask in (
        (0, 8, np.ones(SIZE, np.uint8)),
        (0, 16, np.ones(SIZE, np.uint8)),
        (16, 8, box()),
    ):
        write_masks(tmp_path / f"results/bear/key{key:03d}", [mask], [f"{key + distance:05d}"])
    scores = score(tmp_path / "results", "jumpcut", tmp_path / "data", workers=1)
    assert scores.figures["error d8"] == 100 * (24 * 32 - 100) / 100  # more than 100
    assert math.isnan(scores.figures["error d32"])
    assert scores.notes[0] == "the object is absent at the end of 1 of 3 transfers: left out"
    assert Scores.from_json(scores.to_json()) == scores


@pytest.fixture
def jhmdb(tmp_path):
    """Three splits with a clip of each of two actions, and results whose catch is right and clap wrong."""
    from scipy.io import savemat

    truth = np.stack([box(), box(left=6)], -1)
    for label in ("catch", "clap"):
        clip = f"{label} (1)@x"
        write_frames(tmp_path / "data/Rename_Images" / label / clip, 2, SIZE, ["00001", "00002"])
        path = tmp_path / "data/puppet_mask" / label / clip / "puppet_mask.mat"
        path.parent.mkdir(parents=True)
        savemat(path, {"part_mask": truth})
        for split in (1, 2, 3):
            path = tmp_path / f"data/splits/{label}_test_split{split}.txt"
            files.write(path, f"{clip}.avi 2\n".encode())
            speck = box()
            speck[0, 0] = 1  # not in the largest region
            masks = [speck, box(left=6)] if label == "catch" else [box(left=9), np.zeros(SIZE, np.uint8)]
            folder = tmp_path / f"results/split{split}/{label}/{clip}"
            write_masks(folder, masks, ["00001", "00002"])
    return tmp_path


def test_j_hmdb_means_over_clips_or_frames_of_the_largest_region_then_splits(jhmdb):
    scores = score(jhmdb / "results", "jhmdb", jhmdb / "data", workers=1)
    assert scores.figures["IoU mean"] == scores.figures["IoU of frames"] == pytest.approx((2 + 50 / 150) / 4)
    assert scores.figures["IoU of pixels"] == pytest.approx(250 / 450)
    assert {row.group for row in scores.rows} == {"split1", "split2", "split3"}
    assert "frame-mAP is left out" in scores.notes[0]
    one = score(jhmdb / "results", "jhmdb", jhmdb / "data", workers=1, split="split2")
    assert {row.group for row in one.rows} == {"split2"} and not one.complete
    with pytest.raises(UserError, match="no split 'train1': choose one of split1, split2, split3"):
        score(jhmdb / "results", "jhmdb", jhmdb / "data", workers=1, split="train1")


def test_j_hmdbs_frame_map_lists_each_box_for_every_action(jhmdb):
    lines = ["clip,frame,catch,clap", "catch/catch (1)@x,,0.9,0.1"]
    lines += ["clap/clap (1)@x,00001,0.2,0.8", "clap/clap (1)@x,00002,0.2,0.8"]
    for split in (1, 2, 3):  # as spreadsheets write it, with a mark of its encoding
        files.write(jhmdb / f"results/split{split}/actions.csv", "\n".join(lines).encode("utf-8-sig"))
    scores = score(jhmdb / "results", "jhmdb", jhmdb / "data", workers=1)
    # catch: two right boxes first, then a wrong one; clap: no box is right (its clip's is 1/3 off).
    assert scores.figures["frame-mAP"] == pytest.approx(0.5)
    (jhmdb / "results/split3/actions.csv").unlink()
    with pytest.raises(UserError, match=r"split3/actions\.csv is missing, but other splits have theirs"):
        score(jhmdb / "results", "jhmdb", jhmdb / "data", workers=1)
    files.write(jhmdb / "results/split3/actions.csv", "\n".join(lines[:2]).encode())
    with pytest.raises(UserError, match=r"has no line for 'split3/clap/clap \(1\)@x'"):
        score(jhmdb / "results", "jhmdb", jhmdb / "data", workers=1)
    files.write(jhmdb / "results/split3/actions.csv", b"clip,frame,catch\ncatch/catch (1)@x,,0.9\n")
    with pytest.raises(UserError, match=r"has no number for 'clap' in a line: expected the columns clip"):
        score(jhmdb / "results", "jhmdb", jhmdb / "data", workers=1)


def test_own_videos_with_several_objects_are_scored_by_id(tmp_path):
    truth = [box() + 2 * box(left=20) for _ in range(3)]
    write_own(tmp_path / "data", {"bear": truth})
    write_masks(tmp_path / "results/bear", [None, truth[1], box()])
    scores = score(tmp_path / "results", "folder_objects", tmp_path / "data", workers=1)
    assert {row.name: row.series["J"] for row in scores.rows} == {"bear_1": (1, 1), "bear_2": (1, 0)}
    assert scores.figures["J mean"] == 0.75
    assert scores.subject == "own videos, objects by id: 1 sequence, 2 objects, 2 frames at 32x24"


def test_names_of_videos_may_be_any_words(tmp_path):
    names = ("masks", "mein Bär", "parts")
    write_own(tmp_path / "data", {name: moving() for name in names})
    for name in names:
        write_masks(tmp_path / "results" / name, moving())
    scores = score(tmp_path / "results", "folder", tmp_path / "data", workers=1)
    assert {row.name for row in scores.rows} == set(names) and scores.figures["J&F"] == 1


def test_generated_videos_are_scored_with_the_options_of_their_reader(tmp_path):
    options = dict(count=2, length=4, size=[32, 48])
    for video in benchmark_data.load(BENCHMARKS["moving_shapes"], None, **options).videos:
        write_masks(tmp_path / video.name, [video.read_mask(index) for index in range(4)])
    scores = score(tmp_path, "moving_shapes", workers=1, **options)
    assert scores.figures["J&F"] == 1
    assert scores.provenance["options"] == options


@pytest.mark.parametrize("name", ["davis2016", "davis2017", "davis2017_unsupervised"])
def test_a_running_method_scores_what_its_files_score(tmp_path, name):
    rng = np.random.default_rng(5)
    objects = 1 if name == "davis2016" else 3
    truth = [np.roll(np.kron(rng.integers(0, objects + 1, (6, 8)), np.ones((4, 4))), 1, 1) for _ in range(5)]
    truth = [mask.astype(np.uint8) for mask in truth]
    truth[0][0, 0] = objects
    write_davis(tmp_path / "data", {"bear": truth}, "2016" if objects == 1 else "2017")
    (tmp_path / "data/Annotations_unsupervised").symlink_to(tmp_path / "data/Annotations")
    write_masks(tmp_path / "results/bear", truth[::-1])
    from_files = score(tmp_path / "results", name, tmp_path / "data", workers=1)
    data = benchmark_data.load(BENCHMARKS[name], tmp_path / "data")
    running = score_predictions(data, lambda run: iter(truth[::-1]), method="results")
    files = {**from_files.provenance, "masks": running.provenance["masks"]}  # what values of files mean
    assert running == dataclasses.replace(from_files, provenance=files)
    if objects > 1:
        too_many = [mask * np.uint8(10) for mask in truth]
        with pytest.raises(UserError, match="bear has the object id 30 but .* is the largest allowed"):
            score_predictions(data, lambda run: iter(too_many))


def test_defects_of_the_official_tools_are_part_of_the_protocol(tmp_path):
    length = 260
    write_own(tmp_path / "data", {"bear": [box()] * length})
    shifts = [0] * 130 + [5] * 130
    write_masks(tmp_path / "results/bear", [box(left=4 + shift) for shift in shifts])
    right, wrong = (
        score(tmp_path / "results", "folder", tmp_path / "data", workers=1, defects=defects)
        for defects in ((), ("nan_recall", "decay_8bit"))
    )
    assert right.figures["J decay"] == pytest.approx(1 - 1 / 3)
    assert wrong.figures["J decay"] != pytest.approx(1 - 1 / 3)
    assert wrong.protocol == "annotated_frames+decay_8bit+nan_recall"
    assert "8-bit edges" in wrong.rule
    assert Scores.from_json(wrong.to_json()) == wrong
    with pytest.raises(UserError, match="different protocols are not compared"):
        require_comparable(right, wrong)
    with pytest.raises(UserError, match="no defect 'x' to repeat: choose one of decay_8bit"):
        score(tmp_path / "results", "folder", tmp_path / "data", defects=("x",))


def test_results_against_other_true_masks_are_not_compared(tmp_path):
    write_masks(tmp_path / "results/bear", moving())
    scores = []
    for name, shift in (("one", 0), ("two", 1)):
        write_own(tmp_path / name, {"bear": moving(shift=shift)})
        scores.append(score(tmp_path / "results", "folder", tmp_path / name, workers=1))
    prints = [entry.provenance for entry in scores]
    assert prints[0]["results"] == prints[1]["results"] and prints[0]["data"] != prints[1]["data"]
    with pytest.raises(UserError, match="different true masks .their data fingerprints differ"):
        require_comparable(*scores)


def test_several_processes_give_what_one_gives_in_the_benchmarks_order(tmp_path):
    sequences = {f"v{number}": moving(3 + number % 3, size=(24, 48)) for number in range(5)}
    write_own(tmp_path / "data", sequences)
    for number, masks in enumerate(sequences.values()):
        write_masks(tmp_path / f"results/v{number}", masks[::-1])
    seen = []
    alone = score(tmp_path / "results", "folder", tmp_path / "data", workers=1)
    several = score(
        tmp_path / "results",
        "folder",
        tmp_path / "data",
        workers=2,
        work_dir=tmp_path / "work",
        progress=lambda *counts: seen.append(counts),
    )
    assert several.to_json() == alone.to_json()
    assert [row.name for row in several.rows] == list(sequences)
    assert [done for done, _, _ in seen] == [1, 2, 3, 4, 5] and sum(frames for *_, frames in seen) == 19
    assert len(os.listdir(tmp_path / "work")) == 5


def part(*rows):
    return RunMeasures(rows, "", "")


def test_pooled_figures_of_levels_equal_those_of_the_probabilities():
    levels = np.random.default_rng(3).integers(0, 65536, (2, 20, 30))
    truth = levels + np.random.default_rng(4).integers(-30000, 30000, levels.shape) > 30000
    probability = (levels / 65535).astype(np.float32)
    expected = metrics.pooled_saliency(lambda: zip(probability, truth, strict=True))
    counts = np.bincount((levels * 2 + truth).ravel(), minlength=131072).reshape(-1, 2)
    found = metrics.pooled_levels(counts)
    assert (found.max_f, found.mae) == pytest.approx((expected.max_f, expected.mae), abs=1e-6)
    with pytest.raises(ValueError, match="no pixels"):
        metrics.pooled_levels(np.zeros((256, 2), np.int64))
    assert math.isnan(metrics.pooled_levels(np.ones((256, 2), np.int64) * [1, 0]).max_f)
