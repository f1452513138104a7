"""The grid designer of the final drizzle: frame, footprints, size on the disk, and the drop on the grid."""

from pathlib import Path
from typing import Any

import ipywidgets as W
import numpy as np

from drizzlewb import distortion
from drizzlewb.errors import DataError
from drizzlewb.grid import OutputGrid, Region
from drizzlewb.products.drc import check_room
from drizzlewb.session import Session
from drizzlewb.session.planned import Planned, outline
from drizzlewb.views import figures
from drizzlewb.views.drop import DropFigure
from drizzlewb.views.style import COLOURS, escape, legend

__all__ = ["GridPage"]


class GridPage(W.VBox):
    """Where the product lies, how large it is, and what a drop is on its pixels.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.told = W.HTML()
        self.footprints = figures.figure(
            "Exposures and output grid", "east (arcsec)", "north (arcsec)",
            width_px=330, height_px=330, square=True,
        )  # fmt: skip
        self.footprints.axes[0].scale.reverse = True
        self.chips = figures.lines(self.footprints, colour=COLOURS["sky"], width=1.0)
        self.grid = figures.lines(self.footprints, colour=COLOURS["red"], width=2.0)
        self.region = figures.lines(self.footprints, colour=COLOURS["purple"], width=1.5, dashed=True)
        self.y_axis = figures.lines(self.footprints, colour=COLOURS["orange"], width=2.0)
        self.drop = DropFigure(280)
        signs = legend(
            ("━", COLOURS["sky"], "chips"),
            ("━", COLOURS["red"], "output image"),
            ("━", COLOURS["orange"], "its y axis"),
            ("┅", COLOURS["purple"], "previewed region"),
        )
        drop_help = W.HTML(
            '<span class="dwb-help">Each input pixel is shrunk by pixfrac to a drop, which rains down on the '
            "output pixels. Small drops keep the image sharp and its noise less correlated; too small ones "
            "leave pixels dry.</span>",
            layout=W.Layout(max_width="280px"),
        )
        super().__init__(
            [
                self.told,
                W.HBox(
                    [
                        W.VBox([signs, self.footprints]),
                        W.VBox([self.drop.legend, self.drop.figure, drop_help]),
                    ],
                    layout=W.Layout(flex_flow="row wrap"),
                ),
            ]
        )

    def show(self, product: str, folder: str) -> None:
        """Show the plan of a product; errors are those of its parameters."""
        plan = self.session.plan(product)
        final = self.session.parameters(product).final
        self.drop.show(plan.scale_ratio, plan.turn_deg, final.final_pixfrac)
        self.told.value = told(plan, folder)
        chips = [c for e in plan.exposures for c in e.chips]
        _draw(self.chips, [outline(plan.grid, distortion.footprint(c.wcs, c.shape, 4)) for c in chips])
        corners = border(plan.grid, plan.grid.region)
        _draw(self.grid, [corners])
        _draw(self.y_axis, [corners[[0, 3]]], closed=False)
        shown = self.session.shown.get(product)
        looked = shown is not None and shown.cutout.grid == plan.grid
        _draw(self.region, [border(plan.grid, shown.cutout.region)] if shown is not None and looked else [])
        self._square([self.chips, self.grid])

    def _square(self, marks: list[Any]) -> None:
        """Equal ranges on both axes, so that a square is one."""
        x, y = (np.concatenate([getattr(m, k) for m in marks]) for k in ("x", "y"))
        half = 0.53 * max(np.nanmax(x) - np.nanmin(x), np.nanmax(y) - np.nanmin(y))
        for axis, values in zip(self.footprints.axes, (x, y), strict=True):
            middle = 0.5 * (np.nanmax(values) + np.nanmin(values))
            with axis.scale.hold_sync():
                axis.scale.min, axis.scale.max = float(middle - half), float(middle + half)


def border(grid: OutputGrid, region: Region) -> np.ndarray:
    """Corners of a region as arcsec offsets from the grid's middle: lower left, right, upper right, left."""
    x = np.array([region.x0, region.x1, region.x1, region.x0]) - 0.5
    y = np.array([region.y0, region.y0, region.y1, region.y1]) - 0.5
    return outline(grid, np.stack(grid.pixel_to_sky(x, y), axis=1))


def told(plan: Planned, folder: str) -> str:
    """Shape, extent and size of a planned product, and whether it fits on the disk; HTML."""
    ny, nx = plan.grid.shape
    scale = plan.grid.scale_arcsec
    words = (
        f"<b>{nx} × {ny} px</b> (x, y) of {scale:.4g} arcsec: {nx * scale / 60:.2f} × {ny * scale / 60:.2f} "
        f"arcmin; y axis at {plan.grid.orientation_deg:.2f}° east of north. "
        f"{plan.scale_ratio:.3f} of the input pixel. On the disk: product <b>{_size(plan.image_bytes)}</b>, "
        f"scratch {_size(plan.scratch_bytes)}."
    )
    try:
        check_room(Path(folder).expanduser() if folder else Path(), plan.image_bytes)
    except (DataError, OSError) as error:
        words += f'<div class="dwb-why">{escape(error)}</div>'
    return f"<span>{words}</span>"


def references(session: Session, product: str) -> list[tuple[str, str]]:
    """Choices of final_refimage: no one, the other products, and a file that is set."""
    now = session.parameters(product).final_grid.final_refimage
    names = [n for n in session.state.names if n != product]
    options = [("own grid", ""), *((f"grid of {n}", n) for n in names)]
    if now and now not in names:
        options.append((f"file {now}", now))
    return options


def _size(nbytes: int) -> str:
    return f"{nbytes / 1e9:.2f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.1f} MB"


def _draw(mark: Any, paths: list[np.ndarray], *, closed: bool = True) -> None:
    parts = []
    for path in paths:
        parts += [path, path[:1] if closed else path[:0], np.full((1, 2), np.nan)]
    xy = np.vstack(parts) if parts else np.full((1, 2), np.nan)
    with mark.hold_sync():
        mark.x, mark.y = xy[:, 0], xy[:, 1]
