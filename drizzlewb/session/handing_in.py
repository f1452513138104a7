"""What is handed in to a trainer: gathered in a folder, and graded there."""

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import Exposure
from drizzlewb.products import catalogs
from drizzlewb.products.drc import Product, write_record
from drizzlewb.reduction.exporting import FORMS, write_texts
from drizzlewb.session.files import deliver

if TYPE_CHECKING:
    from drizzlewb.session.session import Session
    from drizzlewb.training.grade import Grade

__all__ = ["aligned_exposures", "gather", "grade_session", "stems_of", "truth_of"]


def stems_of(session: "Session") -> dict[str, str]:
    """Root names of the files of all products, by product: those of their plans, made different."""
    stems: dict[str, str] = {}
    for plan in session.state.products:
        stem = plan.stem if plan.stem not in stems.values() else plan.name
        stems[plan.name] = stem if stem not in stems.values() else f"{stem}_{len(stems)}"
    return stems


def aligned_exposures(session: "Session") -> tuple[Exposure, ...]:
    """The exposures with the WCS that counts: accepted, else of the alignment of now, else as they came."""
    if session.state.alignment.accepted is not None:
        return tuple(session.derived.final_exposure(e.rootname) for e in session.exposures)
    solution = session.solution
    if solution is None:
        return session.exposures
    found = {e.rootname: e for e in solution.exposures}
    return tuple(found.get(e.rootname, e) for e in session.exposures)


def gather(
    session: "Session", folder: str | Path, *, products: bool = True, exposures: bool = False
) -> tuple[list[str], dict[str, Product]]:
    """Write what is handed in to an empty folder.

    Parameters
    ----------
    session : Session
    folder : path
        Must exist; files in it are replaced.
    products : bool
        The products themselves, else their records only.
    exposures : bool
        Copies of the exposures as they lie on the disk (apply the alignment first, so that they carry it).

    Returns
    -------
    missing : list of str
        A sentence for each thing that is not there.
    products : dict of str to Product
        Products by name, in the folder if they were written to it.

    Notes
    -----
    ``session.json``; ``shifts.txt``, ``shifts_wcs.fits``, ``tweakreg.log`` and ``tweakreg.ecsv`` of the
    alignment of now; of each product ``<stem>.reg``, its DS9 regions, and, if it is fresh,
    ``<stem>_record.json`` and its files; under ``parameters/<product>`` every form that `Session.export`
    makes.
    """
    folder = Path(folder)
    missing: list[str] = []
    session.save(folder / "session.json")
    solution = session.solution
    if solution is None:
        missing.append(
            "There is no alignment for the present parameters: no shift file, log and figures of it."
        )
    else:
        bare = getattr(solution, "solution", solution)
        catalogs.write_shifts(bare, folder / "shifts.txt", folder / "shifts_wcs.fits")
        catalogs.write_log(bare, folder / "tweakreg.log")
        catalogs.write_table(bare, folder / "tweakreg.ecsv")
    made: dict[str, Product] = {}
    for name, stem in stems_of(session).items():
        try:
            session.write_regions(folder / f"{stem}.reg", name, replace=True)
        except DataError as error:
            missing.append(f"Product {name}: no DS9 regions: {error}")
        missing += _write_parameters(session, name, folder / "parameters" / name)
        product = session.result(name)
        if product is None:
            missing.append(f"Product {name} is not there for the present parameters.")
        elif products:
            written = deliver(product, stem, folder, replace=True)
            made[name] = dataclasses.replace(product, path=written[0], paths=tuple(written))
        else:
            write_record(folder / f"{stem}_record.json", product.record)
            made[name] = product
    if exposures:
        for path in dict.fromkeys(e.path for e in session.exposures):
            shutil.copyfile(path, folder / Path(path).name)
    return missing, made


def _write_parameters(session: "Session", name: str, folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    refused = []
    for form in FORMS:
        try:
            write_texts(session.export(form, name), folder, replace=True)
        except ParameterError as error:
            refused.append(f"Product {name}: no export for DrizzlePac ({form}): {error}.")
    return refused


def truth_of(session: "Session") -> Path | None:
    """Folder with the truth of these exposures, if it lies beside them; None otherwise."""
    from drizzlewb.training.known import find_truth

    if not session.exposures:
        return None
    return find_truth(Path(session.exposures[0].path).parent, session.exposures)


def grade_session(session: "Session", truth: str | Path | None = None) -> "Grade":
    """Grade what a session would hand in: alignment, products, weights, science.

    Parameters
    ----------
    session : Session
    truth : path, optional
        Folder with the truth of the simulation; default, looked for beside the exposures and in the cache
        of training sets. Without it, what the data alone tell is graded.

    Returns
    -------
    drizzlewb.training.grade.Grade
        Its files stay in the session's folder.

    Raises
    ------
    DataError
        The session has neither an alignment nor a product.
    """
    from drizzlewb.training.grade import grade

    place = Path(tempfile.mkdtemp(prefix="handed-in-", dir=session.cache.folder))
    _, products = gather(session, place, products=True)
    if session.solution is None and session.state.alignment.accepted is None and not products:
        shutil.rmtree(place, ignore_errors=True)
        msg = "There is nothing to grade yet: align the exposures, or run a product, first."
        raise DataError(msg)
    return grade(
        place,
        truth or truth_of(session),
        exposures=aligned_exposures(session),
        products=list(products.values()),
    )


def statistics_of(product: Any) -> dict[str, Any]:
    """Numbers of a product for people who do not have its pixels: of SCI, of WHT, and from its record."""
    import numpy as np

    found: dict[str, Any] = {}
    for key in ("sci", "wht"):
        image = getattr(product, key)
        if image is None:
            continue
        good = image[np.isfinite(image)] if key == "sci" else image[image > 0]
        found[key] = {"pixels": int(image.size), "good": int(good.size)}
        if good.size:
            q = np.percentile(good, [0, 1, 16, 50, 84, 99, 100])
            names = ("min", "p01", "p16", "median", "p84", "p99", "max")
            found[key] |= {n: float(v) for n, v in zip(names, q, strict=True)}
            found[key] |= {
                "mean": float(good.mean(dtype=np.float64)),
                "sum": float(good.sum(dtype=np.float64)),
            }
    results = product.record.get("results", {})
    return found | {k: results[k] for k in ("unit", "shape", "sky", "crfraction", "weight") if k in results}


def headers_of(product: Any) -> str:
    """Primary and science headers of a product as text, a card a line."""
    from astropy.io import fits

    with fits.open(product.path, memmap=False) as hdus:
        parts = [
            (h.name or "PRIMARY", h.header) for h in hdus if h.is_image and h.name in ("PRIMARY", "SCI", "")
        ]
        return "\n".join(
            f"{'=' * 20} {name}\n{header.tostring(sep=chr(10), padding=False)}" for name, header in parts
        )


def statistics_text(products: dict[str, Product]) -> str:
    """Statistics of all products as JSON."""
    numbers = {name: statistics_of(product) for name, product in products.items()}
    return json.dumps(numbers, indent=1, allow_nan=False) + "\n"
