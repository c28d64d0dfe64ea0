import json

import pytest
import toy_network

from vos3d_jax import recipe
from vos3d_jax.errors import UserError
from vos3d_jax.training import tasks, workdirs


def _written_before(config):
    """The config.json of a run begun when there were no tasks, and every sample had the options of all."""
    values = recipe.plain(config)
    del values["init_from"]
    values["evaluation"] |= values["evaluation"].pop("predictor")
    for stage in values["stages"]:
        del stage["task"]
        stage["loss"] = {"kind": "cross_entropy", "bootstrap": False}
        for part in stage["data"]:
            part["kind"] = {"clip": "video"}.get(part["kind"], part["kind"])
            for unused in ("sampling", "synthesis"):
                part.setdefault(unused, {"rule": "any"})
    return values


def test_trap_a_run_that_an_older_version_began_goes_on(tmp_path):
    config = tasks.with_losses(toy_network.config())
    (tmp_path / "config.json").write_text(json.dumps(_written_before(config)))
    workdirs.claim(tmp_path, config, {})
    assert json.loads((tmp_path / "config.json").read_text()) == recipe.plain(config)


def test_another_loss_is_another_run(tmp_path):
    config = tasks.with_losses(toy_network.config())
    (tmp_path / "config.json").write_text(json.dumps(_written_before(config)))
    stages = [toy_network.stage(loss={"bootstrap": True}), toy_network.stage("finetune")]
    with pytest.raises(UserError, match=r"stages\[0\]\.loss\.bootstrap is true, there it was false\)"):
        workdirs.claim(tmp_path, tasks.with_losses(toy_network.config(stages=stages)), {})
