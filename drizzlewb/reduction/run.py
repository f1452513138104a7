"""The two verbs of the engine: `reduce` makes a product, `preview` one region of it."""

import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid, Region
from drizzlewb.memory import give_back
from drizzlewb.parameters import ReduceParameters
from drizzlewb.parameters.presets import reduce_parameters
from drizzlewb.products import blend, inputs_update
from drizzlewb.products.drc import (
    Part,
    Product,
    ProductWriter,
    check_room,
    hdu_bytes,
    product_names,
    record_table,
    refuse_existing,
    write_record,
)
from drizzlewb.products.intermediates import MaskProduct
from drizzlewb.reduction.engine import Reduction
from drizzlewb.reduction.keeping import Kept
from drizzlewb.reduction.record import make_record
from drizzlewb.reduction.schedule import Cancel, Progress, no_progress
from drizzlewb.steps.final import Tile
from drizzlewb.steps.prepared import PreparedChip

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

__all__ = ["Cutout", "planned_bytes", "preview", "reduce", "update_inputs"]

log = logging.getLogger(__name__)


def reduce(
    exposures: Sequence[Exposure],
    parameters: ReduceParameters | None = None,
    *,
    output: str | os.PathLike | None = None,
    replace: bool = False,
    threads: int | None = None,
    scratch: Path | None = None,
    progress: Progress = no_progress,
    cancel: Cancel | None = None,
    reduction: Reduction | None = None,
    decisions: dict[str, Any] | None = None,
    **keywords: Any,
) -> Product:
    """Clean and combine exposures into one product on disk.

    Parameters
    ----------
    exposures : sequence of Exposure
        In stack order; from `drizzlewb.read_exposures` or ``solution.exposures``.
    parameters : ReduceParameters, optional
        All parameters; default, the preset ``drizzlewb`` for these exposures.
    output : str or path
        Root name of the product, with its folder; DrizzlePac's suffixes are added.
    replace : bool
        May an existing product of this name be replaced?
    threads : int, optional
        Worker threads; never changes a pixel.
    scratch : Path, optional
        Folder for scratch files that stay; default, a temporary one beside the product.
    progress, cancel
        See `drizzlewb.reduction.schedule`.
    reduction : Reduction, optional
        Made beforehand of these exposures and parameters; it brings its own threads, scratch folder,
        progress and cancel.
    decisions : dict, optional
        What was decided by hand, for the record; plain JSON values.
    **keywords
        Parameters under DrizzlePac's own names; they override ``parameters``.

    Returns
    -------
    Product
        Pixels are read from disk when asked for. With ``driz_combine=False`` a `MaskProduct`: its
        ``crmask`` and ``record`` are there, its ``paths`` are the record and what ``keep`` asked for.

    Raises
    ------
    DataError
        Unusable input, an existing product, an unwritable folder, or too little room on the disk.
    ParameterError
        An unknown name or an impossible value.
    Cancelled
        The user asked to stop; nothing is left behind.
    """
    parameters = reduce_parameters(exposures, parameters, **keywords)
    root = os.fspath(output) if output is not None else parameters.general.output
    if not root:
        msg = "No name for the product: say output='F606W' (--output on the command line)."
        raise ParameterError(msg)
    folder, stem = Path(root).expanduser().parent, Path(root).name
    started = time.perf_counter()
    suffix = exposures[0].product_suffix if exposures else "drz"
    names = product_names(stem, suffix, parameters.general.build)
    check_room(folder, 0)
    combine = parameters.final.driz_combine
    refuse_existing(folder, names.values() if combine else [names["record"]], replace=replace)
    reduction = reduction or Reduction(
        exposures,
        parameters,
        folder=scratch,
        beside=folder,
        threads=threads,
        progress=progress,
        cancel=cancel,
    )
    if parameters.extra.update_inputs:
        inputs_update.check_inputs(reduction.exposures, parameters)
    kept = Kept(
        reduction,
        folder,
        names["record"].removesuffix("_record.json"),
        *product_unit(reduction.exposures, parameters.replace(final_units="cps")),
        replace=replace,
    )
    check_room(folder, product_bytes(reduction) + kept.nbytes)
    with reduction.timed("checksums"):
        record = make_record(reduction, root, decisions)
    unit, unit_factor, unit_ratio = product_unit(reduction.exposures, parameters)
    layout = _layout(reduction, names, unit, unit_ratio, record) if combine else {}
    writer = ProductWriter(folder, layout, replace=replace)
    try:
        prepass = reduction.prepare()
        reduction.make_masks()
        kept.make()
        weights = _WeightStatistics(reduction.final_grid.shape)
        for tile in reduction.product_tiles(unit_factor) if combine else ():
            writer.write(tile)
            weights.add(tile)
        results = {
            "shape": list(reduction.final_grid.shape),
            "unit": unit,
            "bytes": sum(file.stat().st_size for file in writer.part_paths) + kept.nbytes,
            "intermediates": [path.name for path in kept.paths],
            "sky": [
                {
                    "chip": _chip_name(reduction, c),
                    "subtracted_e": c.sky_subtracted,
                    "present_e": c.sky_present,
                }
                for chips in prepass.chips
                for c in chips
            ],
            "crfraction": reduction.cr_fractions(),
            "weight": weights.summary() if combine else {},
            "seconds": {**reduction.seconds, "total": time.perf_counter() - started},
            "cpu_seconds": reduction.cpu_seconds,
            "peak_memory_mb": peak_memory_mb(),
        }
        (folder / names["record"]).unlink(missing_ok=True)  # the record marks completion: never an old one
        kept.finish()
        writer.finish()
    except BaseException:
        writer.abort()
        kept.abort()
        raise
    if parameters.extra.update_inputs:
        results["updated_inputs"] = update_inputs(reduction)
    record = {**record, "results": results}
    write_record(folder / names["record"], record)
    give_back()
    paths = (*writer.paths, *kept.paths, folder / names["record"])
    if not combine:
        return MaskProduct(folder / names["record"], paths, record, reduction)
    return Product(folder / names["sci"], paths, record, reduction)


