"""Linear fits of matched positions, with clipping, and their transfer to a chip's CRVAL and CD.

All positions are in the tangent plane of the reference WCS, in its pixels. As in TweakReg, the model
predicts the image's positions from the reference's, about a centre c (the reference's CRPIX):

    image = c + shift + M (reference - c)

so that the numbers are those of a shift file.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drizzlewb.errors import DataError, ParameterError

__all__ = ["GEOMETRIES", "LinearFit", "corrected_tan", "fit_linear", "iterate_fit"]

Array = npt.NDArray[np.float64]

# Parameters, and the fewest pairs that determine them.
GEOMETRIES = {"shift": (2, 1), "rshift": (3, 2), "rscale": (4, 2), "general": (6, 3)}


@dataclass(frozen=True)
class LinearFit:
    """A fitted linear transformation and how well it does.

    Attributes
    ----------
    geometry : str
        'shift', 'rshift' (shift and rotation), 'rscale' (shift, rotation, one scale) or 'general'.
    matrix : ndarray, float64, shape (2, 2)
        M, acting on column vectors.
    shift : ndarray, float64, shape (2,)
        Image minus reference at the centre, px.
    center : ndarray, float64, shape (2,)
        c, px.
    residuals : ndarray, float64, shape (n, 2)
        Image position minus model for every pair handed in, kept or clipped, px.
    used : ndarray, bool, shape (n,)
        True for pairs that clipping left in the fit.
    covariance : ndarray, float64, shape (p, p)
        Of (dx, dy) for shift; (dx, dy, angle in rad) for rshift; (dx, dy, a, b) with M = [[a, -b],
        [b, a]] for rscale; (dx, M00, M01, dy, M10, M11) for general. From the scatter of the
        residuals; NaN when no degree of freedom is left.
    """

    geometry: str
    matrix: Array
    shift: Array
    center: Array
    residuals: Array
    used: npt.NDArray[np.bool_]
    covariance: Array

    @property
    def nmatch(self) -> int:
        """Pairs in the fit."""
        return int(self.used.sum())

    @property
    def rms_xy(self) -> tuple[float, float]:
        """Standard deviation of the residuals in x and in y, px: TweakReg's XRMS and YRMS."""
        rx, ry = self.residuals[self.used].T
        return float(rx.std()), float(ry.std())

    @property
    def rms_px(self) -> float:
        """Scatter per axis, px: the quadratic mean of the rms in x and in y."""
        return float(np.sqrt(np.mean(np.square(self.rms_xy))))

    @property
    def error_px(self) -> float:
        """Error of the fitted position per axis at the mean of the stars, px: scatter / sqrt(n - p/2)."""
        free = self.nmatch - GEOMETRIES[self.geometry][0] / 2
        return self.rms_px / float(np.sqrt(free)) if free > 0 else float("nan")

    @property
    def scale(self) -> float:
        """sqrt(|det M|)."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))

    @property
    def scales(self) -> tuple[float, float]:
        """Scale along x and along y: lengths of the columns of M."""
        sx, sy = np.hypot(*self.matrix)
        return float(sx), float(sy)

    @property
    def scale_ppm(self) -> float:
        """Scale - 1 in parts per million."""
        return 1e6 * (self.scale - 1.0)

    @property
    def rotation(self) -> float:
        """Mean rotation, degrees in (-180, 180]; TweakReg writes the same angle modulo 360.

        Positive turns the image's y axis towards +x: TweakReg's sense.
        """
        m = self.matrix / np.hypot(*self.matrix)
        return float(np.degrees(np.arctan2(m[0, 1] - m[1, 0], m[0, 0] + m[1, 1])))

    @property
    def skew(self) -> float:
        """Rotation of the y axis minus that of the x axis, degrees in (-180, 180]."""
        m = self.matrix
        difference = np.arctan2(m[0, 1], m[1, 1]) - np.arctan2(-m[1, 0], m[0, 0])
        return float(np.degrees(np.angle(np.exp(1j * difference))))

    def predict(self, reference: npt.ArrayLike) -> Array:
        """Image positions of reference positions, both of shape (n, 2), px."""
        return (np.asarray(reference, float) - self.center) @ self.matrix.T + self.center + self.shift

    def correct(self, image: npt.ArrayLike) -> Array:
        """Reference positions of image positions, both of shape (n, 2), px."""
        inverse = np.linalg.inv(self.matrix)
        return (np.asarray(image, float) - self.center - self.shift) @ inverse.T + self.center


def _design(geometry: str, uv: Array) -> Array:
    """Rows for x, then rows for y, of the linear model in the parameters of the covariance."""
    x, y = uv.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    if geometry == "shift":
        return np.block([[one[:, None], zero[:, None]], [zero[:, None], one[:, None]]])
    if geometry == "rscale":
        return np.concatenate([np.stack([one, zero, x, -y], 1), np.stack([zero, one, y, x], 1)])
    zeros = np.zeros((len(x), 3))
    half = np.stack([one, x, y], 1)
    return np.block([[half, zeros], [zeros, half]])


def fit_linear(
    image: npt.ArrayLike,
    reference: npt.ArrayLike,
    geometry: str = "rscale",
    center: npt.ArrayLike = (0.0, 0.0),
    weights: npt.ArrayLike | None = None,
    used: npt.NDArray[np.bool_] | None = None,
) -> LinearFit:
    """Least-squares transformation of reference positions into image positions.

    Parameters
    ----------
    image, reference : array_like, float64, shape (n, 2)
        Matched positions in the reference tangent plane, px.
    geometry : {'shift', 'rshift', 'rscale', 'general'}
    center : array_like, shape (2,)
        Point about which the matrix acts and at which the shift holds, px.
    weights : array_like, shape (n,), optional
        Relative weights (inverse variances); equal if not given.
    used : ndarray, bool, shape (n,), optional
        Pairs to fit; residuals are given for all.

    Returns
    -------
    LinearFit

    Raises
    ------
    ParameterError
        If the geometry is unknown.
    DataError
        If positions are not finite, pairs are fewer than the geometry needs, lie on one line (or
        point), or if the reference list is a mirror image of the other.

    Notes
    -----
    rscale is the least-squares similarity, as IRAF's geomap and TweakReg fit it; rshift the
    least-squares rotation (Kabsch 1976, Acta Cryst. A32, 922). The sums are taken about the mean
    position, which leaves float64 good for 1e-10 px on any detector.
    """
    if geometry not in GEOMETRIES:
        msg = f"Unknown fitgeometry '{geometry}': choose one of {', '.join(GEOMETRIES)}."
        raise ParameterError(msg)
    xy, uv, c = np.asarray(image, float), np.asarray(reference, float), np.asarray(center, float)
    keep = np.ones(len(xy), bool) if used is None else np.asarray(used, bool)
    if not (np.isfinite(xy).all() and np.isfinite(uv).all()):
        msg = "Fitting: matched positions hold NaN or infinity; drop those rows from the catalog."
        raise DataError(msg)
    n_par, fewest = GEOMETRIES[geometry]
    n = int(keep.sum())
    if n < fewest:
        msg = f"Fitting: {n} matches are left, '{geometry}' needs at least {fewest}."
        raise DataError(msg)
    weight = np.ones(n) if weights is None else np.asarray(weights, float)[keep]
    total = weight.sum()
    p, q = xy[keep], uv[keep]
    p0, q0 = weight @ p / total, weight @ q / total
    dp, dq = p - p0, q - q0
    # cross[i, j] = sum of w * image_i * reference_j
    cross = (dp * weight[:, None]).T @ dq
    spread = (dq * weight[:, None]).T @ dq
    if geometry == "shift":
        matrix = np.eye(2)
    else:
        low, high = np.linalg.eigvalsh(spread)
        flat = high <= 0 if geometry != "general" else low <= 1e-12 * high
        if flat:
            msg = (
                f"Fitting: the {n} matches lie on one {'line' if high > 0 else 'point'}, which does not "
                f"determine '{geometry}'; use a simpler fitgeometry or more sources."
            )
            raise DataError(msg)
        if geometry == "general":
            matrix = np.linalg.solve(spread, cross.T).T
        else:
            dot = cross[0, 0] + cross[1, 1]
            curl = cross[1, 0] - cross[0, 1]
            scale = np.hypot(dot, curl) if geometry == "rshift" else np.trace(spread)
            matrix = np.array([[dot, -curl], [curl, dot]]) / scale
        mirrored = np.linalg.det(cross) < 0 and n > fewest and low > 1e-12 * high
        if mirrored:
            msg = (
                "Fitting: the two lists are mirror images of each other; one of the catalogs has an axis "
                "flipped (look at xcol and ycol, or at the units)."
            )
            raise DataError(msg)
    shift = (p0 - c) - matrix @ (q0 - c)
    residuals = xy - ((uv - c) @ matrix.T + c + shift)
    covariance = _covariance(geometry, matrix, q - c, residuals[keep], weight, n_par)
    return LinearFit(geometry, matrix, shift, c, residuals, keep, covariance)


def _covariance(
    geometry: str, matrix: Array, uv: Array, residuals: Array, weight: Array, n_par: int
) -> Array:
    if geometry == "rshift":
        turned = uv @ matrix.T
        angle = np.concatenate([-turned[:, 1], turned[:, 0]])
        design = np.column_stack([_design("shift", uv), angle])
    else:
        design = _design(geometry, uv)
    free = 2 * len(uv) - n_par
    if free <= 0:
        return np.full((n_par, n_par), np.nan)
    w = np.concatenate([weight, weight])
    variance = (w * residuals.T.ravel() ** 2).sum() / free
    return variance * np.linalg.inv((design * w[:, None]).T @ design)


def iterate_fit(
    image: npt.ArrayLike,
    reference: npt.ArrayLike,
    geometry: str = "rscale",
    center: npt.ArrayLike = (0.0, 0.0),
    nclip: int | None = 3,
    sigma: float | None = 3.0,
    weights: npt.ArrayLike | None = None,
) -> LinearFit:
    """`fit_linear` with TweakReg's clipping: nclip rounds, none of which takes a pair back.

    Parameters
    ----------
    image, reference, geometry, center, weights
        As in `fit_linear`.
    nclip : int or None
        Rounds of clipping.
    sigma : float or None
        A pair stays if its residual is below sigma × rms in x *and* in y. None or 0: no clipping.

    Returns
    -------
    LinearFit
        ``residuals`` and ``used`` have one row for every pair handed in.

    Notes
    -----
    As in DrizzlePac 3.11 (``linearfit.iter_fit_all``) the rms is scaled by n / (n_before - 1), where n
    is the number of pairs at the start and n_before the number before the last round, and clipping
    stops before fewer than three pairs are left, or fewer than the geometry needs.
    """
    fit = fit_linear(image, reference, geometry, center, weights)
    if not nclip or not sigma or len(fit.used) < nclip:
        return fit
    start = len(fit.used)
    before = start
    for _ in range(nclip):
        limit = sigma * np.array(fit.rms_xy) * start / (before - 1.0) if before > 1 else np.zeros(2)
        good = fit.used & (np.abs(fit.residuals) < limit).all(1)
        if good.sum() < max(3, GEOMETRIES[geometry][1]):
            break
        before = fit.nmatch
        fit = fit_linear(image, reference, geometry, center, weights, good)
    return fit


def _basis(crval: Array) -> Array:
    """Rows east, north, outward at a sky position in degrees."""
    ra, dec = np.radians(crval)
    sa, ca, sd, cd = np.sin(ra), np.cos(ra), np.sin(dec), np.cos(dec)
    return np.array([[-sa, ca, 0.0], [-sd * ca, -sd * sa, cd], [cd * ca, cd * sa, sd]])


def corrected_tan(
    crval: npt.ArrayLike,
    cd: npt.ArrayLike,
    ref_crval: npt.ArrayLike,
    ref_cd: npt.ArrayLike,
    ref_crpix: npt.ArrayLike,
    matrix: npt.ArrayLike,
    shift: npt.ArrayLike,
    center: npt.ArrayLike,
) -> tuple[Array, Array]:
    """CRVAL and CD of a chip after a correction found in the reference tangent plane.

    Parameters
    ----------
    crval : array_like, shape (2,)
        Of the chip, deg.
    cd : array_like, shape (2, 2)
        Of the chip, deg/px.
    ref_crval, ref_cd, ref_crpix : array_like
        Linear TAN of the reference plane; CRPIX in the same convention (zero- or one-based) as
        ``center``.
    matrix, shift, center : array_like
        Of the `LinearFit`: image = center + shift + matrix (reference - center).

    Returns
    -------
    crval, cd : ndarray
        CRPIX and distortion stay as they are. The position of the chip's CRPIX is exact; the CD is
        the derivative there of the exact map, in closed form, where the peers differentiate
        numerically (DrizzlePac ``updatehdr.update_refchip_with_shift``; tweakwcs agrees to 1e-8).

    Notes
    -----
    Between two tangent planes the map is a homography: with R the (east, north, outward) rows at each
    tangent point, H = R_new R_ref^T A R_ref R_old^T, where A is the correction written for plane
    coordinates. At its own tangent point its derivative is H[:2, :2] / H[2, 2].
    """
    cd, ref_cd = np.asarray(cd, float), np.asarray(ref_cd, float)
    r_old, r_ref = _basis(np.asarray(crval, float)), _basis(np.asarray(ref_crval, float))
    # reference = center + M^-1 (image - center - shift), in pixels, then in plane coordinates (rad).
    inverse = np.linalg.inv(np.asarray(matrix, float))
    c = np.asarray(center, float)
    offset = c - inverse @ (c + np.asarray(shift, float))
    crpix = np.asarray(ref_crpix, float)
    plane = np.radians(ref_cd)
    back = np.linalg.inv(plane)
    a = np.eye(3)
    a[:2, :2] = plane @ inverse @ back
    a[:2, 2] = plane @ (inverse @ crpix + offset - crpix)
    to_sky = r_ref.T @ a @ r_ref @ r_old.T
    direction = to_sky[:, 2] / np.linalg.norm(to_sky[:, 2])
    ra = np.degrees(np.arctan2(direction[1], direction[0])) % 360.0
    # Not arcsin, which loses digits near the pole.
    dec = np.degrees(np.arctan2(direction[2], np.hypot(direction[0], direction[1])))
    new = np.array([ra, dec])
    h = _basis(new) @ to_sky
    return new, h[:2, :2] / h[2, 2] @ cd
