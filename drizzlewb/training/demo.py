"""The demonstration: training set, alignment, basic and optimised products, a page with pictures."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drizzlewb.distortion import pack
from drizzlewb.exposure import Exposure, read_exposures
from drizzlewb.products.aligned import AlignedSolution, align
from drizzlewb.products.drc import Product
from drizzlewb.reduction.run import reduce
from drizzlewb.reduction.schedule import Cancel, Progress, no_progress
from drizzlewb.training.datasets import training_set
from drizzlewb.training.grade import Grade, grade
from drizzlewb.training.truth import read_truth

__all__ = ["ALIGNMENT", "RUNS", "Demo", "demo", "with_true_wcs"]

log = logging.getLogger(__name__)

ALIGNMENT: dict[str, Any] = {"threshold": 50.0, "conv_width": 3.5, "updatehdr": True}
# The median, because minmed takes the darkest exposure where bleeds of saturated stars differ and so loses
# part of their flux.
MEDIAN = {"combine_type": "median", "combine_nhigh": 1}
BASIC = {"skymethod": "localmin", **MEDIAN}
OPTIMISED = {
    **MEDIAN,
    "skymethod": "match",
    "final_wcs": True,
    "final_rot": 0.0,
    "final_scale": 0.03,
    "final_pixfrac": 0.6,
}
#: Product name -> filter and parameters; F814W takes the grid of the optimised F606W.
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "F606W_basic": ("F606W", BASIC),
    "F606W_opt": ("F606W", OPTIMISED),
    "F814W_opt": ("F814W", {**MEDIAN, "skymethod": "match", "final_wcs": True, "final_pixfrac": 0.6}),
}


@dataclass(frozen=True)
class Demo:
    """What a demonstration made.

    Attributes
    ----------
    solution : AlignedSolution
        The alignment, applied to the headers of the copies in the folder.
    products : dict
        Products by name.
    grade : Grade
        Their grades.
    report : Path
        Page with figures.
    """

    solution: AlignedSolution
    products: dict[str, Product]
    grade: Grade
    report: Path


def with_true_wcs(exposures: Sequence[Exposure]) -> list[Exposure]:
    """Copies of simulated exposures that carry the WCS under which they were simulated.

    Raises
    ------
    DataError
        The truth file of an exposure is missing.
    """
    aligned = []
    for exposure in exposures:
        truth = read_truth(Path(exposure.path).with_name(f"{exposure.rootname}_truth.fits"))
        # IDCSCALE and its sisters stand in the exposure's header and not in a WCS.
        solutions = [
            pack(wcs, chip.shape)._replace(idc=chip.wcs.idc)
            for wcs, chip in zip(truth.wcs, exposure.chips, strict=True)
        ]
        aligned.append(exposure.with_wcs(solutions, wcsname="TRUTH"))
    return aligned


def demo(
    out: Path | str,
    size: str = "small",
    *,
    threads: int | None = None,
    progress: Progress = no_progress,
    cancel: Cancel | None = None,
) -> Demo:
    """Do the training's exercises on the simulated training set, and grade them.

    The twelve exposures are aligned in one run, their headers updated, and three products made: basic
    F606W, optimised F606W, and optimised F814W on the same grid.

    Parameters
    ----------
    out : path
        Folder for everything; made if it is not there. Results of an earlier demonstration are
        replaced.
    size : {'tiny', 'small', 'full'}
        Size of the training set; it is made once and kept in the cache folder.
    threads, progress, cancel
        As for `drizzlewb.reduce`.

    Returns
    -------
    Demo
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    files = training_set(size, folder=out, progress=progress)
    cancel = cancel or Cancel()
    solution = align(read_exposures(files), progress=progress, cancelled=lambda: cancel.asked, **ALIGNMENT)
    solution.apply(folder=out, shiftfile=True)
    exposures = read_exposures(files)
    products: dict[str, Product] = {}
    for name, (filter_name, keywords) in RUNS.items():
        if name == "F814W_opt":
            keywords = {**keywords, "final_refimage": str(products["F606W_opt"].path)}
        stack = [e for e in exposures if filter_name in e.filters]
        products[name] = reduce(
            stack,
            output=out / name,
            replace=True,
            threads=threads,
            progress=progress,
            cancel=cancel,
            **keywords,
        )
    marks = grade(out, products=tuple(products.values()))
    marks.write_report(out / "report.html")
    (out / "grade.json").write_text(marks.to_json(), encoding="utf-8")
    return Demo(solution, products, marks, out / "report.html")
