"""Frames: what an image view can show, whether it lies on a chip, in a product or in memory.

A frame tells its shape and reads boxes; nothing is read before it is looked at. Coordinates are
zero-based pixels of the frame; a frame may be a part of a larger image and then begins at `origin`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drizzlewb import distortion
from drizzlewb.exposure import Chip, Exposure
from drizzlewb.grid import OutputGrid, Region
from drizzlewb.kernels.binning import block_mean, block_or
from drizzlewb.quality import FlagTable

__all__ = [
    "Frame",
    "array_frame",
    "binned",
    "chip_frame",
    "cutout_frame",
    "exposure_frame",
    "on_grid",
    "product_frame",
]

_SAMPLE = 400


@dataclass(frozen=True, eq=False)
class Frame:
    """An image to be looked at.

    Attributes
    ----------
    name : str
        Shown as the title.
    region : Region
        Pixels that it has; their coordinates are those of the whole image.
    read : callable
        Region inside `region` -> float32 (ny, nx).
    unit : str
        Of the values.
    to_sky, from_sky : callable or None
        Pixels (x, y) -> RA, Dec in degrees, and back.
    dq : callable or None
        Region -> uint16 DQ words.
    flags : FlagTable or None
        Their meanings.
    """

    name: str
    region: Region
    read: Callable[[Region], NDArray[np.float32]]
    unit: str = ""
    to_sky: Callable[[Any, Any], tuple[Any, Any]] | None = None
    from_sky: Callable[[Any, Any], tuple[Any, Any]] | None = None
    dq: Callable[[Region], NDArray[np.uint16]] | None = None
    flags: FlagTable | None = None

    def sample(self) -> NDArray[np.float32]:
        """About 160,000 finite pixels spread over the frame, for limits; empty if there are none."""
        r = self.region
        step = max(1, min(r.shape) // _SAMPLE)
        # Whole rows, a few at a time: a chip on disk is not read whole.
        rows = range(r.y0 + (r.shape[0] % step) // 2, r.y1, step)
        parts = [self.read(Region(y, y + 1, r.x0, r.x1))[0, ::step] for y in rows]
        values = np.concatenate(parts) if parts else np.empty(0, np.float32)
        return values[np.isfinite(values)]

    def binned(self, box: Region, most: int) -> tuple[NDArray[np.float32], float]:
        """Pixels of a box averaged over square blocks, at most `most` along a side; the blocks' side, px.

        The side is below 1 where a frame is drawn finer than the pixels of its grid.
        """
        return binned(np.ascontiguousarray(self.read(box), np.float32), most)

    def value(self, x: float, y: float) -> float:
        """Value of the pixel that holds a point; NaN outside."""
        i, j = round(x), round(y)
        box = Region(j, j + 1, i, i + 1).intersect(self.region)
        return float("nan") if box.empty else float(self.read(box)[0, 0])

    def dq_names(self, x: float, y: float) -> tuple[str, ...]:
        """Names of the DQ flags of the pixel that holds a point."""
        i, j = round(x), round(y)
        box = Region(j, j + 1, i, i + 1).intersect(self.region)
        if box.empty or self.dq is None or self.flags is None:
            return ()
        word = int(self.dq(box)[0, 0])
        return tuple(flag.name for flag in self.flags.flags if word & flag.value)


def binned(image: NDArray[Any], most: int) -> tuple[NDArray[Any], int]:
    """Image of at most `most` pixels along a side, and the side of the blocks that made it.

    float32 images are averaged over finite pixels; of uint16 DQ words, all bits in a block are kept.
    """
    step = max(1, -(-max(image.shape) // most))
    if step == 1:
        return image, 1
    out = np.empty((-(-image.shape[0] // step), -(-image.shape[1] // step)), image.dtype)
    (block_or if image.dtype == np.uint16 else block_mean)(image, step, out)
    return out, step


def array_frame(
    name: str,
    image: NDArray[Any],
    *,
    unit: str = "",
    origin: tuple[int, int] = (0, 0),
    grid: OutputGrid | None = None,
) -> Frame:
    """Frame of an array in memory.

    Parameters
    ----------
    name : str
    image : ndarray, shape (ny, nx)
    unit : str, optional
    origin : (int, int), optional
        (y, x) of its first pixel in the whole image.
    grid : OutputGrid, optional
        Of the whole image.
    """
    data = np.ascontiguousarray(image, np.float32)
    y0, x0 = origin
    region = Region(y0, y0 + data.shape[0], x0, x0 + data.shape[1])
    return Frame(
        name,
        region,
        lambda box: data[box.slices(origin)],
        unit,
        grid.pixel_to_sky if grid else None,
        grid.sky_to_pixel if grid else None,
    )


def cutout_frame(cutout: Any, layer: str = "sci", name: str = "") -> Frame:
    """Frame of a previewed region (`drizzlewb.reduction.run.Cutout`): 'sci' or 'wht'."""
    region = cutout.region
    return array_frame(
        name or layer,
        getattr(cutout, layer),
        unit=cutout.unit if layer == "sci" else "",
        origin=(region.y0, region.x0),
        grid=cutout.grid,
    )


def product_frame(product: Any, layer: str = "sci", name: str = "") -> Frame:
    """Frame of a finished product (`drizzlewb.products.drc.Product`): 'sci' or 'wht'."""
    unit = str(product.header.get("BUNIT", "")) if layer == "sci" else ""
    return array_frame(name or product.path.name, getattr(product, layer), unit=unit, grid=product.grid)


def chip_frame(chip: Chip, name: str = "", *, to_file_unit: bool = True) -> Frame:
    """Frame of one chip of an exposure, read from its file; in the file's own unit unless told otherwise."""
    factor = np.float32(1.0 / chip.to_electrons) if to_file_unit else np.float32(1.0)

    def read(box: Region) -> NDArray[np.float32]:
        data = chip.read_sci(box)
        if factor != 1:
            data *= factor
        return data

    return Frame(
        name or f"chip {chip.chip}",
        Region(0, chip.shape[0], 0, chip.shape[1]),
        read,
        chip.unit if to_file_unit else "electrons",
        lambda x, y: distortion.pixel_to_sky(chip.wcs, x, y),
        lambda ra, dec: distortion.sky_to_pixel(chip.wcs, ra, dec),
        chip.read_dq,
        chip.flags,
    )


