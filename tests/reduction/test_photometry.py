"""Magnitudes from a product and its own header, against the truth: detectors, units, places."""

import math

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from factory import write
from photutils.aperture import CircularAperture, aperture_photometry
from scipy.special import erf

import drizzlewb as dw
from drizzlewb.distortion import pack
from drizzlewb.distortion.undistorted import pixel_area_map as engine_area_map
from drizzlewb.training import optics
from drizzlewb.training import scene as scene_module
from drizzlewb.training.demo import with_true_wcs
from drizzlewb.training.detectors import DETECTORS
from drizzlewb.training.pointing import (
    Attitude,
    chip_wcs,
    local_maps,
    lookup_tables,
    pixel_area_map,
    sky_to_pixel,
    wcs_header,
)
from drizzlewb.training.programme import plan_exposures, point
from drizzlewb.training.simulate import DEFAULT_SEED, simulate
from drizzlewb.training.truth import read_catalog, read_truth

FINAL_ONLY = {"static": False, "skysub": False, "driz_separate": False, "median": False, "blot": False,
              "driz_cr": False, "final_bits": None}  # fmt: skip


def flux_in(product, ra, dec, radius_arcsec):
    """Sum of a product's pixels, in its own unit, within circles on the sky."""
    x, y = WCS(product.header).all_world2pix(ra, dec, 0)
    radius = radius_arcsec / product.grid.scale_arcsec
    data = np.nan_to_num(product.sci.astype(float))
    return np.asarray(
        aperture_photometry(data, CircularAperture(np.transpose([x, y]), radius))["aperture_sum"]
    )


def magnitudes(product, ra, dec, radius_arcsec):
    """STMAG by the cards of the product alone: BUNIT, EXPTIME, PHOTFLAM, PHOTZPT."""
    with fits.open(product.path) as hdus:
        sci, primary = hdus["SCI"].header, hdus[0].header
    rate = flux_in(product, ra, dec, radius_arcsec)
    if not sci["BUNIT"].endswith("/S"):
        rate = rate / primary["EXPTIME"]
    return -2.5 * np.log10(rate * sci["PHOTFLAM"]) + sci["PHOTZPT"]


def weight_in_the_core(product, ra, dec):
    """Lowest weight in the 3 x 3 pixels of a core, over the median.

    Undersampled cores do not look alike in all exposures: one of five whose brightest pixel is flagged costs
    0.014 mag, whatever the software.
    """
    x, y = WCS(product.header).all_world2pix(ra, dec, 0)
    covered = np.median(product.wht[product.wht > 0])
    boxes = [product.wht[j - 1 : j + 2, i - 1 : i + 2] for i, j in np.round([x, y]).astype(int).T]
    return np.array([box.min() / covered for box in boxes])


# --------------------------------------------------------------- the simulator's own noisy exposures
ELECTRONS = 1.5e5  # per star and exposure: a fifth of it in the brightest pixel, below the full well
APERTURE_PX = 8.0  # of the detector


def sparse_field(model, plans):
    """A catalog of stars of equal flux, far from each other, on all chips of a tiny exposure."""
    pointing = point(
        model, plans[0], 0, seed=DEFAULT_SEED, visit_offset_px=10.0, visit_rotation_deg=0.02, misalign_px=0.0,
        vafactor=True,
    )  # fmt: skip
    shape, corners = model.sizes["tiny"], model.crop("tiny")
    rows = (0.5,) if len(corners) == 2 else (0.25, 0.5, 0.75)
    ra, dec = [], []
    for k, corner in enumerate(corners):
        header = wcs_header(model, k + 1, pointing.true, corner, shape)
        wcs = chip_wcs(header, shape, lookup_tables(model, corners))
        x, y = np.meshgrid(shape[1] * np.array([0.2, 0.5, 0.8]), shape[0] * np.array(rows))
        sky = wcs.all_pix2world(x.ravel() + 0.37, y.ravel() - 0.21, 0)
        ra += sky[0].tolist()
        dec += sky[1].tolist()
    band = model.filters[plans[0].filter]
    mag = band.zero_point - 2.5 * math.log10(ELECTRONS / plans[0].exptime)
    n = len(ra)
    nothing = np.zeros(n)
    return Table(
        {"id": np.arange(n), "ra": ra, "dec": dec, "kind": ["cluster"] * n, "m606": np.full(n, mag),
         "m814": np.full(n, mag), "re": nothing, "sersic": nothing, "axis_ratio": nothing, "pa": nothing}
    )  # fmt: skip


