import pytest
from factory import write

from drizzlewb import read_exposures


@pytest.fixture(scope="session")
def field_folder(tmp_path_factory):
    """Three F606W and two F814W files of 40 x 60 px, with an alternate WCS 'A', a reference image,
    and an empty catalog of sky masks."""
    folder = tmp_path_factory.mktemp("field")
    alternate = {"WCSNAMEA": "OTHER", "CTYPE1A": "RA---TAN-SIP", "CTYPE2A": "DEC--TAN-SIP"}
    for k, name in enumerate(("F606W", "F606W", "F606W", "F814W", "F814W")):
        ra = 150.1 + k * 1e-5
        cards = {"CRVAL1A": ra, "CRVAL2A": 2.2, "CRPIX1A": 30.0, "CRPIX2A": 20.0,
                 "CD1_1A": -1.4e-5, "CD1_2A": 0.0, "CD2_1A": 0.0, "CD2_2A": 1.4e-5}  # fmt: skip
        write(
            folder / f"jtest0{k + 1}aq_flc.fits",
            "ACS/WFC",
            ra=ra,
            seed=k,
            primary={"FILTER1": name, "FILTER2": "CLEAR2L"},
            chip=alternate | cards | {"CRPIX2": 20.0},
        )
    (folder / "skymasks.cat").write_text("")
    write(folder / "reference_flc.fits", "ACS/WFC", ra=150.1001)
    return folder


@pytest.fixture(scope="session")
def field(field_folder):
    """The five exposures. Values: tests may share them."""
    return read_exposures(str(field_folder / "jtest*_flc.fits"))


@pytest.fixture
def makers():
    from sessions import FakeMakers

    return FakeMakers()


@pytest.fixture
def session(field, makers):
    from drizzlewb.session import Session

    return Session(field, makers=makers)
