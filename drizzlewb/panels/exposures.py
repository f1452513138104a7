"""Exposures: what is loaded, where it lies on the sky, and how it is grouped into products."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as W

from drizzlewb.panels.base import Panel
from drizzlewb.panels.exposure_chips import ChipPage, DitherPage
from drizzlewb.panels.exposure_regions import RegionsPage
from drizzlewb.panels.exposure_table import ExposureTable
from drizzlewb.panels.exposure_wcs import DistortionPage, WCSPage
from drizzlewb.panels.starting_parameters import StartingParameters
from drizzlewb.session import Session
from drizzlewb.session.work import Handle, Worker
from drizzlewb.views.skyview import SkyView
from drizzlewb.views.style import escape

__all__ = ["ExposuresPanel"]

PAGES = ("Chip and DQ", "Sky", "Dithers", "WCS history", "Distortion", "Starting parameters", "Regions")


class ExposuresPanel(Panel):
    """The exposures of the session.

    Parameters
    ----------
    session : Session
    background : bool
        Load, read and draw in threads; False does it at once, for tests.
    aladin : bool
        Whether the sky page tries Aladin Lite.
    """

    title = "Exposures"
    help = "What is loaded, where it lies on the sky, and how it is grouped into products."
    watched = ("state", "status", "selection")

    def __init__(self, session: Session, *, background: bool = True, aladin: bool = True) -> None:
        self._background, self._aladin = background, aladin
        self._worker = Worker("drizzlewb-files") if background else None
        self._settling = False
        self.looked_at = ""
        self._members_of: tuple[str, tuple[str, ...]] | None = None
        self.pages: dict[str, W.Widget] = {}
        super().__init__(session)

    # ---------------------------------------------------------------- widgets
    def build(self) -> W.Widget:
        """Make the widgets."""
        self.path = W.Text(
            placeholder="file, glob such as data/*_flc.fits, or @list",
            layout=W.Layout(width="440px"),
            tooltip=f"paths count from {os.getcwd()}",
        )
        self.load = self.action(
            "Load",
            self._load,
            lambda: f"session.load({self.path.value.strip()!r})",
            primary=True,
            tooltip="read the headers of more exposures; the files are not changed",
        )
        self.busy_note = W.HTML()
        self.warnings_view = W.HTML()
        self.equalise = self.action(
            "Equalise PHOTFLAM",
            lambda: self.session.set(self.product, equalise=not self._equalised),
            lambda: f"session.set({self.product_code()}, equalise={not self._equalised})",
            tooltip="scale every chip of the selected product to the PHOTFLAM of its first, in memory",
        )
        self.table = ExposureTable(self.look, self._ticked)
        self.training = self._training_row()
        products = self._products_row()
        self.page_choice = W.ToggleButtons(options=PAGES, style={"button_width": "auto"})
        self.page_choice.observe(lambda _: self._turn_page(), "value")
        self.area = W.VBox(layout=W.Layout(width="100%"))
        self.lower = W.VBox([self.page_choice, self.area], layout=W.Layout(width="100%", grid_gap="8px"))
        first = W.HBox(
            [self.path, self.load, self.busy_note],
            layout=W.Layout(flex_flow="row wrap", grid_gap="8px", align_items="center"),
        )
        return W.VBox(
            [first, self.training, self.warnings_view, self.equalise, self.table, products, self.lower],
            layout=W.Layout(width="100%", grid_gap="6px"),
        )

    def _training_row(self) -> W.HBox:
        self.size = W.Dropdown(
            options=[("tiny (seconds)", "tiny"), ("small (a minute)", "small")],
            layout=W.Layout(width="150px"),
            tooltip="size of the simulated chips",
        )
        self.folder = W.Text(
            value="training", layout=W.Layout(width="200px"), tooltip="folder that the files are copied to"
        )
        self.make_training = self.action("Training set", self._train, self._training_code)
        return W.HBox(
            [
                W.HTML(
                    '<span class="dwb-soft">No files at hand? Twelve simulated exposures with known truth, '
                    "copied to the folder:</span>"
                ),
                self.folder,
                self.size,
                self.make_training,
            ],
            layout=W.Layout(flex_flow="row wrap", grid_gap="8px", align_items="center"),
        )

    def _products_row(self) -> W.HBox:
        self.members = self.action(
            "Set as members",
            lambda: self.session.set_members(
                self.product, self.table.ticked, mixed=self._mixed(self.product)
            ),
            lambda: f"session.set_members({self.product_code()}, {self.table.ticked!r}{self._mixed_code()})",
            tooltip="make the product of the ticked exposures",
        )
        self.name = W.Text(placeholder="name", layout=W.Layout(width="140px"), continuous_update=True)
        self.name.observe(lambda _: self._enable(), "value")
        self.mixed = W.Checkbox(
            description="mixed filters or detectors are meant", indent=False, layout=W.Layout(width="auto")
        )
        self.add = self.action(
            "New product",
            self._add,
            lambda: f"session.add_product({self._name!r}, {self.table.ticked!r}{self._mixed_code()})",
            tooltip="a product of the ticked exposures, under the name on the left",
        )
        self.rename = self.action(
            "Rename",
            lambda: self.session.rename_product(self.product, self._name),
            lambda: f"session.rename_product({self.product_code()}, {self._name!r})",
            tooltip="give the selected product the name on the left",
        )
        self.remove = self.action(
            "Remove product",
            lambda: self.session.remove_product(self.product),
            lambda: f"session.remove_product({self.product_code()})",
            tooltip="remove the selected product; the exposures stay, and Undo brings it back",
        )
        self.product_told = W.HTML()
        self.product_choice = W.Dropdown(
            description="Product",
            layout=W.Layout(width="230px"),
            tooltip="the product that is changed and shown",
        )
        self.product_choice.observe(lambda change: self._choose(change["new"]), "value")
        return W.HBox(
            [
                self.product_choice,
                self.product_told,
                self.members,
                self.name,
                self.add,
                self.rename,
                self.remove,
                self.mixed,
            ],
            layout=W.Layout(flex_flow="row wrap", grid_gap="8px", align_items="flex-start"),
        )

    def _page(self, title: str) -> W.Widget:
        """Page of that title, made when it is first looked at."""
        if title not in self.pages:
            background = self._background
            make: dict[str, Callable[[], W.Widget]] = {
                "Chip and DQ": lambda: ChipPage(self.session, background=background),
                "Sky": lambda: SkyView(
                    self.session,
                    aladin=self._aladin,
                    background=background,
                    on_error=lambda text: self.messages.say(text, "error"),
                ),
                "Dithers": lambda: DitherPage(self.session),
                "WCS history": lambda: WCSPage(self, self.in_background, background=background),
                "Distortion": lambda: DistortionPage(self, self.in_background, lambda: self.table.ticked),
                "Starting parameters": lambda: StartingParameters(self),
                "Regions": lambda: RegionsPage(self, lambda: self.looked_at),
            }
            self.pages[title] = make[title]()
            self.area.children = (*self.area.children, self.pages[title])
        return self.pages[title]

    def _turn_page(self) -> None:
        self.attempt(self._show_page)

    def _show_page(self) -> None:
        title = str(self.page_choice.value)
        page = self._page(title)
        for name, other in self.pages.items():
            other.layout.display = "" if name == title else "none"
        if isinstance(page, ChipPage):
            known = [e.rootname for e in self.session.exposures]
            page.show(self.session.derived.drawn(self.looked_at) if self.looked_at in known else None)
        elif isinstance(page, DitherPage):
            page.show(self.product)
        elif isinstance(page, WCSPage):
            page.show(self.looked_at)
        elif isinstance(page, (DistortionPage, StartingParameters, RegionsPage)):
            page.show()

    # ---------------------------------------------------------------- what the session says
    def update(self) -> None:
        """Show what the session holds."""
        session = self.session
        exposures = session.exposures
        names = [e.rootname for e in exposures]
        if self.looked_at not in names:
            self.looked_at = names[0] if names else ""
        products: dict[str, list[str]] = {}
        for plan in session.state.products:
            for member in plan.members:
                products.setdefault(member, []).append(plan.name)
        self.table.show(exposures, products, self.looked_at)
        self.table.layout.display = self.lower.layout.display = "" if names else "none"
        self.training.layout.display = "none" if names else ""
        self._show_warnings()
        product = self.product
        self._settling = True  # new options choose the first one for a moment
        try:
            if list(self.product_choice.options) != list(session.state.names):
                self.product_choice.options = session.state.names
            self.product_choice.value = product or None
        finally:
            self._settling = False
        current = (product, session.state.product(product).members) if product else None
        if current != self._members_of:
            self._members_of = current
            if current is not None:
                self.table.tick(current[1])
                self.mixed.value = session.state.product(product).mixed
        self._enable()
        if names:
            self._show_page()

    def _show_warnings(self) -> None:
        texts = list(dict.fromkeys(w.text for w in self.session.warnings))
        shown = "".join(
            f'<div class="dwb-message warning"><b class="kind">Note</b>{escape(t)}</div>' for t in texts[:8]
        )
        more = f'<div class="dwb-soft">and {len(texts) - 8} more</div>' if len(texts) > 8 else ""
        self.warnings_view.value = shown + more
        product = self.product
        members = set(self.session.state.product(product).members) if product else set()
        unlike = any(
            w.code in ("photflam", "chips") and members & set(w.names) for w in self.session.warnings
        )
        self.equalise.layout.display = "" if self._equalised or unlike else "none"
        self.equalise.button.description = (
            f"Leave PHOTFLAM of {product} as it is" if self._equalised else f"Equalise PHOTFLAM of {product}"
        )

    @property
    def _equalised(self) -> bool:
        return bool(self.product) and bool(self.session.parameters(self.product).extra.equalise)

    def _enable(self) -> None:
        product, ticked = self.product, self.table.ticked
        members = list(self.session.state.product(product).members) if product else []
        number = len(ticked)
        self.product_told.value = (
            f"<span>{number} ticked, {len(members)} in the product</span>" if product else ""
        )
        none = "" if product else "load exposures first"
        nothing = "" if ticked else "tick at least one exposure"
        same = "the ticked ones are its members" if set(ticked) == set(members) else ""
        unnamed = "" if self._name else "type a name first"
        self.members.disable(none or nothing or same)
        self.add.disable(none or nothing or unnamed)
        self.rename.disable(none or unnamed)
        self.remove.disable(none)

    # ---------------------------------------------------------------- what the user does
    def look(self, rootname: str) -> None:
        """Look at an exposure, as a click on its name does."""
        self.looked_at = rootname
        self.attempt(self.update)

    def _choose(self, name: str | None) -> None:
        if not self._settling and name and name != self.product and name in self.session.state.names:
            self.attempt(lambda: self.session.select(product=name))

    def _ticked(self) -> None:
        self._enable()
        page = self.pages.get("Distortion")
        if isinstance(page, DistortionPage):
            page.show()

    @property
    def _name(self) -> str:
        return self.name.value.strip()

    def _mixed(self, product: str) -> bool:
        return bool(self.mixed.value) or (bool(product) and self.session.state.product(product).mixed)

    def _mixed_code(self) -> str:
        return ", mixed=True" if self.mixed.value else ""

    def _add(self) -> None:
        name = self._name
        self.session.add_product(name, self.table.ticked, mixed=bool(self.mixed.value))
        self.name.value = ""
        self.session.select(product=name)

    def _load(self) -> None:
        spec = self.path.value.strip()
        if not spec:
            self.messages.say("Type a file name, a glob such as data/*_flc.fits, or @list first.", "warning")
            return
        self.in_background(lambda: self.session.load(spec), self.load.code)

    def _training_code(self) -> str:
        return f"session.load(training_set({self.size.value!r}, folder={self.folder.value.strip()!r}))"

    def _train(self) -> None:
        size, folder = str(self.size.value), self.folder.value.strip()

        def make() -> None:
            from drizzlewb.training.datasets import training_set

            there = sorted(Path(folder).expanduser().glob("*_flc.fits")) if folder else []
            # Files that are there already may have been worked on: they are loaded as they are.
            self.session.load(
                there
                or training_set(
                    size,
                    folder=Path(folder).expanduser() if folder else None,
                    progress=lambda step, done, total, message: self._tell(f"{step} {done} of {total}"),
                )
            )

        self.in_background(make, self._training_code())

    # ---------------------------------------------------------------- work in a thread
    def in_background(self, run: Callable[[], Any], code: str) -> None:
        """Do something long for the user; errors become a message."""

        def work(_: Any = None) -> None:
            self._tell("Working …")
            try:
                self.attempt(run, code)
            finally:
                self._tell("")
            self._update()

        if self._worker is None:
            work()
        else:
            self._worker.submit(Handle("load", "exposures", (), work))

    def _tell(self, text: str) -> None:
        self.busy_note.value = f'<span class="dwb-soft">{escape(text)}</span>' if text else ""

    def close(self) -> None:
        """Stop watching the session."""
        sky = self.pages.get("Sky")
        if isinstance(sky, SkyView):
            sky.close()
        super().close()
