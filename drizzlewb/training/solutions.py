"""Choosing among the WCS solutions that archive files carry as alternates."""

from __future__ import annotations

import logging
import os
import re
import string
from pathlib import Path

from astropy.io import fits

from drizzlewb.errors import DataError

__all__ = ["activate_solution", "solution_names"]

log = logging.getLogger(__name__)

_LINEAR = (
    "WCSAXES", "CRPIX1", "CRPIX2", "CUNIT1", "CUNIT2", "CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2",
    "LONPOLE", "LATPOLE", "RADESYS", "CD1_1", "CD1_2", "CD2_1", "CD2_2", "WCSNAME",
)  # fmt: skip
# What tells how a solution was found; NMATCHES is a letter too long to carry a key.
_ABOUT = {
    "WCSTYPE": "WCSTYPE",
    "HDRNAME": "HDRNAME",
    "CRDER1": "CRDER1",
    "CRDER2": "CRDER2",
    "RMS_RA": "RMS_RA",
    "RMS_DEC": "RMS_DEC",
    "NMATCHES": "NMATCH",
    "FITGEOM": "FITGEOM",
}
_FAMILIES = {
    "IDC": re.compile(r"IDC_[A-Za-z0-9]+"),  # the distortion only: nothing after the table's name
}


def solution_names(header: fits.Header) -> dict[str, str]:
    """Solutions of a SCI header by key: ``''`` is the active one, ``'A'`` and so on the alternates."""
    names = {}
    for key in ("", *string.ascii_uppercase):
        name = str(header.get("WCSNAME" + key, "")).strip()
        if name:
            names[key] = name
    return names


def activate_solution(path: Path | str, wcs: str = "IDC") -> str:
    """Make another solution the active one in a file, keeping every other as an alternate.

    Parameters
    ----------
    path : path
        FITS file, rewritten whole and then renamed.
    wcs : str
        ``'IDC'`` for the distortion-only solution, or the exact name of one.

    Returns
    -------
    str
        Name of the solution that is active now.

    Raises
    ------
    DataError
        A SCI extension does not carry such a solution, or has no free key for the active one.

    Notes
    -----
    Alternates of one file share its distortion (SIP, NPOL, D2IM), as the pipeline writes them, so that
    only the linear part is exchanged.
    """
    path = Path(path)
    with fits.open(path, memmap=False, lazy_load_hdus=False) as hdul:
        chips = [hdu for hdu in hdul if hdu.name == "SCI"]
        if not chips:
            msg = f"activating a WCS: {path.name} has no SCI extension; expected a calibrated exposure."
            raise DataError(msg)
        chosen = ""
        for hdu in chips:
            chosen = _activate(hdu.header, wcs, f"{path.name}[SCI,{hdu.ver}]")
        part = path.with_name(path.name + ".part")
        hdul.writeto(part, overwrite=True, output_verify="silentfix")
    os.replace(part, path)
    return chosen


def _activate(header: fits.Header, wcs: str, what: str) -> str:
    names = solution_names(header)
    pattern = _FAMILIES.get(wcs)

    def fits_request(name: str) -> bool:
        return pattern.fullmatch(name) is not None if pattern else name == wcs

    active = names.get("", "")
    if fits_request(active):
        return active
    source = next((key for key, name in names.items() if key and fits_request(name)), None)
    if source is None:
        msg = (
            f"activating a WCS: {what} carries no solution {wcs!r}; "
            f"it has {', '.join(sorted(set(names.values()))) or 'none with a name'}."
        )
        raise DataError(msg)
    if active and active not in [name for key, name in names.items() if key]:
        free = next((key for key in string.ascii_uppercase if key not in names and key != "O"), None)
        if free is None:
            msg = f"activating a WCS: {what} has no free key to keep {active!r} under; remove an alternate."
            raise DataError(msg)
        _store(header, free)
    for key in _ABOUT:
        header.remove(key, ignore_missing=True)
    for key in _LINEAR:
        if key + source in header:
            header[key] = (header[key + source], header.comments[key + source])
    for plain, stem in _ABOUT.items():
        if stem + source in header:
            header[plain] = (header[stem + source], header.comments[stem + source])
    return names[source]


def _store(header: fits.Header, free: str) -> None:
    for plain, stem in {**{key: key for key in _LINEAR}, **_ABOUT}.items():
        if plain in header:
            header.set(stem + free, header[plain], header.comments[plain])
