"""Replay: the product of a record once more, bit for bit, or a sentence that says why not."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from drizzlewb.distortion import replace_tan
from drizzlewb.errors import DataError, DrizzlewbError, ParameterError
from drizzlewb.exposure import Drawn, Exposure, read_exposures
from drizzlewb.parameters import ReduceParameters
from drizzlewb.parameters.exchange import MAX_BYTES, parse_json
from drizzlewb.products.drc import Product, read_record, record_parameters
from drizzlewb.reduction.engine import Reduction
from drizzlewb.reduction.inputs import as_asked
from drizzlewb.reduction.plan import final_grid, separate_grid
from drizzlewb.reduction.record import NUMBERS, SCHEMA, distortion_digest, grid_of_record, versions
from drizzlewb.reduction.run import reduce
from drizzlewb.reduction.schedule import Cancel, Progress, map_unordered, no_progress

__all__ = ["is_record_of", "differences", "load_record", "replay"]

log = logging.getLogger(__name__)

KIND = "drizzlewb record"


def replay(
    record: str | os.PathLike | Mapping[str, Any],
    exposures: Any = None,
    *,
    output: str | os.PathLike | None = None,
    go_on: bool = False,
    replace: bool = False,
    threads: int | None = None,
    scratch: Path | None = None,
    progress: Progress = no_progress,
    cancel: Cancel | None = None,
) -> Product:
    """Make the product of a record again: for the same versions and platform, with the same bits.

    Parameters
    ----------
    record : path or mapping
        ``<output>_record.json``, a product that holds one (its RECORD table), or the record itself.
    exposures : sequence of Exposure, or what `drizzlewb.read_exposures` takes
        The inputs, in any order; more than the record names are left aside. Default, the files that
        the record names, beside it.
    output : str or path, optional
        Root name of the new product, with its folder; default, the record's, in the current folder.
    go_on : bool
        Go on when an input, a grid or a version differs from the record; each difference is then
        logged as a warning.
    replace, threads, scratch, progress, cancel
        As for `drizzlewb.reduction.run.reduce`.

    Returns
    -------
    Product

    Raises
    ------
    DataError
        The record is none, or is damaged; an input is missing; an input or a grid differs (all
        differences are named) and `go_on` is False.
    ParameterError
        A record of the future, or a parameter that cannot be.

    Notes
    -----
    The record holds the WCS solution of each chip. Where the exposures carry another one (the product
    was made with an alignment in memory, or the headers were changed since), the record's is put onto
    them, in memory, and the log says so. Masks drawn by hand come from the record as well.
    """
    folder = Path(".")
    if not isinstance(record, Mapping):
        folder = Path(record).parent
    document = load_record(record)
    parameters = record_parameters(document)
    inputs = document["inputs"]
    if exposures is None:
        exposures = read_exposures([folder / str(entry["name"]) for entry in inputs])
    elif isinstance(exposures, (str, os.PathLike)) or not all(isinstance(e, Exposure) for e in exposures):
        exposures = read_exposures(exposures)
    chosen = [_put_on(_find(entry, exposures), entry) for entry in inputs]
    found = differences(document, chosen, parameters, cancel=cancel, threads=threads)
    if found:
        told = "; ".join(found)
        if not go_on:
            msg = (
                f"Replaying {document['output']}: the product would not be the same, because {told}. "
                "Give the files of the record, or say go_on=True to make the product all the same."
            )
            raise DataError(msg)
        for sentence in found:
            log.warning("replay: %s", sentence)
    reduction = Reduction(
        chosen,
        parameters,
        folder=scratch,
        beside=None if scratch else _folder_of(output, document),
        threads=threads,
        progress=progress,
        cancel=cancel,
        grid=grid_of_record(document["grids"]["final"]),
    )
    return reduce(
        chosen,
        parameters,
        output=os.fspath(output) if output is not None else Path(str(document["output"])).name,
        replace=replace,
        reduction=reduction,
        decisions=document.get("decisions"),
    )


def _folder_of(output: str | os.PathLike | None, document: Mapping[str, Any]) -> Path:
    return Path(output).expanduser().parent if output is not None else Path(".")


def is_record_of(path: str | os.PathLike, exposures: Sequence[Exposure]) -> bool:
    """Whether a parameter file is the record of a product of just these exposures, by rootname.

    Then ``drizzlewb reduce --params`` replays it; of other exposures, a record gives its parameters only.
    """
    try:
        document = load_record(path)
    except (DataError, ParameterError):
        return False
    return sorted(e["rootname"] for e in document["inputs"]) == sorted(e.rootname for e in exposures)


def load_record(source: str | os.PathLike | Mapping[str, Any]) -> dict[str, Any]:
    """Read and check a record: JSON beside a product, the RECORD table inside it, or a mapping.

    Raises
    ------
    DataError
        Missing, unreadable, not a record, or damaged.
    ParameterError
        A schema of the future.
    """
    if isinstance(source, Mapping):
        document: Any = dict(source)
        name = "the record"
    else:
        path = Path(source)
        name = path.name
        try:
            document = _read(path)
        except OSError as error:
            msg = f"The record {path} cannot be read: {error.strerror or error}."
            raise DataError(msg) from None
        except ParameterError as error:
            msg = f"{name} is no record: {error}"
            raise DataError(msg) from None
    if not isinstance(document, dict) or document.get("kind") != KIND:
        msg = f"{name} is no record of a product: expected a JSON object whose kind is {KIND!r}."
        raise DataError(msg)
    schema = document.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
        msg = f"{name}: schema {schema!r} of the record is not a version number."
        raise DataError(msg)
    if schema > SCHEMA:
        msg = f"{name} has schema {schema}, this drizzlewb knows up to {SCHEMA}: update drizzlewb."
        raise ParameterError(msg)
    _check_shape(document, name)
    return document


def _read(path: Path) -> Any:
    if path.suffix.lower() in (".fits", ".fit"):
        with fits.open(path, memmap=False, lazy_load_hdus=True) as hdus:
            return read_record(hdus)
    size = path.stat().st_size
    if size > MAX_BYTES:
        msg = f"it has {size / 2**20:.0f} MB, more than the {MAX_BYTES / 2**20:.0f} MB allowed"
        raise ParameterError(msg)
    return parse_json(path.read_bytes())


def _need(condition: object) -> None:
    if not condition:
        raise ValueError


def _check_shape(document: dict[str, Any], name: str) -> None:
    """Everything that replay reaches for is there and of its type; nothing is guessed."""
    try:
        _need(isinstance(document["output"], str))
        _need(isinstance(document["parameters"], dict))
        for entry in document["inputs"]:
            _need(isinstance(entry["name"], str))
            _need(Path(entry["name"]).name == entry["name"])  # a name, and no way out of the folder
            _need(isinstance(entry["rootname"], str))
            _need(isinstance(entry["sha256"], str))
            int(entry["bytes"])
            for chip in entry["chips"]:
                int(chip["extver"])
                _need(np.isfinite(np.array(chip["crval"], float).reshape(2)).all())
                _need(np.isfinite(np.array(chip["cd"], float).reshape(2, 2)).all())
                _need(isinstance(chip["distortion"], str))
                _need(isinstance(chip["wcsname"], str))
                for number in NUMBERS:
                    float(chip[number])
        for grid in ("separate", "final"):
            grid_of_record(document["grids"][grid])
    except (KeyError, TypeError, ValueError, IndexError, DrizzlewbError) as error:
        what = f" ({error})" if str(error) else ""
        msg = f"{name}: the record is damaged, or was written by an early version{what}."
        raise DataError(msg) from None


def _find(entry: Mapping[str, Any], exposures: Sequence[Exposure]) -> Exposure:
    """Find the exposure of an entry: by root name, and among several by the file's name."""
    found = [e for e in exposures if e.rootname == entry["rootname"]]
    named = [e for e in found if Path(e.path).name == entry["name"]]
    if named or len(found) == 1:
        return (named or found)[0]
    what = "is not among the exposures" if not found else "is given more than once, under other names"
    msg = f"Replaying: {entry['name']} ({entry['rootname']}) {what}. Give the files that the record names."
    raise DataError(msg)


