"""Grade a trainee's folder: alignment, products, weights, science.

>>> from drizzlewb.training.grade import grade
>>> result = grade("my_reduction", truth="training")          # doctest: +SKIP
>>> result.table                                              # doctest: +SKIP
>>> result.write_report("grade.html")                         # doctest: +SKIP
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

import drizzlewb
from drizzlewb.exposure import Exposure
from drizzlewb.instruments import default_good_bits, detector
from drizzlewb.memory import give_back
from drizzlewb.products.drc import Product
from drizzlewb.training.alignment_error import AlignmentError, StarOffset, alignment_errors, star_offsets
from drizzlewb.training.delivery import Delivered, Delivery, read_delivery
from drizzlewb.training.exercises import alignment_rows, grid_row, product_rows, reference_exposure, tidy_row
from drizzlewb.training.known import Known, find_truth, read_known
from drizzlewb.training.look import Look, look
from drizzlewb.training.rays import RayCount, count_rays, find_masks, ray_map
from drizzlewb.training.roles import Role, assign
from drizzlewb.training.rows import Row
from drizzlewb.training.science import (
    noise_row,
    photometry_rows,
    rate_row,
    ray_rows,
    sky_row,
    width_row,
    widths,
)
from drizzlewb.training.weight_rows import weight_rows

__all__ = ["Grade", "grade"]

log = logging.getLogger(__name__)

PARTS = {
    ("basic", 0): "2 basic",
    ("optimised", 0): "3 optimised",
    ("optimised", 1): "4 second filter",
}


@dataclass(frozen=True)
class Grade:
    """A graded folder.

    Attributes
    ----------
    folder : Path
        What was graded.
    truth : Path or None
        Where the truth lies.
    rows : tuple of Row
        The grades, in order.
    alignment : dict
        `AlignmentError` by rootname (empty without truth).
    looks : dict
        `Look` by role, such as ``'optimised F606W'``, as `Look.measured` leaves it.
    rays : dict
        By role, `RayCount` by rootname.
    masks : dict
        By role, the cosmic-ray masks.
    star_widths : float64[n, 2] or None
        FWHM (arcsec) basic and optimised.
    """

    folder: Path
    truth: Path | None
    rows: tuple[Row, ...]
    alignment: dict[str, AlignmentError] = field(default_factory=dict, repr=False)
    looks: dict[str, Look] = field(default_factory=dict, repr=False)
    rays: dict[str, dict[str, RayCount]] = field(default_factory=dict, repr=False)
    masks: dict[str, dict[tuple[str, int], NDArray[np.uint8]]] = field(default_factory=dict, repr=False)
    star_widths: NDArray[np.float64] | None = field(default=None, repr=False)
    exposures: tuple[Exposure, ...] = field(default=(), repr=False)

    @property
    def failed(self) -> tuple[Row, ...]:
        """Rows that failed."""
        return tuple(row for row in self.rows if row.verdict == "fail")

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows by verdict."""
        return {v: sum(r.verdict == v for r in self.rows) for v in ("good", "pass", "fail", "not graded")}

    @property
    def passed(self) -> bool:
        """Nothing failed, and something was graded."""
        return not self.failed and self.counts["good"] + self.counts["pass"] > 0

    @property
    def table(self) -> Table:
        """Rows as an astropy table; numbers that are not known are masked."""
        names = ("part", "name", "verdict", "value", "error", "unit", "limit", "number", "words")
        columns: dict[str, Any] = {}
        for name in names:
            values = [getattr(row, name) for row in self.rows]
            if name in ("value", "error", "number"):
                unknown = [v is None or not np.isfinite(v) for v in values]
                plain = [0 if u else v for u, v in zip(unknown, values, strict=True)]
                kind = int if name == "number" else float
                columns[name] = np.ma.MaskedArray(np.array(plain, kind), mask=unknown)
            else:
                columns[name] = values
        return Table(columns, names=names)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kind": "drizzlewb grade",
            "schema": 1,
            "drizzlewb": drizzlewb.__version__,
            "folder": self.folder.name,
            "truth": self.truth is not None,
            "counts": self.counts,
            "passed": self.passed,
            "rows": [row.as_dict() for row in self.rows],
            "alignment": {
                root: {"rms_px": e.rms_px, "max_px": e.max_px, "rms_mas": e.rms_mas, "max_mas": e.max_mas}
                for root, e in self.alignment.items()
            },
        }

    def to_json(self, path: Path | str | None = None) -> str:
        """Return the grade as JSON text; also written to `path`, if one is given."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def write_report(self, path: Path | str) -> Path:
        """Write the one-page HTML report with its figures; see `drizzlewb.training.report`."""
        from drizzlewb.training.report import write_report

        return write_report(self, path)

    def __str__(self) -> str:
        """Return the rows as lines for a terminal."""
        lines = []
        part = ""
        for row in self.rows:
            if row.part != part:
                part = row.part
                lines.append(part)
            lines.append(f"  {row.verdict:10s} {row.name}: {row.words}")
        counts = ", ".join(f"{n} {v}" for v, n in self.counts.items())
        return "\n".join([*lines, counts])


def grade(
    folder: Path | str,
    truth: Path | str | None = None,
    *,
    exposures: Sequence[Exposure] | None = None,
    products: Sequence[Product] = (),
) -> Grade:
    """Grade what lies in a folder.

    Parameters
    ----------
    folder : path
        Aligned ``*_flc.fits``, shift file, ``tweakreg.log``, products (``*_drc.fits``: DrizzlePac's or
        ours), records, cosmic-ray masks.
    truth : path, optional
        Folder with ``truth.json``. Default: looked for in the folder, beside it, where the exposures lie and
        in the cache of training sets; without any, what the data alone tell is graded and the rest is named.
    exposures : sequence of Exposure, optional
        Aligned exposures instead of files in the folder, such as ``solution.exposures``.
    products : sequence of Product, optional
        Products of the folder that are still in memory, for their cosmic-ray masks.

    Returns
    -------
    Grade

    Raises
    ------
    DataError
        No such folder, or the truth given cannot be read.
    """
    delivery = read_delivery(folder, tuple(products))
    if exposures is not None:
        delivery = replace(delivery, exposures=tuple(exposures))
    place = Path(truth) if truth is not None else find_truth(delivery.folder, delivery.exposures)
    roots = {e.rootname for e in delivery.exposures} | {r for p in delivery.products for r in p.inputs}
    known = read_known(place, sorted(roots)) if place is not None else None
    blue, red = _filters(delivery, known)
    roles = assign(delivery, blue, red)
    basic, first, second = roles
    reference = reference_exposure(delivery, known)
    errors = alignment_errors(delivery.exposures, known.exposures, reference) if known is not None else {}
    looks: dict[str, Look] = {}
    rays: dict[str, dict[str, RayCount]] = {}
    kept: dict[str, dict[tuple[str, int], NDArray[np.uint8]]] = {}
    weights: list[Row] = []
    cleaned: list[Row] = []
    images: list[Row] = []
    for role in roles:  # one product in memory at a time
        if not role.usable:
            weights += weight_rows(role, None)
            continue
        seen = _look(role, delivery, known)
        weights += weight_rows(role, seen)
        if role is not basic:
            more, rays[role.name], kept[role.name] = _ray_rows(role, delivery, known)
            cleaned += [*more, *photometry_rows(role, seen, known)]
            images += [
                noise_row(role, seen, _inputs(role.product, delivery)),
                sky_row(role, known, delivery.exposures),
            ]
        looks[role.name] = seen.measured()
        del seen
        give_back()
    offsets = _star_offsets(delivery, looks) if known is None else {}
    pairs = None
    if basic.usable and first.usable:
        pairs = widths(looks[basic.name], looks[first.name])
        basic.product.let_go()
        first.product.let_go()
    rows = [
        *alignment_rows(delivery, known, errors, offsets, reference),
        *product_rows("2 basic", basic, delivery, known),
        *product_rows("3 optimised", first, delivery, known),
        tidy_row("3 optimised", delivery),
        *product_rows("4 second filter", second, delivery, known),
        grid_row("4 second filter", first, second),
        *weights,
        *cleaned,
        width_row(f"FWHM optimised/basic, {blue}", pairs),
        *images,
    ]
    return Grade(
        delivery.folder, place, tuple(rows), errors, looks, rays, kept, pairs, delivery.exposures
    )  # fmt: skip


def _filters(delivery: Delivery, known: Known | None) -> tuple[str, str]:
    """First and second filter: the programme's, else those of exposures and products, by name."""
    if known is not None and len(known.filters) >= 2:
        return known.filters[0], known.filters[1]
    found = {delivery.filter_of(e.rootname) for e in delivery.exposures} | {
        p.filter for p in delivery.products
    }
    names = sorted(name for name in found if name)
    if not names:
        return "F606W", "F814W"
    return (names[0], names[1]) if len(names) > 1 else (names[0], "F814W" if names[0] != "F814W" else "F606W")


