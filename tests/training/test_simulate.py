import filecmp
import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from drizzlewb.errors import ParameterError
from drizzlewb.training import scene
from drizzlewb.training.cosmicrays import MASK_LEVEL
from drizzlewb.training.detectors import DETECTORS
from drizzlewb.training.pointing import pixel_area_map, sky_to_pixel
from drizzlewb.training.simulate import simulate
from drizzlewb.training.truth import read_catalog, read_index, read_truth

# The table of the training page.
TABLE = {
    "j8ny01svq": ("2003-07-16", "F606W", 1142),
    "j8ny01szq": ("2003-07-16", "F606W", 1142),
    "j8ny01t5q": ("2003-07-16", "F606W", 1185),
    "j8ny01t9q": ("2003-07-16", "F606W", 1185),
    "j8ny01tfq": ("2003-07-16", "F606W", 1185),
    "j8ny01ttq": ("2003-07-16", "F606W", 1185),
    "j8ny02yvq": ("2003-07-17", "F814W", 1142),
    "j8ny02z1q": ("2003-07-17", "F814W", 1142),
    "j8ny02zyq": ("2003-07-17", "F814W", 1185),
    "j8ny02zdq": ("2003-07-17", "F814W", 1185),
    "j8ny02zkq": ("2003-07-17", "F814W", 1185),
    "j8ny02ztq": ("2003-07-17", "F814W", 1185),
}


def truth_of(path):
    return read_truth(path.with_name(path.name[:9] + "_truth.fits"))


def header_wcs(path, extver):
    with fits.open(path) as hdul:
        return WCS(hdul["SCI", extver].header, hdul)


def errors_px(path, extver):
    """How far stars fall from where the header says, over the chip."""
    stated, true = header_wcs(path, extver), truth_of(path).wcs[extver - 1]
    ny, nx = true.array_shape
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(0, nx - 1, 5), np.linspace(0, ny - 1, 5)))
    tx, ty = sky_to_pixel(true, *stated.all_pix2world(x, y, 0))
    return np.array([tx - x, ty - y])


def test_the_table_of_the_training_page(tiny):
    found = {}
    for path in tiny:
        head = fits.getheader(path)
        band = head["FILTER2"] if head["FILTER1"].startswith("CLEAR") else head["FILTER1"]
        found[head["ROOTNAME"]] = (head["DATE-OBS"], band, head["EXPTIME"])
        assert head["TARGNAME"] == "NGC6791"
        assert head["PROPOSID"] == 9815
    assert found == TABLE
    assert list(found) == list(TABLE)


def test_files_are_laid_out_as_flc_files(tiny):
    with fits.open(tiny[0]) as hdul:
        names = [(hdu.name, hdu.ver) for hdu in hdul][1:]
        assert names[:6] == [(n, v) for v in (1, 2) for n in ("SCI", "ERR", "DQ")]
        assert names[6:] == [(n, v) for n in ("D2IMARR", "WCSDVARR") for v in (1, 2, 3, 4)]
        assert hdul[0].header["NEXTEND"] == len(hdul) - 1
        for v, chip in ((1, 2), (2, 1)):
            sci = hdul["SCI", v]
            assert sci.header["CCDCHIP"] == chip
            assert sci.header["BUNIT"] == "ELECTRONS"
            assert sci.data.shape == (128, 256)
            assert (sci.data.dtype, hdul["DQ", v].data.dtype) == (np.dtype(">f4"), np.dtype(">i2"))
            assert np.isfinite(sci.data).all()
            assert (hdul["ERR", v].data > 0).all()
            assert sci.header["LTV1"] == -1920
        assert hdul["SCI", 1].header["LTV2"] == -1920
        assert "DATE" not in hdul[0].header


def test_headers_are_wrong_as_specified(tiny):
    index = read_index(tiny[0].parent)
    reference = errors_px(tiny[0], 1).mean(axis=1)
    for path in tiny:
        entry = index["exposures"][path.name[:9]]
        for extver in (1, 2):
            error = errors_px(path, extver)
            np.testing.assert_allclose(error.mean(axis=1), entry["error_px"], rtol=0, atol=0.08)
        relative = np.hypot(*(errors_px(path, 1).mean(axis=1) - reference))
        if path == tiny[0]:
            continue
        if entry["visit"] == "01":
            assert 0.09 < relative < 0.32
        else:
            assert 9.5 < relative < 10.5
            assert entry["error_roll_deg"] == pytest.approx(0.02, abs=0.002)


