"""DQ counts: what NumPy counts bit by bit."""

import numpy as np
from astropy.io import fits
from factory import write

from drizzlewb.exposure import Drawn, flag_counts, read_exposures


def exposure(tmp_path, words):
    path = write(tmp_path / "jtest01aq_flc.fits", "ACS/WFC")
    with fits.open(path, mode="update") as hdus:
        hdus["DQ", 1].data[:] = words
    return read_exposures(path)[0]


def test_every_bit_is_counted_as_numpy_counts_it(tmp_path):
    rng = np.random.default_rng(3)
    words = rng.integers(0, 1 << 15, (40, 60)) * (rng.random((40, 60)) < 0.3)
    chip = exposure(tmp_path, words).chips[0]
    counts, flagged = flag_counts(chip)
    assert flagged == np.count_nonzero(words)
    assert {c.flag.value: c.pixels for c in counts} == {
        1 << k: int(((words >> k) & 1).sum()) for k in range(15)
    }
    assert [c.flag.name for c in counts if c.flag.value == 4096] == ["cr_drizzle"]


def test_a_bit_without_a_name_is_told_by_its_value(tmp_path):
    words = np.zeros((40, 60), np.int16)
    words[3, 5] = -32768
    counts, flagged = flag_counts(exposure(tmp_path, words).chips[0])
    assert flagged == 1
    assert [(c.flag.name, c.pixels) for c in counts if c.pixels] == [("32768", 1)]


def test_drawn_masks_count_and_cancel_stops(tmp_path):
    plain = exposure(tmp_path, np.zeros((40, 60), int))
    drawn = plain.with_drawn([Drawn("jtest01aq", "circle", ((20, 10),), 3.0, extver=1)])
    counts, flagged = flag_counts(drawn.chips[0])
    assert flagged == next(c.pixels for c in counts if c.flag.value == 16384) > 0
    assert flag_counts(drawn.chips[0], cancelled=lambda: True)[1] == 0
