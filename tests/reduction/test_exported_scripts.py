"""The exported scripts run with the real DrizzlePac, on files that carry our accepted WCS.

Each script is run as its user would run it: a file, in a folder with copies of the exposures, in a process
of its own. The tiny set in every run, the small one with ``make long``.
"""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from astrodrizzle_peer import assert_final_parity, noise, peer_masks, run_script, touched_pixels
from astropy.io import fits
from astropy.wcs import WCS
from photutils.aperture import CircularAperture, aperture_photometry
from photutils.detection import DAOStarFinder

import drizzlewb as dw
from drizzlewb.cli import main
from drizzlewb.parameters import AlignParameters
from drizzlewb.parameters.exchange import to_json
from drizzlewb.parameters.scripts import from_script
from drizzlewb.reduction import Reduction
from drizzlewb.reduction.exporting import read_source
from drizzlewb.training.simulate import simulate

pytest.importorskip("drizzlepac", reason="the peer is not installed (extra 'peers')")

SIZES = ["tiny", pytest.param("small", marks=pytest.mark.long)]
FIRST = ["j8ny01svq", "j8ny01szq", "j8ny01t5q", "j8ny01t9q", "j8ny01tfq", "j8ny01ttq"]
MANY = {"tiny": FIRST[:4], "small": FIRST}
BOTH = ["j8ny01svq", "j8ny01tfq", "j8ny02yvq", "j8ny02zdq"]
FINDING = {"threshold": 100.0, "conv_width": 3.5}
KEYWORDS = {"final_wcs": True, "final_scale": 0.04, "final_rot": 0.0, "final_pixfrac": 0.8}
RADIUS_PX = 3.0  # 0.12 arcsec


def copies(request, size, names, folder):
    """Copies of exposures of a training set."""
    if size == "tiny":
        source = request.getfixturevalue("tiny_set")
    else:
        source = folder / "simulated"
        simulate(source, size=size, exposures=names)
    return [shutil.copy(source / f"{name}_flc.fits", folder) for name in names]


@pytest.fixture(scope="module", params=SIZES)
def drizzled(request, tmp_path_factory):
    """Aligned, accepted, written; reduced; the product's record exported and run in DrizzlePac."""
    folder = tmp_path_factory.mktemp("exported")
    files = copies(request, request.param, MANY[request.param], folder)
    session = dw.Session(files)
    session.set(**FINDING)
    session.align().result(300)
    session.accept()
    session.apply_alignment(wcsname="ACCEPTED")
    exposures = dw.read_exposures(files)
    assert {e.wcsname for e in exposures} == {"ACCEPTED"}
    product = dw.reduce(exposures, output=folder / "F606W", **KEYWORDS)
    peer = folder / "peer"
    peer.mkdir()
    for path in files:
        shutil.copy(path, peer)
    script = peer / "reduce.py"
    assert main(["export", str(product.path), "--to", "drizzlepac", "--out", str(script)]) == 0
    run_script(script)
    with fits.open(peer / "F606W_drc.fits") as hdus:
        theirs = [np.array(hdus[part].data).astype(dtype) for part, dtype in
                  (("SCI", np.float32), ("WHT", np.float32), ("CTX", np.int32))]  # fmt: skip
    theirs[2] = theirs[2].view(np.uint32)
    return SimpleNamespace(
        folder=peer, script=script, exposures=exposures, product=product,
        reduction=Reduction(exposures, product.parameters), peer=theirs,
    )  # fmt: skip


@pytest.fixture(scope="module")
def parity(drizzled):
    """The same product with the peer's noise."""
    parameters = drizzled.product.parameters.replace(peer_noise=True)
    product = dw.reduce(drizzled.exposures, parameters, output=drizzled.folder.parent / "parity")
    return product, Reduction(drizzled.exposures, parameters)


def test_parity_mode_exports_the_same_call(drizzled, parity, capsys):
    """So that one run of the peer serves both modes."""
    assert main(["export", str(parity[0].path), "--to", "drizzlepac"]) == 0
    ours = from_script(drizzled.script.read_text()).reduce
    theirs = from_script(capsys.readouterr().out).reduce
    assert set(theirs.differences(ours)) == {"peer_noise", "output"}


def test_parity_mode_masks(drizzled, parity):
    differing = total = flagged = 0
    for number, _, mask in peer_masks(drizzled.folder, parity[1]):
        differing += np.count_nonzero(parity[1].crmask(number) != mask)
        flagged += np.count_nonzero(mask == 0)
        total += mask.size
    assert flagged > 0.01 * total
    assert differing <= 1e-4 * total


def test_parity_mode_product(drizzled, parity):
    product, reduction = parity
    touched = touched_pixels(product, drizzled.folder, reduction)
    assert touched.mean() < 0.01
    assert_final_parity(product, drizzled.peer, ~touched)