def _put_on(exposure: Exposure, entry: Mapping[str, Any]) -> Exposure:
    """Copy of an exposure with the WCS solution and the drawn masks of the record."""
    wanted = {int(chip["extver"]): chip for chip in entry["chips"]}
    solutions, names, changed = [], [], False
    for chip in exposure.chips:
        said = wanted.get(chip.extver)
        if said is None:
            solutions.append(chip.wcs)
            continue
        crval, cd = np.array(said["crval"], float).reshape(2), np.array(said["cd"], float).reshape(2, 2)
        names.append(said["wcsname"])
        if np.array_equal(crval, chip.wcs.crval) and np.array_equal(cd, chip.wcs.cd):
            solutions.append(chip.wcs)
        else:
            solutions.append(replace_tan(chip.wcs, crval, cd))
            changed = True
    masks = [
        Drawn(**{**mask, "points": tuple(map(tuple, mask["points"]))})
        for chip in entry["chips"]
        for mask in chip.get("drawn", ())
    ]
    if changed:
        log.info(
            "replay: %s carries the WCS %r; the solution %r of the record is used, in memory",
            Path(exposure.path).name, exposure.wcsname, names[0],
        )  # fmt: skip
    if changed or (names and names[0] != exposure.wcsname):
        exposure = exposure.with_wcs(solutions, wcsname=names[0])
    return exposure.with_drawn(list(dict.fromkeys(masks)))


