import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from made_wcs import made_wcs

from drizzlewb.distortion import homography, linear, pack, pixel_to_sky, sky_to_pixel, tan_wcs
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.grid import OutputGrid, Region, chip_box, grid_region, near_inverse, output_grid
from drizzlewb.kernels.rows import map_row
from drizzlewb.kernels.transform import map_points

SHAPE = (300, 400)


def chip(shape=SHAPE, **terms):
    w = made_wcs(shape, **terms)
    return SimpleNamespace(wcs=pack(w, shape), shape=shape, astropy=w)


def chips_of(path):
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path) as hdus:
            for hdu in hdus:
                if hdu.name == "SCI":
                    w = WCS(hdu.header, hdus)
                    packed = pack(w, hdu.shape, hdu.header, hdus[0].header)
                    found.append(SimpleNamespace(wcs=packed, shape=hdu.shape, path=str(path), ver=hdu.ver))
    return found


def hrc(shared_data):
    names = ("j8bt05njq", "j8bt06o6q", "j8bt09jcq")
    return [c for n in names for c in chips_of(shared_data / "hrc_ngc104" / f"{n}_flt.fits.gz")]


def apart_px(grid, other):
    """Largest distance between two grids over the corners and middle, in pixels."""
    ny, nx = grid.shape
    x, y = np.array([0.0, nx - 1, 0, nx - 1, nx / 2]), np.array([0.0, 0, ny - 1, ny - 1, ny / 2])
    px, py = sky_to_pixel(other.wcs, *grid.pixel_to_sky(x, y))
    return np.hypot(px - x, py - y).max()


class TestRegion:
    def test_shape_and_slices(self):
        region = Region(2, 5, 10, 14)
        assert region.shape == (3, 4)
        assert not region.empty
        assert np.zeros((20, 20))[region.slices()].shape == (3, 4)
        assert region.slices((2, 8)) == (slice(0, 3), slice(2, 6))
        assert region.grow(2) == (0, 7, 8, 16)

    def test_clip(self):
        assert Region(-3, 50, 5, 7).clip((10, 6)) == (0, 10, 5, 6)
        assert Region(11, 12, 0, 3).clip((10, 6)) == Region(0, 0, 0, 0)
        assert Region(3, 3, 0, 4).empty
        assert Region(4, 3, 0, 4).shape == (0, 4)

    @given(*[st.integers(-20, 20)] * 8)
    def test_intersect_is_that_of_pixels(self, a, b, c, d, e, f, g, h):
        one, two = Region(a, b, c, d), Region(e, f, g, h)

        def pixels(r):
            return {(y, x) for y in range(r.y0, r.y1) for x in range(r.x0, r.x1)}

        assert pixels(one.intersect(two)) == pixels(one) & pixels(two)


class TestOutputGrid:
    grid = OutputGrid(tan_wcs((150.0, 2.0), (99.5, 49.5), [[-1e-5, 2e-6], [2e-6, 1e-5]]), (100, 200), "FK5")

    def test_header_round_trip(self):
        header = self.grid.to_header()
        assert (header["NAXIS1"], header["CRPIX1"], header["RADESYS"]) == (200, 100.5, "FK5")
        again = OutputGrid.from_header(fits.Header.fromstring(header.tostring()))
        assert again == self.grid
        assert hash(again) == hash(self.grid)
        assert again.digest() == self.grid.digest()

    def test_header_is_what_astropy_reads(self):
        w = WCS(self.grid.to_header())
        np.testing.assert_allclose(
            self.grid.pixel_to_sky(3.0, 80.0), w.wcs_pix2world(3.0, 80.0, 0), rtol=0, atol=1e-12
        )

    def test_pole_reads_back(self):
        grid = OutputGrid(tan_wcs((30.0, 90.0), (5.0, 5.0), np.eye(2) * 1e-5), (10, 10))
        w = WCS(grid.to_header())
        np.testing.assert_allclose(
            grid.pixel_to_sky(3.0, 8.0), w.wcs_pix2world(3.0, 8.0, 0), rtol=1e-7, atol=1e-11
        )

    def test_unlike_grids_differ(self):
        other = OutputGrid(self.grid.wcs, (100, 201), "FK5")
        assert other != self.grid
        assert self.grid != "grid"

    def test_scale_and_orientation(self):
        grid = OutputGrid(tan_wcs((1.0, 2.0), (0.0, 0.0), [[-1e-5, 0.0], [0.0, 1e-5]]), (3, 4))
        assert grid.scale_arcsec == pytest.approx(0.036, rel=1e-12)
        assert grid.orientation_deg == 0.0
        assert grid.region == (0, 3, 0, 4)

    def test_region_around(self):
        ra, dec = self.grid.pixel_to_sky(60.0, 40.0)
        assert self.grid.region_around(ra, dec, 21) == (30, 51, 50, 71)
        assert self.grid.region_around(ra, dec, (3, 400)) == (39, 42, 0, 200)
        with pytest.raises(DataError, match="outside the output image of 100 x 200"):
            self.grid.region_around(ra + 1.0, dec, 21)
        with pytest.raises(DataError, match="outside the output image"):
            self.grid.region_around(ra + 180.0, -dec, 21)

    def test_distorted_header_gives_its_linear_part(self):
        w = made_wcs(SHAPE, npol="xy", d2im="x")
        hdus = w.to_fits(relax=True)
        hdus[0].header["NAXIS1"], hdus[0].header["NAXIS2"] = 400, 300
        grid = OutputGrid.from_header(hdus[0].header)
        assert grid.wcs.sip_a.shape == (1, 1)
        np.testing.assert_allclose(grid.wcs.cd, w.wcs.cd, rtol=1e-12)

    def test_bad_headers(self):
        with pytest.raises(DataError, match="no NAXIS1"):
            OutputGrid.from_header(fits.Header())
        header = self.grid.to_header()
        header["CTYPE1"], header["CTYPE2"] = "RA---SIN", "DEC--SIN"
        with pytest.raises(DataError, match="projection of the header is not TAN"):
            OutputGrid.from_header(header)
        with pytest.raises(ParameterError, match="needs at least one"):
            OutputGrid(self.grid.wcs, (0, 5))


