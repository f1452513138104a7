import io
import json
import zipfile

import pytest
from astropy.io import fits

pytest.importorskip("bqplot_image_gl", reason="the lab extra is absent")

from drizzlewb.errors import DataError
from drizzlewb.session import Session
from drizzlewb.training.grade import grade
from drizzlewb.views.bundle import write_bundle
from drizzlewb.views.product_figures import product_figures


@pytest.fixture(scope="module")
def bundle(reduced_session, tmp_path_factory):
    return write_bundle(reduced_session, tmp_path_factory.mktemp("out") / "mine.zip", products=True)


def test_everything_that_a_trainer_wants_is_in_it(bundle, reduced_session):
    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert names == sorted(names, key=lambda n: n.split("/"))
        for name in (
            "README.txt", "session.json", "shifts.txt", "shifts_wcs.fits", "tweakreg.log", "tweakreg.ecsv",
            "F606W_record.json", "F606W_drc.fits", "F606W.reg", "headers/F606W.txt", "statistics.json",
            "parameters/F606W/F606W_drizzlepac.py", "parameters/F814W/F814W.json",
            "figures/hist2d_j8ny01szq.png", "figures/vector_j8ny01szq.png", "figures/residuals_j8ny01szq.png",
            "figures/picture_F606W.png", "figures/weight_F606W.png", "figures/histogram_F606W.png",
            "figures/sky_F606W.png", "figures/crfraction_F606W.png",
        ):  # fmt: skip
            assert name in names, name
        assert all(archive.read(n)[:4] == b"\x89PNG" for n in names if n.endswith(".png"))
        assert "Product F814W is not there" in archive.read("README.txt").decode()
        numbers = json.loads(archive.read("statistics.json"))["F606W"]
        product = reduced_session.result("F606W")
        assert numbers["wht"]["max"] == float(product.wht.max())
        assert numbers["crfraction"] == product.record["results"]["crfraction"]
        header = archive.read("headers/F606W.txt").decode()
        assert "NDRIZIM =" in header
        assert "SCI" in header
        assert archive.read("F606W_drc.fits") == product.path.read_bytes()
        with fits.open(io.BytesIO(archive.read("shifts_wcs.fits"))) as hdus:
            assert hdus[1].header["NPIX1"] > 0


def test_unpacked_with_its_products_it_can_be_graded_and_opened(bundle, reduced_session, tiny_set, tmp_path):
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path)
    again = Session.open(tmp_path / "session.json", folder=tiny_set)
    assert again.state == reduced_session.state
    exposures = [again.derived.final_exposure(e.rootname) for e in again.exposures]
    result = grade(tmp_path, tiny_set, exposures=exposures)
    words = {(row.part, row.name): row.verdict for row in result.rows}
    assert words["2 basic", "product"] == "pass"
    assert words["1 alignment", "log"] in ("pass", "fail")  # it names three of twelve exposures
    assert words["1 alignment", "j8ny01szq"] in ("good", "pass")


def test_the_same_session_gives_the_same_bytes_without_products(reduced_session, tmp_path, monkeypatch):
    monkeypatch.setattr("drizzlewb.views.bundle.alignment_figures", lambda solution: {})
    one, two = (write_bundle(reduced_session, tmp_path / f"{k}.zip") for k in "ab")
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert "F606W_drc.fits" not in archive.namelist()
        assert "F606W_record.json" in archive.namelist()


def test_exposures_come_along_on_request(reduced_session, tiny_set, tmp_path, monkeypatch):
    monkeypatch.setattr("drizzlewb.views.bundle.alignment_figures", lambda solution: {})
    path = write_bundle(reduced_session, tmp_path / "with", exposures=True)
    assert path.name == "with.zip"
    with zipfile.ZipFile(path) as archive:
        taken = archive.read("j8ny01svq_flc.fits")
    assert taken == (tiny_set / "j8ny01svq_flc.fits").read_bytes()


def test_nothing_is_replaced_and_nothing_half_is_left(reduced_session, tmp_path, monkeypatch):
    path = tmp_path / "bundle.zip"
    path.write_text("mine")
    with pytest.raises(DataError, match="exists already and was left alone"):
        write_bundle(reduced_session, path)
    with pytest.raises(DataError, match="does not exist; make it first"):
        write_bundle(reduced_session, tmp_path / "absent" / "bundle.zip")
    with pytest.raises(DataError, match="load exposures first"):
        write_bundle(Session(), tmp_path / "other.zip")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("drizzlewb.views.bundle.alignment_figures", lambda solution: {})
    monkeypatch.setattr("drizzlewb.views.bundle.shutil.copyfileobj", full)
    with pytest.raises(DataError, match="No space left"):
        write_bundle(reduced_session, path, replace=True)
    assert path.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["bundle.zip"]


def test_a_session_that_has_made_nothing_gives_parameters_and_says_the_rest(tiny_set, tmp_path):
    session = Session(str(tiny_set / "j8ny01svq_flc.fits"))
    with zipfile.ZipFile(write_bundle(session, tmp_path / "b.zip")) as archive:
        told = archive.read("README.txt").decode()
        assert "parameters/F606W/F606W.json" in archive.namelist()
        assert "figures/" not in " ".join(archive.namelist())
    assert "There is no alignment" in told
    assert "Product F606W is not there" in told


def test_figures_of_a_product_have_titles_and_axes_with_units(reduced_session):
    figures = product_figures(reduced_session.result("F606W"), "F606W")
    assert list(figures) == [
        "picture_F606W", "weight_F606W", "histogram_F606W", "sky_F606W", "crfraction_F606W"
    ]  # fmt: skip
    for figure in figures.values():
        (axes,) = figure.axes
        assert "F606W" in axes.get_title()
        assert axes.get_ylabel()
    heights = [bar.get_height() for bar in figures["crfraction_F606W"].axes[0].patches]
    told = reduced_session.result("F606W").record["results"]["crfraction"]
    assert heights == pytest.approx([100 * v for v in told.values()])
