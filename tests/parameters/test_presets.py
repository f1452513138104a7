import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from drizzlewb.errors import DataError, ParameterError
from drizzlewb.parameters import ReduceParameters, reduce_parameters
from drizzlewb.parameters.mdriztab import mdriztab_presets
from drizzlewb.parameters.presets import PRESETS, find_preset, house_preset, presets_for

WFC = [SimpleNamespace(detector="ACS/WFC", date_obs="2003-07-16")] * 6

# Preset → file of the pipeline's single-visit parameters that DrizzlePac ships.
FILES = {
    "ACS/WFC, 1 exposure": "acs/wfc/acs_wfc_astrodrizzle_any_n1",
    "ACS/WFC, 2 to 5": "acs/wfc/acs_wfc_astrodrizzle_any_n2",
    "ACS/WFC, 6 or more": "acs/wfc/acs_wfc_astrodrizzle_any_n6",
    "ACS/HRC, 1 exposure": "acs/hrc/acs_hrc_astrodrizzle_any_n1",
    "ACS/HRC, 2 to 5": "acs/hrc/acs_hrc_astrodrizzle_any_n2",
    "ACS/HRC, 6 or more": "acs/hrc/acs_hrc_astrodrizzle_any_n6",
    "ACS/SBC, 1 or more": "acs/sbc/acs_sbc_astrodrizzle_any_any",
    "WFC3/UVIS, 1 exposure": "wfc3/uvis/wfc3_uvis_astrodrizzle_any_n1",
    "WFC3/UVIS, 2 to 5": "wfc3/uvis/wfc3_uvis_astrodrizzle_any_n2",
    "WFC3/UVIS, 6 or more": "wfc3/uvis/wfc3_uvis_astrodrizzle_any_n6",
    "WFC3/UVIS, 2 to 5, before 2012-11": "wfc3/uvis/wfc3_uvis_astrodrizzle_any_pre2012_n2",
    "WFC3/UVIS, 6 or more, before 2012-11": "wfc3/uvis/wfc3_uvis_astrodrizzle_any_pre2012_n6",
    "WFC3/IR, 1 exposure": "wfc3/ir/wfc3_ir_astrodrizzle_any_n1",
    "WFC3/IR, 2 to 3": "wfc3/ir/wfc3_ir_astrodrizzle_any_n2",
    "WFC3/IR, 4 or more": "wfc3/ir/wfc3_ir_astrodrizzle_any_n4",
    "WFPC2, 1 exposure": "wfpc2/pc/wfpc2_pc_astrodrizzle_any_n1",
    "WFPC2, 2 exposures": "wfpc2/pc/wfpc2_pc_astrodrizzle_any_n2",
    "WFPC2, 3 exposures": "wfpc2/pc/wfpc2_pc_astrodrizzle_any_n3",
    "WFPC2, 4 or more": "wfpc2/pc/wfpc2_pc_astrodrizzle_any_n4",
}
# Resources, inputs and HST's own keywords are the pipeline's business; one HRC exposure has no single frame.
NOT_TAKEN = {"num_cores", "threads", "preserve", "gnkeyword", "rnkeyword", "expkeyword", "driz_sep_wcs"}


def _flat(mapping):
    for name, value in mapping.items():
        if isinstance(value, dict):
            yield from _flat(value)
        elif not name.startswith("_"):
            yield name, value


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_the_pipelines(name):
    spec = importlib.util.find_spec("drizzlepac")
    if spec is None:
        pytest.skip("drizzlepac is not installed: its parameter sets are the reference")
    folder = Path(spec.submodule_search_locations[0]) / "pars" / "hap_pars" / "svm_parameters"
    theirs = ReduceParameters.from_keywords(
        dict(_flat(json.loads((folder / f"{FILES[name]}.json").read_text())))
    )
    ours = PRESETS[name].parameters()
    assert set(ours.differences(theirs)) - NOT_TAKEN == set()


def test_every_detector_and_number_has_one_preset_besides_ours():
    for detector in ("ACS/WFC", "ACS/HRC", "ACS/SBC", "WFC3/UVIS", "WFC3/IR", "WFPC2"):
        for number in (1, 2, 3, 4, 6, 100):
            names = [p.name for p in presets_for(detector, number, "2015-01-01")]
            assert len(names) == 2, (detector, number, names)
            assert names[0] == "drizzlewb"
    assert presets_for("WFC3/UVIS", 3, "2010-05-05")[1].keywords["final_bits"] == 352
    assert [p.name for p in presets_for("STIS/CCD", 3)] == ["drizzlewb"]


