"""A session file: everything comes back; what is not understood is refused with one sentence."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sessions import FakeMakers, make_all

from drizzlewb import read_exposures
from drizzlewb.errors import DataError, DrizzlewbError, ParameterError
from drizzlewb.exposure import Drawn
from drizzlewb.parameters import AlignParameters, ReduceParameters
from drizzlewb.session import Session, Star
from drizzlewb.session import file as file_module
from drizzlewb.session.plain import parameters_from_json, parameters_to_json

_place = Path(__file__).parents[1] / "parameters" / "parameter_strategies.py"
_spec = importlib.util.spec_from_file_location("random_parameters", _place)
random_parameters = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(random_parameters)


@pytest.fixture
def used(session):
    """A session with something of everything."""
    session.set("F606W", final_pixfrac=0.6, final_scale=0.06, driz_cr_snr="5.0 4.0", final_bits=None)
    session.set(None, {"imagefind.threshold": 40, "refimagefind.threshold": 50, "sharphi": 0.9})
    session.set("F814W", final_refimage="F606W", output="out/opt")
    session.brush([Star("jtest01aq", 1, 0.1 + 0.2, 11.0)])
    session.draw(Drawn("jtest02aq", "polygon", ((1, 2), (30, 5), (9, 20.7)), extver=2))
    session.draw(Drawn("jtest02aq", "line", ((150.1, 2.2), (150.11, 2.21)), size=1.5, frame="sky"))
    session.align().result(5)
    session.accept()
    session.add_product("both", ["jtest04aq", "jtest01aq"], mixed=True)
    session.rename_product("both", "all.of_them")
    session.select(product="F814W", center=(150.1, 2.2), stars=(Star("jtest01aq", 1, 1.0, 2.0),))
    for _ in range(3):
        session.undo()
    return session


def test_everything_comes_back(used, tmp_path, makers):
    path = tmp_path / "work.json"
    used.save(path)
    again = Session.open(path, makers=makers)
    assert again.state == used.state
    assert again.selection == used.selection
    assert again.history.past == used.history.past
    assert again.history.future == used.history.future
    assert again.notes == []
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == path.read_text()
    for _ in range(3):
        assert again.redo()
    for _ in range(len(again.history.past)):
        assert again.undo()
    assert again.state.names == ("F606W", "F814W")
    assert again.parameters("F606W").final_pixfrac == 1.0
    assert again.state.alignment.parameters == AlignParameters()


def test_it_is_for_people(used, tmp_path):
    used.save(tmp_path / "work.json")
    text = (tmp_path / "work.json").read_text()
    assert '"final_pixfrac": 0.6' in text
    assert '"name": "draw polygon on jtest02aq"' in text
    assert len(text.splitlines()) > 100


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random_parameters.reduces)
def test_any_reduce_parameters_come_back(parameters):
    text = json.dumps(parameters_to_json(parameters), allow_nan=False)
    assert parameters_from_json(ReduceParameters, json.loads(text)) == parameters


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random_parameters.aligns)
def test_any_align_parameters_come_back(parameters):
    text = json.dumps(parameters_to_json(parameters), allow_nan=False)
    assert parameters_from_json(AlignParameters, json.loads(text)) == parameters


def test_a_wcs_in_memory_comes_back(field, tmp_path, makers):
    from drizzlewb.distortion import replace_tan

    first = field[0]
    turned = [replace_tan(c.wcs, c.wcs.crval + [1e-6, 1e-7 / 3], c.wcs.cd) for c in first.chips]
    session = Session([first.with_wcs(turned, wcsname="MINE"), *field[1:]], makers=makers)
    session.save(tmp_path / "s.json")
    again = Session.open(tmp_path / "s.json", makers=makers)
    assert again.exposures[0].wcsname == "MINE"
    assert (again.exposures[0].chips[1].wcs.crval == turned[1].crval).all()
    assert [s.key for s in again.status] == [s.key for s in session.status]
    assert "'MINE', is used in memory" in again.notes[0]


def test_results_are_found_again_in_a_folder_that_stays(field, tmp_path):
    """Real files: a product is recalled by its key, one that is not complete is not."""
    session = Session(field, folder=tmp_path / "cache", makers=FakeMakers())
    key = session.status_of("F606W").key
    session.save(tmp_path / "s.json")
    folder = session.cache.product_folder(key)
    folder.mkdir()
    (folder / "F606W_drc.fits").write_bytes(b"")
    again = Session.open(tmp_path / "s.json", cache=tmp_path / "cache", makers=FakeMakers())
    assert again.status_of("F606W").state == "empty"
    (folder / "F606W_record.json").write_text("{}")
    again.publish()
    assert again.status_of("F606W").state == "done"
    assert again.result("F606W").path == (folder / "F606W_drc.fits").resolve()


def test_files_that_were_moved(field_folder, tmp_path, makers):
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(field_folder, here)
    session = Session(read_exposures(str(here / "jtest0[12]*")), makers=makers)
    session.set("F606W", final_pixfrac=0.5)
    session.save(tmp_path / "s.json")
    here.rename(there)
    with pytest.raises(DataError, match=r"jtest01aq_flc.fits.* missing.*folder="):
        Session.open(tmp_path / "s.json")
    again = Session.open(tmp_path / "s.json", folder=there, makers=makers)
    assert again.parameters("F606W").final_pixfrac == 0.5
    assert Path(again.exposures[0].path).parent == there


# ---------------------------------------------------------------- interrupted
def test_a_failure_while_saving_leaves_the_old_file(used, tmp_path, monkeypatch):
    path = tmp_path / "s.json"
    used.save(path)
    before = path.read_bytes()
    used.set("F606W", final_pixfrac=0.123)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(DataError, match="cannot be saved"):
        used.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]


KILLED = """
import sys
from pathlib import Path
from drizzlewb.fileio import replaced_when_whole
text = Path(sys.argv[1]).read_text()
print("ready", flush=True)
while True:
    with replaced_when_whole(Path(sys.argv[1])) as part:
        part.write_text(text)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_while_saving(used, tmp_path, makers):
    path = tmp_path / "s.json"
    used.save(path)
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    for _ in range(20):
        Session.open(path, makers=makers)
        if process.poll() is not None:
            break
    process.kill()
    process.communicate()
    assert Session.open(path, makers=makers).state == used.state


