"""Latency of the workbench in a real browser (Chromium, software rendering), on full-size exposures.

From a key or a click to new pixels on the page, as the page itself sees it; medians. And how long the
workbench takes to open on twelve exposures, how evenly two of them blink, and how long a click takes to be
answered while a full reduction runs.
"""

import itertools
import os
import re
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DRIZZLEWB_BENCH_DATA", ROOT / "bench-data"))
MOVES = int(os.environ.get("DRIZZLEWB_BENCH_MOVES", "15"))

OPEN = """
import time
import drizzlewb as dw
session = dw.Session({files!r}, folder={scratch!r})
_started = time.perf_counter()
bench = dw.Workbench(session)
opened_s = time.perf_counter() - _started
bench
"""
READY = """
session.set("*", final_wcs=True, final_scale=0.03, final_rot=0, final_pixfrac=0.6, skymethod="localmin")
session.select(product="F606W", size=(512, 512))
session.preview("F606W").result()
"""
# Notes when a key went down or a field changed, and when the picture of a figure next changed.
WATCH = """
(title) => {
  const figures = () => [...document.querySelectorAll('.dwb-image')].filter(
    f => f.getBoundingClientRect().width && f.textContent.includes(title));
  const seen = () => figures().map(f => [...f.querySelectorAll('image')].map(
    i => i.getAttribute('href') || i.getAttribute('xlink:href')).join()).join();
  const turn = window.dwbTurn = (window.dwbTurn || 0) + 1;  // what watched another figure stops
  window.dwb = {start: 0, end: 0, before: seen()};
  const begin = () => { if (!window.dwb.start) { window.dwb.start = performance.now(); } };
  window.addEventListener('keydown', begin, true);
  window.addEventListener('change', begin, true);
  window.addEventListener('mousedown', begin, true);
  const look = () => {
    if (turn !== window.dwbTurn) { return; }
    const w = window.dwb;
    if (w.start && !w.end && seen() !== w.before) { w.end = performance.now(); }
    requestAnimationFrame(look);
  };
  window.dwb.again = () => { Object.assign(window.dwb, {start: 0, end: 0, before: seen()}); };
  look();
}
"""
# Notes when another frame of the comparison is the topmost that can be seen.
WATCH_BLINK = """
() => {
  const figure = [...document.querySelectorAll('.dwb-image')].find(f => f.getBoundingClientRect().width);
  const top = () => [...figure.querySelectorAll('image')].findLastIndex(
    i => getComputedStyle(i.parentElement).display !== 'none');
  const seen = window.dwbBlink = {times: [], over: false};
  let before = top();
  const look = (now) => {
    const here = top();
    if (here !== before) { before = here; seen.times.push(now); }
    if (!seen.over) { requestAnimationFrame(look); }
  };
  requestAnimationFrame(look);
}
"""
BLINKS_PER_S = 4
BLINK_S = 10


def measure(page, act, settle_ms: int = 1200) -> float:
    """Milliseconds from what `act` does to new pixels."""
    page.evaluate("window.dwb.again()")
    act()
    page.wait_for_function("window.dwb.end > 0", timeout=60_000)
    page.wait_for_timeout(settle_ms)  # the sharper picture at rest has come
    return page.evaluate("window.dwb.end - window.dwb.start")


def say(name: str, values: list[float], asked: float) -> None:
    print(
        f"{name:58} median {statistics.median(values):6.0f} ms, least {min(values):6.0f} (asked {asked:.0f})",
        flush=True,
    )


def main() -> None:
    sys.path.insert(0, str(ROOT / "tests" / "browser"))
    from pages import CHROMIUM_ARGUMENTS, Jupyter
    from playwright.sync_api import sync_playwright

    files = sorted(str(p) for p in (DATA / "full").glob("*_flc.fits"))
    if len(files) < 12:
        print(f"twelve full-size exposures are needed in {DATA / 'full'}: run the benchmark 'reduce' first")
        return
    with tempfile.TemporaryDirectory(prefix="drizzlewb-bench-") as folder:
        server = Jupyter(Path(folder))
        try:
            with sync_playwright() as started:
                browser = started.chromium.launch(
                    executable_path="/usr/bin/chromium", args=CHROMIUM_ARGUMENTS
                )
                page = browser.new_page(viewport={"width": 1320, "height": 1800})
                page.set_default_timeout(300_000)
                server.lab(page, "bench", OPEN.format(files=files, scratch=str(Path(folder) / "scratch")))
                page.wait_for_selector(".dwb-steps button")
                kernel = server.kernel("bench")
                print(f"opening the workbench on 12 exposures: {kernel.ask('opened_s'):.2f} s (asked 3)")
                kernel.run(READY, timeout=600)
                interactions(page, kernel)
                blinking(page, kernel)
                answered(page, kernel)
                kernel.close()
                browser.close()
        finally:
            server.stop()