def encircled(model, filter_name, wcs, extver, corner, x, y, radius_arcsec):
    """Share of a star's light that falls into a circle on the sky, by the simulator's optics."""
    psf = optics.point_spread(model.name, filter_name)
    mix = optics.field_mix(np.array([x + corner[0]]), np.array([y + corner[1]]), model, extver)[0]
    half = psf.shape[1] // 2
    step = (np.arange(psf.shape[1]) - half) / optics.OVERSAMPLE
    dx, dy = np.meshgrid(step, step)
    (turn,) = local_maps(wcs, np.array([x]), np.array([y]))
    inside = np.hypot(turn[0, 0] * dx + turn[0, 1] * dy, turn[1, 0] * dx + turn[1, 1] * dy) < radius_arcsec
    return float((np.tensordot(mix, psf, 1) * inside).sum() / optics.OVERSAMPLE**2)


@pytest.mark.parametrize(
    "detector", ["ACS/WFC", "WFC3/UVIS", "WFC3/IR", pytest.param("ACS/HRC", marks=pytest.mark.long)]
)
def test_magnitudes_of_simulated_stars(detector, tmp_path, monkeypatch):
    """Noise, cosmic rays, defects, sky; the whole chain: each whole star within 0.01 mag of its catalog."""
    model = DETECTORS[detector]
    plans = [plan for k, plan in enumerate(plan_exposures(model)[:6]) if k != 4]  # which steps over the gap
    stars = sparse_field(model, plans)
    monkeypatch.setattr(scene_module, "make_catalog", lambda seed: stars.copy())
    files = simulate(tmp_path, size="tiny", detector=detector, exposures=[p.rootname for p in plans])
    exposures = with_true_wcs(dw.read_exposures(files))
    catalog = read_catalog(tmp_path)
    name = plans[0].filter
    rate = np.asarray(catalog[f"rate_{name}"])
    np.testing.assert_allclose(rate * plans[0].exptime, ELECTRONS, rtol=1e-6)
    truth = read_truth(tmp_path / f"{plans[0].rootname}_truth.fits")
    shape, radius = model.sizes["tiny"], APERTURE_PX * model.idcscale
    ra, dec = np.asarray(catalog["ra"]), np.asarray(catalog["dec"])
    share = np.full(len(catalog), np.nan)
    for k, (wcs, corner) in enumerate(zip(truth.wcs, model.crop("tiny"), strict=True)):
        x, y = sky_to_pixel(wcs, ra, dec)
        for i in np.flatnonzero((x > 0) & (x < shape[1]) & (y > 0) & (y < shape[0])):
            share[i] = encircled(model, name, wcs, k + 1, corner, x[i], y[i], radius)
    assert np.isfinite(share).all()
    expected = -2.5 * np.log10(rate * share * model.filters[name].photflam) - 21.1
    # As the pipeline's parameter sets for fewer than six exposures; the defaults eat bright cores.
    settings = {"combine_type": "median", "combine_nhigh": 1, "driz_cr_scale": "1.5 1.2",
                "skymethod": "localmin", "final_wcs": True, "final_rot": 0.0,
                "final_scale": 0.8 * model.idcscale, "final_pixfrac": 1.0}  # fmt: skip
    if model.reads_up_the_ramp:
        # The ramp fit has done it. Stains of up to 16 % in depth (DQ 512) would dim a star.
        settings |= {"driz_cr": False, "final_bits": 16}
    found = {}
    for unit in ("cps", "counts"):
        product = dw.reduce(exposures, output=tmp_path / unit, final_units=unit, **settings)
        assert product.header["BUNIT"] == {"cps": "ELECTRONS/S", "counts": "ELECTRONS"}[unit]
        found[unit] = magnitudes(product, ra, dec, radius)
        sound = weight_in_the_core(product, ra, dec) > 0.9
        assert sound.mean() >= 0.5, weight_in_the_core(product, ra, dec)
        # The photon noise of a star in five exposures is 0.0013 mag.
        assert np.abs(found[unit] - expected)[sound].max() < 0.01
        assert np.abs(np.median(found[unit] - expected)) < 0.004
    np.testing.assert_allclose(found["counts"], found["cps"], rtol=0, atol=1e-5)
    if not model.reads_up_the_ramp:
        assert sum(product.record["results"]["crfraction"].values()) > 0.02


