"""`python -m vos3d_jax` and `vos3d`: lists the commands, or runs the one named first."""

import importlib
import sys

from vos3d_jax.errors import nearest

COMMANDS = {
    "main": "train, evaluate and draw pictures, from one config: --config=demo.py",
    "segment": "masks for your own video: --checkpoint=DIR --input=clip.mp4 --output=OUT",
    "score": "score masks in files: --benchmark=davis2016 --results=DIR --data_dir=DIR --output=OUT",
    "port_weights": "published weights in and out: inspect FILE, convert FILE --output=DIR, export, compare",
    "bench": "time the layers and the network on this machine",
}


def main() -> int:
    """Returns the exit status of the command named first on the command line."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if name not in COMMANDS:
        mend = nearest(name, COMMANDS) or f"there are {', '.join(COMMANDS)}"
        print(f"vos3d: error: no command {name!r}: {mend}", file=sys.stderr)
        return 2
    return importlib.import_module(f"vos3d_jax.{name}").main(arguments)


def _usage() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:{width}}  {purpose}" for name, purpose in COMMANDS.items()]
    return "\n".join(
        [
            "usage: vos3d COMMAND ...    (the same as python -m vos3d_jax.COMMAND ...)",
            "",
            "Video object segmentation in JAX.",
            "",
            *rows,
            "",
            "vos3d COMMAND --help explains a command, with an example.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
