"""Headerlets: a WCS solution with its distortion as a small FITS file, apart or attached. Through stwcs.

What a file holds is listed by `drizzlewb.products.history.wcs_history`, without stwcs.
"""

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from astropy.io import fits

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.fileio import replaced_when_whole
from drizzlewb.parameters.tweakreg import AlignParameters
from drizzlewb.products.cards import Cards
from drizzlewb.products.fitsparts import read_parts, science_parts
from drizzlewb.products.headers import Change
from drizzlewb.products.history import WCSSolution, headerlet_hdus, headerlet_solution
from drizzlewb.products.undo import commit
from drizzlewb.products.wcscards import set_fit
from drizzlewb.products.with_stwcs import edited, quiet, rootname, stwcs_module, write_parts_anew

__all__ = [
    "apply_headerlet",
    "attach_headerlet",
    "check_headerlet",
    "delete_headerlet",
    "headerlet_of_solution",
    "restore_headerlet",
    "write_headerlet",
]

log = logging.getLogger(__name__)


def _tool():
    return stwcs_module("wcsutil.headerlet", "working with headerlets")


def write_headerlet(
    path: str | Path,
    output: str | Path | None = None,
    *,
    hdrname: str = "",
    attach: bool = True,
    clobber: bool = False,
    author: str = "",
    descrip: str = "",
    catalog: str = "",
    history: str = "",
) -> Path:
    """Write a file's primary solution as a headerlet, and attach it.

    Parameters
    ----------
    path : path
        The file.
    output : path, optional
        The headerlet; ``<file>_hlet.fits`` beside the file if not given; without ``.fits`` it is put
        between the file's name and ``_hlet.fits``.
    hdrname : str
        HDRNAME, unique in the file; ``<rootname>_<WCSNAME>`` if not given.
    attach : bool
        Append it to the file as an HDRLET extension too.
    clobber : bool
        An existing headerlet file may be replaced.
    author, descrip, catalog, history : str
        For the headerlet's header; `history` is the name of a text file.

    Returns
    -------
    Path
        The headerlet file.

    Raises
    ------
    ParameterError
        HDRNAME is taken.
    DataError
        The headerlet exists and `clobber` is False; stwcs is missing or gave up; the history file is missing.
    """
    tool = _tool()
    path = Path(path)
    parts = read_parts(path)
    first = parts[science_parts(path, parts)[0]].cards
    name = hdrname.strip() or f"{rootname(path, parts[0].cards)}_{first.string('WCSNAME')}"
    if name.upper() in {p.cards.string("HDRNAME").upper() for p in parts if p.kind == "HDRLET"}:
        msg = f"{path} holds a headerlet with HDRNAME '{name}' already; give another hdrname."
        raise ParameterError(msg)
    target = _target(path, output, clobber, history)

    def edit(copy: Path) -> None:
        made = copy.with_name("headerlet.fits")
        tool.write_headerlet(
            str(copy), name, output=str(made), wcskey="PRIMARY", author=author or None,
            descrip=descrip or None, history=history or None, attach=attach, clobber=True,
            logging=False, nmatch=int(first.number("NMATCH", first.number("NMATCHES", 0))) or None,
            catalog=catalog or first.string("CATALOG") or None,
        )  # fmt: skip
        with replaced_when_whole(target) as part:
            shutil.copyfile(made, part)

    doing = f"writing a headerlet of {path}"
    if attach:
        edited(path, edit, "headerlet", doing)
    else:
        _without_writing(path, edit, doing)
    log.info("%s: headerlet %s -> %s%s", path, name, target, ", attached" if attach else "")
    return target


