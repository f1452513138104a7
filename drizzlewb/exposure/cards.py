"""Cards of a header looked up in its text: each is parsed when it is asked for.

An astropy Header parses keywords of all its cards first, which for a dozen exposures takes longer than
everything else that opening them needs.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from astropy.io.fits.card import Card, Undefined

__all__ = ["Cards"]


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
        value = Card.fromstring(self._text[at:end]).value
        return None if isinstance(value, Undefined) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