def update_inputs(reduction: Reduction) -> list[str]:
    """Write cosmic-ray flags and MDRIZSKY of a reduction into its inputs (``update_inputs``).

    Parameters
    ----------
    reduction : Reduction
        Its ``driz_cr``, ``crbit`` and ``resetbits`` count.

    Returns
    -------
    list of str
        Names of the files that were changed; exposures must be read again then.
    """
    sky = reduction.prepare().sky
    p = reduction.parameters
    skies: list[float | None] = [None] * len(reduction.chips)
    if sky is not None and sky.method != "none":
        skies = [float(value) for value in sky.table()["MDRIZSKY"]]
    done = inputs_update.update_inputs(
        reduction.exposures,
        skies,
        reduction.crmask if p.cosmicray.driz_cr else None,
        p.general.crbit,
        p.general.resetbits,
    )
    return [Path(path).name for path in done]


def product_bytes(reduction: Reduction) -> int:
    """Bytes of the product's images and of the scratch files beneath them, before any work."""
    return sum(
        planned_bytes(
            reduction.exposures, reduction.parameters, reduction.final_grid, reduction.separate_grid
        )
    )


def planned_bytes(
    exposures: Sequence[Exposure], parameters: ReduceParameters, final: OutputGrid, separate: OutputGrid
) -> tuple[int, int]:
    """Bytes of the images of a product, and of the scratch files beneath them, before any work."""
    ny, nx = final.shape
    chips = sum(len(e.chips) for e in exposures)
    planes = 1 + (chips - 1) // 32 if parameters.general.context else 0
    scratch = 0
    if parameters.cosmicray.driz_cr:
        scratch = 4 * int(np.prod(separate.shape))
        scratch += sum(c.shape[0] * c.shape[1] for e in exposures for c in e.chips)
    images = 4 * ny * nx * (2 + planes) if parameters.final.driz_combine else 0
    return images, scratch


