"""Looks into a product: masks of a box of a chip, and why a pixel is so. Nothing of it is a step."""

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from drizzlewb.errors import DataError, DrizzlewbError
from drizzlewb.grid import Region
from drizzlewb.reduction.engine import Reduction
from drizzlewb.session.cache import Result
from drizzlewb.session.keys import ProductKeys
from drizzlewb.session.making import Makers, ProductJob
from drizzlewb.session.runs import Runs, finished, refused
from drizzlewb.session.work import Handle, Worker

if TYPE_CHECKING:
    from drizzlewb.session.session import Session

__all__ = ["Looks"]


class _Lane:
    """A worker of its own, in which the newest request wins, with the reductions that its thread uses."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.worker = Worker(f"drizzlewb-{kind}", newest_wins=True)
        self.held: OrderedDict[str, Reduction] = OrderedDict()
        self.latest: tuple[str, Handle] | None = None


class Looks(Runs):
    """Work of one session, with what is only looked at.

    Parameters
    ----------
    session : Session
    makers : Makers
    """

    def __init__(self, session: "Session", makers: Makers) -> None:
        super().__init__(session, makers)
        self._masks, self._why, self._cores = _Lane("masks"), _Lane("why"), _Lane("cores")
        self.workers += [lane.worker for lane in (self._masks, self._why, self._cores)]

    def masks(self, name: str, exposure: str, extver: int, box: Region) -> Handle:
        """See `Session.preview_masks`."""

        def key(keys: ProductKeys) -> str:
            return f"{keys.steps['crmask']}:{exposure}:{extver}:{tuple(box)}"

        def make(reduction: Reduction, job: ProductJob) -> Any:
            return self.makers.masked(reduction, _number(job, exposure, extver), box)

        return self._look(self._masks, name, key, make)

    def why(self, name: str, x: int, y: int) -> Handle:
        """See `Session.why`."""
        return self._look(
            self._why,
            name,
            lambda keys: f"{keys.pixels}:{x}:{y}",
            lambda reduction, _: self.makers.why(reduction, x, y),
        )

    def cores(self, name: str) -> Handle:
        """See `Session.star_cores`."""
        return self._look(
            self._cores,
            name,
            lambda keys: keys.steps["crmask"],
            lambda reduction, _: self.makers.cores(reduction),
        )

    def cores_known(self, name: str) -> Any:
        """Result of `cores` for the present parameters, or None."""
        try:
            key = self.session.derived.product(name).steps["crmask"]
        except DrizzlewbError:
            return None
        found = self.session.cache.get("cores", key)
        return None if found is None else found.value

    def _look(
        self,
        lane: _Lane,
        name: str,
        key_of: Callable[[ProductKeys], str],
        make: Callable[[Reduction, ProductJob], Any],
    ) -> Handle:
        session, kind = self.session, lane.kind
        with session.lock:
            try:
                keys = session.derived.product(name)
                job = self.job(name, keys)
            except DrizzlewbError as error:
                return refused(kind, name, (kind,), error)
            key = key_of(keys)
            if lane.latest is not None and lane.latest[0] == key and not lane.latest[1].over:
                return lane.latest[1]  # two panels that show the same ask once
            self.give_way()
            cached = session.cache.get(kind, key)
            if cached is not None:
                for old in lane.worker.handles:
                    old.drop("superseded")
                return finished(kind, name, (kind,), cached.value)

            def work(handle: Handle, note: Callable[[str], None]) -> tuple[Any, list[Result]]:
                note(kind)
                value = make(self._reduction(job, keys, handle, lane.held), job)
                return value, [Result(kind, key, value)]

            handle = self.submit(lane.worker, kind, name, (kind,), {kind: key}, work)
            lane.latest = (key, handle)
            return handle


def _number(job: ProductJob, exposure: str, extver: int) -> int:
    """Number of a chip in the stack of a product."""
    chips = [(e.rootname, c.extver) for e in job.exposures for c in e.chips]
    if (exposure, extver) not in chips:
        msg = f"Product {job.name} has no chip {exposure!r}[SCI,{extver}]: it is made of " + ", ".join(
            f"{root}[SCI,{number}]" for root, number in chips
        )
        raise DataError(msg)
    return chips.index((exposure, extver))
