import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from drizzlewb.distortion import pixel_to_pixel, pixel_to_sky, sky_to_pixel, tan_wcs
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import read_exposures
from drizzlewb.grid import output_grid
from drizzlewb.products.headers import FitNumbers, revert_file, write_solution
from drizzlewb.products.history import wcs_history
from drizzlewb.products.tweakback import carried, tweakback

CD = np.array([[-1.1e-5, 2.0e-6], [1.9e-6, 1.2e-5]])


def rotated(cd, degrees, scale=1.0):
    a = np.radians(degrees)
    return scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ cd


@settings(deadline=None, max_examples=40)
@given(
    st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(-2, 2), st.floats(0.99, 1.01),
    st.floats(-3000, 3000), st.floats(-3000, 3000),
)  # fmt: skip
def test_what_a_pixel_sees_stays_where_it_was(east, north, turn, scale, x, y):
    """Near the chip's CRPIX, whose neighbourhood its CD describes, to second order."""
    drizzled = tan_wcs((150.0, 60.0), (2000.0, 2000.0), np.diag([-1.1e-5, 1.1e-5]))
    new = tan_wcs(
        (150.0 + east / 3600, 60.0 + north / 3600), (2000.0, 2000.0), rotated(drizzled.cd, turn, scale)
    )
    ra, dec = pixel_to_sky(drizzled, 2000.0 + x, 2000.0 + y)
    crval, cd = carried((ra, dec), CD, drizzled, new)
    before, after = tan_wcs((ra, dec), (10.0, 20.0), CD), tan_wcs(crval, (10.0, 20.0), cd)
    at = np.array([10.0, 10.0, 40.0]), np.array([20.0, 50.0, 20.0])
    assert np.allclose(pixel_to_pixel(before, drizzled, *at), pixel_to_pixel(after, new, *at), atol=1e-7)


def test_without_a_change_nothing_changes():
    drizzled = tan_wcs((150.0, 60.0), (2000.0, 2000.0), np.diag([-1.1e-5, 1.1e-5]))
    crval, cd = carried((150.01, 60.01), CD, drizzled, drizzled)
    assert np.allclose(crval, (150.01, 60.01), rtol=0, atol=1e-12)
    assert np.allclose(cd, CD, rtol=1e-11)


@pytest.fixture
def drizzled(tiny_files, tmp_path):
    """A drizzled image of the files (its WCS is what counts), aligned by 0.2 arcsec and 0.02 degrees."""
    plane = output_grid([c for e in read_exposures(tiny_files) for c in e.chips])
    header = plane.to_header()
    for key in ("NAXIS", "NAXIS1", "NAXIS2"):
        del header[key]
    header["WCSNAME"] = "DRIZZLED"
    primary = fits.PrimaryHDU()
    for k in range(6):  # as AstroDrizzle: one for each chip
        primary.header[f"D{k + 1:03d}DATA"] = f"{tiny_files[k // 2].name}[sci,{k % 2 + 1}]"
    primary.header["NDRIZIM"] = 3
    path = tmp_path / "all_drc.fits"
    sci = fits.ImageHDU(np.zeros(plane.shape, np.float32), header, name="SCI")
    fits.HDUList([primary, sci]).writeto(path)
    crval = plane.wcs.crval + np.array([0.1, 0.2]) / 3600
    write_solution(
        path, {1: (crval, rotated(plane.wcs.cd, 0.02))}, "TWEAK", fit=FitNumbers(2.0, 3.0, 40, "rscale")
    )
    return path


def test_inputs_are_corrected_as_the_product_was(drizzled, tiny_files):
    raw = [p.read_bytes() for p in tiny_files]
    old = [c for e in read_exposures(tiny_files) for c in e.chips]
    changes = tweakback(drizzled)
    assert [c.action for c in changes] == ["tweakback"] * 3
    new = [c for e in read_exposures(tiny_files) for c in e.chips]
    with fits.open(drizzled) as hdus:
        h = hdus["SCI"].header
        before, after = (
            tan_wcs(
                (h[f"CRVAL1{a}"], h[f"CRVAL2{a}"]),
                (h[f"CRPIX1{a}"] - 1, h[f"CRPIX2{a}"] - 1),
                [[h[f"CD{i}_{j}{a}"] for j in (1, 2)] for i in (1, 2)],
            )
            for a in ("A", "")
        )
    for was, now in zip(old, new, strict=True):
        x, y = np.array([0.0, 120.0, 250.0]), np.array([0.0, 60.0, 100.0])
        there = sky_to_pixel(before, *pixel_to_sky(was.wcs, x, y))
        here = sky_to_pixel(after, *pixel_to_sky(now.wcs, x, y))
        assert np.allclose(there, here, atol=1e-5)
    found = wcs_history(tiny_files[0])[0]
    assert (found.name, found.nmatch, found.rms_dec_mas) == ("TWEAK", 40, 3.0)
    for path in tiny_files:
        revert_file(path)
    assert [p.read_bytes() for p in tiny_files] == raw


@pytest.mark.filterwarnings("ignore")
def test_same_as_drizzlepac(drizzled, tiny_files, monkeypatch):
    """CRVAL and what CD makes of 4096 px to 1e-9 deg: DrizzlePac differentiates numerically."""
    peer = pytest.importorskip("drizzlepac.tweakback")
    raw = [p.read_bytes() for p in tiny_files]
    monkeypatch.chdir(drizzled.parent)
    peer.apply_tweak(drizzled.name, orig_wcs_name="DRIZZLED", output_wcs_name="PEER")
    theirs = [[(c.wcs.crval, c.wcs.cd) for c in e.chips] for e in read_exposures(tiny_files)]
    for path, content in zip(tiny_files, raw, strict=True):
        path.write_bytes(content)
    tweakback(drizzled, orig="DRIZZLED")
    ours = [[(c.wcs.crval, c.wcs.cd) for c in e.chips] for e in read_exposures(tiny_files)]
    for a, b in zip(sum(ours, []), sum(theirs, []), strict=True):
        assert np.allclose(a[0], b[0], rtol=0, atol=1e-9)
        assert np.allclose(a[1], b[1], rtol=0, atol=1e-9 / 4096)


def test_bad_input(drizzled, tiny_files, tmp_path):
    with pytest.raises(ParameterError, match=r"'NOPE' is not one of its alternate WCSs: DRIZZLED \(A\)"):
        tweakback(drizzled, orig="NOPE")
    raw = tiny_files[0].read_bytes()
    with pytest.raises(ParameterError, match="has a solution with WCSNAME 'IDC_"):
        tweakback(drizzled, wcsname=wcs_history(tiny_files[0])[0].name)
    tiny_files[2].rename(tmp_path / "away.fits")
    with pytest.raises(DataError, match="its inputs j8ny01t5q_flc.fits are not beside it"):
        tweakback(drizzled)
    assert tiny_files[0].read_bytes() == raw
    revert_file(drizzled)
    with pytest.raises(DataError, match="one WCS only"):
        tweakback(drizzled)
    with pytest.raises(DataError, match="one WCS only"):
        tweakback(drizzled, tiny_files[:1])
