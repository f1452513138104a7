"""The command line: bad input gives exit 2, one sentence, and nothing written."""

import gzip
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from astropy.io import fits
from factory import tan_cards, write

from drizzlewb.cli import main


@pytest.fixture
def flc(tiny_set):
    return str(tiny_set / "j8ny01svq_flc.fits")


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def refused(capsys, out, *arguments):
    """Exit status 2, one sentence on standard error, nothing written: the sentence."""
    assert main([*map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    message = captured.err.strip().splitlines()
    sentence = [line for line in message if line.startswith("drizzlewb: ")]
    assert len(sentence) == 1, captured.err
    assert list(out.iterdir()) == []
    return sentence[0]


def reduce(*files, out, settings=()):
    extra = [word for setting in settings for word in ("--set", setting)]
    return ["reduce", *files, "--output", out / "p", "--quiet", *extra]


def edited(source, path, change):
    """A copy of an exposure with something wrong in it."""
    with fits.open(source) as hdus:
        change(hdus)
        hdus.writeto(path)
    return path


def set_dq(value):
    def change(hdus):
        for hdu in hdus:
            if hdu.name == "DQ":
                hdu.data[:] = value

    return change


def set_sci(value):
    def change(hdus):
        for hdu in hdus:
            if hdu.name == "SCI":
                hdu.data[:] = value

    return change


def remove(name):
    def change(hdus):
        for index in reversed(range(len(hdus))):
            if hdus[index].name == name:
                del hdus[index]

    return change


def set_primary(**cards):
    def change(hdus):
        hdus[0].header.update(cards)

    return change


def set_sci_cards(**cards):
    def change(hdus):
        for hdu in hdus:
            if hdu.name == "SCI":
                hdu.header.update(cards)

    return change


def drop_wcs(hdus):
    for hdu in hdus:
        if hdu.name == "SCI":
            for keyword in ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2"):
                hdu.header.remove(keyword, ignore_missing=True)


def halve_dq(hdus):
    for hdu in hdus:
        if hdu.name == "DQ":
            hdu.data = hdu.data[:50]


def move_away(hdus):
    for hdu in hdus:
        if hdu.name == "SCI":
            hdu.header["CRVAL2"] -= 40.0


def test_missing_file(capsys, out):
    assert "no_such_flc.fits" in refused(capsys, out, *reduce("no_such_flc.fits", out=out))


def test_not_fits(capsys, out, tmp_path):
    path = tmp_path / "notes_flc.fits"
    path.write_text("this is a letter, not an image\n" * 200)
    assert "FITS" in refused(capsys, out, *reduce(path, out=out))


def test_truncated(capsys, out, tmp_path, flc):
    path = tmp_path / "short_flc.fits"
    with open(flc, "rb") as stream:
        path.write_bytes(stream.read(200_000))
    message = refused(capsys, out, *reduce(path, out=out))
    assert "200000" in message.replace(",", "")


def test_truncated_gzip(capsys, out, tmp_path, flc):
    path = tmp_path / "short_flc.fits.gz"
    with open(flc, "rb") as stream:
        path.write_bytes(gzip.compress(stream.read())[:50_000])
    assert path.name in refused(capsys, out, *reduce(path, out=out))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove("SCI"), "SCI"),
        (halve_dq, "DQ"),
        (drop_wcs, "WCS"),
        (set_primary(TELESCOP="JWST", INSTRUME="NIRFLAKE", DETECTOR="X"), "NIRFLAKE"),
        (set_primary(EXPTIME=0.0), "EXPTIME"),
        (set_primary(EXPTIME=-3.0), "EXPTIME"),
        (set_dq(4), "no usable pixel"),
        (set_sci(np.nan), "no usable pixel"),
    ],
    ids=["no SCI", "SCI and DQ differ", "no WCS", "unknown instrument", "zero EXPTIME", "negative EXPTIME",
         "all pixels bad", "all NaN"],
)  # fmt: skip
def test_bad_files(capsys, out, tmp_path, flc, change, words):
    if words == "NIRFLAKE":  # a generic detector needs a celestial WCS; this one has none
        original = change

        def change(hdus):
            original(hdus)
            drop_wcs(hdus)

        words = "WCS"
    path = edited(flc, tmp_path / "bad_flc.fits", change)
    before = path.read_bytes()
    assert words in refused(capsys, out, *reduce(path, out=out))
    assert path.read_bytes() == before


def test_mixed_units(capsys, out, tmp_path, flc):
    path = edited(flc, tmp_path / "other_flc.fits", set_sci_cards(BUNIT="ELECTRONS/S"))
    assert "units" in refused(capsys, out, *reduce(flc, path, out=out))


