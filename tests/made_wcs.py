"""Astropy WCSs with any choice of distortion terms, and a slow NumPy reading of the chain."""

import numpy as np
from astropy.wcs import WCS, DistortionLookupTable, Sip


def made_wcs(
    shape=(300, 400),
    *,
    crval=(83.2, -67.7),
    scale_arcsec=0.05,
    rot=37.0,
    skew=0.03,
    order=4,
    npol=(),
    d2im=(),
    seed=1,
):
    """A TAN-SIP WCS; `npol` and `d2im` name the axes ('x', 'y') that have a table of 16-px nodes."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    w = WCS(naxis=2)
    w.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"] if order else ["RA---TAN", "DEC--TAN"]
    w.wcs.crval = crval
    w.wcs.crpix = [0.5 * nx + 3.25, 0.5 * ny - 7.5]
    a = np.radians(rot)
    turn = np.array([[-np.cos(a), np.sin(a)], [np.sin(a), np.cos(a)]])
    w.wcs.cd = scale_arcsec / 3600.0 * turn @ np.array([[1.0, skew], [0.0, 1.0 - skew]])
    w.pixel_shape = (nx, ny)
    if order:
        half = 0.5 * max(shape)
        coefficients = np.zeros((2, order + 1, order + 1))
        for i in range(order + 1):
            for j in range(order + 1 - i):
                if i + j >= 2:
                    # A few pixels at the edge of the chip, as on ACS.
                    coefficients[:, i, j] = rng.uniform(-1, 1, 2) * 2.0 / half ** (i + j)
        w.sip = Sip(coefficients[0], coefficients[1], None, None, w.wcs.crpix)

    def table(amplitude, columns=None):
        n = (ny // 16 + 2, columns or nx // 16 + 2)
        data = (amplitude * rng.uniform(-1, 1, n)).astype(np.float32)
        return DistortionLookupTable(data, (0.0, 0.0), (0.0, 0.0), (16.0, 16.0))

    w.cpdis1 = table(0.15) if "x" in npol else None
    w.cpdis2 = table(0.15) if "y" in npol else None
    w.det2im1 = table(0.04) if "x" in d2im else None
    w.det2im2 = table(0.04) if "y" in d2im else None
    w.wcs.set()
    return w


def bilinear(lookup, x, y):
    """The draft of WCS Paper IV as astropy reads it: one-based axes, values held outside the table."""
    data = np.asarray(lookup.data, float)
    ny, nx = data.shape
    tx = np.clip((x + 1 - lookup.crval[0]) / lookup.cdelt[0] + lookup.crpix[0] - 1, 0, nx - 1)
    ty = np.clip((y + 1 - lookup.crval[1]) / lookup.cdelt[1] + lookup.crpix[1] - 1, 0, ny - 1)
    i, j = np.floor(tx).astype(int), np.floor(ty).astype(int)
    i1, j1 = np.minimum(i + 1, nx - 1), np.minimum(j + 1, ny - 1)
    fx, fy = tx - i, ty - j
    return (data[j, i] * (1 - fx) + data[j, i1] * fx) * (1 - fy) + (
        data[j1, i] * (1 - fx) + data[j1, i1] * fx
    ) * fy


def focal_twin(w, x, y):
    """Focal offsets (px from CRPIX) of zero-based pixels: D2IM, then SIP + NPOL at the moved pixel."""
    xd, yd = np.array(x, float), np.array(y, float)
    if w.det2im1 is not None:
        xd = xd + bilinear(w.det2im1, x, y)
    if w.det2im2 is not None:
        yd = yd + bilinear(w.det2im2, x, y)
    u, v = xd + 1 - w.wcs.crpix[0], yd + 1 - w.wcs.crpix[1]
    du, dv = np.zeros_like(u), np.zeros_like(v)
    if w.sip is not None:
        order = w.sip.a.shape[0] - 1
        for i in range(order + 1):
            for j in range(order + 1 - i):
                du += w.sip.a[i, j] * u**i * v**j
                dv += w.sip.b[i, j] * u**i * v**j
    if w.cpdis1 is not None:
        du = du + bilinear(w.cpdis1, xd, yd)
    if w.cpdis2 is not None:
        dv = dv + bilinear(w.cpdis2, xd, yd)
    return u + du, v + dv


def project_twin(h, u, v):
    """Homography of focal offsets; NaN behind the plane."""
    w = h[2, 0] * u + h[2, 1] * v + h[2, 2]
    w = np.where(w > 0, w, np.nan)
    return (h[0, 0] * u + h[0, 1] * v + h[0, 2]) / w, (h[1, 0] * u + h[1, 1] * v + h[1, 2]) / w
