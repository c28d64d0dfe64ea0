"""The command and the Python interface are two ways to the same masks; what is loaded says what it is."""

import numpy as np
import pytest
import toy_network
from flax import nnx

import vos3d_jax as vos
from vos3d_jax import segment, storage
from vos3d_jax.errors import UserError
from vos3d_jax.media.masks import read_ids
from vos3d_jax.models.description import remember

toy_system = toy_network.toy_system
SETTINGS = {"clip_length": 3, "overlap": 1, "tail": "paper", "short_edge": 64}
VIDEO = np.random.default_rng(0).integers(0, 256, (7, 40, 48, 3), np.uint8)


@pytest.fixture
def toy(tmp_path, toy_system):
    model = toy_network.Toy(rng=np.random.default_rng(0))
    card = {
        "inference": SETTINGS,
        "config": "toy",
        "trained": {"data": ["davis2016"], "steps": 0, "init_from": ""},
    }
    storage.save_model(model, tmp_path / "model", card)
    np.save(tmp_path / "video.npy", VIDEO)
    return tmp_path


def test_a_predictor_gives_the_masks_of_the_command(toy):
    arguments = [f"--checkpoint={toy / 'model'}", f"--input={toy / 'video.npy'}", f"--output={toy / 'out'}"]
    assert segment.main(arguments) == 0
    masks = [read_ids(path) for path in sorted((toy / "out" / "video").glob("*.png"))]
    assert np.unique(masks).tolist() == [0, 1]
    for model, video in (
        (vos.load_model(toy / "model"), VIDEO),
        (str(toy / "model"), toy / "video.npy"),
    ):
        np.testing.assert_array_equal([frame.mask for frame in vos.Predictor(model).stream(video)], masks)
    others = [frame.mask for frame in vos.Predictor(toy / "model", short_edge=0).stream(VIDEO)]
    assert not np.array_equal(others, masks)  # so the settings matter


def test_a_model_that_is_saved_again_keeps_the_settings_of_its_card(toy):
    storage.save_model(vos.load_model(toy / "model"), toy / "copy")
    assert storage.load_card(toy / "copy")["inference"] == SETTINGS


def test_the_settings_of_a_card_do_not_cost_a_network_of_the_same_kind_another_compilation(toy):
    one, other = (vos.load_model(toy / "model") for _ in range(2))
    assert nnx.split(one)[0] == nnx.split(other)[0]


def test_a_predictor_says_once_why_its_masks_cannot_be_good(toy):
    card = {"config": "toy", "trained": {"data": ["moving_shapes"], "steps": 0, "init_from": ""}}
    storage.save_model(toy_network.Toy(rng=np.random.default_rng(0)), toy / "demo", card)
    for model in (toy / "demo", vos.load_model(toy / "demo")):
        said = []
        list(vos.Predictor(model, announce=said.append, **SETTINGS).stream(VIDEO))
        [line] = [line for line in said if "cannot be good" in line]
        assert line.startswith("warning: its masks cannot be good: it was trained on generated videos alone")
    said = []
    vos.Predictor(toy / "model", announce=said.append)
    assert not said


def test_the_size_a_network_was_trained_for_shows_where_it_is_a_limit(toy_system):
    model = toy_network.Toy(rng=np.random.default_rng(0))
    remember(model, {"short_edge": 0, "trained_edge": 64}, "a test")
    assert repr(vos.Predictor(model)).endswith("short_edge='that of the frames, at most 64'")
    assert repr(vos.Predictor(model, short_edge=0)).endswith("short_edge=0")


def test_models_and_predictors_say_in_three_lines_what_they_are(tmp_path):
    model = vos.build_model("dcseg", depth=14, width=8, decoder_width=16)
    network = "dcseg: depth=14, width=8, decoder_width=16, others as published"
    size = "  340,690 parameters and 2,416 running statistics of batch norm"
    assert repr(model).splitlines() == [
        network,
        size,
        "  weights: random, as `build_model` makes them, or set since",
    ]
    storage.save_model(model, tmp_path, {"source": {"file": "final.pth", "title": "3DC-Seg"}})
    loaded = vos.load_model(tmp_path)
    assert str(loaded).splitlines() == [network, size, "  weights: converted from final.pth (3DC-Seg)"]
    assert repr(vos.Predictor(loaded, overlap=0)).splitlines() == [
        f"Predictor of {network}",
        size,
        "  clip_length=8, overlap=0, tail='code', short_edge=480",
    ]


def test_a_network_without_masks_is_refused_by_the_predictor():
    with pytest.raises(UserError, match="a csn_classifier gives no masks: give a dcseg"):
        vos.Predictor(vos.build_model("csn_classifier", depth=14, width=8))


@pytest.mark.parametrize("model", [None, 3, {"system": "dcseg"}])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(UserError, match="is no model: give a network, or the folder of one"):
        vos.Predictor(model)
