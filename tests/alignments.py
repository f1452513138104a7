"""Aligned sessions of the tiny training set, made once; tests that change one make their own."""

from functools import lru_cache

from drizzlewb import read_exposures
from drizzlewb.session import Session

THRESHOLD = 100.0


@lru_cache(maxsize=2)
def _exposures(folder):
    return tuple(read_exposures(str(folder / "*_flc.fits")))


def four(folder):
    """Two exposures of each visit."""
    every = _exposures(folder)
    return [e for visit in ("01", "02") for e in [e for e in every if e.rootname[4:6] == visit][:2]]


def new_session(folder, **keywords):
    """A session of four exposures that finds some hundred stars in each."""
    session = Session(four(folder))
    session.set(None, {"tweakreg.threshold": THRESHOLD, **keywords})
    return session


@lru_cache(maxsize=4)
def aligned_session(folder, **keywords):
    """An aligned session, shared: do not change it."""
    session = new_session(folder, **keywords)
    session.align().result(120)
    return session
