import pytest
import toy_network

from vos3d_jax import models, storage
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import network

pytestmark = pytest.mark.usefixtures("toy_system")
toy_system = toy_network.toy_system


def _save(model, folder, **arguments):
    card = models.model_card(model)
    storage.save_variables(storage.model_variables(model), {**card, "arguments": arguments}, folder)


def test_a_card_from_before_an_argument_existed_means_its_default(tmp_path):
    # The networks trained before a system gets a new choice can still be scored with their config.
    config = toy_network.config()
    model = models.build_model("toy", **config.model)
    assert set(model.arguments) > {"width"}
    _save(model, tmp_path / "old", width=model.arguments["width"])
    loaded, card = network.load_model(config, tmp_path / "old")
    assert loaded.arguments["width"] == model.arguments["width"]
    assert card["arguments"] == {"width": model.arguments["width"]}


def test_another_network_is_still_another_one(tmp_path):
    model = models.build_model("toy", width=3)
    _save(model, tmp_path / "other", width=3)
    with pytest.raises(UserError, match="its width is 3"):
        network.load_model(toy_network.config(), tmp_path / "other")
