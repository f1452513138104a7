"""What the simulator knows of four Hubble detectors: geometry, distortion, noise, filters.

The distortion is the published one (IDCTAB polynomials as the pipeline writes them into headers:
ACS/WFC ``qbu1641sj``, ACS/HRC ``p7d1548qj``, WFC3/UVIS ``2731450pi``, WFC3/IR ``w3m18525i``), turned
rigidly so that the aperture lies at (0, 0) with the detector's y axis towards north and velocity
aberration taken out. Noise and charge figures: ACS and WFC3 instrument handbooks.
"""

from __future__ import annotations

from dataclasses import dataclass

from drizzlewb.errors import ParameterError

__all__ = ["DETECTORS", "ChipModel", "DetectorModel", "FilterModel", "detector_model"]


@dataclass(frozen=True)
class ChipModel:
    """One chip at full size, in the order of the file's SCI extensions.

    `crval_arcsec` is CRVAL (arcsec on the sphere, aperture at the origin), `cd_arcsec` the CD matrix
    rows in arcsec per pixel, `sip_a` and `sip_b` map (p, q) to A_p_q and B_p_q; `oc` holds OCX10,
    OCX11, OCY10, OCY11; `v2v3` the chip's reference point in the telescope's focal plane (arcsec).
    """

    ccdchip: int
    crpix: tuple[float, float]
    crval_arcsec: tuple[float, float]
    cd_arcsec: tuple[tuple[float, float], tuple[float, float]]
    sip_a: dict[tuple[int, int], float]
    sip_b: dict[tuple[int, int], float]
    oc: tuple[float, float, float, float]
    v2v3: tuple[float, float]
    amps: str  # read out to the left and to the right half


@dataclass(frozen=True)
class FilterModel:
    """One filter: pivot wavelength and width (nm), VEGAmag zero point of 1 e-/s, PHOTFLAM, sky.

    `colour` = (a, b): magnitude = m606 - a * (m606 - m814) - b * (m606 - m814)**2.
    """

    pivot_nm: float
    width_nm: float
    zero_point: float
    photflam: float
    photbw: float
    sky_rate: float  # e-/s per pixel
    colour: tuple[float, float]


