"""The sky view in a real browser: with the real Aladin Lite, with it refused, with it never answering."""

import aladin
import pytest

CELL = """
import drizzlewb as dw
from drizzlewb.views.skyview import SkyView
session = dw.Session({files!r})
session.preview(size=(200, 200)).result(300)
sky = SkyView(session)
sky
"""


@pytest.fixture
def cell(tiny_set):
    return CELL.format(files=str(tiny_set / "j8ny01*_flc.fits"))


@pytest.mark.long
def test_the_real_aladin_shows_the_exposures_and_a_click_sets_the_region(jupyter, page, cell, shoot):
    aladin.serve(page)
    jupyter.lab(page, "aladin", cell, "other = SkyView(dw.Session(), height_px=200)\nother")
    page.wait_for_selector(".aladin-widget canvas")
    kernel = jupyter.kernel("aladin")
    kernel.wait("sky.drawn_by == 'aladin' and other.drawn_by == 'aladin'")
    kernel.wait("len(sky.aladin.overlays) >= 3")
    # The other view in the notebook has its own calls: nothing is drawn there.
    assert kernel.ask("len(other.aladin.overlays)") == 0
    # The page has the field that it was asked for, and says so.
    kernel.wait("0 < sky.aladin._fov_xy.get('x', 0) < 1.2 * sky._fov")
    kernel.wait("abs(sky.aladin._wcs.get('CRVAL2', 99) - sky.layers.center[1]) < sky.layers.radius_deg")
    page.wait_for_timeout(1500)
    shoot(page)
    box = page.locator(".aladin-widget").first.bounding_box()
    x, y = box["x"] + 0.55 * box["width"], box["y"] + 0.5 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 20, steps=8)
    page.mouse.up()
    page.wait_for_timeout(800)
    assert kernel.ask("session.selection.center") is None  # that was a drag
    page.mouse.move(x - 20, y - 10, steps=4)
    page.wait_for_timeout(500)
    page.mouse.click(x - 20, y - 10, delay=120)  # Aladin looks at the pointer once a frame
    kernel.wait("session.selection.center is not None")
    away = kernel.ask(
        "[abs(a - b) for a, b in zip(session.selection.center, sky.layers.center)] + [sky.layers.radius_deg]"
    )
    assert away[0] < 3 * away[2]
    assert away[1] < 3 * away[2]
    assert kernel.ask("other.session.selection.center") is None
    kernel.close()


@pytest.mark.long
@pytest.mark.parametrize("how", ["block", "swallow"])
def test_without_aladin_the_same_content_is_drawn_and_the_reason_told(jupyter, page, cell, shoot, how):
    getattr(aladin, how)(page)
    jupyter.lab(page, f"no-aladin-{how}", cell)
    page.wait_for_selector("text=Aladin Lite could not be loaded")
    page.wait_for_selector("text=Sky, north up, east left")
    kernel = jupyter.kernel(f"no-aladin-{how}")
    assert kernel.ask("sky.drawn_by") == "plot"
    kernel.wait("len(sky.plot.figure.marks) == 4")
    page.get_by_role("button", name="RA/Dec labels").click()
    page.wait_for_selector("text=right ascension")
    box = page.locator(".bqplot .plotarea_events").first.bounding_box()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"])
    page.wait_for_timeout(300)
    page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"])
    kernel.wait("session.selection.center is not None")
    page.wait_for_timeout(1500)
    shoot(page)
    kernel.close()
    assert page.errors == []
