"""Kernels of the cleaning chain beside the peers', one thread, CPU time, in turn; results compared first.

    python benchmarks/cleaning.py [--rows N]

Needs drizzlepac (extra ``peers``). Ratios are what counts: seconds depend on the machine and its load.
"""

import argparse
import statistics as stats
import time
from collections.abc import Callable

import numpy as np

from drizzlewb.kernels.cosmicray import cosmic_rays, grow
from drizzlewb.kernels.median import KINDS, combine
from drizzlewb.kernels.statistics import MEAN, MEDIAN, MODE, clipped_statistics, only_good

FLOORS = {"cosmic rays": 25.0, "sky median": 15.0, "median": 2.6, "minmed": 2.6}
INF = np.inf


def in_turn(ours: Callable, theirs: Callable, rounds: int) -> tuple[float, float]:
    """Median CPU seconds of either, called alternately."""
    seconds: tuple[list, list] = ([], [])
    for _ in range(rounds):
        for function, spent in zip((ours, theirs), seconds, strict=True):
            start = time.process_time()
            function()
            spent.append(time.process_time() - start)
    return stats.median(seconds[0]), stats.median(seconds[1])


def report(name: str, pixels: int, ours: Callable, theirs: Callable, agreement: str, rounds: int = 5) -> None:
    a, b = in_turn(ours, theirs, rounds)
    floor = FLOORS.get(name.split(",")[0])
    verdict = "" if floor is None else f"; floor {floor:g}: {'reached' if b / a >= floor else 'MISSED'}"
    ns = 1e9 / pixels
    print(f"{name:24s} {a * ns:8.2f} ns/px {b * ns:9.2f} ns/px {b / a:8.1f}x   {agreement}{verdict}")


def chip(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Science and blot of a chip: sky of 100 e-, stars, 2 % of cosmic-ray pixels."""
    rng = np.random.default_rng(seed)
    blot = rng.normal(100.0, 2.0, (rows, 4096))
    y, x = np.mgrid[-4:5, -4:5]
    star = np.exp(-(x**2 + y**2) / 3.0)
    for _ in range(rows):
        j, i = rng.integers(0, rows - 9), rng.integers(0, 4096 - 9)
        blot[j : j + 9, i : i + 9] += rng.exponential(3000.0) * star
    blot = blot.astype(np.float32)
    sci = rng.normal(blot, np.sqrt(np.abs(blot) + 25)).astype(np.float32)
    hit = rng.random(sci.shape) < 0.02
    sci[hit] += rng.exponential(300.0, hit.sum()).astype(np.float32)
    return sci, blot


def bench_cosmic_rays(sci: np.ndarray, blot: np.ndarray) -> None:
    from drizzlepac.quickDeriv import qderiv
    from scipy.signal import convolve2d

    def peer() -> np.ndarray:
        slope = qderiv(blot)
        difference = np.absolute(sci - blot)
        noise = np.sqrt(np.abs(blot + 100.0) + 25.0)
        first = difference <= 1.2 * slope + 3.5 * noise
        counts = convolve2d(first, np.ones((3, 3), np.uint16), boundary="symm", mode="same")
        good = (difference <= 0.7 * slope + 3.0 * noise) | (counts >= 9)
        # driz_cr convolves for growth and tail also where there is none
        spread = convolve2d(good, np.ones((1, 1), np.uint16), boundary="symm", mode="same") >= 1
        tail = convolve2d(good, np.zeros((1, 1)), boundary="symm", mode="same") >= 0
        return good & spread & tail

    mask, out = np.empty(sci.shape, np.uint8), np.empty(sci.shape, np.uint8)

    def ours() -> np.ndarray:
        cosmic_rays(sci, blot, 0, 0, *sci.shape, 100.0, 5.0, 3.5, 3.0, 1.2, 0.7, mask)
        grow(mask, 1, 0, 0, out)
        return out

    differing = int((ours() != peer()).sum())
    report("cosmic rays", sci.size, ours, peer, f"{differing} px differ")


def bench_sky(sci: np.ndarray) -> None:
    from stsci.imagestats import ImageStats

    flat = sci.reshape(-1)
    for name, wanted in (("median", MEDIAN), ("mean", MEAN), ("mode", MODE)):

        def peer(name: str = name) -> float:
            return getattr(ImageStats(flat, f"npix,{name}", nclip=5, lsig=4.0, usig=4.0, binwidth=0.1), name)

        def ours(name: str = name, wanted: int = wanted) -> float:
            return getattr(clipped_statistics(flat, 5, 4.0, 4.0, -INF, INF, 0.1, wanted), name)

        report(f"sky {name}", flat.size, ours, peer, f"differ by {abs(ours() - peer()):.1e} e-")
    good = (np.random.default_rng(3).random(flat.size) > 0.05).astype(np.uint8)
    room = np.empty_like(flat)

    def masked_peer() -> float:
        return ImageStats(flat[good.astype(bool)], "npix,median", nclip=5, lsig=4.0, usig=4.0).median

    def masked_ours() -> float:
        only_good(flat, good, room)
        return clipped_statistics(room, 5, 4.0, 4.0, -INF, INF, 0.1, MEDIAN).median

    difference = abs(masked_ours() - masked_peer())
    report("sky median, masked", flat.size, masked_ours, masked_peer, f"differ by {difference:.1e} e-")


def bench_median(n: int, rows: int) -> None:
    from drizzlepac.minmed import min_med
    from stsci.image.numcombine import num_combine

    rng = np.random.default_rng(n)
    stack = rng.normal(0.01, 0.02, (n, rows, 1024)).astype(np.float32)
    hit = rng.random(stack.shape) < 0.03
    stack[hit] += rng.exponential(2.0, hit.sum()).astype(np.float32)
    weight = np.where(rng.random(stack.shape) < 0.05, 0, rng.normal(500, 30, stack.shape)).astype(np.float32)
    stack[weight == 0] = 0.0
    masks = weight < 150.0
    sky, noise, exptime = np.full(n, 50.0), np.full(n, 4.5), np.full(n, 500.0)
    out = np.empty(stack.shape[1:], np.float32)
    least = np.full(n, 150.0)

    def ours(kind: str) -> np.ndarray:
        combine(
            stack, weight, least, KINDS[kind], 0, 1, -INF, INF, sky, noise, exptime, 4.0, 3.0, 1, out, n
        )  # fmt: skip
        return out

    def median() -> np.ndarray:
        return num_combine(stack, masks, "median", nlow=0, nhigh=1)

    def minmed() -> np.ndarray:
        return min_med(stack, weight, list(noise), list(exptime), list(sky), weight_masks=masks)

    some = (~masks).any(axis=0)
    for kind, peer in (("median", median), ("minmed", minmed)):
        differing = int((ours(kind) != peer())[some].sum())
        report(f"{kind}, {n} images", out.size, lambda kind=kind: ours(kind), peer, f"{differing} px differ")


def main() -> None:
    """Print one line per kernel: time per pixel of ours and the peer's, their ratio, how they agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2048, help="rows of the chip of 4096 columns")
    rows = parser.parse_args().rows
    print(f"{'kernel':24s} {'drizzlewb':>14s} {'peer':>15s} {'ratio':>9s}")
    sci, blot = chip(rows)
    bench_cosmic_rays(sci, blot)
    bench_sky(sci)
    for n in (2, 3, 4, 6, 12, 40):
        bench_median(n, max(rows // 8, 64))


if __name__ == "__main__":
    main()
