"""`python -m vos3d_jax.port_weights`: published weights in and out, without PyTorch."""

import argparse
import json
import sys
from typing import Any

from vos3d_jax import command, runtime
from vos3d_jax.command_line import OVERWRITE, Parser, named_values, require_path
from vos3d_jax.errors import UserError

# What `export` takes, as porting says, too: here a mistake is told before anything is loaded.
SUFFIXES = (".safetensors", ".pth", ".pt")
NAMINGS = (
    *("3dcseg_old", "3dcseg", "mmaction2", "pytorchvideo", "vmz", "r2plus1d", "3dcseg_backbone"),
    *("caffe2_r2plus1d", "caffe2"),
)
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
    made = plan.make(
        checkpoint, into=options.into, settings=named_values("--set", options.set), allow=options.allow
    )
    printing.print_plan(checkpoint, made, all_rows=options.all)
    plan.refuse(checkpoint, made)


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
    from vos3d_jax.porting.rules import SOURCES

    tensors, naming = export(
        options.folder, options.output, naming=options.naming, overwrite=options.overwrite
    )
    print(f"{options.output}: {len(tensors)} tensors, in the words of {SOURCES[naming].title}")
    if values := forgotten(options.output, options.folder):
        given = " ".join(f"--set={name}={json.dumps(value)}" for name, value in values.items())
        print(f"a state dict does not show all of this network; to convert it back: {given}")


def _compare(options: argparse.Namespace) -> None:
    from vos3d_jax.porting import printing
    from vos3d_jax.porting.compare import compare

    comparison = compare(options.folder, options.file, root=options.root)
    printing.print_comparison(comparison)
    tensors = comparison.tensors
    if different := [tensor.name for tensor in tensors if tensor.status in ("different", "wrong shape")]:
        raise UserError(f"{len(different)} of {len(tensors)} tensors differ; the first is {different[0]}")


_COMMANDS = {
    "inspect": (
        _inspect,
        "Says what a file is, and what becomes of each of its tensors.",
        "vos3d port_weights inspect irCSN_152_ft_kinetics.pth --into=dcseg",
    ),
    "convert": (
        _convert,
        "Writes a folder that vos.load_model opens; nothing while one tensor is not accounted for.",
        "vos3d port_weights convert bmvc_final.pth --output=models/dcseg",
    ),
    "export": (
        _export,
        "Writes a model as a PyTorch state dict, .safetensors or .pth, without torch.",
        "vos3d port_weights export models/dcseg --output=dcseg.pth",
    ),
    "compare": (
        _compare,
        "Compares a model with the file it came from, tensor by tensor, bit by bit.",
        "vos3d port_weights compare models/dcseg bmvc_final.pth",
    ),
}


def _parser() -> Parser:
    parser = Parser(
        prog="vos3d port_weights",
        description="Published weights of PyTorch and Caffe2 in, and back out, without either.",
        epilog=_EXAMPLES,
    )
    commands = parser.add_subparsers(required=True, title="commands", metavar=" | ".join(_COMMANDS))
    parsers = {}
    for name, (function, description, example) in _COMMANDS.items():
        parsers[name] = commands.add_parser(
            name, help=description, description=description, epilog=f"example:\n  {example}"
        )
        parsers[name].set_defaults(function=function)

    def add(names: str, flag: str, help: str, **options: Any) -> None:
        for name in names.split():
            parsers[name].add_argument(flag, help=help, **options)

    add("export compare", "folder", "a training workdir or a ported model", metavar="DIR")
    file = "a checkpoint; what it is shows from its tensors, not its name"
    add("inspect convert compare", "file", file, metavar="FILE")
    root = "where in the file the weights are: state_dict_ema, ema.module"
    add("inspect convert compare", "--root", root, metavar="KEY")
    into = "dcseg: make a backbone file the encoder of a segmentation network"
    add("inspect convert", "--into", into, metavar="SYSTEM")
    several = {"action": "append", "default": []}
    given = "an argument that the file cannot show: epsilon=1e-3, temporal_strides=false, mean=[..]"
    add("inspect convert", "--set", given, metavar="NAME=VALUE", **several)
    allowed = "accept the problems of tensors of that name, as in --allow='fc.*' (missing ones become random)"
    add("inspect convert", "--allow", allowed, metavar="PATTERN", **several)
    add("inspect", "--all", "list every tensor, not only what needs a look", action="store_true")
    add("convert", "--output", "folder for the model", metavar="DIR", required=True)
    output = "a new file, .safetensors, .pth or .pt"
    add("export", "--output", output, metavar="FILE", required=True, type=_exported)
    add("convert export", "--overwrite", **OVERWRITE)
    naming = f"whose names: {', '.join(NAMINGS)} (default: those the weights came with)"
    add("export", "--naming", naming, metavar="SOURCE", choices=NAMINGS)
    return parser


def _exported(path: str) -> str:
    """The file to write, whose suffix says what is written."""
    if not path.endswith(SUFFIXES):
        raise argparse.ArgumentTypeError(f"{path} has none of the suffixes {', '.join(SUFFIXES)}")
    return path


if __name__ == "__main__":
    sys.exit(main())
