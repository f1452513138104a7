"""Every parameter that is declared honoured or mapped does something, and feeds what it is declared to feed.

For each row of `CASES` a stack is reduced with and without the change: what lies upstream of the first array
that the parameter feeds keeps its key and every bit; something that it feeds changes, and so does the key of
each array that it feeds. Parameters that feed no array have tests of their own below, named in `BY_FILES`.
"""

import functools
import shutil

import numpy as np
import pytest
from astropy.io import fits

import drizzlewb as dw
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction import Reduction

BASE = {
    "driz_sep_bits": 336,
    "final_bits": 336,
    "final_wcs": True,
    "final_rot": 0.0,
    "final_scale": 0.06,
}
MEDIAN = {"combine_type": "median"}
NO_SKY = {"skysub": False}
SHIFTED_GRID = {"driz_sep_rot": 30.0}
NEAR = (290.2208, 37.7717)  # a place in the field, deg

# name: (what is said beside BASE before and after, the value, or all that changes)
CASES = {
    "wcskey": ({}, "OPUS"),
    "proc_unit": ({"files": "counts"}, "electrons"),
    "coeffs": ({}, False),
    "group": ({}, "sci,2"),
    "resetbits": ({"driz_sep_bits": 0, "final_bits": 0}, "4096,16"),
    "static": ({"static_sig": 0.8}, False),
    "static_sig": ({}, 0.8),
    "skysub": ({}, False),
    "skymethod": ({}, "match"),
    "skystat": ({}, "mode"),
    "skywidth": ({"skystat": "mode"}, 0.4),
    "skylower": ({}, 138.0),
    "skyupper": ({}, 145.0),
    "skyclip": ({}, 0),
    "skylsigma": ({}, 1.0),
    "skyusigma": ({}, 1.0),
    "skymask_cat": ({}, "masks.cat"),
    "use_static": ({"static_sig": 0.8}, False),
    "sky_bits": ({}, 336),
    "skyfile": ({}, "sky.txt"),
    "skyuser": (NO_SKY, "MYSKY"),
    "driz_sep_kernel": ({}, "square"),
    "driz_sep_wt_scl": ({}, 0.1),
    "driz_sep_pixfrac": ({}, 0.6),
    "driz_sep_bits": ({}, 0),
    "driz_sep_wcs": (SHIFTED_GRID, False),
    "driz_sep_refimage": ({}, "reference.fits"),
    "driz_sep_rot": ({}, 30.0),
    "driz_sep_scale": ({}, 0.06),
    "driz_sep_outnx": ({}, {"driz_sep_outnx": 200, "driz_sep_outny": 210}),
    "driz_sep_outny": ({}, {"driz_sep_outnx": 230, "driz_sep_outny": 210}),
    "driz_sep_ra": ({}, {"driz_sep_ra": NEAR[0], "driz_sep_dec": NEAR[1]}),
    "driz_sep_dec": ({}, {"driz_sep_ra": NEAR[0], "driz_sep_dec": NEAR[1]}),
    "driz_sep_crpix1": ({}, {"driz_sep_crpix1": 90.0, "driz_sep_crpix2": 150.0}),
    "driz_sep_crpix2": ({}, {"driz_sep_crpix1": 120.0, "driz_sep_crpix2": 100.0}),
    "median_newmasks": ({}, False),
    "combine_maskpt": ({}, 0.9),
    "combine_type": ({}, "imean"),
    "combine_nsigma": ({}, "1.5 1.0"),
    "combine_nlow": (MEDIAN, 1),
    "combine_nhigh": (MEDIAN, 1),
    "combine_lthresh": (MEDIAN, 0.0),
    "combine_hthresh": (MEDIAN, 0.1),
    "combine_grow": ({}, 4),
    "blot_interp": ({}, "nearest"),
    "blot_sinscl": ({"blot_interp": "sinc"}, 1.4),
    "blot_addsky": ({}, False),
    "blot_skyval": ({"blot_addsky": False}, 140.0),
    "driz_cr": ({}, False),
    "driz_cr_snr": ({}, "6.0 5.0"),
    "driz_cr_grow": ({}, 3),
    "driz_cr_ctegrow": ({}, 4),
    "driz_cr_scale": ({}, "2.5 2.0"),
    "final_wht_type": ({}, "IVM"),
    "final_kernel": ({}, "gaussian"),
    "final_wt_scl": ({}, 3.0),
    "final_pixfrac": ({}, 0.6),
    "final_fillval": ({}, -5.0),
    "final_maskval": ({}, -6.0),
    "final_bits": ({}, 0),
    "final_units": ({}, "counts"),
    "final_wcs": ({}, False),
    "final_refimage": ({}, "reference.fits"),
    "final_rot": ({}, 25.0),
    "final_scale": ({}, 0.07),
    "final_outnx": ({}, {"final_outnx": 200, "final_outny": 210}),
    "final_outny": ({}, {"final_outnx": 230, "final_outny": 210}),
    "final_ra": ({}, {"final_ra": NEAR[0], "final_dec": NEAR[1]}),
    "final_dec": ({}, {"final_ra": NEAR[0], "final_dec": NEAR[1]}),
    "final_crpix1": ({}, {"final_crpix1": 90.0, "final_crpix2": 150.0}),
    "final_crpix2": ({}, {"final_crpix1": 120.0, "final_crpix2": 100.0}),
    "gain": ({"files": "counts"}, 3.0),
    "gnkeyword": ({"files": "counts"}, "MYGAIN"),
    "rdnoise": ({}, 25.0),
    "rnkeyword": ({}, "MYNOISE"),
    "exptime": ({}, 900.0),
    "expkeyword": ({}, "MYTIME"),
    "peer_noise": ({}, True),
    "equalise": ({"files": "unlike"}, True),
}
# They feed arrays by being needed: switched off, what needs them is refused.
SWITCHES = {"driz_separate", "median", "blot"}
# They change files, headers or resources.
BY_FILES = {
    "output", "context", "build", "crbit", "num_cores", "clean", "driz_sep_fillval", "driz_cr_corr",
    "driz_combine", "update_inputs", "keep", "memory_budget_mb", "threads",
}  # fmt: skip
# In the key of the pre-pass too: bits of the good pixels that it counts; numbers of a chip as it was read.
KEYED_EARLIER = {"driz_sep_bits", "rdnoise", "rnkeyword"}
ORDER = ("static", "sky", "median", "crmask", "product")
DECLARED = {name: places[0].parameter for name, places in ReduceParameters.places().items()}


