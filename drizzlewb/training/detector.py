"""From photons to a calibrated frame: defects, noise, saturation and bleeding, data quality."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drizzlewb.training.cosmicrays import cosmic_rays
from drizzlewb.training.detectors import DetectorModel

__all__ = ["Defects", "Frame", "bleed", "defects", "expose", "full_well_map", "read_noise_map"]

# Data-quality bits (ACS and WFC3 data handbooks).
DEAD, HOT, UNSTABLE, WARM, BIAS_COLUMN = 4, 16, 32, 64, 128
FULL_WELL, BLOB, TRAP, A_TO_D = 256, 512, 1024, 2048
IR_UNSTABLE, IR_COSMIC_RAY = 32, 8192

HOT_SHARE, WARM_SHARE, UNSTABLE_SHARE, DEAD_SHARE = 0.004, 0.008, 0.001, 0.0004
HOT_RATE, WARM_RATE = 0.08, 0.02  # e-/s above which a pixel is hot, warm
BAD_COLUMNS, TRAP_COLUMNS = 10, 6  # per full chip


class Defects(NamedTuple):
    """What is wrong with a chip for good.

    `dq` uint16 (data-quality bits), `dark` float32 (e-/s of true dark current above the mean), `residual`
    float32 (e-/s that dark subtraction leaves), `jump` float32 (e-/s by which unstable pixels wander from
    exposure to exposure), `response` float32 (1 where sound, 0 where dead).
    """

    dq: NDArray[np.uint16]
    dark: NDArray[np.float32]
    residual: NDArray[np.float32]
    jump: NDArray[np.float32]
    response: NDArray[np.float32]

    def crop(self, corner: tuple[int, int], shape: tuple[int, int]) -> Defects:
        """Return the same for a part of the chip with lower left (x0, y0)."""
        x0, y0 = corner
        cut = (slice(y0, y0 + shape[0]), slice(x0, x0 + shape[1]))
        return Defects._make(np.ascontiguousarray(plane[cut]) for plane in self)


def defects(model: DetectorModel, extver: int, seed: int) -> Defects:
    """Defects of a full chip; the same for every exposure and size.

    Parameters
    ----------
    model : DetectorModel
        Detector.
    extver : int
        SCI extension, from 1.
    seed : int
        Seed of the set.
    """
    rng = np.random.Generator(np.random.PCG64([seed, 0xDEFEC7, extver]))
    ny, nx = model.shape
    n = ny * nx
    dq = np.zeros((ny, nx), np.uint16)
    dark, residual, jump = (np.zeros((ny, nx), np.float32) for _ in range(3))
    response = np.ones((ny, nx), np.float32)

    def some(share: float) -> tuple[NDArray, NDArray]:
        count = round(share * n)
        return rng.integers(0, ny, count), rng.integers(0, nx, count)

    where = some(WARM_SHARE)
    dark[where] = rng.uniform(WARM_RATE, HOT_RATE, where[0].size)
    residual[where] = dark[where] * rng.normal(0, 0.08, where[0].size)
    dq[where] |= WARM
    where = some(HOT_SHARE)
    rate = np.minimum(HOT_RATE * (1 + rng.pareto(1.1, where[0].size)), 60.0)
    dark[where] = rate
    residual[where] = rate * rng.normal(0, 0.08, rate.size)
    # One in ten grew hot after the dark frame was taken: nothing of it is subtracted.
    new = rng.uniform(0, 1, rate.size) < 0.1
    residual[where[0][new], where[1][new]] = rate[new]
    dq[where] = (dq[where] | HOT) & ~np.uint16(WARM)
    where = some(UNSTABLE_SHARE)
    jump[where] = 0.02 * (1 + rng.pareto(1.3, where[0].size)).clip(max=50)
    dq[where] |= IR_UNSTABLE if model.reads_up_the_ramp else UNSTABLE
    where = some(DEAD_SHARE * (3 if model.reads_up_the_ramp else 1))
    response[where] = 0
    dq[where] |= DEAD
    if model.reads_up_the_ramp:
        _infrared_defects(rng, dq, response)
    else:
        scale = nx / 4096
        for column in rng.integers(0, nx, math.ceil(BAD_COLUMNS * scale)):
            start = int(rng.integers(0, ny))
            rows = slice(start, ny) if extver == 1 else slice(0, ny - start)
            residual[rows, column] += rng.normal(0.05, 0.05)
            dq[rows, column] |= BIAS_COLUMN if rng.uniform() < 0.6 else DEAD
        for column in rng.integers(0, nx, math.ceil(TRAP_COLUMNS * scale)):
            start = int(rng.integers(0, ny))
            rows = slice(0, start) if extver == 1 else slice(start, ny)
            response[rows, column] *= 0.97
            dq[rows, column] |= TRAP
    return Defects(dq, dark, residual, jump, response)


def _infrared_defects(rng: np.random.Generator, dq: NDArray, response: NDArray) -> None:
    """Add blobs (dark round stains, DQ 512), clumps of unbonded pixels (DQ 4) and the death star."""
    ny, nx = dq.shape
    yy, xx = np.indices(dq.shape)
    for _ in range(24):
        x, y = rng.uniform(20, nx - 20), rng.uniform(20, ny - 20)
        radius, depth = rng.uniform(5, 11), rng.uniform(0.05, 0.16)
        r2 = (xx - x) ** 2 + (yy - y) ** 2
        response *= (1 - depth * np.exp(-r2 / (2 * (radius / 2) ** 2))).astype(np.float32)
        dq[r2 < radius**2] |= BLOB
    for _ in range(30):
        # Unbonded pixels crowd at the corners and edges of the array.
        x = rng.beta(0.35, 0.35) * nx
        y = rng.beta(0.35, 0.35) * ny
        spots = rng.normal([x, y], rng.uniform(1, 5), (int(rng.integers(15, 120)), 2)).astype(int)
        spots = spots[(spots >= 0).all(axis=1) & (spots[:, 0] < nx) & (spots[:, 1] < ny)]
        response[spots[:, 1], spots[:, 0]] = 0
        dq[spots[:, 1], spots[:, 0]] |= DEAD
    star = (xx - 0.356 * nx) ** 2 + (yy - 0.054 * ny) ** 2 < 26**2
    response[star] = 0
    dq[star] |= DEAD


def read_noise_map(
    model: DetectorModel, extver: int, corner: tuple[int, int], shape: tuple[int, int]
) -> NDArray:
    """Read noise (e-, float32) of each column's amplifier, shape (1, nx)."""
    amps = model.chips[extver - 1].amps
    left, right = amps[0], amps[1]
    columns = np.arange(shape[1]) + corner[0]
    noise = np.where(columns < model.shape[1] // 2, model.read_noise[left], model.read_noise[right])
    return noise.astype(np.float32)[None, :]


def full_well_map(
    model: DetectorModel, extver: int, corner: tuple[int, int], shape: tuple[int, int]
) -> NDArray:
    """Full well (e-, float32): varies by some per cent over a chip, as measured on ACS."""
    ny, nx = model.shape
    x = (np.arange(shape[1]) + corner[0])[None, :] / nx - 0.5
    y = (np.arange(shape[0]) + corner[1])[:, None] / ny - 0.5
    sign = 1 if extver == 1 else -1
    return (model.full_well * (1 + 0.05 * x - 0.06 * sign * y - 0.08 * (x * x + y * y))).astype(np.float32)


def bleed(charge: NDArray[np.float32], full_well: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Let charge above the full well run up and down its column, in place; returns pixels touched.

    Half goes each way, and what passes the end of the chip is lost; all else is conserved.

    Parameters
    ----------
    charge : float32[ny, nx]
        Electrons, changed in place.
    full_well : float32[ny, nx]
        Electrons that a pixel holds.

    Returns
    -------
    bool[ny, nx]
        True where a pixel is full or has taken up charge of a neighbour (the ends of a bleed).
    """
    columns = np.flatnonzero((charge > full_well).any(axis=0))
    if columns.size == 0:
        return np.zeros(charge.shape, bool)
    part = charge[:, columns].astype(np.float64)
    well = full_well[:, columns].astype(np.float64)
    excess = np.maximum(part - well, 0)
    part -= excess
    start = part.copy()
    rows = range(part.shape[0])
    for order in (rows, reversed(rows)):
        carry = np.zeros(columns.size)
        for j in order:
            carry += excess[j] / 2
            taken = np.minimum(carry, well[j] - part[j])
            part[j] += taken
            carry -= taken
    full = np.zeros(charge.shape, bool)
    full[:, columns] = (part >= well * (1 - 1e-6)) | (part > start)
    charge[:, columns] = part
    return full


class Frame(NamedTuple):
    """A calibrated chip and what really fell on it.

    `sci`, `err` float32 in electrons (electrons/s for WFC3/IR), `dq` uint16, `cr` float32 electrons left by
    cosmic rays, `events` their number.
    """

    sci: NDArray[np.float32]
    err: NDArray[np.float32]
    dq: NDArray[np.uint16]
    cr: NDArray[np.float32]
    events: int


def expose(
    rng: np.random.Generator,
    model: DetectorModel,
    extver: int,
    corner: tuple[int, int],
    light: NDArray[np.float32],
    sky: float,
    exptime: float,
    flaws: Defects,
    cr_percent: float,
) -> Frame:
    """Expose one chip and calibrate it.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance of this exposure and chip.
    model, extver, corner
        Detector, SCI extension (from 1) and lower left corner (x0, y0) of the crop.
    light : float32[ny, nx]
        Expected electrons of everything but the sky.
    sky : float
        Expected electrons of the sky in every pixel (flat-fielding makes it uniform).
    exptime : float
        Seconds.
    flaws : Defects
        Of the crop.
    cr_percent : float
        Pixels hit by cosmic rays in 1000 s, per cent.
    """
    shape = light.shape
    noise = read_noise_map(model, extver, corner, shape)
    dark = (model.dark_rate + flaws.dark) * np.float32(exptime)
    wander = flaws.jump * rng.standard_normal(shape, dtype=np.float32) * np.float32(exptime)
    mean = (light + np.float32(sky)) * flaws.response + dark + np.maximum(wander, 0)
    charge = rng.poisson(mean).astype(np.float32)
    dq = flaws.dq.copy()
    if model.reads_up_the_ramp:
        return _ramp(rng, model, charge, dark - flaws.residual * exptime, noise, exptime, dq)
    fraction = cr_percent / 100 * model.cr_per_ks * exptime / 1000
    cr, events = cosmic_rays(rng, shape, fraction)
    charge += cr
    dq[bleed(charge, full_well_map(model, extver, corner, shape))] |= FULL_WELL
    ceiling = np.float32((65535 - model.bias_dn) * model.ccdgain)
    clipped = charge >= ceiling
    np.minimum(charge, ceiling, out=charge)
    dq[clipped] |= A_TO_D
    charge += noise * rng.standard_normal(shape, dtype=np.float32)
    err = np.sqrt(np.maximum(charge, 0) + noise**2)
    sci = charge - (dark - flaws.residual * np.float32(exptime))
    return Frame(sci.astype(np.float32), err.astype(np.float32), dq, cr, events)


def _ramp(
    rng: np.random.Generator,
    model: DetectorModel,
    charge: NDArray[np.float32],
    subtracted: NDArray,
    noise: NDArray,
    exptime: float,
    dq: NDArray[np.uint16],
) -> Frame:
    """WFC3/IR: count rates; the ramp fit removed cosmic rays and follows bright pixels past saturation."""
    fitted = noise / np.float32(math.sqrt(3.2))  # about 12 e- effective for a long ramp
    variance = np.maximum(charge, 0) + fitted**2
    sci = charge - subtracted + fitted * rng.standard_normal(charge.shape, dtype=np.float32)
    dq[charge > model.full_well * 12] |= FULL_WELL
    hit = rng.uniform(0, 1, charge.shape) < 0.0025 * exptime / 1000
    dq[hit] |= IR_COSMIC_RAY
    cr = np.zeros(charge.shape, np.float32)
    t = np.float32(exptime)
    return Frame((sci / t).astype(np.float32), (np.sqrt(variance) / t).astype(np.float32), dq, cr, 0)
