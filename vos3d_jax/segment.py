"""`python -m vos3d_jax.segment`: masks for a video, a folder of frames or an array file."""

import dataclasses
import sys

from vos3d_jax import command, runtime
from vos3d_jax.command_line import OVERWRITE, STEP, Parser, require_path
from vos3d_jax.inference.registry import PREDICTORS

_EXAMPLE = """example:
  python -m vos3d_jax.segment --checkpoint=DIR --input=clip.mp4 --output=OUT
  writes OUT/clip/00000.png, 00001.png, ... (palette PNG, ids) and OUT/clip.mp4 (overlay)

  A run that was killed goes on when the same command is given again, and what is finished is not made
  again. Results of something else (another input, network or setting) are refused without --overwrite.
  Of several inputs, --input A.mp4 B.mp4, one that fails does not stop the others.

  The network's own settings are used where you give none: those it was trained for, else the published
  ones (clips of 8 frames that share 3, short edge 480). More in docs/inference.md."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 after a user's mistake."""
    return command.run("vos3d segment", _run, arguments)


def _run(arguments: list[str]) -> None:
    options = vars(_parser().parse_args(arguments))
    if len(options["inputs"]) == 1:  # of several, one that is missing stops no other
        require_path(options["inputs"][0], "a video file, a folder of frames, or a .npy/.npz file")
    require_path(options["checkpoint"], "a training workdir, or a folder of ported weights")
    runtime.bound_memory()
    from vos3d_jax.inference.to_files import segment  # brings jax: not for --help

    settings = {field.name: options.pop(field.name) for field in _settings()}
    segment(settings={name: value for name, value in settings.items() if value is not None}, **options)


def _parser() -> Parser:
    parser = Parser(
        prog="vos3d segment",
        description="Finds and segments the moving objects of a video, with no hint.",
        epilog=_EXAMPLE,
    )
    add = parser.add_argument
    add(
        "--checkpoint", required=True, metavar="DIR", help="a training workdir, or a folder of ported weights"
    )
    add("--step", **STEP)
    add(
        "--input",
        dest="inputs",
        required=True,
        nargs="+",
        action="extend",
        metavar="PATH",
        help="videos, folders of frames, or .npy/.npz [t, h, w, 3] uint8; one or several",
    )
    add("--output", required=True, metavar="DIR", help="folder for the results; made if missing")
    for field in _settings():
        group = parser.add_mutually_exclusive_group()
        for flag, text in field.metadata.items():
            flag, _, takes = flag.partition(" ")
            how = {"type": type(field.default), "metavar": takes}
            if "|" in takes:
                how = {"choices": takes.split("|")}
            elif not takes:
                how = {"action": "store_const", "const": flag.removeprefix("--")}
            group.add_argument(flag, dest=field.name, help=text, **how)
    add(
        "--bad_frames",
        choices=("repeat", "skip", "stop"),
        default="repeat",
        help="for a frame that cannot be decoded: use the picture before it (default), leave it out, or stop",
    )
    add("--no-overlay", dest="overlay", action="store_false", help="do not write the overlay video")
    add("--soft", action="store_true", help="also write probabilities, OUT/soft/NAME/*.png (16 bit)")
    add("--overwrite", **OVERWRITE)
    return parser


def _settings() -> list[dataclasses.Field]:
    """The settings of all predictors; one that the network's own does not have, it refuses."""
    known = (field for kind in PREDICTORS.values() for field in dataclasses.fields(kind) if field.metadata)
    return list({field.name: field for field in known}.values())


if __name__ == "__main__":
    sys.exit(main())
