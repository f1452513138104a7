"""All parameters of an alignment: TweakReg's 58, source finding twice 17, and our own in `extra`."""

from typing import Any, ClassVar, Self

from drizzlewb.parameters.alignment import (
    Coordinates,
    Extra,
    Fitting,
    General,
    Header,
    Headerlets,
    Matching,
    Reference,
    Shifts,
)
from drizzlewb.parameters.composite import Composite
from drizzlewb.parameters.imagefind import ImageFind, RefImageFind

CFG_SECTIONS = {
    "general": "",
    "header": "UPDATE HEADER",
    "headerlets": "HEADERLET CREATION",
    "shifts": "OPTIONAL SHIFTFILE OUTPUT",
    "coordinates": "COORDINATE FILE DESCRIPTION",
    "reference": "REFERENCE CATALOG DESCRIPTION",
    "matching": "OBJECT MATCHING PARAMETERS",
    "fitting": "CATALOG FITTING PARAMETERS",
}
"""DrizzlePac's section of tweakreg.cfg for each of our sections."""


class AlignParameters(Composite):
    """Parameters of an alignment.

    A name of source finding sets both sections; ``refimagefind.threshold``, ``imagefind.threshold``,
    ``imagefindcfg={...}`` and ``refimagefindcfg={...}`` set one.

    Examples
    --------
    >>> p = AlignParameters.from_keywords({"threshold": 100, "refimagefind.threshold": 50})
    >>> p.imagefind.threshold, p.refimagefind.threshold
    (100.0, 50.0)
    """

    task: ClassVar[str] = "tweakreg"
    prefixes: ClassVar[dict[str, tuple[str, ...]]] = {
        "tweakreg": (),
        "drizzlewb": ("extra",),
        "imagefindpars": ("imagefind",),
        "refimagefindpars": ("refimagefind",),
    }

    general: General = General()
    header: Header = Header()
    headerlets: Headerlets = Headerlets()
    shifts: Shifts = Shifts()
    coordinates: Coordinates = Coordinates()
    reference: Reference = Reference()
    matching: Matching = Matching()
    fitting: Fitting = Fitting()
    imagefind: ImageFind = ImageFind()
    refimagefind: RefImageFind = RefImageFind()
    extra: Extra = Extra()

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Make the five-key dict; see `drizzlewb.parameters.exchange.to_dict`."""
        from drizzlewb.parameters.exchange import to_dict

        return to_dict(align=self)

    def replace(self, keywords: Any = None, /, **more: Any) -> Self:
        """Return a copy with these keywords changed; see the class for source-finding names."""
        given = {**(keywords or {}), **more}
        for cfg in ("imagefindcfg", "refimagefindcfg"):
            for name, value in dict(given.pop(cfg, None) or {}).items():
                given[f"{cfg[:-3]}.{name}"] = value
        return super().replace(given)

    def problems(self) -> list[str]:
        """Sentences about values that contradict each other."""
        found = []
        pairs = [("minflux", "maxflux"), ("rminflux", "rmaxflux")]
        for prefix in ("", "refimagefind."):
            for low, high in (
                ("peakmin", "peakmax"),
                ("fluxmin", "fluxmax"),
                ("sharplo", "sharphi"),
                ("roundlo", "roundhi"),
            ):
                pairs.append((prefix + low, prefix + high))
        for low, high in pairs:
            if self[low] is not None and self[high] is not None and self[low] >= self[high]:
                found.append(f"{low} = {self[low]:g} must be below {high} = {self[high]:g}")
        for prefix in ("", "refimagefind."):
            if not self[prefix + "computesig"] and not self[prefix + "skysigma"]:
                found.append(f"{prefix}skysigma must be above 0 when {prefix}computesig is off")
        return found
