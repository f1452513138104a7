"""Parameters out of a session: texts in every form, with the right files and sentences."""

import dataclasses

import pytest

from drizzlewb.errors import ParameterError
from drizzlewb.exposure import Drawn
from drizzlewb.parameters.exchange import from_json
from drizzlewb.parameters.scripts import from_script
from drizzlewb.parameters.teal import from_cfg
from drizzlewb.reduction.exporting import write_texts
from drizzlewb.session.state import Accepted, ChipSolution


@pytest.fixture
def decided(session):
    """F606W with parameters of its own, one mask; no alignment accepted."""
    session.set("F606W", final_pixfrac=0.6, output="best")
    session.set(threshold=50)
    session.draw(Drawn("jtest01aq", "circle", ((10, 12),), size=4, extver=1))
    return session


def accept(session, names):
    chips = tuple(ChipSolution(n, 1, (150.1, 2.2), (-1e-5, 0, 0, 1e-5), "TWEAK") for n in names)
    plan = dataclasses.replace(session.state.alignment, accepted=Accepted("k", names[0], chips))
    session.change(dataclasses.replace(session.state, alignment=plan), "accept", "alignment")


def test_every_form_leads_back(decided):
    p, a = decided.runs.effective("F606W"), decided.alignment_parameters
    texts = decided.export("json", "F606W")
    assert list(texts) == ["best.json"]
    found = from_json(texts["best.json"])
    assert (found.reduce, found.align) == (p, a)
    found = from_cfg(decided.export("cfg", "F606W").values())
    assert (found.reduce, found.align) == (p, a)
    for to, name in (("python", "best_drizzlewb.py"), ("drizzlepac", "best_drizzlepac.py")):
        texts = decided.export(to, "F606W", what="both")
        assert list(texts) == [name]
        found = from_script(texts[name])
        assert (found.reduce, found.align) == (p, a)


def test_a_script_aligns_only_what_was_accepted(decided):
    (text,) = decided.export("drizzlepac", "F606W").values()
    assert "TweakReg(" not in text
    head, _, code = text.partition("import")
    assert "# - the files must carry the WCS that was used: " in head
    assert "# - by hand: circle drawn on jtest01aq[SCI,1], pixel [[10.0, 12.0]], size 4" in head
    assert code.count("_flc.fits'") == 3
    accept(decided, ["jtest01aq", "jtest02aq"])
    (text,) = decided.export("drizzlepac", "F606W").values()
    head, _, code = text.partition("import")
    assert "must carry" not in head
    assert "# - by hand: alignment to jtest01aq accepted for jtest01aq, jtest02aq" in head
    assert "TweakReg(\n    align_files," in code
    assert code.count("_flc.fits'") == 3 + 5
    (text,) = decided.export("drizzlepac", "F606W", what="reduce").values()
    assert "must carry the WCS that was used: TWEAK (jtest01aq, jtest02aq)" in text


def test_the_alignment_alone(decided):
    texts = decided.export("python", "F606W", what="align")
    assert list(texts) == ["alignment_drizzlewb.py"]
    (text,) = texts.values()
    assert text.count("_flc.fits'") == 5
    assert "dw.reduce" not in text
    assert from_script(text).align == decided.alignment_parameters


def test_what_cannot_be_exported(decided):
    decided.set("F606W", final_kernel="lanczos2")
    with pytest.raises(ParameterError, match="choose lanczos3"):
        decided.export("drizzlepac", "F606W")
    assert "lanczos2" in decided.export("json", "F606W")["best.json"]
    with pytest.raises(ParameterError, match="expected one of json, python, drizzlepac, cfg"):
        decided.export("yaml", "F606W")
    with pytest.raises(ParameterError, match="expected align, reduce or both"):
        decided.export("json", "F606W", what="sky")
    with pytest.raises(ParameterError, match="Which product"):
        decided.export("json")


def test_nothing_is_written_unless_asked(decided, tmp_path):
    texts = decided.export("cfg", "F606W")
    assert [p.name for p in write_texts(texts, tmp_path)] == list(texts)
    assert (tmp_path / "astrodrizzle.cfg").read_text() == texts["astrodrizzle.cfg"]
