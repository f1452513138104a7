"""Page of the exposures panel: regions to and from DS9."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as W

from drizzlewb.errors import DataError
from drizzlewb.panels.base import Panel
from drizzlewb.products import samp
from drizzlewb.session.regions import KINDS, region_lines
from drizzlewb.views.style import escape
from drizzlewb.views.tables import help_line

__all__ = ["RegionsPage"]

_SPOKEN = {
    "footprints": "footprints",
    "grid": "output image",
    "sources": "sources",
    "masks": "masks drawn by hand",
}


class RegionsPage(W.VBox):
    """Write region files, read masks from them, send them to a running DS9.

    Parameters
    ----------
    panel : Panel
    looked_at : callable
        Root name of the exposure that masks are read for.
    """

    def __init__(self, panel: Panel, looked_at: Callable[[], str]) -> None:
        self._panel, self._looked_at = panel, looked_at
        self.kinds = {
            kind: W.Checkbox(
                value=True, description=_SPOKEN[kind], indent=False, layout=W.Layout(width="auto")
            )
            for kind in KINDS
        }
        for box in self.kinds.values():
            box.observe(lambda _: self.show(), "value")
        self.path = W.Text(value="regions.reg", description="File", layout=W.Layout(width="360px"))
        self.replace = W.Checkbox(description="may replace it", indent=False, layout=W.Layout(width="auto"))
        self.write = panel.action(
            "Write regions", self._write, lambda: f"session.write_regions({self._arguments()})",
            tooltip="a DS9 region file on the sky (ICRS)",
        )  # fmt: skip
        self.read = panel.action(
            "Read masks", self._read,
            lambda: f"session.read_masks({self._looked_at()!r}, {self.path.value!r})",
            tooltip="circles, ellipses, boxes and polygons become masks (DQ 16384) of the exposure looked at",
        )  # fmt: skip
        self.send = panel.action("Send to DS9", self._send, "send_to_ds9(regions=path)")
        self.send.layout.display = "none"
        self.look_again = W.Button(
            description="Look for DS9", layout=W.Layout(width="130px"),
            tooltip="look for a SAMP hub, which DS9 starts",
        )  # fmt: skip
        self.look_again.on_click(lambda _: self.look_for_hub())
        self.told = W.HTML()
        help_ = help_line(
            "In DS9 draw over a satellite trail or a ghost, save as fk5, and read the file here: its areas "
            "are masked in the exposure looked at. Undo takes them back."
        )
        wrap = W.Layout(flex_flow="row wrap", grid_gap="12px")
        super().__init__(
            [
                W.HBox(list(self.kinds.values()), layout=wrap),
                W.HBox([self.path, self.replace], layout=wrap),
                W.HBox([self.write, self.read, self.send, self.look_again], layout=wrap),
                self.told,
                help_,
            ],
            layout=W.Layout(width="100%"),
        )
        self.looking = self.look_for_hub()

    def show(self) -> None:
        """Bring the page up to date."""
        session = self._panel.session
        number = sum(m.exposure == self._looked_at() for m in session.state.masks)
        if self._looked_at():
            self.told.value = (
                f'<span class="dwb-soft">{escape(self._looked_at())} has {number} masks drawn by hand.</span>'
            )
        none = "" if session.exposures else "load exposures first"
        self.write.disable(none or ("" if self._chosen() else "choose what is written"))
        self.read.disable(none)

    def look_for_hub(self) -> Any:
        """Look for a SAMP hub in a thread; *Send to DS9* appears if there is one."""

        def tell(found: bool) -> None:
            self.send.layout.display = "" if found else "none"

        return samp.when_hub_runs(tell)

    def _chosen(self) -> tuple[str, ...]:
        return tuple(kind for kind, box in self.kinds.items() if box.value)

    def _arguments(self) -> str:
        return f"{self.path.value!r}, {self._panel.product_code()}, kinds={self._chosen()!r}"

    def _path(self) -> Path:
        text = self.path.value.strip()
        if not text:
            msg = "Type the name of the region file first."
            raise DataError(msg)
        return Path(text).expanduser()

    def _write(self) -> None:
        path = self._panel.session.write_regions(
            self._path(), self._panel.product, kinds=self._chosen(),
            replace=bool(self.replace.value),
        )  # fmt: skip
        number = len(region_lines(self._panel.session, self._panel.product, self._chosen()))
        self._panel.messages.say(f"{path} holds {number} regions.", "good")

    def _read(self) -> None:
        masks = self._panel.session.read_masks(self._looked_at(), self._path())
        number = f"{len(masks)} mask{'s' if len(masks) != 1 else ''}"
        self._panel.messages.say(f"{number} drawn on {self._looked_at()}.", "good")

    def _send(self) -> None:
        told = samp.send_to_ds9(regions=self._path())
        self._panel.messages.say(f"Sent to {', '.join(told)}.", "good")
