"""The one switch that lets a reduction change its inputs: cosmic-ray flags into DQ, MDRIZSKY into headers.

A file is replaced as a whole (`drizzlewb.products.fitsparts.write_parts`: a temporary copy beside it, brought
to the disk, then renamed; links are followed). SCI and ERR pixels are copied as bytes.
"""

import dataclasses
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from drizzlewb.errors import DataError
from drizzlewb.exposure import Chip, Exposure, Plane
from drizzlewb.parameters import ReduceParameters
from drizzlewb.products.fitsparts import Part, check_writable, read_parts, write_parts
from drizzlewb.products.planes import stored_words

__all__ = ["check_inputs", "refuse_changed", "update_inputs"]

log = logging.getLogger(__name__)

_BLOCK = 2880
_SAID = "Sky value computed by drizzlewb"


def refuse_changed(exposures: Sequence[Exposure]) -> None:
    """Refuse exposures whose files are no longer those that were read: their pixels may lie elsewhere.

    Raises
    ------
    DataError
        A file is gone, or has another size or time than when it was opened.
    """
    for path, size, mtime_ns in dict.fromkeys(file for e in exposures for file in e.files):
        try:
            state = os.stat(path)
        except OSError as error:
            msg = f"{path} cannot be read any more ({error.strerror}). Read the exposures again."
            raise DataError(msg) from error
        if (state.st_size, state.st_mtime_ns) != (size, mtime_ns):
            msg = (
                f"{path} was changed since it was read ({size} bytes then, {state.st_size} now). Read the "
                "exposures again (drizzlewb.read_exposures)."
            )
            raise DataError(msg)


def check_inputs(exposures: Sequence[Exposure], parameters: ReduceParameters) -> None:
    """Refuse ``update_inputs`` where it cannot be done, before any work.

    Raises
    ------
    DataError
        A compressed or read-only file; cosmic rays to be flagged and no DQ array; a disk too full for a
        second copy of the largest file.
    """
    for exposure in exposures:
        for path in _paths(exposure):
            if path.lower().endswith(".gz"):
                msg = (
                    f"update_inputs=True would change {path}, which is compressed. Unpack it (gunzip) and "
                    "read it again, or leave update_inputs off."
                )
                raise DataError(msg)
            check_writable(path)
            size = os.path.getsize(path)
            free = shutil.disk_usage(os.path.dirname(os.path.realpath(path))).free
            if size + _BLOCK > free:
                msg = (
                    f"update_inputs=True writes a new copy beside {path} before it takes its place: that "
                    f"needs {size / 1e6:.0f} MB and the disk has {free / 1e6:.0f} MB left. Make room first."
                )
                raise DataError(msg)
        bare = [chip.label for chip in exposure.chips if chip.dq is None]
        if bare and parameters.cosmicray.driz_cr and parameters.general.crbit:
            msg = (
                f"update_inputs=True writes cosmic-ray flags into DQ arrays, but {bare[0]} has none. "
                "Leave update_inputs off (keep='crmask' writes the masks), or set crbit=0 for MDRIZSKY only."
            )
            raise DataError(msg)


def _paths(exposure: Exposure) -> list[str]:
    """Files of an exposure that are written."""
    planes = [plane for chip in exposure.chips for plane in (chip.sci, chip.dq) if plane is not None]
    return list(dict.fromkeys(plane.path for plane in planes))