# ---------------------------------------------------------------- hostile
def changed(document, *path, value):
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(document)


HOSTILE = {
    "code": (lambda d: "__import__('os').system('true')", "not JSON"),
    "yaml bomb": (lambda d: "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "not JSON"),
    "pickle": (lambda d: "cos\nsystem\n(S'true'\ntR.", "not JSON"),
    "deep": (lambda d: "[" * 100_000, "nested too deeply"),
    "list": (lambda d: "[1, 2]", "JSON object"),
    "nan": (lambda d: changed(d, "schema", value=float("nan")), "NaN"),
    "doubled": (lambda d: '{"kind": 1, "kind": 2}', "twice"),
    "parameters": (lambda d: '{"kind": "drizzlewb parameters"}', "no session file"),
    "future": (lambda d: changed(d, "schema", value=99), "schema 99"),
    "no schema": (lambda d: changed(d, "schema", value="one"), "no version number"),
    "unknown key": (lambda d: changed(d, "macro", value="rm"), "'macro'"),
    "other defaults": (lambda d: changed(d, "defaults", value="DrizzlePac 9"), "DrizzlePac 9"),
    "climbs": (lambda d: changed(d, "exposures", 0, "file", value="../../etc/passwd"), "leaves its folder"),
    "climbs out": (lambda d: changed(d, "exposures", 0, "folder", value="/data/../etc"), "absolute path"),
    "relative": (lambda d: changed(d, "exposures", 0, "folder", value="data"), "absolute path"),
    "a missing part": (lambda d: changed(d, "exposures", 0, value={"file": "x"}), "no 'folder'"),
    "unknown parameter": (
        lambda d: changed(d, "state", "products", 0, "parameters", value={"final": {"final_pixfrak": 1}}),
        "final_pixfrac",
    ),
    "nested parameter": (
        lambda d: changed(d, "state", "products", 0, "parameters", value={"final": {"final_pixfrac": {}}}),
        "final.final_pixfrac",
    ),
    "value out of range": (
        lambda d: changed(d, "state", "products", 0, "parameters", value={"final": {"final_pixfrac": 7}}),
        "at most 1",
    ),
    "unknown section": (
        lambda d: changed(d, "state", "products", 0, "parameters", value={"__class__": {}}),
        "__class__",
    ),
    "name of a product": (lambda d: changed(d, "state", "products", 0, "name", value="../x"), "cannot name"),
    "members": (lambda d: changed(d, "state", "products", 0, "members", value=["nobody"]), "nobody"),
    "number as text": (
        lambda d: changed(d, "state", "products", 0, "members", value=[7]), "where a product has a text"
    ),
    "mask": (lambda d: changed(d, "state", "masks", 0, "points", value=[[1, "x"]]), "has a number"),
    "mask's shape": (lambda d: changed(d, "state", "masks", 0, "shape", value="eval"), "expected a polygon"),
    "star": (lambda d: changed(d, "state", "alignment", "rejected", value=[{"x": 1}]), "in a star"),
    "wcs": (lambda d: changed(d, "exposures", 0, "wcs", 0, "cd", value=[1, 2, 3]), "4 numbers"),
    "history": (lambda d: changed(d, "undo", 0, "state", value={"run": "x"}), "step of the history"),
    "selection": (lambda d: changed(d, "selection", "size", value=[0, 5]), "0 x 5"),
    "boolean": (lambda d: changed(d, "exposures", 0, "bytes", value=True), "True"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(used, tmp_path, name):
    make, sentence = HOSTILE[name]
    path = tmp_path / "s.json"
    path.write_text(make(file_module.to_document(used)))
    with pytest.raises(DrizzlewbError) as caught:
        Session.open(path, makers=FakeMakers())
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_gigabytes(tmp_path):
    path = tmp_path / "s.json"
    with path.open("wb") as stream:
        stream.truncate(2 << 30)
    with pytest.raises(DataError, match="2048 MB"):
        Session.open(path)
    with pytest.raises(DataError, match="cannot be read"):
        Session.open(tmp_path / "none.json")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        Session.open(path)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_damage_is_a_sentence_or_a_session(used, tmp_path, data):
    """One value of the file replaced by nonsense: opened or refused, never an accident."""
    document = file_module.to_document(used)
    place, key = document, None
    while isinstance(place, (dict, list)) and place:
        parent = place
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        place = parent[key]
        if data.draw(st.integers(0, 4)) == 0:
            break
    parent[key] = data.draw(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5) | st.just([]) | st.just({}) | st.just([[]]) | st.just({"x": 1})
    )  # fmt: skip
    path = tmp_path / "s.json"
    path.write_text(json.dumps(document))
    try:
        session = Session.open(path, makers=FakeMakers())
    except DrizzlewbError:
        return
    assert repr(session)


def test_make_all_after_opening(used, tmp_path, makers):
    used.save(tmp_path / "s.json")
    again = Session.open(tmp_path / "s.json", makers=makers)
    make_all(again)
    assert {s.state for s in again.status} == {"done"}


def test_parameters_of_the_wrong_task():
    with pytest.raises(ParameterError, match="matching"):
        parameters_from_json(ReduceParameters, {"matching": {"tolerance": 2}})
