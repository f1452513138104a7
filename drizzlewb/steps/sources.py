"""Sources of an exposure: found, measured and selected, chip by chip.

Pixels are electrons inside; limits that the user gives (``peakmax``, ``fluxmin``, ``skysigma``) are in
the file's own unit, as in TweakReg.
"""

import logging
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from drizzlewb import distortion
from drizzlewb.errors import Cancelled, DataError
from drizzlewb.exposure import Chip, Exposure
from drizzlewb.kernels import detection
from drizzlewb.kernels.neighbours import thin
from drizzlewb.kernels.shapes import ShapeStatistics, shape_statistics
from drizzlewb.kernels.starfit import fit_stars
from drizzlewb.kernels.statistics import MEAN, MODE, clipped_statistics, histogram
from drizzlewb.parameters.imagefind import ImageFind
from drizzlewb.steps.regions import DS9Region, selected
from drizzlewb.steps.source_list import COLUMNS, ChipReport, Sources

__all__ = ["ChipReport", "Sources", "find_sources", "sky_noise"]

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]

_NAMES_OF_SATURATION = ("saturated", "atod_saturated")
_ROWS_PER_SAMPLE = 1_000_000
_FEW_STARS = 5


def sky_noise(image: npt.NDArray[np.float32]) -> tuple[float, float, float]:
    """Sky level, its measured noise and its mode, from at most a million pixels.

    Parameters
    ----------
    image : ndarray, float32, shape (ny, nx)
        NaN and infinities are left out.

    Returns
    -------
    median, sigma, mode : float
        Median after clipping at 3 sigma, five times. Sigma from the pixels fainter than the most common
        value, which stars, cosmic rays and the light between them leave alone. The mode as TweakReg
        takes it (three times 4 sigma, bins of 0.01 sigma). NaN if there is no finite pixel.
    """
    step = max(1, math.ceil(image.size / _ROWS_PER_SAMPLE))
    # Whole rows: amplifiers and columns weigh as on the chip.
    values = np.ascontiguousarray(image[step // 2 :: step]).ravel()
    clipped = clipped_statistics(values, 5, 3.0, 3.0, -np.inf, np.inf, 0.1, MEAN)
    peer = clipped_statistics(values, 3, 4.0, 4.0, -np.inf, np.inf, 0.01, MODE)
    mean, spread = float(clipped.mean), float(clipped.stddev)
    if not spread > 0:
        return mean, spread, float(peer.mode)
    # One histogram, a hundredth of a sigma fine, stands for all sorting.
    low = mean - 3.0 * spread
    edges = np.linspace(low, mean + 3.0 * spread, 601)
    counts = histogram(values, np.float32(low), np.float32(100.0 / spread), 600)
    inside = np.concatenate([[0], np.cumsum(counts)])
    median = float(np.interp(0.5 * inside[-1], inside, edges))
    coarse = counts.reshape(30, 20).sum(1)
    k = int(np.clip(np.argmax(coarse), 1, 28))
    a, b, c = coarse[k - 1 : k + 2].astype(float)
    bend = a - 2.0 * b + c
    width = 0.2 * spread
    centre = low + width * (k + 0.5 + (0.5 * (a - c) / bend if bend < 0 else 0.0))
    # Half a Gaussian: 68.27 % of it lies within one sigma of its top.
    below = np.count_nonzero(values < np.float32(low)) + inside
    fainter = float(np.interp(centre, edges, below))
    sigma = centre - float(np.interp(0.3173 * fainter, below, edges)) if fainter > 0 else spread
    return median, sigma, float(peer.mode)


def find_sources(
    exposure: Exposure,
    parameters: ImageFind | None = None,
    *,
    noise: str = "measured",
    regions: Sequence[Sequence[DS9Region] | None] = (),
    nbright: int | None = None,
    avoid_saturated: bool = True,
    cancelled: Callable[[], bool] | None = None,
) -> Sources:
    """Find and measure the sources of an exposure.

    Parameters
    ----------
    exposure : Exposure
    parameters : ImageFind, optional
        TweakReg's source-finding parameters.
    noise : {'measured', 'tweakreg'}
        What sigma of ``threshold`` means when ``computesig`` is on; see `sky_noise`.
    regions : sequence, optional
        For each chip the DS9 regions that select its sources, or None.
    nbright : int, optional
        Keep only the brightest of the exposure.
    avoid_saturated : bool
        Drop sources within one ``conv_width`` of a pixel flagged as saturated: their centres are not
        those of the stars. Without a DQ array nothing is dropped.
    cancelled : callable, optional
        Asked several times a chip.

    Returns
    -------
    Sources
        In order of chip, y, x of the peak. Empty if nothing is above the threshold.

    Raises
    ------
    DataError
        If a chip has no finite pixel, or if ``computesig`` is off and ``skysigma`` is not positive.
    Cancelled
        If `cancelled` says so.

    Notes
    -----
    Differences from TweakReg, all of which its parity test states: positions are least-squares fits;
    blended stars above the threshold are kept apart; maxima at which no star can be fitted (edges of
    saturated trails, ramps) are dropped.
    """
    pars = parameters or ImageFind()
    parts, reports = [], []

    def check() -> None:
        if cancelled is not None and cancelled():
            msg = f"Source finding was cancelled at {chip.label}."
            raise Cancelled(msg)

    for k, chip in enumerate(exposure.chips):
        check()
        area = regions[k] if k < len(regions) else None
        columns, report = _chip_sources(chip, pars, noise, area, avoid_saturated, check)
        columns["chip"] = np.full(len(columns["x"]), k, np.int16)
        parts.append(columns)
        reports.append(report)
        log.info(
            "%s: %d sources of %d maxima above %.4g = %g x %.4g (measured %.4g, TweakReg's %.4g), FWHM %.2f",
            chip.label,
            len(columns["x"]),
            report.found,
            report.threshold,
            pars.threshold or 0,
            report.sigma,
            report.sigma_measured,
            report.sigma_tweakreg,
            report.fwhm_px,
        )
    arrays = {name: np.concatenate([p[name] for p in parts]) for name in ("chip", *COLUMNS)}
    sources = Sources(exposure.rootname, filters=exposure.filters, reports=tuple(reports), **arrays)
    if nbright is not None and nbright < len(sources):
        brightest = np.argsort(-np.nan_to_num(sources.flux, nan=-np.inf), kind="stable")[:nbright]
        sources = sources.take(np.sort(brightest))
    return sources


def _peaks(
    image: npt.NDArray[np.float32],
    good: npt.NDArray[np.uint8],
    filters: detection.MatchedFilter,
    threshold: float,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    capacity = 100_000
    while True:
        xs, ys = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
        heights = np.empty(capacity, np.float32)
        n = detection.find_peaks(
            image,
            good,
            filters.weights,
            filters.footprint,
            np.float32(threshold),
            0,
            image.shape[0],
            xs,
            ys,
            heights,
        )
        if n <= capacity:
            return xs[:n], ys[:n], heights[:n]
        capacity = n


def _near_saturation(
    chip: Chip, x: npt.NDArray[np.int32], y: npt.NDArray[np.int32], radius: float
) -> npt.NDArray[np.bool_]:
    """Sources within radius of a saturated pixel."""
    bits = sum(chip.flags.by_name.get(name, 0) for name in _NAMES_OF_SATURATION)
    if chip.dq is None or not bits or not len(x):
        return np.zeros(len(x), bool)
    ny, nx = chip.shape
    flagged = chip.read_dq((0, ny, 0, nx)) & np.uint16(bits) != 0
    near = np.zeros(len(x), bool)
    if not flagged.any():
        return near
    reach = math.ceil(radius)
    # Around the sources only: a search among all saturated pixels takes several times longer. The margin
    # saves asking which neighbours lie on the chip.
    padded = np.zeros((ny + 2 * reach, nx + 2 * reach), bool)
    padded[reach : reach + ny, reach : reach + nx] = flagged
    width, pixels = padded.shape[1], padded.ravel()
    place = (y.astype(np.int64) + reach) * width + x + reach
    for j in range(-reach, reach + 1):
        for i in range(-reach, reach + 1):
            if math.hypot(i, j) < radius:
                near |= pixels[place + (j * width + i)]
    return near


def _star_width(
    image: npt.NDArray[np.float32],
    good: npt.NDArray[np.uint8],
    xs: npt.NDArray[np.int32],
    ys: npt.NDArray[np.int32],
    heights: npt.NDArray[np.float32],
    shapes: ShapeStatistics,
    start: float,
) -> float:
    """Gaussian sigma of the stars before integration over pixels, px; NaN if there are too few.

    From the brightest round sources that are no single hot pixels. Cosmic rays vary in width and fit
    badly, stars agree: of the fits, the half with the smallest misfit decides.
    """
    round_ones = (np.abs(shapes.round2) < 0.5) & (shapes.sharp > 0.2) & (shapes.sharp < 1.0)
    index = np.flatnonzero(round_ones)
    index = index[np.argsort(-heights[index], kind="stable")[:400]]
    out = np.empty((len(index), 6))
    half = max(2, math.ceil(1.5 * start))
    fit_stars(image, good, xs[index], ys[index], heights[index], half, start, True, out)
    out = out[np.isfinite(out[:, 0]) & (out[:, 4] > 0.21)]
    if len(out) < _FEW_STARS:
        return float("nan")
    best = out[np.argsort(out[:, 5])[: max(_FEW_STARS, len(out) // 2)]]
    return float(np.median(best[:, 4]))


def _chip_sources(
    chip: Chip,
    pars: ImageFind,
    noise: str,
    regions: Sequence[DS9Region] | None,
    avoid_saturated: bool,
    check: Callable[[], None],
) -> tuple[dict[str, Array], ChipReport]:
    ny, nx = chip.shape
    box = (0, ny, 0, nx)
    image = chip.read_sci(box)
    check()
    finite = np.isfinite(image)
    unit = chip.to_electrons
    sky, measured, mode = sky_noise(image)
    check()
    if not np.isfinite(sky):
        msg = f"Source finding in {chip.label}: the image has no finite pixel; leave this exposure out."
        raise DataError(msg)
    peer = math.sqrt(2.0 * abs(mode) / unit) * unit
    if pars.computesig:
        sigma = peer if noise == "tweakreg" else measured
    else:
        sigma = (pars.skysigma or 0.0) * unit
        if not sigma > 0:
            msg = (
                f"Source finding in {chip.label}: computesig is off, so skysigma must be above 0; "
                f"it is {pars.skysigma}."
            )
            raise DataError(msg)
    # Without a threshold DrizzlePac takes the square of sigma, in the image's unit.
    threshold = sigma * pars.threshold if pars.threshold is not None else (sigma / unit) ** 2 * unit
    if pars.dqbits is None and not chip.shadow_chip:
        good = np.empty((0, 0), np.uint8)
    else:
        good = chip.good(box, pars.dqbits)
    if not finite.all():
        # Level sky in place of bad pixels: they neither make a source nor poison a neighbour.
        image[~finite] = sky
        good = finite.view(np.uint8) if good.size == 0 else good & finite.view(np.uint8)
    filters = detection.matched_filter(pars.conv_width or 3.5, pars.nsigma or 1.5, pars.ratio, pars.theta)
    xs, ys, heights = _peaks(image, good, filters, threshold)
    check()
    found = len(xs)
    shapes = shape_statistics(image, filters, xs, ys, heights)
    lost: dict[str, npt.NDArray[np.bool_]] = {}
    keep = np.ones(found, bool)

    def drop(reason: str, bad: npt.NDArray[np.bool_]) -> None:
        if (keep & bad).any():
            lost[reason] = lost.get(reason, np.zeros(found, bool)) | (keep & bad)
        keep[bad] = False

    for name, values, low, high in (
        ("peak", shapes.peak, pars.peakmin, pars.peakmax),
        ("flux", shapes.flux, pars.fluxmin, pars.fluxmax),
    ):
        if low is not None:
            drop(f"{name}min", values <= low * unit)
        if high is not None:
            drop(f"{name}max", values >= high * unit)
    if pars.use_sharp_round:
        for reason, values, low, high in (
            ("sharpness", shapes.sharp, pars.sharplo, pars.sharphi),
            ("roundness", shapes.round1, pars.roundlo, pars.roundhi),
            ("roundness", shapes.round2, pars.roundlo, pars.roundhi),
        ):
            bad = (values < (-np.inf if low is None else low)) | (values > (np.inf if high is None else high))
            drop(reason, bad)
    if avoid_saturated:
        drop("near saturation", _near_saturation(chip, xs, ys, pars.conv_width or 3.5))
    start = (pars.conv_width or 3.5) / 2.0 / detection.FWHM_PER_SIGMA
    kept = ShapeStatistics(*(a[keep] for a in shapes))
    sigma_star = _star_width(image, good, xs[keep], ys[keep], heights[keep], kept, start)
    check()
    width = sigma_star if np.isfinite(sigma_star) else start
    fits = np.full((found, 6), np.nan)
    half = min(6, max(2, round(2.0 * width)))
    part = np.empty((int(keep.sum()), 6))
    fit_stars(image, good, xs[keep], ys[keep], heights[keep], half, width, False, part)
    fits[keep] = part
    drop("no star fits", ~np.isfinite(fits[:, 0]))
    close = np.zeros(found, bool)
    at = np.flatnonzero(keep)
    separation = (pars.conv_width or 3.5) * (pars.nsigma or 1.5) / 2.0
    close[at] = ~thin(fits[at, :2], separation, heights[at])
    drop("same star twice", close)
    if regions:
        at = np.flatnonzero(keep)
        outside = np.zeros(found, bool)
        wcs = chip.wcs
        outside[at] = ~selected(
            regions, fits[at, 0], fits[at, 1], lambda ra, dec: distortion.sky_to_pixel(wcs, ra, dec)
        )
        drop("regions", outside)
    ra, dec = distortion.pixel_to_sky(chip.wcs, fits[keep, 0], fits[keep, 1])
    flux = (shapes.flux[keep] - sky * filters.weights.size) / unit
    seconds = 1.0 if chip.unit.endswith("/s") or chip.exptime <= 0 else chip.exptime
    with np.errstate(invalid="ignore", divide="ignore"):
        mag = -2.5 * np.log10(np.where(flux > 0, flux / seconds, np.nan))
    columns = {
        "x": fits[keep, 0],
        "y": fits[keep, 1],
        "ra": ra,
        "dec": dec,
        "flux": flux,
        "mag": mag,
        "peak": shapes.peak[keep] / unit,
        "height": heights[keep].astype(float) / unit,
        "sharp": shapes.sharp[keep],
        "round1": shapes.round1[keep],
        "round2": shapes.round2[keep],
        "misfit": fits[keep, 5],
    }
    # Seen on the detector, a star is broadened by its pixel: variance 1/12 px^2.
    fwhm = detection.FWHM_PER_SIGMA * math.sqrt(sigma_star**2 + 1.0 / 12.0)
    report = ChipReport(
        chip.extver,
        measured / unit,
        peer / unit,
        sigma / unit,
        threshold / unit,
        sky / unit,
        found,
        {reason: int(which.sum()) for reason, which in lost.items()},
        fwhm,
        {
            reason: np.column_stack([xs[which], ys[which], shapes.peak[which] / unit])
            for reason, which in lost.items()
        },
    )
    return columns, report
