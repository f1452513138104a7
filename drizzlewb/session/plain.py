"""States as plain JSON values, and back; what is not understood is refused."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from drizzlewb.errors import ParameterError
from drizzlewb.exposure import Drawn
from drizzlewb.parameters import AlignParameters, ReduceParameters
from drizzlewb.parameters.composite import Composite
from drizzlewb.parameters.keywords import shown
from drizzlewb.session.state import Accepted, AlignmentPlan, ChipSolution, ProductPlan, Selection, Star, State

__all__ = [
    "applied",
    "difference",
    "selection_from_json",
    "selection_to_json",
    "state_from_json",
    "state_to_json",
]

C = TypeVar("C", bound=Composite)

_IMPLIED = ("final_grid.final_wcs", "separate_grid.driz_sep_wcs", "extra.threads")
"""Given explicitly when read, or another parameter would turn them on."""


# ---------------------------------------------------------------- to plain values
def parameters_to_json(parameters: Composite) -> dict[str, dict[str, Any]]:
    """What differs from DrizzlePac's defaults, by section."""
    found: dict[str, dict[str, Any]] = {}
    default = type(parameters)()
    for name, places in parameters.places().items():
        for section, _ in places:
            value = getattr(parameters.__dict__[section], name)
            if value != getattr(default.__dict__[section], name):
                found.setdefault(section, {})[name] = list(value) if isinstance(value, tuple) else value
    return found


def alignment_to_json(plan: AlignmentPlan) -> dict[str, Any]:
    """Alignment plan as plain values."""
    accepted = None
    if plan.accepted is not None:
        accepted = {
            "key": plan.accepted.key,
            "reference": plan.accepted.reference,
            "chips": [plain(chip) for chip in plan.accepted.chips],
        }
    return {
        "parameters": parameters_to_json(plan.parameters),
        "members": list(plan.members),
        "rejected": [plain(star) for star in plan.rejected],
        "accepted": accepted,
    }


def product_to_json(plan: ProductPlan) -> dict[str, Any]:
    """Product plan as plain values."""
    return {
        "name": plan.name,
        "members": list(plan.members),
        "mixed": plan.mixed,
        "parameters": parameters_to_json(plan.parameters),
    }


def state_to_json(state: State) -> dict[str, Any]:
    """State as plain values."""
    return {
        "alignment": alignment_to_json(state.alignment),
        "products": [product_to_json(plan) for plan in state.products],
        "masks": [mask.to_dict() for mask in state.masks],
    }


def difference(state: State, other: State) -> dict[str, Any]:
    """Those parts of a state that differ from another one."""
    found: dict[str, Any] = {}
    if state.alignment != other.alignment:
        found["alignment"] = alignment_to_json(state.alignment)
    if state.products != other.products:
        found["order"] = list(state.names)
        found["products"] = [product_to_json(p) for p in state.products if p not in other.products]
    if state.masks != other.masks:
        found["masks"] = [mask.to_dict() for mask in state.masks]
    return found


def plain(value: Any) -> dict[str, Any]:
    """Fields of a value, tuples as lists."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(value).items()}


# ---------------------------------------------------------------- from plain values
def refused(what: str) -> ParameterError:
    """Make the error for something that is not understood."""
    return ParameterError(f"The session file holds {what}; this drizzlewb does not understand it.")


def fields_of(value: Any, where: str, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Exactly these names, each of its kind."""
    if not isinstance(value, dict):
        raise refused(f"{shown(value)} as {where}")
    for name in value:
        if name not in kinds:
            raise refused(f"{shown(name)} in {where}")
    for name, kind in kinds.items():
        if name not in value:
            raise refused(f"no {name!r} in {where}")
        if not isinstance(value[name], kind) or (isinstance(value[name], bool) and kind is not bool):
            raise refused(f"{shown(value[name])} as {name!r} in {where}")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise refused(f"{shown(value)} where {where} has a number")
    return float(value)


def numbers_of(value: Any, count: int, where: str) -> tuple[float, ...]:
    """So many finite numbers."""
    if not isinstance(value, list) or len(value) != count:
        raise refused(f"{shown(value)} where {where} has {count} numbers")
    return tuple(_number(v, where) for v in value)


def texts_of(value: Iterable[Any], where: str) -> tuple[str, ...]:
    """Texts and nothing else."""
    found = tuple(value)
    for text in found:
        if not isinstance(text, str):
            raise refused(f"{shown(text)} where {where} has a text")
    return found


def parameters_from_json(task: type[C], value: Any) -> C:
    """Model of a task from what differs from the defaults."""
    keywords: dict[str, Any] = {}
    default = task()
    for name in _IMPLIED:
        section, _, bare = name.partition(".")
        if section in task.model_fields and bare in task.places():
            keywords[name] = getattr(default.__dict__[section], bare)
    if not isinstance(value, dict):
        raise refused(f"{shown(value)} as parameters")
    for section, values in value.items():
        if section not in task.model_fields or not isinstance(values, dict):
            raise refused(f"{shown(section)} among the parameters of {task.task}")
        for name, given in values.items():
            if isinstance(given, dict):
                raise refused(f"{shown(given)} as {section}.{name}")
            keywords[f"{section}.{name}"] = given
    return task.from_keywords(keywords)


