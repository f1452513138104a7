"""A chip with its layers and its mask: the very pixels that are seen."""

import numpy as np
import pytest

pytest.importorskip("bqplot")

from drizzlewb.exposure import Drawn
from drizzlewb.grid import Region
from drizzlewb.steps.contributions import Masked
from drizzlewb.views.chipmask import LAYERS, ChipMaskView, layer_frame


@pytest.fixture
def chip(tiny_f606w):
    return tiny_f606w[0].chips[0]


@pytest.fixture
def masked(chip):
    box = Region(20, 60, 30, 90)
    sci = chip.read_sci(box)
    mask = np.ones(box.shape, np.uint8)
    mask[3:5, 7:20] = 0
    return Masked("root", chip, box, sci, np.full(box.shape, 40.0, np.float32), mask)


def test_layers(chip, masked):
    box = Region(10, 50, 20, 80)
    original, clean, median = (layer_frame(chip, masked, layer, "root").read(box) for layer in LAYERS)
    np.testing.assert_allclose(original, chip.read_sci(box) / np.float32(chip.to_electrons))
    known = (slice(10, 40), slice(10, 60))
    assert np.isnan(median).sum() == median.size - median[known].size
    np.testing.assert_allclose(median[known], 40.0 / chip.to_electrons)
    flagged = np.zeros(box.shape, bool)
    flagged[13:15, 17:30] = True
    np.testing.assert_allclose(clean[flagged], 40.0 / chip.to_electrons)
    np.testing.assert_array_equal(clean[~flagged], original[~flagged])


def test_nothing_known_is_the_original(chip):
    box = Region(0, 10, 0, 12)
    np.testing.assert_array_equal(
        layer_frame(chip, None, "clean", "").read(box), layer_frame(chip, None, "original", "").read(box)
    )
    assert np.isnan(layer_frame(chip, None, "median", "").read(box)).all()


def test_the_mask_is_tinted_and_can_be_hidden(chip, masked):
    view = ChipMaskView(background=False)
    view.show_chip(chip, "root", Region(20, 60, 30, 90))
    plain, _ = view.image.picture()
    view.show_masked(masked)
    tinted, where = view.image.picture()
    changed = (plain != tinted).any(axis=2)
    expected = np.zeros((where.y1 - where.y0, where.x1 - where.x0), bool)
    expected[masked.box.slices((where.y0, where.x0))] = masked.mask == 0
    np.testing.assert_array_equal(changed, expected)
    view.overlay.value = False
    np.testing.assert_array_equal(view.image.picture()[0], plain)


def test_whole_masks_show_where_nothing_is_live(chip, masked):
    view = ChipMaskView(background=False)
    view.show_chip(chip, "root")
    view.show_whole(lambda box: np.zeros(box.shape, np.uint8))
    view.show_masked(masked)
    words = view.mask(Region(10, 70, 20, 100))
    inside = words[masked.box.slices((10, 20))]
    np.testing.assert_array_equal(inside, masked.mask == 0)
    assert words.sum() == words.size - inside.size + inside.sum()


def test_blink_goes_through_the_layers(chip):
    view = ChipMaskView(background=False)
    view.show_chip(chip, "root")
    seen = []
    for _ in range(4):
        seen.append(view.layer.value)
        view.next_layer()
    assert seen == ["original", "clean", "median", "original"]
    assert "clean" in view.image.figure.title
    view.blink.value = True
    assert view._clock.runs
    view.close()
    assert not view._clock.runs


def test_drawn_masks_are_tinted_too(tiny_f606w):
    exposure = tiny_f606w[0]
    circle = Drawn(exposure.rootname, "circle", ((60, 40),), size=5, extver=exposure.chips[0].extver)
    view = ChipMaskView(background=False)
    view.show_chip(exposure.chips[0], "root", Region(20, 60, 30, 90))
    plain = view.image.picture()[0]
    view.replace_chip(exposure.with_drawn([circle]).chips[0])
    changed = (view.image.picture()[0] != plain).any(axis=2)
    assert 60 < changed.sum() < 90
