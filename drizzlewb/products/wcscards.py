"""WCS solutions among the cards of one header: primary, alternates, and how one becomes the other.

Keywords are those of the FITS WCS papers and, for what a fit leaves behind, of DrizzlePac and stwcs
(``drizzlepac/updatehdr.py``, ``haputils/align_utils.py``, ``stwcs/wcsutil/altwcs.py``). All solutions of a
header share its distortion (SIP, NPOL, D2IM).
"""

import math
import re
import string
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from drizzlewb.errors import DataError
from drizzlewb.products.cards import Cards

__all__ = [
    "KEYS",
    "OPUS",
    "alternate_keys",
    "archive",
    "drop_solution",
    "free_key",
    "linear_terms",
    "names",
    "restore",
    "rms_mas",
    "same_solution",
    "set_fit",
    "set_linear",
    "taken_names",
    "unused_name",
    "wcs_type",
]

Array = npt.NDArray[np.float64]

KEYS = string.ascii_uppercase
OPUS = "O"
"""Key that stwcs keeps for the pipeline's first solution."""

_COORDINATES = (
    "WCSAXES", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2", "CUNIT1", "CUNIT2", "CTYPE1", "CTYPE2", "CRVAL1",
    "CRVAL2", "LONPOLE", "LATPOLE", "CRDER1", "CRDER2", "RADESYS", "EQUINOX", "CD1_1", "CD1_2", "CD2_1",
    "CD2_2", "PC1_1", "PC1_2", "PC2_1", "PC2_2",
)  # fmt: skip
_FIT = ("WCSTYPE", "RMS_RA", "RMS_DEC", "NMATCH", "FITNAME", "FITGEOM", "HDRNAME", "CATALOG")
_OF_FIT = (*_FIT, "NMATCHES", "CRDER1", "CRDER2")


def alternate_keys(cards: Cards) -> list[str]:
    """Letters of the alternate solutions, in order."""
    stems = ("WCSNAME", "CTYPE1", "CRPIX1", "CRVAL1")
    present = set(cards.keywords())
    return [key for key in KEYS if any(stem + key in present for stem in stems)]


def names(cards: Cards) -> dict[str, str]:
    """WCSNAME by key, ' ' for the primary; '' where a solution has none."""
    return {key: cards.string("WCSNAME" + key.strip()) for key in (" ", *alternate_keys(cards))}


def free_key(headers: Iterable[Cards]) -> str:
    """First letter that no header uses; O stays for OPUS.

    Raises
    ------
    DataError
        All are taken.
    """
    used = {key for cards in headers for key in alternate_keys(cards)}
    for key in KEYS:
        if key not in used and key != OPUS:
            return key
    msg = (
        "the header holds 25 alternate WCS solutions already, one for each letter: delete one (or revert) "
        "before a new one is archived."
    )
    raise DataError(msg)


def unused_name(name: str, taken: Iterable[str]) -> str:
    """The name, or the name with '-1', '-2' ... behind it if it is taken (case does not count)."""
    have = {t.upper() for t in taken}
    if name.upper() not in have:
        return name
    return next(new for k in range(1, 10_000) if (new := f"{name}-{k}").upper() not in have)


def linear_terms(cards: Cards, key: str = " ") -> tuple[Array, Array, Array]:
    """CRPIX (one-based), CRVAL (deg) and CD (deg/px, shape (2, 2)) of a solution.

    PC with CDELT becomes CD. What is missing is NaN, or the standard's default for PC and CDELT.
    """
    a = key.strip()
    pix = np.array([cards.number(f"CRPIX{k}{a}") for k in (1, 2)])
    val = np.array([cards.number(f"CRVAL{k}{a}") for k in (1, 2)])
    if any(f"CD{i}_{j}{a}" in cards for i in (1, 2) for j in (1, 2)):
        cd = np.array([[cards.number(f"CD{i}_{j}{a}", 0.0) for j in (1, 2)] for i in (1, 2)])
        return pix, val, cd
    steps = [cards.number(f"CDELT{k}{a}", 1.0) for k in (1, 2)]
    if not a and "CROTA2" in cards:
        turn = math.radians(cards.number("CROTA2", 0.0))
        pc = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        pc[0, 1] *= steps[1] / steps[0]
        pc[1, 0] *= steps[0] / steps[1]
    else:
        pc = np.array(
            [[cards.number(f"PC{i}_{j}{a}", 1.0 if i == j else 0.0) for j in (1, 2)] for i in (1, 2)]
        )
    return pix, val, pc * np.array(steps)[:, None]


