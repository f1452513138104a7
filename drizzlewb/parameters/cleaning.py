"""AstroDrizzle parameters of the cleaning chain, from the static mask to the cosmic-ray mask."""

from typing import Literal

from drizzlewb.parameters.composite import Section
from drizzlewb.parameters.declare import Bits, Pair, PositivePair, WeightScale, param

CFG = "DrizzlePac 3.11, astrodrizzle.cfg"
HANDBOOK = "DrizzlePac Handbook (STScI)"
SKY = "drizzlepac/sky.py; stsci.skypac"
MINMED = "drizzlepac/minmed.py; DrizzlePac Handbook"
DRIZCR = "drizzlepac/drizCR.py"
FH2002 = "Fruchter & Hook 2002, PASP 114, 144"

Kernel = Literal["square", "point", "gaussian", "turbo", "lanczos3", "lanczos2"]
SingleKernel = Literal["turbo", "square", "point", "gaussian", "lanczos3", "lanczos2"]


class StaticMask(Section):
    """Step 1: pixels that are low in every exposure."""

    static: bool = param(
        True,
        meaning="mask pixels that are very low on the detector",
        source="drizzlepac/staticMask.py",
        feeds="static",
    )
    static_sig: float = param(
        4.0,
        gt=0,
        unit="sigma",
        meaning="pixels below mode - static_sig * rms are masked",
        source="drizzlepac/staticMask.py",
        feeds="static",
    )


class Sky(Section):
    """Step 2: sky of each chip, for subtraction and for the noise."""

    skysub: bool = param(True, meaning="measure and subtract the sky", source=SKY, feeds="sky")
    skymethod: Literal["globalmin+match", "localmin", "globalmin", "match"] = param(
        "localmin",
        meaning="localmin: lowest chip of each exposure; globalmin: one for all; match: differences in "
        "overlaps",
        advice="localmin for sparse blank fields; match or globalmin+match for nebulae and mosaics "
        "(DrizzlePac's "
        "help warns against match, its pipeline uses it for ACS and WFC3). Overlap residuals should then be "
        "below 0.02 sigma of the sky.",
        source=SKY,
        feeds="sky",
    )
    skystat: Literal["median", "mode", "mean"] = param(
        "median", meaning="statistic of the sky", source=SKY, feeds="sky"
    )
    skywidth: float | None = param(
        0.1, gt=0, unit="sigma", meaning="bin width of the histogram (mode)", source=SKY, feeds="sky"
    )
    skylower: float | None = param(
        None,
        unit="electrons",
        meaning="lowest pixel used",
        advice="Pipeline presets use -100, to keep out bad pixels.",
        source=SKY,
        feeds="sky",
    )
    skyupper: float | None = param(
        None, unit="electrons", meaning="highest pixel used", source=SKY, feeds="sky"
    )
    skyclip: int = param(5, ge=0, le=1000, unit="rounds", meaning="clipping rounds", source=SKY, feeds="sky")
    skylsigma: float = param(4.0, gt=0, unit="sigma", meaning="lower clip", source=SKY, feeds="sky")
    skyusigma: float = param(4.0, gt=0, unit="sigma", meaning="upper clip", source=SKY, feeds="sky")
    skymask_cat: str = param("", meaning="catalog file of the user's sky masks", source=SKY, feeds="sky")
    use_static: bool = param(True, meaning="leave out static-mask pixels", source=SKY, feeds="sky")
    sky_bits: Bits = param(
        0,
        unit="DQ bits",
        meaning="DQ bits taken as good for the sky; None does not look at DQ",
        source=SKY,
        feeds="sky",
    )
    skyfile: str = param(
        "",
        meaning="file of the user's sky values (exposure name, value of each chip)",
        source=SKY,
        feeds="sky",
    )
    skyuser: str = param(
        "",
        meaning="header keyword of a sky that the user has subtracted already (when skysub is off)",
        advice="It is the sky present on the detector: it enters the noise and is not subtracted again.",
        source=SKY,
        feeds="sky",
    )


