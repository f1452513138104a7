import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drizzlewb.grid import Region
from drizzlewb.reduction.storage import ChipStack, TiledArray


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stacks")


def test_what_is_written_is_read_back(tmp_path):
    truth = np.arange(70 * 50, dtype=np.float32).reshape(70, 50)
    array = TiledArray(tmp_path / "a.bin", truth.shape, np.float32, 32)
    whole = Region(0, 70, 0, 50)
    todo = array.missing(whole)
    assert len(todo) == 6
    for tile in reversed(todo):
        array.write(tile, truth[tile.slices()])
    assert array.missing(whole) == []
    np.testing.assert_array_equal(array.read(whole), truth)
    part = Region(13, 41, 7, 50)
    np.testing.assert_array_equal(array.read(part), truth[part.slices()])


def test_missing_names_only_tiles_under_the_region(tmp_path):
    array = TiledArray(tmp_path / "a.bin", (100, 100), np.uint8, 32)
    assert array.missing(Region(40, 60, 40, 60)) == [Region(32, 64, 32, 64)]
    assert array.missing(Region(90, 200, 95, 300)) == [
        Region(64, 96, 64, 96),
        Region(64, 96, 96, 100),
        Region(96, 100, 64, 96),
        Region(96, 100, 96, 100),
    ]
    assert array.missing(Region(-50, -1, 0, 10)) == []


def test_tiles_are_remembered_by_a_later_process(tmp_path):
    array = TiledArray(tmp_path / "a.bin", (64, 64), np.float32, 32)
    tile = Region(0, 32, 32, 64)
    array.write(tile, np.full((32, 32), 7, np.float32))
    array.remember()
    array.close()
    again = TiledArray(tmp_path / "a.bin", (64, 64), np.float32, 32)
    assert tile not in again.missing(Region(0, 64, 0, 64))
    np.testing.assert_array_equal(again.read(tile), 7)


@pytest.mark.parametrize("change", ["shape", "side", "dtype", "truncated", "nonsense"])
def test_tiles_that_do_not_fit_are_made_again(tmp_path, change):
    path = tmp_path / "a.bin"
    array = TiledArray(path, (64, 64), np.float32, 32)
    array.write(Region(0, 32, 0, 32), np.ones((32, 32), np.float32))
    array.remember()
    array.close()
    shape, side, dtype = (64, 64), 32, np.float32
    if change == "shape":
        shape = (64, 96)
    elif change == "side":
        side = 16
    elif change == "dtype":
        dtype = np.int32
    elif change == "truncated":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.with_suffix(".tiles").write_text("{ nonsense")
    again = TiledArray(path, shape, dtype, side)
    assert Region(0, side, 0, side) in again.missing(Region(0, 64, 0, 64))


def test_many_threads_remember_at_once(tmp_path):
    """As when a preview and a run make tiles of the same median."""
    import threading

    path = tmp_path / "a.bin"
    arrays = [TiledArray(path, (40, 40), np.float32, 10) for _ in range(4)]
    tile = Region(0, 10, 0, 10)
    errors = []

    def work(array):
        try:
            for _ in range(30):
                array.write(tile, np.full((10, 10), 3.0))
                array.remember()
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(array,)) for array in arrays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert (TiledArray(path, (40, 40), np.float32, 10).read(tile) == 3).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bin", "a.tiles"]


@given(
    shapes=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=4),
    side=st.integers(1, 40),
    data=st.data(),
)
def test_chips_of_any_shapes_share_a_stack(folder, shapes, side, data):
    images = [np.arange(1, ny * nx + 1).reshape(ny, nx) % 251 + k for k, (ny, nx) in enumerate(shapes)]
    (folder / "stack.bin").unlink(missing_ok=True)
    stack = ChipStack(folder / "stack.bin", shapes, np.uint8, side)
    pieces = [
        (k, piece) for k, (ny, nx) in enumerate(shapes) for piece in stack.missing(k, Region(0, ny, 0, nx))
    ]
    for k, piece in data.draw(st.permutations(pieces)):
        stack.write(k, piece, images[k][piece.slices()])
    for k, (ny, nx) in enumerate(shapes):
        y0, x0 = data.draw(st.integers(0, ny - 1)), data.draw(st.integers(0, nx - 1))
        box = Region(y0, data.draw(st.integers(y0 + 1, ny)), x0, data.draw(st.integers(x0 + 1, nx)))
        assert stack.missing(k, box) == []
        np.testing.assert_array_equal(stack.read(k, box), images[k][box.slices()])
