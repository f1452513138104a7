"""TweakReg parameters, but for source finding: files, headers, catalogs, matching, fit."""

from typing import Literal

from drizzlewb.parameters.composite import Section
from drizzlewb.parameters.declare import param

CFG = "DrizzlePac 3.11, tweakreg.cfg"
MATCH = "drizzlepac/imgclasses.py; stsci.stimage.xyxymatch"
FIT = "drizzlepac/linearfit.py"
NOT_HERE = "nothing is drawn or asked while aligning; the alignment panel shows it"


class General(Section):
    """Files and the order of alignment."""

    input: str = param(
        "*flt.fits",
        meaning="files to align",
        status="ignored",
        reason="the exposures are the first argument of align",
        source=CFG,
        feeds=(),
    )
    refimage: str = param(
        "",
        meaning="image whose WCS and sources define the frame; empty for the first exposure",
        source=CFG,
        feeds=("refsources", "solution"),
    )
    expand_refcat: bool = param(
        False,
        meaning="add unmatched sources of each aligned image to the reference catalog",
        advice="Needed for mosaics, where the last image does not touch the first.",
        source=CFG,
        feeds="solution",
    )
    enforce_user_order: bool = param(
        True,
        meaning="align in the given order; False always takes the image with the most overlap next",
        source=CFG,
        feeds="solution",
    )
    exclusions: str = param(
        "",
        meaning="file that lists DS9 region files (or masks) which include or exclude sources",
        advice="The order of regions in a file matters.",
        source="drizzlepac/imgclasses.py",
        feeds=("sources", "refsources"),
    )
    writecat: bool = param(True, meaning="write the catalogs (.coo, .match)", source=CFG, feeds=())
    clean: bool = param(False, meaning="delete intermediate files at the end", source=CFG, feeds=())
    interactive: bool = param(
        True,
        meaning="stop at plots and ask after each fit",
        advice="True by default, although documents say False; exported as False, for a script must not "
        "wait.",
        status="ignored",
        reason=NOT_HERE,
        source=CFG,
        feeds=(),
    )
    verbose: bool = param(
        False,
        meaning="more messages",
        status="ignored",
        reason="set the level of Python's logger 'drizzlewb'",
        source=CFG,
        feeds=(),
    )
    runfile: str = param("tweakreg.log", meaning="log file", source=CFG, feeds=())


class Header(Section):
    """What is written into the images' headers."""

    updatehdr: bool = param(
        False,
        meaning="write the fitted WCS into the input headers",
        status="mapped",
        reason="headers are written on acceptance only: solution.apply(), or on the command line --apply, "
        "which this switch stands for",
        source=CFG,
        feeds=(),
    )
    wcsname: str = param(
        "TWEAK", meaning="WCSNAME of the new solution; must be new unless reusename", source=CFG, feeds=()
    )
    reusename: bool = param(
        False, meaning="a solution of the same name may be replaced", source=CFG, feeds=()
    )


class Headerlets(Section):
    """The solution as a headerlet."""

    headerlet: bool = param(False, meaning="write the solution as a headerlet", source=CFG, feeds=())
    attach: bool = param(True, meaning="append the headerlet to the image as well", source=CFG, feeds=())
    hdrfile: str = param("", meaning="name of the headerlet file", source=CFG, feeds=())
    clobber: bool = param(False, meaning="an existing headerlet file may be replaced", source=CFG, feeds=())
    hdrname: str = param("", meaning="HDRNAME, unique", source=CFG, feeds=())
    author: str = param("", meaning="AUTHOR of the headerlet", source=CFG, feeds=())
    descrip: str = param("", meaning="short description", source=CFG, feeds=())
    catalog: str = param("", meaning="name of the astrometric catalog", source=CFG, feeds=())
    history: str = param("", meaning="text file of history lines", source=CFG, feeds=())


class Shifts(Section):
    """The shift file."""

    shiftfile: bool = param(
        False,
        meaning="write the shift file",
        advice="It averages skew away; the ECSV table beside it has the whole 2x2 matrix.",
        source=CFG,
        feeds=(),
    )
    outshifts: str = param("shifts.txt", meaning="name of the shift file", source=CFG, feeds=())
    outwcs: str = param(
        "shifts_wcs.fits", meaning="file with the reference WCS of the shifts", source=CFG, feeds=()
    )


class Coordinates(Section):
    """The user's catalogs of sources, one per image."""

    catfile: str = param(
        "",
        meaning="file that lists a catalog per image, instead of finding sources",
        source=CFG,
        feeds="sources",
    )
    xcol: str = param("1", meaning="column of X: number or name", source=CFG, feeds="sources")
    ycol: str = param("2", meaning="column of Y: number or name", source=CFG, feeds="sources")
    fluxcol: str = param("", meaning="column of flux or magnitude", source=CFG, feeds="sources")
    maxflux: float | None = param(
        None, unit="fluxunits", meaning="upper limit of the flux column", source=CFG, feeds="sources"
    )
    minflux: float | None = param(
        None, unit="fluxunits", meaning="lower limit of the flux column", source=CFG, feeds="sources"
    )
    fluxunits: Literal["counts", "mag"] = param(
        "counts", meaning="which end of the flux column is bright", source=CFG, feeds="sources"
    )
    xyunits: Literal["pixels", "degrees"] = param(
        "pixels", meaning="unit of the positions", source=CFG, feeds="sources"
    )
    nbright: int | None = param(
        None,
        ge=1,
        unit="sources",
        meaning="only the brightest are kept, of each image",
        source=CFG,
        feeds="sources",
    )


