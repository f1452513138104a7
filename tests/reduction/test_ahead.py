"""Kernels compiled by a second process: the right ones, only when needed, and never in the way."""

import os
import subprocess
import sys
import textwrap

import pytest

from drizzlewb.errors import Cancelled
from drizzlewb.reduction import ahead


@pytest.fixture(autouse=True)
def nothing_begun(monkeypatch):
    monkeypatch.setattr(ahead, "_process", None)


@pytest.fixture
def begun(monkeypatch):
    """Commands of the processes that were begun; each ends at once."""
    commands = []
    popen = subprocess.Popen

    def begin(command, **keywords):
        commands.append(command)
        return popen([sys.executable, "-c", "pass"], **keywords)

    monkeypatch.setattr(subprocess, "Popen", begin)
    yield commands
    if ahead._process is not None:
        ahead._process.wait()


def test_a_second_process_leaves_the_machine_code_in_the_cache(tmp_path):
    code = """
        from drizzlewb.kernels import early, median, overlap
        from drizzlewb.reduction import ahead

        assert not early.later_steps_are_compiled()
        ahead.compile_ahead()
        assert ahead._process is not None
        ahead.wait()
        assert ahead._process.returncode == 0
        assert early.later_steps_are_compiled()
        early.compile_later_steps()
        for function in (overlap._square, median._combine):
            assert sum(function.stats.cache_hits.values()) == 1, function
            assert not function.stats.cache_misses, function
    """
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("compiled", [True, False])
def test_it_is_begun_once_and_only_without_machine_code(begun, monkeypatch, compiled):
    monkeypatch.setattr(ahead, "later_steps_are_compiled", lambda: compiled)
    ahead.compile_ahead()
    ahead.compile_ahead()
    assert len(begun) == (0 if compiled else 1)


@pytest.mark.parametrize("program", [None, "", "/opt/app/viewer", "C:\\app\\app.exe"])
def test_an_application_with_python_inside_is_not_started_again(begun, monkeypatch, program):
    monkeypatch.setattr(ahead, "later_steps_are_compiled", lambda: False)
    monkeypatch.setattr(sys, "executable", program)
    ahead.compile_ahead()
    assert begun == []


def test_a_process_that_cannot_be_begun_or_fails_stops_nothing(monkeypatch):
    monkeypatch.setattr(ahead, "later_steps_are_compiled", lambda: False)

    def refuse(*arguments, **keywords):
        msg = "too many processes"
        raise OSError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", refuse)
        ahead.compile_ahead()
        ahead.wait()
    monkeypatch.setattr(ahead, "_process", subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]))
    ahead.wait()
    assert ahead._process.returncode == 3


def test_waiting_can_be_stopped_and_has_an_end(monkeypatch):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(ahead, "_process", sleeper)

    def check():
        raise Cancelled

    with pytest.raises(Cancelled):
        ahead.wait(check)
    assert sleeper.poll() is None
    monkeypatch.setattr(ahead, "LONGEST", 0.1)
    ahead.wait()
    assert sleeper.returncode not in (None, 0)
