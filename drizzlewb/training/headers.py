"""Headers that a DrizzlePac user, and DrizzlePac, would take for those of calibrated exposures."""

from __future__ import annotations

import math

import numpy as np
from astropy.io import fits
from astropy.time import Time

from drizzlewb.training.detector import Frame
from drizzlewb.training.detectors import DetectorModel
from drizzlewb.training.pointing import Attitude
from drizzlewb.training.programme import Plan
from drizzlewb.training.scene import CENTRE

__all__ = ["plane_header", "primary_header"]

_SWITCHES = (
    ("STATFLAG", False),
    ("WRTERR", True),
    ("DQICORR", "COMPLETE"),
    ("ATODCORR", "OMIT"),
    ("BLEVCORR", "COMPLETE"),
    ("BIASCORR", "COMPLETE"),
    ("FLSHCORR", "OMIT"),
    ("CRCORR", "OMIT"),
    ("EXPSCORR", "COMPLETE"),
    ("SHADCORR", "OMIT"),
    ("PCTECORR", "COMPLETE"),
    ("DARKCORR", "COMPLETE"),
    ("FLATCORR", "COMPLETE"),
    ("PHOTCORR", "COMPLETE"),
    ("RPTCORR", "OMIT"),
    ("DRIZCORR", "PERFORM"),
)


def photometry_cards(model: DetectorModel, plan: Plan) -> list[tuple[str, object, str]]:
    """PHOTMODE and its companions for the exposure's filter."""
    band = model.filters[plan.filter]
    chip = "1" if len(model.chips) == 2 else ""
    mode = f"{model.instrument} {model.detector}{chip} {plan.filter}"
    pivot = band.pivot_nm * 10
    return [
        ("PHOTMODE", mode, "observation con"),
        ("PHOTFLAM", band.photflam, "inverse sensitivity, ergs/cm2/Ang/electron"),
        ("PHOTZPT", -21.1, "ST magnitude zero point"),
        ("PHOTPLAM", pivot, "Pivot wavelength (Angstroms)"),
        ("PHOTBW", band.photbw, "RMS bandwidth of filter plus detector"),
        ("PHOTFNU", band.photflam * pivot**2 / 2.99792458e18 * 1e23, "inverse sensitivity, Jy*sec/e-"),
    ]


