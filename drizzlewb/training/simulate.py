"""Simulated exposures with known truth: the training page's twelve, as calibrated files on disk.

>>> from drizzlewb.training.simulate import simulate
>>> files = simulate("training", size="tiny")          # doctest: +SKIP
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import astropy
import numpy as np
import scipy
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

import drizzlewb
from drizzlewb.errors import ParameterError
from drizzlewb.training import detector as silicon
from drizzlewb.training import optics, scene
from drizzlewb.training.cosmicrays import MASK_LEVEL
from drizzlewb.training.detectors import DetectorModel, detector_model
from drizzlewb.training.headers import plane_header, primary_header
from drizzlewb.training.pointing import (
    chip_wcs,
    local_maps,
    lookup_tables,
    pixel_area_map,
    sky_to_pixel,
    wcs_header,
)
from drizzlewb.training.programme import Plan, Pointing, plan_exposures, point
from drizzlewb.training.truth import CATALOG_NAME, INDEX_NAME, charge_table

__all__ = ["DEFAULT_SEED", "SIZES", "simulate"]

log = logging.getLogger(__name__)

DEFAULT_SEED = 9815
SIZES = ("tiny", "small", "full")
FORMAT = 2  # of the files; part of what decides whether a cached set can be used again
TRAIL_WIDTH_PX = 3.0  # sigma across
TRAIL_RATE = 900.0  # electrons per pixel on the ridge of a satellite trail

Progress = Callable[[str, int, int, str], None]


class _Request(NamedTuple):
    """What all exposures of a set share."""

    out: Path
    model: DetectorModel
    size: str
    seed: int
    cr_percent: float
    satellite: str | None
    scene: bool
    catalog: Table
    flaws: tuple[silicon.Defects, ...]


def simulate(
    out: Path | str,
    size: str = "small",
    *,
    seed: int = DEFAULT_SEED,
    visit_offset_px: float = 10.0,
    visit_rotation_deg: float = 0.02,
    cr_percent: float = 2.0,
    detector: str = "ACS/WFC",
    satellite: str | None = None,
    misalign: Mapping[str, float] | None = None,
    vafactor: bool = True,
    scene: bool = False,
    exposures: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the training set: twelve calibrated exposures of a cluster, with the truth beside them.

    Parameters
    ----------
    out : path
        Folder, made if it is not there. Files of the same names are replaced.
    size : {'tiny', 'small', 'full'}
        256×128, 1024×512 or 4096×2048 pixels a chip (a part of the same sky and detector).
    seed : int
        Same seed and versions, same bytes.
    visit_offset_px, visit_rotation_deg : float
        How wrong the headers of visit 02 are beside those of visit 01.
    cr_percent : float
        Pixels hit by cosmic rays in 1000 s, per cent; 1.5 to 3 has been seen, 0 switches them off.
    detector : {'ACS/WFC', 'WFC3/UVIS', 'WFC3/IR', 'ACS/HRC'}
        Which detector looks at the scene.
    satellite : str, optional
        Rootname of an exposure that a satellite crosses.
    misalign : mapping, optional
        Additional pointing error in pixels of single exposures, by rootname, e.g. ``{'j8ny01t5q': 0.3}``.
    vafactor : bool
        False leaves velocity aberration out of the headers; the sky has it anyhow.
    scene : bool
        Also write the noiseless scene into the truth files.
    exposures : iterable of str, optional
        Rootnames to write; all twelve if left out.
    progress : callable, optional
        Called with (step, done, total, message) after each exposure.

    Returns
    -------
    list of Path
        The exposures, in the order of the programme. Beside them: ``truth.json``, ``truth_catalog.fits``
        and ``<rootname>_truth.fits`` for each; see `drizzlewb.training.truth`.

    Raises
    ------
    ParameterError
        A size, detector, rootname or rate that cannot be simulated.
    """
    model = detector_model(detector)
    if size not in SIZES:
        msg = f"simulating a training set: size {size!r} is not known; choose one of {', '.join(SIZES)}."
        raise ParameterError(msg)
    if not 0 <= cr_percent <= 20:
        msg = f"simulating a training set: cr_percent is {cr_percent}; expected 0 to 20 (seen: 1.5 to 3)."
        raise ParameterError(msg)
    plans = plan_exposures(model)
    misalign = dict(misalign or {})
    wanted = {plan.rootname for plan in plans} if exposures is None else set(exposures)
    named = wanted | set(misalign) | ({satellite} if satellite else set())
    unknown = sorted(named - {plan.rootname for plan in plans})
    if unknown:
        msg = (
            f"simulating a training set: {', '.join(unknown)} is not in the programme of {detector}; "
            f"its rootnames are {', '.join(plan.rootname for plan in plans)}."
        )
        raise ParameterError(msg)

    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    corners, shape = model.crop(size), model.sizes[size]
    catalog = _catalog(model, seed)
    flaws = tuple(silicon.defects(model, k + 1, seed).crop(corner, shape) for k, corner in enumerate(corners))
    request = _Request(folder, model, size, seed, cr_percent, satellite, scene, catalog, flaws)
    index: dict[str, dict] = {}
    paths = []
    counts: dict[str, int] = {}
    for plan in plans:
        place = counts.setdefault(plan.visit, 0)
        counts[plan.visit] += 1
        pointing = point(
            model,
            plan,
            place,
            seed=seed,
            visit_offset_px=visit_offset_px,
            visit_rotation_deg=visit_rotation_deg,
            misalign_px=float(misalign.get(plan.rootname, 0.0)),
            vafactor=vafactor,
        )
        if plan.rootname not in wanted:
            continue
        path, entry = _exposure(request, plan, pointing)
        paths.append(path)
        index[plan.rootname] = entry
        log.info("simulated %s", path.name)
        if progress is not None:
            progress("simulate", len(paths), len(wanted), path.name)
    _write(fits.HDUList([fits.PrimaryHDU(), fits.table_to_hdu(catalog)]), folder / CATALOG_NAME)
    record = {
        "format": FORMAT,
        "detector": detector,
        "size": size,
        "shape": list(shape),
        "seed": seed,
        "visit_offset_px": visit_offset_px,
        "visit_rotation_deg": visit_rotation_deg,
        "cr_percent": cr_percent,
        "satellite": satellite,
        "misalign": misalign,
        "vafactor": vafactor,
        "reference": plans[0].rootname,
        "idcscale_arcsec": model.idcscale,
        "catalog": CATALOG_NAME,
        "exposures": index,
        "versions": {
            "drizzlewb": drizzlewb.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "astropy": astropy.__version__,
        },
    }
    _replace(folder / INDEX_NAME, json.dumps(record, indent=1) + "\n")
    return paths