class TestGoldenGrids:
    def test_hrc_final(self, shared_data):
        grid = output_grid(hrc(shared_data), scale=0.025, rot=0.0)
        header = fits.Header.fromtextfile(shared_data / "hrc_ngc104/astrodrizzle-3.11.0/drz.hdr")
        golden = OutputGrid.from_header(header)
        assert grid.shape == golden.shape == (2357, 2543)
        np.testing.assert_allclose(grid.wcs.crval, golden.wcs.crval, rtol=0, atol=1e-12)
        np.testing.assert_allclose(grid.wcs.crpix, golden.wcs.crpix, rtol=0, atol=1e-9)
        np.testing.assert_allclose(grid.wcs.cd, golden.wcs.cd, rtol=0, atol=1e-17)
        assert apart_px(grid, golden) < 1e-8

    def test_hrc_separate(self, shared_data):
        golden = np.load(shared_data / "hrc_ngc104/astrodrizzle-3.11.0/golden.npz")
        assert output_grid(hrc(shared_data), wcs=False).shape == tuple(golden["med_shape"]) == (1857, 2123)
        # What is set does not count then.
        assert output_grid(hrc(shared_data), wcs=False, rot=4.0, scale=1.0).shape == (1857, 2123)

    def test_wfpc2_final(self, shared_data):
        grid = output_grid(
            chips_of(shared_data / "wfpc2_omegacen/u40x010hm_c0m.fits.gz"), scale=0.1, rot=0.0, radesys="FK5"
        )
        golden = OutputGrid.from_header(fits.Header.fromtextfile(shared_data / "wfpc2_omegacen/drw.hdr"))
        assert grid.shape == golden.shape
        assert grid.radesys == golden.radesys
        assert apart_px(grid, golden) < 1e-8


FILES = [
    ["hrc_ngc104/j8bt05njq_flt.fits.gz", "hrc_ngc104/j8bt06o6q_flt.fits.gz"],
    ["wfpc2_omegacen/u40x010hm_c0m.fits.gz"],
    ["acs_wfc_distortion/j94f05bgq_flt_zeros.fits.gz"],
]
PARAMETERS = [
    {},
    {"rot": 0.0},
    {"scale": 0.031},
    {"rot": -71.3, "scale": 0.06},
    {"outnx": 700.5, "outny": 410},
    {"outnx": 700, "outny": 410, "crpix1": 12.0, "crpix2": -30.5},
    {"rot": 20.0, "outnx": 300, "outny": 310},
    {"crpix1": 333.25, "crpix2": 222.0},
    {"crpix1": 633.25, "crpix2": 622.0, "scale": 0.02},
]


