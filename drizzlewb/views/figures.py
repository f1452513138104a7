"""Figures of every kind but images: one way to make axes, points, bars, arrows and their legends."""

from collections.abc import Sequence
from typing import Any

import bqplot as bq
import ipywidgets as W
import numpy as np

from drizzlewb.views.style import COLOURS
from drizzlewb.views.ticks import keep_ticks_round

__all__ = ["bars", "figure", "heat_map", "level", "lines", "points", "vectors"]


def figure(
    title: str,
    x_label: str,
    y_label: str,
    *,
    width_px: int = 420,
    height_px: int = 260,
    x: bq.Scale | None = None,
    y: bq.Scale | None = None,
    square: bool = False,
    legend: str | None = None,
    ticks: tuple[int, int] = (6, 5),
) -> bq.Figure:
    """Figure without marks, with a title and two axes.

    Parameters
    ----------
    title, x_label, y_label : str
        Labels name the unit: ``'dx (px)'``.
    x, y : Scale, optional
        Shared with another figure, or logarithmic; linear ones of their own by default. They are found
        again as ``figure.axes[0].scale`` and ``figure.axes[1].scale``.
    square : bool
        Keep a pixel of x as long as one of y, where the scales span equal ranges.
    legend : str, optional
        Where the legend goes ('top-right', ...), if marks have labels.
    ticks : (int, int)
        Steps along x and y, at most.
    """
    x, y = x or bq.LinearScale(), y or bq.LinearScale()
    axes = [
        bq.Axis(scale=x, label=x_label, grid_lines="none", num_ticks=ticks[0], label_offset="32px"),
        bq.Axis(
            scale=y, label=y_label, side="left", grid_lines="none", num_ticks=ticks[1], label_offset="46px"
        ),
    ]  # fmt: skip
    ratio = {"min_aspect_ratio": 1.0, "max_aspect_ratio": 1.0} if square else {}
    made = bq.Figure(
        marks=[], axes=axes, title=title, padding_x=0.02, padding_y=0.04,
        fig_margin={"top": 30, "bottom": 44, "left": 60, "right": 14},
        layout=W.Layout(width=f"{width_px}px", height=f"{height_px}px", min_width="200px"), **ratio,
    )  # fmt: skip
    keep_ticks_round(made, ticks)
    if legend:
        made.legend_location = legend
    return made


def _scales(fig: bq.Figure) -> dict[str, bq.Scale]:
    return {"x": fig.axes[0].scale, "y": fig.axes[1].scale}


def _labelled(label: str) -> dict[str, Any]:
    return {"labels": [label], "display_legend": True} if label else {}


def points(
    fig: bq.Figure,
    x: Any = (),
    y: Any = (),
    *,
    colour: str = COLOURS["blue"],
    size: int = 18,
    marker: str = "circle",
    label: str = "",
    filled: bool = True,
) -> bq.Scatter:
    """Add points; the mark is handed back, so that its x and y can be set later."""
    mark = bq.Scatter(
        x=np.asarray(x, float), y=np.asarray(y, float), scales=_scales(fig), colors=[colour],
        default_size=size, marker=marker, fill=filled, stroke_width=1.0, **_labelled(label),
    )  # fmt: skip
    fig.marks = [*fig.marks, mark]
    return mark


def lines(
    fig: bq.Figure,
    x: Any = (),
    y: Any = (),
    *,
    colour: str = COLOURS["blue"],
    width: float = 1.5,
    dashed: bool = False,
    label: str = "",
) -> bq.Lines:
    """Add a line; NaN breaks it."""
    mark = bq.Lines(
        x=np.asarray(x, float), y=np.asarray(y, float), scales=_scales(fig), colors=[colour],
        stroke_width=width, line_style="dashed" if dashed else "solid", **_labelled(label),
    )  # fmt: skip
    fig.marks = [*fig.marks, mark]
    return mark


def level(fig: bq.Figure, value: float, x: Sequence[float], *, colour: str = COLOURS["grey"]) -> bq.Lines:
    """Add a dashed horizontal line at a value, from ``x[0]`` to ``x[1]``."""
    return lines(fig, list(x), [value, value], colour=colour, width=1.0, dashed=True)


def bars(
    fig: bq.Figure, x: Any, y: Any, *, colour: str = COLOURS["blue"], label: str = "", padding: float = 0.05
) -> bq.Bars:
    """Add bars: centres (or names, on an OrdinalScale) and heights."""
    mark = bq.Bars(
        x=x, y=np.asarray(y, float), scales=_scales(fig), colors=[colour], padding=padding, **_labelled(label)
    )
    fig.marks = [*fig.marks, mark]
    return mark


def vectors(
    fig: bq.Figure, x: Any, y: Any, dx: Any, dy: Any, *, colour: str = COLOURS["blue"], label: str = ""
) -> tuple[bq.Lines, bq.Scatter]:
    """Add arrows as one broken line, with points at their heads."""
    x, y, dx, dy = (np.asarray(v, float) for v in (x, y, dx, dy))
    gap = np.full(len(x), np.nan)
    shafts = lines(
        fig,
        np.c_[x, x + dx, gap].ravel(),
        np.c_[y, y + dy, gap].ravel(),
        colour=colour,
        width=1.2,
        label=label,
    )
    heads = points(fig, x + dx, y + dy, colour=colour, size=8)
    return shafts, heads


def heat_map(
    fig: bq.Figure, values: Any, x: Any, y: Any, colours: Sequence[str] = ("#ffffff", "#0072B2")
) -> Any:
    """Add a grid of coloured cells; `values` has shape (len(y), len(x))."""
    mark = bq.HeatMap(
        color=np.asarray(values, float), x=np.asarray(x, float), y=np.asarray(y, float),
        scales={**_scales(fig), "color": bq.ColorScale(colors=list(colours))},
    )  # fmt: skip
    fig.marks = [*fig.marks, mark]
    return mark
