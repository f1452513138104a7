import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from drizzlewb import read_exposures, reduce
from drizzlewb.errors import DataError
from drizzlewb.training.alignment_error import alignment_errors, star_offsets
from drizzlewb.training.delivery import read_delivery, read_product
from drizzlewb.training.exercises import alignment_rows, grid_row, product_rows, tidy_row
from drizzlewb.training.grade import Grade, grade
from drizzlewb.training.known import find_truth, read_known
from drizzlewb.training.look import look
from drizzlewb.training.pointing import pixel_area_map, sky_to_pixel
from drizzlewb.training.rays import count_rays, find_masks, ray_map
from drizzlewb.training.roles import Role, assign, filter_in_name
from drizzlewb.training.rows import Row, judge
from drizzlewb.training.science import (
    noise_row,
    photometry_rows,
    rate_row,
    ray_rows,
    sky_row,
    width_row,
    widths,
)
from drizzlewb.training.weight_rows import weight_rows

# The tiny set has few stars; what it can show of the thresholds is tested here, the rest is "not graded".
TAN = ("CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2", "CRPIX1", "CRPIX2")
CLEANING = {"combine_type": "median", "combine_nhigh": 1}
OPTIMISED = {**CLEANING, "skymethod": "match", "final_wcs": True, "final_pixfrac": 0.6}


@pytest.fixture(scope="module")
def done(tiny_set, tmp_path_factory):
    """A trainee's folder without fault: aligned files, shift file, log, three products, masks as files."""
    folder = tmp_path_factory.mktemp("trainee")
    for path in sorted(tiny_set.glob("*_flc.fits")):
        shutil.copy(path, folder)
        with (
            fits.open(tiny_set / path.name.replace("_flc", "_truth")) as truth,
            fits.open(folder / path.name, mode="update") as hdul,
        ):
            for extver in (1, 2):
                for key in TAN:
                    hdul["SCI", extver].header[key] = truth["CRMASK", extver].header[key]
    names = [p.name for p in sorted(folder.glob("*_flc.fits"))]
    rows = [f"{n}  {0 if n == names[0] else 1.5}  0.0  0.0  1.0  0.05  0.05" for n in names]
    (folder / "shifts.txt").write_text("# frame: output\n# units: pixels\n" + "\n".join(rows) + "\n")
    (folder / "tweakreg.log").write_text("\n".join(f"Finding shifts for: {n}" for n in names))
    blue = read_exposures(str(folder / "j8ny01*_flc.fits"))
    red = read_exposures(str(folder / "j8ny02*_flc.fits"))
    reduce(blue, output=folder / "F606W_basic", **CLEANING)
    first = reduce(blue, output=folder / "F606W_opt", final_rot=0.0, final_scale=0.03, **OPTIMISED)
    masks = first.crmask
    second = reduce(red, output=folder / "F814W_opt", final_refimage=str(first.path), **OPTIMISED)
    for (root, extver), mask in {**masks, **second.crmask}.items():
        fits.PrimaryHDU(mask).writeto(folder / f"{root}_sci{extver}_crmask.fits")
    return folder


@pytest.fixture(scope="module")
def known(tiny_set):
    return read_known(tiny_set)


@pytest.fixture(scope="module")
def graded(done, tiny_set):
    return grade(done, truth=tiny_set)


@pytest.fixture
def copy(done, tmp_path):
    """The same folder, to break: links, so that a file must be removed before it is written anew."""
    for path in done.iterdir():
        os.link(path, tmp_path / path.name)
    return tmp_path


def rewrite(path, change):
    """Change an open FITS file and write it under the same name, not touching the file it was linked to."""
    with fits.open(path, memmap=False) as hdul:
        for hdu in hdul:
            hdu.data  # noqa: B018 -- read before the name is taken away
        path.unlink()
        change(hdul)
        hdul.writeto(path)


def roles_of(folder):
    delivery = read_delivery(folder)
    return delivery, assign(delivery, "F606W", "F814W")


def by_name(rows, name):
    found = [row for row in rows if row.name.startswith(name)]
    assert found, f"no row {name!r} among {[row.name for row in rows]}"
    return found[0]


