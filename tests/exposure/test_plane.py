"""Boxes of FITS images read by seek, against astropy."""

import gzip
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drizzlewb.errors import DataError
from drizzlewb.exposure import plane as plane_module
from drizzlewb.exposure.fitsfile import scan
from drizzlewb.exposure.plane import Plane, set_scratch_folder, unpacked

SHAPE = (30, 50)


def stored(tmp_path, data, name="a.fits", **cards):
    """Write an image extension after another one, and find it again."""
    header = fits.Header(cards)
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.ones((7, 9))), fits.ImageHDU(data, header, name="SCI")]
    path = tmp_path / name
    fits.HDUList(hdus).writeto(path)
    return scan(str(path))[2].plane(str(path))


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_every_stored_type_gives_astropys_values(tmp_path, dtype):
    rng = np.random.default_rng(1)
    data = (rng.normal(100, 50, SHAPE) if dtype[0] == "f" else rng.integers(0, 120, SHAPE)).astype(dtype)
    plane = stored(tmp_path, data)
    with fits.open(plane.path) as opened:
        expected = opened[2].data.astype(np.float32)
    got = plane.values((3, 20, 5, 41), 1.0)
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, expected[3:20, 5:41])


def test_scaled_integers_and_blank(tmp_path):
    data = np.arange(SHAPE[0] * SHAPE[1], dtype=np.int16).reshape(SHAPE)
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(data).writeto(path)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as opened:
        opened[0].header["BSCALE"] = 0.5
        opened[0].header["BZERO"] = -3.0
        opened[0].header["BLANK"] = 7
    got = scan(str(path))[0].plane(str(path)).values((0, 30, 0, 50), 2.0)
    expected = 2.0 * (0.5 * data - 3.0)
    assert np.isnan(got[0, 7])
    got[0, 7] = expected[0, 7]
    np.testing.assert_array_equal(got, expected.astype(np.float32))


@pytest.mark.parametrize("dtype", ["i2", "u2", "i4", "f4"])
def test_words_are_the_lower_sixteen_bits(tmp_path, dtype):
    data = np.array([[0, 1, 4096], [16384, 32767, 8192]]).astype(dtype)
    got = stored(tmp_path, data).words((0, 2, 0, 3))
    assert got.dtype == np.uint16
    np.testing.assert_array_equal(got, data.astype(np.uint16))


def test_words_keep_the_highest_bit(tmp_path):
    data = np.array([[-32768, -1], [0, 5]], np.int16)
    np.testing.assert_array_equal(stored(tmp_path, data).words((0, 2, 0, 2)), data.view(np.uint16))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), waste=st.sampled_from([0, 1 << 15]))
def test_any_box_by_rows_or_by_blocks(tmp_path_factory, data, waste):
    """The two ways of reading, and boxes at the edges, give the same pixels."""
    ny, nx = SHAPE
    y0 = data.draw(st.integers(0, ny))
    y1 = data.draw(st.integers(y0, ny))
    x0 = data.draw(st.integers(0, nx))
    x1 = data.draw(st.integers(x0, nx))
    values = np.arange(ny * nx, dtype=np.float32).reshape(SHAPE)
    plane = stored(tmp_path_factory.mktemp("box"), values)
    before, plane_module._WASTE = plane_module._WASTE, waste
    try:
        got = plane.values((y0, y1, x0, x1))
    finally:
        plane_module._WASTE = before
    np.testing.assert_array_equal(got, values[y0:y1, x0:x1])


def test_a_box_beyond_the_image_is_an_error(tmp_path):
    plane = stored(tmp_path, np.zeros(SHAPE, np.float32))
    for box in ((0, 31, 0, 5), (-1, 5, 0, 5), (0, 5, 0, 51), (5, 4, 0, 5)):
        with pytest.raises(IndexError, match="leaves the image"):
            plane.values(box)


def test_null_data_extension_is_a_constant(tmp_path):
    plane = stored(tmp_path, None, NPIX1=50, NPIX2=30, PIXVALUE=16)
    assert plane.shape == SHAPE
    np.testing.assert_array_equal(plane.words((0, 2, 0, 3)), np.full((2, 3), 16, np.uint16))
    np.testing.assert_array_equal(plane.values((0, 2, 0, 3), 0.5), np.full((2, 3), 8, np.float32))


