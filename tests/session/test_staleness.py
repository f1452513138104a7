"""What every single parameter makes stale, what stays fresh, and that undo makes it fresh again.

The tables are written from what each step does (DrizzlePac Handbook), not from the declarations: a step is
named under the first array that its value changes.
"""

import pytest
from sessions import FakeMakers, make_all, states

from drizzlewb.parameters import AlignParameters, ReduceParameters
from drizzlewb.session import Session

PRODUCT = {
    # Everything, from the static mask and the sky on. (The read noise is no part of the sky, but of a
    # chip's identity, as the gain is.)
    "sky": """
        wcskey coeffs resetbits group equalise gain gnkeyword exptime expkeyword
        static static_sig
        skysub skymethod skystat skywidth skylower skyupper skyclip skylsigma skyusigma
        skymask_cat use_static sky_bits skyfile skyuser driz_sep_bits
        rdnoise rnkeyword
    """,
    "median": """
        driz_separate driz_sep_kernel driz_sep_wt_scl driz_sep_pixfrac
        driz_sep_wcs driz_sep_refimage driz_sep_rot driz_sep_scale driz_sep_outnx driz_sep_outny
        driz_sep_ra driz_sep_dec driz_sep_crpix1 driz_sep_crpix2
        median median_newmasks combine_maskpt combine_type combine_nsigma combine_nlow combine_nhigh
        combine_lthresh combine_hthresh combine_grow peer_noise
    """,
    "crmask": """
        blot blot_interp blot_sinscl blot_addsky blot_skyval
        driz_cr driz_cr_snr driz_cr_grow driz_cr_ctegrow driz_cr_scale
    """,
    "product": """
        proc_unit context final_wht_type final_kernel final_wt_scl final_pixfrac final_fillval
        final_maskval final_bits final_units final_wcs final_refimage final_rot final_scale
        final_outnx final_outny final_ra final_dec final_crpix1 final_crpix2
        build driz_combine driz_cr_corr keep
    """,
    # How it is done, or with names only; crbit and driz_sep_fillval concern images that `keep` asks for.
    "nothing": """
        output runfile crbit stepsize num_cores in_memory rules_file restore preserve overwrite clean
        driz_sep_fillval driz_sep_compress combine_bufsize update_inputs memory_budget_mb threads
    """,
}
ALIGNMENT = {
    "sources": """
        refimage exclusions noise avoid_saturated catfile xcol ycol fluxcol maxflux minflux fluxunits
        xyunits nbright
        imagefind.computesig imagefind.skysigma imagefind.conv_width imagefind.peakmin imagefind.peakmax
        imagefind.threshold imagefind.nsigma imagefind.ratio imagefind.theta imagefind.fluxmin
        imagefind.fluxmax imagefind.dqbits imagefind.use_sharp_round imagefind.sharplo imagefind.sharphi
        imagefind.roundlo imagefind.roundhi
    """,
    "solution": """
        expand_refcat enforce_user_order minobj searchrad searchunits use2dhist separation tolerance
        xoffset yoffset fitgeometry nclip sigma visit_as_one
        refcat refxcol refycol refxyunits rfluxcol rmaxflux rminflux rfluxunits refnbright
        refimagefind.computesig refimagefind.skysigma refimagefind.conv_width refimagefind.peakmin
        refimagefind.peakmax refimagefind.threshold refimagefind.nsigma refimagefind.ratio
        refimagefind.theta refimagefind.fluxmin refimagefind.fluxmax refimagefind.dqbits
        refimagefind.use_sharp_round refimagefind.sharplo refimagefind.sharphi refimagefind.roundlo
        refimagefind.roundhi
    """,
    "nothing": """
        writecat clean interactive verbose runfile updatehdr wcsname reusename headerlet attach hdrfile
        clobber hdrname author descrip catalog history shiftfile outshifts outwcs see2dplot residplot
        ylimit labelsize
    """,
}
# A parameter that another one must go with, and values that name something real.
PARTNERS = {
    "outnx": ("outny", 50),
    "outny": ("outnx", 50),
    "ra": ("dec", 2.2),
    "dec": ("ra", 150.1),
    "crpix1": ("crpix2", 5.0),
    "crpix2": ("crpix1", 5.0),
}
VALUES = {
    "build": False,
    "wcskey": "OTHER",
    "group": "sci,1",
    "gnkeyword": "CCDGAIN",
    "rnkeyword": "READNSEA",
    "expkeyword": "EXPTIME",
    "final_ra": 150.1,
    "final_dec": 2.2,
    "driz_sep_ra": 150.1,
    "driz_sep_dec": 2.2,
    "final_crpix1": 5.0,
    "final_crpix2": 5.0,
    "driz_sep_crpix1": 5.0,
    "driz_sep_crpix2": 5.0,
    "final_outnx": 50,
    "final_outny": 50,
    "driz_sep_outnx": 50,
    "driz_sep_outny": 50,
    "final_scale": 0.06,
    "driz_sep_scale": 0.06,
    "keep": "med",
    "exptime": 600.0,
    "gain": 1.5,
    "sharplo": 0.1,
    "sharphi": 0.9,
    "roundlo": -0.5,
    "roundhi": 0.5,
    "computesig": False,
}
BESIDE = {
    "imagefind.computesig": {"imagefind.skysigma": 3.0},
    "refimagefind.computesig": {"refimagefind.skysigma": 3.0},
}
MAKES_OFF = {"driz_cr": {"crmask": "off", "product": "stale"}}
IMPOSSIBLE = ("driz_separate", "median", "blot")  # while driz_cr is on


