"""What must hold of a product whatever the data: conservation, linearity, flatness, order, bad numbers."""

import dataclasses
import itertools
import shutil

import numpy as np
import pytest
from astropy.io import fits
from factory import write
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from drizzlewb import read_exposures
from drizzlewb.distortion import pixel_to_sky
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction import Reduction

SHAPE = (40, 60)
SCALE = 0.025  # of the ACS/HRC, arcsec
EXPTIMES = (300.0, 500.0, 420.0)
FINAL_ONLY = {
    "static": False,
    "skysub": False,
    "driz_separate": False,
    "median": False,
    "blot": False,
    "driz_cr": False,
    "final_wcs": True,
    "final_outnx": 330,
    "final_outny": 330,
    "final_bits": 0,
}
KERNELS = ["square", "turbo", "point", "gaussian", "lanczos2", "lanczos3"]
CONSERVING = st.sampled_from(["square", "turbo", "point"])
MANY = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # files for each example: shrinking takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_number = itertools.count()


def write_hrc(folder, sci, *, dq=None, exptime=500.0, shift=(0.0, 0.0)):
    """A new file of one chip, its pointing moved by pixels."""
    path = folder / f"j8xx{next(_number):05d}_flt.fits"
    ra, dec = 150.1 + shift[0] * SCALE / 3600, 2.2 + shift[1] * SCALE / 3600
    return write(
        path, "ACS/HRC", sci=[sci], dq=None if dq is None else [dq], exptime=exptime, shape=sci.shape,
        ra=ra, dec=dec,
    )  # fmt: skip


def noise_field(seed, shape=SHAPE, level=100.0):
    return np.random.default_rng(seed).normal(level, np.sqrt(level), shape).astype(np.float32)


