"""Names that users give: files, globs, lists, associations; and what is refused."""

import logging
import os
from pathlib import Path

import pytest
from astropy.io import fits
from factory import write, write_association, write_generic

from drizzlewb.errors import DataError
from drizzlewb.exposure import intake, named_files, read_exposures


@pytest.fixture
def folder(tmp_path):
    for k in (3, 1, 2):
        write(tmp_path / f"jtst0{k}aaq_flc.fits", "ACS/WFC")
    return tmp_path


def roots(exposures):
    return [e.rootname for e in exposures]


ALL = ["jtst01aaq", "jtst02aaq", "jtst03aaq"]


def test_one_file_as_text_or_path(folder):
    path = folder / "jtst02aaq_flc.fits"
    assert roots(read_exposures(path)) == roots(read_exposures(str(path))) == ["jtst02aaq"]


def test_a_glob_is_in_order_of_names(folder):
    assert roots(read_exposures(folder / "*_flc.fits")) == ALL
    assert roots(read_exposures(str(folder / "jtst0[13]*"))) == ["jtst01aaq", "jtst03aaq"]


def test_a_list_keeps_its_order(folder):
    names = [folder / f"jtst0{k}aaq_flc.fits" for k in (3, 1)]
    assert roots(read_exposures(names)) == ["jtst03aaq", "jtst01aaq"]
    assert roots(read_exposures(",".join(map(str, names)))) == ["jtst03aaq", "jtst01aaq"]


def test_exposures_pass_through(folder):
    first = read_exposures(folder / "jtst01aaq_flc.fits")
    both = read_exposures([*first, folder / "jtst03aaq_flc.fits"])
    assert both[0] is first[0]
    assert roots(both) == ["jtst01aaq", "jtst03aaq"]


def test_names_with_blanks_accents_and_signs(tmp_path):
    odd = tmp_path / "été à l'œil, [1] #2 (é)"
    odd.mkdir()
    path = write(odd / "jtst01aaq_flt.fits", "ACS/HRC")
    assert read_exposures(str(path))[0].path == str(path)
    (odd / "my list.txt").write_text("jtst01aaq_flt.fits\n", encoding="utf-8")
    assert roots(read_exposures(f"@{odd / 'my list.txt'}")) == ["jtst01aaq"]


def test_links_are_followed(folder):
    link = folder / "link_flc.fits"
    link.symlink_to(folder / "jtst01aaq_flc.fits")
    assert roots(read_exposures(link)) == ["jtst01aaq"]


class TestList:
    def test_names_comments_blank_lines_and_weights(self, folder):
        (folder / "w 1.fits").write_bytes(b"")
        text = (
            "# my files\n\njtst02aaq_flc.fits   # second visit\n  jtst01aaq_flc.fits\tw 1.fits\n"
            f"{folder / 'jtst03aaq_flc.fits'}\n"
        )
        (folder / "in.lst").write_text(text)
        taken = read_exposures(f"@{folder / 'in.lst'}")
        assert roots(taken) == ["jtst02aaq", "jtst01aaq", "jtst03aaq"]
        assert [e.weight_map for e in taken] == ["", str(folder / "w 1.fits"), ""]

    def test_names_are_relative_to_the_list_or_else_to_where_we_stand(self, folder, tmp_path, monkeypatch):
        (folder / "sub").mkdir()
        (folder / "sub" / "in.lst").write_text("jtst02aaq_flc.fits\n")
        monkeypatch.chdir(folder)
        assert roots(read_exposures("@sub/in.lst")) == ["jtst02aaq"]

    def test_a_missing_line_is_named(self, folder):
        (folder / "in.lst").write_text("jtst02aaq_flc.fits\n\nnone_flc.fits\n")
        with pytest.raises(DataError, match=r"in\.lst, line 3: no such file: .*none_flc\.fits"):
            read_exposures(f"@{folder / 'in.lst'}")

    def test_a_missing_weight_is_named(self, folder):
        (folder / "in.lst").write_text("jtst02aaq_flc.fits none_wht.fits\n")
        with pytest.raises(DataError, match=r"line 1: no such weight image: .*none_wht\.fits"):
            read_exposures(f"@{folder / 'in.lst'}")

    def test_an_empty_or_missing_list(self, folder):
        (folder / "in.lst").write_text("# nothing\n")
        with pytest.raises(DataError, match="names no file"):
            read_exposures(f"@{folder / 'in.lst'}")
        with pytest.raises(DataError, match="cannot read the list @"):
            read_exposures(f"@{folder / 'none.lst'}")


class TestAssociation:
    def table(self, folder, *rows):
        return write_association(folder / "jtst01010_asn.fits", rows)

    def test_members_that_are_present(self, folder):
        path = self.table(
            folder,
            ("JTST01AAQ", "EXP-DTH", True),
            ("JTST03AAQ", "EXP-DTH", True),
            ("JTST02AAQ", "EXP-DTH", False),
            ("JTST01011", "PROD-DTH", True),
        )
        assert roots(read_exposures(path)) == ["jtst01aaq", "jtst03aaq"]

    def test_flc_before_flt(self, folder):
        write(folder / "jtst01aaq_flt.fits", "ACS/WFC")
        path = self.table(folder, ("JTST01AAQ", "EXP-DTH", True))
        assert [e.suffix for e in read_exposures(path)] == ["flc"]

    def test_flt_where_not_all_have_flc(self, folder):
        write(folder / "jtst01aaq_flt.fits", "ACS/WFC")
        write(folder / "jtst09aaq_flt.fits", "ACS/WFC")
        path = self.table(folder, ("JTST01AAQ", "EXP-DTH", True), ("JTST09AAQ", "EXP-DTH", True))
        assert [e.suffix for e in read_exposures(path)] == ["flt", "flt"]

    def test_a_member_without_file(self, folder):
        path = self.table(folder, ("JTST01AAQ", "EXP-DTH", True), ("JTST08AAQ", "EXP-DTH", True))
        with pytest.raises(DataError, match="no file for jtst08aaq"):
            read_exposures(path)

    def test_no_member(self, folder):
        path = self.table(folder, ("JTST01011", "PROD-DTH", True))
        with pytest.raises(DataError, match="no exposure that is present"):
            read_exposures(path)

    def test_no_table(self, folder):
        fits.PrimaryHDU().writeto(folder / "x_asn.fits")
        with pytest.raises(DataError, match="no association table"):
            read_exposures(folder / "x_asn.fits")


