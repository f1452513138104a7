"""The session's work: what runs, what it made, and the one place where results come in."""

import dataclasses
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drizzlewb.errors import Cancelled, DataError, DrizzlewbError, ParameterError
from drizzlewb.grid import Region
from drizzlewb.reduction.engine import Reduction
from drizzlewb.reduction.prepass import PrePass
from drizzlewb.session.cache import Result
from drizzlewb.session.keys import ALIGNMENT_STEPS, PRODUCT_STEPS, ProductKeys
from drizzlewb.session.known import Known, preview_key
from drizzlewb.session.making import Makers, ProductJob
from drizzlewb.session.work import Handle, Worker

if TYPE_CHECKING:
    from drizzlewb.session.session import Session

__all__ = ["Runs", "finished", "refused"]

log = logging.getLogger(__name__)

_PREPASSES = 4
_REDUCTIONS = 3
_PROGRESS_S = 0.1
REST_S = 0.4
"""Seconds for which long work rests when somebody clicks: a page is drawn anew in about half of that."""


class Runs(Known):
    """Work of one session and what came of it.

    Parameters
    ----------
    session : Session
    makers : Makers
        Who does the work.
    """

    def __init__(self, session: "Session", makers: Makers) -> None:
        super().__init__(session)
        self.makers = makers
        self._long = Worker("drizzlewb-run", steps_back=True)
        self._quick = Worker("drizzlewb-preview", newest_wins=True)
        self.aside = Worker("drizzlewb-trial")
        self.workers = [self._long, self._quick, self.aside]
        self._prepasses: OrderedDict[str, PrePass] = OrderedDict()
        self._reductions: OrderedDict[str, Reduction] = OrderedDict()
        self._last_progress = 0.0

    # ---------------------------------------------------------------- what is known
    @property
    def handles(self) -> list[Handle]:
        """Work that runs or waits."""
        return [h for worker in self.workers for h in worker.handles if not h.over]

    def cancel(self) -> None:
        """Stop all work."""
        for handle in self.handles:
            handle.cancel()

    def give_way(self) -> None:
        """Let long work rest for `REST_S`: somebody has clicked and waits."""
        for handle in self._long.handles:
            handle.cancelling.rest(REST_S)

    # ---------------------------------------------------------------- asking for work
    def align(self) -> Handle:
        """See `Session.align`."""
        session = self.session
        with session.lock:
            session.derived.refresh()
            exposures, plan = session.derived.members(), session.state.alignment
            keys = session.derived.alignment()
            done = self.result("alignment", "solution")
            if done is not None:
                return finished("align", "alignment", ALIGNMENT_STEPS, done)
            sources = self.result("alignment", "sources")

            def work(handle: Handle, note: Callable[[str], None]) -> tuple[Any, list[Result]]:
                note("sources" if sources is None else "solution")
                solution, found = self.makers.align(exposures, plan, sources, handle)
                return solution, [
                    Result("sources", keys["sources"], found),
                    Result("solution", keys["solution"], solution),
                ]

            return self.submit(self._long, "align", "alignment", ALIGNMENT_STEPS, keys, work)

    def run(self, name: str, step: str) -> Handle:
        """See `Session.run`."""
        if step not in PRODUCT_STEPS:
            msg = f"There is no step {step!r}: expected one of {', '.join(PRODUCT_STEPS)}."
            raise ParameterError(msg)
        steps = PRODUCT_STEPS[: PRODUCT_STEPS.index(step) + 1]
        session = self.session
        with session.lock:
            session.derived.refresh()
            try:
                keys = session.derived.product(name)
                job = self.job(name, keys)
            except DrizzlewbError as error:
                session.publish()
                return refused("run", name, steps, error)
            found = self.result(name, step)
            if found is not None:
                session.cache.touch(keys.steps[step])
                return finished("run", name, steps, found)

            def work(handle: Handle, note: Callable[[str], None]) -> tuple[Any, list[Result]]:
                return self._make(job, keys, steps, handle, note)

            wanted = {s: keys.steps[s] for s in steps if s not in keys.off}
            return self.submit(self._long, "run", name, steps, wanted, work)

    def _make(
        self,
        job: ProductJob,
        keys: ProductKeys,
        steps: tuple[str, ...],
        handle: Handle,
        note: Callable[[str], None],
    ) -> tuple[Any, list[Result]]:
        """Make the steps of a product, in the worker's thread."""
        results = []
        value: Any = None
        reduction: Any = None
        for step in steps:
            if step in keys.off:
                continue
            note(step)
            started = time.perf_counter()
            if reduction is None:
                reduction = self.makers.reduction(self.with_prepass(job, keys), handle)
                self.keep_prepass(job, keys, reduction)
            if step == "sky":
                value = reduction.prepare()
            elif step == "median":
                self.makers.median(reduction)
                value = reduction
            elif step == "crmask":
                self.makers.masks(reduction)
                value = reduction
            else:
                value = self.makers.product(job, reduction)
            results.append(Result(step, keys.steps[step], value, time.perf_counter() - started))
        return value, results

    def preview(
        self,
        name: str,
        center: tuple[float, float] | None,
        size: int | tuple[int, int] | None,
        region: Region | None,
    ) -> Handle:
        """See `Session.preview`."""
        session = self.session
        with session.lock:
            try:
                keys = session.derived.product(name)
                region = self.region(keys, center, size, region)
                job = self.job(name, keys)
            except DrizzlewbError as error:
                session.publish()
                return refused("preview", name, ("preview",), error)
            key = preview_key(keys, region)
            self.regions[name] = region
            self.give_way()
            cached = session.cache.get("preview", key)
            if cached is not None:
                for old in self._quick.handles:
                    old.drop("superseded")
                session.publish()
                return finished("preview", name, ("preview",), cached.value)

            def work(handle: Handle, note: Callable[[str], None]) -> tuple[Any, list[Result]]:
                note("preview")
                started = time.perf_counter()
                cutout = self.makers.preview(self._reduction(job, keys, handle), region)
                return cutout, [Result("preview", key, cutout, time.perf_counter() - started)]

            return self.submit(self._quick, "preview", name, ("preview",), {"preview": key}, work)

    def region(
        self,
        keys: ProductKeys,
        center: tuple[float, float] | None,
        size: int | tuple[int, int] | None,
        region: Region | None,
    ) -> Region:
        """Output pixels that are meant: see `Session.preview`."""
        grid, selection = keys.grid, self.session.selection
        if region is None:
            center = center if center is not None else selection.center
            size = size if size is not None else selection.size
            ny, nx = (size, size) if isinstance(size, int) else size
            if center is not None:
                return grid.region_around(*center, (ny, nx))
            y0, x0 = (grid.shape[0] - ny) // 2, (grid.shape[1] - nx) // 2
            region = Region(y0, y0 + ny, x0, x0 + nx)
        region = Region(*region).clip(grid.shape)
        if region.empty:
            msg = f"The region asked for lies outside the output grid, whose shape (y, x) is {grid.shape}."
            raise DataError(msg)
        return region

    def job(self, name: str, keys: ProductKeys) -> ProductJob:
        """Everything that a run or a preview of a product needs, as it is set now."""
        session, state = self.session, self.session.state
        plan = state.product(name)
        exposures = session.derived.stack(plan)
        parameters = self.effective(name).replace(update_inputs=False)
        return ProductJob(
            name,
            plan.stem,
            exposures,
            parameters,
            keys.grid,
            session.cache.arrays,
            session.cache.product_folder(keys.steps["product"]),
            self.decisions(plan.members),
        )

    def decisions(self, members: Sequence[str]) -> dict[str, Any]:
        """What was decided by hand and bears on a product, for its record."""
        state = self.session.state
        decisions: dict[str, Any] = {}
        masks = [m.to_dict() for m in state.masks if m.exposure in members]
        if masks:
            decisions["masks"] = masks
        accepted = state.alignment.accepted
        if accepted is not None and any(c.exposure in members for c in accepted.chips):
            decisions["alignment"] = {
                "accepted": sorted({c.exposure for c in accepted.chips if c.exposure in members}),
                "reference": accepted.reference,
                "rejected_stars": [dataclasses.asdict(star) for star in state.alignment.rejected],
            }
        return decisions

    # ---------------------------------------------------------------- in the worker's thread
    def with_prepass(self, job: ProductJob, keys: ProductKeys) -> ProductJob:
        """Job with the pre-pass that is known for it."""
        with self.session.lock:
            return dataclasses.replace(job, prepass=self._prepasses.get(_prepass_key(job, keys)))

    def keep_prepass(self, job: ProductJob, keys: ProductKeys, reduction: Reduction) -> None:
        """Keep the pre-pass of a reduction for the next one of the same key."""
        prepass = reduction.prepare()
        with self.session.lock:
            key = _prepass_key(job, keys)
            self._prepasses[key] = prepass
            self._prepasses.move_to_end(key)
            while len(self._prepasses) > _PREPASSES:
                self._prepasses.popitem(last=False)

    def _reduction(
        self,
        job: ProductJob,
        keys: ProductKeys,
        handle: Handle,
        held: "OrderedDict[str, Reduction] | None" = None,
    ) -> Reduction:
        """Reduction of a preview: the one before if only the region changed.

        One thread calls this for each `held`: a reduction tells one handle of its progress at a time.
        """
        held = self._reductions if held is None else held
        reduction = held.get(keys.pixels)
        if reduction is None:
            reduction = self.again(job, held) or self.makers.reduction(self.with_prepass(job, keys), handle)
            self.keep_prepass(job, keys, reduction)
            with self.session.lock:
                # A slider that is dragged must not push the reductions of other products out.
                for key in [k for k, r in held.items() if shares(r, reduction)]:
                    del held[key]
                held[keys.pixels] = reduction
                while len(held) > _REDUCTIONS:
                    held.popitem(last=False)
        with self.session.lock:
            held.move_to_end(keys.pixels)
        reduction.cancel, reduction.progress = handle.cancelling, handle.report
        return reduction

    def again(self, job: ProductJob, held: Mapping[str, Reduction] | None = None) -> Reduction | None:
        """Reduction that shares with an earlier one all but masks and product; None if there is none."""
        with self.session.lock:
            known = [*self._reductions.values(), *(held or {}).values()]
        return next((r for r in (self.makers.again(e, job) for e in reversed(known)) if r is not None), None)

    def submit(
        self,
        worker: Worker,
        kind: str,
        where: str,
        steps: tuple[str, ...],
        wanted: dict[str, str],
        work: Callable[[Handle, Callable[[str], None]], tuple[Any, list[Result]]],
    ) -> Handle:
        """Have work done by a worker; its results come in by `commit`."""
        at = [steps[0]]

        def note(step: str) -> None:
            at[0] = step

        def do(handle: Handle) -> Any:
            try:
                value, results = work(handle, note)
            except Cancelled:
                raise
            except Exception as error:
                self._fail(handle, at[0], wanted, error)
                raise
            self.commit(handle, results, value)
            return value

        handle = Handle(kind, where, steps, do)
        for step in wanted:
            self.errors.pop((step, wanted[step]), None)  # it is tried again
        self.wanted[id(handle)] = wanted
        handle.on_change(self._changed)
        worker.submit(handle)
        self.session.publish()
        return handle

    def commit(self, handle: Handle, results: Sequence[Result], value: Any) -> None:
        """Take results in: the only place where they come into the session.

        A result of parameters that are no longer set is kept and not shown. Of cancelled work nothing is
        kept.

        Raises
        ------
        Cancelled
            The handle was cancelled or superseded meanwhile.
        """
        with self.session.lock:
            if not handle.settle("done", value):
                msg = f"{handle!r}: its result is not taken in."
                raise Cancelled(msg)
            self.wanted.pop(id(handle), None)
            pinned = self.pinned()
            for result in results:
                if result.value is None:
                    continue
                self.session.cache.put(result, pinned)
                self.errors.pop((result.step, result.key), None)
                if result.step in (*ALIGNMENT_STEPS, *PRODUCT_STEPS):
                    self.made[handle.where, result.step] = result.key
            self.session.cache.tidy(pinned)
            self.session.publish()

    def _fail(self, handle: Handle, step: str, wanted: dict[str, str], error: Exception) -> None:
        """Keep an error as the readable result of the step, or of the next one that is not there yet."""
        if isinstance(error, DrizzlewbError):
            sentence = str(error)
        elif isinstance(error, OSError):
            sentence = f"The system refused: {error}. Check the disk and the files, then run again."
        elif isinstance(error, MemoryError):
            sentence = "The machine has too little memory left: lower memory_budget_mb, or close others."
        else:
            sentence = f"This is a failure of drizzlewb itself: {type(error).__name__}: {error}."
            log.error("%r failed", handle, exc_info=error)
        with self.session.lock:
            if handle.settle("failed", error=error):
                self.wanted.pop(id(handle), None)
                names = list(wanted)
                for name in names[names.index(step) :] if step in wanted else names[-1:]:
                    if not self.session.cache.has(name, wanted[name]):
                        self.errors[name, wanted[name]] = sentence
                        break
                self.session.publish()

    def _changed(self, handle: Handle) -> None:
        """Follow a handle: its progress, and its end."""
        session = self.session
        if handle.state == "running":
            now = time.monotonic()
            if handle.kind not in ("align", "run", "cores") or now - self._last_progress < _PROGRESS_S:
                return
            self._last_progress = now
            with session.lock:
                session.set_trait("progress", handle.progress)
            return
        with session.lock:
            if handle.over:
                self.wanted.pop(id(handle), None)
                if not self.handles:
                    session.set_trait("progress", ())
            session.publish()

    # ---------------------------------------------------------------- the user's files
    def apply_alignment(self, folder: str | Path | None, keywords: dict[str, Any]) -> list[Any]:
        """See `Session.apply_alignment`."""
        session = self.session
        with session.lock:
            solution = session.solution
            if solution is None:
                msg = "There is no alignment for the present parameters: align first."
                raise DataError(msg)
            keywords.setdefault("shiftfile", session.alignment_parameters.shiftfile)
            try:
                changes = solution.apply(folder=folder, **keywords)
            finally:
                session.reload()
            return changes


def shares(one: Reduction, other: Reduction) -> bool:
    """Whether two reductions have the same median, so that each is soon made from the other."""
    mine, theirs = getattr(one, "keys", None), getattr(other, "keys", None)
    if mine is None or theirs is None:
        return False
    return all(mine[name] == theirs[name] for name in ("prepass", "median"))


def _prepass_key(job: ProductJob, keys: ProductKeys) -> str:
    """A pre-pass also holds the flats of IVM weights."""
    return keys.steps["sky"] + ("-ivm" if job.parameters.final.final_wht_type == "IVM" else "")


def finished(kind: str, where: str, steps: tuple[str, ...], value: Any) -> Handle:
    """Work that need not be done: its result is there."""
    handle = Handle(kind, where, steps, lambda _: value)
    handle.run()
    return handle


def refused(kind: str, where: str, steps: tuple[str, ...], error: Exception) -> Handle:
    """Work that cannot begin."""
    handle = Handle(kind, where, steps, lambda _: None)
    handle.settle("failed", error=error)
    handle.run()
    return handle
