"""Frames laid onto one grid, to be compared: matched by the sky, or pixel on pixel.

For the eye: pixels are taken as they are, the nearest one, or averaged over blocks where the view is
coarser than they. Only what is asked for is read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drizzlewb.errors import DataError
from drizzlewb.grid import OutputGrid, Region
from drizzlewb.kernels.binning import block_mean
from drizzlewb.views.frames import Frame

__all__ = ["MATCHES", "Item", "Matched", "Reading", "matched", "readings"]

MATCHES = ("sky", "pixel")

_DIRECT = 4096
_KNOTS_PX = 32
_FINE_PX = 512
_FINEST = 8


@dataclass(frozen=True, eq=False)
class Item:
    """Something that can be compared: an exposure, a product, a preview, a file.

    Attributes
    ----------
    name : str
        Shown as the title.
    parts : tuple of Frame
        Its chips; a product has one.
    common : callable or None
        Grid on which other frames are laid when this one is the reference, and the region of it that this
        one covers; None without a WCS.
    exptime : float
        Seconds; 0 where it means nothing, as for a product per second.
    """

    name: str
    parts: tuple[Frame, ...]
    common: Callable[[], tuple[OutputGrid, Region]] | None = None
    exptime: float = 0.0

    @property
    def unit(self) -> str:
        """Of its values."""
        return self.parts[0].unit

    @cached_property
    def sample(self) -> NDArray[np.float32]:
        """Finite pixels spread over all parts, for limits."""
        return np.concatenate([part.sample() for part in self.parts])

    @property
    def on_sky(self) -> bool:
        """Whether every part knows where it lies."""
        return all(part.from_sky is not None for part in self.parts)


@dataclass(frozen=True, eq=False)
class Matched(Frame):
    """An item seen on the grid of the reference.

    Attributes
    ----------
    item : Item or None
    parts : tuple of Frame
        Those of its parts that are shown.
    grid : OutputGrid or None
        Common grid; None if frames are matched pixel on pixel.
    """

    item: Item | None = None
    parts: tuple[Frame, ...] = ()
    grid: OutputGrid | None = None

    def sample(self) -> NDArray[np.float32]:
        """Finite pixels of the whole item, for limits."""
        assert self.item is not None
        return self.item.sample

    def place(self, part: Frame, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        """Pixels of a part for pixels of the common grid, zero-based; NaN where there are none."""
        if self.grid is None:
            return x, y
        assert part.from_sky is not None
        return part.from_sky(*self.grid.pixel_to_sky(x, y))

    def at(self, x: NDArray, y: NDArray) -> NDArray[np.float32]:
        """Values of the nearest pixels at points of the common grid, NaN outside; in the shape of x and y."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        out = np.full(x.size, np.nan, np.float32)
        for part in self.parts:
            px, py = self.place(part, x.ravel(), y.ravel())
            _take(part, px, py, 1, out)
        return out.reshape(x.shape)

    def pixels(self, box: Region) -> NDArray[np.float32]:
        """Nearest pixels at every pixel of a box of the common grid."""
        ys, xs = np.arange(box.y0, box.y1, dtype=float), np.arange(box.x0, box.x1, dtype=float)
        return self._raster(xs, ys, 0.0)

    def binned(self, box: Region, most: int) -> tuple[NDArray[np.float32], float]:
        """Picture of a box: averaged where coarser than the pixels, the pixels themselves where finer."""
        longest = max(box.shape)
        coarse = max(1, -(-longest // most))
        fine = 1 if coarse > 1 else max(1, min(_FINEST, min(most, _FINE_PX) // max(longest, 1)))
        step = coarse / fine
        ny, nx = (-(-n * fine // coarse) for n in box.shape)
        xs = box.x0 - 0.5 + (np.arange(nx) + 0.5) * step
        ys = box.y0 - 0.5 + (np.arange(ny) + 0.5) * step
        return self._raster(xs, ys, step), step

    def native(self, x: float, y: float) -> tuple[Frame, float, float] | None:
        """Part that holds a point, and where in it, zero-based px; None outside."""
        for part in self.parts:
            px, py = self.place(part, np.array([x]), np.array([y]))
            if np.isfinite(px[0]) and _inside(part.region, px, py)[0]:
                return part, float(px[0]), float(py[0])
        return None

    def _raster(self, xs: NDArray, ys: NDArray, step: float) -> NDArray[np.float32]:
        out = np.full(ys.size * xs.size, np.nan, np.float32)
        for part in self.parts:
            px, py = _interpolated(lambda x, y, part=part: self.place(part, x, y), xs, ys)  # type: ignore[misc]
            side = max(1, round(step * _scale(px, py, xs))) if step else 1
            _take(part, px.ravel(), py.ravel(), side, out)
        return out.reshape(ys.size, xs.size)


def _interpolated(
    place: Callable[[NDArray, NDArray], tuple[NDArray, NDArray]], xs: NDArray, ys: NDArray
) -> tuple[NDArray, NDArray]:
    """Map of a raster, exact for small ones; larger ones between knots 32 samples apart (below 0.01 px)."""
    if xs.size * ys.size <= _DIRECT:
        x, y = np.meshgrid(xs, ys)
        px, py = place(x.ravel(), y.ravel())
        return px.reshape(x.shape), py.reshape(x.shape)
    kx, ix, tx = _knots(xs)
    ky, iy, ty = _knots(ys)
    x, y = np.meshgrid(kx, ky)
    found = []
    for values in place(x.ravel(), y.ravel()):
        v = values.reshape(x.shape)
        rows = v[iy] * (1 - ty)[:, None] + v[iy + 1] * ty[:, None]
        found.append(rows[:, ix] * (1 - tx) + rows[:, ix + 1] * tx)
    return found[0], found[1]


def _knots(values: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    number = max(2, -(-values.size // _KNOTS_PX) + 1)
    knots = np.linspace(values[0], values[-1] + 1e-9, number)
    at = (values - knots[0]) / (knots[1] - knots[0])
    index = np.minimum(at.astype(int), number - 2)
    return knots, index, at - index


def _scale(px: NDArray, py: NDArray, xs: NDArray) -> float:
    """Pixels of a part in one pixel of the common grid."""
    if xs.size < 2:
        return 1.0
    row = px.shape[0] // 2
    far = np.hypot(np.diff(px[row]), np.diff(py[row])) / (xs[1] - xs[0])
    far = far[np.isfinite(far)]
    return float(np.median(far)) if far.size else 1.0


def _inside(region: Region, px: NDArray, py: NDArray) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return (
            (px >= region.x0 - 0.5) & (px < region.x1 - 0.5)
            & (py >= region.y0 - 0.5) & (py < region.y1 - 0.5)
        )  # fmt: skip


def _take(part: Frame, px: NDArray, py: NDArray, side: int, out: NDArray[np.float32]) -> None:
    """Fill what is still empty of `out` from the pixels, or blocks of pixels, that hold (px, py)."""
    todo = np.flatnonzero(_inside(part.region, px, py) & np.isnan(out))
    if not todo.size:
        return
    i, j = np.rint(px[todo]).astype(int), np.rint(py[todo]).astype(int)
    # Blocks keep their place while the view moves, so that nothing flickers.
    box = Region(
        int(j.min()) // side * side, int(j.max()) // side * side + side,
        int(i.min()) // side * side, int(i.max()) // side * side + side,
    ).intersect(part.region)  # fmt: skip
    image = np.ascontiguousarray(part.read(box), np.float32)
    if side > 1:
        blocks = np.empty((-(-image.shape[0] // side), -(-image.shape[1] // side)), np.float32)
        block_mean(image, side, blocks)
        image = blocks
    out[todo] = image[(j - box.y0) // side, (i - box.x0) // side]


def matched(items: Sequence[Item], match: str = "sky", *, reference: int = 0, part: int = 0) -> list[Matched]:
    """Lay items onto the grid of one of them.

    Parameters
    ----------
    items : sequence of Item
    match : {'sky', 'pixel'}
        By the WCS of each, or pixel (x, y) on pixel (x, y).
    reference : int
        Number of the item that gives the grid.
    part : int
        Chip that is shown of items that have several, when matched pixel on pixel.

    Returns
    -------
    list of Matched
        All of the reference's region; in the order of `items`.

    Raises
    ------
    DataError
        An item has no WCS and is to be matched by the sky; the match or the reference is unknown.
    """
    if match not in MATCHES or not 0 <= reference < len(items):
        msg = f"Frames are matched by {' or '.join(MATCHES)} to one of them, not by {match!r} to {reference}."
        raise DataError(msg)
    if match == "pixel":
        shown = [item.parts[min(part, len(item.parts) - 1)] for item in items]
        region = shown[reference].region
        return [_matched(item, (one,), None, region) for item, one in zip(items, shown, strict=True)]
    lost = [item.name for item in items if not item.on_sky]
    give = items[reference].common
    if lost or give is None:
        names = ", ".join(lost or [items[reference].name])
        msg = f"{names}: there is no celestial WCS, so that it cannot be matched by the sky; match by pixel."
        raise DataError(msg)
    grid, region = give()
    return [_matched(item, item.parts, grid, region) for item in items]


def _matched(item: Item, parts: tuple[Frame, ...], grid: OutputGrid | None, region: Region) -> Matched:
    made: list[Matched] = []
    to_sky = grid.pixel_to_sky if grid is not None else parts[0].to_sky
    from_sky = grid.sky_to_pixel if grid is not None else parts[0].from_sky
    frame = Matched(
        item.name, region, lambda box: made[0].pixels(box), item.unit, to_sky, from_sky,
        item=item, parts=parts, grid=grid,
    )  # fmt: skip
    made.append(frame)
    return frame


class Reading(NamedTuple):
    """What one frame has at a point: its own pixel (zero-based), value, unit and DQ names; NaN outside."""

    name: str
    part: str
    x: float
    y: float
    value: float
    unit: str
    flags: tuple[str, ...]


def readings(frames: Sequence[Matched], x: float, y: float) -> list[Reading]:
    """Read all frames at a point of the common grid."""
    found = []
    nan = float("nan")
    for frame in frames:
        here = frame.native(x, y)
        if here is None:
            found.append(Reading(frame.name, "", nan, nan, nan, frame.unit, ()))
            continue
        part, px, py = here
        several = frame.item is not None and len(frame.item.parts) > 1
        found.append(
            Reading(
                frame.name, part.name if several else "", px, py, part.value(px, py), part.unit,
                part.dq_names(px, py),
            )
        )  # fmt: skip
    return found
