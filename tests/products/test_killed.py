"""The process is killed while headers are written: every file is wholly old or wholly new."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from astropy.io import fits

from drizzlewb.products.headers import revert_file
from drizzlewb.products.history import wcs_history

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

# Aligns once; then, for each line it is sent, applies in a child process. The line says at which call into
# the operating system's files the child kills itself (0: at none), and after how many seconds it is killed
# if it is still there (0: not at all).
SERVER = """
import os, signal, sys, time
import drizzlewb.products.applying  # its files are opened here, not counted in a child
from drizzlewb.products.aligned import align
solution = align(sys.argv[1:], threshold=50, conv_width=3.5, minobj=5)
assert [a.status for a in solution.alignments] == ["reference", "aligned", "aligned"]

def child(at):
    count = 0
    def hook(event, _):
        nonlocal count
        if event in ("open", "os.rename", "os.chmod", "os.remove", "os.chown"):
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
    if at:
        sys.addaudithook(hook)
    solution.apply(folder=None)
    os._exit(0)

print("ready", flush=True)
for line in sys.stdin:
    at, delay = line.split()
    pid = os.fork()
    if pid == 0:
        try:
            child(int(at))
        finally:
            os._exit(1)
    if float(delay):
        time.sleep(float(delay))
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    print(status, flush=True)
"""


class Server:
    """Applies the alignment of some files in children that can be killed."""

    def __init__(self, files: list[Path]):
        self.files = files
        self.old = {path: path.read_bytes() for path in files}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *map(str, files)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.read() == "ready"

    def read(self) -> str:
        line = self.process.stdout.readline().strip()
        assert line, "the server has ended"
        return line

    def apply(self, at: int = 0, delay: float = 0.0) -> int:
        """Exit status of one attempt."""
        self.process.stdin.write(f"{at} {delay}\n")
        self.process.stdin.flush()
        return int(self.read())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def check(self) -> list[bool]:
        """Which files are new; each must open, and those must revert to the old bytes."""
        new = []
        for path, old in self.old.items():
            content = path.read_bytes()
            with fits.open(path) as hdus:
                hdus.verify("exception")
                names = {h.header["WCSNAME"] for h in hdus if h.name == "SCI"}
                assert all(h.data is not None for h in hdus if h.name == "SCI")
            assert len(names) == 1
            is_new = names == {"TWEAK"}
            if is_new:
                assert wcs_history(path)[0].name == "TWEAK"
                revert_file(path)
                content = path.read_bytes()
            assert content == old
            new.append(is_new)
        return new


@pytest.fixture(scope="module")
def server(tiny_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    names = ("j8ny01svq_flc.fits", "j8ny01szq_flc.fits", "j8ny01t5q_flc.fits")
    one = Server([Path(shutil.copy(tiny_set / name, folder / name)) for name in names])
    yield one
    one.close()


def kill_at_random(server: Server, trials: int) -> None:
    started = time.perf_counter()
    assert server.apply() == 0
    whole = time.perf_counter() - started
    assert server.check() == [True] * 3
    rng = random.Random(20260701)
    killed = 0
    seen = set()
    for trial in range(trials):
        status = server.apply(delay=1.1 * whole * (trial + rng.random()) / trials)
        killed += os.WIFSIGNALED(status)
        seen.add(sum(server.check()))
    assert killed > 0
    assert seen <= {0, 1, 2, 3}


def test_killed_at_random_moments(server):
    kill_at_random(server, 20)


@pytest.mark.long
def test_killed_at_many_random_moments(server):
    kill_at_random(server, 200)


def kill_at_calls(server: Server, step: int) -> None:
    """Beside openings, renamings and removings of files, in the order in which they come."""
    outcomes = []
    for at in range(1, 1000, step):
        status = server.apply(at)
        outcomes.append(sum(server.check()))
        if not os.WIFSIGNALED(status):
            assert status == 0
            break
    assert outcomes == sorted(outcomes)
    assert {0, 3} <= set(outcomes) <= {0, 1, 2, 3}


def test_killed_at_calls_that_write(server):
    kill_at_calls(server, 9)


@pytest.mark.long
def test_killed_at_each_call_that_writes(server):
    kill_at_calls(server, 1)
