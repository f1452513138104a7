"""Panel 5: the product: its grid, its drops, a region of it at once, and the whole of it."""

import threading
from typing import Any

import ipywidgets as W

from drizzlewb.panels.base import Panel, beside
from drizzlewb.panels.final_grid import GridPage, references
from drizzlewb.panels.final_sampling import NoisePage, SamplingPage
from drizzlewb.panels.form import Form
from drizzlewb.parameters import ReduceParameters
from drizzlewb.session import Session
from drizzlewb.views.frames import cutout_frame
from drizzlewb.views.image import ImageView
from drizzlewb.views.style import COLOURS, STATE_SIGNS, escape

__all__ = ["FinalPanel"]

REST_S = 0.4
"""A slider that has not moved for so long is at rest."""


class FinalPanel(Panel):
    """Grid designer, live region, sampling adviser, noise; run and write."""

    title = "Final drizzle"
    help = "All exposures are drizzled onto one grid. See a region of the product at once, then make it all."
    steps = (("product", "product"),)
    watched = ("state", "status", "selection", "shown", "busy", "progress")

    def __init__(self, session: Session, *, background: bool = True) -> None:
        self._background = background
        self._rest: threading.Timer | None = None
        self._moving = False
        self._held: Any = None
        self._marked: tuple[list[float], list[float]] = ([], [])
        super().__init__(session)

    # ---------------------------------------------------------------- widgets
    def build(self) -> W.Widget:
        """Make the widgets."""
        self.form = Form(
            ReduceParameters,
            ("final_kernel", "final_pixfrac", "final_scale", "final_rot", "final_wht_type", "final_bits",
             "final_units", "final_fillval"),
            {
                "Size and place of the grid": (
                    "final_wcs", "final_refimage", "final_outnx", "final_outny", "final_ra", "final_dec",
                    "final_crpix1", "final_crpix2",
                ),
                "More": ("final_wt_scl", "final_maskval", "build", "context"),
            },
            send=self._take,
            sliders={"final_pixfrac": (0.0, 1.0, 0.01)},
        )  # fmt: skip
        self.reference = W.Dropdown(
            options=[("own grid", "")], description="final_refimage", style={"description_width": "130px"},
            layout=W.Layout(width="98%", max_width="440px"),
            tooltip="take the grid of another product, so that both lie on the same pixels",
        )  # fmt: skip
        self.reference.observe(lambda change: self._refer(change["new"]), "value")
        self.north = self.action(
            "North up",
            lambda: self._take_all({"final_wcs": True, "final_rot": 0.0}),
            lambda: f"session.set({self.product_code()}, final_wcs=True, final_rot=0)",
            icon="arrow-up",
            tooltip="turn the output so that north is up and east is left",
        )
        self.live = W.Checkbox(
            value=True, indent=False, description="preview at each change", layout=W.Layout(width="auto")
        )
        self.preview = self.action(
            "Preview",
            self._preview,
            lambda: f"session.preview({self.product_code()})",
            icon="eye",
            tooltip="drizzle the region around the centre",
        )
        self.run = self.action(
            "Run",
            lambda: self.session.run(self.product),
            lambda: f"session.run({self.product_code()})",
            primary=True,
            icon="play",
            tooltip="make the whole product; its files stay in the session's cache until you write them",
        )
        self.stop = self.action("Cancel", self.session.cancel, "session.cancel()", icon="stop")
        self.folder = W.Text(
            value=".", placeholder="folder", layout=W.Layout(width="190px"), continuous_update=False,
            tooltip="folder that the product's files are written to",
        )  # fmt: skip
        self.replace = W.ToggleButton(
            description="replace", tooltip="may files of the same name be replaced?",
            layout=W.Layout(width="80px"),
        )  # fmt: skip
        self.write = self.action(
            "Write files",
            self._write,
            lambda: (
                f"session.write({self.product_code()}, {self.folder.value!r}"
                f"{', replace=True' if self.replace.value else ''})"
            ),
            icon="save",
        )
        self.folder.observe(lambda _: self._update(), "value")
        self.state = W.HTML()
        left = [
            self.form,
            self.reference,
            W.HBox(
                [self.north, self.preview, self.live], layout=W.Layout(align_items="center", grid_gap="6px")
            ),
            W.HBox([self.run, self.stop], layout=W.Layout(grid_gap="6px")),
            W.HBox([self.write, self.folder, self.replace], layout=W.Layout(grid_gap="6px")),
            self.state,
        ]
        return beside(left, [self._pages()])

    def _pages(self) -> W.Widget:
        self.layer = W.ToggleButtons(
            options=["sci", "wht"], tooltips=["the image", "its weight"], style={"button_width": "auto"}
        )
        self.layer.observe(lambda _: self._show_region(fit=True), "value")
        self.stale = W.HTML()
        self.view = ImageView(background=self._background)
        self.view.on_click(self._clicked)
        region = W.VBox([W.HBox([self.layer, self.stale]), self.view])
        self.grid = GridPage(self.session)
        trials = self.session.trials
        self.predict = self.action(
            "Predict from the dithers",
            lambda: self._trial(trials.sampling),
            lambda: f"session.trials.sampling({self.product_code()})",
            tooltip="weight of small patches for many scales and pixfracs; no image is drizzled",
        )
        self.sweep = self.action(
            "Measure the sweep",
            lambda: self._trial(trials.sweep),
            lambda: f"session.trials.sweep({self.product_code()})",
            tooltip="drizzle the previewed region for pixfrac 0.1 to 1.0 and measure it",
        )
        self.halves = self.action(
            "Measure from half stacks",
            lambda: self._trial(trials.half_stacks),
            lambda: f"session.trials.half_stacks({self.product_code()})",
        )
        self.sampling = SamplingPage([self.predict, self.sweep])
        self.noise = NoisePage(self.halves)
        self.pages = W.Tab(
            [region, self.grid, self.sampling, self.noise],
            titles=("Region", "Grid", "Sampling", "Noise"),
            selected_index=0,
        )
        self.pages.observe(lambda _: self._update(), "selected_index")
        return self.pages

    # ---------------------------------------------------------------- what the buttons do
    def _take(self, name: str, value: Any, live: bool) -> None:
        self.session.set(self.product, {name: value}, live=live)
        self._moving = live
        if live:
            self._rest_later()
        if self.live.value:
            self._preview()

    def _take_all(self, values: dict[str, Any]) -> None:
        self.session.set(self.product, values)
        if self.live.value:
            self._preview()

    def _refer(self, name: str | None) -> None:
        if name is None or not self.product:
            return
        if name != self.session.parameters(self.product).final_grid.final_refimage:
            code = f"session.set({self.product_code()}, final_refimage={name!r})"
            self.attempt(lambda: self._take_all({"final_refimage": name}), code)

    def _preview(self) -> Any:
        """Preview the region that is shown; where the grid has changed, the same place of the sky."""
        shown = self.session.shown.get(self.product)
        where: dict[str, Any] = {}
        if shown is not None and self.session.selection.center is None:
            r, grid = shown.cutout.region, shown.cutout.grid
            if grid == self.session.plan(self.product).grid:
                where = {"region": r}
            else:
                ra, dec = grid.pixel_to_sky(0.5 * (r.x0 + r.x1 - 1), 0.5 * (r.y0 + r.y1 - 1))
                where = {"center": (float(ra), float(dec))}
        return self._watch(self.session.preview(self.product, **where))

    def _clicked(self, x: float, y: float) -> None:
        shown = self.session.shown.get(self.product)
        if shown is not None:
            ra, dec = (float(v) for v in shown.cutout.grid.pixel_to_sky(x, y))
            self.session.select(product=self.product, center=(ra, dec))

    def _trial(self, begin: Any) -> Any:
        handle = self._watch(begin(self.product))
        handle.on_change(lambda h: self._changed(None) if h.over else None)
        self._changed(None)
        return handle

    def _watch(self, handle: Any) -> Any:
        """Say why work failed, now or later."""

        def told(h: Any) -> None:
            if h.state == "failed" and h.error is not None:
                self.messages.say(str(h.error), "error")

        handle.on_change(told)
        told(handle)
        return handle

    def _write(self) -> None:
        paths = self.session.write(self.product, self.folder.value or ".", replace=self.replace.value)
        self.messages.say(f"Written: {', '.join(p.name for p in paths)} in {paths[0].parent}.", "good")

    # ---------------------------------------------------------------- at rest
    def _rest_later(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        self._rest = threading.Timer(REST_S, self._at_rest)
        self._rest.daemon = True
        self._rest.start()

    def _at_rest(self) -> None:
        self._moving = False
        if self.view.moving:
            self.view.moving = False
            self.view.refresh()

    # ---------------------------------------------------------------- from the session
    def update(self) -> None:
        """Show what the session holds."""
        session, product = self.session, self.product
        if not product:
            for action in self.actions:
                action.disable("load exposures first")
            return
        self.form.show(session.parameters(product))
        self._show_reference()
        self._show_state()
        self._show_region()
        page = self.pages.selected_index
        if page == 1:
            self.grid.show(product, self.folder.value)
        elif page == 2:
            plan = session.plan(product)
            final = session.parameters(product).final
            self.sampling.show(
                session.trials.found("sampling", product),
                session.trials.found("sweep", product),
                plan.grid.scale_arcsec,
                plan.scale_ratio,
                final.final_pixfrac,
            )
        elif page == 3:
            self.noise.show(session.trials.found("half stacks", product))

    def _show_reference(self) -> None:
        options = references(self.session, self.product)
        now = self.session.parameters(self.product).final_grid.final_refimage
        if list(self.reference.options) != options:
            with self.reference.hold_trait_notifications():
                self.reference.options = options
                self.reference.value = now
        elif self.reference.value != now:
            self.reference.value = now

    def _show_state(self) -> None:
        session, product = self.session, self.product
        status = session.status_of(product, "product")
        sign, meaning = STATE_SIGNS[status.state]
        words = f"{sign} Product {escape(product)}: {meaning}."
        if session.busy and session.progress:
            step, done, total, message = session.progress
            words += f" {escape(step)} {done} of {total} {escape(message)}"
        if status.state == "failed":
            words += f'<div class="dwb-why">{escape(status.message)}</div>'
        self.state.value = f"<span>{words}</span>"
        impossible = status.message if status.state == "failed" and not status.key else ""
        self.run.disable("it is running" if status.state == "running" else impossible)
        self.preview.disable(impossible)
        self.stop.disable("" if session.busy else "nothing is running")
        self.write.disable("" if status.state == "done" else "run the product first")
        for action, kind in ((self.predict, "sampling"), (self.sweep, "sweep"), (self.halves, "half stacks")):
            action.disable("it is running" if session.trials.running(kind, product) else impossible)
        if len(session.state.product(product).members) < 2 and not self.halves.reason:
            self.halves.disable("it takes two exposures at least")

    def _show_region(self, *, fit: bool = False) -> None:
        product = self.product
        shown = self.session.shown.get(product)
        if shown is None:
            self.stale.value = '<span class="dwb-soft">No preview yet.</span>'
            return
        self.stale.value = (
            ""
            if shown.fresh
            else f'<span class="dwb-why">{STATE_SIGNS["stale"][0]} stale: made for other parameters</span>'
        )
        what = (shown.cutout, self.layer.value)
        same = self._held is not None and self._held[0].region == shown.cutout.region
        same = same and self._held[0].grid == shown.cutout.grid and self._held[1] == self.layer.value
        if self._held is None or what[0] is not self._held[0] or what[1] != self._held[1]:
            self._held = what
            frame = cutout_frame(shown.cutout, self.layer.value, f"{product}: {self.layer.value}")
            self.view.show(frame, keep_view=same and not fit, moving=self._moving)
        center = self.session.selection.center
        x: list[float] = []
        y: list[float] = []
        if center is not None:
            px, py = (float(v) for v in shown.cutout.grid.sky_to_pixel(*center))
            x, y = [px], [py]
        if (x, y) != self._marked:
            self._marked = (x, y)
            self.view.points("centre", x, y, colour=COLOURS["orange"], marker="cross")

    def close(self) -> None:
        """Stop watching the session."""
        if self._rest is not None:
            self._rest.cancel()
        super().close()
