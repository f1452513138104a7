"""Alignment of exposures: real pointings, simulated ones with known truth, bad input."""

import numpy as np
import pytest
from factory import write
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import erf

from drizzlewb import distortion
from drizzlewb.errors import Cancelled, DataError
from drizzlewb.exposure.intake import read_exposures
from drizzlewb.grid import output_grid
from drizzlewb.parameters.tweakreg import AlignParameters
from drizzlewb.steps.alignment import align
from drizzlewb.steps.fit import fit_linear
from drizzlewb.steps.ordering import by_overlap, overlaps
from drizzlewb.steps.sources import find_sources
from drizzlewb.steps.user_catalogs import SkyCatalog

SHAPE = (240, 300)
CENTER = (150.1, 2.2)


def parameters(**keywords):
    return AlignParameters.from_keywords({"threshold": 40.0, **keywords})


def sky_of_stars(n=80, seed=0, reach=0.0014):
    rng = np.random.default_rng(seed)
    offsets = rng.uniform(-reach, reach, (n, 2))
    return np.asarray(CENTER) + offsets, 10 ** rng.uniform(4.0, 5.0, n)


def expose(folder, name, pointing=CENTER, error=(0.0, 0.0), stars=None, seed=0, **primary):
    """HRC exposure of the stars at a pointing, whose header is wrong by an error (degrees)."""
    sky, flux = stars if stars is not None else sky_of_stars()
    path = folder / f"{name}_flt.fits"
    cards = {"EXPSTART": 57085.2, **primary}
    write(path, "ACS/HRC", shape=SHAPE, ra=pointing[0], dec=pointing[1], primary=cards)
    wcs = read_exposures(str(path))[0].chips[0].wcs
    x, y = distortion.sky_to_pixel(wcs, *sky.T)
    light = np.full(SHAPE, 100.0)
    inside = (x > -5) & (x < SHAPE[1] + 5) & (y > -5) & (y < SHAPE[0] + 5)
    for a, b, f in zip(x[inside], y[inside], flux[inside], strict=True):
        gx = np.diff(erf((np.arange(SHAPE[1] + 1) - 0.5 - a) / 1.2)) / 2
        gy = np.diff(erf((np.arange(SHAPE[0] + 1) - 0.5 - b) / 1.2)) / 2
        light += f * np.outer(gy, gx)
    image = np.random.default_rng(seed + 10).poisson(light).astype(np.float32)
    wrong = pointing[0] + error[0], pointing[1] + error[1]
    write(path, "ACS/HRC", sci=[image], ra=wrong[0], dec=wrong[1], primary=cards)
    return path


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three dithered exposures; the second and third point 5 px and 9 px away from where they say."""
    folder = tmp_path_factory.mktemp("three")
    px = 0.025 / 3600
    paths = [
        expose(folder, "j8bt05njq", seed=1),
        expose(folder, "j8bt06o6q", (150.1 + 20.3 * px, 2.2), (5 * px, 0), seed=2),
        expose(folder, "j8bt09jcq", (150.1, 2.2 - 11.7 * px), (-4 * px, 8 * px), seed=3),
    ]
    return read_exposures([str(p) for p in paths])


def on_plane(exposure, plane, n=9):
    """Pixels of a grid of n x n points on every chip in the plane."""
    parts = []
    for chip in exposure.chips:
        ny, nx = chip.shape
        y, x = np.meshgrid(np.linspace(0, ny - 1, n), np.linspace(0, nx - 1, n), indexing="ij")
        parts.append(
            np.column_stack(plane.sky_to_pixel(*distortion.pixel_to_sky(chip.wcs, x.ravel(), y.ravel())))
        )
    return np.concatenate(parts)


class TestSolution:
    def test_errors_of_the_headers_come_out(self, three):
        solution = align(three, parameters(fitgeometry="shift"))
        assert solution.reference == "j8bt05njq"
        table = solution.table
        assert list(table["status"]) == ["reference", "aligned", "aligned"]
        length = np.hypot(table["dx"], table["dy"])
        # 0.03 px rms over sqrt(60) stars; the first file's y axis is turned by 30 degrees.
        assert_allclose(length, [0, 5, np.hypot(4, 8)], atol=0.02)
        assert (table["rms_px"] < 0.05).all()
        assert_allclose(table["rms_mas"], table["rms_px"] * 1000 * solution.plane.scale_arcsec)
        assert str(table["dx"].unit) == "pix"
        assert str(table["rms_mas"].unit) == "mas"
        assert set(solution.fits) == {"j8bt06o6q", "j8bt09jcq"}
        assert solution["j8bt06o6q"].fit is solution.fits["j8bt06o6q"]
        with pytest.raises(KeyError, match="was not aligned here"):
            solution["none"]

    def test_stars_fall_on_each_other_afterwards(self, three):
        solution = align(three, parameters())
        again = align(solution.exposures, parameters())
        for name, fit in again.fits.items():
            assert_allclose(fit.shift, 0, atol=1e-3), name
            assert abs(fit.rotation) < 1e-4

    def test_nothing_is_written_and_the_originals_stay(self, three):
        from pathlib import Path

        before = [Path(e.path).read_bytes() for e in three]
        solution = align(three, parameters(wcsname="MINE"))
        assert [Path(e.path).read_bytes() for e in three] == before
        assert solution.originals == tuple(three)
        assert solution.exposures[0] is three[0]
        assert solution.exposures[1].wcsname == "MINE"
        assert three[1].wcsname != "MINE"
        assert_array_equal(solution.exposures[1].chips[0].wcs.crpix, three[1].chips[0].wcs.crpix)

    def test_another_reference(self, three):
        by_name = align(three, parameters(refimage="j8bt06o6q"))
        assert list(by_name.table["status"]) == ["aligned", "reference", "aligned"]
        by_path = align(three[1:], parameters(refimage=three[0].path))
        assert by_path.reference == "j8bt05njq"
        assert list(by_path.table["status"]) == ["aligned", "aligned"]
        in_memory = align(three[1:], parameters(), reference=three[0])
        assert_allclose(in_memory.table["dx"], by_path.table["dx"])

    def test_reference_finding_may_differ(self, three):
        chosen = align(three, parameters(refimage="j8bt05njq", **{"refimagefind.threshold": 300.0}))
        assert len(chosen.alignments[0].sources) < len(chosen.alignments[1].sources)

    def test_switches_of_the_finding_arrive(self, three, monkeypatch):
        """Every one of them, for exposures of the set and for a reference outside it."""
        from drizzlewb.steps import alignment

        seen = []

        def spy(exposure, section, **keywords):
            seen.append((exposure.rootname, section.threshold, keywords))
            return find_sources(exposure, section, **keywords)

        monkeypatch.setattr(alignment, "find_sources", spy)
        keywords = {"noise": "tweakreg", "avoid_saturated": False, "nbright": 60}
        align(
            three[1:],
            parameters(refimage=three[0].path, **{"refimagefind.threshold": 60.0}, **keywords),
        )
        assert [row[:2] for row in seen] == [
            ("j8bt06o6q", 40.0),
            ("j8bt09jcq", 40.0),
            ("j8bt05njq", 60.0),
        ]
        for _, _, given in seen:
            assert {name: given[name] for name in keywords} == keywords

    def test_sources_found_before(self, three):
        first = align(three, parameters())
        sources = [a.sources for a in first.alignments]
        again = align(three, parameters(), sources=sources)
        assert_array_equal(again.table["dx"], first.table["dx"])
        with pytest.raises(DataError, match="2 source lists were given for 3 exposures"):
            align(three, parameters(), sources=sources[:2])

    def test_progress_and_cancel(self, three):
        said = []
        align(three, parameters(), progress=lambda *a: said.append(a))
        assert said[0] == ("sources", 0, 3, "j8bt05njq")
        assert said[-1] == ("align", 2, 2, "")
        with pytest.raises(Cancelled):
            align(three, parameters(), cancelled=lambda: True)

    def test_exclusions(self, three, tmp_path):
        (tmp_path / "left.reg").write_text("image\n-box(75,120,150,240,0)\n")
        listed = tmp_path / "exclusions.txt"
        listed.write_text("j8bt06o6q_flt.fits left.reg\n")
        solution = align(three, parameters(exclusions=str(listed)))
        assert solution["j8bt06o6q"].sources.x.min() > 149
        assert solution["j8bt09jcq"].sources.x.min() < 100

    def test_catfile(self, three, tmp_path):
        found = align(three, parameters())
        lines = []
        for e, a in zip(three, found.alignments, strict=True):
            s = a.sources
            np.savetxt(tmp_path / f"{e.rootname}.coo", np.column_stack([s.x + 1, s.y + 1, s.flux]))
            lines.append(f"{e.rootname}_flt.fits {e.rootname}.coo\n")
        (tmp_path / "cats.list").write_text("".join(lines))
        keywords = {"catfile": str(tmp_path / "cats.list"), "fluxcol": "3"}
        solution = align(three, parameters(**keywords))
        assert_allclose(solution.table["dx"], found.table["dx"], atol=1e-3)
        (tmp_path / "cats.list").write_text(lines[0])
        with pytest.raises(DataError, match="has no line for j8bt06o6q_flt.fits"):
            align(three, parameters(**keywords))


class TestFields:
    """Few stars and crowds of them, in pixels: right or refused."""

    @pytest.mark.parametrize(("n", "finding"), [(17, {}), (600, {"threshold": 15.0})])
    @pytest.mark.parametrize("error_px", [0.0, 10.0, 15.0])
    def test_few_and_many_stars(self, tmp_path, n, finding, error_px):
        stars = sky_of_stars(n, seed=n, reach=0.0007)
        px = 0.025 / 3600
        paths = [
            expose(tmp_path, "first000q", stars=stars, seed=1),
            expose(tmp_path, "second00q", (150.1 + 3.3 * px, 2.2), (0.0, error_px * px), stars, seed=2),
        ]
        solution = align(read_exposures([str(p) for p in paths]), parameters(**finding))
        (_, second) = solution.alignments
        assert second.status == "aligned", second.verdict
        assert_allclose(np.hypot(*second.fit.shift), error_px, atol=6 * second.fit.error_px + 2e-3)
        assert second.fit.nmatch >= 15


class TestBadInput:
    def test_nothing_to_do(self, three):
        with pytest.raises(DataError, match="there are no exposures"):
            align([], parameters())
        with pytest.raises(DataError, match="j8bt05njq is the only exposure"):
            align(three[:1], parameters())
        with pytest.raises(DataError, match="j8bt05njq is given twice"):
            align([three[0], three[0]], parameters())

    def test_identical_images(self, three, tmp_path):
        import shutil

        copy = tmp_path / "copy_flt.fits"
        shutil.copy(three[0].path, copy)
        from astropy.io import fits

        fits.setval(copy, "ROOTNAME", value="copyofit")
        solution = align([three[0], *read_exposures(str(copy))], parameters())
        assert_allclose([solution.table["dx"][1], solution.table["dy"][1]], 0, atol=1e-9)

    def test_disjoint_images(self, three, tmp_path):
        sky, flux = sky_of_stars()
        path = expose(tmp_path, "farawayq", (151.0, 2.9), stars=(sky + [0.9, 0.7], flux))
        far = read_exposures(str(path))
        solution = align([*three, *far], parameters())
        last = solution.alignments[-1]
        assert last.status == "refused"
        assert "does not overlap" in last.verdict.text
        assert solution.exposures[-1] is far[0]
        assert list(solution.table["status"])[:3] == ["reference", "aligned", "aligned"]

    def test_one_frame_without_any_star(self, three, tmp_path):
        empty = read_exposures(str(expose(tmp_path, "nostarsq", stars=(np.empty((0, 2)), np.empty(0)))))
        solution = align([three[0], *empty, three[1]], parameters())
        assert list(solution.table["status"]) == ["reference", "refused", "aligned"]
        assert solution.alignments[1].stage == "sources"
        assert solution.exposures[1] is empty[0]
        assert np.isnan(solution.table["dx"][1])
        with pytest.raises(DataError, match="Reference image nostarsq has no sources"):
            align([*empty, three[0]], parameters())

    def test_a_region_file_with_an_error(self, three, tmp_path):
        (tmp_path / "bad.reg").write_text(
            "# DS9\nglobal color=green\nimage\n" + "circle(9,9,3)\n" * 3 + "circle(1\n"
        )
        (tmp_path / "exclusions.txt").write_text("j8bt06o6q_flt.fits bad.reg\n")
        with pytest.raises(DataError, match=r"bad\.reg', line 7"):
            align(three, parameters(exclusions=str(tmp_path / "exclusions.txt")))


@pytest.fixture(scope="module")
def strip(tmp_path_factory):
    """Four exposures in a row, each overlapping its neighbours only, given out of order."""
    folder = tmp_path_factory.mktemp("strip")
    rng = np.random.default_rng(5)
    step = 150 * 0.025 / 3600
    stars = (
        np.column_stack([rng.uniform(150.098, 150.105, 450), rng.uniform(2.198, 2.2022, 450)]),
        10 ** rng.uniform(4, 5, 450),
    )
    paths = {}
    for k in range(4):
        paths[k] = expose(folder, f"strip{k}xxq", (150.1 + k * step, 2.2), stars=stars, seed=k)
    return read_exposures([str(paths[k]) for k in (0, 3, 1, 2)])


class TestOrder:
    def test_overlaps(self, strip):
        shared = overlaps(strip)
        assert_allclose(np.diag(shared), 1)
        # Half a frame along a line that is turned by 30 degrees.
        assert shared[0, 2] > 0.3
        assert shared[0, 1] == 0
        assert by_overlap(strip, strip[0], [1, 2, 3], grow=True) == [2, 3, 1]

    def test_a_mosaic_needs_a_growing_reference(self, strip):
        fixed = align(strip, parameters(minobj=10))
        assert fixed["strip3xxq"].status == "refused"
        grown = align(strip, parameters(minobj=10, expand_refcat=True, enforce_user_order=False))
        assert (grown.table["status"] != "refused").all()
        for fit in grown.fits.values():
            assert np.hypot(*fit.shift) < 0.1


@pytest.fixture(scope="module")
def catalog():
    sky, flux = sky_of_stars()
    nothing = np.zeros(len(sky))
    # The catalog's own frame differs from the first exposure's header by 3 px.
    moved = sky[:, 0] + 3 * 0.025 / 3600
    return SkyCatalog("truth", moved, sky[:, 1], -2.5 * np.log10(flux), nothing, nothing)


class TestCatalog:
    def test_each_exposure(self, three, catalog):
        solution = align(three, parameters(), reference=catalog)
        assert solution.reference == "truth"
        assert (solution.table["status"] == "aligned").all()
        self.check(solution, catalog)

    def test_a_single_exposure(self, three, catalog):
        assert align(three[:1], parameters(), reference=catalog).alignments[0].status == "aligned"

    def check(self, solution, catalog):
        sky, _ = sky_of_stars()
        for e in solution.exposures:
            x, y = distortion.sky_to_pixel(e.chips[0].wcs, catalog.ra, catalog.dec)
            s = solution[e.rootname].sources
            inside = (x > 9) & (x < SHAPE[1] - 10) & (y > 9) & (y < SHAPE[0] - 10)
            distance = np.hypot(x[inside][:, None] - s.x, y[inside][:, None] - s.y).min(1)
            assert np.median(distance) < 0.05

    def test_a_visit_as_one_body(self, three, catalog):
        """Few catalog stars do not spoil the relative alignment: all exposures move by one transformation."""
        some = np.arange(0, 80, 3)
        rng = np.random.default_rng(0)
        noise = rng.normal(0, 0.3 * 0.025 / 3600, (len(some), 2))
        few = SkyCatalog(
            "few", catalog.ra[some] + noise[:, 0], catalog.dec[some] + noise[:, 1], catalog.mag[some],
            *np.zeros((2, len(some))),
        )  # fmt: skip
        keywords = {"minobj": 8, "fitgeometry": "rshift", "expand_refcat": True}
        relative = align(three, parameters(**keywords))
        solution = align(three, parameters(visit_as_one=True, **keywords), reference=few)
        assert (solution.table["status"] != "refused").all()
        assert len(solution.groups) == 1
        plane = relative.plane
        first = fit_linear(
            on_plane(solution.exposures[0], plane), on_plane(relative.exposures[0], plane), "rshift"
        )
        for a, b in zip(solution.exposures, relative.exposures, strict=True):
            assert_allclose(on_plane(a, plane), first.predict(on_plane(b, plane)), atol=1e-4)
        self.check_frame(solution)

    def check_frame(self, solution):
        fit = next(iter(solution.groups.values()))
        assert_allclose(np.hypot(*fit.shift), 3, atol=0.4)

    def test_a_visit_that_cannot_be_placed_stays(self, three):
        rng = np.random.default_rng(3)
        nothing = np.zeros(60)
        lost = SkyCatalog("lost", 150.1 + rng.uniform(-1e-3, 1e-3, 60), 2.2 + rng.uniform(-1e-3, 1e-3, 60),
                          nothing, nothing, nothing)  # fmt: skip
        solution = align(three, parameters(visit_as_one=True), reference=lost)
        assert (solution.table["status"] == "refused").all()
        assert solution.exposures == tuple(three)


class TestRealPointings:
    def test_hrc(self, shared_data):
        """47 Tuc, three filters: 1.6 to 2.6 mas after a shift is what the data allow."""
        files = sorted(str(p) for p in (shared_data / "hrc_ngc104").glob("*_flt.fits.gz"))
        exposures = read_exposures(files)
        for geometry, most in (("shift", 2.6), ("rscale", 1.9)):
            solution = align(exposures, parameters(fitgeometry=geometry, threshold=50.0))
            assert list(solution.table["status"]) == ["reference", "aligned", "aligned"]
            assert (solution.table["rms_mas"] <= most).all()
            assert (solution.table["nmatch"][1:] >= 300).all()
            # Relative pointing errors of 14 to 29 mas.
            offsets = np.hypot(solution.table["dx"], solution.table["dy"])[1:] * solution.scale_mas
            assert ((offsets > 10) & (offsets < 35)).all()


def test_plane_of_the_reference(three):
    solution = align(three, parameters())
    assert solution.plane == output_grid(three[0].chips)