def primary_header(
    model: DetectorModel, plan: Plan, stated: Attitude, *, filename: str, extensions: int, subarray: bool
) -> fits.Header:
    """Primary header of a calibrated exposure.

    No date of writing: the same seed gives the same bytes.
    """
    start = Time(f"{plan.date}T{plan.time}", scale="utc").mjd
    h = fits.Header()

    def put(*cards: tuple) -> None:
        for key, value, *comment in cards:
            h[key] = (value, *comment)

    def title(text: str) -> None:
        h.append(fits.Card("", ""), end=True)
        h.append(fits.Card("", f"      / {text}"), end=True)
        h.append(fits.Card("", ""), end=True)

    prefix = "jref$" if model.instrument == "ACS" else "iref$"
    put(
        ("NEXTEND", extensions, "Number of standard extensions"),
        ("FILENAME", filename, "name of file"),
        ("FILETYPE", "SCI", "type of data found in data file"),
        ("TELESCOP", "HST", "telescope used to acquire data"),
        ("INSTRUME", model.instrument, "identifier for instrument used to acquire data"),
        ("EQUINOX", 2000.0, "equinox of celestial coord. system"),
    )
    title("DATA DESCRIPTION KEYWORDS")
    put(
        ("ROOTNAME", plan.rootname, "rootname of the observation set"),
        ("IMAGETYP", "EXT", "type of exposure identifier"),
        ("PRIMESI", model.instrument, "instrument designated as prime"),
    )
    title("TARGET INFORMATION")
    put(
        ("TARGNAME", "NGC6791", "proposer's target name"),
        ("RA_TARG", CENTRE[0], "right ascension of the target (deg) (J2000)"),
        ("DEC_TARG", CENTRE[1], "declination of the target (deg) (J2000)"),
    )
    title("PROPOSAL INFORMATION")
    put(
        ("PROPOSID", 9815, "PEP proposal identifier"),
        ("LINENUM", f"{plan.visit}.001", "proposal logsheet line number"),
        ("PR_INV_L", "drizzlewb", "simulated: no principal investigator"),
    )
    title("EXPOSURE INFORMATION")
    put(
        ("SUNANGLE", 119.0 if plan.visit == "01" else 118.8, "angle between sun and V1 axis"),
        ("MOONANGL", 82.4 if plan.visit == "01" else 74.9, "angle between moon and V1 axis"),
        ("SUN_ALT", 31.5, "altitude of the sun above Earth's limb"),
        ("FGSLOCK", "FINE", "commanded FGS lock (FINE,COARSE,GYROS,UNKNOWN)"),
        ("GYROMODE", "3", "number of gyros scheduled"),
        ("REFFRAME", "GSC1", "guide star catalog version"),
        ("DATE-OBS", plan.date, "UT date of start of observation (yyyy-mm-dd)"),
        ("TIME-OBS", plan.time, "UT time of start of observation (hh:mm:ss)"),
        ("EXPSTART", start, "exposure start time (Modified Julian Date)"),
        ("EXPEND", start + plan.exptime / 86400, "exposure end time (Modified Julian Date)"),
        ("EXPTIME", plan.exptime, "exposure duration (seconds)--calculated"),
        ("EXPFLAG", "NORMAL", "Exposure interruption indicator"),
        ("QUALITY", "", ""),
        ("DARKTIME", plan.exptime + 3.0, "dark time (seconds)"),
    )
    title("POINTING INFORMATION")
    scale = model.idcscale
    put(
        ("PA_V3", (stated.pa - model.idctheta) % 360, "position angle of V3-axis of HST (deg)"),
        ("POSTARG1", round(-plan.dither[0] * scale, 6), "POSTARG in axis 1 direction"),
        ("POSTARG2", round(-plan.dither[1] * scale, 6), "POSTARG in axis 2 direction"),
    )
    title("SCIENCE INSTRUMENT CONFIGURATION")
    put(
        ("OBSTYPE", "IMAGING", "observation type - imaging or spectroscopic"),
        ("OBSMODE", "MULTIACCUM" if model.reads_up_the_ramp else "ACCUM", "operating mode"),
        ("CTEIMAGE", "NONE", "type of Charge Transfer Image, if applicable"),
        ("SCLAMP", "NONE", "lamp status, NONE or name of lamp which is on"),
        ("NRPTEXP", 1, "number of repeat exposures in set: default 1"),
        ("SUBARRAY", subarray, "data from a subarray (T) or full frame (F)"),
        ("DETECTOR", model.detector, "detector in use"),
    )
    if model.instrument == "WFC3":
        put(("FILTER", plan.filter, "element selected from filter wheel"))
    elif plan.filter == "F814W":
        put(("FILTER1", "CLEAR1L", "element selected from filter wheel 1"), ("FILTER2", plan.filter))
    else:
        put(("FILTER1", plan.filter, "element selected from filter wheel 1"), ("FILTER2", "CLEAR2L"))
    put(
        ("LRFWAVE", 0.0, "linear ramp filter wavelength"),
        (
            "APERTURE",
            model.detector,
            "aperture name",
        ),
        ("PROPAPER", model.detector, "proposed aperture name"),
        ("CTEDIR", "NONE", "CTE measurement direction: serial or parallel"),
        ("CRSPLIT", 1, "number of cosmic ray split exposures"),
    )
    if model.reads_up_the_ramp:
        put(
            ("SAMP_SEQ", "STEP50", "MultiAccum exposure time sequence name"),
            ("NSAMP", 13),
            ("SAMPZERO", 2.911756),
        )
    title("CALIBRATION SWITCHES: PERFORM, OMIT, COMPLETE")
    put(*_SWITCHES)
    title("CALIBRATION REFERENCE FILES")
    tables = model.tables
    put(
        ("BPIXTAB", "N/A"),
        ("CCDTAB", "N/A"),
        ("CRREJTAB", "N/A"),
        ("DARKFILE", "N/A"),
        ("PFLTFILE", "N/A"),
        ("DFLTFILE", "N/A"),
        ("LFLTFILE", "N/A"),
        ("IDCTAB", model.idctab, "image distortion correction table"),
        ("DGEOFILE", "N/A", "Distortion correction image"),
        ("NPOLFILE", prefix + "drizzlewb_npl.fits" if tables else "N/A", "Non-polynomial corrections table"),
        ("D2IMFILE", prefix + "drizzlewb_d2i.fits" if tables else "N/A", "Column correction reference file"),
        ("OFFTAB", "N/A"),
        ("MDRIZTAB", "N/A", "MultiDrizzle parameter table"),
    )
    title("COSMIC RAY REJECTION AND POST FLASH")
    put(
        ("REJ_RATE", 0.0, "rate at which pixels are affected by cosmic ray"),
        ("CRMASK", False, "flag CR-rejected pixels in input files (T/F)"),
        ("FLASHDUR", 0.0, "Exposure time in seconds: 0.1 to 409.5"),
        ("FLASHCUR", "OFF", "Post flash current (zero, low, medium, high)"),
        ("SHUTRPOS", "A", "Shutter position: A or B"),
    )
    title("PATTERN KEYWORDS")
    put(("PATTERN1", "NONE", "primary pattern type"), ("PATTSTEP", 0, "position number in the pattern"))
    title("CALIBRATED ENGINEERING PARAMETERS")
    put(
        ("CCDAMP", "C" if model.detector == "HRC" else "ABCD", "CCD Amplifier Readout Configuration"),
        ("CCDGAIN", model.ccdgain, "commanded gain of CCD"),
    )
    for amp in "ABCD":
        put((f"ATODGN{amp}", model.atod_gain[amp], f"calibrated gain for amplifier {amp}"))
    for amp in "ABCD":
        put((f"READNSE{amp}", model.read_noise[amp], f"calibrated read noise for amplifier {amp}"))
    for amp in "ABCD":
        put((f"BIASLEV{amp}", model.bias_dn, f"bias level for amplifier {amp}"))
    title("PHOTOMETRY KEYWORDS")
    put(*photometry_cards(model, plan))
    title("ASSOCIATION KEYWORDS")
    put(
        ("ASN_ID", "NONE", "unique identifier assigned to association"),
        ("ASN_TAB", "NONE", "name of the association table"),
        ("ASN_MTYP", "", "Role of the Member in the Association"),
    )
    put(("ORIGIN", "drizzlewb.training.simulate", "simulated, not observed"))
    h.add_history("Simulated by drizzlewb for training; the truth lies in *_truth.fits beside this file.")
    return h


