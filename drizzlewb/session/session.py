"""The session: the reactive state that all panels share, usable without any."""

import dataclasses
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import traitlets as tr
from astropy.table import Table

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import (
    Exposure,
    Warning_,
    check,
    exposure_table,
    read_exposures,
)
from drizzlewb.grid import Region
from drizzlewb.session import display
from drizzlewb.session.cache import Cache
from drizzlewb.session.derived import Derived, StepStatus
from drizzlewb.session.history import Change, History
from drizzlewb.session.looks import Looks
from drizzlewb.session.making import Makers
from drizzlewb.session.planned import Planned, planned
from drizzlewb.session.state import ProductPlan, Selection, State, first_plans
from drizzlewb.session.trials import Trials
from drizzlewb.session.userfiles import UserFiles
from drizzlewb.session.work import Handle

__all__ = ["Session"]

log = logging.getLogger(__name__)


class Session(UserFiles):
    """Exposures, their alignment, and the products made of them.

    Every panel observes it, and changes it by one call. Nothing is written to the user's files until
    `write`, `update_inputs`, `apply_alignment`, `activate_wcs` or `revert_wcs` is called. All methods may
    be called from any thread; two sessions share nothing.

    Parameters
    ----------
    exposures : sequence of Exposure, or what `drizzlewb.read_exposures` takes
        Several filters and detectors may be mixed: each makes a product of its own at first.
    folder : path, optional
        Where scratch files and unwritten products lie; they stay and are found again by a later session.
        Default, a temporary folder that goes with the session.
    memory_mb, disk_gb : float
        Limits of the cache.

    Attributes
    ----------
    state : State
        Parameters and decisions now: an immutable value.
    status : tuple of StepStatus
        How each step stands.
    selection : Selection
        Shared by the panels; set it with `select`.
    shown : dict
        Product name to the `Shown` preview.
    trials : Trials
        What is measured aside, before a product is made.
    progress : tuple
        (step, done, total, message) of running work.
    busy : bool
        Whether work is running.
    undo_name, redo_name : str
        What `undo` and `redo` would do.

    Raises
    ------
    DataError
        See `drizzlewb.read_exposures`.
    """

    status: tuple[StepStatus, ...] = tr.Tuple(read_only=True)  # type: ignore[assignment]
    shown: dict = tr.Dict(read_only=True)  # type: ignore[assignment]
    progress: tuple = tr.Tuple(read_only=True)  # type: ignore[assignment]
    busy: bool = tr.Bool(False, read_only=True)  # type: ignore[assignment]
    undo_name: str = tr.Unicode(read_only=True)  # type: ignore[assignment]
    redo_name: str = tr.Unicode(read_only=True)  # type: ignore[assignment]

    def __init__(
        self,
        exposures: Any = (),
        *,
        folder: Path | str | None = None,
        memory_mb: float = 1000.0,
        disk_gb: float = 20.0,
        makers: Makers | None = None,
    ) -> None:
        super().__init__()
        self.lock = threading.RLock()
        self.set_trait("state", State())
        self.set_trait("selection", Selection())
        self.cache = Cache(Path(folder) if folder is not None else None, memory_mb=memory_mb, disk_gb=disk_gb)
        self.history = History()
        self.notes: list[str] = []
        self.warnings: list[Warning_] = []
        self.derived = Derived({}, self.state)
        self.runs = Looks(self, makers or Makers())
        self.trials = Trials(self)
        if not isinstance(exposures, (tuple, list)) or exposures:
            self._load(exposures)
        self.publish()

    # ---------------------------------------------------------------- exposures
    @property
    def exposures(self) -> tuple[Exposure, ...]:
        """All exposures, as they came."""
        return tuple(self.derived.exposures.values())

    @property
    def table(self) -> Table:
        """Exposures as a table for people."""
        return exposure_table(self.exposures)

    def load(self, exposures: Any) -> None:
        """Load more exposures; they join the product of their filter and detector, or make one.

        Raises
        ------
        DataError
            Unreadable files, or another file of a root name that is loaded.
        """
        with self.lock:
            before = self.state
            number = self._load(exposures)
            if self.state != before:
                name = f"load {number} exposure{'s' if number != 1 else ''}"
                self.history.add(name, "products", before, self.state)
            self.publish()

    def _load(self, exposures: Any) -> int:
        if isinstance(exposures, (str, Path)) or not all(isinstance(e, Exposure) for e in exposures):
            exposures = read_exposures(exposures, mixed_detectors=True)
        old = self.derived.exposures
        new: dict[str, Exposure] = {}
        for exposure in exposures:
            same = old.get(exposure.rootname, new.get(exposure.rootname))
            if same is not None and Path(same.path).resolve() != Path(exposure.path).resolve():
                msg = (
                    f"{exposure.path} has the root name {exposure.rootname} of {same.path}, which is loaded "
                    "already. A session holds each exposure once."
                )
                raise DataError(msg)
            if same is None:
                new[exposure.rootname] = exposure
        self.warnings = check([*old.values(), *new.values()])
        self.notes = [w.text for w in self.warnings]
        state = self.state
        for plan in first_plans(list(new.values()), state.names):
            state = self._joined(state, plan, {**old, **new})
        state.check()
        self.derived = Derived({**old, **new}, state, self.derived)
        self.set_trait("state", state)
        return len(new)

    @staticmethod
    def _joined(state: State, plan: ProductPlan, exposures: Mapping[str, Exposure]) -> State:
        """State with a first plan added, or its members added to the one product of their kind."""

        def kind(name: str) -> tuple[str, str]:
            return exposures[name].filters, exposures[name].detector

        alike = [p for p in state.products if {kind(m) for m in p.members} == {kind(plan.members[0])}]
        if len(alike) == 1:
            joined = dataclasses.replace(alike[0], members=(*alike[0].members, *plan.members))
            return state.replace_product(joined)
        return dataclasses.replace(state, products=(*state.products, plan))

    def reload(self) -> None:
        """Read the headers of all files again, with the WCS that they hold now."""
        with self.lock:
            fresh = {}
            for name, exposure in self.derived.exposures.items():
                found = read_exposures([exposure.path], mixed_detectors=True)
                again = [e for e in found if e.rootname == name]
                if not again:
                    msg = f"{exposure.path} no longer holds the exposure {name}."
                    raise DataError(msg)
                fresh[name] = dataclasses.replace(again[0], weight_map=exposure.weight_map)
            self.renew(fresh)

    def refresh(self) -> None:
        """Look again at the files that parameters name (``skyfile``, ``final_refimage`` ...).

        `run` and `align` do so by themselves.
        """
        with self.lock:
            self.derived.refresh()
            self.publish()

    def renew(self, exposures: Mapping[str, Exposure]) -> None:
        """Put other values of the loaded exposures in their place, as after their files were written."""
        with self.lock:
            self.derived = Derived({**self.derived.exposures, **exposures}, self.state, self.derived)
            self.publish()

    # ---------------------------------------------------------------- history
    def undo(self) -> str:
        """Take the last change back; its name, '' if there is none."""
        with self.lock:
            change = self.history.undo()
            if change is not None:
                self._replace(change.before)
                self.publish()
            return change.name if change else ""

    def redo(self) -> str:
        """Do the last undone change again; its name, '' if there is none."""
        with self.lock:
            change = self.history.redo()
            if change is not None:
                self._replace(change.after)
                self.publish()
            return change.name if change else ""

    @property
    def history_table(self) -> Table:
        """Every change, the oldest first: time (UT), where, change, state ('done' or 'undone')."""
        rows = self.history.rows()
        return Table({k: [row[k] for row in rows] for k in ("time", "where", "change", "state")})

    # ---------------------------------------------------------------- selection
    def select(self, **changes: Any) -> None:
        """Change the selection: product, exposures, stars, center, size, pixel; see `Selection`.

        With another product the pixel is let go, unless one is given: each product has its own grid.
        """
        with self.lock:
            if changes.get("product", self.selection.product) != self.selection.product:
                changes.setdefault("pixel", None)
            new = dataclasses.replace(self.selection, **changes)
            if new.product:
                self.state.product(new.product)
            for name in new.exposures:
                self.derived.exposure(name)
            self.set_trait("selection", new)

    # ---------------------------------------------------------------- work
    def align(self) -> Handle:
        """Align the exposures, in the background."""
        return self.runs.align()

    def run(self, product: str | None = None, step: str = "product") -> Handle:
        """Make a product, or the steps up to 'sky', 'median' or 'crmask', in the background.

        The product's files are kept in the session's cache; `write` brings them to the user's folder.
        Its inputs are not changed, whatever ``update_inputs`` says: call `update_inputs` for that.
        """
        return self.runs.run(self.product_name(product), step)

    def preview(
        self,
        product: str | None = None,
        *,
        center: tuple[float, float] | None = None,
        size: int | tuple[int, int] | None = None,
        region: Region | None = None,
    ) -> Handle:
        """Make one region of a product, in the background: the same bits as the product has there.

        The newest request wins: it supersedes those that wait or run.

        Parameters
        ----------
        product : str, optional
        center : (float, float), optional
            RA and Dec, degrees; default, the selection's, or the middle of the product.
        size : int or (int, int), optional
            Side, or (ny, nx), in output pixels; default, the selection's.
        region : Region, optional
            Output pixels, instead of `center` and `size`.
        """
        return self.runs.preview(self.product_name(product), center, size, region)

    def plan(self, product: str | None = None) -> Planned:
        """Output grid of a product, and what it takes on the disk, before any work.

        Raises
        ------
        DataError, ParameterError
            The product cannot be made with these parameters.
        """
        with self.lock:
            return planned(self.runs, self.product_name(product))

    def preview_masks(self, product: str | None, exposure: str, extver: int, box: Region) -> Handle:
        """Make the cosmic-ray mask of a box of a chip, in the background: the same bits as in a run.

        The newest request wins. The result is a `drizzlewb.steps.contributions.Masked`, with the chip's
        pixels and the blotted median beside the mask; only the median beneath is stored.

        Parameters
        ----------
        product : str or None
            None: the selected or the only one.
        exposure : str
            Root name.
        extver : int
            SCI extension of the chip.
        box : Region
            Zero-based chip pixels (y0, y1, x0, x1); it is clipped to the chip.
        """
        return self.runs.masks(self.product_name(product), exposure, int(extver), Region(*box))

    def star_cores(self, product: str | None = None) -> Handle:
        """Measure on whole chips how often star cores pass for cosmic rays, in the background.

        The result maps each root name, and 'all', to a `drizzlewb.steps.star_cores.StarCores`.
        """
        return self.runs.cores(self.product_name(product))

    def why(self, product: str | None, x: int, y: int, *, wait: bool = True) -> Any:
        """Every input pixel that reaches a pixel of a product, and what became of it.

        Parameters
        ----------
        product : str or None
            None: the selected or the only one.
        x, y : int
            Zero-based pixel of the product.
        wait : bool
            False: hand back the `Handle` of the work at once; the newest request wins.

        Returns
        -------
        Contributions or Handle
            See `drizzlewb.steps.contributions.Contributions`; its rows add up to the pixel.

        Raises
        ------
        DataError
            The pixel lies outside the product's grid, or the product cannot be made.
        """
        handle = self.runs.why(self.product_name(product), int(x), int(y))
        return handle.result() if wait else handle

    def cancel(self) -> None:
        """Stop all work; the session stays as it was before."""
        self.runs.cancel()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until no work is left."""
        for handle in self.runs.handles:
            handle.wait(timeout)

    def result(self, product: str | None = None, step: str = "product") -> Any:
        """Fresh result of a step, or None: a Product; a PrePass for 'sky'; a Reduction for the masks."""
        with self.lock:
            return self.runs.result(self.product_name(product), step)

    @property
    def solution(self) -> Any:
        """The alignment for the present parameters (`AlignedSolution`), or None."""
        with self.lock:
            return self.runs.result("alignment", "solution")

    def status_of(self, where: str, step: str = "product") -> StepStatus:
        """How a step of a product, or of the 'alignment', stands."""
        for status in self.status:
            if (status.where, status.step) == (where, step):
                return status
        msg = f"There is no step {step!r} of {where!r}."
        raise ParameterError(msg)

    def save(self, path: str | Path) -> None:
        """Save parameters, decisions, history and selection to one file; results stay in `folder`."""
        from drizzlewb.session.file import save

        save(self, path)

    @classmethod
    def open(cls, path: str | Path, *, folder: str | Path | None = None, **options: Any) -> "Session":
        """Open a saved session.

        Parameters
        ----------
        path : path
        folder : path, optional
            Where the exposures are now, if they were moved.
        **options
            As for `Session`; its ``folder`` is ``cache`` here.

        Raises
        ------
        DataError
            The file is missing, damaged, or no session; exposures are missing.
        ParameterError
            It was written by a later drizzlewb, or holds what this one does not understand.
        """
        from drizzlewb.session.file import open_session

        return open_session(cls, path, folder=folder, **options)

    def restore(
        self,
        exposures: Sequence[Exposure],
        state: State,
        past: Sequence[Change],
        future: Sequence[Change],
        selection: Selection,
        notes: Sequence[str] = (),
    ) -> None:
        """Take what a session file holds; for `open`."""
        with self.lock:
            self._load(exposures)
            for plan in state.products:
                self._check_members(plan)
            self._replace(state)
            self.history.past[:], self.history.future[:] = past, future
            self.set_trait("selection", selection)
            self.notes = [*notes, *self.notes]
            self.publish()

    # ---------------------------------------------------------------- seen from outside
    def publish(self) -> None:
        """Bring the traits up to date with what is known; observers are told what has changed."""
        with self.lock, self.hold_trait_notifications():
            if self.selection.product and self.selection.product not in self.state.names:
                self.set_trait("selection", dataclasses.replace(self.selection, product=""))
            self.set_trait("status", self.runs.statuses())
            self.set_trait("shown", self.runs.shown())
            self.set_trait("busy", bool(self.runs.handles))
            self.set_trait("undo_name", self.history.undo_name)
            self.set_trait("redo_name", self.history.redo_name)

    def __repr__(self) -> str:
        return display.text(self)

    def _repr_html_(self) -> str:
        return display.html(self)
