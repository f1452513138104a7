"""Drizzle and blot beside the ``drizzle`` 3 package: one thread, CPU time, in turn; results compared first.

    python -m benchmarks.kernels [--rows N] [--rounds N] [--only NAME,...]

Needs the peer (extra ``peers``). Ours map on the fly, distortion tables included, and work tile by tile
as the engine does; the peer is given its pixel map for nothing and the whole image at once. Ratios are
what counts: seconds depend on the machine and its load.
"""

import argparse
import statistics as stats
import time
import warnings
from collections.abc import Callable

import numpy as np
from astropy.wcs import WCS, DistortionLookupTable, Sip

from drizzlewb.distortion import homography, pack, tan_wcs
from drizzlewb.kernels.blot import INTERPOLANTS, blot_box
from drizzlewb.kernels.drizzle import KERNELS, drizzle_box, finish, reach
from drizzlewb.kernels.rows import map_row

FLOORS = {"square": 1.8, "turbo": 2.0, "gaussian": 2.0, "lanczos2": 5.0, "lanczos3": 5.0}
# output / input scale, pixfrac, angle of the output on the chip
CASES = ((0.6, 0.6, 25.0), (0.6, 1.0, 0.0), (1.0, 1.0, 3.0))
TILE = 500  # rows of 512 float64 would be 4096 bytes apart and fall into one set of the cache


def chip(rows: int, columns: int):
    """Packed WCS of a chip like one of ACS/WFC: SIP of order 4, NPOL and D2IM tables of 64-px cells."""
    rng = np.random.default_rng(2)
    w = WCS(naxis=2)
    w.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    w.wcs.crval = [5.6, -72.1]
    w.wcs.crpix = [columns / 2, rows / 2]
    w.wcs.cd = np.array([[1.37e-5, 1e-7], [5e-7, 1.34e-5]])
    w.pixel_shape = (columns, rows)
    a, b = np.zeros((2, 5, 5))
    a[2, 0], a[1, 1], a[0, 2], b[2, 0], b[1, 1], b[0, 2] = 8.6e-6, -5.2e-6, 1.9e-6, -2.3e-6, 6.1e-6, -7.4e-6
    a[3, 0], b[0, 3], a[4, 0], b[2, 2] = 4e-11, -3e-11, 2e-15, 1e-15
    w.sip = Sip(a, b, None, None, w.wcs.crpix)

    def table(amplitude):
        shape = (rows // 64 + 2, columns // 64 + 2)
        # smooth, as the peer interpolates corners between centres
        data = amplitude * np.sin(np.add.outer(np.arange(shape[0]) / 7.0, np.arange(shape[1]) / 9.0))
        return DistortionLookupTable(data.astype(np.float32), (0.0, 0.0), (0.0, 0.0), (64.0, 64.0))

    w.cpdis1, w.cpdis2 = table(0.1), table(0.1)
    w.det2im1 = table(0.003)
    w.wcs.set()
    data = rng.normal(100.0, 10.0, (rows, columns)).astype(np.float32)
    weight = rng.uniform(500.0, 1500.0, data.shape).astype(np.float32)
    weight[rng.random(data.shape) < 0.02] = 0.0
    return pack(w, data.shape), data, weight


def placed(wcs, shape, scale: float, rot: float):
    """Homography onto an output that holds the chip, its pixel map and the output's shape."""
    a = np.radians(rot)
    cd = 1.37e-5 * scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])

    def mapped(crpix):
        h = homography(wcs, tan_wcs(wcs.crval, crpix, cd))
        pixmap = np.empty((*shape, 2))
        x, y = np.empty(shape[1]), np.empty(shape[1])
        for j in range(shape[0]):
            map_row(wcs, h, float(j), 0.0, 0, shape[1], x, y)
            pixmap[j, :, 0], pixmap[j, :, 1] = x, y
        return h, pixmap

    _, pixmap = mapped((0.0, 0.0))
    h, pixmap = mapped(tuple(8.0 - pixmap.min(axis=(0, 1))))
    return h, pixmap, tuple(int(v) + 9 for v in pixmap.max(axis=(0, 1))[::-1])


def tiles_of(shape, pixmap, margin: float):
    """Tiles of the output and the chip box beneath each: (oy0, oy1, ox0, ox1), (y0, y1, x0, x1)."""
    for oy in range(0, shape[0], TILE):
        for ox in range(0, shape[1], TILE):
            tile = oy, min(oy + TILE, shape[0]), ox, min(ox + TILE, shape[1])
            x, y = pixmap[..., 0], pixmap[..., 1]
            under = (y > oy - margin) & (y < tile[1] + margin) & (x > ox - margin) & (x < tile[3] + margin)
            if under.any():
                js, is_ = np.flatnonzero(under.any(axis=1)), np.flatnonzero(under.any(axis=0))
                yield tile, (int(js[0]), int(js[-1]) + 1, int(is_[0]), int(is_[-1]) + 1)


