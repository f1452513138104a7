"""The real Aladin Lite for browser tests without a network: its module answers in place of the CDN.

``DRIZZLEWB_ALADIN`` names a folder that holds ``aladin.js`` (or the unpacked npm package); without it
``npm pack`` fetches the package once into the cache folder. Where neither works the tests skip.
"""

import os
import re
import subprocess
import tarfile
from importlib import resources
from pathlib import Path

import pytest

VARIABLE = "DRIZZLEWB_ALADIN"


def wanted():
    """Address that ipyaladin asks for, and the npm package behind it."""
    source = resources.files("ipyaladin").joinpath("static/widget.js").read_text("utf-8")
    address = re.search(r'"(https://[^"]*/(aladin-lite@[^"/]+))"', source)
    assert address, "ipyaladin no longer takes aladin-lite from a CDN"
    return address.groups()


def module():
    """Text of the module; the test is skipped, with the reason, where it cannot be had."""
    _, package = wanted()
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        found = sorted(Path(named).expanduser().rglob("aladin.js"))
        if not found:
            pytest.skip(f"{VARIABLE} names {named}, which holds no aladin.js")
        return found[0].read_text("utf-8")
    from drizzlewb.training.datasets import cache_folder

    folder = cache_folder() / "browser" / package.replace("@", "-")
    kept = folder / "aladin.js"
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            done = subprocess.run(
                ["npm", "pack", "--silent", package], cwd=folder, capture_output=True, text=True, timeout=120
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"Aladin Lite is absent: npm pack {package} failed ({error}); set {VARIABLE}")
        archives = sorted(folder.glob("*.tgz"))
        if done.returncode or not archives:
            pytest.skip(f"Aladin Lite is absent: npm pack {package} gave {done.stderr.strip()[-200:]!r}")
        with tarfile.open(archives[0]) as archive:
            member = next(m for m in archive.getmembers() if m.name.endswith("/dist/aladin.js"))
            data = archive.extractfile(member).read()
        part = kept.with_suffix(".part")
        part.write_bytes(data)
        part.replace(kept)
    return kept.read_text("utf-8")


def serve(page):
    """Let a page have the real module; nothing else comes from outside."""
    text = module()
    address, _ = wanted()
    _answer(
        page,
        address,
        lambda route: route.fulfill(
            status=200,
            content_type="text/javascript",
            headers={"access-control-allow-origin": "*"},
            body=text,
        ),
    )


def block(page):
    """Refuse the module at once, as a firewall that rejects."""
    _answer(page, wanted()[0], lambda route: route.abort())


def swallow(page):
    """Never answer for the module, as a firewall that drops."""
    _answer(page, wanted()[0], lambda route: None)


def _answer(page, address, act):
    def answer(route):
        url = route.request.url
        if re.match(r"(https?|wss?)://(127\.0\.0\.1|localhost)[:/]", url) or not url.startswith("http"):
            route.continue_()
        elif url.startswith(address):
            act(route)
        else:
            route.abort()

    page.route("**/*", answer)
