"""The sky: an old open cluster like NGC 6791, field stars and galaxies, the same for every frame."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

__all__ = ["CENTRE", "Galaxies", "magnitudes", "make_catalog", "render_galaxies"]

CENTRE = (290.2208333, 37.7716667)  # NGC 6791 (deg, ICRS)
RADIUS_ARCSEC = 165.0  # of the painted field, half a side
CORE_ARCSEC = 150.0  # of the cluster's density
CENTRAL_DENSITY = 1.30  # cluster stars per square arcsec at the centre, all magnitudes

# Ridge of the evolved sequence and the main sequence: F606W and F606W - F814W (VEGAmag), an old
# metal-rich population at (m - M) = 13.5 with E(B - V) = 0.12.
_GIANTS = ((13.9, 1.62), (14.5, 1.40), (15.2, 1.24), (16.0, 1.12), (16.8, 1.04), (17.3, 0.97), (17.45, 0.84))
_DWARFS = (
    (17.45, 0.72),
    (18.0, 0.67),
    (19.0, 0.76),
    (20.0, 0.90),
    (21.0, 1.08),
    (22.0, 1.30),
    (23.0, 1.55),
    (24.0, 1.80),
    (25.0, 2.02),
    (26.0, 2.20),
    (27.0, 2.35),
    (28.0, 2.45),
)
# Stars per magnitude, relative; the whole is normalised to CENTRAL_DENSITY.
_LUMINOSITY = (
    (13.9, 0.006),
    (15.0, 0.01),
    (16.5, 0.02),
    (17.2, 0.05),
    (17.6, 0.10),
    (18.5, 0.16),
    (19.5, 0.32),
    (20.5, 0.90),
    (21.5, 1.5),
    (22.5, 2.0),
    (23.5, 2.5),
    (24.5, 2.7),
    (25.5, 2.6),
    (26.5, 2.1),
    (27.9, 1.0),
)


def make_catalog(seed: int) -> Table:
    """Stars and galaxies of the whole field.

    Parameters
    ----------
    seed : int
        Same seed, same sky.

    Returns
    -------
    astropy.table.Table
        Columns ``id``, ``ra``, ``dec`` (deg), ``kind`` (``cluster``, ``field``, ``galaxy``), ``m606``,
        ``m814`` (VEGAmag), and for galaxies ``re`` (half-light radius, arcsec), ``sersic``,
        ``axis_ratio``, ``pa`` (deg east of north); brightest first among stars, then galaxies.
    """
    rng = np.random.Generator(np.random.PCG64([seed, 0x5CE11E]))
    cluster, field = _cluster(rng), _field(rng)
    x, y, v, vi = (np.concatenate(pair) for pair in zip(cluster, field, strict=True))
    kinds = np.array(["cluster"] * cluster[0].size + ["field"] * field[0].size)
    order = np.argsort(v, kind="stable")
    x, y, v, vi, kinds = x[order], y[order], v[order], vi[order], kinds[order]
    gx, gy, gv, gvi, shape = _galaxies(rng)
    x, y, v, vi = (np.concatenate(pair) for pair in ((x, gx), (y, gy), (v, gv), (vi, gvi)))
    ra, dec = _deproject(x, y)
    table = Table()
    table["id"] = np.arange(1, x.size + 1, dtype=np.int32)
    table["ra"], table["dec"] = ra, dec
    table["kind"] = np.concatenate([kinds, np.full(gx.size, "galaxy")]).astype("S8")
    table["m606"], table["m814"] = v, v - vi
    for name in ("re", "sersic", "axis_ratio", "pa"):
        table[name] = np.concatenate([np.zeros(kinds.size), shape[name]])
    table["ra"].unit = table["dec"].unit = table["pa"].unit = "deg"
    table["re"].unit = "arcsec"
    return table


def _deproject(xi: NDArray, eta: NDArray) -> tuple[NDArray, NDArray]:
    """Tangent plane at `CENTRE`, arcsec, to ICRS degrees."""
    a0, d0 = np.radians(CENTRE)
    x, y = np.radians(xi / 3600), np.radians(eta / 3600)
    z = np.cos(d0) - y * np.sin(d0)
    return np.degrees(a0 + np.arctan2(x, z)) % 360, np.degrees(
        np.arctan2(np.sin(d0) + y * np.cos(d0), np.hypot(x, z))
    )


def _inverse_sample(
    rng: np.random.Generator, nodes: tuple[tuple[float, float], ...], n: int
) -> NDArray[np.float64]:
    """`n` values from a density given by straight lines between nodes."""
    grid = np.linspace(nodes[0][0], nodes[-1][0], 2000)
    density = np.interp(grid, *np.transpose(nodes))
    cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.interp(rng.uniform(0, cumulative[-1], n), cumulative, grid)


def _ridge(m: NDArray, nodes: tuple[tuple[float, float], ...]) -> NDArray:
    return np.interp(m, *np.transpose(nodes))


def _cluster(rng: np.random.Generator) -> tuple[NDArray, ...]:
    n = rng.poisson(CENTRAL_DENSITY * (2 * RADIUS_ARCSEC) ** 2)
    xi, eta = rng.uniform(-RADIUS_ARCSEC, RADIUS_ARCSEC, (2, n))
    keep = rng.uniform(0, 1, n) < 1 / (1 + (xi**2 + eta**2) / CORE_ARCSEC**2)
    xi, eta = xi[keep], eta[keep]
    n = xi.size
    v = _inverse_sample(rng, _LUMINOSITY, n)
    evolved = v < 17.45
    vi = np.where(evolved, _ridge(v, _GIANTS), _ridge(v, _DWARFS))
    clump = evolved & (rng.uniform(0, 1, n) < 0.2)
    v = np.where(clump, rng.normal(14.75, 0.06, n), v)
    vi = np.where(clump, rng.normal(1.12, 0.03, n), vi)
    # Unresolved binaries: a companion fainter on the same sequence.
    double = ~evolved & (rng.uniform(0, 1, n) < 0.3)
    v2 = v + rng.exponential(1.5, n)
    vi2 = _ridge(v2, _DWARFS)
    both_v = -2.5 * np.log10(10 ** (-0.4 * v) + 10 ** (-0.4 * v2))
    both_i = -2.5 * np.log10(10 ** (-0.4 * (v - vi)) + 10 ** (-0.4 * (v2 - vi2)))
    v, vi = np.where(double, both_v, v), np.where(double, both_v - both_i, vi)
    # White dwarfs: the end of the cooling sequence of an old cluster.
    dwarf = ~evolved & (rng.uniform(0, 1, n) < 0.012)
    wd = rng.uniform(22.6, 27.6, n)
    v, vi = np.where(dwarf, wd, v), np.where(dwarf, 0.02 + 0.13 * (wd - 22.6), vi)
    return xi, eta, v, vi + rng.normal(0, 0.012, n)


def _field(rng: np.random.Generator) -> tuple[NDArray, ...]:
    n = rng.poisson(0.16 * (2 * RADIUS_ARCSEC) ** 2)
    xi, eta = rng.uniform(-RADIUS_ARCSEC, RADIUS_ARCSEC, (2, n))
    v = _inverse_sample(rng, ((14.5, 0.03), (17, 0.12), (20, 0.5), (23, 1.2), (26, 1.8), (28, 1.4)), n)
    disc = 0.62 + 0.10 * (v - 15) + rng.normal(0, 0.16, n)
    halo = 0.55 + 0.06 * np.maximum(v - 18, 0) + rng.normal(0, 0.08, n)
    vi = np.where(rng.uniform(0, 1, n) < 0.7, disc, halo)
    return xi, eta, v, np.clip(vi, 0.3, 2.8)


def _galaxies(rng: np.random.Generator) -> tuple[NDArray, NDArray, NDArray, NDArray, dict[str, NDArray]]:
    n = rng.poisson(0.018 * (2 * RADIUS_ARCSEC) ** 2)
    xi, eta = rng.uniform(-RADIUS_ARCSEC, RADIUS_ARCSEC, (2, n))
    v = _inverse_sample(rng, ((18.5, 0.01), (20, 0.04), (22, 0.25), (24, 1.0), (26, 2.6), (27, 3.0)), n)
    early = rng.uniform(0, 1, n) < 0.25
    shape = {
        "re": np.clip(0.30 * 10 ** (-0.11 * (v - 24)) * np.exp(rng.normal(0, 0.35, n)), 0.08, 2.5),
        "sersic": np.where(early, rng.uniform(2.5, 4.2, n), rng.uniform(0.7, 1.6, n)),
        "axis_ratio": np.where(early, rng.uniform(0.6, 1.0, n), rng.uniform(0.25, 1.0, n)),
        "pa": rng.uniform(0, 180, n),
    }
    vi = np.where(early, rng.normal(1.35, 0.2, n), rng.normal(0.85, 0.25, n))
    return xi, eta, v, vi, shape


def magnitudes(catalog: Table, colour: tuple[float, float]) -> NDArray[np.float64]:
    """VEGAmag in a band that is `colour` = (a, b) away: m606 - a (m606 - m814) - b (m606 - m814)²."""
    vi = np.asarray(catalog["m606"] - catalog["m814"])
    return np.asarray(catalog["m606"]) - colour[0] * vi - colour[1] * vi**2


class Galaxies(NamedTuple):
    """Galaxies on one chip: pixels, electrons, half-light radius (arcsec), and the rest of the shape."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    counts: NDArray[np.float64]
    re: NDArray[np.float64]
    sersic: NDArray[np.float64]
    axis_ratio: NDArray[np.float64]
    pa: NDArray[np.float64]


