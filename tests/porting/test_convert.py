import dataclasses
import json
from pathlib import Path

import manifests
import ml_dtypes
import numpy as np
import pytest

from vos3d_jax import cards, files, models, storage
from vos3d_jax.errors import UserError
from vos3d_jax.porting import open_checkpoint, plan, rules, targets
from vos3d_jax.porting.convert import convert, refuse_inflated
from vos3d_jax.porting.export import export, naming_arguments
from vos3d_jax.porting.rules.known_files import KNOWN_FILES

DCSEG = {"depth": 14, "width": 4, "decoder_width": 8}
CSN = {"depth": 26, "width": 4, "classes": 5}
# (system, source, arguments, container)
CASES = [
    ("dcseg", "3dcseg", {**DCSEG, "classes": 3}, ".pth"),
    ("dcseg", "3dcseg", {**DCSEG, "depth": 26, "separation": "ip", "stem_time_padding": 3}, ".safetensors"),
    ("dcseg", "3dcseg", {**DCSEG, "backbone": "resnet"}, ".pth"),
    ("dcseg", "3dcseg_old", {**DCSEG, "backbone": "r2plus1d", "depth": 10}, ".pth"),
    ("dcseg", "3dcseg_old", {**DCSEG, "bridge": "c3d"}, ".pth"),
    ("dcseg", "3dcseg_old", {**DCSEG, "bridge": "nl3d"}, ".pth"),
    *[("dcseg", "3dcseg", {**DCSEG, "bridge": bridge}, ".pth") for bridge in ("c3d", "nl3d", "aspp")],
    *[
        ("dcseg", "3dcseg", {**DCSEG, "refinement": refinement}, ".pth")
        for refinement in ("upsampling", "light", "light_gn", "dg", "two_plus_one_d", "conv_transpose")
    ],
    ("csn_classifier", "vmz", CSN, ".pth"),
    ("csn_classifier", "vmz", {**CSN, "separation": "ip"}, ".safetensors"),
    ("csn_classifier", "3dcseg_backbone", {**CSN, "separation": "ip"}, ".pth"),
    ("csn_classifier", "mmaction2", CSN, ".pth"),
    ("csn_classifier", "mmaction2", {**CSN, "separation": "ip"}, ".pth"),
    ("csn_classifier", "pytorchvideo", CSN, ".pth"),
    ("csn_classifier", "caffe2", CSN, ".pkl"),
    ("csn_classifier", "caffe2", {**CSN, "separation": "ip"}, ".pkl"),
    ("r2plus1d_classifier", "r2plus1d", {"depth": 10, "width": 8, "classes": 5}, ".pth"),
    ("r2plus1d_classifier", "caffe2_r2plus1d", {"depth": 10, "width": 8, "classes": 5}, ".pkl"),
    ("resnet3d_classifier", "3dcseg_backbone", {"depth": 14, "width": 4, "classes": 5}, ".pth"),
]


def _views(folder):
    variables, card = storage.load_variables(folder)
    return targets.views(variables), card


def _same(one, other):
    assert one.keys() == other.keys()
    for path in one:
        np.testing.assert_array_equal(one[path], other[path], err_msg=path)


@pytest.fixture
def dcseg(tmp_path):
    """The tensors of a small network in the words of 3DC-Seg, and what writes and converts them."""
    tensors = manifests.recipe_tensors("dcseg", "3dcseg", **DCSEG)

    def run(**options):
        path = manifests.write(tmp_path / "weights.pth", tensors)
        return convert(path, tmp_path / "model", **options)

    run.tensors, run.folder = tensors, tmp_path / "model"
    return run


QUICK = (0, 3, 14, 17, 22, 23)


@pytest.mark.parametrize(
    "system, source, arguments, container",
    [pytest.param(*case, marks=() if i in QUICK else pytest.mark.slow) for i, case in enumerate(CASES)],
)
def test_a_file_is_converted_exported_and_converted_again_bit_by_bit(
    system, source, arguments, container, tmp_path
):
    tensors = manifests.recipe_tensors(system, source, **arguments)
    done = convert(manifests.write(tmp_path / f"weights{container}", tensors), tmp_path / "model")
    assert done.counts() == {"used": len(tensors)}
    views, card = _views(tmp_path / "model")
    assert card["system"] == system and card["arguments"].items() >= arguments.items()
    for path, name in rules.torch_names(views, source, naming_arguments(card)).items():
        np.testing.assert_array_equal(rules.to_torch(path, views[path]), tensors[name], err_msg=path)
    for suffix in [".pth"] if source != "vmz" else [".pth", ".safetensors"]:
        export(tmp_path / "model", tmp_path / f"exported{suffix}")
        again = convert(tmp_path / f"exported{suffix}", tmp_path / f"again{suffix}")
        assert again.problems == [] and "unknown" not in again.counts()
        twice, second = _views(tmp_path / f"again{suffix}")
        _same(views, twice)
        assert second["arguments"] == card["arguments"]


