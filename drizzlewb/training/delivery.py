"""What a trainee hands in: aligned exposures, shift file, log, products, and what made them."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from drizzlewb.errors import DataError
from drizzlewb.exposure import Exposure, read_exposures
from drizzlewb.grid import OutputGrid
from drizzlewb.instruments import filters as filters_of
from drizzlewb.instruments import identify
from drizzlewb.products.drc import Product, read_record
from drizzlewb.quality import good_bit_mask
from drizzlewb.steps.weight_check import exposure_count

__all__ = ["Delivered", "Delivery", "Shifts", "read_delivery"]

INTERMEDIATE = ("single_sci", "single_wht", "single_ctx", "single_mask", "final_mask", "med", "blt")
KEPT_ON_PURPOSE = ("crmask", "crclean", "staticMask")
_CLEAR = re.compile(r"^(CLEAR\w*|N/A|NONE|)$")


@dataclass
class Delivered:
    """One product and what is known of how it was made.

    Attributes
    ----------
    path : Path
        The file that holds SCI.
    filter : str
        From its own header.
    chips : tuple of (str, int)
        Rootname and extver of each chip in it, in order.
    placed : OutputGrid or None
        Its grid; None where the file cannot be used.
    native_scale_arcsec, pixfrac, kernel, units
        Of the drizzle; None or '' where its header does not say.
    skymethod, skymethod_source : str
        '' where nothing says.
    final_bits : int or None
        DQ bits taken as good; None where nothing says.
    subtracted_e : dict
        Sky subtracted from each chip, electrons, by (rootname, extver).
    faults : tuple of str
        Sentences: why the file cannot be used, or not wholly.
    """

    path: Path
    header: fits.Header = field(repr=False)
    filter: str = ""
    chips: tuple[tuple[str, int], ...] = ()
    placed: OutputGrid | None = None
    native_scale_arcsec: float | None = None
    pixfrac: float | None = None
    kernel: str = ""
    units: str = "cps"
    exptime: float = 0.0
    skymethod: str = ""
    skymethod_source: str = ""
    final_bits: int | None = None
    subtracted_e: dict[tuple[str, int], float] = field(default_factory=dict)
    record: dict[str, Any] | None = None
    product: Product | None = None
    faults: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Rootnames of the exposures, in order."""
        return tuple(dict.fromkeys(root for root, _ in self.chips))

    @property
    def grid(self) -> OutputGrid:
        """Grid of the product; `DataError` where the file cannot be used."""
        if self.placed is None:
            msg = f"{self.path.name} cannot be used: {' '.join(self.faults)}"
            raise DataError(msg)
        return self.placed

    @property
    def scale_arcsec(self) -> float:
        """Pixel size, arcsec."""
        return self.grid.scale_arcsec

    @property
    def name(self) -> str:
        """File name."""
        return self.path.name

    def plane(self, key: str) -> NDArray | None:
        """SCI, WHT (float32) or CTX (uint32) as (y, x) or (planes, y, x); None where there is none."""
        path: Path = self.path
        extension: str | int = key
        if path.name.endswith("_sci.fits"):
            path, extension = path.with_name(path.name[: -len("sci.fits")] + f"{key.lower()}.fits"), 0
            if not path.exists():
                return None
        with fits.open(path, memmap=False) as hdus:
            if extension != 0 and extension not in hdus:
                return None
            data = hdus[extension].data
            if data is None:
                return None
            native = np.ascontiguousarray(data.astype(data.dtype.newbyteorder("=")))
            return native.view(np.uint32) if key == "CTX" else native

    @cached_property
    def sci(self) -> NDArray[np.float32]:
        """Science image in electrons/s (or counts/s): (y, x)."""
        data = self.plane("SCI")
        if data is None:
            msg = f"{self.path.name} has no science image."
            raise DataError(msg)
        seconds = self.exptime if self.units == "counts" else 1.0
        return np.asarray(data / np.float32(seconds), np.float32)

    @cached_property
    def wht(self) -> NDArray[np.float32] | None:
        """Weight image."""
        return self.plane("WHT")

    @cached_property
    def ctx(self) -> NDArray[np.uint32] | None:
        """Context image."""
        return self.plane("CTX")

    def let_go(self) -> None:
        """Forget the pixels; they are read again when asked for."""
        for plane in ("sci", "wht", "ctx"):
            self.__dict__.pop(plane, None)

    def exposure_count(self) -> NDArray[np.uint16] | None:
        """Exposures that contribute to each pixel, from the context image; uint16[ny, nx]."""
        if self.ctx is None:
            return None
        return exposure_count(self.ctx, [self.inputs.index(root) for root, _ in self.chips])


