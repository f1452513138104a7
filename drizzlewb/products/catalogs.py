"""What TweakReg leaves beside the images: catalogs, matches, shift file, log; and one table with units.

Layouts are those of DrizzlePac 3.11 (``imgclasses.py``, ``catalogs.py``, ``tweakutils.py``), so that what
reads TweakReg's files reads these. Pixels in files are one-based.
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import drizzlewb
from drizzlewb.exposure import Exposure
from drizzlewb.fileio import replaced_when_whole
from drizzlewb.grid import OutputGrid
from drizzlewb.kernels.text import text_rows
from drizzlewb.products.cards import card_as_astropy
from drizzlewb.products.ecsv import Meta, ecsv_text
from drizzlewb.products.fitsparts import Part, copy_parts
from drizzlewb.steps.solution import UNITS, Alignment, Solution

__all__ = ["write_catalogs", "write_log", "write_matches", "write_shifts", "write_table"]

log = logging.getLogger(__name__)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_when_whole(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
    log.info("wrote %s", path)
    return path


def _stem(exposure: Exposure) -> str:
    """File name without its endings; exposures of one file stay apart."""
    name = Path(exposure.path).name
    stem = name.removesuffix(".gz").removesuffix(".fits")
    return f"{stem}_{exposure.imset}" if exposure.imset else stem


def _file(exposure: Exposure) -> str:
    return Path(exposure.path).name


def _angle(value: float) -> float:
    """Degrees as TweakReg writes them: from 0 to 360."""
    return value % 360.0


# Sources and matches ------------------------------------------------------------------------------------


def write_catalogs(solution: Solution, folder: str | Path = ".") -> list[Path]:
    """Write the ``.coo`` files of every exposure, and the list that names them for ``catfile``.

    ``<root>_sciN_xy_catalog.coo`` (x, y, flux, ID), ``<root>_sky_catalog.coo`` (RA, Dec, deg) and
    ``<root>_xy_catfile.list``.

    Parameters
    ----------
    solution : Solution
    folder : path
        Made if it is not there; files of these names are replaced.

    Returns
    -------
    list of Path
        What was written.
    """
    folder = Path(folder)
    written = []
    lines = []
    for exposure, a in zip(solution.originals, solution.alignments, strict=True):
        stem, sources = _stem(exposure), a.sources
        names = []
        for k, chip in enumerate(exposure.chips):
            at = np.flatnonzero(sources.chip == k)
            rows = [
                "# Source catalog derived for " + _file(exposure),
                "# Columns: ",
                "#    X      Y         Flux       ID",
                "#   (pixels)   (pixels)",
            ]
            table = text_rows([sources.x[at] + 1, sources.y[at] + 1, sources.flux[at], at + 1], [4, 4, 4, 0])
            name = f"{stem}_sci{chip.extver}_xy_catalog.coo"
            written.append(_write(folder / name, "\n".join(rows) + "\n" + table))
            names.append(name)
        rows = [f"#Sky positions for: {_file(exposure)}", "#RA        Dec", "#(deg)     (deg)"]
        table = text_rows([sources.ra, sources.dec], [12, 12])
        written.append(_write(folder / f"{stem}_sky_catalog.coo", "\n".join(rows) + "\n" + table))
        lines.append(f"{_file(exposure)}    {'  '.join(names)}")
    name = f"{_stem(solution.originals[0])}_xy_catfile.list"
    written.append(_write(folder / name, "\n".join(lines) + "\n"))
    return written


_MATCH_COLUMNS = (
    "X (reference)", "Y (reference)", "X (input)", "Y (input)", "X (fit)", "Y (fit)", "X (residual)",
    "Y (residual)", "Original X (reference)", "Original Y (reference)", "Original X (input)",
    "Original Y (input)", "Ref ID", "Input ID", "Input EXTVER ID", "RA (fit)", "Dec (fit)",
    "Ref source provenience",
)  # fmt: skip


def write_matches(solution: Solution, folder: str | Path = ".") -> list[Path]:
    """Write ``<root>_xy_catalog.match`` (all pairs) and ``<root>_catalog_fit.match`` (those in the fit).

    In the first, positions are one-based px of the reference plane; in the second they count from its
    CRPIX, and the residual is fit minus input. The reference's own pixels are NaN for sources that did
    not come from the reference image.
    """
    folder = Path(folder)
    written = []
    for exposure, a in zip(solution.originals, solution.alignments, strict=True):
        if a.fit is None or not len(a.index):
            continue
        ref_xy = _reference_pixels(solution, a)
        written.append(_all_pairs(exposure, a, ref_xy, folder))
        written.append(_fitted_pairs(solution, exposure, a, ref_xy, folder))
    return written


def _reference_pixels(solution: Solution, a: Alignment) -> npt.NDArray[np.float64]:
    """One-based chip pixels of the matched reference sources; NaN where there are none."""
    pixels = np.full((len(a.ref_index), 2), np.nan)
    for other in solution.alignments:
        if other.rootname == a.reference and other is not a:
            found = a.ref_index < len(other.sources)
            at = a.ref_index[found]
            pixels[found] = np.column_stack([other.sources.x[at], other.sources.y[at]]) + 1
            # The list may have lost sources behind the plane, or grown: the sky tells.
            x, y = solution.plane.sky_to_pixel(other.sources.ra[at], other.sources.dec[at])
            wrong = ~(np.hypot(x - a.ref_xy[found, 0], y - a.ref_xy[found, 1]) < 1e-3)
            pixels[np.flatnonzero(found)[wrong]] = np.nan
    return pixels


def _all_pairs(exposure: Exposure, a: Alignment, ref_pixels: npt.NDArray[np.float64], folder: Path) -> Path:
    rows = [
        f"#Reference: {a.reference}",
        f"#Input: {_file(exposure)}",
        "#Ref_X        Ref_Y        Input_X    Input_Y        Ref_X0    Ref_Y0        Input_X0    Input_Y0"
        "        Ref_ID    Input_ID        Ref_Source",
    ]
    i = a.index
    table = text_rows(
        [*(a.ref_xy + 1).T, *(a.xy + 1).T, *ref_pixels.T, a.sources.x[i] + 1, a.sources.y[i] + 1,
         a.ref_index + 1, i + 1],
        [6] * 8 + [0, 0],
        a.reference,
    )  # fmt: skip
    return _write(folder / f"{_stem(exposure)}_xy_catalog.match", "\n".join(rows) + "\n" + table)


def _fitted_pairs(
    solution: Solution, exposure: Exposure, a: Alignment, ref_pixels: npt.NDArray[np.float64], folder: Path
) -> Path:
    fit = a.fit
    assert fit is not None
    sx, sy = fit.scales
    m = fit.matrix
    turn_x = np.degrees(np.arctan2(-m[1, 0], m[0, 0]))
    turn_y = np.degrees(np.arctan2(m[0, 1], m[1, 1]))
    rows = [
        f"# Input image: {_file(exposure)}",
        "# Coordinate mapping parameters: ",
        f"#    X and Y rms: {fit.rms_xy[0]:.2g}  {fit.rms_xy[1]:.2g}",
        f"#    X and Y shift: {fit.shift[0]:.4f}  {fit.shift[1]:.4f}",
        f"#    X and Y scale: {sx:.10g}  {sy:.10g}",
        f"#    X and Y rotation: {_angle(turn_x):.10g}  {_angle(turn_y):.10g}",
        f"#    <rotation> and skew: {_angle(fit.rotation):.10g}  {_angle(fit.skew):.10g}",
        "# ",
        "# Input Coordinate Listing",
        *(f"#     Column {k}: {name}" for k, name in enumerate(_MATCH_COLUMNS, 1)),
        "#",
    ]
    used = np.flatnonzero(fit.used)
    ra, dec = solution.plane.pixel_to_sky(*fit.correct(a.xy[used]).T)
    model = a.xy - fit.residuals
    i = a.index[used]
    extvers = np.array([*(chip.extver for chip in exposure.chips), 0])
    chips = np.maximum(a.sources.chip[i], -1)  # -1: of no chip
    table = text_rows(
        [*(a.ref_xy[used] - fit.center).T, *(a.xy[used] - fit.center).T, *(model[used] - fit.center).T,
         *-fit.residuals[used].T, *ref_pixels[used].T, a.sources.x[i] + 1, a.sources.y[i] + 1,
         a.ref_index[used] + 1, i + 1, extvers[chips], ra, dec],
        [6] * 12 + [0, 0, 0, 12, 12],
        a.reference,
    )  # fmt: skip
    return _write(folder / f"{_stem(exposure)}_catalog_fit.match", "\n".join(rows) + "\n" + table)


# The run ------------------------------------------------------------------------------------------------


def write_shifts(
    solution: Solution, outshifts: str | Path = "shifts.txt", outwcs: str | Path = "shifts_wcs.fits"
) -> list[Path]:
    """Write the shift file and the reference WCS that its numbers are in.

    dx, dy (px of that plane, at its CRPIX), rotation (deg, 0 to 360), scale, rms in x and in y (px). An
    exposure that was refused has NaN. Skew is averaged away: `write_table` has the whole matrix.
    """
    outshifts, outwcs = Path(outshifts), Path(outwcs)
    rows = ["# frame: output", f"# refimage: {outwcs.name}[wcs]", "# form: delta", "# units: pixels"]
    nan = float("nan")
    for exposure, a in zip(solution.originals, solution.alignments, strict=True):
        if a.fit is not None:
            values = (*a.fit.shift, _angle(a.fit.rotation), a.fit.scale, *a.fit.rms_xy)
        else:
            values = (
                (nan, nan, nan, nan, 0.0, 0.0) if a.status == "refused" else (0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
            )
        dx, dy, rot, scale, rx, ry = values
        rows.append(
            f"{_file(exposure)}    {dx:.6f}  {dy:.6f}    {rot:.6f}     {scale:.6f}   {rx:.6f}  {ry:.6f}"
        )
    outwcs.parent.mkdir(parents=True, exist_ok=True)
    with replaced_when_whole(outwcs) as part:
        copy_parts(part, _plane_parts(solution.plane))
    return [_write(outshifts, "\n".join(rows) + "\n"), outwcs]


def _plane_parts(plane: OutputGrid) -> list[Part]:
    """HDUs of a file that says where a plane lies: an empty primary, and an image without its pixels."""
    ny, nx = plane.shape
    primary = [
        ("SIMPLE", True, "conforms to FITS standard"),
        ("BITPIX", 8, "array data type"),
        ("NAXIS", 0, "number of array dimensions"),
        ("EXTEND", True, ""),
    ]
    image = [
        ("XTENSION", "IMAGE", "Image extension"),
        ("BITPIX", 8, "array data type"),
        ("NAXIS", 0, "number of array dimensions"),
        ("PCOUNT", 0, "number of parameters"),
        ("GCOUNT", 1, "number of groups"),
        *plane.wcs_cards,
        ("NPIX1", nx, "Length of array axis 1"),
        ("NPIX2", ny, "Length of array axis 2"),
        ("PIXVALUE", 0.0, "values of pixels in array"),
        ("EXTNAME", "WCS", "extension name"),
        ("EXTVER", 1, ""),
    ]
    texts = ["".join(card_as_astropy(*card) for card in cards) for cards in (primary, image)]
    return [Part("PRIMARY", 1, "PRIMARY", texts[0]), Part("WCS", 1, "IMAGE", texts[1])]


def write_table(solution: Solution, path: str | Path = "tweakreg.ecsv") -> Path:
    """Write the alignment's table as ECSV: named columns with units, the 2x2 matrix, the verdicts.

    The parameters that differ from DrizzlePac's defaults are in its metadata.
    """
    columns = solution.columns
    names = list(columns)
    columns["file"] = [_file(e) for e in solution.originals]
    meta: dict[str, Meta] = {
        "reference": solution.reference,
        "scale_arcsec": solution.plane.scale_arcsec,
        "drizzlewb": drizzlewb.__version__,
        "parameters": {k: repr(new) for k, (_, new) in solution.parameters.differences().items()},
        "crpix1": float(solution.plane.wcs.crpix[0] + 1.0),
        "crpix2": float(solution.plane.wcs.crpix[1] + 1.0),
    }
    ordered = {name: columns[name] for name in (names[0], "file", *names[1:])}
    return _write(Path(path), ecsv_text(ordered, UNITS, meta))


def write_log(solution: Solution, path: str | Path = "tweakreg.log", more: Sequence[str] = ()) -> Path:
    """Write what was done, in the manner of TweakReg's log, with our verdicts.

    Parameters
    ----------
    solution : Solution
    path : path
        Replaced if it exists.
    more : sequence of str
        Lines for the end: what was written into which header.
    """
    lines = [
        f"drizzlewb {drizzlewb.__version__} align, Python {sys.version.split()[0]}, numpy {np.__version__}",
        "",
        "USER INPUT PARAMETERS:",
        *(f"\t{name} :\t{value}" for name, value in solution.parameters.flat().items()),
        "",
        "Finding shifts for: ",
        *(f"    {_file(e)}" for e in solution.originals),
        "",
    ]
    for exposure, a in zip(solution.originals, solution.alignments, strict=True):
        for report in a.sources.reports:
            lines += [
                f"===  Source finding for image '{_file(exposure)}', EXT=('SCI', {report.extver})",
                f"   Finding sources using sky sigma = {report.sigma:.6f} (measured "
                f"{report.sigma_measured:.6f}, TweakReg's rule {report.sigma_tweakreg:.6f})",
                f"     Found {report.found} objects. "
                + ", ".join(f"{n} dropped: {reason}" for reason, n in report.dropped.items() if n),
            ]
        lines += [f"===  FINAL number of objects in image '{_file(exposure)}': {len(a.sources)}", ""]
    plane = solution.reference
    lines += [f"Performing alignment in the projection plane defined by the WCS of '{plane}'", ""]
    for exposure, a in zip(solution.originals, solution.alignments, strict=True):
        lines += [*_fit_lines(solution, exposure, a), f"Verdict: {a.verdict}", ""]
    return _write(Path(path), "\n".join([f"[INFO    ] {line}".rstrip() for line in [*lines, *more]]) + "\n")


def _fit_lines(solution: Solution, exposure: Exposure, a: Alignment) -> list[str]:
    fit = a.fit
    if fit is None:
        return [f"{_file(exposure)}: {a.status}"]
    m = fit.matrix
    mas = solution.scale_mas
    return [
        f"Found {len(a.index)} matches for {_file(exposure)}",
        f"Computed  {fit.geometry}  fit for  {_file(exposure)} :",
        f"XSH: {fit.shift[0]:.4f}  YSH: {fit.shift[1]:.4f}    ROT: {_angle(fit.rotation):.10g}    "
        f"SCALE: {fit.scale:.6f}",
        f"FIT XRMS: {fit.rms_xy[0]:<7.2g}    FIT YRMS: {fit.rms_xy[1]:<7.2g}  "
        f"({fit.rms_px * mas:.2f} mas; error of the mean {fit.error_px * mas:.3f} mas)",
        f"Matrix: {m[0, 0]:.9f} {m[0, 1]:.9f} {m[1, 0]:.9f} {m[1, 1]:.9f}",
        f"Final solution based on  {fit.nmatch}  objects.",
    ]