def in_turn(ours: Callable, theirs: Callable, rounds: int) -> tuple[float, float]:
    """Median CPU seconds of either, called alternately; each returns the seconds to count."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return stats.median(p[0] for p in pairs), stats.median(p[1] for p in pairs)


def report(name: str, pixels: int, a: float, b: float, agreement: str) -> None:
    floor = FLOORS.get(name.split()[0])
    verdict = "" if floor is None else f"; floor {floor:g}: {'reached' if b / a >= floor else 'MISSED'}"
    ns = 1e9 / pixels
    print(
        f"{name:34s} {a * ns:7.1f} ns/px {b * ns:7.1f} ns/px {b / a:6.2f}x   {agreement}{verdict}", flush=True
    )


def bench_drizzle(kernel: str, rows: int, rounds: int) -> None:
    from drizzle.resample import Drizzle

    wcs, data, weight = chip(rows, 2048)
    for scale, pixfrac, rot in CASES:
        h, pixmap, shape = placed(wcs, data.shape, scale, rot)
        jobs = []
        for tile, (y0, y1, x0, x1) in tiles_of(shape, pixmap, reach(KERNELS[kernel], pixfrac, scale) + 2.0):
            box = np.s_[y0:y1, x0:x1]
            jobs.append((tile, x0, y0, np.ascontiguousarray(data[box]), np.ascontiguousarray(weight[box])))
        sci, wht = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

        def ours(write=False, jobs=jobs, h=h, scale=scale, pixfrac=pixfrac, sci=sci, wht=wht):
            spent = 0.0
            store = np.empty((2, TILE * TILE))
            bits = np.empty(TILE * TILE, np.uint32)
            for (oy0, oy1, ox0, ox1), x0, y0, box, box_weight in jobs:
                tile = (oy1 - oy0, ox1 - ox0)
                num, den, ctx = (a[: tile[0] * tile[1]].reshape(tile) for a in (*store, bits))
                num[:], den[:], ctx[:] = 0.0, 0.0, 0
                start = time.process_time()
                shape_of_drop = KERNELS[kernel], pixfrac, scale
                drizzle_box(box, box_weight, x0, y0, wcs, h, *shape_of_drop, 1, ox0, oy0, num, den, ctx)
                spent += time.process_time() - start
                if write:
                    a, b = np.empty(tile, np.float32), np.empty(tile, np.float32)
                    finish(num, den, 0.0, a, b)
                    sci[oy0:oy1, ox0:ox1], wht[oy0:oy1, ox0:ox1] = a, b
            return spent

        def theirs(keep=None, pixmap=pixmap, shape=shape, scale=scale, pixfrac=pixfrac):
            peer = Drizzle(kernel=kernel, out_shape=shape, fillval="0.0")
            peer.out_img[:], peer.out_wht[:] = 0.0, 0.0  # first touch is not what is measured
            start = time.process_time()
            sizes = {"pixfrac": pixfrac, "iscale": scale**2, "pixel_scale_ratio": scale}
            peer.add_image(data, 1.0, pixmap, weight_map=weight, **sizes)
            spent = time.process_time() - start
            if keep is not None:
                keep.append(peer)
            return spent

        ours(write=True)
        kept: list = []
        theirs(keep=kept)
        solid = kept[0].out_wht > 0.1 * kept[0].out_wht.max()
        off_wht = abs(wht - kept[0].out_wht).max() / kept[0].out_wht.max()
        off_sci = abs(sci - kept[0].out_img)[solid].max() / kept[0].out_img[solid].max()
        a, b = in_turn(ours, theirs, rounds)
        agreement = f"agree to {off_sci:.0e} (weight {off_wht:.0e})"
        if max(off_sci, off_wht) > 2e-2:
            agreement = "DISAGREE: " + agreement
        report(f"{kernel} {scale:g} {pixfrac:g} {rot:g} deg", data.size, a, b, agreement)


def bench_blot(interp: str, rows: int, rounds: int) -> None:
    from drizzle.resample import blot_image

    wcs, data, _ = chip(rows, 2048)
    h, pixmap, (ny, nx) = placed(wcs, data.shape, 0.6, 25.0)
    y, x = np.mgrid[:ny, :nx].astype(np.float32)
    source = (100 + 10 * np.sin(x / 3) + 10 * np.cos(y / 4)).astype(np.float32)
    out = np.empty_like(data)
    theirs_out = np.empty_like(data)

    def ours():
        start = time.process_time()
        blot_box(source, 0, 0, nx, ny, wcs, h, INTERPOLANTS[interp], 1.0, 0.0, 1.0, 0, 0, out)
        return time.process_time() - start

    def theirs():
        start = time.process_time()
        theirs_out[:] = blot_image(source, pixmap, interp=interp)
        return time.process_time() - start

    ours()
    if interp == "sinc":
        report(f"blot {interp}", data.size, stats.median(ours() for _ in range(rounds)), np.nan, "no peer")
        return
    theirs()
    # positions in float32: steps of 2.4e-4 near 2000, times slopes of up to 4 a pixel
    off = np.percentile(abs(out - theirs_out), 99.5 if interp == "nearest" else 100)
    a, b = in_turn(ours, theirs, rounds)
    report(f"blot {interp}", data.size, a, b, f"{'agree' if off < 2e-3 else 'DISAGREE:'} to {off:.0e}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="drizzle and blot beside the peer")
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="kernels and interpolants, separated by commas")
    args = parser.parse_args(argv if argv is not None else [])
    only = [name for name in args.only.split(",") if name]
    warnings.simplefilter("ignore")
    print(f"{'':34s} {'drizzlewb':>13s} {'peer':>13s} {'ratio':>7s}")
    for kernel in KERNELS:
        if not only or kernel in only:
            bench_drizzle(kernel, args.rows, args.rounds)
    for interp in INTERPOLANTS:
        if not only or interp in only:
            bench_blot(interp, args.rows, args.rounds)
    return 0


if __name__ == "__main__":
    import sys

    raise SystemExit(main(sys.argv[1:]))