def test_default_mode_sky(drizzled):
    told = {row["chip"]: row["subtracted_e"] for row in drizzled.product.record["results"]["sky"]}
    assert len(told) == 2 * len(drizzled.exposures)
    for chip, sky in told.items():
        root, _, extension = chip.partition("[")
        version = int(extension.rstrip("]").rpartition(",")[2])
        header = fits.getheader(drizzled.folder / f"{root}_flc.fits", ("SCI", version))
        assert sky == pytest.approx(header["MDRIZSKY"], rel=1e-4)


def test_default_mode_masks(drizzled):
    """The sky counted once in the noise, and not twice: more is flagged, at most 0.5 % of all pixels."""
    ours_only = theirs_only = total = 0
    for number, _, mask in peer_masks(drizzled.folder, drizzled.reduction):
        ours = drizzled.reduction.crmask(number)
        ours_only += np.count_nonzero((ours == 0) & (mask == 1))
        theirs_only += np.count_nonzero((ours == 1) & (mask == 0))
        total += mask.size
    assert 0 < ours_only <= 0.005 * total
    assert theirs_only <= 0.005 * ours_only


def test_default_mode_magnitudes(drizzled):
    """Within 0.003 mag, but for a few stars that hold a pixel whose masks differ.

    Four tiny exposures: 115 of 117 stars; six small ones: 1589 of 1592. The others hold a cosmic ray that
    only we flag, or one of the star's own pixels. Nothing else makes a difference: without such a pixel in
    the aperture, 1e-4 mag.
    """
    ours, theirs = (np.asarray(image, float) for image in (drizzled.product.sci, drizzled.peer[0]))
    bad = ~np.isfinite(ours) | ~np.isfinite(theirs)
    sigma = noise(theirs)
    finder = DAOStarFinder(threshold=15 * sigma, fwhm=3.0)
    stars = finder(np.where(bad, 0, theirs), mask=bad)
    aperture = CircularAperture(np.c_[stars["x_centroid"], stars["y_centroid"]], r=RADIUS_PX)

    def total(image):
        return np.asarray(aperture_photometry(np.where(bad, 0, image), aperture)["aperture_sum"])

    seconds = sum(e.exptime for e in drizzled.exposures)
    electrons = total(theirs) * seconds
    ratio = electrons / np.sqrt(np.maximum(electrons, 0) + aperture.area * (sigma * seconds) ** 2)
    chosen = (ratio > 100) & (total(bad) == 0)
    assert np.count_nonzero(chosen) >= 50
    miss = np.abs(2.5 * np.log10(total(ours)[chosen] / total(theirs)[chosen]))
    assert np.mean(miss <= 0.003) >= 0.98
    touched = touched_pixels(drizzled.product, drizzled.folder, drizzled.reduction).astype(float)
    assert miss[total(touched)[chosen] == 0].max() <= 1e-4


@pytest.mark.parametrize(
    ("size", "tolerance_px"),
    [
        # Some 60 stars, whose positions TweakReg finds to 0.04 px: it is itself wrong by 0.01 px.
        ("tiny", 0.015),
        pytest.param("small", 0.005, marks=pytest.mark.long),
    ],
)
def test_the_alignment(request, tmp_path, size, tolerance_px):
    """Stars fall on the same place of the sky, in px rms over each exposure."""
    files = copies(request, size, BOTH, tmp_path)
    peer = tmp_path / "peer"
    peer.mkdir()
    for path in files:
        shutil.copy(path, peer)
    parameters = AlignParameters.from_keywords({**FINDING, "updatehdr": True, "wcsname": "FITTED"})
    (tmp_path / "P.json").write_text(to_json(align=parameters))
    assert main(["align", *map(str, files), "--params", str(tmp_path / "P.json"), "--quiet",
                 "--out", str(tmp_path)]) == 0  # fmt: skip
    script = peer / "align.py"
    names = [f"{name}_flc.fits" for name in BOTH]
    assert main(["export", str(tmp_path / "P.json"), "--to", "drizzlepac", "--files", *names,
                 "--out", str(script)]) == 0  # fmt: skip
    assert read_source(script).align == parameters
    run_script(script)
    for name in names[1:]:
        assert fits.getval(peer / name, "WCSNAME", ("SCI", 1)) == "FITTED"
        miss = []
        with fits.open(tmp_path / name) as ours, fits.open(peer / name) as theirs:
            for version in (1, 2):
                ny, nx = ours["SCI", version].shape
                x, y = (a.ravel() for a in np.meshgrid(np.linspace(0, nx - 1, 9), np.linspace(0, ny - 1, 9)))
                sky = WCS(ours["SCI", version].header, ours).all_pix2world(x, y, 0)
                px, py = WCS(theirs["SCI", version].header, theirs).all_world2pix(*sky, 0)
                miss.append(np.hypot(px - x, py - y))
        assert np.sqrt(np.mean(np.square(miss))) <= tolerance_px
