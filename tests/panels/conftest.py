import pytest

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")


@pytest.fixture
def tiny_session(tiny_set):
    """Session of the twelve exposures of the tiny training set."""
    from drizzlewb import Session

    return Session(str(tiny_set / "*_flc.fits"))
