import subprocess
import sys

import manifests
import numpy as np
import pytest
from golden_files import GOLDEN, load_json

from vos3d_jax import models, port_weights, storage
from vos3d_jax.porting import export

HOSTILE = [
    name
    for name, expected in load_json("checkpoints/expected.json").items()
    if expected["verdict"] == "refuse"
]


@pytest.fixture
def file(tmp_path):
    tensors = manifests.recipe_tensors("dcseg", "3dcseg", depth=14, width=4, decoder_width=8)
    return manifests.write(tmp_path / "weights.pth", tensors)


def test_the_four_commands_work_on_each_others_results(file, capsys):
    folder, exported = str(file.parent / "model"), str(file.parent / "exported.safetensors")
    assert port_weights.main(["inspect", str(file)]) == 0
    assert port_weights.main(["convert", str(file), f"--output={folder}"]) == 0
    assert port_weights.main(["export", folder, f"--output={exported}"]) == 0
    assert port_weights.main(["compare", folder, exported]) == 0
    output = capsys.readouterr().out
    assert (
        "depth=14" in output
        and "MIT" in output
        and "129 tensors equal" in output
        and "not the function" not in output
    )
    typed = next(line for line in output.splitlines() if line.startswith("next: vos3d segment "))
    assert f"--checkpoint={folder} --input=clip.mp4 --output=masks" in typed
    clip = np.zeros((1, 2, 32, 32, 3), np.uint8)
    assert models.forward(storage.load_model(folder), clip).shape == (1, 2, 32, 32, 2)


def test_inspect_lists_every_problem_and_exits_with_two(tmp_path, capsys):
    tensors = manifests.recipe_tensors("dcseg", "3dcseg", depth=14, width=4, decoder_width=8)
    del tensors["encoder.bn1.bias"]
    tensors["stranger.weight"] = np.zeros(3, np.float32)
    path = manifests.write(tmp_path / "weights.pth", tensors)
    assert port_weights.main(["inspect", str(path)]) == 2
    captured = capsys.readouterr()
    assert "missing" in captured.out and "unknown" in captured.out
    assert captured.err.count("\n") == 1 and "stranger.weight" in captured.err
    assert port_weights.main(["inspect", str(path), "--all"]) == 2
    listed = capsys.readouterr().out.split("name in the file")[1]
    assert (
        listed.index("stranger.weight")
        < listed.index("encoder.bn1.bias")
        < listed.index("encoder.bn1.weight")
    )
    assert port_weights.main(["convert", str(path), f"--output={tmp_path / 'model'}"]) == 2
    assert not (tmp_path / "model").exists()
    allowed = ["--allow=stranger.*", "--allow=encoder.bn1.bias"]
    assert port_weights.main(["convert", str(path), f"--output={tmp_path / 'model'}", *allowed]) == 0
    printed = capsys.readouterr().out
    assert "random weights, not in the file: 1 tensors of encoder" in printed
    assert "next: vos3d main " in printed and "vos3d segment" not in printed


def test_inspect_can_list_every_tensor(file, capsys):
    assert port_weights.main(["inspect", str(file), "--all"]) == 0
    assert "encoder/stage4/0/reduce" in capsys.readouterr().out


def test_what_a_file_cannot_show_is_set_by_name(file, capsys):
    folder = str(file.parent / "model")
    given = ["--set=epsilon=1e-3", "--set=mean=[1.0,2.0,3.0]"]
    assert port_weights.main(["convert", str(file), f"--output={folder}", *given]) == 0
    arguments = storage.load_card(folder)["arguments"]
    assert arguments["epsilon"] == 1e-3 and arguments["mean"] == [1, 2, 3]
    assert port_weights.main(["inspect", str(file), "--set=epsilon"]) == 2
    # Trap: all tensors equal, and yet another function.
    capsys.readouterr()
    assert port_weights.main(["compare", folder, str(file)]) == 0
    assert "becomes without --set: epsilon=0.001 (the file's: 1e-05), mean=[1" in capsys.readouterr().out


