"""The command that measures the metrics: its plain forms have the same values, and it prints its table."""

import json
import os
import sys

import numpy as np
import pytest
from golden_files import shared_data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vos3d_jax.bench import plain_metrics, scoring_peer, scoring_times
from vos3d_jax.evaluation import metrics
from vos3d_jax.evaluation.scoring import score
from vos3d_jax.media.masks import read_ids

MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def star(turn, size=(120, 140)):
    rows, columns = np.indices(size)
    y, x = rows - 60, columns - 70 - 3 * turn
    return np.hypot(y, x) < 35 + 14 * np.cos(5 * np.arctan2(y, x) + turn) + 3 * np.sin(23 * np.arctan2(y, x))


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_outlines_walked_from_corner_to_corner_are_the_same(mask):
    found = [outline.points.tolist() for outline in metrics.outlines(mask)]
    assert [curve.tolist() for curve in plain_metrics.outlines(mask)] == found


@settings(max_examples=60, deadline=None)
@given(MASKS, st.integers(0, 2**31))
def test_plain_j_and_f_are_the_same(mask, seed):
    other = mask ^ (np.random.default_rng(seed).random(mask.shape) < 0.2)
    assert plain_metrics.j_and_f(mask, other) == pytest.approx(metrics.j_and_f(mask, other), abs=1e-12)


def test_plain_t_is_the_same():
    for turn in (0.1, 1.0):
        pair = [star(0), star(turn)]
        ours = metrics.temporal_instability(pair).values[0]
        assert plain_metrics.instability(*pair) == pytest.approx(ours, abs=1e-12)


def test_the_command_measures_metrics_and_scoring_from_files(tmp_path, capsys, monkeypatch):
    source = shared_data("DAVIS")
    for kind in ("Annotations", "JPEGImages"):
        for place in sorted((source / kind / "480p" / "drift-chicane").iterdir())[:4]:
            copy = tmp_path / kind / "480p" / "drift-chicane" / place.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(place)
    (tmp_path / "ImageSets" / "2016").mkdir(parents=True)
    (tmp_path / "ImageSets" / "2016" / "val.txt").write_text("drift-chicane\n")
    monkeypatch.setattr(scoring_times, "_COPIES", 2)
    monkeypatch.setattr(scoring_times, "_WORKERS", 1)
    assert scoring_times.main([f"--data_dir={tmp_path}", f"--json={tmp_path / 'found.json'}"]) == 0
    printed = capsys.readouterr().out
    assert "J and F" in printed and "T, all pairs" in printed and "share of the ceiling" in printed
    found = json.loads((tmp_path / "found.json").read_text())
    assert [len(found["metrics"][name]) for name in ("J and F", "T of truth", "T of results")] == [4, 3, 3]
    assert found["scoring"]["frames scored with 1 workers"] == 4


def test_whole_commands_beside_a_peer_are_refused_without_one_and_make_a_table(capsys):
    assert scoring_times.main([f"--peer_python={sys.executable}"]) == 2
    assert "has no vos-benchmark: give it one (pip install vos-benchmark)" in capsys.readouterr().err
    row = {"case": "davis2016, 240p", "processes": 1, "peer": (2.0, 3.0), "ours": (1.0, 1.0)}
    table = scoring_peer.markdown([{**row, "with report": (2.0, 1.5)}])
    assert table.splitlines()[-1].endswith("| 2.00 | 3.00 | 1.00 | 1.00 | **2.0** | **3.0** | 1.0 | 2.0 |")


def test_generated_masks_are_scored_alike_by_the_scorer_and_plain_forms(tmp_path):
    case = scoring_peer.Case("davis2017", (60, 100), 3, 1, 4)
    scoring_peer.write_case(case, tmp_path)
    scores = score(tmp_path / "results", "davis2017", tmp_path / "data", workers=1)
    assert len(scores.rows) == 3 and 0.5 < scores.figures["J&F"] < 1
    index = [read_ids(path / "sequence00/00001.png") for path in scoring_peer.folders(tmp_path)]
    expected = plain_metrics.j_and_f(index[1] == 2, index[0] == 2)
    assert [scores.rows[1].series[metric][0] for metric in "JF"] == pytest.approx(expected, abs=1e-12)


def test_the_measured_command_may_be_given_again(tmp_path):
    case = scoring_peer.Case("davis2016", (60, 100), 1, 1, 4)
    scoring_peer.write_case(case, tmp_path)
    for more in ([], ["--no-report"]):
        processor, wall, printed = scoring_peer._seconds(
            [*scoring_peer._ours(case, tmp_path, 2), *more], dict(os.environ)
        )
        assert processor > 0 and wall > 0 and "scores.json" in printed
