"""Where each pixel looks: attitudes of the telescope, chip WCSs, and look-up tables of the distortion.

An attitude turns the detector's published geometry rigidly on the sphere and scales it by the
velocity aberration. Two attitudes belong to an exposure: the one its header states and the true one.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from numpy.typing import NDArray

from drizzlewb.training.detectors import DETECTORS, ChipModel, DetectorModel

__all__ = [
    "Attitude",
    "chip_wcs",
    "local_maps",
    "lookup_tables",
    "pixel_area_map",
    "shifted",
    "sky_to_pixel",
    "wcs_header",
]

TABLE_STEP = 64  # pixels between nodes of NPOL and D2IM tables, as in the reference files
NPOL_PEAK_PX = 0.09
D2IM_PEAK_PX = 0.06


class Attitude(NamedTuple):
    """Boresight (deg), position angle of the detector's y axis (deg) and velocity aberration factor."""

    ra: float
    dec: float
    pa: float
    va: float = 1.0


def _frame(ra: float, dec: float, pa: float) -> NDArray[np.float64]:
    """Rows: direction, and the two unit vectors that are east and north turned by `pa`."""
    a, d, p = np.radians([ra, dec, pa])
    direction = np.array([math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)])
    east = np.array([-math.sin(a), math.cos(a), 0.0])
    north = np.array([-math.sin(d) * math.cos(a), -math.sin(d) * math.sin(a), math.cos(d)])
    return np.array(
        [direction, east * math.cos(p) - north * math.sin(p), east * math.sin(p) + north * math.cos(p)]
    )


def _canonical_wcs(chip: ChipModel) -> WCS:
    """SIP WCS of a full chip with the aperture at (0, 0) and north along y."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    header["CRPIX1"], header["CRPIX2"] = chip.crpix
    header["CRVAL1"], header["CRVAL2"] = (v / 3600 for v in chip.crval_arcsec)
    for i in range(2):
        for j in range(2):
            header[f"CD{i + 1}_{j + 1}"] = chip.cd_arcsec[i][j] / 3600
    _put_sip(header, chip)
    return WCS(header)


def _put_sip(header: fits.Header, chip: ChipModel) -> None:
    for letter, axis, terms in (("A", 1, chip.sip_a), ("B", 2, chip.sip_b)):
        header[f"{letter}_ORDER"] = (4, f"SIP polynomial order, axis {axis}, detector to sky")
        for (p, q), value in sorted(terms.items()):
            header[f"{letter}_{p}_{q}"] = (value, "SIP distortion coefficient")


@functools.cache
def boresight(name: str) -> tuple[tuple[float, float], NDArray[np.float64]]:
    """Centre of the field in the aperture's frame (arcsec) and the local CD (arcsec per pixel) there.

    The field's centre is the middle of the gap of a two-chip detector, so that every crop is centred
    on the same point of the sky.
    """
    model = DETECTORS[name]
    ny, nx = model.shape
    x = nx / 2 - 0.5
    places = [(0, ny - 1.0), (1, 0.0)] if len(model.chips) == 2 else [(0, ny / 2 - 0.5)]
    points, matrices = [], []
    for index, y in places:
        wcs = _canonical_wcs(model.chips[index])
        h = 2.0
        ra, dec = wcs.all_pix2world([x, x - h, x + h, x, x], [y, y, y, y - h, y + h], 0)
        ra = (np.asarray(ra) + 180) % 360 - 180
        points.append((ra[0], dec[0]))
        matrices.append(
            np.array([[ra[2] - ra[1], ra[4] - ra[3]], [dec[2] - dec[1], dec[4] - dec[3]]]) / (2 * h)
        )
    point = np.mean(points, axis=0) * 3600
    return (float(point[0]), float(point[1])), np.mean(matrices, axis=0) * 3600


def shifted(
    model: DetectorModel, attitude: Attitude, dx: float, dy: float, roll_deg: float = 0.0
) -> Attitude:
    """Attitude in which stars at the field's centre fall (dx, dy) pixels further on the detector.

    `roll_deg` turns the detector's y axis further east of north.
    """
    _, cd = boresight(model.name)
    xi, eta = -np.radians(cd @ np.array([dx, dy]) / 3600)
    direction, east, north = _frame(attitude.ra, attitude.dec, attitude.pa)
    v = direction + xi * east + eta * north
    v /= np.linalg.norm(v)
    ra = math.degrees(math.atan2(v[1], v[0])) % 360
    return attitude._replace(ra=ra, dec=math.degrees(math.asin(v[2])), pa=attitude.pa + roll_deg)


def _pointed(model: DetectorModel, chip: ChipModel, attitude: Attitude) -> tuple[float, float, NDArray]:
    """CRVAL (deg) and CD (deg per pixel) of a chip under an attitude."""
    centre = np.array(boresight(model.name)[0])
    turn = _frame(attitude.ra, attitude.dec, attitude.pa).T @ _frame(centre[0] / 3600, centre[1] / 3600, 0)
    place = centre + (np.array(chip.crval_arcsec) - centre) * attitude.va
    here = _frame(place[0] / 3600, place[1] / 3600, 0)
    v = turn @ here[0]
    ra, dec = math.degrees(math.atan2(v[1], v[0])) % 360, math.degrees(math.asin(v[2]))
    columns = turn @ (here[1:].T @ np.array(chip.cd_arcsec)) / 3600 * attitude.va
    return ra, dec, _frame(ra, dec, 0)[1:] @ columns


def aperture_position(model: DetectorModel, attitude: Attitude) -> tuple[float, float]:
    """RA_APER and DEC_APER (deg): where the aperture's reference point looks."""
    centre = boresight(model.name)[0]
    turn = _frame(attitude.ra, attitude.dec, attitude.pa).T @ _frame(centre[0] / 3600, centre[1] / 3600, 0)
    v = turn @ np.array([1.0, 0.0, 0.0])
    return math.degrees(math.atan2(v[1], v[0])) % 360, math.degrees(math.asin(v[2]))


