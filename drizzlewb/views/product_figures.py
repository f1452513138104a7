"""Figures of a product on paper: its picture, weight, sky, cosmic rays, histogram; by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from drizzlewb.views import stretch as stretching
from drizzlewb.views.frames import binned
from drizzlewb.views.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["product_figures"]

_MOST_PX = 1200
_SAMPLE = 400_000


def product_figures(product: Any, name: str = "") -> dict[str, Figure]:
    """All figures of a product.

    Parameters
    ----------
    product : drizzlewb.products.drc.Product
    name : str
        In the titles and the keys; default, the name of its file.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        ``picture_<name>``, ``weight_<name>``, ``histogram_<name>``; ``sky_<name>`` and
        ``crfraction_<name>`` where the record knows them.
    """
    name = name or product.path.name.removesuffix(".fits")
    results = product.record.get("results", {})
    unit = str(results.get("unit", "")) or str(product.header.get("BUNIT", ""))
    scale = float(product.grid.scale_arcsec)
    figures = {f"picture_{name}": _picture(product.sci, f"{name}, science ({unit})", scale, "asinh", "gray")}
    if product.wht is not None:
        figures[f"weight_{name}"] = _picture(product.wht, f"{name}, weight", scale, "linear", "viridis")
    figures[f"histogram_{name}"] = _histogram(product.sci, name, unit)
    if results.get("sky"):
        figures[f"sky_{name}"] = _sky(results["sky"], name)
    if results.get("crfraction"):
        figures[f"crfraction_{name}"] = _fractions(results["crfraction"], name)
    return figures


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    return figure, axes


def _picture(image: NDArray[np.float32], title: str, scale: float, stretch: str, colour_map: str) -> Figure:
    small, step = binned(np.ascontiguousarray(image, np.float32), _MOST_PX)
    good = _sample(small if stretch == "asinh" else small[small > 0])
    low, high = stretching.limits(good, "99.5 %")
    if stretch == "linear":
        low = 0.0
    rgb = stretching.coloured(small, low, high if high > low else low + 1.0, stretch, colour_map)
    figure, axes = _figure(7.0, 7.0 * min(1.4, max(0.6, small.shape[0] / small.shape[1])))
    ny, nx = (n * step for n in small.shape)
    axes.imshow(rgb, origin="lower", extent=(-0.5, nx - 0.5, -0.5, ny - 0.5), interpolation="nearest")
    axes.set(xlabel=f'x (px of {scale:.4g}")', ylabel=f'y (px of {scale:.4g}")')
    axes.set_title(f"{title}; black {low:.4g}, white {high:.4g}", fontsize=10)
    return figure


def _sample(values: NDArray[np.float32]) -> NDArray[np.float32]:
    good = values[np.isfinite(values)]
    return good[:: max(1, good.size // _SAMPLE)]


def _histogram(image: NDArray[np.float32], name: str, unit: str) -> Figure:
    figure, axes = _figure(7.0, 4.0)
    good = _sample(image)
    if good.size:
        low, high = np.percentile(good, [0.1, 99.5])
        axes.hist(good, bins=np.linspace(low, max(high, low + 1e-6), 121), color=COLOURS["blue"], log=True)
        axes.axvline(float(np.median(good)), color=COLOURS["red"], ls="--", label="median")
        axes.legend(frameon=False, fontsize=9)
    axes.set(xlabel=f"value ({unit})", ylabel="pixels")
    axes.set_title(f"{name}, histogram of the science image", fontsize=10)
    return figure


def _sky(rows: list[dict[str, Any]], name: str) -> Figure:
    figure, axes = _figure(7.0, 4.5)
    places = np.arange(len(rows))
    present = [np.nan if r.get("present_e") is None else r["present_e"] for r in rows]
    axes.plot(places, present, "o", ms=7, mfc="none", color=COLOURS["orange"], label="on the detector")
    axes.plot(places, [r["subtracted_e"] for r in rows], "+", ms=9, color=COLOURS["blue"], label="subtracted")
    axes.set_xticks(places, [r["chip"] for r in rows], rotation=90, fontsize=7)
    axes.set(ylabel="sky (electrons per px)")
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(f"{name}, sky of each chip", fontsize=10)
    return figure


def _fractions(fractions: dict[str, float], name: str) -> Figure:
    figure, axes = _figure(7.0, 4.0)
    places = np.arange(len(fractions))
    values = 100.0 * np.array(list(fractions.values()), float)
    axes.bar(places, values, color=COLOURS["blue"])
    middle = float(np.median(values))
    axes.axhline(middle, color=COLOURS["red"], ls="--", lw=1, label=f"median {middle:.2f} %")
    axes.set_xticks(places, list(fractions), rotation=90, fontsize=8)
    axes.set(ylabel="pixels flagged as cosmic rays (%)")
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(f"{name}: a misaligned exposure stands out", fontsize=10)
    return figure