def rows(table):
    return [(name, first) for first, names in table.items() for name in names.split()]


def other_value(parameter, folder):
    """A valid value that is not the present one."""
    name = parameter.name
    if name.endswith("refimage"):
        return str(folder / "reference_flc.fits")
    if name == "skymask_cat":
        return str(folder / "skymasks.cat")
    if name in VALUES:
        return VALUES[name]
    if parameter.kind == "switch":
        return not parameter.default
    if parameter.kind == "choice":
        return next(c for c in parameter.choices if c != parameter.default)
    if parameter.kind == "pair":
        return tuple(v + 0.5 for v in parameter.default)
    if parameter.kind == "bits":
        return 4096 if name != "resetbits" else 0
    if parameter.kind == "weight":
        return "expsq"
    if parameter.kind == "text":
        return "something"
    if parameter.unit == "DQ bit":
        return 64
    start = parameter.default if parameter.default is not None else (parameter.ge or parameter.gt or 0)
    step = 1 if parameter.kind == "integer" else 0.25
    for value in (start + step, start - step, start + 8):
        low = parameter.ge is None or value >= parameter.ge
        high = parameter.le is None or value <= parameter.le
        if low and high and (parameter.gt is None or value > parameter.gt):
            return value
    raise AssertionError(name)


def other_keywords(task, name, folder):
    section, _, bare = name.rpartition(".")
    places = task.places()[bare]
    parameter = next(p for s, p in places if not section or s == section)
    keywords = {name: other_value(parameter, folder), **BESIDE.get(name, {})}
    stem, _, end = bare.rpartition("_")
    if end in PARTNERS and stem in ("final", "driz_sep"):
        partner, value = PARTNERS[end]
        keywords[f"{stem}_{partner}"] = value
    return keywords


@pytest.fixture(scope="module")
def fresh(field):
    """A session in which everything is fresh; each test puts it back."""
    session = Session(field, makers=FakeMakers())
    make_all(session)
    assert {s.state for s in session.status} == {"done"}
    return session


def test_the_tables_name_every_parameter_once():
    named = [name for name, _ in rows(PRODUCT)]
    assert sorted(named) == sorted(n for n in ReduceParameters.places() if n != "input")
    named = [name for name, _ in rows(ALIGNMENT)]
    all_names = [
        name if len(places) == 1 else f"{section}.{name}"
        for name, places in AlignParameters.places().items()
        for section, _ in places
    ]
    assert sorted(named) == sorted(n for n in all_names if n != "input")


