"""Sphinx: ``make docs``. The pages need no network; the parameter reference is made from the declarations."""

from pathlib import Path

import drizzlewb
from drizzlewb.parameters.reference import reference

project = "drizzlewb"
author = "the drizzlewb developers"
release = version = drizzlewb.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.doctest"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "README.md"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
# Types in docstrings are words for people ("sequence of Exposure"), not names to look up.
nitpicky = False

html_theme = "furo"
html_title = "drizzlewb"
html_static_path: list[str] = []
html_show_sphinx = False
(Path(__file__).parent / "parameters.md").write_text(reference(), encoding="utf-8")
