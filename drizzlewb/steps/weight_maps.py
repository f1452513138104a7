"""Weight of each input pixel in the final drizzle: EXP, ERR, IVM or the user's own maps."""

import numpy as np

from drizzlewb.errors import DataError
from drizzlewb.grid import Region
from drizzlewb.steps.prepared import PreparedChip

__all__ = ["depth", "effective_seconds", "weight_box"]


def weight_box(
    prepared: PreparedChip,
    box: Region,
    good: np.ndarray,
    kind: str,
    scale: float,
    *,
    sky_e: float | None = None,
    factor: float = 1.0,
) -> np.ndarray:
    """Weights of the pixels of a box of one chip.

    Definitions are those of DrizzlePac 3.11 (``imageObject.py``: buildEXPmask, buildIVMmask,
    buildERRmask), with t the exposure time and s the scale ratio: EXP is t; IVM is t²/s⁴ over the
    background variance, flat²/(dark + sky·flat + read noise²), with all in electrons over the
    exposure; ERR is (t/err)²/s⁴. A user's weight map takes the place of the inverse variance.

    Parameters
    ----------
    prepared : PreparedChip
        The chip.
    box : Region
        Its pixels.
    good : ndarray of uint8
        1 = usable; others get weight 0.
    kind : {'EXP', 'IVM', 'ERR'}
        DrizzlePac's ``final_wht_type``.
    scale : float
        Output pixel over undistorted input pixel, linear.
    sky_e : float, optional
        Sky for the IVM noise, electrons; default, the sky present on the detector.
    factor : float
        A numeric ``final_wt_scl``; it multiplies EXP weights only, as in the peer.

    Returns
    -------
    ndarray of float32
        Weights, 0 for unusable pixels.

    Raises
    ------
    DataError
        ERR weights asked for and the file has no ERR extension.
    """
    chip = prepared.chip
    exptime = chip.exptime
    if kind == "EXP":
        return good.astype(np.float32) * np.float32(exptime * factor)
    if kind == "ERR":
        err = chip.read_err(box)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = (np.float32(exptime) / err) ** 2 / np.float32(scale**4)
        usable = (good != 0) & (err > 0) & np.isfinite(weight)
        return np.where(usable, weight, np.float32(0))
    if prepared.weight_map is not None:
        ivm = prepared.weight_map.values(box)
        usable = (good != 0) & (ivm > 0) & np.isfinite(ivm)
        return np.where(usable, ivm * np.float32(exptime**2 / scale**4), np.float32(0))
    sky = prepared.sky_present if sky_e is None else sky_e
    fixed = chip.dark * chip.exptime + chip.read_noise**2
    if prepared.flat is not None:
        flat = prepared.flat.values(box)
        with np.errstate(divide="ignore", invalid="ignore"):
            ivm = flat**2 / (np.float32(fixed) + np.float32(max(sky, 0.0)) * flat)
        usable = (good != 0) & (flat > 0) & np.isfinite(ivm)
        return np.where(usable, ivm * np.float32(exptime**2 / scale**4), np.float32(0))
    variance = fixed + max(sky, 0.0)
    if variance <= 0:
        msg = (
            f"final_wht_type='IVM': the background variance of {chip.path} chip {chip.extver} is "
            f"{variance:g} e2 (dark {chip.dark * exptime:g}, sky {sky:g}, read noise {chip.read_noise:g} e). "
            "Give rdnoise, or use final_wht_type='EXP'."
        )
        raise DataError(msg)
    return good.astype(np.float32) * np.float32(exptime**2 / scale**4 / variance)


def effective_seconds(wht: np.ndarray, scale: float) -> np.ndarray:
    """Effective exposure time of drizzled EXP weights.

    A drop's weight is spread over 1/s² output pixels, so that a full exposure leaves t s² in each.

    Parameters
    ----------
    wht : ndarray of float
        Weight image.
    scale : float
        Output pixel over input pixel, linear (s).

    Returns
    -------
    ndarray of float32
        Seconds.
    """
    return (np.asarray(wht) / scale**2).astype(np.float32)


def depth(wht: np.ndarray, reference: float) -> np.ndarray:
    """Depth of each pixel against a reference weight: the noise goes as the root of the weight.

    Parameters
    ----------
    wht : ndarray of float
        Weight image; EXP or inverse variance.
    reference : float
        Weight whose depth counts as 0.

    Returns
    -------
    ndarray of float32
        Magnitudes, 1.25 log10(wht / reference), negative where it is shallower; NaN without weight.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitudes = 1.25 * np.log10(np.asarray(wht, float) / reference)
    return np.where(np.isfinite(magnitudes), magnitudes, np.nan).astype(np.float32)
