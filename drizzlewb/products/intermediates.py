"""Intermediate images on request, under DrizzlePac's names: complete or absent, like the product.

========== =================================== ====================================================
kind       file                                pixels
========== =================================== ====================================================
single_sci ``<root>_single_sci.fits``          one exposure on the separate grid, product unit/s
single_wht ``<root>_single_wht.fits``          its weights, s
med        ``<output>_med.fits``               clean image on the separate grid, product unit/s
blt        ``<root>_sci<n>_blt.fits``          clean image as a chip would have seen it, with the sky,
                                               in the unit of the chip's own SCI array
crmask     ``<root>_sci<n>_crmask.fits``       uint8: 1 = good, 0 = cosmic ray
crclean    ``<root>_crclean.fits``             copy of the input, in whose SCI arrays flagged pixels are
                                               those of blt, and whose DQ arrays hold ``crbit`` there
staticMask ``<output>_<ny>x<nx>_<chip>_``      int16: 1 = good, 0 = far below the mode
           ``staticMask.fits``
========== =================================== ====================================================

Names as DrizzlePac 3.11 makes them (``imageObject._setOutputNames``, ``_setChipOutputNames``,
``staticMask.constructFilename``), ``<root>`` being the input's name without suffix and ``<n>`` EXTVER.
"""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from drizzlewb import __version__
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import Chip, Exposure, Plane
from drizzlewb.exposure.opening import split_name
from drizzlewb.fileio import open_binary, write_at, write_box
from drizzlewb.grid import OutputGrid, Region
from drizzlewb.parameters import ReduceParameters
from drizzlewb.products import blend
from drizzlewb.products.drc import Product
from drizzlewb.products.fitsparts import copy_parts, read_parts
from drizzlewb.products.planes import stored_values, stored_words

__all__ = [
    "CleanedCopy",
    "ImageFile",
    "MaskProduct",
    "chip_header",
    "file_names",
    "grid_header",
    "wanted_kinds",
]

log = logging.getLogger(__name__)

BLOCK = 2880
_NEEDS = {
    "single_sci": ("driz_separate",),
    "single_wht": ("driz_separate",),
    "med": ("driz_separate", "median"),
    "blt": ("driz_separate", "median", "blot"),
    "crmask": ("driz_cr",),
    "crclean": ("driz_cr",),
    "staticMask": ("static",),
}
_LEFT_BY_CLEAN = ("crclean",)  # DrizzlePac's own clean takes all others away


def wanted_kinds(parameters: ReduceParameters) -> tuple[str, ...]:
    """Kinds of intermediate images that a run leaves.

    Parameters
    ----------
    parameters : ReduceParameters
        ``keep``; ``driz_cr_corr``, which asks for crclean and crmask; ``clean``, which takes back all but
        crclean.

    Raises
    ------
    ParameterError
        ``keep`` names an image whose step is switched off.
    """
    asked = [kind for kind in parameters.extra.keep.split(",") if kind]
    for kind in asked:
        off = [step for step in _NEEDS[kind] if not parameters[step]]
        if off:
            msg = (
                f"keep={parameters.extra.keep!r} asks for {kind}, which is not made: {', '.join(off)} is "
                f"off. Switch {', '.join(off)} on, or leave {kind} out."
            )
            raise ParameterError(msg)
    if parameters.cosmicray.driz_cr_corr and parameters.cosmicray.driz_cr:
        asked += ["crmask", "crclean"]
    if parameters.state.clean:
        gone = [kind for kind in asked if kind not in _LEFT_BY_CLEAN]
        if gone:
            log.warning("clean=True: %s will not be left on disk", ", ".join(gone))
        asked = [kind for kind in asked if kind in _LEFT_BY_CLEAN]
    return tuple(kind for kind in _NEEDS if kind in asked)


def _root(exposure: Exposure) -> str:
    """Name of the input without suffix, with the number of its image set where a file holds several."""
    root = split_name(exposure.path)[0]
    return f"{root}_{exposure.imset}" if exposure.imset else root


def file_names(exposures: Sequence[Exposure], stem: str, kinds: Sequence[str]) -> dict[tuple, str]:
    """File names of intermediate images.

    Parameters
    ----------
    exposures : sequence of Exposure
        The stack.
    stem : str
        Root name of the product.
    kinds : sequence of str
        See `wanted_kinds`.

    Returns
    -------
    dict
        (kind, index) -> name: the index is that of the exposure, of the chip in the stack (blt, crmask), 0
        (med), or (detector, chip, shape) (staticMask).

    Raises
    ------
    DataError
        Two files would have the same name.
    """
    names: dict[tuple, str] = {}
    detectors = {e.detector for e in exposures}
    number = 0
    for index, exposure in enumerate(exposures):
        root = _root(exposure)
        for kind in ("single_sci", "single_wht", "crclean"):
            names[kind, index] = f"{root}_{kind}.fits"
        for chip in exposure.chips:
            for kind in ("blt", "crmask"):
                names[kind, number] = f"{root}_sci{chip.extver}_{kind}.fits"
            number += 1
            ny, nx = chip.shape
            what = exposure.detector.replace("/", "").lower() + "_" if len(detectors) > 1 else ""
            key = (chip.detector, chip.chip, chip.shape)
            names["staticMask", key] = f"{stem}_{what}{ny}x{nx}_{chip.chip}_staticMask.fits"
    names["med", 0] = f"{stem}_med.fits"
    names = {key: name for key, name in names.items() if key[0] in kinds}
    for name in names.values():
        if sum(other == name for other in names.values()) > 1:
            msg = (
                f"Two exposures would write the intermediate image {name}: their files have the same name in "
                "different folders. Leave keep empty, or rename one."
            )
            raise DataError(msg)
    return names


