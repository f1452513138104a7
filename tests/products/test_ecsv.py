"""ECSV text against what astropy reads of it."""

import math

import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from drizzlewb.products.ecsv import ecsv_text

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" '\"#,"), max_size=12
)
FLOATS = st.floats(width=64)
# astropy's reader takes blanks off both ends of a text.
CELLS = TEXTS.map(str.strip)


def read(text, tmp_path):
    path = tmp_path / "t.ecsv"
    path.write_text(text, encoding="utf-8")
    return Table.read(path, format="ascii.ecsv")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(CELLS, st.integers(-(2**62), 2**62), FLOATS, st.booleans()), min_size=1, max_size=4),
    TEXTS,
    FLOATS,
    st.dictionaries(TEXTS, TEXTS, max_size=3),
)
def test_comes_back(tmp_path_factory, rows, text, number, inside):
    names = ("name", "count", "value px", "flag")
    columns = {n: list(v) for n, v in zip(names, zip(*rows, strict=True), strict=True)}
    meta = {"text": text, "number": number, "inside": inside}
    table = read(ecsv_text(columns, {"value px": "pix", "count": "mas"}, meta), tmp_path_factory.mktemp("e"))
    assert table.colnames == list(names)
    assert [table[n].dtype.kind for n in names] == ["U", "i", "f", "b"]
    assert str(table["value px"].unit) == "pix"
    for name in ("name", "count", "flag"):
        column = table[name].filled("") if hasattr(table[name], "filled") and name == "name" else table[name]
        assert column.tolist() == columns[name]
    for a, b in zip(table["value px"].tolist(), columns["value px"], strict=True):
        assert a == b or (math.isnan(a) and math.isnan(b))
    assert table.meta["text"] == text
    assert dict(table.meta["inside"]) == inside
    assert table.meta["number"] == number or math.isnan(number)


def test_one_type_a_column():
    with pytest.raises(TypeError, match="expected one of"):
        ecsv_text({"a": [1, "b"]}, {}, {})
