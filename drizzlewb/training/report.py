"""One HTML page that shows a grade, with its figures inside; every text in it is escaped."""

from __future__ import annotations

import base64
import io
import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from drizzlewb.training.rows import FAIL, GOOD, NOT_GRADED, PASS, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from drizzlewb.training.grade import Grade

__all__ = ["html_report", "write_report"]

DPI = 130
_CLASSES = {GOOD: "good", PASS: "pass", FAIL: "fail", NOT_GRADED: "open"}
_STYLE = """
:root { color-scheme: light }
body { font: 15px/1.45 system-ui, sans-serif; color: #1d2126; background: #fff; margin: 2rem auto;
  max-width: 62rem; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem }
h2 { font-size: 1.1rem; margin: 2rem 0 .4rem }
table { border-collapse: collapse; width: 100%; font-size: .86rem }
th, td { text-align: left; vertical-align: top; padding: .28rem .6rem .28rem 0;
  border-bottom: 1px solid #e4e7eb }
td.num { white-space: nowrap; font-variant-numeric: tabular-nums }
tr.part th { padding-top: 1rem; font-size: .95rem }
.sum { color: #555c66 }
.mark { white-space: nowrap; font-weight: 600 }
.good { color: #14663b }
.pass { color: #2563a8 }
.fail { color: #b3261e }
.open { color: #6c737d; font-weight: 400 }
img { width: 100%; height: auto }
figure { margin: 0 0 1rem }
ul.fails { padding-left: 1.2rem }
"""


def _number(row: Row) -> str:
    if row.value is None:
        return ""
    text = f"{row.value:.4g}"
    if row.error:
        text += f" ± {row.error:.2g}"
    return f"{text} {row.unit}".strip()


def _line(row: Row) -> str:
    return (
        f'<tr><td class="mark {_CLASSES[row.verdict]}">{escape(row.verdict)}</td><td>{escape(row.name)}</td>'
        f'<td class="num">{escape(_number(row))}</td><td>{escape(row.limit)}</td>'
        f"<td>{escape(row.words)}</td></tr>"
    )


def _image(figure: Figure, title: str) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return f'<figure><img alt="{escape(title)}" src="data:image/png;base64,{data}"></figure>'


def html_report(grade: Grade) -> str:
    """Make the page of a grade; it needs no other file and no network."""
    from drizzlewb.training.figures import FIGURES

    counts = grade.counts
    head = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    truth = (
        "against the truth of the simulation"
        if grade.truth is not None
        else "without truth: what the data alone tell"
    )
    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>Grade of {escape(grade.folder.name)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Grade of {escape(grade.folder.name)}</h1>",
        f'<p class="sum">{escape(head)}; {escape(truth)}.</p>',
    ]
    if grade.failed:
        lines.append("<h2>What failed</h2><ul class='fails'>")
        lines += [
            f"<li><b>{escape(r.part)}, {escape(r.name)}.</b> {escape(r.words)}</li>" for r in grade.failed
        ]
        lines.append("</ul>")
    else:
        lines.append("<p>Nothing failed.</p>" if grade.passed else "<p>Nothing could be graded.</p>")
    for title, draw in FIGURES:
        figure = draw(grade)
        if figure is not None:
            lines.append(f"<h2>{escape(title)}</h2>{_image(figure, title)}")
    lines.append("<h2>All rows</h2><table>")
    part = ""
    for row in grade.rows:
        if row.part != part:
            part = row.part
            lines.append(f'<tr class="part"><th colspan="5">{escape(part)}</th></tr>')
        lines.append(_line(row))
    lines.append("</table></body></html>")
    return "\n".join(lines)


def write_report(grade: Grade, path: Path | str) -> Path:
    """Write the page of a grade, whole or not at all.

    Parameters
    ----------
    grade : Grade
        What `drizzlewb.training.grade.grade` returned.
    path : path
        Of the HTML file; replaced if it is there.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    part.write_text(html_report(grade), encoding="utf-8")
    os.replace(part, path)
    return path
