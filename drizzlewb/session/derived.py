"""What follows from a state: stacks of exposures, keys, and whether each step is fresh."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from drizzlewb.errors import DataError, DrizzlewbError
from drizzlewb.exposure import Exposure
from drizzlewb.grid import OutputGrid
from drizzlewb.session.keys import ProductKeys, alignment_keys, product_grids, product_keys
from drizzlewb.session.making import with_solutions
from drizzlewb.session.state import ProductPlan, State

__all__ = ["Derived", "StepStatus"]

_REMEMBERED = 200


@dataclass(frozen=True)
class StepStatus:
    """How a step stands.

    Attributes
    ----------
    where : str
        'alignment' or the name of a product.
    step : str
        One of `drizzlewb.session.keys.ALIGNMENT_STEPS` or `PRODUCT_STEPS`.
    state : str
        'empty' (never made), 'stale' (made, for other inputs or parameters), 'running', 'done', 'failed'
        or 'off' (switched off by the parameters).
    message : str
        Why it failed, in one sentence; '' otherwise.
    key : str
        Key of its inputs and parameters as they are now; '' where they are impossible.
    """

    where: str
    step: str
    state: str
    message: str = ""
    key: str = ""


class _Memory:
    """Values of pure functions, by their arguments; errors that were raised are kept as values."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        if key in self._values:
            self._values.move_to_end(key)
        else:
            try:
                self._values[key] = make()
            except DrizzlewbError as error:
                self._values[key] = error
            if len(self._values) > _REMEMBERED:
                self._values.popitem(last=False)
        value = self._values[key]
        if isinstance(value, DrizzlewbError):
            raise value
        return value

    def forget(self, kind: str) -> None:
        for key in [k for k in self._values if isinstance(k, tuple) and k[0] == kind]:
            del self._values[key]


class Derived:
    """What follows from the exposures and a state.

    Parameters
    ----------
    exposures : mapping
        Root name to Exposure, as they came.
    state : State
    before : Derived, optional
        Whose work is taken over.
    """

    def __init__(
        self, exposures: Mapping[str, Exposure], state: State, before: "Derived | None" = None
    ) -> None:
        self.exposures = dict(exposures)
        self.state = state
        self._products: dict[str, ProductKeys] = {}
        self._memory: _Memory = before._memory if before is not None else _Memory()

    def exposure(self, rootname: str) -> Exposure:
        """Return the exposure of this root name, as it came.

        Raises
        ------
        DataError
            It is not loaded.
        """
        if rootname not in self.exposures:
            msg = f"Exposure {rootname!r} is not loaded; there are {', '.join(self.exposures) or 'none'}."
            raise DataError(msg)
        return self.exposures[rootname]

    def drawn(self, rootname: str) -> Exposure:
        """Return an exposure with its masks drawn on it."""
        exposure = self.exposure(rootname)
        masks = tuple(m for m in self.state.masks if m.exposure == rootname)
        if not masks:
            return exposure
        return self._memory.get(("drawn", id(exposure), exposure, masks), lambda: exposure.with_drawn(masks))

    def final_exposure(self, rootname: str) -> Exposure:
        """Return an exposure with drawn masks and accepted WCS: what products are made of."""
        accepted = self.state.alignment.accepted
        exposure = self.drawn(rootname)
        if accepted is None:
            return exposure
        own = tuple(c for c in accepted.chips if c.exposure == rootname)
        return self._memory.get(("final", exposure, own), lambda: with_solutions(exposure, own))

    def stack(self, plan: ProductPlan) -> tuple[Exposure, ...]:
        """Return the exposures of a product."""
        return tuple(self.final_exposure(name) for name in plan.members)

    def refresh(self) -> None:
        """Look at the files again: those that parameters name may have changed, or be there by now."""
        self._products.clear()
        self._memory.forget("product")
        self._memory.forget("grids")
        self._memory.forget("alignment")

    def product(self, name: str) -> ProductKeys:
        """Keys of a product.

        Raises
        ------
        DataError, ParameterError
            It cannot be made; see `drizzlewb.session.keys.product_keys`.
        """
        if name in self._products:
            return self._products[name]
        plan = self.state.product(name)
        other = self.state.reference_of(plan)
        reference = self.product(other).grid if other else None
        stack, p = self.stack(plan), plan.parameters

        def grids() -> tuple[OutputGrid, OutputGrid]:
            frame = (p.general, p.instrument, p.separate_grid, p.final_grid)
            what = ("grids", stack, frame, reference)
            return self._memory.get(what, lambda: product_grids(stack, p, reference))

        def make() -> ProductKeys:
            return product_keys(stack, p, reference, grids)

        self._products[name] = self._memory.get(("product", stack, p, reference), make)
        return self._products[name]

    def members(self) -> tuple[Exposure, ...]:
        """Exposures of the alignment, in order."""
        names = self.state.alignment.members or tuple(self.exposures)
        return tuple(self.drawn(name) for name in names)

    def alignment(self) -> dict[str, str]:
        """Keys of the alignment's steps."""
        plan, members = self.state.alignment, self.members()
        # The accepted solution does not feed the alignment.
        what = ("alignment", members, plan.parameters, plan.rejected)
        return self._memory.get(what, lambda: alignment_keys(members, plan))