class _Pending:
    """A file under a temporary name, which gets its own when it is complete."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.part_path = self.path.with_name(self.path.name + ".part")

    def _write_box(self, values: np.ndarray, offset: int, row_bytes: int) -> None:
        # Opened for each box: a stack of hundreds of chips has more files than a process may hold open.
        fd = open_binary(self.part_path, write=True)
        try:
            write_box(fd, values, offset, row_bytes)
        finally:
            os.close(fd)

    def finish(self) -> None:
        """Give the complete file its name."""
        with open(self.part_path, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(self.part_path, self.path)

    def abort(self) -> None:
        """Remove what was written; a finished file stays."""
        self.part_path.unlink(missing_ok=True)


class ImageFile(_Pending):
    """A simple FITS image that is written box by box.

    Parameters
    ----------
    path : Path
        Its name once it is complete.
    header : astropy.io.fits.Header
        Without structural cards.
    shape : (int, int)
        (ny, nx), px.
    dtype : {'>f4', '>i2', 'u1'}
        As stored.
    """

    def __init__(self, path: Path, header: fits.Header, shape: tuple[int, int], dtype: str) -> None:
        super().__init__(path)
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._header = header
        self._offset = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def create(self) -> None:
        """Make the file in its full size, with its header; pixels are 0."""
        cards = fits.Header()
        cards["SIMPLE"] = (True, "conforms to FITS standard")
        cards["BITPIX"] = -32 if self.dtype.kind == "f" else 8 * self.dtype.itemsize
        cards["NAXIS"] = 2
        cards["NAXIS1"], cards["NAXIS2"] = self.shape[1], self.shape[0]
        cards["EXTEND"] = True
        cards["FILENAME"] = (self.path.name, "name of file")
        cards["PROD_VER"] = (f"drizzlewb {__version__}", "software that made this file")
        cards.extend(self._header, strip=False, end=True, unique=True)
        head = np.frombuffer(cards.tostring().encode("ascii"), np.uint8)
        self._offset = head.size
        self.part_path.unlink(missing_ok=True)
        fd = open_binary(self.part_path, write=True)
        try:
            os.ftruncate(fd, self._offset + -(-self.nbytes // BLOCK) * BLOCK)
            write_at(fd, head, 0)
        finally:
            os.close(fd)

    def write(self, region: Region, values: np.ndarray) -> None:
        """Put the pixels of a region in their place."""
        row_bytes = self.shape[1] * self.dtype.itemsize
        offset = self._offset + region.y0 * row_bytes + region.x0 * self.dtype.itemsize
        self._write_box(np.ascontiguousarray(values, self.dtype), offset, row_bytes)


class CleanedCopy(_Pending):
    """A copy of an input file whose flagged pixels are replaced box by box.

    Parameters
    ----------
    path : Path
        Its name once it is complete.
    exposure : Exposure
        The input; a compressed one gives a plain copy.
    """

    def __init__(self, path: Path, exposure: Exposure) -> None:
        super().__init__(path)
        self.exposure = exposure
        self._places: dict[int, int] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of the copy (for a compressed input, of what it was unpacked to)."""
        last = read_parts(self.exposure.path)[-1]
        return last.offset + last.nbytes

    def create(self) -> None:
        """Copy the input; checksums, which would be wrong, are left out."""
        parts = []
        for index, part in enumerate(read_parts(self.exposure.path)):
            cards = part.cards
            cards.drop(("CHECKSUM", "DATASUM"))
            if index == 0 and "FILENAME" in cards:
                cards.put("FILENAME", self.path.name)
            parts.append(part.with_text(cards.text))
        written = copy_parts(self.part_path, parts)
        self._places = {part.offset: place for part, place in zip(parts, written, strict=True)}

    def write(self, chip: Chip, box: Region, good: np.ndarray, blot_e: np.ndarray, crbit: int) -> None:
        """Replace the flagged pixels of a box.

        Parameters
        ----------
        chip : Chip
            A chip of the exposure.
        box : Region
            Its pixels.
        good : ndarray of uint8
            1 where the pixel stays; its bytes are those of the input.
        blot_e : ndarray of float32
            What takes the place of the others, electrons, with the sky.
        crbit : int
            DQ is this where a pixel was replaced, and 0 elsewhere. A file whose DQ arrays lie in another
            file, or that has none, keeps what it has.
        """
        new = stored_values(chip.sci, blot_e / np.float32(chip.to_electrons))
        old = chip.sci.raw(box)
        self._put(chip.sci, box, np.where(good != 0, old, new))
        if chip.dq is not None and chip.dq.path == chip.sci.path and chip.dq.constant is None:
            words = np.where(good != 0, np.uint16(0), np.uint16(crbit))
            self._put(chip.dq, box, stored_words(chip.dq, words))

    def _put(self, plane: Plane, box: Region, stored: np.ndarray) -> None:
        dtype = np.dtype(plane.dtype)
        row_bytes = plane.shape[1] * dtype.itemsize
        offset = self._places[plane.offset] + box.y0 * row_bytes + box.x0 * dtype.itemsize
        self._write_box(np.ascontiguousarray(stored, dtype), offset, row_bytes)


