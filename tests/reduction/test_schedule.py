import threading
import time

import pytest

from drizzlewb.errors import Cancelled
from drizzlewb.reduction.schedule import Cancel, map_unordered, thread_count


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_task_is_done_once(threads):
    assert sorted(map_unordered(lambda n: n * n, range(50), threads=threads)) == [n * n for n in range(50)]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_a_task_is_raised_and_stops_the_queue(threads):
    started = []

    def work(n):
        started.append(n)
        if n == 3:
            raise RuntimeError("task three")
        time.sleep(0.001)

    with pytest.raises(RuntimeError, match="task three"):
        list(map_unordered(work, range(1000), threads=threads))
    assert len(started) < 100


@pytest.mark.parametrize("threads", [1, 3])
def test_cancel_stops_between_tasks(threads):
    cancel = Cancel()
    done = []

    def work(n):
        done.append(n)
        if n == 5:
            cancel.set()

    with pytest.raises(Cancelled, match="nothing half-made"):
        list(map_unordered(work, range(10_000), cancel, threads))
    assert len(done) < 50


def test_tasks_are_taken_lazily():
    taken = []

    def tasks():
        for n in range(1000):
            taken.append(n)
            yield n

    release = threading.Event()
    results = map_unordered(lambda n: release.wait(5), tasks(), threads=2)
    threading.Timer(0.2, release.set).start()
    next(results)
    assert len(taken) < 20
    results.close()


def test_thread_count():
    assert thread_count(7) == 7
    assert thread_count(0) == 1
    assert thread_count() >= 1


def test_work_that_rests_goes_on_and_can_be_stopped():
    cancel = Cancel()
    cancel.rest(0.01)
    cancel.check()
    cancel.rest(600.0)
    cancel.rest(0.0)  # the longer rest stands
    ended = []

    def work():
        try:
            cancel.check()
        except Cancelled:
            ended.append("stopped")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    cancel.set()
    thread.join(30)
    assert ended == ["stopped"]
