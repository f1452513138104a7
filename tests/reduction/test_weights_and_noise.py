"""Noise comes from the sky that fell on the detector, once, whoever removed it; weights are as asked."""

import numpy as np
import pytest
from astropy.io import fits
from factory import write

import drizzlewb as dw
from drizzlewb import read_exposures
from drizzlewb.errors import DataError
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction import Reduction
from drizzlewb.reduction.prepass import run_prepass
from drizzlewb.training.demo import with_true_wcs
from drizzlewb.training.truth import read_truth

BITS = {"driz_sep_bits": 336, "final_bits": 336}
NO_CLEANING = {"static": False, "driz_separate": False, "median": False, "blot": False, "driz_cr": False}


# ------------------------------------------------------------------------------- the sky, told once
def weights(exposures, **keywords):
    parameters = ReduceParameters.from_keywords(
        {**BITS, **NO_CLEANING, "final_wht_type": "IVM", "final_wcs": True, **keywords}
    )
    reduction = Reduction(exposures, parameters)
    return reduction.product(reduction.final_grid.region).wht


@pytest.fixture(scope="module")
def localmin_weights(tiny_f606w):
    return weights(tiny_f606w, skymethod="localmin")


@pytest.mark.parametrize("method", ["match", "globalmin+match", "globalmin"])
def test_ivm_weights_know_the_sky_whatever_was_subtracted(tiny_f606w, localmin_weights, method):
    made = weights(tiny_f606w, skymethod=method)
    covered = localmin_weights > 0
    np.testing.assert_array_equal(made > 0, covered)
    assert np.abs(made[covered] / localmin_weights[covered] - 1).max() < 0.01


def test_the_peers_ivm_weights_lack_the_sky_that_match_leaves(tiny_f606w, localmin_weights):
    """What the switch reproduces, and what this file is about: the faintest exposure has MDRIZSKY 0."""
    made = weights(tiny_f606w, skymethod="match", peer_noise=True)
    covered = localmin_weights > 0
    assert np.median(made[covered] / localmin_weights[covered]) > 1.3


@pytest.mark.parametrize(("kind", "skyuser", "warns"), [("IVM", "", 1), ("EXP", "", 0), ("IVM", "SKY", 0)])
def test_an_unknown_sky_is_no_secret_to_ivm_weights(tmp_path, caplog, kind, skyuser, warns):
    path = write(tmp_path / "j8xx00abq_flt.fits", "ACS/HRC", chip={"SKY": 30.0})
    parameters = ReduceParameters.from_keywords(
        {**BITS, **NO_CLEANING, "final_wht_type": kind, "skysub": False, "skyuser": skyuser}
    )
    run_prepass(read_exposures([path]), parameters)
    assert sum("the noise of the IVM weights leaves out the sky" in m for m in caplog.messages) == warns


@pytest.mark.parametrize("level", [5.0, 400.0])
def test_ivm_weights_are_the_inverse_variance_of_the_background(tmp_path, level):
    """The variance that the pixels of a blank frame show: sky, dark and read noise, in electrons squared."""
    rng = np.random.default_rng(8)
    exptime, read_noise = 500.0, 4.7
    dark = 2.5  # MEANDARK of the made file, electrons
    pixels = rng.poisson(level + dark, (120, 120)) - dark + rng.normal(0, read_noise, (120, 120))
    path = write(
        tmp_path / "j8xx00abq_flt.fits", "ACS/HRC", sci=[pixels.astype(np.float32)], exptime=exptime,
        shape=pixels.shape,
    )  # fmt: skip
    parameters = {**NO_CLEANING, "final_wht_type": "IVM", "final_kernel": "point", "final_wcs": True}
    reduction = Reduction(read_exposures(path), ReduceParameters.from_keywords(parameters))
    scale = reduction.final_grid.scale_arcsec / 0.025
    wht = reduction.product(reduction.final_grid.region).wht
    # A point's weight is that of its pixel: t^2 / s^4 over the variance.
    many = wht.sum(dtype=float) / wht[wht > 0].min() / pixels.size
    assert many == pytest.approx(1, abs=1e-3)  # all points arrived, singly or in pairs
    assert wht[wht > 0].min() * pixels.var(dtype=float) == pytest.approx(exptime**2 / scale**4, rel=0.04)


