"""update_inputs: DQ and MDRIZSKY, whole files, nothing else, and refusals before any work."""

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astrodrizzle_peer import run_peer
from astropy.io import fits

import drizzlewb as dw
from drizzlewb.errors import DataError
from drizzlewb.fileio import replaced_when_whole
from drizzlewb.products import fitsparts, inputs_update

QUICK = {"driz_combine": False, "driz_sep_bits": 336}


@pytest.fixture
def files(tiny_set, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    return [shutil.copy(p, folder) for p in sorted(tiny_set.glob("j8ny01*_flc.fits"))[:3]]


def extensions(path, names=None):
    with fits.open(path, memmap=False) as hdus:
        return {(h.name, h.ver): (h.header.copy(), None if h.data is None else h.data.copy()) for h in hdus}


def reduced(files, output, **keywords):
    return dw.reduce(dw.read_exposures(files), output=output, **{**QUICK, **keywords})


def test_flags_and_sky_and_nothing_else(files, tmp_path):
    before = [extensions(path) for path in files]
    product = reduced(files, tmp_path / "u", update_inputs=True)
    assert product.record["results"]["updated_inputs"] == [os.path.basename(p) for p in files]
    skies = [entry["subtracted_e"] for entry in product.record["results"]["sky"]]
    number = 0
    for path, old in zip(files, before, strict=True):
        with fits.open(path) as hdus:
            hdus.verify("exception")
        new = extensions(path)
        assert list(new) == list(old)
        for key, (header, data) in new.items():
            name, version = key
            if name == "DQ":
                mask = product.crmask[os.path.basename(path)[:9], version]
                assert (mask == 0).sum() > 100
                np.testing.assert_array_equal(data, np.where(mask == 0, old[key][1] | 4096, old[key][1]))
            elif data is not None:
                assert data.tobytes() == old[key][1].tobytes()
            if name == "SCI":
                assert header.pop("MDRIZSKY") == pytest.approx(skies[number])
                number += 1
            assert header.tostring() == old[key][0].tostring()
        assert not [p for p in os.listdir(os.path.dirname(path)) if p.endswith(".part")]


def test_as_the_peer_updates_its_inputs(tiny_set, files, tmp_path):
    pytest.importorskip("drizzlepac", reason="the peer is not installed (extra 'peers')")
    keywords = {"driz_sep_bits": 336, "final_bits": 336, "skymethod": "localmin", "combine_type": "minmed"}
    folder = tmp_path / "peer"
    folder.mkdir()
    originals = sorted(tiny_set.glob("j8ny01*_flc.fits"))[:3]
    run_peer(originals, folder, {**keywords, "crbit": 8192})
    reduced(files, tmp_path / "o", update_inputs=True, peer_noise=True, resetbits=0, crbit=8192, **keywords)
    for path in files:
        ours, theirs = extensions(path), extensions(folder / os.path.basename(path))
        for version in (1, 2):
            sky = ours["SCI", version][0]["MDRIZSKY"]
            assert sky == pytest.approx(theirs["SCI", version][0]["MDRIZSKY"], rel=1e-5)
            assert (ours["DQ", version][1] != theirs["DQ", version][1]).mean() <= 1e-4


def test_by_default_and_with_update_off_inputs_stay(files, tmp_path):
    before = [(Path(p).read_bytes(), os.stat(p).st_mtime_ns) for p in files]
    reduced(files, tmp_path / "a", driz_cr_corr=True, crbit=4096)
    assert [(Path(p).read_bytes(), os.stat(p).st_mtime_ns) for p in files] == before


def test_flags_of_an_earlier_run_are_replaced(files, tmp_path):
    reduced(files, tmp_path / "a", update_inputs=True)
    first = extensions(files[0])["DQ", 1][1]
    # Laxer thresholds: flags that are no more found go; those of others stay.
    second_run = reduced(files, tmp_path / "b", update_inputs=True, driz_cr_snr="8 7")
    second = extensions(files[0])["DQ", 1][1]
    mask = second_run.crmask["j8ny01svq", 1]
    np.testing.assert_array_equal((second & 4096) != 0, mask == 0)
    assert ((first & 4096) != 0).sum() > (mask == 0).sum()
    np.testing.assert_array_equal(first & ~4096, second & ~4096)
    # resetbits=0: they are in use, and stay.
    reduced(files, tmp_path / "c", update_inputs=True, resetbits=0)
    third = extensions(files[0])["DQ", 1][1]
    assert ((second & ~third) == 0).all()


def test_a_file_that_needs_no_change_is_not_written(files, tmp_path):
    reduced(files, tmp_path / "a", update_inputs=True)
    before = [os.stat(p).st_mtime_ns for p in files]
    product = reduced(files, tmp_path / "b", update_inputs=True)
    assert product.record["results"]["updated_inputs"] == []
    assert [os.stat(p).st_mtime_ns for p in files] == before


def test_sky_that_was_not_measured(files, tmp_path):
    fits.setval(files[0], "MDRIZSKY", ext=("SCI", 1), value=17.5)
    reduced(files, tmp_path / "a", update_inputs=True, skysub=False, driz_cr=False)
    assert [extensions(files[0])["SCI", k][0]["MDRIZSKY"] for k in (1, 2)] == [17.5, 0.0]
    assert (extensions(files[0])["DQ", 1][1] & 4096 == 0).all()


def test_sky_is_in_the_unit_of_the_file(files, tmp_path):
    for path in files:
        for version in (1, 2):
            fits.setval(path, "BUNIT", ext=("SCI", version), value="COUNTS")
    product = reduced(files, tmp_path / "a", update_inputs=True, driz_cr=False)
    gain = product.reduction.exposures[0].chips[0].gain
    assert gain > 1.5
    found = extensions(files[0])["SCI", 1][0]["MDRIZSKY"]
    assert found == pytest.approx(product.record["results"]["sky"][0]["subtracted_e"] / gain)


def test_links_are_followed_and_modes_kept(files, tmp_path):
    links = []
    for path in files:
        os.chmod(path, 0o640)
        links.append(str(tmp_path / os.path.basename(path)))
        os.symlink(path, links[-1])
    reduced(links, tmp_path / "a", update_inputs=True)
    assert all(os.path.islink(link) for link in links)
    assert "MDRIZSKY" in extensions(files[0])["SCI", 1][0]
    assert os.stat(files[0]).st_mode & 0o777 == 0o640


@pytest.mark.parametrize("crash", ["write", "rename"])
def test_killed_in_the_middle(files, tmp_path, monkeypatch, crash):
    before = [Path(p).read_bytes() for p in files]

    def fail(*_):
        raise OSError(28, "No space left on device")

    if crash == "write":
        monkeypatch.setattr(fitsparts, "_write", fail)
    else:
        monkeypatch.setattr(replaced_when_whole.__globals__["os"], "replace", _second(os.replace, fail))
    said = "No space left.*Inputs updated before it: none. The product is complete"
    with pytest.raises(DataError, match=said):
        reduced(files, tmp_path / "a", update_inputs=True)
    assert [Path(p).read_bytes() for p in files] == before
    assert sorted(os.listdir(os.path.dirname(files[0]))) == [os.path.basename(p) for p in files]


def _second(real, fail):
    """os.replace, which fails for inputs only."""

    def replace(source, target):
        return fail() if str(target).endswith("_flc.fits") else real(source, target)

    return replace


def test_compressed_and_read_only_inputs_are_refused_before_any_work(files, tmp_path, monkeypatch):
    monkeypatch.setattr("drizzlewb.reduction.engine.run_prepass", None)  # work would fail
    packed = files[1] + ".gz"
    with open(files[1], "rb") as stream, open(packed, "wb") as out:
        out.write(gzip.compress(stream.read(), 1))
    with pytest.raises(DataError, match=r"szq_flc\.fits\.gz, which is compressed. Unpack it \(gunzip\)"):
        reduced([files[0], packed], tmp_path / "a", update_inputs=True)
    os.chmod(files[2], 0o440)
    with pytest.raises(DataError, match="is read-only"):
        reduced(files, tmp_path / "a", update_inputs=True)
    assert not [p for p in os.listdir(tmp_path) if p.startswith("a")]


def test_a_file_without_flags_is_refused(files, tmp_path):
    for path in files:
        with fits.open(path, mode="update") as hdus:
            del hdus["DQ", 2]
    with pytest.raises(DataError, match=r"but .*\[SCI,2\] has none.*set crbit=0"):
        reduced(files, tmp_path / "a", update_inputs=True)
    reduced(files, tmp_path / "a", update_inputs=True, crbit=0)
    assert "MDRIZSKY" in extensions(files[0])["SCI", 2][0]


def test_a_full_disk_is_refused(files, tmp_path, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(inputs_update.shutil, "disk_usage", lambda _: Usage)
    exposures = dw.read_exposures(files)
    from drizzlewb.parameters import ReduceParameters

    with pytest.raises(DataError, match=r"needs 1 MB and the disk has 0 MB left"):
        inputs_update.check_inputs(exposures, ReduceParameters())


def test_a_file_that_changed_meanwhile_is_left_alone(files):
    exposures = dw.read_exposures(files)
    fits.setval(files[1], "TARGNAME", value="OTHER")
    before = [Path(p).read_bytes() for p in files]
    with pytest.raises(DataError, match="was changed since it was read"):
        inputs_update.update_inputs(exposures, [1.0] * 6, None, 4096)
    assert [Path(p).read_bytes() for p in files] == before


def test_flag_arrays_of_one_constant_are_written_out(files):
    """STScI's null-data extensions: a DQ of PIXVALUE 0 has no array until there is a flag."""
    with fits.open(files[0]) as hdus:
        parts = [hdus[0].copy()]
        for hdu in hdus[1:]:
            if hdu.name == "DQ":
                header = hdu.header.copy()
                header["NPIX1"], header["NPIX2"], header["PIXVALUE"] = 256, 128, 0
                hdu = fits.ImageHDU(header=header, name="DQ", ver=hdu.ver)
            parts.append(hdu.copy())
        fits.HDUList(parts).writeto(files[0], overwrite=True)
    exposures = dw.read_exposures(files[:1])
    mask = np.ones((128, 256), np.uint8)
    mask[5, 7] = 0
    done = inputs_update.update_inputs(exposures, [3.0, 4.0], lambda n: mask if n else mask | 1, 16384)
    assert done == [files[0]]
    with fits.open(files[0]) as hdus:
        hdus.verify("exception")
        assert hdus["DQ", 1].data is None
        assert hdus["DQ", 2].data.sum() == hdus["DQ", 2].data[5, 7] == 16384
        assert (hdus["SCI", 1].header["MDRIZSKY"], hdus["SCI", 2].header["MDRIZSKY"]) == (3.0, 4.0)
    again = dw.read_exposures(files[:1])[0].chips[1]
    assert again.read_dq((5, 6, 7, 8))[0, 0] == 16384


@pytest.mark.parametrize("bzero", [0, 32768])
def test_the_highest_bit(files, bzero):
    if bzero:
        with fits.open(files[0], mode="update") as hdus:
            hdus["DQ", 1].data = hdus["DQ", 1].data.astype(np.uint16)
    mask = np.ones((128, 256), np.uint8)
    mask[0, :3] = 0
    exposures = dw.read_exposures(files[:1])
    inputs_update.update_inputs(exposures, [None, None], lambda _: mask, 32768)
    words = dw.read_exposures(files[:1])[0].chips[0].read_dq((0, 128, 0, 256))
    np.testing.assert_array_equal((words & 32768) != 0, mask == 0)


def test_wrong_checksums_are_left_out(files):
    with fits.open(files[0]) as hdus:
        hdus.writeto(files[1], overwrite=True, checksum=True)
    exposures = dw.read_exposures(files[1])
    inputs_update.update_inputs(exposures, [1.0, 2.0], lambda _: np.zeros((128, 256), np.uint8), 4096)
    with fits.open(files[1], checksum=True) as hdus:  # a wrong one would warn, and fail here
        hdus.verify("exception")
        assert "CHECKSUM" not in hdus["SCI", 1].header
        assert "CHECKSUM" in hdus["ERR", 1].header
