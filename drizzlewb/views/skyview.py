"""The sky view: Aladin Lite where its JavaScript can be had, the same content drawn by us where not."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as W
import numpy as np
import traitlets as tr

from drizzlewb.errors import DrizzlewbError
from drizzlewb.session import Session
from drizzlewb.session.work import Handle, Worker
from drizzlewb.views import stretch as stretching
from drizzlewb.views.aladin import BLANK, GIVE_UP_S, AladinMap
from drizzlewb.views.skylayers import SkyLayers, preview_frame, sky_layers, tan_image
from drizzlewb.views.skyplot import SkyPlot
from drizzlewb.views.style import COLOURS, escape, legend, style_sheet

__all__ = ["SURVEYS", "SkyView"]

log = logging.getLogger(__name__)

SURVEYS = {
    "no survey": BLANK,
    "DSS2 colour": "https://alasky.cds.unistra.fr/DSS/DSSColor",
    "Pan-STARRS DR1 colour": "https://alasky.cds.unistra.fr/Pan-STARRS/DR1/color-z-zg-g",
}
"""Pictures of the sky behind everything; all but the first come over the network."""

_WATCHED = ("state", "shown", "selection", "status")


class SkyView(W.VBox):
    """Where the exposures lie on the sky; a click sets the region that is previewed.

    Parameters
    ----------
    session : Session
    product : str, optional
        Product to show; default, the selected one.
    height_px : int
    aladin : bool
        False draws the plot at once and loads no JavaScript from elsewhere.
    patience_s : float
        How long Aladin is waited for after the view is on the page.
    on_error : callable, optional
        Takes the sentence of an error that a click led to; default, it is shown below the view.
    background : bool
        Collect and send in a thread of its own; False does it at once, for tests.

    Attributes
    ----------
    drawn_by : str
        'waiting', 'aladin' or 'plot'.
    reason : str
        Why Aladin is not there; '' if it is, or may come.
    layers : SkyLayers
        What is shown.
    """

    drawn_by = tr.Enum(("waiting", "aladin", "plot"), "waiting")
    reason = tr.Unicode("")

    def __init__(
        self,
        session: Session,
        *,
        product: str = "",
        height_px: int = 460,
        aladin: bool = True,
        patience_s: float = GIVE_UP_S,
        on_error: Callable[[str], None] | None = None,
        background: bool = True,
    ) -> None:
        self.session = session
        self._product, self._size = product, height_px
        self._on_error = on_error
        self._worker = Worker("drizzlewb-sky", newest_wins=True) if background else None
        self.layers = SkyLayers()
        self._looked_at: tuple[Any, ...] = ()
        self._image_of: Any = None
        self._drawn: dict[str, bytes] = {}
        self.plot: SkyPlot | None = None
        self.aladin: AladinMap | None = None
        self.note = W.HTML()
        self.area = W.VBox(layout=W.Layout(width="100%", min_height="120px"))
        self.survey = W.Dropdown(
            options=list(SURVEYS),
            description="Behind it",
            layout=W.Layout(width="300px", display="none"),
            tooltip="a survey behind the exposures; it needs a network",
        )
        self.survey.observe(lambda change: self._survey(change["new"]), "value")
        self.center_button = W.Button(
            description="Show all", icon="expand", tooltip="centre the view on the exposures",
            layout=W.Layout(width="100px"),
        )  # fmt: skip
        self.center_button.on_click(lambda _: self.look())
        super().__init__(
            [
                style_sheet(),
                legend(
                    ("▢", COLOURS["sky"], "exposures"),
                    ("▢", COLOURS["green"], "output image"),
                    ("▢", COLOURS["orange"], "region of the preview"),
                    ("○", COLOURS["yellow"], "sources"),
                    ("▢", COLOURS["red"], "masks"),
                ),
                self.note,
                self.area,
                W.HBox([self.center_button, self.survey], layout=W.Layout(flex_flow="row wrap")),
            ],
            layout=W.Layout(width="100%"),
        )
        self.add_class("dwb")
        self.layers = sky_layers(session, product)
        if aladin:
            self._start_aladin(patience_s)
        else:
            self._fall_back("")
        session.observe(self._changed, list(_WATCHED))
        self.refresh()

    # ---------------------------------------------------------------- which of the two
    def _start_aladin(self, patience_s: float) -> None:
        self.note.value = '<span class="dwb-soft">Waiting for Aladin Lite …</span>'
        ra, dec = self.layers.center
        self.aladin = AladinMap(
            self._aladin_came, self._aladin_missing, self.clicked, patience_s=patience_s, survey=BLANK,
            target=f"{ra} {dec}", fov=self._fov, height=self._size, projection="TAN",
            show_simbad_pointer_control=False, show_projection_control=False, show_share_control=False,
            layout=W.Layout(width="100%"),
        )  # fmt: skip
        self.area.children = (self.aladin,)

    def _aladin_came(self) -> None:
        self.reason, self.drawn_by = "", "aladin"
        self.note.value = '<span class="dwb-soft">A click on the sky sets the region of the preview.</span>'
        self.survey.layout.display = ""
        assert self.aladin is not None
        self.aladin.layout.display = ""
        self.area.children = (self.aladin,)
        self._forget()
        self.look()
        self.refresh()

    def _aladin_missing(self, why: str) -> None:
        if self.drawn_by != "plot":
            self._fall_back(why or "no reason was given")

    def _fall_back(self, why: str) -> None:
        self.plot = SkyPlot(self.clicked, self._size)
        # Aladin stays on the page, unseen: it may still come.
        hidden = () if self.aladin is None else (self.aladin,)
        if self.aladin is not None:
            self.aladin.layout.display = "none"
        self.area.children = (*hidden, self.plot)
        self.reason, self.drawn_by = why, "plot"
        told = "A click on the plot sets the region of the preview."
        if why:
            told = (
                f"Aladin Lite could not be loaded ({escape(why)}): it comes over the network from esm.sh. "
                f"Here is the same content, drawn without it. {told}"
            )
        self.note.value = f'<span class="dwb-soft">{told}</span>'
        self._forget()
        self.look()
        self.refresh()

    def _forget(self) -> None:
        self._image_of = None
        self._drawn.clear()

    @property
    def _canvas(self) -> Any:
        return {"aladin": self.aladin, "plot": self.plot}.get(self.drawn_by)

    # ---------------------------------------------------------------- what is shown
    @property
    def _fov(self) -> float:
        # Aladin counts its field across a view that is two to three times as wide as high.
        return (2.4 if self.drawn_by == "plot" else 5.6) * self.layers.radius_deg

    def look(self) -> None:
        """Show all exposures."""
        if self._canvas is not None:
            self._canvas.look_at(*self.layers.center, self._fov)

    def show_product(self, product: str) -> None:
        """Show another product; '' for the selected one."""
        self._product = product
        self.refresh()

    def _changed(self, _: Any) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Bring the view up to date with the session, soon."""
        if self._worker is None:
            self.draw()
        else:
            self._worker.submit(Handle("draw", "sky", (), lambda _: self._draw_or_say()))

    def _draw_or_say(self) -> None:
        try:
            self.draw()
        except (DrizzlewbError, OSError) as error:
            self._say(str(error))

    def draw(self) -> None:
        """Bring the view up to date with the session, now."""
        layers = self.layers = sky_layers(self.session, self._product)
        canvas = self._canvas
        if canvas is None:
            return
        self._draw_image(canvas, layers.cutout)
        for name, paths, colour in (
            ("exposures", layers.footprints, COLOURS["sky"]),
            ("output", [p for p in (layers.grid,) if p is not None], COLOURS["green"]),
            ("masks", layers.masks, COLOURS["red"]),
            ("region", [p for p in (layers.region,) if p is not None], COLOURS["orange"]),
        ):
            if self._is_new(name, paths):
                canvas.draw_paths(name, paths, colour)
        if self._is_new("sources", [layers.sources]):
            canvas.draw_points("sources", layers.sources, COLOURS["yellow"])
        if layers.center != self._looked_at:
            self._looked_at = layers.center
            self.look()

    def _is_new(self, layer: str, paths: Sequence[Any]) -> bool:
        """Whether a layer differs from what is drawn: only then it is sent."""
        key = b";".join(np.ascontiguousarray(p, np.float64).tobytes() for p in paths)
        if self._drawn.get(layer) == key:
            return False
        self._drawn[layer] = key
        return True

    def _draw_image(self, canvas: Any, cutout: Any) -> None:
        if cutout is None or cutout is self._image_of:
            return
        frame = preview_frame(cutout)
        low, high = stretching.limits(frame.sample(), "99.5 %")
        canvas.draw_image(tan_image(frame, cutout.grid) if self.drawn_by == "aladin" else frame, low, high)
        self._image_of = cutout

    def _survey(self, name: str) -> None:
        if self.aladin is not None:
            self.aladin.survey = SURVEYS[name]

    # ---------------------------------------------------------------- clicks
    def clicked(self, ra: float, dec: float) -> None:
        """Set the region of the preview around a point, as a click does."""
        try:
            self.session.select(center=(float(ra), float(dec)))
            if self.session.state.names:
                self.session.preview(self._product or None)
        except DrizzlewbError as error:
            self._say(str(error))

    def _say(self, text: str) -> None:
        if self._on_error is not None:
            self._on_error(text)
        else:
            self.note.value = f'<span class="dwb-why">{escape(text)}</span>'

    def close(self) -> None:
        """Stop watching the session."""
        if self.comm is None:  # closed before; ipywidgets closes again when it is collected
            return
        self.session.unobserve(self._changed, list(_WATCHED))
        super().close()
