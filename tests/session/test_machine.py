"""A session against a simple model: never an inconsistent state, never a lost result."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sessions import FakeMakers, states

from drizzlewb.errors import Cancelled, DataError
from drizzlewb.session import Session

STEPS = ("sky", "median", "crmask", "product")
# What each of the parameters that are played with makes stale first.
FIRST = {"skymethod": "sky", "combine_nhigh": "median", "driz_cr_grow": "crmask", "final_pixfrac": "product"}
VALUES = {
    "skymethod": ["localmin", "match"],
    "combine_nhigh": [0, 1],
    "driz_cr_grow": [1, 3],
    "final_pixfrac": [1.0, 0.8, 0.6],
}
PRODUCTS = ("F606W", "F814W")


class Machine(RuleBasedStateMachine):
    """The model: parameters of two products as dicts, a list of changes, and the results ever made."""

    exposures: list

    @initialize()
    def begin(self):
        self.makers = FakeMakers()
        self.session = Session(self.exposures, makers=self.makers)
        self.now = {name: {p: values[0] for p, values in VALUES.items()} for name in PRODUCTS}
        self.past, self.future = [], []
        self.made = set()  # (product, step, the values that it was made of)
        self.running = None  # (product, step, values, handle)
        self.folder = Path(tempfile.mkdtemp())
        self.saved = None

    def basis(self, product, step, values=None):
        """The values that a step of a product depends on."""
        values = self.now[product] if values is None else values
        upstream = STEPS[: STEPS.index(step) + 1]
        return product, step, tuple(values[p] for p in VALUES if FIRST[p] in upstream)

    @precondition(lambda self: len(self.past) < 60)
    @rule(product=st.sampled_from(PRODUCTS), data=st.data())
    def set(self, product, data):
        name = data.draw(st.sampled_from(sorted(VALUES)))
        value = data.draw(st.sampled_from(VALUES[name]))
        self.session.set(product, **{name: value})
        if value != self.now[product][name]:
            self.past.append(self.snapshot())
            self.now[product][name] = value
            self.future.clear()

    def snapshot(self):
        return {name: dict(values) for name, values in self.now.items()}

    @rule()
    def undo(self):
        name = self.session.undo()
        assert bool(name) == bool(self.past)
        if self.past:
            self.future.append(self.snapshot())
            self.now = self.past.pop()

    @rule()
    def redo(self):
        name = self.session.redo()
        assert bool(name) == bool(self.future)
        if self.future:
            self.past.append(self.snapshot())
            self.now = self.future.pop()

    @precondition(lambda self: self.running is None)
    @rule(product=st.sampled_from(PRODUCTS), step=st.sampled_from(STEPS))
    def run(self, product, step):
        self.makers.gate.clear()
        handle = self.session.run(product, step)
        if handle.state == "done":
            assert self.basis(product, step) in self.made
        else:
            assert self.basis(product, step) not in self.made
            self.running = (product, step, dict(self.now[product]), handle)

    def finish_if_quick(self):
        """A run of the sky passes no gate: it may have ended by itself."""
        if self.running is not None and self.running[1] == "sky":
            self.running[3].wait(5)
            self.take_in()

    def take_in(self):
        product, step, values, _ = self.running
        self.made |= {self.basis(product, s, values) for s in STEPS[: STEPS.index(step) + 1]}
        self.running = None

    @precondition(lambda self: self.running is not None)
    @rule()
    def finish(self):
        product, step, values, handle = self.running
        self.makers.gate.set()
        result = handle.result(5)
        if step == "product":
            assert result.parameters.final_pixfrac == values["final_pixfrac"]
        self.take_in()

    @precondition(lambda self: self.running is not None)
    @rule()
    def cancel(self):
        handle = self.running[3]
        handle.cancel()
        assert handle.state == "cancelled"
        handle.wait(5)
        with pytest.raises(Cancelled):
            handle.result(5)
        self.running = None

    @precondition(lambda self: self.running is not None)
    @rule()
    def fail(self):
        product, step, values, handle = self.running
        self.makers.error = DataError("the disk is full")
        self.makers.gate.set()
        with pytest.raises(DataError, match="full"):
            handle.result(5)
        self.running = None
        if all(values[p] == self.now[product][p] for p in values):
            failed = [s for s in self.session.status if s.where == product and s.state == "failed"]
            assert len(failed) == 1
            assert "full" in failed[0].message
        # Trying again clears it.
        self.session.run(product, step).result(5)
        if all(values[p] == self.now[product][p] for p in values):
            self.made |= {self.basis(product, s, values) for s in STEPS[: STEPS.index(step) + 1]}
        else:
            steps = STEPS[: STEPS.index(step) + 1]
            self.made |= {self.basis(product, s) for s in steps}
            self.session.runs.errors.clear()

    @rule()
    def save(self):
        self.session.save(self.folder / "session.json")
        self.saved = (self.snapshot(), [dict_of(s) for s in self.past], [dict_of(s) for s in self.future])

    @precondition(lambda self: self.saved is not None and self.running is None)
    @rule()
    def open(self):
        self.session = Session.open(self.folder / "session.json", makers=self.makers)
        now, past, future = self.saved
        self.now, self.past, self.future = (
            dict_of(now), [dict_of(s) for s in past], [dict_of(s) for s in future]
        )  # fmt: skip
        self.made = set()  # results are not in the file

    @invariant()
    def agrees(self):
        if not hasattr(self, "now"):
            return
        self.finish_if_quick()
        assert len(self.session.history.past) == len(self.past)
        assert len(self.session.history.future) == len(self.future)
        for product, step in itertools.product(PRODUCTS, STEPS):
            for name, value in self.now[product].items():
                assert self.session.parameters(product)[name] == value
            found = states(self.session, product)[step]
            made = self.basis(product, step) in self.made
            assert (found == "done") == made, (product, step, found)
            assert (self.session.result(product, step) is not None) == made
            if self.running is not None and self.running[0] == product and not made:
                mine = self.running
                wanted = STEPS.index(step) <= STEPS.index(mine[1])
                same = self.basis(product, step, mine[2]) == self.basis(product, step)
                assert (found == "running") == (wanted and same)
            elif not made:
                assert found in ("stale", "empty")
        assert self.session.busy == (self.running is not None)

    def teardown(self):
        if hasattr(self, "session"):
            self.makers.gate.set()
            self.session.cancel()
            self.session.wait(5)


def dict_of(snapshot):
    return {name: dict(values) for name, values in snapshot.items()}


def play(field, examples, steps):
    machine = type("Played", (Machine,), {"exposures": field})
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case("runTest").runTest()


def test_two_hundred_steps(field):
    play(field, examples=5, steps=40)


@pytest.mark.long
def test_a_thousand_steps(field):
    play(field, examples=20, steps=50)
