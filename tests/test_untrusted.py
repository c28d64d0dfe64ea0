"""A folder of checkpoints from a stranger: nothing outside it is opened, and nothing in it takes much."""

import json
import os
import re
import shutil
import socket

import jax
import numpy as np
import pytest
import tensorstore
import toy_network

from vos3d_jax import models, storage, untrusted
from vos3d_jax.errors import UserError

pytestmark = pytest.mark.usefixtures("toy_system")
toy_system = toy_network.toy_system


@pytest.fixture
def folder(tmp_path, toy_system):
    storage.save_model(models.build_model("toy"), tmp_path / "model")
    return tmp_path / "model"


def _files(folder):
    step = folder / "checkpoints" / "0"
    array = max((step / "model").rglob("d/*"), key=lambda path: path.stat().st_size)
    return [step / "card" / "metadata", step / "_CHECKPOINT_METADATA", step / "model" / "_METADATA", array]


def _link(path, tmp_path):
    shutil.move(path, tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")  # whole, so only that it is a link can be wrong


def _link_inside(path, tmp_path):
    shutil.move(path, path.with_name("other"))
    path.symlink_to("other")


def _dangling(path, tmp_path):
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")


def _pipe(path, tmp_path):
    # Trap: whoever opens a pipe waits for ever.
    path.unlink()
    os.mkfifo(path)


def _socket(path, tmp_path):
    path.unlink()
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(path.parent)
        made.bind(path.name)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("change", [_link, _link_inside, _dangling, _pipe, _socket])
def test_links_and_pipes_are_named_and_not_opened(folder, tmp_path, monkeypatch, change, number):
    monkeypatch.chdir(tmp_path)  # is undone at the end
    path = _files(folder)[number]
    change(path, tmp_path)
    for load in (storage.load_card, storage.load_variables):
        with pytest.raises(UserError, match=f"{path.name}' is (a symbolic link|no regular file)"):
            load(folder)


@pytest.mark.parametrize("below", ["checkpoints/0", "checkpoints/0/model", "checkpoints/0/card"])
def test_a_linked_folder_is_named_and_not_entered(folder, tmp_path, below):
    _link(folder / below, tmp_path)
    with pytest.raises(UserError, match="is a symbolic link"):
        storage.load_model(folder)


def test_the_folder_that_a_person_names_may_be_a_link_and_so_may_its_checkpoints(folder, tmp_path):
    _link(folder / "checkpoints", tmp_path)
    (tmp_path / "latest").symlink_to(folder)
    assert storage.load_card(tmp_path / "latest")["system"] == "toy"


@pytest.mark.parametrize("number", range(3))
def test_a_text_that_claims_gigabytes_is_refused_before_it_is_read(folder, number):
    path = _files(folder)[number]
    os.truncate(path, 10 << 30)  # a hole: it takes no room
    with pytest.raises(UserError, match=f"{path.name}' has 10,737,418,240 bytes"):
        storage.load_model(folder)


@pytest.mark.parametrize("key", ["../secret", "a/../../secret", "./secret", "/etc/hostname"])
def test_trap_names_inside_a_store_cannot_lead_out_of_it(tmp_path, key):
    # What the check above stands on: names in Orbax's own files go through this function.
    (tmp_path / "secret").write_text("mine")
    (tmp_path / "store").mkdir()
    store = tensorstore.KvStore.open(f"file://{tmp_path}/store/").result()
    with pytest.raises(ValueError, match="Invalid key"):
        store.read(key).result()


def _forge(folder, **changes):
    """Changes the card and makes its checksum right again, as a stranger can."""
    path = _files(folder)[0]
    card = {**json.loads(path.read_text()), **changes}
    card = {k: v for k, v in card.items() if v is not ... and k != "crc"}
    path.write_text(json.dumps({**card, "crc": storage._crc(card)}))


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"arguments": {"width": 1 << 70}}, "damaged"),
        ({"arguments": {"width": -1}}, "damaged"),
        ({"arguments": {"width": [1, 2]}}, "damaged"),
        ({"arguments": "width"}, "its card: arguments is no mapping|arguments is a str"),
        ({"system": ["toy"]}, "its card: system is a list"),
        ({"system": ...}, "its card has no system"),
        ({"step": "0"}, "its card: step is a str"),
        ({"checksums": {}}, "damaged"),
        ({"report": {"random": [1]}}, "report: random is no list of str"),
        ({"inference": {"trained_edge": "8"}}, "inference: trained_edge is a str"),  # the rest: Predictor
        ({"trained": [1]}, "trained is no mapping"),
        ({"source": "a text"}, "source is no mapping"),
    ],
)
def test_a_card_that_a_stranger_wrote_ends_in_one_line(folder, capsys, changes, said):
    _forge(folder, **changes)
    with pytest.raises(UserError) as raised:
        storage.load_model(folder)
    told = capsys.readouterr().err + str(raised.value)
    assert "\n" not in str(raised.value)
    assert re.search(said, told), told


@pytest.mark.parametrize("name, size", [("width", 1 << 20), ("decoder_width", 1 << 40)])
def test_a_card_that_claims_a_huge_network_takes_no_memory(tmp_path, capsys, name, size):
    arguments = {"depth": 14, "width": 1, "decoder_width": 2}
    storage.save_model(models.build_model("dcseg", **arguments), tmp_path)
    _forge(tmp_path, arguments={**arguments, name: size})
    with pytest.raises(UserError, match="no checkpoint in .* is whole"):
        storage.load_model(tmp_path)
    assert re.search(
        r"it claims arrays of [0-9,]+ bytes in files of [0-9]+,[0-9]+\)", capsys.readouterr().err
    )


def test_a_card_of_other_types_is_not_written(tmp_path):
    with pytest.raises(UserError, match="source is no mapping: nothing was written"):
        storage.save_model(models.build_model("toy"), tmp_path / "model", {"source": "the authors"})
    assert not (tmp_path / "model").exists()


def test_a_loaded_model_does_not_stand_on_its_files(folder):
    model = storage.load_model(folder)
    before = [np.array(leaf) for leaf in jax.tree.leaves(storage.model_variables(model))]
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(bytes(path.stat().st_size))
    shutil.rmtree(folder)
    for one, other in zip(before, jax.tree.leaves(storage.model_variables(model)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_steps_that_vanish_while_a_folder_is_looked_through_are_no_problem(folder, monkeypatch):
    # A training that runs removes its older steps.
    scandir = os.scandir

    def late(path):
        if str(path).endswith("/0"):
            shutil.rmtree(path)
        return scandir(path)

    monkeypatch.setattr(untrusted.os, "scandir", late)
    assert untrusted.refuse_strange(folder / "checkpoints") == 0
