"""What is measured aside leaves the state as it is, and is found again by what it was measured for."""

import pytest

from drizzlewb.errors import DataError


def test_measurements_do_not_touch_the_state_and_follow_the_parameters(tiny_set):
    from drizzlewb import Session

    session = Session(str(tiny_set / "j8ny01*_flc.fits"))
    session.select(size=(120, 120))
    session.set(final_scale=0.05, final_rot=0.0, final_pixfrac=0.8)
    state, past = session.state, len(session.history.past)
    rows = session.trials.sweep(pixfracs=(0.5, 1.0)).result(120)
    assert [m.pixfrac for m in rows] == [0.5, 1.0]
    assert session.trials.found("sweep") is None  # that is kept for the whole range only
    halves = session.trials.half_stacks().result(120)
    assert session.state is state
    assert len(session.history.past) == past
    assert session.trials.found("half stacks") is halves
    session.set(final_pixfrac=0.7)
    assert session.trials.found("half stacks") is None
    session.undo()
    assert session.trials.found("half stacks") is halves  # fresh again by itself


def test_one_exposure_has_no_halves(tiny_set):
    from drizzlewb import Session

    session = Session(str(tiny_set / "j8ny01svq_flc.fits"))
    session.select(size=(64, 64))
    with pytest.raises(DataError, match="two exposures"):
        session.trials.half_stacks().result(60)
    assert not session.busy or session.wait(10) is None


def test_plan_of_impossible_parameters(tiny_set):
    from drizzlewb import Session
    from drizzlewb.errors import DrizzlewbError

    session = Session(str(tiny_set / "j8ny01svq_flc.fits"))
    plan = session.plan()
    assert plan.image_bytes == 12 * plan.grid.shape[0] * plan.grid.shape[1]
    session.set(final_refimage="absent.fits")
    with pytest.raises(DrizzlewbError, match=r"absent\.fits"):
        session.plan()
    handle = session.trials.sampling()
    with pytest.raises(DrizzlewbError, match=r"absent\.fits"):
        handle.result(5)
