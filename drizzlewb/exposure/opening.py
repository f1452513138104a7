"""One calibrated FITS file becomes exposures: headers are read, pixels are not."""

import math
import os
import re
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from drizzlewb import instruments
from drizzlewb.distortion import LookupTable, pack, pack_cards, plate_scale
from drizzlewb.errors import DataError
from drizzlewb.exposure.cards import Cards
from drizzlewb.exposure.fitsfile import HDU, scan
from drizzlewb.exposure.plane import Plane
from drizzlewb.exposure.values import Chip, Exposure, electrons_per_unit
from drizzlewb.instruments import Detector
from drizzlewb.kernels.transform import PackedWCS

if TYPE_CHECKING:
    from astropy.io import fits

__all__ = ["Opened", "open_file", "split_name"]

_TABLES = ("D2IMARR", "WCSDVARR")
_NAME = re.compile(
    r"^(?P<root>.*?)(?:_(?P<suffix>[A-Za-z0-9]{3,4}))?\.(?:fits?|fts)(?:\.gz)?$", re.IGNORECASE
)
_GEIS = re.compile(r"\.[a-z]\d[hd]$", re.IGNORECASE)
_BESIDE_WCS = re.compile(
    r"(CTYPE|CRVAL|CRPIX|CUNIT|CDELT|CNAME)\d[A-Z] |(CD|PC|PV|PS)\d_\d[A-Z] |OC[XY]\d|HISTORY |COMMENT | {8}|"
    r"(WCSNAME|WCSAXES|WCSTYPE|LONPOLE|LATPOLE|RADESYS|EQUINOX)[A-Z]|(PHOT|IDC)"
)
_AS_FITS = "stsci.tools.convertwaiveredfits (waiver FITS) or stsci.tools.readgeis (GEIS)"
_EXPTIME_KEYWORDS = ("EXPTIME", "TEXPTIME", "XPOSURE", "EXPOSURE", "ITIME")


class Opened(NamedTuple):
    """What a file gave: exposures, and one sentence for each image set without exposure time."""

    exposures: list[Exposure]
    left_out: list[str]


def split_name(path: str) -> tuple[str, str]:
    """Root and suffix of a file name: 'dir/j8bt05njq_flt.fits.gz' -> ('j8bt05njq', 'flt')."""
    found = _NAME.match(os.path.basename(path))
    if found is None:
        return os.path.splitext(os.path.basename(path))[0], ""
    return found["root"], (found["suffix"] or "").lower()


def open_file(path: str, weight_map: str = "") -> Opened:
    """Exposures in a calibrated file, one for each image set.

    Parameters
    ----------
    path : str
        FITS file, also ``.fits.gz``.
    weight_map : str
        Weight image that goes with it.

    Returns
    -------
    Opened
        Sets whose EXPTIME is zero or negative are left out, each with a sentence.

    Raises
    ------
    DataError
        Missing, not FITS, truncated, GEIS or waiver file, a DQ file or a file of single reads, no SCI, no
        celestial WCS, unknown instrument, arrays of different shapes, unknown or mixed units.
    """
    if _GEIS.search(path):
        msg = f"{path} is a GEIS file; turn it into multi-extension FITS with {_AS_FITS}, then updatewcs"
        raise DataError(msg)
    hdus = scan(path, keep=_TABLES)
    primary = hdus[0].header
    entry = instruments.identify(primary)
    _refuse_other_kinds(path, hdus, primary, entry)
    science = _science(path, hdus, entry)
    if entry is None or entry.name == "generic":
        _need_celestial(path, science, primary)
        entry = instruments.DETECTORS["generic"]
    dq_path, dq_hdus = _quality_file(path, hdus, entry)
    tables = _lookup_tables(hdus)
    sets: list[list[Chip]] = []
    left_out: list[str] = []
    for number, group in enumerate(_image_sets(science, entry), 1):
        times = [_exptime(path, primary, hdu.header, entry) for hdu in group]
        if min(times) <= 0 or not all(map(math.isfinite, times)):
            left_out.append(f"{path}: EXPTIME of image set {number} is {min(times):g} s; it is left out")
            continue
        chips = [
            _chip(path, hdu, hdus, dq_path, dq_hdus, primary, entry, tables, seconds)
            for hdu, seconds in zip(group, times, strict=True)
        ]
        units = sorted({chip.unit for chip in chips})
        if len(units) > 1:
            msg = (
                f"{path} mixes the units {' and '.join(units)} in one exposure; correct BUNIT in its headers"
            )
            raise DataError(msg)
        sets.append(chips)
    several = len(sets) + len(left_out) > 1
    files = tuple(_identity(name) for name in dict.fromkeys((path, dq_path)) if name)
    exposures = []
    text = hdus[0].text
    for k, chips in enumerate(sets, 1):
        exposures.append(_exposure(path, primary, text, entry, chips, files, k if several else 0, weight_map))
    return Opened(exposures, left_out)


