import dataclasses
import json

import golden_files
import numpy as np
import pytest
import toy_network
from PIL import Image

from vos3d_jax import files, models, storage
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import benchmark_data, benchmarks, evaluate, network, report, scoring, workers
from vos3d_jax.inference.predictor import Predictor
from vos3d_jax.porting import convert, export

pytestmark = pytest.mark.usefixtures("toy_system")
toy_system = toy_network.toy_system

_VAL = {**toy_network.VAL, "options": {"count": 3, "length": 6, "size": toy_network.SIZE}}
_EVALUATION = {
    "benchmark": "moving_shapes",
    "data": _VAL,
    "predictor": toy_network.PREDICTOR,
}

_NO_OVERLAP = {**toy_network.PREDICTOR, "overlap": 0}


@pytest.fixture(autouse=True)
def _one_core(monkeypatch):
    """Scoring starts no processes: they cost more than these small videos."""
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0})


@pytest.fixture
def setting(tmp_path):
    """(config, model, card): a network on disk and how to evaluate it."""
    config = toy_network.config(evaluation=_EVALUATION)
    storage.save_model(models.build_model("toy", **config.model), tmp_path / "model")
    return config, *network.load_model(config, tmp_path / "model")


def _evaluate(config, *arguments, say=lambda line: None, **options):
    return evaluate.evaluate(config, benchmark_data.load_for(config), *arguments, say=say, **options)


def _files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _stop_at(monkeypatch, place, name, call):
    """Lets the `call`-th call of `place.name` raise, which leaves files as a kill would; returns an undo."""
    function, calls = getattr(place, name), iter(range(100))

    def stop_or_do(*arguments, **options):
        if next(calls) == call:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    monkeypatch.setattr(place, name, stop_or_do)
    return lambda: monkeypatch.setattr(place, name, function)


def test_what_main_finds_is_what_score_finds_in_its_masks(tmp_path, setting):
    scores = _evaluate(*setting, tmp_path)
    folder = tmp_path / "evaluation"
    again = scoring.score(folder, "moving_shapes", workers=1, **_VAL["options"])
    assert again.rows == scores.rows and again.figures == scores.figures
    assert again.provenance["results"] == scores.provenance["results"]
    assert report.read(folder) == scores
    assert scores.provenance["model_card"] == json.loads((folder / "key.json").read_text())["weights"]
    assert {"scores.json", "report.html", "masks", "pictures", "key.json"} <= {
        p.name for p in folder.iterdir()
    }
    assert not (folder / "parts").exists() and not (tmp_path / "evaluation.tmp").exists()


@pytest.mark.parametrize(
    ("place", "name", "call"),
    [
        (network, "write_palette_png", 0),
        (network, "write_palette_png", 8),
        (scoring, "score", 0),
        (report, "write", 0),
        (workers, "remove_parts", 0),
        (evaluate, "_remove", 1),
        (report, "read", 0),
    ],
)
def test_stopped_anywhere_and_given_again_it_ends_with_the_same_files(
    tmp_path, monkeypatch, setting, place, name, call
):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    _evaluate(*setting, whole)
    undo = _stop_at(monkeypatch, place, name, call)
    with pytest.raises(KeyboardInterrupt):
        _evaluate(*setting, stopped)
    undo()
    lines = []
    _evaluate(*setting, stopped, say=lines.append)
    assert "going on with" in lines[0] or "evaluated before" in lines[0]
    assert _files(stopped) == _files(whole)


def test_a_finished_evaluation_is_shown_again_and_not_repeated(tmp_path, monkeypatch, setting):
    first = _evaluate(*setting, tmp_path)
    monkeypatch.setattr(Predictor, "stream", None)
    lines = []
    assert _evaluate(*setting, tmp_path, say=lines.append) == first
    assert "evaluated before" in lines[0] and "J mean" in lines[-1]


def test_a_finished_evaluation_is_not_lost_to_other_settings_or_weights(tmp_path, setting):
    config, model, card = setting
    _evaluate(*setting, tmp_path / "run")
    files = _files(tmp_path / "run")
    changed = dataclasses.replace(
        config, evaluation=dataclasses.replace(config.evaluation, predictor=_NO_OVERLAP)
    )
    with pytest.raises(
        UserError, match=r"evaluation is there already, with overlap 1 \(now 0\): give another"
    ):
        _evaluate(changed, model, card, tmp_path / "run")
    storage.save_model(models.build_model("toy", seed=1, **config.model), tmp_path / "other")
    with pytest.raises(UserError, match="evaluation is there already, with other weights: "):
        others = network.load_model(config, tmp_path / "other")
        _evaluate(config, *others, tmp_path / "run")
    (tmp_path / "run" / "evaluation" / "key.json").unlink()
    with pytest.raises(
        UserError, match="evaluation is there already: give another --workdir, or add --overwrite"
    ):
        _evaluate(*setting, tmp_path / "run")
    del files["evaluation/key.json"]
    assert _files(tmp_path / "run") == files


