"""Blot against a plain NumPy twin, its invariants, and the arrays of its peer."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from drizzlewb.distortion import homography, pack, tan_wcs
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.kernels.blot import INTERPOLANTS, blot_box, margin
from drizzlewb.kernels.transform import map_point

FEW = settings(max_examples=25, deadline=None)
FLAT = tan_wcs((0.0, 0.0), (0.0, 0.0), np.eye(2) * 1e-5)  # focal offsets are pixels: h is the whole map
POLY = {"linear": 2, "poly3": 4, "poly5": 6}


def turned(rot=20.0, step=0.7, shift=(3.0, -2.0)):
    """Homography that spreads a chip of 40 x 50 over an image of about that size and its borders."""
    a = np.radians(rot)
    h = np.eye(3)
    h[:2, :2] = step * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    h[:2, 2] = shift
    h[2, 0] = 1e-5
    return h


def image(shape=(33, 37), seed=0):
    return np.random.default_rng(seed).normal(10.0, 3.0, shape).astype(np.float32)


def blotted(
    source, h, interp, shape, *, sinscl=1.0, factor=1.0, misval=-99.0, origin=(0, 0), full=None, box=(0, 0)
):
    """Box of `shape` at chip pixel box = (x0, y0) from a piece at origin = (sx0, sy0)."""
    full_ny, full_nx = full or source.shape
    out = np.full(shape, 7e7, np.float32)
    blot_box(
        source, *origin, full_nx, full_ny, FLAT, h, INTERPOLANTS[interp], factor, -99.0, sinscl, *box, out
    )
    return out


def lagrange(n, s):
    """Weights of the polynomial through samples at -n/2 + 1 ... n/2, at s."""
    nodes = np.arange(n) - n // 2 + 1
    return np.array([np.prod([(s - b) / (a - b) for b in nodes if b != a]) for a in nodes])


def tapered_sinc(d):
    """IRAF's msisinc: seven pixels to each side, cos^2 taper, weights of sum 1."""
    k = np.arange(-7, 8)
    if d == 0:
        return (k == 0).astype(float)
    z = (k * np.pi / 14) ** 2
    w = (-1.0) ** k * (1 - 0.49670 * z + 0.03705 * z**2) ** 2 / (d - k)
    return w / w.sum()


def twin(source, h, interp, shape, sinscl=1.0):
    """The definitions, pixel by pixel, on an image padded beyond its borders."""
    ny, nx = source.shape
    image = source.astype(float)
    pad = 8
    if interp in ("poly3", "poly5"):
        image = np.pad(image, pad, mode="reflect", reflect_type="odd")
    else:
        image = np.pad(image, pad, mode="edge")
    out = np.empty(shape)
    for r, c in np.ndindex(*shape):
        x, y = map_point(FLAT, h, float(c), float(r))
        if not (0 <= x < nx and 0 <= y < ny):
            out[r, c] = -99.0
        elif interp in POLY:
            n = POLY[interp]
            i, j = int(x) + pad - n // 2 + 1, int(y) + pad - n // 2 + 1
            out[r, c] = lagrange(n, y % 1) @ image[j : j + n, i : i + n] @ lagrange(n, x % 1)
        else:
            i, j = min(int(x + 0.5), nx - 1), min(int(y + 0.5), ny - 1)
            dx, dy = (x - i) * sinscl, (y - j) * sinscl
            if interp == "nearest" or max(abs(dx), abs(dy)) < 0.001:
                out[r, c] = source[j, i]
            else:
                window = image[j + pad - 7 : j + pad + 8, i + pad - 7 : i + pad + 8]
                out[r, c] = tapered_sinc(dy) @ window @ tapered_sinc(dx)
    return out


@pytest.mark.parametrize("interp", INTERPOLANTS)
@pytest.mark.parametrize("rot", [0.0, 20.0, -110.0])
def test_twin(interp, rot):
    shift = {0.0: (3.0, -2.0), 20.0: (5.0, -2.0), -110.0: (2.0, 30.0)}[rot]
    h = turned(rot, shift=shift)
    source = image()
    theirs = twin(source, h, interp, (40, 50))
    assert 0.05 < np.mean(theirs == -99) < 0.9
    # outside: exactly the missing value; inside: float32 rounding of values up to 30
    np.testing.assert_allclose(blotted(source, h, interp, (40, 50)), theirs, atol=3e-6, rtol=1e-7)


