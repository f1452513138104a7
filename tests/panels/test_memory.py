"""500 random interactions on the small set do not let the process grow."""

import gc
import os
import random
from pathlib import Path

import pytest

STATM = Path("/proc/self/statm")


def resident_mb() -> float:
    gc.collect()
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.long
@pytest.mark.skipif(not STATM.exists(), reason="/proc is absent: resident memory cannot be read")
def test_five_hundred_interactions():
    import drizzlewb as dw
    from drizzlewb.training.datasets import training_set

    chance = random.Random(7)
    # A small cache, so that what is kept on purpose is full before the count begins.
    session = dw.Session(training_set("small"), memory_mb=60)
    session.set(threshold=50, conv_width=3.5)
    session.align().result(300)
    session.accept()
    bench = dw.Workbench(session)
    titles = list(bench.buttons)

    def act() -> None:
        kind = chance.randrange(8)
        name = chance.choice(session.state.names)
        if kind == 0:
            bench.buttons[chance.choice(titles)].click()
        elif kind == 1:
            session.set(name, final_pixfrac=round(chance.uniform(0.4, 1.0), 3), live=chance.random() < 0.5)
        elif kind == 2:
            session.set(name, driz_cr_snr=(round(chance.uniform(3, 6), 2), 2.5))
        elif kind == 3:
            bench.undo.click()
        elif kind == 4:
            bench.redo.click()
        elif kind == 5:
            session.select(product=name)
        elif kind == 6:
            session.preview(name, size=256)
        else:
            view = getattr(bench.panels.get("Final drizzle"), "view", None)
            if view is not None and view.frame is not None:
                view.center_on(chance.uniform(0, 500), chance.uniform(0, 500), chance.uniform(20, 200))
        if chance.random() < 0.3:
            session.wait(120)

    for title in titles:  # every panel is there before the count begins
        bench.go_to(title)
    for _ in range(150):
        act()
    session.wait(300)
    before = resident_mb()
    for _ in range(500):
        act()
    session.wait(300)
    grown = resident_mb() - before
    bench.close()
    assert grown < 100, f"500 interactions let the process grow by {grown:.0f} MB"
