"""A FITS file as headers and bytes: headers are edited, data are copied, the file is replaced when whole."""

import contextlib
import gzip
import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from drizzlewb.errors import DataError
from drizzlewb.exposure.fitsfile import scan
from drizzlewb.exposure.plane import unpacked
from drizzlewb.fileio import replaced_when_whole
from drizzlewb.products.cards import Cards

if TYPE_CHECKING:
    from astropy.io import fits

__all__ = ["Part", "check_writable", "copy_parts", "from_hdu", "read_parts", "science_parts", "write_parts"]

_BLOCK = 2880
_PIECE = 1 << 20


@dataclass(frozen=True)
class Part:
    """One HDU: its cards, and its data as bytes or as a place in a file.

    Attributes
    ----------
    name, ver : str, int
        EXTNAME ('PRIMARY' for a primary without one) and EXTVER.
    kind : str
        'PRIMARY', 'IMAGE', 'BINTABLE', 'HDRLET', ...
    text : str
        All cards, 80 characters each, without END and padding.
    data : bytes
        The data with their padding, if they are not in a file.
    path : str
        Plain file that holds the data; '' for `data`.
    offset, nbytes : int
        Place of the data in that file, with padding.
    """

    name: str
    ver: int
    kind: str
    text: str
    data: bytes = b""
    path: str = ""
    offset: int = 0
    nbytes: int = 0

    @property
    def label(self) -> tuple[str, int]:
        """(name, ver)."""
        return self.name, self.ver

    @property
    def cards(self) -> Cards:
        """The cards, to be edited in a copy."""
        return Cards(self.text)

    def with_text(self, text: str) -> "Part":
        """Return the part with other cards."""
        return replace(self, text=text)

    def read(self) -> bytes:
        """Return the data, with their padding."""
        if not self.path:
            return self.data
        with open(self.path, "rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.nbytes)

    def hdu(self) -> "fits.BinTableHDU | fits.ImageHDU":
        """Return an astropy HDU of a table or image extension, independent of the file."""
        from astropy.io import fits  # late: slow to import

        kind = fits.BinTableHDU if self.kind == "BINTABLE" else fits.ImageHDU
        return kind.fromstring(_header_bytes(self.text) + self.read())


def _header_bytes(text: str) -> bytes:
    whole = (text + "END".ljust(80)).encode("ascii", "replace")
    return whole.ljust(-(-len(whole) // _BLOCK) * _BLOCK)


def read_parts(path: str | Path) -> list[Part]:
    """HDUs of a FITS file; no data are read. A ``.gz`` file is unpacked to the scratch folder.

    Raises
    ------
    DataError
        The file is missing, not FITS, truncated or tile-compressed.
    """
    hdus = scan(os.fspath(path))
    plain = unpacked(os.fspath(path))
    return [
        Part(
            h.name, h.ver, h.kind, h.text, b"", plain, h.offset, -(-h.nbytes // _BLOCK) * _BLOCK
        )
        for h in hdus
    ]  # fmt: skip


def from_hdu(hdu: "fits.BinTableHDU | fits.ImageHDU") -> Part:
    """Part of an astropy extension HDU."""
    from astropy.io import fits  # late: slow to import

    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream, checksum=False)
    content = stream.getvalue()
    probe = fits.Header.fromstring(content[_BLOCK:].decode("latin-1"))
    text = "".join(card.image for card in probe.cards)
    start = _BLOCK + len(_header_bytes(text))
    kind = str(probe["XTENSION"]).strip()
    return Part(str(probe.get("EXTNAME", "")).upper(), int(probe.get("EXTVER", 1)), kind, text,
                content[start:], nbytes=len(content) - start)  # fmt: skip


def science_parts(path: str | Path, parts: Sequence[Part]) -> list[int]:
    """Indices of the HDUs that carry the WCS: SCI extensions by EXTVER, else the first celestial image.

    Raises
    ------
    DataError
        There is none, or one has no celestial WCS.
    """
    found = sorted((k for k, p in enumerate(parts) if p.name == "SCI"), key=lambda k: parts[k].ver)
    if not found:
        found = [k for k, p in enumerate(parts) if p.kind in ("PRIMARY", "IMAGE") and _has_wcs(p.cards)][:1]
    if not found:
        msg = f"{path}: no extension has a celestial WCS; there is nothing to update."
        raise DataError(msg)
    for k in found:
        if not _has_wcs(parts[k].cards):
            name, ver = parts[k].label
            msg = (
                f"{path}[{name},{ver}] has no celestial WCS (CTYPE1, CTYPE2, CRVAL, CRPIX): its headers are "
                "left as they are; run updatewcs or fetch the file from the archive again."
            )
            raise DataError(msg)
    return found


def _has_wcs(cards: Cards) -> bool:
    types = {cards.string(f"CTYPE{k}")[:4].rstrip("-") for k in (1, 2)}
    numbers = [cards.number(f"{key}{k}") for key in ("CRVAL", "CRPIX") for k in (1, 2)]
    return types == {"RA", "DEC"} and all(number == number for number in numbers)


def check_writable(path: str | Path) -> None:
    """Raise `DataError` for a file that its owner has made read-only, or a folder that takes no file."""
    target = os.path.realpath(path)
    mode = os.stat(target).st_mode
    # Root may write everything: the mode is what its owner has said.
    if not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(target, os.W_OK):
        msg = (
            f"{path} is read-only: its headers cannot be updated. Copy it to a folder of yours, or make it "
            "writable (chmod u+w), and read it again."
        )
        raise DataError(msg)
    if not os.access(os.path.dirname(target), os.W_OK):
        msg = f"{path}: its folder cannot be written, and a file is replaced by a new one beside it."
        raise DataError(msg)


def write_parts(path: str | Path, parts: Sequence[Part]) -> None:
    """Replace a file by these HDUs: wholly or not at all.

    They are written to a temporary file beside it (links resolved), which is brought to the disk and then
    takes the file's name, mode and, where that is allowed, owner. Killed at any moment, the file is the
    old one or the new one; a ``.part`` left behind is overwritten by the next attempt.

    Parameters
    ----------
    path : path
        For a name that ends in ``.gz`` the content is compressed.
    parts : sequence of Part
        Their data may lie in the very file that is replaced.

    Raises
    ------
    DataError
        The file is read-only, or cannot be written.
    """
    check_writable(path)
    state = os.stat(path)
    try:
        with replaced_when_whole(Path(path)) as temporary, open(temporary, "wb") as stream:
            if os.fspath(path).lower().endswith(".gz"):
                with gzip.GzipFile("", "wb", 6, stream, mtime=0) as packed:
                    _write(packed, parts)  # type: ignore[arg-type]
            else:
                _write(stream, parts)
            _keep_mode_and_owner(stream.fileno(), temporary, state)
    except OSError as error:
        msg = f"{path} could not be written ({error.strerror or error}); it is as it was."
        raise DataError(msg) from error


def copy_parts(path: str | Path, parts: Sequence[Part]) -> list[int]:
    """Write HDUs to a new file; return where the data of each begin, bytes from the start of the file."""
    with open(path, "wb") as stream:
        _write(stream, parts)
    places, position = [], 0
    for part in parts:
        places.append(position + len(_header_bytes(part.text)))
        position = places[-1] + (part.nbytes if part.path else len(part.data))
    return places


def _write(stream: BinaryIO, parts: Sequence[Part]) -> None:
    for part in parts:
        stream.write(_header_bytes(part.text))
        if not part.path:
            stream.write(part.data)
            continue
        with open(part.path, "rb") as source:
            source.seek(part.offset)
            left = part.nbytes
            while left:
                piece = source.read(min(left, _PIECE))
                if not piece:
                    # The last block of a file may lack its padding.
                    stream.write(bytes(left))
                    break
                stream.write(piece)
                left -= len(piece)


def _keep_mode_and_owner(fd: int, temporary: Path, state: os.stat_result) -> None:
    if hasattr(os, "fchown") and (os.geteuid() == 0 or state.st_gid != os.getegid()):
        with contextlib.suppress(PermissionError):
            os.fchown(fd, state.st_uid, state.st_gid)
    os.chmod(temporary, stat.S_IMODE(state.st_mode))
