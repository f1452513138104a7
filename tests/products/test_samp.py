"""Sending to DS9, with a hub and a listener in this process."""

import threading

import pytest

from drizzlewb.errors import DataError
from drizzlewb.products import samp

SAMP = samp._module()
if SAMP is None:
    pytest.skip("astropy.samp is gone from this astropy", allow_module_level=True)


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """No hub but those of this test."""
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:file://{tmp_path}/samp-lock")
    return tmp_path


@pytest.fixture
def hub(alone):
    made = SAMP.SAMPHubServer(web_profile=False, lockfile=str(alone / "samp-lock"), addr="127.0.0.1")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def listener(hub):
    client = SAMP.SAMPIntegratedClient("DS9", addr="127.0.0.1")
    client.connect(hub)
    client.got, client.enough = [], threading.Event()

    def hear(private, sender, mtype, parameters, extra):
        client.got.append((mtype, parameters))
        if len(client.got) == 2:
            client.enough.set()

    for kind in ("image.load.fits", "ds9.set"):
        client.bind_receive_notification(kind, hear)
    yield client
    client.disconnect()


def test_without_a_hub_it_is_quietly_absent(alone, tmp_path):
    assert samp.hub_runs() is False
    told = []
    samp.when_hub_runs(told.append).join(10)
    assert told == [False]
    path = tmp_path / "a.reg"
    path.write_text("icrs\n")
    with pytest.raises(DataError, match="No SAMP hub"):
        samp.send_to_ds9(regions=path)


def test_a_damaged_lock_file_is_no_hub(alone):
    (alone / "samp-lock").write_text("nonsense\n\x00")
    assert samp.hub_runs() is False


def test_a_missing_file_is_said_before_anything_else(alone):
    with pytest.raises(DataError, match="is not there"):
        samp.send_to_ds9(image="nowhere.fits")


def test_nobody_listens(hub, tmp_path):
    path = tmp_path / "a.reg"
    path.write_text("icrs\n")
    assert samp.hub_runs()
    with pytest.raises(DataError, match="nobody"):
        samp.send_to_ds9(regions=path)


def test_image_and_regions_arrive(listener, tmp_path):
    image, regions = tmp_path / "a b.fits", tmp_path / "a.reg"
    image.write_bytes(b"")
    regions.write_text("icrs\n")
    assert samp.send_to_ds9(image=image, regions=regions) == ["DS9"]
    assert listener.enough.wait(20)
    got = dict(listener.got)
    assert got["image.load.fits"]["url"] == image.resolve().as_uri()
    assert got["ds9.set"]["cmd"] == f"regions load {{{regions.resolve()}}}"
