"""Named starting parameters: ours, the pipeline's by detector and number of exposures, and MDRIZTAB rows.

A preset is never applied silently: it has a name, the record shows it, and `Preset.differences` says what
it would change.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from drizzlewb.errors import ParameterError
from drizzlewb.instruments import DETECTORS, default_good_bits
from drizzlewb.parameters.astrodrizzle import ReduceParameters

PIPELINE = "single-visit parameter sets of STScI's pipeline, shipped with DrizzlePac 3.11 (svm_parameters)"


@dataclass(frozen=True)
class Preset:
    """Starting parameters with a name.

    Attributes
    ----------
    name : str
        E.g. ``'drizzlewb'`` or ``'ACS/WFC, 6 or more'``.
    source : str
        Where the values come from.
    keywords : mapping
        Values by DrizzlePac's name, on top of DrizzlePac's defaults.
    detector : str
        The detector it is for, as in `drizzlewb.instruments.DETECTORS`; "" for any.
    exposures : tuple of int
        Least and greatest number of exposures.
    filters : str
        Filters that an MDRIZTAB row is for, as the table writes them; "" for any.
    """

    name: str
    source: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    detector: str = ""
    exposures: tuple[int, int] = (1, 1_000_000)
    filters: str = ""

    def parameters(self) -> ReduceParameters:
        """DrizzlePac's defaults with this preset's values."""
        return ReduceParameters.from_keywords(self.keywords)

    def differences(self, parameters: ReduceParameters) -> dict[str, tuple[Any, Any]]:
        """What applying it to `parameters` would change: name → (value now, value then)."""
        return parameters.replace(self.keywords).differences(parameters)


class ExposureLike(Protocol):
    """What a preset must know of an exposure."""

    @property
    def detector(self) -> str:
        """INSTRUMENT/DETECTOR."""
        ...

    @property
    def date_obs(self) -> str:
        """ISO date."""
        ...


def house_preset(detector: str = "", date_obs: str = "") -> Preset:
    """Make the preset that ``reduce``, the command line and the workbench start from.

    DrizzlePac's defaults, except one file per product, and the DQ bits that are usually taken as good on the
    detector (DrizzlePac's ``final_bits=0`` rejects everything that is flagged).
    """
    keywords: dict[str, Any] = {"build": True}
    if detector in DETECTORS:
        bits = default_good_bits(DETECTORS[detector], date_obs)
        keywords |= {"driz_sep_bits": bits, "final_bits": bits}
    return Preset("drizzlewb", "drizzlewb; bits from the pipeline's parameter sets", keywords, detector)


def reduce_parameters(
    exposures: Sequence[ExposureLike],
    parameters: ReduceParameters | None = None,
    *,
    preset: str | None = None,
    **keywords: Any,
) -> ReduceParameters:
    """Make the parameters of a reduction from what the caller gave.

    Parameters
    ----------
    exposures : sequence of Exposure
        Only the detector and date of the first one matter, for the preset.
    parameters : ReduceParameters, optional
        Taken as they are; default, the preset.
    preset : str, optional
        Name of the preset to start from; default ``'drizzlewb'``. Not together with `parameters`.
    **keywords
        Values under DrizzlePac's names, on top.

    Raises
    ------
    ParameterError
        See `ReduceParameters.from_keywords`; or an unknown preset.
    """
    if parameters is not None:
        if preset is not None:
            msg = f"preset = {preset!r} together with parameters: start from one or the other"
            raise ParameterError(msg)
        return parameters.replace(keywords)
    detector, date = (exposures[0].detector, exposures[0].date_obs) if exposures else ("", "")
    start = house_preset(detector, date) if preset in (None, "drizzlewb") else find_preset(preset)
    return ReduceParameters.from_keywords({**start.keywords, **keywords})


def find_preset(name: str | None) -> Preset:
    """Return the pipeline preset of this name.

    Raises
    ------
    ParameterError
        Unknown, with the nearest names.
    """
    if name in PRESETS:
        return PRESETS[str(name)]
    close = difflib.get_close_matches(str(name), PRESETS, n=3, cutoff=0.3)
    hint = f"; did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
    msg = f"no preset is called {name!r}: there are 'drizzlewb', {', '.join(map(repr, PRESETS))}{hint}"
    raise ParameterError(msg)


def presets_for(detector: str, number: int, date_obs: str = "") -> list[Preset]:
    """Presets that suit a detector and a number of exposures, ours first."""
    old_uvis = detector == "WFC3/UVIS" and number > 1 and "" < date_obs < "2012-11"
    suited = [
        p
        for p in PRESETS.values()
        if p.detector == detector
        and p.exposures[0] <= number <= p.exposures[1]
        and p.name.endswith(_OLD_UVIS) == old_uvis
    ]
    return [house_preset(detector, date_obs), *suited]


_N = 1_000_000
_OLD_UVIS = ", before 2012-11"

_ALL = {
    "build": True,
    "skylower": -100.0,
    "combine_nhigh": 1,
    "final_wcs": True,
    "final_rot": 0.0,
    "clean": True,
}
_NO_CLEANING = {"driz_separate": False, "median": False, "blot": False, "driz_cr": False}
_ALONE = {**_ALL, **_NO_CLEANING, "skysub": False}
_MATCH = {"skymethod": "match"}
_SQUARE = {"driz_sep_kernel": "square"}
_FEW = {"driz_cr_scale": (1.5, 1.2)}
_MANY = {"combine_type": "median", "final_pixfrac": 0.8}
_IR = {
    **_ALL,
    **_MATCH,
    "sky_bits": 16,
    "driz_cr_snr": (5.0, 4.0),
    "driz_cr_scale": (3.0, 2.4),
    "final_bits": 528,
}
_WFPC2 = {
    **_ALL,
    **_SQUARE,
    "sky_bits": 1024,
    "driz_sep_bits": 1024,
    "driz_cr_snr": (5.5, 3.5),
    "driz_cr_scale": (2.0, 1.5),
    "final_bits": 1024,
}
_WFPC2_GRID = {"driz_sep_wcs": True, "driz_sep_scale": 0.0996}


def _bits(sky: int, sep: int, final: int) -> dict[str, int]:
    return {"sky_bits": sky, "driz_sep_bits": sep, "final_bits": final}


def _row(detector: str, least: int, most: int, keywords: Mapping[str, Any], note: str = "") -> Preset:
    if least == most:
        number = f"{least} exposure{'s' if least > 1 else ''}"
    else:
        number = f"{least} to {most}" if most < _N else f"{least} or more"
    return Preset(f"{detector}, {number}{note}", PIPELINE, keywords, detector, (least, most))


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        _row("ACS/WFC", 1, 1, {**_ALONE, **_MATCH, **_FEW, **_bits(16, 336, 65535), "static": False}),
        _row("ACS/WFC", 2, 5, {**_ALL, **_MATCH, **_SQUARE, **_FEW, **_bits(80, 336, 336)}),
        _row("ACS/WFC", 6, _N, {**_ALL, **_MATCH, **_SQUARE, **_MANY, **_bits(80, 336, 336)}),
        _row(
            "ACS/HRC",
            1,
            1,
            {**_ALONE, **_MATCH, **_FEW, **_bits(16, 336, 65535), "static": False, "final_scale": 0.025},
        ),
        _row(
            "ACS/HRC", 2, 5, {**_ALL, **_MATCH, **_SQUARE, **_FEW, **_bits(64, 64, 64), "final_scale": 0.025}
        ),
        _row(
            "ACS/HRC",
            6,
            _N,
            {**_ALL, **_MATCH, **_SQUARE, **_MANY, **_bits(64, 64, 64), "final_scale": 0.025},
        ),
        _row(
            "ACS/SBC",
            1,
            _N,
            {
                **_ALL,
                **_NO_CLEANING,
                **_MATCH,
                "skysub": False,
                "skystat": "mean",
                "static": False,
                "median_newmasks": False,
                "final_scale": 0.025,
            },
        ),
        _row("WFC3/UVIS", 1, 1, {**_ALONE, **_MATCH, **_SQUARE, **_FEW, **_bits(80, 336, 65535)}),
        _row("WFC3/UVIS", 2, 5, {**_ALL, **_MATCH, **_SQUARE, **_FEW, **_bits(80, 336, 336)}),
        _row("WFC3/UVIS", 6, _N, {**_ALL, **_MATCH, **_SQUARE, **_MANY, **_bits(80, 336, 336)}),
        _row(
            "WFC3/UVIS",
            2,
            5,
            {**_ALL, **_MATCH, **_SQUARE, **_FEW, **_bits(96, 352, 352)},
            ", before 2012-11",
        ),
        _row(
            "WFC3/UVIS",
            6,
            _N,
            {**_ALL, **_MATCH, **_SQUARE, **_MANY, **_bits(96, 352, 352)},
            ", before 2012-11",
        ),
        _row("WFC3/IR", 1, 1, {**_IR, **_NO_CLEANING, **_SQUARE, "skysub": False, "driz_sep_bits": 16}),
        _row("WFC3/IR", 2, 3, {**_IR, "driz_sep_bits": 65535}),
        _row("WFC3/IR", 4, _N, {**_IR, "driz_sep_bits": 528, "combine_type": "median"}),
        _row("WFPC2", 1, 1, {**_WFPC2, **_NO_CLEANING, "skysub": False, "final_bits": 65533}),
        _row("WFPC2", 2, 2, {**_WFPC2, **_WFPC2_GRID, "final_bits": 61437}),
        _row("WFPC2", 3, 3, {**_WFPC2, **_WFPC2_GRID}),
        _row("WFPC2", 4, _N, {**_WFPC2, **_WFPC2_GRID, "combine_type": "median"}),
    )
}
"""The pipeline's presets, without its keyword overrides (gnkeyword ...), which name HST's own keywords."""
