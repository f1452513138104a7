"""The downloader against a server on this machine that behaves like the archive, faults included."""

import socket

import numpy as np
import pytest
from astropy.io import fits

from drizzlewb.errors import DataError
from drizzlewb.training.archive import Unreachable, check_fits, download


def fits_bytes(tmp_path, seed=0):
    data = np.random.default_rng(seed).normal(size=(150, 200)).astype(np.float32)
    path = tmp_path / "source.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, name="SCI")]).writeto(path, overwrite=True)
    return path.read_bytes()


@pytest.fixture
def archive(archive_server, tmp_path):
    archive_server.files["a_flc.fits"] = fits_bytes(tmp_path)
    return archive_server


QUICK = {"timeout": 0.3, "retries": 2, "pause": 0.01}


def test_a_file_arrives_whole_and_is_not_fetched_twice(archive, tmp_path):
    seen = []
    path = download(archive.item("a_flc.fits"), tmp_path / "d", progress=lambda *a: seen.append(a), **QUICK)
    assert path.read_bytes() == archive.files["a_flc.fits"]
    assert seen[-1] == ("download", path.stat().st_size, path.stat().st_size, "a_flc.fits")
    assert download(archive.item("a_flc.fits"), tmp_path / "d", **QUICK) == path
    assert len(archive.requests) == 1
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["a_flc.fits"]


@pytest.mark.parametrize("fault", ["break", "stall", "503", "429"])
@pytest.mark.parametrize("ranges", [True, False])
def test_it_goes_on_after_a_fault(archive, tmp_path, fault, ranges):
    archive.faults, archive.ranges = [fault, fault], ranges
    path = download(archive.item("a_flc.fits"), tmp_path / "d", **QUICK)
    assert path.read_bytes() == archive.files["a_flc.fits"]
    assert len(archive.requests) == 3
    resumed = [wanted for _, wanted in archive.requests if wanted]
    assert bool(resumed) == (fault in ("break", "stall"))


def test_a_second_call_resumes_what_the_first_left(archive, tmp_path):
    size = len(archive.files["a_flc.fits"])
    archive.faults = ["break"] + ["503"] * 5
    with pytest.raises(Unreachable, match=r"could not be reached \(503.*goes on where it stopped"):
        download(archive.item("a_flc.fits"), tmp_path, **QUICK)
    part = (tmp_path / "a_flc.fits.part").stat().st_size
    assert 0 < part < size
    archive.faults.clear()
    path = download(archive.item("a_flc.fits"), tmp_path, **QUICK)
    assert archive.requests[-1][1] == f"bytes={part}-"
    assert path.read_bytes() == archive.files["a_flc.fits"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(archive, tmp_path):
    archive.faults = ["break"] + ["503"] * 5
    with pytest.raises(Unreachable):
        download(archive.item("a_flc.fits"), tmp_path, **QUICK)
    archive.faults.clear()
    archive.files["a_flc.fits"] = fits_bytes(tmp_path, seed=1)
    path = download(archive.item("a_flc.fits"), tmp_path, **QUICK)
    assert path.read_bytes() == archive.files["a_flc.fits"]


def test_spoilt_bytes_are_noticed_and_fetched_again(archive, tmp_path):
    archive.faults = ["spoil"]
    path = download(archive.item("a_flc.fits"), tmp_path, **QUICK)
    assert path.read_bytes() == archive.files["a_flc.fits"]
    assert len(archive.requests) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"md5": "0" * 32}, "MD5 is"),
        ({"size": 0, "md5": ""}, "ends inside extension SCI"),
    ],
)
def test_what_stays_wrong_is_refused(archive, tmp_path, changes, words):
    if "size" in changes:
        archive.files["a_flc.fits"] = archive.files["a_flc.fits"][: 2880 * 10]
    with pytest.raises(DataError, match=words):
        download(archive.item("a_flc.fits", **changes), tmp_path, **QUICK)
    assert not (tmp_path / "a_flc.fits").exists()
    assert len(archive.requests) == 2


def test_a_damaged_file_on_disk_is_replaced(archive, tmp_path):
    (tmp_path / "a_flc.fits").write_bytes(b"half")
    path = download(archive.item("a_flc.fits"), tmp_path, **QUICK)
    assert path.read_bytes() == archive.files["a_flc.fits"]


def test_refused_and_unreachable_are_told_apart(archive, tmp_path):
    item = archive.item("a_flc.fits", url=archive.url("gone"))
    with pytest.raises(DataError, match="answered 404") as caught:
        download(item, tmp_path, **QUICK)
    assert not isinstance(caught.value, Unreachable)
    assert len(archive.requests) == 1
    with socket.socket() as taken:  # a port at which nobody answers
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/a_flc.fits"
        with pytest.raises(Unreachable, match="Check the network"):
            download(item._replace(url=url), tmp_path, **QUICK)


def test_check_fits_names_the_fault(tmp_path):
    path = tmp_path / "x.fits"
    path.write_bytes(b"<html>not here</html>")
    assert "not a readable FITS file" in check_fits(path)
    fits.PrimaryHDU().writeto(path, overwrite=True)
    assert check_fits(path) == "it has no SCI extension"
    path.write_bytes(fits_bytes(tmp_path))
    assert check_fits(path) == ""