# ------------------------------------------------- a sky that was removed beforehand, and declared
@pytest.fixture(scope="module")
def as_delivered(tiny_f606w):
    """Four exposures with their sky in them, reduced by localmin."""
    return reduction_of(tiny_f606w[:4], skymethod="localmin")


def reduction_of(exposures, **keywords):
    return Reduction(exposures, ReduceParameters.from_keywords({**BITS, **keywords}))


@pytest.fixture(scope="module")
def subtracted(tiny_set, as_delivered, tmp_path_factory):
    """Copies whose pixels have lost the sky; keyword BACKGR and a file of values say how much."""
    folder = tmp_path_factory.mktemp("subtracted")
    lines = ["# applied = yes"]
    for exposure, chips in zip(as_delivered.exposures, as_delivered.prepare().chips, strict=True):
        name = exposure.path.rsplit("/", 1)[-1]
        truth = name.replace("_flc", "_truth")
        (folder / truth).write_bytes((tiny_set / truth).read_bytes())
        with fits.open(tiny_set / name) as hdus:
            for chip in chips:
                hdu = hdus["SCI", chip.chip.extver]
                hdu.data -= np.float32(chip.sky_subtracted)
                hdu.header["BACKGR"] = chip.sky_subtracted
            hdus.writeto(folder / name)
        lines.append(f"{name} " + " ".join(f"{chip.sky_subtracted:.9g}" for chip in chips))
    (folder / "sky.txt").write_text("\n".join(lines) + "\n")
    return folder


def removed(folder, **keywords):
    """Reduction of those copies."""
    return reduction_of(with_true_wcs(read_exposures(str(folder / "j8ny01*_flc.fits"))), **keywords)


def masks(reduction):
    return [reduction.crmask(n) == 0 for n in range(sum(len(e.chips) for e in reduction.exposures))]


def false_positives(reduction):
    """Flagged pixels that no cosmic ray touched and that no defect of the detector excuses."""
    count = 0
    found = iter(masks(reduction))
    for exposure in reduction.exposures:
        truth = read_truth(exposure.path.replace("_flc", "_truth"))
        for charge, flaws in zip(truth.cr_charge, truth.defects, strict=True):
            count += int(np.count_nonzero(next(found) & (charge < 1) & (flaws == 0)))
    return count


@pytest.mark.parametrize("how", ["keyword", "file"])
def test_cosmic_rays_do_not_depend_on_who_removed_the_sky(as_delivered, subtracted, how):
    keywords = {
        "keyword": {"skysub": False, "skyuser": "BACKGR"},
        "file": {"skysub": True, "skyfile": str(subtracted / "sky.txt")},
    }[how]
    declared = removed(subtracted, **keywords)
    for before, after in zip(as_delivered.prepare().chips, declared.prepare().chips, strict=True):
        for one, two in zip(before, after, strict=True):
            assert two.sky_subtracted == 0
            assert two.sky_present == pytest.approx(one.sky_present, rel=1e-6)
    pairs = list(zip(masks(as_delivered), masks(declared), strict=True))
    assert sum(np.count_nonzero(mask) for mask, _ in pairs) > 1000
    # The sky went off and on again in float32: a pixel within that of a threshold may differ.
    assert sum(np.count_nonzero(one != two) for one, two in pairs) <= 2
    assert abs(false_positives(declared) - false_positives(as_delivered)) <= 2


def test_match_cleans_as_well_as_globalmin_match(tiny_f606w):
    """With match nearly all of the sky stays in the pixels and in the median: it must not count twice."""
    one, two = (reduction_of(tiny_f606w, skymethod=method) for method in ("match", "globalmin+match"))
    assert abs(one.prepare().chips[0][0].sky_subtracted - two.prepare().chips[0][0].sky_subtracted) > 100
    pairs = list(zip(masks(one), masks(two), strict=True))
    flagged = sum(np.count_nonzero(mask) for mask, _ in pairs)
    # They differ where the derivative at the chip's border holds the sky, and by the sky's own rounding.
    inside = (slice(2, -2), slice(2, -2))
    assert sum(np.count_nonzero((a != b)[inside]) for a, b in pairs) < 1e-3 * flagged
    assert abs(false_positives(one) - false_positives(two)) <= 0.02 * false_positives(two)


