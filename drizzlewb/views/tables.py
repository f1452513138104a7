"""Small tables and lines of help, as HTML in which everything is text."""

from collections.abc import Iterable, Sequence

import ipywidgets as W

from drizzlewb.views.style import escape

__all__ = ["help_line", "html_table"]


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]], height_px: int = 280) -> str:
    """HTML of a table that scrolls; every cell is escaped.

    Parameters
    ----------
    head : sequence of str
        Names of the columns; one that ends with ``'>'`` holds numbers, at the right, and is shown without it.
    rows : iterable of sequence
    height_px : int
        From which on it scrolls.
    """
    kinds = [" class=n" if name.endswith(">") else "" for name in head]

    def cells(tag: str, values: Iterable[object]) -> str:
        return "".join(f"<{tag}{k}>{escape(v)}</{tag}>" for k, v in zip(kinds, values, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="dwb-scroll" style="max-height:{int(height_px)}px"><table>'
        f"<tr>{cells('th', [name.removesuffix('>') for name in head])}</tr>{body}</table></div>"
    )


def help_line(text: str) -> W.HTML:
    """A few sentences for who wonders; text, never HTML."""
    return W.HTML(f'<div class="dwb-help">{escape(text)}</div>')
