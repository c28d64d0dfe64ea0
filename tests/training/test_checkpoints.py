import errno
import types

import jax
import numpy as np
import pytest
import toy_network

from vos3d_jax import models, storage
from vos3d_jax.errors import UserError
from vos3d_jax.training import checkpoints as checkpoint_module
from vos3d_jax.training import state
from vos3d_jax.training.checkpoints import Checkpoints

pytestmark = pytest.mark.usefixtures("toy_system")
toy_system = toy_network.toy_system

_CONFIG = toy_network.config()


def _state(step, seed=0):
    """A state whose numbers tell its step."""
    first = state.random_state(_CONFIG)
    rng = np.random.default_rng(seed + step)
    changed = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), first)
    return changed._replace(step=np.int32(step))


def _template(step):
    return state.abstract_state(_CONFIG, 0)


def _card():
    return models.model_card(models.build_model("toy"))


def _save(folder, *steps, score=None):
    with Checkpoints(folder, 10.0) as checkpoints:
        for step in steps:
            checkpoints.save(_state(step), _card(), score and score.get(step))
            checkpoints.wait()


def _restore(folder):
    with Checkpoints(folder, 10.0) as checkpoints:
        restored = checkpoints.restore(_template)
        return restored and restored[0]


def _damage(folder, item):
    files = [path for path in (folder / item).rglob("d/*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


def _assert_equal(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_state_comes_back_bit_for_bit_and_the_newest_first(tmp_path):
    assert _restore(tmp_path) is None
    _save(tmp_path, 3, 5)
    restored = _restore(tmp_path)
    _assert_equal(restored, _state(5))
    assert jax.tree.structure(restored) == jax.tree.structure(_state(5))


def test_the_latest_two_are_kept_and_the_best_scored(tmp_path):
    _save(tmp_path, 1, 2, 3, 4, 5, score={1: 0.2, 2: 0.9, 3: 0.4})
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["2", "4", "5"]


def test_scores_of_a_run_begun_when_they_were_called_j_still_rank(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(storage.ocp.CheckpointManager, "save", _save_as_j)
        _save(tmp_path, 1, 2, 3, score={1: 0.2, 2: 0.9})
    _save(tmp_path, 4, 5, score={4: 0.4, 5: 0.3})
    with Checkpoints(tmp_path, 10.0) as checkpoints:
        assert checkpoints.best() == (2, 0.9)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["2", "4", "5"]


def _save_as_j(self, step, *, metrics=None, save=storage.ocp.CheckpointManager.save, **arguments):
    return save(self, step, metrics=metrics and {"J": metrics["score"]}, **arguments)


@pytest.mark.parametrize("item", ["model", "training"])
def test_a_damaged_checkpoint_is_named_put_aside_and_the_one_before_taken(tmp_path, capsys, item):
    folder = tmp_path / "checkpoints"
    _save(tmp_path, 3, 5)
    for aside in (["5.damaged"], ["5.damaged", "5.damaged-2"]):
        _damage(folder / "5", item)
        with Checkpoints(tmp_path, 10.0) as checkpoints:
            _assert_equal(checkpoints.restore(_template)[0], _state(3))
            assert "checkpoint 5" in capsys.readouterr().err
            assert sorted(path.name for path in folder.iterdir()) == ["3", *aside]
            checkpoints.save(_state(5), _card())
        _assert_equal(_restore(tmp_path), _state(5))
    assert storage.load_card(tmp_path)["step"] == 5


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        ValueError("RESOURCE_EXHAUSTED: [OS error 24: EMFILE Too many open files]"),
        PermissionError(errno.EACCES, "Permission denied"),
        MemoryError("no memory"),
    ],
)
def test_trap_a_machine_that_cannot_read_now_costs_no_checkpoint(tmp_path, monkeypatch, error):
    _save(tmp_path, 3, 5)

    def fail(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(storage, "read_item", fail)
        with pytest.raises((UserError, MemoryError), match="may well be whole|no memory"):
            _restore(tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["3", "5"]
    _assert_equal(_restore(tmp_path), _state(5))


def test_the_best_can_be_loaded_and_a_damaged_best_gives_the_second_best(tmp_path, capsys):
    _save(tmp_path, 1, 2, 3, 4, score={1: 0.2, 2: 0.9, 3: 0.4})
    assert storage.load_card(tmp_path)["step"] == 4
    assert storage.load_card(tmp_path, "best")["step"] == 2
    _assert_equal(storage.model_variables(storage.load_model(tmp_path, "best"))["params"], _state(2).params)
    _damage(tmp_path / "checkpoints" / "2", "model")
    _assert_equal(storage.model_variables(storage.load_model(tmp_path, "best"))["params"], _state(3).params)


def test_a_best_checkpoint_that_is_damaged_costs_no_finished_training(tmp_path, capsys):
    _save(tmp_path, 1, 2, 3, score={1: 0.2, 2: 0.9})
    with Checkpoints(tmp_path, 10.0) as checkpoints:
        assert checkpoints.best() == (2, 0.9)
    (tmp_path / "checkpoints" / "2" / "card" / "metadata").write_text("{}")
    with Checkpoints(tmp_path, 10.0) as checkpoints:
        assert checkpoints.best() is None
    assert "checkpoint 2 of" in capsys.readouterr().err


def test_without_scores_there_is_no_best(tmp_path):
    _save(tmp_path, 1)
    with Checkpoints(tmp_path, 10.0) as checkpoints:
        assert checkpoints.best() is None
    with pytest.raises(UserError, match=r"was scored.*evaluation\.every"):
        storage.load_model(tmp_path, "best")


def test_when_none_is_whole_the_run_is_not_begun_anew_by_itself(tmp_path):
    _save(tmp_path, 3)
    for path in (tmp_path / "checkpoints" / "3" / "card").iterdir():
        path.write_text("{")
    with pytest.raises(UserError, match="is whole: remove that folder to start again"):
        _restore(tmp_path)


def test_a_checkpoint_is_due_by_time(tmp_path):
    with Checkpoints(tmp_path, 0.0) as eager, Checkpoints(tmp_path, 1000.0) as lazy:
        assert eager.due and not lazy.due


def test_a_save_makes_the_next_one_due_only_after_the_seconds(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(checkpoint_module, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    with Checkpoints(tmp_path, 10.0) as checkpoints:
        now[0] = 109.0
        assert not checkpoints.due
        now[0] = 110.0
        assert checkpoints.due
        checkpoints.save(_state(1), _card())
        now[0] = 119.0
        assert not checkpoints.due
        now[0] = 120.0
        assert checkpoints.due


def test_trap_what_is_saved_is_a_copy_because_a_donated_step_reuses_the_memory(tmp_path):
    live = _state(1)
    with Checkpoints(tmp_path, 10.0) as checkpoints:
        checkpoints.save(live, _card())
        for leaf in jax.tree.leaves(live.params):
            leaf[...] = -1
    _assert_equal(_restore(tmp_path), _state(1))


def test_load_model_reads_a_training_workdir(tmp_path):
    _save(tmp_path, 4)
    loaded = storage.load_model(tmp_path)
    _assert_equal(storage.model_variables(loaded)["params"], _state(4).params)
