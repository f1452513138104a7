"""The files for Binder: found by repo2docker, and true to pyproject."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BINDER = ROOT / "binder"


def test_scripts_can_be_run_and_hand_over():
    for name in ("postBuild", "start"):
        assert os.access(BINDER / name, os.X_OK), name
        assert (BINDER / name).read_text().startswith("#!/bin/bash")
        assert subprocess.run(["bash", "-n", str(BINDER / name)], check=False).returncode == 0
    assert 'exec "$@"' in (BINDER / "start").read_text()


def test_start_hands_the_command_over():
    done = subprocess.run(
        [str(BINDER / "start"), "bash", "-c", "echo $NUMBA_CPU_NAME"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "generic"


def test_python_is_one_that_the_package_takes():
    text = (BINDER / "environment.yml").read_text()
    assert "python=3.11" in text
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()


def test_repo2docker_finds_them():
    pytest.importorskip("repo2docker", reason="jupyter-repo2docker is absent")
    done = subprocess.run(
        [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(ROOT)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Building conda environment for python=3.11" in said
    assert '--file "binder/environment.yml"' in said
    assert "RUN ./binder/postBuild" in said
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in said


def environment_python():
    """Python of the version that environment.yml asks for, of this machine."""
    wanted = re.search(r"- python=(\d+\.\d+)", (BINDER / "environment.yml").read_text())[1]
    if f"{sys.version_info.major}.{sys.version_info.minor}" == wanted:
        return sys.executable
    found = shutil.which(f"python{wanted}")
    return found or pytest.skip(f"Python {wanted} is absent")


@pytest.mark.long
def test_the_environment_of_these_files_runs_the_notebooks(tmp_path):
    """As Binder builds it, less the container: a clean copy, a fresh environment, postBuild, start."""
    # What git would hand out; conda's part is python and pip, all else comes from postBuild.
    home = tmp_path / "home"
    copy = home / "drizzlewb"
    asked = (BINDER / "environment.yml").read_text().split("dependencies:")[1].split()
    assert [word for word in asked if word != "-"] == ["python=3.11", "pip"]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    subprocess.run([environment_python(), "-m", "venv", str(tmp_path / "env")], check=True)
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "JUPYTER", "DRIZZLEWB"))}
    variables |= {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "VIRTUAL_ENV": str(tmp_path / "env"),
        "PATH": os.pathsep.join([str(tmp_path / "env" / "bin"), os.environ["PATH"]]),
        # pip's own cache spares the network what was fetched before.
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip")),
    }
    built = subprocess.run(
        ["./binder/postBuild"], cwd=copy, env=variables, capture_output=True, text=True, timeout=1500
    )
    assert built.returncode == 0, (built.stdout + built.stderr)[-3000:]
    # The first run is as quick as the second: both sets are there, and so are the compiled kernels.
    assert len(list((home / ".cache" / "drizzlewb" / "training").glob("*/complete.json"))) == 2
    assert list((copy / "drizzlewb").glob("kernels/__pycache__/*.nbi"))
    for path in sorted((copy / "notebooks").glob("*.ipynb")):
        done = subprocess.run(
            ["../binder/start", "jupyter", "execute", "--timeout=600", path.name],
            cwd=copy / "notebooks", env=variables, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    bench = ["../binder/start", "jupyter", "execute", "--timeout=600", "../binder/workbench.ipynb"]
    assert subprocess.run(bench, cwd=copy / "notebooks", env=variables, timeout=600).returncode == 0
