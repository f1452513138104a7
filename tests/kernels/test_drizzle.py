"""Drizzle against a plain NumPy twin, its invariants, and the arrays of its peers."""

import gzip
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from hypothesis import given, settings
from hypothesis import strategies as st
from made_wcs import made_wcs

from drizzlewb.distortion import homography, pack, tan_wcs
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.kernels.drizzle import KERNELS, drizzle_box, finish, order, reach
from drizzlewb.kernels.rows import map_row, map_rows
from drizzlewb.kernels.transform import map_point

FEW = settings(max_examples=30, deadline=None)
FLAT = tan_wcs((0.0, 0.0), (0.0, 0.0), np.eye(2) * 1e-5)  # focal offsets are pixels: h is the whole map
CONSERVING = ("square", "turbo", "point")


def linear_map(scale=1.0, rot=0.0, flip=False, shift=(0.0, 0.0), tilt=0.0):
    """Homography that turns, flips and scales pixels; `tilt` is its perspective."""
    a = np.radians(rot)
    m = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) / scale
    if flip:
        m[:, 0] *= -1
    h = np.eye(3)
    h[:2, :2] = m
    h[:2, 2] = shift
    h[2, :2] = tilt, -0.5 * tilt
    return h


def centred(h, shape, margin):
    """Shift h so that the image of a chip starts at `margin`; also the output shape that holds it."""
    ny, nx = shape
    x, y = np.array([map_point(FLAT, h, i, j) for i in (-0.5, nx - 0.5) for j in (-0.5, ny - 0.5)]).T
    g = np.array([[1.0, 0.0, margin - x.min()], [0.0, 1.0, margin - y.min()], [0.0, 0.0, 1.0]]) @ h
    return g, (int(np.ptp(y) + 2 * margin) + 1, int(np.ptp(x) + 2 * margin) + 1)


def pixels(shape, seed=0, bad=0.1):
    rng = np.random.default_rng(seed)
    data = rng.normal(100.0, 30.0, shape).astype(np.float32)
    weight = rng.uniform(0.5, 1.5, shape).astype(np.float32)
    weight[rng.random(shape) < bad] = 0.0
    return data, weight


def drizzled(data, weight, wcs, h, kernel, pixfrac, scale, tile, x0=0, y0=0, bit=1, into=None):
    """Sums over tile = (y0, y1, x0, x1) of the output."""
    oy0, oy1, ox0, ox1 = tile
    shape = (oy1 - oy0, ox1 - ox0)
    num, den, ctx = into or (np.zeros(shape), np.zeros(shape), np.zeros(shape, np.uint32))
    drizzle_box(data, weight, x0, y0, wcs, h, KERNELS[kernel], pixfrac, scale, bit, ox0, oy0, num, den, ctx)
    return num, den, ctx


def same_bits(a, b):
    return all(np.array_equal(p.view(np.uint8), q.view(np.uint8)) for p, q in zip(a, b, strict=True))


def clipped_area(polygon, i, j):
    """Area of a convex polygon within the pixel (i, j): clip by its four sides, then the shoelace."""
    p = np.asarray(polygon, float)
    for axis, edge, sign in ((0, i - 0.5, 1), (0, i + 0.5, -1), (1, j - 0.5, 1), (1, j + 0.5, -1)):
        out = []
        for a, b in zip(p, np.roll(p, -1, axis=0), strict=True):
            da, db = sign * (a[axis] - edge), sign * (b[axis] - edge)
            if da >= 0:
                out.append(a)
            if da * db < 0:
                out.append(a + (b - a) * da / (da - db))
        if len(out) < 3:
            return 0.0
        p = np.array(out) - out[0]
        p += out[0]
    q = p - p[0]
    x, y = q.T
    return 0.5 * abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def rounded(x):
    return int(np.floor(x + 0.5)) if x >= 0 else int(np.ceil(x - 0.5))


