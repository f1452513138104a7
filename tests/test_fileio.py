"""Positioned writes: an image that comes in boxes stands in the file as a whole."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drizzlewb.fileio import RowBands, open_binary
from drizzlewb.grid import Region
from drizzlewb.reduction.tiling import tiles_of

HEAD = 7  # bytes before the image: it begins anywhere in its file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rows")


def stored(path, shape, dtype):
    raw = np.frombuffer(path.read_bytes(), np.uint8)
    assert (raw[:HEAD] == 0).all()
    return raw[HEAD:].view(dtype).reshape(shape)


def made(folder, image, dtype, boxes, threads=1):
    """The file after these boxes of an image were put, in this order."""
    path = folder / "image.bin"
    path.unlink(missing_ok=True)
    fd = open_binary(path, write=True)
    try:
        os.ftruncate(fd, HEAD + image.size * np.dtype(dtype).itemsize)
        bands = RowBands(fd, HEAD, image.shape[1], dtype)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda box: bands.put(box.y0, box.x0, image[box.slices()]), boxes))
        bands.check_finished()
    finally:
        os.close(fd)
    return stored(path, image.shape, dtype)


@given(
    ny=st.integers(1, 40),
    nx=st.integers(1, 40),
    side=st.integers(1, 40),
    threads=st.sampled_from([1, 4]),
    data=st.data(),
)
def test_boxes_in_any_order_from_any_thread(folder, ny, nx, side, threads, data):
    image = np.random.default_rng(3).normal(size=(ny, nx)).astype(np.float32)
    image[: ny // 3] = 0  # whole boxes, and parts of boxes, of zeros
    image[0, 0] = np.nan
    boxes = data.draw(st.permutations(list(tiles_of((ny, nx), side))))
    np.testing.assert_array_equal(made(folder, image, ">f4", boxes, threads), image)


def test_rows_longer_than_one_write_and_the_highest_bit(folder):
    image = np.full((70, 5000), 1 << 31, np.uint32)
    image += np.arange(image.size, dtype=np.uint32).reshape(image.shape)
    got = made(folder, image, ">i4", list(tiles_of(image.shape, 1900)))
    np.testing.assert_array_equal(got.astype(np.int32).view(np.uint32), image)


def test_rows_of_zeros_take_no_room_on_the_disk(folder):
    image = np.zeros((1024, 1024), np.float32)
    made(folder, image, ">f4", list(tiles_of(image.shape, 256)))
    assert (folder / "image.bin").stat().st_blocks * 512 < image.nbytes / 10


def test_a_box_that_never_came_is_told(folder):
    image = np.ones((8, 8), np.float32)
    boxes = [Region(0, 4, 0, 8), Region(4, 8, 4, 8)]
    with pytest.raises(RuntimeError, match=r"begin at \[4\]"):
        made(folder, image, ">f4", boxes)
