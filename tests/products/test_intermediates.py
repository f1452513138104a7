"""Intermediate images: the peer's files and pixels, complete or absent."""

import json
import shutil

import numpy as np
import pytest
from astrodrizzle_peer import run_peer
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import maximum_filter, minimum_filter

import drizzlewb as dw
from drizzlewb.errors import Cancelled, DataError, ParameterError
from drizzlewb.grid import OutputGrid
from drizzlewb.parameters import ReduceParameters
from drizzlewb.products.drc import Product
from drizzlewb.products.intermediates import MaskProduct, file_names, wanted_kinds
from drizzlewb.reduction.schedule import Cancel

ALL = ("single_sci", "single_wht", "med", "blt", "crmask", "crclean", "staticMask")
CHAIN = {
    "skymethod": "localmin",
    "driz_sep_bits": "336",
    "final_bits": "336",
    "combine_type": "minmed",
    "final_wcs": True,
    "final_scale": 0.05,
    "final_rot": 0.0,
}


def names(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith(".drizzlewb-"))


@pytest.fixture(scope="module")
def files(tiny_set):
    return sorted(tiny_set.glob("j8ny01*_flc.fits"))[:4]


@pytest.fixture(scope="module")
def kept(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    product = dw.reduce(
        dw.read_exposures(files), ReduceParameters(), output=folder / "peer", **CHAIN, resetbits=0,
        peer_noise=True, driz_cr_corr=True, keep=("single_sci", "single_wht", "med", "blt", "staticMask"),
    )  # fmt: skip
    return folder, product


@pytest.fixture(scope="module")
def peer(files, tmp_path_factory):
    pytest.importorskip("drizzlepac", reason="the peer is not installed (extra 'peers')")
    folder = tmp_path_factory.mktemp("peer")
    run_peer(files, folder, {**CHAIN, "driz_cr_corr": True})
    return folder


# The peer's other files hold what ours does in memory: its weights of each pixel, and the sky's masks.
NOT_OURS = ("_final_mask", "_single_mask", "_skymatch_mask", "_flc.fits")


def test_the_same_files_as_the_peers(kept, peer):
    theirs = {p.name for p in peer.glob("*.fits") if not any(word in p.name for word in NOT_OURS)}
    # Its product root is cut at the last underscore for the static masks: nothing is left of "peer".
    theirs = {f"peer{name}" if name.startswith("_") else name for name in theirs}
    ours = {name for name in names(kept[0]) if name.endswith(".fits")}
    assert ours == theirs
    assert set(names(kept[0])) - ours == {"peer_record.json"}


def pair(kept, peer, name, extension=0):
    ours = fits.getdata(kept[0] / name, extension)
    theirs = fits.getdata(peer / name.replace("peer_128", "_128"), extension)
    assert ours.shape == theirs.shape
    return ours.astype(float), theirs.astype(float)


ROOTS = ("j8ny01svq", "j8ny01szq", "j8ny01t5q", "j8ny01t9q")


@pytest.mark.parametrize("root", ROOTS)
def test_single_images_equal_the_peers(kept, peer, root):
    sci, their_sci = pair(kept, peer, f"{root}_single_sci.fits")
    wht, their_wht = pair(kept, peer, f"{root}_single_wht.fits")
    # float32 sums against ours in float64; the peer keeps a value where only bad pixels fell (weight 0).
    np.testing.assert_allclose(wht, their_wht, rtol=0, atol=1e-6 * their_wht.max())
    good = their_wht > 0
    np.testing.assert_allclose(sci[good], their_sci[good], rtol=2e-6, atol=2e-6)
    assert (sci[~good] == 0).all()


def test_the_median_equals_the_peers(kept, peer):
    ours, theirs = pair(kept, peer, "peer_med.fits")
    # Pixels whose weight lies between the two thresholds (a mean that is computed, one that is measured).
    other = np.abs(ours - theirs) > 1e-5 * np.abs(theirs) + 1e-5
    assert other.mean() < 5e-4


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("chip", [1, 2])
def test_blots_equal_the_peers(kept, peer, root, chip):
    ours, theirs = pair(kept, peer, f"{root}_sci{chip}_blt.fits")
    # The peer rounds positions to float32 (3e-5 px at x ~ 300): errors scale with the local range.
    contrast = maximum_filter(theirs, 3) - minimum_filter(theirs, 3)
    far = np.abs(ours - theirs) > 1e-3 * contrast + 1e-5 * np.abs(theirs) + 1e-3
    assert far.mean() < 6e-3  # around the pixels of the median that differ


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("chip", [1, 2])
def test_masks_equal_the_peers(kept, peer, root, chip):
    ours, theirs = pair(kept, peer, f"{root}_sci{chip}_crmask.fits")
    assert (theirs == 0).any()
    assert (ours != theirs).mean() <= 1e-4
    static, their_static = pair(kept, peer, f"peer_128x256_{chip}_staticMask.fits")
    np.testing.assert_array_equal(static, their_static)


@pytest.mark.parametrize("root", ROOTS)
def test_cleaned_images_replace_what_the_peers_replace(kept, peer, files, root):
    with (
        fits.open(kept[0] / f"{root}_crclean.fits") as ours,
        fits.open(peer / f"{root}_crclean.fits") as theirs,
        fits.open(files[ROOTS.index(root)]) as original,
    ):
        assert [(h.name, h.ver) for h in ours] == [(h.name, h.ver) for h in original]
        for chip in (1, 2):
            replaced = ours["DQ", chip].data != 0
            assert set(np.unique(ours["DQ", chip].data)) == {0, 4096}
            untouched = ours["SCI", chip].data[~replaced]
            np.testing.assert_array_equal(untouched, original["SCI", chip].data[~replaced])
            blot = fits.getdata(kept[0] / f"{root}_sci{chip}_blt.fits")
            np.testing.assert_array_equal(ours["SCI", chip].data[replaced], blot[replaced])
            # The peer writes the masks of all chips into DQ,1, so that the last one's is there.
            if chip == 2:
                differing = replaced != (theirs["DQ", 1].data != 0)
                assert differing.mean() <= 1e-4
            np.testing.assert_array_equal(ours["ERR", chip].data, original["ERR", chip].data)


def test_headers_of_intermediate_images(kept, files):
    folder, product = kept
    exposure = product.reduction.exposures[0]
    for name in names(folder):
        if name.endswith(".fits"):
            with fits.open(folder / name) as hdus:
                hdus.verify("exception")
                assert hdus[0].header["FILENAME"] == name
    for name in ("peer_med.fits", "j8ny01svq_single_sci.fits"):
        header = fits.getheader(folder / name)
        grid = OutputGrid.from_header(header)
        assert grid.shape == product.reduction.separate_grid.shape
        corner = grid.sky_to_pixel(*product.reduction.separate_grid.pixel_to_sky(0.0, 300.0))
        assert corner == pytest.approx((0.0, 300.0), abs=1e-7)  # astropy writes 16 digits
        assert header["BUNIT"] == "ELECTRONS/S"
    assert fits.getheader(folder / "j8ny01svq_single_sci.fits")["EXPTIME"] == exposure.exptime
    blot = fits.getheader(folder / "j8ny01svq_sci2_blt.fits")
    assert (blot["BUNIT"], blot["EXPTIME"], blot["INSTRUME"]) == ("ELECTRONS", exposure.exptime, "ACS")
    # TAN and SIP of the chip, without the tables (below 0.1 px).
    with fits.open(files[0]) as hdus:
        true = WCS(hdus["SCI", 2].header, hdus).all_pix2world(100.0, 50.0, 0)
    assert WCS(blot).all_world2pix(*true, 0) == pytest.approx([100.0, 50.0], abs=0.2)


def test_product_and_record_name_them(kept):
    folder, product = kept
    assert {p.name for p in product.paths} == set(names(folder))
    record = json.loads((folder / "peer_record.json").read_text())
    assert set(record["results"]["intermediates"]) == {
        n for n in names(folder) if n not in ("peer_record.json",) and "_drc_" not in n
    }


def test_any_tile_side_gives_the_same_files(kept, files, tmp_path, monkeypatch):
    monkeypatch.setattr("drizzlewb.reduction.keeping.SIDE", 70)
    monkeypatch.setattr("drizzlewb.reduction.tiling.LARGEST_SIDE", 128)
    monkeypatch.setattr("drizzlewb.reduction.tiling.PRODUCT_SIDE", 128)
    dw.reduce(
        dw.read_exposures(files), ReduceParameters(), output=tmp_path / "peer", **CHAIN, resetbits=0,
        peer_noise=True, driz_combine=False, threads=3, keep=ALL,
    )  # fmt: skip
    compared = 0
    for name in names(tmp_path):
        if name.endswith(".fits"):
            assert (tmp_path / name).read_bytes() == (kept[0] / name).read_bytes()
            compared += 1
    assert compared == 4 * 2 + 4 * 2 * 2 + 4 + 1 + 2


def test_without_a_product(files, tmp_path):
    exposures = dw.read_exposures(files[:3])
    made = dw.reduce(exposures, output=tmp_path / "m", driz_combine=False, keep="crmask")
    assert isinstance(made, MaskProduct)
    assert made.path.name == "m_record.json"
    assert names(tmp_path) == sorted(
        [f"{e.rootname}_sci{k}_crmask.fits" for e in exposures for k in (1, 2)] + ["m_record.json"]
    )
    assert made.record["results"]["crfraction"]
    np.testing.assert_array_equal(
        made.crmask["j8ny01svq", 1], fits.getdata(tmp_path / "j8ny01svq_sci1_crmask.fits")
    )
    with pytest.raises(DataError, match=r"made no SCI, because driz_combine is off"):
        _ = made.sci
    with pytest.raises(DataError, match="exists already"):
        dw.reduce(exposures, output=tmp_path / "m", driz_combine=False, keep="crmask")


@pytest.mark.parametrize("step", ["intermediate images", "final drizzle"])
def test_a_cancelled_run_leaves_none(files, tmp_path, step):
    cancel = Cancel()

    def progress(name, done, total, message=""):
        if name == step:
            cancel.set()

    # One tile of the product is all there is here, so that only work before it can be cancelled.
    keywords = {"final_wcs": True, "final_scale": 0.02} if step == "final drizzle" else {}
    with pytest.raises(Cancelled):
        dw.reduce(
            dw.read_exposures(files[:3]), output=tmp_path / "e", keep=ALL, progress=progress, cancel=cancel,
            threads=1, **keywords, memory_budget_mb=50,
        )  # fmt: skip
    assert not names(tmp_path)


def test_existing_files_are_left_alone(files, tmp_path):
    old = tmp_path / "j8ny01szq_sci2_crmask.fits"
    old.write_bytes(b"mine")
    keywords = {"output": tmp_path / "x", "driz_combine": False, "keep": "crmask"}
    with pytest.raises(DataError, match=r"szq_sci2_crmask\.fits exists already and was left alone"):
        dw.reduce(dw.read_exposures(files[:2]), **keywords)
    assert old.read_bytes() == b"mine"
    dw.reduce(dw.read_exposures(files[:2]), replace=True, **keywords)
    assert old.read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("keywords", "kinds"),
    [
        ({}, ()),
        ({"keep": "med,blt"}, ("med", "blt")),
        ({"keep": ["blt", "med"]}, ("med", "blt")),
        ({"driz_cr_corr": True}, ("crmask", "crclean")),
        ({"driz_cr_corr": True, "driz_cr": False}, ()),
        ({"keep": ALL, "clean": True}, ("crclean",)),
        ({"driz_cr_corr": True, "clean": True}, ("crclean",)),
    ],
)
def test_what_is_kept(keywords, kinds):
    assert wanted_kinds(ReduceParameters.from_keywords(keywords)) == kinds


