"""Pictures laid over each other: fade, swipe, red/cyan, three colours, difference.

All take and give arrays of shape (ny, nx, 3), uint8, unless they say otherwise.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drizzlewb.views import stretch as stretching

__all__ = [
    "DIFFERENCE_MAP",
    "difference",
    "difference_limit",
    "difference_picture",
    "fade",
    "red_cyan",
    "swipe",
    "three_colours",
]

RGB = NDArray[np.uint8]

DIFFERENCE_MAP = "RdBu"
_LINE = np.array([230, 159, 0], np.uint8)


def fade(first: RGB, second: RGB, share: float) -> RGB:
    """Mix of two pictures: the first at ``share = 0``, the second at 1."""
    t = np.float32(min(max(share, 0.0), 1.0))
    mixed = first.astype(np.float32) * (1 - t) + second.astype(np.float32) * t
    return (mixed + 0.5).astype(np.uint8)


def swipe(first: RGB, second: RGB, share: float) -> RGB:
    """Second picture at the left of a line, the first at its right; `share` says where it stands, 0 to 1."""
    out = first.copy()
    column = round(min(max(share, 0.0), 1.0) * out.shape[1])
    out[:, :column] = second[:, :column]
    if 0 < column < out.shape[1]:
        out[:, column] = _LINE
    return out


def red_cyan(first: RGB, second: RGB) -> RGB:
    """First in red, second in cyan: what is in both is grey, what has moved has coloured edges.

    Both are pictures in grey.
    """
    return np.stack([first[..., 0], second[..., 1], second[..., 2]], axis=2)


def three_colours(
    images: Sequence[NDArray[np.float32]],
    limits: Sequence[tuple[float, float]],
    *,
    asinh: bool = True,
    softening: float = 0.05,
) -> RGB:
    """Colour picture of three images.

    Parameters
    ----------
    images : three float32 arrays of one shape
        Red, green, blue; NaN is black.
    limits : three (float, float)
        Black and white of each.
    asinh : bool
        Stretch the intensity and keep the colours (Lupton et al. 2004, PASP 116, 133); False stretches
        nothing and clips each channel.
    softening : float
        Fraction of white at which the asinh turns from linear to logarithmic: smaller shows fainter things.
    """
    from astropy.visualization import AsinhStretch, ManualInterval, make_lupton_rgb

    scaled = [
        np.nan_to_num((image - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)
        for image, (low, high) in zip(images, limits, strict=True)
    ]
    if not asinh:
        return (np.clip(np.stack(scaled, axis=2), 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    with np.errstate(invalid="ignore", divide="ignore"):  # pixels without light; they come out black
        return make_lupton_rgb(*scaled, interval=ManualInterval(0, 1), stretch_object=AsinhStretch(softening))


def difference(first: NDArray[np.float32], second: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """First minus `factor` times the second, float32; NaN where either has no value."""
    return np.asarray(first - np.float32(factor) * second, np.float32)


def difference_limit(values: NDArray[np.float32]) -> float:
    """Half the range of a difference that is shown: six robust sigma, always above zero."""
    good = values[np.isfinite(values)]
    if not good.size:
        return 1.0
    middle = np.median(good)
    spread = float(np.median(np.abs(good - middle)) * 1.4826)
    return 6.0 * spread or float(np.abs(good).max()) or 1.0


def difference_picture(values: NDArray[np.float32], limit: float) -> RGB:
    """Difference in colours: red below zero, white at it, blue above."""
    return stretching.coloured(values, -limit, limit, "linear", DIFFERENCE_MAP)
