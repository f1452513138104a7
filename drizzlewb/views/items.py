"""What can be compared: exposures, products, previews and files, each made into an `Item` by its name."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from astropy.io import fits
from astropy.wcs import WCS

from drizzlewb import distortion
from drizzlewb.errors import DataError
from drizzlewb.exposure import Exposure, read_exposures
from drizzlewb.exposure.fitsfile import HDU, scan
from drizzlewb.grid import OutputGrid, Region, output_grid
from drizzlewb.instruments import identify
from drizzlewb.session import Session
from drizzlewb.views.frames import Frame, chip_frame, cutout_frame
from drizzlewb.views.matched import Item

__all__ = [
    "WCS_CHOICES",
    "cutout_item",
    "exposure_item",
    "file_items",
    "names_of",
    "product_item",
    "session_items",
]

WCS_CHOICES = ("original", "solution", "accepted")
"""WCS of the exposures: as the files came; of the alignment for the present parameters; as accepted."""

_KINDS = ("product", "weight", "preview")


def exposure_item(exposure: Exposure, name: str = "") -> Item:
    """All chips of an exposure, in the file's own unit, read when they are looked at."""
    parts = tuple(chip_frame(chip, f"SCI,{chip.extver}") for chip in exposure.chips)

    @lru_cache(maxsize=1)
    def common() -> tuple[OutputGrid, Region]:
        grid = output_grid(exposure.chips)
        return grid, grid.region

    return Item(name or f"{exposure.rootname} {exposure.filters}", parts, common, exposure.exptime)


def cutout_item(cutout: Any, name: str) -> Item:
    """A previewed region (`drizzlewb.reduction.run.Cutout`)."""
    return Item(name, (cutout_frame(cutout, name=name),), lambda: (cutout.grid, cutout.region))


def product_item(product: Any, layer: str = "sci", name: str = "") -> Item:
    """A finished product (`drizzlewb.products.drc.Product`), 'sci' or 'wht', read when it is looked at."""
    path = Path(product.path)
    if path.name.endswith("_sci.fits"):
        path = path.with_name(path.name.removesuffix("sci.fits") + f"{layer}.fits")
    return _image_item(path, layer.upper(), name or path.name)


def _image_item(path: Path, extension: str, name: str) -> Item:
    hdus = scan(str(path))
    named = [h for h in hdus if h.name == extension and len(h.shape) == 2]
    images = named or [h for h in hdus if h.kind in ("PRIMARY", "IMAGE") and len(h.shape) == 2]
    if not images:
        msg = f"{path} holds no image of two axes, so that there is nothing to show; give an image."
        raise DataError(msg)
    return _hdu_item(
        path, images[0], name, "" if extension == "WHT" else str(images[0].header.get("BUNIT", ""))
    )


def _hdu_item(path: Path, hdu: HDU, name: str, unit: str) -> Item:
    plane = hdu.plane(str(path))
    region = Region(0, plane.shape[0], 0, plane.shape[1])
    wcs = _celestial(fits.Header.fromstring(hdu.text), plane.shape)
    if wcs is None:
        return Item(name, (Frame(name, region, plane.values, unit),))
    if isinstance(wcs, OutputGrid):
        grid = wcs
        frame = Frame(name, region, plane.values, unit, grid.pixel_to_sky, grid.sky_to_pixel)
        return Item(name, (frame,), lambda: (grid, region))
    packed = wcs

    @lru_cache(maxsize=1)
    def common() -> tuple[OutputGrid, Region]:
        made = output_grid([SimpleNamespace(wcs=packed, shape=plane.shape)])
        return made, made.region

    frame = Frame(
        name, region, plane.values, unit,
        lambda x, y: distortion.pixel_to_sky(packed, x, y),
        lambda ra, dec: distortion.sky_to_pixel(packed, ra, dec),
    )  # fmt: skip
    return Item(name, (frame,), common)


def _celestial(header: fits.Header, shape: tuple[int, int]) -> Any:
    """Grid of an undistorted image, packed WCS of another, None where there is no celestial WCS."""
    if not str(header.get("CTYPE1", "")).startswith(("RA--", "DEC-", "GLON", "GLAT", "ELON", "ELAT")):
        return None
    if not any(key in header for key in ("A_ORDER", "CPDIS1", "D2IMDIS1")):
        try:
            return OutputGrid.from_header(header)
        except DataError:
            pass  # another projection: packed below
    return distortion.pack(WCS(header), shape)


def file_items(path: str | Path) -> list[Item]:
    """Items of a file: an exposure with its chips, or the first image of any other FITS file.

    Raises
    ------
    DataError
        There is no such file, or it holds no image.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        msg = f"There is no file {path}, so that it cannot be compared; give the path of a FITS file."
        raise DataError(msg)
    hdus = scan(str(path))
    drizzled = any(h.name in ("WHT", "CTX") for h in hdus) or "NDRIZIM" in hdus[0].header
    detector = identify(hdus[0].header)
    known = detector is not None and detector.known
    if known and not drizzled and any(h.name == "SCI" for h in hdus):
        return [
            exposure_item(e, f"{path.name} {e.filters}")
            for e in read_exposures([str(path)], mixed_detectors=True)
        ]
    return [_image_item(path, "SCI", path.name)]


def names_of(session: Session) -> list[str]:
    """Names of all that a session can show now: exposures, products and their weights, previews."""
    names = [exposure.rootname for exposure in session.exposures]
    for product in session.state.names:
        if session.result(product) is not None:
            names += [f"product {product}", f"weight {product}"]
        if product in session.shown:
            names.append(f"preview {product}")
    return names


def session_items(session: Session, names: Sequence[str], wcs: str = "accepted") -> list[Item]:
    """Items by name.

    Parameters
    ----------
    session : Session
    names : sequence of str
        Root names of exposures; 'product NAME', 'weight NAME' or 'preview NAME'; paths of files.
    wcs : {'original', 'solution', 'accepted'}
        WCS of the session's exposures: as the files came, as the alignment of now says, or as it was
        accepted (as the files came, if none was).

    Raises
    ------
    DataError
        A name means nothing, a product is not there for the present parameters, or there is no alignment.
    """
    if wcs not in WCS_CHOICES:
        msg = f"The WCS of exposures to compare is one of {', '.join(WCS_CHOICES)}, not {wcs!r}."
        raise DataError(msg)
    items: list[Item] = []
    for name in names:
        kind, _, product = name.partition(" ")
        if name in session.derived.exposures:
            items.append(exposure_item(_exposure(session, name, wcs)))
        elif kind in _KINDS and product in session.state.names:
            items.append(_of_product(session, kind, product))
        else:
            items += file_items(name)
    return items


def _exposure(session: Session, rootname: str, wcs: str) -> Exposure:
    if wcs == "original":
        return session.derived.exposure(rootname)
    if wcs == "accepted":
        return session.derived.final_exposure(rootname)
    if session.solution is None:
        msg = "There is no alignment for the present parameters, whose WCS could be shown: align first."
        raise DataError(msg)
    aligned = {e.rootname: e for e in session.solution.exposures}
    return aligned.get(rootname, session.derived.exposure(rootname))


def _of_product(session: Session, kind: str, product: str) -> Item:
    if kind == "preview":
        if product not in session.shown:
            msg = f"There is no preview of product {product} to compare: preview a region first."
            raise DataError(msg)
        return cutout_item(session.shown[product].cutout, f"preview {product}")
    made = session.result(product)
    if made is None:
        msg = f"Product {product} is not there for the present parameters: run it first."
        raise DataError(msg)
    return product_item(made, "sci" if kind == "product" else "wht", f"{kind} {product}")
