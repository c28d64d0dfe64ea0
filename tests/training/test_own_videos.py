"""configs/folder.py on a user's own videos, and what becomes of a run when its data changes."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import toy_network
from PIL import Image

from vos3d_jax import configuration, recipe, storage
from vos3d_jax.data.augmentation import Augmentation
from vos3d_jax.data.pipeline import Source
from vos3d_jax.data.samples import Clip
from vos3d_jax.data.video import Video
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import benchmark_data, evaluate, quick_score
from vos3d_jax.models.abstract import abstract_model
from vos3d_jax.training import loop, stage_data

pytestmark = pytest.mark.usefixtures("toy_system")
toy_system = toy_network.toy_system


def _write_videos(root, masks=lambda video, frame: True, size=(40, 72), count=3, frames=6):
    """`count` videos of a bright square that moves, in the layout that the docs name."""
    rng = np.random.default_rng(0)
    for video in range(count):
        for kind in ("frames", "masks"):
            (root / f"v{video}" / kind).mkdir(parents=True)
        for frame in range(frames):
            picture = rng.integers(0, 90, (*size, 3), np.uint8)
            mask = np.zeros(size, np.uint8)
            mask[10:26, 8 + 4 * frame : 24 + 4 * frame] = 255
            picture[mask > 0] = 240
            Image.fromarray(picture).save(root / f"v{video}" / "frames" / f"{frame:05d}.png")
            if masks(video, frame):
                Image.fromarray(mask).save(root / f"v{video}" / "masks" / f"{frame:05d}.png")
    return root


def _config(variant, data_dir):
    """The config as it is typed, with the toy network, short stages and small clips."""
    config = recipe.parse(configuration.load([f"--config=folder.py{variant}"], recipe.Config))
    short = tuple(
        dataclasses.replace(
            stage,
            steps=2,
            clip_length=2,
            data=tuple(
                dataclasses.replace(
                    part, sample=dataclasses.replace(part.sample, augmentation=Augmentation(short_edge=32))
                )
                for part in stage.data
            ),
        )
        for stage in config.stages
    )
    evaluation = dataclasses.replace(config.evaluation, predictor={**toy_network.PREDICTOR, "short_edge": 32})
    changes = {"system": "toy", "model": {}, "stages": short, "evaluation": evaluation, "log_steps": 1}
    return dataclasses.replace(config, data_dir=str(data_dir), **changes)


@pytest.mark.parametrize("variant", ["", ":sparse", ":published", ":published-sparse"])
def test_every_variant_is_a_config_of_a_network(variant):
    config = recipe.parse(configuration.load([f"--config=folder.py{variant}"], recipe.Config))
    abstract_model(config.system, **config.model)
    assert all(part.sample.sparse == ("sparse" in variant) for stage in config.stages for part in stage.data)


def test_an_unknown_variant_is_refused_with_those_there_are():
    with pytest.raises(UserError, match="no variant 'spare': .*published-sparse"):
        configuration.load(["--config=folder.py:spare"], recipe.Config)


def test_own_videos_are_trained_on_and_scored_on_the_one_held_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0})
    config = _config("", _write_videos(tmp_path / "own"))
    run = tmp_path / "run"
    data = benchmark_data.load_for(config)
    model = loop.train(config, run, quick_score.quick_score(config.evaluation, data), data.videos)
    assert "clips (4 a device) of 2x32x64" in capsys.readouterr().out
    scores = evaluate.evaluate(
        config, data, model, storage.load_card(run), run, say=lambda line: None, trained_in=run
    )
    assert [row.name for row in scores.rows] == ["v2"] and len(scores.rows[0].frames) == 6
    assert "Score on held-out frames" in (run / "evaluation" / "report.html").read_text()


def test_where_some_frames_have_masks_sparse_trains_and_the_plain_config_names_it(tmp_path, capsys):
    own = _write_videos(tmp_path / "own", masks=lambda video, frame: frame in (1, 4))
    with pytest.raises(UserError, match="v0/frames/00000.png has no mask: .*sparse"):
        loop.train(_config("", own), tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    loop.train(_config(":sparse", own), tmp_path / "run")
    assert "folder train (clip): 12 frames in 2 videos, 4 with a mask" in capsys.readouterr().out


def test_a_run_goes_on_with_its_data_wherever_it_lies_and_is_refused_with_other_data(tmp_path, capsys):
    own, run = _write_videos(tmp_path / "own"), tmp_path / "run"
    loop.train(_config("", own), run)
    moved = shutil.move(own, tmp_path / "moved")
    loop.train(_config("", moved), run)
    assert "finished already" in capsys.readouterr().out

    def move_the_last_mask(root):
        path = root / "v1/masks/00005.png"
        Image.fromarray(np.roll(np.asarray(Image.open(path)), 3, 0)).save(path)

    changed = [
        (move_the_last_mask, "v1 is 6 frames of 72x40, 6 masks, files"),
        (lambda root: (root / "v1").rename(root / "w1"), "v1 is not there, it was 6 frames"),
        (lambda root: (root / "v0/frames/00005.png").unlink(), "v0 is 5 frames of 72x40, .* it was 6 frames"),
    ]
    for number, (change, message) in enumerate(changed):
        other = shutil.copytree(moved, tmp_path / f"other{number}")
        change(other)
        told = (
            rf"run holds the run of other data \(training videos of data set folder: .*{message}.*init_from"
        )
        with pytest.raises(UserError, match=told):
            loop.train(_config("", other), run)


def test_other_held_out_videos_are_refused_too_and_taken_on_where_none_were_kept(tmp_path):
    """Trap: with the same videos to learn from, "best" would be the best of scores of two data sets."""
    own, run = _write_videos(tmp_path / "own", count=4), tmp_path / "run"
    for split, names in (("train", "v0\nv1\n"), ("val", "v2\n")):
        (own / f"{split}.txt").write_text(names)

    def train(root, score=lambda model: (0.5, {})):
        config = _config("", root)
        config = dataclasses.replace(config, stages=config.stages[:1])
        return loop.train(config, run, score, benchmark_data.load_for(config).videos if score else ())

    train(own)
    others = []
    for number, (change, message) in enumerate(
        [
            (lambda root: (root / "v2/frames/00005.png").write_bytes(b"none"), "v2 is 6 .*, it was 6 frames"),
            (lambda root: (root / "val.txt").write_text("v3"), "v3 is 6 .*, it was not there"),
            (lambda root: (root / "val.txt").write_text("v2\nv3"), "v3 is 6 .*, it was not there"),
        ]
    ):
        others.append(shutil.copytree(own, tmp_path / f"other{number}"))
        change(others[-1])
        with pytest.raises(UserError, match=rf"other data \(held-out videos of data set folder: {message}"):
            train(others[-1])
        train(own, score=None)  # which is of no held-out videos, and does not forget them

    kept = json.loads((run / "data.json").read_text())
    del kept["held-out"]
    (run / "data.json").write_text(json.dumps(kept))
    train(others[-1])
    with pytest.raises(UserError, match="held-out videos of data set folder: v3 is not there, it was 6"):
        train(own)


def _source(*sizes, short_edge=96):
    videos = [
        Video("v", frames, lambda index: None, lambda index: None, size, ("0",) * frames)
        for size, frames in sizes
    ]
    return Source(videos, Clip(augmentation=Augmentation(short_edge=short_edge)))


@pytest.mark.parametrize(
    ("sizes", "short_edge", "expected"),
    [
        ([((240, 427), 9)], 96, (96, 160)),
        ([((480, 640), 9)], 96, (96, 128)),
        ([((1920, 1080), 9)], 96, (160, 96)),
        ([((240, 427), 9), ((640, 480), 10)], 96, (128, 96)),
        ([((240, 427), 9), ((1080, 1922), 9), ((640, 480), 10)], 96, (96, 160)),
        ([((20, 20), 1)], None, (32, 32)),
        ([((100, 150), 1)], None, (96, 160)),
    ],
)
def test_a_size_left_to_the_data_is_that_of_most_frames_in_multiples_of_32(sizes, short_edge, expected):
    stage = toy_network.stage(size=(0, 0))
    config = toy_network.config(stages=[stage])
    assert (
        stage_data.with_sizes(config, [[_source(*sizes, short_edge=short_edge)]]).stages[0].size == expected
    )


def test_a_size_that_is_given_stays():
    config = toy_network.config()
    assert stage_data.with_sizes(config, [[_source(((240, 427), 9))]] * 2) == config


@pytest.mark.parametrize("masks", ["Annotations", "Annotations/480p"])
def test_masks_without_frames_are_enough_for_scoring_but_not_for_a_network(tmp_path, masks):
    """A reader gives black frames there: a network would learn from them without a word."""
    _write_videos(tmp_path / "own")
    for video in ("v0", "v1", "v2"):
        shutil.move(tmp_path / "own" / video / "masks", tmp_path / "alone" / masks / video)
    part = recipe.Data(name="folder", split="all", options={"strict": False})
    with pytest.raises(UserError, match="the frames of v0 are not there, only its masks"):
        stage_data.load_videos(_config("", tmp_path / "alone"), part)


def test_held_out_frames_are_scored_in_one_way_in_all_of_a_run(tmp_path):
    """Trap: what was scored on other frames, or at another size, once competed for "best"."""
    own, run = _write_videos(tmp_path / "own"), tmp_path / "run"
    config = _config("", own)

    def train(**changes):
        evaluation = dataclasses.replace(config.evaluation, **changes)
        return loop.train(dataclasses.replace(config, evaluation=evaluation), run)

    train()
    own_settings = config.evaluation.predictor
    for name in ("quick_frames", "quick_videos"):
        with pytest.raises(UserError, match=rf"another config \(evaluation\.{name} is 3, there it was"):
            train(**{name: 3})
    for name, now in (("short_edge", 64), ("overlap", 0)):
        with pytest.raises(UserError, match=rf"\(evaluation\.predictor\.{name} is {now}, there it was"):
            train(predictor={**own_settings, name: now})
    # Runs begun before there were several predictors have their settings among those of the evaluation.
    values = json.loads((run / "config.json").read_text())
    values["evaluation"] |= values["evaluation"].pop("predictor")
    (run / "config.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"\(evaluation\.predictor\.overlap is 0, there it was 1\)"):
        train(predictor={**own_settings, "overlap": 0})
    train()
    train(every=0, predictor={**own_settings, "overlap": 0})
    train(baselines=not config.evaluation.baselines, every=7)
