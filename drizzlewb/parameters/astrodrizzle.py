"""All parameters of a reduction: the 99 of AstroDrizzle, by step, and our own in `extra`."""

from typing import Any, ClassVar

from drizzlewb.parameters.cleaning import Blot, CosmicRay, Median, Separate, Sky, StaticMask
from drizzlewb.parameters.composite import Composite
from drizzlewb.parameters.final import Final, FinalGrid, SeparateGrid
from drizzlewb.parameters.general import Extra, General, Instrument, StateOfInputs

CFG_SECTIONS = {
    "general": "",
    "state": "STATE OF INPUT FILES",
    "static": "STEP 1: STATIC MASK",
    "sky": "STEP 2: SKY SUBTRACTION",
    "separate": "STEP 3: DRIZZLE SEPARATE IMAGES",
    "separate_grid": "STEP 3a: CUSTOM WCS FOR SEPARATE OUTPUTS",
    "median": "STEP 4: CREATE MEDIAN IMAGE",
    "blot": "STEP 5: BLOT BACK THE MEDIAN IMAGE",
    "cosmicray": "STEP 6: REMOVE COSMIC RAYS WITH DERIV, DRIZ_CR",
    "final": "STEP 7: DRIZZLE FINAL COMBINED IMAGE",
    "final_grid": "STEP 7a: CUSTOM WCS FOR FINAL OUTPUT",
    "instrument": "INSTRUMENT PARAMETERS",
}
"""DrizzlePac's section of astrodrizzle.cfg for each of our sections."""

GRID_SWITCHES = {"separate_grid": "driz_sep_wcs", "final_grid": "final_wcs"}
"""The switch of each output frame; any other parameter of the section, given by keyword, turns it on."""


class ReduceParameters(Composite):
    """Parameters of a reduction.

    Examples
    --------
    >>> p = ReduceParameters.from_keywords(final_scale=0.03, driz_cr_snr="5.0 4.0")
    >>> p.final_wcs, p.cosmicray.driz_cr_snr, p["static"]
    (True, (5.0, 4.0), True)
    """

    task: ClassVar[str] = "astrodrizzle"
    prefixes: ClassVar[dict[str, tuple[str, ...]]] = {"astrodrizzle": (), "drizzlewb": ("extra",)}

    general: General = General()
    state: StateOfInputs = StateOfInputs()
    static: StaticMask = StaticMask()
    sky: Sky = Sky()
    separate: Separate = Separate()
    separate_grid: SeparateGrid = SeparateGrid()
    median: Median = Median()
    blot: Blot = Blot()
    cosmicray: CosmicRay = CosmicRay()
    final: Final = Final()
    final_grid: FinalGrid = FinalGrid()
    instrument: Instrument = Instrument()
    extra: Extra = Extra()

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Make the five-key dict; see `drizzlewb.parameters.exchange.to_dict`."""
        from drizzlewb.parameters.exchange import to_dict

        return to_dict(self)

    def _complete(self, changes: dict[str, dict[str, Any]]) -> None:
        # AstroDrizzle turns the switch on for any keyword of the step; an explicit switch is respected here.
        for section, switch in GRID_SWITCHES.items():
            given = changes.get(section, {})
            if switch not in given and any(value not in (None, "") for value in given.values()):
                given[switch] = True
        cores = changes.get("general", {}).get("num_cores")
        if cores is not None and "threads" not in changes.get("extra", {}):
            changes.setdefault("extra", {})["threads"] = cores

    def problems(self) -> list[str]:
        """Sentences about values that contradict each other."""
        found = []
        for low, high in (("skylower", "skyupper"), ("combine_lthresh", "combine_hthresh")):
            if self[low] is not None and self[high] is not None and self[low] >= self[high]:
                found.append(f"{low} = {self[low]:g} must be below {high} = {self[high]:g}")
        for stem in ("driz_sep", "final"):
            for one, two in (("outnx", "outny"), ("ra", "dec"), ("crpix1", "crpix2")):
                first, second = f"{stem}_{one}", f"{stem}_{two}"
                if (self[first] is None) != (self[second] is None):
                    found.append(f"{first} and {second} are given together or not at all")
        for value, keyword in (("gain", "gnkeyword"), ("rdnoise", "rnkeyword"), ("exptime", "expkeyword")):
            if self[value] is not None and self[keyword].strip():
                found.append(
                    f"{value} = {self[value]:g} and {keyword} = {self[keyword]!r}: give one, not both"
                )
        return found
