"""An astropy WCS with its lookup tables, packed for the kernels; sky coordinates of chip pixels.

Everything here speaks right ascension and declination in degrees of the header's own equatorial
frame (galactic and ecliptic headers are turned to ICRS) and zero-based pixels.
"""

import logging
import math
import warnings

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs import utils as wcs_utils
from numpy.typing import ArrayLike, NDArray

from drizzlewb.errors import DataError
from drizzlewb.kernels.transform import PackedWCS, inverse_points, map_points, map_row

__all__ = [
    "footprint",
    "homography",
    "linear",
    "pack",
    "pixel_area_map",
    "pixel_to_pixel",
    "pixel_to_sky",
    "plate_scale",
    "replace_tan",
    "sky_to_pixel",
    "tan_wcs",
    "tangent_plane",
]

log = logging.getLogger(__name__)

_NO_TABLE = np.zeros((0, 0), np.float32)
_SAMPLING_TOLERANCE = 1e-7  # pixels, at the middle of every cell
_SAMPLING_MARGIN = 256  # pixels around the chip that samples of another projection cover
_SAMPLING_NODES = 1025  # most nodes per axis


def pack(wcs: WCS, shape: tuple[int, int], header=None, primary=None) -> PackedWCS:
    """Pack a celestial WCS and all its distortion terms into plain arrays.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Made with the open file as ``fobj`` so that NPOL and D2IM tables are attached.
    shape : (int, int)
        (ny, nx) of the chip in pixels.
    header, primary : mapping, optional
        The science extension's and the primary header of a Hubble file. IDCSCALE, IDCV2REF,
        IDCV3REF, IDCTHETA, PA_V3 and the detector define the chip's undistorted plane
        (`plate_scale`, `tangent_plane`); without them it follows from the CD matrix.

    Returns
    -------
    PackedWCS
        Equal to ``wcs.all_pix2world`` to 1e-8 px for TAN and TAN-SIP with NPOL and D2IM; any other
        projection is sampled through astropy with an error below 1e-7 px.

    Raises
    ------
    DataError
        No celestial WCS, a singular CD matrix, or a projection that no sampling brings to 1e-7 px.

    Notes
    -----
    SIP coefficients under a CTYPE without ``-SIP`` are applied, as astropy does, and the log says so.
    """
    wcs = _celestial(wcs)
    ny, nx = int(shape[0]), int(shape[1])
    if ny < 1 or nx < 1:
        msg = f"Packing a WCS: the chip's shape is {ny} x {nx} pixels (y, x); at least 1 x 1 is needed."
        raise DataError(msg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wcs.wcs.set()
    codes = [wcs.wcs.ctype[k][4:8].strip("-") for k in (wcs.wcs.lng, wcs.wcs.lat)]
    idc = _idc(header, primary)
    if codes != ["TAN", "TAN"] or wcs.wcs.get_pv():
        return _sampled(wcs, (ny, nx), idc)
    crpix = np.array(wcs.wcs.crpix, np.float64) - 1.0
    crval, cd = _tan_frame(wcs)
    sip_ref, sip_a, sip_b = _sip(wcs, crpix)
    tables = [_table(t) for t in (wcs.cpdis1, wcs.cpdis2, wcs.det2im1, wcs.det2im2)]
    packed = PackedWCS(
        crpix=crpix,
        cd=cd,
        crval=crval,
        sip_ref=sip_ref,
        sip_a=sip_a,
        sip_b=sip_b,
        npol_x=tables[0][0],
        npol_y=tables[1][0],
        d2im_x=tables[2][0],
        d2im_y=tables[3][0],
        table_axes=np.array([t[1] for t in tables]),
        d2im_limits=np.zeros(3),
        grid_x=np.zeros((0, 0)),
        grid_y=np.zeros((0, 0)),
        grid_axes=np.zeros(4),
        idc=idc,
    )
    packed.d2im_limits[:] = _d2im_limits(packed, (ny, nx))
    # wcslib knows distortions that astropy does not show (TPV, TPD, DSS in a TAN's clothes).
    return packed if _agrees(wcs, packed, (ny, nx)) else _sampled(wcs, (ny, nx), idc)


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


def linear(packed: PackedWCS) -> PackedWCS:
    """Return the linear TAN part alone: no SIP, no tables, no undistorted plane (``coeffs=False``)."""
    return packed._replace(
        sip_ref=packed.crpix.copy(),
        sip_a=np.zeros((1, 1)),
        sip_b=np.zeros((1, 1)),
        npol_x=_NO_TABLE.copy(),
        npol_y=_NO_TABLE.copy(),
        d2im_x=_NO_TABLE.copy(),
        d2im_y=_NO_TABLE.copy(),
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
    _check_linear(crval, cd)
    return packed._replace(crval=crval, cd=cd)


def tan_wcs(crval: ArrayLike, crpix: ArrayLike, cd: ArrayLike) -> PackedWCS:
    """Linear TAN WCS from CRVAL (deg), zero-based CRPIX and CD (deg/px)."""
    crval = np.array(crval, np.float64).reshape(2)
    cd = np.array(cd, np.float64).reshape(2, 2)
    _check_linear(crval, cd)
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
    uu, vv = _map(packed, np.eye(3), x, y)
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
    return _unmap(packed, np.eye(3), uu, vv)


def pixel_to_pixel(
    source: PackedWCS, target: PackedWCS, x: ArrayLike, y: ArrayLike
) -> tuple[NDArray, NDArray]:
    """Zero-based pixels of `target` for pixels of `source`, both distortions included."""
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    plane = linear(target)
    px, py = _map(source, homography(source, plane), x, y)
    return _unmap(target, np.eye(3), px - target.crpix[0], py - target.crpix[1])


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


def plate_scale(packed: PackedWCS) -> float:
    """Undistorted linear plate scale of the chip in arcsec per pixel.

    IDCSCALE where the header gave it; without it the square root of the pixel area; without SIP the
    length of the CD matrix's first column. This is ``wcslin_pscale`` of drizzlepac
    (``imageObject.compute_wcslin``, stwcs ``distortion.utils.make_orthogonal_cd``), by which the
    ratio of output to input scale is taken.
    """
    if packed.sip_a.shape[0] == 1 and packed.grid_x.size == 0:
        return float(math.hypot(packed.cd[0, 0], packed.cd[1, 0]) * 3600.0)
    if np.isfinite(packed.idc[0]):
        return float(packed.idc[0])
    return float(math.sqrt(abs(np.linalg.det(packed.cd))) * 3600.0)


def tangent_plane(packed: PackedWCS) -> NDArray[np.float64]:
    """(2, 2) CD matrix (deg/px) of the square, undistorted plane that belongs to a chip.

    The definition of stwcs (``distortion.utils.make_orthogonal_cd``): the scale is IDCSCALE; the
    orientation follows from the roll of the telescope and the aperture's place in its field where the
    header tells them, else from the CD matrix.
    """
    scale, pa_v3, v2, v3, theta, parity_y = packed.idc
    if not np.isfinite(scale):
        scale = math.sqrt(abs(np.linalg.det(packed.cd))) * 3600.0
    if np.isfinite([pa_v3, v2, v3, parity_y]).all():
        roll = _aperture_roll(pa_v3, packed.crval[1], v2, v3) + (theta if np.isfinite(theta) else 0.0)
        roll = math.radians(roll)
        angle = math.atan2(parity_y * math.sin(roll), parity_y * math.cos(roll))
        parity = -1.0
    else:
        angle = math.atan2(packed.cd[0, 1], packed.cd[1, 1])
        parity = math.copysign(1.0, np.linalg.det(packed.cd))
    sin, cos = math.sin(angle), math.cos(angle)
    return scale / 3600.0 * np.array([[parity * cos, sin], [-parity * sin, cos]])


def pixel_area_map(packed: PackedWCS, region) -> NDArray[np.float64]:
    """Area of each pixel on the tangent plane, in units of the squared `plate_scale`.

    Parameters
    ----------
    packed : PackedWCS
    region : (y0, y1, x0, x1)
        Half-open box of chip pixels.

    Returns
    -------
    (y1 - y0, x1 - x0) float64
        The exact area of the quadrilateral of each pixel's four mapped corners.
    """
    y0, y1, x0, x1 = region
    cu = np.empty((y1 - y0 + 1, x1 - x0 + 1))
    cv = np.empty_like(cu)
    for k in range(cu.shape[0]):
        map_row(packed, np.eye(3), float(y0 + k) - 0.5, -0.5, int(x0), int(x1) + 1, cu[k], cv[k])
    # Half the cross product of the diagonals.
    area = 0.5 * (
        (cu[1:, 1:] - cu[:-1, :-1]) * (cv[1:, :-1] - cv[:-1, 1:])
        - (cu[1:, :-1] - cu[:-1, 1:]) * (cv[1:, 1:] - cv[:-1, :-1])
    )
    return np.abs(area) * abs(np.linalg.det(packed.cd)) * (3600.0 / plate_scale(packed)) ** 2


def _map(packed, h, x, y):
    out_x, out_y = np.empty(x.size), np.empty(x.size)
    map_points(packed, h, np.array(x, np.float64).ravel(), np.array(y, np.float64).ravel(), out_x, out_y)
    return out_x.reshape(x.shape), out_y.reshape(x.shape)


def _unmap(packed, h, x, y):
    out_x, out_y = np.empty(x.size), np.empty(x.size)
    inverse_points(packed, h, np.array(x, np.float64).ravel(), np.array(y, np.float64).ravel(), out_x, out_y)
    return out_x.reshape(x.shape), out_y.reshape(x.shape)


def _celestial(wcs: WCS) -> WCS:
    if not wcs.has_celestial:
        types = ", ".join(repr(t) for t in wcs.wcs.ctype)
        msg = (
            f"Packing a WCS: the axes are {types}, which is no celestial WCS; give a file whose science "
            "header has CTYPE1 and CTYPE2 such as 'RA---TAN' and 'DEC--TAN'."
        )
        raise DataError(msg)
    return wcs if wcs.naxis == 2 else wcs.celestial


def _check_linear(crval, cd) -> None:
    if not np.isfinite(crval).all() or not np.isfinite(cd).all() or np.linalg.det(cd) == 0.0:
        msg = (
            f"Packing a WCS: CRVAL is {crval.tolist()} and CD is {cd.tolist()}; finite values and a CD "
            "matrix that can be inverted are needed. The header is damaged."
        )
        raise DataError(msg)


def _tan_frame(wcs: WCS) -> tuple[NDArray, NDArray]:
    """CRVAL and CD in an equatorial frame, with LONPOLE folded into CD."""
    rows = [wcs.wcs.lng, wcs.wcs.lat]
    cd = np.array(wcs.pixel_scale_matrix, np.float64)[rows]
    crval = np.array(wcs.wcs.crval, np.float64)[rows]
    _check_linear(crval, cd)
    crval[0] %= 360.0
    cd = _turn(cd, wcs.wcs.lonpole - 180.0)
    if not wcs.wcs.ctype[rows[0]].startswith("RA"):
        crval, angle = _to_icrs(wcs, crval)
        cd = _turn(cd, angle)
    return crval, np.ascontiguousarray(cd)


def _turn(cd, angle_deg):
    if angle_deg == 0.0:
        return cd
    s, c = math.sin(math.radians(angle_deg)), math.cos(math.radians(angle_deg))
    return np.array([[c, s], [-s, c]]) @ cd


def _to_icrs(wcs, crval):
    """ICRS tangent point and the turn of its tangent plane, for a galactic or ecliptic WCS."""
    try:
        frame = wcs_utils.wcs_to_celestial_frame(wcs)
    except ValueError as error:
        msg = f"Packing a WCS: astropy knows no sky frame for CTYPE {list(wcs.wcs.ctype)}."
        raise DataError(msg) from error
    here = SkyCoord(crval[0] * u.deg, crval[1] * u.deg, frame=frame)
    pole = SkyCoord(0 * u.deg, 90 * u.deg, frame=frame)
    angle = here.icrs.position_angle(pole.icrs).deg
    return np.array([here.icrs.ra.deg, here.icrs.dec.deg]), angle


def _sip(wcs, crpix):
    sip = wcs.sip
    if sip is None or sip.a is None or sip.b is None:
        return crpix.copy(), np.zeros((1, 1)), np.zeros((1, 1))
    if not wcs.wcs.ctype[0].endswith("-SIP"):
        ctype = wcs.wcs.ctype[0]
        log.info("SIP coefficients under CTYPE %r, which lacks -SIP: applied, as astropy does", ctype)
    n = max(sip.a.shape[0], sip.b.shape[0])
    i, j = np.indices((n, n))
    packed = []
    for coefficients in (sip.a, sip.b):
        square = np.zeros((n, n))
        m = coefficients.shape[0]
        square[:m, :m] = coefficients
        square[i + j > m - 1] = 0.0  # astropy reads no term beyond the total order
        packed.append(square)
    if not np.isfinite(packed).all():
        msg = "Packing a WCS: a SIP coefficient is not a finite number. The header is damaged."
        raise DataError(msg)
    return np.array(sip.crpix, np.float64) - 1.0, packed[0], packed[1]


def _table(lookup):
    """A distortion table and its axes as slopes and offsets from zero-based pixels, slopes positive."""
    if lookup is None:
        return _NO_TABLE.copy(), np.zeros(4)
    data = np.array(lookup.data, np.float32)
    axes = []
    for k in range(2):
        crpix, crval, cdelt = (float(a[k]) for a in (lookup.crpix, lookup.crval, lookup.cdelt))
        slope = 1.0 / cdelt
        # One-based pixel x + 1, one-based table coordinate.
        offset = (1.0 - crval) / cdelt + crpix - 1.0
        if slope < 0.0:
            data = np.flip(data, axis=1 - k)
            slope, offset = -slope, data.shape[1 - k] - 1.0 - offset
        axes += [slope, offset]
    if not np.isfinite(data).all():
        msg = "Packing a WCS: a distortion table (NPOL or D2IM) holds values that are not finite numbers."
        raise DataError(msg)
    return np.ascontiguousarray(data), np.array(axes)


def _d2im_limits(packed, shape):
    limits = np.zeros(3)
    for k, table in enumerate((packed.d2im_x, packed.d2im_y)):
        if table.size:
            limits[k] = float(np.abs(table).max())
    if packed.d2im_x.size and packed.d2im_x.shape[1] > 1:
        slope = float(np.abs(np.diff(packed.d2im_x, axis=1)).max()) * packed.table_axes[2, 0]
        if slope > 0.5:
            msg = (
                f"Packing a WCS: the D2IM table moves neighbouring columns by {slope:.2f} px against each "
                "other; at most 0.5 is believable. The D2IMARR extension is damaged."
            )
            raise DataError(msg)
    # Third-order remainder of SIP's Taylor series in the D2IM shift, within a chip around the chip.
    reach = np.abs(packed.sip_ref) + 2.0 * np.array([shape[1], shape[0]], np.float64)
    n = packed.sip_a.shape[0] - 1
    remainder = 0.0
    for sip in (packed.sip_a, packed.sip_b):
        for i in range(n + 1):
            for j in range(3, n - i + 1):
                remainder += abs(sip[i, j]) * math.comb(j, 3) * reach[0] ** i * reach[1] ** (j - 3)
    limits[2] = 1.0 if remainder * limits[1] ** 3 < 1e-11 else 0.0
    return limits


def _idc(header, primary):
    """What stwcs reads to make the undistorted plane of a Hubble chip (``wcsutil.instruments``)."""
    idc = np.full(6, np.nan)
    if header is None:
        return idc
    primary = primary if primary is not None else header
    found = [header.get("IDCSCALE"), primary.get("PA_V3"), header.get("IDCV2REF")]
    found += [header.get("IDCV3REF"), header.get("IDCTHETA")]
    for k, value in enumerate(found):
        if isinstance(value, int | float) and not isinstance(value, bool):
            idc[k] = value
    if primary.get("INSTRUME") in ("ACS", "WFC3", "WFPC2", "NICMOS", "STIS"):
        # ACS/WFC reads out upside down with respect to all others.
        idc[5] = -1.0 if primary.get("INSTRUME") == "ACS" and primary.get("DETECTOR") == "WFC" else 1.0
    return idc


def _aperture_roll(pa_v3, dec, v2, v3):
    """Position angle of V3 at an aperture (deg): C. Cox's formula as in stwcs ``makewcs.troll``."""
    roll, dec = math.radians(pa_v3), math.radians(dec)
    v2, v3 = math.radians(v2 / 3600.0), math.radians(v3 / 3600.0)
    s2, s3 = math.sin(v2), math.sin(v3)
    sin_rho = math.sqrt(s2 * s2 + s3 * s3 - s2 * s2 * s3 * s3)
    if sin_rho == 0.0:
        return pa_v3
    rho = math.asin(sin_rho)
    beta = math.asin(max(-1.0, min(1.0, s3 / sin_rho)))
    gamma = math.asin(max(-1.0, min(1.0, s2 / sin_rho)))
    if v2 < 0.0:
        beta = math.pi - beta
    if v3 < 0.0:
        gamma = math.pi - gamma
    a = 0.5 * math.pi + roll - beta
    b = math.atan2(
        math.sin(a) * math.cos(dec),
        math.sin(dec) * sin_rho - math.cos(dec) * math.cos(rho) * math.cos(a),
    )
    return math.degrees(math.pi - (gamma + b))


def _agrees(wcs, packed, shape):
    """Whether the packed chain is astropy's at places spread over the chip."""
    y, x = (np.linspace(-0.5, n - 0.5, 6) for n in shape)
    x, y = (a.ravel() for a in np.meshgrid(x, y))
    tx, ty = sky_to_pixel(linear(packed), *_astropy_sky(wcs, x, y))
    px, py = _map(packed, np.eye(3), x, y)
    apart = np.hypot(px + packed.crpix[0] - tx, py + packed.crpix[1] - ty)
    # The rotation from a galactic or ecliptic frame is known to some 1e-10 deg only.
    equatorial = wcs.wcs.ctype[wcs.wcs.lng].startswith("RA")
    return not (apart > (1e-6 if equatorial else 1e-3)).any()


def _sampled(wcs, shape, idc):
    """Pack any celestial projection by samples of astropy's map onto the plane about the chip's centre."""
    failure = ""
    for margin in (_SAMPLING_MARGIN, 4):
        for cells in (16, 32, 64, 128, 256, 512, _SAMPLING_NODES - 1):
            packed = _sample(wcs, shape, idc, margin, cells)
            if packed is None:
                failure = "astropy gives no sky position on part of it"
                break
            error, scale = _sampling_error(wcs, packed, shape)
            if error < _SAMPLING_TOLERANCE:
                return packed
            failure = (
                f"samples every {scale:.1f} px leave an error of {error:.2e} px "
                f"where {_SAMPLING_TOLERANCE:.0e} px is wanted"
            )
    msg = (
        f"Packing a WCS: the projection {list(wcs.wcs.ctype)} over {shape[0]} x {shape[1]} px cannot be "
        f"carried onto a tangent plane: {failure}. Cut the image to a smaller field, or resample it to TAN."
    )
    raise DataError(msg)


def _sample(wcs, shape, idc, margin, cells):
    ny, nx = shape
    centre = np.array([0.5 * (nx - 1), 0.5 * (ny - 1)])
    ra, dec = _astropy_sky(wcs, centre[0], centre[1])
    if not np.isfinite([ra, dec]).all():
        return None
    plane = tan_wcs((float(ra), float(dec)), (0.0, 0.0), np.eye(2))
    dx, dy = np.array([0.5, -0.5, 0.0, 0.0]), np.array([0.0, 0.0, 0.5, -0.5])
    xi, eta = sky_to_pixel(plane, *_astropy_sky(wcs, centre[0] + dx, centre[1] + dy))
    cd = np.array([[xi[0] - xi[1], xi[2] - xi[3]], [eta[0] - eta[1], eta[2] - eta[3]]])
    if not np.isfinite(cd).all():
        return None
    plane = tan_wcs((float(ra), float(dec)), centre, cd)
    gx = np.linspace(-margin - 0.5, nx - 0.5 + margin, cells + 1)
    gy = np.linspace(-margin - 0.5, ny - 0.5 + margin, cells + 1)
    sx, sy = np.meshgrid(gx, gy)
    px, py = sky_to_pixel(plane, *_astropy_sky(wcs, sx, sy))
    if not (np.isfinite(px).all() and np.isfinite(py).all()):
        return None
    return plane._replace(
        grid_x=px - sx,
        grid_y=py - sy,
        grid_axes=np.array([gx[0], gx[1] - gx[0], gy[0], gy[1] - gy[0]]),
        idc=idc,
    )


def _sampling_error(wcs, packed, shape):
    """Largest error at the middles of the cells that touch the chip (px), and the step (px)."""
    ny, nx = packed.grid_x.shape
    x0, step_x, y0, step_y = packed.grid_axes
    mx = x0 + step_x * (np.arange(nx - 1) + 0.5)
    my = y0 + step_y * (np.arange(ny - 1) + 0.5)
    mx = mx[(mx > -0.5 - step_x) & (mx < shape[1] - 0.5 + step_x)]
    my = my[(my > -0.5 - step_y) & (my < shape[0] - 0.5 + step_y)]
    # Middles lie halfway in both axes: the worst place of a tensor product.
    mx, my = np.meshgrid(mx, my)
    tx, ty = sky_to_pixel(linear(packed), *_astropy_sky(wcs, mx, my))
    px, py = _map(packed, np.eye(3), mx, my)
    error = np.hypot(px + packed.crpix[0] - tx, py + packed.crpix[1] - ty)
    return float(error.max()), max(step_x, step_y)


def _astropy_sky(wcs, x, y):
    """Equatorial sky positions by astropy; galactic and ecliptic ones turned to ICRS."""
    world = wcs.all_pix2world(np.ravel(x), np.ravel(y), 0)
    lon, lat = world[wcs.wcs.lng], world[wcs.wcs.lat]
    if not wcs.wcs.ctype[wcs.wcs.lng].startswith("RA"):
        sky = SkyCoord(lon * u.deg, lat * u.deg, frame=wcs_utils.wcs_to_celestial_frame(wcs)).icrs
        lon, lat = sky.ra.deg, sky.dec.deg
    return np.reshape(lon, np.shape(x)), np.reshape(lat, np.shape(x))
