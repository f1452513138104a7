"""A solution that was found on a drizzled image, carried back to the exposures it was made of."""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drizzlewb import distortion
from drizzlewb.errors import DataError, DrizzlewbError, ParameterError
from drizzlewb.kernels.transform import PackedWCS
from drizzlewb.products import wcscards as wc
from drizzlewb.products.cards import Cards
from drizzlewb.products.fitsparts import Part, check_writable, read_parts, science_parts
from drizzlewb.products.headers import Change, FitNumbers, Prepared, prepare_solution
from drizzlewb.products.undo import read_steps

__all__ = ["carried", "tweakback"]

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]


def carried(
    crval: npt.ArrayLike, cd: npt.ArrayLike, before: PackedWCS, after: PackedWCS
) -> tuple[Array, Array]:
    """CRVAL and CD of a chip, corrected as a drizzled image was.

    Parameters
    ----------
    crval : array_like, shape (2,)
        Of the chip, deg.
    cd : array_like, shape (2, 2)
        Of the chip, deg/px.
    before, after : PackedWCS
        Linear TAN of the drizzled image before and after its alignment.

    Returns
    -------
    crval, cd : ndarray
        Such that what the chip sees at a pixel of the drizzled image stays at that pixel. CRPIX and
        distortion stay.

    Notes
    -----
    The map from the sky as it was to the sky as it is now takes a direction to a pixel of the drizzled
    image by `before` and back by `after`: between tangent planes it is a homography. The chip's CRPIX is
    moved exactly; CD is the map's derivative there, in closed form (DrizzlePac's ``tweakback``
    differentiates numerically).
    """
    chip = distortion.tan_wcs(crval, (0.0, 0.0), cd)
    to_drizzled = distortion.homography(chip, before)
    x, y, w = to_drizzled[:, 2]
    new = np.array(distortion.pixel_to_sky(after, x / w, y / w), float)
    # Offsets in degrees about the new tangent point -> pixel of the drizzled image.
    from_plane = distortion.homography(distortion.tan_wcs(new, (0.0, 0.0), np.eye(2)), after)
    h = np.linalg.inv(from_plane) @ to_drizzled
    return new, h[:2, :2] / h[2, 2]


def tweakback(
    drizzled: str | Path,
    inputs: Sequence[str | Path] | None = None,
    *,
    orig: str | None = None,
    wcsname: str = "",
    reusename: bool = False,
) -> list[Change]:
    """Correct exposures as their drizzled image was corrected.

    Parameters
    ----------
    drizzled : path
        The drizzled image; its primary WCS is the aligned one, and the WCS that it was drizzled with is
        an alternate.
    inputs : sequence of path, optional
        The exposures, whose primary WCS must be the one they were drizzled with; by default those that
        the D001DATA ... cards name, beside the drizzled image.
    orig : str, optional
        WCSNAME or letter of the WCS that the image was drizzled with. By default what `apply` archived last,
        or the only alternate.
    wcsname : str
        Name of the new solutions; that of the drizzled image's if not given.
    reusename : bool
        A solution of that name may be replaced.

    Returns
    -------
    list of Change
        One for each exposure.

    Raises
    ------
    ParameterError
        No such WCS, or the name is taken in one of the files (nothing is written then).
    DataError
        The image has one WCS only, names no inputs, or they are missing or read-only.
    """
    parts = read_parts(drizzled)
    cards = parts[science_parts(drizzled, parts)[0]].cards
    key = _original(drizzled, cards, parts, orig)
    before, after = (_linear(drizzled, cards, k) for k in (key, " "))
    name = wcsname.strip() or cards.string("WCSNAME")
    rms = wc.rms_mas(cards)
    fit = None
    if rms[0] > 0 and rms[1] > 0:
        number = int(cards.number("NMATCHES", cards.number("NMATCH", 0)))
        fit = FitNumbers(*rms, number, cards.string("FITGEOM"), cards.string("CATALOG"))
    plans: list[Prepared] = []
    for path in inputs if inputs is not None else _inputs(drizzled, parts[0].cards):
        check_writable(path)
        exposure = read_parts(path)
        solutions = {}
        for k in science_parts(path, exposure):
            _, crval, cd = wc.linear_terms(exposure[k].cards)
            solutions[exposure[k].ver] = carried(crval, cd, before, after)
        plans.append(
            prepare_solution(path, solutions, name, reusename=reusename, fit=fit, action="tweakback")
        )
    done: list[Change] = []
    for plan in plans:
        try:
            done.append(plan.write())
        except DrizzlewbError as error:
            written = ", ".join(Path(c.path).name for c in done)
            if not written:
                raise
            msg = f"{error} Of {len(plans)} files these are written: {written}; revert takes them back."
            raise DataError(msg) from error
    return done


def _original(path: str | Path, cards: Cards, parts: Sequence[Part], orig: str | None) -> str:
    """Letter of the WCS that the image was drizzled with."""
    names = {k: n for k, n in wc.names(cards).items() if k != " "}
    if not names:
        msg = (
            f"{path} has one WCS only: to carry a correction back it must hold the WCS it was drizzled with "
            "as an alternate. Align it and apply the alignment first."
        )
        raise DataError(msg)
    wanted = orig.strip() if orig is not None else ""
    if not wanted:
        steps = [s for s in read_steps(parts) if s.action == "apply"]
        wanted = steps[-1].before if steps else (next(iter(names)) if len(names) == 1 else "")
    found = [k for k, n in names.items() if wanted and wanted.upper() in (k, n.upper())]
    if len(found) != 1:
        listed = ", ".join(f"{n or 'unnamed'} ({k})" for k, n in names.items())
        asked = f"'{wanted}' is not one of" if wanted else "say which of"
        msg = f"{path}: {asked} its alternate WCSs: {listed}. Give orig, the one it was drizzled with."
        raise ParameterError(msg)
    return found[0]


def _linear(path: str | Path, cards: Cards, key: str) -> PackedWCS:
    a = key.strip()
    kinds = [cards.string(f"CTYPE{k}{a}") for k in (1, 2)]
    if kinds != ["RA---TAN", "DEC--TAN"]:
        msg = f"{path}: WCS '{key}' has CTYPE {kinds}; a drizzled image has RA---TAN and DEC--TAN."
        raise DataError(msg)
    pix, val, cd = wc.linear_terms(cards, key)
    return distortion.tan_wcs(val, pix - 1.0, cd)


def _inputs(path: str | Path, primary: Cards) -> list[Path]:
    """Files that a drizzled image was made of, by its D001DATA ... cards."""
    named = [primary.string(k).split("[")[0] for k in primary.keywords() if re.fullmatch(r"D\d{3}DATA", k)]
    if not named:
        msg = f"{path} does not name its inputs (D001DATA ...); give them."
        raise DataError(msg)
    folder = Path(path).parent
    found = [folder / os.path.basename(name) for name in dict.fromkeys(named)]
    missing = [p.name for p in found if not p.exists()]
    if missing:
        msg = f"{path}: its inputs {', '.join(missing)} are not beside it; give their paths."
        raise DataError(msg)
    return found