@functools.cache
def _table(name: str, kind: str, ccdchip: int, axis: int) -> NDArray[np.float32]:
    """Smooth table of corrections in pixels, the same for ever: plane waves a few nodes long."""
    ny, nx = DETECTORS[name].shape
    shape = (-(-ny // TABLE_STEP) + 1, -(-nx // TABLE_STEP) + 1)
    rng = np.random.Generator(np.random.PCG64([sum(map(ord, name + kind)), ccdchip, axis]))
    jj, ii = np.indices(shape, dtype=float)
    total = np.zeros(shape)
    for _ in range(7):
        length, angle, phase = rng.uniform(7, 22), rng.uniform(0, math.pi), rng.uniform(0, 2 * math.pi)
        total += np.sin(2 * math.pi * (ii * math.cos(angle) + jj * math.sin(angle)) / length + phase)
    peak = NPOL_PEAK_PX if kind == "NPOL" else D2IM_PEAK_PX
    return (total * (peak / np.abs(total).max())).astype(np.float32)


def lookup_tables(model: DetectorModel, corners: tuple[tuple[int, int], ...]) -> list[fits.ImageHDU]:
    """D2IMARR and WCSDVARR extensions of a file whose chips are cropped at `corners`; [] if none.

    Node (i, j) stands at full-chip pixel 64 i, 64 j (one-based axis with CRPIX 0 and CRVAL 0, as in the
    reference files); a crop moves CRVAL, so that the table still addresses the same silicon.
    """
    if not model.tables:
        return []
    hdus = []
    for kind, name in (("D2IM", "D2IMARR"), ("NPOL", "WCSDVARR")):
        version = 0
        for chip, corner in zip(model.chips, corners, strict=True):
            for axis in (1, 2):
                version += 1
                hdu = fits.ImageHDU(_table(model.name, kind, chip.ccdchip, axis), name=name)
                hdu.header["EXTVER"] = (version, "Distortion array version number")
                hdu.header["CCDCHIP"] = "DX" if axis == 1 else "DY"
                for k in (1, 2):
                    hdu.header[f"CDELT{k}"] = (float(TABLE_STEP), "Coordinate increment at reference point")
                    hdu.header[f"CRPIX{k}"] = (0.0, "Pixel coordinate of reference point")
                    hdu.header[f"CRVAL{k}"] = (
                        float(-corner[k - 1]),
                        "Coordinate value at reference point",
                    )
                hdus.append(hdu)
    return hdus


def wcs_header(
    model: DetectorModel, extver: int, attitude: Attitude, corner: tuple[int, int], shape: tuple[int, int]
) -> fits.Header:
    """World coordinate cards of SCI extension `extver` (from 1) cropped at `corner`, `shape` (y, x).

    Laid out as the pipeline writes them: TAN-SIP, look-up tables by reference, linear IDCTAB terms,
    plate scale, alternate ``O`` (the undistorted pipeline default).
    """
    chip = model.chips[extver - 1]
    x0, y0 = corner
    ra, dec, cd = _pointed(model, chip, attitude)
    aper = aperture_position(model, attitude)
    h = fits.Header()
    h["WCSAXES"] = (2, "number of World Coordinate System axes")
    h["CRPIX1"] = (chip.crpix[0] - x0, "x-coordinate of reference pixel")
    h["CRPIX2"] = (chip.crpix[1] - y0, "y-coordinate of reference pixel")
    h["CRVAL1"] = (ra, "first axis value at reference pixel")
    h["CRVAL2"] = (dec, "second axis value at reference pixel")
    h["CTYPE1"] = ("RA---TAN-SIP", "the coordinate type for the first axis")
    h["CTYPE2"] = ("DEC--TAN-SIP", "the coordinate type for the second axis")
    h["CUNIT1"], h["CUNIT2"] = "deg", "deg"
    for i in range(2):
        for j in range(2):
            h[f"CD{i + 1}_{j + 1}"] = (
                float(cd[i, j]),
                f"partial of {('first', 'second')[i]} axis coordinate w.r.t. {'xy'[j]}",
            )
    h["LTV1"] = (float(-x0), "offset in X to subsection start")
    h["LTV2"] = (float(-y0), "offset in Y to subsection start")
    h["LTM1_1"] = (1.0, "reciprocal of sampling rate in X")
    h["LTM2_2"] = (1.0, "reciprocal of sampling rate in Y")
    h["RADESYS"] = ("ICRS", "Equatorial coordinate system")
    h["MJDREF"] = (0.0, "[d] MJD of fiducial time")
    orientat = math.degrees(math.atan2(cd[0, 1], cd[1, 1]))
    h["ORIENTAT"] = (orientat, "position angle of image y axis (deg. e of n)")
    h["RA_APER"] = (aper[0], "RA of aperture reference position")
    h["DEC_APER"] = (aper[1], "Declination of aperture reference position")
    h["PA_APER"] = (attitude.pa, "Position Angle of reference aperture center (de")
    h["VAFACTOR"] = (attitude.va, "velocity aberration plate scale factor")
    _put_sip(h, chip)
    h["OCX10"], h["OCX11"], h["OCY10"], h["OCY11"] = chip.oc
    h["IDCSCALE"] = (model.idcscale, "pixel scale from the IDCTAB reference file")
    h["IDCTHETA"] = (model.idctheta, "orientation of detector's Y-axis w.r.t. V3 axis")
    h["IDCXREF"] = (chip.crpix[0], "reference pixel location in X")
    h["IDCYREF"] = (chip.crpix[1], "reference pixel location in Y")
    h["IDCV2REF"] = (chip.v2v3[0], "reference pixel's V2 position")
    h["IDCV3REF"] = (chip.v2v3[1], "reference pixel's V3 position")
    h["IDCTAB"] = (model.idctab, "origin of Polynomial Distortion")
    h["WCSNAME"] = (wcsname(model), "Coordinate system title")
    h["WCSTYPE"] = ("undistorted not aligned", "kind of solution")
    if model.tables:
        for kind, dist, error, short in (
            ("D2IM", "D2IMDIS", "D2IMERR", "D2IM"),
            ("NPOL", "CPDIS", "CPERR", "DP"),
        ):
            for axis in (1, 2):
                table = _table(model.name, kind, chip.ccdchip, axis)
                what = "Detector to image correction type" if kind == "D2IM" else "Prior distortion type"
                h[f"{dist}{axis}"] = ("LOOKUP", what)
                h[f"{error}{axis}"] = (float(np.abs(table).max()), f"Maximum error of {kind} for axis {axis}")
                version = 2 * (extver - 1) + axis
                for record in (f"EXTVER: {version}", "NAXES: 2", "AXIS.1: 1", "AXIS.2: 2"):
                    h.append(fits.Card(f"{short}{axis}", record), end=True)
        h["D2IMEXT"] = "jref$drizzlewb_d2i.fits" if model.instrument == "ACS" else "iref$drizzlewb_d2i.fits"
        h["NPOLEXT"] = "jref$drizzlewb_npl.fits" if model.instrument == "ACS" else "iref$drizzlewb_npl.fits"
    h["WCSNAMEO"] = ("OPUS", "Coordinate system title")
    h["WCSAXESO"] = 2
    h["CRPIX1O"], h["CRPIX2O"] = h["CRPIX1"], h["CRPIX2"]
    # The pipeline's own default knows nothing of velocity aberration.
    ra, dec, cd = _pointed(model, chip, attitude._replace(va=1.0))
    h["CRVAL1O"], h["CRVAL2O"] = ra, dec
    h["CTYPE1O"], h["CTYPE2O"] = "RA---TAN", "DEC--TAN"
    h["CUNIT1O"], h["CUNIT2O"] = "deg", "deg"
    for i in range(2):
        for j in range(2):
            h[f"CD{i + 1}_{j + 1}O"] = float(cd[i, j])
    return h


def wcsname(model: DetectorModel) -> str:
    """Name of the distortion-only solution, such as ``IDC_qbu1641sj``."""
    return "IDC_" + model.idctab.split("$")[1].removesuffix("_idc.fits")


def chip_wcs(header: fits.Header, shape: tuple[int, int], tables: list[fits.ImageHDU]) -> WCS:
    """Return astropy's WCS of a chip with its look-up tables; `shape` is (y, x)."""
    empty = fits.ImageHDU(header=header)
    hdul = fits.HDUList([fits.PrimaryHDU(), empty, *tables])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        wcs = WCS(header, fobj=hdul)
    wcs.array_shape = shape
    return wcs


def sky_to_pixel(
    wcs: WCS, ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Zero-based pixels (x, y) of sky positions (deg) through the whole distortion.

    Fixed-point iteration on astropy's own forward chain, to 1e-9 px; the distortion moves pixels by a
    few per cent of their distance at most, so that each round gains more than a digit.
    """
    fx, fy = wcs.wcs_world2pix(ra, dec, 0)
    x, y = fx.copy(), fy.copy()
    for _ in range(40):
        gx, gy = wcs.pix2foc(x, y, 0)
        dx, dy = fx - gx, fy - gy
        x += dx
        y += dy
        if max(np.abs(dx).max(initial=0.0), np.abs(dy).max(initial=0.0)) < 1e-9:
            break
    return x, y


def local_maps(wcs: WCS, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear maps from pixels to (east, north) arcsec at zero-based (x, y); float64[n, 2, 2]."""
    e = 0.5
    ra, dec = wcs.all_pix2world(np.stack([x - e, x + e, x, x]), np.stack([y, y, y - e, y + e]), 0)
    maps = np.array([[ra[1] - ra[0], ra[3] - ra[2]], [dec[1] - dec[0], dec[3] - dec[2]]]) * 3600
    maps[0] *= np.cos(np.radians(dec[0]))
    return np.moveaxis(maps, 2, 0)


def pixel_area_map(
    wcs: WCS, x: NDArray[np.float64], y: NDArray[np.float64], idcscale: float
) -> NDArray[np.float64]:
    """Solid angle of the pixels at (x, y), zero-based, in units of `idcscale` squared (arcsec²).

    Central differences over two pixels, on the focal plane: the tangent projection's own area change
    (< 1e-6 over a field) is left out, as in the published pixel-area maps.
    """
    e = 1.0
    xr, yr = wcs.pix2foc(x + e, y, 0)
    xl, yl = wcs.pix2foc(x - e, y, 0)
    xu, yu = wcs.pix2foc(x, y + e, 0)
    xd, yd = wcs.pix2foc(x, y - e, 0)
    jacobian = ((xr - xl) * (yu - yd) - (xu - xd) * (yr - yl)) / (4 * e * e)
    return np.abs(jacobian * np.linalg.det(wcs.wcs.cd)) * (3600 / idcscale) ** 2
