"""Pages of the exposures panel that write headers: the WCS history, and the distortion of reference files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as W
import numpy as np

from drizzlewb.errors import DrizzlewbError
from drizzlewb.panels.base import Panel
from drizzlewb.panels.confirm import Confirm
from drizzlewb.session import Session
from drizzlewb.session.work import Handle, Worker
from drizzlewb.views.style import escape
from drizzlewb.views.tables import help_line, html_table

__all__ = ["DistortionPage", "WCSPage"]


class WCSPage(W.VBox):
    """All WCS solutions in the file of an exposure; one is made the primary one, or a change taken back.

    Parameters
    ----------
    panel : Panel
    in_background : callable
        (run, code) -> None: does something long for the user.
    background : bool
        Read the file in a thread; False does it at once, for tests.
    """

    def __init__(
        self,
        panel: Panel,
        in_background: Callable[[Callable[[], Any], str], None],
        *,
        background: bool = True,
    ) -> None:
        self._panel, self._in_background = panel, in_background
        self._worker = Worker("drizzlewb-wcs", newest_wins=True) if background else None
        self._shown: Any = None
        self.rootname = ""
        self.solutions: list[Any] = []
        self.told = W.HTML()
        self.table = W.HTML()
        self.choice = W.Dropdown(description="Solution", layout=W.Layout(width="420px"))
        self.choice.observe(lambda _: self._disarm(), "value")
        self.everywhere = W.Checkbox(
            description="in all exposures of the product that hold a solution of this name",
            indent=False,
            layout=W.Layout(width="auto"),
        )
        self.everywhere.observe(lambda _: self._disarm(), "value")
        self.activate = Confirm(
            panel, "Activate", self._activate, self._activate_code, self._ask_activate,
            tooltip="make the chosen solution the primary WCS of the file; the present one is kept beside it",
        )  # fmt: skip
        self.revert = Confirm(
            panel, "Revert", self._revert, lambda: f"session.revert_wcs({self.rootname!r})", self._ask_revert,
            tooltip="take back the last change that drizzlewb made to the WCS in this file",
        )  # fmt: skip
        help_ = help_line(
            "Files from the archive carry several solutions: distortion only (IDC_…), a-priori, and fits to "
            "Gaia (FIT_…). All exposures of a stack should share one family. To see a misalignment as it was "
            "before Gaia, activate IDC_… in all of them; then align."
        )
        buttons = W.HBox([self.activate, self.revert], layout=W.Layout(grid_gap="8px"))
        super().__init__(
            [self.told, self.table, self.choice, self.everywhere, buttons, help_],
            layout=W.Layout(width="100%"),
        )

    @property
    def session(self) -> Session:
        """The panel's session."""
        return self._panel.session

    def show(self, rootname: str) -> None:
        """Show an exposure; '' for none."""
        known = {e.rootname: e for e in self.session.exposures}
        if rootname not in known:
            self.rootname, self._shown = "", None
            self.told.value = '<span class="dwb-soft">Load exposures first.</span>'
            self._enable()
            return
        key = (rootname, known[rootname].files)
        if key == self._shown:
            return
        self._shown, self.rootname = key, rootname
        self._disarm()
        if self._worker is None:
            self._load(rootname)
        else:
            self._worker.submit(Handle("look", "wcs", (), lambda _: self._load(rootname)))

    def _load(self, rootname: str) -> None:
        try:
            found = self.session.wcs_history(rootname)
        except (DrizzlewbError, OSError) as error:
            self.told.value = f'<span class="dwb-why">{escape(error)}</span>'
            found = []
        else:
            number = len(found)
            self.told.value = (
                f"<span>{escape(Path(self.session.derived.exposure(rootname).path).name)} holds {number} "
                f"solution{'s' if number != 1 else ''}.</span>"
            )
        self.solutions = found
        self.table.value = html_table(
            (
                "name (● active)", "place", "rms RA (mas)>", "rms Dec (mas)>", "matches>",
                "offset east (mas)>", "north (mas)>", "kind", "catalog",
            ),
            [
                (
                    f"{'● ' if s.active else ''}{s.name or '(no name)'}", s.place, _number(s.rms_ra_mas),
                    _number(s.rms_dec_mas), s.nmatch or "–", _number(s.offset_mas[0]),
                    _number(s.offset_mas[1]), s.kind, s.catalog,
                )
                for s in found
            ],
        )  # fmt: skip
        options = [(f"{s.name or '(no name)'} ({s.place})", s.place) for s in found if not s.active]
        self.choice.options = options
        self.choice.value = options[0][1] if options else None
        self._enable()

    def _enable(self) -> None:
        none = "load exposures first" if not self.rootname else ""
        self.activate.disable(none or ("" if self.choice.options else "the file holds no other solution"))
        self.revert.disable(none)

    def _disarm(self) -> None:
        self.activate.disarm()
        self.revert.disarm()

    # ---------------------------------------------------------------- what the buttons do
    def _chosen(self) -> Any:
        return next(s for s in self.solutions if s.place == self.choice.value)

    def _targets(self) -> list[str]:
        product = self._panel.product
        if not self.everywhere.value or not product:
            return [self.rootname]
        return list(self.session.state.product(product).members)

    def _activate_code(self) -> str:
        if self.choice.value is None:
            return ""
        if self.everywhere.value:
            return f"for root in {self._targets()!r}: session.activate_wcs(root, {self._chosen().name!r})"
        return f"session.activate_wcs({self.rootname!r}, place={self.choice.value!r})"

    def _ask_activate(self) -> str:
        names = self._targets()
        files = names[0] if len(names) == 1 else f"{len(names)} files"
        return (
            f"This writes the header of {files}: {self._chosen().name or self.choice.value} becomes the "
            "primary WCS, the present one is kept as an alternate, and Revert takes it back. Click again to "
            "do it."
        )

    def _activate(self) -> None:
        place, name, names, session = self.choice.value, self._chosen().name, self._targets(), self.session
        self._in_background(
            lambda: [
                session.activate_wcs(root, name)
                if len(names) > 1
                else session.activate_wcs(root, place=place)
                for root in names
            ],
            self._activate_code(),
        )

    def _ask_revert(self) -> str:
        return (
            f"This writes the header of {self.rootname}: the last change that drizzlewb made to its WCS is "
            "taken back. Click again to do it."
        )

    def _revert(self) -> None:
        root, session = self.rootname, self.session
        self._in_background(lambda: session.revert_wcs(root), self.revert.code)


