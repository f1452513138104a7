from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real Hubble data and peers' arrays; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is absent: real-data tests need it")
    return folder


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory) -> Path:
    """Folder of the simulated training set, size tiny, with its truth. Never written to."""
    from drizzlewb.training.simulate import simulate

    folder = tmp_path_factory.mktemp("tiny")
    simulate(folder, size="tiny")
    return folder


@pytest.fixture(scope="session")
def tiny_f606w(tiny_set) -> list:
    """The six F606W exposures of the tiny set, with the true WCS."""
    from drizzlewb import read_exposures
    from drizzlewb.training.demo import with_true_wcs

    return with_true_wcs(read_exposures(str(tiny_set / "j8ny01*_flc.fits")))


@pytest.fixture(scope="session")
def reduced_session(tiny_set):
    """Session of two F606W exposures and one F814W of the tiny set: aligned, accepted, F606W run.

    Tests may look at it and export from it, and leave its state as it is.
    """
    from drizzlewb import Session

    names = ("j8ny01svq", "j8ny01szq", "j8ny02yvq")
    session = Session([str(tiny_set / f"{name}_flc.fits") for name in names])
    session.align().result(300)
    session.accept()
    session.run("F606W").result(300)
    return session