def test_dithers_are_sub_pixel_and_one_crosses_the_gap(tiny):
    index = read_index(tiny[0].parent)["exposures"]
    for visit in ("01", "02"):
        steps = np.array([e["dither_px"] for e in index.values() if e["visit"] == visit])
        phases = np.round((steps % 1) * 6).astype(int)
        assert len({tuple(p) for p in phases}) >= 5
        assert (np.abs(steps[:, 1]) > 50).sum() == 1
    first, fifth = truth_of(tiny[0]), truth_of(tiny[4])
    ra, dec = first.wcs[0].all_pix2world(100.0, 100.0, 0)
    x, y = sky_to_pixel(fifth.wcs[0], np.array([ra]), np.array([dec]))
    assert y[0] - 100 == pytest.approx(60.5, abs=1.5)
    assert x[0] - 100 == pytest.approx(2.8, abs=0.6)


def test_velocity_aberration_differs_and_is_applied(tiny):
    factors = [fits.getval(path, "VAFACTOR", ("SCI", 1)) for path in tiny]
    assert len(set(factors)) == 12
    assert 2e-5 < np.ptp(factors) < 6e-5
    areas = [np.abs(np.linalg.det(header_wcs(path, 1).wcs.cd)) for path in tiny]
    np.testing.assert_allclose(
        np.array(areas) / areas[0], (np.array(factors) / factors[0]) ** 2, rtol=0, atol=1e-9
    )


def test_left_out_velocity_aberration_shows_as_scale(tmp_path, tiny):
    (path,) = simulate(tmp_path, "tiny", vafactor=False, exposures=["j8ny01svq"])
    assert fits.getval(path, "VAFACTOR", ("SCI", 1)) == 1.0
    areas = [abs(np.linalg.det(w.wcs.cd)) for w in (truth_of(path).wcs[0], header_wcs(path, 1))]
    factor = read_index(tmp_path)["exposures"]["j8ny01svq"]["vafactor"]
    assert factor != 1
    assert areas[0] / areas[1] == pytest.approx(factor**2, abs=1e-9)
    # The sky is the same one, so that only headers differ.
    np.testing.assert_array_equal(fits.getdata(path, ("SCI", 1)), fits.getdata(tiny[0], ("SCI", 1)))


def test_same_seed_same_bytes(tiny, tmp_path):
    names = ["j8ny01svq", "j8ny02zkq"]
    again = simulate(tmp_path / "again", "tiny", scene=True, exposures=names)
    for path in again:
        for name in (path.name, path.name[:9] + "_truth.fits"):
            assert filecmp.cmp(path.with_name(name), tiny[0].with_name(name), shallow=False)
    other = simulate(tmp_path / "other", "tiny", seed=1, exposures=names[:1])
    assert not filecmp.cmp(other[0], tiny[0], shallow=False)


def test_sizes_share_the_sky_and_the_silicon(tiny, tmp_path):
    (small,) = simulate(tmp_path, "small", scene=True, exposures=["j8ny01svq"])
    a, b = truth_of(tiny[0]), truth_of(small)
    for chip, rows in ((0, slice(384, 512)), (1, slice(0, 128))):
        cut = (rows, slice(384, 640))
        np.testing.assert_array_equal(a.defects[chip], b.defects[chip][cut])
        # Faint wings go through a transform whose rounding depends on its size.
        np.testing.assert_allclose(a.scene[chip], b.scene[chip][cut], rtol=1e-5, atol=0.05)
        assert b.wcs[chip].wcs.crpix[1] - a.wcs[chip].wcs.crpix[1] == rows.start


def test_there_are_stars_enough(tiny):
    catalog = read_catalog(tiny[0].parent)
    stars = catalog[catalog["kind"] != "galaxy"]
    for path in (tiny[0], tiny[6]):
        truth = truth_of(path)
        band = truth.header["FILTER"]
        for chip, wcs in enumerate(truth.wcs):
            x, y = sky_to_pixel(wcs, np.asarray(stars["ra"]), np.asarray(stars["dec"]))
            on = (x > 5) & (x < 250) & (y > 5) & (y < 122)
            peak = 0.2 * stars[f"rate_{band}"][on] * truth.header["EXPTIME"]
            usable = (peak > 10 * 14) & (peak < 70000)
            assert 60 <= usable.sum() <= 180
            assert 1 <= (peak > 84000).sum() <= 12
            assert (fits.getdata(path, ("DQ", chip + 1)) & 256 != 0).sum() > 5


