"""Projections that are not TAN, carried onto a tangent plane by error-bounded samples of astropy."""

import numpy as np

from drizzlewb.distortion.sky import linear, map_arrays, sky_to_pixel, tan_wcs
from drizzlewb.errors import DataError

__all__ = ["agrees", "sampled"]

_SAMPLING_TOLERANCE = 1e-7  # pixels, at the middle of every cell
_SAMPLING_MARGIN = 256  # pixels around the chip that samples of another projection cover
_SAMPLING_NODES = 1025  # most nodes per axis


def agrees(wcs, packed, shape):
    """Whether the packed chain is astropy's at places spread over the chip."""
    y, x = (np.linspace(-0.5, n - 0.5, 6) for n in shape)
    x, y = (a.ravel() for a in np.meshgrid(x, y))
    tx, ty = sky_to_pixel(linear(packed), *_astropy_sky(wcs, x, y))
    px, py = map_arrays(packed, np.eye(3), x, y)
    apart = np.hypot(px + packed.crpix[0] - tx, py + packed.crpix[1] - ty)
    # The rotation from a galactic or ecliptic frame is known to some 1e-10 deg only.
    equatorial = wcs.wcs.ctype[wcs.wcs.lng].startswith("RA")
    return not (apart > (1e-6 if equatorial else 1e-3)).any()


def sampled(wcs, shape, idc):
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
    px, py = map_arrays(packed, np.eye(3), mx, my)
    error = np.hypot(px + packed.crpix[0] - tx, py + packed.crpix[1] - ty)
    return float(error.max()), max(step_x, step_y)


def _astropy_sky(wcs, x, y):
    """Equatorial sky positions by astropy; galactic and ecliptic ones turned to ICRS."""
    world = wcs.all_pix2world(np.ravel(x), np.ravel(y), 0)
    lon, lat = world[wcs.wcs.lng], world[wcs.wcs.lat]
    if not wcs.wcs.ctype[wcs.wcs.lng].startswith("RA"):
        from astropy import units as u  # late: slow to import, and few headers need them
        from astropy.coordinates import SkyCoord
        from astropy.wcs import utils as wcs_utils

        sky = SkyCoord(lon * u.deg, lat * u.deg, frame=wcs_utils.wcs_to_celestial_frame(wcs)).icrs
        lon, lat = sky.ra.deg, sky.dec.deg
    return np.reshape(lon, np.shape(x)), np.reshape(lat, np.shape(x))
