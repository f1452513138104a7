"""What a session knows of its steps: fresh results, status, previews to show."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drizzlewb.errors import DrizzlewbError, ParameterError
from drizzlewb.grid import Region
from drizzlewb.parameters import ReduceParameters
from drizzlewb.reduction.run import Cutout
from drizzlewb.session.cache import Result
from drizzlewb.session.derived import StepStatus
from drizzlewb.session.files import recall
from drizzlewb.session.keys import ALIGNMENT_STEPS, PRODUCT_STEPS, ProductKeys
from drizzlewb.session.work import Handle

if TYPE_CHECKING:
    from drizzlewb.session.session import Session

__all__ = ["Known", "Shown", "preview_key"]


@dataclass(frozen=True, eq=False)
class Shown:
    """A preview that is shown.

    Attributes
    ----------
    product : str
    cutout : Cutout
    fresh : bool
        Whether it was made for the present parameters.
    """

    product: str
    cutout: Cutout = dataclasses.field(repr=False)
    fresh: bool = True


class Known:
    """What is known of one session's steps; all of it is derived by comparing keys.

    Attributes
    ----------
    made : dict
        (where, step) to the key of the last result that came in.
    errors : dict
        (step, key) to the sentence that says why it failed.
    regions, previews : dict
        Product to the region that is shown, and to the last preview that was.
    wanted : dict
        Id of a handle to the steps and keys that it makes, while it runs.
    """

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.made: dict[tuple[str, str], str] = {}
        self.errors: dict[tuple[str, str], str] = {}
        self.regions: dict[str, Region] = {}
        self.previews: dict[str, Cutout] = {}
        self.wanted: dict[int, dict[str, str]] = {}

    @property
    def handles(self) -> list[Handle]:
        """Work that runs or waits."""
        raise NotImplementedError

    def renamed(self, old: str, new: str) -> None:
        """Let what is known of a product follow its name; the old name keeps it for undo."""
        if old in self.regions:
            self.regions[new] = self.regions[old]
        if old in self.previews:
            self.previews[new] = self.previews[old]
        for (where, step), key in list(self.made.items()):
            if where == old:
                self.made[new, step] = key

    def keys_of(self, where: str) -> dict[str, str]:
        """Step to key of a product or of the alignment, as they are set now."""
        derived = self.session.derived
        return derived.alignment() if where == "alignment" else dict(derived.product(where).steps)

    def effective(self, name: str) -> ReduceParameters:
        """Parameters of a product for records and scripts: files take the place of names of products."""
        state = self.session.state
        plan = state.product(name)
        parameters = plan.parameters.replace(output=plan.stem)
        other = state.reference_of(plan)
        if other:
            reference = state.product(other)
            suffix = self.session.derived.exposure(reference.members[0]).product_suffix
            end = f"{suffix}.fits" if reference.parameters.general.build else f"{suffix}_sci.fits"
            parameters = parameters.replace(final_refimage=f"{reference.stem}_{end}")
        return parameters

    def result(self, where: str, step: str) -> Any:
        """Fresh value of a step, or None."""
        try:
            key = self.keys_of(where).get(step)
        except DrizzlewbError:
            return None
        if key is None:
            steps = ALIGNMENT_STEPS if where == "alignment" else PRODUCT_STEPS
            msg = f"There is no step {step!r} of {where}: expected one of {', '.join(steps)}."
            raise ParameterError(msg)
        found = self.session.cache.get(step, key)
        return None if found is None else found.value

    def last(self, where: str, step: str) -> Any:
        """Value of a step to look at: the fresh one, else the last that was made, or None.

        The last one may be of other parameters: `status_of` says so. It may be gone from the cache.
        """
        fresh = self.result(where, step)
        if fresh is not None:
            return fresh
        found = self.session.cache.get(step, self.made.get((where, step), ""))
        return None if found is None else found.value

    def statuses(self) -> tuple[StepStatus, ...]:
        """How every step stands."""
        found = []
        if self.session.derived.exposures:
            found += [self._status("alignment", step) for step in ALIGNMENT_STEPS]
        for name in self.session.state.names:
            found += [self._status(name, step) for step in PRODUCT_STEPS]
        return tuple(found)

    def _status(self, where: str, step: str) -> StepStatus:
        try:
            if where == "alignment":
                key, off = self.session.derived.alignment()[step], False
            else:
                keys = self.session.derived.product(where)
                key, off = keys.steps[step], step in keys.off
        except DrizzlewbError as error:
            return StepStatus(where, step, "failed", str(error))
        cache = self.session.cache
        if off:
            return StepStatus(where, step, "off", key=key)
        if step == "product" and not cache.has(step, key):
            again = recall(cache, key)
            if again is not None:
                cache.put(Result(step, key, again))
        if cache.has(step, key):
            return StepStatus(where, step, "done", key=key)
        if any(h.where == where and self.wanted.get(id(h), {}).get(step) == key for h in self.handles):
            return StepStatus(where, step, "running", key=key)
        if (step, key) in self.errors:
            return StepStatus(where, step, "failed", self.errors[step, key], key)
        return StepStatus(where, step, "stale" if (where, step) in self.made else "empty", key=key)

    def shown(self) -> dict[str, Shown]:
        """Previews to show: those of the present parameters where they are there."""
        found: dict[str, Shown] = {}
        for name in self.session.state.names:
            region, cutout = self.regions.get(name), self.previews.get(name)
            fresh = False
            if region is not None:
                try:
                    key = preview_key(self.session.derived.product(name), region)
                except DrizzlewbError:
                    key = ""
                cached = self.session.cache.get("preview", key)
                if cached is not None:
                    cutout, fresh = cached.value, True
                    self.previews[name] = cutout
            if cutout is not None:
                old = self.session.shown.get(name)
                if old is None or old.cutout is not cutout or old.fresh != fresh:
                    old = Shown(name, cutout, fresh)
                found[name] = old
        return found

    def pinned(self) -> set[str]:
        """Keys that the present state, or running work, needs."""
        keys = {status.key for status in self.statuses()}
        for wanted in self.wanted.values():
            keys |= set(wanted.values())
        return keys


def preview_key(keys: ProductKeys, region: Region) -> str:
    """Key of one region of a product."""
    return f"{keys.pixels}:{tuple(region)}"
