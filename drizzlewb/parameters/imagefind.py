"""Parameters of source finding: DrizzlePac's imagefindpars and refimagefindpars."""

from typing import ClassVar

from drizzlewb.parameters.composite import Section
from drizzlewb.parameters.declare import Bits, param

DAOFIND = "Stetson 1987, PASP 99, 191 (DAOFIND)"
FIND = "drizzlepac/findobj.py"


class ImageFind(Section):
    """Source finding in the images to be aligned."""

    computesig: bool = param(
        True,
        meaning="measure the noise of the sky on each chip, instead of taking skysigma",
        advice="TweakReg's rule is sqrt(2 |mode|), a guess from the level of the sky and not a measured "
        "noise "
        "(17.9 for a true 13.8 electrons; wrong for images without their sky). See noise.",
        source="drizzlepac/catalogs.py",
        feeds="sources",
    )
    skysigma: float | None = param(
        0.0,
        ge=0,
        unit="image unit",
        meaning="noise of the sky when computesig is off",
        source=FIND,
        feeds="sources",
    )
    conv_width: float | None = param(
        3.5,
        gt=0,
        le=100,
        unit="px",
        meaning="FWHM of the detection kernel",
        advice="About twice the FWHM of a star: 3.5 ACS/WFC and UVIS, 2.5 IR, 4.5 to 6 for extended "
        "fields. In "
        "DrizzlePac's code it is the FWHM of DAOFIND's kernel itself.",
        source=FIND + "; DrizzlePac tutorials",
        feeds="sources",
    )
    peakmin: float | None = param(
        None,
        unit="image unit",
        meaning="sources whose peak is at or below are dropped",
        source=FIND,
        feeds="sources",
    )
    peakmax: float | None = param(
        None,
        unit="image unit",
        meaning="sources whose peak is at or above are dropped",
        advice="About 70,000 electrons at gain 2 keeps saturated stars out. The sky is part of the peak.",
        source=FIND,
        feeds="sources",
    )
    threshold: float | None = param(
        4.0,
        gt=0,
        unit="sigma",
        meaning="detection threshold over the convolved image",
        advice="In sigma of the sky (that of photutils is absolute). Aim at 100 to 1000 good sources a "
        "chip, not "
        "at depth: the default finds 60,000 on a crowded chip. The training page takes 100 and more.",
        source=FIND,
        feeds="sources",
    )
    nsigma: float | None = param(
        1.5,
        gt=0,
        le=20,
        unit="sigma",
        meaning="radius at which the kernel ends",
        source=DAOFIND,
        feeds="sources",
    )
    ratio: float = param(
        1.0,
        gt=0,
        le=1,
        unit="1",
        meaning="minor over major axis of the kernel",
        source=DAOFIND,
        feeds="sources",
    )
    theta: float = param(
        0.0,
        ge=-360,
        le=360,
        unit="deg",
        meaning="angle of the kernel's major axis, from X counterclockwise",
        source=DAOFIND,
        feeds="sources",
    )
    fluxmin: float | None = param(
        None, unit="image unit", meaning="lower limit of the flux in the box", source=FIND, feeds="sources"
    )
    fluxmax: float | None = param(
        None, unit="image unit", meaning="upper limit of the flux in the box", source=FIND, feeds="sources"
    )
    dqbits: Bits = param(
        None,
        unit="DQ bits",
        meaning="DQ bits taken as good; None does not look at DQ",
        advice="0 drops every source with a flagged pixel; sparse fields gain (0.3 to 0.1 px). To leave "
        "out bit "
        "16 only, write '~16', not -16.",
        source="drizzlepac/imgclasses.py",
        feeds="sources",
    )
    use_sharp_round: bool = param(
        False, meaning="cut on sharpness and roundness", source=DAOFIND, feeds="sources"
    )
    sharplo: float | None = param(0.2, unit="1", meaning="lowest sharpness", source=DAOFIND, feeds="sources")
    sharphi: float | None = param(
        1.0,
        unit="1",
        meaning="highest sharpness",
        advice="Cosmic rays and hot pixels are sharp.",
        source=DAOFIND,
        feeds="sources",
    )
    roundlo: float | None = param(-1.0, unit="1", meaning="lowest roundness", source=DAOFIND, feeds="sources")
    roundhi: float | None = param(1.0, unit="1", meaning="highest roundness", source=DAOFIND, feeds="sources")


class RefImageFind(ImageFind):
    """Source finding in the reference image."""

    renamed_feeds: ClassVar[dict[str, str]] = {"sources": "refsources"}
