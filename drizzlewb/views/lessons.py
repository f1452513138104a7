"""Figures that teach what drizzling is, made from the exposures at hand (matplotlib)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from drizzlewb import distortion
from drizzlewb.exposure import Exposure
from drizzlewb.grid import output_grid
from drizzlewb.steps.sweep import Measured
from drizzlewb.views.drop import drop_on_grid
from drizzlewb.views.frames import binned
from drizzlewb.views.stretch import coloured, limits
from drizzlewb.views.style import COLOURS

__all__ = [
    "bars",
    "beside",
    "chips_and_gap",
    "colour",
    "defects",
    "distortion_of_field",
    "drop",
    "picture",
    "sweep",
    "undersampling",
]

_NODES = 12
_FACTOR = 2.3548200450309493  # FWHM over sigma of a Gaussian


def distortion_of_field(exposure: Exposure) -> Figure:
    """Arrows from where pixels would lie without distortion to where they lie, for all chips.

    Parameters
    ----------
    exposure : Exposure

    Returns
    -------
    Figure
        In a plane without distortion, px of the detector's scale; arrows are to the scale of the key.
    """
    grid = output_grid(list(exposure.chips))
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.subplots()
    longest = 0.0
    for number, chip in enumerate(exposure.chips):
        ny, nx = chip.shape
        x, y = (
            v.ravel() for v in np.meshgrid(np.linspace(0, nx - 1, _NODES), np.linspace(0, ny - 1, _NODES))
        )
        there = np.array(grid.sky_to_pixel(*distortion.pixel_to_sky(chip.wcs, x, y)))
        flat = np.array(grid.sky_to_pixel(*distortion.pixel_to_sky(distortion.linear(chip.wcs), x, y)))
        # A shift of the whole chip is no distortion.
        arrow = there - flat - (there - flat).mean(axis=1, keepdims=True)
        longest = max(longest, float(np.hypot(*arrow).max()))
        colour = (COLOURS["blue"], COLOURS["orange"])[number % 2]
        made = axes.quiver(*flat, *arrow, color=colour, angles="xy", width=0.003)
        axes.plot([], [], color=colour, label=f"chip {chip.chip}")
    axes.quiverkey(made, 1.08, 0.78, longest, f"{longest:.2g} px", labelpos="N")
    axes.set(xlabel="x (px)", ylabel="y (px)", title=f"Distortion of {exposure.detector}")
    axes.set_aspect("equal")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def chips_and_gap(exposures: Sequence[Exposure]) -> Figure:
    """Outlines of all chips on the sky: dithers and the gap between the chips, arcsec from the middle."""
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.subplots()
    outlines = [
        (k, distortion.footprint(chip.wcs, chip.shape)) for k, e in enumerate(exposures) for chip in e.chips
    ]
    ra0, dec0 = np.concatenate([outline for _, outline in outlines]).mean(axis=0)
    names: set[int] = set()
    for k, outline in outlines:
        east = (outline[:, 0] - ra0) * np.cos(np.radians(dec0)) * 3600
        north = (outline[:, 1] - dec0) * 3600
        colour = list(COLOURS.values())[k % len(COLOURS)]
        label = exposures[k].rootname if k not in names else None
        names.add(k)
        axes.fill(east, north, facecolor=colour, alpha=0.06)
        axes.fill(east, north, fill=False, edgecolor=colour, lw=1.2, label=label)
    axes.invert_xaxis()
    axes.set(xlabel="east (arcsec)", ylabel="north (arcsec)", title="Where the chips lie on the sky")
    axes.set_aspect("equal")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def picture(image: np.ndarray, title: str = "", *, how: str = "99.5 %", stretch: str = "asinh") -> Figure:
    """One image with the stretch that the workbench uses; at most 900 pixels along a side are drawn."""
    figure = Figure(figsize=(5.4, 5.2), layout="constrained")
    axes = figure.subplots()
    _show(axes, image, how, stretch)
    axes.set_title(title)
    return figure


def _show(axes: Any, image: np.ndarray, how: str = "99.5 %", stretch: str = "asinh") -> None:
    data, step = binned(np.ascontiguousarray(image, np.float32), 900)
    low, high = limits(data[np.isfinite(data)], how)
    ny, nx = data.shape
    extent = (-0.5, nx * step - 0.5, -0.5, ny * step - 0.5)
    axes.imshow(coloured(data, low, high, stretch), origin="lower", extent=extent, interpolation="nearest")


def beside(
    images: Sequence[tuple[np.ndarray, str]], *, how: str = "99.5 %", stretch: str = "asinh"
) -> Figure:
    """Images with their titles side by side; masks (bool) in black and white."""
    figure = Figure(figsize=(4.0 * len(images), 4.0), layout="constrained")
    for axes, (image, title) in zip(np.atleast_1d(figure.subplots(1, len(images))), images, strict=True):
        if image.dtype == bool:
            axes.imshow(image, origin="lower", cmap="gray", interpolation="nearest")
        else:
            _show(axes, image, how, stretch)
        axes.set_title(title)
    return figure


def colour(blue: np.ndarray, red: np.ndarray, title: str = "") -> Figure:
    """Picture of two filters on one grid, their mean as green (Lupton et al. 2004, PASP 116, 133)."""
    from astropy.visualization import make_lupton_rgb

    planes = []
    for image in (red, blue):
        data, step = binned(np.ascontiguousarray(image, np.float32), 900)
        good = data[np.isfinite(data)]
        middle = float(np.median(good))
        spread = float(np.median(np.abs(good - middle))) or 1.0
        planes.append(np.nan_to_num((data - middle) / spread))
    with np.errstate(invalid="ignore"):  # black pixels divide nothing by nothing
        rgb = make_lupton_rgb(planes[0], (planes[0] + planes[1]) / 2, planes[1], stretch=60, Q=9)
    figure = Figure(figsize=(6.0, 5.8), layout="constrained")
    axes = figure.subplots()
    ny, nx = planes[0].shape
    axes.imshow(rgb, origin="lower", extent=(-0.5, nx * step - 0.5, -0.5, ny * step - 0.5))
    axes.set_title(title)
    return figure


def defects(exposure: Exposure, box: tuple[int, int, int, int] | None = None) -> Figure:
    """A corner of a chip beside its data-quality flags, coloured by what they mean.

    Parameters
    ----------
    exposure : Exposure
        Its first chip is shown.
    box : (y0, y1, x0, x1), optional
        Zero-based, half-open; default, 200 pixels in the middle.
    """
    chip = exposure.chips[0]
    if box is None:
        ny, nx = chip.shape
        half = min(100, ny // 2, nx // 2)
        box = (ny // 2 - half, ny // 2 + half, nx // 2 - half, nx // 2 + half)
    words = chip.read_dq(box)
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _show(left, chip.read_sci(box))
    left.set_title(f"{exposure.rootname}, chip {chip.chip}")
    rgb = np.full((*words.shape, 3), 0.92)
    for number, flag in enumerate(f for f in chip.flags.flags if (words & f.value).any()):
        colour = list(COLOURS.values())[number % len(COLOURS)]
        hit = (words & flag.value) != 0
        rgb[hit] = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        right.plot([], [], "s", color=colour, label=f"{flag.name} ({flag.value}): {hit.sum()} px")
    right.imshow(rgb, origin="lower", interpolation="nearest")
    right.set_title("what its DQ array says")
    right.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def undersampling(
    fwhm_arcsec: float = 0.075, scales: Sequence[float] = (0.05, 0.03), seed: int = 3
) -> Figure:
    """The same star on pixels of two sizes, centred at random: what a pixel does to a star.

    Parameters
    ----------
    fwhm_arcsec : float
        Width of the star before it falls on pixels.
    scales : sequence of float
        Sides of the pixels, arcsec.
    seed : int
        Of the centre.
    """
    from scipy.special import erf

    x0, y0 = np.random.default_rng(seed).uniform(-0.4, 0.4, 2) * scales[0]
    sigma = fwhm_arcsec / _FACTOR
    figure = Figure(figsize=(4.2 * len(scales), 4.2), layout="constrained")
    for axes, scale in zip(figure.subplots(1, len(scales)), scales, strict=True):
        half = round(0.2 / scale)
        edges = (np.arange(-half, half + 2) - 0.5) * scale

        def share(centre: float, edges: np.ndarray = edges) -> np.ndarray:
            return np.diff(erf((edges - centre) / (np.sqrt(2) * sigma))) / 2

        image = np.outer(share(y0), share(x0))
        extent = (edges[0], edges[-1], edges[0], edges[-1])
        axes.imshow(image, origin="lower", extent=extent, cmap="gray", interpolation="nearest")
        axes.plot(x0, y0, "+", color=COLOURS["orange"], ms=12, mew=2)
        axes.set(
            title=f'{scale:g}" pixels: {fwhm_arcsec / scale:.1f} across the star',
            xlabel="x (arcsec)",
            ylabel="y (arcsec)",
        )
    return figure


def drop(scale_ratio: float = 0.6, pixfrac: float = 0.6, turn_deg: float = 25.0) -> Figure:
    """One input pixel, the drop that it is shrunk to, and its share in each output pixel.

    Parameters
    ----------
    scale_ratio : float
        Output pixel over input pixel.
    pixfrac : float
        Side of the drop over that of the input pixel.
    turn_deg : float
        Angle between the grids.
    """
    made = drop_on_grid(scale_ratio, turn_deg, pixfrac)
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    axes = figure.subplots()
    cells = [
        [(x - 0.5, y - 0.5), (x + 0.5, y - 0.5), (x + 0.5, y + 0.5), (x - 0.5, y + 0.5)]
        for y in made.y
        for x in made.x
    ]
    shade = made.share.ravel() / made.share.max()
    faces = [(0.34, 0.71, 0.91, 0.75 * s) for s in shade]
    axes.add_collection(PolyCollection(cells, facecolors=faces, edgecolors=COLOURS["grey"], linewidths=0.8))
    axes.add_patch(
        Polygon(
            made.pixel, fill=False, edgecolor=COLOURS["red"], lw=2, ls="--", label="pixel of the detector"
        )
    )
    axes.add_patch(Polygon(made.drop, fill=False, edgecolor=COLOURS["blue"], lw=2.5, label="drop"))
    axes.set(
        xlim=(made.x[0] - 0.5, made.x[-1] + 0.5), ylim=(made.y[0] - 0.5, made.y[-1] + 0.5),
        xlabel="x (output px)", ylabel="y (output px)",
        title=f"scale ratio {scale_ratio:g}, pixfrac {pixfrac:g}",
    )  # fmt: skip
    axes.set_aspect("equal")
    axes.legend(loc="upper left", fontsize=8)
    return figure


def bars(values: Mapping[str, float], label: str) -> Figure:
    """One bar for each name, the first at the top."""
    figure = Figure(figsize=(6.0, 0.5 + 0.35 * len(values)), layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh(list(values), list(values.values()), color=COLOURS["blue"], height=0.6)
    axes.bar_label(drawn, fmt="%.2g", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def sweep(measured: Sequence[Measured]) -> Figure:
    """Width of stars, noise from pixel to pixel, and evenness of the weight, against pixfrac."""
    pixfrac = [m.pixfrac for m in measured]
    figure = Figure(figsize=(10.5, 3.2), layout="constrained")
    shown = (
        ("width of stars", "FWHM (arcsec)", [m.fwhm_arcsec for m in measured]),
        ("noise, pixel to pixel", "rms of blank sky", [m.noise_pixel for m in measured]),
        ("evenness of the weight", "rms / median", [m.rms_over_median for m in measured]),
    )
    for axes, (title, label, values) in zip(figure.subplots(1, 3), shown, strict=True):
        axes.plot(pixfrac, values, "o-", color=COLOURS["blue"])
        axes.set(title=title, xlabel="pixfrac", ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
    axes.axhline(0.2, color=COLOURS["red"], ls="--", lw=1, label="the handbook's rule")
    axes.legend(frameon=False, fontsize=8)
    return figure