def same_solution(cards: Cards, key: str, other: str) -> bool:
    """Whether two solutions of a header are the same but for the digits that wcslib writes.

    CRVAL to 1e-9 deg, CD to 1e-10 of its largest term, CRPIX to 1e-9 px.
    """
    (pix, val, cd), (pix2, val2, cd2) = linear_terms(cards, key), linear_terms(cards, other)
    types = [cards.string(f"CTYPE{k}{a.strip()}") for a in (key, other) for k in (1, 2)]
    return (
        types[:2] == types[2:]
        and np.allclose(pix, pix2, rtol=0, atol=1e-9)
        and np.allclose(val, val2, rtol=0, atol=1e-9)
        and np.allclose(cd, cd2, rtol=0, atol=1e-10 * max(float(np.abs(cd).max()), 1e-300))
    )


def archive(cards: Cards, key: str, name: str) -> None:
    """Copy the primary solution to an alternate key under a name, digit for digit."""
    last = f"WCSNAME{key}"
    cards.put(last, name, "Coordinate system title")
    for stem in (*_COORDINATES, *_FIT):
        if cards.copy(stem, stem + key, after=last):
            last = stem + key
    if "NMATCHES" in cards and "NMATCH" not in cards:  # eight characters take no letter
        cards.copy("NMATCHES", f"NMATCH{key}", after=last)


def restore(cards: Cards, key: str) -> None:
    """Copy an alternate solution to the primary; what an earlier fit left in the primary goes."""
    matrix = [stem for stem in _COORDINATES if stem.startswith(("CD", "PC"))]
    gone = [stem for stem in (*matrix, *_OF_FIT, "LONPOLE", "LATPOLE") if stem + key not in cards]
    cards.drop([*gone, "NMATCHES", "CROTA1", "CROTA2"])
    for stem in (*_COORDINATES, *_FIT, "WCSNAME"):
        cards.copy(stem + key, stem, after="CRVAL2")
    cards.copy(f"NMATCH{key}", "NMATCHES", after="RMS_DEC")
    _orientation(cards)


def drop_solution(cards: Cards, key: str) -> None:
    """Remove an alternate solution."""
    cards.drop(stem + key for stem in (*_COORDINATES, *_FIT, "WCSNAME"))
    cards.drop(f"OC{axis}1{n}{key}" for axis in "XY" for n in (0, 1))


def set_linear(cards: Cards, crval: Array, cd: Array) -> None:
    """Set CRVAL (deg) and CD (deg/px) of the primary, and ORIENTAT if it is there.

    CRPIX and the distortion stay. PC, CDELT and CROTA, which the standard forbids beside CD, go; so does a
    LONPOLE other than 180. SIP coefficients under a CTYPE without ``-SIP``, which astropy applies and
    others ignore, get their ``-SIP``.
    """
    cards.drop([s for s in (*_COORDINATES, "CROTA1", "CROTA2") if s.startswith(("PC", "CDELT", "CROTA"))])
    for k in (1, 2):
        cards.put(f"CRVAL{k}", float(crval[k - 1]))
    after = "CRVAL2"
    for i in (1, 2):
        for j in (1, 2):
            said = None if f"CD{i}_{j}" in cards else f"partial of axis {i} w.r.t. {'xy'[j - 1]}"
            cards.put(f"CD{i}_{j}", float(cd[i - 1, j - 1]), said, after=after)
            after = f"CD{i}_{j}"
    if cards.number("LONPOLE", 180.0) != 180.0:
        cards.drop(["LONPOLE", "LATPOLE"])
    elif "LATPOLE" in cards:
        cards.put("LATPOLE", float(crval[1]))
    if "A_ORDER" in cards or "B_ORDER" in cards:
        for k in (1, 2):
            kind = cards.string(f"CTYPE{k}")
            if kind and not kind.endswith("-SIP"):
                cards.put(f"CTYPE{k}", f"{kind}-SIP", "TAN (gnomonic) projection + SIP distortions")
    _orientation(cards)


