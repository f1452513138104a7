"""Regions of a session: written, read into masks, undone."""

import pytest
from sessions import make_all

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.session.regions import masks_from_ds9, region_lines, write_ds9
from drizzlewb.steps.regions import read_regions


def test_footprints_and_grid_are_written(session, tmp_path):
    path = write_ds9(session, tmp_path / "a.reg", "F606W")
    members = session.state.product("F606W").members
    chips = sum(len(session.derived.exposure(m).chips) for m in members)
    assert len(read_regions(path)) == chips + 1  # no alignment, no masks
    with pytest.raises(DataError, match="exists already"):
        write_ds9(session, path, "F606W")
    write_ds9(session, path, "F606W", kinds=("grid",), replace=True)
    assert len(read_regions(path)) == 1


def test_nothing_to_write_and_unknown_kinds_say_so(session, tmp_path):
    with pytest.raises(DataError, match="no masks"):
        write_ds9(session, tmp_path / "a.reg", "F606W", kinds=("masks",))
    with pytest.raises(ParameterError, match="kind stars"):
        region_lines(session, "F606W", ("stars",))
    assert not (tmp_path / "a.reg").exists()


def test_masks_are_drawn_as_steps_of_the_history_and_written_again(session, tmp_path):
    make_all(session)
    root = session.state.product("F606W").members[0]
    path = tmp_path / "masks.reg"
    path.write_text('fk5\ncircle(150.1,2.2,0.3")\nbox(150.1,2.2,1",0.5",20)\n')
    masks = masks_from_ds9(session, root, path)
    assert session.state.masks == tuple(masks)
    assert [m.shape for m in masks] == ["circle", "polygon"]
    assert session.status_of("F606W", "crmask").state == "stale"
    lines = region_lines(session, "F606W", ("masks",))
    assert len(lines) == 2
    assert session.undo() == f"draw polygon on {root}"
    assert len(session.state.masks) == 1
    path.write_text("fk5\ncircle(150.1,2.2\n")
    with pytest.raises(DataError, match="line 2"):
        masks_from_ds9(session, root, path)
    assert len(session.state.masks) == 1


def test_a_selected_product_stays_selected_under_its_new_name(session):
    session.select(product="F814W")
    session.rename_product("F814W", "red")
    assert session.selection.product == "red"
    session.rename_product("F606W", "blue")
    assert session.selection.product == "red"
