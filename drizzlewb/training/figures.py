"""Figures of a graded folder. Nothing here opens a window: plain matplotlib figures, to be saved."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from drizzlewb.steps.image_quality import robust_sigma
from drizzlewb.training.rays import SIGMAS
from drizzlewb.training.science import BIAS_LIMIT, COMPLETENESS

if TYPE_CHECKING:
    from drizzlewb.training.grade import Grade
    from drizzlewb.training.look import Look

__all__ = ["FIGURES", "stretch"]

BLUE, ORANGE, GREY, RED = "#2563a8", "#d97b1c", "#8a8f98", "#b3261e"
CUT = 400  # pixels of a frame shown along a side
MARGIN_PX = 8


def stretch(image: NDArray, low: float | None = None, high: float | None = None) -> NDArray[np.float64]:
    """Map an image to 0..1 by an inverse hyperbolic sine, so that faint and bright stars both show.

    Parameters
    ----------
    image : float[ny, nx]
        NaN is drawn as the lowest value.
    low, high : float, optional
        Black and white; default, two sigma below the median and 400 sigma above it.
    """
    good = image[np.isfinite(image)]
    if good.size == 0:
        return np.zeros(image.shape)
    middle, sigma = float(np.median(good)), robust_sigma(good) or 1.0
    low = middle - 2 * sigma if low is None else low
    high = middle + 400 * sigma if high is None else high
    scaled = np.clip((np.nan_to_num(image, nan=low) - low) / (high - low), 0, 1)
    return np.arcsinh(scaled * 300) / math.asinh(300)


def _bare(axes: Any, title: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=9)


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def alignment(grade: Grade) -> Figure | None:
    """Error of each exposure, and the error over the field of the worst one."""
    errors = grade.alignment
    if not errors:
        return None
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    names = list(errors)
    rms, largest = ([getattr(errors[n], k) for n in names] for k in ("rms_px", "max_px"))
    places = np.arange(len(names))
    floor = 1e-4
    left.bar(places, np.maximum(rms, floor), color=[RED if r > 0.1 else BLUE for r in rms], label="rms")
    left.plot(places, np.maximum(largest, floor), "_", color="black", markersize=9, label="largest")
    left.axhline(0.1, color=RED, lw=1)
    left.axhline(0.05, color=GREY, lw=1, ls="--")
    for level, word, colour in ((0.1, "passes below", RED), (0.05, "good below", GREY)):
        left.annotate(
            word, (1, level), (0, -2), xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="right", va="top", fontsize=7, color=colour,
        )  # fmt: skip
    left.set(yscale="log", ylim=(floor, max(1.0, 2 * max(largest))), ylabel="true - fitted (native px)")
    left.set_xticks(places, names, rotation=90, fontsize=7)
    left.legend(fontsize=7, frameon=False, loc="upper left", ncols=2)
    _plain(left)
    worst = max(errors, key=lambda n: errors[n].rms_px)
    error = errors[worst]
    rows = float(error.y.max()) * 1.15
    y = error.y + (error.chip - error.chip.min()) * rows
    size = max(float(np.hypot(error.dx, error.dy).max()), 1e-6)
    arrows = right.quiver(
        error.x, y, error.dx, error.dy, angles="xy", scale=12 * size, color=BLUE, width=0.004
    )
    right.quiverkey(arrows, 0.75, 1.03, size, f"{size:.3f} px", labelpos="E", fontproperties={"size": 8})
    right.set_title(f"{worst}, the worst", fontsize=9, loc="left")
    right.set(xlabel="x (px)", ylabel="y (px), chips stacked")
    right.set_aspect("equal", adjustable="datalim")
    _plain(right)
    return figure


def frame(grade: Grade) -> Figure | None:
    """Part of an exposure beside its cosmic-ray mask and the product at that place."""
    role, look = _optimised(grade)
    if look is None:
        return None
    exposure = next((e for e in grade.exposures if e.rootname in look.product.inputs), None)
    if exposure is None:
        return None
    chip = exposure.chips[-1]
    ny, nx = chip.shape
    y1, x0 = min(ny, CUT), max(0, (nx - CUT) // 2)
    box = (0, y1, x0, min(nx, x0 + CUT))
    masks = grade.masks.get(role, {})
    mask = masks.get((exposure.rootname, chip.extver))
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    panels = figure.subplots(1, 3)
    _show(panels[0], stretch(chip.read_sci(box)))
    _bare(panels[0], f"{exposure.rootname}[sci,{chip.extver}], {box[3] - box[2]} x {box[1]} px")
    if mask is None:
        panels[1].text(0.5, 0.5, "no cosmic-ray mask\nwas handed in", ha="center", va="center", color=GREY)
        _bare(panels[1], "cosmic-ray mask")
    else:
        _show(panels[1], mask[: box[1], box[2] : box[3]] == 0)
        _bare(panels[1], "its cosmic-ray mask (white: rejected)")
    part = _beneath(look, chip, box)
    if part is not None:
        _show(panels[2], stretch(look.product.sci[part]))
    _bare(panels[2], f"{role}, the same stars, north up")
    return figure


def _beneath(look: Look, chip: Any, box: tuple[int, int, int, int]) -> tuple[slice, slice] | None:
    from drizzlewb import distortion

    y0, y1, x0, x1 = box
    ra, dec = distortion.pixel_to_sky(
        chip.wcs, np.array([x0, x1, x1, x0], float), np.array([y0, y0, y1, y1], float)
    )
    x, y = look.product.grid.sky_to_pixel(ra, dec)
    ny, nx = look.product.grid.shape
    part = (
        slice(max(0, round(y.min())), min(ny, round(y.max()))),
        slice(max(0, round(x.min())), min(nx, round(x.max()))),
    )
    return part if part[0].start < part[0].stop and part[1].start < part[1].stop else None


def _show(axes: Any, image: NDArray, **more: Any) -> None:
    axes.imshow(image, origin="lower", cmap="gray", **({"vmin": 0, "vmax": 1} | more))


def _optimised(grade: Grade) -> tuple[str, Look | None]:
    for role, look in grade.looks.items():
        if role.startswith("optimised"):
            return role, look
    return "", None


def _crop(look: Look, most: int = 1200) -> tuple[slice, slice]:
    """Middle of the overlap, or of the image where there is none."""
    rows, columns = np.nonzero(look.area) if look.area.any() else np.nonzero(np.isfinite(look.product.sci))
    if rows.size == 0:
        return slice(0, 1), slice(0, 1)
    out = []
    for values, length in ((rows, look.area.shape[0]), (columns, look.area.shape[1])):
        low, high = int(values.min()) - MARGIN_PX, int(values.max()) + MARGIN_PX
        middle, half = (low + high) // 2, min(high - low, most) // 2
        out.append(slice(max(0, middle - half), min(length, middle + half)))
    return out[0], out[1]


def products(grade: Grade) -> Figure | None:
    """Both optimised products in colour, and the weight with its damaged stars."""
    chosen = [(role, look) for role, look in grade.looks.items() if role.startswith("optimised")]
    if not chosen:
        return None
    blue, red = chosen[0], chosen[-1]
    part = _crop(blue[1])
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    first = stretch(blue[1].product.sci[part])
    if len(chosen) == 2 and blue[1].product.grid.shape == red[1].product.grid.shape:
        second = stretch(red[1].product.sci[part])
        left.imshow(np.stack([second, (first + second) / 2, first], axis=2), origin="lower")
        _bare(left, f"{red[0]} (red), {blue[0]} (blue)")
    else:
        _show(left, first)
        _bare(left, blue[0])
    look = blue[1]
    if look.product.wht is None:
        _bare(right, "no weight image")
        return figure
    weight = look.product.wht[part].astype(float)
    top = float(np.percentile(weight, 99.5)) or 1.0
    _show(right, weight / top)
    _bare(right, f"weight, {blue[0]} (black: none)")
    if look.weights is not None and look.weights.verdict == "fail":
        x, y = look.weights.damaged.T
        inside = (x >= part[1].start) & (x < part[1].stop) & (y >= part[0].start) & (y < part[0].stop)
        right.plot(
            x[inside] - part[1].start, y[inside] - part[0].start, "o", mfc="none", mec=RED, ms=6, mew=0.8
        )
        right.set_title("weight, with the stars that lost weight marked", fontsize=9)
    return figure


def photometry(grade: Grade) -> Figure | None:
    """Magnitude errors against magnitude, each optimised product."""
    chosen = [
        (role, look, look.photometry)
        for role, look in grade.looks.items()
        if role.startswith("optimised") and look.photometry is not None and look.photometry.which.size
    ]
    if not chosen:
        return None
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(chosen), sharey=True))
    for axes, (role, look, measured) in zip(panels, chosen, strict=True):
        index, dm, theory = measured.which, measured.dm, measured.theory
        magnitude = -2.5 * np.log10(look.flux[index])
        clean = look.clean[index]
        order = np.argsort(magnitude)
        axes.fill_between(
            magnitude[order], -theory[order], theory[order], color=GREY, alpha=0.25, lw=0, label="theory"
        )
        axes.plot(magnitude[~clean], dm[~clean], ".", ms=3, color=BLUE, alpha=0.5, label="a ray came near")
        axes.plot(magnitude[clean], dm[clean], ".", ms=4, color=ORANGE, label="no ray near")
        axes.axhspan(-BIAS_LIMIT, BIAS_LIMIT, color=ORANGE, alpha=0.15, lw=0)
        axes.axhline(0, color="black", lw=0.6)
        axes.set(xlabel="true magnitude (instrumental)", ylim=(-0.12, 0.12))
        axes.set_title(role, fontsize=9, loc="left")
        _plain(axes)
    panels[0].set_ylabel("measured - true (mag)")
    panels[0].legend(fontsize=7, frameon=False, loc="lower left")
    return figure


def cleaning(grade: Grade) -> Figure | None:
    """Rays found, imprint by magnitude, and widths of stars."""
    rays = {role: counts for role, counts in grade.rays.items() if counts}
    imprint = {role: look.weights for role, look in grade.looks.items() if look.weights is not None}
    widths = grade.star_widths if grade.star_widths is not None and len(grade.star_widths) >= 5 else None
    if not rays and not imprint and widths is None:
        return None
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for (role, counts), colour in zip(rays.items(), (BLUE, ORANGE), strict=False):
        hit = sum(c.hit for c in counts.values())
        found = sum(c.found for c in counts.values())
        left.plot(SIGMAS, found / np.maximum(hit, 1), "o-", ms=4, color=colour, label=role)
    if rays:
        left.plot(SIGMAS, [least for least, _ in COMPLETENESS], "_", color=RED, ms=14, label="passes")
        left.set(xlabel="charge above (sigma)", ylim=(0.5, 1))
        left.legend(fontsize=7, frameon=False, loc="lower right")
    else:
        left.text(
            0.5, 0.5, "no masks,\nor no truth", ha="center", va="center", color=GREY, transform=left.transAxes
        )
    left.set_title("rays found", fontsize=9, loc="left")
    for (role, check), colour in zip(imprint.items(), (GREY, BLUE, ORANGE), strict=False):
        bins = check.bins[:-1]
        if len(bins):
            centre = (bins["bright"] + bins["faint"]) / 2
            middle.errorbar(
                centre,
                100 * bins["excess"],
                100 * bins["error"],
                fmt="o-",
                ms=3,
                lw=1,
                color=colour,
                label=role,
            )
    middle.axhline(3, color=RED, lw=1)
    middle.set(xlabel="magnitude (instrumental)", ylabel="%")
    middle.set_title("cores that lost weight, over blank", fontsize=9, loc="left")
    if imprint:
        middle.legend(fontsize=7, frameon=False)
    if widths is not None:
        low, high = np.percentile(widths, [1, 99]).tolist()
        edges = np.linspace(low, high, 25)
        right.hist(widths[:, 0], edges, color=GREY, alpha=0.7, label="basic")
        right.hist(widths[:, 1], edges, color=BLUE, alpha=0.7, label="optimised")
        right.legend(fontsize=7, frameon=False)
        right.set(xlabel="FWHM (arcsec)", ylabel="stars")
        right.locator_params(axis="x", nbins=4)
    else:
        right.text(
            0.5,
            0.5,
            "too few stars\nin both products",
            ha="center",
            va="center",
            color=GREY,
            transform=right.transAxes,
        )
    right.set_title("widths of the same stars", fontsize=9, loc="left")
    for axes, drawn in ((left, rays), (middle, imprint), (right, widths is not None)):
        _plain(axes)
        if not drawn:
            axes.set_xticks([])
            axes.set_yticks([])
    return figure


#: Figures of a report, in order: title and function.
FIGURES: tuple[tuple[str, Callable[[Any], Figure | None]], ...] = (
    ("Alignment: true minus fitted position", alignment),
    ("A frame, its mask, the product", frame),
    ("Products and weights", products),
    ("Photometry: product minus truth", photometry),
    ("Cleaning, weights, sharpness", cleaning),
)
