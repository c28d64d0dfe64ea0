"""Published results: equal to their sources, each with source and protocol, never beside another protocol."""

import pytest
from golden_files import load_json

from vos3d_jax.evaluation import benchmarks, published
from vos3d_jax.evaluation.report.figures import FIGURES

_KEYS = {
    "J mean": "J_mean",
    "J recall": "J_recall",
    "J decay": "J_decay",
    "F mean": "F_mean",
    "F recall": "F_recall",
    "F decay": "F_decay",
    "T mean": "T_stable",
}


def figures_of(benchmark, method):
    found = {}
    for table in published.comparable(benchmark):
        for entry in table.methods:
            if entry.name == method:
                found |= dict(zip(table.figures, entry.values, strict=True))
    return found


def test_the_toolkits_table_is_the_golden_one():
    golden = load_json("metrics/davis2016_published.json")["table"]
    table = next(entry for entry in published.comparable("davis2016") if "21" in entry.title)
    assert {method.name for method in table.methods} == {name.upper() for name in golden if name != "gt"}
    for method in table.methods:
        row = golden[method.name.lower()]
        assert list(method.values) == [row[_KEYS[figure]] for figure in table.figures]


@pytest.mark.parametrize(
    ("benchmark", "method", "expected"),
    [
        (
            "davis2016_all_frames",
            "3DC-Seg",
            {"J&F": 0.841, "J mean": 0.839, "F mean": 0.843},
        ),
        ("davis2016_all_frames", "3DC-Seg", {"pooled F": 0.918, "pooled MAE": 0.015}),
        ("davis2016_all_frames", "3DC-Seg dense", {"J&F": 0.845, "J mean": 0.843, "F mean": 0.847}),
        ("davis2016", "Hou et al. (3D-CNN)", {"J mean": 0.783, "F mean": 0.772, "T mean": 0.22}),
        ("davis2016", "RGMP", {"J mean": 0.815, "F mean": 0.82}),
        ("davis2016", "RGMP, released masks", {"J mean": 0.81533, "F mean": 0.82019}),
        ("davis2017", "RGMP", {"J mean": 0.648, "F mean": 0.686}),
        ("davis2017", "RGMP, released masks", {"J mean": 0.64799, "F mean": 0.68636}),
        ("davis2017", "PReMVOS", {"J mean": 0.739, "F mean": 0.818, "F decay": 0.195}),
        ("fbms", "3DC-Seg", {"pooled F": 0.845, "pooled MAE": 0.048}),
        ("visal", "3DC-Seg", {"pooled F": 0.922, "pooled MAE": 0.019}),
        ("segtrack_v2", "Hou et al. (3D-CNN)", {"IoU mean": 0.621}),
        ("segtrack_v2_objects", "RGMP", {"IoU mean": 0.711}),
        ("jhmdb", "Hou et al. (3D-CNN)", {"IoU mean": 0.681, "frame-mAP": 0.689}),
        ("jumpcut", "RGMP", {"error d8": 4.89, "error d16": 6.91, "error d32": 10.3}),
    ],
)
def test_the_papers_own_figures_are_beside_the_benchmark_of_their_protocol(benchmark, method, expected):
    found = figures_of(benchmark, method)
    assert {name: found[name] for name in expected} == expected


def test_no_table_is_both_comparable_and_not():
    for table in published.tables():
        assert not set(table.same_protocol) & set(table.beside)
        assert {*table.same_protocol, *table.beside} <= set(benchmarks.BENCHMARKS)
        assert table.source and table.protocol and table.methods


def test_comparable_figures_have_our_names_and_plausible_values():
    for table in published.tables():
        if table.same_protocol:
            assert set(table.figures) <= set(FIGURES)
        for method in table.methods:
            assert len(method.values) == len(table.figures) and method.hint
            for figure, value in zip(table.figures, method.values, strict=True):
                largest = 100 if figure.startswith("error") else 1
                assert value is None or -0.1 < value < largest


def test_trap_23_saliency_of_other_rules_has_other_names():
    for table in published.tables():
        if "F-measure" in table.figures:
            assert not table.same_protocol and not set(table.figures) & set(FIGURES)
