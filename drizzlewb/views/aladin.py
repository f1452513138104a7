"""Aladin Lite in a notebook that may have no network.

ipyaladin's module asks a CDN for Aladin at run time. Where that fails it stays blank and says nothing: a
small module of ours loads it instead, and reports what became of it.
"""

import re
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import numpy as np
import traitlets as tr
from astropy.io import fits
from ipyaladin import Aladin
from ipyaladin.utils.call_store import CallStore

__all__ = ["BLANK", "GIVE_UP_S", "AladinMap"]

GIVE_UP_S = 4.0
"""Seconds after display when Aladin counts as unreachable; it is taken back if it comes later."""

BLANK = "data:text/plain," + "%0A".join(
    (
        "creator_did=ivo://drizzlewb/blank",
        "obs_title=no%20survey",
        "hips_order=3",
        "hips_order_min=0",
        "hips_tile_width=64",
        "hips_tile_format=png",
        "hips_frame=equatorial",
        "dataproduct_type=image",
        "#",
    )
)
"""A survey without pictures, which needs no network: Aladin asks for its properties below this address, and
gets the ones written in it. Without a base layer it would ask the network for one for ever."""

_LOADER = """
async function load(model) {
  const url = URL.createObjectURL(new Blob([model.get("_source")], { type: "text/javascript" }));
  try {
    const module = (await import(url)).default;
    await module.initialize({ model });
    return module;
  } finally {
    URL.revokeObjectURL(url);
  }
}
async function render({ model, el }) {
  const tell = (what, why) => model.send({ event_type: "drizzlewb", what, why: String(why) });
  const timer = setTimeout(
    () => tell("trouble", "it did not answer within " + model.get("_patience") + " s"),
    1000 * model.get("_patience"));
  try {
    const module = await load(model);
    const end = module.render({ model, el });
    tell("displayed", "");
    return end;
  } catch (error) {
    tell("trouble", error && error.message ? error.message : error);
  } finally {
    clearTimeout(timer);
  }
}
export default { render };
"""


class AladinMap(Aladin):
    """Aladin Lite that tells when it is there, when it is not, and forgets nothing when it is shown again.

    Parameters
    ----------
    on_shown : callable
        Called without arguments whenever Aladin has appeared on a page, empty; draw on it then.
    on_trouble : callable
        Called with a sentence when its JavaScript cannot be loaded.
    on_click : callable
        Called with (ra, dec), degrees, for clicks that are not the end of a drag.
    patience_s : float
        See `GIVE_UP_S`.
    **options
        Of `ipyaladin.Aladin`.

    Attributes
    ----------
    shown : bool
        Whether Aladin is there.
    """

    _esm = _LOADER
    _source = tr.Unicode().tag(sync=True)
    _patience = tr.Float(GIVE_UP_S).tag(sync=True)

    def __init__(
        self,
        on_shown: Callable[[], None],
        on_trouble: Callable[[str], None],
        on_click: Callable[[float, float], None],
        *,
        patience_s: float = GIVE_UP_S,
        **options: Any,
    ) -> None:
        # ipyaladin 0.8.1 keeps both on the class: two maps would replay each other's calls.
        self._call_store = CallStore()
        self.listener_callback = {"click": self._clicked}
        self._on_shown, self._on_trouble, self._on_click = on_shown, on_trouble, on_click
        self._layers: dict[str, str] = {}
        self._number = 0
        self.shown = False
        super().__init__(**options)
        self._patience = patience_s
        self._source = resources.files("ipyaladin").joinpath("static/widget.js").read_text("utf-8")

    def _handle_custom_message(self, widget: Any, message: Any, buffers: Any) -> None:
        if not isinstance(message, dict):
            return
        if message.get("event_type") != "drizzlewb":
            super()._handle_custom_message(widget, message, buffers)
        elif message.get("what") == "displayed":
            # A page that shows it again gets an Aladin without layers.
            for name in self._layers.values():
                self.handle_overlay_removed(name)
            self._layers.clear()
            self.shown = True
            self._on_shown()
        else:
            self.shown = False
            why = re.sub(r"[\s:]*blob:\S+", "", str(message.get("why", "")))  # the address says nothing
            self._on_trouble(why[:200])

    def _clicked(self, place: Any) -> None:
        try:
            ra, dec = float(place["ra"]), float(place["dec"])
        except (KeyError, TypeError, ValueError):
            return
        if not place.get("isDragging") and np.isfinite((ra, dec)).all():
            self._on_click(ra, dec)

    # ---------------------------------------------------------------- layers
    def draw_paths(self, layer: str, paths: Sequence[Any], colour: str, *, dashed: bool = False) -> None:
        """Draw closed lines through points on the sky, each of shape (n, 2) in degrees; none clears."""
        told = [
            "Polygon ICRS " + " ".join(f"{v:.8f}" for v in np.asarray(path, float).ravel()) for path in paths
        ]
        self._draw(layer, told, color=colour, line_width=2, line_dash=[6, 4] if dashed else [])

    def draw_points(self, layer: str, points: Any, colour: str, *, radius_arcsec: float = 0.4) -> None:
        """Draw circles around points on the sky, shape (n, 2) in degrees; none clears."""
        told = [
            f"Circle ICRS {ra:.8f} {dec:.8f} {radius_arcsec / 3600:.8f}" for ra, dec in np.asarray(points)
        ]
        self._draw(layer, told, color=colour, line_width=1)

    def _draw(self, layer: str, told: list[str], **options: Any) -> None:
        old = self._layers.pop(layer, "")
        if old and old in self.overlays:
            self.remove_overlay(old)
        if told:
            # A new name each time: news of the old layer's end comes late and must not hit the new one.
            self._number += 1
            self._layers[layer] = name = f"{layer} {self._number}"
            self.add_graphic_overlay_from_stcs(told, name=name, **options)

    def draw_image(self, image: fits.HDUList, low: float, high: float, stretch: str = "asinh") -> None:
        """Show an image, in place of the one before."""
        self.add_fits(image, name="preview", min_cut=low, max_cut=high, stretch=stretch, colormap="grayscale")

    def look_at(self, ra: float, dec: float, fov_deg: float) -> None:
        """Centre the view."""
        self._target, self._fov = f"{ra} {dec}", float(fov_deg)
