"""Parameters and decisions of a session: every change is one step of its history."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import traitlets as tr

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import Drawn, refuse_mixtures
from drizzlewb.parameters import AlignParameters, ReduceParameters
from drizzlewb.parameters.composite import Composite
from drizzlewb.parameters.keywords import CALL_ARGUMENTS, unknown
from drizzlewb.parameters.mdriztab import mdriztab_for
from drizzlewb.parameters.presets import Preset, find_preset, presets_for
from drizzlewb.session.derived import Derived
from drizzlewb.session.history import History, describe
from drizzlewb.session.making import accepted_of
from drizzlewb.session.state import ProductPlan, Selection, Star, State, first_plans

__all__ = ["Editing"]


class Editing(tr.HasTraits):
    """The part of `drizzlewb.session.session.Session` that changes its state."""

    lock: Any
    history: History
    derived: Derived
    runs: Any

    state: State = tr.Instance(State, read_only=True)  # type: ignore[assignment]
    selection: Selection = tr.Instance(Selection, read_only=True)  # type: ignore[assignment]

    def publish(self) -> None:
        """Bring the traits up to date; see the session."""
        raise NotImplementedError

    # ---------------------------------------------------------------- parameters and decisions
    def change(
        self, state: State, name: str, where: str, *, live: bool = False, names: tuple[str, ...] = ()
    ) -> None:
        """Put another state in place of the present one, as a step of the history called `name`.

        All changes go through here. Nothing happens if the states are equal.
        """
        with self.lock:
            before = self.state
            if state == before:
                return
            state.check()
            for plan in state.products:
                if plan not in before.products:
                    self._check_members(plan)
            self._replace(state)
            self.history.add(name, where, before, state, live=live, names=names)
            self.publish()

    def _replace(self, state: State) -> None:
        self.derived = Derived(self.derived.exposures, state, self.derived)
        self.set_trait("state", state)

    def _check_members(self, plan: ProductPlan) -> None:
        group = [self.derived.exposure(name) for name in plan.members]
        kinds = sorted({f"{e.filters} of {e.detector}" for e in group})
        if len(kinds) > 1 and not plan.mixed:
            msg = (
                f"Product {plan.name} would mix {', '.join(kinds)}. If that is what you want, say so: "
                "mixed=True."
            )
            raise ParameterError(msg)
        refuse_mixtures(group, mixed_detectors=plan.mixed)

    def product_name(self, product: str | None = None) -> str:
        """Name of the product that is meant: the given one, the selected one, or the only one.

        Raises
        ------
        ParameterError
            There is no such product; or several, and none is selected.
        """
        names = self.state.names
        for name in (product, self.selection.product):
            if name:
                return self.state.product(name).name
        if len(names) != 1:
            msg = f"Which product? There are {', '.join(names) or 'none'}: name one, or select one."
            raise ParameterError(msg)
        return names[0]

    def parameters(self, product: str | None = None) -> ReduceParameters:
        """Parameters of a product."""
        return self.state.product(self.product_name(product)).parameters

    @property
    def alignment_parameters(self) -> AlignParameters:
        """Parameters of the alignment."""
        return self.state.alignment.parameters

    def set(
        self,
        product: str | None = None,
        keywords: Mapping[str, Any] | None = None,
        /,
        *,
        live: bool = False,
        **more: Any,
    ) -> None:
        """Change parameters, under DrizzlePac's names: AstroDrizzle's of one product, TweakReg's of all.

        Parameters
        ----------
        product : str, optional
            Default, the selected or the only one; ``'*'`` for all products.
        keywords, **more
            ``final_pixfrac=0.6``, ``{"tweakreg.clean": True}``. A bare name that both tasks have is
            AstroDrizzle's.
        live : bool
            Part of a movement, such as a slider that is dragged: changes of the same parameters that
            follow each other become one step of the history.

        Raises
        ------
        ParameterError
            Nothing is changed then.
        """
        given = {**(keywords or {}), **more}
        ours, theirs = _by_task(given)
        with self.lock:
            state = self.state
            differences: dict[str, tuple[Any, Any]] = {}
            wheres = []
            if theirs:
                new = state.alignment.parameters.replace(theirs)
                differences |= new.differences(state.alignment.parameters)
                state = dataclasses.replace(
                    state, alignment=dataclasses.replace(state.alignment, parameters=new)
                )
                wheres.append("alignment")
            if ours:
                names = state.names if product == "*" else (self.product_name(product),)
                for name in names:
                    plan = state.product(name)
                    changed = plan.parameters.replace(ours)
                    differences |= changed.differences(plan.parameters)
                    state = state.replace_product(dataclasses.replace(plan, parameters=changed))
                wheres += names
            where = wheres[0] if len(wheres) == 1 else "products"
            # What was said comes before what it implies (final_scale turns final_wcs on).
            ordered = dict(sorted(differences.items(), key=lambda item: item[0] not in given))
            self.change(state, describe(ordered), where, live=live, names=tuple(ordered))

    def set_parameters(
        self, parameters: Composite, product: str | None = None, name: str | None = None
    ) -> None:
        """Take all parameters of a task, as from a preset or a file, as one step of the history."""
        with self.lock:
            if isinstance(parameters, AlignParameters):
                plan = dataclasses.replace(self.state.alignment, parameters=parameters)
                text = name or describe(parameters.differences(self.alignment_parameters))
                self.change(dataclasses.replace(self.state, alignment=plan), text, "alignment")
            elif isinstance(parameters, ReduceParameters):
                old = self.state.product(self.product_name(product))
                text = name or describe(parameters.differences(old.parameters))
                new = self.state.replace_product(dataclasses.replace(old, parameters=parameters))
                self.change(new, text, old.name)
            else:
                kind = type(parameters).__name__
                msg = f"set_parameters takes ReduceParameters or AlignParameters, not {kind}"
                raise ParameterError(msg)

    def presets(
        self, product: str | None = None, *, mdriztab: str | os.PathLike | None = None
    ) -> list[Preset]:
        """Presets that suit a product: ours, the pipeline's, and the row of an MDRIZTAB file.

        Parameters
        ----------
        product : str, optional
        mdriztab : path, optional
            Reference table whose row for this filter and number of exposures comes last.

        Returns
        -------
        list of Preset
            ``preset.differences(session.parameters(product))`` says what each would change; nothing is
            changed until `use_preset`.

        Raises
        ------
        DataError
            The table cannot be read, or has no row for the product.
        """
        plan = self.state.product(self.product_name(product))
        first = self.derived.exposure(plan.members[0])
        found = presets_for(first.detector, len(plan.members), first.date_obs)
        if mdriztab is not None:
            found += mdriztab_for(mdriztab, first.detector, first.filters, len(plan.members))
        return found

    def use_preset(self, preset: Preset | str, product: str | None = None) -> None:
        """Put the values of a preset, by name or as `Preset`, on top of the parameters of a product."""
        with self.lock:
            if isinstance(preset, str):
                own = [p for p in self.presets(product) if p.name == preset]
                preset = own[0] if own else find_preset(preset)
            parameters = self.parameters(product).replace(preset.keywords)
            self.set_parameters(parameters, product, f"preset {preset.name}")

    def add_product(
        self,
        name: str,
        members: Sequence[str],
        *,
        like: str | None = None,
        mixed: bool = False,
        **keywords: Any,
    ) -> None:
        """Add a product of some exposures.

        Parameters
        ----------
        name : str
        members : sequence of str
            Root names, in stack order.
        like : str, optional
            Product whose parameters to start from; default, the house's.
        mixed : bool
            The explicit yes to several filters or detectors.
        **keywords
            Parameters on top.
        """
        with self.lock:
            if like is not None:
                start = self.parameters(like)
            else:
                group = [self.derived.exposure(m) for m in members]
                start = first_plans(group)[0].parameters if group else ReduceParameters()
            plan = ProductPlan(name, tuple(members), start.replace(keywords), mixed)
            state = dataclasses.replace(self.state, products=(*self.state.products, plan))
            self.change(state, f"add product {name}", name)

    def remove_product(self, name: str) -> None:
        """Remove a product; undo brings it back. One whose grid another product takes is refused."""
        with self.lock:
            self.state.product(name)
            users = [p.name for p in self.state.products if self.state.reference_of(p) == name]
            if users:
                msg = f"Product {name} gives its grid to {', '.join(users)}: change their final_refimage."
                raise ParameterError(msg)
            rest = tuple(p for p in self.state.products if p.name != name)
            self.change(dataclasses.replace(self.state, products=rest), f"remove product {name}", name)

    def rename_product(self, name: str, new: str) -> None:
        """Give a product another name; products that take its grid follow."""
        with self.lock:
            self.state.product(name)
            plans = []
            for plan in self.state.products:
                if self.state.reference_of(plan) == name:
                    plan = dataclasses.replace(plan, parameters=plan.parameters.replace(final_refimage=new))
                plans.append(dataclasses.replace(plan, name=new) if plan.name == name else plan)
            state = dataclasses.replace(self.state, products=tuple(plans))
            self.runs.renamed(name, new)
            selected = self.selection.product == name
            self.change(state, f"rename product {name} → {new}", new)
            if selected and name != new:
                self.set_trait("selection", dataclasses.replace(self.selection, product=new))

    def set_members(self, product: str | None, members: Sequence[str], *, mixed: bool | None = None) -> None:
        """Choose the exposures of a product; see `add_product`."""
        with self.lock:
            plan = self.state.product(self.product_name(product))
            new = dataclasses.replace(
                plan, members=tuple(members), mixed=plan.mixed if mixed is None else mixed
            )
            gone = len(set(plan.members) - set(members))
            come = len(set(members) - set(plan.members))
            name = f"exposures {len(plan.members)} → {len(members)} ({come} added, {gone} removed)"
            self.change(self.state.replace_product(new), name, plan.name)

    def set_alignment_members(self, members: Sequence[str]) -> None:
        """Choose the exposures that are aligned, and their order; none means all."""
        with self.lock:
            for name in members:
                self.derived.exposure(name)
            plan = dataclasses.replace(self.state.alignment, members=tuple(members))
            name = f"align {len(members) or 'all'} exposures"
            self.change(dataclasses.replace(self.state, alignment=plan), name, "alignment")

    def brush(self, stars: Iterable[Star]) -> None:
        """Leave stars out of the alignment, by hand."""
        with self.lock:
            old = self.state.alignment
            new = tuple(dict.fromkeys((*old.rejected, *stars)))
            for star in new:
                self.derived.exposure(star.exposure)
            number = len(new) - len(old.rejected)
            plan = dataclasses.replace(old, rejected=new)
            name = f"reject {number} star{'s' if number != 1 else ''}"
            self.change(dataclasses.replace(self.state, alignment=plan), name, "alignment")

    def unbrush(self, stars: Iterable[Star] | None = None) -> None:
        """Take rejected stars back in; default, all."""
        with self.lock:
            old = self.state.alignment
            back = set(old.rejected if stars is None else stars)
            plan = dataclasses.replace(old, rejected=tuple(s for s in old.rejected if s not in back))
            number = len(old.rejected) - len(plan.rejected)
            name = f"take back {number} star{'s' if number != 1 else ''}"
            self.change(dataclasses.replace(self.state, alignment=plan), name, "alignment")

    def draw(self, mask: Drawn) -> None:
        """Mask a polygon, circle or line on an exposure (DQ 16384), as over a satellite trail."""
        with self.lock:
            self.derived.exposure(mask.exposure)
            state = dataclasses.replace(self.state, masks=(*self.state.masks, mask))
            self.change(state, f"draw {mask.shape} on {mask.exposure}", "masks")

    def erase(self, mask: Drawn) -> None:
        """Take a drawn mask away."""
        with self.lock:
            if mask not in self.state.masks:
                msg = f"There is no such mask on {mask.exposure}."
                raise ParameterError(msg)
            rest = list(self.state.masks)
            rest.remove(mask)
            state = dataclasses.replace(self.state, masks=tuple(rest))
            self.change(state, f"erase {mask.shape} on {mask.exposure}", "masks")

    def accept(self) -> None:
        """Accept the alignment: products use its WCS from now on, in memory.

        Raises
        ------
        DataError
            There is no alignment for the present parameters.
        """
        with self.lock:
            solution = self.runs.result("alignment", "solution")
            if solution is None:
                msg = "There is no alignment to accept for the present parameters: align first."
                raise DataError(msg)
            accepted = accepted_of(solution, self.derived.alignment()["solution"])
            plan = dataclasses.replace(self.state.alignment, accepted=accepted)
            self.change(dataclasses.replace(self.state, alignment=plan), "accept alignment", "alignment")

    def unaccept(self) -> None:
        """Set the accepted alignment aside: products use the WCS that the exposures came with."""
        with self.lock:
            plan = dataclasses.replace(self.state.alignment, accepted=None)
            self.change(dataclasses.replace(self.state, alignment=plan), "set alignment aside", "alignment")


def _by_task(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keywords of the reduction, and of the alignment."""
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    for name, value in keywords.items():
        prefix, _, bare = str(name).rpartition(".")
        if prefix in ("tweakreg", "imagefind", "refimagefind", "imagefindpars", "refimagefindpars"):
            theirs[name] = value
        elif bare in ReduceParameters.places() or bare in CALL_ARGUMENTS:
            ours[name] = value
        elif bare in AlignParameters.places() or bare in ("imagefindcfg", "refimagefindcfg"):
            theirs[name] = value
        else:
            raise unknown(bare, [*ReduceParameters.places(), *AlignParameters.places()], "drizzlewb")
    return ours, theirs