def _star(value: Any) -> Star:
    v = fields_of(value, "a star", {"exposure": str, "extver": int, "x": object, "y": object})
    return Star(v["exposure"], v["extver"], _number(v["x"], "a star"), _number(v["y"], "a star"))


def _chip_solution(value: Any) -> ChipSolution:
    kinds = {"exposure": str, "extver": int, "crval": list, "cd": list, "wcsname": str}
    v = fields_of(value, "a WCS", kinds)
    ra, dec = numbers_of(v["crval"], 2, "a WCS")
    a, b, c, d = numbers_of(v["cd"], 4, "a WCS")
    return ChipSolution(v["exposure"], v["extver"], (ra, dec), (a, b, c, d), v["wcsname"])


def _alignment(value: Any) -> AlignmentPlan:
    kinds = {"parameters": dict, "members": list, "rejected": list, "accepted": (dict, type(None))}
    v = fields_of(value, "the alignment", kinds)
    accepted = None
    if v["accepted"] is not None:
        a = fields_of(v["accepted"], "the accepted alignment", {"key": str, "reference": str, "chips": list})
        accepted = Accepted(a["key"], a["reference"], tuple(map(_chip_solution, a["chips"])))
    return AlignmentPlan(
        parameters_from_json(AlignParameters, v["parameters"]),
        texts_of(v["members"], "the alignment"),
        tuple(map(_star, v["rejected"])),
        accepted,
    )


def _product(value: Any) -> ProductPlan:
    kinds = {"name": str, "members": list, "mixed": bool, "parameters": dict}
    v = fields_of(value, "a product", kinds)
    return ProductPlan(
        v["name"],
        texts_of(v["members"], "a product"),
        parameters_from_json(ReduceParameters, v["parameters"]),
        v["mixed"],
    )


def _mask(value: Any) -> Drawn:
    kinds = {"exposure": str, "shape": str, "points": list, "size": object, "frame": str, "extver": int}
    v = fields_of(value, "a mask", kinds)
    points = [numbers_of(point, 2, "a mask") for point in v["points"]]
    size = _number(v["size"], "a mask")
    return Drawn(v["exposure"], v["shape"], tuple((x, y) for x, y in points), size, v["frame"], v["extver"])


def state_from_json(value: Any) -> State:
    """State from plain values."""
    v = fields_of(value, "the state", {"alignment": dict, "products": list, "masks": list})
    return State(
        _alignment(v["alignment"]), tuple(map(_product, v["products"])), tuple(map(_mask, v["masks"]))
    )


def applied(value: Any, other: State) -> State:
    """State that differs from another one as a step of the history says."""
    if not isinstance(value, dict) or not set(value) <= {"alignment", "products", "order", "masks"}:
        raise refused(f"{shown(value)} as a step of the history")
    state = other
    if "alignment" in value:
        state = dataclasses.replace(state, alignment=_alignment(value["alignment"]))
    if "masks" in value:
        masks = fields_of({"masks": value["masks"]}, "the history", {"masks": list})["masks"]
        state = dataclasses.replace(state, masks=tuple(map(_mask, masks)))
    if "order" in value or "products" in value:
        part: dict[str, Any] = {k: value.get(k) for k in ("order", "products")}
        fields_of(part, "a step of the history", {"order": list, "products": list})
        plans = {p.name: p for p in other.products} | {p.name: p for p in map(_product, part["products"])}
        for name in texts_of(part["order"], "the history"):
            if name not in plans:
                raise refused(f"{shown(name)}, which is no product, in its history")
        state = dataclasses.replace(state, products=tuple(plans[name] for name in part["order"]))
    return state


def selection_to_json(selection: Selection) -> dict[str, Any]:
    """Selection as plain values."""
    return {
        "product": selection.product,
        "exposures": list(selection.exposures),
        "stars": [plain(star) for star in selection.stars],
        "center": None if selection.center is None else list(selection.center),
        "size": list(selection.size),
        "pixel": None if selection.pixel is None else list(selection.pixel),
    }


def selection_from_json(value: Any) -> Selection:
    """Selection from plain values."""
    maybe = (list, type(None))
    kinds = {
        "product": str, "exposures": list, "stars": list, "center": maybe, "size": list, "pixel": maybe,
    }  # fmt: skip
    known = {"pixel": None, **value} if isinstance(value, dict) else value
    v = fields_of(known, "the selection", kinds)
    center = None
    if v["center"] is not None:
        ra, dec = numbers_of(v["center"], 2, "the selection")
        center = (ra, dec)
    ny, nx = (int(n) for n in numbers_of(v["size"], 2, "the selection"))
    if min(ny, nx) < 1:
        raise refused(f"a selected region of {ny} x {nx} px")
    pixel = None
    if v["pixel"] is not None:
        x, y = numbers_of(v["pixel"], 2, "the selection")
        pixel = int(x), int(y)
    return Selection(
        v["product"],
        texts_of(v["exposures"], "the selection"),
        tuple(map(_star, v["stars"])),
        center,
        (ny, nx),
        pixel,
    )
