"""Intermediate images of a run, written tile by tile on request."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from drizzlewb.grid import Region
from drizzlewb.products.drc import refuse_existing
from drizzlewb.products.intermediates import (
    CleanedCopy,
    ImageFile,
    chip_header,
    file_names,
    grid_header,
    wanted_kinds,
)
from drizzlewb.reduction.schedule import map_unordered
from drizzlewb.reduction.tiling import tiles_of
from drizzlewb.steps.prepared import PreparedChip

__all__ = ["Kept"]

SIDE = 1024  # px; an intermediate image is a function of its pixels alone, so that any side gives the same


class Kept:
    """The intermediate images that the parameters ask for.

    They are planned, and refused, before any work; made between the masks and the final drizzle; and
    take their names together with the product.

    Parameters
    ----------
    reduction : Reduction
        What makes them.
    folder : Path
        That of the product.
    stem : str
        Root name of the product.
    unit : str
        BUNIT of the single and median images, per second.
    unit_factor : float
        That unit per electron/s.
    unit_ratio : float
        That unit per native unit of the inputs.
    replace : bool
        May existing files be replaced?

    Raises
    ------
    DataError
        A file exists already; two would have the same name.
    ParameterError
        ``keep`` names an image whose step is switched off.
    """

    def __init__(
        self,
        reduction: Any,
        folder: Path,
        stem: str,
        unit: str,
        unit_factor: float,
        unit_ratio: float,
        *,
        replace: bool,
    ) -> None:
        self.reduction = reduction
        self.unit_factor = unit_factor
        self.images: dict[tuple, ImageFile] = {}
        self.copies: dict[int, CleanedCopy] = {}
        kinds = wanted_kinds(reduction.parameters)
        names = file_names(reduction.exposures, stem, kinds)
        refuse_existing(folder, names.values(), replace=replace)
        exposures, grid = reduction.exposures, reduction.separate_grid
        chips = [(e, c) for e in exposures for c in e.chips]
        for (kind, key), name in names.items():
            path = Path(folder) / name
            if kind in ("single_sci", "single_wht"):
                header = grid_header([exposures[key]], grid, unit if kind == "single_sci" else "", unit_ratio)
                self.images[kind, key] = ImageFile(path, header, grid.shape, ">f4")
            elif kind == "med":
                header = grid_header(exposures, grid, unit, unit_ratio)
                self.images[kind, key] = ImageFile(path, header, grid.shape, ">f4")
            elif kind in ("blt", "crmask"):
                exposure, chip = chips[key]
                bunit = {"blt": chip.unit.upper(), "crmask": ""}[kind]
                dtype = {"blt": ">f4", "crmask": "u1"}[kind]
                self.images[kind, key] = ImageFile(
                    path, chip_header(exposure, chip, bunit), chip.shape, dtype
                )
            elif kind == "staticMask":
                exposure, chip = next((e, c) for e, c in chips if (c.detector, c.chip, c.shape) == key)
                self.images[kind, key] = ImageFile(path, chip_header(exposure, chip), chip.shape, ">i2")
            else:
                self.copies[key] = CleanedCopy(path, exposures[key])

    @property
    def _files(self) -> list[ImageFile | CleanedCopy]:
        return [*self.images.values(), *self.copies.values()]

    @property
    def nbytes(self) -> int:
        """Bytes that they will take."""
        return sum(file.nbytes for file in self._files)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Their names."""
        return tuple(file.path for file in self._files)

    def make(self) -> None:
        """Write all pixels; the masks must have been made if they are asked for."""
        if not self._files:
            return
        reduction = self.reduction
        with reduction.timed("intermediate images"):
            for file in self._files:
                file.create()
            tasks = list(self._tasks())
            made = map_unordered(self._run, tasks, reduction.cancel, reduction.threads)
            for done, _ in enumerate(made, 1):
                reduction.progress("intermediate images", done, len(tasks))

    def finish(self) -> None:
        """Give all files their names."""
        for file in self._files:
            file.finish()

    def abort(self) -> None:
        """Remove what is unfinished."""
        for file in self._files:
            file.abort()

    def _run(self, task: Callable[[], None]) -> None:
        self.reduction.cancel.check()
        task()

    def _tasks(self) -> Iterator[Callable[[], None]]:
        kinds = {kind for kind, _ in self.images}
        reduction = self.reduction
        if kinds & {"med", "blt"} or self.copies:
            reduction.make_median()
        for region in tiles_of(reduction.separate_grid.shape, SIDE):
            if "med" in kinds:
                yield partial(self._median, region)
            if kinds & {"single_sci", "single_wht"}:
                for index in range(len(reduction.exposures)):
                    yield partial(self._single, index, region)
        for prepared in reduction.chips:
            if kinds & {"blt", "crmask"} or self.copies:
                for box in tiles_of(prepared.chip.shape, SIDE):
                    yield partial(self._chip, prepared, box)
        masks = {(p.chip.detector, p.chip.chip, p.chip.shape): p.static for p in reduction.chips}
        for (kind, key), file in self.images.items():
            if kind == "staticMask":
                yield partial(file.write, Region(0, key[2][0], 0, key[2][1]), masks[key])

    def _median(self, region: Region) -> None:
        self.images["med", 0].write(region, self.reduction.median(region) * np.float32(self.unit_factor))

    def _single(self, index: int, region: Region) -> None:
        sci, wht = self.reduction.single(index, region)
        fill = self.reduction.parameters.separate.driz_sep_fillval or 0.0
        for kind, values in (("single_sci", sci), ("single_wht", wht)):
            if (kind, index) in self.images:
                if kind == "single_sci" and self.unit_factor != 1.0:
                    values = np.where(wht != 0, values * np.float32(self.unit_factor), np.float32(fill))
                self.images[kind, index].write(region, values)

    def _chip(self, prepared: PreparedChip, box: Region) -> None:
        number, chip = prepared.number, prepared.chip
        if ("crmask", number) in self.images:
            self.images["crmask", number].write(box, self.reduction.crmask(number, box))
        copy = self.copies.get(prepared.exposure)
        if ("blt", number) not in self.images and copy is None:
            return
        blotted = self.reduction.blot(number, box)
        if ("blt", number) in self.images:
            self.images["blt", number].write(box, blotted / np.float32(chip.to_electrons))
        if copy is not None:
            crbit = self.reduction.parameters.general.crbit
            # As in DrizzlePac: whatever DQ flags is replaced too, but for what crbit alone has flagged.
            good = self.reduction.crmask(number, box) & chip.good(box, crbit, prepared.resetbits)
            good &= np.isfinite(chip.read_sci(box))
            copy.write(chip, box, good, blotted, crbit)
