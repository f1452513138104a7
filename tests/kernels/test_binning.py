import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from drizzlewb.kernels.binning import block_mean, block_or


def twin(image, step, reduce):
    """The definition: pad to whole blocks with NaN, reduce each."""
    ny, nx = (-(-n // step) for n in image.shape)
    out = np.empty((ny, nx), image.dtype)
    for j in range(ny):
        for i in range(nx):
            out[j, i] = reduce(image[j * step : (j + 1) * step, i * step : (i + 1) * step])
    return out


def finite_mean(block):
    good = block[np.isfinite(block)]
    return good.astype(np.float64).mean() if good.size else np.nan


images = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=23),
    elements=st.one_of(st.floats(-1e4, 1e4, width=32), st.sampled_from([np.nan, np.inf, -np.inf])),
)


@settings(max_examples=60, deadline=None)
@given(images, st.integers(1, 9))
def test_block_mean_is_the_mean_of_finite_pixels(image, step):
    expected = twin(image, step, finite_mean)
    out = np.empty_like(expected)
    block_mean(image, step, out)
    # float32 sums of up to 81 values of up to 1e4.
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=0.1)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=23)),
    st.integers(1, 9),
)
def test_block_or_loses_no_flag(words, step):
    expected = twin(words, step, lambda block: np.bitwise_or.reduce(block, axis=None))
    out = np.empty_like(expected)
    block_or(words, step, out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("step", [1, 3])
def test_a_constant_stays_itself(step):
    image = np.full((7, 10), 2.5, np.float32)
    out = np.empty((-(-7 // step), -(-10 // step)), np.float32)
    block_mean(image, step, out)
    assert (out == 2.5).all()
