"""The form of the alignment: image and reference finding linked until they are unlinked."""

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as W

from drizzlewb.panels.form import Form
from drizzlewb.parameters import AlignParameters
from drizzlewb.parameters.declare import declared

__all__ = ["AlignmentForm"]

FIRST = (
    "threshold", "conv_width", "peakmin", "peakmax", "searchrad", "fitgeometry", "nclip", "sigma",
    "refimage", "minobj",
)  # fmt: skip

_FOLDS = {
    "Finding sources": ("imagefind",),
    "Finding sources in the reference image": ("refimagefind",),
    "Matching": ("matching",),
    "Fit": ("fitting",),
    "Order and files": ("general",),
    "Catalogs": ("coordinates", "reference"),
    "Headers and shift file": ("header", "headerlets", "shifts"),
    "More of drizzlewb": ("extra",),
}
_REFERENCE = "refimagefind"


def folds() -> dict[str, list[str]]:
    """All parameters that do something here and are not among the first: title of the fold to names."""
    found: dict[str, list[str]] = {}
    for title, sections in _FOLDS.items():
        names = []
        for section in sections:
            model: Any = AlignParameters.model_fields[section].annotation
            for name, parameter in declared(model).items():
                if parameter.status == "ignored" or (name in FIRST and section != _REFERENCE):
                    continue
                names.append(f"{_REFERENCE}.{name}" if section == _REFERENCE else name)
        found[title] = names
    return found


class AlignmentForm(W.VBox):
    """TweakReg's parameters.

    Parameters
    ----------
    send : callable
        (keywords, live) -> None: keywords as `Session.set` takes them.

    Attributes
    ----------
    linked : ToggleButton
        While it is on, the reference image is searched with the same parameters.
    """

    def __init__(self, send: Callable[[Mapping[str, Any], bool], None]) -> None:
        self._deliver = send
        self._parameters = AlignParameters()
        self._quiet = False
        self.form = Form(
            AlignParameters,
            FIRST,
            folds(),
            send=lambda name, value, live: send(self.keywords(name, value), live),
        )
        self.linked = W.ToggleButton(
            value=True,
            icon="link",
            description="reference linked",
            tooltip="source finding: the reference image is searched with the same parameters",
            layout=W.Layout(width="170px"),
        )
        for fold in self.form.children:
            if isinstance(fold, W.Accordion):
                fold.observe(lambda _: self._show_link(), "selected_index")
        self._told = W.HTML()
        self._told.add_class("dwb-help")
        self.linked.observe(lambda change: self._link(change["new"]), "value")
        row = W.HBox([self.linked, self._told], layout=W.Layout(align_items="center"))
        super().__init__([row, self.form])
        self._show_link()

    def __getitem__(self, name: str) -> Any:
        """Field of a parameter."""
        field = self.form[name]
        self._show_link()
        return field

    def keywords(self, name: str, value: Any) -> dict[str, Any]:
        """A parameter as `Session.set` takes it: in both sections of source finding while they are linked."""
        if "." in name:
            return {name: value}
        finding = len(AlignParameters.places()[name]) > 1
        prefix = "imagefind" if finding and not self.linked.value else "tweakreg"
        return {f"{prefix}.{name}": value}

    def show(self, parameters: AlignParameters) -> None:
        """Show values; sections that differ cannot be linked."""
        self._parameters = parameters
        self.form.show(parameters)
        if self.linked.value and self._differences():
            self._quiet = True
            try:
                self.linked.value = False
            finally:
                self._quiet = False
        self._show_link()

    def _differences(self) -> dict[str, Any]:
        """What would have to change in the reference's section to make both equal."""
        mine, theirs = (s.model_dump() for s in (self._parameters.imagefind, self._parameters.refimagefind))
        return {f"{_REFERENCE}.{name}": mine[name] for name in mine if mine[name] != theirs[name]}

    def _link(self, on: bool) -> None:
        if on and not self._quiet and (changes := self._differences()):
            self._deliver(changes, False)
        self._show_link()

    def _show_link(self) -> None:
        on = bool(self.linked.value)
        self.linked.icon = "link" if on else "unlink"
        self.linked.description = "reference linked" if on else "reference apart"
        self._told.value = (
            "Both are searched alike."
            if on
            else "The reference has its own parameters (below); they count if refimage names it."
        )
        for name, field in self.form.made.items():
            if name.startswith(_REFERENCE):
                field.control.disabled = on
