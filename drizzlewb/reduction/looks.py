"""What is looked at and not stored: masks of boxes, a region under other thresholds, why a pixel is so.

A full run makes masks in tiles of a scratch file; while a threshold is dragged, a tile is far more than the
box that is in view. Here the mask of a box is made for that box alone, by the same step: the bits are the
same, and the next move throws them away.
"""

import threading
from collections import OrderedDict

import numpy as np

from drizzlewb.errors import DataError
from drizzlewb.grid import Region
from drizzlewb.reduction.engine import Reduction
from drizzlewb.reduction.schedule import map_unordered
from drizzlewb.steps import cosmicray
from drizzlewb.steps.contributions import SIDE, Contributions, Masked, contributions
from drizzlewb.steps.final import Tile, boxes_under
from drizzlewb.steps.prepared import Placed
from drizzlewb.steps.star_cores import CoreCounts, StarCores, count_cores, star_cores

__all__ = ["Pieces", "cores", "masked_box", "preview_region", "why"]

_GROWN = 8
"""Pixels by which a piece is larger than what was asked for: another pixfrac asks for a little more."""


class Pieces:
    """Cosmic-ray masks and blotted medians of boxes in memory, the newest of them.

    Parameters
    ----------
    most_bytes : int
        Limit.
    """

    def __init__(self, most_bytes: int = 64_000_000) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, int, Region], np.ndarray] = OrderedDict()

    def get(self, key: str, number: int, box: Region) -> np.ndarray | None:
        """Mask or image of a box of a chip, cut out of a piece that holds it; None if there is none."""
        with self._lock:
            for place, mask in reversed(self._held.items()):
                if place[:2] == (key, number) and place[2].intersect(box) == box:
                    self._held.move_to_end(place)
                    return np.ascontiguousarray(mask[box.slices((place[2].y0, place[2].x0))])
        return None

    def put(self, key: str, number: int, box: Region, mask: np.ndarray) -> None:
        """Keep a mask or an image; forget the oldest if there are too many."""
        with self._lock:
            self._held[key, number, box] = mask
            while sum(m.nbytes for m in self._held.values()) > self._most and len(self._held) > 1:
                self._held.popitem(last=False)


def preview_region(
    reduction: Reduction, region: Region, unit_factor: float, pieces: Pieces, threads: int | None = None
) -> Tile:
    """Product of one region, with masks made for the boxes beneath it only.

    The same bits as `Reduction.product`; masks that a run has made are taken from it.

    Parameters
    ----------
    reduction : Reduction
    region : Region
        Pixels of the final grid; it is clipped to the grid.
    unit_factor : float
        Product units per electron/s.
    pieces : Pieces
        Where masks are looked for, and kept.
    threads : int, optional
        Default, those of the reduction; it never changes a pixel.
    """
    reduction.prepare()
    if not reduction.parameters.cosmicray.driz_cr:
        return reduction.product(region, unit_factor, threads=threads)
    inside = region.clip(reduction.final_grid.shape)
    under = boxes_under(reduction.on_final, inside, reduction.parameters)
    masks = _masks(reduction, [(placed.prepared.number, box) for placed, box in under], pieces, threads)

    def read(placed: Placed, box: Region) -> np.ndarray:
        number = placed.prepared.number
        held, mask = masks.get(number, (Region(0, 0, 0, 0), None))
        if mask is None or held.intersect(box) != box:
            return reduction.crmask(number, box)
        return np.ascontiguousarray(mask[box.slices((held.y0, held.x0))])

    return reduction.product(region, unit_factor, threads=threads, read_crmask=read)


def _masks(
    reduction: Reduction, boxes: list[tuple[int, Region]], pieces: Pieces, threads: int | None
) -> dict[int, tuple[Region, np.ndarray]]:
    """Box and mask of each of some chips."""
    key = reduction.keys["crmask"]
    found: dict[int, tuple[Region, np.ndarray]] = {}
    todo = []
    for number, box in boxes:
        mask = pieces.get(key, number, box)
        mask = mask if mask is not None else reduction.crmask_if_made(number, box)
        if mask is None:
            todo.append((number, box.grow(_GROWN).clip(reduction.on_final[number].prepared.chip.shape)))
        else:
            found[number] = box, mask
    if not todo:
        return found
    p = reduction.parameters
    separate = reduction.on_separate
    read_median = reduction.median_reader(
        [cosmicray.median_under(separate[number], box, p) for number, box in todo]
    )

    # Other thresholds leave the blotted median as it is.
    blot_key = f"{reduction.keys['median']} {p.blot.blot_interp} {p.blot.blot_sinscl!r}"

    def read_blot(placed: Placed, box: Region) -> np.ndarray:
        number = placed.prepared.number
        kept = pieces.get(blot_key, number, box)
        if kept is None:
            kept = cosmicray.blotted_median(placed, box, read_median, p)
            pieces.put(blot_key, number, box, kept)
        return kept.copy()

    def make(task: tuple[int, Region]) -> tuple[int, tuple[Region, np.ndarray]]:
        number, box = task
        reduction.cancel.check()
        mask = cosmicray.crmask_box(separate[number], box, read_median, p, read_blot)
        pieces.put(key, number, box, mask)
        return number, (box, mask)

    # The largest first, so that no thread is left with it at the end.
    todo.sort(key=lambda task: -task[1].shape[0] * task[1].shape[1])
    found.update(map_unordered(make, todo, reduction.cancel, threads or reduction.threads))
    return found


