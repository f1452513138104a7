"""What an alignment hands back: one `Alignment` per exposure, and the `Solution` of all."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid
from drizzlewb.kernels.matching import OffsetPeak
from drizzlewb.parameters.tweakreg import AlignParameters
from drizzlewb.steps.fit import LinearFit
from drizzlewb.steps.offsets import Start
from drizzlewb.steps.sources import Sources
from drizzlewb.steps.verdict import Verdict, cosmic_ray_jumps

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["UNITS", "Alignment", "Solution"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Alignment:
    """What was found for one exposure.

    Attributes
    ----------
    rootname, filters, reference : str
        Of the exposure; name of what it was aligned to.
    status : str
        'aligned', 'refused' or 'reference'.
    verdict : Verdict
        In words.
    stage : str
        Where it failed; '' if it did not.
    fit : LinearFit or None
        In the reference plane, px.
    sources : Sources
        Of the exposure, on its old WCS.
    index, ref_index : ndarray, int64, shape (n,)
        Matched sources, and their rows in the reference list of that moment.
    xy, ref_xy : ndarray, float64, shape (n, 2)
        Matched positions in the reference plane, zero-based px, before the fit.
    ref_mag : ndarray, float64, shape (n,)
        Magnitudes of the matched reference sources.
    start : Start or None
        First offset, with its histogram; of an exposure that was refused, what was looked at.
    chance_pairs : int
        Pairs that lists without common stars would have given.
    correlation : float
        Of the magnitudes of the pairs; NaN where unknown.
    alternatives : mapping
        The other geometries, fitted to the same stars.
    """

    rootname: str
    filters: str
    reference: str
    status: str
    verdict: Verdict
    stage: str
    fit: LinearFit | None
    sources: Sources
    index: Index
    ref_index: Index
    xy: Array
    ref_xy: Array
    ref_mag: Array
    start: Start | None = None
    chance_pairs: int = 0
    correlation: float = float("nan")
    alternatives: Mapping[str, LinearFit] = field(default_factory=dict)

    @property
    def peak(self) -> OffsetPeak | None:
        """Evidence for the first offset."""
        return self.start.peak if self.start is not None else None


@dataclass(frozen=True, eq=False)
class Solution:
    """Result of an alignment. Nothing is written.

    Attributes
    ----------
    exposures : tuple of Exposure
        With the fitted WCS where one was accepted, as they were otherwise; any step takes them.
    originals : tuple of Exposure
        As they came.
    alignments : tuple of Alignment
        One for each exposure, in their order.
    plane : OutputGrid
        Tangent plane of the reference, in whose px all fits are.
    reference : str
        Name of the reference image or catalog.
    parameters : AlignParameters
    groups : mapping
        Visit to the LinearFit that moved it as one body (``visit_as_one``).
    """

    exposures: tuple[Exposure, ...]
    originals: tuple[Exposure, ...]
    alignments: tuple[Alignment, ...]
    plane: OutputGrid
    reference: str
    parameters: AlignParameters
    groups: Mapping[str, LinearFit] = field(default_factory=dict)

    @property
    def fits(self) -> dict[str, LinearFit]:
        """Root name to fit, of the exposures that were aligned; residuals are in it."""
        return {a.rootname: a.fit for a in self.alignments if a.fit is not None}

    @property
    def scale_mas(self) -> float:
        """Milliarcseconds in one px of the reference plane."""
        return 1000.0 * self.plane.scale_arcsec

    def __getitem__(self, rootname: str) -> Alignment:
        """Alignment of an exposure by root name."""
        for a in self.alignments:
            if a.rootname == rootname:
                return a
        msg = (
            f"'{rootname}' was not aligned here; there are {', '.join(a.rootname for a in self.alignments)}."
        )
        raise KeyError(msg)

    def with_cosmic_rays(self, fractions: Mapping[str, float]) -> "Solution":
        """Copy whose verdicts say in which exposures more cosmic rays are flagged than in the others.

        Parameters
        ----------
        fractions : mapping
            Root name to the fraction of the pixels that are flagged, from masks made with these
            exposures: ``Reduction.cr_fractions()``. Names that are not in the solution are left out.
        """
        exptimes = {e.rootname: e.exptime for e in self.exposures}
        own = {name: value for name, value in fractions.items() if name in exptimes}
        jumps = cosmic_ray_jumps(own, exptimes)

        def judged(a: Alignment) -> Alignment:
            if a.rootname not in jumps:
                return a
            verdict = replace(a.verdict, warnings=(*a.verdict.warnings, str(jumps[a.rootname])))
            return replace(a, verdict=verdict)

        return replace(self, alignments=tuple(map(judged, self.alignments)))

    @property
    def table(self) -> "Table":
        """One row per exposure: shift, rotation, scale, rms, matches, matrix, verdict; with units."""
        from astropy.table import Table  # late: tables are slow to import

        table = Table(self.columns)
        for name, unit in UNITS.items():
            table[name].unit = unit
        table.meta.update(reference=self.reference, scale_arcsec=self.plane.scale_arcsec)
        return table

    @property
    def columns(self) -> dict[str, list]:
        """Columns of `table` as plain lists; the units are in `UNITS`."""
        rows = [_row(a, self.scale_mas) for a in self.alignments]
        return {name: [row[name] for row in rows] for name in rows[0]}


UNITS = {
    "dx": "pix",
    "dy": "pix",
    "rotation": "deg",
    "skew": "deg",
    "rms_x": "pix",
    "rms_y": "pix",
    "rms_px": "pix",
    "rms_mas": "mas",
    "error_px": "pix",
}


def _row(a: Alignment, scale_mas: float) -> dict:
    fit = a.fit
    same = a.status == "reference"
    nan = 0.0 if same else float("nan")
    rms = fit.rms_xy if fit else (nan, nan)
    matrix = fit.matrix if fit else (np.eye(2) if same else np.full((2, 2), np.nan))
    return {
        "rootname": a.rootname,
        "filter": a.filters,
        "status": a.status,
        "nsources": len(a.sources),
        "nmatch": fit.nmatch if fit else 0,
        "dx": float(fit.shift[0]) if fit else nan,
        "dy": float(fit.shift[1]) if fit else nan,
        "rotation": fit.rotation if fit else nan,
        "scale": fit.scale if fit else 1.0 + nan,
        "scale_ppm": fit.scale_ppm if fit else nan,
        "skew": fit.skew if fit else nan,
        "rms_x": rms[0],
        "rms_y": rms[1],
        "rms_px": fit.rms_px if fit else nan,
        "rms_mas": (fit.rms_px if fit else nan) * scale_mas,
        "error_px": fit.error_px if fit else nan,
        "m00": float(matrix[0, 0]),
        "m01": float(matrix[0, 1]),
        "m10": float(matrix[1, 0]),
        "m11": float(matrix[1, 1]),
        "correlation": a.correlation,
        "stage": a.stage,
        "verdict": str(a.verdict),
    }
