"""Pages of the exposures panel: a chip with its DQ flags, and the dithers of a product."""

from typing import Any

import ipywidgets as W
import numpy as np

from drizzlewb.errors import DrizzlewbError
from drizzlewb.exposure import Exposure, FlagCount, flag_counts
from drizzlewb.session import Session
from drizzlewb.session.work import Handle, Worker
from drizzlewb.steps.dithers import DitherPhases, dither_phases
from drizzlewb.views import figures
from drizzlewb.views.frames import chip_frame
from drizzlewb.views.image import ImageView
from drizzlewb.views.style import COLOURS, escape
from drizzlewb.views.tables import help_line, html_table

__all__ = ["ChipPage", "DitherPage"]

_REMEMBERED = 64


class ChipPage(W.HBox):
    """One chip as an image, and its DQ flags by name with their numbers of pixels.

    Parameters
    ----------
    session : Session
    background : bool
        Read and count in a thread; False does it at once, for tests.
    """

    def __init__(self, session: Session, *, background: bool = True) -> None:
        self.session = session
        self._worker = Worker("drizzlewb-chip", newest_wins=True) if background else None
        self._counted: dict[Any, tuple[list[FlagCount], int]] = {}
        self._shown: Any = None
        self._settling = False
        self._exposure: Exposure | None = None
        self.view = ImageView(size_px=480, background=background)
        self.chip = W.Dropdown(description="Chip", layout=W.Layout(width="260px"))
        self.chip.observe(lambda _: self._show_chip(), "value")
        self.told = W.HTML()
        self.flags = W.SelectMultiple(
            rows=16, layout=W.Layout(width="330px"), tooltip="flags that are tinted red in the image"
        )
        self.flags.observe(lambda change: self._tint(change["new"]), "value")
        help_ = help_line(
            "Choose flags to tint their pixels red in the image (Ctrl or Shift for several). A pixel can "
            "carry several flags. The bits that are usually taken as good are set by final_bits: without 256 "
            "the cores of saturated stars become holes."
        )
        right = W.VBox([self.chip, self.told, self.flags, help_], layout=W.Layout(flex="1 1 340px"))
        super().__init__(
            [self.view, right], layout=W.Layout(flex_flow="row wrap", grid_gap="16px", width="100%")
        )

    def show(self, exposure: Exposure | None) -> None:
        """Show an exposure, with masks drawn on it."""
        if exposure is self._exposure:
            return
        same = self._exposure is not None and exposure is not None
        same = same and exposure.rootname == self._exposure.rootname  # type: ignore[union-attr]
        kept = self.chip.value if same else None
        self._exposure = exposure
        options = (
            [] if exposure is None else [(f"{c.chip} (SCI,{c.extver})", c.extver) for c in exposure.chips]
        )
        self._shown = None
        self._settling = True
        try:
            if list(self.chip.options) != options:
                self.chip.options = options
            if options:
                self.chip.value = kept if kept in [v for _, v in options] else options[0][1]
        finally:
            self._settling = False
        self._show_chip()

    def _show_chip(self) -> None:
        exposure, extver = self._exposure, self.chip.value
        if self._settling or exposure is None or extver is None or self._shown == (id(exposure), extver):
            return
        self._shown = (id(exposure), extver)
        self.told.value = '<span class="dwb-soft">Counting …</span>'
        if self._worker is None:
            self._load(exposure, extver, lambda: False)
        else:
            self._worker.submit(
                Handle("look", "chip", (), lambda h: self._load(exposure, extver, h.cancelled))
            )

    def _load(self, exposure: Exposure, extver: int, cancelled: Any) -> None:
        chip = next(c for c in exposure.chips if c.extver == extver)
        try:
            self.view.show(chip_frame(chip, f"{exposure.rootname}, chip {chip.chip} (SCI,{extver})"))
            key = (exposure.identity, extver)
            if key not in self._counted:
                counted = flag_counts(chip, cancelled)
                if cancelled():
                    return
                while len(self._counted) >= _REMEMBERED:
                    del self._counted[next(iter(self._counted))]
                self._counted[key] = counted
            self._tell(*self._counted[key], chip.shape[0] * chip.shape[1], chip.dq is None)
        except (DrizzlewbError, OSError) as error:
            self.told.value = f'<span class="dwb-why">{escape(error)}</span>'

    def _tell(self, counts: list[FlagCount], flagged: int, total: int, none: bool) -> None:
        chosen = set(self.flags.value)
        ordered = sorted(counts, key=lambda c: (c.pixels == 0, c.flag.value))
        options = [
            (f"{c.flag.name} ({c.flag.value}): {c.pixels:,} px, {100 * c.pixels / total:.2f} %", c.flag.value)
            for c in ordered
        ]
        self.flags.options = options
        self.flags.value = tuple(v for _, v in options if v in chosen)
        self._tint(self.flags.value)
        self.told.value = (
            "<span>The file has no DQ array; every pixel is taken as good.</span>"
            if none and not flagged
            else f"<span>{flagged:,} of {total:,} pixels carry a flag ({100 * flagged / total:.2f} %).</span>"
        )

    def _tint(self, bits: tuple[int, ...]) -> None:
        self.view.dq_bits = int(np.bitwise_or.reduce([0, *bits]))