def test_every_parameter_is_here():
    effective = {name for name, p in DECLARED.items() if p.status != "ignored"}
    assert set(CASES) | SWITCHES | BY_FILES == effective
    assert {name for name in SWITCHES | set(CASES) if not DECLARED[name].feeds} == set()
    assert {name for name in BY_FILES if DECLARED[name].feeds} == {"context"}


def test_what_is_ignored_says_why():
    ignored = {name for name, p in DECLARED.items() if p.status == "ignored"}
    assert all(len(DECLARED[name].reason) > 20 for name in ignored)


@pytest.fixture(scope="module")
def field(tiny_set, tmp_path_factory):
    """Copies of four exposures, with what the cases name: keywords, sky values, masks, a reference image."""
    folder = tmp_path_factory.mktemp("field")
    for kind in ("electrons", "counts", "unlike"):
        (folder / kind).mkdir()
        for path in sorted(tiny_set.glob("j8ny01*_flc.fits"))[:4]:
            copy = shutil.copy(path, folder / kind)
            with fits.open(copy, mode="update") as hdus:
                hdus[0].header["MYGAIN"] = 1.7
                hdus[0].header["MYNOISE"] = 30.0
                hdus[0].header["MYTIME"] = 800.0
                for k in (1, 2):
                    hdus["SCI", k].header["MYSKY"] = 100.0 + k
                    if kind == "counts":
                        hdus["SCI", k].header["BUNIT"] = "COUNTS"
                    if kind == "unlike":
                        hdus["SCI", k].header["PHOTFLAM"] = 7.9e-20 * (1 + 0.02 * (k - 1))
    names = [p.name for p in sorted((folder / "electrons").iterdir())]
    (folder / "sky.txt").write_text("".join(f"{name} 130.0 {131 + k}\n" for k, name in enumerate(names)))
    mask = np.ones((128, 256), np.uint8)
    mask[20:90, 30:150] = 0
    fits.PrimaryHDU(mask).writeto(folder / "mask.fits")
    lines = [f"{name}{{('sci',1),('sci',2)}}, {folder / 'mask.fits'}[0], None\n" for name in names]
    (folder / "masks.cat").write_text("".join(lines))
    reference = dw.reduce(
        exposures_of(folder, "electrons")[:1], output=folder / "r", final_rot=70.0, final_scale=0.055,
        driz_cr=False, build=True,
    )  # fmt: skip
    reference.path.rename(folder / "reference.fits")
    yield folder
    exposures_of.cache_clear()
    _arrays.cache_clear()