def peak_memory_mb() -> float | None:
    """Peak resident memory of this process so far, MB; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1024


def product_unit(exposures: Sequence[Exposure], parameters: ReduceParameters) -> tuple[str, float, float]:
    """BUNIT of the product, product units per electron/s, and product units per native unit.

    The gain is that of the first chip, whose PHOTFLAM goes into the product's header.
    """
    chip = exposures[0].chips[0]
    counts = chip.unit.startswith("counts") and parameters.general.proc_unit == "native"
    name = "COUNTS" if counts else "ELECTRONS"
    per_electron = 1.0 / chip.gain if counts else 1.0
    ratio = chip.gain if chip.unit.startswith("counts") and not counts else 1.0
    if parameters.final.final_units == "counts":
        return name, per_electron * sum(e.exptime for e in exposures), ratio
    return f"{name}/S", per_electron, ratio


def _chip_name(reduction: Reduction, prepared: PreparedChip) -> str:
    return f"{reduction.exposures[prepared.exposure].rootname}[sci,{prepared.chip.extver}]"


def _layout(
    reduction: Reduction, names: dict[str, str], unit: str, unit_ratio: float, record: dict
) -> dict[str, tuple[bytes, list[Part], bytes]]:
    parameters, grid, exposures = reduction.parameters, reduction.final_grid, reduction.exposures
    planes = 1 + (sum(len(e.chips) for e in exposures) - 1) // 32
    ctx_shape = grid.shape if planes == 1 else (planes, *grid.shape)
    said = names if parameters.general.context else {**names, "ctx": ""}
    primary = blend.primary_header(exposures, parameters, grid, names["sci"], said)
    parts = {
        "sci": Part("sci", blend.science_header(exposures, grid, unit, unit_ratio), grid.shape, ">f4"),
        "wht": Part("wht", blend.weight_header(grid, parameters.final.final_wht_type), grid.shape, ">f4"),
    }
    if parameters.general.context:
        parts["ctx"] = Part("ctx", blend.context_header(grid), ctx_shape, ">i4")
    tables = hdu_bytes(blend.header_table(exposures), record_table(record))
    if parameters.general.build:
        primary["NEXTEND"] = len(parts) + 2
        return {names["sci"]: (hdu_bytes(fits.PrimaryHDU(header=primary)), list(parts.values()), tables)}
    layout = {}
    for key, part in parts.items():
        header = primary.copy()
        header["FILENAME"] = names[key]
        header.extend(part.header, update=True)
        layout[names[key]] = (
            b"",
            [Part(key, header, part.shape, part.dtype)],
            tables if key == "sci" else b"",
        )
    return layout


class _WeightStatistics:
    """Statistics of WHT over covered pixels, collected as tiles come; a regular sample gives the median."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.step = max(1, int(np.sqrt(shape[0] * shape[1] / 1e6)))
        self.pixels = shape[0] * shape[1]
        self.covered, self.total, self.square, self.largest = 0, 0.0, 0.0, 0.0
        self.sample: list[np.ndarray] = []

    def add(self, tile: Tile) -> None:
        wht, region = tile.wht, tile.region
        self.covered += int(np.count_nonzero(wht))
        # One row at a time: a copy in float64 of the whole tile would cost more than its drizzling.
        self.total += float(wht.sum(dtype=np.float64))
        self.square += float(np.einsum("ij,ij->", wht, wht, dtype=np.float64))
        self.largest = max(self.largest, float(wht.max(initial=0)))
        part = wht[-region.y0 % self.step :: self.step, -region.x0 % self.step :: self.step]
        self.sample.append(part[part > 0])

    def summary(self) -> dict:
        """Mean, rms, median and maximum over pixels of non-zero weight; the covered fraction."""
        if self.covered == 0:
            return {"covered": 0.0}
        mean = self.total / self.covered
        sample = np.concatenate(self.sample)
        median = float(np.median(sample)) if sample.size else mean
        return {
            "covered": self.covered / self.pixels,
            "mean": mean,
            "rms": float(np.sqrt(max(self.square / self.covered - mean**2, 0.0))),
            "median": median,
            "max": self.largest,
        }