def see(folder, known, role=1, path=None, rays=False):
    """A look at one product, as `grade` takes it."""
    delivery, roles = roles_of(folder)
    chosen = roles[role]
    if path is not None:
        chosen = replace(chosen, delivered=read_product(path))
    inputs = [e for e in delivery.exposures if e.rootname in chosen.product.inputs]
    rays = ray_map(chosen.product.grid, inputs, known.exposures) if rays else None
    return chosen, look(chosen.product, inputs, known, rays), delivery, inputs


# ---------------------------------------------------------------- a sound folder


def test_sound_folder_fails_nothing(graded):
    # Skies are matched by blocks of pixels, too coarse on chips of 256 x 128 for 0.02 sigma.
    assert [row.name for row in graded.failed if not row.name.startswith("relative sky")] == []
    assert graded.counts["good"] + graded.counts["pass"] > 40
    parts = list(dict.fromkeys(row.part for row in graded.rows))
    assert parts == ["1 alignment", "2 basic", "3 optimised", "4 second filter", "5 weights", "science"]


def test_a_grade_holds_no_images(graded):
    assert len(graded.looks) == 3
    for seen in graded.looks.values():
        assert seen.scene is None
        assert seen.residual is None
        assert not {"sci", "wht", "ctx"} & set(vars(seen.product))
        assert seen.product.sci.shape == seen.area.shape  # read again when asked for
        seen.product.let_go()


def test_true_wcs_has_no_error(graded):
    assert len(graded.alignment) == 12
    # The truth is stored in float64 headers and mapped by two programs: 1e-6 px is far above their rounding.
    assert max(error.max_px for error in graded.alignment.values()) < 1e-6


def test_masks_are_measured(graded):
    row = by_name(graded.rows, "rays found above 5 sigma, optimised F606W")
    assert row.verdict in ("good", "pass")
    assert 0.85 <= row.value <= 1
    assert row.number > 1000


def test_rows_that_few_stars_cannot_tell_say_so(graded):
    row = by_name(graded.rows, "FWHM optimised/basic")
    assert row.verdict == "not graded"
    assert "50 are needed" in row.words
    row = by_name(graded.rows, "photometric scatter, optimised F606W")
    assert row.verdict == "not graded"
    assert row.words.startswith("Only")


def test_table_json_and_text(graded, tmp_path):
    table = graded.table
    assert isinstance(table, Table)
    assert len(table) == len(graded.rows)
    assert table["value"].mask[list(table["name"]).index("log")]
    told = json.loads(graded.to_json(tmp_path / "grade.json"))
    assert told == json.loads((tmp_path / "grade.json").read_text())
    assert told["counts"] == graded.counts
    assert set(told["alignment"]) == set(graded.alignment)
    assert "5 weights" in str(graded)


def test_report_holds_figures_and_needs_nothing_else(graded, tmp_path):
    text = graded.write_report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 5
    assert "http" not in text
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_report_escapes_text():
    rows = (Row("1 alignment", "<script>x</script>", "fail", "a & <b>b</b>", limit="<= 1"),)
    from drizzlewb.training.report import html_report

    text = html_report(Grade(Path("<i>me</i>"), None, rows))
    assert "<script" not in text
    assert "<b>b" not in text
    assert "<i>" not in text
    assert "a &amp; &lt;b&gt;b" in text


def test_truth_is_found_beside_the_exposures(tiny_set, done, monkeypatch, tmp_path):
    monkeypatch.setenv("DRIZZLEWB_CACHE", str(tmp_path))
    ours = read_exposures(str(done / "j8ny01*_flc.fits"))
    assert find_truth(done, ours) is None
    assert find_truth(tiny_set, ours) == tiny_set.resolve()
    (tmp_path / "sets").mkdir()
    os.symlink(tiny_set, tmp_path / "sets" / "one", target_is_directory=True)
    # A link is not followed into the cache; a folder is.
    shutil.copytree(tiny_set, tmp_path / "sets" / "two")
    assert find_truth(done, ours) == (tmp_path / "sets" / "two").resolve()


def test_truth_of_other_exposures_is_not_taken(tiny_set, done, monkeypatch, tmp_path):
    monkeypatch.setenv("DRIZZLEWB_CACHE", str(tmp_path / "none"))
    other = tmp_path / "other"
    shutil.copytree(tiny_set, other)

    def brighter(hdul):
        hdul["SCI", 1].data += 100

    rewrite(other / "j8ny01svq_flc.fits", brighter)
    assert find_truth(other, read_exposures(str(done / "j8ny01svq_flc.fits"))) is None