def hst_wcs(path):
    pytest.importorskip("stwcs")
    from stwcs.wcsutil import HSTWCS

    with fits.open(path) as hdus:
        versions = [hdu.ver for hdu in hdus if hdu.name == "SCI"]
    return [HSTWCS(str(path), ext=("SCI", ver)) for ver in versions]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("names", FILES, ids=["hrc", "wfpc2", "wfc"])
class TestDrizzlePac:
    def default(self, shared_data, names):
        pytest.importorskip("drizzlepac")
        from drizzlepac import wcs_functions
        from stwcs.distortion import utils

        peer = utils.output_wcs([w for n in names for w in hst_wcs(shared_data / n)])
        peer.wcs.cd = wcs_functions.make_perfect_cd(peer)
        return peer

    def grid(self, peer):
        crpix = np.array(peer.wcs.crpix) - 1.0
        return OutputGrid(tan_wcs(peer.wcs.crval, crpix, peer.wcs.cd), peer.pixel_shape[::-1])

    def test_every_parameter(self, shared_data, names):
        from drizzlepac import wcs_functions

        peer = self.default(shared_data, names)
        chips = [c for n in names for c in chips_of(shared_data / n)]
        centre = {"ra": float(peer.wcs.crval[0]) + 0.001, "dec": float(peer.wcs.crval[1]) - 0.001}
        for parameters in [*PARAMETERS, centre, centre | {"outnx": 800, "outny": 900, "rot": 10.0}]:
            pars = dict(wcs_functions.DEFAULT_WCS_PARS, **parameters)
            expected = self.grid(wcs_functions.mergeWCS(peer, pars))
            grid = output_grid(chips, **parameters)
            assert grid.shape == expected.shape, parameters
            assert apart_px(grid, expected) < 1e-7, parameters

    def test_distorted_refimage(self, shared_data, names):
        pytest.importorskip("drizzlepac")
        from drizzlepac import wcs_functions

        reference = hst_wcs(shared_data / names[-1])[-1]
        chips = [c for n in names for c in chips_of(shared_data / n)]
        refimage = (chips[-1].wcs, chips[-1].shape)
        for parameters in PARAMETERS[:4]:
            pars = dict(wcs_functions.DEFAULT_WCS_PARS, **parameters)
            expected = self.grid(wcs_functions.mergeWCS(reference, pars))
            grid = output_grid(chips, refimage=refimage, **parameters)
            assert grid.shape == expected.shape, parameters
            assert apart_px(grid, expected) < 1e-7, parameters


def test_refimage_is_the_grid_itself(caplog):
    base = output_grid([chip()])
    assert output_grid([chip()], refimage=base) == base
    turned = output_grid([chip()], refimage=base, rot=10.0, scale=0.1)
    assert turned.orientation_deg == pytest.approx(10.0, abs=1e-9)
    assert turned.scale_arcsec == pytest.approx(0.1, rel=1e-12)
    assert not caplog.records
    distorted = chip(npol="x")
    output_grid([chip()], refimage=(distorted.wcs, distorted.shape))
    assert "distortion of the reference image is left aside" in caplog.text


def test_default_grid_holds_the_corners():
    chips = [chip(), chip(rot=80.0, crval=(83.204, -67.699), npol="xy")]
    grid = output_grid(chips)
    for c in chips:
        x, y = grid.sky_to_pixel(*pixel_to_sky(c.wcs, [0, 0, 399, 399], [0, 299, 0, 299]))
        assert x.min() > -1
        assert y.min() > -1
        assert x.max() < grid.shape[1]
        assert y.max() < grid.shape[0]


def test_without_coefficients():
    one = chip()
    grid = output_grid([one], coeffs=False)
    assert grid.shape == SHAPE
    np.testing.assert_allclose(grid.wcs.crpix, one.wcs.crpix, rtol=0, atol=1e-12)
    two = output_grid([one, chip(crval=(83.203, -67.7))], coeffs=False)
    assert two.scale_arcsec == pytest.approx(grid.scale_arcsec, rel=1e-12)


def test_across_ra_zero():
    chips = [chip(crval=(359.9995, 10.0)), chip(crval=(0.0005, 10.0))]
    grid = output_grid(chips)
    assert max(grid.shape) < 900
    assert min(grid.wcs.crval[0], 360 - grid.wcs.crval[0]) < 0.01


def test_nothing_to_combine():
    with pytest.raises(DataError, match="there are no exposures"):
        output_grid([])