@pytest.mark.parametrize("sinscl", [0.7, 1.0, 1.3])
def test_sinc_scale(sinscl):
    h, source = turned(), image()
    theirs = twin(source, h, "sinc", (40, 50), sinscl)
    np.testing.assert_allclose(
        blotted(source, h, "sinc", (40, 50), sinscl=sinscl), theirs, atol=1e-5, rtol=1e-6
    )


@pytest.mark.parametrize("interp", INTERPOLANTS)
def test_whole_pixels_give_the_pixel(interp):
    source = image((20, 20))
    assert np.array_equal(blotted(source, np.eye(3), interp, (20, 20)), source)


@pytest.mark.parametrize(("interp", "degree"), [("linear", 1), ("poly3", 3), ("poly5", 5)])
def test_polynomials_are_reproduced(interp, degree):
    """An interpolant of n points is exact for polynomials of degree n - 1 away from the borders."""
    y, x = np.mgrid[:33, :37] / 37.0
    source = (1 + x**degree - 2 * y**degree + (x * y) ** (degree // 2)).astype(np.float32)
    h = turned(shift=(8.0, 6.0), step=0.3)
    out = blotted(source, h, interp, (30, 40))
    for r, c in np.ndindex(30, 40):
        u, v = np.array(map_point(FLAT, h, float(c), float(r))) / 37.0
        assert out[r, c] == pytest.approx(1 + u**degree - 2 * v**degree + (u * v) ** (degree // 2), abs=1e-6)


@pytest.mark.parametrize("interp", INTERPOLANTS)
def test_factor_and_constant(interp):
    """Every interpolant keeps a constant, to the borders."""
    out = blotted(np.full((33, 37), 3.0, np.float32), turned(), interp, (40, 50), factor=2.5)
    inside = out != -99
    assert 0.1 < inside.mean() < 1
    np.testing.assert_allclose(out[inside], 7.5, rtol=1e-6)


@FEW
@given(
    interp=st.sampled_from(list(INTERPOLANTS)),
    x0=st.integers(0, 45),
    y0=st.integers(0, 35),
    width=st.integers(1, 20),
    height=st.integers(1, 20),
)
def test_pieces_and_boxes_have_the_bits_of_the_whole(interp, x0, y0, width, height):
    source, h = image(), turned()
    whole = blotted(source, h, interp, (60, 70))
    assert (whole != -99).any()
    x, y = np.array(
        [
            map_point(FLAT, h, float(i), float(j))
            for j in range(y0, y0 + height)
            for i in range(x0, x0 + width)
        ]
    ).T
    m = margin(INTERPOLANTS[interp])
    ny, nx = source.shape
    sx0, sx1 = (int(v) for v in np.clip([np.floor(x.min()) - m, np.ceil(x.max()) + m + 1], 0, nx))
    sy0, sy1 = (int(v) for v in np.clip([np.floor(y.min()) - m, np.ceil(y.max()) + m + 1], 0, ny))
    piece = np.ascontiguousarray(source[sy0:sy1, sx0:sx1])
    part = blotted(piece, h, interp, (height, width), origin=(sx0, sy0), full=source.shape, box=(x0, y0))
    assert np.array_equal(part, whole[y0 : y0 + height, x0 : x0 + width])


@pytest.mark.parametrize("interp", INTERPOLANTS)
def test_a_piece_that_is_too_small_is_refused(interp):
    source, h = image(), turned(shift=(12.0, 8.0))
    with pytest.raises(DataError, match="the piece must hold"):
        blotted(
            np.ascontiguousarray(source[10:, 10:]), h, interp, (40, 50), origin=(10, 10), full=source.shape
        )


@FEW
@given(
    interp=st.sampled_from(list(INTERPOLANTS)),
    j=st.integers(0, 32),
    i=st.integers(0, 36),
    bad=st.sampled_from([np.nan, np.inf]),
)
def test_a_bad_source_pixel_spoils_only_what_reads_it(interp, j, i, bad):
    source, h = image(), turned()
    clean = blotted(source, h, interp, (40, 50))
    source[j, i] = bad
    out = blotted(source, h, interp, (40, 50))
    m = margin(INTERPOLANTS[interp])
    for r, c in np.argwhere(~np.isfinite(out)):
        x, y = map_point(FLAT, h, float(c), float(r))
        assert abs(x - i) <= m
        assert abs(y - j) <= m
    finite = np.isfinite(out)
    assert np.array_equal(out[finite], clean[finite])


def test_behind_the_plane_is_missing():
    h = turned()
    h[2] = -0.03, 0.0, 1.0
    out = blotted(image(), h, "poly5", (10, 60))
    assert (out[:, 34:] == -99).all()
    assert (out[:, :10] != -99).any()


def test_images_smaller_than_the_window():
    """The mirror is clipped to the image; a constant stays."""
    for shape in ((1, 1), (2, 3), (3, 2)):
        for interp in INTERPOLANTS:
            out = blotted(np.full(shape, 4.0, np.float32), np.diag([0.3, 0.3, 1.0]), interp, (3, 3))
            np.testing.assert_allclose(out, 4.0, rtol=1e-6)


def test_unknown_interpolant_is_refused():
    with pytest.raises(ParameterError, match="interpolant id 11 is not one of"):
        blot_box(
            image(), 0, 0, 37, 33, FLAT, np.eye(3), 11, 1.0, 0.0, 1.0, 0, 0, np.zeros((2, 2), np.float32)
        )


@pytest.mark.parametrize("interp", ["nearest", "linear", "poly3", "poly5"])
def test_drizzle_3(interp):
    """The live peer, away from the last three rows, where it mirrors about another row, and from the
    last half column, where its nearest reads past the image."""
    resample = pytest.importorskip("drizzle.resample", reason="the drizzle package is not installed")
    source, h = image(), turned(shift=(7.0, -3.0))
    pixmap = np.array([[map_point(FLAT, h, float(c), float(r)) for c in range(50)] for r in range(40)])
    peer = resample.blot_image(source, pixmap, interp=interp, fillval=-99.0, iscale=1.5)
    ours = blotted(source, h, interp, (40, 50), factor=1.5)
    assert np.array_equal(ours == -99, peer == -99)
    same = (pixmap[..., 1] < 30) & (pixmap[..., 0] < 36.499)
    assert (same & (ours != -99)).mean() > 0.3
    # The peer rounds positions to float32: up to 2e-6 px at 32, times a slope of at most 30 a pixel
    # between neighbours of noise; and nearest flips at halves.
    np.testing.assert_allclose(ours[same], peer[same], atol=2e-4)


@pytest.mark.parametrize("interp", ["nearest", "linear", "poly3", "poly5"])
def test_hrc_golden(shared_data, interp):
    """`drizzle` 3.0.0 on a drizzled field of 47 Tuc with stars up to 2e3.

    The peer rounds positions of up to 300 in its cut to float32: half a step is 1.5e-5 along each
    axis, times slopes of up to 1e3 a pixel.
    """
    folder = shared_data / "hrc_ngc104"
    grid = pack(WCS(fits.Header.fromtextfile(folder / "drizzle-3.0.0" / "golden_out.hdr")), (2400, 2400))
    with fits.open(folder / "j8bt06o6q_flt.fits.gz") as flt:
        chip = pack(WCS(flt["SCI"].header, flt), flt["SCI"].data.shape)
    h = homography(chip, grid)
    with np.load(folder / "drizzle-3.0.0" / "golden_blot3_cut.npz") as golden:
        source, reference = golden["src"], golden[interp]
        (sx0, sy0), (y0, _, x0, _) = golden["src_origin_xy"], golden["in_window_yx"]
    out = np.empty_like(reference)
    blot_box(
        source, int(sx0), int(sy0), 2400, 2400, chip, h, INTERPOLANTS[interp], 1.0, 0.0, 1.0,
        int(x0), int(y0), out,
    )  # fmt: skip
    difference = abs(out - reference)
    if interp == "nearest":
        assert np.mean(difference > 0) < 2e-4  # positions at a half
    else:
        assert difference.max() < 3e-2
        assert np.median(difference) < 1e-4
