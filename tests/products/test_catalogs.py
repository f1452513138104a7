import numpy as np
import pytest
from astropy.io import ascii as tables
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS, FITSFixedWarning

from drizzlewb.products import catalogs
from drizzlewb.products.aligned import align
from drizzlewb.steps.fit import iterate_fit

FINDING = {"threshold": 50, "conv_width": 3.5, "minobj": 5}


@pytest.fixture(scope="module")
def solution(tiny_set):
    names = ("j8ny01svq_flc.fits", "j8ny01szq_flc.fits", "j8ny01t5q_flc.fits")
    return align([str(tiny_set / name) for name in names], **FINDING).solution


def test_source_catalogs(solution, tmp_path):
    written = catalogs.write_catalogs(solution, tmp_path)
    assert len(written) == 3 * 3 + 1
    sources = solution.alignments[1].sources
    rows = [np.loadtxt(tmp_path / f"j8ny01szq_flc_sci{k}_xy_catalog.coo") for k in (1, 2)]
    both = np.concatenate(rows)
    assert np.allclose(both[:, 0], sources.x + 1, atol=1e-4)
    assert np.allclose(both[:, 1], sources.y + 1, atol=1e-4)
    assert np.allclose(both[:, 2], sources.flux, rtol=1e-6)
    assert both[:, 3].tolist() == list(range(1, len(sources) + 1))
    sky = np.loadtxt(tmp_path / "j8ny01szq_flc_sky_catalog.coo")
    assert np.allclose(sky, sources.sky, atol=1e-11)
    listed = (tmp_path / "j8ny01svq_flc_xy_catfile.list").read_text().splitlines()
    assert listed[1].split() == [
        "j8ny01szq_flc.fits", "j8ny01szq_flc_sci1_xy_catalog.coo", "j8ny01szq_flc_sci2_xy_catalog.coo",
    ]  # fmt: skip


def test_our_catalogs_are_read_as_catfile(solution, tiny_set, tmp_path, monkeypatch):
    catalogs.write_catalogs(solution, tmp_path)
    monkeypatch.chdir(tmp_path)
    again = align(
        [e.path for e in solution.originals], minobj=5, catfile="j8ny01svq_flc_xy_catfile.list", fluxcol="3"
    )
    for a, b in zip(again.alignments, solution.alignments, strict=True):
        assert len(a.sources) == len(b.sources)
        if b.fit is not None:
            assert np.allclose(a.fit.shift, b.fit.shift, atol=0.01)


def test_matches_refit_to_the_same_numbers(solution, tmp_path):
    catalogs.write_matches(solution, tmp_path)
    for rootname, fit in solution.fits.items():
        path = tmp_path / f"{rootname}_flc_catalog_fit.match"
        data = np.genfromtxt(path, usecols=range(17))
        assert len(data) == fit.nmatch
        again = iterate_fit(data[:, 2:4], data[:, 0:2], "rscale", (0.0, 0.0), nclip=0)
        assert np.allclose(again.shift, fit.shift, atol=2e-6)
        assert again.rotation == pytest.approx(fit.rotation, abs=1e-6)
        # Residuals are fit minus input, as TweakReg's.
        assert np.allclose(data[:, 4:6] - data[:, 2:4], data[:, 6:8], atol=2e-6)
        assert np.allclose(data[:, 6:8].std(0), fit.rms_xy, atol=1e-6)
        text = path.read_text()
        assert f"X and Y rms: {fit.rms_xy[0]:.2g}  {fit.rms_xy[1]:.2g}" in text
        assert "Column 18: Ref source provenience" in text
        # Pixels of the reference image, and of this one.
        reference = solution.alignments[0].sources
        at = data[:, 12].astype(int) - 1
        assert np.allclose(data[:, 8], reference.x[at] + 1, atol=1e-5)
        sources = solution[rootname].sources
        assert np.allclose(data[:, 11], sources.y[data[:, 13].astype(int) - 1] + 1, atol=1e-5)
        assert set(data[:, 14]) <= {1.0, 2.0}
        pairs = np.genfromtxt(tmp_path / f"{rootname}_flc_xy_catalog.match", usecols=range(10))
        assert len(pairs) == len(fit.used)


def test_fitted_positions_on_the_sky(solution, tmp_path):
    """A star's RA and Dec after the fit are the reference's, but for the residual."""
    catalogs.write_matches(solution, tmp_path)
    data = np.genfromtxt(tmp_path / "j8ny01szq_flc_catalog_fit.match", usecols=range(17))
    stars = solution.alignments[0].sources
    at = data[:, 12].astype(int) - 1
    east = (data[:, 15] - stars.ra[at]) * np.cos(np.radians(stars.dec[at])) * 3600
    north = (data[:, 16] - stars.dec[at]) * 3600
    apart = np.hypot(east, north) / solution.plane.scale_arcsec
    assert np.allclose(apart, np.hypot(data[:, 6], data[:, 7]), atol=1e-4)


