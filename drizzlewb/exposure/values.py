"""Exposures and chips as values: where their pixels lie, what one pixel is worth, where it points.

Nothing is open and nothing is loaded: a chip knows path and offset of its arrays and reads boxes of
them on request. All of it can be pickled and read from many threads.
"""

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from drizzlewb import instruments
from drizzlewb.distortion import plate_scale
from drizzlewb.errors import DataError
from drizzlewb.exposure.drawn import DRAWN_FLAG, Drawn, covered
from drizzlewb.exposure.plane import Plane
from drizzlewb.kernels.transform import PackedWCS
from drizzlewb.quality import ALL_BITS, Bits, FlagTable, good_bit_mask

if TYPE_CHECKING:
    from astropy.io.fits import Header

__all__ = ["Chip", "Exposure", "electrons_per_unit"]

RegionLike = tuple[int, int, int, int]
"""(y0, y1, x0, x1), half-open and zero-based: a `drizzlewb.grid.Region` or any such tuple."""


@dataclass(frozen=True, eq=False)
class Chip:
    """One science array and all that is needed to use it.

    Attributes
    ----------
    path : str
        The file of SCI.
    extver : int
        EXTVER of SCI.
    chip : int
        Number of the chip: CCDCHIP; WFPC2's DETECTOR (1 is the PC); 1 where there is only one.
    detector : str
        Key in `drizzlewb.instruments.DETECTORS`.
    shape : tuple of int
        (ny, nx).
    sci, dq, err : Plane or None
        Arrays in the file; None where the file has none (SCI is always there).
    wcs : PackedWCS
        The chip's WCS with its lookup tables.
    header_text : str
        The cards of SCI's header.
    exptime : float
        Seconds.
    unit : str
        Unit in the file: 'electrons', 'electrons/s', 'counts' or 'counts/s'.
    to_electrons : float
        Times a pixel of the file: electrons collected in `exptime`.
    gain, read_noise, dark : float
        e-/DN, e- (mean of the amplifiers), e-/s.
    pixel_scale_arcsec : float
        Undistorted linear plate scale.
    cte_dir : int
        1 or -1: direction in y of trails of poor charge transfer; 0 none.
    mdrizsky : float
        MDRIZSKY of the header (0 if absent), in the file's unit.
    photflam, photplam, photzpt : float
        As in the header (0 if absent); PHOTFLAM is per the file's unit per second.
    wcsname : str
        WCSNAME of the header, or the name of a fitted solution.
    binning : int
        Detector pixels per pixel along an axis.
    nominal : tuple of str
        Which of 'gain', 'read_noise' come from the detector's table for want of keywords.
    shadow_chip : int
        WFPC2: number of the chip whose pyramid shadow is masked; else 0.
    drawn : tuple of Drawn
        Masks drawn by hand; they count as DQ 16384.
    """

    path: str
    extver: int
    chip: int
    detector: str
    shape: tuple[int, int]
    sci: Plane
    dq: Plane | None
    err: Plane | None
    wcs: PackedWCS
    header_text: str
    exptime: float
    unit: str
    to_electrons: float
    gain: float
    read_noise: float
    dark: float
    pixel_scale_arcsec: float
    cte_dir: int = 0
    mdrizsky: float = 0.0
    photflam: float = 0.0
    photplam: float = 0.0
    photzpt: float = 0.0
    wcsname: str = ""
    binning: int = 1
    nominal: tuple[str, ...] = ()
    shadow_chip: int = 0
    drawn: tuple[Drawn, ...] = ()

    @property
    def header(self) -> "Header":
        """SCI's header, parsed anew at each call; text to be shown as text, never as HTML."""
        from astropy.io.fits import Header  # late: slow to import

        return Header.fromstring(self.header_text)

    @property
    def flags(self) -> FlagTable:
        """Meanings of this detector's DQ bits."""
        return instruments.detector(self.detector).flags

    @property
    def label(self) -> str:
        """``file[SCI,n]`` for messages."""
        return f"{self.path}[SCI,{self.extver}]"

    @property
    def orientation_deg(self) -> float:
        """Position angle of the y axis, east of north, from the CD matrix (ORIENTAT)."""
        return math.degrees(math.atan2(self.wcs.cd[0, 1], self.wcs.cd[1, 1]))

    def read_sci(self, region: RegionLike) -> np.ndarray:
        """Box of SCI in electrons: float32, C-contiguous, (y1 - y0, x1 - x0); bad pixels as they are."""
        return self.sci.values(region, self.to_electrons)

    def read_err(self, region: RegionLike) -> np.ndarray:
        """Box of ERR in electrons (float32); `DataError` where the file has no ERR array."""
        if self.err is None:
            msg = (
                f"{self.label}: there is no ERR array, which ERR weights need; use final_wht_type EXP or IVM"
            )
            raise DataError(msg)
        return self.err.values(region, self.to_electrons)

    def read_dq(self, region: RegionLike) -> np.ndarray:
        """Box of DQ as uint16; zeros where the file has no DQ array."""
        if self.dq is None:
            y0, y1, x0, x1 = region
            words = np.zeros((y1 - y0, x1 - x0), np.uint16)
        else:
            words = self.dq.words(region)
        for drawn in self.drawn:
            words[covered(drawn, self.wcs, self.pixel_scale_arcsec, region)] |= np.uint16(DRAWN_FLAG)
        return words

    def good(self, region: RegionLike, bits: Bits, reset: int = 0) -> np.ndarray:
        """Box of the DQ mask: uint8, 1 where a pixel is good.

        Parameters
        ----------
        region : (y0, y1, x0, x1)
            Half-open, zero-based, inside the chip.
        bits : int, str, None or list
            DQ values that do not make a pixel bad, in any of DrizzlePac's forms or by name; see
            `drizzlewb.quality.good_bit_mask`. 0: every flag is bad; None: DQ is ignored.
        reset : int
            Bits taken as cleared beforehand (``resetbits``).

        Returns
        -------
        ndarray
            NaN and infinite pixels of SCI are not looked at. The shadow of the WFPC2 pyramid is bad
            whatever the bits: it is a place on the chip and no flag.

        Raises
        ------
        ParameterError
            The bits cannot be understood.
        """
        y0, y1, x0, x1 = region
        taken = good_bit_mask(bits, self.flags)
        bad = ~(taken | reset) & ALL_BITS
        if bad and self.dq is not None:
            good = ((self.dq.words(region) & np.uint16(bad)) == 0).view(np.uint8)
        else:
            good = np.ones((y1 - y0, x1 - x0), np.uint8)
        for drawn in self.drawn if not taken & DRAWN_FLAG else ():  # not undone by reset
            good[covered(drawn, self.wcs, self.pixel_scale_arcsec, region)] = 0
        if self.shadow_chip:
            rows, columns = np.arange(y0, y1), np.arange(x0, x1)
            x_edge, y_edge = instruments.shadow_edges(self.shadow_chip, self.binning, rows, columns)
            good[columns[None, :] < x_edge[:, None]] = 0
            good[rows[:, None] < y_edge[None, :]] = 0
        return good


