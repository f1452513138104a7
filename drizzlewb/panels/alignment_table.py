"""The exposures of an alignment: one line each, to choose from; verdict and other geometries in words."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as W

from drizzlewb.steps.fit import LinearFit
from drizzlewb.steps.solution import Alignment
from drizzlewb.views.style import escape

__all__ = ["ExposureTable", "geometry_table", "row_text"]

GRADES = {
    "good": "● good",
    "fair": "◐ fair",
    "poor": "▲ poor",
    "refused": "✕ refused",
    "reference": "★ reference",
    "": "○ not aligned yet",
}
"""Grade of a verdict: a sign that needs no colour, and the word."""

_COLUMNS = (
    ("exposure", 10, "<"), ("filter", 14, "<"), ("verdict", 17, "<"), ("dx px", 9, ">"), ("dy px", 9, ">"),
    ("rot deg", 9, ">"), ("scale ppm", 10, ">"), ("rms px", 8, ">"), ("rms mas", 8, ">"), ("matches", 8, ">"),
)  # fmt: skip
_MOST_ROWS = 12


def _line(cells: Sequence[str]) -> str:
    return " ".join(
        f"{cell[:width]:{side}{width}}" for cell, (_, width, side) in zip(cells, _COLUMNS, strict=True)
    )


def _clean(text: str) -> str:
    """Header text for a list, which shows it as text: no line breaks, no control characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def row_text(name: str, filters: str, alignment: Alignment | None, scale_mas: float) -> str:
    """Line of one exposure.

    Parameters
    ----------
    name, filters : str
    alignment : Alignment or None
        None: not aligned yet.
    scale_mas : float
        Milliarcseconds in one px of the reference plane.
    """
    grade = GRADES[alignment.verdict.grade if alignment is not None else ""]
    fit = alignment.fit if alignment is not None else None
    numbers = [""] * 7
    if fit is not None:
        numbers = [
            f"{fit.shift[0]:+.3f}", f"{fit.shift[1]:+.3f}", f"{fit.rotation:+.5f}", f"{fit.scale_ppm:+.1f}",
            f"{fit.rms_px:.4f}", f"{fit.rms_px * scale_mas:.2f}", str(fit.nmatch),
        ]  # fmt: skip
    # A list squeezes plain spaces.
    return _line([_clean(name), _clean(filters), grade, *numbers]).replace(" ", "\u00a0")


def geometry_table(alignment: Alignment, scale_mas: float) -> str:
    """All geometries side by side, fitted to the same stars; HTML, '' without a fit."""
    if alignment.fit is None:
        return ""
    fits: dict[str, LinearFit] = {alignment.fit.geometry: alignment.fit, **alignment.alternatives}
    rows = []
    for geometry in ("shift", "rshift", "rscale", "general"):
        fit = fits.get(geometry)
        if fit is None:
            continue
        mine = geometry == alignment.fit.geometry
        name = f"<b>{geometry}</b> (in use)" if mine else geometry
        cells = (
            f"{fit.rms_px:.4f}", f"{fit.rms_px * scale_mas:.2f}", f"{fit.error_px:.4f}",
            f"{fit.shift[0]:+.3f}", f"{fit.shift[1]:+.3f}", f"{fit.rotation:+.5f}", f"{fit.scale_ppm:+.1f}",
            f"{fit.skew:+.5f}",
        )  # fmt: skip
        rows.append(f"<tr><td>{name}</td>{''.join(f'<td class=n>{c}</td>' for c in cells)}</tr>")
    head = ("rms px", "mas", "error px", "dx px", "dy px", "rot deg", "scale ppm", "skew deg")
    return (
        '<div class="dwb-scroll"><table><tr><th>geometry</th>'
        + "".join(f"<th class=n>{h}</th>" for h in head)
        + f"</tr>{''.join(rows)}</table></div>"
        '<div class="dwb-help">The same stars, fitted four ways. Take the simplest whose rms is as good; '
        "general only if residuals slope.</div>"
    )


class ExposureTable(W.VBox):
    """One line per exposure; the chosen one's verdict below.

    Parameters
    ----------
    choose : callable
        Root name -> None.
    """

    def __init__(self, choose: Callable[[str], Any]) -> None:
        self._choose = choose
        self._quiet = False
        head = W.HTML(f'<div class="dwb-list-head">{escape(_line([name for name, _, _ in _COLUMNS]))}</div>')
        self.list = W.Select(options=[], rows=4, layout=W.Layout(width="100%", height="auto"))
        self.list.add_class("dwb-list")
        self.list.observe(lambda change: self._chosen(change["new"]), "value")
        self.verdict = W.HTML()
        self.geometries = W.HTML()
        table = W.VBox([head, self.list], layout=W.Layout(overflow="auto hidden", width="100%"))
        self.verdict.layout = W.Layout(flex="1 1 380px", min_width="0")
        self.geometries.layout = W.Layout(flex="0 1 auto", min_width="0")
        below = W.HBox(
            [self.verdict, self.geometries],
            layout=W.Layout(flex_flow="row wrap", width="100%", grid_gap="12px"),
        )
        super().__init__([table, below], layout=W.Layout(width="100%"))

    def show(self, rows: Sequence[tuple[str, str]], chosen: str, alignment: Any, scale_mas: float) -> None:
        """Show lines.

        Parameters
        ----------
        rows : sequence of (str, str)
            Text and root name.
        chosen : str
            Root name.
        alignment : Alignment or None
            Of the chosen one.
        scale_mas : float
        """
        self._quiet = True
        try:
            if tuple(rows) != tuple(self.list.options):
                self.list.options = tuple(rows)
                self.list.rows = min(max(len(rows), 2), _MOST_ROWS)
            value = chosen if any(name == chosen for _, name in rows) else None
            if self.list.value != value:
                self.list.value = value
        finally:
            self._quiet = False
        self.verdict.value = self._words(alignment) if alignment is not None else ""
        self.geometries.value = geometry_table(alignment, scale_mas) if alignment is not None else ""

    @staticmethod
    def _words(alignment: Alignment) -> str:
        verdict = alignment.verdict
        kind = {"good": "good", "fair": "good", "poor": "warning", "refused": "error"}.get(verdict.grade, "")
        told = [f"<b>{escape(alignment.rootname)}</b> {escape(verdict.text)}"]
        told += [f"• {escape(w[0].upper() + w[1:])}" for w in verdict.warnings if w]
        if math.isfinite(alignment.correlation):
            told.append(f"• Magnitudes of the pairs correlate with r = {alignment.correlation:.3f}.")
        return f'<div class="dwb-message {kind}">{"<br>".join(told)}</div>'

    def _chosen(self, name: str | None) -> None:
        if not self._quiet and name:
            self._choose(name)
