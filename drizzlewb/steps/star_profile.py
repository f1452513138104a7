"""One star measured by a click: the habit of imexam.

Peak, width, aperture magnitude and radial profile of the star nearest to a place. The width is that of
the source lists (`drizzlewb.steps.sources`): the same fit of a Gaussian that is integrated over pixels.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drizzlewb.errors import DataError
from drizzlewb.kernels import detection
from drizzlewb.kernels.starfit import fit_stars
from drizzlewb.quality import FlagTable

__all__ = ["StarProfile", "flag_names", "star_profile"]

Array = npt.NDArray[np.float64]

REACH_PX = 3
"""A click may miss the highest pixel of a star by so many px."""
_FIRST_SIGMA_PX = 0.8


@dataclass(frozen=True, eq=False)
class StarProfile:
    """What can be said of one star.

    Attributes
    ----------
    x, y : float
        Centre, zero-based px: fitted, or that of the highest pixel where no star can be fitted.
    fwhm_px : float
        Full width at half maximum as seen on the detector, px; NaN where no star can be fitted.
    height : float
        Of the fitted profile above the sky, in the image's unit; NaN as above.
    peak : float
        Highest pixel, sky included, in the image's unit.
    sky : float
        Clipped median in the annulus, in the image's unit.
    flux : float
        Sum in the aperture above the sky, in the image's unit; NaN where a pixel in it has no value.
    mag : float
        -2.5 log10(flux / seconds); NaN where there is no positive flux.
    aperture_px : float
        Radius of the aperture.
    annulus_px : (float, float)
        Radii of the sky's annulus.
    radius, value : ndarray, float64, shape (n,)
        Distance from the centre (px) and value of the pixels within the outer radius of the annulus, the
        nearest first.
    """

    x: float
    y: float
    fwhm_px: float
    height: float
    peak: float
    sky: float
    flux: float
    mag: float
    aperture_px: float
    annulus_px: tuple[float, float]
    radius: Array
    value: Array

    @property
    def fitted(self) -> bool:
        """Whether a star could be fitted."""
        return math.isfinite(self.fwhm_px)

    def curve(self, radius: npt.ArrayLike) -> Array:
        """Fitted profile (a Gaussian as wide as the star is seen) at distances in px; NaN without a fit."""
        sigma = self.fwhm_px / detection.FWHM_PER_SIGMA
        return self.sky + self.height * np.exp(-0.5 * (np.asarray(radius, float) / sigma) ** 2)


def star_profile(
    image: npt.NDArray[np.float32],
    x: float,
    y: float,
    *,
    aperture_px: float = 5.0,
    annulus_px: tuple[float, float] = (8.0, 12.0),
    seconds: float = 1.0,
) -> StarProfile:
    """Measure the star at or near a place.

    Parameters
    ----------
    image : ndarray, float32, shape (ny, nx)
        A cut-out is enough; pixels that are not finite are left out.
    x, y : float
        Zero-based px; the highest pixel within 3 px of it is taken for the star's.
    aperture_px : float
        Radius of the aperture.
    annulus_px : (float, float)
        Inner and outer radius of the sky's annulus.
    seconds : float
        Exposure time, if the image holds sums; 1 if it holds rates.

    Returns
    -------
    StarProfile

    Raises
    ------
    DataError
        The place lies outside the image, or no pixel near it has a value.

    Notes
    -----
    Sums and sky by photutils (exact overlap of pixels and circle; median after clipping at 3 sigma).
    The width is a least-squares fit of a round Gaussian integrated over pixels, in a box of about two
    widths, and then broadened by the pixel (variance 1/12 px^2): what a ruler on the image would show.
    """
    from astropy.stats import SigmaClip
    from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture

    ny, nx = image.shape
    if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
        msg = f"Measuring a star: ({x:.1f}, {y:.1f}) lies outside the image of {nx} x {ny} px; click on it."
        raise DataError(msg)
    finite = np.isfinite(image)
    i, j = _highest(image, finite, x, y)
    data = np.where(finite, image, np.float32(0))
    sigma, height, cx, cy = _fit(np.ascontiguousarray(data, np.float32), finite, i, j)
    place = (cx, cy)
    ring = ApertureStats(data, CircularAnnulus(place, *annulus_px), mask=~finite, sigma_clip=SigmaClip(3.0))
    sky = float(ring.median)
    yy, xx = np.mgrid[0:ny, 0:nx]
    distance = np.hypot(xx - cx, yy - cy)
    near = finite & (distance <= annulus_px[1])
    if not math.isfinite(sky):
        sky = float(np.median(image[near]))
    aperture = CircularAperture(place, aperture_px)
    total, _ = aperture.do_photometry(data.astype(float) - sky, method="exact")
    holes, _ = aperture.do_photometry((~finite).astype(float), method="exact")
    edge = min(cx, cy, nx - 1 - cx, ny - 1 - cy) + 0.5
    whole = holes[0] == 0 and edge >= aperture_px
    flux = float(total[0]) if whole else float("nan")
    order = np.argsort(distance[near], kind="stable")
    return StarProfile(
        cx,
        cy,
        detection.FWHM_PER_SIGMA * math.sqrt(sigma**2 + 1.0 / 12.0),
        # Spread over pixels, the same light stands lower.
        height * sigma**2 / (sigma**2 + 1.0 / 12.0),
        float(image[j, i]),
        sky,
        flux,
        -2.5 * math.log10(flux / seconds) if flux > 0 and seconds > 0 else float("nan"),
        aperture_px,
        annulus_px,
        distance[near][order],
        image[near][order].astype(float),
    )


def _highest(
    image: npt.NDArray[np.float32], finite: npt.NDArray[np.bool_], x: float, y: float
) -> tuple[int, int]:
    """Column and row of the highest pixel near a place."""
    ny, nx = image.shape
    i, j = round(x), round(y)
    y0, y1, x0, x1 = (
        max(0, j - REACH_PX),
        min(ny, j + REACH_PX + 1),
        max(0, i - REACH_PX),
        min(nx, i + REACH_PX + 1),
    )
    box = np.where(finite[y0:y1, x0:x1], image[y0:y1, x0:x1], -np.inf)
    yy, xx = np.mgrid[y0:y1, x0:x1]
    box = np.where(np.hypot(xx - x, yy - y) <= REACH_PX + 0.5, box, -np.inf)
    if not np.isfinite(box).any():
        msg = f"Measuring a star: no pixel near ({x:.1f}, {y:.1f}) has a value; click elsewhere."
        raise DataError(msg)
    row, column = np.unravel_index(int(np.argmax(box)), box.shape)
    return x0 + int(column), y0 + int(row)


def _fit(
    data: npt.NDArray[np.float32], finite: npt.NDArray[np.bool_], i: int, j: int
) -> tuple[float, float, float, float]:
    """Sigma before the pixel, height, x and y of the star whose highest pixel is (i, j); NaN without one.

    The box follows the width: first a narrow one, then one of about two widths.
    """
    good = finite.astype(np.uint8)
    sigma, found = _FIRST_SIGMA_PX, None
    local = data[max(0, j - 7) : j + 8, max(0, i - 7) : i + 8]
    start = np.array([float(data[j, i]) - float(np.median(local))], np.float32)
    for _ in range(6):
        half = min(12, max(3, math.ceil(2.5 * sigma)))
        out = np.empty((1, 6))
        fit_stars(data, good, np.array([i], np.int32), np.array([j], np.int32), start, half, sigma, True, out)
        if not np.isfinite(out[0, 0]):
            # A wide star does not converge in a narrow box: try a wider one.
            sigma *= 1.6
            continue
        settled = found is not None and abs(out[0, 4] - sigma) < 0.01 * sigma
        found, sigma = out[0], float(out[0, 4])
        if settled:
            break
    if found is None:
        return float("nan"), float("nan"), float(i), float(j)
    return float(found[4]), float(found[2]), float(found[0]), float(found[1])


def flag_names(words: npt.NDArray[np.uint16], flags: FlagTable) -> tuple[str, ...]:
    """Names of all DQ flags that are set in any pixel of a box, in order of bit."""
    every = int(np.bitwise_or.reduce(np.asarray(words, np.uint16), axis=None)) if words.size else 0
    return tuple(flag.name for flag in flags.flags if every & flag.value)
