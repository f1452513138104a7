"""Panel 7: frames beside and over each other, before any alignment too."""

from typing import Any

import ipywidgets as W

from drizzlewb.errors import DataError
from drizzlewb.panels.base import Panel
from drizzlewb.views.compare import MOST_FRAMES, CompareView
from drizzlewb.views.items import file_items, names_of, session_items

__all__ = ["ComparePanel"]

_WCS = (
    ("as the files came", "original"),
    ("with the alignment of now", "solution"),
    ("as accepted", "accepted"),
)


class ComparePanel(Panel):
    """Two to twelve exposures, products, previews and files: tiled, blinked, faded, swiped, in colours.

    Attributes
    ----------
    chosen : SelectMultiple
        Names, as `drizzlewb.views.items.session_items` takes them.
    wcs : ToggleButtons
        WCS of the exposures.
    view : CompareView
    """

    title = "Compare"
    help = "What does not lie on itself, or is in one frame only, shows when frames are laid over each other."

    def build(self) -> W.Widget:
        """Make the widgets."""
        self._files: list[str] = []
        self._shown: tuple[Any, ...] = ()
        self._quiet = False
        self.chosen = W.SelectMultiple(
            rows=14,
            layout=W.Layout(width="auto"),
            tooltip="hold Ctrl or Shift to choose several",
        )
        self.wcs = W.RadioButtons(
            options=_WCS,
            value="original",
            layout=W.Layout(width="auto"),
            tooltip="WCS by which the exposures are laid onto each other",
        )
        self.wcs_why = W.HTML()
        self.wcs_why.add_class("dwb-help")
        self.path = W.Text(
            placeholder="path of a FITS file", layout=W.Layout(flex="1 1 100px", min_width="0")
        )
        self.add = W.Button(
            description="Add", tooltip="add this file to the list", layout=W.Layout(width="60px")
        )
        self.add.on_click(lambda _: self.attempt(self._add))
        self.show = self.action(
            "Compare", self._show, self._code, primary=True, tooltip="show the chosen frames"
        )
        self.chosen.observe(lambda _: self._choice_changed(), "value")
        self.wcs.observe(lambda _: self._choice_changed(), "value")
        self.view = CompareView(size_px=600)
        self._empty = W.HTML(
            '<span class="dwb-soft">Choose two to twelve frames, then press <b>Compare</b>.</span>'
        )
        self.view.layout.display = "none"
        left = W.VBox(
            [
                W.HTML("<b>Frames</b>"),
                self.chosen,
                W.HBox([self.path, self.add]),
                W.HTML("<b>WCS of the exposures</b>"),
                self.wcs,
                self.wcs_why,
                self.show,
            ],
            layout=W.Layout(flex="0 0 250px", min_width="0"),
        )
        right = W.VBox([self._empty, self.view], layout=W.Layout(flex="1 1 560px", min_width="0"))
        return W.HBox([left, right], layout=W.Layout(flex_flow="row wrap", width="100%", grid_gap="16px"))

    def update(self) -> None:
        """Offer what the session has."""
        session = self.session
        kept = self.chosen.value
        names = [*names_of(session), *self._files]
        labels = {e.rootname: f"{e.rootname}  {e.filters}  {e.exptime:.0f} s" for e in session.exposures}
        options = tuple((labels.get(n, n.rsplit("/", 1)[-1] if n in self._files else n), n) for n in names)
        if options != self.chosen.options:
            self._quiet = True
            self.chosen.options = options
            self.chosen.value = tuple(n for n in kept if n in names)
            self._quiet = False
        accepted = session.state.alignment.accepted is not None
        told = {
            "solution": ""
            if session.solution is not None
            else "There is no alignment yet for these parameters.",
            "accepted": "" if accepted else "No alignment was accepted yet: this is as the files came.",
        }
        self.wcs_why.value = told.get(self.wcs.value, "")
        self._enable()
        # What was made again is shown again; another choice waits for the button.
        if (
            self._shown
            and self._shown[0] == (self.chosen.value, self.wcs.value)
            and self._stamp() != self._shown[1]
        ):
            self._show(keep_view=True)

    def _choice_changed(self) -> None:
        if not self._quiet:
            self.update()

    def _enable(self) -> None:
        number = len(self.chosen.value)
        few = "" if number >= 2 else "choose two frames or more in the list"
        many = f"choose {MOST_FRAMES} frames at most" if number > MOST_FRAMES else ""
        none = self.wcs_why.value if self.wcs.value == "solution" else ""
        self.show.disable(few or many or none)

    def _stamp(self) -> tuple[Any, ...]:
        """What the shown frames were made of: other objects mean other pixels or another WCS."""
        session = self.session
        solution = session.solution if self.wcs.value == "solution" else None
        accepted = session.state.alignment.accepted if self.wcs.value == "accepted" else None
        made = []
        for name in self.chosen.value:
            kind, _, product = name.partition(" ")
            if kind == "preview" and product in session.shown:
                made.append(id(session.shown[product].cutout))
            elif kind in ("product", "weight") and product in session.state.names:
                made.append(id(session.result(product)))
        return id(solution) if solution is not None else 0, accepted, tuple(made)

    def _show(self, *, keep_view: bool = False) -> None:
        names, wcs = self.chosen.value, self.wcs.value
        self._shown = ((names, wcs), self._stamp())
        items = session_items(self.session, names, wcs)
        # The same frames with another WCS stay where they are, so that the eye sees what moves.
        same = [i.name for i in items] == [i.name for i in self.view.items]
        self.view.show(items, keep_view=keep_view or same)
        self._empty.layout.display = "none"
        self.view.layout.display = ""

    def _code(self) -> str:
        return (
            "from drizzlewb.views.compare import compare; "
            f"compare(session, {list(self.chosen.value)!r}, {self.wcs.value!r}, match={self.view.match!r}, "
            f"mode={self.view.mode!r})"
        )

    def _add(self) -> None:
        path = self.path.value.strip()
        if not path:
            msg = "Adding a file to the comparison: give its path first."
            raise DataError(msg)
        file_items(path)  # raises where it cannot be shown
        if path not in self._files:
            self._files.append(path)
        self.path.value = ""
        self.update()
        self.chosen.value = (*self.chosen.value, path)

    def close(self) -> None:
        """Stop."""
        self.view.close()
        super().close()