def _inputs(product: Delivered, delivery: Delivery) -> list[Exposure]:
    return [e for e in delivery.exposures if e.rootname in product.inputs]


def _look(role: Role, delivery: Delivery, known: Known | None) -> Look:
    inputs = _inputs(role.product, delivery)
    rays = None
    if known is not None and role.kind == "optimised":
        rays = ray_map(role.product.grid, inputs, known.exposures)
    return look(role.product, inputs, known, rays)


def _star_offsets(delivery: Delivery, looks: dict[str, Look]) -> dict[str, StarOffset]:
    """Offsets of the stars of a product in every exposure, both filters against the same product."""
    chosen = next((look for look in reversed(looks.values()) if look.x.size), None)
    if chosen is None or not delivery.exposures:
        return {}
    ra, dec = chosen.product.grid.pixel_to_sky(chosen.x[:300], chosen.y[:300])
    entry = detector(delivery.exposures[0].detector)
    bits = default_good_bits(entry, delivery.exposures[0].date_obs)
    return star_offsets(delivery.exposures, ra, dec, bits)


def _ray_rows(
    role: Role, delivery: Delivery, known: Known | None
) -> tuple[list[Row], dict[str, RayCount], dict[tuple[str, int], NDArray[np.uint8]]]:
    masks, source = find_masks(delivery, role.product)
    counts = {}
    inputs = _inputs(role.product, delivery)
    if masks and known is not None:
        counts = count_rays(role.product, inputs, masks, known.exposures)
    fractions = {}
    for exposure in inputs:
        ours = [
            masks[exposure.rootname, c.extver]
            for c in exposure.chips
            if (exposure.rootname, c.extver) in masks
        ]
        if ours:
            flagged = sum(int((m == 0).sum()) for m in ours)
            fractions[exposure.rootname] = (flagged / sum(m.size for m in ours), exposure.exptime)
    if not fractions and role.product.record is not None:
        told = role.product.record.get("results", {}).get("crfraction") or {}
        seconds = {e.rootname: e.exptime for e in inputs}
        fractions = {root: (share, seconds[root]) for root, share in told.items() if root in seconds}
    return [*ray_rows(role, counts, source), rate_row(role, fractions)], counts, masks
