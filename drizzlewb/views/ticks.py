"""Round numbers on the axes of bqplot figures, which left alone divides an axis evenly: 0.77, -0.049."""

import math
from collections.abc import Sequence
from typing import Any

import bqplot as bq
import numpy as np
import numpy.typing as npt

__all__ = ["keep_ticks_round", "log_ticks", "round_ticks"]


def round_ticks(low: float, high: float, most: int = 5) -> npt.NDArray[np.float64]:
    """Round numbers between two ends of an axis, at most so many steps."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high and most > 0):
        return np.empty(0)
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    steps = [m * power for m in (0.5, 1.0, 2.0, 5.0, 10.0)]
    k = next(k for k, step in enumerate(steps) if step >= raw * (1 - 1e-9))
    for step in (steps[k], steps[k - 1]):  # between 1 and 4002 lies no multiple of 5000
        values = np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1) * step
        if len(values):
            break
    # So that 0.3 does not show as 0.30000000000000004.
    return np.array([float(f"{v:.10g}") for v in values])


def log_ticks(low: float, high: float) -> npt.NDArray[np.float64]:
    """Powers of ten between two ends of a logarithmic axis; with 2 and 5 times them where these are few."""
    if not (0 < low < high < math.inf):
        return np.empty(0)
    powers = 10.0 ** np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1.0,), (1.0, 2.0, 5.0)):
        values = np.sort(np.outer(steps, powers).ravel())
        values = values[(values >= low * (1 - 1e-9)) & (values <= high * (1 + 1e-9))]
        if len(values) > 2:
            break
    return np.array([float(f"{v:.10g}") for v in values])


def _format(values: npt.NDArray[np.float64], log: bool) -> str:
    """Format (of d3) that tells round ticks apart."""
    largest = float(np.abs(values).max())
    if log or len(values) < 2:
        return "~g"
    if largest >= 1e5:
        return "~s"
    step = float(np.diff(values).min())
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f".{digits}f" if digits <= 5 else ".1~e"


def keep_ticks_round(fig: bq.Figure, most: tuple[int, int] = (5, 5)) -> None:
    """Put round ticks on a figure's linear and logarithmic axes, now and when its scales or marks change.

    Parameters
    ----------
    fig : Figure
        Its first axis is x, its second y.
    most : (int, int)
        Steps along x and y, at most.
    """
    known: set[int] = set()

    def retick(_: Any = None) -> None:
        for axis, way, steps in zip(fig.axes, "xy", most, strict=False):
            log = type(axis.scale) is bq.LogScale
            if not log and type(axis.scale) is not bq.LinearScale:
                continue
            low, high = _ends(axis.scale, way, fig.marks)
            values = log_ticks(low, high) if log else round_ticks(low, high, steps)
            if len(values) and not np.array_equal(values, _old(axis)):
                with axis.hold_sync():
                    axis.tick_values, axis.tick_format = values, _format(values, log)

    def watch(_: Any = None) -> None:
        for mark in fig.marks:
            if id(mark) not in known and mark.has_trait("x") and mark.has_trait("y"):
                known.add(id(mark))
                mark.observe(retick, ["x", "y"])
        retick()

    for axis in fig.axes:
        axis.scale.observe(retick, ["min", "max"])
    fig.observe(watch, "marks")
    watch()


def _old(axis: bq.Axis) -> npt.NDArray[np.float64]:
    return np.empty(0) if axis.tick_values is None else np.asarray(axis.tick_values, float)


def _ends(scale: Any, way: str, marks: Sequence[Any]) -> tuple[float, float]:
    """Ends of a scale: its own, or where the marks on it end; bars stand on 0."""
    if scale.min is not None and scale.max is not None:
        return scale.min, scale.max
    found = [np.zeros(1)] if way == "y" and any(isinstance(m, bq.Bars) for m in marks) else []
    for mark in marks:
        if mark.scales.get(way) is scale and mark.has_trait(way):
            values = np.ravel(np.asarray(getattr(mark, way), float))
            found.append(values[np.isfinite(values)])
    values = np.concatenate(found) if found else np.empty(0)
    if not values.size:
        return 0.0, 1.0  # what bqplot shows without data
    low = values.min() if scale.min is None else scale.min
    return float(low), float(values.max() if scale.max is None else scale.max)