def twin(data, weight, wcs, h, kernel, pixfrac, scale, shape):
    """The definitions, pixel by pixel."""
    num, den, ctx = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.uint32)
    if pixfrac <= 0.001:
        kernel = "point"
    radius = reach(KERNELS[kernel], pixfrac, scale)
    order = int(kernel[-1]) if kernel.startswith("lanczos") else 0
    efac = 2.3548**2 * scale**2 / max(pixfrac, 1e-9) ** 2 / 2.0

    def lanczos(d):
        x = 0.003 * np.floor(abs(d) * scale / 0.003 + 0.5)
        return np.sinc(x) * np.sinc(x / order) if x < order else 0.0

    for y, x in np.ndindex(data.shape):
        w, d = float(weight[y, x]), float(data[y, x])
        if not (w > 0 and np.isfinite(d)):
            continue
        ox, oy = map_point(wcs, h, float(x), float(y))
        side = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.5 * pixfrac
        drop = np.array([map_point(wcs, h, x + a, y + b) for a, b in side])
        if kernel == "square":
            lo, hi = drop.min(axis=0), drop.max(axis=0)
            diagonals = drop[2] - drop[0], drop[3] - drop[1]
            whole = 0.5 * abs(diagonals[0][0] * diagonals[1][1] - diagonals[0][1] * diagonals[1][0])
        else:
            lo, hi = np.array([ox, oy]) - radius, np.array([ox, oy]) + radius
        for j in range(max(rounded(lo[1]), 0), min(rounded(hi[1]), shape[0] - 1) + 1):
            for i in range(max(rounded(lo[0]), 0), min(rounded(hi[0]), shape[1] - 1) + 1):
                if kernel == "square":
                    share = clipped_area(drop, i, j) / whole
                    share = share if share > 1e-11 else 0.0
                elif kernel == "turbo":
                    wide = min(hi[0], i + 0.5) - max(lo[0], i - 0.5)
                    high = min(hi[1], j + 0.5) - max(lo[1], j - 0.5)
                    share = max(wide, 0.0) * max(high, 0.0) * scale**2 / pixfrac**2
                elif kernel == "point":
                    share = 1.0
                elif kernel == "gaussian":
                    share = efac / np.pi * np.exp(-efac * ((ox - i) ** 2 + (oy - j) ** 2))
                else:
                    share = lanczos(ox - i) * lanczos(oy - j)
                num[j, i] += share * w * d * scale**2
                den[j, i] += share * w
                ctx[j, i] |= share * w > 2.0**-150
    return num, den, ctx


CASES = [
    # scale, pixfrac, rotation, flip, perspective
    (1.0, 1.0, 0.7, False, 0.0),
    (0.6, 0.6, 25.0, True, 1e-4),
    (0.3, 1.0, -77.0, False, 0.0),
    (3.0, 0.8, 130.0, True, 2e-4),
    (0.8, 1.7, 45.0, False, 1e-4),
    (1.0, 0.002, 10.0, False, 0.0),
    (1.0, 0.001, 10.0, False, 0.0),
]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("case", CASES)
def test_twin(kernel, case):
    scale, pixfrac, rot, flip, tilt = case
    data, weight = pixels((7, 9))
    margin = 2.0 if scale > 1 else 0.7  # some windows leave the output
    h, shape = centred(linear_map(scale, rot, flip, tilt=tilt), data.shape, margin)
    ours = drizzled(data, weight, FLAT, h, kernel, pixfrac, scale, (0, shape[0], 0, shape[1]))
    theirs = twin(data, weight, FLAT, h, kernel, pixfrac, scale, shape)
    # A drop of 0.002 px at x ~ 10 has corners good to 1e-15 / 0.002 of its size.
    tolerance = 1e-11 if pixfrac > 0.01 else 1e-9
    np.testing.assert_allclose(ours[0], theirs[0], rtol=tolerance, atol=tolerance * 100)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(ours[2], theirs[2])
    # a Gaussian of 0.002 px misses every pixel centre
    assert theirs[1].any() or (kernel == "gaussian" and pixfrac == 0.002)


@pytest.fixture(scope="module")
def distorted():
    """A chip with every term of the chain on a turned grid: packed WCS, homography, output shape."""
    chip = made_wcs((90, 130), npol=("x", "y"), d2im=("x", "y"))
    wcs = pack(chip, (90, 130))
    grid = tan_wcs(chip.wcs.crval, (110.0, 100.0), 0.03 / 3600 * np.array([[-0.8, 0.6], [0.6, 0.8]]))
    return wcs, homography(wcs, grid), (200, 220)


