"""Regions to and from DS9: what is written is read again as the same areas."""

import numpy as np
import pytest
from factory import write
from hypothesis import given, settings
from hypothesis import strategies as st

from drizzlewb import distortion
from drizzlewb.errors import DataError
from drizzlewb.exposure import Drawn, read_exposures
from drizzlewb.exposure.drawn import covered
from drizzlewb.grid import OutputGrid
from drizzlewb.products.ds9_regions import (
    circle_lines,
    drawn_from_regions,
    footprint_lines,
    grid_lines,
    mask_lines,
    region_text,
    write_regions,
)
from drizzlewb.steps.regions import parse_regions

WHOLE = (0, 40, 0, 60)


@pytest.fixture(scope="module")
def exposure(tmp_path_factory):
    return read_exposures(write(tmp_path_factory.mktemp("d") / "jtest01aq_flc.fits", "ACS/WFC"))[0]


def pixels(mask, chip):
    return covered(mask, chip.wcs, chip.pixel_scale_arcsec, WHOLE)


def read_again(masks, exposure):
    text = region_text(mask_lines(masks, [exposure]))
    return drawn_from_regions(text, exposure)


def test_footprints_and_grid_and_sources_are_where_they_are(exposure):
    chip = exposure.chips[0]
    grid = OutputGrid(distortion.tan_wcs((150.1, 2.2), (10, 10), np.diag([-1, 1]) * 1e-5), (30, 20))
    lines = [*footprint_lines([exposure]), *grid_lines(grid), *circle_lines([150.1], [2.2], 0.5)]
    regions = parse_regions(region_text(lines))
    assert [r.shape for r in regions] == ["polygon", "polygon", "polygon", "circle"]
    assert {r.frame for r in regions} == {"icrs"}
    corners = np.reshape(regions[0].numbers, (-1, 2))
    np.testing.assert_allclose(corners, distortion.footprint(chip.wcs, chip.shape, 8), atol=1e-9)
    np.testing.assert_allclose(regions[3].numbers, (150.1, 2.2, 0.5 / 3600), rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(5, 50), st.integers(5, 32), st.integers(2, 12), st.sampled_from(["polygon", "circle", "line"])
)
def test_a_mask_comes_back_as_the_same_pixels(exposure, i, j, whole, shape):
    chip = exposure.chips[0]
    x, y, size = i + 0.3137, j + 0.2719, whole + 0.1371  # no side runs through the centres of pixels
    points = {
        "polygon": ((x, y), (x + size, y), (x + size, y + size), (x, y + size)),
        "circle": ((x, y),),
        "line": ((x, y), (x + size, y + 0.7 * size)),
    }[shape]
    mask = Drawn(exposure.rootname, shape, points, 0.0 if shape == "polygon" else 0.5 * size, extver=1)
    back = read_again([mask], exposure)
    before, after = pixels(mask, chip), np.logical_or.reduce([pixels(m, chip) for m in back])
    assert before.any()
    # A circle of 48 corners lies inside the round one, by 0.2 % of its radius.
    assert (before != after).sum() <= (0 if shape == "polygon" else max(1, 0.03 * before.sum()))


def test_a_circle_on_the_sky_stays_one(exposure):
    ra, dec = (float(v) for v in distortion.pixel_to_sky(exposure.chips[0].wcs, 20, 10))
    mask = Drawn(exposure.rootname, "circle", ((ra, dec),), 0.4, "sky")
    (back,) = read_again([mask], exposure)
    assert (back.shape, back.frame, back.extver) == ("circle", "sky", 0)
    assert back.size == pytest.approx(0.4)
    np.testing.assert_allclose(back.points, mask.points, atol=1e-9)


@pytest.mark.parametrize("shape", ["box(30,20,16,6,25)", "ellipse(30,20,9,4,25)", "circle(30,20,5)"])
@pytest.mark.parametrize("frame", ["image", "fk5"])
def test_boxes_and_ellipses_cover_what_ds9_says(exposure, shape, frame):
    chip = exposure.chips[0]
    name, _, inner = shape.partition("(")
    numbers = [float(v) for v in inner.rstrip(")").split(",")]
    if frame == "fk5":
        ra, dec = (float(v) for v in distortion.pixel_to_sky(chip.wcs, numbers[0] - 1, numbers[1] - 1))
        sizes = [f'{0.05 * v}"' for v in numbers[2:4]]
        text = f"fk5\n{name}({','.join([repr(ra), repr(dec), *sizes, *map(str, numbers[4:])])})"
    else:
        text = f"image\n{shape}"
    (mask,) = drawn_from_regions(text, exposure, extver=1)
    y, x = np.indices(chip.shape, float)
    wanted = parse_regions(text)[0].contains(x, y, lambda a, d: distortion.sky_to_pixel(chip.wcs, a, d))
    found = pixels(mask, chip)
    assert wanted.sum() > 50
    # Pixels whose centre lies on the border; a circle on the sky takes the plate scale, in x as in y.
    assert (wanted != found).sum() <= (16 if (name, frame) == ("circle", "fk5") else 6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('fk5\n-circle(150.1,2.2,1")', "takes area away"),
        ("image\ncircle(3,3,2)", "need the chip"),
        ("fk5\ncircle(150.1,2.2,4p)", "size in pixels"),
        ("fk5\npoint(150.1,2.2)", "no region that covers"),
        ("fk5\ncircle(150.1,2.2", "parenthesis"),
    ],
)
def test_what_cannot_be_a_mask_says_why(exposure, text, words):
    with pytest.raises(DataError, match=words):
        drawn_from_regions(text, exposure)


def test_a_hostile_name_cannot_leave_its_label(exposure):
    import dataclasses

    evil = dataclasses.replace(exposure, rootname="x} \n-circle(0,0,9)#;{")
    text = region_text(footprint_lines([evil]))
    regions = parse_regions(text)
    assert [r.shape for r in regions] == ["polygon"] * len(evil.chips)
    assert all(r.include for r in regions)


def test_files_are_whole_and_not_replaced_by_accident(tmp_path):
    path = write_regions(tmp_path / "a.reg", ['circle(1,2,3")'])
    assert path.read_text().splitlines()[-2:] == ["icrs", 'circle(1,2,3")']
    with pytest.raises(DataError, match="exists already"):
        write_regions(path, [])
    write_regions(path, [], "fk5", replace=True)
    assert path.read_text().splitlines()[-1] == "fk5"
    with pytest.raises(DataError, match="cannot be written"):
        write_regions(tmp_path / "none" / "a.reg", [])


def test_a_mask_of_an_exposure_that_is_not_there(exposure):
    with pytest.raises(DataError, match="not loaded"):
        mask_lines([Drawn("other", "circle", ((1, 1),), 3, extver=1)], [exposure])
