"""Cosmic rays by comparison of a chip with the blotted median and its derivative (driz_cr)."""

import math

import numpy as np

from drizzlewb.kernels.jit import inner, kernel

__all__ = ["cosmic_rays", "grow", "limits", "margin", "noise_background"]

_INF = np.float32(np.inf)


def margin(grow_size, ctegrow):
    """Pixels by which a box must be grown for its mask to be right inside it.

    Parameters
    ----------
    grow_size : int
        ``driz_cr_grow``, side of the square of the spread.
    ctegrow : int
        ``driz_cr_ctegrow``, length of the tail.

    Returns
    -------
    int
        1 (derivative) + 1 (the 3 x 3 test) + the reach of the larger spread.
    """
    return 2 + max(int(grow_size) // 2, int(ctegrow), 0)


def noise_background(present_e, blot_sky_e, *, peer_parity=False):
    """Electrons to add to the blot so that its noise holds the sky on the detector once.

    Parameters
    ----------
    present_e : float
        Sky present on the detector, e-/pixel.
    blot_sky_e : float
        Sky that the blotted image already contains (``blot_addsky``), e-/pixel.
    peer_parity : bool
        DrizzlePac's choice instead: the subtracted sky on top of a blot that contains it (the sky
        counted twice with localmin and globalmin). `present_e` must then be the subtracted sky.

    Returns
    -------
    float
        The `background` of :func:`cosmic_rays`.
    """
    return float(present_e) if peer_parity else float(present_e) - float(blot_sky_e)


@kernel
def _inner_slopes(blot, slope):
    """Derivative of all but the outermost pixels of a box (0 where the blot itself is not finite)."""
    height, width = blot.shape
    for j in range(1, height - 1):
        here = blot[j]
        below = blot[j - 1]
        above = blot[j + 1]
        out = slope[j]
        for i in range(1, width - 1):
            value = here[i]
            # Comparisons with NaN are false and inf is shut out: bad neighbours drop out.
            most = np.float32(0.0)
            change = abs(value - here[i - 1])
            most = change if (change > most) & (change < _INF) else most
            change = abs(value - here[i + 1])
            most = change if (change > most) & (change < _INF) else most
            change = abs(value - below[i])
            most = change if (change > most) & (change < _INF) else most
            change = abs(value - above[i])
            most = change if (change > most) & (change < _INF) else most
            out[i] = most


def _border_slopes(blot, j, i, y0, x0, ny, nx):
    """Derivative at pixels (j, i) of the box, which may lie at the border of it or of the chip.

    The peer subtracts shifted copies that hold 0 outside, and in places one row or column inside:
    at the chip's border the derivative is at least |blot| (with the sky, if the blot contains it).
    """
    value = blot[j, i]
    row, col = j + y0, i + x0
    border = (row == 0) | (row >= ny - 2) | (col == 0) | (col >= nx - 2)
    most = np.where(border & np.isfinite(value), abs(value), np.float32(0.0))
    last = (row == ny - 1) | (col == nx - 1)
    for dj, di, inside in (
        (0, -1, (col > 0) & (i > 0)), (0, 1, (col < nx - 2) & (i < blot.shape[1] - 1)),
        (-1, 0, (row > 0) & (j > 0)), (1, 0, (row < ny - 2) & (j < blot.shape[0] - 1)),
    ):  # fmt: skip
        inside = inside & ~last
        change = abs(value - blot[np.where(inside, j + dj, j), np.where(inside, i + di, i)])
        most = np.where((change > most) & np.isfinite(change), change, most)
    return most


def _slopes(blot, y0, x0, ny, nx):
    """Derivative of the blot in a box whose first pixel is (y0, x0) of a chip of ny x nx pixels."""
    height, width = blot.shape
    slope = np.empty_like(blot)
    _inner_slopes(blot, slope)
    rows = np.unique([k for k in (0, height - 1, ny - 2 - y0, ny - 1 - y0) if 0 <= k < height])
    cols = np.unique([k for k in (0, width - 1, nx - 2 - x0, nx - 1 - x0) if 0 <= k < width])
    with np.errstate(invalid="ignore"):
        for j, i in ((rows[:, None], np.arange(width)), (np.arange(height)[:, None], cols)):
            slope[j, i] = _border_slopes(blot, j, i, y0, x0, ny, nx)
    return slope


@inner
def _limit(value, slope, background, rn2, snr, scale):
    """Largest difference from the blot that passes."""
    noise = math.sqrt(abs(value + background) + rn2)
    return scale * slope + snr * noise


@kernel
def _judge(sci, blot, slope, background, rn2, snr1, snr2, scale1, scale2, loose, strict):
    """Write 1 where the pixels of a line fail the first, the second test."""
    for i in range(sci.size):
        value = blot[i]
        difference = abs(sci[i] - value)
        finite = difference < _INF
        loose[i] = finite & (difference > _limit(value, slope[i], background, rn2, snr1, scale1))
        strict[i] = finite & (difference > _limit(value, slope[i], background, rn2, snr2, scale2))


def cosmic_rays(sci, blot, y0, x0, ny, nx, background, read_noise, snr1, snr2, scale1, scale2, out):
    """Mark the pixels of a chip box that the blotted median does not explain.

    Parameters
    ----------
    sci, blot : ndarray, shape (h, w), float32
        Box of the chip and of the blotted median, electrons in one exposure, both with the sky or
        both without it. DrizzlePac compares them with the sky (``blot_addsky=True``), which also
        enters the derivative at the chip's border.
    y0, x0 : int
        Chip coordinates of the box's first pixel.
    ny, nx : int
        Shape of the whole chip: its border has a rule of its own.
    background : float
        Electrons added to the blot in the noise: see :func:`noise_background`.
    read_noise : float
        Read noise, electrons.
    snr1, snr2, scale1, scale2 : float
        ``driz_cr_snr`` and ``driz_cr_scale``.
    out : ndarray, shape (h, w), uint8
        1 good, 0 cosmic ray. Right for pixels at least 2 px from those sides of the box that are
        not sides of the chip (:func:`margin` counts them in).

    Notes
    -----
    ``drizzlepac.drizCR``: with ``deriv`` the largest absolute difference between a blot pixel and
    its four neighbours and ``noise = sqrt(|blot + background| + read_noise^2)``, a pixel is good if
    ``|sci - blot| <= scale2*deriv + snr2*noise``, or if it and all its neighbours in the 3 x 3 box
    satisfy the same with ``scale1`` and ``snr1``. In float32, as the peer.

    A pixel whose `sci` or `blot` is NaN or inf is not a cosmic ray (it is bad by itself): it is 1,
    counts as passed in its neighbours' 3 x 3 test and is left out of their derivative. The peer lets
    it fail, and so flags good neighbours.
    """
    height, width = sci.shape
    if sci.size == 0:
        return
    slope = _slopes(blot, y0, x0, ny, nx)
    numbers = (background, read_noise * read_noise, snr1, snr2, scale1, scale2)
    loose = np.zeros((height + 2, width + 2), np.uint8)  # with a line that passes on every side
    tests = np.empty((2, sci.size), np.uint8)
    _judge(sci.reshape(-1), blot.reshape(-1), slope.reshape(-1), *map(np.float32, numbers), *tests)
    loose[1:-1, 1:-1] = tests[0].reshape(sci.shape)
    near = loose[:-2] | loose[1:-1] | loose[2:]
    near = near[:, :-2] | near[:, 1:-1] | near[:, 2:]
    near &= tests[1].reshape(sci.shape)
    np.bitwise_xor(near, 1, out=out)


def limits(blot, y0, x0, ny, nx, background, read_noise, snr, scale, out):
    """Largest ``|sci - blot|`` that passes one of the two tests of :func:`cosmic_rays`, pixel by pixel.

    Parameters
    ----------
    blot, y0, x0, ny, nx, background, read_noise
        As for :func:`cosmic_rays`.
    snr, scale : float
        One of the two values each of ``driz_cr_snr`` and ``driz_cr_scale``.
    out : ndarray, shape (h, w), float32
        Electrons: ``scale * derivative + snr * noise``. Right for pixels at least 1 px from those sides
        of the box that are not sides of the chip.
    """
    slope = _slopes(blot, y0, x0, ny, nx)
    noise = np.sqrt(abs(blot + np.float32(background)) + np.float32(read_noise * read_noise))
    out[:] = np.float32(scale) * slope + np.float32(snr) * noise


@kernel
def grow(mask, size, cte_length, cte_direction, out):
    """Spread cosmic rays over a square and down a charge-transfer tail.

    Parameters
    ----------
    mask : ndarray, shape (h, w), uint8
        1 good, 0 cosmic ray.
    size : int
        ``driz_cr_grow``: *side* of the square; 1 spreads nothing, an even side reaches one pixel
        further towards higher y and x.
    cte_length : int
        ``driz_cr_ctegrow``: length of the tail, px; 0 for none.
    cte_direction : int
        1: the tail points to lower y (read out at high y); -1: to higher y; 0: no tail.
    out : ndarray, shape (h, w), uint8
        Result, not the same array as `mask`. Right for pixels whose distance from the box's inner
        sides is at least the spread's reach.

    Notes
    -----
    ``drizzlepac.drizCR`` convolves with a kernel of ones and mirrors at the chip's edge. For the
    square this equals the spread done here; for the tail the mirror makes rays near the edge mask
    pixels on their other side as well, which is left out here. Both spreads start from `mask`.
    """
    height, width = mask.shape
    reach_up = size // 2
    reach_down = (size - 1) // 2
    for j in range(height):
        for i in range(width):
            out[j, i] = mask[j, i]
    tail = cte_length if cte_direction != 0 else 0
    if size <= 1 and tail <= 0:
        return
    for j in range(height):
        for i in range(width):
            if mask[j, i] != 0:
                continue
            for jj in range(max(j - reach_down, 0), min(j + reach_up + 1, height)):
                for ii in range(max(i - reach_down, 0), min(i + reach_up + 1, width)):
                    out[jj, ii] = 0
            if tail > 0:
                first = j - tail if cte_direction > 0 else j + 1
                for jj in range(max(first, 0), min(first + tail, height)):
                    out[jj, i] = 0
