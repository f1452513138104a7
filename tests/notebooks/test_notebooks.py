"""Each notebook runs from top to bottom without a hand, and its exercises come out right."""

import json
import re
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


def answer_to(cells, number):
    """Code under the last 'Answer' above a cell."""
    above = "\n".join(c.source for c in cells[:number] if c.cell_type == "markdown")
    return re.findall(r"<summary>Answer</summary>.*?```python\n(.*?)```", above, re.DOTALL)[-1]


def told(cell):
    return [text for o in cell.outputs if "Right." in (text := o.get("data", {}).get("text/html", ""))
            or "Not yet." in text]  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs_from_top_to_bottom(path, tmp_path):
    """An exercise is not done yet; its answer, as the trainee finds it under 'Answer', does it."""
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    exercises = 0
    with client.setup_kernel():
        for number, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            client.execute_cell(cell, number)
            if "exercise" in cell.metadata.get("tags", []):
                exercises += 1
                assert "Not yet." in told(cell)[0]
                kept = re.sub(r"(?m)^(my_.*|again) = None.*$", "", cell.source)
                cell.source = answer_to(notebook.cells, number) + "\n" + kept
                client.execute_cell(cell, number)
                assert "Right." in told(cell)[0], told(cell)
            assert all("Right." in words for words in told(cell))
            # Nothing is complained about, neither by us nor by a library.
            assert [o for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"] == []
    assert exercises
