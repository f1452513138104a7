"""What a sky view shows of a session: footprints, output grid, sources, the previewed region."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from drizzlewb import distortion
from drizzlewb.errors import DrizzlewbError
from drizzlewb.grid import OutputGrid, Region
from drizzlewb.products.ds9_regions import mask_outlines
from drizzlewb.session import Session
from drizzlewb.session.regions import source_positions
from drizzlewb.views.frames import Frame, array_frame, binned, on_grid

__all__ = [
    "MOST_PX",
    "MOST_SOURCES",
    "SkyLayers",
    "north_up",
    "preview_frame",
    "sky_layers",
    "tan_image",
]

MOST_PX = 2048
"""Pixels along a side of an image that is sent to a browser."""

MOST_SOURCES = 2000
_SIDES = 8

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SkyLayers:
    """What is drawn on the sky; positions are RA and Dec in degrees.

    Attributes
    ----------
    names : tuple of str
        Root names of the exposures, one for each of `footprints`.
    footprints : tuple of ndarray, shape (n, 2)
        Outlines of the chips, with distortion.
    grid : ndarray, shape (n, 2), or None
        Outline of the output image.
    region : ndarray, shape (n, 2), or None
        Outline of the region that is previewed, or would be.
    masks : tuple of ndarray, shape (n, 2)
        Outlines of masks drawn by hand.
    sources : ndarray, shape (n, 2)
        Sources of the alignment: the brightest ones.
    cutout : Cutout or None
        The preview.
    center : (float, float)
    radius_deg : float
        Circle around `center` that holds the footprints.
    """

    names: tuple[str, ...] = ()
    footprints: tuple[Array, ...] = ()
    grid: Array | None = None
    region: Array | None = None
    masks: tuple[Array, ...] = ()
    sources: Array = field(default_factory=lambda: np.empty((0, 2)))
    cutout: Any = None
    center: tuple[float, float] = (0.0, 0.0)
    radius_deg: float = 0.1


def sky_layers(session: Session, product: str = "") -> SkyLayers:
    """Collect what is known of a product, with the accepted alignment; nothing is computed anew.

    Parameters
    ----------
    session : Session
    product : str, optional
        Default, the selected or the first one; all exposures where there is none.
    """
    with session.lock:
        state, selection = session.state, session.selection
        name = product or selection.product or (state.names[0] if state.names else "")
        if name in state.names:
            exposures = session.derived.stack(state.product(name))
        else:
            exposures = session.exposures
        grid = _grid(session, name)
        shown = session.shown.get(name)
        sources = source_positions(session, exposures, MOST_SOURCES)
    if not exposures:
        return SkyLayers()
    pairs = [(e.rootname, c) for e in exposures for c in e.chips]
    outlines = tuple(distortion.footprint(c.wcs, c.shape, _SIDES) for _, c in pairs)
    own = {e.rootname for e in exposures}
    masks = [o for m in state.masks if m.exposure in own for o in mask_outlines(m, exposures)]
    center, radius = _circle(np.vstack(outlines))
    cutout = shown.cutout if shown is not None else None
    return SkyLayers(
        tuple(n for n, _ in pairs),
        outlines,
        None if grid is None else distortion.footprint(grid.wcs, grid.shape, 1),
        _region(grid, selection, cutout),
        tuple(masks),
        sources,
        cutout,
        center,
        radius,
    )


def _grid(session: Session, name: str) -> OutputGrid | None:
    try:
        return session.derived.product(name).grid if name in session.state.names else None
    except DrizzlewbError:
        return None  # impossible parameters: the step bar says so


def _region(grid: OutputGrid | None, selection: Any, cutout: Any) -> Array | None:
    if grid is None:
        return None
    box = cutout.region if cutout is not None and cutout.grid == grid else None
    if selection.center is not None:
        try:
            ra, dec = selection.center
            box = grid.region_around(ra, dec, selection.size)
        except DrizzlewbError:
            return None  # outside of this product; the preview says so
    if box is None:
        return None
    x = np.array([box.x0, box.x1, box.x1, box.x0]) - 0.5
    y = np.array([box.y0, box.y0, box.y1, box.y1]) - 0.5
    return np.column_stack(grid.pixel_to_sky(x, y))


def _circle(sky: Array) -> tuple[tuple[float, float], float]:
    lon, lat = np.radians(sky).T
    unit = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    low, high = unit.min(axis=0), unit.max(axis=0)
    middle = (low + high) / 2
    middle /= np.linalg.norm(middle)
    radius = np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(unit - middle, axis=1).max() / 2, 0, 1)))
    ra = np.degrees(np.arctan2(middle[1], middle[0])) % 360.0
    dec = np.degrees(np.arcsin(np.clip(middle[2], -1, 1)))
    return (float(ra), float(dec)), max(float(radius), 1e-4)


def tan_image(frame: Frame, grid: OutputGrid, most: int = MOST_PX) -> fits.HDUList:
    """Image of a frame that lies on an output grid, as FITS with a TAN header and nothing else in it.

    A header with SIP or lookup tables would be drawn in the wrong place by Aladin.

    Parameters
    ----------
    frame : Frame
        A part of the image on `grid`.
    grid : OutputGrid
    most : int
        Pixels along a side; larger frames are averaged in blocks.
    """
    image, step = binned(np.ascontiguousarray(frame.read(frame.region), np.float32), min(most, MOST_PX))
    header = fits.Header()
    for key, value in grid.to_header().items():
        if key not in ("NAXIS", "NAXIS1", "NAXIS2", "ORIENTAT"):
            header[key] = value
    for axis, origin in ((1, frame.region.x0), (2, frame.region.y0)):
        # The centre of pixel 1 of a block of s px lies at (s + 1) / 2 of the old, one-based pixels.
        header[f"CRPIX{axis}"] = (header[f"CRPIX{axis}"] - origin - 0.5) / step + 0.5
        for row in (1, 2):
            header[f"CD{row}_{axis}"] *= step
    return fits.HDUList([fits.PrimaryHDU(image, header)])


def north_up(frame: Frame, most: int = 1024) -> tuple[NDArray[np.float32], tuple[float, float], float]:
    """Resample a frame, by the nearest pixel, with north up and east to the left; for the eye only.

    Returns
    -------
    image : ndarray, float32, shape (n, n)
        Square around the frame, NaN outside.
    center : (float, float)
        RA and Dec of its middle, degrees.
    side_arcsec : float
    """
    assert frame.to_sky is not None
    r = frame.region
    x = np.array([r.x0, r.x1, r.x1, r.x0]) - 0.5
    y = np.array([r.y0, r.y0, r.y1, r.y1]) - 0.5
    corners = np.column_stack(frame.to_sky(x, y))
    center, _ = _circle(corners)
    n = int(min(most, max(64, np.hypot(*r.shape))))
    offsets = distortion.sky_to_pixel(distortion.tan_wcs(center, (0.0, 0.0), np.eye(2)), *corners.T)
    side = 2.0 * float(np.abs(offsets).max())
    middle = 0.5 * (n - 1)
    plane = distortion.tan_wcs(center, (middle, middle), np.diag([-side / n, side / n]))
    grid = OutputGrid(plane, (n, n))
    laid = on_grid([frame], grid, Region(0, n, 0, n), frame.name)
    return laid.read(laid.region), center, side * 3600.0


def preview_frame(cutout: Any, name: str = "preview") -> Frame:
    """Frame of a previewed region."""
    region = cutout.region
    return array_frame(name, cutout.sci, unit=cutout.unit, origin=(region.y0, region.x0), grid=cutout.grid)