def step(page, title: str) -> None:
    page.locator(".dwb-steps button", has_text=title).first.click()
    page.locator(".dwb-title:visible", has_text=title).first.wait_for()
    page.wait_for_timeout(4000)


def interactions(page, kernel) -> None:
    step(page, "Final drizzle")
    page.evaluate(WATCH, "F606W: sci")
    handle = page.locator(".dwb-field:visible", has_text="final_pixfrac").locator(".noUi-handle").first
    handle.focus()
    keys = ["ArrowRight", "ArrowLeft"]
    times = [measure(page, lambda k=k: page.keyboard.press(keys[k % 3 % 2])) for k in range(MOVES)]
    say("pixfrac slider to new pixels of a 512 x 512 region", times[2:], 250)
    stretches = page.locator(".dwb-image:visible").first.locator("xpath=..").locator("select").first
    names = ["linear", "log", "sqrt", "asinh"]
    times = [measure(page, lambda k=k: stretches.select_option(names[k % 4])) for k in range(8)]
    say("stretch to new pixels", times, 180)

    step(page, "Cosmic rays")
    page.locator("button:visible", has_text="Preview the product here").click()
    page.wait_for_timeout(15_000)
    page.evaluate(WATCH, "this region")
    handle = page.locator(".noUi-handle:visible").first
    handle.focus()
    press = [lambda k=k: page.keyboard.press(keys[k % 3 % 2]) for k in range(MOVES)]
    times = [measure(page, act, settle_ms=3500) for act in press]
    say("CR threshold slider to new pixels of the product's region", times[2:], 250)


def blinking(page, kernel) -> None:
    """Two exposures in the Compare panel, blinking by themselves: times between frames."""
    step(page, "Compare")
    kernel.run(
        "panel = bench['Compare']; names = [e.rootname for e in session.exposures]; "
        f"panel.chosen.value = (names[0], names[-1]); panel.view.rate = {BLINKS_PER_S}"
    )
    page.locator("button.mod-primary:visible", has_text="Compare").click()
    page.wait_for_timeout(10_000)  # both frames are read, and rendered at rest
    button = page.locator("button:visible", has_text=re.compile(r"^\s*Blink\s*$")).first
    page.evaluate(WATCH_BLINK)
    button.click()
    page.wait_for_timeout(1000 * BLINK_S)
    button.click()
    times = page.evaluate("() => { window.dwbBlink.over = true; return window.dwbBlink.times; }")
    gaps = [after - before for before, after in itertools.pairwise(times)]
    print(
        f"{f'frames of a blink, {BLINKS_PER_S} a second for {BLINK_S} s: {len(times)} seen, apart by':58} "
        f"median {statistics.median(gaps):6.0f} ms, worst {max(gaps):6.0f} (asked {1000 / BLINKS_PER_S:.0f})",
        flush=True,
    )


def answered(page, kernel) -> None:
    """A click on another step while a full reduction runs."""
    for title in ("Sky", "Weights"):
        step(page, title)
    kernel.run("session.set('F606W', final_pixfrac=0.77); handle = session.run('F606W')")
    page.wait_for_timeout(3000)
    times = []
    for k in range(10):
        title = ("Sky", "Weights")[k % 2]
        button = page.locator(".dwb-steps button", has_text=title).first
        before = page.evaluate("performance.now()")
        button.click()
        page.wait_for_function(
            "t => [...document.querySelectorAll('.dwb-title')].some(e => e.textContent === t"
            " && e.getBoundingClientRect().width)",
            arg=title,
            polling="raf",
        )
        times.append(page.evaluate("performance.now()") - before)
        page.wait_for_timeout(400)
    busy = kernel.ask("session.busy")
    say(f"click to another panel while a reduction runs ({'it did' if busy else 'it had ended'})", times, 300)
    kernel.run("session.cancel(); session.wait(60)")


if __name__ == "__main__":
    main()
