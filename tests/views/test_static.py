import io
import subprocess
import sys

import numpy as np
import pytest
from alignments import aligned_session, new_session

from drizzlewb.views.residuals import residuals_of
from drizzlewb.views.static import alignment_figures


@pytest.fixture(scope="module")
def solution(tiny_set):
    return aligned_session(tiny_set).solution


@pytest.fixture(scope="module")
def figures(solution):
    return alignment_figures(solution)


def test_each_aligned_exposure_has_three_figures(solution, figures):
    names = [a.rootname for a in solution.alignments if a.status == "aligned"]
    assert list(figures) == [f"{kind}_{n}" for n in names for kind in ("hist2d", "vector", "residuals")]
    assert len(names) == 3


def test_histogram_shows_the_counts_and_rings_the_peak(solution, figures):
    alignment = solution.alignments[2]
    axes = figures[f"hist2d_{alignment.rootname}"].axes[0]
    np.testing.assert_allclose(np.square(axes.images[0].get_array()), alignment.start.counts)
    r = alignment.start.counts.shape[0] // 2
    assert axes.images[0].get_extent() == [-r - 0.5, r + 0.5, -r - 0.5, r + 0.5]
    ring = axes.lines[0].get_xydata()[0]
    np.testing.assert_allclose(ring, (alignment.peak.dx, alignment.peak.dy))
    # Visit 02 is off by several px: to be seen at a glance.
    assert np.hypot(*ring) > 5


def test_four_panels_and_magnitude_show_the_residuals(solution, figures):
    alignment = solution.alignments[2]
    found = residuals_of(alignment, solution.originals[2])
    panels = figures[f"residuals_{alignment.rootname}"].axes
    assert len(panels) == 6
    assert [p.get_xlabel() for p in panels[3:]] == ["x (px)", "y (px)", "magnitude (instrumental)"]
    for j, values in enumerate((found.dx, found.dy)):
        for i, at in enumerate((found.x, found.y, found.mag)):
            drawn = {line.get_label(): line.get_xydata() for line in panels[3 * j + i].lines}
            expected = np.column_stack([at, values])
            np.testing.assert_array_equal(drawn["in the fit"], expected[found.used])
            np.testing.assert_array_equal(drawn["clipped"], expected[~found.used])
            low, high = panels[3 * j + i].get_ylim()
            assert low < values[found.used].min() < values[found.used].max() < high


def test_arrows_are_the_residuals(solution, figures):
    alignment = solution.alignments[2]
    found = residuals_of(alignment, solution.originals[2])
    axes = figures[f"vector_{alignment.rootname}"].axes[0]
    quiver = next(c for c in axes.collections if hasattr(c, "U"))
    np.testing.assert_array_equal(quiver.U, found.dx[found.used])
    np.testing.assert_array_equal(quiver.V, found.dy[found.used])


def test_figures_can_be_saved(figures):
    for figure in list(figures.values())[:3]:
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=40)
        assert out.getvalue()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_refused_exposure_has_no_residual_figures(tiny_set):
    session = new_session(tiny_set, searchrad=0.1)
    solution = session.align().result(120)
    refused = [a.rootname for a in solution.alignments if a.status == "refused"]
    assert len(refused) == 2
    made = alignment_figures(solution)
    assert not any(name in key for name in refused for key in made if not key.startswith("hist2d"))


def test_import_brings_neither_matplotlib_nor_a_widget():
    code = (
        "import sys, drizzlewb.views.static; "
        "assert not {'matplotlib', 'bqplot', 'ipywidgets'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
