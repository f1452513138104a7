"""Synthetic FITS files of every instrument: small arrays, the cards that intake reads, any of them changed.

    from factory import write
    path = write(tmp_path / "j8ny01svq_flc.fits", "ACS/WFC", exptime=400)

Pixels are a reproducible Poisson-like field; `chips` of one call share pointing and roll.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

AMPS = "ABCD"


@dataclass(frozen=True)
class Kind:
    """Cards and layout of one detector's calibrated files."""

    suffix: str
    primary: Mapping[str, object]
    chips: tuple[int, ...]
    scale_arcsec: float
    bunit: str | None
    chip_keyword: str = ""
    exptime_in_sci: bool = False


def _ccd(instrument: str, detector: str, gain: float, noises: Sequence[float], **more: object) -> dict:
    cards: dict[str, object] = {
        "INSTRUME": instrument,
        "DETECTOR": detector,
        "CCDGAIN": gain,
        "CCDAMP": "ABCD",
    }
    cards |= {f"ATODGN{a}": gain + 0.01 * k for k, a in enumerate(AMPS)}
    cards |= {f"READNSE{a}": noise for a, noise in zip(AMPS, noises, strict=True)}
    return cards | more


# fmt: off
KINDS: dict[str, Kind] = {
    "ACS/WFC": Kind(
        "flc", _ccd("ACS", "WFC", 2.0, (4.1, 4.2, 4.3, 4.4), FILTER1="F606W", FILTER2="CLEAR2L"),
        (2, 1), 0.05, "ELECTRONS", "CCDCHIP",
    ),
    "ACS/HRC": Kind(
        "flt", _ccd("ACS", "HRC", 2.0, (0.0, 0.0, 4.7, 0.0), FILTER1="F555W", FILTER2="CLEAR2S", CCDAMP="C"),
        (1,), 0.025, "ELECTRONS",
    ),
    "ACS/SBC": Kind(
        "flt", {"INSTRUME": "ACS", "DETECTOR": "SBC", "FILTER1": "F150LP", "FILTER2": "N/A"},
        (1,), 0.03, "COUNTS",
    ),
    "WFC3/UVIS": Kind(
        "flc", _ccd("WFC3", "UVIS", 1.56, (3.0, 3.1, 3.1, 3.2), FILTER="F814W"),
        (2, 1), 0.0396, "ELECTRONS", "CCDCHIP",
    ),
    "WFC3/IR": Kind(
        "flt", _ccd("WFC3", "IR", 2.34, (20.2, 19.8, 19.9, 20.1), FILTER="F160W"), (1,), 0.1283, "ELECTRONS/S"
    ),
    "WFPC2": Kind(
        "c0m", {"INSTRUME": "WFPC2", "ATODGAIN": 7.0, "FILTNAM1": "F555W", "FILTNAM2": "", "MODE": "FULL"},
        (1, 2, 3, 4), 0.0996, None, "DETECTOR",
    ),
    "STIS/CCD": Kind(
        "flt",
        {"INSTRUME": "STIS", "DETECTOR": "CCD", "ATODGAIN": 1.03, "READNSE": 5.4, "CCDGAIN": 1,
         "FILTER": "Long_Pass", "APERTURE": "F28X50LP", "OBSTYPE": "IMAGING"},
        (1,), 0.0508, "COUNTS", exptime_in_sci=True,
    ),
    "STIS/NUV-MAMA": Kind(
        "flt", {"INSTRUME": "STIS", "DETECTOR": "NUV-MAMA", "FILTER": "Clear", "APERTURE": "25MAMA"},
        (1,), 0.0247, "COUNTS", exptime_in_sci=True,
    ),
    "STIS/FUV-MAMA": Kind(
        "flt", {"INSTRUME": "STIS", "DETECTOR": "FUV-MAMA", "FILTER": "Clear", "APERTURE": "25MAMA"},
        (1,), 0.0247, "COUNTS", exptime_in_sci=True,
    ),
    **{
        f"NICMOS/{camera}": Kind(
            "cal", {"INSTRUME": "NICMOS", "CAMERA": camera, "FILTER": "F160W", "ADCGAIN": gain},
            (1,), scale, "COUNTS/S",
        )
        for camera, gain, scale in ((1, 5.4, 0.0432), (2, 5.4, 0.0758), (3, 6.5, 0.203))
    },
}
# fmt: on


def tan_cards(
    shape: tuple[int, int],
    scale_arcsec: float,
    *,
    ra: float = 150.1,
    dec: float = 2.2,
    rotation_deg: float = 30.0,
    offset_px: tuple[float, float] = (0.0, 0.0),
    sip: bool = True,
) -> dict[str, object]:
    """Cards of a TAN(-SIP) WCS whose tangent point lies `offset_px` from the middle of the array."""
    ny, nx = shape
    s, t = scale_arcsec / 3600.0, math.radians(rotation_deg)
    cards: dict[str, object] = {
        "CTYPE1": "RA---TAN-SIP" if sip else "RA---TAN",
        "CTYPE2": "DEC--TAN-SIP" if sip else "DEC--TAN",
        "CRVAL1": ra, "CRVAL2": dec, "CUNIT1": "deg", "CUNIT2": "deg",
        "CRPIX1": nx / 2 + offset_px[0], "CRPIX2": ny / 2 + offset_px[1],
        "CD1_1": -s * math.cos(t), "CD1_2": s * math.sin(t),
        "CD2_1": s * math.sin(t), "CD2_2": s * math.cos(t),
        "RADESYS": "ICRS", "WCSNAME": "IDC_test0001",
        "IDCSCALE": scale_arcsec, "IDCTAB": "jref$test0001_idc.fits",
    }  # fmt: skip
    if sip:
        cards |= {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-6, "A_1_1": -2e-6, "B_0_2": 3e-6, "B_1_1": 1e-6}
    return cards


