"""A misaligned exposure shows itself in its cosmic-ray mask, and its verdict says so."""

import pytest

import drizzlewb as dw
from drizzlewb import distortion
from drizzlewb.errors import DataError
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction import Reduction

PARAMETERS = ReduceParameters.from_keywords(combine_type="median", combine_nhigh=1, driz_sep_bits=336)


def fractions(exposures, folder):
    reduction = Reduction(exposures, PARAMETERS, folder=folder)
    reduction.make_masks()
    return reduction.cr_fractions()


def moved(exposure, px):
    chips = []
    for chip in exposure.chips:
        crval = chip.wcs.crval.copy()
        crval[1] += px * chip.pixel_scale_arcsec / 3600
        chips.append(distortion.replace_tan(chip.wcs, crval, chip.wcs.cd))
    return exposure.with_wcs(chips)


def test_the_verdict_of_a_misaligned_exposure(tiny_set, tmp_path):
    exposures = dw.read_exposures(str(tiny_set / "j8ny01*_flc.fits"))
    solution = dw.align(exposures, threshold=50, conv_width=3.5)
    assert all(a.status != "refused" for a in solution.alignments)
    before = [str(a.verdict) for a in solution.alignments]
    solution.judge_with(fractions(solution.exposures, tmp_path / "right"))
    assert [str(a.verdict) for a in solution.alignments] == before
    wrong = [moved(e, 3.0) if k == 2 else e for k, e in enumerate(solution.exposures)]
    solution.judge_with(fractions(wrong, tmp_path / "wrong"))
    told = [a.rootname for a in solution.alignments if "misaligned exposure shows itself" in str(a.verdict)]
    assert told == [exposures[2].rootname]
    assert "misaligned exposure shows itself" in solution.table["verdict"][2]
    # Another product takes the place of the one before.
    solution.judge_with(fractions(solution.exposures, tmp_path / "right"))
    assert [str(a.verdict) for a in solution.alignments] == before


def test_by_a_product(tiny_set, tmp_path):
    exposures = dw.read_exposures(str(tiny_set / "j8ny01*_flc.fits"))[:3]
    solution = dw.align(exposures, threshold=50, conv_width=3.5)
    product = dw.reduce(solution.exposures, output=tmp_path / "p", driz_sep_bits=336)
    solution.judge_with(product)
    assert set(product.record["results"]["crfraction"]) == {e.rootname for e in exposures}
    without = dw.reduce(solution.exposures, output=tmp_path / "q", driz_cr=False)
    with pytest.raises(DataError, match="no fraction of flagged pixels is known"):
        solution.judge_with(without)
