"""Notebooks 1 to 4 in JupyterLab: all cells run, everything shows, an exercise done by clicks is right."""

import re
import shutil

import pytest
from pages import REPOSITORY, Jupyter, choose, click, step

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server(tmp_path_factory, chromium):
    made = Jupyter(tmp_path_factory.mktemp("notebooks"))
    for path in (REPOSITORY / "notebooks").glob("*.ipynb"):
        shutil.copy(path, made.work)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def dark(tmp_path_factory, chromium):
    made = Jupyter(tmp_path_factory.mktemp("dark-notebooks"), theme="dark")
    for path in (REPOSITORY / "notebooks").glob("*.ipynb"):
        shutil.copy(path, made.work)
    yield made
    made.stop()


def cell_of(page, text):
    """The code cell with this text."""
    editor = page.locator(".jp-InputArea-editor", has_text=text)
    return page.locator(".jp-Notebook .jp-CodeCell", has=editor).first


def check(page, text, words):
    """Run a check cell, and wait for what it says."""
    cell = cell_of(page, text)
    cell.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+Enter")
    cell.locator(".jp-OutputArea", has_text=words).wait_for()
    return cell


def compare(page):
    """Press the button of the panel of that name."""
    page.locator("button.mod-primary:visible", has_text="Compare").click()
    page.get_by_text("Choose two to twelve frames").first.wait_for(state="hidden")


def everything_shows(page, panels, figures, pictures):
    """At least so many widgets and pictures are there, with a size, and nothing failed."""
    page.wait_for_function(
        """([panels, figures, pictures]) => {
          const seen = (where) => [...document.querySelectorAll('.jp-Notebook ' + where)].filter(
            e => e.getBoundingClientRect().width > 40 && e.getBoundingClientRect().height > 40);
          const drawn = seen('.jp-OutputArea-output img').filter(e => e.complete && e.naturalWidth > 40);
          return seen('.dwb').length >= panels && seen('.bqplot').length >= figures
              && drawn.length >= pictures;
        }""",
        arg=[panels, figures, pictures],
    )
    shown = page.locator(".jp-Notebook").inner_text()
    for words in ("Error displaying widget", "Loading widget", "Traceback"):
        assert words not in shown
    assert page.locator('.jp-Notebook [data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
    assert page.errors == []


def walk(page, shoot, name=""):
    """Pictures of the whole notebook, a window at a time."""
    height, window = page.evaluate(
        """() => {
          const outer = document.querySelector('.jp-NotebookPanel .jp-WindowedPanel-outer');
          return [outer.querySelector('.jp-WindowedPanel-inner').scrollHeight, outer.clientHeight];
        }"""
    )
    for number, top in enumerate(range(0, height, window - 40)):
        page.evaluate(
            """top => {
              document.querySelector('.jp-NotebookPanel .jp-WindowedPanel-outer').scrollTop = top;
              return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
            }""",
            top,
        )
        page.wait_for_timeout(500)  # bqplot draws a figure when it comes into view
        shoot(page, f"{name}{number}")


def test_1_the_slider_of_the_drop(server, page, shoot):
    server.notebook(page, "1_start_here.ipynb")
    everything_shows(page, panels=2, figures=2, pictures=4)
    walk(page, shoot)
    check(page, "check.scale_ratio", "Divide 0.03 by 0.05")
    rain = cell_of(page, "DropExplorer()")
    before = rain.locator(".bqplot").inner_html()
    rain.locator(".noUi-handle").first.focus()
    for _ in range(8):  # from 1.0 by steps of 0.05
        page.keyboard.press("ArrowLeft")
    rain.locator(".widget-readout", has_text="0.60").wait_for()
    page.wait_for_function("before => document.querySelector('.bqplot').innerHTML != before", arg=before)
    check(page, "check.scale_ratio", "Right.").scroll_into_view_if_needed()
    shoot(page, "right")


def test_2_find_and_align(server, page, shoot):
    server.notebook(page, "2_alignment.ipynb")
    everything_shows(page, panels=2, figures=6, pictures=0)
    compare(page)
    walk(page, shoot)
    choose(page, "threshold", "40")
    check(page, "check.alignment", "There is no alignment for the present parameters")
    click(page, "Find and align")
    page.locator("text=11 of 11 aligned").first.wait_for()
    check(page, "check.alignment", "Right. The worst of 12 exposures").scroll_into_view_if_needed()
    shoot(page, "right")


def test_3_the_optimised_product(server, page, shoot):
    server.notebook(page, "3_drizzle.ipynb")
    everything_shows(page, panels=3, figures=2, pictures=4)
    compare(page)
    step(page, "Final drizzle")
    choose(page, "final_scale", "0.04")
    walk(page, shoot)
    check(page, 'check.optimised(session.result("F606W_opt"))', "There is no product for the present")
    click(page, "Run")
    page.locator(".dwb:visible", has_text="Product F606W_opt: done").first.wait_for()
    check(page, 'check.optimised(session.result("F606W_opt"))', "final_scale is 0.04, asked for is 0.03")
    choose(page, "final_scale", "0.03")
    click(page, "Run")
    page.locator(".dwb:visible", has_text="Product F606W_opt: done").first.wait_for()
    right = check(page, 'check.optimised(session.result("F606W_opt"))', "Right.")
    right.scroll_into_view_if_needed()
    shoot(page, "right")


def test_4_the_misaligned_exposure(server, page, shoot):
    server.notebook(page, "4_weight_image.ipynb")
    everything_shows(page, panels=1, figures=2, pictures=4)
    click(page, "Check the weights")
    page.locator(".dwb:visible", has_text=re.compile("Weight over the overlap|star")).first.wait_for()
    walk(page, shoot)
    check(page, "check.misaligned", "Write the root name of an exposure")
    page.locator(".jp-Notebook .widget-dropdown", has_text="misaligned:").locator("select").select_option(
        "j8ny01t9q"
    )
    check(page, "check.misaligned", "Right.").scroll_into_view_if_needed()
    shoot(page, "right")


@pytest.mark.parametrize("name", ["1_start_here", "2_alignment"])
def test_in_the_dark(dark, page, shoot, name):
    dark.notebook(page, f"{name}.ipynb")
    everything_shows(page, panels=2, figures=2, pictures=0)
    walk(page, shoot)