@pytest.mark.parametrize("kind", ["minmed", "median"])
def test_the_noise_in_the_cosmic_ray_step_is_that_of_the_detector(tiny_f606w, kind):
    """Faint rays found, as with localmin: the sky counted twice would cost every second one."""
    found = {}
    for method in ("localmin", "match"):
        reduction = reduction_of(tiny_f606w, skymethod=method, combine_type=kind)
        flagged = iter(masks(reduction))
        hit, rays = 0, 0
        for exposure in reduction.exposures:
            truth = read_truth(exposure.path.replace("_flc", "_truth"))
            for charge, flaws in zip(truth.cr_charge, truth.defects, strict=True):
                faint = (charge > 30) & (charge < 80) & (flaws == 0)
                hit += np.count_nonzero(next(flagged) & faint)
                rays += np.count_nonzero(faint)
        found[method] = hit / rays
    assert found["match"] == pytest.approx(found["localmin"], rel=0.05)
    assert found["match"] > 0.3


def test_a_sky_removed_in_silence_makes_false_cosmic_rays(as_delivered, subtracted):
    """Without the declaration the noise is too small: the test above can fail."""
    silent = removed(subtracted, skysub=False)
    assert false_positives(silent) > 2 * false_positives(as_delivered)


def test_declared_sky_gives_the_same_ivm_weights(as_delivered, subtracted):
    keywords = {**BITS, **NO_CLEANING, "final_wht_type": "IVM"}
    one = Reduction(
        as_delivered.exposures, ReduceParameters.from_keywords({**keywords, "skymethod": "match"})
    )
    two = removed(subtracted, **NO_CLEANING, final_wht_type="IVM", skysub=False, skyuser="BACKGR")
    region = one.final_grid.region
    np.testing.assert_allclose(two.product(region).wht, one.product(region).wht, rtol=0.01)


# -------------------------------------------------------------------------- the user's weight maps
SHAPE = (60, 90)


@pytest.fixture
def listed(tmp_path):
    """Two ACS/WFC exposures, each with a file of two inverse-variance maps, in a two-column @list."""
    lines = []
    for k, exptime in enumerate((400.0, 600.0)):
        name = f"j8yy0{k}abq_flc.fits"
        write(tmp_path / name, "ACS/WFC", shape=SHAPE, exptime=exptime, seed=10 * k)
        rng = np.random.default_rng(k)
        maps = [rng.uniform(0.001, 0.02, SHAPE).astype(np.float32) for _ in range(2)]
        maps[0][10:14, 20:30] = 0  # the user's own mask
        hdus = [fits.ImageHDU(values, name="IVM", ver=ver) for ver, values in enumerate(maps, 1)]
        # In the file the second chip's map comes first: it is found by its name.
        fits.HDUList([fits.PrimaryHDU(), *hdus[::-1]]).writeto(tmp_path / f"ivm{k}.fits")
        lines.append(f"{name}  ivm{k}.fits")
    (tmp_path / "list.txt").write_text("# exposure, its inverse-variance maps\n" + "\n".join(lines) + "\n")
    return tmp_path


LISTED = {
    **NO_CLEANING,
    "skysub": False,
    "final_wht_type": "IVM",
    "final_wcs": True,
    "final_scale": 0.04,
    "final_rot": 0.0,
    "final_outnx": 300,
    "final_outny": 300,
    "final_bits": 0,
}


def test_the_users_maps_are_the_weights(listed):
    reduction = Reduction(read_exposures(f"@{listed / 'list.txt'}"), ReduceParameters.from_keywords(LISTED))
    tile = reduction.product(reduction.final_grid.region)
    scale = 0.04 / reduction.exposures[0].chips[0].pixel_scale_arcsec
    total, flux = 0.0, 0.0
    for k, exposure in enumerate(reduction.exposures):
        with fits.open(listed / f"ivm{k}.fits") as maps, fits.open(exposure.path) as hdus:
            for chip in (1, 2):
                w = maps["IVM", chip].data.astype(float) * exposure.exptime**2 / scale**4
                total += w.sum()
                flux += (w * hdus["SCI", chip].data / exposure.exptime).sum()
    assert not tile.wht[[0, -1]].any()
    assert not tile.wht[:, [0, -1]].any()
    assert tile.wht.sum(dtype=float) == pytest.approx(total, rel=1e-5)
    product = np.where(tile.wht > 0, tile.sci, 0).astype(float) * tile.wht
    assert product.sum() == pytest.approx(scale**2 * flux, rel=1e-5)


