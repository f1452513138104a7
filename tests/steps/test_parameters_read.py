"""Every parameter of the alignment that is declared as honoured is read where the work is done."""

import re
from pathlib import Path

import pytest

import drizzlewb
from drizzlewb.parameters import AlignParameters

HERE = Path(drizzlewb.__file__).parent
NAMES = sorted(
    {p.name for places in AlignParameters.places().values() for _, p in places if p.status == "honoured"}
)


@pytest.fixture(scope="module")
def source():
    files = [f for room in ("steps", "products") for f in (HERE / room).glob("*.py")]
    return "\n".join(f.read_text() for f in files)


@pytest.mark.parametrize("name", NAMES)
def test_read(source, name):
    assert re.search(rf'(\bpars|\bp|\bparameters)(\.{name}\b|\["(tweakreg\.)?{name}"\])', source)
