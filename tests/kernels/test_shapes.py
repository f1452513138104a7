import numpy as np
from made_stars import field, peaks, star
from numpy.testing import assert_allclose
from scipy.ndimage import correlate
from scipy.spatial import cKDTree

from drizzlewb.kernels.detection import matched_filter
from drizzlewb.kernels.shapes import shape_statistics


class TestShapeStatistics:
    def test_definitions_on_one_source(self):
        _, _, image = field()
        filters = matched_filter(3.5)
        x, y, h = peaks(image, filters, 200)
        shapes = shape_statistics(image, filters, x, y, h)
        k = 7
        box = image[y[k] - 2 : y[k] + 3, x[k] - 2 : x[k] + 3].astype(float)
        density = correlate(image.astype(float), filters.weights.astype(float))
        d = density[y[k] - 2 : y[k] + 3, x[k] - 2 : x[k] + 3]
        others = filters.footprint.astype(bool).copy()
        others[2, 2] = False
        assert_allclose(shapes.peak[k], box.max())
        assert_allclose(shapes.flux[k], box.sum(), rtol=1e-6)
        assert_allclose(shapes.sharp[k], (box[2, 2] - box[others].mean()) / d[2, 2], rtol=1e-5)
        quadrants = d[:2, :3].sum() - d[2:, :2].sum() - d[:3, 3:].sum() + d[3:, 2:].sum()
        ring = np.abs(d).sum() - abs(d[2, 2])
        assert_allclose(shapes.round1[k], 2 * quadrants / ring, atol=1e-4)

    def test_many_sources_and_those_at_the_border(self):
        """What leaves the filtered image counts as nothing, and each source has its own numbers."""
        image = np.random.default_rng(1).normal(50, 9, (90, 300)).astype(np.float32)
        filters = matched_filter(3.5)
        x, y, h = peaks(image, filters, 0.0)
        assert len(x) > 1100
        shapes = shape_statistics(image, filters, x, y, h)
        density = correlate(image.astype(float), filters.weights.astype(float))
        border = np.ones(image.shape, bool)
        border[2:-2, 2:-2] = False
        density[border] = 0.0
        sign = np.zeros((5, 5))
        sign[:2, :3] = sign[3:, 2:] = 1
        sign[2:, :2] = sign[:3, 3:] = -1
        sign[2, 2] = 0
        at_the_border = (x == 2) | (y == 2) | (x == 297) | (y == 87)
        assert at_the_border.sum() > 20
        for k in [*np.flatnonzero(at_the_border), 0, 511, 1023, 1024, len(x) - 1]:
            d = density[y[k] - 2 : y[k] + 3, x[k] - 2 : x[k] + 3]
            expected = 2 * (d * sign).sum() / np.abs(d * np.abs(sign)).sum()
            assert_allclose(shapes.round1[k], expected, atol=1e-4)
            assert shapes.peak[k] == image[y[k] - 2 : y[k] + 3, x[k] - 2 : x[k] + 3].max()

    def test_a_line_is_not_round_and_a_hit_is_sharp(self):
        image = np.zeros((40, 60), np.float32)
        image[10, 10] = 1000.0
        image[25, 20:40] = 1000.0
        image += star(image.shape, 50.2, 10.3, 2e4, 1.0).astype(np.float32)
        filters = matched_filter(3.0)
        at = np.array([10, 30, 50], np.int32), np.array([10, 25, 10], np.int32)
        density = correlate(image.astype(float), filters.weights.astype(float))
        shapes = shape_statistics(image, filters, *at, density[at[1], at[0]].astype(np.float32))
        assert shapes.sharp[0] > 1.0 > shapes.sharp[2] > 0.2
        assert abs(shapes.round2[1]) > 1.0 or np.isinf(shapes.round2[1])
        assert abs(shapes.round2[2]) < 0.3

    def test_roundness_from_marginals_equals_photutils(self):
        # A different program with the same definition (DAOFIND); its catalog rounds nothing.
        from photutils.detection import DAOStarFinder

        _, _, image = field()
        table = DAOStarFinder(threshold=200.0, fwhm=3.0, sharpness_range=None, roundness_range=None)(
            image.astype(float) - 80.0
        )
        filters = matched_filter(3.0)
        x, y, h = peaks(image, filters, 200)
        shapes = shape_statistics(image, filters, x, y, h)
        theirs = cKDTree(np.column_stack([table["x_centroid"], table["y_centroid"]]))
        distance, index = theirs.query(np.column_stack([x, y]))
        found = distance < 1.5
        assert found.sum() >= 50
        assert_allclose(shapes.round2[found], table["roundness2"][index[found]], atol=2e-3)