def test_maps_are_read_for_ivm_only(listed):
    one, two = (
        Reduction(read_exposures(spec), ReduceParameters.from_keywords({**LISTED, "final_wht_type": "EXP"}))
        for spec in (f"@{listed / 'list.txt'}", str(listed / "j8yy*_flc.fits"))
    )
    region = one.final_grid.region
    np.testing.assert_array_equal(one.product(region).wht, two.product(region).wht)


def test_another_map_is_another_product(listed):
    """The cache key knows the map, its contents too."""
    parameters = ReduceParameters.from_keywords(LISTED)
    first = Reduction(read_exposures(f"@{listed / 'list.txt'}"), parameters).keys["product"]
    (listed / "other.txt").write_text("j8yy00abq_flc.fits ivm1.fits\nj8yy01abq_flc.fits ivm1.fits\n")
    assert Reduction(read_exposures(f"@{listed / 'other.txt'}"), parameters).keys["product"] != first
    with fits.open(listed / "ivm1.fits", mode="update") as hdus:
        hdus["IVM", 1].data *= 2
        hdus.append(fits.ImageHDU(name="NOTE"))
    assert Reduction(read_exposures(f"@{listed / 'list.txt'}"), parameters).keys["product"] != first


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda hdus: hdus.pop(1), r"has no extension IVM,2.*Give each chip's map"),
        (
            lambda hdus: setattr(hdus[1], "data", np.ones((5, 6), np.float32)),
            r"has shape \(5, 6\).*own",
        ),
    ],
)
def test_a_map_that_does_not_fit_is_refused(listed, tmp_path, spoil, message):
    with fits.open(listed / "ivm1.fits", memmap=False) as hdus:
        spoil(hdus)
        hdus.writeto(listed / "ivm1.fits", overwrite=True)
    with pytest.raises(DataError, match=message):
        dw.reduce(read_exposures(f"@{listed / 'list.txt'}"), output=tmp_path / "out", **LISTED)
    assert not list(tmp_path.glob("out*"))


# --------------------------------------------------------------------------------- match over many
def test_match_over_a_hundred_exposures(tmp_path):
    """A mosaic of 10 x 10: every overlapping pair is measured, and the offsets come back."""
    side, step, scale = 128, 80, 0.025
    rng = np.random.default_rng(4)
    levels = rng.uniform(0.2, 0.6, 100)
    times = rng.choice([200.0, 400.0], 100)
    paths = []
    for k in range(100):
        sky = rng.normal(levels[k] * times[k], 4.0, (side, side)).astype(np.float32)
        turn = np.radians(30.0)  # of the factory's files
        dx, dy = step * (k % 10) * scale / 3600, step * (k // 10) * scale / 3600
        dec = 2.2 - dx * np.sin(turn) - dy * np.cos(turn)
        ra = 150.1 + (dx * np.cos(turn) - dy * np.sin(turn)) / np.cos(np.radians(2.2))
        paths.append(
            write(
                tmp_path / f"j8zz{k:02d}abq_flt.fits", "ACS/HRC", sci=[sky], exptime=times[k],
                shape=(side, side), with_err=False, with_dq=False, ra=ra, dec=dec,
            )
        )  # fmt: skip
    parameters = ReduceParameters.from_keywords({"static": False, "skymethod": "match"})
    solution = run_prepass(read_exposures(paths), parameters, threads=1).sky
    overlaps = solution.overlaps
    pairs = set(zip(overlaps.i.tolist(), overlaps.j.tolist(), strict=True))
    neighbours = {
        (i, j)
        for i in range(100)
        for j in range(i + 1, 100)
        if abs(i % 10 - j % 10) + abs(i // 10 - j // 10) == 1
    }
    assert pairs >= neighbours
    assert len(neighbours) == 180
    assert (solution.groups == 0).all()
    found = np.array([value.subtracted_e for value in solution.values]) / times
    # 48 x 128 px and more in common, 4 e- of noise over 200 s or more
    np.testing.assert_allclose(found - found.min(), levels - levels.min(), atol=2e-3)
    rate = scale**2
    assert np.nanmax(np.abs(solution.residual_matrix())) * rate < 2e-3