def test_threads_read_the_same_pixels(tmp_path):
    """More files than open handles are kept, so that handles are closed while others read."""
    values = np.random.default_rng(2).normal(size=(60, 80)).astype(np.float32)
    planes = [stored(tmp_path, values + k, f"{k}.fits") for k in range(plane_module._MAX_HANDLES + 20)]

    def read(k):
        k %= len(planes)
        return np.array_equal(planes[k].values((5, 50, 10, 70)), (values + k)[5:50, 10:70])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(1000)))
    assert len(plane_module._handles) <= plane_module._MAX_HANDLES


def test_no_descriptor_is_left_open(tmp_path):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    plane_module._handles.clear()
    before = len(os.listdir("/proc/self/fd"))
    plane = stored(tmp_path, np.zeros(SHAPE, np.float32))
    for _ in range(100):
        plane.values((0, 5, 0, 5))
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    plane_module._handles.clear()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_replaced_file_is_read_anew(tmp_path):
    plane = stored(tmp_path, np.zeros(SHAPE, np.float32))
    assert plane.values((0, 1, 0, 1))[0, 0] == 0
    stored(tmp_path, np.ones(SHAPE, np.float32), "b.fits")
    os.replace(tmp_path / "b.fits", plane.path)
    assert plane.values((0, 1, 0, 1))[0, 0] == 1


def test_a_file_that_shrank_is_said_to_have(tmp_path):
    plane = stored(tmp_path, np.zeros((300, 500), np.float32))
    os.truncate(plane.path, plane.offset + 1000)
    with pytest.raises(DataError, match="has become shorter since it was opened"):
        plane.values((0, 300, 0, 500))


def test_a_file_that_went_is_said_to_have(tmp_path):
    plane = stored(tmp_path, np.zeros(SHAPE, np.float32))
    os.remove(plane.path)
    with pytest.raises(DataError, match="cannot read"):
        plane.values((0, 3, 0, 5))


def test_a_plane_can_be_pickled(tmp_path):
    plane = stored(tmp_path, np.ones(SHAPE, np.float32))
    again = pickle.loads(pickle.dumps(plane))
    assert again == plane
    np.testing.assert_array_equal(again.values((0, 3, 0, 3)), np.ones((3, 3)))


class TestCompressed:
    @pytest.fixture
    def scratch(self, tmp_path):
        folder = tmp_path / "scratch"
        set_scratch_folder(folder)
        yield folder
        set_scratch_folder(None)

    def test_nothing_is_unpacked_before_a_pixel_is_asked_for(self, tmp_path, scratch):
        values = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32)
        plane = stored(tmp_path, values, "a.fits.gz")
        assert list(scratch.iterdir()) == []
        np.testing.assert_array_equal(plane.values((2, 9, 4, 44)), values[2:9, 4:44])
        assert len(list(scratch.iterdir())) == 1

    def test_threads_unpack_once(self, tmp_path, scratch, monkeypatch):
        plane = stored(tmp_path, np.ones((200, 300), np.float32), "a.fits.gz")
        calls = []
        real = gzip.open
        monkeypatch.setattr(plane_module.gzip, "open", lambda *a: calls.append(a) or real(*a))
        with ThreadPoolExecutor(8) as pool:
            paths = set(pool.map(unpacked, [plane.path] * 64))
        assert len(paths) == 1
        assert len(calls) == 1

    def test_a_changed_file_is_unpacked_again(self, tmp_path, scratch):
        plane = stored(tmp_path, np.zeros(SHAPE, np.float32), "a.fits.gz")
        assert plane.values((0, 1, 0, 1))[0, 0] == 0
        os.remove(plane.path)
        plane = stored(tmp_path, np.ones(SHAPE, np.float32), "a.fits.gz")
        assert plane.values((0, 1, 0, 1))[0, 0] == 1

    def test_a_scratch_folder_that_was_emptied_is_filled_again(self, tmp_path, scratch):
        plane = stored(tmp_path, np.ones(SHAPE, np.float32), "a.fits.gz")
        os.remove(unpacked(plane.path))
        scratch.rmdir()
        assert plane.values((0, 1, 0, 1))[0, 0] == 1

    def test_a_stream_cut_short_leaves_nothing_behind(self, tmp_path, scratch):
        plane = stored(tmp_path, np.random.default_rng(4).normal(size=(200, 300)), "a.fits.gz")
        os.truncate(plane.path, os.path.getsize(plane.path) // 2)
        with pytest.raises(DataError, match="truncated or damaged"):
            plane.values((0, 3, 0, 3))
        assert list(scratch.iterdir()) == []


def test_a_plane_without_pixels_is_small():
    plane = Plane("x.fits", 2880, ">f4", (4096, 4096))
    assert len(pickle.dumps(plane)) < 400
