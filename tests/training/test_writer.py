import json

import pytest

from vos3d_jax.errors import UserError
from vos3d_jax.training import writer


def test_a_writer_that_resumes_drops_what_came_after_its_step_and_a_line_cut_short(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 3.0}\n{"step": 2, "loss": 2.0}\n{"step": 3, "lo')
    with writer.Writer(tmp_path, 1, 5.0) as writing:
        writing.scalars(2, {"stage": "a", "loss": 1.0})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"step": 1, "loss": 3.0}, {"step": 2, "stage": "a", "loss": 1.0}]


def test_trap_the_step_of_the_checkpoint_stays_in_tensorboard(tmp_path, monkeypatch):
    given = {}
    real = writer.tensorboardX.SummaryWriter
    monkeypatch.setattr(
        writer.tensorboardX,
        "SummaryWriter",
        lambda folder, **rest: given.update(rest) or real(folder, **rest),
    )
    with writer.Writer(tmp_path, 7, 5.0):
        assert given == {"purge_step": 8}


@pytest.mark.parametrize("name", ["metrics.jsonl", "tensorboard"])
def test_what_cannot_be_written_is_named(tmp_path, name):
    if name == "metrics.jsonl":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=f"{name} cannot be written"):
        writer.Writer(tmp_path, 0, 5.0)


def test_time_in_which_the_device_was_busy_is_not_waited_for(monkeypatch):
    now = iter([0.0, 10.0, 10.0])
    monkeypatch.setattr(writer.time, "monotonic", lambda: next(now))
    meter = writer.Meter()
    meter.add(4.0, device_was_busy=True)
    meter.add(1.0, device_was_busy=False)
    assert meter.report() == (0.2, 0.1)