@dataclass(frozen=True, eq=False)
class Exposure:
    """One exposure of one detector: its chips and what a table shows of it.

    Attributes
    ----------
    path : str
        The file.
    rootname, suffix : str
        E.g. 'j8bt05njq' and 'flt'; a file of several image sets gives 'root_1', 'root_2', ...
    detector : str
        Key in `drizzlewb.instruments.DETECTORS`.
    filters, target, visit : str
        Filters joined by ';', TARGNAME, visit within the programme.
    date_obs, time_obs : str
        DATE-OBS and TIME-OBS (UT).
    expstart : float
        Start, MJD; 0 if unknown.
    exptime : float
        Seconds.
    chips : tuple of Chip
        In order of EXTVER.
    primary_text : str
        The cards of the primary header.
    files : tuple
        (path, size in bytes, mtime_ns) of the file and of a separate DQ file.
    imset : int
        0, or the number of the image set in a file that holds several.
    weight_map : str
        Weight image named in the second column of an ``@list``; '' if none.
    """

    path: str
    rootname: str
    suffix: str
    detector: str
    filters: str
    target: str
    visit: str
    date_obs: str
    time_obs: str
    expstart: float
    exptime: float
    chips: tuple[Chip, ...]
    primary_text: str
    files: tuple[tuple[str, int, int], ...] = ()
    imset: int = 0
    weight_map: str = ""

    @property
    def primary(self) -> "Header":
        """The primary header, parsed anew at each call; text to be shown as text, never as HTML."""
        from astropy.io.fits import Header  # late: slow to import

        return Header.fromstring(self.primary_text)

    @property
    def wcsname(self) -> str:
        """Name of the WCS solution of the first chip."""
        return self.chips[0].wcsname

    @property
    def unit(self) -> str:
        """Unit of the file, the same for all chips."""
        return self.chips[0].unit

    @property
    def product_suffix(self) -> str:
        """'drc', 'drz' or 'drw'."""
        return instruments.product_suffix(instruments.detector(self.detector), self.suffix)

    @property
    def identity(self) -> tuple:
        """What a cache key needs to tell these pixels from others: cheap, hashable, stable.

        Path, size and mtime_ns of the files, the image set, and the numbers that turn the file's values
        into electrons and noise, and masks drawn by hand. The WCS is not in it.
        """
        chips = tuple((c.extver, *_numbers(c), *c.drawn) for c in self.chips)
        return (self.files, self.imset, chips, self.weight_map)

    def digest(self, *, err: bool = False) -> str:
        """SHA-256, in hexadecimal, of what this exposure brings to a product, for the record.

        Over SCI, DQ and, if asked for, ERR as they are stored, the packed distortion, and the header values
        used; not over path and time of the file, and not over masks drawn by hand. Reads the whole arrays.
        """
        total = hashlib.sha256()
        for chip in self.chips:
            head = (chip.detector, chip.chip, chip.extver, chip.shape, chip.unit, *_numbers(chip))
            total.update(repr(head).encode())
            for plane in (chip.sci, chip.dq, chip.err if err else None):
                total.update(repr(plane and (plane.dtype, plane.bscale, plane.bzero, plane.blank)).encode())
                for piece in plane.stored_bytes() if plane is not None else ():
                    total.update(piece)
            for name in PackedWCS._fields:
                array = getattr(chip.wcs, name)
                total.update(f"{name}{array.dtype.str}{array.shape}".encode())
                total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()

    def with_drawn(self, masks: Sequence[Drawn]) -> "Exposure":
        """Copy with these masks drawn on it, instead of those that it had; others' masks are left out."""
        own = [m for m in masks if m.exposure == self.rootname]
        chips = tuple(
            dataclasses.replace(c, drawn=tuple(m for m in own if m.extver in (0, c.extver)))
            for c in self.chips
        )
        return dataclasses.replace(self, chips=chips)

    def with_wcs(
        self,
        wcs: Sequence[PackedWCS],
        *,
        wcsname: str | None = None,
        header_texts: Sequence[str] | None = None,
    ) -> "Exposure":
        """Copy with other WCSs, one for each chip in order; the file is not touched.

        Parameters
        ----------
        wcs : sequence of PackedWCS
            As many as there are chips.
        wcsname : str, optional
            Name of the solution; None keeps the old one.
        header_texts : sequence of str, optional
            SCI headers that hold the solution; None keeps the old cards.

        Raises
        ------
        ValueError
            Another number of solutions than of chips.
        """
        texts = header_texts if header_texts is not None else [chip.header_text for chip in self.chips]
        if not len(wcs) == len(texts) == len(self.chips):
            msg = f"{self.rootname} has {len(self.chips)} chips; got {len(wcs)} WCSs and {len(texts)} headers"
            raise ValueError(msg)
        chips = tuple(
            dataclasses.replace(
                chip,
                wcs=solution,
                header_text=text,
                wcsname=chip.wcsname if wcsname is None else wcsname,
                pixel_scale_arcsec=plate_scale(solution),
            )
            for chip, solution, text in zip(self.chips, wcs, texts, strict=True)
        )
        return dataclasses.replace(self, chips=chips)


def _numbers(chip: Chip) -> tuple:
    return (chip.exptime, chip.to_electrons, chip.gain, chip.read_noise, chip.dark, chip.mdrizsky,
            chip.photflam, chip.photplam, chip.photzpt)  # fmt: skip


def electrons_per_unit(unit: str, gain: float, exptime: float) -> float:
    """Factor from a unit of the file to electrons collected in `exptime` seconds."""
    factor = gain if unit.startswith("counts") else 1.0
    return factor * exptime if unit.endswith("/s") else factor