def differences(
    record: Mapping[str, Any],
    exposures: Sequence[Exposure],
    parameters: ReduceParameters | None = None,
    *,
    cancel: Cancel | None = None,
    threads: int | None = None,
) -> list[str]:
    """What differs between a record and what is there now, one clause each; empty if nothing does.

    Parameters
    ----------
    record : mapping
        As from `load_record`.
    exposures : sequence of Exposure
        In the record's order, with the record's WCS put on. Their arrays are read.
    parameters : ReduceParameters, optional
        Default, the record's.

    Returns
    -------
    list of str
        About versions, then about each input (size, header values, distortion, WCS, pixels), then
        about grids.
    """
    parameters = parameters or record_parameters(record)
    found = []
    now = versions()
    for name, then in record.get("versions", {}).items():
        if name != "python" and now.get(name) != then:
            found.append(f"{name} is {now.get(name)} and was {then}")
    asked = as_asked(exposures, parameters)
    needs_err = parameters.final.final_wht_type == "ERR"
    digests = dict(
        map_unordered(lambda k: (k, asked[k].digest(err=needs_err)), range(len(asked)), cancel, threads)
    )
    for k, (entry, exposure) in enumerate(zip(record["inputs"], asked, strict=True)):
        found += _input_differences(entry, exposure, digests[k])
    for name, make in (("separate", separate_grid), ("final", final_grid)):
        then = grid_of_record(record["grids"][name])
        given = parameters[{"separate": "driz_sep_refimage", "final": "final_refimage"}[name]]
        if name == "final" and given:
            continue  # the record's own grid is used: it does not need the reference image
        if make(asked, parameters).digest() != then.digest():
            found.append(f"the {name} grid comes out otherwise{f' (from {given})' if given else ''}")
    return found


def _input_differences(entry: Mapping[str, Any], exposure: Exposure, digest: str) -> list[str]:
    name = entry["name"]
    found = []
    size = sum(n for _, n, _ in exposure.files)
    chips = {chip.extver: chip for chip in exposure.chips}
    for said in entry["chips"]:
        chip = chips.get(int(said["extver"]))
        if chip is None:
            found.append(f"{name} has no SCI,{said['extver']}")
            continue
        where = f"{name}[SCI,{chip.extver}]"
        for number in NUMBERS:
            if getattr(chip, number) != said[number]:
                found.append(f"{where} has {number} {getattr(chip, number):.10g} and had {said[number]:.10g}")
        if distortion_digest(chip.wcs) != said["distortion"]:
            found.append(f"the distortion of {where} is another one")
        elif not (
            np.array_equal(chip.wcs.crval, np.array(said["crval"]).reshape(2))
            and np.array_equal(chip.wcs.cd, np.array(said["cd"]).reshape(2, 2))
        ):
            found.append(f"the WCS of {where} is {chip.wcsname!r} and not the record's (wcskey)")
    if digest != entry["sha256"] and not found:
        found.append(
            f"the pixels (SCI, DQ) of {name} are others: SHA-256 {digest[:12]}... and was "
            f"{entry['sha256'][:12]}..."
        )
    if found and size != entry["bytes"]:
        found.append(f"{name} has {size} bytes and had {entry['bytes']}")
    return found
