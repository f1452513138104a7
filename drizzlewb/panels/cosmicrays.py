"""Panel 4: the median, and the cosmic rays that it finds in each exposure."""

from typing import Any

import bqplot as bq
import ipywidgets as W
import numpy as np

from drizzlewb.exposure import Chip, Exposure
from drizzlewb.grid import Region
from drizzlewb.panels.base import Panel, in_areas
from drizzlewb.panels.drawnmasks import DrawnMasks
from drizzlewb.panels.form import Form
from drizzlewb.panels.pairs import PairField
from drizzlewb.panels.pixel import PixelPanel
from drizzlewb.parameters import ReduceParameters
from drizzlewb.session import Handle
from drizzlewb.steps.contributions import Masked
from drizzlewb.steps.star_cores import count_cores, star_cores
from drizzlewb.steps.verdict import cosmic_ray_jumps
from drizzlewb.views import figures
from drizzlewb.views.chipmask import ChipMaskView
from drizzlewb.views.cores import cores_html
from drizzlewb.views.frames import cutout_frame
from drizzlewb.views.image import ImageView
from drizzlewb.views.style import COLOURS, escape, legend

__all__ = ["LIVE_PX", "CosmicRaysPanel"]

LIVE_PX = 1100
"""Longest side of the part of a chip whose mask follows the sliders."""

FIRST_PX = 512
_STEP = 16  # px by which the asked box is rounded outwards: a small pan asks nothing new


