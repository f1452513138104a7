"""The exposures panel through its widgets; what it does is what the session does from Python."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from factory import write

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")
pytest.importorskip("ipyaladin", reason="the lab extra is absent")

from drizzlewb import Session
from drizzlewb.panels.exposures import PAGES, ExposuresPanel

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def writable(tiny_set, tmp_path_factory):
    """A copy of the first three exposures that may be written to."""
    folder = tmp_path_factory.mktemp("work")
    for path in sorted(tiny_set.glob("j8ny01*_flc.fits"))[:3]:
        shutil.copy(path, folder / path.name)
        os.chmod(folder / path.name, 0o644)
    return folder


@pytest.fixture(scope="module")
def loaded(tiny_set):
    return Session(str(tiny_set / "*_flc.fits"))


@pytest.fixture
def panel(loaded):
    made = ExposuresPanel(loaded, background=False, aladin=False)
    yield made
    made.close()
    while loaded.undo():
        pass
    loaded.select(product="", center=None)


def open_page(panel, title):
    panel.page_choice.value = title
    return panel.pages[title]


def button(panel, label):
    return next(a for a in panel.actions if a.button.description == label)


def test_the_table_shows_what_the_training_page_shows(panel, loaded):
    first = loaded.exposures[0]
    text = panel.table._texts[first.rootname].value
    for value in (
        first.target,
        first.date_obs,
        first.filters,
        f"{first.exptime:.1f}",
        first.wcsname,
        "F606W",
    ):
        assert value in text
    assert list(panel.table.buttons) == [e.rootname for e in loaded.exposures]
    assert panel.table.ticked == list(loaded.state.product("F606W").members)


def test_an_empty_session_offers_the_training_set(tmp_path, monkeypatch, tiny_set):
    made = []

    def fake(size, *, folder, progress):
        progress("exposure", 1, 12, "")
        made.append((size, folder))
        return sorted(tiny_set.glob("j8ny01*_flc.fits"))[:2]

    monkeypatch.setattr("drizzlewb.training.datasets.training_set", fake)
    session = Session()
    panel = ExposuresPanel(session, background=False, aladin=False)
    assert panel.training.layout.display == ""
    assert panel.lower.layout.display == "none"
    assert panel.members.reason == "load exposures first"
    panel.folder.value = str(tmp_path / "training")
    panel.make_training.button.click()
    assert made == [("tiny", tmp_path / "training")]
    assert len(session.exposures) == 2
    assert panel.training.layout.display == "none"
    assert panel.busy_note.value == ""
    panel.close()


def test_files_that_lie_in_the_folder_are_loaded_and_not_replaced(writable, monkeypatch):
    monkeypatch.setattr("drizzlewb.training.datasets.training_set", lambda *a, **k: pytest.fail("replaced"))
    session = Session()
    panel = ExposuresPanel(session, background=False, aladin=False)
    panel.folder.value = str(writable)
    panel.make_training.button.click()
    assert len(session.exposures) == 3
    panel.close()


def test_loading_more_files_and_what_can_go_wrong(tiny_set):
    session = Session()
    panel = ExposuresPanel(session, background=False, aladin=False)
    panel.load.button.click()
    assert "Type a file name" in panel.messages.texts[0]
    panel.path.value = str(tiny_set / "nothing_*.fits")
    panel.load.button.click()
    assert "no file matches" in panel.messages.texts[0]
    panel.path.value = str(tiny_set / "j8ny01*_flc.fits")
    panel.load.button.click()
    assert panel.messages.texts == []
    assert len(session.exposures) == 6
    assert session.undo_name == "load 6 exposures"
    assert f"session.load({panel.path.value!r})" in panel.python()
    panel.close()


def test_warnings_are_shown_as_text(tmp_path):
    write(tmp_path / "jtest01aq_flc.fits", "ACS/WFC", primary={"EXPFLAG": HOSTILE, "TARGNAME": HOSTILE})
    write(tmp_path / "jtest02aq_flc.fits", "ACS/WFC", seed=1)
    panel = ExposuresPanel(Session(str(tmp_path / "*_flc.fits")), background=False, aladin=False)
    assert "EXPFLAG" in panel.warnings_view.value
    shown = panel.warnings_view.value + panel.table._texts["jtest01aq"].value
    assert "<img" not in shown
    assert "&lt;img" in shown
    for title in PAGES:
        open_page(panel, title)
    assert panel.messages.texts == []
    panel.close()


def test_members_by_ticks_as_from_python(panel, loaded, tiny_set):
    assert panel.members.reason == "the ticked ones are its members"
    first = panel.table.ticked[0]
    panel.table.ticks[first].set_state({"value": False})  # what a browser sends
    assert panel.members.reason == ""
    panel.members.button.click()
    other = Session(str(tiny_set / "*_flc.fits"))
    other.set_members("F606W", other.state.product("F606W").members[1:])
    assert loaded.state == other.state
    assert loaded.undo_name == other.undo_name
    loaded.undo()
    assert first in panel.table.ticked  # ticks follow


def test_products_are_added_renamed_and_removed(panel, loaded):
    roots = [e.rootname for e in loaded.exposures]
    assert panel.add.reason == "type a name first"
    panel.table.tick(roots[:2])
    panel.name.value = "pair"
    panel.add.button.click()
    assert loaded.state.names == ("F606W", "F814W", "pair")
    assert loaded.state.product("pair").members == tuple(roots[:2])
    assert loaded.selection.product == "pair"
    assert panel.table.ticked == roots[:2]
    panel.name.value = "two"
    panel.rename.button.click()
    assert loaded.state.names == ("F606W", "F814W", "two")
    panel.remove.button.click()
    assert loaded.state.names == ("F606W", "F814W")
    panel.table.tick([])
    panel._ticked()
    assert panel.members.reason == "tick at least one exposure"


def test_mixed_filters_need_the_explicit_yes(panel, loaded):
    roots = [e.rootname for e in loaded.exposures]
    panel.table.tick([roots[0], roots[-1]])
    panel.name.value = "both"
    panel.add.button.click()
    assert "would mix" in panel.messages.texts[0]
    assert "both" not in loaded.state.names
    panel.mixed.value = True
    panel.add.button.click()
    assert loaded.state.product("both").mixed


def test_dq_flags_are_counted_and_tinted(panel, loaded):
    page = open_page(panel, "Chip and DQ")
    root = loaded.exposures[3].rootname
    panel.table.buttons[root].click()
    assert panel.looked_at == root
    assert root in page.view.frame.name
    chip = loaded.derived.drawn(root).chips[0]
    words = chip.read_dq((0, *chip.shape[:1], 0, chip.shape[1]))
    hot = int(((words & 16) != 0).sum())
    assert any(label.startswith(f"hot (16): {hot:,} px") for label, _ in page.flags.options)
    assert f"{np.count_nonzero(words):,} of" in page.told.value
    page.flags.value = (16, 64)
    assert page.view.dq_bits == 80
    page.chip.value = 2
    assert page.view.dq_bits == 80  # the choice stays with the next chip
    assert "(SCI,2)" in page.view.frame.name


def test_a_drawn_mask_appears_in_the_counts(panel, loaded):
    from drizzlewb.exposure import Drawn

    page = open_page(panel, "Chip and DQ")
    panel.look(loaded.exposures[0].rootname)
    page.chip.value = 1
    loaded.draw(Drawn(panel.looked_at, "circle", ((50, 50),), 6, extver=1))
    counted = {value: label for label, value in page.flags.options}
    assert ": 0 px" not in counted[16384]


def test_dithers_follow_product_and_members(panel, loaded):
    page = open_page(panel, "Dithers")
    assert len(page.points.x) == 6
    assert "6 exposures at 6 different phases" in page.told.value
    loaded.set_members("F606W", loaded.state.product("F606W").members[:3])
    assert len(page.points.x) == 3
    loaded.select(product="F814W")
    assert "F814W" in page.told.value


def test_activate_and_revert_ask_before_they_write(writable):
    session = Session(str(writable / "*_flc.fits"))
    panel = ExposuresPanel(session, background=False, aladin=False)
    page = open_page(panel, "WCS history")
    path = session.exposures[0].path
    before = Path(path).read_bytes()
    was = session.exposures[0].wcsname
    assert [s.place for s in page.solutions] == ["primary", "O"]
    page.activate.button.click()
    assert page.activate.button.description == "Click again to write"
    assert "This writes the header of" in panel.messages.texts[0]
    assert Path(path).read_bytes() == before
    panel.look(session.exposures[1].rootname)  # something else is looked at: the click is forgotten
    assert not page.activate.armed
    panel.look(session.exposures[0].rootname)
    page.activate.button.click()
    page.activate.button.click()
    assert panel.messages.texts == []
    assert session.exposures[0].wcsname == "OPUS"
    assert "OPUS" in panel.table._texts[session.exposures[0].rootname].value
    assert page.solutions[0].name == "OPUS"
    assert session.exposures[1].wcsname == was
    page.revert.button.click()
    page.revert.button.click()
    assert session.exposures[0].wcsname == was
    panel.close()


def test_a_solution_is_activated_in_all_members(writable):
    session = Session(str(writable / "*_flc.fits"))
    panel = ExposuresPanel(session, background=False, aladin=False)
    page = open_page(panel, "WCS history")
    page.everywhere.value = True
    for _ in range(2):
        page.activate.button.click()
    assert {e.wcsname for e in session.exposures} == {"OPUS"}
    for exposure in session.exposures:
        session.revert_wcs(exposure.rootname)
    panel.close()


def test_a_write_protected_file_is_a_sentence(tiny_set, tmp_path):
    path = tmp_path / "j8ny01svq_flc.fits"
    shutil.copy(tiny_set / path.name, path)
    session = Session(str(path))
    panel = ExposuresPanel(session, background=False, aladin=False)
    page = open_page(panel, "WCS history")
    path.unlink()
    page.activate.button.click()
    page.activate.button.click()
    assert len(panel.messages.texts) == 1
    assert "Traceback" not in panel.messages.texts[0]
    panel.close()


def test_updating_the_distortion_shows_first_and_says_what_is_missing(writable, tmp_path):
    session = Session(str(writable / "*_flc.fits"))
    panel = ExposuresPanel(session, background=False, aladin=False)
    page = open_page(panel, "Distortion")
    page.folder.value = str(tmp_path)
    page.look.button.click()
    assert "qbu1641sj_idc.fits" in page.table.value
    page.renew.button.click()
    assert "This writes the headers of 3 files" in panel.messages.texts[0]
    page.renew.button.click()
    assert "reference files are missing" in panel.messages.texts[0] or "stwcs" in panel.messages.texts[0]
    panel.table.tick([])
    panel._ticked()
    assert page.renew.reason == "tick the exposures that are meant"
    panel.close()


def mdriztab(path):
    from astropy.table import Table

    Table(
        {
            "filter": ["ANY", "ANY", "F814W"],
            "numimages": [1, 4, 6],
            "final_pixfrac": [1.0, 0.7, 0.5],
            "combine_type": ["median", "minmed", "median"],
        }
    ).write(path)


def test_parameters_from_mdriztab_are_shown_then_applied(panel, loaded, tmp_path):
    path = tmp_path / "made_mdz.fits"
    mdriztab(path)
    page = open_page(panel, "Starting parameters")
    page.path.value = str(path)
    page.read.button.click()
    assert "holds 3 rows" in panel.messages.texts[0]
    assert page.choice.value == "MDRIZTAB made_mdz.fits, ANY, 4 or more"
    assert "final_pixfrac" in page.table.value
    assert loaded.parameters("F606W").final_pixfrac == 1.0  # nothing applied yet
    page.apply.button.click()
    assert loaded.parameters("F606W").final_pixfrac == 0.7
    assert loaded.undo_name == "preset MDRIZTAB made_mdz.fits, ANY, 4 or more"
    assert page.apply.reason == "it would change nothing"
    loaded.undo()
    assert page.apply.reason == ""
    page.path.value = "nowhere.fits"
    page.read.button.click()
    assert "cannot read MDRIZTAB" in panel.messages.texts[0]


def test_presets_of_the_pipeline_as_from_python(panel, loaded, tiny_set):
    page = open_page(panel, "Starting parameters")
    name = "ACS/WFC, 6 or more"
    assert name in page.choice.options
    page.choice.value = name
    page.apply.button.click()
    other = Session(str(tiny_set / "*_flc.fits"))
    other.use_preset(name, "F606W")
    assert loaded.state == other.state


def test_regions_are_written_and_read(panel, loaded, tmp_path, monkeypatch):
    monkeypatch.setattr("drizzlewb.products.samp.hub_runs", lambda *a: False)
    page = open_page(panel, "Regions")
    assert page.send.layout.display == "none"
    page.path.value = str(tmp_path / "a.reg")
    page.write.button.click()
    assert "holds 13 regions" in panel.messages.texts[0]  # twelve chips and the grid
    page.write.button.click()
    assert "exists already" in panel.messages.texts[0]
    ra, dec = loaded.exposures[0].chips[0].wcs.crval
    (tmp_path / "m.reg").write_text(f'fk5\ncircle({ra},{dec},1")\n')
    page.path.value = str(tmp_path / "m.reg")
    page.read.button.click()
    assert "1 mask drawn on" in panel.messages.texts[0]
    assert loaded.state.masks[0].exposure == panel.looked_at
    for box in page.kinds.values():
        box.value = False
    assert page.write.reason == "choose what is written"


def test_send_to_ds9_appears_with_a_hub(panel, monkeypatch):
    page = open_page(panel, "Regions")
    page.looking.join(10)
    monkeypatch.setattr("drizzlewb.products.samp.hub_runs", lambda *a: True)
    page.look_for_hub().join(10)
    assert page.send.layout.display == ""
    monkeypatch.setattr("drizzlewb.products.samp.hub_runs", lambda *a: False)
    page.look_for_hub().join(10)
    assert page.send.layout.display == "none"


def test_pages_are_made_when_they_are_opened_and_one_is_seen(panel):
    assert list(panel.pages) == ["Chip and DQ"]
    open_page(panel, "Sky")
    assert panel.pages["Chip and DQ"].layout.display == "none"
    assert panel.pages["Sky"].layout.display == ""
    assert panel.pages["Sky"].drawn_by == "plot"


def test_in_the_workbench_new_products_leave_the_chosen_one(loaded):
    from drizzlewb.workbench import Workbench

    bench = Workbench(loaded, panels=(ExposuresPanel,))
    loaded.select(product="F814W")
    loaded.add_product("pair", [e.rootname for e in loaded.exposures][:2])
    assert loaded.selection.product == "F814W"
    assert bench.product.value == bench["Exposures"].product_choice.value == "F814W"
    bench.close()
    loaded.undo()
    loaded.select(product="")


def test_chips_of_unlike_photflam_are_offered_to_be_equalised(tmp_path):
    for k, name in enumerate(("j1aa01aaq_flt.fits", "j1aa01abq_flt.fits")):
        write(tmp_path / name, "ACS/WFC", chip={"PHOTFLAM": 7.9e-20 * (1 + 0.02 * k)})
    session = Session(str(tmp_path / "*_flt.fits"))
    panel = ExposuresPanel(session, background=False, aladin=False)
    (name,) = session.state.names
    offer = panel.equalise
    assert offer.layout.display == ""
    assert offer.button.description == f"Equalise PHOTFLAM of {name}"
    assert offer.code == f"session.set({name!r}, equalise=True)"
    offer.button.click()
    assert session.parameters(name).extra.equalise
    assert offer.button.description == f"Leave PHOTFLAM of {name} as it is"
    session.undo()
    assert not session.parameters(name).extra.equalise
    panel.close()


def test_without_unlike_photflam_nothing_is_offered(panel):
    assert panel.equalise.layout.display == "none"