def _exposure(path, primary, primary_text, entry, chips, files, imset, weight_map) -> Exposure:
    root, suffix = split_name(path)
    rootname = str(primary.get("ROOTNAME", "")).strip().lower() or root
    if entry.name == "generic":
        rootname = root
    first = Cards(chips[0].header_text)
    date = str(primary.get("DATE-OBS", first.get("DATE-OBS", ""))).strip()
    start = primary.get("EXPSTART", first.get("EXPSTART", 0.0))
    return Exposure(
        path=path,
        rootname=f"{rootname}_{imset}" if imset else rootname,
        suffix=suffix,
        detector=entry.name,
        filters=instruments.filters(entry, primary),
        target=str(primary.get("TARGNAME", primary.get("OBJECT", ""))).strip(),
        visit=_visit(primary, rootname),
        date_obs=date,
        time_obs=str(primary.get("TIME-OBS", "")).strip(),
        expstart=_number(start),
        exptime=chips[0].exptime,
        chips=tuple(chips),
        primary_text=primary_text,
        files=files,
        imset=imset,
        weight_map=weight_map,
    )


def _chip(path, hdu: HDU, hdus, dq_path, dq_hdus, primary, entry: Detector, tables, exptime: float) -> Chip:
    header = hdu.header
    where = f"{path}[{hdu.name},{hdu.ver}]"
    plane = hdu.plane(path)
    dq = _companion_plane(dq_path, dq_hdus, ("DQ", "SDQ"), hdu, plane) if dq_hdus else None
    err = _companion_plane(path, hdus, ("ERR",), hdu, plane)
    chip = _chip_number(hdu, entry)
    unit = instruments.unit_of(header.get("BUNIT", primary.get("BUNIT")), entry, where)
    numbers = instruments.chip_numbers(entry, primary, header, chip, exptime)
    packed = _packed(where, hdu, header, primary, tables, plane.shape)
    area_mode = entry.name == "WFPC2" and str(primary.get("MODE", "")).strip() == "AREA"
    binning = 2 if area_mode else int(_number(header.get("BINAXIS1"))) or 1
    return Chip(
        path=path,
        extver=hdu.ver,
        chip=chip,
        detector=entry.name,
        shape=plane.shape,
        sci=plane,
        dq=dq,
        err=err,
        wcs=packed,
        header_text=hdu.text,
        exptime=exptime,
        unit=unit,
        to_electrons=electrons_per_unit(unit, numbers.gain, exptime),
        gain=numbers.gain,
        read_noise=numbers.read_noise,
        dark=numbers.dark,
        pixel_scale_arcsec=plate_scale(packed),
        cte_dir=instruments.cte_direction(entry, primary, chip),
        mdrizsky=_number(header.get("MDRIZSKY", primary.get("MDRIZSKY"))),
        photflam=_number(header.get("PHOTFLAM", primary.get("PHOTFLAM"))),
        photplam=_number(header.get("PHOTPLAM", primary.get("PHOTPLAM"))),
        photzpt=_number(header.get("PHOTZPT", primary.get("PHOTZPT"))),
        wcsname=str(header.get("WCSNAME", "")).strip(),
        binning=binning,
        nominal=numbers.nominal,
        shadow_chip=chip if entry.name == "WFPC2" else 0,
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else 0.0


def _refuse_other_kinds(path: str, hdus: list[HDU], primary: Cards, entry: Detector | None) -> None:
    """Files that look like calibrated images and are none."""
    names = {hdu.name for hdu in hdus}
    if "SDQ" in names or str(primary.get("FILETYPE", "")).strip() == "SDQ":
        msg = f"{path} holds data-quality flags only (c1m); give the c0m file, this one is found beside it"
        raise DataError(msg)
    if entry is not None and entry.name == "WFPC2" and "SCI" not in names and len(hdus[0].shape) > 1:
        msg = (
            f"{path} is a waiver FITS file (all chips in one array); turn it into multi-extension FITS with "
            f"{_AS_FITS}, then updatewcs, and give the _c0m.fits"
        )
        raise DataError(msg)
    if entry is not None and entry.known and split_name(path)[1] in ("ima", "raw", "asn", "spt", "jit"):
        kind = split_name(path)[1]
        msg = f"{path}: {kind.upper()} files are no calibrated exposures; give the flt, flc, c0m or cal file"
        raise DataError(msg)


def _science(path: str, hdus: list[HDU], entry: Detector | None) -> list[HDU]:
    found = sorted((hdu for hdu in hdus if hdu.name == "SCI"), key=lambda hdu: hdu.ver)
    if found:
        return found
    if entry is None or entry.name == "generic":
        images = [
            h for h in hdus if h.kind in ("PRIMARY", "IMAGE") and len(h.shape) == 2 and 0 not in h.shape
        ]
        others = ("DQ", "ERR", "WHT", "CTX", "MASK", *_TABLES)
        found = [h for h in images if h.name not in others and _is_celestial(h.header)]
        if found:
            return found
        if images:
            _need_celestial(path, images, hdus[0].header)
    names = ", ".join(f"{h.name or 'unnamed'},{h.ver}" for h in hdus)
    msg = f"{path} has no SCI extension (found {names}); give a calibrated image"
    raise DataError(msg)


def _is_celestial(header: Cards) -> bool:
    kinds = {str(header.get(f"CTYPE{k}", ""))[:4].strip("-") for k in (1, 2)}
    return kinds in ({"RA", "DEC"}, {"GLON", "GLAT"}, {"ELON", "ELAT"})


def _need_celestial(path: str, science: list[HDU], primary: Cards) -> None:
    for hdu in science:
        header = hdu.header
        if not _is_celestial(header):
            who = "/".join(str(primary[k]).strip() for k in ("INSTRUME", "DETECTOR") if primary.get(k))
            ctype = header.get("CTYPE1", "none")
            msg = (
                f"{path}: {f'instrument {who!r} is unknown' if who else 'no instrument is named'}, and "
                f"{hdu.name},{hdu.ver} has no celestial WCS (CTYPE1: {ctype}), which any other image needs"
            )
            raise DataError(msg)


def _chip_number(hdu: HDU, entry: Detector) -> int:
    if entry.name == "generic":
        return hdu.ver
    keyword = "DETECTOR" if entry.name == "WFPC2" else "CCDCHIP"
    return int(_number(hdu.header.get(keyword, 1))) or 1


def _image_sets(science: list[HDU], entry: Detector) -> list[list[HDU]]:
    """Chips of one exposure together: a chip that comes again begins the next image set."""
    if entry.name == "generic":
        return [science]
    sets: list[list[HDU]] = []
    seen: set[int] = set()
    for hdu in science:
        number = _chip_number(hdu, entry)
        if not sets or number in seen:
            sets.append([])
            seen = set()
        sets[-1].append(hdu)
        seen.add(number)
    return sets


def _exptime(path: str, primary: Cards, header: Cards, entry: Detector) -> float:
    places = (header, primary) if entry.exptime_in_sci else (primary, header)
    keywords = ("EXPTIME",) if entry.known else _EXPTIME_KEYWORDS
    for keyword in keywords:
        for place in places:
            if isinstance(place.get(keyword), (int, float)):
                return float(place[keyword])
    msg = f"{path} has no exposure time ({', '.join(keywords)}); add EXPTIME in seconds to its primary header"
    raise DataError(msg)


def _visit(primary: Cards, rootname: str) -> str:
    line = str(primary.get("LINENUM", "")).strip()
    if "." in line:
        return line.split(".")[0].zfill(2)
    return rootname[4:6] if re.fullmatch(r"[a-z][a-z0-9]{8}", rootname) else ""


def _quality_file(path: str, hdus: list[HDU], entry: Detector) -> tuple[str, list[HDU]]:
    """Where the DQ arrays are: in the file itself, or for c0m in the c1m beside it."""
    if any(hdu.name in ("DQ", "SDQ") for hdu in hdus):
        return path, hdus
    folder, name = os.path.split(path)
    at = name.lower().rfind("c0m.fits")
    if entry.name != "WFPC2" or at < 0:
        return "", []
    companion = name[: at + 1] + "1" + name[at + 2 :]
    other = companion[:-3] if companion.lower().endswith(".gz") else companion + ".gz"
    for candidate in (companion, other):
        beside = os.path.join(folder, candidate)
        if os.path.exists(beside):
            return beside, scan(beside)
    return "", []


def _companion_plane(path: str, hdus: list[HDU], names: tuple, hdu: HDU, sci: Plane) -> Plane | None:
    for other in hdus:
        if other.name in names and other.ver == hdu.ver:
            plane = other.plane(path, sci.shape)
            if plane.shape != sci.shape:
                msg = (
                    f"{sci.path}: SCI,{hdu.ver} has {sci.shape[0]} rows and {sci.shape[1]} columns but "
                    f"{other.name},{other.ver} has {plane.shape[0]} and {plane.shape[1]}; "
                    f"they must be trimmed alike"
                )
                raise DataError(msg)
            return plane
    return None


class _Tables(NamedTuple):
    """The distortion's tables of a file, and the HDUs that they are in."""

    lookups: dict[tuple[str, int], LookupTable]
    hdus: list[HDU]

    def for_astropy(self) -> "fits.HDUList":
        """Make the file that astropy wants to see, of nothing but the tables."""
        from astropy.io import fits  # late: slow to import

        images = [
            fits.ImageHDU(
                self.lookups[hdu.name, hdu.ver].data, fits.Header.fromstring(hdu.text), hdu.name, ver=hdu.ver
            )
            for hdu in self.hdus
        ]
        return fits.HDUList([fits.PrimaryHDU(), *images])


def _lookup_tables(hdus: list[HDU]) -> _Tables:
    tables = _Tables({}, [])
    for hdu in hdus:
        key = (hdu.name, hdu.ver)
        if hdu.name in _TABLES and hdu.content and len(hdu.shape) == 2 and key not in tables.lookups:
            dtype = np.dtype({-32: ">f4", -64: ">f8", 16: ">i2", 32: ">i4"}[int(hdu.layout["BITPIX"])])
            data = np.frombuffer(hdu.content, dtype).reshape(hdu.shape).astype(np.float32)
            axes = [
                (float(hdu.header.get(f"{name}1", default)), float(hdu.header.get(f"{name}2", default)))
                for name, default in (("CRPIX", 0.0), ("CRVAL", 0.0), ("CDELT", 1.0))
            ]
            tables.lookups[key] = LookupTable(data, *axes)
            tables.hdus.append(hdu)
    return tables


def _packed(
    where: str, hdu: HDU, header: Cards, primary: Cards, tables: _Tables, shape: tuple[int, int]
) -> PackedWCS:
    if not _is_celestial(header):
        msg = (
            f"{where} has no celestial WCS (CTYPE1: {header.get('CTYPE1', 'none')}); run stwcs.updatewcs, or "
            f"fetch the file from the archive again"
        )
        raise DataError(msg)
    cd = np.array([header.get(f"CD{i}_{j}", np.nan) for i in (1, 2) for j in (1, 2)], float)
    if not np.isnan(cd).any() and abs(cd[0] * cd[3] - cd[1] * cd[2]) <= 1e-9 * (cd**2).sum():
        # astropy would take one degree a pixel for a matrix of zeros.
        msg = f"{where}: its CD matrix cannot be inverted; run stwcs.updatewcs or fetch the file again"
        raise DataError(msg)
    try:
        packed = pack_cards(hdu.text, tables.lookups, shape, header, primary)
        if packed is not None:
            return packed
        from astropy.wcs import WCS  # late: slow to import

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # astropy repairs dates and old units aloud
            wcs = WCS(_primary_wcs(hdu.text), fobj=tables.for_astropy())
        return pack(wcs, shape, header, primary)
    except DataError as error:
        msg = f"{where}: {error}"
        raise DataError(msg) from error
    except Exception as error:  # astropy raises many kinds: whatever it is, the file's WCS is at fault
        msg = f"{where}: its WCS cannot be used ({error}); run stwcs.updatewcs or fetch the file again"
        raise DataError(msg) from error


def _primary_wcs(text: str) -> "fits.Header":
    """The header without alternate WCSs and history, over which astropy takes most of its time."""
    from astropy.io import fits  # late: slow to import

    cards = (text[k : k + 80] for k in range(0, len(text), 80))
    return fits.Header.fromstring("".join(card for card in cards if not _BESIDE_WCS.match(card)))


def _identity(path: str) -> tuple[str, int, int]:
    state = os.stat(path)
    return path, state.st_size, state.st_mtime_ns
