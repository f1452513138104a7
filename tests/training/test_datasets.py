import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from astropy.io import fits

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.training import datasets
from drizzlewb.training.archive import ArchiveFile, Unreachable
from drizzlewb.training.solutions import solution_names

ONE = {"exposures": ["j8ny01svq"]}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(datasets.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_cache_folder_follows_the_platform(monkeypatch, tmp_path):
    monkeypatch.delenv(datasets.CACHE_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert datasets.cache_folder() == tmp_path / "drizzlewb"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert datasets.cache_folder().parts[-2:] == (".cache", "drizzlewb")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert datasets.cache_folder().parts[-3:] == ("Library", "Caches", "drizzlewb")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert datasets.cache_folder() == tmp_path / "drizzlewb" / "Cache"
    monkeypatch.setenv(datasets.CACHE_VARIABLE, str(tmp_path / "mine"))
    assert datasets.cache_folder() == tmp_path / "mine"


def test_a_set_is_made_once_and_found_again(cache, tmp_path):
    steps = []
    first = datasets.training_set("tiny", progress=lambda *a: steps.append(a), **ONE)
    assert [p.name for p in first] == ["j8ny01svq_flc.fits"]
    assert first[0].with_name("truth.json").is_file()
    assert len(steps) == 1
    stamp = first[0].stat().st_mtime_ns
    assert datasets.training_set("tiny", progress=lambda *a: steps.append(a), **ONE) == first
    assert first[0].stat().st_mtime_ns == stamp
    assert len(steps) == 1
    assert not first[0].stat().st_mode & 0o222
    other = datasets.training_set("tiny", seed=3, **ONE)
    assert other[0].parent != first[0].parent
    copies = datasets.training_set("tiny", folder=tmp_path / "work", **ONE)
    assert copies[0].read_bytes() == first[0].read_bytes()
    assert copies[0].stat().st_mode & 0o200
    assert (tmp_path / "work" / "j8ny01svq_truth.fits").is_file()
    left = sorted(p.name for p in (cache / "training").iterdir())
    assert left == sorted({first[0].parent.name, other[0].parent.name})


def test_a_damaged_set_is_made_again(cache):
    (path,) = datasets.training_set("tiny", **ONE)
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[:5000])
    assert datasets.training_set("tiny", **ONE) == [path]
    assert path.read_bytes() == whole


def test_an_interrupted_set_is_not_taken_for_whole(cache):
    beats = []

    def stop(*step):
        beats.append(step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        datasets.training_set("tiny", progress=stop, **ONE)
    assert beats
    assert list((cache / "training").iterdir()) == []
    assert datasets.training_set("tiny", **ONE)[0].is_file()


ASK = """
import json, sys
from drizzlewb.training.datasets import training_set
print(json.dumps([str(p) for p in training_set("tiny", **json.loads(sys.argv[1]))]))
"""


def test_two_processes_may_ask_at_once(cache):
    command = [sys.executable, "-c", ASK, json.dumps(ONE)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert answers[0] == answers[1] != ""
    (home,) = (cache / "training").iterdir()  # no lock, no half-made folder, one set
    assert json.loads((home / "complete.json").read_text())["exposures"] == ["j8ny01svq_flc.fits"]


@pytest.mark.parametrize("owner", ["dead", "silent", "empty"])
def test_the_lock_of_a_dead_process_is_taken_over(cache, owner, caplog):
    (path,) = datasets.training_set("tiny", **ONE)
    lock = cache / "training" / (path.parent.name + ".lock")
    shutil.rmtree(path.parent)
    if owner == "dead":
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        lock.write_text(f"{datasets.socket.gethostname()} {gone.pid} x")
    else:
        lock.write_text(f"elsewhere {os.getpid()} x" if owner == "silent" else "")
        old = time.time() - datasets.STALE_SECONDS - 5
        os.utime(lock, (old, old))
    assert datasets.training_set("tiny", **ONE) == [path]
    assert not lock.exists()
    assert "taking over" in caplog.text


def test_a_living_owner_is_waited_for(cache):
    (path,) = datasets.training_set("tiny", **ONE)
    lock = path.parent.with_name(path.parent.name + ".lock")
    lock.write_text(f"{datasets.socket.gethostname()} {os.getpid()} x")
    assert not datasets._dead(lock)
    assert datasets.training_set("tiny", **ONE) == [path]  # complete: nobody is waited for
    assert lock.exists()


def test_bad_requests_are_said(cache, monkeypatch, tmp_path):
    with pytest.raises(ParameterError, match="colour is not a parameter.*cr_percent"):
        datasets.training_set("tiny", colour="blue")
    with pytest.raises(ParameterError, match="size 'vast'"):
        datasets.training_set("vast")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(datasets.CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be written.*DRIZZLEWB_CACHE"):
        datasets.training_set("tiny", **ONE)


def aligned(source, target):
    """A file as it comes from the archive: aligned to Gaia, the distortion-only solution as alternate A."""
    with fits.open(source, memmap=False) as hdul:
        for hdu in hdul:
            if hdu.name != "SCI":
                continue
            h = hdu.header
            for key in ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2"):
                h[key + "A"] = h[key]
            for key in ("CD1_1", "CD1_2", "CD2_1", "CD2_2", "WCSNAME"):
                h[key + "A"] = h[key]
            h["WCSNAME"] = h["WCSNAME"] + "-FIT_SVM_GAIAeDR3"
            h["CRVAL1"] += 1e-4
            h["RMS_RA"], h["NMATCHES"] = 3.2, 500
        hdul.writeto(target)


@pytest.fixture
def offer(tiny, tmp_path, archive_server):
    """The twelve files in an archive on this machine, and the list of them."""
    items = []
    for path in tiny:
        changed = tmp_path / path.name
        aligned(path, changed)
        archive_server.files[path.name] = changed.read_bytes()
        items.append(archive_server.item(path.name))
    return archive_server, items


QUICK = {"timeout": 1.0, "retries": 2, "pause": 0.01}


def test_the_real_set_is_fetched_and_its_alignment_taken_off(cache, offer, tiny, caplog, tmp_path):
    server, items = offer
    server.faults = ["break", "", "503"]
    steps = []
    extra = ArchiveFile("j8ny03xxq_flc.fits", server.url("none"), 1)
    files = datasets.fetch_training_set(
        lister=lambda: [extra, *items], progress=lambda *a: steps.append(a), **QUICK
    )
    assert [p.name for p in files] == [p.name for p in tiny]
    assert [a for a in steps if a[0] == "fetch"][-1][1:3] == (12, 12)
    for copy, source in zip(files, tiny, strict=True):
        for extver in (1, 2):
            head, plain = (fits.getheader(p, ("SCI", extver)) for p in (copy, source))
            assert head["WCSNAME"] == "IDC_qbu1641sj"
            assert head["CRVAL1"] == plain["CRVAL1"]
            assert "IDC_qbu1641sj-FIT_SVM_GAIAeDR3" in solution_names(head).values()
    assert "active WCS is now IDC_qbu1641sj" in caplog.text
    original = cache / "archive" / "9815" / tiny[0].name
    assert "FIT_SVM" in fits.getval(original, "WCSNAME", ("SCI", 1))
    # A second time nothing is asked of the network.
    count = len(server.requests)
    again = datasets.fetch_training_set(None, folder=tmp_path / "mine", lister=None)
    assert len(server.requests) == count
    assert again[0].read_bytes() == original.read_bytes()


def test_an_incomplete_archive_is_said(cache, offer):
    _, items = offer
    with pytest.raises(DataError, match="does not list j8ny01svq_flc.fits"):
        datasets.fetch_training_set(lister=lambda: items[1:], **QUICK)


def test_without_a_network_it_says_what_to_do(cache, offer):
    server, items = offer
    server.faults = ["503"] * 99
    with pytest.raises(Unreachable, match=r"by hand, or use training_set\(\), which needs no network"):
        datasets.fetch_training_set(lister=lambda: items, **QUICK)


def test_without_astroquery_it_says_what_to_do(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "astroquery.mast", None)
    with pytest.raises(DataError, match=r"drizzlewb\[archive\].*training_set\(\)"):
        datasets.fetch_training_set()


def test_the_answer_of_astroquery_is_understood(monkeypatch):
    import types

    rows = [
        {"productFilename": name, "dataURI": f"mast:HST/product/{name}", "size": 7}
        for name in ("j8ny01svq_flc.fits", "j8ny01svq_flc.fits", "j8ny01svq_raw.fits")
    ]
    asked = {}

    class Observations:
        @staticmethod
        def query_criteria(**criteria):
            asked.update(criteria)
            return ["observation"]

        @staticmethod
        def get_product_list(found):
            return rows

    module = types.SimpleNamespace(Observations=Observations)
    monkeypatch.setitem(sys.modules, "astroquery", types.SimpleNamespace(mast=module))
    monkeypatch.setitem(sys.modules, "astroquery.mast", module)
    (item,) = datasets._archive_list()
    assert item.name == "j8ny01svq_flc.fits"
    assert item.url.endswith("uri=mast:HST/product/j8ny01svq_flc.fits")
    assert item.size == 7
    assert asked["proposal_id"] == "9815"
    Observations.get_product_list = staticmethod(lambda found: 1 / 0)
    with pytest.raises(Unreachable, match="could not be asked"):
        datasets._archive_list()
