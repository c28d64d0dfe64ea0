import jax.numpy as jnp
import numpy as np
import pytest
import toy_network
from flax import nnx
from PIL import Image

from vos3d_jax import models, recipe
from vos3d_jax.data import moving_shapes
from vos3d_jax.evaluation import benchmarks, network
from vos3d_jax.inference.clipwise import ClipWise
from vos3d_jax.inference.predictor import Predictor
from vos3d_jax.inference.registry import PREDICTORS
from vos3d_jax.media import masks

_SETTINGS = recipe.Evaluation(
    benchmark="moving_shapes", data=recipe.Data("moving_shapes"), predictor=toy_network.PREDICTOR
)


class _Brightness(nnx.Module):
    """Stands in for a network: foreground where red is bright."""

    system = "dcseg"


class _ClipWiseWithMasks(ClipWise):
    takes_masks = True


@pytest.fixture(autouse=True)
def _prepare_stand_in(monkeypatch):
    def prepare(model, clip):
        def run(clip):
            score = (jnp.asarray(clip[..., 0], jnp.float32) - 127) / 64
            return jnp.stack([-score, score], -1)

        return run

    monkeypatch.setattr(models, "prepare", prepare)


def _runs(count=3, frames="all"):
    videos = moving_shapes.videos("val", count=count, length=5, size=(32, 48))
    rules = benchmarks.find("davis2016" if frames == "inner" else "moving_shapes")
    return [run for video in videos for run in rules.runs(video)]


def _files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_frame_has_a_palette_mask_and_every_scored_one_a_map_of_16_bits(tmp_path):
    runs = _runs(1, "inner")
    network.write(_Brightness(), _SETTINGS, runs, tmp_path, maps=True)
    (run,) = runs
    names = [f"{name}.png" for name in run.video.frame_names]
    assert sorted(path.name for path in (tmp_path / "masks" / run.folder).iterdir()) == names
    assert sorted(path.name for path in (tmp_path / "maps" / run.folder).iterdir()) == names[1:-1]
    frames = (run.video.read_frame(index) for index in range(run.video.length))
    predictor = Predictor(_Brightness(), clip_length=2, overlap=1, short_edge=None)
    for name, frame in zip(names, predictor.stream(frames), strict=True):
        mask = tmp_path / "masks" / run.folder / name
        with Image.open(mask) as image:
            assert image.mode == "P"
        np.testing.assert_array_equal(masks.read_ids(mask), frame.mask)
        if name in names[1:-1]:
            with Image.open(tmp_path / "maps" / run.folder / name) as image:
                np.testing.assert_array_equal(np.asarray(image), np.round(frame.probability * 65535))


def test_without_maps_there_are_masks_only_and_nothing_is_left_over(tmp_path):
    network.write(_Brightness(), _SETTINGS, _runs(), tmp_path, maps=False)
    assert {path.name for path in tmp_path.iterdir()} == {"masks"}
    assert len(_files(tmp_path)) == 3 * 5


@pytest.mark.parametrize("after", range(0, 15, 4))
def test_stopped_anywhere_it_goes_on_behind_the_last_whole_sequence(tmp_path, monkeypatch, after):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    network.write(_Brightness(), _SETTINGS, _runs(), whole, maps=True)

    calls = iter(range(100))
    write = network.write_map_png

    def write_or_stop(path, values):
        if next(calls) == after:
            raise KeyboardInterrupt
        write(path, values)

    monkeypatch.setattr(network, "write_map_png", write_or_stop)
    with pytest.raises(KeyboardInterrupt):
        network.write(_Brightness(), _SETTINGS, _runs(), stopped, maps=True)
    done = [path.name for path in (stopped / "masks").glob("*")]
    assert len(done) == after // 5

    predicted = []
    stream = Predictor.stream
    monkeypatch.setattr(network, "write_map_png", write)
    monkeypatch.setattr(
        Predictor, "stream", lambda *args, **first: predicted.append(args) or stream(*args, **first)
    )
    network.write(_Brightness(), _SETTINGS, _runs(), stopped, maps=True)
    assert len(predicted) == 3 - len(done)
    assert _files(stopped) == _files(whole)


def test_a_sequence_whose_masks_are_not_in_place_yet_is_made_again(tmp_path):
    # Maps are renamed first: a kill between the two leaves maps without masks.
    network.write(_Brightness(), _SETTINGS, _runs(), tmp_path, maps=True)
    whole, name = _files(tmp_path), _runs()[1].folder
    (tmp_path / "masks" / name).rename(tmp_path / "partial")
    (tmp_path / "maps" / name / "00000.png").write_bytes(b"")
    network.write(_Brightness(), _SETTINGS, _runs(), tmp_path, maps=True)
    assert _files(tmp_path) == whole


def test_runs_of_one_answer_are_predicted_once_and_share_its_files(tmp_path, monkeypatch):
    """Trap: the three distances from a key frame of JumpCut once wrote one folder three times."""
    (video,) = moving_shapes.videos("val", count=1, length=33, size=(32, 48))
    monkeypatch.setitem(PREDICTORS, "dcseg", _ClipWiseWithMasks)
    predicted, stream = [], Predictor.stream
    monkeypatch.setattr(
        Predictor, "stream", lambda *args, **first: predicted.append(args) or stream(*args, **first)
    )
    network.write(_Brightness(), _SETTINGS, benchmarks.find("jumpcut").runs(video), tmp_path, maps=True)
    assert [list(given) for _, _, given in predicted] == [[0], [16]]
    for key, last, scored in ((0, 32, (8, 16, 32)), (16, 32, (24, 32))):
        for kind, frames in (("masks", range(key, last + 1)), ("maps", scored)):
            files = sorted(path.stem for path in (tmp_path / kind / f"{video.name}/key{key:03d}").iterdir())
            assert files == [f"{index:05d}" for index in frames]


def test_progress_names_the_sequence_its_number_and_the_rate(tmp_path, capsys):
    network.write(_Brightness(), _SETTINGS, _runs(), tmp_path, maps=False)
    error = capsys.readouterr().err
    assert f"2/3 {_runs()[1].folder}: 5 frames" in error and "15 frames in" in error and "frames/s" in error
