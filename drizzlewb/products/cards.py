"""Cards of a FITS header as they stand: what is not touched stays the same to the byte."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["Cards", "card_as_astropy", "card_image"]

_WIDTH = 80


def card_image(keyword: str, value: Any, comment: str = "") -> str:
    """Text of one card (a multiple of 80 characters); floats with all their digits.

    astropy cuts a float to 20 characters, which would lose the last digits of CD; the standard's free
    format takes them all, so that what is read back has the same bits.
    """
    if isinstance(value, float) and not isinstance(value, bool):
        number = repr(float(value)).upper()
        text = f"{keyword:<8}= {number:>20}"
        return (f"{text} / {comment}" if comment else text)[:_WIDTH].ljust(_WIDTH)
    return card_as_astropy(keyword, value, comment)


def card_as_astropy(keyword: str, value: Any, comment: str = "") -> str:
    """Text of one card as ``fits.Card`` writes it: of a float 20 characters at most.

    The usual ones are put together here, for astropy's import takes as long as the alignment of a small
    image; astropy writes those that do not fit, and refuses what no card can hold.
    """
    text = ""
    if isinstance(value, bool):
        text = "T" if value else "F"
    elif isinstance(value, int):
        text = str(value)
    elif isinstance(value, float) and math.isfinite(value):
        mantissa, e, exponent = str(value).partition("e")
        power = f"E{exponent}" if e else ""
        text = mantissa[: 20 - len(power)] + power
    elif isinstance(value, str) and value:
        quoted = value.replace("'", "''")
        text = f"'{quoted:8}'".ljust(20)
    image = f"{keyword:<8}= {text:>20}" + (f" / {comment}" if comment else "")
    plain = text and len(keyword) <= 8 and len(image) <= _WIDTH and image.isascii() and image.isprintable()
    if plain and keyword not in ("COMMENT", "HISTORY", "CONTINUE", "END", "") and keyword.isupper():
        return image.ljust(_WIDTH)
    from astropy.io import fits  # late: slow to import

    return fits.Card(keyword, value, comment or None).image


class Cards:
    """The cards of one header, in order, each with its CONTINUE cards.

    Parameters
    ----------
    text : str
        80 characters a card, without END and padding.
    """

    def __init__(self, text: str):
        self._images: list[str] = []
        for at in range(0, len(text), _WIDTH):
            card = text[at : at + _WIDTH].ljust(_WIDTH)
            if card.startswith("CONTINUE") and self._images:
                self._images[-1] += card
            else:
                self._images.append(card)

    @property
    def text(self) -> str:
        """All cards, without END and padding."""
        return "".join(self._images)

    def __iter__(self) -> Iterator[str]:
        return iter(self._images)

    def __contains__(self, keyword: str) -> bool:
        return self._find(keyword) >= 0

    def _find(self, keyword: str) -> int:
        key = f"{keyword.upper():<8}"
        return next((k for k, image in enumerate(self._images) if image.startswith(key)), -1)

    def keywords(self) -> list[str]:
        """Keywords in order, blank ones included."""
        return [image[:8].rstrip() for image in self._images]

    def image(self, keyword: str) -> str | None:
        """Text of the first card of a keyword, with its CONTINUE cards; None if there is none."""
        k = self._find(keyword)
        return None if k < 0 else self._images[k]

    def images(self, keyword: str) -> list[str]:
        """Texts of all cards of a keyword."""
        key = f"{keyword.upper():<8}"
        return [image for image in self._images if image.startswith(key)]

    def get(self, keyword: str, default: Any = None) -> Any:
        """Value of a keyword; the default where it is missing or undefined."""
        image = self.image(keyword)
        if image is None:
            return default
        from astropy.io import fits  # late: slow to import

        value = fits.Card.fromstring(image).value
        return default if isinstance(value, fits.card.Undefined) else value

    def number(self, keyword: str, default: float = float("nan")) -> float:
        """Value of a keyword as a float; the default where it is no number."""
        value = self.get(keyword)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default

    def string(self, keyword: str) -> str:
        """Value of a keyword as text without blanks around it; '' where it is missing."""
        value = self.get(keyword)
        return "" if value is None else str(value).strip()

    def comment(self, keyword: str) -> str:
        """Comment of a card; '' where there is none."""
        from astropy.io import fits  # late: slow to import

        image = self.image(keyword)
        return "" if image is None else str(fits.Card.fromstring(image).comment)

    def put(self, keyword: str, value: Any, comment: str | None = None, after: str | None = None) -> None:
        """Set a keyword where it stands, or behind `after` (else at the end) if it is new.

        Without a comment the old one stays.
        """
        said = self.comment(keyword) if comment is None else comment
        self.put_image(keyword, card_image(keyword, value, said), after)

    def put_image(self, keyword: str, image: str, after: str | None = None) -> None:
        """Set a keyword by the text of its card."""
        k = self._find(keyword)
        if k >= 0:
            self._images[k] = image
            return
        at = self._find(after) + 1 if after is not None and after in self else self._end()
        self._images.insert(at, image)

    def append(self, image: str) -> None:
        """Add the text of a card at the end, whether or not its keyword is there."""
        self._images.insert(self._end(), image)

    def copy(self, source: str, target: str, after: str | None = None) -> bool:
        """Copy value and comment of one keyword to another, digit for digit; False if it is missing."""
        image = self.image(source)
        if image is None:
            return False
        self.put_image(target, f"{target:<8}{image[8:]}", after)
        return True

    def drop(self, keywords: str | Iterable[str]) -> None:
        """Remove all cards of keywords; those that are missing are none."""
        gone = {k.upper() for k in ([keywords] if isinstance(keywords, str) else keywords)}
        self._images = [image for image in self._images if image[:8].rstrip() not in gone]

    def _end(self) -> int:
        """Where the blank cards at the end begin."""
        at = len(self._images)
        while at and not self._images[at - 1].strip():
            at -= 1
        return at
