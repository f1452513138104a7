"""The sampling adviser of the final drizzle: prediction, measured sweep, and noise from half stacks."""

import math
from typing import Any

import ipywidgets as W
import numpy as np

from drizzlewb.session.trials import HalfStacks
from drizzlewb.steps.image_quality import noise_factor
from drizzlewb.steps.sampling import RULE, Sampling, advice, knee
from drizzlewb.steps.sweep import Measured
from drizzlewb.views import figures
from drizzlewb.views.style import COLOURS, escape, legend

__all__ = ["NoisePage", "SamplingPage"]

_MAPS = (
    ("rms_over_median", "WHT rms/median", 0.4),
    ("holes", "holes (fraction)", 0.02),
    ("factor", "R, noise correlation", 3.0),
)


class SamplingPage(W.VBox):
    """Predicted evenness of weights over scale and pixfrac, with what was measured drawn over it.

    Parameters
    ----------
    buttons : sequence of Widget
        That ask for the prediction and for the sweep.
    """

    def __init__(self, buttons: list[W.Widget]) -> None:
        self.told = W.HTML()
        self.curve = figures.figure(
            "Evenness of the weight at this scale", "pixfrac", "WHT rms/median", width_px=600, height_px=260
        )
        self.predicted = figures.lines(self.curve, colour=COLOURS["blue"])
        self.measured = figures.points(self.curve, colour=COLOURS["orange"], size=48)
        self.rule = figures.level(self.curve, RULE, (0.05, 1.05))
        self.knee = figures.points(self.curve, colour=COLOURS["green"], marker="diamond", size=90)
        self.now = figures.lines(self.curve, colour=COLOURS["red"], width=1.5)
        self.width = figures.figure(
            "Width of stars, measured", "pixfrac", "FWHM (arcsec)", width_px=300, height_px=230
        )
        self.widths = figures.points(self.width, colour=COLOURS["orange"], size=48)
        self.noise = figures.figure(
            "R from half stacks", "pixfrac", "R = area noise / pixel noise", width_px=300, height_px=230
        )
        self.theory = figures.lines(self.noise, colour=COLOURS["blue"])
        self.factors = figures.points(self.noise, colour=COLOURS["orange"], size=48)
        self.maps: dict[str, tuple[Any, Any]] = {}
        boxes = []
        for name, title, _ in _MAPS:
            fig = figures.figure(
                title, "pixfrac", "scale (arcsec)", width_px=203, height_px=215, ticks=(3, 5)
            )
            mark = figures.heat_map(fig, np.zeros((2, 2)), [0.1, 1.0], [0.03, 0.05], ("#f7f7f7", "#0072B2"))
            here = figures.points(fig, colour=COLOURS["red"], marker="cross", size=90)
            self.maps[name] = (mark, here)
            boxes.append(fig)
        self.table = W.HTML()
        signs = legend(
            ("━", COLOURS["blue"], "predicted from the dithers"),
            ("●", COLOURS["orange"], "measured on the region"),
            ("◆", COLOURS["green"], "bend"),
            ("┃", COLOURS["red"], "now"),
            ("┅", COLOURS["grey"], f"rule: below {RULE}"),
        )
        scale = W.HTML(
            '<span class="dwb-help">Maps: pale is low, dark is high (rms/median up to 0.4, holes up to '
            "2 %, R up to 3); the cross is the present choice. There is no single metric: look at evenness, "
            "holes, width and noise together.</span>"
        )
        self.charts = W.VBox([scale, W.HBox(boxes, layout=W.Layout(flex_flow="row wrap"))])
        self.charts.layout.display = "none"
        super().__init__(
            [
                W.HBox(buttons, layout=W.Layout(flex_flow="row wrap", grid_gap="6px")),
                self.told, signs,
                W.HBox([self.curve, self.width, self.noise], layout=W.Layout(flex_flow="row wrap")),
                self.charts,
                self.table,
            ]
        )  # fmt: skip
        self._drawn: tuple[Any, ...] = ()

    def show(
        self,
        sampling: Sampling | None,
        sweep: list[Measured] | None,
        scale_arcsec: float,
        ratio: float,
        pixfrac: float,
    ) -> None:
        """Show what is known for the present choice."""
        now = (id(sampling), id(sweep), scale_arcsec, pixfrac)
        if now == self._drawn:
            return
        self._drawn = now
        if sampling is None:
            self.told.value = (
                '<span class="dwb-soft">Not predicted yet for these exposures: it takes seconds, and '
                "drizzles no image.</span>"
            )
            _set(self.predicted, [], [])
            _set(self.knee, [], [])
            self.charts.layout.display = "none"
        else:
            self._show_prediction(sampling, scale_arcsec, pixfrac)
        self._show_sweep(sweep or [], ratio)
        tops = [RULE * 1.5, *(np.asarray(m.y)[np.isfinite(m.y)].max(initial=0) for m in (self.predicted,))]
        tops += [m.rms_over_median for m in sweep or [] if math.isfinite(m.rms_over_median)]
        self.curve.axes[1].scale.min, self.curve.axes[1].scale.max = 0.0, float(1.05 * max(tops))
        _set(self.now, [pixfrac, pixfrac], [0.0, float(1.05 * max(tops))])

    def _show_prediction(self, sampling: Sampling, scale_arcsec: float, pixfrac: float) -> None:
        m = sampling.at(scale_arcsec)
        rms = np.where(np.isfinite(sampling.rms_over_median), sampling.rms_over_median, np.nan)
        _set(self.predicted, sampling.pixfracs, rms[m])
        bend = knee(sampling.pixfracs, sampling.rms_over_median[m])
        where = [] if bend is None else [bend]
        _set(self.knee, where, np.interp(where, sampling.pixfracs, rms[m]))
        basis = (
            f"{sampling.exposures} exposures overlap; {sampling.places} places of the sky, {sampling.kernel} "
            f"kernel, {100 * sampling.cr_fraction:.1f} % of the pixels lost to cosmic rays."
        )
        self.told.value = (
            f"<span>{escape(advice(sampling, scale_arcsec, pixfrac))}</span> "
            f'<span class="dwb-soft">{escape(basis)}</span>'
        )
        self.charts.layout.display = ""
        for name, _, top in _MAPS:
            mark, here = self.maps[name]
            values = np.nan_to_num(np.asarray(getattr(sampling, name)), posinf=top)
            colour = mark.scales["color"]
            colour.min, colour.max = (1.0 if name == "factor" else 0.0), top
            with mark.hold_sync():
                mark.x, mark.y = sampling.pixfracs, sampling.scales_arcsec
                mark.color = np.minimum(values, top)
            _set(here, [pixfrac], [scale_arcsec])

    def _show_sweep(self, sweep: list[Measured], ratio: float) -> None:
        x = [m.pixfrac for m in sweep]
        _set(self.measured, x, [m.rms_over_median for m in sweep])
        _set(self.widths, x, [m.fwhm_arcsec for m in sweep])
        _set(self.factors, x, [m.factor for m in sweep])
        line = np.linspace(0.05, 1.0, 39)
        _set(self.theory, line, [noise_factor(ratio, p) for p in line])
        if not sweep:
            self.table.value = '<span class="dwb-soft">The sweep has not been measured here.</span>'
            return
        rows = "".join(
            f"<tr><td class=n>{m.pixfrac:.2f}</td><td class=n>{m.rms_over_median:.3f}</td>"
            f"<td class=n>{100 * m.holes:.2f}</td><td class=n>{m.fwhm_arcsec:.4f}</td>"
            f"<td class=n>{m.stars}</td>"
            f"<td class=n>{m.noise_pixel:.4g}</td><td class=n>{_told(m.factor, m.factor_error)}</td>"
            f"<td class=n>{_told(m.noise_pixel * m.factor)}</td></tr>"
            for m in sweep
        )
        self.table.value = (
            '<div class="dwb-scroll"><table><tr><th class=n>pixfrac</th><th class=n>WHT rms/median</th>'
            "<th class=n>holes (%)</th><th class=n>FWHM (arcsec)</th><th class=n>stars</th>"
            "<th class=n>noise per pixel</th><th class=n>R</th><th class=n>noise × R</th></tr>"
            f"{rows}</table></div>"
        )