@dataclass(frozen=True)
class Shifts:
    """A shift file: rows by rootname as (dx, dy, rotation, scale, xrms, yrms)."""

    path: Path
    rows: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Delivery:
    """A trainee's folder, read."""

    folder: Path
    exposures: tuple[Exposure, ...]
    products: tuple[Delivered, ...]
    shifts: Shifts | None
    log: Path | None
    leftovers: tuple[str, ...]
    faults: tuple[str, ...]
    expflags: dict[str, str] = field(default_factory=dict)

    def filter_of(self, rootname: str) -> str:
        """Filter of an exposure in the folder, '' if it is not there."""
        return next((_optical(e.filters) for e in self.exposures if e.rootname == rootname), "")


def _optical(filters: str) -> str:
    return ";".join(name for name in filters.split(";") if not _CLEAR.match(name.strip().upper()))


def read_delivery(folder: Path | str, products: tuple[Product, ...] = ()) -> Delivery:
    """Read a trainee's folder.

    Parameters
    ----------
    folder : path
        With ``*_flc.fits`` (or flt), shift file, log, ``*_drc.fits`` (or drz), records.
    products : tuple of Product
        Products still in memory, whose cosmic-ray masks can be looked at.

    Raises
    ------
    DataError
        There is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        msg = f"grading: {folder} is not a folder; give the one with the aligned exposures and the products."
        raise DataError(msg)
    faults: list[str] = []
    exposures: list[Exposure] = []
    for path in sorted(p for kind in ("flc", "flt", "c0m") for p in folder.glob(f"*_{kind}.fits")):
        try:
            exposures += read_exposures(path)
        except DataError as error:
            faults.append(f"{path.name} cannot be used: {error}")
    memory = {Path(p.path).resolve(): p for p in products}
    sections = _log_sections(folder)
    found = []
    for path in sorted(folder.glob("*.fits")):
        if re.search(r"_dr[czw](_sci)?\.fits$", path.name):
            delivered = read_product(path, sections)
            delivered.product = memory.get(path.resolve())
            found.append(delivered)
    logs = sorted(folder.glob("*tweakreg*.log"))
    pattern = re.compile(rf"_({'|'.join(INTERMEDIATE)})\.fits$|_single_(sci|wht)_?\d*\.fits$")
    leftovers = tuple(sorted(p.name for p in folder.glob("*.fits") if pattern.search(p.name)))
    return Delivery(
        folder,
        tuple(exposures),
        tuple(found),
        _shifts(folder, faults),
        next(iter(logs), None),
        leftovers,
        tuple(faults),
    )


def _shifts(folder: Path, faults: list[str]) -> Shifts | None:
    for path in sorted(folder.glob("*shift*.txt")):
        rows = {}
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            parts = line.split()
            if len(parts) >= 5 and not line.startswith("#"):
                try:
                    rows[re.sub(r"_(flc|flt|c0m).*$", "", parts[0])] = tuple(float(v) for v in parts[1:7])
                except ValueError:
                    faults.append(f"{path.name}: the line {line.strip()!r} is not a file name and numbers.")
        return Shifts(path, rows)
    return None


def _log_sections(folder: Path) -> dict[str, dict[str, str]]:
    """Parameters that AstroDrizzle's log tells, by root of the output; the last run of each name counts."""
    sections: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob("*drizzle*.log")):
        text = path.read_text(encoding="utf-8", errors="replace")
        for run in re.split(r"Processing Step 'Initialization'\s+started", text)[1:]:
            output = re.search(r"\]\s+output\s*:\s*(\S+)", run)
            method = re.search(r"\]\s+skymethod\s*:\s*(\S+)", run)
            final = run.split("Processing Step 'Final Drizzle'", 1)
            bits = re.search(r"\]\s+bits\s*:\s*(\S+)", final[1]) if len(final) == 2 else None
            if output:
                root = re.sub(r"(_dr[czw])?(_\w+)?\.fits$|_dr[czw]$", "", output[1])
                sections[root] = {"skymethod": method[1] if method else "", "bits": bits[1] if bits else ""}
    return sections


def _truncation(path: Path, hdus: fits.HDUList) -> str:
    size = path.stat().st_size
    last = hdus[-1].fileinfo()
    promised = last["datLoc"] + last["datSpan"]
    if promised > size:
        return (
            f"{path.name} is truncated: it holds {size} bytes, its headers promise {promised}; "
            "copy or make it again."
        )
    return ""