# ------------------------------------------------------------------------- over the whole detector
def gaussian_star(image, x, y, electrons, sigma=1.1, half=9):
    """Add a star, integrated over each pixel; all its light falls within `half` px."""
    i, j = np.arange(round(x) - half, round(x) + half + 1), np.arange(round(y) - half, round(y) + half + 1)
    keep_i, keep_j = (i >= 0) & (i < image.shape[1]), (j >= 0) & (j < image.shape[0])
    across, up = (
        0.5 * (erf((k + 0.5 - c) / (sigma * math.sqrt(2))) - erf((k - 0.5 - c) / (sigma * math.sqrt(2))))
        for k, c in ((i, x), (j, y))
    )
    part = electrons * up[keep_j][:, None] * across[keep_i]
    image[np.ix_(j[keep_j], i[keep_i])] += part.astype(image.dtype)


def full_frame(path, model, electrons):
    """A full-size exposure of noiseless stars on a 3 x 3 grid of the detector, beside a flat sky.

    Returns the stars' sky positions. Their counts are divided by the pixel-area map, as flat-fielding
    leaves them.
    """
    ny, nx = model.shape
    attitude = Attitude(150.0, 2.0, 65.0)
    corners = tuple((0, 0) for _ in model.chips)
    tables = lookup_tables(model, corners)
    primary = fits.Header()
    primary["TELESCOP"], primary["INSTRUME"], primary["DETECTOR"] = "HST", model.instrument, model.detector
    primary["ROOTNAME"], primary["EXPTIME"], primary["DATE-OBS"] = "jtest1abq", 500.0, "2010-01-01"
    primary["FILTER" if model.instrument == "WFC3" else "FILTER1"] = next(iter(model.filters))
    hdus = [fits.PrimaryHDU(header=primary)]
    ra, dec = [], []
    rows = {2: ((0.04, 0.5), (0.02, 0.5, 0.97)), 1: ((0.03, 0.5, 0.97),)}[len(model.chips)]
    for k in range(len(model.chips)):
        header = wcs_header(model, k + 1, attitude, (0, 0), model.shape)
        wcs = chip_wcs(header, model.shape, tables)
        x, y = np.meshgrid(nx * np.array([0.02, 0.5, 0.98]), ny * np.array(rows[k]))
        x, y = x.ravel() + np.linspace(0, 0.9, x.size), y.ravel() - np.linspace(0, 0.7, x.size)
        image = np.zeros(model.shape, np.float32)
        for px, py, area in zip(x, y, pixel_area_map(wcs, x, y, model.idcscale), strict=True):
            gaussian_star(image, px, py, electrons / area)
        if model.reads_up_the_ramp:
            image /= np.float32(primary["EXPTIME"])
        sky = wcs.all_pix2world(x, y, 0)
        ra += sky[0].tolist()
        dec += sky[1].tolist()
        header["BUNIT"] = "ELECTRONS/S" if model.reads_up_the_ramp else "ELECTRONS"
        header["CCDCHIP"] = model.chips[k].ccdchip
        hdu = fits.ImageHDU(image, header=header, name="SCI", ver=k + 1)
        hdus.append(hdu)
    fits.HDUList([*hdus, *tables]).writeto(path)
    return np.array(ra), np.array(dec)


