import pytest

from vos3d_jax import progress
from vos3d_jax.progress import Progress


class _Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def _run(clock, progress, frames, seconds_each):
    for _ in range(frames):
        clock.now += seconds_each
        progress.advance()


def test_the_rate_leaves_out_the_first_clip_which_waits_for_the_compilation(capsys):
    clock = _Clock()
    with Progress("segmenting", "frames", 45, warm_up=5, clock=clock) as progress:
        clock.now += 60
        _run(clock, progress, 5, 0)
        assert "frames/s" not in progress.summary()
        _run(clock, progress, 40, 0.5)
    assert progress.summary() == (
        "45 frames in 80.0 s, 60.0 s of them before the first mask (compilation included), "
        "the last 40 at 2 frames/s"
    )


def test_the_rate_of_the_summary_is_what_a_reader_computes_from_it(capsys):
    clock = _Clock()
    with Progress("segmenting", "frames", 8, warm_up=5, clock=clock) as progress:
        clock.now += 10
        _run(clock, progress, 5, 0)
        clock.now += 2
        _run(clock, progress, 3, 0)
    # (8 - 5) / (12 - 10), although the second clip could have brought five
    assert progress.summary() == (
        "8 frames in 12.0 s, 10.0 s of them before the first mask (compilation included), "
        "the last 3 at 1.5 frames/s"
    )


def test_a_file_gets_a_line_every_few_seconds_and_not_for_every_frame(capsys):
    clock = _Clock()
    with Progress("segmenting", "frames", 45, warm_up=5, clock=clock) as progress:
        progress.say("compiling [8]")
        _run(clock, progress, 5, 0)
        _run(clock, progress, 40, 0.5)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "compiling [8]"
    lines = [line.removeprefix("segmenting: ") for line in lines[1:]]
    assert lines == [f"{15 + 10 * k} of 45 frames, 2 frames/s, {15 - 5 * k} s left" for k in range(4)]


def test_a_video_of_unknown_length_has_no_end_to_wait_for(capsys):
    clock = _Clock()
    with Progress("segmenting", "frames", None, warm_up=5, clock=clock) as progress:
        _run(clock, progress, 5, 0)
        _run(clock, progress, 10, 0.5)
    assert capsys.readouterr().err.splitlines() == ["segmenting: 15 frames, 2 frames/s"]


def test_sequences_count_by_their_frames_and_the_last_one_is_always_told(capsys):
    clock = _Clock()
    with Progress("scoring", "sequences", clock=clock) as shown:
        for done, frames in ((1, 10), (2, 30), (3, 20)):
            clock.now += 4
            shown.scored(done, 3, frames)
    assert capsys.readouterr().err.splitlines() == [
        "scoring: 2 of 3 sequences, 5 frames/s, 4 s left",
        "scoring: 3 of 3 sequences, 5 frames/s",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (42, "42 s"), (185.2, "3 min 05 s"), (7620.0, "2 h 07 min")]
)
def test_durations_read_like_speech(seconds, text):
    assert progress.duration(seconds) == text


def test_without_a_terminal_status_lines_are_rare_but_the_last_one_comes(capsys):
    line = progress.StatusLine(1000.0)
    line.show("one")
    line.show("two", last=True)
    line.say("three")
    assert capsys.readouterr().out.splitlines() == ["two", "three"]


def test_on_a_terminal_a_status_line_is_drawn_over_and_ends_before_a_line_of_its_own(capsys, monkeypatch):
    monkeypatch.setattr(progress.sys.stdout, "isatty", lambda: True)
    line = progress.StatusLine(1000.0)
    line.show("one")
    line.show("two")
    line.say("three")
    assert capsys.readouterr().out == "\r\x1b[Kone\r\x1b[Ktwo\nthree\n"
