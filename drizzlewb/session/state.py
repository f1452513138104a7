"""What the user has set and decided: immutable values, so that undo is swapping them."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drizzlewb.errors import ParameterError
from drizzlewb.exposure import Drawn, Exposure
from drizzlewb.parameters import AlignParameters, ReduceParameters, reduce_parameters

__all__ = [
    "Accepted",
    "AlignmentPlan",
    "ChipSolution",
    "ProductPlan",
    "Selection",
    "Star",
    "State",
    "first_plans",
    "product_name",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")


@dataclass(frozen=True)
class Star:
    """A source that was brushed out of an alignment.

    Attributes
    ----------
    exposure : str
        Root name.
    extver : int
        SCI extension of its chip.
    x, y : float
        Zero-based px on the chip.
    """

    exposure: str
    extver: int
    x: float
    y: float


@dataclass(frozen=True)
class ChipSolution:
    """Accepted tangent point and matrix of one chip, exact.

    Attributes
    ----------
    exposure : str
        Root name.
    extver : int
        SCI extension.
    crval : (float, float)
        Degrees.
    cd : (float, float, float, float)
        CD1_1, CD1_2, CD2_1, CD2_2 in degrees per px.
    wcsname : str
        Name of the solution.
    """

    exposure: str
    extver: int
    crval: tuple[float, float]
    cd: tuple[float, float, float, float]
    wcsname: str


@dataclass(frozen=True)
class Accepted:
    """An alignment that the user has accepted: products use it until another is accepted.

    Attributes
    ----------
    key : str
        Key of the solution.
    reference : str
        Name of the reference.
    chips : tuple of ChipSolution
        Of the exposures that were aligned, and of the reference.
    """

    key: str
    reference: str
    chips: tuple[ChipSolution, ...]


@dataclass(frozen=True)
class AlignmentPlan:
    """How the exposures are aligned, and what was decided about it.

    Attributes
    ----------
    parameters : AlignParameters
    members : tuple of str
        Root names, in the order of alignment; empty for all exposures.
    rejected : tuple of Star
        Stars brushed out by hand.
    accepted : Accepted or None
        None: products use the exposures as they are.
    """

    parameters: AlignParameters = AlignParameters()
    members: tuple[str, ...] = ()
    rejected: tuple[Star, ...] = ()
    accepted: Accepted | None = None


@dataclass(frozen=True)
class ProductPlan:
    """One product: its exposures and its parameters.

    Attributes
    ----------
    name : str
        Letters, digits, ``_ . + -``; also the root name of its files unless ``output`` says another.
    members : tuple of str
        Root names, in stack order.
    parameters : ReduceParameters
    mixed : bool
        The explicit yes to several filters or detectors in one product.
    """

    name: str
    members: tuple[str, ...]
    parameters: ReduceParameters
    mixed: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in ("alignment", "masks"):
            msg = (
                f"{self.name!r} cannot name a product: give 1 to 64 letters, digits or _ . + - (and neither "
                "'alignment' nor 'masks')."
            )
            raise ParameterError(msg)
        if not self.members:
            msg = f"Product {self.name} has no exposures; name at least one."
            raise ParameterError(msg)
        twice = sorted({m for m in self.members if self.members.count(m) > 1})
        if twice:
            msg = f"Product {self.name}: {', '.join(twice)} is named twice."
            raise ParameterError(msg)

    @property
    def stem(self) -> str:
        """Root name of the product's files."""
        return re.split(r"[/\\]", self.parameters.general.output)[-1].strip() or self.name


@dataclass(frozen=True)
class Selection:
    """What is selected in the panels; it is shared by them, and no part of the history.

    Attributes
    ----------
    product : str
        Name of the product that panels show and `Session.set` changes.
    exposures : tuple of str
        Root names.
    stars : tuple of Star
    center : (float, float) or None
        RA and Dec of the previewed region, degrees.
    size : (int, int)
        Its shape (ny, nx) in output pixels.
    pixel : (int, int) or None
        Zero-based (x, y) of a pixel of the product, to be explained.
    """

    product: str = ""
    exposures: tuple[str, ...] = ()
    stars: tuple[Star, ...] = ()
    center: tuple[float, float] | None = None
    size: tuple[int, int] = (512, 512)
    pixel: tuple[int, int] | None = None


@dataclass(frozen=True)
class State:
    """All parameters and decisions of a session.

    Attributes
    ----------
    alignment : AlignmentPlan
    products : tuple of ProductPlan
    masks : tuple of Drawn
        Masks drawn by hand.
    """

    alignment: AlignmentPlan = AlignmentPlan()
    products: tuple[ProductPlan, ...] = ()
    masks: tuple[Drawn, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the products."""
        return tuple(p.name for p in self.products)

    def product(self, name: str) -> ProductPlan:
        """Return the product of this name.

        Raises
        ------
        ParameterError
            There is none.
        """
        for plan in self.products:
            if plan.name == name:
                return plan
        msg = f"There is no product {name!r}: there are {', '.join(self.names) or 'none yet'}."
        raise ParameterError(msg)

    def reference_of(self, plan: ProductPlan) -> str:
        """Name of the product whose grid this one takes; '' if it takes none."""
        name = plan.parameters.final_grid.final_refimage.strip()
        return name if name in self.names and plan.parameters.final_grid.final_wcs else ""

    def replace_product(self, plan: ProductPlan) -> "State":
        """Copy with one product changed."""
        return dataclasses.replace(
            self, products=tuple(plan if p.name == plan.name else p for p in self.products)
        )

    def check(self) -> None:
        """Refuse products of one name, and products that take their grids from each other in a ring.

        Raises
        ------
        ParameterError
        """
        for name in self.names:
            if self.names.count(name) > 1:
                msg = f"There is a product {name!r} already; give another name."
                raise ParameterError(msg)
        for plan in self.products:
            chain = [plan.name]
            while reference := self.reference_of(self.product(chain[-1])):
                if reference in chain:
                    ring = " → ".join([*chain[chain.index(reference) :], reference])
                    msg = f"final_refimage: the products take their grids from each other ({ring})."
                    raise ParameterError(msg)
                chain.append(reference)


def product_name(exposures: Sequence[Exposure], several_detectors: bool = False) -> str:
    """Name of a product from filter, and detector where there are several."""
    first = exposures[0]
    parts = [first.filters or "product"]
    if several_detectors:
        parts.append(first.detector)
    text = re.sub(r"[^A-Za-z0-9_.+-]+", "-", "_".join(parts)).strip("-_.")
    return text[:64] or "product"


def first_plans(exposures: Sequence[Exposure], taken: Iterable[str] = ()) -> tuple[ProductPlan, ...]:
    """One product for each filter and detector, in order of appearance, with the house's parameters."""
    groups: dict[tuple[str, str], list[Exposure]] = {}
    for exposure in exposures:
        groups.setdefault((exposure.filters, exposure.detector), []).append(exposure)
    several = len({detector for _, detector in groups}) > 1
    used = set(taken)
    plans = []
    for group in groups.values():
        name = stem = product_name(group, several)
        number = 2
        while name in used:
            name = f"{stem[:60]}_{number}"
            number += 1
        used.add(name)
        plans.append(ProductPlan(name, tuple(e.rootname for e in group), reduce_parameters(group)))
    return tuple(plans)