@functools.cache
def _sersic_b(n_hundredths: int) -> float:
    from scipy.special import gammaincinv

    return float(gammaincinv(2 * n_hundredths / 100, 0.5))


def render_galaxies(
    shape: tuple[int, int],
    margin: int,
    galaxies: Galaxies,
    sky_per_pixel: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Galaxies before the point-spread function, on an image with a margin all round.

    Parameters
    ----------
    shape : (ny, nx)
        Chip; the result is larger by `margin` on each side.
    margin : int
        Pixels.
    galaxies : Galaxies
        Positions on the chip.
    sky_per_pixel : float64[n, 2, 2]
        Local linear map from pixels to (east, north) arcsec at each galaxy.

    Returns
    -------
    float32[ny + 2 margin, nx + 2 margin]
        Electrons per pixel; each galaxy is cut at six half-light radii and then has its full flux.
    """
    ny, nx = shape[0] + 2 * margin, shape[1] + 2 * margin
    image = np.zeros((ny, nx), dtype=np.float32)
    sub = 5
    fine = (np.arange(sub) + 0.5) / sub - 0.5
    for turn, *g in zip(sky_per_pixel, *galaxies, strict=True):
        x, y, counts, re, sersic, ratio, pa = (float(v) for v in g)
        scale = math.sqrt(abs(np.linalg.det(turn)))
        reach = min(max(4, math.ceil(6 * re / scale)), 160)
        ci, cj = round(x), round(y)
        if ci + margin + reach < 0 or cj + margin + reach < 0:
            continue
        if ci + margin - reach >= nx or cj + margin - reach >= ny:
            continue
        k = sub if reach <= 40 else 1
        offsets = (np.arange(-reach, reach + 1)[:, None] + (fine[None] if k > 1 else 0.0)).ravel()
        dx, dy = np.meshgrid(offsets + ci - x, offsets + cj - y)
        east = turn[0, 0] * dx + turn[0, 1] * dy
        north = turn[1, 0] * dx + turn[1, 1] * dy
        p = math.radians(pa)
        major = (east * math.sin(p) + north * math.cos(p)) / re * math.sqrt(ratio)
        minor = (east * math.cos(p) - north * math.sin(p)) / re / math.sqrt(ratio)
        radius = np.sqrt(major**2 + minor**2 + 1e-4)
        profile = np.exp(-_sersic_b(round(100 * sersic)) * (radius ** (1 / sersic) - 1))
        profile[radius > 6] = 0
        side = 2 * reach + 1
        if k > 1:
            profile = profile.reshape(side, k, side, k).sum(axis=(1, 3))
        profile *= counts / profile.sum()
        i0, j0 = ci + margin - reach, cj + margin - reach
        ys, xs = slice(max(j0, 0), min(j0 + side, ny)), slice(max(i0, 0), min(i0 + side, nx))
        image[ys, xs] += profile[ys.start - j0 : ys.stop - j0, xs.start - i0 : xs.stop - i0]
    return image
