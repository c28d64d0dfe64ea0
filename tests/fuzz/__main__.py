"""`python tests/fuzz KIND --seconds=3600`: fuzzes the readers of a kind of file by hand.

Files that lead to a fault are kept in --keep; `--file=FILE` reads one again, with its traceback.
"""

import argparse
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

from fuzz import driver  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    parser.add_argument("kind", help="checkpoints, pictures or videos")
    parser.add_argument("--seconds", type=float, default=60, help="of processor time (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the changes (default: 0)")
    parser.add_argument("--keep", default="faults", help="folder for files with a fault (default: faults)")
    parser.add_argument("--file", help="read this file only")
    options = parser.parse_args()
    if options.file:
        import importlib

        importlib.import_module(f"fuzz.{options.kind}").read(Path(options.file))
        return 0
    report = driver.fuzz(
        f"fuzz.{options.kind}", options.seconds, seed=options.seed, keep=options.keep, say=_say
    )
    print(report)
    for kind, file in report.faults.items():
        print(f"{file}: {kind}")
    return 1 if report.faults else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