def test_separate_fields_are_refused():
    here, there = chip(), chip(crval=(83.9, -67.7))
    there.path = "b_flc.fits"
    with pytest.raises(DataError, match=r"do not overlap: b_flc\.fits lies 1\d\.\d\d arcmin from chip 1"):
        output_grid([here, there])
    with pytest.raises(DataError, match="more than 90 degrees apart"):
        output_grid([here, chip(crval=(263.0, 67.7))])
    # A bridge between them makes one field.
    chips = [chip(crval=(83.2 + k * 0.012, -67.7)) for k in range(6)]
    assert output_grid(chips).shape[1] > 1500


def test_grid_beside_the_exposures():
    with pytest.raises(DataError, match="none of the 1 chips falls on the plane"):
        output_grid([chip()], ra=84.0, dec=-60.0, outnx=100, outny=100)
    elsewhere = OutputGrid(tan_wcs((200.0, 30.0), (0, 0), np.eye(2) * 1e-5), (50, 50))
    with pytest.raises(DataError, match="Check the reference image"):
        output_grid([chip()], refimage=elsewhere)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ra": 3.0}, "ra is 3.0 but dec is not set"),
        ({"outny": 30}, "outny is 30 but outnx is not set"),
        ({"crpix2": 3.0}, "give both or neither"),
        ({"scale": 0.0}, "scale is 0.0; it must be a positive number"),
        ({"scale": float("nan")}, "positive number"),
        ({"rot": float("inf")}, "finite number of degrees"),
        ({"ra": 1.0, "dec": 91.0}, "dec is 91.0; it must be degrees from -90 to 90"),
        ({"outnx": 0, "outny": 5}, "at least 1 pixel"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        output_grid([chip()], **parameters)


CHIP = chip(npol="xy", d2im="xy")
GRID = output_grid([CHIP], rot=10.0, scale=0.03)


def images():
    """Output position of every corner of every pixel of CHIP."""
    h = homography(CHIP.wcs, GRID.wcs)
    out = np.empty((2, SHAPE[0] + 1, SHAPE[1] + 1))
    for j in range(SHAPE[0] + 1):
        map_row(CHIP.wcs, h, j - 0.5, -0.5, 0, SHAPE[1] + 1, out[0, j], out[1, j])
    return out


CORNERS = images()
INVERSE = near_inverse(CHIP.wcs, SHAPE, GRID.wcs)


@pytest.mark.parametrize("inverse", [None, INVERSE], ids=["exact", "near"])
@settings(deadline=None, max_examples=60)
@given(st.integers(-80, 760), st.integers(1, 300), st.integers(-80, 900), st.integers(1, 300))
def test_chip_box_misses_no_pixel(inverse, y0, ny, x0, nx):
    region = Region(y0, y0 + ny, x0, x0 + nx)
    box = chip_box(CHIP.wcs, SHAPE, GRID.wcs, region, inverse=inverse)
    x, y = CORNERS
    inside = (x > x0 - 0.5) & (x < x0 + nx - 0.5) & (y > y0 - 0.5) & (y < y0 + ny - 0.5)
    touching = inside[1:, 1:] | inside[1:, :-1] | inside[:-1, 1:] | inside[:-1, :-1]
    j, i = np.nonzero(touching)
    if j.size:
        assert box.y0 <= j.min() < j.max() + 1 <= box.y1
        assert box.x0 <= i.min() < i.max() + 1 <= box.x1
        if j.min() > 0 and j.max() < SHAPE[0] - 1 and i.min() > 0 and i.max() < SHAPE[1] - 1:
            # Wholly within the chip it is not much larger: half a pixel of slack, the bow, rounding.
            assert box.y1 - box.y0 <= np.ptp(j) + 10
            assert box.x1 - box.x0 <= np.ptp(i) + 10
    assert box == box.clip(SHAPE)


@pytest.mark.parametrize("inverse", [None, INVERSE], ids=["exact", "near"])
@pytest.mark.parametrize("margin", [5, 20])
def test_chip_box_margin_and_clip(inverse, margin):
    region = Region(300, 330, 300, 330)
    tight = chip_box(CHIP.wcs, SHAPE, GRID.wcs, region, inverse=inverse)
    wide = chip_box(CHIP.wcs, SHAPE, GRID.wcs, region, margin=margin, inverse=inverse)
    if margin < 8 or inverse is None:
        assert wide == tight.grow(margin)
    else:  # beyond what the polynomials' bounds hold it is the exact one
        assert wide == chip_box(CHIP.wcs, SHAPE, GRID.wcs, region, margin=margin)
    assert chip_box(CHIP.wcs, SHAPE, GRID.wcs, GRID.region.grow(1000)) == (0, *SHAPE[:1], 0, SHAPE[1])


def test_disjoint_is_empty():
    assert chip_box(CHIP.wcs, SHAPE, GRID.wcs, Region(5000, 5100, 0, 50)) == Region(0, 0, 0, 0)
    assert chip_box(CHIP.wcs, SHAPE, GRID.wcs, Region(0, 0, 0, 50)) == Region(0, 0, 0, 0)
    far = OutputGrid(tan_wcs((83.2, -60.0), (0, 0), GRID.wcs.cd), (100, 100))
    assert grid_region(CHIP.wcs, SHAPE, None, far).empty
    assert grid_region(CHIP.wcs, SHAPE, Region(0, 0, 0, 0), GRID).empty


@pytest.mark.parametrize("rot", [0.0, 38.0, 110.0])
def test_polynomials_back_to_real_chips(shared_data, rot):
    # The lookup tables' steps, the strongest distortions: all that Hubble's cameras have.
    files = [
        *sorted((shared_data / "acs_wfc_distortion").glob("*fl[ct]*.fits*"))[:1],
        shared_data / "hrc_ngc104" / "j8bt05njq_flt.fits.gz",
        shared_data / "wfpc2_omegacen" / "u40x010hm_c0m.fits.gz",
    ]
    chips = [c for path in files for c in chips_of(path)]
    assert {c.shape for c in chips} >= {(1024, 1024), (800, 800)}
    rng = np.random.default_rng(5)
    for one in chips:
        grid = output_grid([one], rot=rot)
        inverse = near_inverse(one.wcs, one.shape, grid.wcs)
        assert inverse.error < 0.3
        ny, nx = one.shape
        x, y = rng.uniform(-0.5, nx - 0.5, 20000), rng.uniform(-0.5, ny - 0.5, 20000)
        out = np.empty((2, x.size))
        map_points(one.wcs, homography(one.wcs, grid.wcs), x, y, *out)
        for _ in range(40):
            y0, x0 = rng.integers(-200, grid.shape[0]), rng.integers(-200, grid.shape[1])
            region = Region(y0, y0 + rng.integers(1, 700), x0, x0 + rng.integers(1, 700))
            box = chip_box(one.wcs, one.shape, grid.wcs, region, inverse=inverse)
            inside = (abs(out[1] + 0.5 - (region.y0 + region.y1) / 2) < region.shape[0] / 2) & (
                abs(out[0] + 0.5 - (region.x0 + region.x1) / 2) < region.shape[1] / 2
            )
            held = (box.x0 - 0.5 <= x) & (x <= box.x1 - 0.5) & (box.y0 - 0.5 <= y) & (y <= box.y1 - 0.5)
            assert not (inside & ~held).any()
            exact = chip_box(one.wcs, one.shape, grid.wcs, region)
            if inside.any():
                assert exact.grow(10).intersect(box) == box


def test_no_polynomials_where_the_map_is_not_defined():
    behind = tan_wcs((263.2, 67.7), (0, 0), GRID.wcs.cd)
    assert near_inverse(CHIP.wcs, SHAPE, behind) is None


def test_opposite_side_of_the_sky():
    behind = tan_wcs((263.2, 67.7), (0, 0), GRID.wcs.cd)
    assert chip_box(CHIP.wcs, SHAPE, behind, Region(0, 10, 0, 10)).empty


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 299), st.integers(1, 300), st.integers(0, 399), st.integers(1, 400))
def test_grid_region_holds_the_image(y0, ny, x0, nx):
    box = Region(y0, y0 + ny, x0, x0 + nx).clip(SHAPE)
    region = grid_region(CHIP.wcs, SHAPE, box, GRID)
    x, y = CORNERS[:, box.y0 : box.y1 + 1, box.x0 : box.x1 + 1]
    exact = Region(
        int(np.floor(y.min() + 0.5)),
        int(np.floor(y.max() + 0.5)) + 1,
        int(np.floor(x.min() + 0.5)),
        int(np.floor(x.max() + 0.5)) + 1,
    )
    # The default plane is laid through corner centres: the outermost half pixels stick out of it.
    exact = exact.clip(GRID.shape)
    assert exact.intersect(region) == exact
    assert max(np.array(region.shape) - exact.shape) <= 14
    assert grid_region(CHIP.wcs, SHAPE, box, GRID, margin=3).intersect(region) == region


def test_linear_wcs_of_a_grid_is_taken():
    distorted = OutputGrid(CHIP.wcs, SHAPE)
    assert distorted.wcs.sip_a.shape == linear(CHIP.wcs).sip_a.shape
