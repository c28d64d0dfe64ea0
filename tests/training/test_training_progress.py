import json

import pytest

from vos3d_jax.errors import UserError
from vos3d_jax.training import progress


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (42, "42 s"), (185.2, "3 min 05 s"), (7620.0, "2 h 07 min")]
)
def test_durations_read_like_speech(seconds, text):
    assert progress.duration(seconds) == text


def test_a_writer_that_resumes_drops_what_came_after_its_step_and_a_line_cut_short(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 3.0}\n{"step": 2, "loss": 2.0}\n{"step": 3, "lo')
    with progress.Writer(tmp_path, 1, 5.0) as writer:
        writer.scalars(2, {"stage": "a", "loss": 1.0})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"step": 1, "loss": 3.0}, {"step": 2, "stage": "a", "loss": 1.0}]


def test_trap_the_step_of_the_checkpoint_stays_in_tensorboard(tmp_path, monkeypatch):
    given = {}
    real = progress.tensorboardX.SummaryWriter
    monkeypatch.setattr(
        progress.tensorboardX,
        "SummaryWriter",
        lambda folder, **rest: given.update(rest) or real(folder, **rest),
    )
    with progress.Writer(tmp_path, 7, 5.0):
        assert given == {"purge_step": 8}


@pytest.mark.parametrize("name", ["metrics.jsonl", "tensorboard"])
def test_what_cannot_be_written_is_named(tmp_path, name):
    if name == "metrics.jsonl":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=f"cannot write to .*{name}"):
        progress.Writer(tmp_path, 0, 5.0)


def test_without_a_terminal_progress_lines_are_rare_but_the_last_one_comes(tmp_path, capsys):
    with progress.Writer(tmp_path, 0, 1000.0) as writer:
        writer.progress("one")
        writer.progress("two", last=True)
        writer.text("three")
    assert capsys.readouterr().out.splitlines() == ["two", "three"]


def test_time_in_which_the_device_was_busy_is_not_waited_for(monkeypatch):
    now = iter([0.0, 10.0, 10.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    meter = progress.Meter()
    meter.add(4.0, device_was_busy=True)
    meter.add(1.0, device_was_busy=False)
    assert meter.report() == (0.2, 0.1)