@pytest.mark.parametrize("detector", ["ACS/WFC", "WFC3/UVIS", "WFC3/IR", "ACS/HRC"])
def test_magnitudes_do_not_depend_on_the_place(detector, tmp_path):
    """Corners, edges and middle of the detector, 3 x 3 and more: the pixel-area map is undone."""
    model = DETECTORS[detector]
    path = tmp_path / f"jtest1abq_{model.suffix}.fits"
    electrons = 1e6
    ra, dec = full_frame(path, model, electrons)
    exposures = dw.read_exposures(path)
    keywords = {**FINAL_ONLY, "final_wcs": True, "final_scale": 0.7 * model.idcscale,
                "final_kernel": "square", "final_pixfrac": 1.0}  # fmt: skip
    parameters = dw.parameters.ReduceParameters.from_keywords(keywords)
    radius = 9.0 * model.idcscale / (0.7 * model.idcscale)
    size = 2 * math.ceil(radius) + 11
    sums = []
    for centre in zip(ra, dec, strict=True):
        cut = dw.preview(exposures, parameters, center=centre, size=size, scratch=tmp_path / "scratch")
        assert cut.unit == "ELECTRONS/S"
        x, y = cut.wcs.all_world2pix(*centre, 0)
        aperture = CircularAperture((float(x), float(y)), radius)
        sums.append(aperture_photometry(np.nan_to_num(cut.sci.astype(float)), aperture)["aperture_sum"][0])
    path.unlink()
    off = -2.5 * np.log10(np.array(sums) * exposures[0].exptime / electrons)
    assert len(off) >= 9
    # Pixels of ACS differ in area by 18 % over the detector.
    assert np.ptp(off) <= 0.005
    assert np.abs(off).max() <= 0.005


# ------------------------------------------------------------------------------------------ WFPC2
PC_SCALE, WF_SCALE = 0.0455, 0.0996
WFPC2_GAINS = {7: (7.12, 7.12, 6.90, 7.10), 15: (13.99, 14.50, 13.95, 13.95)}  # Holtzman et al. 1995
PER_ELECTRON = 4.9e-19  # PHOTFLAM of 1 e-/s, the same for the four chips of this telescope
SIDE = 220


def wfpc2_cards(chip, shift_px):
    """Chips around the pyramid's apex, each turned by 90 degrees from the last, with some distortion."""
    scale = PC_SCALE if chip == 1 else WF_SCALE
    angle = math.radians(90.0 * (chip - 1) + 30.0)
    c, s = scale / 3600 * math.cos(angle), scale / 3600 * math.sin(angle)
    # The apex is at the lower left of each chip, where its shadow ends.
    apex = {1: (45.0, 54.0), 2: (49.0, 24.0), 3: (32.0, 46.0), 4: (43.0, 46.0)}[chip]
    x, y = (shift * WF_SCALE / scale for shift in rotated(shift_px, -90.0 * (chip - 1)))
    return {
        "CRPIX1": apex[0] + x, "CRPIX2": apex[1] + y, "CD1_1": -c, "CD1_2": s, "CD2_1": s, "CD2_2": c,
        "A_2_0": 2e-6, "B_0_2": 1e-6, "A_1_1": -3e-6, "B_1_1": 1e-5, "A_0_2": 4e-6, "B_2_0": 0.0,
        "IDCSCALE": scale,
    }  # fmt: skip


def rotated(vector, degrees):
    a = math.radians(degrees)
    return (
        math.cos(a) * vector[0] - math.sin(a) * vector[1],
        math.sin(a) * vector[0] + math.cos(a) * vector[1],
    )


def write_wfpc2(path, setting, sky_e, shift_px, stars, sensitivity=(1.0, 1.0, 1.0, 1.0)):
    """A c0m and its c1m: four chips in counts at one gain setting, no BUNIT; stars in electrons/s.

    A chip of half the sensitivity counts half the electrons, and its PHOTFLAM is twice as large.
    """
    exptime = 400.0
    gains = WFPC2_GAINS[setting]
    write(
        path, "WFPC2", exptime=exptime, shape=(SIDE, SIDE), primary={"ATODGAIN": float(setting)},
        sci=[
            np.full((SIDE, SIDE), sky_e * (scale / WF_SCALE) ** 2, np.float32)
            for scale in (PC_SCALE, WF_SCALE, WF_SCALE, WF_SCALE)
        ],
    )  # fmt: skip
    with fits.open(path, mode="update") as hdus:
        for chip, gain in enumerate(gains, 1):
            hdu = hdus["SCI", chip]
            hdu.header.update(wfpc2_cards(chip, shift_px))
            hdu.header["PHOTFLAM"] = PER_ELECTRON * gain / sensitivity[chip - 1]
            wcs = WCS(hdu.header)
            packed = pack(wcs, hdu.data.shape)
            area = engine_area_map(packed, (0, SIDE, 0, SIDE))
            image = hdu.data.astype(float)
            if stars is not None:
                x, y = wcs.all_world2pix(*stars[:2], 0)
                for px, py, rate in zip(x, y, stars[2], strict=True):
                    # Also what falls into the shadow, which is masked, and beside it.
                    if -9 < px < SIDE + 8 and -9 < py < SIDE + 8:
                        place = np.clip([round(py), round(px)], 0, SIDE - 1)
                        gaussian_star(image, px, py, rate * exptime / area[tuple(place)])
            hdu.data[:] = (image * sensitivity[chip - 1] / gain).astype(np.float32)
    return path


