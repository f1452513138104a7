"""The workbench in a real browser: it shows, follows the theme, answers, survives, runs no foreign code."""

import json
import re

import pytest

BENCH = """
import drizzlewb as dw
session = dw.Session({files!r})
bench = dw.Workbench(session)
bench
"""


@pytest.fixture
def cell(tiny_set):
    return BENCH.format(files=str(tiny_set / "*_flc.fits"))


def test_in_jupyterlab_a_click_changes_the_session_and_back(jupyter, page, cell, shoot):
    jupyter.lab(page, "frame", cell)
    page.wait_for_selector(".dwb-steps button")
    kernel = jupyter.kernel("frame")
    page.get_by_role("button", name="Sky").first.click()
    page.wait_for_selector("text=Measure the sky")
    page.locator(".dwb-field:visible select").first.select_option("match")
    page.get_by_role("button", name="Measure the sky").click()
    page.wait_for_selector("text=Largest difference left", timeout=120_000)
    assert kernel.ask("session.parameters('F606W').skymethod") == "match"
    assert kernel.ask("session.status_of('F606W', 'sky').state") == "done"
    shoot(page)
    # From Python to the page.
    kernel.run("session.set('F606W', skymethod='localmin')")
    page.wait_for_selector("text=measure again")
    page.locator("button:has(.fa-undo)", has_text="skymethod").first.click()
    page.wait_for_selector("text=Largest difference left")
    assert kernel.ask("session.parameters('F606W').skymethod") == "match"
    kernel.close()
    assert page.errors == []


def test_an_impossible_value_says_why_beside_the_field(jupyter, page, cell, shoot):
    jupyter.lab(page, "wrong", cell)
    page.get_by_role("button", name="Sky").first.click()
    page.get_by_text("Clipping and limits").click()
    field = page.locator(".dwb-field:visible", has_text="skylsigma").locator("input[type=text]")
    field.fill("many")
    field.press("Enter")
    page.wait_for_selector("text=expected a number above 0")
    kernel = jupyter.kernel("wrong")
    assert kernel.ask("session.parameters('F606W').skylsigma") == 4.0
    kernel.close()
    shoot(page)


@pytest.mark.long
def test_by_keyboard_alone(jupyter, page, cell):
    jupyter.lab(page, "keys", cell)
    page.wait_for_selector(".dwb-steps button")
    button = page.get_by_role("button", name="Sky").first
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Measure the sky")
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.closest('.dwb') !== null")
    assert focused


@pytest.mark.long
def test_two_workbenches_in_one_notebook(jupyter, page, cell, shoot):
    second = re.sub(r"\bbench\b", "second", re.sub(r"\bsession\b", "other", cell))
    jupyter.lab(page, "two", cell, second)
    page.wait_for_function("document.querySelectorAll('.dwb-workbench').length == 2")
    kernel = jupyter.kernel("two")
    later = page.locator(".dwb-workbench").nth(1)
    later.get_by_role("button", name="Sky").first.click()
    later.locator(".dwb-field:visible select").first.select_option("globalmin")
    page.wait_for_timeout(500)
    assert kernel.ask("[session.parameters('F606W').skymethod, other.parameters('F606W').skymethod]") == [
        "localmin",
        "globalmin",
    ]
    kernel.close()


@pytest.mark.long
def test_a_kernel_restart_and_the_saved_session(jupyter, page, tiny_set, tmp_path, shoot):
    path = str(tmp_path / "session.json")
    cell = f"""
from pathlib import Path
import drizzlewb as dw
saved = Path({path!r})
session = dw.Session.open(saved) if saved.exists() else dw.Session({str(tiny_set / "*_flc.fits")!r})
bench = dw.Workbench(session)
bench
"""
    jupyter.lab(page, "restart", cell)
    page.wait_for_selector(".dwb-steps button")
    kernel = jupyter.kernel("restart")
    kernel.run("session.set('F606W', final_pixfrac=0.6, skymethod='match'); session.save(saved)")
    process = kernel.ask("__import__('os').getpid()")
    kernel.close()
    page.locator("[data-command='notebook:restart-run-all']").first.click()
    page.locator(".jp-Dialog button.jp-mod-accept").click()
    page.wait_for_selector(".dwb-steps button", state="detached")
    page.wait_for_selector(".dwb-steps button")
    kernel = jupyter.kernel("restart")
    assert kernel.ask("__import__('os').getpid()") != process
    assert kernel.ask("session.parameters('F606W').final_pixfrac") == 0.6
    page.locator(".dwb-steps button", has_text="Final drizzle").click()
    page.wait_for_selector("text=final_pixfrac")
    page.get_by_role("button", name=re.compile("pixfrac|skymethod")).first.click()  # undo, from before
    page.wait_for_function("!!document.querySelector('.dwb-workbench')")
    kernel.wait("session.parameters('F606W').final_pixfrac == 1.0")
    shoot(page)
    kernel.close()


HOSTILE = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


def test_header_text_is_shown_as_text(jupyter, page, tmp_path, shoot):
    from factory import write

    for k in range(3):
        write(
            tmp_path / f"jtest0{k + 1}aq_flc.fits", "ACS/WFC", seed=k,
            primary={"TARGNAME": HOSTILE, "FILTER1": "F606W<i>x</i>", "FILTER2": "CLEAR2L"},
        )  # fmt: skip
    cell = BENCH.format(files=str(tmp_path / "*_flc.fits"))
    jupyter.lab(page, "hostile", cell, "session")
    page.wait_for_selector(".dwb-steps button")
    for button in page.locator(".dwb-steps button").all():
        button.click()
        page.wait_for_timeout(400)
    page.wait_for_timeout(1000)
    assert page.evaluate("window.hacked === undefined")
    assert page.locator("img[src='x']").count() == 0
    shoot(page)


def test_in_voila(jupyter, page, cell, shoot):
    jupyter.voila(page, "app", cell)
    page.wait_for_selector(".dwb-steps button", timeout=120_000)
    page.get_by_role("button", name="Sky").first.click()
    page.get_by_role("button", name="Measure the sky").click()
    page.wait_for_selector("text=each value stands by itself", timeout=120_000)
    shoot(page)


@pytest.mark.long
def test_in_notebook_7(jupyter, page, cell, shoot):
    from pages import write_notebook

    write_notebook(jupyter.work / "seven.ipynb", cell)
    page.goto(f"{jupyter.url}/notebooks/seven.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
    page.wait_for_timeout(2000)
    jupyter.run_cells(page, 1)
    page.wait_for_selector(".dwb-steps button", timeout=120_000)
    shoot(page)


def test_the_dark_theme_is_followed(tmp_path_factory, chromium, cell, shoot):
    from pages import Jupyter

    server = Jupyter(tmp_path_factory.mktemp("dark"), theme="dark")
    page = chromium.new_page(viewport={"width": 1280, "height": 1200})
    try:
        server.lab(page, "dark", cell)
        page.get_by_role("button", name="Sky").first.click()
        page.wait_for_selector(".bqplot:visible")
        shade = page.evaluate(
            """() => {
              const heading = [...document.querySelectorAll('.dwb .bqplot .mainheading')].find(
                e => e.getBoundingClientRect().width);
              return [getComputedStyle(document.querySelector('.dwb-box')).backgroundColor,
                      getComputedStyle(heading).fill];
            }"""
        )
        page_colour, text = (
            sum(map(int, json.loads("[" + s[s.index("(") + 1 : s.index(")")] + "]")[:3])) for s in shade
        )
        assert page_colour < 200 < 400 < text
        shoot(page)
    finally:
        page.close()
        server.stop()