class CosmicRaysPanel(Panel):
    """Thresholds with their masks at once, star cores, fractions, and masks drawn by hand."""

    title = "Cosmic rays"
    help = (
        "Each exposure is compared with the median of all, as its chip would have seen it; what differs by "
        "more than noise and blur explain is a ray."
    )
    steps = (("product", "median"), ("product", "crmask"))

    def build(self) -> W.Widget:
        """Make the widgets."""
        self._asked: Any = None
        self._place: Any = None
        self._asked_region: Any = None
        self._cutout: Any = None
        self._handle: Handle | None = None
        self._quiet = False

        def send(name: str, value: Any, live: bool) -> None:
            self.session.set(self.product, {name: value}, live=live)

        house = ReduceParameters()
        self.snr = PairField(
            ReduceParameters.declaration("driz_cr_snr"), house["driz_cr_snr"], send, (1.0, 12.0, 0.1)
        )
        self.scale = PairField(
            ReduceParameters.declaration("driz_cr_scale"), house["driz_cr_scale"], send, (0.0, 5.0, 0.1)
        )
        self.switch = Form(ReduceParameters, ("driz_cr",), send=send)
        self.form = Form(
            ReduceParameters,
            (),
            {
                "Growing the mask": ("driz_cr_grow", "driz_cr_ctegrow"),
                "Blot": ("blot_interp", "blot_sinscl", "blot_addsky", "blot_skyval"),
                "Median (make it again then)": (
                    "median", "combine_type", "combine_nsigma", "combine_nlow", "combine_nhigh",
                    "combine_lthresh", "combine_hthresh", "combine_grow", "median_newmasks", "combine_maskpt",
                ),
            },
            send=send,
        )  # fmt: skip
        self.median = self.action(
            "Make the median",
            lambda: self.session.run(self.product, "median"),
            lambda: f'session.run({self.product_code()}, "median")',
        )
        self.masks = self.action(
            "Make all masks",
            lambda: self.session.run(self.product, "crmask"),
            lambda: f'session.run({self.product_code()}, "crmask")',
            primary=True,
        )
        self.cores = self.action(
            "Measure star cores",
            lambda: self.session.star_cores(self.product),
            lambda: f"session.star_cores({self.product_code()}).result()",
            tooltip="on all chips; in view they are counted all the time",
        )
        menu = {"layout": W.Layout(width="230px"), "style": {"description_width": "66px"}}
        self.exposure = W.Dropdown(description="Exposure", tooltip="whose chip is shown", **menu)
        self.chip = W.Dropdown(description="Chip", tooltip="chip of the exposure", **menu)
        self.exposure.observe(lambda change: self._chosen(), "value")
        self.chip.observe(lambda change: self._chip_chosen(), "value")
        self.view = ChipMaskView(size_px=470)
        for axis in (self.view.image.x, self.view.image.y):
            axis.observe(lambda _: self._ask(), ["min", "max"])
        self.drawn = DrawnMasks(self, self.view.image)
        self.told = W.HTML(layout=W.Layout(max_width="470px", min_height="44px"))
        self.region = ImageView(size_px=380)
        self.region.on_click(self._explain)
        self.region_told = W.HTML(layout=W.Layout(max_width="380px"))
        self.show_region = self.action(
            "Preview the product here",
            self._preview,
            lambda: f"session.select(center={self._centre_code()}); session.preview({self.product_code()})",
            tooltip="the region of the product around the middle of the chip's view; it follows the sliders",
        )
        self.pixel = PixelPanel(self.session)
        self.fractions = figures.figure(
            "Flagged pixels of each exposure", "exposure", "flagged in 1000 s (%)", x=bq.OrdinalScale(),
            width_px=460, height_px=230,
        )  # fmt: skip
        self.bars = figures.bars(self.fractions, [], [], colour=COLOURS["blue"], padding=0.3)
        self.fractions_told = W.HTML(layout=W.Layout(max_width="460px"))
        self.cores_told = W.HTML()
        choose = W.HBox([self.exposure, self.chip], layout=W.Layout(flex_flow="row wrap"))
        signs = legend(
            ("■", COLOURS["blue"], "like the others"), ("■", COLOURS["red"], "stands out (named above)")
        )
        self._counted = W.VBox([signs, self.fractions])
        self._counted.add_class("dwb-unseen")  # until there is something to see
        counts = W.VBox([self.fractions_told, self._counted])
        self._cores_box = W.VBox([W.HTML("<b>Star cores</b>"), self.cores_told])
        low = W.HBox([counts, self._cores_box], layout=W.Layout(flex_flow="row wrap", grid_gap="14px"))
        self._fold = W.Accordion([self.pixel], titles=("Why this pixel?",), selected_index=None)
        form = [self.switch, self.snr, self.scale, self.form, self.median, self.masks, self.cores]
        return in_areas(
            "dwb-rays",
            form=W.VBox(form, layout=W.Layout(max_width="480px")),
            chip=W.VBox([choose, self.view, self.told, self.drawn]),
            region=W.VBox(
                [self.show_region, self.region_told, self.region], layout=W.Layout(max_width="480px")
            ),
            why=self._fold,
            low=low,
        )

    # ---------------------------------------------------------------- what is looked at
    def _members(self) -> list[Exposure]:
        plan = self.session.state.product(self.product)
        return list(self.session.derived.stack(plan))

    def _current(self) -> tuple[Exposure, Chip] | None:
        if not self.product:
            return None
        for exposure in self._members():
            if exposure.rootname == self.exposure.value:
                for chip in exposure.chips:
                    if chip.extver == self.chip.value:
                        return exposure, chip
        return None

    def _chosen(self) -> None:
        if not self._quiet:
            self._chips(self._members())
            self._update()

    def _chip_chosen(self) -> None:
        if not self._quiet:
            self._update()

    def _menus(self) -> None:
        members = self._members()
        names = [e.rootname for e in members]
        self._quiet = True
        try:
            if list(self.exposure.options) != names:
                kept = self.exposure.value
                self.exposure.options = names
                selected = [n for n in self.session.selection.exposures if n in names]
                self.exposure.value = kept if kept in names else (selected or names)[0]
                self._chips(members)
        finally:
            self._quiet = False

    def _chips(self, members: list[Exposure]) -> None:
        """Offer the chips of the exposure; the one that holds the selected place comes first."""
        exposure = next(e for e in members if e.rootname == self.exposure.value)
        quiet, self._quiet = self._quiet, True
        try:
            self.chip.options = [(f"{c.chip} (SCI {c.extver})", c.extver) for c in exposure.chips]
            holding = [c for c in exposure.chips if self._on_chip(c) is not None]
            self.chip.value = (holding or list(exposure.chips))[0].extver
        finally:
            self._quiet = quiet

    def _centre(self) -> tuple[float, float]:
        """Sky place of the middle of what is selected, degrees."""
        if self.session.selection.center is not None:
            return self.session.selection.center
        grid = self.session.derived.product(self.product).grid
        ra, dec = grid.pixel_to_sky((grid.shape[1] - 1) / 2.0, (grid.shape[0] - 1) / 2.0)
        return float(ra), float(dec)

    def _on_chip(self, chip: Chip) -> tuple[int, int] | None:
        """Pixel of a chip at the selected place; None if it lies elsewhere."""
        from drizzlewb.distortion import sky_to_pixel

        x, y = (float(v) for v in sky_to_pixel(chip.wcs, *self._centre()))
        inside = -0.5 <= x < chip.shape[1] - 0.5 and -0.5 <= y < chip.shape[0] - 0.5
        return (round(x), round(y)) if inside else None

    def _first_box(self, chip: Chip) -> Region:
        ny, nx = chip.shape
        x, y = self._on_chip(chip) or (nx // 2, ny // 2)
        half = FIRST_PX // 2
        x0, y0 = max(0, min(x - half, nx - FIRST_PX)), max(0, min(y - half, ny - FIRST_PX))
        return Region(y0, y0 + FIRST_PX, x0, x0 + FIRST_PX).clip(chip.shape)

    # ---------------------------------------------------------------- from the session
    def update(self) -> None:
        """Show what the session holds, and ask for what is in view."""
        session = self.session
        if not self.product:
            for action in self.actions:
                action.disable("load exposures first")
            return
        parameters = session.parameters(self.product)
        self.switch.show(parameters)
        self.form.show(parameters)
        self.snr.show(parameters["driz_cr_snr"])
        self.scale.show(parameters["driz_cr_scale"])
        self._show_buttons()
        self._menus()
        current = self._current()
        if current is not None:
            exposure, chip = current
            place = (exposure.rootname, chip.extver, self.product)
            if place != self._place:
                self._place, self._asked = place, None
                self.view.show_chip(chip, f"{exposure.rootname}[SCI,{chip.extver}]", self._first_box(chip))
            elif chip is not self.view.chip:
                self.view.replace_chip(chip)
            self.drawn.show(exposure.rootname, chip, session.state.masks)
        self._show_whole()
        self._show_cores()
        self._show_region()
        self._ask()

    def _show_buttons(self) -> None:
        session = self.session
        for action, step in ((self.median, "median"), (self.masks, "crmask")):
            status = session.status_of(self.product, step)
            reasons = {
                "running": "it is running",
                "off": "driz_cr is off: there is nothing to compare",
                "done": "it is made for these parameters",
            }
            action.disable(reasons.get(status.state, ""))
            if status.state == "failed":
                self.messages.say(status.message, "error")
        off = session.status_of(self.product, "crmask").state == "off"
        self.cores.disable("driz_cr is off" if off else "")

    def _ask(self) -> None:
        """Ask for the mask of what is in view, if it is not asked for already."""
        image, current = self.view.image, self._current()
        if current is None or image.frame is None or self.view.chip is None or not self.visible:
            return
        exposure, chip = current
        status = self.session.status_of(self.product, "crmask")
        box = image.visible
        box = Region(
            box.y0 // _STEP * _STEP, -(-box.y1 // _STEP) * _STEP,
            box.x0 // _STEP * _STEP, -(-box.x1 // _STEP) * _STEP,
        ).clip(chip.shape)  # fmt: skip
        wanted = (status.key, status.state == "off", exposure.rootname, chip.extver, box)
        if wanted == self._asked:
            return
        self._asked = wanted
        if status.state == "off" or box.empty or max(box.shape) > LIVE_PX:
            self._handle = None
            self.view.show_masked(None)
            words = (
                "driz_cr is off: no pixel is flagged as a ray."
                if status.state == "off"
                else f"Zoom in to at most {LIVE_PX} px: then the mask follows the sliders."
            )
            self.told.value = f'<span class="dwb-soft">{words}</span>'
            return
        self._handle = self.session.preview_masks(self.product, exposure.rootname, chip.extver, box)
        self._handle.on_change(self._answered)
        self._answered(self._handle)

    def _answered(self, handle: Handle) -> None:
        if handle is not self._handle:
            return
        if handle.state == "failed":
            self.messages.say(str(handle.error), "error")
        if handle.state != "done":
            return
        masked: Masked = handle.result(10.0)
        if masked is self.view.masked:
            return
        self.view.show_masked(masked)
        if handle is not self._handle:
            return  # the slider has moved on
        meter = star_cores([count_cores(masked)])
        kind = {"fail": "✕ ", "good": "✓ "}.get(meter.verdict, "")
        self.told.value = (
            f"In view: {100 * masked.fraction:.2f} % of the pixels are flagged. {kind}{escape(meter.words)}"
        )

    def _show_whole(self) -> None:
        """Masks and counts of whole exposures, where a run has made them."""
        made = self.session.result(self.product, "crmask")
        current = self._current()
        if made is None or current is None or not hasattr(made, "crmask"):
            self.view.show_whole(None)
            state = self.session.status_of(self.product, "crmask").state
            words = {
                "stale": "The thresholds have changed since: make all masks to count again.",
                "off": "driz_cr is off.",
            }.get(state, "Make all masks to count what is flagged in each exposure.")
            self.fractions_told.value = f'<span class="dwb-soft">{words}</span>'
            return
        exposure, chip = current
        stack = [(e.rootname, c.extver) for e in made.exposures for c in e.chips]
        if (exposure.rootname, chip.extver) in stack:
            number = stack.index((exposure.rootname, chip.extver))
            self.view.show_whole(lambda box: made.crmask(number, box))
        self._show_fractions(made.cr_fractions(), {e.rootname: e.exptime for e in made.exposures})

    def _show_fractions(self, fractions: dict[str, float], seconds: dict[str, float]) -> None:
        self._counted.remove_class("dwb-unseen")
        rates = {name: 1e5 * f / seconds[name] if seconds[name] > 0 else 0.0 for name, f in fractions.items()}
        jumps = cosmic_ray_jumps(fractions, seconds)
        alone = {name: jump for name, jump in jumps.items() if not jump.everywhere}
        with self.bars.hold_sync():
            # The number keeps exposures apart whose names end alike.
            self.bars.x = [f"{k + 1} {name[-5:]}" for k, name in enumerate(rates)]
            self.bars.y = np.array(list(rates.values()))
            self.bars.colors = [COLOURS["red"] if name in alone else COLOURS["blue"] for name in rates]
        if alone:
            word, words = "Stands out", "; ".join(f"{name}: {jump}" for name, jump in alone.items())
        elif jumps:
            word, words = "Too many", f"In all exposures {next(iter(jumps.values()))}."
        else:
            low, high = min(rates.values()), max(rates.values())
            word = "Done"
            words = f"No exposure stands out: {low:.1f} to {high:.1f} % of the pixels are flagged in 1000 s."
        kind = "warning" if jumps else "good"
        self.fractions_told.value = (
            f'<div class="dwb-message {kind}"><b class="kind">{word}</b>{escape(words)}</div>'
        )

    def _show_cores(self) -> None:
        found = self.session.runs.cores_known(self.product)
        if not found:
            self.cores_told.value = (
                '<span class="dwb-soft">How many unsaturated stars have a flagged pixel in their 3 x 3 core, '
                "less the same at blank places. Not measured for these parameters.</span>"
            )
            return
        self.cores_told.value = cores_html(found)

    # ---------------------------------------------------------------- the product's region
    def _middle(self) -> tuple[float, float]:
        current, image = self._current(), self.view.image
        if current is None or image.frame is None:
            return self._centre()
        from drizzlewb.distortion import pixel_to_sky

        x, y = (image.x.min + image.x.max) / 2.0, (image.y.min + image.y.max) / 2.0
        ra, dec = pixel_to_sky(current[1].wcs, x, y)
        return round(float(ra), 7), round(float(dec), 7)

    def _centre_code(self) -> str:
        ra, dec = self._middle()
        return f"({ra}, {dec})"

    def _preview(self) -> None:
        self.session.select(center=self._middle())
        self.session.preview(self.product)

    def _show_region(self) -> None:
        shown = self.session.shown.get(self.product)
        self.show_region.disable("")
        if shown is None:
            self.region.layout.display = "none"
            self.region_told.value = (
                '<span class="dwb-soft">The combined image of this place is made on request, and follows the '
                "sliders then.</span>"
            )
            return
        self.region.layout.display = ""
        # Once for the same pixels: a second request would supersede the first, for ever.
        wanted = (self.session.derived.product(self.product).pixels, shown.cutout.region)
        if not shown.fresh and wanted != self._asked_region:
            self._asked_region = wanted
            self.session.preview(self.product, region=shown.cutout.region)
        words = "" if shown.fresh else "being made again; "
        self.region_told.value = f'<span class="dwb-soft">{words}click a pixel to ask why it is so</span>'
        held = self.region.frame
        frame = cutout_frame(shown.cutout, name=f"{self.product}, this region")
        if held is None or held.region != frame.region:
            self.region.show(frame)
        elif self._cutout is not shown.cutout:
            self.region.show(frame, keep_view=True)
        self._cutout = shown.cutout

    def _explain(self, x: float, y: float) -> None:
        self._fold.selected_index = 0
        self.session.select(product=self.product, pixel=(round(x), round(y)))
        self.ran(f"session.why({self.product_code()}, {round(x)}, {round(y)})")

    @property
    def visible(self) -> bool:
        """Whether the panel is looked at; what it embeds follows."""
        return self._visible

    @visible.setter
    def visible(self, value: bool) -> None:
        Panel.visible.fset(self, value)  # type: ignore[attr-defined]
        self.pixel.visible = value

    def close(self) -> None:
        """Stop watching the session, and blinking."""
        self.pixel.close()
        self.view.close()
        super().close()
