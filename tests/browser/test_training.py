"""The whole training in JupyterLab, from files to products and bundle, by clicks only."""

import zipfile

import pytest
from pages import choose, click, step

CELL = """
import os
os.chdir({folder!r})
import drizzlewb as dw
session = dw.Session({files!r})
bench = dw.Workbench(session)
bench
"""


@pytest.fixture
def files(tiny_set, tmp_path):
    """Copies: headers will be written."""
    import shutil

    for path in tiny_set.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def done(where, name):
    return f"session.status_of({where!r}, {name!r}).state == 'done'"


def test_from_files_to_products_by_clicks_only(jupyter, page, files, shoot):
    jupyter.lab(page, "training", CELL.format(folder=str(files), files=str(files / "*_flc.fits")))
    page.wait_for_selector(".dwb-steps button")
    kernel = jupyter.kernel("training")
    page.wait_for_timeout(2000)
    shoot(page, "1-exposures")

    step(page, "Alignment")
    choose(page, "threshold", "50")
    click(page, "Find and align")
    kernel.wait(done("alignment", "solution"))
    click(page, "Accept")
    kernel.wait("session.state.alignment.accepted is not None")
    page.wait_for_timeout(2000)
    shoot(page, "2-alignment")

    step(page, "Sky")
    choose(page, "skymethod", "match")
    click(page, "Measure the sky")
    kernel.wait(done("F606W", "sky"))
    shoot(page, "3-sky")

    step(page, "Cosmic rays")
    click(page, "Make all masks")
    kernel.wait(done("F606W", "crmask"))
    page.wait_for_timeout(3000)
    shoot(page, "4-cosmic-rays")

    step(page, "Final drizzle")
    click(page, "North up")
    choose(page, "final_scale", "0.03")
    click(page, "Preview")
    kernel.wait("'F606W' in session.shown")
    click(page, "Run")
    kernel.wait(done("F606W", "product"))
    page.wait_for_timeout(2000)
    shoot(page, "5-final-drizzle")
    click(page, "Write files")
    kernel.wait("os.path.exists('F606W_drc.fits')", 30)

    step(page, "Weights")
    click(page, "Check the weights")
    kernel.wait("session.trials.found('weights', 'F606W') is not None")
    page.wait_for_timeout(2000)
    shoot(page, "6-weights")

    step(page, "Compare")
    page.locator("select[multiple]:visible").first.select_option(index=[0, 6])
    page.wait_for_timeout(500)
    page.locator("button.mod-primary:visible", has_text="Compare").click()
    page.get_by_text("Choose two to twelve frames").wait_for(state="hidden")
    page.wait_for_timeout(2000)
    shoot(page, "7-compare")

    step(page, "Export")
    click(page, "Write the bundle")
    kernel.wait("os.path.exists('bundle.zip')", 90)
    page.wait_for_timeout(1500)
    shoot(page, "8-export")
    names = zipfile.ZipFile(files / "bundle.zip").namelist()
    assert any(n.endswith("shifts.txt") for n in names)
    assert any(n.endswith("_record.json") for n in names)
    assert kernel.ask("[s.message for s in session.status if s.state == 'failed']") == []
    kernel.close()
    assert page.errors == []


def test_cancel_in_the_middle_leaves_the_session_as_it_was(jupyter, page, files, shoot):
    jupyter.lab(page, "cancel", CELL.format(folder=str(files), files=str(files / "*_flc.fits")))
    page.wait_for_selector(".dwb-steps button")
    kernel = jupyter.kernel("cancel")
    before = kernel.ask("repr(session)")
    kernel.run("slow = session.runs.makers; import time; made = slow.reduction\n"
               "def reduction(*a, **k):\n    time.sleep(2); return made(*a, **k)\n"
               "object.__setattr__(slow, 'reduction', reduction)")  # fmt: skip
    step(page, "Final drizzle")
    click(page, "Run")
    page.locator("button:has(.fa-stop):not([disabled])").last.click()
    kernel.wait("not session.busy", 30)
    assert kernel.ask("repr(session)") == before
    page.wait_for_selector("text=Nothing is running.")
    shoot(page)
    kernel.close()


@pytest.mark.long
def test_a_slider_that_is_dragged_makes_one_step_of_history(jupyter, page, files, shoot):
    jupyter.lab(page, "slider", CELL.format(folder=str(files), files=str(files / "*_flc.fits")))
    page.wait_for_selector(".dwb-steps button")
    kernel = jupyter.kernel("slider")
    step(page, "Final drizzle")
    click(page, "Preview")
    kernel.wait("'F606W' in session.shown")
    handle = page.locator(
        ".dwb-field:visible", has=page.locator('.dwb-name:text-is("final_pixfrac")')
    ).locator(".noUi-handle")
    box = handle.first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(1, 8):
        page.mouse.move(x - 3 * k, y)
        page.wait_for_timeout(60)
    page.mouse.up()
    kernel.wait("session.parameters('F606W').final_pixfrac < 1")
    kernel.wait("not session.busy and session.shown['F606W'].fresh", 60)
    assert kernel.ask("len([c for c in session.history_table['change'] if 'pixfrac' in c])") == 1
    shoot(page)
    kernel.close()


@pytest.mark.long
def test_a_trail_is_drawn_and_undone(jupyter, page, files, shoot):
    jupyter.lab(page, "trail", CELL.format(folder=str(files), files=str(files / "*_flc.fits")))
    page.wait_for_selector(".dwb-steps button")
    kernel = jupyter.kernel("trail")
    step(page, "Cosmic rays")
    page.wait_for_timeout(3000)
    figure = page.locator(".dwb-image:visible").first.bounding_box()
    middle = figure["x"] + figure["width"] / 2, figure["y"] + figure["height"] / 2
    looks = page.locator("button.mod-active:visible", has_text="Look")
    click(page, "Polygon")
    looks.wait_for(state="hidden")
    page.mouse.move(*middle)
    page.mouse.click(*middle)
    page.keyboard.press("Escape")
    looks.wait_for()
    click(page, "Line")
    for dx, dy in ((-60, -20), (60, 20)):
        page.mouse.move(middle[0] + dx, middle[1] + dy)
        page.mouse.click(middle[0] + dx, middle[1] + dy)
        page.wait_for_timeout(700)
    kernel.wait("len(session.state.masks) == 1", 30)
    shoot(page)
    page.locator("button:has(.fa-undo)", has_text="draw line").first.click()
    kernel.wait("len(session.state.masks) == 0", 30)
    kernel.close()