@functools.cache
def exposures_of(folder, kind):
    return dw.read_exposures(str(folder / kind / "*_flc.fits"))


def located(folder, keywords):
    """The same keywords, file names with their folder."""
    return {
        name: str(folder / value)
        if isinstance(value, str) and value.endswith((".txt", ".cat", ".fits"))
        else value
        for name, value in keywords.items()
    }


class Arrays:
    """All arrays of one reduction."""

    def __init__(self, folder, keywords):
        keywords = {**BASE, **located(folder, keywords)}
        exposures = exposures_of(folder, keywords.pop("files", "electrons"))
        parameters = ReduceParameters.from_keywords(keywords)
        reduction = Reduction(exposures, parameters, threads=parameters.extra.threads or 1)
        self.keys = reduction.keys
        self.values = {
            "static": [c.static for c in reduction.chips],
            "sky": [np.array([c.sky_subtracted, c.sky_present]) for c in reduction.chips],
        }
        self.values["median"] = [reduction.median()]
        if parameters.cosmicray.driz_cr:
            reduction.make_masks()
            self.values["crmask"] = [reduction.crmask(k) for k in range(len(reduction.chips))]
        from drizzlewb.reduction.run import product_unit

        unit = product_unit(reduction.exposures, parameters)
        tile = reduction.product(reduction.final_grid.region, unit[1])
        self.values["product"] = [tile.sci, tile.wht, tile.ctx, np.array(unit[1:]), np.array(unit[0])]
        self.tile, self.reduction = tile, reduction

    def same(self, other, name):
        ours, theirs = self.values.get(name, []), other.values.get(name, [])
        return len(ours) == len(theirs) and all(
            (a is None and b is None)
            or (a is not None and b is not None and a.shape == b.shape and a.tobytes() == b.tobytes())
            for a, b in zip(ours, theirs, strict=True)
        )


@functools.cache
def _arrays(folder, keywords):
    return Arrays(folder, dict(keywords))


def arrays(folder, keywords):
    return _arrays(folder, tuple(sorted(keywords.items())))


def changed(folder, name):
    base, value = CASES[name]
    change = value if isinstance(value, dict) else {name: value}
    return arrays(folder, base), Arrays(folder, {**base, **change})


@pytest.mark.parametrize("name", CASES)
def test_a_parameter_feeds_what_it_is_declared_to_feed(field, name):
    before, after = changed(field, name)
    first = min(ORDER.index(array) for array in DECLARED[name].feeds)
    for array in ORDER[:first]:
        assert after.same(before, array), f"{name} changes {array}, which it does not feed"
    if name not in KEYED_EARLIER:
        assert (after.keys["prepass"] == before.keys["prepass"]) == (first >= ORDER.index("median"))
    for array in ("median", "crmask", "product"):
        assert (after.keys[array] == before.keys[array]) == (ORDER.index(array) < first)
    assert not after.same(before, "product"), f"{name} changes no bit of the product"
    fed = [array for array in DECLARED[name].feeds if array != "product" and array in after.values]
    if fed and name not in ("wcskey", "coeffs"):
        assert not all(after.same(before, array) for array in fed), f"{name} changes none of {fed}"


# What exactly some of them do ---------------------------------------------------------------------------