def test_only_a_later_step_of_the_same_run_on_the_same_videos_replaces_an_evaluation_unasked(
    tmp_path, setting
):
    config, model, card = setting
    run, lines = tmp_path / "run", []

    def evaluated(step, config=config, trained_in=run):
        _evaluate(config, model, {**card, "step": step}, run, say=lines.append, trained_in=trained_in)
        return json.loads((run / "evaluation" / "key.json").read_text())["step"]

    def changed(**changes):
        return dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, **changes))

    assert evaluated(1) == 1
    assert evaluated(2) == 2 and "the evaluation of step 1 makes way: the run was trained on" in lines
    # Trap: a run that is finished, given with other settings, once replaced its scores without a word.
    fewer = dataclasses.replace(config.evaluation.data, options={**_VAL["options"], "count": 2})
    files = _files(run)
    for step, other, trained_in, message in (
        (2, changed(predictor=_NO_OVERLAP), run, r"with overlap 1 \(now 0\)"),
        (3, changed(data=fewer), run, "other data, other videos"),
        (3, config, tmp_path / "model", r"step 2 \(now 3\)"),
        (1, config, run, r"step 2 \(now 1\)"),
    ):
        with pytest.raises(UserError, match=rf"already, .*{message}.*add --overwrite --mode=evaluate"):
            evaluated(step, other, trained_in)
    assert _files(run) == files


def test_an_evaluation_whose_record_says_where_the_data_lay_is_shown_wherever_it_lies(tmp_path, setting):
    config, model, card = setting
    _evaluate(*setting, tmp_path)
    file, lines = tmp_path / "evaluation" / "key.json", []
    before = json.loads(file.read_text())
    file.write_text(json.dumps({**before, "data": [*before["data"], "/where/it/lay"]}))
    moved = dataclasses.replace(config, data_dir="/elsewhere")
    _evaluate(moved, model, card, tmp_path, say=lines.append)
    assert "evaluated before" in lines[0]


def test_probabilities_that_are_not_finite_end_it_and_leave_no_scores(tmp_path, setting):
    # Trap: the argmax of NaN is background, whose J is a number like any other.
    config, model, card = setting
    model.head["kernel"][...] = np.full(model.head["kernel"].shape, np.nan, np.float32)
    with pytest.raises(UserError, match="frame 0: the network's probabilities are not finite"):
        _evaluate(config, model, card, tmp_path / "run")
    assert not (tmp_path / "run" / "evaluation").exists()


def test_two_evaluations_never_write_to_one_folder(tmp_path, setting):
    with files.exclusive(tmp_path / "run"):
        with pytest.raises(UserError, match="another command is writing to .*run: wait until it has ended"):
            _evaluate(*setting, tmp_path / "run")


def test_what_was_begun_with_other_weights_is_never_gone_on_with(tmp_path, monkeypatch, setting):
    config, model, card = setting
    other = models.build_model("toy", seed=1, **config.model)
    storage.save_model(other, tmp_path / "other")
    undo = _stop_at(monkeypatch, scoring, "score", 0)
    with pytest.raises(KeyboardInterrupt):
        _evaluate(config, model, card, tmp_path / "run")
    undo()
    lines = []
    others = network.load_model(config, tmp_path / "other")
    files = _files(tmp_path / "run")
    with pytest.raises(UserError, match="holds an unfinished evaluation, .* --overwrite --mode=evaluate"):
        _evaluate(config, *others, tmp_path / "run", say=lines.append)
    assert _files(tmp_path / "run") == files
    mixed = _evaluate(config, *others, tmp_path / "run", say=lines.append, replace=True)
    assert "going on" not in lines[0]
    alone = _evaluate(config, *others, tmp_path / "alone")
    assert mixed == alone
    # Nor is what a finished one left, where other settings are to replace it.
    changed = dataclasses.replace(
        config, evaluation=dataclasses.replace(config.evaluation, predictor=_NO_OVERLAP)
    )
    _evaluate(changed, *others, tmp_path / "run", say=lines.append, replace=True)
    assert json.loads((tmp_path / "run" / "evaluation" / "key.json").read_text())["predictor"]["overlap"] == 0


def test_baselines_stand_beside_the_network_and_are_not_made_again(tmp_path, monkeypatch, setting, capsys):
    _, model, card = setting
    config = toy_network.config(evaluation={**_EVALUATION, "baselines": True})
    undo = _stop_at(monkeypatch, scoring, "score", 0)
    with pytest.raises(KeyboardInterrupt):
        _evaluate(config, model, card, tmp_path)
    undo()
    lines = []
    _evaluate(config, model, card, tmp_path, say=lines.append)
    assert not [line for line in lines if "untrained" in line]
    assert "everything foreground" in capsys.readouterr().out
    names = {path.parent.name for path in (tmp_path / "evaluation" / "baselines").glob("*/scores.json")}
    assert names == {"everything_foreground", "untrained_network"}


