"""JupyterLab and Voila on this machine, a real Chromium in front of them, and a client of the same kernel."""

import ast
import json
import logging
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCREENSHOTS = Path(os.environ.get("DRIZZLEWB_SCREENSHOTS", REPOSITORY / "out" / "screenshots"))
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
# Code cells hide, so that a picture shows the panels alone.
HIDE_CODE = ".jp-Cell-inputWrapper, .jp-CellHeader { display: none !important; }"
PROMPTS = "[...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')]"


def write_notebook(path, *cells):
    """Write a notebook of code cells."""
    made = [
        {
            "cell_type": "code",
            "id": f"cell{k}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": c,
        }
        for k, c in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": made}
    Path(path).write_text(json.dumps(notebook))


class Jupyter:
    """A Jupyter server with JupyterLab, Notebook and Voila, in a folder of its own."""

    def __init__(self, folder, theme="light", **variables):
        self.folder = Path(folder)
        self.runtime = self.folder / "runtime"
        settings = self.folder / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "themes.jupyterlab-settings").write_text(
            json.dumps({"theme": f"JupyterLab {theme.title()}"})
        )
        (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
        tracker = self.folder / "settings" / "@jupyterlab" / "notebook-extension"
        tracker.mkdir()
        # Cells outside the window would not be there to be looked at.
        (tracker / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
        extensions = self.folder / "share" / "labextensions"
        extensions.mkdir(parents=True)
        (extensions / "drizzlewb-launcher").symlink_to(REPOSITORY / "drizzlewb" / "launcher")
        self.work = self.folder / "work"
        self.work.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = dict(
            os.environ,
            JUPYTERLAB_SETTINGS_DIR=str(self.folder / "settings"),
            JUPYTER_RUNTIME_DIR=str(self.runtime),
            JUPYTER_PATH=str(self.folder / "share"),
            PYTHONPATH=os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
            **variables,
        )
        self.log = open(self.folder / "server.log", "w")  # noqa: SIM115 -- closed in stop
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--port={self.port}",
                "--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={self.work}",
                "--LabApp.news_url=None", "--VoilaConfiguration.show_tracebacks=True",
            ],
            env=environment, stdout=self.log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{self.url}/api", timeout=5).close()
                break
            except OSError:
                time.sleep(0.3)
        else:
            raise RuntimeError(
                "the Jupyter server did not start: " + (self.folder / "server.log").read_text()[-2000:]
            )

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

    # ---------------------------------------------------------------- pages
    def lab(self, page, name, *cells):
        """Open a notebook of these cells in JupyterLab and run them all."""
        write_notebook(self.work / f"{name}.ipynb", *cells)
        page.goto(f"{self.url}/lab/tree/{name}.ipynb?reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
        page.wait_for_selector(
            '[data-status="idle"], .jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=120_000
        )
        page.keyboard.press("Control+b")  # the file browser takes a fifth of the width
        self.run_cells(page, len(cells))
        page.add_style_tag(content=HIDE_CODE)

    def notebook(self, page, path, timeout_ms=600_000):
        """Open a notebook of the server's folder, and run it by the menu until its last cell is done."""
        page.goto(f"{self.url}/lab/tree/{path}?reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
        page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=120_000)
        page.keyboard.press("Control+b")
        for _ in range(5):
            Jupyter.answer_dialog(page)
            page.locator(".lm-MenuBar-item", has_text=re.compile("^Run$")).click()
            page.locator(".lm-Menu-item", has_text=re.compile("^Run All Cells$")).click()
            try:  # a notebook whose kernel is still on its way lets the click go by
                page.wait_for_function(
                    f"{PROMPTS}.some(e => /\\[(\\*|\\d+)\\]/.test(e.textContent))", timeout=15_000
                )
                break
            except Exception:  # noqa: BLE001, S112 -- tried again
                continue
        self.wait_for_cells(page, timeout_ms)

    @staticmethod
    def answer_dialog(page):
        """Accept what JupyterLab itself asks: which kernel to take, say, when keys come before the kernel."""
        dialog = page.locator(".jp-Dialog")
        if dialog.count():
            logging.getLogger(__name__).warning("JupyterLab asked: %s", dialog.first.inner_text())
            dialog.locator("button.jp-mod-accept").first.click()

    @staticmethod
    def wait_for_cells(page, timeout_ms=600_000):
        """Wait until every code cell has run, or one of them has failed; then say which."""
        page.wait_for_function(
            f"""() => {{
              const prompts = {PROMPTS};
              return document.querySelector('.jp-Notebook [data-mime-type="application/vnd.jupyter.error"]')
                  || (prompts.length && prompts.every(e => /\\[\\d+\\]/.test(e.textContent)));
            }}""",
            timeout=timeout_ms,
        )
        failed = page.locator('.jp-Notebook [data-mime-type="application/vnd.jupyter.error"]')
        if failed.count():
            raise AssertionError(failed.first.inner_text())

    @staticmethod
    def run_cells(page, number, timeout_ms=300_000):
        """Run the first cells of the notebook that is open, and wait until they are done."""
        for _ in range(5):
            Jupyter.answer_dialog(page)
            page.locator(".jp-Notebook .jp-Cell").first.click()
            for _ in range(number):
                page.keyboard.press("Shift+Enter")
            try:  # a notebook whose kernel is still on its way lets the keys go by
                page.wait_for_function(
                    f"{PROMPTS}.some(e => /\\[(\\*|\\d+)\\]/.test(e.textContent))", timeout=15_000
                )
                break
            except Exception:  # noqa: BLE001, S112 -- tried again
                continue
        page.wait_for_function(
            f"n => {PROMPTS}.slice(0, n).every(e => /\\[\\d+\\]/.test(e.textContent))",
            arg=number,
            timeout=timeout_ms,
        )

    def voila(self, page, name, *cells):
        """Open a notebook of these cells in Voila."""
        write_notebook(self.work / f"{name}.ipynb", *cells)
        page.goto(f"{self.url}/voila/render/{name}.ipynb", timeout=180_000)

    # ---------------------------------------------------------------- the kernel behind the page
    def kernels(self):
        with urllib.request.urlopen(f"{self.url}/api/kernels", timeout=10) as answer:
            return json.loads(answer.read())

    def kernel(self, name=None):
        """Client of the kernel of a notebook; `ask` reads Python values from it."""
        if name is None:
            newest = max(self.kernels(), key=lambda k: k["last_activity"])["id"]
        else:
            with urllib.request.urlopen(f"{self.url}/api/sessions", timeout=10) as answer:
                sessions = json.loads(answer.read())
            newest = next(s["kernel"]["id"] for s in sessions if s["path"] == f"{name}.ipynb")
        return Kernel(self.runtime / f"kernel-{newest}.json")


class Kernel:
    """Asks a kernel for values, while its page is open."""

    def __init__(self, connection):
        from jupyter_client import BlockingKernelClient

        self.client = BlockingKernelClient()
        self.client.load_connection_file(str(connection))
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def ask(self, expression, timeout=120):
        """Value of an expression of plain JSON values."""
        code = f"import json as _json; _answer = _json.dumps({expression})"
        reply = self.client.execute_interactive(
            code,
            user_expressions={"answer": "_answer"},
            timeout=timeout,
            output_hook=lambda _: None,
            store_history=False,
        )
        content = reply["content"]
        if content["status"] != "ok":
            raise AssertionError(re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(content["traceback"])))
        text = content["user_expressions"]["answer"]["data"]["text/plain"]
        return json.loads(ast.literal_eval(text))

    def run(self, code, timeout=120):
        reply = self.client.execute_interactive(
            code, timeout=timeout, output_hook=lambda _: None, store_history=False
        )
        if reply["content"]["status"] != "ok":
            raise AssertionError(re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(reply["content"]["traceback"])))

    def wait(self, expression, seconds=180):
        """Ask until the answer is true."""
        end = time.monotonic() + seconds
        while not self.ask(expression):
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {expression}")
            time.sleep(0.2)

    def close(self):
        self.client.stop_channels()


# -------------------------------------------------------------------- what a person does in a panel
def step(page, title):
    """Open a panel."""
    page.locator(".dwb-steps button", has_text=title).first.click()
    page.locator(".dwb-title:visible", has_text=title).first.wait_for()


def click(page, name):
    """Press the button of this name."""
    # By its text: the name that a screen reader hears begins with the icon.
    page.locator("button:visible:enabled", has_text=re.compile(rf"^\s*{name}\s*$")).first.click()


def choose(page, label, value):
    """Type a value into the field of a parameter."""
    field = page.locator(".dwb-field:visible", has=page.locator(f'.dwb-name:text-is("{label}")')).first
    box = field.locator("select")
    if box.count():
        box.first.select_option(value)
    else:
        text = field.locator("input[type=text], input[type=number]").first
        text.fill(value)
        text.press("Enter")