class Separate(Section):
    """Step 3: each exposure on the common frame."""

    driz_separate: bool = param(
        True, meaning="drizzle each exposure onto the common frame", source=CFG, feeds="median"
    )
    driz_sep_kernel: SingleKernel = param(
        "turbo",
        meaning="drop shape of the single images",
        advice="turbo is quick and enough for a median; pipeline presets use square. gaussian and lanczos "
        "do not "
        "conserve flux. tophat is listed by DrizzlePac and raises there.",
        source="drizzlepac/src/cdrizzlebox.c",
        feeds="median",
    )
    driz_sep_wt_scl: WeightScale = param(
        "exptime",
        unit="1",
        meaning="weight scaling",
        source="drizzlepac/imageObject.py, set_wtscl",
        feeds="median",
    )
    driz_sep_pixfrac: float = param(
        1.0,
        ge=0,
        le=1,
        unit="input px",
        meaning="side of the drop; below 0.001 a point",
        source=FH2002,
        feeds="median",
    )
    driz_sep_fillval: float | None = param(
        None,
        unit="product unit/s",
        meaning="value of empty pixels of single images (keep); None gives 0",
        advice="None is 0 in single images and NaN in the final one, as in DrizzlePac. The median never "
        "takes a filler for a value.",
        source="drizzlepac/adrizzle.py",
        feeds=(),
    )
    driz_sep_bits: Bits = param(
        0,
        unit="DQ bits",
        meaning="DQ bits taken as good; None does not look at DQ",
        advice="As final_bits: 336 for ACS/WFC and UVIS, 64 HRC, 528 IR, 1024 WFPC2, 0 SBC.",
        source=CFG,
        feeds="median",
    )
    driz_sep_compress: bool = param(
        False,
        meaning="compress single images on disk",
        status="ignored",
        reason="single images are written, plain, only when `keep` asks for them",
        source=CFG,
        feeds=(),
    )


class Median(Section):
    """Step 4: the clean image."""

    median: bool = param(
        True, meaning="combine the single images to a clean image", source=CFG, feeds="median"
    )
    median_newmasks: bool = param(
        True,
        meaning="leave out pixels of low weight",
        advice="Pixels without any weight are left out in any case (DrizzlePac then takes them for zeros).",
        source="drizzlepac/createMedian.py",
        feeds="median",
    )
    combine_maskpt: float = param(
        0.3,
        ge=0,
        le=1,
        unit="1",
        meaning="weights at or below this fraction of the exposure's mean weight are left out",
        advice="Older documents say 0.7. The mean is computed from exposure time, good pixels and "
        "footprint, not from a drizzled image: 0.1 to 0.2 % above DrizzlePac's on real exposures.",
        source="drizzlepac/createMedian.py",
        feeds="median",
    )
    combine_type: Literal["minmed", "iminmed", "median", "mean", "imedian", "imean", "sum"] = param(
        "minmed",
        meaning="how the single images combine; i-variants fill pixels without a good value",
        advice="minmed: highly recommended for 3 exposures, good for 4 to 6, avoid from 10 on. Otherwise "
        "median, "
        "with combine_nhigh=1 at 4; keep N - nhigh odd.",
        source=MINMED,
        feeds="median",
    )
    combine_nsigma: PositivePair = param(
        (4.0, 3.0),
        unit="sigma",
        meaning="minmed takes the minimum where the median exceeds it by the first; the second applies "
        "beside those",
        source=MINMED,
        feeds="median",
    )
    combine_nlow: int = param(
        0, ge=0, unit="exposures", meaning="low values dropped per pixel", source=CFG, feeds="median"
    )
    combine_nhigh: int = param(
        0,
        ge=0,
        unit="exposures",
        meaning="high values dropped per pixel",
        advice="1 for median of 4; keep N - nhigh odd.",
        source=HANDBOOK,
        feeds="median",
    )
    combine_lthresh: float | None = param(
        None,
        unit="electrons/s",
        meaning="values below are left out",
        source="stsci.image.numcombine",
        feeds="median",
    )
    combine_hthresh: float | None = param(
        None,
        unit="electrons/s",
        meaning="values above are left out",
        source="stsci.image.numcombine",
        feeds="median",
    )
    combine_grow: int = param(
        1,
        ge=0,
        le=50,
        unit="px",
        meaning="half-width of the box in which the second nsigma applies (minmed)",
        source=MINMED,
        feeds="median",
    )
    combine_bufsize: float | None = param(
        None,
        gt=0,
        unit="MB",
        meaning="memory per image section",
        status="ignored",
        reason="tiles are sized by memory_budget_mb",
        source=CFG,
        feeds=(),
    )


