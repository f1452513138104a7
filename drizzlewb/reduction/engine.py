"""The reduction: a pre-pass and three tiled arrays, each tile made when it is asked for."""

import copy
import logging
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from drizzlewb.distortion import footprint
from drizzlewb.errors import DataError
from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid, Region
from drizzlewb.parameters import ReduceParameters
from drizzlewb.products.inputs_update import refuse_changed
from drizzlewb.reduction import ahead, tiling
from drizzlewb.reduction.inputs import as_asked
from drizzlewb.reduction.plan import array_keys, check_plan, final_grid, separate_grid
from drizzlewb.reduction.prepass import PrePass, run_prepass
from drizzlewb.reduction.schedule import Cancel, Progress, map_unordered, no_progress, thread_count
from drizzlewb.reduction.storage import ChipStack, TiledArray
from drizzlewb.steps import cosmicray as cosmicray_step
from drizzlewb.steps.final import Tile, boxes_under, product_region
from drizzlewb.steps.median import mask_weight, median_region, single_region
from drizzlewb.steps.prepared import Placed, PreparedChip, place

__all__ = ["Reduction"]

log = logging.getLogger(__name__)

LEAST_ROWS = 64  # of a region that are worth a thread of their own


class Reduction:
    """One stack of exposures with one set of parameters, made region by region.

    Asking for a region of the product asks for the cosmic-ray masks of the chip boxes beneath it, and
    they for the median beneath them; what is already there is not made again. A full run asks for
    everything, a preview for one region: the pixels are the same.

    Parameters
    ----------
    exposures : sequence of Exposure
        In stack order: it is the order in which every output pixel receives its contributions.
    parameters : ReduceParameters
        All parameters.
    folder : Path, optional
        Where scratch files live. Given, they stay and are found again by their keys; by default a
        temporary folder is made and removed with this object.
    beside : Path, optional
        Folder in which that temporary folder is made; default, the system's place for such.
    threads : int, optional
        Worker threads; default, the cores available. It never changes a pixel.
    progress : Progress, optional
        Told about each finished tile.
    cancel : Cancel, optional
        Polled between tiles and between chips.
    grid : OutputGrid, optional
        Final grid, instead of the one that ``final_*`` say: that of another product, or of a record.
    prepass : PrePass, optional
        Of an earlier reduction whose ``keys["prepass"]`` and ``final_wht_type`` are the same.

    Raises
    ------
    DataError, ParameterError
        See `drizzlewb.reduction.plan.check_plan`.
    """

    def __init__(
        self,
        exposures: Sequence[Exposure],
        parameters: ReduceParameters,
        *,
        folder: Path | None = None,
        beside: Path | None = None,
        threads: int | None = None,
        progress: Progress = no_progress,
        cancel: Cancel | None = None,
        grid: OutputGrid | None = None,
        prepass: PrePass | None = None,
    ) -> None:
        exposures = as_asked(exposures, parameters)
        check_plan(exposures, parameters)
        self.exposures = tuple(exposures)
        self.parameters = parameters
        self.threads = thread_count(threads if threads is not None else parameters.extra.threads)
        self.progress = progress
        self.cancel = cancel or Cancel()
        self.separate_grid = separate_grid(exposures, parameters)
        self.final_grid = grid if grid is not None else final_grid(exposures, parameters)
        self.keys = array_keys(exposures, parameters, self.separate_grid, self.final_grid)
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._folder = Path(folder) if folder else None
        self._beside = beside
        self._lock = threading.Lock()
        self._prepass: PrePass | None = None
        self._given_prepass = prepass
        self._median: TiledArray | None = None
        self._crmask: ChipStack | None = None
        self._fractions: dict[str, float] | None = None
        self._on_separate: list[list[Placed]] = []
        self._on_final: list[Placed] = []
        self._mask_weights = np.zeros(0)

    def again(
        self, exposures: Sequence[Exposure], parameters: ReduceParameters, grid: OutputGrid
    ) -> "Reduction | None":
        """Reduction of the same stack that shares what other ``final_*``, ``driz_cr_*`` and ``blot_*``
        parameters leave as it is.

        Parameters
        ----------
        exposures : sequence of Exposure
            The very objects that this one was made from.
        parameters : ReduceParameters
        grid : OutputGrid
            Final grid.

        Returns
        -------
        Reduction or None
            None if anything else differs, or the weights need files that were not read.

        Raises
        ------
        DataError
            A file was changed since it was read.
        """
        if self._prepass is None or self.exposures != tuple(exposures):
            return None
        refuse_changed(self.exposures)
        mine, theirs = self.parameters, parameters
        if mine.final.final_wht_type != theirs.final.final_wht_type:
            return None
        alike = {name: getattr(mine, name) for name in ("final", "final_grid", "cosmicray", "blot")}
        if theirs.model_copy(update=alike) != mine:
            return None
        if self._median is None and (theirs.cosmicray.driz_cr or theirs.median.median):
            return None  # this one has no median to share
        keys = array_keys(self.exposures, parameters, self.separate_grid, grid)
        if any(keys[name] != self.keys[name] for name in ("prepass", "median")):
            return None  # a file that parameters name was edited
        other = copy.copy(self)
        other.parameters, other.final_grid, other.keys = parameters, grid, keys
        other.seconds, other.cpu_seconds = {}, {}
        other._lock = threading.Lock()
        if keys["crmask"] != self.keys["crmask"]:
            other._crmask, other._fractions = None, None
        if grid != self.final_grid:
            other._on_final = place([placed.prepared for placed in self._on_final], grid)
        return other

    # ---------------------------------------------------------------- pre-pass
    def prepare(self) -> PrePass:
        """Whole-image numbers, measured at the first call."""
        with self._lock:
            if self._prepass is not None:
                return self._prepass
            p = self.parameters
            if self.threads > 1 and p.cosmicray.driz_cr and p.final.final_kernel == "square":
                ahead.compile_ahead()
            with self.timed("static mask and sky"):
                prepass = self._given_prepass or run_prepass(
                    self.exposures,
                    self.parameters,
                    cancel=self.cancel,
                    progress=self.progress,
                    threads=self.threads,
                )
                self._on_separate = [place(chips, self.separate_grid) for chips in prepass.chips]
                self._on_final = place([c for chips in prepass.chips for c in chips], self.final_grid)
                self._mask_weights = np.array(
                    [
                        mask_weight(chips, self.parameters, self._footprint_px(index))
                        for index, chips in enumerate(self._on_separate)
                    ]
                )
                if self.parameters.cosmicray.driz_cr or self.parameters.median.median:
                    self._open_median()
            self._prepass = prepass
            return prepass

    def _footprint_px(self, index: int) -> float:
        """Area of an exposure on the separate grid, px²: the polygons of its chips' borders."""
        area = 0.0
        for placed in self._on_separate[index]:
            border = footprint(placed.prepared.chip.wcs, placed.prepared.chip.shape, 16)
            x, y = self.separate_grid.sky_to_pixel(border[:, 0], border[:, 1])
            area += 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
        return area

    def _open_median(self) -> None:
        shape = self.separate_grid.shape
        overlap = tiling.max_overlap(self._on_separate, shape)
        side = tiling.median_side(overlap, self.parameters.extra.memory_budget_mb, self.threads)
        self._median = TiledArray(self.folder / f"median-{self.keys['median']}.bin", shape, np.float32, side)

    @property
    def _crmask_path(self) -> Path:
        return self.folder / f"crmask-{self.keys['crmask']}.bin"

    def _open_crmask(self) -> ChipStack:
        """Open the masks when they are first needed: previews under other thresholds leave no file."""
        self._require(self._median)
        with self._lock:
            if self._crmask is None:
                shapes = [placed.prepared.chip.shape for placed in self._on_final]
                self._crmask = ChipStack(self._crmask_path, shapes, np.uint8, tiling.CRMASK_SIDE)
            return self._crmask

    @property
    def folder(self) -> Path:
        """Folder of the scratch files, made when first needed."""
        if self._folder is None:
            own = tempfile.TemporaryDirectory(
                prefix=".drizzlewb-", dir=self._beside, ignore_cleanup_errors=True
            )
            weakref.finalize(self, own.cleanup)
            self._folder = Path(own.name)
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the wall and processor seconds of a block to a step's account."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - wall
            self.cpu_seconds[step] = self.cpu_seconds.get(step, 0.0) + time.process_time() - cpu

    # ---------------------------------------------------------------- the three arrays
    def median(self, region: Region | None = None) -> np.ndarray:
        """Median image of a region of the separate grid: float32, electrons/s per pixel."""
        self.prepare()
        region = region or Region(0, self.separate_grid.shape[0], 0, self.separate_grid.shape[1])
        self._make_medians([region])
        return self._require(self._median).read(region)

    def crmask(self, number: int, box: Region | None = None) -> np.ndarray:
        """Cosmic-ray mask of a box of chip ``number`` of the stack: uint8, 1 = good, 0 = cosmic ray."""
        self.prepare()
        placed = self._on_final[number]
        box = box or Region(0, placed.prepared.chip.shape[0], 0, placed.prepared.chip.shape[1])
        self._make_crmasks([(number, box)])
        return self._open_crmask().read(number, box)

    def product(
        self,
        region: Region,
        unit_factor: float = 1.0,
        *,
        threads: int | None = None,
        only: Collection[int] | None = None,
        read_crmask: Callable[[Placed, Region], np.ndarray] | None = None,
    ) -> Tile:
        """Product of one region of the final grid, with all that it needs beneath it.

        Parameters
        ----------
        region : Region
            Pixels of the final grid; it is clipped to the grid.
        unit_factor : float
            Product units per electron/s.
        threads : int, optional
            Threads among which the rows of the region are shared; default, those of the reduction. It
            never changes a pixel.
        only : collection of int, optional
            Drizzle these exposures of the stack alone, numbered from 0, with the sky and the cosmic-ray
            masks of the whole stack.
        read_crmask : callable, optional
            Gives the masks (uint8, 1 = good) of the boxes beneath the region, which are not made then.
        """
        self.prepare()
        region = region.clip(self.final_grid.shape)
        if region.empty:
            msg = (
                "The region asked for lies outside the output grid, whose shape (y, x) is "
                f"{self.final_grid.shape}. Choose a centre inside it."
            )
            raise DataError(msg)
        chips = [c for c in self._on_final if only is None or c.prepared.exposure in only]
        if self.parameters.cosmicray.driz_cr and read_crmask is None:
            under = boxes_under(chips, region, self.parameters)
            self._make_crmasks([(placed.prepared.number, box) for placed, box in under])
        count = max(1, min(threads or self.threads, region.shape[0] // LEAST_ROWS))
        if count == 1:
            return self._product_tile(region, unit_factor, chips, read_crmask)
        edges = np.linspace(region.y0, region.y1, count + 1).astype(int).tolist()
        bands = [Region(a, b, region.x0, region.x1) for a, b in zip(edges[:-1], edges[1:], strict=True)]
        made = map_unordered(
            lambda band: self._product_tile(band, unit_factor, chips, read_crmask), bands, self.cancel, count
        )
        tiles = sorted(made, key=lambda tile: tile.region)
        return Tile(
            region,
            np.concatenate([t.sci for t in tiles]),
            np.concatenate([t.wht for t in tiles]),
            np.concatenate([t.ctx for t in tiles], axis=1),
        )

    # ---------------------------------------------------------------- looked at, not stored
    @property
    def on_final(self) -> list[Placed]:
        """All chips of the stack on the final grid."""
        self.prepare()
        return self._on_final

    @property
    def on_separate(self) -> list[Placed]:
        """All chips of the stack on the separate grid."""
        self.prepare()
        return [placed for chips in self._on_separate for placed in chips]

    def median_reader(self, regions: Sequence[Region]) -> Callable[[Region], np.ndarray]:
        """Make the median of these regions of the separate grid, and hand back what reads it."""
        self.prepare()
        self._make_medians(regions)
        return self._require(self._median).read

    def crmask_if_made(self, number: int, box: Region) -> np.ndarray | None:
        """As `crmask` if a run has made it already, else None: no mask is made."""
        self.prepare()
        if self._crmask is None and not self._crmask_path.exists():
            return None
        masks = self._open_crmask()
        return None if masks.missing(number, box) else masks.read(number, box)

    @property
    def chips(self) -> list[PreparedChip]:
        """All chips of the stack with their whole-image numbers."""
        return [prepared for chips in self.prepare().chips for prepared in chips]

    def single(self, index: int, region: Region) -> tuple[np.ndarray, np.ndarray]:
        """One exposure by itself on a region of the separate grid: electrons/s per pixel, weight (s)."""
        self.prepare()
        sci, wht = np.empty(region.shape, np.float32), np.empty(region.shape, np.float32)
        fill = self.parameters.separate.driz_sep_fillval or 0.0
        single_region(self._on_separate[index], region, self.parameters, sci, wht, fill)
        return sci, wht

    def make_median(self) -> None:
        """Make the whole median."""
        self.prepare()
        self._make_medians([Region(0, self.separate_grid.shape[0], 0, self.separate_grid.shape[1])])

    def blot(self, number: int, box: Region) -> np.ndarray:
        """The median as chip ``number`` of the stack would have seen it, electrons, with the sky added."""
        self.prepare()
        placed = self.on_separate[number]
        under = cosmicray_step.median_under(placed, box, self.parameters)
        median = self.median(under)
        blotted = cosmicray_step.blot_box(placed, box, median, (under.y0, under.x0), self.parameters)
        blotted += np.float32(cosmicray_step.sky_added(placed.prepared, self.parameters))
        return blotted

    def cr_fractions(self) -> dict[str, float]:
        """Fraction of the pixels of each exposure that are flagged as cosmic rays; empty without driz_cr."""
        if not self.parameters.cosmicray.driz_cr:
            return {}
        if self._fractions is not None:
            return dict(self._fractions)
        flagged = np.zeros(len(self.exposures))
        pixels = np.zeros(len(self.exposures))
        for placed in self._on_final:
            mask = self.crmask(placed.prepared.number)
            flagged[placed.prepared.exposure] += mask.size - np.count_nonzero(mask)
            pixels[placed.prepared.exposure] += mask.size
        counted = zip(self.exposures, flagged, pixels, strict=True)
        self._fractions = {e.rootname: float(f / n) for e, f, n in counted}
        return dict(self._fractions)

    def make_masks(self) -> None:
        """Make the median and all cosmic-ray masks, as a full run needs them."""
        self.prepare()
        if not self.parameters.cosmicray.driz_cr:
            return
        self._make_medians([Region(0, self.separate_grid.shape[0], 0, self.separate_grid.shape[1])])
        self._make_crmasks(
            [
                (c.prepared.number, Region(0, c.prepared.chip.shape[0], 0, c.prepared.chip.shape[1]))
                for c in self._on_final
            ]
        )

    def product_tiles(self, unit_factor: float = 1.0) -> Iterable[Tile]:
        """All tiles of the product, in order of completion; masks must have been made."""
        planes = 1 + (len(self._on_final) - 1) // 32
        ny, nx = self.final_grid.shape
        budget = self.parameters.extra.memory_budget_mb
        tiles = list(tiling.tiles_of((ny, nx), tiling.product_side(nx, planes, budget, self.threads)))
        made = map_unordered(
            lambda region: self._product_tile(region, unit_factor), tiles, self.cancel, self.threads
        )
        with self.timed("final drizzle"):
            for done, tile in enumerate(made, 1):
                yield tile
                self.progress("final drizzle", done, len(tiles))

    # ---------------------------------------------------------------- how tiles are made
    def _product_tile(
        self,
        region: Region,
        unit_factor: float,
        chips: list[Placed] | None = None,
        read_crmask: Callable[[Placed, Region], np.ndarray] | None = None,
    ) -> Tile:
        self.cancel.check()
        ahead.wait(self.cancel.check)
        read = (read_crmask or self._read_crmask) if self.parameters.cosmicray.driz_cr else None
        chips = self._on_final if chips is None else chips
        return product_region(chips, region, self.parameters, read, unit_factor, self.cancel.check)

    def _make_medians(self, regions: Sequence[Region]) -> None:
        array = self._require(self._median)
        todo = list(dict.fromkeys(tile for region in regions for tile in array.missing(region)))
        if not todo:
            return

        def make(tile: Region) -> None:
            self.cancel.check()
            median = median_region(
                self._on_separate, self._mask_weights, tile, self.parameters, self.cancel.check
            )
            array.write(tile, median)

        with self.timed("separate and median"):
            for done, _ in enumerate(map_unordered(make, todo, self.cancel, self.threads), 1):
                self.progress("separate and median", done, len(todo))
        array.remember()

    def _make_crmasks(self, boxes: Sequence[tuple[int, Region]]) -> None:
        masks = self._open_crmask()
        pieces = ((number, piece) for number, box in boxes for piece in masks.missing(number, box))
        todo = list(dict.fromkeys(pieces))
        if not todo:
            return
        separate = self.on_separate
        read_median = self.median_reader(
            [cosmicray_step.median_under(separate[number], box, self.parameters) for number, box in todo]
        )

        def make(task: tuple[int, Region]) -> None:
            number, box = task
            self.cancel.check()
            mask = cosmicray_step.crmask_box(separate[number], box, read_median, self.parameters)
            masks.write(number, box, mask)

        with self.timed("blot and cosmic rays"):
            for done, _ in enumerate(map_unordered(make, todo, self.cancel, self.threads), 1):
                self.progress("cosmic rays", done, len(todo))
        masks.remember()

    def _read_crmask(self, placed: Placed, box: Region) -> np.ndarray:
        return self._open_crmask().read(placed.prepared.number, box)

    @staticmethod
    def _require(array: TiledArray | None) -> TiledArray:
        if array is None:
            msg = "This reduction makes no median and no cosmic-ray mask: median and driz_cr are off."
            raise DataError(msg)
        return array
