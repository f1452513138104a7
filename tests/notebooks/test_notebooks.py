"""Each notebook runs from top to bottom without a hand, and its exercises come out right."""

import json
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient", reason="nbclient is absent")
nbformat = pytest.importorskip("nbformat", reason="nbformat is absent")
pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
# Libraries of the kernel are not ours to warn about.
pytestmark = pytest.mark.filterwarnings("default")


def test_there_are_six():
    assert [p.name[0] for p in NOTEBOOKS] == list("123456")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_committed_without_outputs_and_with_its_parameters_in_one_cell(path):
    notebook = json.loads(path.read_text())
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    assert all(not c["outputs"] and c["execution_count"] is None for c in code)
    assert sum("parameters" in c["metadata"].get("tags", []) for c in code) == 1
    assert "widgets" not in notebook["metadata"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs_from_top_to_bottom(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    html = ["".join(o.get("data", {}).get("text/html", "")) for o in outputs]
    checks = [h for h in html if "Right." in h or "Not yet." in h]
    assert checks
    assert [h for h in checks if "Not yet." in h] == []
    # The workbench came to its panels without a word of complaint.
    errors = [o for o in outputs if o.output_type == "error"]
    assert errors == []