def _target(path: Path, output: str | Path | None, clobber: bool, history: str) -> Path:
    """Name of the headerlet file; refused if it may not be written."""
    stem = path.name.removesuffix(".gz").removesuffix(".fits")
    if output is None or not str(output).strip():
        target = path.with_name(f"{stem}_hlet.fits")
    elif str(output).endswith(".fits"):
        target = Path(output)
    else:
        target = path.with_name(f"{stem}_{output}_hlet.fits")
    if target.exists() and not clobber:
        msg = f"{target} exists; give another hdrfile, or clobber=True to replace it."
        raise DataError(msg)
    if history and not Path(history).is_file():
        msg = f"the history file {history} of the headerlet does not exist."
        raise DataError(msg)
    return target


def _without_writing(path, edit, doing) -> None:
    with tempfile.TemporaryDirectory(prefix="drizzlewb-") as folder:
        copy = Path(folder) / Path(path).name.removesuffix(".gz")
        write_parts_anew(copy, read_parts(path))
        with quiet(doing):
            edit(copy)


def _hdrfile(parameters: AlignParameters, several: bool) -> str | None:
    name = parameters.hdrfile.strip()
    return (name.removesuffix(".fits") if several else name) or None


def check_headerlet(path: str | Path, parameters: AlignParameters, *, several: bool) -> None:
    """Refuse beforehand what `headerlet_of_solution` would refuse.

    Raises
    ------
    DataError
        stwcs is missing, the headerlet exists already, or the history file does not.
    """
    p = parameters
    _tool()
    _target(Path(path), _hdrfile(p, several), p.clobber, p["tweakreg.history"])


def headerlet_of_solution(change: Change, parameters: AlignParameters, *, several: bool) -> Change | None:
    """Headerlet of a solution just applied, as TweakReg's parameters ask for it.

    Parameters
    ----------
    change : Change
        Of `drizzlewb.products.applying.apply_solution`.
    parameters : AlignParameters
        hdrfile, hdrname, attach, clobber, author, descrip, catalog and history count.
    several : bool
        Whether other files of the run get one too: then hdrfile becomes part of each name.

    Returns
    -------
    Change or None
        Of the file, if the headerlet was attached.
    """
    p = parameters
    write_headerlet(
        change.path,
        _hdrfile(p, several),
        hdrname=p.hdrname,
        attach=p.attach,
        clobber=p.clobber,
        author=p.author,
        descrip=p.descrip,
        catalog=p.catalog,
        history=p["tweakreg.history"],
    )
    return Change(change.path, "headerlet", change.after, change.after) if p.attach else None


def _headerlet_for(path: str | Path, headerlet: str | Path) -> WCSSolution:
    """The solution in a headerlet file; `DataError` if it is none, or not one of this exposure."""
    parts = read_parts(path)
    name = rootname(path, parts[0].cards)
    try:
        with fits.open(headerlet) as hdus:
            if "SIPWCS" not in hdus or "HDRNAME" not in hdus[0].header:
                msg = f"{headerlet} is no headerlet: it has no SIPWCS extension, or no HDRNAME."
                raise DataError(msg)
            made_for = str(hdus[0].header.get("DESTIM", "")).strip().lower()
            if made_for != name:
                msg = f"the headerlet {headerlet} was made for {made_for or 'nothing'}, and {path} is {name}."
                raise DataError(msg)
            return headerlet_solution(hdus)
    except OSError as error:
        msg = f"cannot read the headerlet {headerlet}: {error}."
        raise DataError(msg) from error


def attach_headerlet(path: str | Path, headerlet: str | Path) -> Change:
    """Append a headerlet file to an image as an extension; its WCS stays as it is.

    Raises
    ------
    DataError
        It is no headerlet, belongs to another exposure, or its HDRNAME is taken.
    """
    tool = _tool()
    _headerlet_for(path, headerlet)
    before, after = edited(
        path,
        lambda copy: tool.attach_headerlet(str(copy), str(headerlet), logging=False),
        "headerlet",
        f"attaching {headerlet} to {path}",
    )
    return Change(str(path), "headerlet", before, after)