def _catalog(model: DetectorModel, seed: int) -> Table:
    """Scene with magnitude and rate in each of the detector's filters."""
    catalog = scene.make_catalog(seed)
    for name, band in model.filters.items():
        mag = scene.magnitudes(catalog, band.colour)
        catalog[f"mag_{name}"] = mag
        catalog[f"rate_{name}"] = 10 ** (0.4 * (band.zero_point - mag))
    return catalog


def _exposure(request: _Request, plan: Plan, pointing: Pointing) -> tuple[Path, dict]:
    """Write one exposure and its truth; return the path and the entry of the index."""
    model, size = request.model, request.size
    corners, shape = model.crop(size), model.sizes[size]
    tables = lookup_tables(model, corners)
    sky_rng = _generator(request.seed, plan.rootname, 0)
    band = model.filters[plan.filter]
    sky = band.sky_rate * plan.exptime * float(sky_rng.uniform(0.85, 1.2))
    trail = _trail(sky_rng, model, size) if request.satellite == plan.rootname else None
    filename = f"{plan.rootname}_{model.suffix}.fits"
    planes: list[fits.ImageHDU] = []
    truths: list = []
    entry: dict[str, Any] = {
        "file": filename,
        "truth": f"{plan.rootname}_truth.fits",
        "filter": plan.filter,
        "exptime": plan.exptime,
        "visit": plan.visit,
        "sky_electrons": sky,
        "error_px": list(pointing.error_px),
        "error_roll_deg": pointing.error_roll_deg,
        "dither_px": list(plan.dither),
        "vafactor": pointing.true.va,
        "chips": [],
    }
    for k, corner in enumerate(corners):
        extver = k + 1
        stated = wcs_header(model, extver, pointing.stated, corner, shape)
        true = wcs_header(model, extver, pointing.true, corner, shape)
        light = _light(request, plan, extver, corner, shape, true, tables)
        marked = None
        if trail is not None:
            streak, marked = _draw_trail(trail, k, shape)
            light += streak
        rng = _generator(request.seed, plan.rootname, extver)
        frame = silicon.expose(
            rng, model, extver, corner, light, sky, plan.exptime, request.flaws[k], request.cr_percent
        )
        planes += _planes(model, plan, extver, frame, stated)
        mask = (frame.cr >= MASK_LEVEL).astype(np.uint8)
        if marked is not None:
            mask |= marked.astype(np.uint8) << 1
        mask_header = true.copy()
        mask_header["COMMENT"] = "bit 1: cosmic ray, bit 2: satellite trail; WCS is the true one"
        truths += [
            fits.ImageHDU(mask, header=mask_header, name="CRMASK", ver=extver),
            charge_table(frame.cr, extver),
            fits.ImageHDU(request.flaws[k].dq.astype(np.int16), name="DEFECTS", ver=extver),
        ]
        if request.scene:
            truths.append(fits.ImageHDU(light, name="SCENE", ver=extver))
        entry["chips"].append(
            {
                "extver": extver,
                "cr_events": frame.events,
                "cr_pixels": int((mask & 1).sum()),
                "saturated_pixels": int((frame.dq & silicon.FULL_WELL != 0).sum()),
            }
        )
    primary = primary_header(
        model,
        plan,
        pointing.stated,
        filename=filename,
        extensions=len(planes) + len(tables),
        subarray=size != "full",
    )
    path = request.out / filename
    _write(fits.HDUList([fits.PrimaryHDU(header=primary), *planes, *tables]), path)
    head = fits.Header()
    head["ROOTNAME"] = plan.rootname
    head["CHIPS"] = len(corners)
    head["FILTER"] = plan.filter
    head["EXPTIME"] = plan.exptime
    head["SKY"] = (sky, "expected electrons of sky per pixel")
    head["DXTRUE"] = (pointing.error_px[0], "stars fall this far from the header's x (px)")
    head["DYTRUE"] = (pointing.error_px[1], "stars fall this far from the header's y (px)")
    head["ROLLTRUE"] = (pointing.error_roll_deg, "detector turned east of the header's (deg)")
    tables = [table.copy() for table in tables]
    _write(fits.HDUList([fits.PrimaryHDU(header=head), *truths, *tables]), request.out / entry["truth"])
    return path, entry


