"""`python -m vos3d_jax.main`: trains a config's stages, then scores the network; or scores only."""

import dataclasses
import re
import sys
from pathlib import Path

from vos3d_jax import command, files
from vos3d_jax.command_line import OVERWRITE, STEP, Parser, require_path

_EXAMPLES = """examples:
  python -m vos3d_jax.main --config=configs/demo.py
      generated data, tiny network, two stages, evaluation, pictures: minutes on a CPU
  python -m vos3d_jax.main --config=configs/davis_small.py:480p --config.data_dir=DAVIS --workdir=runs/mine
  python -m vos3d_jax.main --config=configs/fbms.py --config.data_dir=FBMS --mode=evaluate --checkpoint=DIR
  python -m vos3d_jax.main --config=configs/davis.py:dense --config.data_dir=DAVIS --mode=evaluate \\
      --checkpoint=DIR --workdir=OUT

A run that was killed goes on when the same command is given again, in training and in evaluation, and what
is finished is shown again, not made again. Results of something else (another config, network, setting or
other videos) are refused; --mode=evaluate replaces them with --overwrite.

--config.KEY=VALUE overrides one value of the config (--config.batch_size=4), also one that its file leaves
to the default; a shell wants quotes around brackets: '--config.stages[0].steps=100'."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 after a user's mistake."""
    return command.run("vos3d main", _run, arguments)


def _run(arguments: list[str]) -> None:
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if unknown := [one for one in rest if one.startswith("-") and not one.startswith("--config.")]:
        _refuse(parser, unknown)
    if options.config is None:
        parser.error("the following arguments are required: --config")
    if options.mode == "train":
        for name in ("checkpoint", "step", "overwrite"):
            if getattr(options, name):
                parser.error(f"--{name} goes with --mode=evaluate; training goes on from --workdir")
    # These bring seconds of imports, each less than the next, so mistakes are found between them.
    from vos3d_jax import configuration, recipe

    config = recipe.parse(configuration.load([f"--config={options.config}", *rest], recipe.Config))
    if options.checkpoint:
        require_path(options.checkpoint, "a training workdir, or a folder of ported weights")
    if options.mode == "train":
        config.require_stages()
    from vos3d_jax.evaluation import benchmark_data

    data = benchmark_data.load_for(config)
    workdir = Path(options.workdir or Path("runs") / config.name)
    from vos3d_jax import storage
    from vos3d_jax.evaluation import evaluate, network, quick_score

    if options.mode == "train":
        from vos3d_jax.training import loop

        score = quick_score.quick_score(config.evaluation, data)
        model = loop.train(config, workdir, score, data.videos)
        card = storage.load_card(workdir)
    else:
        model, card = network.load_model(config, options.checkpoint or workdir, options.step)
        files.make_folder(workdir)
    evaluate.evaluate(
        config,
        data,
        model,
        card,
        workdir,
        trained_in=options.checkpoint or workdir,
        replace=options.overwrite,
    )


def _refuse(parser: Parser, unknown: list[str]) -> None:
    """Ends the command; a key of the config without `config.` is told from other unknown flags."""
    from vos3d_jax.recipe import Config

    flag, equals, value = unknown[0].lstrip("-").partition("=")
    path = flag.replace("-", "_")
    if re.match(r"\w*", path).group() in {key.name for key in dataclasses.fields(Config)}:
        parser.error(f"unknown flag {unknown[0]}: did you mean --config.{path}{equals}{value}?")
    parser.refuse(unknown)


def _parser() -> Parser:
    parser = Parser(
        prog="vos3d main",
        usage="vos3d main --config=FILE[:VARIANT] [--config.KEY=VALUE ...] [options]",
        description="Trains the network of a config, stage by stage, and scores it.",
        epilog=_EXAMPLES,
    )
    add = parser.add_argument
    configs = "demo.py, davis.py, davis_small.py, folder.py, fbms.py, visal.py"
    add("--config", metavar="FILE", help=f"a path, or {configs}")
    add("--workdir", metavar="DIR", help="the run's folder (default: runs/<config>)")
    add("--mode", choices=("train", "evaluate"), default="train", help="default: train, then score")
    add("--checkpoint", metavar="DIR", help="the model for --mode=evaluate (default: the one in --workdir)")
    add("--step", **STEP)
    add("--overwrite", **OVERWRITE | {"help": f"{OVERWRITE['help']} (--mode=evaluate)"})
    return parser


if __name__ == "__main__":
    sys.exit(main())
