"""Masks drawn by hand on the chip that is shown: drawn by clicks, listed, deleted."""

from collections.abc import Sequence
from typing import Any

import ipywidgets as W
import numpy as np

from drizzlewb.errors import DataError
from drizzlewb.exposure import Chip, Drawn
from drizzlewb.panels.base import Panel
from drizzlewb.views.drawing import DrawTool, outline
from drizzlewb.views.image import ImageView
from drizzlewb.views.style import COLOURS, escape

__all__ = ["DrawnMasks"]

_MOST_ROWS = 30


class DrawnMasks(W.VBox):
    """Drawing tool with the list of what was drawn, for a panel that shows a chip.

    Parameters
    ----------
    panel : Panel
        Whose session is changed, and which shows errors.
    view : ImageView
        Of the chip.

    Attributes
    ----------
    tool : DrawTool
    whole : Checkbox
        Draw on the sky, so that all chips of the exposure are masked.
    rows : list of Button
        Delete buttons, in the order of the list.
    """

    def __init__(self, panel: Panel, view: ImageView) -> None:
        self._panel, self._view = panel, view
        self._shown: Any = None
        self.tool = DrawTool(view, self._finished)
        self.whole = W.Checkbox(
            value=False, description="all chips of the exposure", indent=False,
            tooltip="keep the shape on the sky: a trail that crosses the gap is masked on both chips",
        )  # fmt: skip
        self.rows: list[W.Button] = []
        self._list = W.VBox()
        self._exposure, self._chip = "", None  # type: tuple[str, Chip | None]
        super().__init__([W.HBox([self.tool, self.whole], layout=W.Layout(flex_flow="row wrap")), self._list])

    def show(self, exposure: str, chip: Chip | None, masks: Sequence[Drawn]) -> None:
        """Show the masks of an exposure, outlined on its chip."""
        self._exposure, self._chip = exposure, chip
        own = [m for m in masks if m.exposure == exposure]
        what = (exposure, chip, tuple(own))
        if what == self._shown:
            return
        self._shown = what
        paths = []
        for mask in own:
            if chip is not None and mask.extver in (0, chip.extver):
                points, size = self._in_pixels(mask, chip)
                paths.append(outline(mask.shape, points, size))
        self._view.paths("masks", paths, colour=COLOURS["sky"])
        self.rows = []
        lines: list[W.Widget] = []
        for mask in own[:_MOST_ROWS]:
            where = f"SCI {mask.extver}" if mask.extver else "all chips"
            unit = "px" if mask.frame == "pixel" else "″"
            word = {"line": "width", "circle": "radius", "polygon": "margin"}[mask.shape]
            x, y = np.mean(self._in_pixels(mask, chip)[0], axis=0) if chip is not None else (np.nan, np.nan)
            text = f"{mask.shape}, {where}, near x {x:.0f} y {y:.0f}, {word} {mask.size:.3g} {unit}"
            button = W.Button(
                icon="trash", tooltip=f"delete this {mask.shape}", layout=W.Layout(width="34px")
            )
            button.on_click(lambda _, mask=mask: self._erase(mask))
            self.rows.append(button)
            lines.append(W.HBox([button, W.HTML(escape(text))], layout=W.Layout(align_items="center")))
        if len(own) > _MOST_ROWS:
            lines.append(W.HTML(f'<span class="dwb-soft">and {len(own) - _MOST_ROWS} more</span>'))
        title = f"{len(own)} drawn on {exposure} (DQ 16384)" if own else "Nothing is drawn on this exposure."
        self._list.children = [W.HTML(f'<span class="dwb-soft">{escape(title)}</span>'), *lines]

    @staticmethod
    def _in_pixels(mask: Drawn, chip: Chip) -> tuple[np.ndarray, float]:
        points = np.asarray(mask.points, float)
        if mask.frame == "pixel":
            return points, mask.size
        from drizzlewb.distortion import sky_to_pixel

        return np.column_stack(sky_to_pixel(chip.wcs, *points.T)), mask.size / chip.pixel_scale_arcsec

    def _finished(self, shape: str, points: Sequence[tuple[float, float]], size: float) -> None:
        self._panel.attempt(lambda: self._draw(shape, points, size))

    def _draw(self, shape: str, points: Sequence[tuple[float, float]], size: float) -> None:
        chip = self._chip
        if chip is None:
            msg = "There is no chip to draw on: load exposures first."
            raise DataError(msg)
        if self.whole.value:
            from drizzlewb.distortion import pixel_to_sky

            sky = np.column_stack(pixel_to_sky(chip.wcs, *np.asarray(points, float).T))
            corners = tuple((float(a), float(b)) for a, b in sky)
            mask = Drawn(self._exposure, shape, corners, size * chip.pixel_scale_arcsec, "sky", 0)
        else:
            corners = tuple((round(x, 2), round(y, 2)) for x, y in points)
            mask = Drawn(self._exposure, shape, corners, round(size, 2), "pixel", chip.extver)
        self._panel.session.draw(mask)
        self._panel.ran(f"session.draw({mask!r})")

    def _erase(self, mask: Drawn) -> None:
        self._panel.attempt(lambda: self._panel.session.erase(mask), f"session.erase({mask!r})")
