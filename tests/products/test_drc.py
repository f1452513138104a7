"""Product files: structure, completeness, and what happens when something goes wrong."""

import json
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

import drizzlewb as dw
from drizzlewb.errors import Cancelled, DataError, ParameterError
from drizzlewb.grid import OutputGrid
from drizzlewb.products.drc import Product, product_names
from drizzlewb.reduction.schedule import Cancel

QUICK = {"driz_cr": False, "final_wcs": True, "final_rot": 0.0, "final_scale": 0.05}


def names(folder):
    """Files of a folder; the hidden scratch folder lives as long as the product in memory."""
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith(".drizzlewb-"))


@pytest.fixture(scope="module")
def product(tiny_f606w, tmp_path_factory):
    return dw.reduce(tiny_f606w, output=tmp_path_factory.mktemp("product") / "F606W", **QUICK)


def test_structure_is_drizzlepacs(product):
    assert product.path.name == "F606W_drc.fits"
    with fits.open(product.path) as hdus:
        hdus.verify("exception")
        assert [h.name for h in hdus] == ["PRIMARY", "SCI", "WHT", "CTX", "HDRTAB", "RECORD"]
        primary, sci = hdus[0].header, hdus["SCI"].header
        assert hdus["CTX"].data.dtype == np.dtype(">i4")
        assert len(hdus["HDRTAB"].data) == 12
        assert "EXPTIME" in hdus["HDRTAB"].columns.names
    assert primary["NDRIZIM"] == 12
    assert primary["D001DATA"] == "j8ny01svq_flc.fits[sci,1]"
    assert primary["D012DATA"] == "j8ny01ttq_flc.fits[sci,2]"
    assert primary["D001KERN"] == "square"
    assert primary["EXPTIME"] == pytest.approx(2 * 1142 + 4 * 1185)
    assert sci["BUNIT"] == "ELECTRONS/S"
    assert sci["CTYPE1"] == "RA---TAN"
    assert not [k for k in sci if k.startswith(("A_", "B_", "CPDIS", "D2IM", "WCSNAMEA"))]


def test_pixels_wcs_and_record_come_back(product, tiny_f606w):
    ny, nx = product.sci.shape
    assert product.wht.shape == product.ctx.shape == (ny, nx)
    assert np.isnan(product.sci[product.wht == 0]).all()
    x, y = WCS(fits.getheader(product.path, "SCI")).all_world2pix(*product.grid.pixel_to_sky(10.0, 20.0), 0)
    assert (float(x), float(y)) == pytest.approx((10.0, 20.0), abs=1e-6)
    again = Product.open(product.path)
    np.testing.assert_array_equal(again.sci, product.sci)
    beside = json.loads((product.path.parent / "F606W_record.json").read_text())
    assert beside["inputs"] == again.record["inputs"]
    assert beside["results"]["shape"] == [ny, nx]
    assert len(again.record["inputs"]) == 6
    assert again.record["parameters"]["astrodrizzle"]["final_scale"] == 0.05
    assert again.parameters == product.parameters == product.reduction.parameters
    with pytest.raises(DataError, match="Replay it"):
        _ = again.crmask


def test_preview_has_the_same_bits(product, tiny_f606w):
    cutout = dw.preview(tiny_f606w, center=product.grid.pixel_to_sky(200.0, 250.0), size=(60, 80), **QUICK)
    where = cutout.region.slices()
    np.testing.assert_array_equal(cutout.sci, product.sci[where])
    np.testing.assert_array_equal(cutout.wht, product.wht[where])
    np.testing.assert_array_equal(cutout.ctx[0], product.ctx[where])
    middle = cutout.wcs.all_world2pix(*product.grid.pixel_to_sky(200.0, 250.0), 0)
    assert middle == pytest.approx([39.5, 29.5], abs=0.51)


def test_separate_files(tiny_f606w, product, tmp_path):
    apart = dw.reduce(tiny_f606w, output=tmp_path / "a", build=False, **QUICK)
    assert names(tmp_path) == [
        "a_drc_ctx.fits", "a_drc_sci.fits", "a_drc_wht.fits", "a_record.json",
    ]  # fmt: skip
    np.testing.assert_array_equal(apart.sci, product.sci)
    np.testing.assert_array_equal(apart.ctx, product.ctx)
    np.testing.assert_array_equal(Product.open(apart.path).wht, product.wht)
    for path in apart.paths[:3]:
        with fits.open(path) as hdus:
            hdus.verify("exception")
            assert OutputGrid.from_header(hdus[0].header) == product.grid