def test_the_card_says_what_the_model_is_and_where_it_comes_from(dcseg):
    dcseg()
    card = storage.load_card(dcseg.folder)
    assert card["arguments"]["epsilon"] == 1e-5
    assert card["arguments"]["mean"] == [114.7748, 107.7354, 99.4750]
    # Trap: a network trained and exported here has the names of the authors' files, but not their licence.
    assert card["licence"].startswith("if these are the authors' weights: MIT") and card[
        "converter"
    ].startswith("vos3d_jax ")
    assert card["source"]["file"] == "weights.pth" and len(card["source"]["sha256"]) == 64
    assert card["source"]["size"] == (dcseg.folder.parent / "weights.pth").stat().st_size
    assert card["report"]["tensors"] == {"used": len(dcseg.tensors)}


def test_epsilon_belongs_to_the_source_and_the_depth(tmp_path):
    # Trap: a state dict does not show it, and with the wrong one the network runs and errs.
    expected = {"vmz": 1e-3, "mmaction2": 1e-3, "pytorchvideo": 1e-5}
    for source, epsilon in expected.items():
        tensors = manifests.recipe_tensors("csn_classifier", source, depth=14, width=4, classes=5)
        convert(manifests.write(tmp_path / f"{source}.pth", tensors), tmp_path / source)
        assert storage.load_card(tmp_path / source)["arguments"]["epsilon"] == epsilon
    for name, epsilon in {"r2plus1d_18_kinetics400": 1e-5, "r2plus1d_34_kinetics": 1e-3}.items():
        found = plan.make(manifests.checkpoint_of(manifests.manifest(name)))
        assert targets.arguments(found.system, found.arguments)["epsilon"] == epsilon


def test_all_problems_are_reported_together_and_nothing_is_written(dcseg):
    dcseg.tensors["stranger.weight"] = np.zeros(3, np.float32)
    del dcseg.tensors["encoder.layer1.0.bn2.running_var"]
    dcseg.tensors["decoders.0.convG1.bias"] = np.zeros(9, np.float32)
    dcseg.tensors["encoder.bn1.weight"] = np.zeros(4, np.int64)
    with pytest.raises(UserError) as raised:
        dcseg()
    message = str(raised.value)
    for name in ("stranger.weight", "bn2.running_var", "convG1.bias", "encoder.bn1.weight"):
        assert name in message
    assert "\n" not in message and not dcseg.folder.exists()


def test_named_problems_are_allowed_and_the_card_lists_them(dcseg):
    dcseg.tensors["stranger.weight"] = np.zeros(3, np.float32)
    del dcseg.tensors["decoders.0.pred2.bias"]
    with pytest.raises(UserError, match="pred2.bias"):
        dcseg(allow=["stranger.*"])
    dcseg(allow=["stranger.*", "head/*"])
    views, card = _views(dcseg.folder)
    assert card["report"]["random"] == ["head/bias"]
    assert len(card["report"]["allowed"]) == 2
    assert np.isfinite(views["head/bias"]).all()


def test_the_stale_norm_of_the_stem_is_ignored(dcseg):
    # Trap: a trained file holds two norms there; only encoder.bn1 is in the forward pass (spec 3.1).
    dcseg.tensors["encoder.resnet.bn1.weight"] = np.full(4, 7, np.float32)
    done = dcseg()
    views, _ = _views(dcseg.folder)
    np.testing.assert_array_equal(views["encoder/stem/conv/norm/scale"], dcseg.tensors["encoder.bn1.weight"])
    assert done.counts()["unused"] == 1


def test_second_names_must_repeat_the_first(dcseg):
    name = "encoder.layer2.0.conv1.weight"
    dcseg.tensors["encoder.resnet.conv1.weight"] = dcseg.tensors["encoder.conv1.weight"]
    dcseg.tensors["encoder.resnet.layer2.0.conv1.weight"] = dcseg.tensors[name].copy()
    assert dcseg().counts()["alias"] == 2