def wfpc2_field(folder, setting, sensitivity=(1.0, 1.0, 1.0, 1.0)):
    """Three dithered exposures of a star field; the stars' RA, Dec and electrons/s at full sensitivity."""
    shifts = ((0.0, 0.0), (5.25, 0.5), (-2.5, 5.75))
    template = write_wfpc2(folder / "u3xx00abm_c0m.fits", setting, 0.0, (0.0, 0.0), None)
    ra, dec = [], []
    with fits.open(template) as hdus:
        for chip in range(1, 5):
            x, y = np.meshgrid([90.0, 140.3, 190.6], [88.4, 140.0, 185.7])
            sky = WCS(hdus["SCI", chip].header).all_pix2world(x.ravel(), y.ravel(), 0)
            ra += sky[0].tolist()
            dec += sky[1].tolist()
    rate = np.geomspace(20.0, 200.0, len(ra))
    paths = [
        write_wfpc2(folder / f"u3xx0{k + 1}abm_c0m.fits", setting, 30.0, shift, (ra, dec, rate), sensitivity)
        for k, shift in enumerate(shifts)
    ]
    return dw.read_exposures(paths), np.array(ra), np.array(dec), rate


@pytest.fixture(scope="module", params=[7, 15])
def wfpc2(request, tmp_path_factory):
    """The field at either gain."""
    return (*wfpc2_field(tmp_path_factory.mktemp("wfpc2"), request.param), request.param)


@pytest.mark.parametrize("units", ["cps", "counts"])
@pytest.mark.parametrize("proc_unit", ["native", "electrons"])
def test_wfpc2_magnitudes_at_either_gain(wfpc2, tmp_path, units, proc_unit):
    exposures, ra, dec, rate, setting = wfpc2
    product = dw.reduce(
        exposures, output=tmp_path / "wf", final_units=units, proc_unit=proc_unit, skymethod="localmin",
        final_wcs=True, final_scale=0.06, final_rot=0.0, final_pixfrac=1.0, driz_cr=False,
    )  # fmt: skip
    name = {"native": "COUNTS", "electrons": "ELECTRONS"}[proc_unit]
    assert product.header["BUNIT"] == name + ("/S" if units == "cps" else "")
    gain = WFPC2_GAINS[setting][0] if proc_unit == "native" else 1.0
    assert product.header["PHOTFLAM"] == pytest.approx(PER_ELECTRON * gain, rel=1e-6)
    truth = -2.5 * np.log10(rate * PER_ELECTRON) - 21.1
    found = magnitudes(product, ra, dec, 0.9)
    for chip in range(4):
        stars = slice(9 * chip, 9 * chip + 9)
        assert np.abs(found[stars] - truth[stars]).max() < 0.01, f"chip {chip + 1}"


def test_chips_of_unlike_sensitivity_give_the_same_magnitudes_when_equalised(tmp_path):
    exposures, ra, dec, rate = wfpc2_field(tmp_path, 7, (1.0, 0.973, 1.01, 0.95))
    truth = -2.5 * np.log10(rate * PER_ELECTRON) - 21.1
    off = {}
    for equalise in (False, True):
        product = dw.reduce(
            exposures, output=tmp_path / f"wf{equalise}", equalise=equalise, skymethod="localmin",
            final_wcs=True, final_scale=0.06, final_rot=0.0, final_pixfrac=1.0, driz_cr=False,
        )  # fmt: skip
        off[equalise] = (magnitudes(product, ra, dec, 0.9) - truth).reshape(4, 9)
        assert product.header["PHOTFLAM"] == pytest.approx(PER_ELECTRON * WFPC2_GAINS[7][0], rel=1e-6)
    assert np.abs(off[True]).max() < 0.01
    # Without it each chip is wrong by its own sensitivity, and by the sky that its neighbours measure.
    assert np.ptp(np.median(off[False], 1)) > 0.05
