"""Figures of an alignment on paper: what the alignment panel shows, by matplotlib.

Plain functions that make figures; nothing here opens a window or writes a file. The names are those of
the files that TweakReg leaves: hist2d, vector, residuals.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from drizzlewb.views.residuals import Residuals, half_range, key_length, offset_words, residuals_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from drizzlewb.steps.solution import Alignment

__all__ = ["alignment_figures", "offset_figure", "residual_figure", "vector_figure"]

BLUE, ORANGE, GREY, RED = "#1F83C4", "#E69F00", "#6F747C", "#D55E00"
WIDE_ARROW = 0.06
"""Length of the key's arrow, as a share of the figure's width."""


def alignment_figures(solution: Any) -> dict[str, Figure]:
    """All figures of an alignment.

    Parameters
    ----------
    solution : Solution or AlignedSolution
        What `Session.solution` or `drizzlewb.align` hands back.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        ``hist2d_<root>``, ``vector_<root>`` and ``residuals_<root>`` of each exposure that has them: the
        reference has none, one that was refused at most the first. In the order of the exposures.
    """
    figures: dict[str, Figure] = {}
    scale = float(solution.plane.scale_arcsec)
    for exposure, alignment in zip(solution.originals, solution.alignments, strict=True):
        name = alignment.rootname
        if alignment.start is not None and alignment.start.counts.size:
            figures[f"hist2d_{name}"] = offset_figure(alignment, scale)
        residuals = residuals_of(alignment, exposure)
        if residuals is not None:
            figures[f"vector_{name}"] = vector_figure(residuals, scale)
            figures[f"residuals_{name}"] = residual_figure(residuals, scale)
    return figures


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def _wrapped(sentences: tuple[str, ...], width: int) -> str:
    import textwrap

    return "\n".join(textwrap.fill(s, width) for s in sentences)


def offset_figure(alignment: Alignment, scale_arcsec: float) -> Figure:
    """2-D histogram of the offsets of all pairs of sources, its peak marked, and what it means.

    Parameters
    ----------
    alignment : Alignment
        With a histogram.
    scale_arcsec : float
        Arcsec in one px of the reference plane.
    """
    start = alignment.start
    assert start is not None
    assert start.counts.size
    r = start.counts.shape[0] // 2
    figure = _figure(5.2, 5.6)
    axes = figure.subplots()
    image = axes.imshow(
        np.sqrt(start.counts), origin="lower", extent=(-r - 0.5, r + 0.5, -r - 0.5, r + 0.5), cmap="viridis"
    )
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    ticks = np.unique(np.round(np.linspace(0, math.sqrt(max(int(start.counts.max()), 1)), 5) ** 2))
    bar.set_ticks(np.sqrt(ticks).tolist(), labels=[f"{t:.0f}" for t in ticks])
    bar.set_label("pairs in a bin of 1 px", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    if start.peak is not None:
        axes.plot(start.peak.dx, start.peak.dy, "o", mfc="none", mec=RED, ms=16, mew=1.5)
    axes.axhline(0, color="white", lw=0.5, ls=":")
    axes.axvline(0, color="white", lw=0.5, ls=":")
    axes.set(xlabel="dx (px)", ylabel="dy (px)")
    axes.set_title(f"{alignment.rootname}: offsets from {alignment.reference}", fontsize=10)
    axes.tick_params(labelsize=8)
    figure.supxlabel(_wrapped(offset_words(alignment, scale_arcsec), 90), fontsize=7, x=0.02, ha="left")
    return figure


def _rms_words(residuals: Residuals, scale_arcsec: float) -> str:
    mas = 1000.0 * scale_arcsec
    return (
        f"rms {residuals.rms_x:.4f}, {residuals.rms_y:.4f} px in x, y "
        f"({residuals.rms_x * mas:.2f}, {residuals.rms_y * mas:.2f} mas), {int(residuals.used.sum())} stars"
    )


def vector_figure(residuals: Residuals, scale_arcsec: float) -> Figure:
    """Residuals as arrows at the stars, with a key; stars that were clipped are crosses.

    Parameters
    ----------
    residuals : Residuals
    scale_arcsec : float
        Arcsec in one px of the reference plane.
    """
    figure = _figure(6.4, 6.0)
    axes = figure.subplots()
    used = residuals.used
    key = key_length(math.hypot(residuals.rms_x, residuals.rms_y))
    arrows = axes.quiver(
        residuals.x[used],
        residuals.y[used],
        residuals.dx[used],
        residuals.dy[used],
        angles="xy",
        scale=key / WIDE_ARROW,
        scale_units="width",
        color=BLUE,
        width=0.0025,
    )
    axes.plot(residuals.x[~used], residuals.y[~used], "x", color=ORANGE, ms=4, mew=0.8, label="clipped")
    axes.quiverkey(
        arrows, 0.82, 1.02, key, f"{key:g} px", labelpos="E", coordinates="axes", fontproperties={"size": 8}
    )
    axes.set(xlabel="x (px)", ylabel="y (px)")
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title(f"{residuals.rootname}: residuals of '{residuals.geometry}'", fontsize=10, loc="left")
    if (~used).any():
        axes.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0.0, -0.16))
    figure.supxlabel(_rms_words(residuals, scale_arcsec), fontsize=8, x=0.02, ha="left")
    _plain(axes)
    return figure


def residual_figure(residuals: Residuals, scale_arcsec: float) -> Figure:
    """Residuals in x and y against x, y and magnitude: the training page's panels, and one more column.

    Parameters
    ----------
    residuals : Residuals
    scale_arcsec : float
        Arcsec in one px of the reference plane.
    """
    known = np.isfinite(residuals.mag)
    columns = [("x (px)", residuals.x), ("y (px)", residuals.y)]
    if known.any():
        columns.append(("magnitude (instrumental)", residuals.mag))
    figure = _figure(3.2 * len(columns) + 0.6, 4.8)
    panels = figure.subplots(2, len(columns), sharex="col", squeeze=False)
    used = residuals.used
    rows = (("dx (px)", residuals.dx, residuals.rms_x), ("dy (px)", residuals.dy, residuals.rms_y))
    for j, (name, values, rms) in enumerate(rows):
        limit = half_range(values[used], rms)
        for i, (label, at) in enumerate(columns):
            axes = panels[j, i]
            axes.axhspan(-rms, rms, color=GREY, alpha=0.15, lw=0)
            axes.axhline(0, color=GREY, lw=0.8)
            axes.plot(at[used], values[used], ".", color=BLUE, ms=3, label="in the fit")
            axes.plot(at[~used], values[~used], "x", color=ORANGE, ms=4, mew=0.8, label="clipped")
            axes.set(ylim=(-limit, limit))
            if i == 0:
                axes.set_ylabel(name)
            if j == 1:
                axes.set_xlabel(label)
            _plain(axes)
        panels[j, 0].annotate(
            f"rms {rms:.4f} px", (0.02, 0.97), xycoords="axes fraction", va="top", fontsize=8
        )
    panels[0, -1].legend(fontsize=7, frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
    figure.suptitle(f"{residuals.rootname}: {_rms_words(residuals, scale_arcsec)}", fontsize=9)
    return figure
