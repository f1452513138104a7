"""A chip together with the whole-image numbers that every later step needs."""

from dataclasses import dataclass

import numpy as np

from drizzlewb.distortion import homography
from drizzlewb.exposure import Chip, Plane
from drizzlewb.grid import Inverse, OutputGrid, Region, chip_box, grid_region, near_inverse

__all__ = ["Placed", "PreparedChip", "place"]


@dataclass(frozen=True, eq=False)
class PreparedChip:
    """One chip of a stack after the pre-pass.

    Attributes
    ----------
    chip : Chip
        The chip itself.
    number : int
        Position in the stack, from 0, in order of exposure, then SCI extver: its context bit is
        ``number % 32`` of plane ``number // 32``.
    exposure : int
        Index of its exposure in the stack, from 0.
    static : ndarray of uint8, shape of the chip, or None
        Static mask, 1 = good; None when no static mask is used.
    sky_subtracted, sky_present : float
        Sky taken off every pixel (DrizzlePac's MDRIZSKY) and sky that fell on the detector, both in
        electrons over the exposure. They differ when sky was removed before, or for ``match``.
    sky_removed : float
        Sky that the user had taken off the file's pixels before and has declared, electrons.
    good_pixels : int
        Pixels usable for the separate images (``driz_sep_bits``, static mask, finite).
    resetbits : int
        DQ bits cleared in memory before any DQ test.
    weight_map : Plane or None
        The user's inverse-variance map of this chip, for IVM weights.
    flat : Plane or None
        Its flat, for IVM weights; None counts as 1.
    """

    chip: Chip
    number: int
    exposure: int
    static: np.ndarray | None = None
    sky_subtracted: float = 0.0
    sky_present: float = 0.0
    good_pixels: int = 0
    resetbits: int = 0
    weight_map: Plane | None = None
    flat: Plane | None = None
    sky_removed: float = 0.0

    @property
    def sky_absent(self) -> float:
        """Sky that fell on the detector and is no longer in `read_data`: it made noise that they do not show.

        With ``match`` this is an offset only, the rest of the sky being in the pixels still.
        """
        return self.sky_removed + self.sky_subtracted

    @property
    def bit(self) -> np.uint32:
        """Context bit of this chip within its plane."""
        return np.uint32(1 << (self.number % 32))

    @property
    def plane(self) -> int:
        """Context plane of this chip."""
        return self.number // 32

    def read_good(self, box: Region, bits: int | str | None) -> np.ndarray:
        """Mask of a box: uint8, 1 where the DQ (with ``bits`` taken as good) and static mask allow use.

        Parameters
        ----------
        box : Region
            Pixels of the chip.
        bits : int, str or None
            DQ bits taken as good, in any form that DrizzlePac takes; None ignores the DQ.
        """
        good = self.chip.good(box, bits, self.resetbits)
        if self.static is not None:
            good &= self.static[box.slices()]
        return good

    def read_data(self, box: Region) -> np.ndarray:
        """Pixels of a box less the subtracted sky: float32 electrons over the exposure."""
        data = self.chip.read_sci(box)
        if self.sky_subtracted:
            data -= np.float32(self.sky_subtracted)
        return data


@dataclass(frozen=True, eq=False)
class Placed:
    """A prepared chip on an output grid.

    Attributes
    ----------
    prepared : PreparedChip
        The chip.
    grid : OutputGrid
        The grid it is mapped to.
    h : ndarray of float64, shape (3, 3)
        Homography from the chip's focal-plane offsets to output pixels.
    scale : float
        Output pixel over the chip's undistorted pixel, both linear (DrizzlePac's ``pix_ratio``).
    bounds : Region
        Output pixels that the whole chip can touch.
    inverse : Inverse or None
        From the grid back to the chip, nearly.
    """

    prepared: PreparedChip
    grid: OutputGrid
    h: np.ndarray
    scale: float
    bounds: Region
    inverse: Inverse | None = None

    def box_under(self, region: Region, margin: float) -> Region:
        """Chip pixels that can reach an output region; an empty region where there are none.

        Parameters
        ----------
        region : Region
            Output pixels.
        margin : float
            Reach of a drop or an interpolant, in output pixels.
        """
        reach = int(np.ceil(margin)) + 1
        grown = region.grow(reach)
        b = self.bounds
        if grown.y1 <= b.y0 or grown.y0 >= b.y1 or grown.x1 <= b.x0 or grown.x0 >= b.x1:
            return Region(0, 0, 0, 0)
        chip = self.prepared.chip
        return chip_box(chip.wcs, chip.shape, self.grid.wcs, grown, 2, self.inverse)


def place(chips: list[PreparedChip], grid: OutputGrid) -> list[Placed]:
    """Put prepared chips on a grid, keeping their order."""
    placed = []
    for prepared in chips:
        chip = prepared.chip
        placed.append(
            Placed(
                prepared,
                grid,
                homography(chip.wcs, grid.wcs),
                grid.scale_arcsec / chip.pixel_scale_arcsec,
                grid_region(chip.wcs, chip.shape, None, grid).grow(2),
                near_inverse(chip.wcs, chip.shape, grid.wcs),
            )
        )
    return placed
