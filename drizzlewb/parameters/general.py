"""AstroDrizzle parameters that belong to no single step, and our own that DrizzlePac does not know."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from drizzlewb.parameters.composite import Section
from drizzlewb.parameters.declare import BitsOrNone, SingleBit, param

CFG = "DrizzlePac 3.11, astrodrizzle.cfg"
ALL = ("static", "sky", "median", "crmask", "product")
AFTER_STATIC = ALL[1:]

UNTOUCHED = "inputs are never touched, so there is nothing to copy or restore"


def _extensions(value: str) -> str:
    text = value.strip()
    if not re.fullmatch(r"([A-Za-z]+\s*,\s*\d+|\d+(\s*,\s*\d+)*)?", text):
        msg = "write '1', '1,4' or 'sci,2'"
        raise ValueError(msg)
    return text


class General(Section):
    """Files, units, DQ bits and resources."""

    input: str = param(
        "*flt.fits",
        meaning="files to combine",
        status="ignored",
        reason="the exposures are the first argument of reduce",
        source=CFG,
        feeds=(),
    )
    output: str = param(
        "",
        meaning="root name of the products",
        advice="Name target, filter and purpose: F606W_opt. An existing product is replaced only on request.",
        source=CFG,
        feeds=(),
    )
    runfile: str = param(
        "astrodrizzle.log",
        meaning="log file",
        status="ignored",
        reason="the log goes to Python's logging, under 'drizzlewb'; the record is the JSON beside the "
        "product",
        source=CFG,
        feeds=(),
    )
    wcskey: str = param(
        "",
        meaning="letter or WCSNAME of the alternate WCS to use; empty for the primary one",
        advice="All exposures of a stack must share one family of solutions (IDC, FIT_REL, FIT_SVM ...).",
        source="FITS WCS Paper I, alternate WCS; drizzlepac/processInput.py",
        feeds=AFTER_STATIC,
    )
    proc_unit: Literal["native", "electrons"] = param(
        "native",
        meaning="unit of the product: the input's own, or electrons",
        advice="Pixels are electrons inside, always. With 'electrons', PHOTFLAM and PHOTFNU are divided "
        "accordingly (DrizzlePac leaves them), so that magnitudes stay right; BUNIT says which unit.",
        status="mapped",
        reason="chooses the unit of the product only; all steps work in electrons",
        source="drizzlepac/imageObject.py",
        feeds="product",
    )
    coeffs: bool = param(
        True,
        meaning="apply the distortion of the headers; False uses the linear WCS only",
        source=CFG,
        feeds=AFTER_STATIC,
    )
    context: bool = param(
        True,
        meaning="make the context image: which chips contributed to each pixel",
        advice="One bit per chip, not per exposure as some documents say.",
        source="drizzlepac/adrizzle.py",
        feeds="product",
    )
    group: Annotated[str, AfterValidator(_extensions)] = param(
        "",
        meaning="process only these extensions: 'sci,2', or places in the file as '1,4'; empty for all",
        source="drizzlepac/util.py, _parse_ext_spec",
        feeds=ALL,
    )
    build: bool = param(
        False,
        meaning="one file with SCI, WHT and CTX instead of three simple files",
        advice="drizzlewb's preset sets True: one file cannot lose its weights.",
        source=CFG,
        feeds=(),
    )
    crbit: SingleBit = param(
        4096,
        ge=0,
        le=32768,
        unit="DQ bit",
        meaning="DQ bit of rejected cosmic rays",
        advice="Goes into the DQ arrays of crclean images, and of the inputs with update_inputs only.",
        source="drizzlepac/drizCR.py",
        feeds=(),
    )
    stepsize: int = param(
        10,
        ge=0,
        unit="px",
        meaning="grid step of DrizzlePac's interpolated pixel map; 0 is exact",
        status="ignored",
        reason="the map is exact at every pixel (DrizzlePac's 10-px grid is wrong by up to 4e-3 output px); "
        "exported as 0",
        source="drizzlepac/src/cdrizzlemap.c",
        feeds=(),
    )
    resetbits: BitsOrNone = param(
        4096,
        unit="DQ bits",
        meaning="DQ bits cleared before any step; 0 or None clears none",
        advice="In memory only, where DrizzlePac rewrites the input files. 0 keeps earlier cosmic-ray "
        "flags in use.",
        status="mapped",
        reason="bits are cleared in memory; exported as '0' so that DrizzlePac leaves the files alone",
        source="drizzlepac/resetbits.py",
        feeds=AFTER_STATIC,
    )
    num_cores: int | None = param(
        None,
        ge=0,
        le=4096,
        unit="threads",
        meaning="processes of DrizzlePac; None decides by the machine, below 2 uses one",
        status="mapped",
        reason="given by keyword it sets `threads`: threads, not processes, and for every step",
        source=CFG,
        feeds=(),
    )
    in_memory: bool = param(
        False,
        meaning="keep intermediate images in memory",
        status="ignored",
        reason="intermediate tiles live within memory_budget_mb and in scratch files",
        source=CFG,
        feeds=(),
    )
    rules_file: str = param(
        "",
        meaning="rules for blending the headers of the inputs",
        status="ignored",
        reason="headers are blended by one rule set: equal values kept, exposure times added, the rest in "
        "HDRTAB",
        source="fitsblender",
        feeds=(),
    )


class StateOfInputs(Section):
    """What DrizzlePac does to the input files around a run."""

    restore: bool = param(
        False,
        meaning="copy the originals back first",
        status="ignored",
        reason=UNTOUCHED,
        source=CFG,
        feeds=(),
    )
    preserve: bool = param(
        True, meaning="copy the inputs aside first", status="ignored", reason=UNTOUCHED, source=CFG, feeds=()
    )
    overwrite: bool = param(
        False, meaning="overwrite existing copies", status="ignored", reason=UNTOUCHED, source=CFG, feeds=()
    )
    clean: bool = param(
        False,
        meaning="delete intermediate files at the end",
        advice="Overrules `keep`, and driz_cr_corr but for crclean, which DrizzlePac's clean leaves too.",
        status="mapped",
        reason="intermediate files are written only on request (keep, driz_cr_corr), with True not even "
        "then; scratch files always go",
        source=CFG,
        feeds=(),
    )


_OVERRIDE = "drizzlepac/imageObject.py, getInstrParameter: a value or a keyword, not both"
_NOISE = ("median", "crmask", "product")


class Instrument(Section):
    """Detector values that replace those of the headers."""

    gain: float | None = param(
        None,
        gt=0,
        unit="electrons/DN",
        meaning="gain, for all amplifiers",
        advice="Leave empty for HST files. A list such as '1.0,1.01' is averaged.",
        source=_OVERRIDE,
        feeds=ALL,
    )
    gnkeyword: str = param(
        "", meaning="header keyword(s) of the gain, separated by commas", source=_OVERRIDE, feeds=ALL
    )
    rdnoise: float | None = param(
        None,
        ge=0,
        unit="electrons",
        meaning="read noise, for all amplifiers",
        source=_OVERRIDE,
        feeds=_NOISE,
    )
    rnkeyword: str = param(
        "", meaning="header keyword(s) of the read noise, separated by commas", source=_OVERRIDE, feeds=_NOISE
    )
    exptime: float | None = param(
        None,
        gt=0,
        unit="s",
        meaning="exposure time of every exposure",
        source=_OVERRIDE,
        feeds=ALL,
    )
    expkeyword: str = param("", meaning="header keyword of the exposure time", source=_OVERRIDE, feeds=ALL)


INTERMEDIATES = ("single_sci", "single_wht", "med", "blt", "crmask", "crclean", "staticMask")
"""Intermediate images that may be written, by DrizzlePac's suffixes."""

