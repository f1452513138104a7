"""One PHOTFLAM for all chips, in memory; and the same as the peer's photeq does in files."""

import dataclasses
import shutil

import numpy as np
import pytest
from astropy.io import fits
from factory import write

import drizzlewb as dw
from drizzlewb.errors import DataError
from drizzlewb.exposure import equalised
from drizzlewb.exposure.equalising import flux_per_electron

BOX = (3, 20, 5, 30)


def two_exposures(folder):
    """The second exposure, and the second chips, are less sensitive."""
    files = []
    for k, name in enumerate(("j1aa01aaq_flt.fits", "j1aa01abq_flt.fits")):
        rng = np.random.default_rng(k)
        path = write(folder / name, "ACS/WFC", sci=[rng.normal(50, 9, (32, 40)).astype("f4") for _ in "12"])
        with fits.open(path, mode="update") as hdus:
            for chip in (1, 2):
                hdus["SCI", chip].header["PHOTFLAM"] = 7.9e-20 * (1 + 0.02 * k + 0.01 * chip)
        files.append(path)
    return files


def test_pixels_are_scaled_to_the_first_chip_and_nothing_else_changes(tmp_path):
    exposures = dw.read_exposures(two_exposures(tmp_path))
    scaled = equalised(exposures)
    reference = flux_per_electron(exposures[0].chips[0])
    assert reference > 0
    for before, after in zip(exposures, scaled, strict=True):
        for one, other in zip(before.chips, after.chips, strict=True):
            factor = flux_per_electron(one) / reference
            np.testing.assert_allclose(other.read_sci(BOX), one.read_sci(BOX) * factor, rtol=2e-7)
            for field in dataclasses.fields(one):
                if field.name != "to_electrons":
                    assert getattr(other, field.name) is getattr(one, field.name)
    assert scaled[0].chips[0].to_electrons == exposures[0].chips[0].to_electrons


def test_same_pixels_as_photeq(tmp_path):
    photeq = pytest.importorskip("drizzlepac.photeq", reason="the extra 'peers' is not installed")
    files = two_exposures(tmp_path)
    (tmp_path / "peer").mkdir()
    copies = [shutil.copy(f, tmp_path / "peer") for f in files]
    photeq.photeq(files=",".join(str(c) for c in copies), readonly=False, logfile=None)
    for ours, theirs in zip(equalised(dw.read_exposures(files)), dw.read_exposures(copies), strict=True):
        for one, other in zip(ours.chips, theirs.chips, strict=True):
            np.testing.assert_allclose(one.read_sci(BOX), other.read_sci(BOX), rtol=3e-7)


def test_a_chip_without_photflam_is_named(tmp_path):
    exposures = dw.read_exposures(two_exposures(tmp_path))
    chips = (exposures[1].chips[0], dataclasses.replace(exposures[1].chips[1], photflam=0.0))
    exposures[1] = dataclasses.replace(exposures[1], chips=chips)
    with pytest.raises(DataError, match=r"j1aa01abq_flt.fits\[SCI,2\] has none; switch equalise off"):
        equalised(exposures)
