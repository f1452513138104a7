"""Cards of a header looked up in its text: each is parsed when it is asked for.

An astropy Header parses keywords of all its cards first, which for a dozen exposures takes longer than
everything else that opening them needs. Plain cards are read here; astropy, whose import takes as long as
the alignment of a small image, is asked about the others.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Cards"]

# Nothing that astropy might read in another way: no quote in a text, no blank within a number.
_PLAIN_KEYWORD = re.compile(r"(?!(?:COMMENT|HISTORY|CONTINUE|HIERARCH|END) *=)[A-Z0-9_-]+ *= ")
_PLAIN_VALUE = re.compile(
    r" *(?:'(?P<text>[ -&(-~]*)'|(?P<flag>[TF])|(?P<whole>[+-]?\d+)"
    r"|(?P<number>[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[ED]))(?:[ED][+-]?\d+)?)) *(?:/.*)?",
    re.ASCII | re.DOTALL,
)


class Cards(Mapping[str, Any]):
    """Values of a header's cards by keyword, as ``Header.fromstring(text)`` gives them.

    Of a keyword that comes several times the first card counts, as in astropy; a card without a value is
    None; CONTINUE cards are joined. Keywords are upper-case and of the standard's eight characters: HIERARCH
    cards are not found, and of the record-valued cards of a distortion only the number of the first.

    Parameters
    ----------
    text : str
        80 characters a card.
    """

    def __init__(self, text: str):
        self._text = text
        self._places: dict[str, int] = {}
        for at in range(0, len(text), 80):
            if text[at + 8 : at + 10] == "= ":
                self._places.setdefault(text[at : at + 8].rstrip(), at)

    def __getitem__(self, keyword: str) -> Any:
        at = self._places[keyword]
        end = at + 80
        while self._text.startswith("CONTINUE  ", end):
            end += 80
        return _value(self._text[at:end])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _value(image: str) -> Any:
    """Value of one card with its CONTINUE cards."""
    plain = _PLAIN_VALUE.fullmatch(image, 10) if len(image) == 80 and _PLAIN_KEYWORD.match(image) else None
    kind, text = (plain.lastgroup, plain[plain.lastgroup or 0]) if plain else ("", "")
    # With a colon a text may be a record: 'AXIS.1: 1'.
    if plain is None or (kind == "text" and ": " in text):
        from astropy.io.fits.card import Card, Undefined  # late: see the module

        value = Card.fromstring(image).value
        return None if isinstance(value, Undefined) else value
    if kind == "text":
        return text.rstrip()
    if kind == "flag":
        return text == "T"
    return int(text) if kind == "whole" else float(text.replace("D", "E"))
