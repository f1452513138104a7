"""Panel 6: the weights of a product: even, without holes, and without an imprint of its sources."""

from typing import Any

import ipywidgets as W
import numpy as np

from drizzlewb.panels.base import Panel
from drizzlewb.session import Session
from drizzlewb.session.trials import Weighed
from drizzlewb.steps.sampling import RULE
from drizzlewb.steps.weight_maps import depth, effective_seconds
from drizzlewb.views import figures
from drizzlewb.views.frames import array_frame
from drizzlewb.views.image import ImageView
from drizzlewb.views.style import COLOURS, escape, legend

__all__ = ["WeightsPanel"]

LAYERS = {
    "weight": "weight as in the file; with EXP weights, seconds times the square of the scale ratio",
    "seconds": "effective exposure time: weight / s², s being output over input pixel (EXP weights)",
    "depth": "depth against the median of the full overlap, magnitudes: 1.25 log10 of the weights' ratio",
    "exposures": "number of exposures that reach each pixel",
    "image": "the image itself",
}


class WeightsPanel(Panel):
    """Weight, seconds, depth, number of exposures; statistics over the full overlap; imprint test."""

    title = "Weights"
    help = "The weight image tells what the cosmic-ray step and the dithers did: check it before any science."
    steps = (("product", "product"),)

    def __init__(self, session: Session, *, background: bool = True) -> None:
        self._background = background
        self._held: tuple[Any, ...] = ()
        super().__init__(session)

    def build(self) -> W.Widget:
        """Make the widgets."""
        self.check = self.action(
            "Check the weights",
            self._check,
            lambda: f"session.trials.weights({self.product_code()})",
            primary=True,
            icon="check",
            tooltip="of the product if it is made, else of the region that Final drizzle previews",
        )
        self.basis = W.HTML()
        self.layer = W.ToggleButtons(
            options=list(LAYERS), tooltips=list(LAYERS.values()), style={"button_width": "auto"}
        )
        self.layer.observe(lambda _: self._update(), "value")
        self.about = W.HTML()
        self.view = ImageView(background=self._background, size_px=480)
        self.view.on_click(self._clicked)
        # Chance takes weight from many cores: they are marked without being asked only where it is no chance.
        self.mark = W.Checkbox(
            value=False, indent=False, description="mark stars whose core lost weight",
            layout=W.Layout(width="auto"),
        )  # fmt: skip
        self.mark.observe(lambda _: self._update(), "value")
        self.overlap = W.Checkbox(value=True, indent=False, description="show the edge of the full overlap")
        self.overlap.observe(lambda _: self._update(), "value")
        self.numbers = W.HTML()
        self.verdict = W.HTML()
        self.histogram = figures.figure(
            "Weight in the full overlap", "weight over its median", "pixels", width_px=420, height_px=240
        )
        self.counted = figures.lines(self.histogram)
        self.imprint = figures.figure(
            "Star cores that lost weight, less blank places", "magnitude (instrumental)", "excess (%)",
            width_px=420, height_px=240,
        )  # fmt: skip
        self.good = figures.level(self.imprint, 1.0, (-20, 5), colour=COLOURS["green"])
        self.bad = figures.level(self.imprint, 3.0, (-20, 5), colour=COLOURS["red"])
        self.errors = figures.lines(self.imprint, colour=COLOURS["blue"], width=1.2)
        self.excess = figures.points(self.imprint, colour=COLOURS["blue"], size=60)
        self.table = W.HTML()
        signs = legend(
            ("●", COLOURS["blue"], "excess"),
            ("┅", COLOURS["green"], "good: up to 1 %"),
            ("┅", COLOURS["red"], "bad: above 3 %"),
        )
        left = W.VBox(
            [
                self.layer,
                self.about,
                legend(("○", COLOURS["red"], "core lost weight"), ("▢", COLOURS["green"], "full overlap")),
                self.view,
                self.mark,
                self.overlap,
            ],
            layout=W.Layout(flex="0 0 500px", min_width="0"),
        )
        right = W.VBox(
            [
                self.check,
                self.basis,
                self.verdict,
                self.numbers,
                self.histogram,
                signs,
                self.imprint,
                self.table,
            ],
            layout=W.Layout(flex="1 1 360px", min_width="0"),
        )
        return W.HBox([left, right], layout=W.Layout(flex_flow="row wrap", grid_gap="16px", width="100%"))

    # ---------------------------------------------------------------- what the buttons do
    def _check(self) -> Any:
        handle = self.session.trials.weights(self.product)

        def told(h: Any) -> None:
            if h.state == "failed" and h.error is not None:
                self.messages.say(str(h.error), "error")
            if h.over:
                self._changed(None)

        handle.on_change(told)
        told(handle)
        self._changed(None)
        return handle

    def _clicked(self, x: float, y: float) -> None:
        found = self.session.trials.found("weights", self.product)
        if found is not None:
            ra, dec = (float(v) for v in found.grid.pixel_to_sky(x, y))
            self.session.select(product=self.product, center=(ra, dec))

    # ---------------------------------------------------------------- from the session
    def update(self) -> None:
        """Show what the session holds."""
        session, product = self.session, self.product
        if not product:
            self.check.disable("load exposures first")
            return
        status = session.status_of(product, "product")
        made = status.state == "done"
        shown = session.shown.get(product)
        why = ""
        if session.trials.running("weights", product):
            why = "it is running"
        elif not made and shown is None:
            why = "run the product, or preview a region in Final drizzle"
        self.check.disable(why)
        found: Weighed | None = session.trials.found("weights", product)
        self.about.value = f'<span class="dwb-help">{escape(LAYERS[self.layer.value])}</span>'
        if found is None:
            self.basis.value = '<span class="dwb-soft">Not checked for the present parameters.</span>'
            for widget in (self.verdict, self.numbers, self.table):
                widget.value = ""
            return
        self.basis.value = (
            '<span class="dwb-soft">Of the finished product.</span>'
            if found.whole
            else '<span class="dwb-soft">Of the <b>previewed region</b> only: the product is not made yet. '
            "Few stars say little; run the product for the whole answer.</span>"
        )
        kind = session.parameters(product).final.final_wht_type
        self._show_numbers(found, kind)
        self._show_image(found, kind)

    def _show_numbers(self, found: Weighed, kind: str) -> None:
        if self._held and self._held[0] is found:
            return
        check = found.check
        colour = {"good": "good", "pass": "good", "fail": "error"}.get(check.verdict, "warning")
        word = {"good": "Good", "pass": "Passed", "fail": "Bad"}.get(check.verdict, "Not graded")
        self.verdict.value = (
            f'<div class="dwb-message {colour}"><b class="kind">{word}</b>{escape(check.words)}</div>'
        )
        number = len(check.damaged)
        self.mark.description = f"mark the {number} stars whose core lost weight"
        self.mark.disabled = not number
        self.mark.value = check.verdict == "fail"
        relative = check.rms / check.median if check.median else float("nan")
        rows = [
            ("exposures in the full overlap", f"{check.exposures}", ""),
            ("its area", f"{check.area.sum()} px", f"{100 * check.area.mean():.0f} % of the image"),
            ("median weight", f"{check.median:.5g}", ""),
        ]
        if kind == "EXP":
            seconds = float(effective_seconds(np.array([check.median]), found.scale_ratio)[0])
            rows.append(("effective exposure time", f"{seconds:.0f} s", "median weight / s²"))
        rows += [
            ("rms / median", f"{relative:.3f}", f"the rule: below {RULE}"),
            ("smallest weight", f"{check.minimum:.5g}", ""),
            ("holes", f"{100 * check.holes:.3f} %", "pixels without weight"),
        ]
        cells = "".join(f"<tr><td>{a}</td><td class=n>{b}</td><td>{c}</td></tr>" for a, b, c in rows)
        self.numbers.value = f"<table>{cells}</table>"
        values = found.wht[check.area]
        counts, edges = np.histogram(values / check.median if values.size else values, 60, (0.0, 1.6))
        with self.counted.hold_sync():
            self.counted.x, self.counted.y = np.repeat(edges, 2), np.r_[0.0, np.repeat(counts, 2), 0.0]
        self._show_bins(check)

    def _show_bins(self, check: Any) -> None:
        bins = check.bins
        rows = []
        for row in bins:
            whole = not np.isfinite(row["bright"])
            name = "all" if whole else f"{row['bright']:.0f} to {row['faint']:.0f}"
            told = (
                "–"
                if not np.isfinite(row["error"])
                else f"{100 * row['excess']:.1f} ± {100 * row['error']:.1f}"
            )
            rows.append(
                f"<tr><td>{name}</td><td class=n>{row['stars']}</td><td class=n>{told}</td>"
                f"<td>{escape(row['verdict'])}</td></tr>"
            )
        self.table.value = (
            "<table><tr><th>magnitude</th><th class=n>stars</th><th class=n>excess (%)</th>"
            "<th>verdict</th></tr>"
            f"{''.join(rows)}</table>"
        )
        graded = bins[np.isfinite(bins["bright"]) & np.isfinite(bins["error"])]
        x = 0.5 * (np.asarray(graded["bright"]) + np.asarray(graded["faint"]))
        y, error = 100 * np.asarray(graded["excess"]), 100 * np.asarray(graded["error"])
        gap = np.full(x.size, np.nan)
        with self.excess.hold_sync():
            self.excess.x, self.excess.y = x, y
        with self.errors.hold_sync():
            self.errors.x = np.c_[x, x, gap].ravel()
            self.errors.y = np.c_[y - error, y + error, gap].ravel()
        low, high = (float(x.min()) - 1, float(x.max()) + 1) if x.size else (-10.0, 0.0)
        self.imprint.axes[0].scale.min, self.imprint.axes[0].scale.max = low, high
        self.good.x = self.bad.x = np.array([low, high])

    def _show_image(self, found: Weighed, kind: str) -> None:
        layer = self.layer.value
        now = (found, layer, self.mark.value, self.overlap.value)
        if now == self._held:
            return
        old, self._held = self._held, now
        origin = (found.region.y0, found.region.x0)
        if not old or old[:2] != now[:2]:
            image, unit = self._layer(found, layer, kind)
            frame = array_frame(layer, image, unit=unit, origin=origin, grid=found.grid)
            same = bool(old) and old[0] is found
            view = (self.view.x.min, self.view.x.max, self.view.y.min, self.view.y.max)
            self.view.show(frame)
            if same:
                with self.view.x.hold_sync(), self.view.y.hold_sync():
                    self.view.x.min, self.view.x.max, self.view.y.min, self.view.y.max = view
        damaged = found.check.damaged if self.mark.value else np.zeros((0, 2))
        self.view.points(
            "damaged", damaged[:, 0] + origin[1], damaged[:, 1] + origin[0],
            colour=COLOURS["red"], size=140,
        )  # fmt: skip
        edges = _outlines(found.check.area, origin) if self.overlap.value else []
        self.view.paths("overlap", edges, colour=COLOURS["green"], closed=False)

    @staticmethod
    def _layer(found: Weighed, layer: str, kind: str) -> tuple[np.ndarray, str]:
        if layer == "weight":
            return found.wht, "s·s²" if kind == "EXP" else ""
        if layer == "seconds":
            return effective_seconds(found.wht, found.scale_ratio), "s" if kind == "EXP" else "(not seconds)"
        if layer == "depth":
            return depth(found.wht, found.check.median), "mag"
        if layer == "exposures":
            return found.count.astype(np.float32), "exposures"
        return found.sci, ""


def _outlines(area: np.ndarray, origin: tuple[int, int]) -> list[np.ndarray]:
    """Edges of an area as short lines between its pixels, thinned where it is large."""
    step = max(1, max(area.shape) // 512)
    small = np.pad(area[::step, ::step], 1)
    y, x = np.nonzero(small[1:] != small[:-1])
    flat = np.stack([np.c_[x - 1.5, x - 0.5], np.c_[y - 0.5, y - 0.5]], axis=-1)
    v, u = np.nonzero(small[:, 1:] != small[:, :-1])
    steep = np.stack([np.c_[u - 0.5, u - 0.5], np.c_[v - 1.5, v - 0.5]], axis=-1)
    lines = np.concatenate([flat, steep]) if len(flat) or len(steep) else np.zeros((0, 2, 2))
    return list(lines * step + np.array([origin[1], origin[0]]))
