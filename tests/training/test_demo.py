"""The demonstration as a new user runs it: one command, a folder of results."""

import json

from astropy.io import fits

from drizzlewb.cli import main


def test_the_demonstration_on_the_tiny_set(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DRIZZLEWB_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    assert main(["demo", "--size", "tiny", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    for name in ("F606W_basic", "F606W_opt", "F814W_opt"):
        assert f"{name}_drc.fits" in text
        with fits.open(out / f"{name}_drc.fits") as hdus:
            assert hdus[0].header["NDRIZIM"] == 12
    with fits.open(out / "F606W_opt_drc.fits") as one, fits.open(out / "F814W_opt_drc.fits") as two:
        assert one["SCI"].data.shape == two["SCI"].data.shape
        assert one["SCI"].header["CRVAL1"] == two["SCI"].header["CRVAL1"]
    rows = {(row["part"], row["name"]): row for row in json.loads((out / "grade.json").read_text())["rows"]}
    # Ten pixels off before; TweakReg leaves 0.004 to 0.005 px on such frames.
    assert rows["1 alignment", "all exposures"]["value"] < 0.01
    assert rows["4 second filter", "same grid"]["verdict"] == "pass"
    page = (out / "report.html").read_text()
    assert "<img" in page
    assert "http://" not in page
    assert "https://" not in page  # it opens without a network
    assert (out / "shifts.txt").is_file()