class Reference(Section):
    """The reference catalog."""

    refcat: str = param(
        "",
        meaning="reference catalog with sky positions",
        advice="Gaia gives 0.02 to 0.04 px rms; SDSS (0.36 to 0.51 px) is not good enough. A relative "
        "alignment "
        "is made first and then moved as one body.",
        source=CFG,
        feeds="refsources",
    )
    refxcol: str = param(
        "1", meaning="column of right ascension: number or name", source=CFG, feeds="refsources"
    )
    refycol: str = param("2", meaning="column of declination: number or name", source=CFG, feeds="refsources")
    refxyunits: Literal["degrees", "pixels"] = param(
        "degrees", meaning="unit of the positions", source=CFG, feeds="refsources"
    )
    rfluxcol: str = param("", meaning="column of flux or magnitude", source=CFG, feeds="refsources")
    rmaxflux: float | None = param(
        None, unit="rfluxunits", meaning="upper limit of the flux column", source=CFG, feeds="refsources"
    )
    rminflux: float | None = param(
        None, unit="rfluxunits", meaning="lower limit of the flux column", source=CFG, feeds="refsources"
    )
    rfluxunits: Literal["counts", "mag"] = param(
        "mag", meaning="which end of the flux column is bright", source=CFG, feeds="refsources"
    )
    refnbright: int | None = param(
        None, ge=1, unit="sources", meaning="only the brightest are kept", source=CFG, feeds="refsources"
    )


class Matching(Section):
    """Which source of an image is which of the reference."""

    minobj: int = param(
        15,
        ge=1,
        unit="matches",
        meaning="fewest matches that are fitted",
        advice="At least 12 for rscale and 25 for general.",
        source=CFG,
        feeds="solution",
    )
    searchrad: float = param(
        1.0,
        gt=0,
        le=10_000,
        unit="searchunits",
        meaning="half-width of the first search for the offset",
        advice="1 arcsec; 2 beyond offsets of 1 arcsec; 0.1 inside a visit.",
        source=MATCH,
        feeds="solution",
    )
    searchunits: Literal["arcseconds", "pixels"] = param(
        "arcseconds", meaning="unit of searchrad", source=CFG, feeds="solution"
    )
    use2dhist: bool = param(
        True,
        meaning="find the offset from the peak of the histogram of pair differences",
        advice="One tight peak is a match; two are a warning.",
        source=MATCH,
        feeds="solution",
    )
    see2dplot: bool = param(
        True, meaning="show the histogram", status="ignored", reason=NOT_HERE, source=CFG, feeds=()
    )
    separation: float = param(
        0.5,
        ge=0,
        unit="px",
        meaning="sources closer to each other are dropped",
        advice="Must exceed sqrt(2) * tolerance for pairs to be unique; TweakReg's own defaults, 0.5 and "
        "1.0, do "
        "not.",
        source=MATCH,
        feeds="solution",
    )
    tolerance: float = param(
        1.0,
        gt=0,
        unit="px",
        meaning="matching radius once the offset is known",
        source=MATCH,
        feeds="solution",
    )
    xoffset: float = param(
        0.0,
        unit="px",
        meaning="first guess of the offset in X (without use2dhist)",
        source=MATCH,
        feeds="solution",
    )
    yoffset: float = param(
        0.0,
        unit="px",
        meaning="first guess of the offset in Y (without use2dhist)",
        source=MATCH,
        feeds="solution",
    )


class Fitting(Section):
    """The fit."""

    fitgeometry: Literal["shift", "rscale", "general", "rshift"] = param(
        "rscale",
        meaning="shift; rscale: with rotation and scale; general: with skew; rshift: shift and rotation",
        advice="The simplest whose rms is as good; general only if residuals slope. rshift is ours only.",
        source=FIT,
        feeds="solution",
    )
    residplot: Literal["No plot", "vector", "residuals", "both"] = param(
        "both", meaning="plots of residuals", status="ignored", reason=NOT_HERE, source=CFG, feeds=()
    )
    ylimit: float | None = param(
        None,
        gt=0,
        unit="px",
        meaning="range of the residual plots",
        status="ignored",
        reason=NOT_HERE,
        source=CFG,
        feeds=(),
    )
    labelsize: int = param(
        8,
        ge=1,
        le=100,
        unit="pt",
        meaning="font size",
        status="ignored",
        reason=NOT_HERE,
        source=CFG,
        feeds=(),
    )
    nclip: int = param(
        3, ge=0, le=1000, unit="rounds", meaning="clipping rounds", source=FIT, feeds="solution"
    )
    sigma: float | None = param(
        3.0,
        gt=0,
        unit="sigma",
        meaning="pairs whose residual in x or y exceeds it are clipped; None clips none",
        source=FIT,
        feeds="solution",
    )


OURS = "drizzlewb"


class Extra(Section):
    """What DrizzlePac does not know."""

    noise: Literal["measured", "tweakreg"] = param(
        "measured",
        meaning="sigma of `threshold`: measured by clipping, or TweakReg's sqrt(2 |mode|)",
        advice="For a true 13.8 electrons TweakReg's rule says 17.9: to find the same stars as TweakReg "
        "take its "
        "rule, or a threshold higher by the ratio that the log shows.",
        source=OURS,
        feeds=("sources", "refsources"),
    )
    visit_as_one: bool = param(
        False,
        meaning="move all exposures of a visit together when fitting to an absolute catalog",
        advice="Keeps a good relative alignment from being spoiled by few catalog stars.",
        source=OURS,
        feeds="solution",
    )
    avoid_saturated: bool = param(
        True,
        meaning="drop sources within one conv_width of a pixel flagged as saturated",
        advice="Their centres are not those of the stars. TweakReg keeps them unless peakmax or dqbits say "
        "otherwise.",
        source=OURS,
        feeds=("sources", "refsources"),
    )
