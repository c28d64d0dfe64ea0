"""`python -m vos3d_jax.port_weights`: published weights in and out, without PyTorch."""

import argparse
import json
import sys
from typing import Any

from vos3d_jax import command, runtime
from vos3d_jax.command_line import OVERWRITE, Parser, named_values, require_path
from vos3d_jax.errors import UserError

_EXAMPLES = """examples:
  python -m vos3d_jax.port_weights inspect bmvc_final.pth
  python -m vos3d_jax.port_weights convert bmvc_final.pth --output=models/dcseg
  python -m vos3d_jax.port_weights export models/dcseg --output=dcseg.safetensors
  python -m vos3d_jax.port_weights compare models/dcseg bmvc_final.pth

  Reads .pth (both formats of torch), Caffe2 .pkl and safetensors; nothing in a file is executed. Where the
  published files are, and what was proved: docs/porting.md.

  What is finished is not made again. A model or file of something else (another checkpoint or setting) that
  is there already is refused without --overwrite."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 after a user's mistake (a refused file, tensors that differ)."""
    return command.run("vos3d port_weights", _run, arguments)


def _run(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    for name, expected in (("file", "a checkpoint"), ("folder", "a training workdir or a ported model")):
        if name in options:
            require_path(getattr(options, name), expected)
    options.function(options)


def _inspect(options: argparse.Namespace) -> None:
    from vos3d_jax.porting import open_checkpoint, plan, printing

    checkpoint = open_checkpoint(options.file, root=options.root)
    settings = named_values("--set", options.set)
    planned = plan.make(checkpoint, into=options.into, settings=settings, allow=options.allow)
    printing.print_plan(checkpoint, planned, all_rows=options.all)
    plan.refuse(checkpoint, planned)


def _convert(options: argparse.Namespace) -> None:
    runtime.bound_memory()  # what is read leaves room for what is written
    from vos3d_jax.porting import printing
    from vos3d_jax.porting.convert import convert

    plan = convert(
        options.file,
        options.output,
        into=options.into,
        settings=named_values("--set", options.set),
        allow=options.allow,
        root=options.root,
        overwrite=options.overwrite,
    )
    printing.print_converted(plan, options.output)


def _export(options: argparse.Namespace) -> None:
    from vos3d_jax.porting.export import export, forgotten

    tensors = export(options.folder, options.output, naming=options.naming, overwrite=options.overwrite)
    print(f"{options.output}: {len(tensors)} tensors, in the words of {_naming(options)}")
    if values := forgotten(options.output, options.folder):
        given = " ".join(f"--set={name}={json.dumps(value)}" for name, value in values.items())
        print(f"a state dict does not show all of this network; to convert it back: {given}")


def _compare(options: argparse.Namespace) -> None:
    from vos3d_jax.porting import printing
    from vos3d_jax.porting.compare import compare, other_settings

    rows = compare(options.folder, options.file, root=options.root)
    other = other_settings(options.folder, options.file, root=options.root)
    printing.print_comparison(rows, other)
    different = [row for row in rows if row.status in ("different", "wrong shape")]
    if different:
        raise UserError(f"{len(different)} of {len(rows)} tensors differ; the first is {different[0].name}")


def _naming(options: argparse.Namespace) -> str:
    from vos3d_jax import storage
    from vos3d_jax.porting import export, rules

    return rules.SOURCES[options.naming or export.default_naming(storage.load_card(options.folder))].title


def _parser() -> Parser:
    parser = Parser(
        prog="vos3d port_weights",
        description="Published weights of PyTorch and Caffe2 in, and back out, without either.",
        epilog=_EXAMPLES,
    )
    commands = parser.add_subparsers(
        required=True, title="commands", metavar="inspect | convert | export | compare"
    )

    inspect = _command(
        commands,
        "inspect",
        _inspect,
        "Says what a file is, and what becomes of each of its tensors.",
        "vos3d port_weights inspect irCSN_152_ft_kinetics.pth --into=dcseg",
    )
    _add_file(inspect)
    inspect.add_argument("--all", action="store_true", help="list every tensor, not only what needs a look")

    convert = _command(
        commands,
        "convert",
        _convert,
        "Writes a folder that vos.load_model opens; nothing while one tensor is not accounted for.",
        "vos3d port_weights convert bmvc_final.pth --output=models/dcseg",
    )
    _add_file(convert)
    convert.add_argument("--output", required=True, metavar="DIR", help="folder for the model")
    convert.add_argument("--overwrite", **OVERWRITE)

    export = _command(
        commands,
        "export",
        _export,
        "Writes a model as a PyTorch state dict, .safetensors or .pth, without torch.",
        "vos3d port_weights export models/dcseg --output=dcseg.pth",
    )
    export.add_argument("folder", metavar="DIR", help="a training workdir or a ported model")
    export.add_argument("--output", required=True, metavar="FILE", help="ends in .safetensors, .pth or .pt")
    export.add_argument("--overwrite", **OVERWRITE)
    export.add_argument(
        "--naming",
        metavar="SOURCE",
        help="whose names: 3dcseg, 3dcseg_old, 3dcseg_backbone, vmz, r2plus1d, mmaction2, pytorchvideo, "
        "caffe2, caffe2_r2plus1d (default: those the weights came with)",
    )

    compare = _command(
        commands,
        "compare",
        _compare,
        "Compares a model with the file it came from, tensor by tensor, bit by bit.",
        "vos3d port_weights compare models/dcseg bmvc_final.pth",
    )
    compare.add_argument("folder", metavar="DIR", help="a ported model")
    compare.add_argument("file", metavar="FILE", help="a checkpoint")
    compare.add_argument("--root", metavar="KEY", help="where in the file the weights are")
    return parser


def _command(commands: Any, name: str, function: Any, description: str, example: str) -> Any:
    epilog = f"example:\n  {example}"
    parser = commands.add_parser(name, help=description, description=description, epilog=epilog)
    parser.set_defaults(function=function)
    return parser


def _add_file(parser: Parser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", help="a checkpoint; what it is shows from its tensors, not its name")
    add("--into", metavar="SYSTEM", help="dcseg: make a backbone file the encoder of a segmentation network")
    add("--root", metavar="KEY", help="where in the file the weights are: state_dict_ema, ema.module")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument that the file cannot show: epsilon=1e-3, temporal_strides=false, mean=[..]",
    )
    add(
        "--allow",
        action="append",
        default=[],
        metavar="PATTERN",
        help="accept the problems of tensors of that name, as in --allow='fc.*' (missing ones become random)",
    )


if __name__ == "__main__":
    sys.exit(main())
