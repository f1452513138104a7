import numpy as np
import pytest
from factory import write

from drizzlewb import read_exposures
from drizzlewb.grid import Region
from drizzlewb.views import frames


@pytest.fixture(scope="module")
def exposure(tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / "jtest01aq_flc.fits"
    write(path, "ACS/WFC", seed=1)
    return read_exposures([path])[0]


def test_a_chip_is_read_in_the_unit_of_its_file(exposure):
    chip = exposure.chips[0]
    frame = frames.chip_frame(chip)
    box = Region(3, 9, 5, 20)
    np.testing.assert_allclose(frame.read(box), chip.read_sci(box) / chip.to_electrons, rtol=1e-6)
    assert frame.unit == chip.unit
    assert frames.chip_frame(chip, to_file_unit=False).unit == "electrons"


def test_value_and_names_under_a_point(exposure):
    chip = exposure.chips[0]
    frame = frames.chip_frame(chip)
    box = Region(4, 5, 7, 8)
    assert frame.value(7.4, 3.6) == pytest.approx(frame.read(box)[0, 0])
    assert np.isnan(frame.value(-1, 0))
    word = int(chip.read_dq(box)[0, 0])
    assert frame.dq_names(7, 4) == tuple(f.name for f in chip.flags.flags if word & f.value)
    assert frame.dq_names(-5, 4) == ()


def test_sky_and_back(exposure):
    frame = frames.chip_frame(exposure.chips[0])
    x, y = frame.from_sky(*frame.to_sky(10.0, 12.0))
    assert (float(x), float(y)) == pytest.approx((10.0, 12.0), abs=1e-6)


def test_an_array_may_begin_anywhere():
    image = np.arange(20, dtype=np.float32).reshape(4, 5)
    frame = frames.array_frame("a", image, origin=(100, 200))
    assert frame.region == Region(100, 104, 200, 205)
    assert frame.value(203, 102) == image[2, 3]


def test_the_sample_is_small_and_finite():
    image = np.full((3000, 2000), 7, np.float32)
    image[::2] = np.nan
    sample = frames.array_frame("a", image).sample()
    assert 0 < sample.size <= 500 * 500
    assert np.isfinite(sample).all()


def test_binned_keeps_small_images_as_they_are():
    image = np.zeros((10, 12), np.float32)
    assert frames.binned(image, 12)[0] is image
    small, step = frames.binned(image, 5)
    assert (small.shape, step) == ((4, 4), 3)


def test_on_its_own_grid_a_frame_is_itself(exposure):
    from drizzlewb.grid import output_grid

    grid = output_grid(list(exposure.chips))
    image = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    frame = frames.array_frame("a", image, grid=grid)
    region = Region(2, 12, 3, 18).clip(grid.shape)
    np.testing.assert_array_equal(
        frames.on_grid([frame], grid, region, "b").read(region), image[region.slices()]
    )


def test_an_exposure_on_a_grid_takes_the_nearest_pixel(exposure):
    from drizzlewb.grid import output_grid

    grid = output_grid(list(exposure.chips))
    region = grid.region
    laid = frames.exposure_frame(exposure, grid, region)
    image = laid.read(region)
    assert np.isfinite(image).mean() > 0.5
    chip = exposure.chips[0]
    x, y = frames.chip_frame(chip).to_sky(20.0, 10.0)
    gx, gy = (round(float(v)) for v in grid.sky_to_pixel(x, y))
    px, py = frames.chip_frame(chip).from_sky(*grid.pixel_to_sky(float(gx), float(gy)))
    assert laid.value(gx, gy) == pytest.approx(frames.chip_frame(chip).value(float(px), float(py)))
