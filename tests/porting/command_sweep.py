"""Run as a script: gives changed copies of files to the command in one process, and prints JSON.

`python command_sweep.py FOLDER STEP CANARY FILE...` flips bytes and cuts each file where its structure has
boundaries: at all of the first and last hundred, and at every STEP-th between. Torch cannot be imported here.
A model is really saved for the first copy that is accepted; for the others only its folder is made.
"""

import contextlib
import io
import json
import shutil
import sys
import traceback
from pathlib import Path

import guarded

_ALL = 100


def main(folder: str, step: str, canary: str, *files: str) -> None:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.modules["torch"] = None  # makes `import torch` fail
    from vos3d_jax import port_weights, storage

    save, saved = storage.save_variables, []

    def save_once(variables, card, output):
        if not saved:
            save(variables, card, output)
        Path(output).mkdir(exist_ok=True)
        saved.append(output)

    storage.save_variables = save_once
    counts, faults = {}, []
    _attempt(port_weights, Path(folder), Path(files[0]).read_bytes(), [])  # loads what it needs, saves
    before = guarded._memory()
    for file in files:
        content = Path(file).read_bytes()
        if content.startswith(b"PK"):
            content = guarded._without_checksums(content)
        for changed in _changes(content, int(step)):
            code = _attempt(port_weights, Path(folder), changed, faults)
            counts[code] = counts.get(code, 0) + 1
            if Path(canary).exists():
                faults.append(f"{file}: something was run")
                Path(canary).rmdir()
    growth = guarded._memory() - before
    print(json.dumps({"exits": counts, "faults": faults[:5], "growth": growth}))


def _changes(content: bytes, step: int):
    places = guarded._boundaries(content)
    middle = places[_ALL:-_ALL]
    for number, at in enumerate([*places[:_ALL], *middle[::step], *places[-_ALL:]]):
        yield content[:at]
        mask = guarded.MASKS[number % len(guarded.MASKS)]
        yield content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]


def _attempt(port_weights, folder: Path, content: bytes, faults: list[str]) -> int | str:
    file, output = folder / "weights", folder / "model"
    file.write_bytes(content)
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        try:
            code = port_weights.main(["convert", str(file), f"--output={output}"])
        except BaseException:
            code = "exception"
            faults.append(traceback.format_exc()[-600:])
    lines = errors.getvalue().splitlines()
    if code == 2 and (len(lines) != 1 or not lines[0].startswith("vos3d port_weights: error:")):
        faults.append(f"not one line: {lines[:3]}")
    if code == 2 and output.exists():
        faults.append(f"a folder was left: {lines}")
    if code == 0 and not (output.exists() and "written:" in printed.getvalue() and not lines):
        faults.append(f"success without a model: {lines[:3]}")
    shutil.rmtree(output, ignore_errors=True)
    return code


if __name__ == "__main__":
    main(*sys.argv[1:])