def plane_header(
    model: DetectorModel, plan: Plan, extver: int, name: str, frame: Frame, wcs: fits.Header
) -> fits.Header:
    """Header of SCI, ERR or DQ extension `extver`; `wcs` holds the world coordinate cards.

    ERR and DQ carry only the linear ones, as in archive files.
    """
    shape = frame.sci.shape
    h = fits.Header()
    h["EXTNAME"] = (name, "extension name")
    h["EXTVER"] = (extver, "extension version number")
    h["INHERIT"] = (True, "inherit the primary header")
    h["ROOTNAME"] = (plan.rootname, "rootname of the observation set")
    h["EXPNAME"] = (plan.rootname, "exposure identifier")
    unit = "ELECTRONS/S" if model.reads_up_the_ramp else "ELECTRONS"
    h["BUNIT"] = ("UNITLESS" if name == "DQ" else unit, "brightness units")
    if name != "SCI":
        for key in ("WCSAXES", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CUNIT1", "CUNIT2"):
            h[key] = (wcs[key], wcs.comments[key])
        h["CTYPE1"], h["CTYPE2"] = "RA---TAN", "DEC--TAN"
        for key in ("CD1_1", "CD1_2", "CD2_1", "CD2_2", "LTV1", "LTV2", "LTM1_1", "LTM2_2", "RADESYS"):
            h[key] = (wcs[key], wcs.comments[key])
        h["WCSNAME"] = wcs["WCSNAME"]
        return h
    if len(model.chips) == 2:
        h["CCDCHIP"] = (model.chips[extver - 1].ccdchip, "CCD chip (1 or 2)")
    else:
        h["CCDCHIP"] = (1, "CCD chip")
    h.extend(wcs.cards, unique=False, bottom=True)
    h["CENTERA1"] = (round(shape[1] / 2 - wcs["LTV1"]) + 1, "subarray axis1 center pt in unbinned dect. pix")
    h["CENTERA2"] = (round(shape[0] / 2 - wcs["LTV2"]) + 1, "subarray axis2 center pt in unbinned dect. pix")
    h["SIZAXIS1"] = (shape[1], "subarray axis1 size in unbinned detector pixels")
    h["SIZAXIS2"] = (shape[0], "subarray axis2 size in unbinned detector pixels")
    h["BINAXIS1"] = (1, "axis1 data bin size in unbinned detector pixels")
    h["BINAXIS2"] = (1, "axis2 data bin size in unbinned detector pixels")
    for key, value, comment in photometry_cards(model, plan):
        h[key] = (value, comment)
    h["NCOMBINE"] = (1, "number of image sets combined during CR rejecti")
    h["FILLCNT"] = (0, "number of segments containing fill")
    h["ERRCNT"] = (0, "number of segments containing errors")
    good = (frame.dq & 31743) == 0
    h["NGOODPIX"] = (int(good.sum()), "number of good pixels")
    values = frame.sci[good] if good.any() else np.zeros(1, np.float32)
    ratio = values / frame.err[good] if good.any() else values
    for key, plane, what in (("GOOD", values, "value"), ("SNR", ratio, "signal to noise")):
        h[key + "MIN"] = (float(plane.min()), f"minimum {what} of good pixels")
        h[key + "MAX"] = (float(plane.max()), f"maximum {what} of good pixels")
        h[key + "MEAN"] = (float(plane.mean(dtype=float)), f"mean {what} of good pixels")
    h["SDQFLAGS"] = (31743, "serious data quality flags")
    h["SOFTERRS"] = (0, "number of soft error pixels (DQF=1)")
    h["MEANDARK"] = (model.dark_rate * plan.exptime, "average of the dark values subtracted")
    h["MEANBLEV"] = (model.bias_dn, "average of all bias levels subtracted")
    h["MEANFLSH"] = (0.0, "Mean number of counts in post flash exposure")
    if model.reads_up_the_ramp:
        h["SAMPTIME"] = (plan.exptime, "total integration time (sec)")
        h["DELTATIM"] = (math.floor(plan.exptime / 12), "sample integration time (sec)")
    return h