def test_values_of_sky_parameters(field):
    measured = arrays(field, {})
    given = Arrays(field, {"skyfile": "sky.txt"})
    assert [tuple(v) for v in given.values["sky"]] == [
        (value, value) for k in range(4) for value in (130.0, 131.0 + k)
    ]
    none = Arrays(field, NO_SKY)
    assert all((v == 0).all() for v in none.values["sky"])
    # A sky that was taken off before is in the noise alone.
    user = Arrays(field, {**NO_SKY, **MEDIAN, "skyuser": "MYSKY"})
    assert [tuple(v) for v in user.values["sky"]] == [(0.0, 101.0), (0.0, 102.0)] * 4
    declared_not = Arrays(field, {**NO_SKY, **MEDIAN})
    assert user.same(declared_not, "median")
    flagged = [sum(np.count_nonzero(m == 0) for m in a.values["crmask"]) for a in (user, declared_not)]
    assert 0 < flagged[0] < flagged[1]
    sub = measured.values["sky"][0][0]
    difference = none.tile.sci - measured.tile.sci
    t = measured.reduction.exposures[0].exptime
    # Areas of these pixels on the sky differ from the plate scale's by 5 %.
    assert np.nanmedian(difference) == pytest.approx(sub / t * (0.06 / 0.05) ** 2, rel=0.08)


def test_exposure_time_and_gain(field):
    counts, electrons = arrays(field, {"files": "counts"}), Arrays(field, {"files": "counts", "gain": 3.0})
    gain = counts.reduction.exposures[0].chips[0].gain
    # The product is in counts again: what is above the sky does not depend on the gain.
    assert electrons.values["sky"][0][0] == pytest.approx(counts.values["sky"][0][0] * 3.0 / gain, rel=1e-5)
    times = Arrays(field, {"expkeyword": "MYTIME"})
    assert {e.exptime for e in times.reduction.exposures} == {800.0}
    seconds = [Arrays(field, {"exptime": t, "driz_cr": False}).tile.wht for t in (400.0, 800.0)]
    np.testing.assert_array_equal(seconds[1], 2 * seconds[0])
    assert np.median(seconds[1][seconds[1] > 2400]) == pytest.approx(3200 * (0.06 / 0.05) ** 2, rel=0.06)
    noise = Arrays(field, {"rnkeyword": "MYNOISE"})
    assert {c.chip.read_noise for c in noise.reduction.chips} == {30.0}


def test_a_numeric_weight_scale_multiplies_exposure_weights(field):
    one, three = arrays(field, {}), Arrays(field, {"final_wt_scl": 3.0})
    np.testing.assert_allclose(three.tile.wht, 3.0 * one.tile.wht, rtol=1e-6)
    np.testing.assert_allclose(three.tile.sci, one.tile.sci, rtol=1e-5, atol=1e-5)
    named = Arrays(field, {"final_wt_scl": "expsq", "driz_sep_wt_scl": "expsq"})
    assert named.same(one, "product")  # the peer's imageObject.set_wtscl makes 1 of both words


@pytest.mark.parametrize("kernel", ["square", "turbo", "gaussian", "lanczos3"])
def test_a_tiny_drop_is_a_point(field, kernel):
    point = Arrays(field, {"final_kernel": "point"})
    tiny = Arrays(field, {"final_kernel": kernel, "final_pixfrac": 0.0})
    assert tiny.same(point, "product")


def test_fill_values(field):
    plain = arrays(field, {})
    empty = plain.tile.wht == 0
    assert empty.any()
    assert np.isnan(plain.tile.sci[empty]).all()
    for keywords, value in (
        ({"final_fillval": -5.0}, -5.0),
        ({"final_maskval": -6.0}, -6.0),
        ({"final_fillval": -5.0, "final_maskval": -6.0}, -5.0),
    ):
        filled = Arrays(field, keywords).tile.sci
        assert (filled[empty] == np.float32(value)).all()
        np.testing.assert_array_equal(filled[~empty], plain.tile.sci[~empty])


