"""Paint point sources from an oversampled, pixel-integrated point-spread function."""

import numpy as np

from drizzlewb.kernels.jit import kernel

__all__ = ["add_stars"]


@kernel
def _taps(t, w):
    # Cubic convolution (Keys 1981, a = -1/2) for a fraction t past the second of four samples.
    w[0] = t * (-0.5 + t * (1.0 - 0.5 * t))
    w[1] = 1.0 + t * t * (-2.5 + 1.5 * t)
    w[2] = t * (0.5 + t * (2.0 - 1.5 * t))
    w[3] = t * t * (-0.5 + 0.5 * t)


@kernel
def add_stars(image, x, y, flux, mix, psf, oversample):
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
    psf : float32[k, s, s]
        Effective point-spread functions (already integrated over a pixel), `oversample` samples per
        pixel, centred on sample s // 2, s odd.
    oversample : int
        Samples per pixel.
    """
    ny, nx = image.shape
    size = psf.shape[1]
    half = size // 2
    reach = half // oversample - 1
    wx = np.empty(4)
    wy = np.empty(4)
    for n in range(x.size):
        i0 = max(0, int(np.ceil(x[n])) - reach)
        i1 = min(nx, int(np.floor(x[n])) + reach + 1)
        j0 = max(0, int(np.ceil(y[n])) - reach)
        j1 = min(ny, int(np.floor(y[n])) + reach + 1)
        if i0 >= i1 or j0 >= j1:
            continue
        # The fraction of a sample is the same for every pixel of one star.
        u = half + (i0 - x[n]) * oversample
        v = half + (j0 - y[n]) * oversample
        iu = int(np.floor(u))
        iv = int(np.floor(v))
        _taps(u - iu, wx)
        _taps(v - iv, wy)
        for k in range(psf.shape[0]):
            weight = flux[n] * mix[n, k]
            if weight == 0.0:
                continue
            for j in range(j0, j1):
                row = iv + (j - j0) * oversample - 1
                for i in range(i0, i1):
                    column = iu + (i - i0) * oversample - 1
                    value = 0.0
                    for a in range(4):
                        line = 0.0
                        for b in range(4):
                            line += wx[b] * psf[k, row + a, column + b]
                        value += wy[a] * line
                    image[j, i] += np.float32(weight * value)