def test_no_context_and_fill_value(tiny_f606w, product, tmp_path):
    bare = dw.reduce(tiny_f606w, output=tmp_path / "b", context=False, final_fillval=-7.0, **QUICK)
    assert bare.ctx is None
    assert (bare.sci[bare.wht == 0] == -7).all()
    with fits.open(bare.path) as hdus:
        assert "CTX" not in hdus


def test_counts_are_rates_times_total_exposure_time(tiny_f606w, product, tmp_path):
    counts = dw.reduce(tiny_f606w, output=tmp_path / "c", final_units="counts", **QUICK)
    total = sum(e.exptime for e in tiny_f606w)
    # Each input pixel is rounded to float32 once more: 6e-8 of the brightest neighbour.
    expected = product.sci * np.float32(total)
    np.testing.assert_allclose(counts.sci, expected, rtol=2e-6, atol=1e-6 * np.nanmax(expected))
    assert counts.header["BUNIT"] == "ELECTRONS"


def test_an_existing_product_is_left_alone(tiny_f606w, tmp_path):
    first = dw.reduce(tiny_f606w[:1], output=tmp_path / "d", **QUICK)
    before = first.path.read_bytes()
    with pytest.raises(DataError, match=r"exists already and was left alone.*--replace"):
        dw.reduce(tiny_f606w[:2], output=tmp_path / "d", **QUICK)
    assert first.path.read_bytes() == before
    second = dw.reduce(tiny_f606w[:2], output=tmp_path / "d", replace=True, **QUICK)
    assert second.path.read_bytes() != before
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize("step", ["sky", "separate and median", "cosmic rays", "final drizzle"])
def test_a_cancelled_run_leaves_nothing(tiny_f606w, tmp_path, step, monkeypatch):
    monkeypatch.setattr("drizzlewb.reduction.tiling.LARGEST_SIDE", 128)
    monkeypatch.setattr("drizzlewb.reduction.tiling.PRODUCT_SIDE", 128)
    cancel = Cancel()

    def progress(name, done, total, message=""):
        if name == step:
            cancel.set()

    with pytest.raises(Cancelled):
        dw.reduce(tiny_f606w, output=tmp_path / "e", progress=progress, cancel=cancel, threads=1)
    assert not names(tmp_path)


def test_no_name_no_folder_no_room(tiny_f606w, tmp_path):
    with pytest.raises(ParameterError, match="No name for the product"):
        dw.reduce(tiny_f606w)
    with pytest.raises(DataError, match="does not exist"):
        dw.reduce(tiny_f606w, output=tmp_path / "absent" / "f")
    with pytest.raises(DataError, match=r"needs \d+\.\d+ GB but the disk"):
        dw.reduce(tiny_f606w, output=tmp_path / "g", final_wcs=True, final_outnx=900_000, final_outny=900_000)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_folder_is_refused(tiny_f606w, tmp_path, monkeypatch):
    # As root every folder can be written, so the system's answer is replaced.
    monkeypatch.setattr("drizzlewb.products.drc.os.access", lambda *_: False)
    with pytest.raises(DataError, match="cannot be written to"):
        dw.reduce(tiny_f606w, output=tmp_path / "h")
    assert not list(tmp_path.iterdir())


def test_inputs_are_not_touched(tiny_set, tmp_path):
    files = sorted(tiny_set.glob("j8ny01*_flc.fits"))[:3]
    before = [(p.read_bytes(), p.stat().st_mtime_ns) for p in files]
    dw.reduce(dw.read_exposures(files), output=tmp_path / "i")
    assert [(p.read_bytes(), p.stat().st_mtime_ns) for p in files] == before


def test_names():
    assert product_names("F606W", "drc", True)["sci"] == "F606W_drc.fits"
    assert product_names("F606W_drc.fits", "drc", True)["sci"] == "F606W_drc.fits"
    assert product_names("a.b", "drz", False)["wht"] == "a.b_drz_wht.fits"


def test_importing_drizzlewb_needs_no_widget_library():
    code = (
        "import sys, drizzlewb; "
        "bad = {'ipywidgets', 'bqplot', 'IPython', 'matplotlib', 'numba', 'astropy'} & set(sys.modules); "
        "raise SystemExit(', '.join(bad) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
