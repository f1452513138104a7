"""The twelve exposures of the training page (programme 9815, NGC 6791) and how they were pointed."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from drizzlewb.training.detectors import DetectorModel
from drizzlewb.training.pointing import Attitude, shifted
from drizzlewb.training.scene import CENTRE

__all__ = ["PROGRAMME", "Plan", "Pointing", "plan_exposures", "point"]

POSITION_ANGLE = 65.0  # of the detector's y axis, degrees
REFERENCE_ERROR_PX = (2.9, -2.6)  # what the guide star catalogue misplaces the whole programme by
JITTER_PX = (0.1, 0.3)  # error of each pointing inside a visit
JITTER_ROLL_DEG = 0.0003
VISIT_DIRECTION_DEG = 137.0  # in which visit 02 lies off visit 01, on the detector


class Plan(NamedTuple):
    """One row of the programme. `dither` is in pixels (x, y): where the stars move on the detector."""

    rootname: str
    date: str
    time: str
    filter: str
    exptime: float
    dither: tuple[float, float]

    @property
    def visit(self) -> str:
        """Visit number, two characters."""
        return self.rootname[4:6]


# Sub-pixel phases of each filter's six exposures are spread over the pixel; the fifth steps over the gap.
PROGRAMME: tuple[Plan, ...] = (
    Plan("j8ny01svq", "2003-07-16", "13:21:17", "F606W", 1142.0, (0.0, 0.0)),
    Plan("j8ny01szq", "2003-07-16", "13:42:54", "F606W", 1142.0, (5.5, 3.33)),
    Plan("j8ny01t5q", "2003-07-16", "14:52:38", "F606W", 1185.0, (-3.25, 6.67)),
    Plan("j8ny01t9q", "2003-07-16", "15:15:03", "F606W", 1185.0, (-7.75, -4.17)),
    Plan("j8ny01tfq", "2003-07-16", "16:28:40", "F606W", 1185.0, (2.83, 60.5)),
    Plan("j8ny01ttq", "2003-07-16", "16:51:05", "F606W", 1185.0, (8.33, -7.83)),
    Plan("j8ny02yvq", "2003-07-17", "13:20:11", "F814W", 1142.0, (0.0, 0.0)),
    Plan("j8ny02z1q", "2003-07-17", "13:41:48", "F814W", 1142.0, (5.5, 3.33)),
    Plan("j8ny02zyq", "2003-07-17", "14:51:32", "F814W", 1185.0, (-3.25, 6.67)),
    Plan("j8ny02zdq", "2003-07-17", "15:13:57", "F814W", 1185.0, (-7.75, -4.17)),
    Plan("j8ny02zkq", "2003-07-17", "16:27:34", "F814W", 1185.0, (2.83, 60.5)),
    Plan("j8ny02ztq", "2003-07-17", "16:49:59", "F814W", 1185.0, (8.33, -7.83)),
)


class Pointing(NamedTuple):
    """Where an exposure looks according to its header and in truth, and their difference at the centre.

    `error_px` is how far stars fall from where the header says (x, y), `error_roll_deg` how far the
    detector is turned further east of north than the header says.
    """

    stated: Attitude
    true: Attitude
    error_px: tuple[float, float]
    error_roll_deg: float


def plan_exposures(model: DetectorModel) -> tuple[Plan, ...]:
    """The programme as a detector would have taken it: its own rootnames and filters.

    WFC3/IR takes F110W for F606W and F160W for F814W, in 499 s.
    """
    names = list(model.filters)
    rows = []
    for plan in PROGRAMME:
        band = names[0] if plan.filter == "F606W" else names[1]
        seconds = 499.0 if model.reads_up_the_ramp else plan.exptime
        rootname = model.letter + plan.rootname[1:]
        rows.append(plan._replace(rootname=rootname, filter=band, exptime=seconds))
    return tuple(rows)


def aberration(plan: Plan) -> float:
    """Velocity aberration factor: the year's part and the orbit's (period 96 minutes)."""
    hours, minutes, seconds = (int(part) for part in plan.time.split(":"))
    first = plan.visit == "01"
    phase = 2 * math.pi * ((hours * 60 + minutes + seconds / 60) / 96.0 + (0.05 if first else 0.42))
    yearly = -1.9e-5 if first else -1.93e-5
    return 1.0 + yearly + 2.4e-5 * math.cos(phase)


def point(
    model: DetectorModel,
    plan: Plan,
    index: int,
    *,
    seed: int,
    visit_offset_px: float,
    visit_rotation_deg: float,
    misalign_px: float,
    vafactor: bool,
) -> Pointing:
    """Pointing of one exposure, `index` counted within the visit from 0.

    Parameters
    ----------
    model, plan, index
        Detector, row of the programme, place within its visit.
    seed : int
        Seed of the set.
    visit_offset_px, visit_rotation_deg : float
        How far the headers of visit 02 are off those of visit 01.
    misalign_px : float
        Additional error of this exposure (in a direction of its own).
    vafactor : bool
        Whether the header's WCS allows for velocity aberration, as the sky always does.
    """
    rng = np.random.Generator(np.random.PCG64([seed, *plan.rootname[1:].encode()]))
    size, direction, roll = rng.uniform(*JITTER_PX), rng.uniform(0, 2 * math.pi), rng.normal()
    error = np.array(REFERENCE_ERROR_PX)
    error_roll = 0.0
    if plan.visit != "01":
        off = math.radians(VISIT_DIRECTION_DEG)
        error = error + visit_offset_px * np.array([math.cos(off), math.sin(off)])
        error_roll = visit_rotation_deg
    if index > 0:  # the first of a visit defines the visit
        error = error + size * np.array([math.cos(direction), math.sin(direction)])
        error_roll += JITTER_ROLL_DEG * roll
    other = rng.uniform(0, 2 * math.pi)
    error = error + misalign_px * np.array([math.cos(other), math.sin(other)])
    va = aberration(plan)
    here = Attitude(CENTRE[0], CENTRE[1], POSITION_ANGLE, va)
    stated = shifted(model, here, *plan.dither)
    true = shifted(model, stated, float(error[0]), float(error[1]), error_roll)
    if not vafactor:
        stated = stated._replace(va=1.0)
    return Pointing(stated, true, (float(error[0]), float(error[1])), error_roll)