def on_grid(frames: list[Frame], grid: OutputGrid, region: Region, name: str) -> Frame:
    """Frames laid onto a region of a common grid, by the nearest pixel; where several fall, the first.

    For the eye only: nothing is measured on it.
    """
    y, x = np.mgrid[region.y0 : region.y1, region.x0 : region.x1].astype(np.float64)
    sky = grid.pixel_to_sky(x.ravel(), y.ravel())
    out = np.full(x.size, np.nan, np.float32)
    for frame in frames:
        assert frame.from_sky is not None
        px, py = frame.from_sky(*sky)
        r = frame.region
        with np.errstate(invalid="ignore"):
            inside = (px >= r.x0 - 0.5) & (px < r.x1 - 0.5) & (py >= r.y0 - 0.5) & (py < r.y1 - 0.5)
        todo = np.flatnonzero(inside & np.isnan(out))
        if not todo.size:
            continue
        i, j = np.rint(px[todo]).astype(int), np.rint(py[todo]).astype(int)
        box = Region(int(j.min()), int(j.max()) + 1, int(i.min()), int(i.max()) + 1)
        out[todo] = frame.read(box)[j - box.y0, i - box.x0]
    unit = frames[0].unit if frames else ""
    image = out.reshape(region.shape)
    return array_frame(name, image, unit=unit, origin=(region.y0, region.x0), grid=grid)


def exposure_frame(exposure: Exposure, grid: OutputGrid, region: Region) -> Frame:
    """All chips of an exposure on a region of a grid, by the nearest pixel, in the file's unit."""
    return on_grid([chip_frame(chip) for chip in exposure.chips], grid, region, exposure.rootname)
