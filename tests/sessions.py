"""Makers that make no pixels, so that the session itself is tested."""

import threading
from types import SimpleNamespace

from drizzlewb.session.making import Makers


class FakeReduction:
    def __init__(self, job, handle):
        self.job = job
        self.cancel, self.progress = handle.cancelling, handle.report

    def prepare(self):
        return SimpleNamespace(prepass_of=self.job.name)


class FakeMakers(Makers):
    """Work passes when the gate is open, and polls its cancel flag while it waits."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.calls = []
        self.error = None

    def pass_gate(self, cancel, what):
        self.calls.append(what)
        while not self.gate.wait(0.005):
            cancel.check()
        cancel.check()
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def align(self, exposures, plan, sources, handle):
        self.pass_gate(handle.cancelling, "align" if sources is None else "fit")
        found = [SimpleNamespace(status="aligned", sources=e.rootname) for e in exposures]
        solution = SimpleNamespace(exposures=tuple(exposures), alignments=found, reference="first")
        return solution, tuple(e.rootname for e in exposures)

    def reduction(self, job, handle):
        self.calls.append("reduction")
        return FakeReduction(job, handle)

    def again(self, reduction, job):
        return None

    def median(self, reduction):
        self.pass_gate(reduction.cancel, "median")

    def masks(self, reduction):
        self.pass_gate(reduction.cancel, "masks")

    def product(self, job, reduction):
        self.pass_gate(reduction.cancel, "product")
        return SimpleNamespace(name=job.name, parameters=job.parameters, decisions=job.decisions, paths=())

    def preview(self, reduction, region):
        self.pass_gate(reduction.cancel, "preview")
        return SimpleNamespace(region=region, parameters=reduction.job.parameters)


def states(session, where):
    """Step to state of a product, or of the alignment."""
    return {s.step: s.state for s in session.status if s.where == where}


def make_all(session):
    """Everything fresh."""
    session.align().result(20)
    for name in session.state.names:
        session.run(name).result(20)
