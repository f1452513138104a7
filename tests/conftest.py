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