def test_noise_sky_and_cosmic_rays_of_a_frame(tiny):
    index = read_index(tiny[0].parent)["exposures"]
    hit, skies = [], []
    for path in tiny:
        truth, entry = truth_of(path), index[path.name[:9]]
        skies.append(entry["sky_electrons"] / entry["exptime"])
        for chip in (0, 1):
            with fits.open(path) as hdul:
                sci, err, dq = (hdul[n, chip + 1].data.astype(float) for n in ("SCI", "ERR", "DQ"))
            hit.append(truth.cr_mask[chip].mean() / (0.02 * entry["exptime"] / 1000))
            sound = (dq == 0) & (truth.cr_charge[chip] < 1)
            pull = (sci - truth.scene[chip] - entry["sky_electrons"])[sound] / err[sound]
            assert np.median(pull) == pytest.approx(0, abs=0.06)
            assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1, abs=0.04)
            np.testing.assert_array_equal(truth.cr_mask[chip], truth.cr_charge[chip] >= MASK_LEVEL)
            struck = truth.cr_charge[chip] > 600
            assert (sci[struck] > 500).mean() > 0.9
            own = truth.defects[chip]
            assert ((dq.astype(int) & own) == own).all()
    assert len(set(np.round(skies, 4))) == 12
    assert np.mean(hit) == pytest.approx(1, abs=0.1)


def isolated_stars(seed):
    """Catalog of equally bright stars, well apart, over a field larger than WFC3/IR's."""
    step = np.arange(-63, 64, 7.0) / 3600
    xi, eta = (a.ravel() for a in np.meshgrid(step, step))
    dec = scene.CENTRE[1] + eta
    n = xi.size
    table = Table({"id": np.arange(n), "ra": scene.CENTRE[0] + xi / np.cos(np.radians(dec)), "dec": dec})
    table["kind"] = np.full(n, "cluster")
    table["m606"], table["m814"] = np.full(n, 18.5), np.full(n, 17.7)
    for name in ("re", "sersic", "axis_ratio", "pa"):
        table[name] = np.zeros(n)
    return table


def test_flc_photometry_shows_the_pixel_area_map_and_pam_removes_it(tmp_path, monkeypatch):
    monkeypatch.setattr(scene, "make_catalog", isolated_stars)
    (path,) = simulate(tmp_path, "full", detector="WFC3/IR", exposures=["i8ny01svq"])
    truth, stars = truth_of(path), read_catalog(tmp_path)
    x, y = sky_to_pixel(truth.wcs[0], np.asarray(stars["ra"]), np.asarray(stars["dec"]))
    with fits.open(path) as hdul:
        sci, dq = hdul["SCI", 1].data.astype(float), hdul["DQ", 1].data
    measured, area = [], []
    for n in np.flatnonzero((x > 15) & (x < 998) & (y > 15) & (y < 998)):
        box = (slice(round(y[n]) - 10, round(y[n]) + 11), slice(round(x[n]) - 10, round(x[n]) + 11))
        if dq[box][7:14, 7:14].any() or (dq[box] & 512).any():
            continue
        good = dq[box] == 0
        sky = truth.header["SKY"] / truth.header["EXPTIME"]
        measured.append(((sci[box] - sky) * good).sum() / stars["rate_F110W"][n])
        area.append(pixel_area_map(truth.wcs[0], x[[n]], y[[n]], 0.12825)[0])
    measured, area = np.array(measured), np.array(area)
    assert len(area) > 100
    assert np.ptp(area) > 0.06
    # 0.97 of the light falls into the box.
    slope = np.polyfit(area, np.log(measured), 1)[0]
    assert slope == pytest.approx(-1, abs=0.03)
    corrected = measured * area
    assert np.polyfit(area, np.log(corrected), 1)[0] == pytest.approx(0, abs=0.03)
    assert corrected.std() < 0.2 * measured.std()
    assert np.median(corrected) == pytest.approx(0.972, abs=0.01)


def test_star_flux_is_truth_over_pixel_area(tiny):
    """The ERR-weighted fit of the known scene to the frame has amplitude 1: nothing is lost on the way."""
    for path in tiny[::4]:
        truth = truth_of(path)
        sky = truth.header["SKY"]
        for chip in (0, 1):
            with fits.open(path) as hdul:
                sci, err, dq = (hdul[n, chip + 1].data.astype(float) for n in ("SCI", "ERR", "DQ"))
            good = (dq == 0) & (truth.cr_charge[chip] < 1)
            model, data, weight = truth.scene[chip][good], sci[good] - sky, err[good] ** -2
            amplitude = (weight * model * data).sum() / (weight * model**2).sum()
            sigma = (weight * model**2).sum() ** -0.5
            assert amplitude == pytest.approx(1, abs=5 * sigma + 1e-3)


def test_bleed_holds_the_flux_of_a_saturated_star(tiny):
    """Along the columns of a bleed the electrons are those of the scene."""
    checked = 0
    for path in tiny:
        truth = truth_of(path)
        for chip in (0, 1):
            with fits.open(path) as hdul:
                sci = hdul["SCI", chip + 1].data.astype(float)
                dq = hdul["DQ", chip + 1].data
            full = dq & 256 != 0
            for column in np.flatnonzero(full.sum(axis=0) > 6):
                if full[[0, -1], column].any() or (truth.defects[chip][:, column] & (4 | 128 | 1024)).any():
                    continue
                expected = (truth.scene[chip][:, column] + truth.header["SKY"]).sum(dtype=float)
                found = (sci[:, column] - truth.cr_charge[chip][:, column]).sum()
                assert found == pytest.approx(expected, rel=0.01)
                checked += 1
    assert checked > 10