# Headers ------------------------------------------------------------------------------------------------

_OBSERVATION = (
    "TELESCOP", "INSTRUME", "DETECTOR", "FILTER", "FILTER1", "FILTER2", "FILTNAM1", "FILTNAM2", "TARGNAME",
    "PROPOSID", "DATE-OBS", "TIME-OBS", "EXPSTART", "EXPEND",
)  # fmt: skip
# Cards of the file's layout, and of distortion tables that a simple image does not hold.
_LEFT_OUT = re.compile(
    r"^(SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|EXTEND|BSCALE|BZERO|BLANK|EXTNAME|EXTVER|EXTLEVEL|INHERIT"
    r"|NEXTEND|CHECKSUM|DATASUM|NPIX\d|PIXVALUE|FILENAME|BUNIT|CPDIS\d|CPERR\d|DP\d.*|NPOLEXT|AXISCORR|D2IM.*|)$"
)


def _observation(exposure: Exposure, exptime: float) -> fits.Header:
    header, primary = fits.Header(), exposure.primary
    header["ROOTNAME"] = (exposure.rootname, "rootname of the exposure")
    for keyword in _OBSERVATION:
        if keyword in primary:
            header[keyword] = (primary[keyword], primary.comments[keyword])
    header["EXPTIME"] = (exptime, "exposure time (s)")
    return header


def grid_header(exposures: Sequence[Exposure], grid: OutputGrid, unit: str, unit_ratio: float) -> fits.Header:
    """Header of an image on the separate grid.

    Parameters
    ----------
    exposures : sequence of Exposure
        What went into it.
    grid : OutputGrid
        Its grid.
    unit : str
        BUNIT.
    unit_ratio : float
        See `drizzlewb.products.blend.science_header`.
    """
    header = _observation(exposures[0], sum(e.exptime for e in exposures))
    header.extend(blend.science_header(exposures, grid, unit, unit_ratio), unique=True)
    return header


def chip_header(exposure: Exposure, chip: Chip, unit: str = "") -> fits.Header:
    """Header of an image in the pixels of a chip, with its linear WCS and SIP.

    Parameters
    ----------
    exposure, chip : Exposure, Chip
        The chip, whose WCS may be a fitted one that its file does not know.
    unit : str
        BUNIT; '' for none.

    Notes
    -----
    Distortion tables (NPOL, D2IM; up to 0.1 px) are in the input alone: for exact positions take its WCS.
    """
    header = _observation(exposure, chip.exptime)
    header["EXPNAME"] = (exposure.rootname, "exposure identifier")
    if unit:
        header["BUNIT"] = (unit, "brightness units")
    for card in chip.header.cards:
        if not _LEFT_OUT.match(card.keyword) and card.keyword not in header:
            header.append(card, end=True)
    if chip.wcs.grid_x.size == 0:
        for k in (0, 1):
            header[f"CRPIX{k + 1}"] = float(chip.wcs.crpix[k]) + 1.0
            header[f"CRVAL{k + 1}"] = float(chip.wcs.crval[k])
            for m in (0, 1):
                header[f"CD{k + 1}_{m + 1}"] = float(chip.wcs.cd[k, m])
        header.remove("LONPOLE", ignore_missing=True)  # the packed CD holds it
        header.remove("LATPOLE", ignore_missing=True)
    return header


@dataclass(frozen=True)
class MaskProduct(Product):
    """What a run with ``driz_combine=False`` leaves: masks and intermediate images, no product.

    ``path`` is the record's; ``crmask`` gives the cosmic-ray masks while the reduction is in memory;
    ``paths`` are the intermediate images that were asked for, and the record.
    """

    def _image(self, key: str) -> tuple[np.ndarray | None, fits.Header | None]:
        msg = (
            f"{self.path}: this run made no {key.upper()}, because driz_combine is off. It left masks "
            "(crmask) and the images that keep asked for. Set driz_combine=True for a product."
        )
        raise DataError(msg)
