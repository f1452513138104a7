"""Alignment of simulated exposures against the truth, with the error as the grader defines it."""

import numpy as np
import pytest

from drizzlewb.exposure.intake import read_exposures
from drizzlewb.parameters.tweakreg import AlignParameters
from drizzlewb.steps.alignment import align
from drizzlewb.training.alignment_error import alignment_errors
from drizzlewb.training.simulate import simulate
from drizzlewb.training.truth import read_truth

FULL = ["j8ny01svq", "j8ny01tfq", "j8ny02yvq", "j8ny02zdq"]


def parameters(**keywords):
    """Those of the training page."""
    return AlignParameters.from_keywords({"threshold": 100.0, "conv_width": 3.5, **keywords})


def aligned(folder, **keywords):
    """Solution, and for each exposure the rms of true minus fitted positions (px)."""
    exposures = read_exposures(str(folder / "j8ny0*_flc.fits"))
    solution = align(exposures, parameters(**keywords))
    truths = {e.rootname: read_truth(folder / f"{e.rootname}_truth.fits") for e in exposures}
    errors = alignment_errors(solution.exposures, truths, solution.reference)
    return solution, {root: error.rms_px for root, error in errors.items()}


def test_all_twelve_tiny(tiny_set):
    """130 stars a frame, fitted to 0.015 px each: 0.0013 px for the mean, 0.002 px in the corners."""
    solution, errors = aligned(tiny_set)
    assert list(solution.table["status"]) == ["reference"] + ["aligned"] * 11
    assert max(errors.values()) < 0.01
    second = [a for a in solution.alignments if a.rootname.startswith("j8ny02")]
    assert all(9 < np.hypot(*a.fit.shift) < 13 for a in second)


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_fewer_than_twelve(tiny_set, count):
    """Of both visits; what is found for an exposure does not depend on how many others there are."""
    exposures = read_exposures(str(tiny_set / "j8ny0*_flc.fits"))[:: 12 // count][:count]
    solution = align(exposures, parameters())
    assert list(solution.table["status"]) == ["reference"] + ["aligned"] * (count - 1)
    truths = {e.rootname: read_truth(tiny_set / f"{e.rootname}_truth.fits") for e in exposures}
    errors = alignment_errors(solution.exposures, truths, solution.reference)
    assert len(errors) == count
    assert max(error.rms_px for error in errors.values()) < 0.01


def test_all_twelve_small(tmp_path):
    simulate(tmp_path, size="small")
    solution, errors = aligned(tmp_path)
    assert list(solution.table["status"]) == ["reference"] + ["aligned"] * 11
    assert {a.verdict.grade for a in solution.alignments} == {"reference", "good"}
    assert max(errors.values()) <= 0.005
    # What the fit says of itself is right: the mean is known to 0.0004 px, corners to twice as much.
    assert all(errors[root] < 5 * fit.error_px for root, fit in solution.fits.items())


@pytest.mark.long
def test_full(tmp_path):
    """Two exposures of each visit: all twelve take minutes to simulate and differ in nothing."""
    simulate(tmp_path, size="full", exposures=FULL)
    solution, errors = aligned(tmp_path)
    assert (solution.table["status"] != "refused").all()
    assert max(errors.values()) <= 0.002


@pytest.mark.parametrize(
    ("offset_px", "rotation_deg", "searchrad", "size"),
    [
        (0.0, 0.02, 1.0, "tiny"),
        (15.0, 0.02, 1.0, "tiny"),
        (10.0, 0.5, 1.5, "tiny"),
        (42.0, 0.5, 3.0, "small"),
        (50.0, 0.02, 4.0, "tiny"),
        (200.0, 0.02, 15.0, "small"),
    ],
)
def test_wrong_visits(tmp_path, offset_px, rotation_deg, searchrad, size):
    """As wrong as headers may be, and beyond the default search radius of 20 px: right or refused."""
    simulate(
        tmp_path,
        size=size,
        visit_offset_px=offset_px,
        visit_rotation_deg=rotation_deg,
        exposures=["j8ny01svq", "j8ny02yvq"],
    )
    solution, errors = aligned(tmp_path, searchrad=searchrad)
    assert list(solution.table["status"]) == ["reference", "aligned"]
    assert errors["j8ny02yvq"] < 0.01
    if offset_px < 20:
        return
    solution, errors = aligned(tmp_path)
    assert list(solution.table["status"]) == ["reference", "refused"]
    told = str(solution.alignments[1].verdict)
    assert 0.05 * offset_px / 2**0.5 < float(told.split("widen searchrad to ")[1].split()[0]) <= searchrad
    assert ("turned by +0." in told) == (rotation_deg > 0.1)
    assert solution.exposures[1] is solution.originals[1]