KERNEL_CASES = st.sampled_from(
    [(k, p, s) for k in KERNELS for p, s in ((1.0, 0.6), (0.6, 0.6), (0.3, 1.4), (1.3, 0.6))]
)


@FEW
@given(
    case=KERNEL_CASES,
    ys=st.lists(st.integers(1, 199), max_size=3, unique=True),
    xs=st.lists(st.integers(1, 219), max_size=3, unique=True),
)
def test_tiles_have_the_bits_of_the_whole(distorted, case, ys, xs):
    wcs, h, shape = distorted
    kernel, pixfrac, scale = case
    data, weight = pixels((90, 130))
    whole = drizzled(data, weight, wcs, h, kernel, pixfrac, scale, (0, shape[0], 0, shape[1]))
    assert whole[1].any()
    ys, xs = [0, *sorted(ys), shape[0]], [0, *sorted(xs), shape[1]]
    for y0, y1 in zip(ys[:-1], ys[1:], strict=True):
        for x0, x1 in zip(xs[:-1], xs[1:], strict=True):
            part = drizzled(data, weight, wcs, h, kernel, pixfrac, scale, (y0, y1, x0, x1))
            assert same_bits(part, [np.ascontiguousarray(a[y0:y1, x0:x1]) for a in whole])


@FEW
@given(case=KERNEL_CASES, corner=st.tuples(st.integers(0, 170), st.integers(0, 190)))
def test_box_with_all_contributors_has_the_bits_of_the_chip(distorted, case, corner):
    wcs, h, shape = distorted
    kernel, pixfrac, scale = case
    data, weight = pixels((90, 130))
    oy, ox = corner
    tile = (oy, oy + 30, ox, ox + 30)
    whole = drizzled(data, weight, wcs, h, kernel, pixfrac, scale, tile)
    x, y = np.empty((90, 130)), np.empty((90, 130))
    for j in range(90):
        map_row(wcs, h, float(j), 0.0, 0, 130, x[j], y[j])
    far = reach(KERNELS[kernel], pixfrac, scale) + 2.0
    near = (abs(x - ox - 15) < 15 + far) & (abs(y - oy - 15) < 15 + far)
    if not near.any():
        assert not whole[1].any()
        return
    js, is_ = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    box = np.s_[js[0] : js[-1] + 1, is_[0] : is_[-1] + 1]
    part = drizzled(
        np.ascontiguousarray(data[box]), np.ascontiguousarray(weight[box]),
        wcs, h, kernel, pixfrac, scale, tile, int(is_[0]), int(js[0]),
    )  # fmt: skip
    assert same_bits(part, whole)


@pytest.mark.parametrize("kernel", ["square", "turbo", "gaussian"])
def test_order_is_that_of_the_sums(kernel):
    # Across the blocks of square; one pixel at a time, in that order, gives the bits of all at once.
    x0, y0 = 50, 20
    data, weight = pixels((18, 24), bad=0.0)
    h, (ny, nx) = centred(linear_map(0.7, 25.0), (60, 90), 6)
    tile = (0, ny, 0, nx)
    whole = drizzled(data, weight, FLAT, h, kernel, 1.0, 0.7, tile, x0, y0)
    j, i = (v.ravel() for v in np.mgrid[: data.shape[0], : data.shape[1]])
    turn = order(KERNELS[kernel], i + x0, j + y0)
    for turns, equal in ((turn, True), (turn[::-1], False)):
        sums = np.zeros((ny, nx)), np.zeros((ny, nx)), np.zeros((ny, nx), np.uint32)
        for k in turns:
            one = np.s_[j[k] : j[k] + 1, i[k] : i[k] + 1]
            drizzled(
                data[one].copy(), weight[one].copy(), FLAT, h, kernel, 1.0, 0.7, tile,
                int(i[k]) + x0, int(j[k]) + y0, into=sums,
            )  # fmt: skip
        assert same_bits(whole, sums) == equal


