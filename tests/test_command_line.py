"""Flags and paths are alike in every command, and a mistake is answered before anything heavy is imported."""

import importlib
import subprocess
import sys

import pytest

from vos3d_jax.command_line import Parser, named_values, require_path
from vos3d_jax.errors import UserError


def _parser():
    parser = Parser(prog="vos3d thing")
    parser.add_argument("--short_edge", type=int)
    parser.add_argument("--no-overlay", dest="overlay", action="store_false")
    parser.add_argument("--tail", choices=("code", "paper"))
    parts = parser.add_subparsers().add_parser("part")
    parts.add_argument("--data_dir")
    return parser


def _refused(capsys, parser, *arguments):
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(arguments)
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    return line.removeprefix("vos3d thing: error: ")


@pytest.mark.parametrize("flag", ["--short_edge=3", "--short-edge=3"])
def test_dashes_and_underscores_are_alike(flag):
    assert _parser().parse_args([flag]).short_edge == 3
    assert _parser().parse_args([flag.partition("=")[0], "3"]).short_edge == 3


def test_a_flag_is_asked_for_as_the_help_spells_it_also_after_parsing(capsys):
    parser = _parser()
    _, rest = parser.parse_known_args(["--no_overlya"])
    with pytest.raises(SystemExit):
        parser.refuse(rest)
    assert capsys.readouterr().err.endswith("did you mean --no-overlay?\n")


def test_they_are_alike_in_flags_with_a_dash_and_in_sub_commands():
    assert _parser().parse_args(["--no_overlay"]).overlay is False
    assert _parser().parse_args(["part", "--data-dir=a-b_c"]).data_dir == "a-b_c"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--short_egde=3"], "unknown flag --short_egde=3: did you mean --short_edge?"),
        (["--short-egde=3"], "unknown flag --short-egde=3: did you mean --short_edge?"),
        (["--nooverlay"], "unknown flag --nooverlay: did you mean --no-overlay?"),
        (["part", "--datadir=x"], "unknown flag --datadir=x: did you mean --data_dir?"),
        (["--zzz"], "unknown flag --zzz (vos3d thing --help explains)"),
        (["--tail=papre"], "argument --tail: 'papre' is none of code, paper: did you mean paper?"),
        (["prat"], "'prat' is none of part: did you mean part?"),
        (["--short_edge=x"], "argument --short_edge: invalid int value: 'x' (vos3d thing --help explains)"),
    ],
)
def test_a_mistake_is_one_line_with_the_mend(arguments, line, capsys):
    assert _refused(capsys, _parser(), *arguments).endswith(line)


@pytest.mark.parametrize(
    ("command", "flag", "meant"),
    [
        ("main", "--wrok-dir=x", "--workdir"),
        ("segment", "--short-egde=3", "--short_edge"),
        ("segment", "--inptu=bear.mp4", "--input"),
        ("score", "--dtaa_dir=x", "--data_dir"),
        ("bench.scoring_times", "--data-dri=x", "--data_dir"),
    ],
)
def test_every_command_asks_what_was_meant(command, flag, meant, capsys):
    required = {"input": ".", "output": "o", "results": ".", "data_dir": ".", "checkpoint": "."}
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"vos3d_jax.{command}").main(
            [flag, *(f"--{name}={value}" for name, value in required.items())]
        )
    error = capsys.readouterr().err
    assert ended.value.code == 2 and f"did you mean {meant}?" in error and len(error.splitlines()) == 1


def test_what_follows_two_dashes_is_no_flag():
    parser = Parser()
    parser.add_argument("file")
    assert parser.parse_args(["--", "--file"]).file == "--file"


def test_a_path_that_is_not_there_is_named_with_the_nearest(tmp_path):
    (tmp_path / "clip.mp4").touch()
    require_path(tmp_path / "clip.mp4", "a video")
    with pytest.raises(UserError, match=r"clpi.mp4 does not exist: give a video; did you mean .*clip.mp4\?"):
        require_path(tmp_path / "clpi.mp4", "a video")
    with pytest.raises(UserError, match=r"there/clip.mp4 does not exist: give a video$"):
        require_path(tmp_path / "nothing/there/clip.mp4", "a video")
    with pytest.raises(UserError, match="does not exist"):
        require_path("a\0b", "a video")


MISTAKES = {
    "segment": [
        (["--help"], 0),
        (["--input=nothing.mp4", "--checkpoint=.", "--output=o"], 2),
        (["--input=.", "--checkpoint=nothing", "--output=o"], 2),
        (["--imput=x"], 2),
    ],
    "main": [
        (["--help"], 0),
        (["--config=nothing.py"], 2),
        (["--config=davis.py", "--config.data_dir=nothing"], 2),
        (["--config=davis.py", "--config.data-dir=nothing"], 2),
        (["--config=davis.py", "--config.sede=1"], 2),
        (["--config=demo.py", "--mode=evaluate", "--checkpoint=nothing"], 2),
    ],
    "score": [
        (["--help"], 0),
        (["--results=nothing", "--output=o"], 2),
        (["--results=.", "--data_dir=nothing", "--output=o"], 2),
        (["--results=.", "--benchmark=davis", "--output=o"], 2),
    ],
    "port_weights": [
        (["--help"], 0),
        (["inspect", "nothing.pth"], 2),
        (["convert", "nothing.pth", "--output=o"], 2),
        (["export", "nothing", "--output=o.pth"], 2),
        (["compare", "nothing", "nothing.pth"], 2),
    ],
    "bench": [(["--help"], 0), (["--sise=1"], 2)],
}
_RUN = """
import importlib, sys
command = importlib.import_module("vos3d_jax." + sys.argv[1])
for case in sys.argv[2:]:
    try:
        code = command.main(case.split())
    except SystemExit as ended:
        code = ended.code
    print("CODE", code, *(name for name in ("jax", "flax", "orbax", "torch") if name in sys.modules))
"""


@pytest.mark.parametrize("name", MISTAKES)
def test_help_and_mistakes_do_not_wait_for_jax(name, tmp_path):
    cases = [" ".join(arguments) for arguments, _ in MISTAKES[name]]
    run = subprocess.run(
        [sys.executable, "-c", _RUN, name, *cases], cwd=tmp_path, capture_output=True, text=True
    )
    codes = [line for line in run.stdout.splitlines() if line.startswith("CODE")]
    assert codes == [f"CODE {code}" for _, code in MISTAKES[name]], run.stdout + run.stderr
    mistakes = sum(code == 2 for _, code in MISTAKES[name])
    assert len(run.stderr.splitlines()) == mistakes and not list(tmp_path.iterdir())


def test_an_unknown_command_is_named_with_the_nearest():
    run = subprocess.run([sys.executable, "-m", "vos3d_jax", "segmnet"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (
        2, "vos3d: error: no command 'segmnet': did you mean segment?\n",
    )  # fmt: skip


def test_named_values_are_json_where_they_can_be_and_text_elsewhere():
    given = ["count=3", "size=[24,40]", "frames={clip}/*.jpg", "sparse=false"]
    values = {"count": 3, "size": [24, 40], "frames": "{clip}/*.jpg", "sparse": False}
    assert named_values("--option", given) == values
    with pytest.raises(UserError, match="--option=count has no value: give --option=NAME=VALUE"):
        named_values("--option", ["count"])
