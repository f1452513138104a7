"""Sky declared by the user: files of values, header keywords, catalogs of masks."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.parameters import ReduceParameters
from drizzlewb.steps.sky_user import (
    apply_user_mask,
    declared_values,
    read_mask_catalog,
    read_skyfile,
)


def exposure(path="a_flt.fits", n=2, to_electrons=2.0, **cards):
    header = fits.Header(cards)
    chips = tuple(
        SimpleNamespace(path=str(path), extver=k + 1, to_electrons=to_electrons, header=header)
        for k in range(n)
    )
    return SimpleNamespace(path=str(path), chips=chips, primary=fits.Header({"OLDSKY": 3.0}))


def declared(exposures, **keywords):
    return declared_values(exposures, ReduceParameters.from_keywords(keywords).sky)


def skyfile(tmp_path, text):
    path = tmp_path / "sky.txt"
    path.write_text(text)
    return str(path)


def test_values_of_a_skyfile_are_subtracted(tmp_path):
    path = skyfile(tmp_path, "# my values\n\na_flt.fits 5.5\nb_flt.fits 1 2\n")
    method, values = declared([exposure(), exposure("/data/b_flt.fits")], skyfile=path)
    assert method == "skyfile"
    assert [v.subtracted_e for v in values] == [11.0, 11.0, 2.0, 4.0]  # file's unit times to_electrons
    assert all(v == (v.subtracted_e,) * 3 for v in values)


@pytest.mark.parametrize(("said", "applied"), [("yes", True), ("True", True), ("no", False)])
def test_skyfile_may_say_that_it_was_applied(tmp_path, said, applied):
    path = skyfile(tmp_path, f"# applied = {said}\na_flt.fits 5.5\n")
    assert read_skyfile(path) == ({"a_flt.fits": [5.5]}, applied)
    _, values = declared([exposure()], skyfile=path)
    assert values[0] == (0.0 if applied else 11.0, 11.0, 11.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b_flt.fits 1\n", "no line for a_flt.fits"),
        ("a_flt.fits 1 2\n", "has 2 values for a_flt.fits, which has 3 chips"),
        ("a_flt.fits\n", "Line 1 .* expected a file name and one number"),
        ("a_flt.fits 1 x\n", "Line 1 .* expected a file name and one number"),
        ("a_flt.fits nan\n", "Line 1 .* expected a file name and one number"),
    ],
)
def test_skyfiles_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(ParameterError, match=message):
        declared([exposure(n=3)], skyfile=skyfile(tmp_path, text))


def test_skyfile_missing(tmp_path):
    with pytest.raises(ParameterError, match="cannot be read"):
        declared([exposure()], skyfile=str(tmp_path / "none.txt"))


def test_skyuser_is_present_and_not_subtracted():
    method, values = declared([exposure(MYSKY=7.0)], skysub=False, skyuser="MYSKY")
    assert method == "skyuser"
    assert values == [(0.0, 14.0, 14.0)] * 2
    assert declared([exposure()], skysub=False, skyuser="OLDSKY")[1][0].present_e == 6.0  # primary header


def test_skyuser_missing():
    with pytest.raises(ParameterError, match=r"skyuser='MYSKY'.*a_flt.fits\[SCI,1\]"):
        declared([exposure()], skysub=False, skyuser="MYSKY")


def test_skyuser_file_is_subtracted(tmp_path):
    path = skyfile(tmp_path, "a_flt.fits 5.5\n")
    assert declared([exposure()], skysub=False, skyuser="@" + path)[1][0] == (11.0, 11.0, 11.0)


def test_no_sky_at_all():
    assert declared([exposure()], skysub=False) == ("none", [(0.0, 0.0, 0.0)] * 2)


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("a.fits, m.fits", ("a.fits", [("SCI", "*")], [("m.fits", 0)])),
        ("a.fits[1],m.fits[2]", ("a.fits", [1], [("m.fits", 2)])),
        ("a.fits['sci',2], m.fits", ("a.fits", [("SCI", 2)], [("m.fits", 0)])),
        ("a.fits[sci], m.fits", ("a.fits", [("SCI", 1)], [("m.fits", 0)])),
        ("a.fits{'sci'},None,,m.fits", ("a.fits", [("SCI", "*")], [None, None, ("m.fits", 0)])),
        (
            "a.fits{1,2,('sci',3)}, m1.fits,, 'm 3.fits'[0]",
            ("a.fits", [1, 2, ("SCI", 3)], [("m1.fits", 0), None, ("m 3.fits", 0)]),
        ),
        (
            "a.fits{('sci',*)}, m.fits{1,('dq',2)}",
            ("a.fits", [("SCI", "*")], [("m.fits", 1), ("m.fits", ("DQ", 2))]),
        ),
        ("a.fits", ("a.fits", [("SCI", "*")], [])),
    ],
)
def test_lines_of_a_mask_catalog(tmp_path, line, entry):
    path = tmp_path / "masks.cat"
    path.write_text(f"# masks\n\n{line}\n")
    assert read_mask_catalog(path) == [entry]


@pytest.mark.parametrize("line", [", m.fits", "a.fits[1, m.fits", "a.fits[?], m.fits"])
def test_lines_that_are_no_entry(tmp_path, line):
    path = tmp_path / "masks.cat"
    path.write_text(line)
    with pytest.raises(ParameterError, match="Line 1 of the catalog of sky masks"):
        read_mask_catalog(path)


@pytest.fixture
def masked(tmp_path):
    """Two chips with a mask for the second only, and what to call."""
    rng = np.random.default_rng(0)
    mask = (rng.random((6, 8)) > 0.5).astype(np.int16) * 3
    fits.HDUList([fits.PrimaryHDU(mask), fits.ImageHDU(mask[:, :4])]).writeto(tmp_path / "m.fits")
    (tmp_path / "a_flt.fits").touch()
    chips = [SimpleNamespace(path=str(tmp_path / "a_flt.fits"), extver=k) for k in (1, 2)]

    def run(line, chip):
        (tmp_path / "masks.cat").write_text(line)
        good = np.ones((6, 8), np.uint8)
        p = ReduceParameters.from_keywords({"skymask_cat": str(tmp_path / "masks.cat")})
        apply_user_mask(good, chips[chip], p)
        return good

    return run, (mask != 0).astype(np.uint8)


@pytest.mark.parametrize("line", ["a_flt.fits, None, m.fits", "a_flt.fits{('sci',1),('sci',2)},,m.fits[0]",
                                  "a_flt.fits['sci',2], m.fits"])  # fmt: skip
def test_masks_are_applied_to_their_chip(masked, line):
    run, mask = masked
    assert run(line, 0).all()
    assert (run(line, 1) == mask).all()


def test_other_files_in_the_catalog_are_none_of_ours(masked):
    run, _ = masked
    assert run("b_flt.fits, nonexistent.fits", 0).all()


def test_a_mask_of_another_shape(masked):
    with pytest.raises(DataError, match=r"m.fits.* has shape \(6, 4\), but a_flt.fits\[SCI,1\] has \(6, 8\)"):
        masked[0]("a_flt.fits, m.fits[1]", 0)


def test_a_mask_that_is_not_there(masked):
    with pytest.raises(DataError, match="nonexistent.fits.*cannot be read"):
        masked[0]("a_flt.fits, nonexistent.fits", 0)


def test_no_catalog_no_change():
    good = np.ones((3, 3), np.uint8)
    apply_user_mask(good, exposure().chips[0], ReduceParameters())
    assert good.all()