class Blot(Section):
    """Step 5: the clean image as each chip would have seen it."""

    blot: bool = param(True, meaning="map the clean image back to each chip", source=CFG, feeds="crmask")
    blot_interp: Literal["poly5", "nearest", "linear", "poly3", "sinc"] = param(
        "poly5", meaning="interpolant", source="drizzlepac/src/cdrizzleblot.c", feeds="crmask"
    )
    blot_sinscl: float = param(
        1.0,
        gt=0,
        le=100,
        unit="1",
        meaning="scale of the sinc kernel",
        source="drizzlepac/src/cdrizzleblot.c",
        feeds="crmask",
    )
    blot_addsky: bool = param(
        True, meaning="add the measured sky back to the blot", source="drizzlepac/ablot.py", feeds="crmask"
    )
    blot_skyval: float = param(
        0.0,
        unit="electrons",
        meaning="sky to add when blot_addsky is off",
        source="drizzlepac/ablot.py",
        feeds="crmask",
    )


class CosmicRay(Section):
    """Step 6: pixels that differ from the blot by more than noise and blur explain."""

    driz_cr: bool = param(True, meaning="flag cosmic rays", source=DRIZCR, feeds="crmask")
    driz_cr_corr: bool = param(
        False,
        meaning="write _crclean and _crmask images",
        advice="crclean is a copy of the input in which flagged pixels are those of the blotted clean image.",
        source=DRIZCR,
        feeds=(),
    )
    driz_cr_snr: PositivePair = param(
        (3.5, 3.0),
        unit="sigma",
        meaning="thresholds over the noise: first pass, and beside pixels of the first pass",
        advice="3.5 3.0 for ACS and UVIS, 5.0 4.0 for IR, 5.5 3.5 for WFPC2. The stand-alone drizCR task has "
        "4.0 3.0.",
        source=DRIZCR + "; DrizzlePac Handbook",
        feeds="crmask",
    )
    driz_cr_grow: int = param(
        1,
        ge=1,
        le=99,
        unit="px",
        meaning="side of the box in which a flag spreads; 1 spreads nothing",
        advice="Documents call it a radius; the code uses a box of this side. An even side is off centre.",
        source=DRIZCR,
        feeds="crmask",
    )
    driz_cr_ctegrow: int = param(
        0,
        ge=0,
        le=4096,
        unit="px",
        meaning="length of the charge-transfer tail that is flagged too",
        advice="0 for FLC files, whose trails are corrected.",
        source=DRIZCR,
        feeds="crmask",
    )
    driz_cr_scale: Pair = param(
        (1.2, 0.7),
        unit="1",
        meaning="multipliers of the blot's derivative, for the two passes",
        advice="ACS and UVIS 1.5 1.2 below 6 exposures, 1.2 0.7 from 6 on; IR 3.0 2.4; WFPC2 2.0 1.5. If "
        "star "
        "cores are hit: mend the alignment first, then raise these, not the snr.",
        source=DRIZCR + "; DrizzlePac Handbook",
        feeds="crmask",
    )
