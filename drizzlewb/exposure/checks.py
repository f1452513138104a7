"""What a user should know before a stack is made: refusals, warnings on load, and the table of exposures."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from drizzlewb.errors import DataError
from drizzlewb.exposure.cards import Cards
from drizzlewb.exposure.equalising import flux_per_electron
from drizzlewb.exposure.values import Chip, Exposure

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["Warning_", "check", "exposure_table", "refuse_mixtures", "wcs_family"]

_PHOTFLAM_SPREAD = 0.005
_CHIP_SPREAD = 0.005  # magnitudes
_EXPTIME_RATIO = 10.0


class Warning_(NamedTuple):
    """Something to know; the exposures go on being usable.

    Attributes
    ----------
    code : str
        'exptime', 'expflag', 'repeated', 'wcs-family', 'idctab', 'photflam', 'chips', 'gain', 'binning',
        'saturation', 'no-distortion', 'mdrizsky', 'no-dq', 'nominal'.
    text : str
        One sentence.
    names : tuple of str
        Rootnames (or files) that it is about.
    """

    code: str
    text: str
    names: tuple[str, ...] = ()


def refuse_mixtures(exposures: Sequence[Exposure], *, mixed_detectors: bool = False) -> None:
    """Raise `DataError` for what must not go into one stack.

    FLC beside FLT of one detector, different units of one detector, and different detectors unless
    `mixed_detectors`.
    """
    detectors = _by(exposures, lambda e: e.detector)
    if len(detectors) > 1 and not mixed_detectors:
        listed = "; ".join(f"{name}: {_names(group)}" for name, group in detectors.items())
        msg = f"one stack needs one detector, found {listed}. Give them apart or allow mixed detectors"
        raise DataError(msg)
    for name, group in detectors.items():
        kinds = _by(group, lambda e: e.suffix)
        if "flc" in kinds and "flt" in kinds:
            msg = (
                f"{name}: FLC files ({_names(kinds['flc'])}) are mixed with FLT ({_names(kinds['flt'])}); "
                f"CTE-corrected and uncorrected pixels do not combine, give one kind"
            )
            raise DataError(msg)
        units = _by(group, lambda e: e.unit)
        if len(units) > 1:
            listed = "; ".join(f"{unit}: {_names(members)}" for unit, members in units.items())
            msg = f"{name}: the exposures mix units ({listed}); a product has one unit, give one kind of file"
            raise DataError(msg)


def check(exposures: Sequence[Exposure]) -> list[Warning_]:
    """Warnings on load.

    Parameters
    ----------
    exposures : sequence of Exposure
        They may be of several detectors and filters; what must agree is compared inside each.

    Returns
    -------
    list of Warning_
        From headers only, but for one case: where exposure times differ by more than ten the DQ arrays
        of the longest are searched for saturated pixels.
    """
    found: list[Warning_] = []
    found += _flagged(exposures)
    found += _repeated(exposures)
    for detector, group in _by(exposures, lambda e: e.detector).items():
        found += _families(detector, group)
        for chips in _by(group, lambda e: e.filters).values():
            found += _photometry(detector, chips)
        found += _settings(detector, group)
        found += _saturation(detector, group)
    found += _missing(exposures)
    return found


def wcs_family(wcsname: str) -> str:
    """Family of a WCS solution: 'FIT_SVM_GAIAeDR3' of 'IDC_2731450pi-FIT_SVM_GAIAeDR3'.

    'IDC' for a distortion-only solution, 'none' without a name; any other name is its own family.
    """
    name = wcsname.strip()
    if not name:
        return "none"
    if "-" in name:
        return name.split("-", 1)[1]
    return "IDC" if name.upper().startswith("IDC_") else name


def exposure_table(exposures: Sequence[Exposure]) -> "Table":
    """Table for people: rootname, target, date, filter, exptime (s), visit, wcsname, detector, file."""
    from astropy.table import Table  # late: tables are slow to import and few runs need one

    table = Table(
        {
            "rootname": [e.rootname for e in exposures],
            "target": [e.target for e in exposures],
            "date": [e.date_obs for e in exposures],
            "filter": [e.filters for e in exposures],
            "exptime": [e.exptime for e in exposures],
            "visit": [e.visit for e in exposures],
            "wcsname": [e.wcsname for e in exposures],
            "detector": [e.detector for e in exposures],
            "file": [e.path for e in exposures],
        }
    )
    table["exptime"].unit = "s"
    table["exptime"].info.format = ".1f"
    return table


def _by(items: Iterable[Exposure], key) -> dict[str, list[Exposure]]:
    groups: dict[str, list[Exposure]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _names(exposures: Sequence[Exposure], most: int = 4) -> str:
    names = [e.rootname for e in exposures]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _roots(exposures: Iterable[Exposure]) -> tuple[str, ...]:
    return tuple(e.rootname for e in exposures)


def _card(exposure: Exposure, keyword: str) -> Any:
    """Value in the primary header, else in that of the first chip, else None."""
    value = Cards(exposure.primary_text).get(keyword)
    return value if value is not None else Cards(exposure.chips[0].header_text).get(keyword)


def _flagged(exposures: Sequence[Exposure]) -> list[Warning_]:
    found = []
    for exposure in exposures:
        flag = _card(exposure, "EXPFLAG")
        flag = str(flag or "NORMAL").strip()
        if flag.upper() != "NORMAL":
            text = f"{exposure.rootname}: EXPFLAG is {flag}: the exposure did not go as planned; look at it"
            found.append(Warning_("expflag", text, (exposure.rootname,)))
    return found


def _repeated(exposures: Sequence[Exposure]) -> list[Warning_]:
    known = [e for e in exposures if e.detector != "generic"]
    found = []
    for root, group in _by(known, lambda e: e.rootname).items():
        if len(group) > 1:
            paths = ", ".join(e.path for e in group)
            text = f"{root} comes {len(group)} times ({paths}); each is taken as another exposure"
            found.append(Warning_("repeated", text, (root,)))
    return found


def _families(detector: str, group: list[Exposure]) -> list[Warning_]:
    found = []
    families = _by(group, lambda e: wcs_family(e.wcsname))
    if len(families) > 1:
        listed = "; ".join(f"{family}: {_names(members)}" for family, members in families.items())
        text = f"{detector}: WCS solutions of different families ({listed}); activate one for all, or align"
        found.append(Warning_("wcs-family", text, _roots(group)))
    tables = _by(group, _idctab)
    tables.pop("", None)
    if len(tables) > 1:
        listed = "; ".join(f"{table}: {_names(members)}" for table, members in tables.items())
        text = f"{detector}: the distortions come from different IDCTABs ({listed}); run updatewcs on all"
        found.append(Warning_("idctab", text, _roots(group)))
    return found


def _idctab(exposure: Exposure) -> str:
    name = str(_card(exposure, "IDCTAB") or "").strip()
    return "" if name in ("", "N/A") else name.rsplit("/", 1)[-1].rsplit("$", 1)[-1]


def _photometry(detector: str, group: list[Exposure]) -> list[Warning_]:
    values: dict[int, list[float]] = {}
    per_electron: dict[int, float] = {}
    for exposure in group:
        for chip in exposure.chips:
            if chip.photflam > 0:
                values.setdefault(chip.chip, []).append(chip.photflam)
                per_electron.setdefault(chip.chip, flux_per_electron(chip))
    found = []
    spread = max((max(v) / min(v) - 1.0 for v in values.values()), default=0.0)
    if spread > _PHOTFLAM_SPREAD:
        text = (
            f"{detector} {group[0].filters}: PHOTFLAM differs by {100 * spread:.1f} % between exposures of "
            f"one chip; equalise=True scales them to one when they are combined"
        )
        found.append(Warning_("photflam", text, _roots(group)))
    if len(per_electron) > 1:
        low, high = (pick(per_electron, key=per_electron.__getitem__) for pick in (min, max))
        magnitudes = 2.5 * math.log10(per_electron[high] / per_electron[low])
        if magnitudes > _CHIP_SPREAD:
            text = (
                f"{detector} {group[0].filters}: an electron stands for {magnitudes:.3f} mag more flux on "
                f"chip {high} than on chip {low}, and a product has one PHOTFLAM, that of chip "
                f"{group[0].chips[0].chip}; equalise=True scales them to it, or measure sources chip by chip"
            )
            found.append(Warning_("chips", text, _roots(group)))
    return found


def _settings(detector: str, group: list[Exposure]) -> list[Warning_]:
    found = []
    gains = _by(group, _gain_setting)
    gains.pop("", None)
    if len(gains) > 1:
        listed = "; ".join(f"gain {gain}: {_names(members)}" for gain, members in gains.items())
        text = f"{detector}: the gains differ ({listed}); noise and saturation limits differ with them"
        found.append(Warning_("gain", text, _roots(group)))
    binnings = _by(group, lambda e: str(e.chips[0].binning))
    if len(binnings) > 1:
        listed = "; ".join(f"{b} x {b}: {_names(members)}" for b, members in binnings.items())
        text = f"{detector}: the binnings differ ({listed})"
        found.append(Warning_("binning", text, _roots(group)))
    return found


def _gain_setting(exposure: Exposure) -> str:
    header = Cards(exposure.primary_text)
    setting = header.get("CCDGAIN", header.get("ATODGAIN", header.get("ADCGAIN", "")))
    return f"{setting:g}" if isinstance(setting, (int, float)) else str(setting).strip()


def _saturation(detector: str, group: list[Exposure]) -> list[Warning_]:
    shortest = min(group, key=lambda e: e.exptime)
    found = []
    for exposure in group:
        if exposure.exptime > _EXPTIME_RATIO * shortest.exptime:
            count = _saturated(exposure)
            if count:
                found.append((exposure, count))
    if not found:
        return []
    listed = ", ".join(f"{e.rootname} ({e.exptime:g} s, {count} pixels)" for e, count in found[:4])
    text = (
        f"{detector}: saturated exposures {listed} are combined with ones more than {_EXPTIME_RATIO:g} times "
        f"shorter ({shortest.rootname}, {shortest.exptime:g} s); bright stars will not match"
    )
    return [Warning_("saturation", text, _roots(e for e, _ in found))]


def _saturated(exposure: Exposure) -> int:
    """Saturated pixels of an exposure, counted by bands of rows."""
    count = 0
    for chip in exposure.chips:
        names = chip.flags.by_name
        bits = names.get("saturated", 0) | names.get("atod_saturated", 0)
        if chip.dq is None or not bits:
            continue
        ny, nx = chip.shape
        for y0 in range(0, ny, 256):
            count += int(((chip.read_dq((y0, min(y0 + 256, ny), 0, nx)) & bits) != 0).sum())
    return count


def _missing(exposures: Sequence[Exposure]) -> list[Warning_]:
    found = []

    def note(code: str, members: list[Exposure], text: str) -> None:
        if members:
            found.append(Warning_(code, f"{_names(members)}: {text}", _roots(members)))

    note(
        "no-distortion",
        [e for e in exposures if e.detector != "generic" and not _has_distortion(e)],
        "the header holds no distortion (SIP); run stwcs.updatewcs first, or sources will not coincide",
    )
    skies = [e for e in exposures if any(c.mdrizsky != 0 for c in e.chips)]
    note("mdrizsky", skies, "MDRIZSKY is set from an earlier run; the pixels still hold that sky")
    note("no-dq", [e for e in exposures if any(c.dq is None for c in e.chips)],
         "there are no data-quality flags; every pixel is taken as good")  # fmt: skip
    for what in ("gain", "read_noise"):
        lacking = [e for e in exposures if any(_assumed(chip, what) for chip in e.chips)]
        if lacking:
            value, unit = getattr(lacking[0].chips[0], what), "e-/DN" if what == "gain" else "e-"
            name = what.replace("_", " ")
            note("nominal", lacking, f"no {name} in the header; {value:g} {unit} is assumed")
    return found


def _assumed(chip: Chip, what: str) -> bool:
    """Whether a number that matters is not the header's; a gain matters for counts only."""
    if chip.detector == "generic" and what == "read_noise":
        return False  # unknown and taken as zero: the user's to say
    return what in chip.nominal and (what != "gain" or chip.unit.startswith("counts"))


def _has_distortion(exposure: Exposure) -> bool:
    return all(c.wcs.sip_a.shape[0] > 1 or c.wcs.grid_x.size > 0 for c in exposure.chips)
