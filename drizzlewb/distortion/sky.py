"""Sky coordinates of chip pixels, planes against planes.

Everything here speaks right ascension and declination in degrees of the header's own equatorial frame
(galactic and ecliptic headers are turned to ICRS) and zero-based pixels.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drizzlewb.errors import DataError
from drizzlewb.kernels.transform import PackedWCS, inverse_points, map_points

__all__ = [
    "footprint",
    "homography",
    "linear",
    "pixel_to_pixel",
    "pixel_to_sky",
    "replace_tan",
    "sky_to_pixel",
    "tan_wcs",
]


def tan_wcs(crval: ArrayLike, crpix: ArrayLike, cd: ArrayLike) -> PackedWCS:
    """Linear TAN WCS from CRVAL (deg), zero-based CRPIX and CD (deg/px)."""
    crval = np.array(crval, np.float64).reshape(2)
    cd = np.array(cd, np.float64).reshape(2, 2)
    check_linear(crval, cd)
    crpix = np.array(crpix, np.float64).reshape(2)
    none = np.zeros((0, 0), np.float32)
    unset = np.zeros(0)
    return linear(
        PackedWCS(
            crpix=crpix,
            cd=cd,
            crval=crval,
            sip_ref=unset,
            sip_a=unset,
            sip_b=unset,
            npol_x=none,
            npol_y=none,
            d2im_x=none,
            d2im_y=none,
            table_axes=unset,
            d2im_limits=unset,
            grid_x=unset,
            grid_y=unset,
            grid_axes=unset,
            idc=unset,
        )
    )


def linear(packed: PackedWCS) -> PackedWCS:
    """Return the linear TAN part alone: no SIP, no tables, no undistorted plane (``coeffs=False``)."""
    return packed._replace(
        sip_ref=packed.crpix.copy(),
        sip_a=np.zeros((1, 1)),
        sip_b=np.zeros((1, 1)),
        npol_x=np.zeros((0, 0), np.float32),
        npol_y=np.zeros((0, 0), np.float32),
        d2im_x=np.zeros((0, 0), np.float32),
        d2im_y=np.zeros((0, 0), np.float32),
        table_axes=np.zeros((4, 4)),
        d2im_limits=np.zeros(3),
        grid_x=np.zeros((0, 0)),
        grid_y=np.zeros((0, 0)),
        grid_axes=np.zeros(4),
        idc=np.full(6, np.nan),
    )


def replace_tan(packed: PackedWCS, crval: ArrayLike, cd: ArrayLike) -> PackedWCS:
    """Return a copy with another tangent point (deg) and CD matrix (deg/px), as an alignment makes.

    CRPIX and the distortion stay; LONPOLE is 180 degrees.
    """
    crval = np.array(crval, np.float64).reshape(2)
    cd = np.array(cd, np.float64).reshape(2, 2)
    check_linear(crval, cd)
    return packed._replace(crval=crval, cd=cd)


def homography(chip: PackedWCS, grid: PackedWCS) -> NDArray[np.float64]:
    """Homography from the focal offsets of a chip to the undistorted pixels of another WCS.

    Parameters
    ----------
    chip, grid : PackedWCS
        Of `grid` only the linear part counts.

    Returns
    -------
    (3, 3) float64
        ``[X, Y, W] = h @ [u, v, 1]``, zero-based output pixel ``(X/W, Y/W)``; W > 0 in front of the
        grid's tangent plane.

    Notes
    -----
    A direction is ``xi * east + eta * north + pole`` in the frame of a tangent point; the product of
    the two frames is written with differences of angles, so that near tangent points lose no digits.
    """
    da, d1, d0 = np.radians((chip.crval[0] - grid.crval[0], chip.crval[1], grid.crval[1])).tolist()
    sa, ca, s1, c1, s0, c0 = (
        math.sin(da),
        math.cos(da),
        math.sin(d1),
        math.cos(d1),
        math.sin(d0),
        math.cos(d0),
    )
    versine = 2.0 * math.sin(0.5 * da) ** 2
    sd = math.sin(d1 - d0)
    frames = np.array(
        [
            [ca, -s1 * sa, c1 * sa],
            [s0 * sa, c0 * c1 + s0 * s1 * ca, sd + c1 * s0 * versine],
            [-c0 * sa, -sd + s1 * c0 * versine, s0 * s1 + c0 * c1 * ca],
        ]
    )
    rad = math.pi / 180.0
    (a, b), (c, d) = (grid.cd * rad).tolist()
    det = a * d - b * c
    cx, cy = grid.crpix.tolist()
    to_pixel = np.array([[d / det, -b / det, cx], [-c / det, a / det, cy], [0.0, 0.0, 1.0]])
    to_plane = np.eye(3)
    to_plane[:2, :2] = chip.cd * rad
    return to_pixel @ frames @ to_plane


def pixel_to_sky(packed: PackedWCS, x: ArrayLike, y: ArrayLike) -> tuple[NDArray, NDArray]:
    """Right ascension in [0, 360) and declination (deg) of zero-based pixels, distortion included.

    Parameters
    ----------
    packed : PackedWCS
    x, y : array_like
        Pixels; they broadcast.

    Returns
    -------
    ra, dec : ndarray
        float64 degrees in the shape of x and y; NaN for NaN.
    """
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    uu, vv = map_arrays(packed, np.eye(3), x, y)
    xi = np.deg2rad(packed.cd[0, 0] * uu + packed.cd[0, 1] * vv)
    eta = np.deg2rad(packed.cd[1, 0] * uu + packed.cd[1, 1] * vv)
    d0 = math.radians(packed.crval[1])
    radial = math.cos(d0) - eta * math.sin(d0)
    ra = (packed.crval[0] + np.rad2deg(np.arctan2(xi, radial))) % 360.0
    dec = np.rad2deg(np.arctan2(math.sin(d0) + eta * math.cos(d0), np.hypot(xi, radial)))
    return ra, dec


def sky_to_pixel(packed: PackedWCS, ra: ArrayLike, dec: ArrayLike) -> tuple[NDArray, NDArray]:
    """Zero-based pixels of sky positions, the inverse of `pixel_to_sky` to 1e-9 px.

    Parameters
    ----------
    packed : PackedWCS
    ra, dec : array_like
        Degrees; they broadcast.

    Returns
    -------
    x, y : ndarray
        float64; NaN for NaN, 90 degrees or more from the tangent point, and where the distortion
        cannot be inverted (far off the chip).
    """
    ra, dec = np.broadcast_arrays(np.asarray(ra, np.float64), np.asarray(dec, np.float64))
    da = np.deg2rad(ra - packed.crval[0])
    d = np.deg2rad(dec)
    d0 = math.radians(packed.crval[1])
    # sin(d - d0) + ... and the half-angle formula keep the digits of small offsets.
    versine = 2.0 * np.sin(0.5 * da) ** 2
    w = np.cos(d - d0) - math.cos(d0) * np.cos(d) * versine
    with np.errstate(divide="ignore", invalid="ignore"):
        xi = np.where(w > 0.0, np.cos(d) * np.sin(da) / w, np.nan)
        eta = np.where(w > 0.0, (np.sin(d - d0) + math.sin(d0) * np.cos(d) * versine) / w, np.nan)
    icd = np.linalg.inv(packed.cd)
    xi, eta = np.rad2deg(xi), np.rad2deg(eta)
    uu = icd[0, 0] * xi + icd[0, 1] * eta
    vv = icd[1, 0] * xi + icd[1, 1] * eta
    return unmap_arrays(packed, np.eye(3), uu, vv)


def pixel_to_pixel(
    source: PackedWCS, target: PackedWCS, x: ArrayLike, y: ArrayLike
) -> tuple[NDArray, NDArray]:
    """Zero-based pixels of `target` for pixels of `source`, both distortions included."""
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    plane = linear(target)
    px, py = map_arrays(source, homography(source, plane), x, y)
    return unmap_arrays(target, np.eye(3), px - target.crpix[0], py - target.crpix[1])


def footprint(packed: PackedWCS, shape: tuple[int, int], n_per_side: int = 1) -> NDArray[np.float64]:
    """Sky positions around the border of a chip.

    Parameters
    ----------
    packed : PackedWCS
    shape : (int, int)
        (ny, nx) in pixels.
    n_per_side : int
        Intervals per side; 1 gives the four corners.

    Returns
    -------
    (4 * n_per_side, 2) float64
        Right ascension and declination (deg), from the corner at the origin up the y axis and round.
        The border runs through the outer edges of the outermost pixels.
    """
    ny, nx = shape
    f = np.arange(n_per_side) / n_per_side
    zero, one = np.zeros_like(f), np.ones_like(f)
    x = np.concatenate([zero, f, one, 1.0 - f]) * nx - 0.5
    y = np.concatenate([f, one, 1.0 - f, zero]) * ny - 0.5
    return np.stack(pixel_to_sky(packed, x, y), axis=1)


def map_arrays(packed, h, x, y):
    """`map_points` for arrays of any shape; with the identity for `h` it gives focal offsets."""
    out_x, out_y = np.empty(x.size), np.empty(x.size)
    map_points(packed, h, np.array(x, np.float64).ravel(), np.array(y, np.float64).ravel(), out_x, out_y)
    return out_x.reshape(x.shape), out_y.reshape(x.shape)


def unmap_arrays(packed, h, x, y):
    """`inverse_points` for arrays of any shape."""
    out_x, out_y = np.empty(x.size), np.empty(x.size)
    inverse_points(packed, h, np.array(x, np.float64).ravel(), np.array(y, np.float64).ravel(), out_x, out_y)
    return out_x.reshape(x.shape), out_y.reshape(x.shape)


def check_linear(crval, cd) -> None:
    """Refuse a tangent point or CD matrix that is not finite, or a CD matrix without inverse."""
    if not np.isfinite(crval).all() or not np.isfinite(cd).all() or np.linalg.det(cd) == 0.0:
        msg = (
            f"Packing a WCS: CRVAL is {crval.tolist()} and CD is {cd.tolist()}; finite values and a CD "
            "matrix that can be inverted are needed. The header is damaged."
        )
        raise DataError(msg)
