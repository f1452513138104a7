"""The trainer's bundle: one zip file with all that shows what was done."""

import io
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drizzlewb import __version__
from drizzlewb.errors import DataError
from drizzlewb.fileio import replaced_when_whole
from drizzlewb.session import Session
from drizzlewb.session.handing_in import gather, headers_of, statistics_text, stems_of
from drizzlewb.views.product_figures import product_figures
from drizzlewb.views.static import alignment_figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_bundle"]

_DPI = 110
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_STORED = (".fits", ".png", ".gz")

_HEAD = """Handed in with drizzlewb {version}.

session.json            parameters, decisions and their history; Session.open("session.json", folder=...)
shifts.txt              shift file; shifts_wcs.fits is the plane of its numbers
tweakreg.log, .ecsv     log and table of the alignment
*_record.json           what reproduces each product, bit for bit: drizzlewb.replay
*.reg                   DS9 regions: footprints, output image, sources, masks
parameters/             each product's parameters: JSON, scripts for drizzlewb and DrizzlePac, TEAL's files
headers/                headers of the products
statistics.json         numbers of the products: SCI, WHT, sky, cosmic rays
figures/                alignment, sky, cosmic rays, pictures, weights, histograms
"""


def write_bundle(
    session: Session,
    path: str | Path,
    *,
    products: bool = False,
    exposures: bool = False,
    replace: bool = False,
) -> Path:
    """Write the bundle that is handed in to a trainer.

    Parameters
    ----------
    session : Session
    path : path
        Of the zip file.
    products : bool
        The products themselves too; ``drizzlewb grade`` takes the unpacked folder then.
    exposures : bool
        The exposures too, as they lie on the disk: apply the alignment first, so that they carry it.
    replace : bool
        May an existing file be replaced?

    Returns
    -------
    Path
        The file; it is there whole or not at all. The same session gives the same names in the same order.

    Raises
    ------
    DataError
        The file exists, its folder does not, nothing is loaded, or the system refuses.

    Notes
    -----
    What is not there for the present parameters is left out, and README.txt says so.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() != ".zip":
        path = path.with_name(f"{path.name}.zip")
    if not session.exposures:
        msg = "The bundle would be empty: load exposures first."
        raise DataError(msg)
    if not path.parent.is_dir():
        msg = f"The folder {path.parent} for the bundle does not exist; make it first."
        raise DataError(msg)
    if path.exists() and not replace:
        msg = f"{path} exists already and was left alone; say replace=True, or choose another name."
        raise DataError(msg)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=session.cache.folder) as place:
        folder = Path(place)
        missing, made = gather(session, folder, products=products, exposures=exposures)
        stems = stems_of(session)
        (folder / "headers").mkdir()
        for name, product in made.items():
            (folder / "headers" / f"{stems[name]}.txt").write_text(
                headers_of(product) + "\n", encoding="utf-8"
            )
        (folder / "statistics.json").write_text(statistics_text(made), encoding="utf-8")
        _draw(session, made, stems, folder / "figures")
        told = "\n".join(["", "Not in it:", *(f"- {m}" for m in missing), ""]) if missing else ""
        (folder / "README.txt").write_text(_HEAD.format(version=__version__) + told, encoding="utf-8")
        try:
            with replaced_when_whole(path) as part:
                _zip(folder, part)
        except OSError as error:
            msg = f"The bundle cannot be written to {path}: {error.strerror or error}."
            raise DataError(msg) from error
    return path


def _draw(session: Session, made: Mapping[str, Any], stems: Mapping[str, str], folder: Path) -> None:
    folder.mkdir()
    solution = session.solution
    if solution is not None:
        for name, figure in alignment_figures(solution).items():
            _save(figure, folder / f"{name}.png")
    for name, product in made.items():
        for title, figure in product_figures(product, stems[name]).items():
            _save(figure, folder / f"{title}.png")


def _save(figure: "Figure", path: Path) -> None:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI, metadata={"Software": None})
    path.write_bytes(stream.getvalue())


def _zip(folder: Path, path: Path) -> None:
    """Pack a folder: names in order, times left out, so that the same files give the same bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for source in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(source.relative_to(folder).as_posix(), _LONG_AGO)
            entry.compress_type = zipfile.ZIP_STORED if source.suffix in _STORED else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.file_size = source.stat().st_size
            with open(source, "rb") as given, archive.open(entry, "w") as taken:
                shutil.copyfileobj(given, taken, 1 << 20)
