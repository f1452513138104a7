"""AstroDrizzle's INSTRUMENT PARAMETERS: other gains, read noises or exposure times than the headers'."""

import dataclasses
import math
from collections.abc import Sequence

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure.values import Exposure, electrons_per_unit
from drizzlewb.instruments import mean_of_nonzero

__all__ = ["with_instrument_overrides"]


def with_instrument_overrides(
    exposures: Sequence[Exposure],
    *,
    gain: str | float | None = None,
    gnkeyword: str | None = None,
    rdnoise: str | float | None = None,
    rnkeyword: str | None = None,
    exptime: str | float | None = None,
    expkeyword: str | None = None,
) -> list[Exposure]:
    """Copies with other gains (e-/DN), read noises (e-) or exposure times (s).

    AstroDrizzle's INSTRUMENT PARAMETERS. A value, or a list of values of amplifiers ('4.7,4.8') whose
    non-zero members are averaged; or a keyword, or a list of keywords, looked for in the primary and then
    in the chip's header. Empty: unchanged. In difference to drizzlepac, WFPC2 takes a gain as it stands
    and not as the setting 7 or 15.

    Raises
    ------
    ParameterError
        Both value and keyword are given; the value is no number or not positive (read noise: negative).
    DataError
        A keyword is missing or has no such number.
    """
    wanted = {"gain": (gain, gnkeyword), "read_noise": (rdnoise, rnkeyword), "exptime": (exptime, expkeyword)}
    given = {"gain": "gain", "read_noise": "rdnoise", "exptime": "exptime"}
    changes: dict[str, float | list[str]] = {}
    for what, (value, keyword) in wanted.items():
        value = None if _empty(value) else value
        keyword = None if _empty(keyword) else str(keyword)
        if value is not None and keyword is not None:
            msg = f"{given[what]}: give either a value ({value!r}) or a keyword ({keyword!r}), not both"
            raise ParameterError(msg)
        if value is not None:
            changes[what] = _positive(
                str(value).split(","), what, f"{given[what]} = {value!r}", ParameterError
            )
        elif keyword is not None:
            changes[what] = [name.strip() for name in keyword.split(",")]
    if not changes:
        return list(exposures)
    return [_overridden(exposure, changes) for exposure in exposures]


def _empty(value: object) -> bool:
    return value is None or str(value).strip().upper() in ("", "NONE", "INDEF")


def _positive(values: Sequence, what: str, source: str, error: type[Exception]) -> float:
    try:
        numbers = [float(v) for v in values]
    except (TypeError, ValueError):
        msg = f"{source}: expected a number or numbers separated by commas"
        raise error(msg) from None
    mean = mean_of_nonzero(numbers)
    if mean is None:
        mean = 0.0
    if not math.isfinite(mean) or mean < 0 or (mean == 0 and what != "read_noise"):
        msg = f"{source}: expected a value {'of at least' if what == 'read_noise' else 'above'} zero"
        raise error(msg)
    return mean


def _overridden(exposure: Exposure, changes: dict) -> Exposure:
    primary = exposure.primary
    chips = []
    for chip in exposure.chips:
        header = chip.header
        new = {}
        for what, value in changes.items():
            if isinstance(value, list):
                found = [primary.get(name, header.get(name)) for name in value]
                if None in found:
                    absent = value[found.index(None)]
                    msg = f"{chip.label}: keyword {absent}, asked for as {what}, is in neither header"
                    raise DataError(msg)
                value = _positive(found, what, f"{chip.label}: {', '.join(value)} as {what}", DataError)
            new[what] = value
        seconds, gain = new.get("exptime", chip.exptime), new.get("gain", chip.gain)
        nominal = tuple(name for name in chip.nominal if name not in new)
        new["to_electrons"] = electrons_per_unit(chip.unit, gain, seconds)
        chips.append(dataclasses.replace(chip, nominal=nominal, **new))
    return dataclasses.replace(exposure, chips=tuple(chips), exptime=chips[0].exptime)