def _orientation(cards: Cards) -> None:
    if "ORIENTAT" in cards:
        _, _, cd = linear_terms(cards)
        cards.put("ORIENTAT", math.degrees(math.atan2(cd[0, 1], cd[1, 1])))


def set_fit(
    cards: Cards,
    wcsname: str,
    *,
    rms_ra_mas: float | None = None,
    rms_dec_mas: float | None = None,
    nmatch: int = 0,
    geometry: str = "",
    catalog: str = "",
    kind: str = "",
) -> None:
    """Name the primary solution and say how it was fitted.

    Parameters
    ----------
    cards : Cards
        Changed in place; what an earlier fit left in the primary goes.
    wcsname : str
        WCSNAME.
    rms_ra_mas, rms_dec_mas : float, optional
        Scatter on the sky along east and north, mas; none for a reference.
    nmatch : int
        Stars in the fit.
    geometry, catalog : str
        FITGEOM and CATALOG; '' for none.
    kind : str
        WCSTYPE; by default from the name.
    """
    cards.drop(_OF_FIT)
    cards.put("WCSNAME", wcsname, "Coordinate system title", after="CRVAL2")
    cards.put("WCSTYPE", kind or wcs_type(wcsname), "", after="WCSNAME")
    rows: list[tuple[str, object, str]] = []
    if rms_ra_mas is not None and rms_dec_mas is not None:
        rows += [
            ("FITNAME", wcsname, ""),
            ("RMS_RA", float(rms_ra_mas), "RMS in RA of WCS fit(mas)"),
            ("RMS_DEC", float(rms_dec_mas), "RMS in Dec of WCS fit(mas)"),
            ("CRDER1", float(rms_ra_mas) / 3.6e6, "RMS in RA of WCS fit(deg)"),
            ("CRDER2", float(rms_dec_mas) / 3.6e6, "RMS in Dec of WCS fit(deg)"),
        ]
    if rows or nmatch:
        rows += [
            ("NMATCHES", int(nmatch), "Number of sources in WCS fit"),
            ("NMATCH", int(nmatch), "Number of sources in WCS fit"),
        ]
    if geometry:
        rows.append(("FITGEOM", geometry, "Geometry of WCS fit"))
    if catalog:
        rows.append(("CATALOG", catalog[:68], ""))
    after = "WCSTYPE"
    for keyword, value, comment in rows:
        cards.put(keyword, value, comment, after=after)
        after = keyword


def rms_mas(cards: Cards, key: str = " ") -> tuple[float, float]:
    """Scatter of a solution's fit in right ascension and declination, mas; NaN where it is not known.

    From RMS_RA and RMS_DEC, which the pipeline writes in mas and TweakReg in degrees; without them from
    CRDER, which should be in degrees but has been seen in mas. The size tells which.
    """
    a = key.strip()
    values = []
    for stem, error in (("RMS_RA", "CRDER1"), ("RMS_DEC", "CRDER2")):
        value = cards.number(stem + a, cards.number(error + a))
        if not value > 0:
            value = float("nan")
        # 1e-3 deg is 3.6 arcsec, and no fit is good to a microarcsecond.
        values.append(value * 3.6e6 if value < 1e-3 else value)
    return values[0], values[1]


_FITTED = {
    "REL": "relatively aligned to {}",
    "IMG": "aligned image-by-image to {}",
    "EVM": "aligned by visit-exposures to {}",
    "SVM": "aligned by visit to {}",
}


def wcs_type(wcsname: str) -> str:
    """WCSTYPE for a WCSNAME, in the words of the Hubble pipeline."""
    base, _, rest = wcsname.upper().partition("-")
    lead = {"IDC": "undistorted ", "OPU": "pipeline default "}.get(base[:3])
    if lead is None:
        return "user-defined"
    if not rest:
        return f"{lead}not aligned"
    fitted = re.match(r"FIT_(\w{3})_([^-]+)", rest)
    if fitted and fitted[1] in _FITTED:
        return f"{lead}a posteriori solution {_FITTED[fitted[1]].format(fitted[2])}"
    return f"{lead}a priori solution based on {rest}"


def taken_names(headers: Sequence[Cards]) -> set[str]:
    """All solution names of some headers, in capitals."""
    return {name.upper() for cards in headers for name in names(cards).values() if name}