OURS = "drizzlewb"


def _known_intermediates(value: str) -> str:
    names = [name.strip() for name in value.split(",") if name.strip()]
    for name in names:
        if name not in INTERMEDIATES:
            msg = f"{name!r} is no intermediate image: expected some of {', '.join(INTERMEDIATES)}"
            raise ValueError(msg)
    return ",".join(names)


class Extra(Section):
    """What DrizzlePac does not know."""

    update_inputs: bool = param(
        False,
        meaning="write cosmic-ray flags (DQ) and MDRIZSKY into the input files, atomically, after the run",
        advice="The only switch that lets a reduction change its inputs. Read them again afterwards.",
        source=OURS,
        feeds=(),
    )
    peer_noise: bool = param(
        False,
        meaning="count the sky in the noise as DrizzlePac does, for parity tests",
        advice="DrizzlePac adds the sky twice in the cosmic-ray noise with localmin and globalmin (18.6 "
        "instead "
        "of 13.8 electrons in one measured case; completeness 0.85 instead of 0.91 above 3 sigma), and in "
        "IVM "
        "weights takes MDRIZSKY, which is 0 for the faintest image with match.",
        source="measured on DrizzlePac 3.11",
        feeds=("median", "crmask", "product"),
    )
    equalise: bool = param(
        False,
        meaning="scale every chip to the PHOTFLAM of the first, in memory, before anything else",
        advice="A product has one PHOTFLAM. WFPC2's chips differ by up to 0.027 mag, and many detectors lose "
        "sensitivity over years: without it magnitudes depend on chip and date. The files stay as they are.",
        source="drizzlepac/photeq.py, which rewrites the files",
        feeds=ALL,
    )
    keep: Annotated[str, AfterValidator(_known_intermediates)] = param(
        "",
        meaning="intermediate images to write beside the product, separated by commas: "
        + ", ".join(INTERMEDIATES),
        advice="Under DrizzlePac's names, complete or absent like the product.",
        source=OURS,
        feeds=(),
    )
    memory_budget_mb: float = param(
        500.0,
        ge=50,
        le=1e7,
        unit="MB",
        meaning="memory for tiles in flight",
        advice="Sets the tile area, never the pixels. Peak memory does not grow with the mosaic.",
        source=OURS,
        feeds=(),
    )
    threads: int | None = param(
        None,
        ge=0,
        le=4096,
        unit="threads",
        meaning="threads that work at once; None decides by the machine, below 2 uses one",
        advice="The number never changes a bit of the product. num_cores, DrizzlePac's name, sets it too.",
        source=OURS,
        feeds=(),
    )
