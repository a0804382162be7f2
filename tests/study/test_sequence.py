"""The rule that names MR weightings and contrast phases, on descriptions as scanners write them."""

from __future__ import annotations

import pytest

from sagittal.study.sequence import contrast_phase, mr_sequence


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("T1post", "T1c"), ("T1pre_reg", "T1"), ("T2_reg", "T2"), ("FLAIR_reg", "FLAIR"),
        ("t1_mprage_sag_p2_iso", "T1"), ("AX T1 +C", "T1c"), ("Ax T1 FSE GAD", "T1c"),
        ("T1w_3D_TFE CE", "T1c"),
        ("t2_tirm_tra_dark-fluid", "FLAIR"), ("Sag 3D CUBE FLAIR", "FLAIR"), ("T1 FLAIR", "T1"),
        ("AX T2 FLAIR", "FLAIR"), ("T2W_TSE", "T2"), ("t2_tse_tra_512", "T2"), ("AX T2* GRE", None),
        ("T2 star hemo", None), ("SWI_Images", None), ("DWI b1000", "DWI"),
        ("ep2d_diff_3scan_trace_TRACEW", "DWI"),
        ("ep2d_diff_3scan_trace_ADC", "ADC"), ("Apparent ADC (10^-6 mm2/s)", "ADC"), ("3D TOF MRA", None),
        ("DTI FA map", None), ("perf dsc", None), ("HippoCrop", None), ("", None), ("localizer", None),
        ("patient01_FLAIR", "FLAIR"), ("study1_T1W", "T1"), ("SE T1 pre contrast", "T1"),
        ("BRAVO post", "T1c"),
    ],
)  # fmt: skip
def test_descriptions(description: str, expected: str | None) -> None:
    assert mr_sequence(description=description) == expected


def test_times_decide_only_where_words_do_not() -> None:
    spin = {"scanning": ["SE"]}
    assert mr_sequence(**spin, tr_ms=500, te_ms=10) == "T1"
    assert mr_sequence(**spin, tr_ms=500, te_ms=10, agent="gadobutrol") == "T1c"
    assert mr_sequence(**spin, tr_ms=500, te_ms=10, agent="NONE") == "T1"
    assert mr_sequence(**spin, tr_ms=4000, te_ms=92) == "T2"
    assert mr_sequence(scanning=["SE", "IR"], tr_ms=10_000, te_ms=90, ti_ms=2600) == "FLAIR"
    assert mr_sequence(scanning=["SE", "IR"], tr_ms=4000, te_ms=30, ti_ms=150) is None
    assert mr_sequence(scanning=["GR"], tr_ms=500, te_ms=10) is None
    assert mr_sequence(**spin, tr_ms=1500, te_ms=40) is None
    assert mr_sequence(description="T2", scanning=["SE"], tr_ms=500, te_ms=10) == "T2"


def test_diffusion_is_told_by_b_value_and_image_type() -> None:
    assert mr_sequence(b_value=1000.0) == "DWI"
    assert mr_sequence(description="T2", image_type=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]) == "ADC"
    assert mr_sequence(description="T2 pre", b_value=0.0) == "T2"


@pytest.mark.parametrize(
    ("description", "agent", "expected"),
    [
        ("Abdomen arterial", None, "arterial"), ("Thorax/Abd. PV", "Iomeron", "portal venous"),
        ("non-contrast head", None, "none"), ("Chest", "Omnipaque", "enhanced"), ("Chest", None, None),
        ("Chest", "NONE", "none"), ("delayed 10 min", "x", "delayed"), ("CTA thorax", "x", "arterial"),
    ],
)  # fmt: skip
def test_contrast_phases(description: str, agent: str | None, expected: str | None) -> None:
    assert contrast_phase(description, agent) == expected