def test_satellite_and_misalignment(tmp_path, tiny):
    names = ["j8ny01t5q", "j8ny01t9q"]
    files = simulate(tmp_path, "tiny", exposures=names, satellite="j8ny01t9q", misalign={"j8ny01t5q": 0.3})
    plain = {path.name: path for path in tiny}
    moved = errors_px(files[0], 1).mean(axis=1) - errors_px(plain[files[0].name], 1).mean(axis=1)
    assert np.hypot(*moved) == pytest.approx(0.3, abs=0.02)
    truth = truth_of(files[1])
    trail = np.concatenate(truth.trail)
    assert 0.02 < trail.mean() < 0.3
    assert not any(t.any() for t in truth_of(files[0]).trail)
    for chip in (0, 1):
        if truth.trail[chip].any():
            sci = fits.getdata(files[1], ("SCI", chip + 1))
            assert np.median(sci[truth.trail[chip]]) > 2 * np.median(sci[~truth.trail[chip]])
    assert not (fits.getdata(files[1], ("DQ", 1)) & 16384).any()  # finding it is the exercise


@pytest.mark.parametrize("name", ["WFC3/UVIS", "WFC3/IR", "ACS/HRC"])
def test_other_detectors_see_the_same_scene(name, tmp_path):
    model = DETECTORS[name]
    root = model.letter + "8ny01svq"
    (path,) = simulate(tmp_path, "tiny", detector=name, scene=True, exposures=[root])
    assert path.name == f"{root}_{model.suffix}.fits"
    with fits.open(path) as hdul:
        assert (hdul[0].header["INSTRUME"], hdul[0].header["DETECTOR"]) == (model.instrument, model.detector)
        chips = [hdu for hdu in hdul if hdu.name == "SCI"]
        assert len(chips) == len(model.chips)
        rates = model.reads_up_the_ramp
        assert chips[0].header["BUNIT"] == ("ELECTRONS/S" if rates else "ELECTRONS")
        assert ("SAMP" in hdul) == ("TIME" in hdul) == rates
        assert ("WCSDVARR" in hdul) == model.tables
        truth = truth_of(path)
        seconds = hdul[0].header["EXPTIME"] if rates else 1.0
        expected = (truth.scene[0] + truth.header["SKY"]) / seconds
        good = (hdul["DQ", 1].data == 0) & (truth.cr_charge[0] < 1)
        pull = ((hdul["SCI", 1].data - expected) / hdul["ERR", 1].data)[good]
        assert np.median(pull) == pytest.approx(0, abs=0.1)
    catalog = read_catalog(tmp_path)
    x, y = sky_to_pixel(truth.wcs[0], np.asarray(catalog["ra"]), np.asarray(catalog["dec"]))
    ny, nx = truth.scene[0].shape
    rate = np.asarray(catalog[f"rate_{truth.header['FILTER']}"])
    on = (x > 3) & (x < nx - 4) & (y > 3) & (y < ny - 4)
    brightest = np.flatnonzero(on)[rate[on].argmax()]
    j, i = round(y[brightest]), round(x[brightest])
    box = truth.scene[0][j - 2 : j + 3, i - 2 : i + 3]
    assert np.unravel_index(box.argmax(), box.shape) in [(a, b) for a in (1, 2, 3) for b in (1, 2, 3)]


def test_progress_index_and_no_leftovers(tmp_path):
    seen = []
    names = ["j8ny01svq", "j8ny02zkq"]
    simulate(tmp_path, "tiny", exposures=names, progress=lambda *a: seen.append(a))
    assert [a[:3] for a in seen] == [("simulate", 1, 2), ("simulate", 2, 2)]
    index = json.loads((tmp_path / "truth.json").read_text())
    assert list(index["exposures"]) == names
    assert index["seed"] == 9815
    assert set(index["versions"]) == {"drizzlewb", "numpy", "scipy", "astropy"}
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": "huge"}, "size 'huge'.*tiny, small, full"),
        ({"detector": "ACS/SBC"}, "ACS/SBC.*ACS/WFC"),
        ({"exposures": ["j8ny01xxq"]}, "j8ny01xxq is not in the programme"),
        ({"satellite": "nonsense"}, "nonsense is not in the programme"),
        ({"cr_percent": -1}, "cr_percent is -1"),
    ],
)
def test_what_cannot_be_simulated_is_said(tmp_path, options, words):
    with pytest.raises(ParameterError, match=words):
        simulate(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