@pytest.mark.parametrize("kernel", KERNELS)
def test_far_output_coordinates(kernel, distorted):
    """The same chip at output pixels beyond 1e4: shares agree to the coordinates' rounding there."""
    wcs, h, shape = distorted
    data, weight = pixels((90, 130))
    near = drizzled(data, weight, wcs, h, kernel, 0.7, 0.6, (0, shape[0], 0, shape[1]))
    g = np.array([[1.0, 0.0, 40000.0], [0.0, 1.0, 30000.0], [0.0, 0.0, 1.0]]) @ h
    far = drizzled(data, weight, wcs, g, kernel, 0.7, 0.6, (30000, 30000 + shape[0], 40000, 40000 + shape[1]))
    # 4e4 has steps of 7e-12; lanczos steps through a table, where a few look-ups move one entry
    close = np.isclose(near[1], far[1], rtol=0, atol=1e-9 if "lanczos" not in kernel else 1e-8)
    assert np.mean(~close) < (1e-4 if "lanczos" in kernel or kernel == "point" else 1e-12)


@FEW
@given(
    kernel=st.sampled_from(CONSERVING),
    scale=st.floats(0.3, 3.0),
    pixfrac=st.one_of(st.just(0.001), st.just(1.0), st.floats(0.01, 1.6)),
    rot=st.floats(-180.0, 180.0),
    flip=st.booleans(),
)
def test_weight_and_flux_are_conserved(kernel, scale, pixfrac, rot, flip):
    data, weight = pixels((6, 8), seed=3)
    h, shape = centred(linear_map(scale, rot, flip), data.shape, 6.0)
    num, den, _ = drizzled(data, weight, FLAT, h, kernel, pixfrac, scale, (0, shape[0], 0, shape[1]))
    w, d = weight.astype(float), data.astype(float)
    # the share of a pixel below 1e-11 of its drop is dropped: a few of them a drop
    assert np.sum(den) == pytest.approx(w.sum(), rel=1e-10)
    assert np.sum(num) == pytest.approx(scale**2 * np.sum(w * d), rel=1e-10)


@FEW
@given(case=KERNEL_CASES, a=st.floats(-3.0, 3.0), b=st.floats(-3.0, 3.0))
def test_linear_in_the_data(distorted, case, a, b):
    wcs, h, _ = distorted
    kernel, pixfrac, scale = case
    (one, weight), (two, _) = pixels((90, 130), 1), pixels((90, 130), 2)
    tile = (80, 120, 90, 130)
    both = (a * one.astype(float) + b * two).astype(np.float32)
    n1, d1, c1 = drizzled(one, weight, wcs, h, kernel, pixfrac, scale, tile)
    n2, _, _ = drizzled(two, weight, wcs, h, kernel, pixfrac, scale, tile)
    n, d, c = drizzled(both, weight, wcs, h, kernel, pixfrac, scale, tile)
    assert same_bits((d, c), (d1, c1))
    # float32 rounding of a * one + b * two, at most 1e3, times a summed |weight| below 30
    np.testing.assert_allclose(n, a * n1 + b * n2, atol=1e3 * 6e-8 * 30 * scale**2)


@FEW
@given(case=KERNEL_CASES, bad=st.sampled_from([np.nan, np.inf, -np.inf]), seed=st.integers(0, 9))
def test_a_bad_pixel_is_a_pixel_without_weight(distorted, case, bad, seed):
    wcs, h, _ = distorted
    kernel, pixfrac, scale = case
    data, weight = pixels((90, 130), bad=0.0)
    where = np.random.default_rng(seed).random(data.shape) < 0.1
    tile = (60, 140, 60, 160)
    without = drizzled(data, np.where(where, 0, weight), wcs, h, kernel, pixfrac, scale, tile)
    poisoned = drizzled(np.where(where, np.float32(bad), data), weight, wcs, h, kernel, pixfrac, scale, tile)
    no_weight = drizzled(data, np.where(where, np.float32(bad), weight), wcs, h, kernel, pixfrac, scale, tile)
    assert same_bits(without, poisoned)
    assert same_bits(without, no_weight)
    assert np.isfinite(without[0]).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_exposures_add_and_set_their_own_bit(kernel, distorted):
    wcs, h, shape = distorted
    tile = (0, shape[0], 0, shape[1])
    (one, w1), (two, w2) = pixels((90, 130), 1), pixels((90, 130), 2)
    first = drizzled(one, w1, wcs, h, kernel, 0.7, 0.6, tile, bit=1)
    second = drizzled(two, w2, wcs, h, kernel, 0.7, 0.6, tile, bit=1 << 31)
    sums = drizzled(one, w1, wcs, h, kernel, 0.7, 0.6, tile, bit=1)
    drizzled(two, w2, wcs, h, kernel, 0.7, 0.6, tile, bit=1 << 31, into=sums)
    np.testing.assert_array_equal(sums[2], first[2] | second[2])
    np.testing.assert_allclose(sums[1], first[1] + second[1], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kernel", KERNELS)
def test_nothing_falls_where_the_map_is_not_defined(kernel):
    """W <= 0 is behind the output's tangent plane: half of this chip."""
    data, weight = pixels((40, 100), bad=0.0)
    h = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.02, 0.0, 1.0]])
    num, den, _ = drizzled(data, weight, FLAT, h, kernel, 1.0, 1.0, (0, 60, 0, 60))
    front = drizzled(
        np.ascontiguousarray(data[:, :48]), np.ascontiguousarray(weight[:, :48]),
        FLAT, h, kernel, 1.0, 1.0, (0, 60, 0, 60),
    )  # fmt: skip
    assert np.isfinite(num).all()
    assert np.isfinite(den).all()
    assert same_bits((num, den), front[:2])
    assert den.any()