@dataclass(frozen=True)
class Cutout:
    """One region of a product, held in memory.

    Attributes
    ----------
    sci, wht : ndarray of float32
        As in the product, (y, x).
    ctx : ndarray of uint32, shape (planes, y, x)
        As in the product.
    region : Region
        Where it lies in the final grid.
    grid : OutputGrid
        The whole final grid.
    unit : str
        BUNIT.
    """

    sci: np.ndarray
    wht: np.ndarray
    ctx: np.ndarray
    region: Region
    grid: OutputGrid
    unit: str

    @property
    def wcs(self):  # noqa: ANN201 -- astropy's WCS is untyped
        """Celestial WCS of the cut-out (`astropy.wcs.WCS`)."""
        from astropy.wcs import WCS

        header = self.grid.to_header()
        header["CRPIX1"] -= self.region.x0
        header["CRPIX2"] -= self.region.y0
        return WCS(header)


def preview(
    exposures: Sequence[Exposure],
    parameters: ReduceParameters | None = None,
    *,
    center: "tuple[float, float] | SkyCoord | None" = None,
    size: int | tuple[int, int] = 512,
    region: Region | None = None,
    scratch: Path | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
    cancel: Cancel | None = None,
    **keywords: Any,
) -> Cutout:
    """One region of the product, with the same bits as the product has there.

    Parameters
    ----------
    exposures : sequence of Exposure
        The whole stack.
    parameters : ReduceParameters, optional
        As for `reduce`.
    center : (float, float) or SkyCoord, optional
        RA and Dec of the middle, degrees; default, the middle of the grid.
    size : int or (int, int)
        Side, or (ny, nx), in output pixels.
    region : Region, optional
        Output pixels, instead of ``center`` and ``size``.
    scratch : Path, optional
        Folder that keeps the median and the masks for the next preview; default, a folder of this
        process, removed at its end.
    threads, progress, cancel, **keywords
        As for `reduce`.

    Returns
    -------
    Cutout

    Raises
    ------
    DataError
        The region lies outside the output grid.
    """
    parameters = reduce_parameters(exposures, parameters, **keywords)
    reduction = Reduction(
        exposures,
        parameters,
        folder=scratch or _process_scratch(),
        threads=threads,
        progress=progress,
        cancel=cancel,
    )
    grid = reduction.final_grid
    if region is None:
        ny, nx = (size, size) if isinstance(size, int) else size
        if center is None:
            x, y = (grid.shape[1] - 1) / 2, (grid.shape[0] - 1) / 2
        else:
            from astropy.coordinates import SkyCoord  # late: slow to import

            sky = center if isinstance(center, SkyCoord) else SkyCoord(*center, unit="deg")
            x, y = (float(v) for v in grid.sky_to_pixel(sky.icrs.ra.deg, sky.icrs.dec.deg))
        if not (np.isfinite(x) and np.isfinite(y)):
            msg = f"The centre {center} cannot be seen from the output grid. Give RA and Dec in degrees."
            raise DataError(msg)
        y0, x0 = round(y - (ny - 1) / 2), round(x - (nx - 1) / 2)
        region = Region(y0, y0 + ny, x0, x0 + nx)
    unit, unit_factor, _ = product_unit(reduction.exposures, parameters)
    tile = reduction.product(region, unit_factor)
    return Cutout(tile.sci, tile.wht, tile.ctx, tile.region, grid, unit)


_scratch_of_process: tempfile.TemporaryDirectory | None = None


def _process_scratch() -> Path:
    global _scratch_of_process  # one folder for all previews of this process, removed at its end
    if _scratch_of_process is None:
        _scratch_of_process = tempfile.TemporaryDirectory(prefix="drizzlewb-", ignore_cleanup_errors=True)
    return Path(_scratch_of_process.name)
