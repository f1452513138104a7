"""The weights panel through its widgets, and through the session from Python."""

import numpy as np
import pytest

from drizzlewb.panels.weights import WeightsPanel


@pytest.fixture(scope="module")
def made(tiny_set):
    from drizzlewb import Session

    session = Session(str(tiny_set / "j8ny01*_flc.fits"))
    session.select(size=(220, 220))
    session.set(final_scale=0.05, final_rot=0.0, final_pixfrac=0.8)
    panel = WeightsPanel(session, background=False)
    yield session, panel
    panel.close()


def test_from_preview_to_product(made):
    session, panel = made
    assert "preview a region" in panel.check.reason
    session.preview().wait(120)
    assert panel.check.reason == ""
    panel.check.button.click()
    session.wait(120)
    assert "previewed region" in panel.basis.value
    region = session.trials.found("weights")
    assert not region.whole
    assert region.wht.shape == (220, 220)

    session.run().result(300)
    assert "Not checked" in panel.basis.value
    panel.check.button.click()
    session.wait(120)
    whole = session.trials.found("weights")
    assert whole.whole
    assert "finished product" in panel.basis.value
    assert session.trials.weights().result() is whole  # Python gives the same

    import drizzlewb as dw

    direct = dw.check_weights(session.result(), exposures=session.derived.stack(session.state.products[0]))
    assert direct.median == whole.check.median
    assert direct.words == whole.check.words
    assert direct.words in panel.verdict.value

    # The layers: seconds are weight over the square of the scale ratio.
    r = whole.region
    panel.layer.value = "seconds"
    seconds = panel.view.frame.read(r)
    assert np.allclose(seconds, whole.wht / whole.scale_ratio**2)
    assert np.median(seconds[whole.check.area]) == pytest.approx(
        sum(e.exptime for e in session.exposures), rel=0.05
    )
    panel.layer.value = "exposures"
    assert np.array_equal(panel.view.frame.read(r), whole.count)
    assert whole.count.max() == 6
    panel.layer.value = "depth"
    assert np.nanmedian(panel.view.frame.read(r)[whole.check.area]) == pytest.approx(0.0, abs=1e-6)
    panel.layer.value = "weight"
    assert np.array_equal(panel.view.frame.read(r), whole.wht)

    # Damaged stars are marked where they lie, and only if wanted: chance takes weight from some cores.
    damaged = whole.check.damaged
    assert whole.check.verdict != "fail"
    assert "damaged" not in panel.view._marks
    assert panel.mark.description == f"mark the {len(damaged)} stars whose core lost weight"
    panel.mark.value = True
    assert np.allclose(panel.view._marks["damaged"].x, damaged[:, 0])
    panel.mark.value = False
    assert "damaged" not in panel.view._marks
    assert "overlap" in panel.view._marks


def test_damaged_cores_fail_in_words(made, monkeypatch):
    """A stack whose star cores were thrown out must be called bad, with the stars marked."""
    session, panel = made
    session.run().result(300)
    found = session.trials.weights().result(120)
    from dataclasses import replace

    from drizzlewb.steps.weight_check import find_stars, weigh

    stars = find_stars(found.sci, found.check.area, found.grid.scale_arcsec)
    wht = found.wht.copy()
    for x, y in zip(np.rint(stars.x).astype(int), np.rint(stars.y).astype(int), strict=True):
        wht[y - 1 : y + 2, x - 1 : x + 2] *= 0.5
    check = weigh(wht, found.check.area, 6, stars.x, stars.y, stars.magnitude, stars.blank)
    assert check.verdict == "fail"
    spoilt = replace(found, wht=wht, check=check)
    monkeypatch.setattr(session.trials, "found", lambda kind, product=None: spoilt)
    panel.update()
    assert "Bad" in panel.verdict.value
    assert "check the alignment first" in panel.verdict.value
    assert len(panel.view._marks["damaged"].x) == len(check.damaged) > 20


def test_a_failure_is_a_sentence(made):
    session, panel = made
    session.set(context=False)
    session.preview().wait(60)
    panel.check.button.click()
    session.wait(60)
    assert session.trials.found("weights") is not None  # the preview has its context image always
    session.undo()
