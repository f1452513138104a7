import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drizzlewb.kernels.polygon import AREA, CORNER_X, CORNER_Y, LANES, ROOM, WEIGHT, WINDOW, windows


@numba.njit
def run(scratch, first, m, rows, cols):
    windows(scratch, first, m, rows, cols)


def clipped(corners, axis, limit, side):
    """Part of a polygon on one side of a line (Sutherland and Hodgman)."""
    kept = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside = [side * (p[axis] - limit) >= 0 for p in (a, b)]
        if inside[0]:
            kept.append(a)
        if inside[0] != inside[1]:
            kept.append(a + (b - a) * (limit - a[axis]) / (b[axis] - a[axis]))
    return np.array(kept).reshape(-1, 2)


def area(corners):
    if len(corners) < 3:
        return 0.0
    x, y = (corners - corners[0]).T  # lest what is small drowns in the rounding of where it is
    return 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)


def shares(corners, rows, cols):
    """Fractions of a convex polygon in the pixels of a window whose lower left corner is the origin."""
    out = np.zeros((rows, cols))
    for r, c in np.ndindex(rows, cols):
        part = corners
        for axis, limit, side in ((0, c, 1), (0, c + 1, -1), (1, r, 1), (1, r + 1, -1)):
            part = clipped(part, axis, limit, side)
        out[r, c] = area(part) / area(corners)
    return out


def window_of(corners, weight, rows, cols, first=3, at=0):
    scratch = np.zeros((first + WINDOW + rows * cols, ROOM))
    scratch[first + CORNER_X : first + CORNER_X + 4, at] = corners[:, 0]
    scratch[first + CORNER_Y : first + CORNER_Y + 4, at] = corners[:, 1]
    scratch[first + AREA, at] = area(corners)
    scratch[first + WEIGHT, at] = weight
    run(scratch, first, at + 1, rows, cols)
    return scratch[first + WINDOW :, at].reshape(rows, cols)


@settings(deadline=None, max_examples=150)
@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.floats(0.0, 360.0),
    st.lists(st.floats(-0.2, 0.2), min_size=8, max_size=8),
    st.floats(0.01, 1.0),
    st.sampled_from([1, -1]),
    st.integers(0, 2 * LANES),
)
def test_windows_hold_the_shares_of_the_drop(rows, cols, angle, bends, size, turn, at):
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) + np.reshape(bends, (4, 2))
    a = np.radians(angle)
    corners = corners @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    # into the window, and as large in it as `size` says
    corners -= corners.min(axis=0)
    corners *= size * min(rows, cols) / corners.max()
    corners += (1 - size) * 0.5 * min(rows, cols)
    found = window_of(corners[::turn], 7.0, rows, cols, at=at)
    np.testing.assert_allclose(found, 7.0 * shares(corners, rows, cols), rtol=0, atol=1e-12)


def test_an_upright_drop_on_the_lines():
    """Edges without slope, on the lines between pixels: nothing is divided by nothing."""
    corners = np.array([[0.0, 1.0], [2.0, 1.0], [2.0, 2.0], [0.0, 2.0]])
    expected = np.array([[0, 0, 0], [0.5, 0.5, 0], [0, 0, 0]])
    np.testing.assert_array_equal(window_of(corners, 1.0, 3, 3), expected)


@pytest.mark.parametrize("shift", [1e-13, 1e-9])
def test_a_sliver_is_not_touched(shift):
    corners = np.array([[0.2, 0.2], [1.0 + shift, 0.2], [1.0 + shift, 0.8], [0.2, 0.8]])
    found = window_of(corners, 1.0, 1, 2)
    assert (found[0, 1] > 0) == (shift > 1e-12)
