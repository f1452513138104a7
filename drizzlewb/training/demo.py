"""The demonstration: training set, alignment, basic and optimised products, a page with pictures."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drizzlewb.distortion import pack
from drizzlewb.exposure import Exposure, read_exposures
from drizzlewb.products.drc import Product
from drizzlewb.reduction.run import reduce
from drizzlewb.reduction.schedule import Cancel, Progress, no_progress
from drizzlewb.training.datasets import training_set
from drizzlewb.training.truth import read_truth

__all__ = ["RUNS", "demo", "with_true_wcs"]

log = logging.getLogger(__name__)

BASIC = {"skymethod": "localmin"}
OPTIMISED = {
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
    "F814W_opt": ("F814W", {"skymethod": "match", "final_wcs": True, "final_pixfrac": 0.6}),
}


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
) -> dict[str, Product]:
    """Make the products of the training's exercises from the simulated training set.

    Parameters
    ----------
    out : path
        Folder for the products and the page; made if it is not there. Products of an earlier
        demonstration are replaced.
    size : {'tiny', 'small', 'full'}
        Size of the training set; it is made once and kept in the cache folder.
    threads, progress, cancel
        As for `drizzlewb.reduce`.

    Returns
    -------
    dict
        Products by name: basic F606W, optimised F606W, optimised F814W on the same grid.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    exposures = with_true_wcs(read_exposures(training_set(size, progress=progress)))
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
    return products
