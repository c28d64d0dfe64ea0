import collections
import shutil

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
import toy_network

from vos3d_jax import models, storage
from vos3d_jax.errors import UserError

pytestmark = pytest.mark.usefixtures("toy_system")
toy_system = toy_network.toy_system


@pytest.fixture
def saved(tmp_path, toy_system):
    model = models.build_model("toy", seed=3, width=5)
    storage.save_model(model, tmp_path / "ported", {"source": {"title": "a test"}})
    return model, tmp_path / "ported"


def flip_a_bit(folder, item):
    """In the largest file of array data: the one that Orbax itself does not notice."""
    data = [path for path in (folder / item).rglob("d/*") if path.is_file()]
    path = max(data, key=lambda one: one.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("inside", ["", "checkpoints"])
def test_a_saved_model_comes_back_with_its_card(saved, inside):
    model, folder = saved
    loaded = storage.load_model(folder / inside)
    assert loaded.arguments == model.arguments
    for one, other in zip(
        *(jax.tree.leaves(storage.model_variables(m)) for m in (model, loaded)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    card = storage.load_card(folder)
    assert card["system"] == "toy" and card["source"]["title"] == "a test" and card["step"] == 0


def test_a_folder_that_holds_a_model_is_not_written_to(saved):
    model, folder = saved
    with pytest.raises(UserError, match="holds a model already"):
        storage.save_model(model, folder)


def test_trap_orbax_restores_a_flipped_bit_silently_but_we_refuse_it(saved, capsys):
    _, folder = saved
    flip_a_bit(folder / "checkpoints" / "0", "model")
    with pytest.raises(UserError, match="no checkpoint in .* is whole"):
        storage.load_model(folder)
    assert "checkpoint 0 of" in capsys.readouterr().err


def test_a_changed_card_is_refused(saved):
    _, folder = saved
    path = folder / "checkpoints" / "0" / "card" / "metadata"
    path.write_text(path.read_text().replace('"width": 5', '"width": 6'))
    with pytest.raises(UserError, match="is whole"):
        storage.load_card(folder)


def test_missing_things_are_named(tmp_path, saved):
    with pytest.raises(UserError, match="nothing is not a folder"):
        storage.load_model(tmp_path / "nothing")
    (tmp_path / "bmvc_final.pth").write_bytes(b"")
    with pytest.raises(
        UserError, match="bmvc_final.pth is a file.*port_weights convert .*bmvc_final.pth --output"
    ):
        storage.load_model(tmp_path / "bmvc_final.pth")
    (tmp_path / "bear.MP4").write_bytes(b"")
    with pytest.raises(
        UserError, match="bear.MP4 is a video or picture, not a model: give a training workdir"
    ):
        storage.load_model(tmp_path / "bear.MP4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no checkpoint in .*empty: expected"):
        storage.load_model(tmp_path / "empty")
    with pytest.raises(UserError, match="no checkpoint of step 7: it has 0"):
        storage.load_model(saved[1], step=7)


def test_a_model_of_an_unknown_system_is_refused_by_name(saved, monkeypatch):
    monkeypatch.delitem(models.SYSTEMS, "toy")
    with pytest.raises(UserError, match="toy"):
        storage.load_model(saved[1])


def test_a_whole_folder_can_be_moved(saved, tmp_path):
    shutil.move(saved[1], tmp_path / "elsewhere")
    assert storage.load_model(tmp_path / "elsewhere").arguments["width"] == 5


def _half_written(manager, step, args):
    (manager.directory / f"{step}.orbax-checkpoint-tmp").mkdir()
    raise ValueError('RESOURCE_EXHAUSTED: Error writing "params.a"')


def test_a_model_that_does_not_fit_on_the_disk_leaves_nothing_of_itself(saved, tmp_path, monkeypatch):
    model, _ = saved
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    usage = collections.namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(storage.shutil, "disk_usage", lambda path: usage(9, 9, 0))
        with pytest.raises(UserError, match="MB needed, 0 MB free"):
            storage.save_model(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(ocp.CheckpointManager, "save", _half_written)  # a quota, which nobody foresees
    for folder in ("new", "mine"):
        with pytest.raises(UserError, match="cannot be written .*RESOURCE_EXHAUSTED"):
            storage.save_model(model, tmp_path / folder)
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["taken", "x" * 300])
def test_a_folder_that_cannot_be_made_is_named(saved, tmp_path, name):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "checkpoints").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        storage.save_model(saved[0], tmp_path / name)


def test_a_disk_that_is_full_while_orbax_writes_is_one_line_and_leaves_no_unfinished_step(tmp_path):
    (tmp_path / "7.orbax-checkpoint-tmp-1").mkdir()
    (tmp_path / "6").mkdir()
    with pytest.raises(UserError, match="cannot be written .*No space left.*: free some space"):
        with storage.saving(tmp_path):
            raise ValueError("RESOURCE_EXHAUSTED: writing d/0: No space left on device")
    assert [path.name for path in tmp_path.iterdir()] == ["6"]
    with pytest.raises(ValueError, match="of another kind"), storage.saving(tmp_path):
        raise ValueError("of another kind")
