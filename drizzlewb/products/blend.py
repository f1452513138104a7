"""Headers of a product: what the inputs share, what the drizzle adds, and a table of the rest."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits

from drizzlewb import __version__
from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid
from drizzlewb.parameters import ReduceParameters

__all__ = [
    "context_header",
    "header_table",
    "primary_header",
    "science_header",
    "table_hdu",
    "weight_header",
]

# Cards that describe one input's file or distorted frame and would be wrong on the product.
_STRUCTURE = re.compile(
    r"^(SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|EXTEND|GROUPS|BSCALE|BZERO|BLANK|EXTNAME|EXTVER|EXTLEVEL"
    r"|CHECKSUM|DATASUM|NPIX\d|PIXVALUE|INHERIT|NEXTEND|TFIELDS|THEAP|)$"
)
_FRAME = re.compile(
    r"^(WCSAXES|WCSNAME|WCSTYPE|CRPIX\d|CRVAL\d|CDELT\d|CTYPE\d|CUNIT\d|CD\d_\d|PC\d_\d|LONPOLE|LATPOLE|CRDER\d"
    r"|CSYER\d|RADESYS|EQUINOX|ORIENTAT|PA_APER|VAFACTOR|LTV\d|LTM\d_\d|OCX\d+|OCY\d+|OCD?\d_\d|OC[RV]\w*|ONAXIS\d|OORIENTA"
    r"|[AB]P?_(ORDER|DMAX|\d+_\d+)|D2IM.*|CPDIS\d|CPERR\d|DP\d.*|NPOLEXT|AXISCORR|IDCSCALE|IDCTHETA|IDCX?REF|IDCYREF"
    r"|IDCV[23]REF|IDCXREF|TDD\w*|CX\d+|CY\d+|MDRIZSKY|NMATCHES|RMS_RA|RMS_DEC|HDRNAME|SIPNAME|WCSRMS\w*|FITNAME"
    r"|(WCSAXES|WCSNAME|WCSTYPE|CRPIX\d|CRVAL\d|CDELT\d|CTYPE\d|CUNIT\d|CD\d_\d|PC\d_\d|LONPOLE|LATPOLE|CRDER\d"
    r"|CSYER\d|RADESYS|EQUINOX|ORIENTAT|NMATCHES|RMS_RA|RMS_DEC|HDRNAME)[A-Z])$"
)


def _kept(header: fits.Header) -> fits.Header:
    kept = fits.Header()
    for card in header.cards:
        if not _STRUCTURE.match(card.keyword) and not _FRAME.match(card.keyword):
            kept.append(card, end=True)
    return kept


def _grid_cards(grid: OutputGrid) -> fits.Header:
    """WCS cards of the product; its structural cards come with the pixels."""
    header = grid.to_header()
    for keyword in ("NAXIS", "NAXIS1", "NAXIS2"):
        header.remove(keyword, ignore_missing=True)
    return header


def primary_header(
    exposures: Sequence[Exposure],
    parameters: ReduceParameters,
    grid: OutputGrid,
    filename: str,
    names: dict[str, str],
) -> fits.Header:
    """Primary header of a product.

    The first exposure's header is the template, as in DrizzlePac; times are those of the whole stack,
    and each input chip gets DrizzlePac's ``D001*`` family of cards.

    Parameters
    ----------
    exposures : sequence of Exposure
        Inputs in stack order.
    parameters : ReduceParameters
        All parameters.
    grid : OutputGrid
        Grid of the product.
    filename : str
        Name of the file.
    names : dict
        File names of the ``sci``, ``wht`` and ``ctx`` parts.
    """
    header = _kept(exposures[0].primary)
    p = parameters.final
    total = sum(e.exptime for e in exposures)
    header["FILENAME"] = (filename, "name of file")
    header["ROOTNAME"] = (re.sub(r"_(drc|drz|drw)(_\w+)?\.fits$", "", filename), "rootname of the product")
    header["PROD_VER"] = (f"drizzlewb {__version__}", "software that made this product")
    header["EXPTIME"] = (total, "total exposure time of the inputs (s)")
    header["TEXPTIME"] = (total, "total exposure time of the inputs (s)")
    starts = [e.primary["EXPSTART"] for e in exposures if "EXPSTART" in e.primary]
    ends = [e.primary["EXPEND"] for e in exposures if "EXPEND" in e.primary]
    if starts:
        header["EXPSTART"] = (min(starts), "start of the first exposure (MJD)")
    if ends:
        header["EXPEND"] = (max(ends), "end of the last exposure (MJD)")
    for keyword in ("DRIZCORR", "DITHCORR"):
        if keyword in header:
            header[keyword] = "COMPLETE"
    header["ASN_MTYP"] = ("PROD-DTH", "role of this file: a combined product")
    chips = [(e, c) for e in exposures for c in e.chips]
    header["NDRIZIM"] = (len(chips), "images (chips) drizzled onto this one")
    for number, (exposure, chip) in enumerate(chips, 1):
        prefix = f"D{number:03d}"
        for suffix, value, comment in (
            ("VER", f"drizzlewb {__version__}", "software version"),
            ("GEOM", "wcs", "source of the geometry"),
            ("DATA", f"{Path(exposure.path).name}[sci,{chip.extver}]", "input image"),
            ("DEXP", chip.exptime, "exposure time of the input (s)"),
            ("OUDA", names["sci"], "output image"),
            ("OUWE", names["wht"], "output weight image"),
            ("OUCO", names["ctx"], "output context image"),
            (
                "WTSC",
                p.final_wt_scl if p.final_wht_type == "EXP" else p.final_wht_type,
                "weight of the input",
            ),
            ("KERN", p.final_kernel, "kernel"),
            ("PIXF", p.final_pixfrac, "linear size of a drop (input pixels)"),
            ("COEF", "SIP", "source of the distortion"),
            ("OUUN", p.final_units, "counts or cps"),
            ("FVAL", "INDEF" if p.final_fillval is None else p.final_fillval, "value where weight is 0"),
            ("WKEY", parameters.general.wcskey, "WCS of the input that was used"),
            ("SCAL", grid.scale_arcsec, "pixel scale of the product (arcsec)"),
            ("ISCL", chip.pixel_scale_arcsec, "undistorted pixel scale of the input (arcsec)"),
        ):
            # From the thousandth chip on, standard keywords are used up: FITS allows eight characters.
            keyword = prefix + suffix
            keyword = f"HIERARCH {keyword}" if len(keyword) > 8 else keyword
            # Values are padded to column 30; a comment that does not fit beside a long name is cut.
            room = 80 - max(30, len(keyword) + 5 + len(str(value))) - 3
            header[keyword] = (value, comment[: max(0, room)])
    return header


def science_header(
    exposures: Sequence[Exposure], grid: OutputGrid, unit: str, unit_ratio: float
) -> fits.Header:
    """Header of the SCI part: the first chip's, freed of its distorted frame, on the product's grid.

    Parameters
    ----------
    exposures : sequence of Exposure
        Inputs in stack order.
    grid : OutputGrid
        Grid of the product.
    unit : str
        BUNIT of the product.
    unit_ratio : float
        Product units per native unit; PHOTFLAM and PHOTFNU are divided by it, so that magnitudes from
        the product and its own header stay right.
    """
    chip = exposures[0].chips[0]
    header = _kept(chip.header)
    for keyword in ("PHOTFLAM", "PHOTFNU"):
        for source in (chip.header, exposures[0].primary):
            if keyword in source:
                header[keyword] = (float(source[keyword]) / unit_ratio, source.comments[keyword])
                break
    for keyword in ("OBJECT", "CCDCHIP"):
        header.remove(keyword, ignore_missing=True)
    header["NCOMBINE"] = (len(exposures), "number of exposures combined")
    header["BUNIT"] = (unit, "units of the science image")
    header.extend(_grid_cards(grid), update=True)
    header["VAFACTOR"] = (1.0, "velocity aberration is in the input WCS already")
    return header


def weight_header(grid: OutputGrid, kind: str) -> fits.Header:
    """Header of the WHT part."""
    header = _grid_cards(grid)
    header["WHTTYPE"] = (kind, "what the weights are: EXP, ERR or IVM")
    return header


def context_header(grid: OutputGrid) -> fits.Header:
    """Header of the CTX part."""
    header = _grid_cards(grid)
    header["COMMENT"] = "Bit i of plane k is set where chip 32k + i (D001DATA, ...) contributes."
    return header


def header_table(exposures: Sequence[Exposure]) -> fits.BinTableHDU:
    """DrizzlePac's HDRTAB: a row per chip, a column per keyword of the inputs."""
    rows = []
    for exposure in exposures:
        primary = _kept(exposure.primary)
        for chip in exposure.chips:
            merged = {k: v for k, v in primary.items() if k not in ("COMMENT", "HISTORY")}
            merged.update({k: v for k, v in _kept(chip.header).items() if k not in ("COMMENT", "HISTORY")})
            rows.append({k: v for k, v in merged.items() if not isinstance(v, fits.card.Undefined)})
    names = list(dict.fromkeys(name for row in rows for name in row))[:999]
    columns = []
    for name in names:
        values = [row.get(name) for row in rows]
        present = [v for v in values if v is not None]
        if all(isinstance(v, bool) for v in present):
            columns.append(fits.Column(name, "L", array=np.array([bool(v) for v in values])))
        elif all(isinstance(v, int) and not isinstance(v, bool) for v in present):
            filled = np.array([0 if v is None else v for v in values], np.int64)
            columns.append(fits.Column(name, "K", array=filled))
        elif all(isinstance(v, (int, float)) for v in present):
            filled = np.array([np.nan if v is None else v for v in values], np.float64)
            columns.append(fits.Column(name, "D", array=filled))
        else:
            text = ["" if v is None else str(v) for v in values]
            columns.append(fits.Column(name, f"{max(1, max(map(len, text)))}A", array=np.array(text)))
    return table_hdu(columns, "HDRTAB")


def table_hdu(columns: Sequence[fits.Column], name: str) -> fits.BinTableHDU:
    """Binary table of these columns.

    As ``BinTableHDU.from_columns`` makes it, which first imports astropy.table and with it more than a run
    needs, half a second.
    """
    table = fits.BinTableHDU(name=name)
    table.data = fits.FITS_rec.from_columns(fits.ColDefs(columns))
    return table