def test_maps_are_written_where_the_benchmark_measures_them(tmp_path, monkeypatch, setting):
    row = dataclasses.replace(benchmarks.find("moving_shapes"), metrics=("J", "saliency", "pooled"))
    monkeypatch.setitem(benchmarks.BENCHMARKS, "moving_shapes", row)
    scores = _evaluate(*setting, tmp_path)
    assert len(list((tmp_path / "evaluation" / "maps").glob("*/*.png"))) == 3 * 6
    assert "pooled F" in scores.figures and scores.provenance["maps"] == "16 bits"
    again = scoring.score(tmp_path / "evaluation", "moving_shapes", workers=1, **_VAL["options"])
    assert again.figures == scores.figures


@pytest.mark.parametrize(
    ("benchmark", "message"),
    [
        ("davis2016", "benchmark davis2016 is of the data davis2016, not moving_shapes"),
        ("davis2015", "there is no benchmark 'davis2015'"),
    ],
)
def test_a_benchmark_that_does_not_fit_is_refused(benchmark, message):
    config = toy_network.config(evaluation={**_EVALUATION, "benchmark": benchmark})
    with pytest.raises(UserError, match=message):
        benchmark_data.load_for(config)


def _write_visal(folder, size=(24, 30)):
    """Two sequences in the layout of ViSal, of which two of three frames have a mask."""
    rng = np.random.default_rng(0)
    (folder / "GroundTruth").mkdir(parents=True)
    for name in ("bird", "boat"):
        (folder / name).mkdir()
        for index in range(3):
            frame = rng.integers(0, 256, (*size, 3), np.uint8)
            Image.fromarray(frame).save(folder / name / f"{name}_{index:03d}.png")
            if index != 1:
                mask = np.zeros(size, np.uint8)
                mask[5:15, 8:20] = 255
                Image.fromarray(mask).save(folder / "GroundTruth" / f"{name}_{index:03d}.png")


def test_visal_is_predicted_and_scored_at_its_short_edge_annotated_frames_only(
    tmp_path, monkeypatch, setting
):
    _write_visal(tmp_path / "ViSal")
    row = dataclasses.replace(benchmarks.find("visal"), short_edge=48)
    monkeypatch.setitem(benchmarks.BENCHMARKS, "visal", row)
    data = {"name": "visal", "split": "all"}
    evaluation = {**_EVALUATION, "benchmark": "visal", "data": data}
    evaluation["predictor"] = {**toy_network.PREDICTOR, "short_edge": 48}
    config = toy_network.config(evaluation=evaluation, data_dir=str(tmp_path / "ViSal"))
    scores = _evaluate(config, *setting[1:], tmp_path)
    folder = tmp_path / "evaluation"
    with Image.open(folder / "masks" / "bird" / "bird_001.png") as image:
        assert image.size == (60, 48)
    assert len(list(folder.glob("masks/*/*.png"))) == 6 and len(list(folder.glob("maps/*/*.png"))) == 4
    assert [len(row.frames) for row in scores.rows] == [2, 2] and not scores.complete
    assert {"pooled F", "pooled MAE"} <= scores.figures.keys()
    assert scoring.score(folder, "visal", tmp_path / "ViSal", workers=1).figures == scores.figures


def test_real_frames_of_fbms_are_predicted_whole_and_scored_where_annotated(tmp_path, setting):
    root = golden_files.shared_data("FBMS")
    data = {"name": "fbms", "split": "train"}
    evaluation = {**_EVALUATION, "benchmark": "fbms", "data": data}
    config = toy_network.config(evaluation=evaluation, data_dir=str(root))
    scores = _evaluate(config, *setting[1:], tmp_path)
    folder = tmp_path / "evaluation"
    assert len(list(folder.glob("masks/bear01/*.png"))) == 6 and len(list(folder.glob("maps/*/*.png"))) == 2
    (row,) = scores.rows
    assert (
        row.size == (540, 960) and len(row.frames) == 2 and scores.provenance["options"] == {"split": "train"}
    )
    again = scoring.score(folder, "fbms", root, split="train", workers=1)
    assert again.figures == scores.figures


def test_a_converted_file_is_evaluated_as_the_network_that_it_holds(tmp_path):
    arguments = {"depth": 14, "width": 4, "decoder_width": 4}
    config = toy_network.config(system="dcseg", model=arguments, stages=(), evaluation=_EVALUATION)
    storage.save_model(models.build_model("dcseg", seed=2, **arguments), tmp_path / "trained")
    export.export(tmp_path / "trained", tmp_path / "file.pth")
    convert.convert(tmp_path / "file.pth", tmp_path / "converted")
    trained, converted = (
        _evaluate(config, *network.load_model(config, tmp_path / name), tmp_path / name)
        for name in ("trained", "converted")
    )
    assert converted.rows == trained.rows
    assert converted.provenance["model_card"] != trained.provenance["model_card"]
