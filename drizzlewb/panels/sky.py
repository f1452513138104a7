"""Panel 3: the sky of each exposure and chip, and how well it matches in the overlaps."""

from typing import Any

import ipywidgets as W
import numpy as np

from drizzlewb.panels.base import Panel, beside
from drizzlewb.panels.form import Form
from drizzlewb.parameters import ReduceParameters
from drizzlewb.views import figures
from drizzlewb.views.style import COLOURS, escape, legend

__all__ = ["SkyPanel"]

GOOD_SIGMA = 0.02
"""Residuals in overlaps of matched exposures should stay below this fraction of the sky's noise."""


class SkyPanel(Panel):
    """Values per exposure and chip, residuals in the overlaps, before and after."""

    title = "Sky"
    help = "The sky of each chip is measured and subtracted, so that exposures can be compared."
    steps = (("product", "sky"),)

    def build(self) -> W.Widget:
        """Make the widgets."""
        self.form = Form(
            ReduceParameters,
            ("skysub", "skymethod", "skystat"),
            {
                "Clipping and limits": (
                    "skywidth",
                    "skylower",
                    "skyupper",
                    "skyclip",
                    "skylsigma",
                    "skyusigma",
                ),
                "Masks and user values": ("use_static", "sky_bits", "skyfile", "skyuser", "skymask_cat"),
                "Static mask": ("static", "static_sig"),
            },
            send=lambda name, value, live: self.session.set(self.product, {name: value}, live=live),
        )
        self.run = self.action(
            "Measure the sky",
            lambda: self.session.run(self.product, "sky"),
            lambda: f'session.run({self.product_code()}, "sky")',
            primary=True,
        )
        self.table = W.HTML()
        self.values = figures.figure("Sky of each chip", "chip, in stack order", "sky (e-/s/arcsec²)")
        self.measured = figures.points(self.values, colour=COLOURS["orange"], size=36)
        self.subtracted = figures.points(self.values, colour=COLOURS["blue"], marker="cross", size=36)
        self.overlap = figures.figure(
            "Differences in overlaps", "pair of exposures", "difference (e-/s/arcsec²)"
        )
        self.before = figures.points(self.overlap, colour=COLOURS["orange"], size=36)
        self.after = figures.points(self.overlap, colour=COLOURS["blue"], marker="cross", size=36)
        self.verdict = W.HTML()
        plots = [
            W.VBox(
                [
                    legend(("●", COLOURS["orange"], "measured"), ("✚", COLOURS["blue"], "subtracted")),
                    self.values,
                ]
            ),
            W.VBox(
                [legend(("●", COLOURS["orange"], "before"), ("✚", COLOURS["blue"], "after")), self.overlap]
            ),
        ]
        return beside(
            [self.form, self.run],
            [self.verdict, W.HBox(plots, layout=W.Layout(flex_flow="row wrap")), self.table],
        )

    def update(self) -> None:
        """Show what the session holds."""
        session = self.session
        if not self.product:
            self.run.disable("load exposures first")
            return
        self.form.show(session.parameters(self.product))
        status = session.status_of(self.product, "sky")
        self.run.disable("it is running" if status.state == "running" else "")
        if status.state == "failed":
            self.messages.say(status.message, "error")
        prepass = session.result(self.product, "sky")
        if prepass is None:
            told = (
                "The parameters have changed since: measure again."
                if status.state == "stale"
                else "Not measured yet."
            )
            self.verdict.value = f'<span class="dwb-soft">{told}</span>'
            return
        self._show(prepass)

    def _show(self, prepass: Any) -> None:
        sky = prepass.sky
        chips = [c for exposure in prepass.chips for c in exposure]
        per = np.array([1.0 / (c.chip.exptime * c.chip.pixel_scale_arcsec**2) for c in chips])
        number = np.arange(1, len(chips) + 1)
        measured = np.array([m.value_e if m is not None else np.nan for m in sky.measures])
        _set(self.measured, number, measured * per)
        _set(self.subtracted, number, np.array([c.sky_subtracted for c in chips]) * per)
        before, after = (sky.residual_matrix(after=a) for a in (False, True))
        i, j = np.nonzero(np.triu(np.isfinite(after), 1))
        pair = np.arange(1, len(i) + 1)
        _set(self.before, pair, before[i, j])
        _set(self.after, pair, after[i, j])
        self.verdict.value = self._verdict(sky, chips, after[i, j])
        rows = "".join(
            f"<tr><td>{escape(c.chip.path.rsplit('/', 1)[-1])}</td><td class=n>{c.chip.extver}</td>"
            f"<td class=n>{c.sky_subtracted / c.chip.to_electrons:.4g}</td>"
            f"<td class=n>{c.sky_subtracted:.4g}</td>"
            f"<td class=n>{c.sky_present:.4g}</td></tr>"
            for c in chips
        )
        unit = escape(chips[0].chip.unit)
        self.table.value = (
            '<div class="dwb-scroll" style="max-height:260px"><table><tr><th>file</th><th class=n>SCI</th>'
            f"<th class=n>MDRIZSKY ({unit})</th><th class=n>subtracted (e-)</th>"
            f"<th class=n>on the detector (e-)</th></tr>{rows}</table></div>"
        )

    @staticmethod
    def _verdict(sky: Any, chips: list[Any], residuals: np.ndarray) -> str:
        if sky.overlaps is None or not residuals.size:
            return (
                f"<span>{escape(sky.method)}: each value stands by itself. Overlaps are measured by "
                "<i>match</i> and <i>globalmin+match</i>.</span>"
            )
        sigma = np.nanmedian(
            [
                m.sigma_e / (c.chip.exptime * c.chip.pixel_scale_arcsec**2)
                for m, c in zip(sky.measures, chips, strict=True)
                if m is not None
            ]
        )
        worst = float(np.abs(residuals).max() / sigma) if sigma > 0 else float("nan")
        word = "good" if worst <= GOOD_SIGMA else "more than the rule of thumb"
        return (
            f"<span>Largest difference left in an overlap: {worst:.3f} of the noise of one pixel's sky "
            f"({word}; the rule is {GOOD_SIGMA}).</span>"
        )


def _set(mark: Any, x: np.ndarray, y: np.ndarray) -> None:
    with mark.hold_sync():
        mark.x, mark.y = np.asarray(x, float), np.asarray(y, float)