def _generator(seed: int, rootname: str, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, *rootname.encode(), stream]))


def _light(
    request: _Request,
    plan: Plan,
    extver: int,
    corner: tuple[int, int],
    shape: tuple[int, int],
    header: fits.Header,
    tables: list[fits.ImageHDU],
) -> NDArray[np.float32]:
    """Expected electrons of stars and galaxies on a chip.

    Flat-fielding makes the sky, not the stars, uniform: a star's counts are its true electrons over the
    pixel-area map at its place.
    """
    model = request.model
    wcs = chip_wcs(header, shape, tables)
    ra, dec = np.asarray(request.catalog["ra"]), np.asarray(request.catalog["dec"])
    # The linear part finds what is near the chip; distortion moves it by less than 120 px.
    px, py = wcs.wcs_world2pix(ra, dec, 0)
    ny, nx = shape
    reach = optics.REACH_PX
    near = reach + (120 if model.shape[0] > 1500 else 60)
    close = (px > -near) & (px < nx + near) & (py > -near) & (py < ny + near)
    x, y = sky_to_pixel(wcs, ra[close], dec[close])
    inside = (x > -reach) & (x < nx + reach) & (y > -reach) & (y < ny + reach)
    rows = np.flatnonzero(close)[inside]
    x, y = x[inside], y[inside]
    counts = np.asarray(request.catalog[f"rate_{plan.filter}"])[rows] * plan.exptime
    counts /= pixel_area_map(wcs, x, y, model.idcscale)
    part = request.catalog[rows]
    extended = np.asarray(part["kind"] == "galaxy")
    shapes = (np.asarray(part[name], dtype=float)[extended] for name in ("re", "sersic", "axis_ratio", "pa"))
    galaxies = scene.Galaxies(x[extended], y[extended], counts[extended], *shapes)
    diffuse = scene.render_galaxies(shape, reach, galaxies, local_maps(wcs, galaxies.x, galaxies.y))
    stars = ~extended
    mix = optics.field_mix(x[stars] + corner[0], y[stars] + corner[1], model, extver)
    return optics.paint(shape, model, plan.filter, x[stars], y[stars], counts[stars], mix, diffuse)


def _planes(
    model: DetectorModel, plan: Plan, extver: int, frame: silicon.Frame, wcs: fits.Header
) -> list[fits.ImageHDU]:
    shape = frame.sci.shape
    planes = []
    data = {"SCI": frame.sci, "ERR": frame.err, "DQ": frame.dq.astype(np.int16)}
    if model.reads_up_the_ramp:
        data["SAMP"] = np.full(shape, 12, np.int16)
        data["TIME"] = np.full(shape, plan.exptime, np.float32)
    for name, plane in data.items():
        header = plane_header(model, plan, extver, name, frame, wcs)
        planes.append(fits.ImageHDU(plane, header=header))
    return planes


class _Trail(NamedTuple):
    """Line through the field: a point and a direction in pixels, chips stacked with their gap."""

    x: float
    y: float
    angle: float
    rows: int  # of a chip plus the gap


def _trail(rng: np.random.Generator, model: DetectorModel, size: str) -> _Trail:
    ny, nx = model.sizes[size]
    rows = ny + 50
    height = rows * (len(model.chips) - 1) + ny
    return _Trail(
        nx * rng.uniform(0.4, 0.6), height * rng.uniform(0.4, 0.6), math.radians(rng.uniform(20, 60)), rows
    )


def _draw_trail(
    trail: _Trail, k: int, shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    yy, xx = np.indices(shape, dtype=np.float32)
    across = (yy + k * trail.rows - trail.y) * math.cos(trail.angle) - (xx - trail.x) * math.sin(trail.angle)
    light = TRAIL_RATE * np.exp(-0.5 * (across / TRAIL_WIDTH_PX) ** 2)
    return light.astype(np.float32), np.asarray(light > 15.0)


def _write(hdul: fits.HDUList, path: Path) -> None:
    """Write beside and rename: a file of that name is always whole."""
    part = path.with_name(path.name + ".part")
    hdul.writeto(part, overwrite=True, output_verify="exception")
    os.replace(part, path)


def _replace(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
