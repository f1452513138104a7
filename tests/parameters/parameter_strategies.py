"""Random valid parameters, drawn from the declarations."""

import math

from hypothesis import strategies as st

from drizzlewb.parameters import AlignParameters, ReduceParameters
from drizzlewb.parameters.general import INTERMEDIATES

_PARTNERS = {
    f"{stem}_{a}": f"{stem}_{b}"
    for stem in ("driz_sep", "final")
    for pair in (("outnx", "outny"), ("ra", "dec"), ("crpix1", "crpix2"))
    for a, b in (pair, pair[::-1])
}
# Bounds and switches that must agree with one another: drawn one at a time.
_AGAINST = [
    ("skylower", "skyupper"),
    ("combine_lthresh", "combine_hthresh"),
    ("gain", "gnkeyword"),
    ("rdnoise", "rnkeyword"),
    ("exptime", "expkeyword"),
    ("minflux", "maxflux"),
    ("rminflux", "rmaxflux"),
    ("peakmin", "peakmax"),
    ("fluxmin", "fluxmax"),
    ("sharplo", "sharphi"),
    ("roundlo", "roundhi"),
    ("computesig", "skysigma"),
]
_LIMITED = {
    "sharplo": st.floats(-5, 0.9),
    "sharphi": st.floats(0.3, 5),
    "roundlo": st.floats(-5, 0.9),
    "roundhi": st.floats(-0.9, 5),
    "computesig": st.just(True),
    "group": st.sampled_from(["", "1", "1,4", "sci,2"]),
    "keep": st.lists(st.sampled_from(INTERMEDIATES), unique=True).map(",".join),
}
_texts = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"], exclude_characters="'"), max_size=12
) | st.sampled_from(["a b", "it's", 'say "x"', "a # b", "x = 1", "[x]", "c:\\new\\table", "%(home)s $HOME"])


def value_of(parameter):
    """Strategy of valid typed values of one parameter."""
    if parameter.name in _LIMITED:
        return _LIMITED[parameter.name]
    if parameter.kind == "switch":
        return st.booleans()
    if parameter.kind == "choice":
        return st.sampled_from(parameter.choices)
    if parameter.kind == "bits":
        return st.integers(0, 65535) | (
            st.just(parameter.default) if parameter.name == "resetbits" else st.none()
        )
    if parameter.kind == "pair":
        number = st.floats(1e-6, 1e6)
        return st.tuples(number, number)
    if parameter.kind == "weight":
        return st.sampled_from(["exptime", "expsq"]) | st.floats(1e-6, 1e6)
    if parameter.kind == "text":
        return _texts.filter(lambda t: t.strip() not in ("INDEF", "None"))
    if parameter.unit == "DQ bit":
        return st.integers(0, 15).map(lambda k: 1 << k)
    low = parameter.ge if parameter.ge is not None else parameter.gt if parameter.gt is not None else -1e12
    high = parameter.le if parameter.le is not None else 1e12
    if parameter.kind == "integer":
        found = st.integers(int(low) + (parameter.gt is not None), int(high))
    else:
        if parameter.gt is not None:
            low = math.nextafter(low, math.inf)
        found = st.floats(low, high, allow_subnormal=False)
    return found | st.none() if parameter.optional else found


@st.composite
def parameters(draw, task):
    """Strategy of models of a task with a dozen changed values."""
    names = draw(
        st.lists(st.sampled_from([n for n in task.places() if n != "input"]), unique=True, max_size=12)
    )
    names = list(dict.fromkeys(n for name in names for n in (name, _PARTNERS.get(name, name))))
    for one, other in _AGAINST:
        if one in names and other in names:
            names.remove(other)
    keywords = {}
    for name in names:
        places = task.places()[name]
        keywords[name] = draw(value_of(places[0].parameter))
        if len(places) > 1 and draw(st.booleans()):
            keywords[f"refimagefind.{name}"] = draw(value_of(places[1].parameter))
    for name, other in _PARTNERS.items():
        if name in keywords and (keywords[name] is None) != (keywords[other] is None):
            keywords[name] = keywords[other] = None
    if keywords.get("skysigma", 1) in (None, 0) or keywords.get("computesig") is False:
        keywords.pop("computesig", None)
    for switch in ("final_wcs", "driz_sep_wcs"):
        if task is ReduceParameters and draw(st.booleans()):
            keywords[switch] = draw(st.booleans())
    return task.from_keywords(keywords)


reduces = parameters(ReduceParameters)
aligns = parameters(AlignParameters)
