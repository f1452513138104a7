"""The star-core meter as a table for people."""

from collections.abc import Mapping

import numpy as np

from drizzlewb.steps.star_cores import StarCores
from drizzlewb.views.style import escape

__all__ = ["cores_html"]

_HEADS = ("magnitude", "stars", "hit (%)", "blank (%)", "excess (%)", "verdict")


def cores_html(found: Mapping[str, StarCores]) -> str:
    """HTML of the meters of exposures and of 'all'; everything in it is text."""
    every = found["all"]
    rows = []
    for row in every.bins:
        where = f"{row['bright']:.0f} to {row['faint']:.0f}" if np.isfinite(row["bright"]) else "all"
        numbers = [_percent(row[name]) for name in ("fraction", "blank")]
        excess = f"{_percent(row['excess'])} ± {_percent(row['error'])}" if np.isfinite(row["error"]) else "–"
        cells = [where, str(row["stars"]), *numbers, excess, str(row["verdict"])]
        rows.append("<tr>" + "".join(f'<td class="n">{escape(c)}</td>' for c in cells) + "</tr>")
    single = [
        escape(f"{name}: {meter.hit} of {meter.stars} ({meter.verdict})")
        for name, meter in found.items()
        if name != "all"
    ]
    kind = {"fail": "error", "good": "good"}.get(every.verdict, "")
    return (
        f'<div class="dwb-message {kind}">{escape(every.words)}</div>'
        f"<table><tr>{''.join(f'<th class=n>{h}</th>' for h in _HEADS)}</tr>{''.join(rows)}</table>"
        f'<div class="dwb-soft">{"; ".join(single)}</div>'
    )


def _percent(value: float) -> str:
    return f"{100 * value:.1f}" if np.isfinite(value) else "–"