@pytest.mark.parametrize(
    ("kind", "switch"),
    [("med", "median"), ("blt", "blot"), ("crmask", "driz_cr"), ("staticMask", "static")],
)
def test_what_is_switched_off_cannot_be_kept(files, tmp_path, kind, switch):
    off = {"driz_cr": False, switch: False}
    with pytest.raises(ParameterError, match=f"asks for {kind}, which is not made: {switch} is off"):
        dw.reduce(dw.read_exposures(files[:2]), output=tmp_path / "o", keep=kind, **off)
    assert not names(tmp_path)


def test_two_files_of_one_name_are_refused(files, tmp_path):
    (tmp_path / "b").mkdir()
    shutil.copy(files[0], tmp_path / "b")
    exposures = dw.read_exposures([files[0], tmp_path / "b" / files[0].name])
    with pytest.raises(DataError, match="same name in different folders"):
        file_names(exposures, "x", ("crmask",))


def test_a_compressed_input_gives_a_plain_clean_copy(files, tmp_path):
    import gzip

    packed = []
    for path in files[:3]:
        packed.append(tmp_path / (path.name + ".gz"))
        packed[-1].write_bytes(gzip.compress(path.read_bytes(), 1))
    for name, inputs in (("plain", files[:3]), ("packed", packed)):
        (tmp_path / name).mkdir()
        dw.reduce(dw.read_exposures(inputs), output=tmp_path / name / "x", driz_cr_corr=True, **CHAIN)
    for name in ("j8ny01svq_crclean.fits", "j8ny01t5q_sci2_crmask.fits"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "packed" / name).read_bytes()


def test_the_product_does_not_depend_on_what_is_kept(kept, files, tmp_path):
    bare = dw.reduce(
        dw.read_exposures(files), ReduceParameters(), output=tmp_path / "peer", **CHAIN, resetbits=0,
        peer_noise=True,
    )  # fmt: skip
    np.testing.assert_array_equal(bare.sci, Product.open(kept[1].path).sci)
    assert len(names(tmp_path)) == 4
