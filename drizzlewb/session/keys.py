"""Keys: what a result was made from, so that staleness is derived and never stored."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid, output_grid
from drizzlewb.kernels.transform import PackedWCS
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction.inputs import as_asked
from drizzlewb.reduction.plan import array_keys, check_plan, final_grid, separate_grid
from drizzlewb.reduction.record import distortion_digest
from drizzlewb.session.state import AlignmentPlan

__all__ = [
    "ALIGNMENT_STEPS",
    "PRODUCT_STEPS",
    "ProductKeys",
    "alignment_keys",
    "product_grids",
    "product_keys",
]

ALIGNMENT_STEPS = ("sources", "solution")
PRODUCT_STEPS = ("sky", "median", "crmask", "product")

_FILES = ("build", "driz_combine", "driz_cr_corr", "keep")
"""Parameters that change no pixel of the product, but the files that are written."""

_KEPT = ("clean", "crbit", "driz_sep_fillval")
"""Parameters of the intermediate images that ``keep`` asks for."""


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class ProductKeys:
    """Keys of one product as it is set now.

    Attributes
    ----------
    steps : mapping
        Step to key.
    pixels : str
        Key of the product's pixels, whatever files hold them: that of previews.
    grid : OutputGrid
        Final grid.
    off : tuple of str
        Steps that the parameters switch off.
    separate : OutputGrid
        Grid of the separate images and the median.
    """

    steps: Mapping[str, str]
    pixels: str
    grid: OutputGrid
    off: tuple[str, ...] = ()
    separate: OutputGrid | None = None


def product_grids(
    exposures: Sequence[Exposure], parameters: ReduceParameters, reference: OutputGrid | None = None
) -> tuple[OutputGrid, OutputGrid]:
    """Separate and final grid of a product; arguments as those of `product_keys`."""
    asked = as_asked(exposures, parameters)
    if reference is None:
        grid = final_grid(asked, parameters)
    else:
        section = parameters.final_grid
        frame = ("rot", "scale", "ra", "dec", "outnx", "outny", "crpix1", "crpix2")
        chips = [chip for exposure in asked for chip in exposure.chips]
        values: dict[str, Any] = {name: getattr(section, f"final_{name}") for name in frame}
        grid = output_grid(chips, wcs=section.final_wcs, refimage=reference, **values)
    return separate_grid(asked, parameters), grid


def product_keys(
    exposures: Sequence[Exposure],
    parameters: ReduceParameters,
    reference: OutputGrid | None = None,
    grids: Callable[[], tuple[OutputGrid, OutputGrid]] | None = None,
) -> ProductKeys:
    """Keys of a product.

    Parameters
    ----------
    exposures : sequence of Exposure
        Its stack, with the accepted WCS and the drawn masks.
    parameters : ReduceParameters
    reference : OutputGrid, optional
        Grid of the product that ``final_refimage`` names.
    grids : callable, optional
        Gives what `product_grids` gives for the same exposures, frame and reference.

    Raises
    ------
    DataError, ParameterError
        The reduction cannot be made; see `drizzlewb.reduction.engine.Reduction`.
    """
    asked = as_asked(exposures, parameters)
    check_plan(asked, parameters)
    separate, grid = grids() if grids else product_grids(exposures, parameters, reference)
    keys = array_keys(asked, parameters, separate, grid)
    names = (*_FILES, *_KEPT) if parameters.extra.keep or parameters.cosmicray.driz_cr_corr else _FILES
    files = {name: parameters[name] for name in names}
    off = []
    if not parameters.cosmicray.driz_cr:
        off.append("crmask")
        if not parameters.median.median:
            off.append("median")
    steps = {
        "sky": keys["prepass"],
        "median": keys["median"],
        "crmask": keys["crmask"],
        "product": _key(keys["product"], files),
    }
    return ProductKeys(steps, keys["product"], grid, tuple(off), separate)


def alignment_keys(exposures: Sequence[Exposure], plan: AlignmentPlan) -> dict[str, str]:
    """Keys of the alignment's steps: sources, and the solution with what was brushed out.

    Parameters
    ----------
    exposures : sequence of Exposure
        In the order of alignment, with the WCS that they came with.
    plan : AlignmentPlan
    """
    inputs = [[e.rootname, e.identity, [_wcs(chip.wcs) for chip in e.chips]] for e in exposures]
    p = plan.parameters
    # The reference image has parameters of its own where the user names it.
    named = [p.general.refimage, p.refimagefind.model_dump()] if p.general.refimage.strip() else None
    sources = _key(inputs, p.feeding("sources"), named)
    rejected = sorted(map(str, plan.rejected))
    solution = _key(sources, p.feeding("refsources"), p.feeding("solution"), rejected)
    return {"sources": sources, "solution": solution}


def _wcs(wcs: PackedWCS) -> list[Any]:
    return [wcs.crval.tolist(), wcs.cd.tolist(), distortion_digest(wcs)]