class DitherPage(W.HBox):
    """Sub-pixel phases of the dithers of a product."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._shown: Any = None
        self.phases: DitherPhases | None = None
        self.figure = figures.figure(
            "Sub-pixel phases of the dithers", "phase in x (px)", "phase in y (px)",
            width_px=400, height_px=400, square=True, ticks=(6, 6),
        )  # fmt: skip
        for axis in self.figure.axes:
            axis.scale.min, axis.scale.max = -0.05, 1.05  # points on the edge are seen whole
        self.figure.padding_x = self.figure.padding_y = 0.0
        figures.lines(
            self.figure,
            [0.5, 0.5, np.nan, 0, 1],
            [0, 1, np.nan, 0.5, 0.5],
            colour=COLOURS["grey"],
            dashed=True,
        )
        self.points = figures.points(self.figure, colour=COLOURS["blue"], size=90)
        self.told = W.HTML()
        self.table = W.HTML()
        help_ = help_line(
            "Where the pixels of each exposure fall on one point of the sky, relative to the first. Phases "
            "spread evenly over the square sample the sky more finely than the detector does, so that a "
            "smaller output pixel pays; phases that fall together only repair bad pixels. Two exposures at "
            "(0, 0) and (0.5, 0.5), or four at the corners of half-pixel steps, are the classic patterns."
        )
        right = W.VBox([self.told, self.table, help_], layout=W.Layout(flex="1 1 340px"))
        super().__init__(
            [self.figure, right], layout=W.Layout(flex_flow="row wrap", grid_gap="16px", width="100%")
        )

    def show(self, product: str) -> None:
        """Show a product; '' for none."""
        if product not in self.session.state.names:
            self.told.value = '<span class="dwb-soft">There is no product yet.</span>'
            return
        plan = self.session.state.product(product)
        stack = self.session.derived.stack(plan)
        if self._shown is not None and self._shown[0] == product and _same(self._shown[1], stack):
            return
        self._shown = (product, stack)
        self.phases = phases = dither_phases(stack)
        number = np.arange(1, len(stack) + 1)
        seen = np.isfinite(phases.dx)
        with self.points.hold_sync():
            self.points.x, self.points.y = phases.x[seen], phases.y[seen]
            self.points.names = np.array([str(n) for n in number[seen]])
            self.points.display_names = True
        total, distinct = int(seen.sum()), phases.distinct()
        lost = f" {len(stack) - total} exposures do not see that point." if total < len(stack) else ""
        self.told.value = (
            f"<span>{escape(product)}: {total} exposures at {distinct} different phases (those within 0.1 px "
            f"count as one), at RA {phases.ra:.5f}, Dec {phases.dec:.5f} deg.{lost}</span>"
        )
        values = zip(number, phases.names, phases.dx, phases.dy, phases.x, phases.y, strict=True)
        self.table.value = html_table(
            ("no.>", "root name", "dx (px)>", "dy (px)>", "phase x>", "phase y>"),
            [
                (n, name, _number(dx, "+.2f"), _number(dy, "+.2f"), _number(x, ".2f"), _number(y, ".2f"))
                for n, name, dx, dy, x, y in values
            ],
        )


def _same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))


def _number(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "–"