def test_no_such_folder(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        grade(tmp_path / "nowhere")


# ---------------------------------------------------------------- broken on purpose


def test_misaligned_exposure_is_named(copy, known):
    def move(hdul):
        # 0.3 px of 0.05 arcsec along declination.
        for extver in (1, 2):
            hdul["SCI", extver].header["CRVAL2"] += 0.3 * 0.05 / 3600

    rewrite(copy / "j8ny01t9q_flc.fits", move)
    delivery = read_delivery(copy)
    errors = alignment_errors(delivery.exposures, known.exposures, "j8ny01svq")
    rows = alignment_rows(delivery, known, errors, {}, "j8ny01svq")
    assert [row.name for row in rows if row.verdict == "fail"] == ["all exposures", "j8ny01t9q"]
    row = by_name(rows, "j8ny01t9q")
    # 0.3 px of the nominal scale; the pixels here measure 0.0495 to 0.0502 arcsec.
    assert row.value == pytest.approx(0.3, rel=0.01)
    assert "j8ny01t9q is misaligned" in row.words
    assert errors["j8ny01t9q"].rms_mas == pytest.approx(15.0, rel=1e-3)


def test_whole_misaligned_visit_is_named(tiny_set, known):
    exposures = read_exposures(str(tiny_set / "*_flc.fits"))
    errors = alignment_errors(exposures, known.exposures, "j8ny01svq")
    delivery = SimpleNamespace(exposures=exposures, shifts=None, log=None, faults=())
    row = by_name(alignment_rows(delivery, known, errors, {}, "j8ny01svq"), "all exposures")
    assert row.verdict == "fail"
    # Visit 02 was put 10 px off by the simulation; exposures of visit 01 are 0.1 to 0.3 px off.
    assert 9 < row.value < 11
    assert "j8ny02yvq" in row.words


def test_offset_of_the_whole_is_removed(done, known, tmp_path):
    exposures = read_exposures(str(done / "j8ny01*_flc.fits"))
    turned = []
    for exposure in exposures:
        solutions = []
        for chip in exposure.chips:
            crval = np.array(chip.wcs.crval) + [3e-5, -2e-5]
            solutions.append(chip.wcs._replace(crval=crval))
        turned.append(exposure.with_wcs(solutions))
    errors = alignment_errors(turned, known.exposures, "j8ny01svq")
    # All moved together: an alignment is relative. Left are second-order terms of the shift.
    assert max(error.max_px for error in errors.values()) < 1e-3
    # A stack that lies 2 px off the true sky as a whole has the same stars.
    path = reduce(turned, output=tmp_path / "F606W_opt", final_rot=0.0, final_scale=0.03, **OPTIMISED).path
    seen = look(read_product(path), turned, known)
    role = Role("optimised", "F606W", seen.product)
    assert by_name(photometry_rows(role, seen, known), "photometric bias").verdict in ("good", "pass")


def test_swapped_files_are_named(copy, known):
    first, second = copy / "F606W_opt_drc.fits", copy / "F814W_opt_drc.fits"
    first.rename(copy / "x")
    second.rename(first)
    (copy / "x").rename(second)
    delivery, roles = roles_of(copy)
    for role in roles[1:]:
        row = by_name(product_rows("3", role, delivery, known), "filter")
        assert row.verdict == "fail"
        assert "swapped" in row.words


def test_swapped_filter_keywords_are_named(copy, known):
    path = copy / "F606W_opt_drc.fits"

    def swap(hdul):
        hdul[0].header["FILTER1"], hdul[0].header["FILTER2"] = "CLEAR1L", "F814W"

    rewrite(path, swap)
    delivery, roles = roles_of(copy)
    product = read_product(path)
    assert product.filter == "F814W"
    rows = product_rows("3", replace(roles[2], delivered=product), delivery, known)
    assert "its exposures were taken through F606W" in by_name(rows, "filter").words
    chosen, seen, _, _ = see(copy, known, role=2, path=path)
    row = by_name(photometry_rows(chosen, seen, known), "photometric bias")
    assert row.verdict == "fail"
    assert "its stars have the magnitudes of F606W" in row.words


def spoil_cores(folder, known):
    """Take star cores for rays: flagged in the masks and half of the weight gone."""
    chosen, seen, _, _ = see(folder, known, role=0)
    stars = known.catalog[seen.scene.rows[seen.scene.rate > 3]]

    def lose(hdul):
        for x, y in zip(seen.scene.x[seen.scene.rate > 3], seen.scene.y[seen.scene.rate > 3], strict=True):
            i, j = round(x), round(y)
            if 1 < i < hdul["WHT"].data.shape[1] - 2 and 1 < j < hdul["WHT"].data.shape[0] - 2:
                hdul["WHT"].data[j - 1 : j + 2, i - 1 : i + 2] *= 0.5

    rewrite(chosen.product.path, lose)
    for path in folder.glob("j8ny01*_crmask.fits"):
        root, extver = path.name[:9], int(path.name[13])
        x, y = sky_to_pixel(
            known.exposures[root].wcs[extver - 1], np.asarray(stars["ra"]), np.asarray(stars["dec"])
        )

        def flag(hdul, x=x, y=y):
            ny, nx = hdul[0].data.shape
            i, j = np.rint(x).astype(int), np.rint(y).astype(int)
            inside = (i >= 0) & (j >= 0) & (i < nx) & (j < ny)
            hdul[0].data[j[inside], i[inside]] = 0

        rewrite(path, flag)


def test_rejected_star_cores_are_named(copy, known):
    spoil_cores(copy, known)
    chosen, seen, _, _ = see(copy, known, role=0)
    row = by_name(weight_rows(chosen, seen), "imprint of stars, basic F606W")
    assert row.verdict == "fail"
    assert "rejects star cores" in row.words
    assert row.value > 50
    delivery, roles = roles_of(copy)
    masks, source = find_masks(delivery, roles[1].product)
    inputs = [e for e in delivery.exposures if e.rootname in roles[1].product.inputs]
    rows = ray_rows(roles[1], count_rays(roles[1].product, inputs, masks, known.exposures), source)
    row = by_name(rows, "false rays of those with sources above 10 sigma")
    assert row.verdict == "fail"
    assert "Star cores are taken for rays" in row.words


def test_wrong_scale_and_rotation_are_named(copy, known):
    (copy / "F606W_opt_drc.fits").unlink()
    blue = read_exposures(str(copy / "j8ny01*_flc.fits"))
    wrong = {**OPTIMISED, "skymethod": "localmin", "final_pixfrac": 0.8}
    reduce(blue, output=copy / "F606W_try", final_rot=30.0, final_scale=0.04, **wrong)
    delivery, roles = roles_of(copy)
    rows = product_rows("3", roles[1], delivery, known)
    assert [r.name for r in rows if r.verdict == "fail"] == ["sky method", "rotation", "scale", "pixfrac"]
    assert "0.04 arcsec where 0.03" in by_name(rows, "scale").words
    assert "North is not up" in by_name(rows, "rotation").words
    row = grid_row("4", roles[1], roles[2])
    assert row.verdict == "fail"
    assert "not the same grid" in row.words


def test_damaged_folder_is_still_graded(copy, tiny_set):
    (copy / "tweakreg.log").unlink()
    (copy / "shifts.txt").unlink()
    for name in ("F606W_basic", "F814W_opt"):
        path = copy / f"{name}_drc.fits"
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[: len(data) // (2 if name == "F606W_basic" else 40)])
    (copy / "F814W_opt_med.fits").write_bytes(b"")
    result = grade(copy, truth=tiny_set)
    failed = {(row.part, row.name): row.words for row in result.failed}
    assert "tweakreg.log" in failed["1 alignment", "log"]
    assert "shifts.txt" in failed["1 alignment", "shift file"]
    assert "truncated" in failed["2 basic", "product"]
    assert "truncated" in failed["4 second filter", "product"]
    assert "F814W_opt_med.fits" in failed["3 optimised", "intermediate files"]
    assert by_name(result.rows, "photometric bias, optimised F606W").verdict in ("good", "pass")
    assert result.write_report(copy / "report.html").stat().st_size > 50000


def test_pixel_area_left_out_is_named(copy, known):
    path = copy / "F606W_opt_drc.fits"
    product = read_product(path)
    truth = known.exposures["j8ny01svq"]
    yy, xx = np.mgrid[0 : product.grid.shape[0], 0 : product.grid.shape[1]]
    ra, dec = product.grid.pixel_to_sky(xx.ravel().astype(float), yy.ravel().astype(float))
    area = np.full(xx.size, np.nan)
    for wcs in truth.wcs:
        x, y = sky_to_pixel(wcs, ra, dec)
        inside = (x > -80) & (x < 340) & (y > -80) & (y < 210)
        area[inside] = pixel_area_map(wcs, x[inside], y[inside], known.index["idcscale_arcsec"])
    area = area.reshape(xx.shape)

    def spoil(hdul):
        hdul["SCI"].data = (hdul["SCI"].data / area).astype(np.float32)

    rewrite(path, spoil)
    chosen, seen, _, _ = see(copy, known)
    row = by_name(photometry_rows(chosen, seen, known), "photometric bias")
    assert row.verdict == "fail"
    assert "pixel-area map (PAM): it was left out" in row.words
    twice = replace(seen, photometry=seen.photometry._replace(dm=-seen.photometry.dm))
    row = by_name(photometry_rows(chosen, twice, known), "photometric bias")
    assert "applied twice" in row.words


def test_missing_products_are_named(tmp_path, known):
    delivery, roles = roles_of(tmp_path)
    for role, name in zip(roles, ("basic F606W", "optimised F606W", "optimised F814W"), strict=True):
        row = product_rows("x", role, delivery, known)[0]
        assert (row.verdict, row.words[: 3 + len(name)]) == ("fail", f"No {name}")
    row = by_name(alignment_rows(delivery, known, {}, {}, ""), "exposures")
    assert row.verdict == "fail"


def test_missing_exposures_are_named(copy, known):
    (copy / "j8ny01t5q_flc.fits").unlink()
    (copy / "F606W_opt_drc.fits").unlink()
    blue = read_exposures([str(copy / f"j8ny01{r}q_flc.fits") for r in ("sv", "sz", "t9", "tf", "tt")])
    reduce(blue, output=copy / "F606W_opt5", final_rot=0.0, final_scale=0.03, **OPTIMISED)
    delivery, roles = roles_of(copy)
    row = by_name(product_rows("3", roles[1], delivery, known), "exposures")
    assert row.verdict == "fail"
    assert "missing: j8ny01t5q" in row.words
    row = by_name(alignment_rows(delivery, known, {}, {}, ""), "exposures")
    assert "1 of 12 exposures are missing: j8ny01t5q" in row.words


def test_failed_fit_in_shift_file_is_named(copy, known):
    text = (copy / "shifts.txt").read_text().replace("j8ny02z1q_flc.fits  1.5", "j8ny02z1q_flc.fits  nan")
    (copy / "shifts.txt").unlink()
    (copy / "shifts.txt").write_text(text)
    delivery = read_delivery(copy)
    row = by_name(alignment_rows(delivery, known, {}, {}, ""), "shift file")
    assert row.verdict == "fail"
    assert "nan" in row.words
    assert "j8ny02z1q" in row.words


def test_holes_in_saturated_stars_are_named(copy, known):
    path = copy / "F606W_opt_drc.fits"
    _, seen, _, _ = see(copy, known)
    assert seen.saturation.whole.sum() > 100

    def holes(hdul):
        hdul["WHT"].data[seen.saturation.whole] = 0

    rewrite(path, holes)
    chosen, seen, _, _ = see(copy, known)
    row = by_name(weight_rows(chosen, seen), "saturated pixels")
    assert row.verdict == "fail"
    assert "holes" in row.words
    # The same holes are what final_bits without 256 asks for.
    seen.product.final_bits = 80
    row = by_name(weight_rows(chosen, seen), "saturated pixels")
    assert row.verdict == "pass"


def test_unmatched_sky_is_named(done, known):
    delivery, roles = roles_of(done)
    product = roles[1].product
    for root, extver in product.subtracted_e:
        entry = known.index["exposures"][root]
        product.subtracted_e[root, extver] = entry["sky_electrons"] - 0.02 * entry["exptime"]
    before = sky_row(roles[1], known, delivery.exposures)
    assert before.verdict == "good"
    assert before.value < 1e-9
    product.subtracted_e["j8ny01tfq", 1] += 3.0
    row = sky_row(roles[1], known, delivery.exposures)
    assert row.verdict == "fail"
    assert "j8ny01tfq[sci,1]" in row.words


def test_exposure_with_many_rejections_is_named(done):
    _, roles = roles_of(done)
    shares = {f"r{k}": (0.02, 1000.0) for k in range(5)}
    assert rate_row(roles[1], shares).verdict == "pass"
    row = rate_row(roles[1], {**shares, "bad": (0.05, 1000.0)})
    assert row.verdict == "fail"
    assert row.words.startswith("bad (5.00 %)")


# ---------------------------------------------------------------- without truth, and the peer's files


def test_without_truth_the_data_are_graded_and_the_rest_is_named(done, monkeypatch, tmp_path):
    monkeypatch.setenv("DRIZZLEWB_CACHE", str(tmp_path))
    result = grade(done)
    assert result.truth is None
    assert result.failed == ()
    ungraded = [row.name for row in result.rows if row.verdict == "not graded" and "no truth" in row.words]
    assert [n.split(",")[0] for n in ungraded] == [
        "error over the field", "flux along bleeds", "flux along bleeds", "cosmic rays", "photometric bias",
        "photometric scatter", "magnitude slope", "cosmic rays", "photometric bias", "photometric scatter",
        "magnitude slope", "relative sky", "relative sky",
    ]  # fmt: skip
    offsets = [row for row in result.rows if row.name.startswith("j8ny")]
    assert len(offsets) == 12
    assert any(row.verdict in ("good", "pass") for row in offsets)


def test_stars_show_a_misaligned_exposure_without_truth(done, known):
    exposures = read_exposures(str(done / "j8ny01*_flc.fits"))
    bad = exposures[3]
    moved = [chip.wcs._replace(crval=np.array(chip.wcs.crval) + [0, 0.5 * 0.05 / 3600]) for chip in bad.chips]
    exposures[3] = bad.with_wcs(moved)
    rate = np.asarray(known.catalog["rate_F606W"])
    stars = known.catalog[(rate > 8) & (rate < 300) & (known.catalog["kind"] != "galaxy")]
    offsets = star_offsets(exposures, np.asarray(stars["ra"]), np.asarray(stars["dec"]), 336)
    delivery = SimpleNamespace(exposures=exposures, shifts=None, log=None, faults=())
    rows = alignment_rows(delivery, None, {}, offsets, exposures[0].rootname)
    row = by_name(rows, bad.rootname)
    assert row.verdict == "fail"
    assert row.value == pytest.approx(0.5, abs=0.1)
    assert all(r.verdict != "fail" for r in rows if r.name.startswith("j8ny") and r.name != bad.rootname)


def test_product_of_drizzlepac_is_read_from_its_cards(done, tmp_path):
    path = tmp_path / "F606W_opt_drc.fits"
    with fits.open(done / "F606W_opt_drc.fits") as hdul:
        for hdu in [h for h in hdul if h.name == "RECORD"]:
            hdul.remove(hdu)
        hdul.writeto(path)
    (tmp_path / "astrodrizzle.log").write_text(
        "==== Processing Step 'Initialization' started at 1\n[INFO    ] \toutput :\tF606W_opt\n"
        "[INFO    ] \tskymethod :\tmatch\n==== Processing Step 'Final Drizzle' started at 2\n"
        "[INFO    ] \tbits :\t336\n"
    )
    product = read_delivery(tmp_path).products[0]
    assert product.record is None
    assert (product.skymethod, product.skymethod_source, product.final_bits) == ("match", "log", 336)
    assert product.pixfrac == 0.6
    assert product.scale_arcsec == pytest.approx(0.03)
    assert product.inputs[0] == "j8ny01svq"
    (tmp_path / "astrodrizzle.log").unlink()
    assert read_product(path).final_bits is None


def test_stars_show_a_lost_exposure_without_truth(done, known, tiny_set):
    exposures = read_exposures([str(done / "j8ny01svq_flc.fits"), str(tiny_set / "j8ny02yvq_flc.fits")])
    rate = np.asarray(known.catalog["rate_F606W"])
    stars = known.catalog[(rate > 20) & (rate < 300) & (known.catalog["kind"] != "galaxy")]
    offsets = star_offsets(exposures, np.asarray(stars["ra"]), np.asarray(stars["dec"]), 336)
    delivery = SimpleNamespace(exposures=exposures, shifts=None, log=None, faults=())
    row = by_name(alignment_rows(delivery, None, {}, offsets, "j8ny01svq"), "j8ny02yvq")
    assert row.verdict == "fail"
    assert "not within 1 px" in row.words


@pytest.mark.long
def test_small_set_is_graded_through(tmp_path):
    """On the small set the science rows have the stars they need."""
    from drizzlewb.training.demo import with_true_wcs
    from drizzlewb.training.simulate import simulate

    simulate(
        tmp_path / "set",
        size="small",
        exposures=[f"j8ny01{r}q" for r in ("sv", "sz", "t5", "t9", "tf", "tt")],
    )
    exposures = with_true_wcs(read_exposures(str(tmp_path / "set" / "*_flc.fits")))
    out = tmp_path / "out"
    out.mkdir()
    reduce(exposures, output=out / "F606W_basic", **CLEANING)
    first = reduce(exposures, output=out / "F606W_opt", final_rot=0.0, final_scale=0.03, **OPTIMISED)
    result = grade(out, truth=tmp_path / "set", exposures=exposures, products=[first])
    for name in (
        "imprint of stars, basic F606W",
        "saturated pixels, optimised F606W",
        "flux along bleeds, optimised F606W",
        "rays found above 3 sigma, optimised F606W",
        "false rays of those with sources above 10 sigma, optimised F606W",
        "photometric bias, optimised F606W",
        "photometric scatter, optimised F606W",
        "magnitude slope, optimised F606W",
        "FWHM optimised/basic",
        "noise factor, optimised F606W",
        "relative sky, optimised F606W",
    ):
        row = by_name(result.rows, name)
        assert row.verdict in ("good", "pass"), row


# ---------------------------------------------------------------- small parts


def test_judge_never_passes_what_it_cannot_fail():
    assert judge(0.01, 0.001, 0.05, 0.02) == "good"
    assert judge(0.03, 0.001, 0.05, 0.02) == "pass"
    assert judge(0.06, 0.001, 0.05) == "fail"
    assert judge(0.06, 0.04, 0.05) == "not graded"
    assert judge(0.20, 0.04, 0.05) == "fail"
    assert judge(0.00, 0.06, 0.05) == "not graded"
    assert judge(0.01, 0.03, 0.05, 0.02) == "pass"
    assert judge(math.nan, 0.0, 0.05) == "not graded"
    assert judge(0.0, math.inf, 0.05) == "not graded"


def test_filter_in_name():
    assert filter_in_name("F606W_opt_drc.fits") == "F606W"
    assert filter_in_name("j8ny_f814w_drc.fits") == "F814W"
    assert filter_in_name("final_drc.fits") == ""


def test_tidy_row_names_what_is_left(tmp_path):
    (tmp_path / "j8ny01svq_single_sci.fits").write_bytes(b"")
    (tmp_path / "j8ny01svq_sci1_crmask.fits").write_bytes(b"")
    row = tidy_row("3", read_delivery(tmp_path))
    assert row.verdict == "fail"
    assert row.number == 1


def test_widths_need_both_products():
    assert width_row("FWHM", None).verdict == "not graded"
    sharp = width_row("FWHM", np.tile([0.110, 0.100], (60, 1)))
    assert sharp.verdict == "pass"
    assert sharp.value == pytest.approx(10 / 11)
    assert width_row("FWHM", np.tile([0.110, 0.109], (60, 1))).verdict == "fail"
    assert width_row("FWHM", np.tile([0.110, 0.109], (20, 1))).verdict == "not graded"


def test_noise_and_widths_of_a_real_product(done, known):
    basic = see(done, known, role=0)
    optimised = see(done, known)
    pairs = widths(basic[1], optimised[1])
    assert len(pairs) >= 5
    # ACS/WFC stars: 0.10 to 0.12 arcsec after a drizzle; the finer drops lose less.
    assert 0.095 < np.median(pairs[:, 1]) < np.median(pairs[:, 0]) < 0.13
    row = noise_row(optimised[0], optimised[1], optimised[3])
    assert row.verdict in ("good", "pass", "not graded")
    assert 1.2 < row.value < 2.2