def test_flc_with_flt(capsys, out, tmp_path, flc):
    path = edited(flc, tmp_path / "j8ny01szq_flt.fits", lambda hdus: None)
    assert "FLT" in refused(capsys, out, *reduce(flc, path, out=out)).upper()


def test_exposures_that_do_not_overlap(capsys, out, tmp_path, flc):
    path = edited(flc, tmp_path / "j8ny09far_flc.fits", move_away)
    message = refused(capsys, out, *reduce(flc, path, out=out))
    assert "sky" in message or "overlap" in message


def test_a_grid_too_large_for_the_disk(capsys, out, flc):
    message = refused(
        capsys, out,
        *reduce(flc, out=out, settings=["final_wcs=True", "final_outnx=900000", "final_outny=900000"]),
    )  # fmt: skip
    assert "GB" in message


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("final_pixfrak=0.5", "final_pixfrac"),
        ("final_pixfrac=7", "at most 1"),
        ("final_kernel=tophat", "tophat"),
        ("driz_cr_snr=3.5", "two"),
        ("final_bits=-16", "~16"),
        ("median=False", "driz_cr"),
    ],
)
def test_bad_parameters(capsys, out, flc, setting, words):
    assert words in refused(capsys, out, *reduce(flc, out=out, settings=[setting]))


def test_a_missing_folder(capsys, out, flc):
    assert "does not exist" in refused(
        capsys, out, "reduce", flc, "--output", out / "absent" / "p", "--quiet"
    )


def test_a_malformed_setting_is_a_bad_argument(capsys, flc):
    with pytest.raises(SystemExit) as stop:
        main(["reduce", flc, "--output", "p", "--set", "final_pixfrac"])
    assert stop.value.code == 2


def test_an_existing_product_is_kept_unless_told(capsys, out, flc):
    arguments = [*map(str, reduce(flc, out=out, settings=["driz_cr=False"]))]
    assert main(arguments) == 0
    before = (out / "p_drc.fits").read_bytes()
    assert main(arguments) == 2
    assert "--replace" in capsys.readouterr().err
    assert (out / "p_drc.fits").read_bytes() == before
    assert main([*arguments, "--replace"]) == 0


def test_summary(capsys, out, flc):
    assert main(["reduce", flc, "--output", str(out / "s"), "--set", "driz_cr=False"]) == 0
    text = capsys.readouterr().out
    for words in ("s_drc.fits", "ELECTRONS/S", "j8ny01svq", "Sky", "Weight", "Seconds", "MB at most"):
        assert words in text


def test_parameters_from_a_record(capsys, out, flc):
    assert main([*map(str, reduce(flc, out=out, settings=["driz_cr=False", "final_pixfrac=0.7"]))]) == 0
    again = ["reduce", flc, "--output", str(out / "again"), "--params", str(out / "p_record.json"), "--quiet"]
    assert main(again) == 0
    with fits.open(out / "p_drc.fits") as one, fits.open(out / "again_drc.fits") as two:
        np.testing.assert_array_equal(one["SCI"].data, two["SCI"].data)
        assert two[0].header["D001PIXF"] == 0.7


def test_an_interrupted_run_exits_130_and_leaves_nothing(tiny_set, out):
    code = "import sys; from drizzlewb.cli import main; sys.exit(main())"
    files = [str(p) for p in sorted(tiny_set.glob("j8ny01*_flc.fits"))]
    arguments = [sys.executable, "-c", code, "reduce", *files, "--output", str(out / "i"), "--threads", "1"]
    # A fine grid, so that the run is still going when the signal comes.
    arguments += ["--set", "final_wcs=True", "--set", "final_scale=0.004"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(out.glob("i_drc.fits.part")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert "nothing half-written" in error
    assert list(out.iterdir()) == []


def test_generic_images_can_be_drizzled(tmp_path, out):
    rng = np.random.default_rng(3)
    path = tmp_path / "plain.fits"
    header = fits.Header({**tan_cards((60, 80), 0.05), "EXPTIME": 100.0, "BUNIT": "ELECTRONS"})
    fits.PrimaryHDU(rng.normal(50, 3, (60, 80)).astype(np.float32), header).writeto(path)
    assert main(["reduce", str(path), "--output", str(out / "g"), "--quiet", "--set", "driz_cr=False"]) == 0
    with fits.open(out / "g_drz.fits") as hdus:
        assert abs(np.nanmedian(hdus["SCI"].data)) < 0.1


def test_a_synthetic_file_of_the_factory(tmp_path, out):
    path = write(tmp_path / "j8zz01abq_flt.fits", "ACS/HRC")
    assert main(["reduce", str(path), "--output", str(out / "h"), "--quiet", "--set", "driz_cr=False"]) == 0
