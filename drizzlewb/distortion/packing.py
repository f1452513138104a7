"""An astropy WCS with its lookup tables, packed into the plain arrays that kernels eat."""

import logging
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drizzlewb.distortion.sampling import agrees, sampled
from drizzlewb.distortion.sky import check_linear
from drizzlewb.errors import DataError
from drizzlewb.kernels.transform import PackedWCS

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = ["idc_plane", "pack", "packed_terms", "sip_arrays"]

log = logging.getLogger(__name__)
_NO_TABLE = np.zeros((0, 0), np.float32)


def pack(wcs: "WCS", shape: tuple[int, int], header=None, primary=None) -> PackedWCS:
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
    idc = idc_plane(header, primary)
    if codes != ["TAN", "TAN"] or wcs.wcs.get_pv():
        return sampled(wcs, (ny, nx), idc)
    crpix = np.array(wcs.wcs.crpix, np.float64) - 1.0
    crval, cd = _tan_frame(wcs)
    lookups = (wcs.cpdis1, wcs.cpdis2, wcs.det2im1, wcs.det2im2)
    packed = packed_terms(crpix, crval, cd, _sip(wcs, crpix), lookups, (ny, nx), idc)
    # wcslib knows distortions that astropy does not show (TPV, TPD, DSS in a TAN's clothes).
    return packed if agrees(wcs, packed, (ny, nx)) else sampled(wcs, (ny, nx), idc)


def packed_terms(
    crpix: NDArray,
    crval: NDArray,
    cd: NDArray,
    sip: tuple[NDArray, NDArray, NDArray],
    lookups: Sequence[Any],
    shape: tuple[int, int],
    idc: NDArray,
) -> PackedWCS:
    """Pack the terms of a TAN WCS.

    Parameters
    ----------
    crpix, crval, cd : ndarray
        Zero-based px; degrees, right ascension in [0, 360); deg/px, with LONPOLE of 180 degrees.
    sip : tuple of ndarray
        Zero-based reference pixel and the coefficients A and B, from `sip_arrays`.
    lookups : sequence
        NPOL in x and y, D2IM in x and y: each None, or a table with ``data``, ``crpix``, ``crval``,
        ``cdelt``.
    shape : (int, int)
        (ny, nx) of the chip.
    idc : ndarray
        From `idc_plane`.

    Raises
    ------
    DataError
        A table that holds a number which is not finite, or that is unbelievable.
    """
    sip_ref, sip_a, sip_b = sip
    tables = [_table(t) for t in lookups]
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
    packed.d2im_limits[:] = _d2im_limits(packed, shape)
    return packed


def _celestial(wcs: "WCS") -> "WCS":
    if not wcs.has_celestial:
        types = ", ".join(repr(t) for t in wcs.wcs.ctype)
        msg = (
            f"Packing a WCS: the axes are {types}, which is no celestial WCS; give a file whose science "
            "header has CTYPE1 and CTYPE2 such as 'RA---TAN' and 'DEC--TAN'."
        )
        raise DataError(msg)
    return wcs if wcs.naxis == 2 else wcs.celestial


def _tan_frame(wcs: "WCS") -> tuple[NDArray, NDArray]:
    """CRVAL and CD in an equatorial frame, with LONPOLE folded into CD."""
    rows = [wcs.wcs.lng, wcs.wcs.lat]
    cd = np.array(wcs.pixel_scale_matrix, np.float64)[rows]
    crval = np.array(wcs.wcs.crval, np.float64)[rows]
    check_linear(crval, cd)
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
    from astropy import units as u  # late: slow to import, and few headers need them
    from astropy.coordinates import SkyCoord
    from astropy.wcs import utils as wcs_utils

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
    return sip_arrays(sip.a, sip.b, np.array(sip.crpix, np.float64) - 1.0)


def sip_arrays(a: NDArray, b: NDArray, crpix: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Zero-based reference pixel and SIP coefficients A and B, both of the higher one's order."""
    n = max(a.shape[0], b.shape[0])
    i, j = np.indices((n, n))
    packed = []
    for coefficients in (a, b):
        square = np.zeros((n, n))
        m = coefficients.shape[0]
        square[:m, :m] = coefficients
        square[i + j > m - 1] = 0.0  # astropy reads no term beyond the total order
        packed.append(square)
    if not np.isfinite(packed).all():
        msg = "Packing a WCS: a SIP coefficient is not a finite number. The header is damaged."
        raise DataError(msg)
    return crpix.copy(), packed[0], packed[1]


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
    # Third-order remainder of SIP's Taylor series in the D2IM shifts, within a chip around the chip.
    reach = np.abs(packed.sip_ref) + 2.0 * np.array([shape[1], shape[0]], np.float64)
    n = packed.sip_a.shape[0] - 1
    remainder = 0.0
    for sip in (packed.sip_a, packed.sip_b):
        for i in range(n + 1):
            for j in range(n - i + 1):
                for k in range(max(3 - j, 0), min(i, 3) + 1):
                    term = math.comb(i, k) * reach[0] ** (i - k) * limits[0] ** k
                    term *= math.comb(j, 3 - k) * reach[1] ** (j - 3 + k) * limits[1] ** (3 - k)
                    remainder += abs(sip[i, j]) * term
    limits[2] = 1.0 if remainder < 1e-11 else 0.0
    return limits


def idc_plane(header, primary) -> NDArray:
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
