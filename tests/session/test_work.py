"""Workers: who goes first."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from drizzlewb.session.work import NICE, Handle, Worker


def nice():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def in_threads(_):
    with ThreadPoolExecutor(1) as pool:
        return [nice(), pool.submit(nice).result()]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux only")
def test_long_work_lets_others_go_first():
    before = nice()
    long = Worker("long", steps_back=True).submit(Handle("run", "", (), in_threads))
    quick = Worker("quick").submit(Handle("preview", "", (), in_threads))
    assert long.result(30) == [max(before, NICE)] * 2
    assert quick.result(30) == [before] * 2
    assert nice() == before
