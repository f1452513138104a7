"""Latency of interactive work on full-size exposures, in Python: from a change to the JPEG's bytes.

What a browser adds (sending, decoding, drawing) is measured where there is one; see the browser tests.
"""

import contextlib
import os
import statistics
import time
from pathlib import Path

DATA = Path(os.environ.get("DRIZZLEWB_BENCH_DATA", Path(__file__).resolve().parents[1] / "bench-data"))
ROUNDS = int(os.environ.get("DRIZZLEWB_BENCH_MOVES", "25"))


def _say(name: str, wall: list[float], cpu: list[float]) -> None:
    print(
        f"{name:44} median {1e3 * statistics.median(wall):6.0f} ms wall, least {1e3 * min(wall):6.0f}; "
        f"{1e3 * statistics.median(cpu):6.0f} ms CPU",
        flush=True,
    )


def _session():  # noqa: ANN202
    import drizzlewb as dw

    files = sorted(str(p) for p in (DATA / "full").glob("j8ny01*_flc.fits"))
    if len(files) < 6:
        print(f"six full-size exposures are needed in {DATA / 'full'}: run the benchmark 'reduce' first")
        raise SystemExit(2)
    session = dw.Session(files[:6], folder=os.environ.get("DRIZZLEWB_BENCH_SCRATCH"))
    name = session.state.names[0]
    session.set(name, final_scale=0.03, final_rot=0.0, final_pixfrac=0.6, final_kernel="square")
    return session, name


def pixfrac() -> None:
    """Drag pixfrac: 512 x 512 region, 0.03 arcsec, square kernel, median and masks there already."""
    from drizzlewb.reduction.schedule import thread_count
    from drizzlewb.views.frames import cutout_frame
    from drizzlewb.views.image import ImageView

    session, name = _session()
    session.preview(name, size=512).result()
    view = ImageView(background=False)
    view.show(cutout_frame(session.shown[name].cutout))
    wall, cpu, kernels = [], [], []
    reduction = next(reversed(session.runs._reductions.values()))
    for k in range(ROUNDS):
        value = 0.4 + 0.4 * (k * 0.618 % 1.0)
        started, spent = time.perf_counter(), time.process_time()
        session.set(name, final_pixfrac=round(value, 4), live=True)
        session.preview(name, size=512).result()
        view.show(cutout_frame(session.shown[name].cutout), keep_view=True, moving=True)
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - spent)
    _say("pixfrac, slider to JPEG", wall, cpu)
    with contextlib.suppress(IndexError):
        reduction = next(reversed(session.runs._reductions.values()))
        region = session.shown[name].cutout.region
        spent_cpu = []
        for _ in range(ROUNDS):
            started, spent = time.perf_counter(), time.process_time()
            reduction.product(region, threads=thread_count())
            kernels.append(time.perf_counter() - started)
            spent_cpu.append(time.process_time() - spent)
        _say("  of which the region itself", kernels, spent_cpu)


def cr_threshold() -> None:
    """Drag driz_cr_snr: mask of a box of a chip, and a region of the product; the median is there already."""
    from drizzlewb.grid import Region
    from drizzlewb.reduction.looks import Pieces, preview_region
    from drizzlewb.views.frames import cutout_frame
    from drizzlewb.views.image import ImageView

    session, name = _session()
    exposure = session.exposures[0]
    chip = exposure.chips[0]
    y0, x0 = (side // 2 - 256 for side in chip.shape)
    box = Region(y0, y0 + 512, x0, x0 + 512)
    session.preview_masks(name, exposure.rootname, chip.extver, box).result()
    session.preview(name, size=512).result()
    view = ImageView(background=False)
    view.show(cutout_frame(session.shown[name].cutout))
    for label, ask in (
        ("driz_cr_snr, mask of 512 x 512 px of a chip", "mask"),
        ("driz_cr_snr, slider to JPEG of the product", "product"),
    ):
        wall, cpu = [], []
        for k in range(ROUNDS):
            started, spent = time.perf_counter(), time.process_time()
            value = 3.5 + 3.0 * (k * 0.618 % 1.0) + (0.001 if ask == "mask" else 0.0)
            session.set(name, driz_cr_snr=(round(value, 4), 3.0), live=True)
            if ask == "mask":
                session.preview_masks(name, exposure.rootname, chip.extver, box).result()
            else:
                session.preview(name, size=512).result()
                view.show(cutout_frame(session.shown[name].cutout), keep_view=True, moving=True)
            wall.append(time.perf_counter() - started)
            cpu.append(time.process_time() - spent)
        _say(label, wall, cpu)
    reduction = next(reversed(session.runs._reductions.values()))
    region = session.shown[name].cutout.region
    wall, cpu = [], []
    for _ in range(ROUNDS):
        started, spent = time.perf_counter(), time.process_time()
        preview_region(reduction, region, 1.0, Pieces())
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - spent)
    _say("  of which masks and region", wall, cpu)


def main() -> None:
    pixfrac()
    cr_threshold()


if __name__ == "__main__":
    main()
