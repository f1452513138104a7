"""Why this pixel? through its widgets and through the session."""

import dataclasses
import time

import numpy as np
import pytest

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")

from drizzlewb import Session, read_exposures
from drizzlewb.distortion import pixel_to_sky
from drizzlewb.panels.pixel import PixelPanel, table_html
from drizzlewb.training.demo import with_true_wcs


@pytest.fixture(scope="module")
def session(tiny_set):
    session = Session(with_true_wcs(read_exposures(sorted(tiny_set.glob("j8ny01*_flc.fits"))[:3])))
    session.set(final_scale=0.05, final_rot=0.0)
    return session


@pytest.fixture
def panel(session):
    panel = PixelPanel(session)
    yield panel
    panel.close()
    session.select(pixel=None)


@pytest.fixture
def middle(session):
    """Pixel of the product under the middle of a chip: that of the grid may lie in the gap."""
    chip = session.exposures[0].chips[0]
    ra, dec = pixel_to_sky(chip.wcs, chip.shape[1] / 2, chip.shape[0] / 2)
    x, y = session.derived.product("F606W").grid.sky_to_pixel(ra, dec)
    return round(float(x)), round(float(y))


def shown(panel, pixel, seconds=60):
    end = time.monotonic() + seconds
    while panel.told is None or (panel.told.x, panel.told.y) != pixel:
        assert time.monotonic() < end, panel.messages.texts
        time.sleep(0.02)
    return panel.told


def test_typed_and_selected_are_the_same(panel, session, middle):
    assert "No pixel is selected" in panel.sum.value
    session.select(pixel=middle)
    told = shown(panel, middle)
    assert (panel.x.value, panel.y.value) == tuple(map(str, middle))
    session.select(pixel=None)
    assert panel.table.value == ""
    panel.x.value, panel.y.value = map(str, middle)
    panel.go.button.click()
    assert session.selection.pixel == middle
    assert shown(panel, middle) is told
    assert panel.go.code == f"session.why('F606W', {middle[0]}, {middle[1]})"


def test_a_place_on_the_sky(panel, session, middle):
    from astropy.coordinates import SkyCoord

    ra, dec = session.derived.product("F606W").grid.pixel_to_sky(*map(float, middle))
    panel.x.value = "7"
    for text in (f"{ra} {dec}", SkyCoord(ra, dec, unit="deg").to_string("hmsdms", sep=":", precision=4)):
        session.select(pixel=None)
        panel.sky.value = text
        assert panel.x.value == ""
        panel.go.button.click()
        assert session.selection.pixel == middle


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [("x", "here", "A pixel is two numbers"), ("sky", "north", "cannot be understood")],
)
def test_what_cannot_be_read_is_said(panel, session, field, text, message):
    getattr(panel, field).value = text
    panel.go.button.click()
    assert message in panel.messages.texts[0]
    assert session.selection.pixel is None


def test_a_pixel_outside_is_said(panel, session):
    session.select(pixel=(-5, 3))
    end = time.monotonic() + 30
    while not panel.messages.texts and time.monotonic() < end:
        time.sleep(0.02)
    assert "outside the output grid" in panel.messages.texts[0]


def test_a_row_opens_its_surroundings(panel, session, middle):
    session.select(pixel=middle)
    told = shown(panel, middle)
    assert len(panel.rows.options) == len(told.table) > 3
    k = len(told.table) - 1
    panel.rows.index = k
    row, view = told.table[k], panel.cutout
    assert view.visible.intersect(view.frame.region) == view.visible
    assert view.visible.shape <= (32, 32)
    x, y = int(row["x"]), int(row["y"])
    assert view.frame.value(x, y) == pytest.approx(row["value"])
    assert row["exposure"] in view.figure.title
    words = view._tints["rays"].words(view.visible)
    cut = told.cutout(k)
    box = view.visible
    np.testing.assert_array_equal(words != 0, cut.mask[box.slices((cut.box.y0, cut.box.x0))] == 0)


def test_it_follows_the_parameters(panel, session, middle):
    session.select(pixel=middle)
    first = shown(panel, middle)
    session.set(final_pixfrac=0.5)
    end = time.monotonic() + 60
    while panel.told is first and time.monotonic() < end:
        time.sleep(0.02)
    assert panel.told.wht != first.wht
    session.undo()


def test_the_table_is_text(session, middle):
    told = session.why("F606W", *middle)
    table = told.table.copy()
    table["exposure"] = np.full(len(table), "<script>alert(1)</script>")
    html = table_html(dataclasses.replace(told, table=table))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert html.count("<tr>") == len(told.table) + 1