def masked_box(reduction: Reduction, number: int, box: Region) -> Masked:
    """Return a box of chip `number` of the stack with blotted median and mask.

    The bits are those of `Reduction.blot` and `Reduction.crmask`.

    Raises
    ------
    DataError
        The box lies outside the chip, or the cosmic-ray step is off.
    """
    reduction.prepare()
    placed = reduction.on_separate[number]
    chip = placed.prepared.chip
    asked, box = box, Region(*box).clip(chip.shape)
    root = reduction.exposures[placed.prepared.exposure].rootname
    if box.empty:
        msg = f"The box {tuple(asked)} (y0, y1, x0, x1) lies outside {root}, chip of {chip.shape} (y, x) px."
        raise DataError(msg)
    p = reduction.parameters
    if not p.cosmicray.driz_cr:
        msg = "The cosmic-ray step is off: set driz_cr=True to see its masks."
        raise DataError(msg)
    read_median = reduction.median_reader([cosmicray.median_under(placed, box, p)])
    reduction.cancel.check()
    both = cosmicray.compared(placed, box, read_median, p)
    at = box.slices((both.box.y0, both.box.x0))
    mask = cosmicray.grown_mask(both, cosmicray.judged(both, p), p)[at]
    # A sky that the user had removed counts in the test, and in neither image.
    if placed.prepared.sky_removed:
        sci, blot = chip.read_sci(box), reduction.blot(number, box)
    else:
        sci, blot = (np.ascontiguousarray(a[at]) for a in (both.sci, both.blot))
    return Masked(root, chip, box, sci, blot, np.ascontiguousarray(mask))


def cores(reduction: Reduction) -> dict[str, StarCores]:
    """Star-core meter of every exposure, over its whole chips.

    Returns
    -------
    dict
        Root name to `StarCores`; 'all' for all exposures together.
    """
    chips = reduction.chips
    whole = [Region(0, c.chip.shape[0], 0, c.chip.shape[1]) for c in chips]
    if reduction.parameters.cosmicray.driz_cr:
        reduction.make_median()

    def count(number: int) -> tuple[int, CoreCounts]:
        reduction.cancel.check()
        return number, count_cores(masked_box(reduction, number, whole[number]), seed=number + 1)

    counts: dict[int, CoreCounts] = {}
    for number, found in map_unordered(count, range(len(chips)), reduction.cancel, reduction.threads):
        counts[number] = found
        reduction.progress("star cores", len(counts), len(chips))
    owners = [reduction.exposures[c.exposure].rootname for c in chips]
    meters = {
        root: star_cores([counts[n] for n, owner in enumerate(owners) if owner == root])
        for root in dict.fromkeys(owners)
    }
    return {**meters, "all": star_cores([counts[n] for n in range(len(chips))])}


def why(reduction: Reduction, x: int, y: int, unit: str, unit_factor: float) -> Contributions:
    """Every input pixel that reaches one pixel of the product; see `drizzlewb.steps.contributions`.

    Raises
    ------
    DataError
        The pixel lies outside the output grid.
    """
    reduction.prepare()
    ny, nx = reduction.final_grid.shape
    if not (0 <= x < nx and 0 <= y < ny):
        msg = (
            f"Pixel x={x}, y={y} lies outside the output grid: x runs from 0 to {nx - 1}, y from 0 to "
            f"{ny - 1} (zero-based)."
        )
        raise DataError(msg)
    p = reduction.parameters
    read_median = None
    if p.cosmicray.driz_cr:
        under = boxes_under(reduction.on_final, Region(y, y + 1, x, x + 1), p)
        needed = [
            cosmicray.median_under(
                reduction.on_separate[c.prepared.number], box.grow(SIDE).clip(c.prepared.chip.shape), p
            )
            for c, box in under
        ]
        read_median = reduction.median_reader(needed)
    return contributions(
        reduction.on_final,
        reduction.on_separate,
        [e.rootname for e in reduction.exposures],
        x,
        y,
        p,
        read_median,
        unit=unit,
        unit_factor=unit_factor,
    )