class DistortionPage(W.VBox):
    """Distortion from reference files into the headers of the ticked exposures.

    Parameters
    ----------
    panel : Panel
    in_background : callable
        As for `WCSPage`.
    ticked : callable
        Root names that are meant.
    """

    def __init__(
        self,
        panel: Panel,
        in_background: Callable[[Callable[[], Any], str], None],
        ticked: Callable[[], Sequence[str]],
    ) -> None:
        self._panel, self._in_background, self._ticked = panel, in_background, ticked
        self.folder = W.Text(
            description="Folder",
            placeholder="folder with the reference files, e.g. jref",
            layout=W.Layout(width="520px"),
        )
        self.replace = W.Checkbox(
            description="replace also solutions that were fitted (to Gaia, or here)",
            indent=False,
            layout=W.Layout(width="auto"),
        )
        for widget in (self.folder, self.replace):
            widget.observe(lambda _: self._disarm(), "value")
        self.look = panel.action(
            "What would change",
            self._look,
            lambda: f"session.distortion_outlook({self._folder()!r}, {list(self._ticked())!r})",
        )
        self.renew = Confirm(
            panel, "Update distortion", self._update, self._code, self._ask,
            tooltip="make the WCS anew from IDCTAB, NPOLFILE and D2IMFILE (stwcs updatewcs)",
        )  # fmt: skip
        self.table = W.HTML()
        help_ = help_line(
            "Files from the archive come with their distortion. Do this only if files have different "
            "IDCTABs, or none. It needs the reference files that the headers name, from hst-crds.stsci.edu. "
            "A solution fitted to Gaia is left alone unless you say otherwise: it is usually the better one."
        )
        buttons = W.HBox([self.look, self.renew], layout=W.Layout(grid_gap="8px"))
        super().__init__(
            [self.folder, self.replace, buttons, self.table, help_], layout=W.Layout(width="100%")
        )

    def show(self) -> None:
        """Bring the buttons up to date."""
        none = "" if self._ticked() else "tick the exposures that are meant"
        self.look.disable(none)
        self.renew.disable(none)

    def _disarm(self) -> None:
        self.renew.disarm()

    def _folder(self) -> str:
        return self.folder.value.strip()

    def _code(self) -> str:
        more = ", replace_fit=True" if self.replace.value else ""
        return f"session.update_distortion({self._folder()!r}, {list(self._ticked())!r}{more})"

    def _look(self) -> list[Any]:
        plans = self._panel.session.distortion_outlook(Path(self._folder()).expanduser(), self._ticked())
        kept = [p.fitted and not self.replace.value for p in plans]
        self.table.value = html_table(
            ("file", "WCS now", "WCS then", "reference files missing", "what happens"),
            [
                (
                    Path(p.path).name,
                    p.before,
                    p.before if stays else p.after,
                    ", ".join(p.missing) or "none",
                    "a fit: it stays" if stays else "made anew",
                )
                for p, stays in zip(plans, kept, strict=True)
            ],
        )
        return plans

    def _ask(self) -> str:
        plans = self._look()
        kept = sum(p.fitted and not self.replace.value for p in plans)
        return (
            f"This writes the headers of {len(plans) - kept} files ({kept} with a fitted solution are left "
            "alone); the earlier solution is kept, and Revert takes it back. Click again to do it."
        )

    def _update(self) -> None:
        session, names, folder = self._panel.session, list(self._ticked()), Path(self._folder()).expanduser()
        replace_fit = bool(self.replace.value)
        self._in_background(
            lambda: session.update_distortion(folder, names, replace_fit=replace_fit), self._code()
        )


def _number(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "–"
