"""Data-quality flags: what each bit means on each detector, and which bits an astronomer lets pass.

The meanings differ between instruments (512 is a bad flat on ACS and a warm pixel on WFPC2), so that
there is one cited table per instrument and no shared one.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from drizzlewb.errors import ParameterError

__all__ = ["ALL_BITS", "Bits", "Flag", "FlagTable", "NAMELESS", "TABLES", "flag_names", "good_bit_mask"]

ALL_BITS = 0xFFFF
"""DQ words are 16 bits wide."""

Bits = int | str | None | Iterable[int | str]
"""The forms in which ``*_bits`` may be given; see `good_bit_mask`."""


class Flag(NamedTuple):
    """One bit of a DQ array."""

    value: int
    name: str
    meaning: str


class FlagTable(NamedTuple):
    """The DQ bits of one instrument.

    Attributes
    ----------
    name : str
        The instrument.
    flags : tuple of Flag
        In order of bit; bits that are absent have no meaning there.
    source : str
        Where the meanings were read.
    """

    name: str
    flags: tuple[Flag, ...]
    source: str

    @property
    def by_name(self) -> Mapping[str, int]:
        """Name of the flag -> value of its bit."""
        return {flag.name: flag.value for flag in self.flags}

    @property
    def by_value(self) -> Mapping[int, Flag]:
        """Value of the bit -> flag."""
        return {flag.value: flag for flag in self.flags}


def _table(name: str, source: str, *flags: tuple[int, str, str]) -> FlagTable:
    return FlagTable(name, tuple(Flag(*flag) for flag in flags), source)


_LOST = (1, "lost", "Reed-Solomon decoding error: data lost in transmission or compression")
_FILLED = (2, "filled", "value replaced by a fill value")
_CR_DRIZZLE = (4096, "cr_drizzle", "cosmic ray or artefact found by drizzling (driz_cr)")

NAMELESS = FlagTable("a detector that is not known yet", (), "none")
"""Bits without names, for texts that are read before the files."""

TABLES: dict[str, FlagTable] = {
    table.name: table
    for table in (
        _table(
            "ACS",
            "STScI, ACS Data Quality Flags (web table; ACS ISR 2017-05, 2020-02, 2022-07); hstcal acsdq.h",
            _LOST,
            _FILLED,
            (4, "bad_pixel", "bad detector pixel or vignetted (HRC: the defect in the upper right corner)"),
            (8, "masked", "masked by an aperture feature, e.g. the HRC occulting finger"),
            (16, "hot", "hot pixel, dark current above 0.14 e-/s"),
            (32, "unstable", "unstable dark current between anneals (before 2017: tail of a hot pixel)"),
            (64, "warm", "warm pixel, dark current 0.06 to 0.14 e-/s"),
            (128, "bias", "bias structure, mostly bad or unstable columns"),
            (256, "saturated", "full-well saturation; usable at gain 2 unless 2048 is set too"),
            (512, "bad_reference", "bad pixel in a reference file (flat not defined, dust mote, edge)"),
            (1024, "charge_trap", "sink pixel (charge trap) or a pixel that it affects"),
            (2048, "atod_saturated", "A-to-D saturation: never usable"),
            _CR_DRIZZLE,
            (8192, "cr_split", "cosmic ray found by CR-SPLIT or repeat-obs combination (acsrej)"),
            (16384, "user", "flagged by hand, e.g. a satellite trail"),
        ),
        _table(
            "WFC3/UVIS",
            "WFC3 Data Handbook 5, table of DQ flags in section 2.2.3; hstcal wf3dq.h",
            _LOST,
            _FILLED,
            (4, "bad_pixel", "bad detector pixel"),
            (8, "masked", "masked by an aperture feature (not used for UVIS)"),
            (16, "hot", "hot pixel"),
            (32, "unstable", "unstable pixel (earlier calibrations: CTE tail)"),
            (64, "warm", "warm pixel"),
            (128, "bias", "bad pixel in the bias"),
            (256, "saturated", "full-well saturation"),
            (512, "bad_flat", "bad or uncertain value in the flat"),
            (1024, "charge_trap", "charge trap or sink pixel"),
            (2048, "atod_saturated", "A-to-D saturation"),
            _CR_DRIZZLE,
            (8192, "cr_split", "cosmic ray found in CR-SPLIT combination (wf3rej)"),
            (16384, "user", "ghost or crosstalk; used here for what is flagged by hand"),
        ),
        _table(
            "WFC3/IR",
            "WFC3 Data Handbook 5, table of DQ flags in section 2.2.3; hstcal wf3dq.h",
            _LOST,
            _FILLED,
            (4, "bad_pixel", "bad detector pixel"),
            (8, "bad_zero_read", "deviant value in the zeroth read"),
            (16, "hot", "hot pixel"),
            (32, "unstable", "unstable response"),
            (64, "warm", "warm pixel (not used today)"),
            (128, "bad_reference", "bad reference pixel or bias level"),
            (256, "saturated", "full-well saturation in the last usable read"),
            (512, "bad_flat", "bad or uncertain value in the flat, blobs included"),
            (1024, "spike", "spike found in the ramp fit (charge trap in early calibrations)"),
            (2048, "zero_read_signal", "signal in the zeroth read"),
            _CR_DRIZZLE,
            (8192, "cr_ramp", "cosmic ray found, and mended, by the ramp fit"),
            (16384, "user", "ghost, crosstalk or too many hits; used here for what is flagged by hand"),
        ),
        _table(
            "WFPC2",
            "WFPC2 Data Handbook, table 3.4 (as excerpted in STScI's WFPC2 Data Quality Flags)",
            (1, "lost", "Reed-Solomon decoding error: data lost in transmission or compression"),
            (2, "calibration", "flagged in a calibration file; covers the shadow of the pyramid"),
            (4, "bad_pixel", "permanent camera defect (not used)"),
            (8, "atod_saturated", "A-to-D saturation"),
            (16, "missing", "lost in readout or transmission (not used)"),
            (32, "bad_other", "bad pixel of another kind"),
            (128, "charge_trap", "permanent charge trap (not used)"),
            (256, "above_trap", "pixel above a charge trap, perhaps affected by it"),
            (512, "warm", "warm pixel that was not repaired"),
            (1024, "warm_repaired", "warm pixel that was repaired"),
            (2048, "chip_masked", "whole chip masked out (WF4 anomaly, PC excluded)"),
            _CR_DRIZZLE,
            (8192, "cr_split", "cosmic ray found in a combination of exposures"),
            (16384, "user", "flagged by hand, e.g. a satellite trail"),
        ),
        _table(
            "STIS",
            "STIS Data Handbook 7, table 2.9; hstcal stisdq.h",
            _LOST,
            _FILLED,
            (4, "bad_pixel", "bad detector pixel, or beyond the aperture"),
            (8, "masked", "masked by the occulting bar or the repeller wire"),
            (16, "hot", "hot pixel: dark rate above five sigma of the median"),
            (32, "large_blemish", "large blemish, deeper than 40 % of the flat"),
            (64, "vignetted", "vignetted pixel"),
            (128, "overscan", "pixel of the overscan"),
            (256, "saturated", "saturated, or count rate at 90 % of what the MAMA bears"),
            (512, "bad_reference", "bad pixel in a reference file"),
            (1024, "small_blemish", "small blemish, 40 to 70 % of the flat"),
            (2048, "bad_background", "bad pixels in the background (spectra only)"),
            (4096, "cr_drizzle", "cosmic ray found by drizzling; discarded in extraction (spectra)"),
            (8192, "cr_split", "rejected as a cosmic ray in CR-SPLIT combination (ocrreject)"),
            (16384, "user", "not CTI-corrected (spectra); used here for what is flagged by hand"),
        ),
        _table(
            "NICMOS",
            "NICMOS Data Handbook, table 2.2; STSDAS calnica calnic.h",
            _LOST,
            (2, "bad_linearity", "poor or uncertain linearity correction"),
            (4, "bad_dark", "poor or uncertain dark correction"),
            (8, "bad_flat", "poor or uncertain flat"),
            (16, "grot", "affected by grot (flecks of paint)"),
            (32, "bad_pixel", "defective pixel, hot or cold"),
            (64, "saturated", "saturated"),
            (128, "missing", "missing data (telemetry)"),
            (256, "bad_calibration", "found bad by the calibration (calnica)"),
            (512, "cr_ramp", "cosmic ray found by the ramp fit (calnica)"),
            (1024, "source", "holds a source (calnicb): no defect"),
            (2048, "zero_read_signal", "signal in the zeroth read"),
            _CR_DRIZZLE,
            (8192, "user_2", "user flag 2"),
            (16384, "user", "high curvature of the ramp; used here for what is flagged by hand"),
        ),
        _table(
            "generic",
            "none: the bits of an unknown detector have no names, but those that drizzlewb itself sets",
            _CR_DRIZZLE,
            (16384, "user", "flagged by hand, e.g. a satellite trail"),
        ),
    )
}


def flag_names(value: int, table: FlagTable) -> tuple[str, ...]:
    """Names of the flags that are set in a DQ value; a bit without a meaning is named by its value."""
    known = table.by_value
    bits = (1 << k for k in range(16))
    return tuple(known[bit].name if bit in known else str(bit) for bit in bits if int(value) & bit)


def good_bit_mask(bits: Bits, table: FlagTable) -> int:
    """Bits of a DQ value that do *not* make a pixel bad.

    Parameters
    ----------
    bits : int, str, None or iterable
        DrizzlePac's forms: ``336``, ``"336"``, ``"256,64,16"``, ``"256+64+16"``, ``"~4096"`` (all but
        4096), ``"~256,64"`` (all but these two), a list of flags, or names of this detector's flags
        (``"hot,saturated"``). ``None`` (also ``"None"``, ``"INDEF"``, an empty text): the DQ array is
        ignored. ``0``: every flagged pixel is bad.
    table : FlagTable
        Gives the names.

    Returns
    -------
    int
        0 to 65535; a pixel is good when ``dq & ~mask & 0xFFFF == 0``.

    Raises
    ------
    ParameterError
        Unknown name (the nearest is shown), a member of a list that is not a single bit, a number
        outside 16 bits, one that is not whole, or a negative number other than the complement of one flag.

    Notes
    -----
    Definition: `astropy.nddata.bitmask.interpret_bit_flags`, and drizzlepac 3.11 ``buildmask.py`` for
    what the result means. -17 is accepted as ``~16``; -16 is refused because it is nearly always
    meant as ``~16`` and means ``~15``.
    """
    if bits is None:
        return ALL_BITS
    if isinstance(bits, str):
        return _mask_of_text(bits, table)
    if isinstance(bits, Iterable):
        return _mask_of_list([str(item).strip() for item in bits], table)
    if isinstance(bits, bool) or not hasattr(bits, "__index__"):
        msg = f"DQ bits must be a whole number, a text or a list of bits, not {bits!r}"
        raise ParameterError(msg)
    return _mask_of_number(bits.__index__())


def _mask_of_text(text: str, table: FlagTable) -> int:
    body = text.strip()
    if body.upper() in ("", "NONE", "INDEF"):
        return ALL_BITS
    flip = body.startswith("~")
    body = body.lstrip("~").strip()
    if body.startswith("(") and body.endswith(")"):
        body = body[1:-1]
    items = [item.strip() for item in re.split(r"[,+|]", body.strip(" ,+|"))]
    if len(items) == 1 and re.fullmatch(r"-?\d+", items[0]):
        mask = _mask_of_number(int(items[0]))
    else:
        mask = _mask_of_list(items, table)
    return ~mask & ALL_BITS if flip else mask


def _mask_of_list(items: list[str], table: FlagTable) -> int:
    mask = 0
    names = table.by_name
    for item in items:
        if re.fullmatch(r"\d+", item):
            value = int(item)
            if len(items) > 1 and value & (value - 1):
                msg = (
                    f"DQ bits {','.join(items)!r}: {value} is no single flag; in a list each member must be "
                    f"a power of two (or write the sum as one number)"
                )
                raise ParameterError(msg)
            mask |= _mask_of_number(value)
        elif item.lower() in names:
            mask |= names[item.lower()]
        elif not names:
            msg = f"cannot read DQ bits {','.join(items)!r}: write 336, '256,64,16', '~4096' or None"
            raise ParameterError(msg)
        else:
            near = difflib.get_close_matches(item.lower(), names, n=1, cutoff=0.3)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            msg = f"unknown DQ flag {item!r} for {table.name}: known are {', '.join(names)}{hint}"
            raise ParameterError(msg)
    return mask


def _mask_of_number(value: int) -> int:
    if value < 0:
        rejected = ~value
        if rejected & (rejected - 1):
            msg = (
                f"DQ bits {value} mean bitwise ~{rejected}, all bits but those in {rejected}; "
                f"if you mean to reject one flag only, write '~{-value}'"
            )
            raise ParameterError(msg)
        return value & ALL_BITS
    if value > ALL_BITS:
        msg = f"DQ bits {value} do not fit into 16 bits (0 to {ALL_BITS})"
        raise ParameterError(msg)
    return value