def test_tiny_drops_are_points(distorted):
    wcs, h, shape = distorted
    data, weight = pixels((90, 130))
    tile = (0, shape[0], 0, shape[1])
    point = drizzled(data, weight, wcs, h, "point", 1.0, 0.6, tile)
    for kernel in KERNELS:
        assert same_bits(drizzled(data, weight, wcs, h, kernel, 0.0, 0.6, tile), point)


def test_finish_divides_or_fills():
    num = np.array([[2.0, 0.0, -3.0, 5.0, 1e-60]])
    den = np.array([[4.0, 0.0, -1.0, 0.0, 1e-60]])  # the last is no weight in float32
    sci, wht = np.empty((1, 5), np.float32), np.empty((1, 5), np.float32)
    finish(num, den, -9.0, sci, wht)
    np.testing.assert_array_equal(sci, np.float32([[0.5, -9.0, 3.0, -9.0, -9.0]]))
    np.testing.assert_array_equal(wht, np.float32([[4.0, 0.0, -1.0, 0.0, 0.0]]))
    finish(num, den, np.nan, sci, wht)
    assert np.isnan(sci[0, [1, 3, 4]]).all()


def test_empty_box_and_empty_tile_change_nothing():
    data, weight = pixels((3, 4))
    num, den, ctx = drizzled(data[:0], weight[:0], FLAT, np.eye(3), "square", 1.0, 1.0, (0, 5, 0, 5))
    assert not np.any([num, den, ctx])
    drizzled(data, weight, FLAT, np.eye(3), "turbo", 1.0, 1.0, (0, 0, 0, 5))


def test_bad_arguments_are_refused():
    data, weight = pixels((3, 4))
    sums = np.zeros((5, 5)), np.zeros((5, 5)), np.zeros((5, 5), np.uint32)
    rest = (data, weight, 0, 0, FLAT, np.eye(3))
    with pytest.raises(ParameterError, match="kernel id 9 is not one of"):
        drizzle_box(*rest, 9, 1.0, 1.0, 1, 0, 0, *sums)
    for pixfrac, scale in ((-0.1, 1.0), (1.0, 0.0), (np.nan, 1.0), (1.0, np.inf)):
        with pytest.raises(ParameterError, match="pixfrac of 0 or more and a scale above 0"):
            drizzle_box(*rest, 0, pixfrac, scale, 1, 0, 0, *sums)
    with pytest.raises(DataError, match="data and weight must share a shape"):
        drizzle_box(data, weight[:2], *rest[2:], 0, 1.0, 1.0, 1, 0, 0, *sums)
    with pytest.raises(DataError, match="weight must be C-contiguous float32, found float64"):
        drizzle_box(data, weight.astype(float), *rest[2:], 0, 1.0, 1.0, 1, 0, 0, *sums)
    with pytest.raises(DataError, match="data must be C-contiguous"):
        drizzle_box(data[:, ::2], weight[:, ::2], *rest[2:], 0, 1.0, 1.0, 1, 0, 0, *sums)


# Peers


def finished(sums, fill=0.0):
    sci, wht = np.empty(sums[0].shape, np.float32), np.empty(sums[0].shape, np.float32)
    finish(sums[0], sums[1], fill, sci, wht)
    return sci, wht


