"""Which product answers which exercise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from drizzlewb.errors import DataError
from drizzlewb.training.delivery import Delivered, Delivery

__all__ = ["OPTIMISED", "OPTIMISED_SKY", "Role", "assign", "filter_in_name"]

OPTIMISED = {"scale": 0.03, "pixfrac": 0.6, "rotation": 0.0}
OPTIMISED_SKY = "match"


@dataclass(frozen=True)
class Role:
    """One product that the exercises ask for.

    `kind` : ``'basic'`` or ``'optimised'``; `filter` : which; `delivered` : what was handed in, or None.
    """

    kind: str
    filter: str
    delivered: Delivered | None

    @property
    def product(self) -> Delivered:
        """What was handed in; `DataError` if nothing was."""
        if self.delivered is None:
            msg = f"No {self.name} product was handed in."
            raise DataError(msg)
        return self.delivered

    @property
    def name(self) -> str:
        """Such as ``optimised F606W``."""
        return f"{self.kind} {self.filter}"

    @property
    def usable(self) -> bool:
        """Whether there are pixels to look at."""
        return self.delivered is not None and self.delivered.placed is not None


def filter_in_name(name: str) -> str:
    """Return the filter that a file name tells, '' if none."""
    match = re.search(r"(?<![0-9A-Za-z])(F\d{3}[A-Z]{1,2}\d?)(?![A-Za-z0-9])", name.upper().replace("_", " "))
    return match[1] if match else ""


def _optimised(product: Delivered) -> float:
    """How much a product looks like an attempt at an optimised one."""
    name = product.name.lower()
    score = 1.5 * ("opt" in name) - 1.5 * ("basic" in name)
    if product.placed is None:
        return score
    native = product.native_scale_arcsec or product.scale_arcsec
    score += product.scale_arcsec < 0.97 * native
    score += product.pixfrac is not None and product.pixfrac < 0.99
    score += abs(product.grid.orientation_deg) < 0.1
    score += product.skymethod == OPTIMISED_SKY
    return score


def assign(delivery: Delivery, blue: str, red: str) -> list[Role]:
    """Give each of the three wanted products the file that looks most like it.

    Parameters
    ----------
    delivery : Delivery
        The folder.
    blue, red : str
        First and second filter of the programme.
    """

    def of(name: str) -> list[Delivered]:
        return [p for p in delivery.products if (p.filter or filter_in_name(p.name)) == name]

    blues = sorted(of(blue), key=_optimised)
    basic, optimised = _pair(blues)
    reds = sorted(of(red), key=_optimised)
    return [
        Role("basic", blue, basic),
        Role("optimised", blue, optimised),
        Role("optimised", red, reds[-1] if reds else None),
    ]


def _pair(products: Sequence[Delivered]) -> tuple[Delivered | None, Delivered | None]:
    if len(products) >= 2:
        return products[0], products[-1]
    if not products:
        return None, None
    return (None, products[0]) if _optimised(products[0]) >= 1.5 else (products[0], None)