def pixels(shape: tuple[int, int], seed: int = 0, level: float = 100.0) -> np.ndarray:
    """Sky with noise and a few sources, float32."""
    rng = np.random.default_rng(seed)
    return rng.normal(level, math.sqrt(level), shape).astype(np.float32)


def write(
    path: Path,
    kind: str,
    *,
    exptime: float = 500.0,
    shape: tuple[int, int] = (40, 60),
    sets: int = 1,
    sci: Sequence[np.ndarray] | None = None,
    dq: Sequence[np.ndarray] | None = None,
    with_dq: bool = True,
    with_err: bool = True,
    primary: Mapping[str, object] | None = None,
    chip: Mapping[str, object] | None = None,
    sip: bool = True,
    ra: float = 150.1,
    dec: float = 2.2,
    seed: int = 0,
) -> Path:
    """Write a calibrated file of a detector and return its path.

    Parameters
    ----------
    path : Path
        Where; a name ending in .gz is compressed. WFPC2's flags go to the c1m beside a c0m.
    kind : str
        Key in `KINDS`.
    shape : tuple of int
        (ny, nx) of each chip.
    sets : int
        Image sets on the same chips (STIS CR-SPLIT).
    sci, dq : sequence of ndarray, optional
        Arrays of the chips in order of EXTVER; default a noisy sky and no flag.
    primary, chip : mapping, optional
        Cards added to, or with None removed from, the primary and the SCI headers.
    """
    layout = KINDS[kind]
    root = path.name.split("_")[0].split(".")[0]
    head = fits.Header()
    cards = {"TELESCOP": "HST", "ROOTNAME": root, "TARGNAME": "TEST FIELD", "DATE-OBS": "2015-03-04",
             "TIME-OBS": "05:06:07", "EXPSTART": 57085.2, "EXPTIME": exptime, "EXPFLAG": "NORMAL",
             "LINENUM": "01.001", "FILETYPE": "SCI"}  # fmt: skip
    _set(head, cards | dict(layout.primary) | dict(primary or {}))
    hdus: list[fits.hdu.base._BaseHDU] = [fits.PrimaryHDU(header=head)]
    flags: list[fits.hdu.base._BaseHDU] = [fits.PrimaryHDU(header=head.copy())]
    separate = kind == "WFPC2" and "_c0m" in path.name
    ver = 0
    for k in range(sets):
        for j, number in enumerate(layout.chips):
            ver += 1
            index = k * len(layout.chips) + j
            data = sci[index] if sci is not None else pixels(shape, seed + index)
            # Chips lie above one another, a gap of ten pixels between them.
            offset = (0.0, -j * (data.shape[0] + 10.0))
            cards = tan_cards(data.shape, layout.scale_arcsec, ra=ra, dec=dec, offset_px=offset, sip=sip)
            cards |= {"PHOTFLAM": 7.9e-20, "PHOTPLAM": 5921.0, "PHOTZPT": -21.1, "MEANDARK": 2.5}
            if layout.bunit:
                cards["BUNIT"] = layout.bunit
            if layout.chip_keyword:
                cards[layout.chip_keyword] = number
            if layout.exptime_in_sci:
                cards["EXPTIME"] = exptime / sets
            header = fits.Header()
            _set(header, cards | dict(chip or {}))
            hdus.append(fits.ImageHDU(data, header, name="SCI", ver=ver))
            if with_err and not separate:
                hdus.append(fits.ImageHDU(np.sqrt(np.abs(data)).astype(np.float32), name="ERR", ver=ver))
            if with_dq:
                words = dq[index] if dq is not None else np.zeros(data.shape, np.int16)
                (flags if separate else hdus).append(
                    fits.ImageHDU(words, name="SDQ" if separate else "DQ", ver=ver)
                )
    fits.HDUList(hdus).writeto(path, overwrite=True)
    if separate and with_dq:
        flags[0].header["FILETYPE"] = "SDQ"
        fits.HDUList(flags).writeto(path.with_name(path.name.replace("_c0m", "_c1m")), overwrite=True)
    return path


def write_generic(
    path: Path, *, shape: tuple[int, int] = (40, 60), wcs: bool = True, **cards: object
) -> Path:
    """A plain FITS image, pixels in the primary HDU, with or without a celestial WCS."""
    header = fits.Header()
    _set(header, (tan_cards(shape, 0.2, sip=False) if wcs else {}) | {"EXPTIME": 30.0, "GAIN": 1.5} | cards)
    fits.PrimaryHDU(pixels(shape), header).writeto(path, overwrite=True)
    return path


def write_association(path: Path, members: Sequence[tuple[str, str, bool]]) -> Path:
    """An association table of (MEMNAME, MEMTYPE, MEMPRSNT)."""
    names, kinds, present = zip(*members, strict=True)
    columns = [
        fits.Column("MEMNAME", "14A", array=np.array(names)),
        fits.Column("MEMTYPE", "14A", array=np.array(kinds)),
        fits.Column("MEMPRSNT", "L", array=np.array(present)),
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(path, overwrite=True)
    return path


def _set(header: fits.Header, cards: Mapping[str, object]) -> None:
    for keyword, value in cards.items():
        if value is not None:
            header[keyword] = value