@pytest.mark.parametrize("kernel", KERNELS)
@FEW
@given(
    # multiples of 1/64: the peer's float32 scale then looks up the same entries of its table
    scale=st.integers(20, 190).map(lambda k: k / 64.0),
    pixfrac=st.sampled_from([1.0, 0.75, 0.3, 0.001]),
    rot=st.floats(-180.0, 180.0),
    flip=st.booleans(),
)
def test_drizzle_3(kernel, scale, pixfrac, rot, flip):
    """The live peer. Its corners are interpolated from centres, which is exact for a linear map."""
    resample = pytest.importorskip("drizzle.resample", reason="the drizzle package is not installed")
    data, weight = pixels((12, 15), seed=5)
    h, shape = centred(linear_map(scale, rot, flip), data.shape, 12.25)
    # our map for both: the last bit decides which of two entries of the Lanczos table is the nearest
    x, y = np.empty((2, 12, 15))
    map_rows(FLAT, h, 0, 12, 0.0, 0.0, 0, 15, x, y)
    pixmap = np.stack([x, y], axis=-1)
    peer = resample.Drizzle(kernel=kernel, out_shape=shape, fillval="0.0")
    with warnings.catch_warnings():
        # that gaussian and lanczos do not conserve flux, and that tiny drops become points
        warnings.simplefilter("ignore")
        peer.add_image(
            data, 1.0, pixmap, weight_map=weight, pixfrac=pixfrac, iscale=scale**2, pixel_scale_ratio=scale
        )
    ours = drizzled(data, weight, FLAT, h, kernel, pixfrac, scale, (0, shape[0], 0, shape[1]))
    sci, wht = finished(ours)
    top = abs(peer.out_wht).max()
    # float32 running sums of about ten terms
    np.testing.assert_allclose(wht, peer.out_wht, atol=1e-6 * top)
    solid = peer.out_wht > 0.1 * top
    np.testing.assert_allclose(sci[solid], peer.out_img[solid], atol=1e-5 * abs(peer.out_img[solid]).max())
    # Context: only shares at the limit of rounding may differ: slivers, and zeros of the Lanczos
    # table, which are 1e-17 of either sign in one of the two.
    odd = ours[2] != peer.out_ctx[0].astype(np.uint32)
    if "lanczos" in kernel:
        assert odd.mean() < 0.01
    else:
        assert (abs(peer.out_wht[odd]) < 1e-6 * top).all()


def truth_array(shared_data, name):
    path = shared_data / "drizzle_fixtures" / "kernel_truth" / f"{name}_truth.csv.gz"
    with gzip.open(path, "rt") as lines:
        return np.loadtxt(lines, delimiter=",")


def truth_result(kernel, bright):
    """DrizzlePac's own tests: pixels of 100 on a 60 x 50 chip, moved by (3, 0.5) onto 66 x 51."""
    data = np.zeros((60, 50), np.float32)
    data[bright] = 100.0
    # Half a pixel is a tie of rounding, which falls to either side by the last bit of the peer's map.
    h = linear_map(shift=(3.0, 0.5 - 1e-9))
    sums = drizzled(data, np.ones_like(data), FLAT, h, kernel, 1.0, 1.0, (0, 66, 0, 51))
    return finished(sums)[0]


@pytest.mark.parametrize(
    ("kernel", "name", "bright"),
    [
        ("square", "square", np.s_[20:22, 21]),
        ("turbo", "turbo", np.s_[20:22, 21]),
        ("point", "point", np.s_[20:22, 21]),
    ],
)
def test_drizzlepac_truth(shared_data, kernel, name, bright):
    truth, ours = truth_array(shared_data, name), truth_result(kernel, bright)
    if kernel == "point":
        # both bright pixels fall on one tie each: the same values, in neighbouring rows
        assert truth.max() == ours.max() == 100.0
        np.testing.assert_array_equal(np.flatnonzero(truth.any(axis=0)), np.flatnonzero(ours.any(axis=0)))
    else:
        # eight printed digits, and drops moved by 1e-9
        np.testing.assert_allclose(ours, truth, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "bright"),
    [
        ("gaussian", np.s_[20:22, 21]),
        ("edge_gaussian", np.s_[0, 21]),
        ("large_square_gaussian", np.s_[21:25, 22:26]),
        ("nonsymmetrical_gaussian", np.s_[21:25, 22]),
    ],
)
def test_drizzlepac_gaussian_truth(shared_data, name, bright):
    np.testing.assert_allclose(truth_result("gaussian", bright), truth_array(shared_data, name), atol=1e-4)