class TestRefused:
    def test_a_glob_that_matches_nothing(self, folder):
        with pytest.raises(DataError, match=r"no file matches .*_drz\.fits"):
            read_exposures(str(folder / "*_drz.fits"))

    def test_a_missing_file(self, folder):
        with pytest.raises(DataError, match=r"no such file: .*none_flc\.fits"):
            read_exposures([folder / "jtst01aaq_flc.fits", folder / "none_flc.fits"])

    def test_a_directory(self, folder):
        with pytest.raises(DataError, match="is a directory"):
            read_exposures(folder)

    def test_nothing_at_all(self):
        with pytest.raises(DataError, match="no file was named"):
            read_exposures([])

    def test_something_else(self):
        with pytest.raises(DataError, match="cannot read exposures from 42"):
            read_exposures([42])

    def test_a_file_named_twice(self, folder):
        with pytest.raises(DataError, match=r"jtst01aaq_flc\.fits is named twice"):
            read_exposures([folder / "*_flc.fits", folder / "jtst01aaq_flc.fits"])

    def test_a_file_named_twice_through_a_link(self, folder):
        (folder / "link_flc.fits").symlink_to(folder / "jtst01aaq_flc.fits")
        with pytest.raises(DataError, match=r"link_flc\.fits is named twice \(also as .*jtst01aaq_flc"):
            read_exposures([folder / "jtst01aaq_flc.fits", folder / "link_flc.fits"])

    def test_flc_mixed_with_flt(self, folder):
        write(folder / "jtst09aaq_flt.fits", "ACS/WFC")
        with pytest.raises(DataError, match=r"FLC files \(jtst01aaq.*\) are mixed with FLT \(jtst09aaq\)"):
            read_exposures(folder / "*.fits")

    def test_detectors_unless_they_are_allowed(self, folder):
        write(folder / "itst09aaq_flt.fits", "WFC3/IR")
        with pytest.raises(DataError, match="needs one detector, found WFC3/IR: itst09aaq; ACS/WFC"):
            read_exposures(folder / "*.fits")
        assert len(read_exposures(folder / "*.fits", mixed_detectors=True)) == 4

    def test_units(self, tmp_path):
        write(tmp_path / "i1_flt.fits", "WFC3/IR")
        write(tmp_path / "i2_flt.fits", "WFC3/IR", chip={"BUNIT": "ELECTRONS"})
        with pytest.raises(DataError, match=r"mix units \(electrons/s: i1; electrons: i2\)"):
            read_exposures(tmp_path / "*.fits")


class TestWithoutExposureTime:
    @pytest.mark.parametrize("exptime", [0.0, -1.0])
    def test_left_out_with_a_warning_when_others_remain(self, folder, caplog, exptime):
        write(folder / "jtst09aaq_flc.fits", "ACS/WFC", exptime=exptime)
        with caplog.at_level(logging.WARNING, logger="drizzlewb"):
            assert roots(read_exposures(folder / "*_flc.fits")) == ALL
        assert f"jtst09aaq_flc.fits: EXPTIME of image set 1 is {exptime:g} s; it is left out" in caplog.text
        warnings = [w for w in intake(folder / "*_flc.fits").warnings if w.code == "exptime"]
        assert [Path(w.names[0]).name for w in warnings] == ["jtst09aaq_flc.fits"]

    def test_an_error_when_nothing_remains(self, tmp_path):
        write(tmp_path / "jtst09aaq_flc.fits", "ACS/WFC", exptime=0.0)
        with pytest.raises(DataError, match=r"no exposure is left.*jtst09aaq_flc\.fits: EXPTIME"):
            read_exposures(tmp_path / "*_flc.fits")


def test_the_flag_files_of_wfpc2_may_be_in_the_glob(tmp_path):
    write(tmp_path / "utst0101m_c0m.fits", "WFPC2")
    write(tmp_path / "utst0102m_c0m.fits", "WFPC2")
    assert roots(read_exposures(tmp_path / "utst*.fits")) == ["utst0101m", "utst0102m"]
    with pytest.raises(DataError, match="data-quality flags only"):
        read_exposures(tmp_path / "*_c1m.fits")


def test_files_can_be_named_without_reading_them(folder):
    (folder / "jtst01aaq_flc.fits").write_bytes(b"not fits")
    assert [Path(n.path).name for n in named_files(folder / "*01*")] == ["jtst01aaq_flc.fits"]


def test_only_headers_are_read(folder, monkeypatch):
    """No array is read when files are opened: a Plane that is asked for pixels fails here."""
    from drizzlewb.exposure.plane import Plane

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(Plane, "raw", never)
    write_generic(folder / "extra.fits")
    assert len(read_exposures([folder / "*_flc.fits"])) == 3
    assert len(read_exposures(folder / "extra.fits")) == 1


def test_inputs_are_not_touched(folder):
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}
    for exposure in read_exposures(folder / "*_flc.fits"):
        exposure.digest(err=True)
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()} == before
    assert sorted(os.listdir(folder)) == sorted(before)