def test_a_second_name_with_other_values_is_a_problem(dcseg):
    name = "encoder.layer2.0.conv1.weight"
    dcseg.tensors["encoder.resnet.layer2.0.conv1.weight"] = dcseg.tensors[name] + 1
    with pytest.raises(UserError, match="resnet.layer2.0.conv1.weight .should repeat"):
        dcseg()
    assert not dcseg.folder.exists()


def test_input_constants_of_the_file_go_into_the_card(dcseg):
    dcseg.tensors["encoder.mean"] = np.array([1.5, 2.25, 99.475], np.float32).reshape(1, 3, 1, 1, 1)
    dcseg.tensors["encoder.std"] = np.full((1, 3, 1, 1, 1), 2, np.float32)
    dcseg()
    arguments = storage.load_card(dcseg.folder)["arguments"]
    assert arguments["mean"] == [1.5, 2.25, 99.475] and arguments["std"] == [2, 2, 2]


@pytest.mark.parametrize("values", [[1, 0, 1], [1, np.nan, 1], [1, 1e300, 1]])
def test_input_constants_that_nothing_can_be_divided_by_are_refused_unless_others_are_given(dcseg, values):
    dcseg.tensors["encoder.std"] = np.array(values, np.float64).reshape(1, 3, 1, 1, 1)
    with pytest.raises(UserError, match="encoder.std holds .* give the right ones as --set=std="):
        dcseg()
    dcseg(settings={"std": [1.0, 2.0, 3.0]})
    assert storage.load_card(dcseg.folder)["arguments"]["std"] == [1, 2, 3]


def test_input_constants_that_are_no_three_numbers_are_a_problem(dcseg):
    dcseg.tensors["encoder.mean"] = np.zeros((1, 4, 1, 1, 1), np.float32)
    with pytest.raises(UserError, match="encoder.mean .*expected three numbers"):
        dcseg()


def test_input_constants_that_are_not_taken_are_not_called_so(tmp_path):
    tensors = manifests.recipe_tensors("csn_classifier", "mmaction2", depth=14, width=4, classes=5)
    tensors["data_preprocessor.mean"] = tensors["data_preprocessor.std"] = np.ones(3, np.float32)
    path = manifests.write(tmp_path / "weights.pth", tensors)
    checkpoint = open_checkpoint(path)
    assert plan.make(checkpoint).counts()["constant"] == 2
    others = [{"into": "dcseg"}, {"settings": {"mean": [1.0, 2.0, 3.0], "std": [1.0, 1.0, 1.0]}}]
    for options in others:
        rows = {row.name: row for row in plan.make(checkpoint, **options).rows}
        assert rows["data_preprocessor.mean"].status == rows["data_preprocessor.std"].status == "unused"


def test_other_floating_types_are_kept_as_float32(dcseg):
    dcseg.tensors["decoders.0.pred2.bias"] = np.array([0.1, 0.7], np.float64)
    done = dcseg()
    views, _ = _views(dcseg.folder)
    np.testing.assert_array_equal(views["head/bias"], np.array([0.1, 0.7], np.float32))
    assert "float64" in next(row.note for row in done.rows if row.name == "decoders.0.pred2.bias")


def test_numbers_beyond_float32_are_a_problem_that_can_be_allowed(dcseg):
    dcseg.tensors["decoders.0.pred2.bias"] = np.array([0.1, 1e300], np.float64)
    with pytest.raises(UserError, match="pred2.bias .1 of 2 values are beyond float32, in float64"):
        dcseg()
    assert not dcseg.folder.exists()
    dcseg(allow=["decoders.0.pred2.bias"])
    views, card = _views(dcseg.folder)
    np.testing.assert_array_equal(views["head/bias"], np.array([0.1, np.inf], np.float32))
    assert card["report"]["allowed"] == ["decoders.0.pred2.bias: broken"]


