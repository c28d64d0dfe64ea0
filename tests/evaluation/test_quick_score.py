import dataclasses
import io
import json
import struct

import numpy as np
import pytest
import toy_network
from PIL import Image
from tensorboardX.proto import event_pb2

from vos3d_jax import models
from vos3d_jax.data.video import Video, excerpt
from vos3d_jax.errors import UserError
from vos3d_jax.evaluation import benchmark_data, benchmarks, evaluate, quick_score
from vos3d_jax.training import loop

pytestmark = pytest.mark.usefixtures("toy_system")
toy_system = toy_network.toy_system

_VAL = {**toy_network.VAL, "options": {"count": 3, "length": 6, "size": toy_network.SIZE}}
_EVALUATION = {"benchmark": "moving_shapes", "data": _VAL, "predictor": toy_network.PREDICTOR}


def _config(**evaluation):
    return toy_network.config(evaluation={**_EVALUATION, **evaluation})


def _quick_score(config):
    return quick_score.quick_score(config.evaluation, benchmark_data.load_for(config))


def _events(workdir):
    """(step, tag, value or picture) of everything that TensorBoard would show."""
    found = []
    for path in sorted((workdir / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = event_pb2.Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            for value in event.summary.value:
                picture = value.HasField("image") and Image.open(io.BytesIO(value.image.encoded_image_string))
                found.append((event.step, value.tag, picture or value.simple_value))
    return found


def _video(masks):
    """A video whose frame k is of grey k, with a mask where `masks` says so."""
    size = (4, 6)
    return Video(
        name="v",
        length=len(masks),
        read_frame=lambda index: np.full((*size, 3), index, np.uint8),
        read_mask=lambda index: np.full(size, index % 2, np.uint8) if masks[index] else None,
        size=size,
        frame_names=tuple(f"{index:05d}" for index in range(len(masks))),
        annotated=tuple(index for index, has_mask in enumerate(masks) if has_mask),
    )


def test_by_default_a_run_scores_ten_times_and_every_can_say_otherwise():
    assert _config().score_every == 2  # of 12 steps: 1.2, rounded up
    assert _config(every=5).score_every == 5 and _config(every=0).score_every == 0


def test_a_run_shows_held_out_scores_and_pictures_in_tensorboard_and_says_them(tmp_path, capsys):
    config = _config(every=6)
    loop.train(config, tmp_path, _quick_score(config))
    events = _events(tmp_path)
    scores = {step: value for step, tag, value in events if tag == "score"}
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert scores == pytest.approx({line["step"]: line["score"] for line in lines if "score" in line})
    assert list(scores) == [6, 12] and {step for step, tag, _ in events if tag == "loss"} == set(range(1, 13))
    pictures = {(step, tag): picture.size for step, tag, picture in events if tag.startswith("held_out/")}
    names = [video.name for video in benchmark_data.load_for(config).videos]
    assert set(pictures) == {(step, f"held_out/{name}") for step in (6, 12) for name in names}
    assert all(width > 3 * 320 for width, _ in pictures.values())  # frame, truth and mask side by side
    output = capsys.readouterr().out
    assert f"held-out score {scores[6]:.3f} at step 6" in output and output.count("compiling for clips") == 1


def test_scoring_all_frames_during_training_gives_the_j_of_the_evaluation(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0})
    config, model = _config(quick_videos=0, quick_frames=0), models.build_model("toy")
    value = _quick_score(config)(model)[0]
    card = {"arguments": {}}
    data = benchmark_data.load_for(config)
    scores = evaluate.evaluate(config, data, model, card, tmp_path, say=lambda line: None)
    assert value == scores.figures["J mean"]
    few = dataclasses.replace(config.evaluation, quick_videos=1, quick_frames=3)
    assert np.isfinite(_quick_score(dataclasses.replace(config, evaluation=few))(model)[0])


@pytest.mark.parametrize(
    ("masks", "first"),
    [([1] * 8, 0), ([0] * 4 + [1] * 4, 4), ([1, 0, 0, 0, 1, 0, 1, 0], 3), ([0] * 7 + [1], 4)],
)
def test_the_frames_that_are_scored_during_training_are_those_with_most_masks(masks, first):
    (chosen,) = quick_score._few([_video(masks)], 4, 4)
    assert chosen.frame_names[0] == f"{first:05d}" and chosen.length == 4
    assert chosen.annotated == tuple(index for index in range(4) if masks[first + index])
    assert int(chosen.read_frame(1)[0, 0, 0]) == first + 1


def test_few_videos_are_spread_over_the_list():
    videos = [dataclasses.replace(_video([1]), name=str(number)) for number in range(10)]
    assert [video.name for video in quick_score._few(videos, 4, 0)] == ["1", "3", "6", "8"]
    assert quick_score._few(videos[:3], 4, 16) == videos[:3] and quick_score._few(videos, 0, 0) == videos


def test_an_excerpt_of_a_video_whose_masks_are_not_known_reads_them_where_they_are():
    whole = dataclasses.replace(_video([1, 0, 1]), annotated=None)
    part = excerpt(whole, 1, 2)
    assert part.annotated is None and part.read_mask(0) is None and part.read_mask(1) is not None


@pytest.mark.parametrize("options", [{"count": 0}, {"length": 0}])
def test_data_without_a_frame_is_named_before_training(options):
    data = {**toy_network.VAL, "options": {**toy_network.VAL["options"], **options}}
    config = toy_network.config(evaluation={"benchmark": "moving_shapes", "data": data})
    with pytest.raises(UserError, match="moving_shapes val has no frames|count|length"):
        benchmark_data.load_for(config)


@pytest.mark.parametrize("changes", [{"first_mask": True}, {"frames": "transfers"}])
def test_a_benchmark_whose_runs_give_masks_is_refused_before_training(monkeypatch, changes):
    """Trap: the rule of JumpCut's row once did not say that its runs give a mask."""
    row = dataclasses.replace(benchmarks.find("moving_shapes"), **changes)
    monkeypatch.setitem(benchmarks.BENCHMARKS, "moving_shapes", row)
    long = {**_VAL, "options": {**_VAL["options"], "length": 9}}
    with pytest.raises(UserError, match="moving_shapes gives the first frame's mask, and a toy takes none"):
        benchmark_data.load_for(_config(data=long))
