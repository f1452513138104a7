"""One table per detector: chips, units, gains and noises, starting parameters, names of products.

Numbers that a header carries are read from it; the numbers here are for what it does not carry. Where
nothing else is said, keywords and constants are those of drizzlepac 3.11 (``acsData.py``,
``wfc3Data.py``, ``wfpc2Data.py``, ``stisData.py``, ``nicmosData.py``).
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.quality import TABLES, FlagTable

__all__ = [
    "DETECTORS",
    "ChipNumbers",
    "Detector",
    "chip_numbers",
    "cte_direction",
    "default_good_bits",
    "detector",
    "filters",
    "identify",
    "mean_of_nonzero",
    "product_suffix",
    "shadow_edges",
    "unit_of",
]

_AMPS = "ABCD"
_GAINS = tuple(f"ATODGN{amp}" for amp in _AMPS)
_NOISES = tuple(f"READNSE{amp}" for amp in _AMPS)


@dataclass(frozen=True)
class Detector:
    """What drizzlewb knows about a detector.

    Attributes
    ----------
    name : str
        ``INSTRUMENT/DETECTOR``, the key in `DETECTORS`.
    flags : FlagTable
        Meanings of the DQ bits.
    unit : str
        Unit of SCI where BUNIT is missing.
    full_shape : tuple of int
        (ny, nx) of a whole chip after calibration.
    scale_arcsec : float
        Nominal pixel scale.
    good_bits : int
        DQ values that a final drizzle usually takes as good.
    conv_width : float
        Starting FWHM of the finding kernel in pixels.
    gain_keywords, read_noise_keywords : tuple of str
        Keywords whose non-zero values are averaged; empty where the header has none.
    gain, read_noise, dark : float
        Values where the header is silent: e-/DN, e-, e-/s.
    dark_keyword : str
        Keyword of the dark removed, in electrons per exposure; empty where there is none.
    """

    name: str
    flags: FlagTable
    unit: str
    full_shape: tuple[int, int]
    scale_arcsec: float
    good_bits: int
    conv_width: float
    gain_keywords: tuple[str, ...] = ()
    read_noise_keywords: tuple[str, ...] = ()
    gain: float = 1.0
    read_noise: float = 0.0
    dark: float = 0.0
    dark_keyword: str = ""
    exptime_in_sci: bool = False
    filter_keywords: tuple[str, ...] = ("FILTER",)
    product: str = "drz"
    known: bool = field(default=True, repr=False)


class ChipNumbers(NamedTuple):
    """Noise model of one chip: e-/DN, e-, e-/s, and which of them are nominal for want of keywords."""

    gain: float
    read_noise: float
    dark: float
    nominal: tuple[str, ...]


# Nominal read noises: ACS IHB 4.2.1 (WFC after the 2009 repair 4.0-4.5 e-, HRC 4.7 e-), WFC3 IHB 5.4.1
# (3.1 e-) and 5.7.3 (12 e- for 16 samples), STIS IHB 7.2.10 (5.4 e- at gain 1). conv_width is twice the
# FWHM of a star (field practice: 3.5 ACS/WFC and UVIS, 2.5 IR). Good bits: ACS/WFC, UVIS, HRC, SBC, WFPC2
# and IR as the DrizzlePac tutorials and pipeline presets take them; STIS none; NICMOS only "source".
DETECTORS: dict[str, Detector] = {
    entry.name: entry
    for entry in (
        Detector(
            "ACS/WFC", TABLES["ACS"], "electrons", (2048, 4096), 0.05, 336, 3.5, _GAINS, _NOISES,
            gain=2.0, read_noise=4.2, dark_keyword="MEANDARK", filter_keywords=("FILTER1", "FILTER2"),
        ),
        Detector(
            "ACS/HRC", TABLES["ACS"], "electrons", (1024, 1024), 0.025, 64, 4.5, _GAINS, _NOISES,
            gain=2.0, read_noise=4.7, dark_keyword="MEANDARK", filter_keywords=("FILTER1", "FILTER2"),
        ),
        Detector(
            "ACS/SBC", TABLES["ACS"], "counts", (1024, 1024), 0.025, 0, 6.0,
            dark_keyword="MEANDARK", filter_keywords=("FILTER1", "FILTER2"),
        ),
        Detector(
            "WFC3/UVIS", TABLES["WFC3/UVIS"], "electrons", (2051, 4096), 0.0396, 336, 3.5, _GAINS, _NOISES,
            gain=1.56, read_noise=3.1, dark_keyword="MEANDARK",
        ),
        Detector(
            "WFC3/IR", TABLES["WFC3/IR"], "electrons/s", (1014, 1014), 0.1283, 528, 2.5, _GAINS, _NOISES,
            gain=2.4, read_noise=12.0, dark_keyword="MEANDARK",
        ),
        # Gain and read noise: `_WFPC2_NUMBERS`. Dark: drizzlepac's 0.005 e-/s.
        Detector(
            "WFPC2", TABLES["WFPC2"], "counts", (800, 800), 0.0996, 1024, 3.0,
            gain=7.0, read_noise=5.3, dark=0.005, filter_keywords=("FILTNAM1", "FILTNAM2"), product="drw",
        ),
        Detector(
            "STIS/CCD", TABLES["STIS"], "counts", (1024, 1024), 0.0508, 0, 3.5, ("ATODGAIN",), ("READNSE",),
            gain=1.0, read_noise=5.4, dark=0.009, exptime_in_sci=True, filter_keywords=("FILTER", "APERTURE"),
        ),
        Detector(
            "STIS/NUV-MAMA", TABLES["STIS"], "counts", (1024, 1024), 0.0247, 0, 4.0,
            dark=0.0013, exptime_in_sci=True, filter_keywords=("FILTER", "APERTURE"),
        ),
        Detector(
            "STIS/FUV-MAMA", TABLES["STIS"], "counts", (1024, 1024), 0.0247, 0, 4.0,
            dark=1e-4, exptime_in_sci=True, filter_keywords=("FILTER", "APERTURE"),
        ),
        # STIS IHB 7.5.2: 5e-6 to 4e-4 counts/s over the FUV MAMA (drizzlepac's 0.07 is no rate per pixel).
        # drizzlepac hard-codes gain, read noise and dark of the three NICMOS cameras.
        Detector("NICMOS/1", TABLES["NICMOS"], "counts/s", (256, 256), 0.0432, 1024, 5.0,
                 gain=5.4, read_noise=26.0, dark=0.08),
        Detector("NICMOS/2", TABLES["NICMOS"], "counts/s", (256, 256), 0.0758, 1024, 4.0,
                 gain=5.4, read_noise=26.0, dark=0.08),
        Detector("NICMOS/3", TABLES["NICMOS"], "counts/s", (256, 256), 0.203, 1024, 2.5,
                 gain=6.5, read_noise=29.0, dark=0.15),
        Detector("generic", TABLES["generic"], "counts", (0, 0), 0.0, 0, 3.5, ("GAIN",), ("RDNOISE",),
                 filter_keywords=("FILTER", "FILTER1", "FILTER2"), known=False),
    )
}  # fmt: skip

# {chip: {ATODGAIN: (e-/DN, e-)}}: WFPC2 Instrument Handbook 10, table 4.2 (Holtzman et al. 1995, PASP 107,
# 1065), as in drizzlepac's wfpc2Data.WFPC2_GAINS. ATODGAIN says 7 or 15; the true gains are 7 and 14.
_WFPC2_NUMBERS = {
    1: {7: (7.12, 5.24), 15: (13.99, 7.02)},
    2: {7: (7.12, 5.51), 15: (14.50, 7.84)},
    3: {7: (6.90, 5.22), 15: (13.95, 6.99)},
    4: {7: (7.10, 5.19), 15: (13.95, 8.32)},
}

# Edge of the pyramid's shadow, (c0, c1, c2) of c0 + c1 t + c2 t^2 in one-based pixels: x of the edge as a
# polynomial in y, then y of the edge as a polynomial in x. Measured for STSDAS' wmosaic ("get_edge2"),
# quoted in drizzlepac's buildmask.py, which evaluates each polynomial along the wrong axis and then does
# not use the mask; checked against the calibration flags of a real c1m file, whose shadow the edges trace
# within a pixel along all of both axes of the four chips.
_SHADOW_EDGES = {
    1: ((42.62779, 0.009122855, -1.106709e-5), (52.20921, 0.009072887, -9.941337e-6)),
    2: ((47.68184, 0.00265608, -1.468158e-5), (21.77283, 0.01842164, -1.398300e-5)),
    3: ((30.23626, 0.008156041, -1.491324e-5), (44.18944, 0.0138938, -1.412296e-5)),
    4: ((40.91462, 0.01273679, -1.063462e-5), (44.56632, 0.003509023, -1.278723e-5)),
}

_UNITS = {
    "ELECTRONS": "electrons", "ELECTRON": "electrons", "E-": "electrons", "E": "electrons",
    "COUNTS": "counts", "COUNT": "counts", "CT": "counts", "CTS": "counts", "DN": "counts", "ADU": "counts",
}  # fmt: skip
_PER_SECOND = ("/S", "/SEC", "/SECOND", " S-1", "*S-1", " S^-1", " S**-1")


def detector(name: str) -> Detector:
    """Entry of `DETECTORS` by name; an unknown name raises `ParameterError` with the nearest."""
    try:
        return DETECTORS[name]
    except KeyError:
        near = difflib.get_close_matches(name, DETECTORS, n=1, cutoff=0.2)
        msg = f"unknown detector {name!r}: known are {', '.join(DETECTORS)}"
        if near:
            msg += f"; did you mean {near[0]!r}?"
        raise ParameterError(msg) from None


def identify(primary: Mapping[str, Any]) -> Detector | None:
    """Detector that a primary header names; None where INSTRUME and DETECTOR are not in our tables.

    A drizzled product keeps the INSTRUME card of its inputs but no longer is that detector: it is
    identified as generic.
    """
    if "NDRIZIM" in primary or "D001DATA" in primary:
        return DETECTORS["generic"]
    instrument = str(primary.get("INSTRUME", "")).strip().upper()
    if instrument == "NICMOS":
        name = f"NICMOS/{primary.get('CAMERA', '')}"
    elif instrument == "WFPC2":
        name = "WFPC2"
    else:
        name = f"{instrument}/{str(primary.get('DETECTOR', '')).strip().upper()}"
    return DETECTORS.get(name)


def unit_of(bunit: str | None, entry: Detector, where: str) -> str:
    """Unit of a science array: 'electrons', 'electrons/s', 'counts' or 'counts/s'.

    One rule for all: BUNIT if it is there, else the detector's own unit (real WFPC2 files carry none).

    Raises
    ------
    DataError
        BUNIT is none of these units.
    """
    text = " ".join(str(bunit or "").upper().split())
    if not text:
        return entry.unit
    per_second = False
    for ending in _PER_SECOND:
        if text.endswith(ending):
            text, per_second = text[: -len(ending)].strip(), True
            break
    if text in _UNITS:
        return _UNITS[text] + ("/s" if per_second else "")
    msg = (
        f"{where}: BUNIT = {bunit!r} cannot be turned into electrons; expected ELECTRONS, ELECTRONS/S, "
        f"COUNTS or COUNTS/S. Give the calibrated file before its conversion to flux units"
    )
    raise DataError(msg)


def mean_of_nonzero(values: Iterable[float]) -> float | None:
    """Mean of the values that are not zero (those of unused amplifiers are); None where all are zero."""
    kept = [float(v) for v in values if float(v) != 0.0]
    return sum(kept) / len(kept) if kept else None


def chip_numbers(
    entry: Detector, primary: Mapping[str, Any], sci: Mapping[str, Any], chip: int, exptime: float
) -> ChipNumbers:
    """Gain, read noise and dark rate of a chip.

    Parameters
    ----------
    entry : Detector
        From `identify`.
    primary, sci : mapping
        Keywords are looked for in the primary header first, then in that of the science array.
    chip : int
        Number of the chip (WFPC2: 1 is the PC).
    exptime : float
        Seconds; turns the dark of an exposure into a rate.

    Raises
    ------
    DataError
        A WFPC2 ATODGAIN other than 7 or 15.
    """
    if entry.name == "WFPC2":
        setting = primary.get("ATODGAIN", sci.get("ATODGAIN", 0))
        try:
            gain, noise = _WFPC2_NUMBERS[chip][int(float(setting))]
        except (KeyError, ValueError):
            msg = f"WFPC2 chip {chip} at ATODGAIN = {setting}: gain and read noise are known for 7 and 15"
            raise DataError(msg) from None
        return ChipNumbers(gain, noise, entry.dark, ())

    def first(keyword: str) -> float:
        value = primary.get(keyword, sci.get(keyword, 0.0))
        return float(value) if isinstance(value, (int, float)) else 0.0

    nominal = []
    found = {}
    nominal_gain = first("CCDGAIN") or entry.gain
    for what, keywords in (("gain", entry.gain_keywords), ("read_noise", entry.read_noise_keywords)):
        value = mean_of_nonzero(first(keyword) for keyword in keywords)
        if value is None or value < 0:
            value = nominal_gain if what == "gain" else entry.read_noise
            if keywords:
                nominal.append(what)
        found[what] = value
    dark = entry.dark
    if entry.dark_keyword and isinstance(sci.get(entry.dark_keyword), (int, float)):
        dark = max(float(sci[entry.dark_keyword]), 0.0) / exptime
    return ChipNumbers(found["gain"], found["read_noise"], dark, tuple(nominal))


def cte_direction(entry: Detector, primary: Mapping[str, Any], chip: int) -> int:
    """Direction in y of the tail that poor charge transfer leaves: 1 up, -1 down, 0 none.

    The sign is drizzlepac's: ACS/WFC and UVIS -1 for the lower chip (CCDCHIP 2, SCI,1) and 1 for the
    upper one, here by CCDCHIP also in a subarray; HRC 1 for amplifiers A and B, -1 for C and D; WFPC2
    -1; STIS CCD 1; infrared arrays and MAMAs none.
    """
    if entry.name in ("ACS/WFC", "WFC3/UVIS"):
        return -1 if chip == 2 else 1
    if entry.name == "ACS/HRC":
        return -1 if str(primary.get("CCDAMP", "C")).strip()[:1] in ("C", "D") else 1
    return {"WFPC2": -1, "STIS/CCD": 1}.get(entry.name, 0)


def filters(entry: Detector, primary: Mapping[str, Any]) -> str:
    """Names of the filters in the beam, clear positions left out, joined by ';'; 'CLEAR' if none is left."""
    names = [str(primary.get(keyword, "")).strip() for keyword in entry.filter_keywords]
    used = [n for n in names if n and n != "N/A" and not n.upper().startswith(("CLEAR", "50CCD"))]
    return ";".join(dict.fromkeys(used)) or "CLEAR"


def default_good_bits(entry: Detector, date_obs: str = "") -> int:
    """DQ values usually taken as good in a final drizzle; UVIS before November 2012: 352, without 16."""
    if entry.name == "WFC3/UVIS" and date_obs and date_obs < "2012-11":
        return 352
    return entry.good_bits


def product_suffix(entry: Detector, suffix: str) -> str:
    """Suffix of a product: 'drc' from CTE-corrected input (flc), 'drw' for WFPC2, else 'drz'."""
    return "drc" if suffix.lower() == "flc" else entry.product


def shadow_edges(chip: int, binning: int, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edge of the shadow that the pyramid casts on a WFPC2 chip.

    Parameters
    ----------
    chip : int
        1 (PC) to 4.
    binning : int
        1, or 2 in AREA mode.
    y, x : ndarray of float
        Zero-based rows and columns.

    Returns
    -------
    x_edge, y_edge : ndarray of float
        For each row, the first column (zero-based) that is not wholly in the shadow; for each column, the
        first such row. Fractional: a pixel is masked when its index is smaller.
    """
    in_x, in_y = _SHADOW_EDGES[chip]

    def edge(c: tuple[float, float, float], t: np.ndarray) -> np.ndarray:
        one_based = binning * (np.asarray(t, dtype=np.float64) + 0.5) + 0.5
        position = c[0] + one_based * (c[1] + one_based * c[2])
        # The pixel k covers one-based unbinned positions binning*k + 0.5 to binning*(k + 1) + 0.5.
        return (position - 0.5) / binning - 1.0

    return edge(in_x, y), edge(in_y, x)
