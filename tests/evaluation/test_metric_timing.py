"""The command that measures the metrics: its plain forms are right, and it prints its table."""

import numpy as np
import pytest

from vos3d_jax.evaluation import metrics
from vos3d_jax.evaluation.metrics import timing


def small_masks():
    return timing.generated_masks(2)[:, 100:380:2, 250:530:2].copy()


def test_the_plain_forms_have_the_same_values():
    first, second = small_masks()
    assert timing.plain_j_and_f(second, first) == pytest.approx(metrics.j_and_f(second, first), abs=1e-12)
    empty = np.zeros_like(first)
    for pair in ((empty, empty), (empty, first), (first, empty)):
        assert timing.plain_j_and_f(*pair) == metrics.j_and_f(*pair)
    ours = metrics.temporal_instability([first, second]).values[0]
    assert timing.plain_instability(first, second) == pytest.approx(ours, abs=1e-9)


def test_the_command_prints_a_row_for_each_measure(tmp_path, capsys):
    np.save(tmp_path / "masks.npy", small_masks())
    assert timing.main([f"--masks={tmp_path / 'masks.npy'}"]) == 0
    printed = capsys.readouterr().out
    assert "140x140" in printed
    assert "J and F of a frame" in printed and "T of a pair, mean" in printed