def read_product(path: Path, sections: dict[str, dict[str, str]] | None = None) -> Delivered:
    """Read what a product says of itself; a damaged one is returned with its faults in words.

    Parameters
    ----------
    path : Path
        ``<root>_drc.fits`` or the like, or the ``_sci.fits`` part of one.
    sections : dict, optional
        What AstroDrizzle's log tells, by root of the output.
    """
    split = path.name.endswith("_sci.fits")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", AstropyUserWarning
            )  # a truncated file is reported below, in words
            with fits.open(path, memmap=False) as hdus:
                len(hdus)  # reads all headers
                fault = _truncation(path, hdus)
                if fault:
                    return Delivered(
                        path, hdus[0].header.copy(), _header_filter(hdus[0].header), faults=(fault,)
                    )
                if not split and "SCI" not in hdus:
                    what = ", ".join(h.name for h in hdus)
                    fault = f"{path.name} has no SCI extension (it has {what}): cut short, or not a product."
                    return Delivered(
                        path, hdus[0].header.copy(), _header_filter(hdus[0].header), faults=(fault,)
                    )
                return _read_whole(path, hdus, sections or {}, split)
    except (OSError, ValueError, TypeError, KeyError) as error:
        fault = f"{path.name} cannot be read: it is truncated or not a FITS file ({error})."
        return Delivered(path, fits.Header(), faults=(fault,))


def _header_filter(primary: fits.Header) -> str:
    entry = identify(primary)
    return _optical(filters_of(entry, primary)) if entry is not None else ""


def _read_whole(
    path: Path, hdus: fits.HDUList, sections: dict[str, dict[str, str]], split: bool
) -> Delivered:
    primary, sci = hdus[0].header, hdus[0 if split else "SCI"].header
    faults = []
    if not split and "WHT" not in hdus:
        faults.append(f"{path.name} has no WHT extension: cut short, or not a whole product.")
    chips = []
    for number in range(1, int(primary.get("NDRIZIM", 0)) + 1):
        match = re.match(
            r"(.+?)_(?:flc|flt|c0m|raw)\w*\.fits\[\w+,(\d+)\]",
            str(primary.get(f"D{number:03d}DATA", "")),
            re.I,
        )
        if match:
            chips.append((Path(match[1]).name, int(match[2])))
    record = read_record(hdus) if "RECORD" in hdus else None
    root = re.sub(r"_dr[czw](_sci)?\.fits$", "", path.name)
    beside = path.with_name(f"{root}_record.json")
    if record is None and beside.is_file():
        try:
            record = json.loads(beside.read_text(encoding="utf-8"))
        except ValueError as error:
            faults.append(f"{beside.name} is damaged: {error}.")
    delivered = Delivered(
        path,
        primary.copy(),
        _header_filter(primary),
        tuple(chips),
        OutputGrid.from_header(sci),
        primary.get("D001ISCL"),
        primary.get("D001PIXF"),
        str(primary.get("D001KERN", "")),
        str(primary.get("D001OUUN", "cps")),
        float(primary.get("EXPTIME", 0.0)),
        record=record,
        faults=tuple(faults),
    )
    entry = identify(primary)
    if record is not None:
        given = record.get("parameters", {}).get("astrodrizzle", {})
        delivered.skymethod, delivered.skymethod_source = str(given.get("skymethod", "")), "record"
        if not given.get("skysub", True):
            delivered.skymethod = "none"
        bits = given.get("final_bits")
    else:
        told = sections.get(root, {})
        delivered.skymethod, delivered.skymethod_source = told.get("skymethod", ""), "log"
        bits = told.get("bits") or None
    if bits is not None and entry is not None:
        delivered.final_bits = good_bit_mask(
            int(bits) if str(bits).lstrip("-").isdigit() else bits, entry.flags
        )
    for item in _results_sky(path, record):
        name = re.match(r"(.+)\[sci,(\d+)\]", item["chip"])
        if name:
            delivered.subtracted_e[name[1], int(name[2])] = float(item["subtracted_e"])
    if not delivered.subtracted_e and "HDRTAB" in hdus and "MDRIZSKY" in hdus["HDRTAB"].columns.names:
        # DrizzlePac notes what it subtracted, in the unit of the input, in a row for each chip.
        values = np.asarray(hdus["HDRTAB"].data["MDRIZSKY"], float)
        if len(values) == len(chips) and str(sci.get("BUNIT", "")).upper().startswith("ELECTRONS"):
            delivered.subtracted_e = dict(zip(chips, values.tolist(), strict=True))
    if not delivered.skymethod and delivered.subtracted_e:
        sky = np.array(list(delivered.subtracted_e.values()))
        if sky.min() == 0 and sky.max() > 0:
            delivered.skymethod, delivered.skymethod_source = "match", "sky values: the smallest is 0"
        elif sky.min() > 0:
            delivered.skymethod, delivered.skymethod_source = "localmin", "sky values: none is 0"
        else:
            delivered.skymethod, delivered.skymethod_source = "none", "sky values: all are 0"
    return delivered


def _results_sky(path: Path, record: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Sky of each chip from the record's results, which stand only in the JSON beside the product."""
    if record is None:
        return []
    if "results" not in record:
        beside = path.with_name(re.sub(r"_dr[czw](_sci)?\.fits$", "_record.json", path.name))
        if not beside.is_file():
            return []
        try:
            record = json.loads(beside.read_text(encoding="utf-8"))
        except ValueError:
            return []
    return record.get("results", {}).get("sky", [])