def test_shift_file_and_its_plane(solution, tmp_path):
    catalogs.write_shifts(solution, tmp_path / "shifts.txt", tmp_path / "shifts_wcs.fits")
    lines = (tmp_path / "shifts.txt").read_text().splitlines()
    assert lines[:4] == [
        "# frame: output",
        "# refimage: shifts_wcs.fits[wcs]",
        "# form: delta",
        "# units: pixels",
    ]
    assert lines[4].split()[1:] == ["0.000000", "0.000000", "0.000000", "1.000000", "0.000000", "0.000000"]
    name, dx, dy, rot, scale, rx, _ = lines[5].split()
    fit = solution.fits["j8ny01szq"]
    assert name == "j8ny01szq_flc.fits"
    assert (float(dx), float(dy)) == pytest.approx(tuple(fit.shift), abs=1e-6)
    assert float(rot) == pytest.approx(fit.rotation % 360, abs=1e-6)
    assert float(scale) == pytest.approx(fit.scale, abs=1e-6)
    assert float(rx) == pytest.approx(fit.rms_xy[0], abs=1e-6)
    with fits.open(tmp_path / "shifts_wcs.fits") as hdus:
        header = hdus["WCS"].header
        with pytest.warns(FITSFixedWarning, match="more axes"):
            plane = WCS(header)
    assert np.allclose(plane.wcs.crval, solution.plane.wcs.crval, rtol=1e-14)
    assert np.allclose(plane.wcs.crpix, solution.plane.wcs.crpix + 1, rtol=1e-14)
    assert (header["NPIX2"], header["NPIX1"]) == solution.plane.shape


def test_refused_rows_are_nan(tiny_files, tmp_path):
    with fits.open(tiny_files[1], mode="update") as hdus:
        for ver in (1, 2):
            hdus["SCI", ver].data[:] = 0.0
    solution = align(tiny_files, **FINDING).solution
    catalogs.write_shifts(solution, tmp_path / "s.txt", tmp_path / "w.fits")
    assert (tmp_path / "s.txt").read_text().splitlines()[5].split()[1:] == ["nan"] * 4 + ["0.000000"] * 2
    assert len(catalogs.write_matches(solution, tmp_path)) == 2
    assert np.isnan(Table.read(catalogs.write_table(solution, tmp_path / "t.ecsv"))["rms_px"][1])


def test_table_has_units_and_the_whole_matrix(solution, tmp_path):
    path = catalogs.write_table(solution, tmp_path / "run.ecsv")
    table = tables.read(path, format="ecsv")
    assert str(table["rms_mas"].unit) == "mas"
    assert str(table["dx"].unit) == "pix"
    fit = solution.fits["j8ny01t5q"]
    row = table[2]
    matrix = [[row["m00"], row["m01"]], [row["m10"], row["m11"]]]
    assert np.array_equal(matrix, fit.matrix)
    assert row["file"] == "j8ny01t5q_flc.fits"
    assert table.meta["parameters"]["minobj"] == "5"
    assert table.meta["reference"] == "j8ny01svq"


def test_log_tells_the_run(solution, tmp_path):
    text = catalogs.write_log(solution, tmp_path / "tweakreg.log", ["written: x"]).read_text()
    fit = solution.fits["j8ny01szq"]
    assert "threshold :\t50.0" in text
    assert f"XSH: {fit.shift[0]:.4f}  YSH: {fit.shift[1]:.4f}" in text
    assert f"Final solution based on  {fit.nmatch}  objects." in text
    assert str(solution.alignments[1].verdict) in text
    assert text.endswith("[INFO    ] written: x\n")


@pytest.mark.filterwarnings("ignore")
def test_drizzlepac_makes_of_our_shifts_what_we_make(solution, tiny_files, tmp_path):
    """DrizzlePac's header update with our plane and numbers gives our CRVAL and CD.

    To 1e-10 deg with the numbers as they are (measured: 3e-12); with the six digits of the shift file to
    1e-8: its scale is good to 5e-7, and CRPIX lies 1060 px of 0.05 arcsec from the centre. CD, which
    DrizzlePac differentiates numerically, to 1e-13 deg/px (measured: 5e-14), and 5e-7 of it.
    """
    updatehdr = pytest.importorskip("drizzlepac.updatehdr")
    catalogs.write_shifts(solution, tmp_path / "s.txt", tmp_path / "w.fits")
    written = (tmp_path / "s.txt").read_text().splitlines()[5].split()[1:5]
    fit = solution.fits["j8ny01szq"]
    exact = (*fit.shift, fit.rotation, fit.scale)
    raw = tiny_files[1].read_bytes()
    for (dx, dy, rot, scale), tolerance, of_cd in ((exact, 1e-10, 1e-13), (map(float, written), 1e-8, 1e-11)):
        tiny_files[1].write_bytes(raw)
        updatehdr.updatewcs_with_shift(
            str(tiny_files[1]), str(tmp_path / "w.fits"), wcsname="PEER", xsh=dx, ysh=dy, rot=rot, scale=scale
        )
        with fits.open(tiny_files[1]) as hdus:
            for chip in solution.exposures[1].chips:
                h = hdus["SCI", chip.extver].header
                assert [h["CRVAL1"], h["CRVAL2"]] == pytest.approx(chip.wcs.crval.tolist(), abs=tolerance)
                cd = [h[f"CD{i}_{j}"] for i in (1, 2) for j in (1, 2)]
                assert cd == pytest.approx(chip.wcs.cd.ravel().tolist(), abs=of_cd)
