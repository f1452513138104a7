"""``drizzlewb lab`` and ``drizzlewb app``: what they prepare, and what they refuse."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drizzlewb.cli import main
from drizzlewb.cli.app import notebook
from drizzlewb.cli.lab import copy_notebooks, notebook_folder


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch):
    monkeypatch.setattr("drizzlewb.cli.lab.need", lambda module: None)
    monkeypatch.setattr("drizzlewb.cli.app.need", lambda module: None)


def test_notebooks_are_copied_and_yours_are_never_overwritten(tmp_path):
    first = copy_notebooks(tmp_path / "new")
    assert [p.name[0] for p in first] == list("123456")
    mine = first[1]
    mine.write_text("mine")
    first[2].unlink()
    assert [p.name for p in copy_notebooks(tmp_path / "new")] == [first[2].name]
    assert mine.read_text() == "mine"
    assert first[2].read_bytes() == (notebook_folder() / first[2].name).read_bytes()


def test_lab_prepares_notebooks_and_training_set(tmp_path, monkeypatch, capsys):
    made = []
    monkeypatch.setattr("drizzlewb.training.datasets.training_set", lambda size, progress: made.append(size))
    assert main(["lab", str(tmp_path / "here"), "--prepare-only"]) == 0
    assert made == ["tiny"]
    assert (tmp_path / "here" / "1_start_here.ipynb").is_file()
    assert "6 notebooks copied" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["lab", str(tmp_path / "file"), "--prepare-only"]) == 2
    assert "cannot be copied" in capsys.readouterr().err


def test_app_writes_names_as_data(tmp_path, tiny_set, capsys):
    files = sorted(map(str, tiny_set.glob("j8ny01s*_flc.fits")))
    assert main(["app", *files, "--prepare-only"]) == 0
    cell = json.loads(capsys.readouterr().out)["cells"][0]["source"]
    assert repr(files) in cell
    compile(cell, "cell", "exec")


def test_a_hostile_file_name_is_a_string_in_the_cell():
    name = "x'); import os; os.abort(); ('.fits"
    cell = notebook([name])["cells"][0]["source"]
    tree = compile(cell, "cell", "exec")
    assert "os" not in tree.co_names
    assert repr(str(Path(name).resolve())) in cell


def test_app_refuses_before_any_page_opens(tmp_path, capsys):
    assert main(["app", str(tmp_path / "absent_flc.fits")]) == 2
    assert "absent_flc.fits" in capsys.readouterr().err


def test_without_the_extra_the_sentence_says_what_to_install(monkeypatch, capsys):
    from drizzlewb.cli import lab

    monkeypatch.undo()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["lab", "--prepare-only"]) == 2
    assert "pip install 'drizzlewb[lab]'" in capsys.readouterr().err
    assert lab.need.__module__ == "drizzlewb.cli.lab"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to hand on")
def test_the_server_ends_with_the_command(tmp_path):
    told = tmp_path / "pid"
    server = (
        f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )
    code = "import sys; from drizzlewb.cli.lab import start; "
    code += f"sys.exit(start([sys.executable, '-c', {server!r}]))"
    command = subprocess.Popen([sys.executable, "-c", code])
    while not (told.exists() and told.read_text()):
        assert command.poll() is None
        time.sleep(0.05)
    command.terminate()
    assert command.wait(60) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)
