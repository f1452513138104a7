"""Residuals of the chosen exposure: arrows at the stars, and against x, y and magnitude; a brush on each."""

from collections.abc import Callable, Sequence
from typing import Any

import bqplot as bq
import ipywidgets as W
import numpy as np
from numpy.typing import NDArray

from drizzlewb.session.state import Star
from drizzlewb.views import figures
from drizzlewb.views.brush import Brush
from drizzlewb.views.residuals import Residuals, arrow_lines, half_range, in_box, key_length
from drizzlewb.views.style import COLOURS, escape, legend

__all__ = ["ResidualPlots", "stars_of"]

KEY_SHARE = 0.06
"""Length of the key's arrow as a share of the plot's width."""

MAP_PX = 330
PANEL_PX = 310, 190  # at most; two stand side by side down to 240 px each

_MARGIN = 0.03


def stars_of(residuals: Residuals, which: NDArray[np.bool_]) -> tuple[Star, ...]:
    """Stars of a mask as the session knows them; those without a chip are left out."""
    part = residuals.take(which & (residuals.extver > 0))
    columns = (part.extver.tolist(), part.chip_x.tolist(), part.chip_y.tolist())
    return tuple(Star(part.rootname, *place) for place in zip(*columns, strict=True))


def _chosen(residuals: Residuals, stars: Sequence[Star]) -> NDArray[np.bool_]:
    """Which residuals belong to these stars."""
    wanted = {(s.extver, s.x, s.y) for s in stars if s.exposure == residuals.rootname}
    places = zip(residuals.extver.tolist(), residuals.chip_x.tolist(), residuals.chip_y.tolist(), strict=True)
    return np.array([place in wanted for place in places], bool) if wanted else np.zeros(len(residuals), bool)


