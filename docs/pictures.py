"""Pictures of the panels for the documentation, made from the real thing: ``python docs/pictures.py``;
with a folder, 'dark' and a width behind it, as they are in the dark theme and in a narrower window.

A session on the small training set is brought to its end by the same lines that a user would write, each
panel is opened in a real JupyterLab in Chromium, and its picture is written to ``docs/pictures``.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from pages import CHROMIUM_ARGUMENTS, Jupyter  # noqa: E402

CELL = """
import drizzlewb as dw
from drizzlewb.training.datasets import training_set

session = dw.Session(training_set("small"))
session.set(threshold=50, conv_width=3.5, peakmax=70000)
session.align().result()
session.accept()
session.set("*", combine_type="median", combine_nhigh=1, skymethod="match", final_wcs=True, final_rot=0,
            final_scale=0.03, final_pixfrac=0.6)
session.run("F606W").result()
session.run("F814W").result()
session.select(product="F606W")
session.preview("F606W").result()
bench = dw.Workbench(session)
bench
"""
# Panel -> lines of Python that bring it to the state of the picture.
PANELS = {
    "Exposures": "",
    "Alignment": "",
    "Sky": "",
    "Cosmic rays": "",
    "Final drizzle": "",
    "Weights": "bench['Weights'].actions[0]()",
    "Compare": "p = bench['Compare']; p.chosen.value = ('product F606W', 'product F814W'); p.show()",
    "Export": "",
}


def pictures(folder: Path, theme: str = "light", width: int = 1320, wait_ms: int = 6000) -> list[Path]:
    """Write one JPEG for each panel, in a window of that width (px); the files."""
    made = []
    server = Jupyter(tempfile.mkdtemp(prefix="drizzlewb-pictures-"), theme=theme)
    try:
        with sync_playwright() as started:
            browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_ARGUMENTS)
            page = browser.new_page(viewport={"width": width, "height": 2600})
            page.set_default_timeout(300_000)
            server.lab(page, "pictures", CELL)
            page.wait_for_selector(".dwb-steps button")
            kernel = server.kernel("pictures")
            for title, code in PANELS.items():
                page.locator(".dwb-steps button", has_text=title).first.click()
                page.wait_for_timeout(wait_ms)
                if code:
                    kernel.run(code)
                    kernel.wait("not session.busy")
                    page.wait_for_timeout(wait_ms)
                shot = page.locator(".dwb-workbench").screenshot()
                path = (
                    folder / f"{title.lower().replace(' ', '-')}{'' if theme == 'light' else '-' + theme}.jpg"
                )
                image = Image.open(io.BytesIO(shot)).convert("RGB")
                image.thumbnail((1100, 1600))
                image.save(path, quality=82, optimize=True)
                made.append(path)
            kernel.close()
            browser.close()
    finally:
        server.stop()
    return made


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures"
    target.mkdir(parents=True, exist_ok=True)
    pictures(target, *sys.argv[2:3], *map(int, sys.argv[3:4]))
