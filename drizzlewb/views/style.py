"""Colours, and the style sheet that makes every panel follow the theme of the page."""

import html

import ipywidgets as W

__all__ = ["COLOURS", "STATE_SIGNS", "colour_of", "escape", "legend", "style_sheet"]

COLOURS = {
    "blue": "#1F83C4",
    "orange": "#E69F00",
    "green": "#009E73",
    "red": "#D55E00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
    "yellow": "#F0E442",
    "grey": "#8A8F98",
}
"""Colours that people with any colour vision can tell apart (after Okabe & Ito 2008; the
blue is lighter, to stand out on a dark page too)."""

STATE_SIGNS = {
    "empty": ("○", "not made yet"),
    "stale": ("◐", "made for other inputs or parameters"),
    "running": ("◌", "running"),
    "done": ("●", "done"),
    "failed": ("✕", "failed"),
    "off": ("–", "switched off"),
}
"""State of a step: a sign that needs no colour, and what it means."""

_ORDER = ("blue", "orange", "green", "red", "sky", "purple", "yellow", "grey")

_CSS = """
.dwb { --dwb-text: var(--jp-ui-font-color1, #212121); --dwb-soft: var(--jp-ui-font-color2, #616161);
  --dwb-line: var(--jp-border-color2, #c9c9c9); --dwb-page: var(--jp-layout-color1, #fff);
  --dwb-raised: var(--jp-layout-color2, #f3f4f6); --dwb-accent: var(--jp-brand-color1, #1565c0);
  color: var(--dwb-text); font-size: 13px; line-height: 1.4; }
.dwb-workbench, .dwb-workbench > .dwb-box > * { contain: layout style; }
.dwb .widget-html-content, .dwb .jupyter-widgets { line-height: 1.4; }
.dwb .widget-html > .widget-html-content { align-self: center; }
.dwb-title { font-size: 15px; font-weight: 600; margin: 0; }
.dwb-soft { color: var(--dwb-soft); }
.dwb-box { border: 1px solid var(--dwb-line); border-radius: 4px; padding: 8px; background: var(--dwb-page); }
.dwb-message { border-left: 3px solid var(--dwb-line); padding: 4px 8px; margin: 2px 0;
  background: var(--dwb-raised); overflow-wrap: anywhere; }
.dwb-message.error { border-left-color: #D55E00; }
.dwb-message.warning { border-left-color: #E69F00; }
.dwb-message.good { border-left-color: #009E73; }
.dwb-message b.kind { margin-right: 6px; }
.dwb-python pre { margin: 0; padding: 6px 8px; background: var(--dwb-raised); color: var(--dwb-text);
  border-radius: 4px; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px;
  font-family: var(--jp-code-font-family, monospace); }
.dwb table { border-collapse: collapse; font-size: 12px; color: var(--dwb-text); }
.dwb table th { text-align: left; font-weight: 600; border-bottom: 1px solid var(--dwb-line);
  padding: 2px 10px 2px 0; }
.dwb table td { text-align: left; padding: 2px 10px 2px 0; border-bottom: 1px solid var(--dwb-raised); }
.dwb table td.n, .dwb table th.n { text-align: right; font-variant-numeric: tabular-nums; }
.dwb-scroll { overflow: auto; }
.dwb-steps { flex-wrap: wrap; gap: 4px; }
.dwb-steps button.jupyter-button { width: auto; flex: 1 1 auto; min-width: 96px; height: 32px;
  border-bottom: 3px solid transparent; background: var(--dwb-raised); color: var(--dwb-text); }
.dwb-steps button.jupyter-button.dwb-here { border-bottom-color: var(--dwb-accent); font-weight: 600;
  background: var(--dwb-page); box-shadow: inset 0 0 0 1px var(--dwb-line); }
.dwb button.jupyter-button:focus-visible { outline: 2px solid var(--dwb-accent); outline-offset: 1px; }
.dwb-field .widget-label { line-height: 28px; }
.dwb-field input[type=text], .dwb-field select { max-width: 100%; }
.dwb-changed > .widget-label, .dwb-changed .dwb-name { font-weight: 600; }
.dwb-changed { border-left: 3px solid var(--dwb-accent); padding-left: 5px; }
.dwb-unchanged { border-left: 3px solid transparent; padding-left: 5px; }
.dwb-field button.jupyter-button { width: 28px; padding: 0; background: transparent; color: var(--dwb-soft); }
.dwb-wrong input { outline: 2px solid #D55E00; }
.dwb-why { color: var(--dwb-text); border-left: 3px solid #D55E00; padding-left: 6px; font-size: 12px; }
.dwb-help { color: var(--dwb-soft); font-size: 12px; max-width: 560px; }
.dwb-areas { container-type: inline-size; }
.dwb-areas > * > * { min-width: 0; }
.dwb-rays { gap: 14px 16px; align-items: start; grid-template-columns: minmax(0, 1fr);
  grid-template-areas: "form" "chip" "region" "why" "low"; }
@container (min-width: 900px) { .dwb-rays { grid-template-columns: 390px minmax(0, 1fr);
  grid-template-rows: auto 1fr auto; grid-template-areas: "form chip" "region chip" "region low" "why why"; }
}
@container (min-width: 1300px) { .dwb-rays { grid-template-columns: 390px 480px minmax(0, 1fr);
  grid-template-rows: auto 1fr; grid-template-areas: "form chip region" "form chip low" "why why why"; }
}
.dwb-unseen, .dwb-unseen * { visibility: hidden !important; }
.dwb-image image { image-rendering: pixelated; }
.dwb-text textarea { font-family: var(--jp-code-font-family, monospace); font-size: 12px; white-space: pre; }
.dwb-readout { font-family: var(--jp-code-font-family, monospace); font-size: 12px; min-height: 18px; }
.dwb .bqplot text { fill: var(--dwb-text) !important; }
.dwb .bqplot .mainheading { font-size: 13px !important; font-weight: 600; transform: translateY(-5px); }
.dwb .bqplot .axislabel { font-size: 12px !important; font-weight: 400; }
.dwb .bqplot .axis path, .dwb .bqplot .axis line { stroke: var(--dwb-soft); }
.dwb .bqplot .axis .tick text { font-size: 11px; }
.dwb .bqplot .plotarea_background { fill: transparent !important; stroke: var(--dwb-line); }
.dwb .bqplot .legend rect { fill: var(--dwb-page); stroke: var(--dwb-line); opacity: .9; }
.dwb-list select, .dwb-list-head { font-family: var(--jp-code-font-family, monospace); font-size: 12px; }
.dwb-list-head { color: var(--dwb-soft); padding-left: 7px; white-space: pre; }
.dwb-list select { min-width: 830px; overflow-x: hidden; }
[data-jp-theme-light="false"] .dwb { --jp-widgets-dropdown-arrow: url("data:image/svg+xml,%3Csvg xmlns='\
http://www.w3.org/2000/svg' viewBox='0 0 18 18'%3E%3Cpath d='M5 7l4 4 4-4' fill='none' stroke='%23bdbdbd' \
stroke-width='1.6'/%3E%3C/svg%3E"); }
.dwb .widget-toggle-buttons button.jupyter-button { width: auto; }
"""


def escape(text: object) -> str:
    """Text from a header, a file or a user, as text: never as HTML."""
    shown = "".join(c if c.isprintable() or c == "\n" else "�" for c in str(text))
    return html.escape(shown, quote=True)


def colour_of(number: int) -> str:
    """Colour of a series by its number; they repeat after eight."""
    return COLOURS[_ORDER[number % len(_ORDER)]]


def legend(*entries: tuple[str, str, str]) -> W.HTML:
    """Legend above a figure, where it hides no point: ('●', colour, 'after') for each mark."""
    parts = [f'<span style="color:{colour}">{sign}</span> {escape(text)}' for sign, colour, text in entries]
    return W.HTML("&emsp;".join(parts), layout=W.Layout(margin="0 0 0 60px"))


def style_sheet() -> W.HTML:
    """Widget that brings the style sheet to the page; it takes no room."""
    return W.HTML(f"<style>{_CSS}</style>", layout=W.Layout(width="0", height="0", margin="0"))
