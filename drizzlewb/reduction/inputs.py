"""Exposures as the parameters ask for them: other WCS, other detector values, some chips only."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from astropy.io import fits

from drizzlewb.distortion import linear, replace_tan
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import Chip, Exposure, equalised, with_instrument_overrides
from drizzlewb.exposure.fitsfile import scan
from drizzlewb.parameters import ReduceParameters
from drizzlewb.products.inputs_update import refuse_changed

__all__ = ["as_asked"]


def as_asked(exposures: Sequence[Exposure], parameters: ReduceParameters) -> list[Exposure]:
    """Copies of the exposures with ``group``, ``wcskey``, ``coeffs`` and the instrument parameters applied,
    and with one PHOTFLAM where ``equalise`` asks for it.

    Raises
    ------
    DataError
        A file was changed since it was read; a chip has no WCS of that key; ``group`` leaves no chip; a
        chip without PHOTFLAM.
    ParameterError
        Instrument parameters that contradict each other.
    """
    refuse_changed(exposures)
    general, instrument = parameters.general, parameters.instrument
    chosen = [_group(exposure, general.group) for exposure in exposures]
    if general.wcskey:
        chosen = [_with_key(exposure, general.wcskey) for exposure in chosen]
    if not general.coeffs:
        chosen = [e.with_wcs([linear(c.wcs) for c in e.chips]) for e in chosen]
    chosen = with_instrument_overrides(
        chosen,
        gain=instrument.gain,
        gnkeyword=instrument.gnkeyword,
        rdnoise=instrument.rdnoise,
        rnkeyword=instrument.rnkeyword,
        exptime=instrument.exptime,
        expkeyword=instrument.expkeyword,
    )
    return equalised(chosen) if parameters.extra.equalise else chosen


def _group(exposure: Exposure, group: str) -> Exposure:
    """Chips named by DrizzlePac's ``group``: ``'sci,2'`` by EXTVER; ``'1,4'`` by place in the file.

    Source: ``drizzlepac/util.py``, ``_parse_ext_spec``.
    """
    words = [word.strip() for word in group.split(",") if word.strip()]
    if not words:
        return exposure
    hdus = scan(exposure.path)
    if len(words) == 2 and words[0].isalpha():
        wanted = [(words[0].upper(), int(words[1]))]
    else:
        places = {hdu.number: (hdu.name, hdu.ver) for hdu in hdus}
        wanted = [places.get(int(word), ("", 0)) for word in words]
    chips = tuple(chip for chip in exposure.chips if ("SCI", chip.extver) in wanted)
    if not chips or any(name != "SCI" for name, _ in wanted):
        found = ", ".join(f"{hdu.number}: {hdu.name},{hdu.ver}" for hdu in hdus if hdu.name == "SCI")
        msg = (
            f"group={group!r}: {exposure.path} has these SCI extensions (place in the file: name): {found}. "
            "Write 'sci,2', or their places, as '1,4'."
        )
        raise DataError(msg)
    return dataclasses.replace(exposure, chips=chips)


def _with_key(exposure: Exposure, wcskey: str) -> Exposure:
    solutions = [_alternate(chip, chip.header, wcskey) for chip in exposure.chips]
    return exposure.with_wcs(solutions, wcsname=wcskey)


def _alternate(chip: Chip, header: fits.Header, wcskey: str):  # noqa: ANN202
    """Packed WCS of an alternate solution, by letter or WCSNAME; it shares the primary's distortion."""
    keys = {header[k]: k[7:] for k in header if k.startswith("WCSNAME") and len(k) <= 8}
    key = wcskey if len(wcskey) == 1 and wcskey.isupper() else keys.get(wcskey)
    if key == "":
        return chip.wcs
    if key is None or f"CRVAL1{key}" not in header:
        known = ", ".join(f"{letter or 'primary'}: {name}" for name, letter in keys.items()) or "none"
        msg = (
            f"wcskey={wcskey!r}: {chip.path} chip {chip.extver} has no such WCS. It has {known}. "
            "Give one of these letters or names."
        )
        raise DataError(msg)
    crpix = np.array([header[f"CRPIX1{key}"], header[f"CRPIX2{key}"]]) - 1.0
    if not np.allclose(crpix, chip.wcs.crpix, rtol=0, atol=1e-6) and chip.wcs.sip_a.size:
        msg = (
            f"wcskey={wcskey!r}: {chip.path} chip {chip.extver} has its reference pixel elsewhere than the "
            "primary WCS, whose distortion therefore does not belong to it. Update the distortion first."
        )
        raise DataError(msg)
    if "-SIP" in str(header.get(f"CTYPE1{key}", "")) or not chip.wcs.sip_a.size:
        base = chip.wcs
    else:
        base = linear(chip.wcs)
    cd = np.array([[header.get(f"CD{i}_{j}{key}", 0.0) for j in (1, 2)] for i in (1, 2)])
    if not np.linalg.det(cd):
        msg = f"wcskey={wcskey!r}: {chip.path} chip {chip.extver} has no usable CD matrix for it."
        raise ParameterError(msg)
    packed = replace_tan(base, [header[f"CRVAL1{key}"], header[f"CRVAL2{key}"]], cd)
    return packed._replace(crpix=crpix)