@pytest.mark.parametrize(("name", "first"), rows(PRODUCT))
def test_product(fresh, field_folder, name, first):
    steps = ("sky", "median", "crmask", "product")
    before = fresh.state
    keywords = {
        f"astrodrizzle.{k}": v for k, v in other_keywords(ReduceParameters, name, field_folder).items()
    }
    fresh.set("F606W", keywords)
    assert fresh.state != before, "the table's value is the default"
    try:
        found = states(fresh, "F606W")
        if name in IMPOSSIBLE:
            assert set(found.values()) == {"failed"}
            assert "is off" in fresh.status_of("F606W").message
        else:
            start = steps.index(first) if first != "nothing" else len(steps)
            expected = dict.fromkeys(steps[:start], "done") | dict.fromkeys(steps[start:], "stale")
            assert found == expected | MAKES_OFF.get(name, {})
        # Another product, and the alignment, have nothing to do with it.
        assert set(states(fresh, "F814W").values()) == {"done"}
        assert set(states(fresh, "alignment").values()) == {"done"}
    finally:
        fresh.undo()
    assert fresh.state == before
    assert set(states(fresh, "F606W").values()) == {"done"}


@pytest.mark.parametrize(("name", "first"), rows(ALIGNMENT))
def test_alignment(fresh, field_folder, name, first):
    before = fresh.state
    keywords = other_keywords(AlignParameters, name, field_folder)
    fresh.set(None, {k if "." in k else f"tweakreg.{k}": v for k, v in keywords.items()})
    assert fresh.state != before, "the table's value is the default"
    try:
        stale = {"sources": {"sources", "solution"}, "solution": {"solution"}, "nothing": set()}[first]
        found = states(fresh, "alignment")
        assert {step for step, state in found.items() if state == "stale"} == stale
        assert set(found.values()) <= {"stale", "done"}
        # Products use an alignment only when it is accepted.
        assert set(states(fresh, "F606W").values()) == {"done"}
    finally:
        fresh.undo()
    assert set(states(fresh, "alignment").values()) == {"done"}


def test_a_product_follows_the_grid_that_it_refers_to(session):
    session.set("F814W", final_refimage="F606W")
    make_all(session)
    session.set("F606W", final_scale=0.06)
    assert states(session, "F606W") == {"sky": "done", "median": "done", "crmask": "done", "product": "stale"}
    assert states(session, "F814W") == {"sky": "done", "median": "done", "crmask": "done", "product": "stale"}
    session.undo()
    assert states(session, "F814W")["product"] == "done"
    session.set("F606W", final_pixfrac=0.5)  # the grid stays where it is
    assert states(session, "F606W")["product"] == "stale"
    assert states(session, "F814W")["product"] == "done"


def test_previews_do_not_care_for_files(session):
    session.preview("F606W", size=16).result(20)
    session.set("F606W", build=False)
    assert session.shown["F606W"].fresh
    session.set("F606W", final_pixfrac=0.5)
    assert not session.shown["F606W"].fresh
    session.undo()
    assert session.shown["F606W"].fresh


def test_hand_decisions(session, field):
    from drizzlewb.exposure import Drawn
    from drizzlewb.session import Star

    make_all(session)
    session.brush([Star(field[0].rootname, 1, 10.0, 12.0)])
    assert states(session, "alignment") == {"sources": "done", "solution": "stale"}
    assert states(session, "F606W")["product"] == "done"
    session.undo()
    assert states(session, "alignment")["solution"] == "done"
    session.draw(Drawn(field[0].rootname, "circle", ((20, 20),), size=4, extver=1))
    assert set(states(session, "F606W").values()) == {"stale"}
    assert set(states(session, "F814W").values()) == {"done"}
    session.undo()
    assert set(states(session, "F606W").values()) == {"done"}
    session.accept()  # the fake solution is where the exposures are: nothing is different
    assert set(states(session, "F606W").values()) == {"done"}
    session.set(tolerance=2.0)
    assert states(session, "alignment")["solution"] == "stale"
    assert set(states(session, "F606W").values()) == {"done"}, "the accepted alignment stays in use"