def update_inputs(
    exposures: Sequence[Exposure],
    skies: Sequence[float | None],
    read_crmask: Callable[[int], np.ndarray] | None,
    crbit: int,
    resetbits: int = 0,
) -> list[str]:
    """Write cosmic-ray flags and MDRIZSKY into the files of a stack.

    Parameters
    ----------
    exposures : sequence of Exposure
        The stack.
    skies : sequence of float or None
        MDRIZSKY of each chip of the stack, in the file's unit; None where no sky was determined: a missing
        card becomes 0 then, and one that is there stays (``sky._addDefaultSkyKW`` of the peer).
    read_crmask : callable or None
        Gives the cosmic-ray mask (uint8, 1 = good) of a chip by its number; None flags nothing.
    crbit : int
        DQ bit of rejected pixels; 0 flags nothing.
    resetbits : int
        Bits that were taken as cleared. Where `crbit` is among them, flags of an earlier run are replaced by
        those of this one; no other bit is ever cleared.

    Returns
    -------
    list of str
        Files that were changed.

    Raises
    ------
    DataError
        A file was changed while the run went on, or cannot be written. Files before it are updated, it and
        those behind it are as they were; the message names them.
    """
    changes: dict[str, list[Callable[[list[Part]], None]]] = {}
    number = 0
    for exposure in exposures:
        for chip in exposure.chips:
            sky = skies[number]
            changes.setdefault(chip.sci.path, []).append(partial(_put_sky, chip=chip, sky=sky))
            if read_crmask is not None and crbit and chip.dq is not None:
                mask = partial(read_crmask, number)
                changes.setdefault(chip.dq.path, []).append(
                    partial(_put_flags, chip=chip, read_mask=mask, crbit=crbit, cleared=crbit & resetbits)
                )
            number += 1
    refuse_changed(exposures)
    done: list[str] = []
    for path, edits in changes.items():
        old = read_parts(path)
        new = list(old)
        for edit in edits:
            edit(new)
        if new == old:
            continue
        try:
            write_parts(path, new)
        except DataError as error:
            msg = f"{error} Inputs updated before it: {', '.join(done) or 'none'}. The product is complete."
            raise DataError(msg) from error
        done.append(path)
        log.info("%s: MDRIZSKY and cosmic-ray flags written", path)
    return done


def _find(parts: Sequence[Part], plane: Plane, names: tuple[str, ...], ver: int) -> int:
    """Place of the HDU that holds an array; an array of one constant is found by its name."""
    for k, part in enumerate(parts):
        if plane.constant is None and part.offset == plane.offset and part.nbytes:
            return k
        if plane.constant is not None and part.name in names and part.ver == ver:
            return k
    msg = f"{plane.path}: the array of [{names[0]},{ver}] is not where it was when the file was read."
    raise DataError(msg)


def _put_sky(parts: list[Part], chip: Chip, sky: float | None) -> None:
    k = _find(parts, chip.sci, ("SCI",), chip.extver)
    cards = parts[k].cards
    if sky is None and "MDRIZSKY" in cards:
        return
    value = float(sky or 0.0)
    if cards.number("MDRIZSKY") == value:
        return
    cards.put("MDRIZSKY", value, _SAID)
    cards.drop(("CHECKSUM", "DATASUM"))
    parts[k] = parts[k].with_text(cards.text)


def _put_flags(
    parts: list[Part], chip: Chip, read_mask: Callable[[], np.ndarray], crbit: int, cleared: int
) -> None:
    plane, mask = chip.dq, read_mask()
    assert plane is not None
    ny, nx = chip.shape
    before = plane.words((0, ny, 0, nx))
    words = before & np.uint16(~cleared & 0xFFFF)
    words |= np.where(mask != 0, np.uint16(0), np.uint16(crbit))
    if np.array_equal(words, before):
        return
    k = _find(parts, plane, ("DQ", "SDQ"), chip.extver)
    cards = parts[k].cards
    cards.drop(("CHECKSUM", "DATASUM"))
    if plane.constant is not None:
        # The file says only that all flags are alike: now it needs the array itself.
        cards.drop(("NPIX1", "NPIX2", "PIXVALUE", "BSCALE", "BZERO", "BLANK"))
        cards.put("BITPIX", 16)
        cards.put("NAXIS", 2)
        cards.put("NAXIS1", nx, "", after="NAXIS")
        cards.put("NAXIS2", ny, "", after="NAXIS1")
        plane = dataclasses.replace(plane, dtype=">i2", constant=None, bscale=1.0, bzero=0.0)
    content = stored_words(plane, words).tobytes()
    content += bytes(-len(content) % _BLOCK)
    parts[k] = dataclasses.replace(
        parts[k], text=cards.text, data=content, path="", offset=parts[k].offset, nbytes=len(content)
    )