def test_the_house_preset_is_visible():
    p = reduce_parameters(WFC, final_scale=0.03)
    assert p.differences() == {
        "build": (False, True),
        "driz_sep_bits": (0, 336),
        "final_bits": (0, 336),
        "final_wcs": (False, True),
        "final_scale": (None, 0.03),
    }
    assert house_preset("WFC3/UVIS", "2010-01-01").keywords["final_bits"] == 352
    assert house_preset("no such detector").keywords == {"build": True}
    assert reduce_parameters([]).build


def test_what_the_caller_gives_wins():
    start = ReduceParameters.from_keywords(final_bits=0, static=False)
    p = reduce_parameters(WFC, start, final_pixfrac=0.5)
    assert (p.final_bits, p["static"], p.final_pixfrac, p.build) == (0, False, 0.5, False)
    p = reduce_parameters(WFC, preset="ACS/WFC, 6 or more", final_pixfrac=0.5)
    assert (p.skymethod, p.final_pixfrac) == ("match", 0.5)
    with pytest.raises(ParameterError, match="start from one or the other"):
        reduce_parameters(WFC, start, preset="drizzlewb")
    with pytest.raises(ParameterError, match="did you mean 'ACS/WFC, 6 or more'"):
        find_preset("ACS/WFC 6")


def test_differences_say_what_a_preset_would_change():
    now = ReduceParameters.from_keywords(final_pixfrac=0.8, skylower=-100)
    then = PRESETS["ACS/WFC, 6 or more"].differences(now)
    assert then["skymethod"] == ("localmin", "match")
    assert "final_pixfrac" not in then
    assert "skylower" not in then


def _mdriztab(path, **columns):
    fits.BinTableHDU.from_columns(
        [fits.Column(name, array=np.array(values), format=code) for name, (code, values) in columns.items()]
    ).writeto(path)
    return path


def test_rows_of_mdriztab(tmp_path):
    path = _mdriztab(
        tmp_path / "x_mdz.fits",
        filter=("8A", ["ANY", "ANY", "F606W"]),
        numimages=("J", [1, 4, 1]),
        subsky=("L", [True, False, True]),
        crbitval=("J", [4096, -2147483647, 8192]),
        bits=("J", [336, 336, 64]),
        coeffs=("8A", ["header", "", "header"]),
        combine_type=("8A", ["minmed", "median", "median"]),
        combine_maskpt=("E", [0.7, np.nan, 0.7]),
        driz_cr_snr=("8A", ["3.5 3.0", "", "5 4"]),
        ra=("D", [np.nan, np.nan, 10.0]),
        dec=("D", [np.nan, np.nan, -5.0]),
        proc_nothing=("J", [1, 1, 1]),
    )
    presets, left_out = mdriztab_presets(path, "ACS/WFC")
    assert left_out == ["proc_nothing"]
    assert [p.exposures for p in presets] == [(1, 3), (4, 1_000_000), (1, 1_000_000)]
    one, four, third = [p.parameters() for p in presets]
    assert (one.final_bits, one.driz_sep_bits, one.combine_maskpt, one.driz_cr_snr) == (
        336,
        336,
        0.7,
        (3.5, 3.0),
    )
    assert (four.skysub, four.crbit, four.combine_maskpt, four.coeffs) == (False, 4096, 0.3, False)
    assert (third.final_ra, third.driz_sep_dec, third.final_wcs) == (10.0, -5.0, False)


def test_faulty_mdriztab(tmp_path):
    with pytest.raises(DataError, match="cannot read MDRIZTAB"):
        mdriztab_presets(tmp_path / "none.fits")
    other = _mdriztab(tmp_path / "other.fits", x=("J", [1]))
    with pytest.raises(DataError, match="other.fits is no MDRIZTAB"):
        mdriztab_presets(other)
    bad = _mdriztab(
        tmp_path / "bad.fits", filter=("8A", ["ANY"]), numimages=("J", [1]), final_pixfrac=("E", [7.0])
    )
    with pytest.raises(ParameterError, match="row 1 of bad.fits: final_pixfrac = 7"):
        mdriztab_presets(bad)