def drizzled(spec, **keywords):
    """The whole product of files or exposures, electrons/s, and its reduction."""
    exposures = read_exposures(spec)
    parameters = ReduceParameters.from_keywords({**FINAL_ONLY, **keywords})
    reduction = Reduction(exposures, parameters, threads=1)
    return reduction.product(reduction.final_grid.region), reduction


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Three dithered exposures with noise, some flags, and some numbers that are none."""
    folder = tmp_path_factory.mktemp("stack")
    paths = []
    for k, exptime in enumerate(EXPTIMES):
        rng = np.random.default_rng(k)
        sci = noise_field(k)
        sci[rng.integers(0, SHAPE[0], 20), rng.integers(0, SHAPE[1], 20)] = [np.nan, np.inf] * 10
        dq = np.where(rng.random(SHAPE) < 0.02, 4, 0).astype(np.int16)
        paths.append(write_hrc(folder, sci, dq=dq, exptime=exptime, shift=(3.3 * k, -2.7 * k)))
    return paths


@MANY
@given(
    kernel=CONSERVING,
    pixfrac=st.floats(0.05, 1.0),
    ratio=st.floats(0.4, 2.2),
    rotation=st.floats(0.0, 360.0),
    weights=st.sampled_from(["EXP", "ERR", "IVM"]),
)
def test_flux_and_weight_are_conserved(stack, kernel, pixfrac, ratio, rotation, weights):
    """Sum of sci x wht = s^2 x sum of w x d, sum of wht = sum of w, for chips wholly inside the grid."""
    tile, reduction = drizzled(
        stack,
        final_kernel=kernel,
        final_pixfrac=pixfrac,
        final_scale=ratio * SCALE,
        final_rot=rotation,
        final_wht_type=weights,
    )
    weight_in, flux_in, size = 0.0, 0.0, 0.0
    for exposure in reduction.exposures:
        (chip,) = exposure.chips
        assert reduction.final_grid.scale_arcsec / chip.pixel_scale_arcsec == pytest.approx(ratio)
        with fits.open(exposure.path) as hdus:
            sci, err, dq = (hdus[name].data.astype(float) for name in ("SCI", "ERR", "DQ"))
        t = exposure.exptime
        with np.errstate(invalid="ignore", divide="ignore"):
            w = {
                "EXP": np.full(SHAPE, t),
                "ERR": (t / err) ** 2 / ratio**4,
                # electrons; dark 2.5 e- an exposure, read noise of the one amplifier, no sky measured
                "IVM": np.full(SHAPE, t**2 / ratio**4 / (2.5 + 4.7**2)),
            }[weights]
        w = np.where((dq == 0) & np.isfinite(sci) & np.isfinite(w), w, 0)
        d = np.where(w > 0, sci, 0) / t
        weight_in += w.sum()
        flux_in += (w * d).sum()
        size += (w * np.abs(d)).sum()
    assert not tile.wht[[0, -1]].any()
    assert not tile.wht[:, [0, -1]].any()
    product = np.where(tile.wht > 0, tile.sci, 0).astype(float) * tile.wht
    assert tile.wht.sum(dtype=float) == pytest.approx(weight_in, rel=1e-6)
    assert product.sum() == pytest.approx(ratio**2 * flux_in, abs=1e-6 * ratio**2 * size)


@settings(MANY, max_examples=15)
@example(kernel="lanczos2", pixfrac=0.5690602572145907, a=-3.3304289894639583, b=5.557161987313012e-237)
@given(
    kernel=st.sampled_from(KERNELS),
    pixfrac=st.floats(0.1, 1.0),
    a=st.floats(-5.0, 5.0),
    b=st.floats(-5.0, 5.0),
)
def test_the_product_is_linear_in_the_data(tmp_path, kernel, pixfrac, a, b):
    one, two = noise_field(1), noise_field(2, level=1000.0)
    keywords = {"final_kernel": kernel, "final_pixfrac": pixfrac, "final_scale": 0.02, "final_rot": 10.0}
    p, q, mixed = (
        drizzled(write_hrc(tmp_path, sci), **keywords)[0]
        for sci in (one, two, (a * one.astype(float) + b * two).astype(np.float32))
    )
    np.testing.assert_array_equal(mixed.wht, p.wht)
    # Lanczos weights of both signs that nearly cancel, at the border, blow the rounding of the data up.
    firm = p.wht > (1e-3 * p.wht.max() if "lanczos" in kernel else 0)
    blown_up = p.wht.max() / p.wht[firm] if "lanczos" in kernel else 1.0
    expected = a * p.sci[firm].astype(float) + b * q.sci[firm]
    assert firm.sum() > 2000
    size = (abs(a) * np.abs(p.sci[firm]).max() + abs(b) * np.abs(q.sci[firm]).max()) + 1e-30
    assert (np.abs(mixed.sci[firm] - expected) < 3e-6 * size * blown_up).all()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("pixfrac", [0.3, 0.8, 1.0])
def test_a_flat_sky_stays_flat(tmp_path, kernel, pixfrac):
    """Surface brightness is kept: every covered pixel holds rate x s^2, however it is covered."""
    rng = np.random.default_rng(5)
    paths = []
    for k, exptime in enumerate(EXPTIMES):
        flat = np.full(SHAPE, 0.25 * exptime, np.float32)
        dq = np.where(rng.random(SHAPE) < 0.1, 4, 0).astype(np.int16)
        paths.append(write_hrc(tmp_path, flat, dq=dq, exptime=exptime, shift=(1.7 * k, 2.9 * k)))
    tile, reduction = drizzled(paths, final_kernel=kernel, final_pixfrac=pixfrac, final_scale=0.018)
    covered = np.abs(tile.wht) > 1e-3 * tile.wht.max()
    assert covered.sum() > 1000
    scale = reduction.final_grid.scale_arcsec / reduction.exposures[0].chips[0].pixel_scale_arcsec
    np.testing.assert_allclose(tile.sci[covered], 0.25 * scale**2, rtol=1e-5 if "lanczos" in kernel else 3e-7)


@pytest.fixture(scope="module")
def reference(stack, tmp_path_factory):
    """A grid of its own, so that it does not follow from the first exposure of the stack."""
    _, reduction = drizzled(stack, final_scale=0.02, final_rot=30.0)
    path = tmp_path_factory.mktemp("reference") / "grid.fits"
    fits.PrimaryHDU(np.zeros(reduction.final_grid.shape, np.int16), reduction.final_grid.to_header()).writeto(
        path
    )
    return {"final_refimage": str(path), "final_outnx": None, "final_outny": None}


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_order_of_exposures_is_that_of_rounding(stack, reference, kernel):
    ordered, _ = drizzled(stack, final_kernel=kernel, **reference)
    for order in ([2, 0, 1], [1, 2, 0], [2, 1, 0]):
        other, _ = drizzled([stack[k] for k in order], final_kernel=kernel, **reference)
        np.testing.assert_allclose(other.wht, ordered.wht, rtol=3e-7, atol=1e-9 * ordered.wht.max())
        firm = np.abs(ordered.wht) > 1e-3 * ordered.wht.max()
        np.testing.assert_allclose(other.sci[firm], ordered.sci[firm], rtol=1e-5)
        bits = np.zeros_like(ordered.ctx)
        for place, k in enumerate(order):
            bits |= (other.ctx >> place & 1) << k
        np.testing.assert_array_equal(bits, ordered.ctx)


def test_the_order_of_exposures_changes_no_mask(tiny_f606w, tmp_path):
    """The whole chain: sky, median and cosmic rays know no order, on grids that know none."""
    # A grid, as a file, that serves both arrays.
    grid = Reduction(tiny_f606w[:4], ReduceParameters()).separate_grid
    path = tmp_path / "grid.fits"
    fits.PrimaryHDU(np.zeros(grid.shape, np.int16), grid.to_header()).writeto(path)
    keywords = {
        "skymethod": "localmin",
        "driz_sep_bits": 336,
        "final_bits": 336,
        "driz_sep_wcs": True,
        "driz_sep_refimage": str(path),
        "final_wcs": True,
        "final_refimage": str(path),
    }
    parameters = ReduceParameters.from_keywords(keywords)
    forward = Reduction(tiny_f606w[:4], parameters)
    backward = Reduction(tiny_f606w[:4][::-1], parameters)
    chips = len(tiny_f606w[0].chips)
    flagged = 0
    for number in range(4 * chips):
        exposure, chip = divmod(number, chips)
        mask = forward.crmask(number)
        np.testing.assert_array_equal(mask, backward.crmask((3 - exposure) * chips + chip))
        flagged += np.count_nonzero(mask == 0)
    assert flagged > 1000
    one = forward.product(grid.region)
    two = backward.product(grid.region)
    np.testing.assert_allclose(two.wht, one.wht, rtol=1e-6)
    np.testing.assert_allclose(two.sci, one.sci, rtol=1e-5, atol=1e-6 * np.nanmax(one.sci))


@settings(MANY, max_examples=12)
@given(kernel=st.sampled_from(KERNELS), n=st.integers(2, 6), seed=st.integers(0, 2**32 - 1))
def test_equal_exposures_give_what_one_gives(tmp_path, kernel, n, seed):
    sci = noise_field(seed)
    paths = [write_hrc(tmp_path, sci) for _ in range(n)]
    one, _ = drizzled(paths[:1], final_kernel=kernel, final_scale=0.02)
    many, _ = drizzled(paths, final_kernel=kernel, final_scale=0.02)
    np.testing.assert_allclose(many.wht, n * one.wht, rtol=1e-6, atol=1e-6)
    firm = np.abs(one.wht) > 1e-3 * one.wht.max()
    np.testing.assert_allclose(many.sci[firm], one.sci[firm], rtol=1e-5)


# ---------------------------------------------------------------------------- numbers that are none
BAD = [np.nan, np.inf, -np.inf]


@settings(MANY, max_examples=20)
@given(
    kernel=st.sampled_from(KERNELS),
    pixfrac=st.floats(0.1, 1.0),
    places=st.lists(
        st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1), st.sampled_from(BAD)),
        min_size=1,
        max_size=30,
    ),
)
def test_a_nan_is_a_bad_pixel_and_no_more(tmp_path, stack, kernel, pixfrac, places):
    """A pixel that is NaN or inf leaves the same bits as one flagged in DQ, in every kernel."""
    keywords = {"final_kernel": kernel, "final_pixfrac": pixfrac, "final_scale": 0.02, "final_rot": 40.0}
    poisoned = noise_field(9)
    flagged = poisoned.copy()
    dq = np.zeros(SHAPE, np.int16)
    for y, x, value in places:
        poisoned[y, x] = value
        dq[y, x] = 4
    one, _ = drizzled([write_hrc(tmp_path, poisoned), stack[0]], **keywords)
    two, _ = drizzled([write_hrc(tmp_path, flagged, dq=dq), stack[0]], **keywords)
    for ours, theirs in zip(one[1:], two[1:], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.isfinite(one.sci[one.wht != 0]).all()


@pytest.mark.parametrize("kind", ["ERR", "IVM"])
@pytest.mark.parametrize("value", [*BAD, 0.0, -1.0])
def test_a_bad_error_or_weight_is_a_bad_pixel(tmp_path, kind, value):
    sci = noise_field(3)
    dq = np.zeros(SHAPE, np.int16)
    dq[20, 30] = 4
    clean, flagged = write_hrc(tmp_path, sci), write_hrc(tmp_path, sci, dq=dq)
    lines = []
    for path, spoiled in ((clean, True), (flagged, False)):
        with fits.open(path, mode="update") as hdus:
            if kind == "ERR" and spoiled:
                hdus["ERR"].data[20, 30] = value
            ivm = np.full(SHAPE, 0.01, np.float32)
            if spoiled:
                ivm[20, 30] = value
            fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(ivm, name="IVM")]).writeto(
                path.with_suffix(".ivm")
            )
        lines.append(f"{path.name} {path.with_suffix('.ivm').name}")
    results = []
    for k, line in enumerate(lines):
        names = tmp_path / f"{k}.txt"
        names.write_text(line + "\n")
        results.append(drizzled(f"@{names}", final_wht_type=kind, final_scale=0.02)[0])
    np.testing.assert_array_equal(results[0].sci, results[1].sci)
    np.testing.assert_array_equal(results[0].wht, results[1].wht)
    assert np.isfinite(results[0].wht).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_whole_chain_keeps_a_nan_where_it_is(tiny_f606w, tmp_path, kernel):
    """Beyond its drop, and the neighbours that the cosmic-ray step looks at, every bit stays."""
    files = [(tmp_path / f"{e.rootname}_flc.fits") for e in tiny_f606w[:4]]
    clean = []
    for exposure, path in zip(tiny_f606w, files, strict=False):
        shutil.copyfile(exposure.path, path)
        clean.append(moved(exposure, path))
    keywords = {
        "static": False,
        "skysub": False,  # one pixel less is another sky
        "driz_sep_bits": 336,
        "final_bits": 336,
        "final_kernel": kernel,
        "driz_sep_kernel": kernel,
        "combine_maskpt": 0.0,  # the weight below which it masks follows from the number of good pixels
        "driz_sep_wcs": True,
        "driz_sep_rot": 0.0,
        "final_wcs": True,
        "final_rot": 0.0,
        "final_scale": 0.05,
        "final_outnx": 200,
        "final_outny": 200,
    }
    parameters = ReduceParameters.from_keywords(keywords)
    reduction = Reduction(clean, parameters)
    grid = reduction.final_grid
    before = reduction.product(grid.region)
    chip_x, chip_y = 130, 40
    x0, y0 = grid.sky_to_pixel(*pixel_to_sky(clean[1].chips[1].wcs, np.array([131.0]), np.array([40.0])))
    assert grid.region.shape == (200, 200)
    with fits.open(files[1], mode="update") as hdus:
        hdus["SCI", 2].data[chip_y, chip_x] = np.nan
        hdus["SCI", 2].data[chip_y, chip_x + 2] = -np.inf
    after = Reduction(clean, parameters).product(grid.region)
    differing = ~np.equal(before.sci, after.sci) & ~(np.isnan(before.sci) & np.isnan(after.sci))
    differing |= before.wht != after.wht
    y, x = np.nonzero(differing)
    assert differing.any()
    # Drop, median and blot each reach a few pixels.
    assert np.hypot(x - x0, y - y0).max() < 22
    assert np.isfinite(after.sci[after.wht != 0]).all()
    assert np.count_nonzero(np.isnan(after.sci)) - np.count_nonzero(np.isnan(before.sci)) <= 4


def moved(exposure, path):
    """The same exposure, its arrays read from a copy of its file."""
    chips = []
    for chip in exposure.chips:
        planes = {
            name: dataclasses.replace(getattr(chip, name), path=str(path)) for name in ("sci", "dq", "err")
        }
        chips.append(dataclasses.replace(chip, path=str(path), **planes))
    return dataclasses.replace(exposure, path=str(path), chips=tuple(chips))
