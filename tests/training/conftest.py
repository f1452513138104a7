import importlib.util
from pathlib import Path

import pytest

from drizzlewb.training.simulate import simulate


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> list[Path]:
    """The twelve exposures at the smallest size, with their noiseless scene."""
    return simulate(tmp_path_factory.mktemp("tiny"), size="tiny", scene=True)


@pytest.fixture
def archive_server():
    """A server like the archive's on this machine."""
    place = Path(__file__).with_name("archive_server.py")
    spec = importlib.util.spec_from_file_location("archive_server", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = module.Archive()
    yield server
    server.close()