@pytest.mark.parametrize(("kernel", "atol"), [("point", 0.0), ("turbo", 1e-5), ("square", 1e-3)])
def test_wfc3_ir_cut(shared_data, kernel, atol):
    """AstroDrizzle's own products of an 11 x 11 cut (electrons/s, up to 162).

    Square within the error of the peer's tabulated map at corners. Gaussian and lanczos3 follow
    another lineage there: `drizzle` 3 is our reference for them.
    """
    folder = shared_data / "drizzle_fixtures"
    reference, header = fits.getdata(folder / f"reference_drizzlepac_{kernel}_drz_sci.fits.gz", header=True)
    with fits.open(folder / "test_drizzlepac_flt.fits.gz") as flt:
        data = flt["SCI"].data.astype(np.float32)
        weight = ((flt["DQ"].data & ~np.uint16(784)) == 0).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            chip = pack(WCS(flt["SCI"].header, flt), data.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # MJD-OBS from DATE-OBS
        grid = pack(WCS(header), reference.shape)
    h = homography(chip, grid)
    sums = drizzled(data, weight, chip, h, kernel, 1.0, 1.0, (0, reference.shape[0], 0, reference.shape[1]))
    np.testing.assert_allclose(finished(sums)[0], reference, atol=atol)


@pytest.fixture(scope="module")
def hrc(shared_data):
    """Three HRC exposures of 47 Tuc: rates, EXP weights, packed WCS, homography to the golden grid."""
    folder = shared_data / "hrc_ngc104"
    grid = pack(WCS(fits.Header.fromtextfile(folder / "drizzle-3.0.0" / "golden_out.hdr")), (2400, 2400))
    chips = []
    for root in ("j8bt05njq", "j8bt06o6q", "j8bt09jcq"):
        with fits.open(folder / f"{root}_flt.fits.gz") as flt:
            exptime = flt[0].header["EXPTIME"]
            data = (flt["SCI"].data / exptime).astype(np.float32)
            weight = ((flt["DQ"].data == 0) * exptime).astype(np.float32)
            chip = pack(WCS(flt["SCI"].header, flt), data.shape)
        chips.append((data, weight, chip, homography(chip, grid)))
    with np.load(folder / "drizzle-3.0.0" / "golden_drizzle3_cut.npz") as golden:
        return chips, dict(golden)


HRC_CASES = [
    "square_1.0",
    "square_0.8",
    "square_0.5",
    "turbo_0.8",
    "point_1.0",
    "gaussian_1.0",
    "lanczos3_1.0",
]


@pytest.mark.parametrize("case", HRC_CASES)
def test_hrc_golden(hrc, case):
    """`drizzle` 3.0.0 with an exact map.

    Square differs where the peer interpolates corners between centres (1e-5 of the brightest
    star's 2e3 per pixel of slope); the others by float32 sums.
    """
    chips, golden = hrc
    kernel, pixfrac = case.split("_")
    y0, y1, x0, x1 = golden["cut"]
    sums = None
    for i, (data, weight, wcs, h) in enumerate(chips):
        sums = drizzled(
            data, weight, wcs, h, kernel, float(pixfrac), 1.0, tuple(map(int, (y0, y1, x0, x1))),
            bit=1 << i, into=sums,
        )  # fmt: skip
    sci, wht = finished(sums)
    solid = golden[f"{case}_wht"] > 20  # of up to 312: lanczos means with cancelling weights are noise
    atol_wht, atol_sci = (1e-3, 1e-2) if kernel == "square" else (2e-4, 1e-3)
    np.testing.assert_allclose(wht, golden[f"{case}_wht"], atol=atol_wht)
    np.testing.assert_allclose(sci[solid], golden[f"{case}_sci"][solid], rtol=2e-6, atol=atol_sci)
    differ = sums[2].astype(np.int32) != golden[f"{case}_ctx"]
    assert differ.sum() <= 2  # shares at the limit of rounding