class NoisePage(W.VBox):
    """Noise of the region from odd against even exposures, beside theory.

    Parameters
    ----------
    button : Widget
        That asks for it.
    """

    def __init__(self, button: W.Widget) -> None:
        self.told = W.HTML()
        about = W.HTML(
            '<span class="dwb-help">Odd and even exposures are drizzled apart, with the sky and the '
            "cosmic-ray masks of the whole stack; the sky's sources drop out of their difference. Drizzled "
            "pixels share input pixels, so that the rms per pixel understates the noise of an area by "
            "R.</span>"
        )
        super().__init__([button, about, self.told])

    def show(self, found: HalfStacks | None) -> None:
        """Show a measurement, or that there is none."""
        if found is None:
            self.told.value = '<span class="dwb-soft">Not measured for this region and choice.</span>'
            return
        n = found.measured
        dithers = "–" if math.isnan(found.factor_dithers) else f"{found.factor_dithers:.3f}"
        rows = (
            ("noise per output pixel", f"{n.pixel:.4g}", f"{found.pixel_theory:.4g}", escape(found.unit)),
            ("R (area noise over pixel noise)", f"{n.factor:.3f} ± {n.factor_error:.3f}", dithers,
             f"{found.factor_formula:.3f} for many even dithers"),
            ("noise per pixel of a large area", f"{n.pixel * n.factor:.4g}",
             f"{found.pixel_theory * _known(found):.4g}", escape(found.unit)),
        )  # fmt: skip
        cells = "".join(
            f"<tr><td>{name}</td><td class=n>{a}</td><td class=n>{b}</td><td>{c}</td></tr>"
            for name, a, b, c in rows
        )
        self.told.value = (
            f"<p>{found.odd} odd against {found.even} even exposures, {n.blocks} blocks of blank sky.</p>"
            "<table><tr><th></th><th class=n>measured</th><th class=n>theory (these dithers)</th><th></th>"
            f"</tr>{cells}</table>"
        )


def _known(found: HalfStacks) -> float:
    return found.factor_formula if math.isnan(found.factor_dithers) else found.factor_dithers


def _set(mark: Any, x: Any, y: Any) -> None:
    with mark.hold_sync():
        mark.x, mark.y = np.asarray(x, float), np.asarray(y, float)


def _told(value: float, error: float | None = None) -> str:
    """Number, with its error; a dash where holes left nothing to measure."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.4g}" if error is None else f"{value:.2f} ± {error:.2f}"