def test_group_by_name_and_by_place(field):
    exposures = exposures_of(field, "electrons")
    for group, versions in (("sci,2", [2]), ("4", [2]), ("1,4", [1, 2]), ("1", [1]), ("", [1, 2])):
        reduction = Reduction(exposures, ReduceParameters.from_keywords(group=group))
        assert [c.extver for c in reduction.exposures[0].chips] == versions
    for group in ("sci,3", "3", "2", "99"):
        with pytest.raises(DataError, match=r"has these SCI extensions .* 1: SCI,1, 4: SCI,2"):
            Reduction(exposures, ReduceParameters.from_keywords(group=group))


def test_wcskey_by_letter_and_name(field):
    exposures = dw.read_exposures(str(field / "electrons" / "*_flc.fits"))
    by_name = Reduction(exposures, ReduceParameters.from_keywords(wcskey="OPUS"))
    by_letter = Reduction(exposures, ReduceParameters.from_keywords(wcskey="O"))
    assert by_name.final_grid == by_letter.final_grid
    header = fits.getheader(exposures[0].path, "SCI", 1)
    chip = by_name.exposures[0].chips[0]
    assert tuple(chip.wcs.crval) == (header["CRVAL1O"], header["CRVAL2O"])
    with pytest.raises(DataError, match=r"has no such WCS. It has primary: IDC_\w+, O: OPUS"):
        Reduction(exposures, ReduceParameters.from_keywords(wcskey="TWEAK"))


def test_without_coefficients_the_map_is_linear(field):
    reduction = Reduction(exposures_of(field, "electrons"), ReduceParameters.from_keywords(coeffs=False))
    for chip in reduction.exposures[0].chips:
        assert not chip.wcs.sip_a.any()
        assert chip.wcs.npol_x.size == chip.wcs.d2im_x.size == 0


def test_filler_of_single_images_is_no_value_of_the_median(field):
    for combine in ("minmed", "sum", "imedian"):
        plain = Arrays(field, {"combine_type": combine, "median_newmasks": False})
        filled = Arrays(field, {"combine_type": combine, "median_newmasks": False, "driz_sep_fillval": 99.0})
        assert filled.same(plain, "median")
        sci, wht = filled.reduction.single(0, filled.reduction.separate_grid.region)
        assert (sci[wht == 0] == 99.0).all()
        assert (wht == 0).any()


@pytest.mark.parametrize("switch", sorted(SWITCHES))
def test_steps_that_others_need(field, switch):
    exposures = exposures_of(field, "electrons")
    with pytest.raises(
        ParameterError, match=rf"but {switch} is off.*Switch {switch} on, or set driz_cr=False"
    ):
        Reduction(exposures, ReduceParameters.from_keywords({switch: False}))
    off = ReduceParameters.from_keywords({**BASE, switch: False, "driz_cr": False})
    alone = Reduction(exposures, off, threads=1)
    on = Arrays(field, {"driz_cr": False})
    np.testing.assert_array_equal(alone.product(alone.final_grid.region).sci, on.tile.sci)


def test_an_edited_file_under_the_same_name_makes_stale(field, tmp_path):
    text = (field / "sky.txt").read_text()
    path = tmp_path / "sky.txt"
    path.write_text(text)
    exposures = exposures_of(field, "electrons")
    first = Reduction(exposures, ReduceParameters.from_keywords(skyfile=str(path))).keys
    path.write_text(text.replace("130.0", "99.00001"))
    second = Reduction(exposures, ReduceParameters.from_keywords(skyfile=str(path))).keys
    assert all(first[name] != second[name] for name in first)


# Files and headers --------------------------------------------------------------------------------------