VARIANCE, KERNEL = "encoder.layer1.0.bn1.running_var", "decoders.0.GC.conv_l1.weight"
BROKEN = [
    (VARIANCE, np.nan, "1 of 4 values are not finite"),
    (VARIANCE, -0.5, "a variance of -0.5"),
    (VARIANCE, -np.inf, "not finite"),
    ("encoder.layer1.0.bn1.running_mean", np.inf, "not finite"),
    ("encoder.bn1.weight", -np.nan, "not finite"),
    (KERNEL, -np.inf, "1 of [0-9]+ values are not finite"),
    (KERNEL, np.nan, "not finite"),
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_values_that_no_trained_network_has_are_a_problem(dcseg, number):
    # Trap: such a network runs, and every mask of it is empty.
    name, value, said = BROKEN[number]
    kinds = (np.float32, np.float16, ml_dtypes.bfloat16, np.float64)
    tensor = dcseg.tensors[name].astype(kinds[number % len(kinds)])
    tensor.reshape(-1)[-1] = value
    dcseg.tensors[name] = tensor
    with pytest.raises(UserError, match=rf"1 broken: {name} \(.*{said}\).*--allow=PATTERN"):
        dcseg()
    assert not dcseg.folder.exists()


def test_all_broken_tensors_come_in_one_message_and_are_let_through_by_name_or_path(dcseg):
    for name, value in ((VARIANCE, -1.0), (KERNEL, np.nan)):
        dcseg.tensors[name] = np.full_like(dcseg.tensors[name], value)
    with pytest.raises(UserError, match=rf"2 broken: .*{VARIANCE} .*; |2 broken: .*{KERNEL}"):
        dcseg()
    with pytest.raises(UserError, match="1 broken"):
        dcseg(allow=[KERNEL])
    done = dcseg(allow=[KERNEL, "encoder/stage1/0/*"])
    views, card = _views(dcseg.folder)
    assert done.counts()["broken"] == 2 and len(card["report"]["allowed"]) == 2
    assert card["report"]["random"] == [] and "no trained network has" in cards.doubt(card)
    assert (views["encoder/stage1/0/reduce/norm/var"] == -1).all()
    assert np.isnan(views["bridge/left1/kernel"]).all()


def test_values_that_are_not_used_may_be_anything(dcseg):
    dcseg.tensors["encoder.conv1_p.weight"] = np.full(3, np.nan, np.float32)
    dcseg.tensors[VARIANCE] = np.zeros(4, np.float32)  # a channel that never varied
    dcseg()


def test_a_file_goes_into_the_system_that_it_is_of(dcseg):
    assert dcseg(into="dcseg").counts() == {"used": len(dcseg.tensors)}


def test_a_backbone_becomes_the_encoder_of_a_segmentation_network(tmp_path):
    tensors = manifests.recipe_tensors("csn_classifier", "vmz", depth=14, width=4, classes=5)
    path = manifests.write(tmp_path / "weights.pth", tensors)
    done = convert(path, tmp_path / "model", into="dcseg")
    views, card = _views(tmp_path / "model")
    assert card["system"] == "dcseg" and card["arguments"]["epsilon"] == 1e-5
    assert done.counts()["used"] == len(tensors) - 2 and done.counts()["unused"] == 2
    assert {row.path for row in done.rows if row.status == "random"} == {
        path for path in views if not path.startswith("encoder/")
    }
    stem = views["encoder/stem/conv/kernel"]
    np.testing.assert_array_equal(rules.to_torch("a/kernel", stem), tensors["stem.0.weight"])


def test_a_file_without_a_head_needs_a_system_to_go_into(tmp_path):
    tensors = manifests.recipe_tensors("csn_classifier", "mmaction2", depth=14, width=4)
    backbone = {k.removeprefix("backbone."): v for k, v in tensors.items() if k.startswith("backbone.")}
    path = manifests.write(tmp_path / "weights.pth", backbone)
    with pytest.raises(UserError, match="--into=dcseg"):
        convert(path, tmp_path / "model")
    assert convert(path, tmp_path / "model", into="dcseg").counts()["used"] == len(backbone)


def test_a_file_known_by_its_hash_brings_what_it_does_not_show(tmp_path, monkeypatch):
    tensors = manifests.recipe_tensors("csn_classifier", "mmaction2", depth=14, width=4, classes=5)
    path = manifests.write(tmp_path / "weights.pth", tensors)
    convert(path, tmp_path / "unknown")
    digest = storage.load_card(tmp_path / "unknown")["source"]["sha256"]
    known = ("a published file", {"mean": (1.0, 2.0, 3.0)})
    monkeypatch.setitem(KNOWN_FILES, digest[:8], known)
    convert(path, tmp_path / "known")
    card = storage.load_card(tmp_path / "known")
    assert card["source"]["published"] == "a published file"
    assert card["arguments"]["mean"] == [1, 2, 3]
    convert(path, tmp_path / "set", settings={"mean": [4.0, 5.0, 6.0]})
    assert storage.load_card(tmp_path / "set")["arguments"]["mean"] == [4, 5, 6]
    # As an encoder it gets the input of a segmentation network, whatever its own was.
    convert(path, tmp_path / "encoder", into="dcseg")
    assert storage.load_card(tmp_path / "encoder")["arguments"]["mean"] == [114.7748, 107.7354, 99.475]


def test_what_a_file_cannot_show_can_be_set(tmp_path):
    given = {"depth": 14, "width": 4, "classes": 5}
    tensors = manifests.recipe_tensors("resnet3d_classifier", "3dcseg_backbone", **given)
    path = manifests.write(tmp_path / "weights.pth", tensors)
    convert(path, tmp_path / "model", settings={"temporal_strides": False})
    assert storage.load_card(tmp_path / "model")["arguments"]["temporal_strides"] is False
    with pytest.raises(UserError, match="no argument 'strides'"):
        convert(path, tmp_path / "other", settings={"strides": 1})


def test_the_same_is_not_converted_twice_and_another_model_not_replaced_unless_told(dcseg, caplog):
    def state():
        return {path: path.stat().st_mtime_ns for path in dcseg.folder.rglob("*")}

    dcseg()
    before = state()
    with files.exclusive(dcseg.folder), pytest.raises(UserError, match="another command is writing to"):
        dcseg()
    dcseg()
    assert "model was converted before, from this file and with these settings" in caplog.text
    with pytest.raises(
        UserError, match=r"model is there already, with epsilon 1e-05 \(now 0.001\): give ano"
    ):
        dcseg(settings={"epsilon": 1e-3})
    assert state() == before
    dcseg(settings={"epsilon": 1e-3}, overwrite=True)
    assert storage.load_card(dcseg.folder)["arguments"]["epsilon"] == 1e-3
    assert [path.name for path in dcseg.folder.iterdir()] == ["checkpoints"]
    name = next(name for name in dcseg.tensors if name.endswith("conv1.weight"))
    dcseg.tensors[name] = dcseg.tensors[name] + 1
    with pytest.raises(UserError, match="other sha256"):
        dcseg(settings={"epsilon": 1e-3})


def test_a_conversion_that_was_killed_while_it_replaced_a_model_does_not_cost_it(dcseg, monkeypatch):
    rename = Path.rename

    def killed(self, target):
        if self.parent.name == ".new":  # the old one is out of its place, the new one not yet there
            raise KeyboardInterrupt
        return rename(self, target)

    dcseg()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            dcseg(settings={"epsilon": 1e-3}, overwrite=True)
    dcseg()
    assert storage.load_card(dcseg.folder)["arguments"]["epsilon"] == 1e-5
    assert [path.name for path in dcseg.folder.iterdir()] == ["checkpoints"]


def test_a_trained_network_is_never_replaced_by_a_converted_one(dcseg):
    storage.save_model(models.build_model("dcseg", **DCSEG), dcseg.folder, {"config": "mine"})
    with pytest.raises(UserError, match="holds a network that was trained, which is never replaced"):
        dcseg(overwrite=True)
    assert storage.load_card(dcseg.folder)["config"] == "mine"


def test_every_target_must_be_written(dcseg, monkeypatch):
    # The canary: a tensor that the rules forgot would keep its marked bits.
    make = plan.make

    def forgetful(*args, **kwargs):
        found = make(*args, **kwargs)
        rows = tuple(row for row in found.rows if row.path != "head/kernel")
        return plan.Plan(found.recognised, found.system, found.arguments, rows)

    monkeypatch.setattr(plan, "make", forgetful)
    with pytest.raises(UserError, match="head/kernel .never written"):
        dcseg()
    assert not dcseg.folder.exists()


def test_the_card_is_plain_json(dcseg):
    dcseg()
    assert json.dumps(storage.load_card(dcseg.folder))


def test_a_network_whose_tensors_may_be_missing_is_no_larger_than_its_file_either(tmp_path):
    tensors = manifests.recipe_tensors("csn_classifier", "vmz", depth=14, width=4, classes=5)
    path = manifests.write(tmp_path / "weights.pth", tensors)
    with pytest.raises(UserError, match="claims .* bytes of weights in a file of"):
        convert(path, tmp_path / "model", settings={"width": 1 << 20}, allow=["*"])
    assert not (tmp_path / "model").exists()


def test_a_small_file_cannot_claim_a_huge_network(tmp_path):
    # Trap: an expanded view has any shape that it likes; here each tensor is one element.
    shapes = manifests.manifest("vmz_ir_csn_152")
    file = dataclasses.replace(manifests.checkpoint_of(shapes), path=tmp_path / "weights.pth")
    file.path.write_bytes(bytes(100_000))
    with pytest.raises(UserError, match="claims 119,419,968 bytes of weights in a file of 100,000"):
        refuse_inflated(file, plan.make(file))
