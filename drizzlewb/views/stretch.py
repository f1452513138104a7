"""From pixel values to the colours of a picture."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLOUR_MAPS", "LIMITS", "STRETCHES", "coloured", "jpeg", "limits"]

STRETCHES = ("asinh", "linear", "log", "sqrt")
LIMITS = ("zscale", "99 %", "99.5 %", "99.9 %", "min-max", "by hand")
COLOUR_MAPS = ("gray", "gray_r", "viridis", "cividis", "magma", "RdBu")

_LEVELS = 1 << 14
_BAD = (96, 64, 64)
_SMALLEST_PX = 384


def limits(values: NDArray[np.float32], how: str) -> tuple[float, float]:
    """Black and white of a picture.

    Parameters
    ----------
    values : ndarray
        Finite pixels; a sample is enough.
    how : str
        One of `LIMITS`; 'by hand' counts as 'zscale'.

    Returns
    -------
    low, high : float
        ``low < high`` always.
    """
    from astropy.visualization import MinMaxInterval, PercentileInterval, ZScaleInterval

    if values.size == 0:
        return 0.0, 1.0
    if how == "min-max":
        interval = MinMaxInterval()
    elif how.endswith("%"):
        interval = PercentileInterval(float(how.rstrip("% ")))
    else:
        interval = ZScaleInterval()
    low, high = (float(v) for v in interval.get_limits(values))
    if not low < high:
        high = low + (abs(low) * 1e-6 or 1.0)
    return low, high


@lru_cache(maxsize=32)
def _table(stretch: str, colour_map: str) -> NDArray[np.uint8]:
    """Colours of `_LEVELS` equal steps from black to white; the last row is for pixels without a value."""
    from astropy import visualization as v
    from matplotlib import colormaps

    curve = {
        "asinh": v.AsinhStretch(0.05),
        "linear": v.LinearStretch(),
        "log": v.LogStretch(1000.0),
        "sqrt": v.SqrtStretch(),
    }[stretch]
    shades = curve(np.linspace(0.0, 1.0, _LEVELS))
    colours = (colormaps[colour_map](shades)[:, :3] * 255 + 0.5).astype(np.uint8)
    return np.vstack([colours, [_BAD]]).astype(np.uint8)


def coloured(
    image: NDArray[np.float32],
    low: float,
    high: float,
    stretch: str = "asinh",
    colour_map: str = "gray",
) -> NDArray[np.uint8]:
    """Colours of an image.

    Parameters
    ----------
    image : ndarray, float32, shape (ny, nx)
        NaN is drawn in a dull red that no map holds.
    low, high : float
        Values that are black and white.

    Returns
    -------
    ndarray, uint8, shape (ny, nx, 3)
    """
    with np.errstate(invalid="ignore"):
        level = (image - np.float32(low)) * np.float32((_LEVELS - 1) / (high - low))
        np.clip(level, 0, _LEVELS - 1, out=level)
        bad = ~np.isfinite(image)
        level[bad] = _LEVELS
    return _table(stretch, colour_map)[level.astype(np.int32)]


def jpeg(rgb: NDArray[np.uint8], quality: int = 90) -> bytes:
    """JPEG of a picture whose first row is the lowest; small ones are enlarged: pixels stay squares."""
    from PIL import Image

    times = max(1, _SMALLEST_PX // max(rgb.shape[:2]))
    if times > 1:
        rgb = rgb.repeat(times, axis=0).repeat(times, axis=1)
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb[::-1])).save(out, "JPEG", quality=quality, subsampling=0)
    return out.getvalue()