@dataclass(frozen=True)
class DetectorModel:
    """One detector: everything the frames and their headers are made from."""

    instrument: str
    detector: str
    letter: str  # first letter of its rootnames
    suffix: str
    shape: tuple[int, int]
    sizes: dict[str, tuple[int, int]]
    idcscale: float
    idctheta: float
    idctab: str
    chips: tuple[ChipModel, ...]
    tables: bool  # NPOL and D2IM look-up tables
    filters: dict[str, FilterModel]
    read_noise: dict[str, float]
    atod_gain: dict[str, float]
    ccdgain: float
    bias_dn: float
    full_well: float  # e-, mean over the chip
    dark_rate: float  # e-/s per pixel
    diffusion_px: float  # sigma of charge diffusion
    cr_per_ks: float  # cosmic-ray rate relative to the ACS/WFC one

    @property
    def name(self) -> str:
        """Name under which the detector is listed, such as ``'ACS/WFC'``."""
        return f"{self.instrument}/{self.detector}"

    @property
    def reads_up_the_ramp(self) -> bool:
        """True for WFC3/IR: count rates, no bleeding, cosmic rays already removed by the ramp fit."""
        return self.detector == "IR"

    def crop(self, size: str) -> tuple[tuple[int, int], ...]:
        """Lower left corner (x0, y0) of each chip's crop: at the gap for two chips, central for one."""
        ny, nx = self.sizes[size]
        x0 = (self.shape[1] - nx) // 2
        if len(self.chips) == 2:
            return (x0, self.shape[0] - ny), (x0, 0)
        return ((x0, (self.shape[0] - ny) // 2),)


_TERMS = ((0, 2), (0, 3), (0, 4), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (4, 0))


def _sip(*values: float) -> dict[tuple[int, int], float]:
    """Coefficients of a fourth-order polynomial in the order of `_TERMS`."""
    return dict(zip(_TERMS, values, strict=True))


# fmt: off
_WFC_2 = ChipModel(
    ccdchip=2,
    crpix=(2048.0, 1024.0),
    crval_arcsec=(-0.273272, -63.596793),
    cd_arcsec=((-0.04972038922186412, 0.00020456117215401), (0.003634570384608614, 0.0503123769649045)),
    sip_a=_sip(
        2.1661595298e-06, 1.0819351982e-11, 1.4935617117e-14, -5.1974576467e-06,
        -5.2348707437e-10, -2.4569975538e-14, 8.5512775826e-06, -3.9771547747e-11,
        3.467912671e-14, -4.7304448292e-10, 1.9710229717e-15, 2.3743010624e-14,
    ),
    sip_b=_sip(
        -7.2168814508e-06, -4.1754720493e-10, -9.9570490655e-15, 6.1844323577e-06,
        -6.1692652687e-11, 1.2174301157e-14, -1.7464918771e-06, -5.0857161674e-10,
        -3.6614325929e-14, 8.5676354278e-11, -3.7795068055e-15, -1.7687653826e-14,
    ),
    oc=(0.001961771095643072, 0.0498307741748614, 0.05027452911198226, 0.001490550115269471),
    v2v3=(256.62222, 302.22641),
    amps="CD",
)
_WFC_1 = ChipModel(
    ccdchip=1,
    crpix=(2048.0, 1024.0),
    crval_arcsec=(-0.067114, 40.386566),
    cd_arcsec=((-0.04908680312710621, -0.00017329808442512), (0.004249351430297748, 0.04863538925201819)),
    sip_a=_sip(
        2.2619413116e-06, 6.5105088873e-11, 1.3519145064e-13, -7.5302899957e-06,
        -5.2539208483e-10, -1.4269338934e-14, 8.5188687183e-06, -1.0714005145e-10,
        9.701995259e-14, -4.6936353212e-10, 3.8005978943e-14, 1.83627874e-14,
    ),
    sip_b=_sip(
        -9.7985801907e-06, -4.1421502765e-10, -1.524897603e-13, 6.4256997823e-06,
        -3.0354268445e-11, 2.7591135912e-14, -2.9658922048e-06, -4.4034920545e-10,
        -1.0403608183e-13, 9.0033422635e-11, -3.8363936251e-14, -1.6913942401e-14,
    ),
    oc=(0.002267080585457191, 0.0492242502262243, 0.04858284026784934, 0.002132039303452174),
    v2v3=(260.88705, 198.33223),
    amps="AB",
)
_UVIS_2 = ChipModel(
    ccdchip=2,
    crpix=(2048.0, 1026.0),
    crval_arcsec=(-0.079449, -52.078433),
    cd_arcsec=((-0.03976593711576845, -5.704335661012e-05), (0.002454496401301872, 0.03983641390120675)),
    sip_a=_sip(
        9.6875221654e-08, 1.839771374e-11, -1.5724178903e-14, -3.00733099e-06,
        1.5217139633e-11, 1.067766594e-14, 2.9308116347e-06, -1.2617092274e-11,
        -1.7255834058e-14, 3.0558413465e-11, 6.6592978668e-15, -7.4582385902e-15,
    ),
    sip_b=_sip(
        -3.1182425747e-06, 1.4927053793e-11, 1.7312015536e-14, 2.8147025514e-06,
        -5.0794595847e-12, 8.6807914023e-15, -5.8319285504e-08, 1.0290208724e-11,
        1.8973936569e-14, 1.8011627719e-13, -6.6940735363e-16, 2.818335988e-15,
    ),
    oc=(0.000175079636392183, 0.03977800905704498, 0.03984111174941063, 0.002336987992748618),
    v2v3=(-27.4596, -33.2604),
    amps="CD",
)
_UVIS_1 = ChipModel(
    ccdchip=1,
    crpix=(2048.0, 1026.0),
    crval_arcsec=(-0.118049, 30.363643),
    cd_arcsec=((-0.03952853123508807, -1.188991955952e-05), (0.0026972048745561063, 0.03936517153751678)),
    sip_a=_sip(
        -1.6300537404e-08, -1.0712402126e-13, 6.3349781446e-15, -2.8946283868e-06,
        1.6616933021e-11, 1.2799563847e-14, 2.8809768702e-06, -5.1076735492e-12,
        4.0053937355e-16, 2.5027322484e-11, 9.3842729347e-16, -1.1174065985e-15,
    ),
    sip_b=_sip(
        -2.8811433608e-06, 4.0659981768e-11, -2.19132265e-14, 2.8293364144e-06,
        -4.059258482e-12, -5.1649283694e-15, -8.5296382053e-10, 9.7638921822e-13,
        -6.541032707e-15, 1.0933767978e-11, -3.2278772093e-15, -2.3237441452e-15,
    ),
    oc=(0.0001285237231059, 0.03954129666090012, 0.03936995193362236, 0.002580430591478944),
    v2v3=(30.642796, 25.242006),
    amps="AB",
)
_IR = ChipModel(
    ccdchip=1,
    crpix=(507.0, 507.0),
    crval_arcsec=(6.516261, -6.394518),
    cd_arcsec=((-0.1353918414815054, 0.0001208251881486134), (0.0005759359421028657, 0.12093697601668862)),
    sip_a=_sip(
        5.3654387966e-08, 3.576081248e-11, -2.0298654411e-13, 2.4456799852e-05,
        5.9997705554e-11, 6.2042189733e-13, -1.9767903796e-07, 1.1242621328e-10,
        -2.0999805663e-14, -1.4547443694e-10, 5.6113788288e-13, -3.3503114773e-13,
    ),
    sip_b=_sip(
        3.0020775066e-05, -1.6773547445e-10, 7.7473518849e-13, -1.7469718446e-07,
        4.2655007527e-11, -9.068843124e-14, 6.9802741153e-06, -2.6338747532e-10,
        -6.9630146723e-14, 5.3154134542e-11, 1.0013530077e-13, -6.1398288616e-13,
    ),
    oc=(0.000776120403315872, 0.1354107111692429, 0.1209510564804077, -0.00042132250382564),
    v2v3=(1.019, -0.507),
    amps="AB",
)
_HRC = ChipModel(
    ccdchip=1,
    crpix=(512.0, 512.0),
    crval_arcsec=(0.0, 0.0),
    cd_arcsec=((-0.028280922107653473, 3.791200280636e-05), (0.0029173510860312493, 0.02484322986653455)),
    sip_a=_sip(
        -7.0889395968e-07, -1.881523617e-11, 3.5266312867e-14, 9.0186548073e-06,
        4.1009545438e-10, -1.8416520384e-13, -3.31636021e-06, -2.9240036455e-11,
        -1.3458234666e-12, 9.6577447243e-11, -2.2242752421e-12, 3.237452274e-13,
    ),
    sip_b=_sip(
        1.1507696521e-05, 7.3589451603e-10, -1.2780970907e-12, -2.6697404172e-06,
        -6.3116444335e-10, -5.3932063163e-13, 2.0005987764e-06, 3.0207323226e-10,
        9.9338765726e-13, 4.4876116183e-10, -1.3065032808e-12, 2.6682391732e-13,
    ),
    oc=(-3.5e-05, 0.02828099951148033, 0.0248429998755455, 0.002914000069722533),
    v2v3=(207.08000, 471.47397),
    amps="CC",
)

# fmt: on
_CCD_SIZES = {"tiny": (128, 256), "small": (512, 1024)}
_V, _I = (0.0, 0.0), (1.0, 0.0)

DETECTORS: dict[str, DetectorModel] = {
    "ACS/WFC": DetectorModel(
        instrument="ACS",
        detector="WFC",
        letter="j",
        suffix="flc",
        shape=(2048, 4096),
        sizes=_CCD_SIZES | {"full": (2048, 4096)},
        idcscale=0.05,
        idctheta=0.0,
        idctab="jref$qbu1641sj_idc.fits",
        chips=(_WFC_2, _WFC_1),
        tables=True,
        filters={
            "F606W": FilterModel(592.1, 158.0, 26.40, 7.8625e-20, 672.3, 0.115, _V),
            "F814W": FilterModel(805.7, 175.0, 25.52, 7.0332e-20, 652.0, 0.095, _I),
        },
        read_noise={"A": 4.97, "B": 4.85, "C": 5.24, "D": 5.10},
        atod_gain={"A": 2.002, "B": 1.945, "C": 2.028, "D": 1.994},
        ccdgain=2.0,
        bias_dn=2350.0,
        full_well=84000.0,
        dark_rate=0.003,
        diffusion_px=0.55,
        cr_per_ks=1.0,
    ),
    "WFC3/UVIS": DetectorModel(
        instrument="WFC3",
        detector="UVIS",
        letter="i",
        suffix="flc",
        shape=(2051, 4096),
        sizes=_CCD_SIZES | {"full": (2051, 4096)},
        idcscale=0.03962,
        idctheta=45.0,
        idctab="iref$2731450pi_idc.fits",
        chips=(_UVIS_2, _UVIS_1),
        tables=True,
        filters={
            "F606W": FilterModel(588.9, 147.0, 25.99, 1.1627e-19, 656.0, 0.070, _V),
            "F814W": FilterModel(803.9, 152.0, 24.67, 1.4994e-19, 663.0, 0.045, _I),
        },
        read_noise={"A": 3.03, "B": 3.13, "C": 3.08, "D": 3.18},
        atod_gain={"A": 1.56, "B": 1.56, "C": 1.56, "D": 1.56},
        ccdgain=1.5,
        bias_dn=2555.0,
        full_well=70000.0,
        dark_rate=0.0015,
        diffusion_px=0.50,
        cr_per_ks=1.2,
    ),
    "WFC3/IR": DetectorModel(
        instrument="WFC3",
        detector="IR",
        letter="i",
        suffix="flt",
        shape=(1014, 1014),
        sizes={"tiny": (256, 256), "small": (512, 512), "full": (1014, 1014)},
        idcscale=0.12825,
        idctheta=45.0,
        idctab="iref$w3m18525i_idc.fits",
        chips=(_IR,),
        tables=False,
        filters={
            "F110W": FilterModel(1153.4, 443.0, 26.06, 1.5318e-20, 1428.5, 1.60, (1.55, 0.0)),
            "F160W": FilterModel(1536.9, 268.0, 24.69, 1.9276e-20, 826.3, 0.90, (1.95, -0.05)),
        },
        read_noise={"A": 20.2, "B": 19.8, "C": 19.9, "D": 20.1},
        atod_gain={"A": 2.34, "B": 2.37, "C": 2.31, "D": 2.38},
        ccdgain=2.5,
        bias_dn=11000.0,
        full_well=78000.0,
        dark_rate=0.048,
        diffusion_px=0.32,
        cr_per_ks=0.0,
    ),
    "ACS/HRC": DetectorModel(
        instrument="ACS",
        detector="HRC",
        letter="j",
        suffix="flt",
        shape=(1024, 1024),
        sizes={"tiny": (256, 256), "small": (512, 512), "full": (1024, 1024)},
        idcscale=0.025,
        idctheta=0.0,
        idctab="jref$p7d1548qj_idc.fits",
        chips=(_HRC,),
        tables=False,
        filters={
            "F606W": FilterModel(588.7, 158.0, 25.90, 1.2900e-19, 697.0, 0.018, _V),
            "F814W": FilterModel(811.6, 180.0, 24.61, 1.2900e-19, 797.0, 0.012, _I),
        },
        read_noise={"A": 4.7, "B": 4.7, "C": 4.7, "D": 4.7},
        atod_gain={"A": 2.216, "B": 2.216, "C": 2.216, "D": 2.216},
        ccdgain=2.0,
        bias_dn=2450.0,
        full_well=155000.0,
        dark_rate=0.0036,
        diffusion_px=0.55,
        cr_per_ks=1.6,
    ),
}


def detector_model(name: str) -> DetectorModel:
    """Model of a detector by name, ``'ACS/WFC'`` and so on.

    Raises
    ------
    ParameterError
        The name is not one that can be simulated.
    """
    try:
        return DETECTORS[name]
    except KeyError:
        msg = f"simulating detector {name!r}: not known; choose one of {', '.join(DETECTORS)}."
        raise ParameterError(msg) from None
