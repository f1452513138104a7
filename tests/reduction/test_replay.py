"""Replay: the same product bit for bit, or which input differs and how."""

import copy
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from drizzlewb import read_exposures
from drizzlewb.distortion import replace_tan
from drizzlewb.errors import DataError, ParameterError
from drizzlewb.exposure import DRAWN_FLAG, Drawn
from drizzlewb.reduction import Reduction, reduce
from drizzlewb.reduction.plan import final_grid
from drizzlewb.reduction.record import grid_of_record
from drizzlewb.reduction.replay import load_record, replay

KEYWORDS = {
    "skymethod": "match",
    "final_wcs": True,
    "final_rot": 10.0,
    "final_scale": 0.05,
    "final_pixfrac": 0.7,
    "driz_sep_bits": 336,
    "final_bits": 336,
}


def shas(path):
    """SHA-256 of the arrays SCI, WHT and CTX as stored."""
    import hashlib

    with fits.open(path, memmap=False) as hdus:
        return [hashlib.sha256(hdus[name].data.tobytes()).hexdigest() for name in ("SCI", "WHT", "CTX")]


@pytest.fixture(scope="module")
def three(tiny_set, tmp_path_factory):
    """Copies of three files, with exposures that carry another WCS in memory and a drawn mask."""
    folder = tmp_path_factory.mktemp("inputs")
    for path in sorted(tiny_set.glob("j8ny01*_flc.fits"))[:3]:
        shutil.copy(path, folder)
    exposures = []
    for k, e in enumerate(read_exposures(str(folder / "*_flc.fits"))):
        moved = [replace_tan(c.wcs, c.wcs.crval + 1e-7 * k / 3, c.wcs.cd * (1 + k * 1e-6)) for c in e.chips]
        exposures.append(e.with_wcs(moved, wcsname="TWEAKED"))
    mask = Drawn(exposures[1].rootname, "line", ((10, 5), (200, 100)), size=4, extver=2)
    exposures[1] = exposures[1].with_drawn([mask])
    return folder, exposures


@pytest.fixture(scope="module")
def product(three, tmp_path_factory):
    folder, exposures = three
    out = tmp_path_factory.mktemp("out")
    decisions = {"alignment": {"accepted": [e.rootname for e in exposures]}}
    return reduce(exposures, output=out / "first", decisions=decisions, threads=2, **KEYWORDS)


@pytest.fixture
def record(product):
    return copy.deepcopy(product.record)


def test_the_same_product_again(three, product, tmp_path, caplog):
    """From the files alone: the WCS in memory and the drawn mask come from the record."""
    folder, _ = three
    caplog.set_level(logging.INFO)
    fresh = read_exposures(str(folder / "*_flc.fits"))[::-1]  # in any order
    again = replay(product.paths[-1], fresh, output=tmp_path / "again", threads=1)
    assert shas(again.path) == shas(product.path)
    assert "carries the WCS 'IDC" in caplog.text
    assert "'TWEAKED' of the record is used" in caplog.text
    masks = [c["drawn"] for e in again.record["inputs"] for c in e["chips"] if "drawn" in c]
    assert len(masks) == 1
    for name in ("inputs", "parameters", "grids", "decisions", "versions"):
        assert again.record[name] == product.record[name]


def test_from_the_product_itself_and_from_its_folder(three, product, tmp_path):
    folder, _ = three
    shutil.copy(product.paths[-1], folder / "x_record.json")
    again = replay(folder / "x_record.json", output=tmp_path / "one")
    assert shas(again.path) == shas(product.path)
    assert load_record(product.path)["inputs"] == product.record["inputs"]
    with pytest.raises(DataError, match="exists"):
        replay(product.path, str(folder / "*_flc.fits"), output=tmp_path / "one")


def test_the_mask_did_something(three, product):
    folder, exposures = three
    number = 3  # second chip of the second exposure
    mask = product.reduction.chips[number]
    box = (0, *mask.chip.shape[:1], 0, mask.chip.shape[1])
    words = mask.chip.read_dq(box)
    assert 500 < np.count_nonzero(words & DRAWN_FLAG) < 3000
    assert exposures[1].chips[1].drawn


def test_a_grid_comes_back_exactly(three, record):
    _, exposures = three
    reduction_grid = grid_of_record(record["grids"]["final"])
    parameters = Reduction(exposures, load_parameters(record)).parameters
    assert reduction_grid.digest() == final_grid(exposures, parameters).digest()
    through_json = json.loads(json.dumps(record["grids"]["final"]))
    assert grid_of_record(through_json).digest() == reduction_grid.digest()


def load_parameters(record):
    from drizzlewb.parameters.exchange import from_dict

    return from_dict(record["parameters"]).reduce


@pytest.fixture
def changed(three, tmp_path):
    """The three files in a folder of their own, to be spoiled."""
    folder, _ = three
    return [Path(shutil.copy(p, tmp_path)) for p in sorted(folder.glob("*_flc.fits"))]


def spoil_pixels(path):
    with fits.open(path, mode="update") as hdus:
        hdus["SCI", 1].data[3, 4] += 1


