import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is absent")
pytest.importorskip("jupyterlab", reason="the lab extra is absent")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def pytest_collection_modifyitems(items):
    for item in items:
        if "browser" in str(item.path.parent.name):
            # Libraries of the browser and its server are not ours to warn about.
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        pytest.skip("Chromium is absent: browser tests need /usr/bin/chromium")
    from pages import CHROMIUM_ARGUMENTS

    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory, chromium):
    from pages import Jupyter

    server = Jupyter(tmp_path_factory.mktemp("jupyter"))
    yield server
    server.stop()


@pytest.fixture
def page(chromium):
    """A page; whatever it wrote to the console as an error is in ``page.errors``."""
    made = chromium.new_page(viewport={"width": 1280, "height": 1400})
    made.errors = []
    made.set_default_timeout(120_000)
    made.on("pageerror", lambda error: made.errors.append(str(error)))
    yield made
    made.close()


@pytest.fixture
def shoot(request):
    """Keep a picture of the page under the test's name."""
    from pages import SCREENSHOTS

    def shot(page, name=""):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        stem = request.node.name.replace("[", "-").replace("]", "")
        page.screenshot(path=str(SCREENSHOTS / f"{stem}{'-' + name if name else ''}.png"))

    return shot
