"""AstroDrizzle parameters of the final product, and of the output frames."""

from typing import Literal

from drizzlewb.parameters.cleaning import CFG, FH2002, Kernel
from drizzlewb.parameters.composite import Section
from drizzlewb.parameters.declare import Bits, WeightScale, param

GRID = "drizzlepac/wcs_functions.py"
MAX_SIDE = 1_000_000


class SeparateGrid(Section):
    """Step 3a: frame of the single images. Setting any of these by keyword turns driz_sep_wcs on."""

    driz_sep_wcs: bool = param(
        False, meaning="set the frame of the single images by hand", source=GRID, feeds="median"
    )
    driz_sep_refimage: str = param("", meaning="image whose frame is taken", source=GRID, feeds="median")
    driz_sep_rot: float | None = param(
        None,
        ge=-360,
        le=360,
        unit="deg",
        meaning="position angle of the Y axis; None keeps",
        source=GRID,
        feeds="median",
    )
    driz_sep_scale: float | None = param(
        None, gt=0, le=3600, unit="arcsec", meaning="pixel scale; None keeps", source=GRID, feeds="median"
    )
    driz_sep_outnx: int | None = param(
        None, ge=1, le=MAX_SIDE, unit="px", meaning="size in X", source=GRID, feeds="median"
    )
    driz_sep_outny: int | None = param(
        None, ge=1, le=MAX_SIDE, unit="px", meaning="size in Y", source=GRID, feeds="median"
    )
    driz_sep_ra: float | None = param(
        None, ge=0, le=360, unit="deg", meaning="right ascension of the centre", source=GRID, feeds="median"
    )
    driz_sep_dec: float | None = param(
        None, ge=-90, le=90, unit="deg", meaning="declination of the centre", source=GRID, feeds="median"
    )
    driz_sep_crpix1: float | None = param(
        None, unit="px", meaning="reference pixel in X, one-based as in FITS", source=GRID, feeds="median"
    )
    driz_sep_crpix2: float | None = param(
        None, unit="px", meaning="reference pixel in Y, one-based as in FITS", source=GRID, feeds="median"
    )


class Final(Section):
    """Step 7: the product."""

    driz_combine: bool = param(
        True,
        meaning="make the final product",
        advice="False leaves the record and what `keep` asks for; the masks are in the result's crmask.",
        source=CFG,
        feeds=(),
    )
    final_wht_type: Literal["EXP", "ERR", "IVM"] = param(
        "EXP",
        meaning="weight of an input pixel: exposure time, error array, or inverse variance of the background",
        advice="EXP by default; IVM for background-limited work; ERR with extreme caution: it contains the "
        "source's own noise and biases photometry of point sources.",
        source="drizzlepac/imageObject.py; DrizzlePac Handbook",
        feeds="product",
    )
    final_kernel: Kernel = param(
        "square",
        meaning="drop shape",
        advice="square for science, turbo for a quick look, point only for many dithers, lanczos3 only at "
        "pixfrac 1 "
        "and the input's scale. gaussian and lanczos do not conserve flux. tophat is listed by DrizzlePac "
        "and "
        "raises there; lanczos2 is ours only.",
        source=FH2002 + "; drizzlepac/src/cdrizzlebox.c",
        feeds="product",
    )
    final_wt_scl: WeightScale = param(
        "exptime",
        unit="1",
        meaning="weight scaling",
        source="drizzlepac/imageObject.py, set_wtscl",
        feeds="product",
    )
    final_pixfrac: float = param(
        1.0,
        ge=0,
        le=1,
        unit="input px",
        meaning="side of the drop; below 0.001 a point",
        advice="Slightly above output/input scale; 1.0 for up to 3 exposures or no dither, 0.8 from 6 on. "
        "Look at "
        "holes, rms/median of WHT (below 0.2), noise and FWHM together: there is no single metric.",
        source=FH2002 + "; DrizzlePac Handbook",
        feeds="product",
    )
    final_fillval: float | None = param(
        None,
        unit="product unit",
        meaning="value of empty pixels; None gives final_maskval, or NaN",
        source="drizzlepac/adrizzle.py",
        feeds="product",
    )
    final_maskval: float | None = param(
        None,
        unit="product unit",
        meaning="value where the weight is 0; None gives NaN",
        source="drizzlepac/adrizzle.py, interpret_maskval",
        feeds="product",
    )
    final_bits: Bits = param(
        0,
        unit="DQ bits",
        meaning="DQ bits taken as good; None does not look at DQ",
        advice="0 rejects everything that is flagged. ACS/WFC and UVIS 336 = 256+64+16 (UVIS before "
        "2012-11: 352), "
        "HRC 64, SBC 0, WFPC2 1024, IR 528 (16 with blob dither); one exposure alone 65535 (IR 528). Without "
        "256 the cores of saturated stars become holes.",
        source="pipeline parameter sets of DrizzlePac 3.11",
        feeds="product",
    )
    final_units: Literal["counts", "cps"] = param(
        "cps", meaning="unit of the product: per second, or total", source=CFG, feeds="product"
    )


class FinalGrid(Section):
    """Step 7a: frame of the product. Setting any of these by keyword turns final_wcs on."""

    final_wcs: bool = param(
        False,
        meaning="set the frame of the product by hand",
        advice="Same tangent point and size for all filters: take the first product as final_refimage.",
        source=GRID,
        feeds="product",
    )
    final_refimage: str = param(
        "", meaning="image whose frame is taken, e.g. another filter's product", source=GRID, feeds="product"
    )
    final_rot: float | None = param(
        None,
        ge=-360,
        le=360,
        unit="deg",
        meaning="position angle of the Y axis (0 is north up); None keeps",
        source=GRID,
        feeds="product",
    )
    final_scale: float | None = param(
        None,
        gt=0,
        le=3600,
        unit="arcsec",
        meaning="pixel scale; None keeps",
        advice="FWHM/scale of 2 to 2.5: ACS 0.05 to 0.03, IR F160W 0.065. Integer ratios between detectors.",
        source="DrizzlePac Handbook",
        feeds="product",
    )
    final_outnx: int | None = param(
        None, ge=1, le=MAX_SIDE, unit="px", meaning="size in X", source=GRID, feeds="product"
    )
    final_outny: int | None = param(
        None, ge=1, le=MAX_SIDE, unit="px", meaning="size in Y", source=GRID, feeds="product"
    )
    final_ra: float | None = param(
        None, ge=0, le=360, unit="deg", meaning="right ascension of the centre", source=GRID, feeds="product"
    )
    final_dec: float | None = param(
        None, ge=-90, le=90, unit="deg", meaning="declination of the centre", source=GRID, feeds="product"
    )
    final_crpix1: float | None = param(
        None, unit="px", meaning="reference pixel in X, one-based as in FITS", source=GRID, feeds="product"
    )
    final_crpix2: float | None = param(
        None, unit="px", meaning="reference pixel in Y, one-based as in FITS", source=GRID, feeds="product"
    )