def test_tensors_that_differ_are_a_failure(file, capsys):
    folder = str(file.parent / "model")
    assert port_weights.main(["convert", str(file), f"--output={folder}"]) == 0
    tensors = manifests.recipe_tensors("dcseg", "3dcseg", depth=14, width=4, decoder_width=8)
    tensors["decoders.0.pred2.bias"] = tensors["decoders.0.pred2.bias"] + 1
    other = manifests.write(file.parent / "other.pth", tensors)
    assert port_weights.main(["compare", folder, str(other)]) == 2
    assert "decoders.0.pred2.bias" in capsys.readouterr().err


def test_what_a_state_dict_cannot_show_is_said_and_can_be_given_back(tmp_path, capsys):
    # Trap: the same tensors with another epsilon are another function.
    arguments = {"depth": 14, "width": 4, "decoder_width": 8, "epsilon": 1e-3, "mean": (1.0, 2.0, 3.0)}
    model = models.build_model("dcseg", **arguments)
    storage.save_model(model, tmp_path / "model")
    path = str(tmp_path / "weights.pth")
    assert port_weights.main(["export", str(tmp_path / "model"), f"--output={path}"]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.endswith("to convert it back: --set=epsilon=0.001")  # the file does hold the mean
    given = said.split()[-1]
    assert port_weights.main(["convert", path, f"--output={tmp_path / 'again'}", given]) == 0
    assert (
        storage.load_card(tmp_path / "again")["arguments"]
        == storage.load_card(tmp_path / "model")["arguments"]
    )


def test_an_empty_folder_name_and_an_unknown_target_are_refused(file, capsys, monkeypatch):
    # Trap: an empty name is the current folder for Path.
    monkeypatch.chdir(file.parent)
    assert port_weights.main(["convert", str(file), "--output="]) == 2
    assert "is empty" in capsys.readouterr().err and [path.name for path in file.parent.iterdir()] == [
        file.name
    ]
    assert port_weights.main(["convert", str(file), "--output=model", "--into=foo"]) == 2
    assert "it goes into dcseg, not 'foo'" in capsys.readouterr().err


def test_names_and_suffixes_are_those_that_export_has_and_others_are_told_at_once(tmp_path, capsys):
    assert (port_weights.NAMINGS, port_weights.SUFFIXES) == (export.NAMINGS, export.FORMATS)
    flags = {"--naming=vmzz": "vmzz", f"--output={tmp_path / 'a.bin'}": ".safetensors, .pth, .pt"}
    for flag, words in flags.items():
        with pytest.raises(SystemExit) as ended:
            port_weights.main(["export", str(tmp_path), f"--output={tmp_path / 'a.pth'}", flag])
        assert ended.value.code == 2 and words in capsys.readouterr().err


def test_the_help_of_export_lists_the_names_that_it_takes(capsys):
    with pytest.raises(SystemExit):
        port_weights.main(["export", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert f"whose names: {', '.join(export.NAMINGS)} (default" in words


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_leaves_one_line_and_no_folder(name, tmp_path, capsys):
    output = tmp_path / "model"
    assert port_weights.main(["convert", str(GOLDEN / "checkpoints" / name), f"--output={output}"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.err.startswith("vos3d port_weights: error:")
    assert captured.out == "" and not output.exists()


@pytest.mark.slow
def test_everything_works_where_torch_cannot_be_imported(file):
    code = "import sys; sys.modules['torch'] = None; import vos3d_jax.port_weights as p; sys.exit(p.main())"
    for arguments in (
        ["convert", str(file), f"--output={file.parent / 'model'}"],
        ["export", str(file.parent / "model"), f"--output={file.parent / 'out.pth'}"],
        ["compare", str(file.parent / "model"), str(file.parent / "out.pth")],
    ):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [[], ["inspect"], ["convert"], ["export"], ["compare"]])
def test_help_has_an_example(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        port_weights.main([*arguments, "--help"])
    assert stopped.value.code == 0
    output = capsys.readouterr().out
    assert "example" in output and "port_weights" in output
