"""Check cells: right answers pass, and each typical mistake has a sentence of its own."""

from types import SimpleNamespace

import numpy as np
import pytest

import drizzlewb as dw
from drizzlewb.training import check
from drizzlewb.training.demo import with_true_wcs


def distinct(results):
    """Every wrong answer is refused, and no two in the same words."""
    assert not any(results)
    words = [" ".join(r.words) for r in results]
    assert len(set(words)) == len(words)
    return words


def test_scale_ratio():
    assert check.scale_ratio(0.6)
    words = distinct([check.scale_ratio(a) for a in (1 / 0.6, 0.36, 60, 0.02, "three fifths", 7)])
    assert "input over output" in words[0]
    assert "areas" in words[1]


def test_effective_seconds():
    weight = 2528.64
    assert check.effective_seconds(7024, weight)
    answers = (weight, weight / 0.6, weight * 0.36, 7024 / 60, float("nan"), 12)
    words = distinct([check.effective_seconds(a, weight) for a in answers])
    assert "areas that count" in words[1]


def test_misaligned():
    fractions = {"a1": 0.02, "b2": 0.021, "c3": 0.09, "d4": 0.019}
    assert check.misaligned("c3", fractions)
    assert check.misaligned("C3_flc.fits", fractions)
    words = distinct([check.misaligned(a, fractions) for a in ("d4", "a1", 3, "", "zz")])
    assert "fewest" in words[0]


def test_sampling():
    assert check.sampling(0.03, 0.6)
    assert check.sampling(0.035, 0.8)
    cases = [(0.05, 0.6), (0.01, 0.3), (0.03, 0.2), (0.03, 1.0), (0.03, 1.4), ("fine", 0.6)]
    words = distinct([check.sampling(*c) for c in cases])
    assert "undersampled" in words[0]
    assert "holes" in words[2]


@pytest.fixture(scope="module")
def aligned(tiny_set):
    return dw.align(str(tiny_set / "*_flc.fits"), threshold=50, conv_width=3.5)


def test_alignment(aligned, tiny_set):
    assert check.alignment(aligned)
    assert "truth" in str(check.alignment(aligned))
    one_visit = dw.align(str(tiny_set / "j8ny01*_flc.fits"), threshold=50, conv_width=3.5)
    narrow = dw.align(str(tiny_set / "*_flc.fits"), threshold=50, conv_width=3.5, searchrad=0.1)
    some = SimpleNamespace(alignments=aligned.alignments[:8], exposures=aligned.exposures[:8])
    pushed = [
        e.with_wcs([c.wcs._replace(crpix=c.wcs.crpix + 2.0) for c in e.chips], wcsname="X") if k == 5 else e
        for k, e in enumerate(aligned.exposures)
    ]
    false = SimpleNamespace(alignments=aligned.alignments, exposures=tuple(pushed))
    fit = SimpleNamespace(nmatch=4)
    few = SimpleNamespace(
        alignments=[
            SimpleNamespace(rootname="j8ny01szq", status="aligned", fit=fit),
            *aligned.alignments[2:],
        ],
        exposures=aligned.exposures,
    )
    words = distinct([check.alignment(s) for s in (None, one_visit, narrow, some, false, few)])
    assert "Only visit 01" in words[1]
    assert "could not be aligned" in words[2]
    assert "are missing" in words[3]
    assert "from the truth" in words[4]
    assert "4 stars" in words[5]


@pytest.fixture(scope="module")
def products(tiny_set, tmp_path_factory):
    """Products of the tiny set, by name."""
    folder = tmp_path_factory.mktemp("check")
    exposures = with_true_wcs(dw.read_exposures(str(tiny_set / "j8ny01*_flc.fits")))
    median = {"combine_type": "median", "combine_nhigh": 1}
    best = {
        **median,
        "skymethod": "match",
        "final_wcs": True,
        "final_rot": 0,
        "final_scale": 0.03,
        "final_pixfrac": 0.6,
    }
    made = {"basic": dw.reduce(exposures, output=folder / "basic", **median)}
    made["best"] = dw.reduce(exposures, output=folder / "best", **best)
    variants = {
        "sky": {"skymethod": "localmin"}, "scale": {"final_scale": 0.04}, "drops": {"final_pixfrac": 1.0},
        "north": {"final_rot": None},
    }  # fmt: skip
    for name, change in variants.items():
        made[name] = dw.reduce(exposures, output=folder / name, **{**best, **change})
    made["five"] = dw.reduce(exposures[:5], output=folder / "five", **best)
    shifted = [
        e.with_wcs([c.wcs._replace(crpix=c.wcs.crpix + np.array([2.0, 0])) for c in e.chips], wcsname="OTHER")
        if k == 3
        else e
        for k, e in enumerate(exposures)
    ]
    made["pushed"] = dw.reduce(shifted, output=folder / "pushed", **best)
    return made


def test_basic_and_optimised(products):
    assert check.basic(products["basic"])
    assert check.optimised(products["best"])
    assert "final_pixfrac" in str(check.basic(products["best"]))
    wrong = [check.optimised(products[n]) for n in ("sky", "scale", "drops", "north", "five", "pushed")]
    words = distinct([*wrong, check.optimised(None)])
    for sentence, name in zip(
        words, ("skymethod", "final_scale", "final_pixfrac", "final_rot", "six"), strict=False
    ):
        assert name in sentence
    assert "different WCS" in words[5]


def test_same_grid(products):
    assert check.same_grid(products["best"], products["sky"])
    assert not check.same_grid(products["best"], products["scale"])
    assert not check.same_grid(products["best"], None)


def test_replayed(products, tmp_path):
    best = products["best"]
    again = dw.replay(best.record, list(best.reduction.exposures), output=tmp_path / "again")
    assert check.replayed(best, again)
    distinct([check.replayed(best, p) for p in (None, best, products["scale"], products["drops"])])


def test_shown_as_text_and_never_as_html():
    shown = check.misaligned("<script>", {"a": 0.1, "b": 0.2})._repr_html_()
    assert "<script>" not in shown
    assert "✗" in shown
    assert "✓" in check.scale_ratio(0.6)._repr_html_()
