import importlib.util
import json
import os
import subprocess
import sys

import pytest

from drizzlewb.parameters import AlignParameters, ReduceParameters
from drizzlewb.parameters.exchange import to_dict
from drizzlewb.parameters.reference import reference
from drizzlewb.parameters.teal import to_cfg


def test_every_parameter_is_in_the_reference_once():
    text = reference()
    for task in (ReduceParameters, AlignParameters):
        for name in task.places():
            shared = name in ReduceParameters.places() and name in AlignParameters.places()
            assert text.count(f"**`{name}`**") == (2 if shared else 1), name
    assert "tophat is listed by DrizzlePac" in text
    assert max(map(len, text.splitlines())) < 1000


# Run in a process of its own: TEAL reads the user's home folder, and the peer's imports warn.
PEER = """
import json, sys, warnings
warnings.simplefilter("ignore")
from stsci.tools import teal
from drizzlepac import astrodrizzle, tweakreg, util
given, folder = json.load(open(sys.argv[1])), sys.argv[2]
out = {}
d = given["astrodrizzle"]
cfg = util.getDefaultConfigObj("astrodrizzle", teal.load("astrodrizzle", defaults=True), dict(d))
util.applyUserPars_steps(cfg, d, step="3a")
util.applyUserPars_steps(cfg, d, step="7a")
flat = lambda c: {k: v for key, value in c.items() for k, v in (
    value.items() if isinstance(value, dict) else [(key, value)]) if not k.startswith("_")}
out["told"] = flat(cfg)
out["file"] = flat(teal.load(folder + "/astrodrizzle.cfg", strict=False))
d = given["tweakreg"]
cfg = util.getDefaultConfigObj("tweakreg", teal.load("tweakreg", defaults=True), dict(d))
out["tweakreg"] = flat(cfg)
out["tweakreg_file"] = flat(teal.load(folder + "/tweakreg.cfg", strict=False))
out["find_file"] = flat(teal.load(folder + "/refimagefindpars.cfg", strict=False))
json.dump(out, open(folder + "/out.json", "w"), default=str)
"""


def test_drizzlepac_takes_the_dict_and_the_files(tmp_path):
    if importlib.util.find_spec("drizzlepac") is None:
        pytest.skip("drizzlepac is not installed")
    p = ReduceParameters.from_keywords(
        final_wcs=False,
        final_scale=0.1,
        driz_sep_scale=0.05,
        final_bits="~4096",
        output="it's 50% $HOME ~",
        gain=2,
    )
    a = AlignParameters.from_keywords(threshold=50, minobj=7)
    d = to_dict(p, a)
    (tmp_path / "d.json").write_text(json.dumps(d))
    for name, text in to_cfg(p, a).items():
        (tmp_path / name).write_text(text)
    environment = os.environ | {"HOME": str(tmp_path), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, "-c", PEER, str(tmp_path / "d.json"), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "out.json").read_text())
    for name, value in d["astrodrizzle"].items():
        assert found["told"][name] == value, name
        assert found["file"][name] == value, name
    assert (found["told"]["final_wcs"], found["told"]["driz_sep_wcs"]) == (False, True)
    assert (found["file"]["final_wcs"], found["file"]["final_scale"]) == (False, 0.1)
    for name, value in d["tweakreg"].items():
        assert found["tweakreg"][name] == value, name
        assert found["tweakreg_file"][name] == value, name
    assert found["find_file"] == d["refimagefindcfg"]
