"""Paint point sources from an oversampled, pixel-integrated point-spread function."""

import numpy as np

from drizzlewb.kernels.jit import kernel

__all__ = ["add_stars", "polyphase"]


def polyphase(psf, oversample):
    """Sort the samples of point-spread functions by their phase within a pixel.

    Parameters
    ----------
    psf : float32[k, s, s]
        Oversampled functions.
    oversample : int
        Samples per pixel.

    Returns
    -------
    float32[k, oversample, oversample, m, m]
        Element (k, p, q, j, i) is ``psf[k, oversample * j + p, oversample * i + q]``, or 0 past its edge,
        so that the samples which one star lends to neighbouring pixels are neighbours in memory.
    """
    count, size, _ = psf.shape
    cells = -(-size // oversample)
    padded = np.zeros((count, cells * oversample, cells * oversample), np.float32)
    padded[:, :size, :size] = psf
    split = padded.reshape(count, cells, oversample, cells, oversample)
    return np.ascontiguousarray(split.transpose(0, 2, 4, 1, 3))


@kernel
def _taps(t, w):
    # Cubic convolution (Keys 1981, a = -1/2) for a fraction t past the second of four samples.
    w[0] = t * (-0.5 + t * (1.0 - 0.5 * t))
    w[1] = 1.0 + t * t * (-2.5 + 1.5 * t)
    w[2] = t * (0.5 + t * (2.0 - 1.5 * t))
    w[3] = t * t * (-0.5 + 0.5 * t)


@kernel
def _axpy(a, x, y):
    # A loop from 0 over a whole array is what the compiler turns into vector instructions.
    for i in range(y.size):
        y[i] += a * x[i]


@kernel
def add_stars(image, x, y, flux, mix, phases, half):
    """Add stars to an image, in place.

    Parameters
    ----------
    image : float32[ny, nx]
        Image to add to; what falls outside is left out.
    x, y : float64[n]
        Zero-based positions, pixels.
    flux : float64[n]
        Total flux, in the image's unit.
    mix : float64[n, k]
        Weight of each of the k functions at the star's place in the field.
    phases : float32[k, p, p, m, m]
        Effective point-spread functions (already integrated over a pixel), p samples per pixel, as
        `polyphase` sorts them.
    half : int
        Sample at which they are centred.
    """
    ny, nx = image.shape
    oversample = phases.shape[1]
    reach = half // oversample - 1
    wx = np.empty(4)
    wy = np.empty(4)
    line = np.empty(2 * reach + 2, np.float32)
    for n in range(x.size):
        i0 = max(0, int(np.ceil(x[n])) - reach)
        i1 = min(nx, int(np.floor(x[n])) + reach + 1)
        j0 = max(0, int(np.ceil(y[n])) - reach)
        j1 = min(ny, int(np.floor(y[n])) + reach + 1)
        if i0 >= i1 or j0 >= j1:
            continue
        # The fraction of a sample is the same for every pixel of one star.
        fu = half + (i0 - x[n]) * oversample
        fv = half + (j0 - y[n]) * oversample
        iu = int(np.floor(fu))
        iv = int(np.floor(fv))
        _taps(fu - iu, wx)
        _taps(fv - iv, wy)
        width = i1 - i0
        row = line[:width]
        for j in range(j0, j1):
            row[:] = 0
            for k in range(phases.shape[0]):
                for a in range(4):
                    v = iv - 1 + a + (j - j0) * oversample
                    for b in range(4):
                        weight = np.float32(flux[n] * mix[n, k] * wy[a] * wx[b])
                        u = iu - 1 + b
                        first = u // oversample
                        samples = phases[k, v % oversample, u % oversample, v // oversample]
                        _axpy(weight, samples[first : first + width], row)
            target = image[j, i0:i1]
            for i in range(width):
                target[i] += row[i]
