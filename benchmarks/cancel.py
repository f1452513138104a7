"""How long a cancel takes on full-size exposures.

Work of a session (the whole product, a preview, the alignment) is cancelled at random moments. Two times
are told: until the session is as it was before, which is what its user sees, and until the worker thread
rests, which is when the cores are free again. Each trial is a session of its own, with an empty cache.
``python -m benchmarks.cancel [TRIALS [run|preview|align ...]]``; the seed is fixed.
"""

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.reduce import COMMON, DATA

LIMIT_S = 0.5
NAMES = ("j8ny01svq", "j8ny01szq", "j8ny01t5q", "j8ny01t9q")
WORK: dict[str, Callable[[Any], Any]] = {
    "run": lambda session: session.run(),
    "preview": lambda session: session.preview(size=1024),
    "align": lambda session: session.align(),
}


def exposures() -> list[Path]:
    """The first four full-size exposures; made if they are not there."""
    from drizzlewb.training.simulate import simulate

    files = [DATA / "full" / f"{name}_flc.fits" for name in NAMES]
    if not all(path.exists() for path in files):
        DATA.mkdir(parents=True, exist_ok=True)
        simulate(DATA / "full", size="full", exposures=list(NAMES))
    return files


def session_of(files: list[Path]) -> Any:
    import drizzlewb as dw

    session = dw.Session([str(path) for path in files])
    session.set(**{name: value for name, value in COMMON.items() if name != "build"})
    session.set(threshold=50, conv_width=3.5)
    return session


def trial(
    files: list[Path], start: Callable[[Any], Any], delay: float
) -> tuple[float, float, str, bool] | None:
    """Seconds until the session is as it was, until the thread rests, what was running, whether all is well.

    None if the work had ended before.
    """
    session = session_of(files)
    before = session.status
    handle = start(session)
    handle._finished.wait(delay)
    if handle.over:
        return None
    step = handle.progress[0]
    began = time.perf_counter()
    handle.cancel()
    while session.status != before or session.busy:
        time.sleep(0.001)
    restored = time.perf_counter() - began
    handle.wait()
    rests = time.perf_counter() - began
    left = [path for path in session.cache.folder.rglob("*") if path.suffix in (".part", ".fits")]
    return restored, rests, step or "start", not left and session.status == before


def measure(name: str, files: list[Path], trials: int, dice: random.Random) -> None:
    started = time.perf_counter()
    WORK[name](session_of(files)).result()
    whole = time.perf_counter() - started
    found = []
    for _ in range(trials):
        one = trial(files, WORK[name], dice.uniform(0, whole))
        if one is not None:
            found.append(one)
    if not found:
        raise RuntimeError(f"every {name} had ended before it was cancelled")
    found.sort(key=lambda t: t[1])
    restored, rests = sorted(t[0] for t in found), [t[1] for t in found]
    print(
        f"{name:8s} whole {whole:5.1f} s; {len(found)} cancels: session as it was after "
        f"{restored[len(found) // 2]:.3f} s (median), {restored[-1]:.3f} s (most); thread rests after "
        f"{rests[len(found) // 2]:.3f} s (median), {rests[-1]:.3f} s (most)",
        flush=True,
    )
    for _, seconds, step, well in found[-4:]:
        print(f"         {seconds:.3f} s in {step}{'' if well else '  NOT AS IT WAS'}")
    if not all(t[3] for t in found):
        raise RuntimeError(f"a cancelled {name} left something behind")
    late = sum(seconds > LIMIT_S for seconds in rests) + sum(seconds > LIMIT_S for seconds in restored)
    print(f"         {f'MISSED: {late} later than {LIMIT_S} s' if late else 'within the limit'}", flush=True)


def main() -> None:
    trials = int(sys.argv[1]) if sys.argv[1:] else 25
    files = exposures()
    print(f"{len(files)} full-size exposures; load of the machine {os.getloadavg()[0]:.1f}", flush=True)
    dice = random.Random(5)
    for name in sys.argv[2:] or WORK:
        measure(name, files, trials, dice)


if __name__ == "__main__":
    main()