def test_units_and_the_photometric_zero_point(field, tmp_path):
    exposures = exposures_of(field, "counts")
    made = {}
    for unit in ("native", "electrons"):
        for total in ("cps", "counts"):
            made[unit, total] = dw.reduce(
                exposures, output=tmp_path / f"{unit}_{total}", proc_unit=unit, final_units=total, **BASE
            )
    gain, flam = exposures[0].chips[0].gain, exposures[0].chips[0].photflam
    native, electrons = made["native", "cps"], made["electrons", "cps"]
    assert (native.header["BUNIT"], electrons.header["BUNIT"]) == ("COUNTS/S", "ELECTRONS/S")
    assert made["native", "counts"].header["BUNIT"] == "COUNTS"
    np.testing.assert_allclose(electrons.sci, native.sci * gain, rtol=2e-6, atol=1e-4)
    np.testing.assert_array_equal(electrons.wht, native.wht)
    assert native.header["PHOTFLAM"] == flam
    # The same flux from either product and its own header.
    assert electrons.header["PHOTFLAM"] * gain == pytest.approx(flam, rel=1e-12)
    total = sum(e.exptime for e in exposures)
    np.testing.assert_allclose(made["native", "counts"].sci, native.sci * total, rtol=2e-6, atol=1e-2)
    primary = fits.getheader(made["native", "counts"].path)
    assert primary["D001OUUN"] == "counts"


def test_headers_say_what_was_asked(field, tmp_path):
    made = dw.reduce(
        dw.read_exposures(str(field / "electrons" / "*_flc.fits")), output=tmp_path / "h", wcskey="OPUS",
        final_kernel="turbo", final_pixfrac=0.7, final_wht_type="IVM", final_fillval=0.0, driz_cr=False,
        build=True, final_scale=0.06,
    )  # fmt: skip
    primary = fits.getheader(made.path)
    found = {key: primary[f"D001{key}"] for key in ("KERN", "PIXF", "WTSC", "WKEY", "FVAL", "SCAL")}
    assert found.pop("SCAL") == pytest.approx(0.06)
    assert found == {"KERN": "turbo", "PIXF": 0.7, "WTSC": "IVM", "WKEY": "OPUS", "FVAL": 0.0}
    assert fits.getheader(made.path, "WHT")["WHTTYPE"] == "IVM"


def test_context_build_and_output(field, tmp_path):
    exposures = exposures_of(field, "electrons")[:2]
    quick = {**BASE, "driz_cr": False}
    one = dw.reduce(exposures, ReduceParameters(), output=tmp_path / "one", build=True, **quick)
    three = dw.reduce(exposures, ReduceParameters(), **quick, **{"output": str(tmp_path / "three")})
    two = dw.reduce(exposures, output=tmp_path / "two", build=False, context=False, **quick)
    assert one.path.name == "one_drc.fits"
    assert sorted(p.name for p in three.paths) == [
        "three_drc_ctx.fits", "three_drc_sci.fits", "three_drc_wht.fits", "three_record.json",
    ]  # fmt: skip
    assert not [p for p in two.paths if "_ctx" in p.name]
    assert two.ctx is None
    assert [fits.getheader(p.path)["D001OUCO"] for p in (one, two)] == ["one_drc.fits", ""]
    np.testing.assert_array_equal(two.sci, one.sci)


def test_threads_cores_and_memory_change_no_bit(field, tmp_path):
    plain = arrays(field, {})
    for keywords in ({"num_cores": 3}, {"threads": 2}, {"memory_budget_mb": 50.0}):
        other = Arrays(field, keywords)
        assert all(other.same(plain, name) for name in ORDER)
    assert (
        Reduction(exposures_of(field, "electrons"), ReduceParameters.from_keywords(num_cores=3)).threads == 3
    )


def test_crbit_in_cleaned_images(field, tmp_path):
    exposures = exposures_of(field, "electrons")[:3]
    dw.reduce(
        exposures, output=tmp_path / "c", driz_combine=False, driz_cr_corr=True, crbit=8192, clean=True,
        **BASE,
    )  # fmt: skip
    files = sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("."))
    assert files == ["c_record.json", *(f"{e.rootname}_crclean.fits" for e in exposures)]
    assert set(np.unique(fits.getdata(tmp_path / files[1], ("DQ", 1)))) == {0, 8192}


def test_exposures_changed_on_disk_are_refused(field, tmp_path):
    path = shutil.copy(field / "electrons" / "j8ny01svq_flc.fits", tmp_path)
    exposures = dw.read_exposures(path)
    fits.setval(path, "MYGAIN", value=2.0)
    with pytest.raises(DataError, match=r"was changed since it was read.*Read the exposures again"):
        Reduction(exposures, ReduceParameters())
