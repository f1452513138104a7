"""The rows of a grade as a table: verdicts as a sign and a word, what was found in a sentence."""

from typing import Any

from drizzlewb.training.rows import FAIL, GOOD, NOT_GRADED, PASS
from drizzlewb.views.style import COLOURS, escape

__all__ = ["grade_html"]

_SIGNS = {
    GOOD: ("★", COLOURS["green"]),
    PASS: ("✓", COLOURS["blue"]),
    FAIL: ("✗", COLOURS["red"]),
    NOT_GRADED: ("–", COLOURS["grey"]),
}


def grade_html(grade: Any) -> str:
    """Make the table of a grade (`drizzlewb.training.grade.Grade`), as HTML; its text is escaped."""
    counts = ", ".join(f"{number} {verdict}" for verdict, number in grade.counts.items())
    against = "against the truth" if grade.truth is not None else "without truth, by the data alone"
    rows = []
    part = ""
    for row in grade.rows:
        if row.part != part:
            part = row.part
            rows.append(f"<tr><th colspan=4>{escape(part)}</th></tr>")
        sign, colour = _SIGNS[row.verdict]
        rows.append(
            f'<tr><td style="white-space:nowrap"><span style="color:{colour}">{sign}</span> '
            f"{escape(row.verdict)}</td><td>{escape(row.name)}</td><td class=n>{escape(_number(row))}</td>"
            f"<td>{escape(row.words)}</td></tr>"
        )
    return (
        f"<p class='dwb-title'>Grade: {escape(counts)}</p><span class='dwb-soft'>{against}</span>"
        f"<table>{''.join(rows)}</table>"
    )


def _number(row: Any) -> str:
    if row.value is None:
        return ""
    error = f" ± {row.error:.2g}" if row.error else ""
    return f"{row.value:.4g}{error} {row.unit}".strip()