def apply_headerlet(
    path: str | Path,
    headerlet: str | Path,
    *,
    alternate: bool = False,
    attach: bool = True,
    force: bool = False,
) -> Change:
    """Make the solution of a headerlet file the primary WCS of an image, or an alternate.

    Parameters
    ----------
    path, headerlet : path
        The image, and the headerlet made for it.
    alternate : bool
        As an alternate; its distortion must be the image's.
    attach : bool
        Append the headerlet to the image too.
    force : bool
        Also if its distortion differs from the image's; the old solutions are then kept as headerlets.

    Raises
    ------
    DataError
        It is no headerlet, belongs to another exposure, or has another distortion.
    """
    tool = _tool()
    facts = _headerlet_for(path, headerlet)

    def edit(copy: Path) -> None:
        name, of = str(copy), str(headerlet)
        if alternate:
            tool.apply_headerlet_as_alternate(name, of, attach=attach, logging=False)
        else:
            tool.apply_headerlet_as_primary(name, of, attach=attach, archive=True, force=force, logging=False)

    finish = None if alternate else _fit_of(facts)
    before, after = edited(path, edit, "headerlet", f"applying {headerlet} to {path}", finish)
    return Change(str(path), "headerlet", before, after)


def _fit_of(facts: WCSSolution) -> Callable[[list[Cards]], None]:
    """Put the headerlet's fit where stwcs leaves that of the earlier solution."""

    def finish(headers: list[Cards]) -> None:
        known = facts.rms_ra_mas > 0 and facts.rms_dec_mas > 0
        rms = (facts.rms_ra_mas, facts.rms_dec_mas) if known else (None, None)
        for cards in headers:
            hdrname = cards.image("HDRNAME")
            set_fit(
                cards,
                facts.name,
                rms_ra_mas=rms[0],
                rms_dec_mas=rms[1],
                nmatch=facts.nmatch,
                catalog=facts.catalog,
            )
            if hdrname is not None:
                cards.put_image("HDRNAME", hdrname, after="WCSTYPE")

    return finish


def restore_headerlet(path: str | Path, extver: int) -> Change:
    """Make the solution of an attached headerlet the primary WCS; the present one is archived.

    Parameters
    ----------
    path : path
        The file.
    extver : int
        EXTVER of the HDRLET extension.

    Raises
    ------
    DataError
        No such extension, or stwcs is missing or gave up.
    """
    tool = _tool()
    parts = read_parts(path)
    found = {p.ver: p for p in parts if p.kind == "HDRLET"}
    if extver not in found:
        msg = f"{path} has no headerlet extension {extver}; it has {list(found) or 'none'}."
        raise DataError(msg)
    with headerlet_hdus(found[extver]) as hdus:
        facts = headerlet_solution(hdus)

    def edit(copy: Path) -> None:
        tool.restore_from_headerlet(
            str(copy), hdrext=("HDRLET", extver), archive=True, force=True, logging=False
        )

    doing = f"restoring headerlet {extver} of {path}"
    before, after = edited(path, edit, "activate", doing, _fit_of(facts))
    return Change(str(path), "activate", before, after)


def delete_headerlet(path: str | Path, hdrname: str) -> Change:
    """Remove the attached headerlets of a HDRNAME; `revert_file` brings them back.

    Raises
    ------
    DataError
        There is none of that name, or the file is read-only.
    """
    parts = read_parts(path)
    names = {p.ver: p.cards.string("HDRNAME") for p in parts if p.kind == "HDRLET"}
    gone = {ver for ver, name in names.items() if name.upper() == hdrname.strip().upper()}
    if not gone:
        msg = f"{path} holds no headerlet '{hdrname}'; it has {', '.join(names.values()) or 'none'}."
        raise DataError(msg)
    name = parts[science_parts(path, parts)[0]].cards.string("WCSNAME")
    commit(
        path,
        parts,
        [p for p in parts if p.kind != "HDRLET" or p.ver not in gone],
        "headerlet",
        name,
        name,
    )
    return Change(str(path), "headerlet", name, name)
