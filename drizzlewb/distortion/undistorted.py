"""The square plane that a distorted chip belongs to: its scale, orientation and pixel areas."""

import math

import numpy as np
from numpy.typing import NDArray

from drizzlewb.kernels.rows import map_row
from drizzlewb.kernels.transform import PackedWCS

__all__ = ["pixel_area_map", "plate_scale", "tangent_plane"]


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