def spoil_exptime(path):
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["EXPTIME"] = 17.0


def spoil_distortion(path):
    with fits.open(path, mode="update") as hdus:
        hdus["SCI", 2].header["A_2_0"] += 1e-9


def lengthen(path):
    with fits.open(path, mode="update") as hdus:
        for k in range(200):
            hdus[0].header[f"EXTRA{k}"] = k
        hdus["SCI", 1].data[3, 4] += 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_pixels, r"the pixels \(SCI, DQ\) of {name} are others: SHA-256"),
        (spoil_exptime, r"{name}\[SCI,1\] has exptime 17 and had"),
        (spoil_distortion, r"the distortion of {name}\[SCI,2\] is another one"),
        (lengthen, r"the pixels .* of {name} are others.*; {name} has \d+ bytes and had \d+"),
    ],
)
def test_it_says_which_input_differs_and_how(changed, record, tmp_path, spoil, said, caplog):
    spoil(changed[1])
    with pytest.raises(DataError, match=said.format(name=changed[1].name)) as caught:
        replay(record, read_exposures(changed), output=tmp_path / "again")
    assert changed[0].name not in str(caught.value)
    assert "go_on=True" in str(caught.value)
    assert not list(tmp_path.glob("again*"))


def test_going_on(changed, record, product, tmp_path, caplog):
    spoil_pixels(changed[1])
    record["versions"]["numpy"] = "0.1"
    again = replay(record, read_exposures(changed), output=tmp_path / "again", go_on=True)
    assert shas(again.path) != shas(product.path)
    assert "the pixels (SCI, DQ)" in caplog.text
    assert "and was 0.1" in caplog.text


def test_another_wcs_in_the_files_is_no_difference(changed, record, product, tmp_path):
    with fits.open(changed[0], mode="update") as hdus:
        hdus["SCI", 1].header["CRVAL1"] += 1e-5
    again = replay(record, read_exposures(changed), output=tmp_path / "again")
    assert shas(again.path) == shas(product.path)


def test_a_missing_input(three, record, tmp_path):
    _, exposures = three
    with pytest.raises(DataError, match=f"{exposures[2].rootname}.*is not among the exposures"):
        replay(record, exposures[:2], output=tmp_path / "again")


def test_a_reference_image_is_not_needed(three, product, tmp_path):
    """The record holds the grid itself."""
    folder, exposures = three
    shutil.copy(product.path, tmp_path / "ref_drc.fits")
    keywords = {"final_refimage": str(tmp_path / "ref_drc.fits"), "final_pixfrac": 0.9, "skymethod": "match"}
    other = reduce(exposures[:2], output=tmp_path / "other", **keywords)
    (tmp_path / "ref_drc.fits").unlink()
    again = replay(other.record, exposures, output=tmp_path / "again")
    assert shas(again.path) == shas(other.path)


@pytest.mark.parametrize(
    ("spoil", "kind", "sentence"),
    [
        (lambda r: r.update(schema=99), ParameterError, "schema 99.*update drizzlewb"),
        (lambda r: r.update(schema=True), DataError, "no|not a version number"),
        (lambda r: r.update(kind="x"), DataError, "no record of a product"),
        (lambda r: r.pop("inputs"), DataError, "damaged"),
        (lambda r: r["inputs"][0].update(name="../../etc/passwd"), DataError, "damaged"),
        (lambda r: r["inputs"][0]["chips"][0].update(crval=[1, "x"]), DataError, "damaged"),
        (lambda r: r["inputs"][0]["chips"][0].update(cd=None), DataError, "damaged"),
        (lambda r: r["grids"]["final"].update(shape=[0, 5]), DataError, "damaged"),
        (lambda r: r["grids"].pop("separate"), DataError, "damaged"),
        (lambda r: r["parameters"]["astrodrizzle"].update(final_pixfrak=1), ParameterError, "final_pixfrac"),
    ],
)
def test_damaged_records(record, three, spoil, kind, sentence, tmp_path):
    spoil(record)
    path = tmp_path / "r_record.json"
    path.write_text(json.dumps(record))
    for source in (record, path):
        with pytest.raises(kind, match=sentence):
            replay(source, three[1], output=tmp_path / "again")


def test_no_record_at_all(tmp_path, three):
    path = tmp_path / "r_record.json"
    path.write_text("eval('1')")
    with pytest.raises(DataError, match="no record: .*not JSON"):
        replay(path, three[1])
    with pytest.raises(DataError, match="cannot be read"):
        replay(tmp_path / "none.json", three[1])
    with pytest.raises(DataError, match="RECORD"):
        replay(three[1][0].path, three[1])


@pytest.mark.long
def test_the_small_set(tmp_path):
    from drizzlewb.training.simulate import simulate

    simulate(tmp_path / "small", size="small")
    exposures = read_exposures(str(tmp_path / "small" / "j8ny01*_flc.fits"))
    first = reduce(exposures, output=tmp_path / "first", threads=2, **KEYWORDS)
    again = replay(first.path, str(tmp_path / "small" / "*_flc.fits"), output=tmp_path / "again", threads=1)
    assert shas(again.path) == shas(first.path)