class _Plot:
    """One figure with a brush, and the marks of stars in the fit, clipped and selected."""

    def __init__(
        self,
        title: str,
        x_label: str,
        y_label: str,
        brushed: Callable[["_Plot"], None],
        x: bq.Scale,
        y: bq.Scale,
        **size: Any,
    ) -> None:
        self.figure = figures.figure(title, x_label, y_label, x=x, y=y, ticks=(5, 4), **size)
        self.x_values = self.y_values = np.empty(0)
        self.used = figures.points(self.figure, colour=COLOURS["blue"], size=10)
        self.used.opacities = [0.5]
        self.clipped = figures.points(self.figure, colour=COLOURS["orange"], marker="cross", size=28)
        self.selected = figures.points(
            self.figure, colour=COLOURS["red"], marker="square", size=60, filled=False
        )
        self.brush = Brush(self.figure)
        self.brush.observe(lambda _: brushed(self), ["x", "y", "brushing"])

    @property
    def box(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """What is brushed; None while the brush moves, or without one."""
        if self.brush.brushing or not self.brush.x or not self.brush.y:
            return None
        return self.brush.x, self.brush.y

    def show(self, x: Any, y: Any, used: NDArray[np.bool_]) -> None:
        self.x_values, self.y_values = np.asarray(x, float), np.asarray(y, float)
        for mark, which in ((self.used, used), (self.clipped, ~used)):
            with mark.hold_sync():
                mark.x, mark.y = self.x_values[which], self.y_values[which]

    def select(self, which: NDArray[np.bool_]) -> None:
        with self.selected.hold_sync():
            self.selected.x, self.selected.y = self.x_values[which], self.y_values[which]

    def clear(self) -> None:
        """Take the brush away."""
        self.brush.clear()


class ResidualPlots(W.VBox):
    """Arrows, four panels and two against magnitude.

    Parameters
    ----------
    select : callable
        Stars -> None: what is brushed.
    buttons : sequence of W.Widget
        Below the arrows.
    first : W.Widget
        Shown before the arrows.
    """

    def __init__(
        self, select: Callable[[tuple[Star, ...]], Any], buttons: Sequence[W.Widget], first: W.Widget
    ) -> None:
        self._select = select
        self._residuals: Residuals | None = None
        self._shown: tuple[Any, ...] = ()
        self._clearing = False
        self.scales = {name: bq.LinearScale(min=0.0, max=1.0) for name in ("x", "y", "mag", "dx", "dy")}
        self.map_scales = bq.LinearScale(min=0.0, max=1.0), bq.LinearScale(min=0.0, max=1.0)
        self.vectors = _Plot(
            "Residuals at the stars", "x (px)", "y (px)", self._brushed, *self.map_scales,
            width_px=MAP_PX, height_px=MAP_PX,
        )  # fmt: skip
        self.arrows = figures.lines(self.vectors.figure, colour=COLOURS["blue"], width=1.2)
        self.key = figures.lines(self.vectors.figure, colour=COLOURS["red"], width=2.0)
        self.vectors.used.default_size = 4
        self.panels: dict[tuple[str, str], _Plot] = {}
        labels = {"x": "x (px)", "y": "y (px)", "mag": "magnitude (instrumental)"}
        for value in ("dx", "dy"):
            for against, label in labels.items():
                plot = _Plot(
                    f"{value} against {'magnitude' if against == 'mag' else against}", label, f"{value} (px)",
                    self._brushed, self.scales[against], self.scales[value],
                    width_px=PANEL_PX[0], height_px=PANEL_PX[1],
                )  # fmt: skip
                plot.figure.layout.width, plot.figure.layout.min_width = "calc(50% - 4px)", "240px"
                self.panels[value, against] = plot
        self.levels = {
            (value, against): figures.lines(plot.figure, colour=COLOURS["grey"], width=1.5, dashed=True)
            for (value, against), plot in self.panels.items()
        }
        self.against = W.ToggleButtons(
            options=["position", "magnitude"], tooltips=["dx, dy against x and y", "against the magnitude"],
            style={"button_width": "auto"},
        )  # fmt: skip
        self.against.observe(lambda _: self._show_panels(), "value")
        self.where = W.ToggleButtons(
            options=[("sky plane", "plane"), ("chip", "chip")],
            tooltips=["positions in the plane of the reference: all chips", "positions on one chip"],
            style={"button_width": "auto"},
        )  # fmt: skip
        self.chip = W.Dropdown(options=[], layout=W.Layout(width="100px", display="none"))
        self.where.observe(lambda _: self._elsewhere(), "value")
        self.chip.observe(lambda _: self._elsewhere(), "value")
        self.words = W.HTML()
        self.key_words = W.HTML()
        row = W.Layout(flex_flow="row wrap", align_items="center", grid_gap="6px")
        keys = legend(
            ("●", COLOURS["blue"], "in the fit"), ("✚", COLOURS["orange"], "clipped"),
            ("□", COLOURS["red"], "selected"), ("- -", COLOURS["grey"], "zero, ± rms"),
        )  # fmt: skip
        keys.layout = W.Layout(margin="0")
        arrows = W.VBox(
            [keys, self.vectors.figure, self.key_words, W.HBox(list(buttons), layout=row)],
            layout=W.Layout(width=f"{MAP_PX}px"),
        )
        self.grid = W.HBox(
            layout=W.Layout(flex_flow="row wrap", width=f"{2 * PANEL_PX[0] + 12}px", max_width="100%")
        )
        choices = [W.Label("Positions:"), self.where, self.chip, W.Label("Residuals against:"), self.against]
        figures_row = W.HBox(
            [first, arrows, self.grid], layout=W.Layout(flex_flow="row wrap", grid_gap="6px")
        )
        super().__init__([self.words, W.HBox(choices, layout=row), figures_row])
        self._show_panels()

    @property
    def plots(self) -> list[_Plot]:
        """All figures with a brush."""
        return [self.vectors, *self.panels.values()]

    # ---------------------------------------------------------------- from the session
    def show(self, residuals: Residuals | None, stars: Sequence[Star], why: str, scale_mas: float) -> None:
        """Show residuals.

        Parameters
        ----------
        residuals : Residuals or None
            None: there are none, and `why` says why.
        stars : sequence of Star
            Those that are selected.
        why : str
        scale_mas : float
            Milliarcseconds in one px.
        """
        state = (id(residuals), tuple(stars), why)
        if state == self._shown:
            return
        changed = residuals is not self._residuals
        self._shown, self._residuals = state, residuals
        if residuals is None:
            self.words.value = f'<div class="dwb-soft">{escape(why)}</div>'
            self._empty()
            return
        if changed:
            numbers = [(f"SCI {n}", n) for n in sorted(set(residuals.extver.tolist())) if n > 0]
            if tuple(self.chip.options) != tuple(numbers):
                self.chip.options = numbers
            if self.chip.value is None and numbers:
                self.chip.value = numbers[0][1]
            self.words.value = (
                f"<b>{escape(residuals.rootname)}</b>, {escape(residuals.geometry)}: "
                f"{int(residuals.used.sum())} stars in the fit, {int((~residuals.used).sum())} clipped; rms "
                f"{residuals.rms_x:.4f} px in x ({residuals.rms_x * scale_mas:.2f} mas), "
                f"{residuals.rms_y:.4f} px in y ({residuals.rms_y * scale_mas:.2f} mas)."
            )
            self._redraw()
        self._mark(_chosen(residuals, stars))

    def _elsewhere(self) -> None:
        """Other positions are asked for."""
        self.clear_brushes()
        self._redraw()
        if self._residuals is not None:
            self._mark(_chosen(self._residuals, self._shown[1]))

    def _mark(self, which: NDArray[np.bool_]) -> None:
        which = which[self._in_view()]
        for plot in self.plots:
            plot.select(which)

    def _in_view(self) -> NDArray[np.bool_]:
        """Stars that are drawn: all, or those of one chip."""
        r = self._residuals
        assert r is not None
        return r.extver == self.chip.value if self.where.value == "chip" else np.ones(len(r), bool)

    def _empty(self) -> None:
        none = np.empty(0)
        for plot in self.plots:
            plot.show(none, none, np.empty(0, bool))
            plot.select(np.empty(0, bool))
        for mark in (self.arrows, self.key, *self.levels.values()):
            with mark.hold_sync():
                mark.x, mark.y = none, none
        self.key_words.value = ""

    def _redraw(self) -> None:
        self.chip.layout.display = "" if self.where.value == "chip" else "none"
        if self._residuals is None:
            return
        r = self._residuals.take(self._in_view())
        x, y = (r.chip_x, r.chip_y) if self.where.value == "chip" else (r.x, r.y)
        if not len(r):
            self._empty()
            return
        low_x, high_x, low_y, high_y = (
            float(v) for v in (np.nanmin(x), np.nanmax(x), np.nanmin(y), np.nanmax(y))
        )
        self._range("x", low_x, high_x)
        self._range("y", low_y, high_y)
        known = r.mag[np.isfinite(r.mag)]
        if known.size:
            self._range("mag", float(known.min()), float(known.max()))
        for value, rms in (("dx", r.rms_x), ("dy", r.rms_y)):
            half = half_range(getattr(r, value)[r.used], rms)
            _limits(self.scales[value], -half, half)
            for against in ("x", "y", "mag"):
                self.panels[value, against].show(
                    {"x": x, "y": y, "mag": r.mag}[against], getattr(r, value), r.used
                )
                scale = self.scales[against]
                ends = [scale.min, scale.max]
                line = self.levels[value, against]
                with line.hold_sync():
                    line.x = np.array([*ends, np.nan] * 3)
                    line.y = np.array([0, 0, np.nan, rms, rms, np.nan, -rms, -rms, np.nan])
        self._vectors(r, x, y)

    def _vectors(self, r: Residuals, x: Any, y: Any) -> None:
        # One length along both axes, so that arrows keep their directions.
        side = max(float(np.ptp(x)), float(np.ptp(y)), 1.0) * (1 + 2 * _MARGIN)
        middle_x, middle_y = (float(np.nanmin(v) + np.nanmax(v)) / 2 for v in (x, y))
        _limits(self.map_scales[0], middle_x - 0.53 * side, middle_x + 0.53 * side)
        _limits(self.map_scales[1], middle_y - 0.5 * side, middle_y + 0.56 * side)
        key = key_length(float(np.hypot(r.rms_x, r.rms_y)))
        factor = KEY_SHARE * side / key
        # Clipped stars are crosses only: their arrows would cross the whole plot.
        px, py = arrow_lines(x[r.used], y[r.used], r.dx[r.used], r.dy[r.used], factor)
        with self.arrows.hold_sync():
            self.arrows.x, self.arrows.y = px, py
        self.vectors.show(x, y, r.used)
        at = (middle_x + 0.30 * side, middle_y + 0.53 * side)
        px, py = arrow_lines([at[0]], [at[1]], [key], [0.0], factor)
        with self.key.hold_sync():
            self.key.x, self.key.y = px, py
        self.key_words.value = (
            f'<span style="color:{COLOURS["red"]}">→</span> the red arrow at the top is {key:g} px long; '
            "arrows show image minus model."
        )

    def _range(self, name: str, low: float, high: float) -> None:
        room = max(_MARGIN * (high - low), 0.5 if name != "mag" else 0.05)
        _limits(self.scales[name], low - room, high + room)

    # ---------------------------------------------------------------- from the user
    def _brushed(self, plot: _Plot) -> None:
        if self._clearing or self._residuals is None:
            return
        box = plot.box
        if box is None:
            return
        view = self._in_view()
        which = np.zeros(len(self._residuals), bool)
        which[view] = in_box(plot.x_values, plot.y_values, *box)
        self._clearing = True
        try:
            for other in self.plots:
                if other is not plot and other.brush.x:
                    other.clear()
        finally:
            self._clearing = False
        self._select(stars_of(self._residuals, which))

    def clear_brushes(self) -> None:
        """Take all brushes away, as after what they held was rejected."""
        self._clearing = True
        try:
            for plot in self.plots:
                if plot.brush.x:
                    plot.clear()
        finally:
            self._clearing = False

    def _show_panels(self) -> None:
        wanted = ("x", "y") if self.against.value == "position" else ("mag",)
        self.grid.children = tuple(
            self.panels[value, against].figure for value in ("dx", "dy") for against in wanted
        )


def _limits(scale: bq.Scale, low: float, high: float) -> None:
    with scale.hold_sync():
        scale.min, scale.max = float(low), float(high)
