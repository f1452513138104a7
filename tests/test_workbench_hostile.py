"""Headers that try to be HTML: whatever a panel shows of them is text."""

import logging
import re

import numpy as np
import pytest
from astropy.io import fits
from factory import write

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")

import ipywidgets as W
from ipywidgets.widgets import widget as registry

from drizzlewb import Session
from drizzlewb.workbench import PANELS, Workbench

TAG = "<img src=x onerror=alert(1)>"
SCRIPT = "<script>alert(2)</script>"
LONG = f"{TAG}{'A' * 10_000}{SCRIPT}"
BELL = "\x07\x1b[31m"
MARKS = re.compile(r"<\s*(img|script|svg|iframe|b onmouse)", re.IGNORECASE)


def hostile(folder, root, seed):
    """Write an exposure whose texts are HTML; control characters are put in behind astropy's back."""
    path = write(
        folder / f"{root}_flc.fits",
        "ACS/WFC",
        seed=seed,
        ra=150.1 + seed * 1e-6,
        primary={"FILTER1": "<svg/onload=x>", "FILTER2": SCRIPT, "PROPOSID": TAG, "EXPFLAG": SCRIPT},
        chip={"WCSNAME": f"{TAG}{seed}", "WCSNAMEA": SCRIPT, "IDCTAB": SCRIPT, "BUNIT": "ELECTRONS"},
        shape=(64, 80),
        sci=[stars(seed + k) for k in range(2)],
    )
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["TARGNAME"] = LONG
        hdus[0].header["LINENUM"] = f"{TAG}.001"
        hdus[0].header.add_history(LONG)
        hdus[0].header.add_history("CONTROL@@@@@@CHARACTERS")
        hdus[0].header["OBSERVER"] = f"@@@@@@{TAG}"
        hdus[1].header.add_comment(SCRIPT)
    raw = path.read_bytes()
    assert raw.count(b"@@@@@@") == 2
    path.write_bytes(raw.replace(b"@@@@@@", BELL.encode()))
    return path


def stars(seed):
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:64, :80]
    image = np.random.default_rng(seed).normal(100, 10, (64, 80))
    for cx, cy in zip(rng.uniform(5, 75, 25), rng.uniform(5, 59, 25), strict=True):
        image += 5000 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 3)
    return image.astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return [str(hostile(folder, f"jhost0{k}aq", k)) for k in (1, 2)]


@pytest.fixture
def before():
    return set(registry._instances.copy())


def born(before):
    """Widgets that were made since."""
    # A copy at once: threads of the panels may make widgets meanwhile.
    return [w for key, w in registry._instances.copy().items() if key not in before]


def assert_texts_only(widgets):
    seen = 0
    for widget in widgets:
        if isinstance(widget, (W.HTML, W.HTMLMath)):
            found = MARKS.search(widget.value)
            assert not found, widget.value[max(0, found.start() - 200) : found.end() + 100]
            assert not set("\x07\x1b") & set(widget.value)
            seen += 1
        # What else takes a description shows it as HTML only where it was told to.
        assert not getattr(widget, "description_allow_html", False)
    return seen


def test_no_panel_lets_a_header_through_as_html(files, before):
    session = Session(files)
    bench = Workbench(session)
    assert assert_texts_only(born(before)) > 0
    for panel in PANELS:
        bench.go_to(panel.title)
        assert assert_texts_only(born(before)) > 5, panel.title
    text = " ".join(str(w.value) for w in born(before) if isinstance(w, W.HTML))
    assert "jhost01aq" in text + " ".join(
        str(o) for w in born(before) if isinstance(w, W.SelectMultiple) for o in w.options
    )
    bench.close()


def test_nor_when_the_panels_are_used(files, before):
    session = Session(files)
    bench = Workbench(session)
    session.set(threshold=5.0, minobj=3, searchrad=2.0)
    session.align().wait(120)
    session.run(session.state.names[0], "sky").wait(120)
    session.preview(session.state.names[0], size=32).wait(120)
    bench.log_button.value = True
    for line in (TAG, SCRIPT, BELL):
        logging.getLogger("drizzlewb").warning("%s", line)
    for panel in PANELS:
        bench.go_to(panel.title)
    compare = bench["Compare"]
    compare.chosen.value = tuple(e.rootname for e in session.exposures)
    compare.show()
    compare.view.read(30, 30)
    compare.view.cuts.star(compare.view.frames, 30, 30)
    export = bench["Export"]
    for form in ("python", "drizzlepac", "cfg", "json", "dict"):
        export.form.value = form
    for bad in (TAG, SCRIPT, f"/nowhere/{LONG}"):
        export.folder.value = bad
        export.save_session()
        compare.path.value = bad
        compare.add.click()
    assert export.messages.texts
    assert compare.messages.texts
    assert assert_texts_only(born(before)) > 20
    bench.close()


def test_failures_that_quote_a_header_are_text(files, before):
    session = Session(files)
    bench = Workbench(session)
    name = session.state.names[0]
    session.set(name, skymethod="localmin", skyfile=f"{TAG}.txt")
    session.run(name, "sky").wait(60)
    session.set(refimage=f"{SCRIPT}_flc.fits")
    session.align().wait(60)
    assert any(status.state == "failed" for status in session.status)
    for panel in PANELS:
        bench.go_to(panel.title)
    assert_texts_only(born(before))
    bench.close()


def test_what_the_session_shows_of_itself_is_text(files):
    session = Session(files)
    shown = session._repr_html_()
    assert not MARKS.search(shown)
    assert not set("\x07\x1b") & set(shown)
    assert len(shown) < 100_000
