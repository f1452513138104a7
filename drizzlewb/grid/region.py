"""Rectangles of arrays."""

from typing import NamedTuple

__all__ = ["Region"]


class Region(NamedTuple):
    """Half-open, zero-based rectangle ``[y0:y1, x0:x1]`` of an array."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx); zero where empty."""
        return max(self.y1 - self.y0, 0), max(self.x1 - self.x0, 0)

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.y1 <= self.y0 or self.x1 <= self.x0

    def grow(self, n: int) -> "Region":
        """Return it with n pixels more on every side."""
        return Region(self.y0 - n, self.y1 + n, self.x0 - n, self.x1 + n)

    def intersect(self, other: "Region") -> "Region":
        """Return the pixels in both; ``Region(0, 0, 0, 0)`` if there are none."""
        both = Region(
            max(self.y0, other[0]), min(self.y1, other[1]), max(self.x0, other[2]), min(self.x1, other[3])
        )
        return Region(0, 0, 0, 0) if both.empty else both

    def clip(self, shape: tuple[int, int]) -> "Region":
        """Return the part inside an array of that shape (ny, nx); ``Region(0, 0, 0, 0)`` if none."""
        return self.intersect(Region(0, int(shape[0]), 0, int(shape[1])))

    def slices(self, origin: tuple[int, int] = (0, 0)) -> tuple[slice, slice]:
        """Slices of an array whose first pixel is `origin` = (y0, x0)."""
        oy, ox = origin
        return slice(self.y0 - oy, self.y1 - oy), slice(self.x0 - ox, self.x1 - ox)
