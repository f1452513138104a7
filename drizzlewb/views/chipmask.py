"""A chip beside the clean image: original, clean and median blinked, with the cosmic-ray mask above."""

from collections.abc import Callable

import ipywidgets as W
import numpy as np
from numpy.typing import NDArray

from drizzlewb.exposure import DRAWN_FLAG, Chip
from drizzlewb.grid import Region
from drizzlewb.steps.contributions import Masked
from drizzlewb.views.clock import Clock
from drizzlewb.views.frames import Frame, chip_frame
from drizzlewb.views.image import ImageView
from drizzlewb.views.style import COLOURS

__all__ = ["LAYERS", "ChipMaskView", "layer_frame"]

LAYERS = ("original", "clean", "median")
"""The chip; the chip with flagged pixels replaced by the blot; the median as the chip would have seen it."""


def layer_frame(chip: Chip, masked: Masked | None, layer: str, name: str) -> Frame:
    """Frame of a chip, of which one box is known clean.

    Parameters
    ----------
    chip : Chip
    masked : Masked or None
        The box that is known. Elsewhere 'clean' shows the original, and 'median' nothing (NaN).
    layer : str
        One of `LAYERS`.
    name : str
    """
    original = chip_frame(chip, f"{name}, {layer}")
    if layer == "original":
        return original
    to_unit = np.float32(1.0 / chip.to_electrons)

    def read(box: Region) -> NDArray[np.float32]:
        out = original.read(box) if layer == "clean" else np.full(box.shape, np.nan, np.float32)
        both = box.intersect(masked.box) if masked is not None else Region(0, 0, 0, 0)
        if masked is not None and not both.empty:
            pixels = masked.clean if layer == "clean" else masked.blot
            known = pixels[both.slices((masked.box.y0, masked.box.x0))]
            out[both.slices((box.y0, box.x0))] = known * to_unit
        return out

    return Frame(
        original.name, original.region, read, original.unit, original.to_sky, original.from_sky,
        original.dq, original.flags,
    )  # fmt: skip


class ChipMaskView(W.VBox):
    """One chip with its mask.

    Parameters
    ----------
    size_px : int
        Side of the figure on the page.
    background : bool
        As for `ImageView`.

    Attributes
    ----------
    image : ImageView
    layer : ToggleButtons
        Which of `LAYERS` is seen.
    blink : ToggleButton
        Go from one to the next by itself.
    overlay : Checkbox
        Whether the mask is laid above.
    """

    def __init__(self, *, size_px: int = 520, background: bool = True) -> None:
        self.image = ImageView(size_px=size_px, background=background)
        self.chip: Chip | None = None
        self.masked: Masked | None = None
        self._name = ""
        self._whole: Callable[[Region], NDArray[np.uint8]] | None = None
        self.layer = W.ToggleButtons(
            options=LAYERS,
            tooltips=[
                "the pixels as they are in the file",
                "flagged pixels replaced by the blotted median",
                "the median as this chip would have seen it",
            ],
            style=W.ToggleButtonsStyle(button_width="auto"),
        )
        self.blink = W.ToggleButton(
            description="Blink", icon="exchange", tooltip="original, clean and median in turn",
            layout=W.Layout(width="80px"),
        )  # fmt: skip
        self.overlay = W.Checkbox(
            value=True, description="mask", indent=False, layout=W.Layout(width="70px"),
            tooltip="tint what is flagged as a cosmic ray (orange) or drawn by hand (blue)",
        )  # fmt: skip
        self._clock = Clock(self.next_layer, rate=1.5)
        self.layer.observe(lambda _: self._show(), "value")
        self.overlay.observe(lambda _: self._tint(), "value")
        self.blink.observe(lambda change: self._blinking(change["new"]), "value")
        row = W.HBox(
            [self.layer, self.blink, self.overlay],
            layout=W.Layout(flex_flow="row wrap", align_items="center"),
        )
        super().__init__([row, self.image])

    def show_chip(self, chip: Chip, name: str, box: Region | None = None) -> None:
        """Show another chip, zoomed to a box; what was known of the one before goes."""
        self.chip, self._name, self.masked, self._whole = chip, name, None, None
        self.image.show(layer_frame(chip, None, self.layer.value, name))
        if box is not None:
            self.image.look_at(box)
        self._tint()

    def replace_chip(self, chip: Chip) -> None:
        """Take the same chip with other masks drawn on it, or another WCS; zoom and limits stay."""
        self.chip = chip
        self._show()
        self._tint()

    def show_masked(self, masked: Masked | None) -> None:
        """Show what is known of the box in view; None: nothing."""
        self.masked = masked
        self._show()

    def show_whole(self, read: Callable[[Region], NDArray[np.uint8]] | None) -> None:
        """Take the mask of the whole chip (box -> uint8, 1 = good) for what lies beside `masked`, or none."""
        self._whole = read
        self.image.refresh()

    def next_layer(self) -> None:
        """Go to the next layer, as the blink does."""
        k = LAYERS.index(self.layer.value)
        self.layer.value = LAYERS[(k + 1) % len(LAYERS)]

    def mask(self, box: Region) -> NDArray[np.uint16]:
        """1 where a pixel is known to be flagged."""
        out = np.zeros(box.shape, np.uint16)
        both = box.intersect(self.masked.box) if self.masked is not None else Region(0, 0, 0, 0)
        if self._whole is not None and both != box:
            out[:] = self._whole(box) == 0
        if self.masked is not None and not both.empty:
            known = self.masked.mask[both.slices((self.masked.box.y0, self.masked.box.x0))]
            out[both.slices((box.y0, box.x0))] = known == 0
        return out

    def close(self) -> None:
        """Stop blinking."""
        self._clock.stop()
        super().close()

    def _show(self) -> None:
        if self.chip is not None:
            frame = layer_frame(self.chip, self.masked, self.layer.value, self._name)
            self.image.show(frame, keep_view=True)

    def _tint(self) -> None:
        on, chip = bool(self.overlay.value), self.chip
        self.image.tint("rays", self.mask if on and chip is not None else None, COLOURS["orange"])
        drawn = chip is not None and on and bool(chip.drawn)
        self.image.tint("drawn", chip.read_dq if drawn and chip else None, COLOURS["sky"], DRAWN_FLAG)

    def _blinking(self, on: bool) -> None:
        (self._clock.start if on else self._clock.stop)()
