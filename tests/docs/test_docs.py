"""The documentation is built without a warning, and what it tells to type works."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```python\n(.*?)^```", re.S | re.M)


def test_built_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="the docs extra is absent")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    pages = {p.name for p in tmp_path.glob("*.html")}
    assert {"index.html", "tour.html", "from-drizzlepac.html", "parameters.html", "api.html"} <= pages
    for page in tmp_path.rglob("*.html"):
        # Readable without network: no script, style or picture from elsewhere.
        outside = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?:[^"]+)"', page.read_text())
        assert [url for url in outside if "canonical" not in url] == [], page.name


def test_the_tour_runs_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "tour.md").read_text()
    namespace: dict = {}
    blocks = FENCE.findall(text)
    assert len(blocks) >= 5
    for block in blocks:
        exec(compile(block, "tour.md", "exec"), namespace)  # noqa: S102 -- our own page
    assert list(Path(namespace["folder"]).glob("*_drc.fits"))


def test_links_between_files_of_the_repository_lead_somewhere():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text()):
            if page.name != "parameters.md":
                assert (page.parent / target).exists() or target == "parameters.md", f"{page.name}: {target}"
