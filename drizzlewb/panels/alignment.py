"""Panel 2: sources, first offset, fit and verdict of every exposure; what is rejected, accepted, written."""

import math
from collections.abc import Mapping
from typing import Any

import ipywidgets as W

from drizzlewb.errors import DataError
from drizzlewb.exposure import Exposure
from drizzlewb.panels.alignment_form import AlignmentForm
from drizzlewb.panels.alignment_offsets import OffsetView
from drizzlewb.panels.alignment_peaks import PeakLimits
from drizzlewb.panels.alignment_residuals import ResidualPlots
from drizzlewb.panels.alignment_stars import StarView
from drizzlewb.panels.alignment_table import ExposureTable, row_text
from drizzlewb.panels.alignment_words import stale_words, summary_words
from drizzlewb.panels.base import Panel, beside
from drizzlewb.parameters import AlignParameters
from drizzlewb.session.state import Star
from drizzlewb.session.work import Handle, Worker
from drizzlewb.steps.solution import Alignment
from drizzlewb.steps.sources import Sources
from drizzlewb.views.residuals import Residuals, residuals_of
from drizzlewb.views.style import escape

__all__ = ["AlignmentPanel"]

VIEWS = ("Fit", "Stars", "Peaks")


class AlignmentPanel(Panel):
    """Sources over the image, offset histogram, residuals, verdicts; brush, accept, write, revert."""

    title = "Alignment"
    help = "Stars are found in every exposure and matched to those of a reference; each exposure is moved."
    steps = (("alignment", "sources"), ("alignment", "solution"))
    background = True
    """Whether images are rendered in a thread of their own; see `ImageView`."""

    def build(self) -> W.Widget:
        """Make the widgets."""
        self._residuals: tuple[Alignment | None, Residuals | None] = (None, None)
        self._confirming = False
        self._writer = Worker("drizzlewb-headers")
        self.form = AlignmentForm(self._set)
        self.refit = W.Checkbox(
            value=True, indent=False, description="fit again at once, where no star must be searched anew",
            layout=W.Layout(width="auto"),
        )  # fmt: skip
        self.run = self.action(
            "Find and align", self._align, "session.align()", primary=True, icon="crosshairs",
            tooltip="find the stars, match them to the reference, fit",
        )  # fmt: skip
        self.accept = self.action(
            "Accept", self.session.accept, "session.accept()", icon="check",
            tooltip="products use this alignment from now on; no file changes",
        )  # fmt: skip
        self.aside = self.action(
            "Set aside", self.session.unaccept, "session.unaccept()", icon="times",
            tooltip="products use the WCS that the files came with",
        )  # fmt: skip
        self.headers = self.action(
            "Write headers", self._write, "session.apply_alignment()", icon="save",
            tooltip="write the fitted WCS into the files; asks once more",
        )  # fmt: skip
        self.revert = self.action(
            "Revert", self._revert, "session.revert_alignment()", icon="undo",
            tooltip="take back what was written into the headers",
        )  # fmt: skip
        self.reject = self.action(
            "Reject selected", self._reject, "session.brush(session.selection.stars)", icon="ban",
            tooltip="leave the selected stars out of the alignment; undo brings them back",
        )  # fmt: skip
        self.take_back = self.action(
            "Take back", self._take_back, self._take_back_code, icon="reply",
            tooltip="take rejected stars back in: the selected ones, else all",
        )  # fmt: skip
        self.take_width = self.action(
            "conv_width", self._take_width, self._width_code, icon="arrow-left",
            tooltip="set conv_width to twice the measured FWHM of the stars",
        )  # fmt: skip
        self.use_guess = self.action(
            "Start from the guess", self._use_guess, self._guess_code,
            tooltip="all exposures start from xoffset, yoffset; the histogram is not asked",
        )  # fmt: skip
        self.guide = W.HTML()
        self.table = ExposureTable(lambda name: self.session.select(exposures=(name,)))
        self.offsets = OffsetView(self._guess, self.use_guess, self.background)
        self.residuals = ResidualPlots(
            lambda stars: self.session.select(stars=stars), [self.reject, self.take_back], self.offsets
        )
        self.stars = StarView(
            lambda stars: self.session.select(stars=stars), self.attempt, self.take_width, self.background
        )
        self.peaks = PeakLimits(self._set_peaks)
        self.view = W.ToggleButtons(
            options=VIEWS,
            tooltips=[
                "offset histogram, residual vectors and panels",
                "sources over the image; click a star",
                "histogram of peaks with limits to drag",
            ],
        )
        self.view.observe(lambda _: self._show_view(), "value")
        self.area = W.VBox()
        self._show_view()
        row = W.Layout(flex_flow="row wrap", grid_gap="6px", align_items="flex-start")
        buttons = W.HBox([self.run, self.accept, self.aside, self.headers, self.revert], layout=row)
        return W.VBox(
            [buttons, self.guide, self.table, beside([self.refit, self.form], [self.view, self.area])],
            layout=W.Layout(width="100%"),
        )

    # ---------------------------------------------------------------- what is looked at
    @property
    def members(self) -> tuple[Exposure, ...]:
        """Exposures of the alignment."""
        session = self.session
        names = session.state.alignment.members or tuple(e.rootname for e in session.exposures)
        return tuple(session.derived.exposure(name) for name in names)

    @property
    def solution(self) -> Any:
        """The fresh solution, else the last one, to look at; None if there was none."""
        return self.session.runs.last("alignment", "solution")

    @property
    def fresh(self) -> bool:
        """Whether the solution is that of the present parameters."""
        return self.session.solution is not None

    @property
    def chosen(self) -> str:
        """Root name of the exposure that is looked at: the selected one, else the first that is not the
        reference."""
        names = [e.rootname for e in self.members]
        for name in self.session.selection.exposures:
            if name in names:
                return name
        return names[min(1, len(names) - 1)] if names else ""

    def _alignment(self) -> Alignment | None:
        solution = self.solution
        if solution is None:
            return None
        return next((a for a in solution.alignments if a.rootname == self.chosen), None)

    def _sources(self, alignment: Alignment | None) -> Sources | None:
        return alignment.sources if alignment is not None else None

    def _show_view(self) -> None:
        shown: dict[str, W.Widget] = {
            "Fit": self.residuals,
            "Stars": self.stars,
            "Peaks": self.peaks,
        }
        self.area.children = (shown[self.view.value],)
        if self.view.value == "Stars" and hasattr(self, "area") and self.members:
            self._show_stars()

    # ---------------------------------------------------------------- from the session
    def update(self) -> None:
        """Show what the session holds."""
        session = self.session
        if not session.exposures:
            for action in self.actions:
                action.disable("load exposures first")
            self.guide.value = '<div class="dwb-soft">Load exposures first.</div>'
            return
        parameters = session.alignment_parameters
        self.form.show(parameters)
        solution = self.solution
        alignment = self._alignment()
        scale = solution.plane.scale_arcsec if solution is not None else math.nan
        by_name = {a.rootname: a for a in solution.alignments} if solution is not None else {}
        rows = [
            (row_text(e.rootname, e.filters, by_name.get(e.rootname), 1000 * scale), e.rootname)
            for e in self.members
        ]
        self.table.show(rows, self.chosen, alignment, 1000 * scale)
        self.offsets.show(alignment, scale, parameters)
        self._show_residuals(alignment, 1000 * scale)
        chips = session.derived.exposure(self.chosen).chips
        self.peaks.show(
            self._sources(alignment),
            chips[0].unit,
            (parameters.imagefind.peakmin, parameters.imagefind.peakmax),
        )
        if self.view.value == "Stars":
            self._show_stars()
        self._show_actions(alignment, parameters)
        self._show_guide()

    def _show_residuals(self, alignment: Alignment | None, scale_mas: float) -> None:
        if alignment is not self._residuals[0]:
            exposure = self.session.derived.exposure(self.chosen)
            found = residuals_of(alignment, exposure) if alignment is not None else None
            self._residuals = (alignment, found)
        if alignment is None:
            why = "Not aligned yet: choose the parameters at the left, then Find and align."
        elif alignment.status == "reference":
            why = "This is the reference: it stays, so it has no residuals. Choose another exposure above."
        else:
            why = "No fit: the verdict above says at which stage it failed and what to change."
        self.residuals.show(self._residuals[1], self.session.selection.stars, why, scale_mas)

    def _show_stars(self) -> None:
        alignment = self._alignment()
        state = self.session.state.alignment
        self.stars.show(
            self.session.derived.exposure(self.chosen),
            self._sources(alignment),
            alignment,
            state.rejected,
            self.session.selection.stars,
        )

    def _show_actions(self, alignment: Alignment | None, parameters: AlignParameters) -> None:
        session = self.session
        status = session.status_of("alignment", "solution")
        running = "it is running" if status.state == "running" else ""
        self.run.disable(running)
        plan, fresh = session.state.alignment, session.solution
        if fresh is None:
            why = running or ("align again first" if self.solution is not None else "align first")
        elif plan.accepted is not None and plan.accepted.key == status.key:
            why = "it is accepted"
        elif all(a.fit is None for a in fresh.alignments):
            why = "no exposure could be aligned"
        else:
            why = ""
        self.accept.disable(why)
        self.aside.disable("" if plan.accepted is not None else "none is accepted")
        self.headers.disable("" if fresh is not None else why)
        if fresh is None:
            self._ask(False)
        stars = [s for s in session.selection.stars if s not in plan.rejected]
        self.reject.disable("" if stars else "brush over a figure, or click a star")
        self.reject.button.description = f"Reject {len(stars)}" if stars else "Reject selected"
        back = self._back()
        self.take_back.disable("" if plan.rejected else "none is rejected")
        self.take_back.button.description = f"Take back {len(back)}" if back else "Take back"
        width = alignment.sources.advised_conv_width if alignment is not None else math.nan
        known = math.isfinite(width)
        self.take_width.button.description = f"conv_width = {width:g}" if known else "conv_width"
        self.take_width.disable("" if known else "no star width is measured yet")
        self.use_guess.button.description = (
            "Start from the guess" if parameters.use2dhist else "Use the histogram again"
        )
        guessed = bool(parameters.xoffset or parameters.yoffset) or not parameters.use2dhist
        self.use_guess.disable("" if guessed else "no guess is set: click the histogram")

    def _show_guide(self) -> None:
        session = self.session
        status = session.status_of("alignment", "solution")
        kind, told = "", ""
        fresh = session.solution
        if fresh is not None:
            kind, told = summary_words(fresh.alignments, session.state.alignment, status.key)
        elif failed := [s for s in session.status if s.where == "alignment" and s.state == "failed"]:
            kind, told = "error", failed[0].message
        elif status.state == "running":
            told = "Working: progress stands below the panels."
        elif status.state == "empty":
            told = (
                "Next: choose a threshold that leaves 100 to 1000 good stars on a chip, then Find and align. "
                "Nothing is written to your files."
            )
        elif self.solution is not None:
            kind, told = stale_words(self.solution, session.state.alignment, session.derived.members())
        else:
            kind, told = "warning", "Parameters, stars or files have changed: align again."
        self.guide.value = f'<div class="dwb-message {kind}">{escape(told)}</div>'

    # ---------------------------------------------------------------- from the user
    def _set(self, keywords: Mapping[str, Any], live: bool = False) -> None:
        self.session.set(None, dict(keywords), live=live)
        self._fit_again()

    def _fit_again(self) -> None:
        """Match and fit anew, if that is wanted and no star must be searched."""
        session = self.session
        states = {s.step: s.state for s in session.status if s.where == "alignment"}
        if self.refit.value and states.get("sources") == "done" and states.get("solution") != "done":
            self._align()

    def _align(self) -> Handle:
        # An alignment of parameters that are no longer set would be made in vain.
        for handle in self.session.runs.handles:
            if handle.kind == "align":
                handle.cancel()
        return self.session.align()

    def _set_peaks(self, low: float | None, high: float | None, live: bool) -> None:
        keywords = {**self.form.keywords("peakmin", low), **self.form.keywords("peakmax", high)}
        self.attempt(lambda: self._set(keywords, live), f"session.set(None, {keywords!r})")

    def _reject(self) -> None:
        self.session.brush(self.session.selection.stars)
        self._rejected_changed()

    def _back(self) -> tuple[Star, ...]:
        """Rejected stars that 'take back' means: the selected ones, else all."""
        rejected = self.session.state.alignment.rejected
        return tuple(s for s in self.session.selection.stars if s in rejected) or rejected

    def _take_back_code(self) -> str:
        back, rejected = self._back(), self.session.state.alignment.rejected
        return "session.unbrush()" if back == rejected else "session.unbrush(session.selection.stars)"

    def _take_back(self) -> None:
        back = self._back()
        self.session.unbrush(None if back == self.session.state.alignment.rejected else back)
        self._rejected_changed()

    def _rejected_changed(self) -> None:
        self.session.select(stars=())
        self.residuals.clear_brushes()
        self._fit_again()

    def _width(self) -> dict[str, Any]:
        alignment = self._alignment()
        width = alignment.sources.advised_conv_width if alignment is not None else math.nan
        if not math.isfinite(width):
            msg = "No star width is measured yet: find and align first, with a threshold that finds stars."
            raise DataError(msg)
        return self.form.keywords("conv_width", width)

    def _width_code(self) -> str:
        try:
            return f"session.set(None, {self._width()!r})"
        except DataError:
            return ""

    def _take_width(self) -> None:
        self._set(self._width())

    def _guess(self, dx: float, dy: float) -> None:
        keywords = {"xoffset": dx, "yoffset": dy}
        self.attempt(lambda: self._set(keywords), f"session.set(None, {keywords!r})")

    def _guess_code(self) -> str:
        return f'session.set(None, {{"use2dhist": {not self.session.alignment_parameters.use2dhist}}})'

    def _use_guess(self) -> None:
        self._set({"use2dhist": not self.session.alignment_parameters.use2dhist})

    # ---------------------------------------------------------------- the user's files
    def _ask(self, on: bool) -> None:
        self._confirming = on
        self.headers.button.description = "Click again to write" if on else "Write headers"
        self.headers.button.button_style = "warning" if on else ""

    def _write(self) -> Handle | None:
        if not self._confirming:
            self._ask(True)
            number = sum(a.status != "refused" for a in self.session.solution.alignments)
            self.messages.say(
                f"This changes the headers of {number} of your files: the fitted WCS becomes the primary "
                "one, the old one is kept as an alternate. Click again to write; Revert takes it back.",
                "warning",
            )
            return None
        self._ask(False)
        return self._in_background(self.session.apply_alignment, "written")

    def _revert(self) -> Handle:
        self._ask(False)
        return self._in_background(self.session.revert_alignment, "reverted")

    def _in_background(self, run: Any, word: str) -> Handle:
        """Change files in a thread, so that the page does not stand still."""

        def work(_: Handle) -> Any:
            changes = self.attempt(run)
            if changes is not None:
                number = len({change.path for change in changes})
                self.messages.say(f"{number} file{'s' if number != 1 else ''} {word}.", "good")
            return changes

        self.messages.say("Working on your files …")
        return self._writer.submit(Handle("headers", "alignment", (), work))
