"""What a score allows to be said: the clinical rules, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagittal.measure.statistics import Interval
from sagittal.study.spec import InputSpec
from sagittal.study.study import Patient, Study
from sagittal.zoo.calibrator import NOT_CALIBRATED, calibrate, domain_of, fit_label, judge
from sagittal.zoo.card import BranchCard, LabelCard, Threshold

PHANTOM, REAL = "phantom chest-xray", "real chest-xray"


def label(low: float) -> LabelCard:
    return LabelCard(
        "nodule", calibrated_on=PHANTOM, thresholds=(Threshold(PHANTOM, 0.7, 0.05, Interval(0.97, low, 1.0)),)
    )


def test_phantoms_are_a_domain_of_their_own() -> None:
    study = Study("1.2", Patient(), ())
    assert domain_of(study, "chest-xray") == REAL
    assert domain_of(study.with_(synthetic=True), "chest-xray") == PHANTOM


@given(st.floats(0, 1))
def test_nothing_is_said_where_nothing_was_measured(probability: float) -> None:
    judgement = judge(label(0.99), probability, REAL, required_sensitivity=0.9)
    assert (judgement.level, judgement.probability) == ("not assessed", None)
    assert judgement.note == NOT_CALIBRATED


@given(st.floats(0, 1), st.floats(0, 1))
def test_absence_needs_a_proven_sensitivity(probability: float, low: float) -> None:
    judgement = judge(label(low), probability, PHANTOM, required_sensitivity=0.9)
    if judgement.level == "absent":
        assert low >= 0.9
        assert probability < 0.05
    if probability < 0.05 and low < 0.9:
        assert judgement.level == "not assessed"
    if probability >= 0.7:
        assert judgement.level == "present"


def test_no_is_not_said_of_what_is_only_less_likely() -> None:
    wide = Threshold(PHANTOM, 0.7, 0.3, Interval(0.99, 0.97, 1.0))
    card = LabelCard("nodule", calibrated_on=PHANTOM, thresholds=(wide,))
    assert judge(card, 0.22, PHANTOM, required_sensitivity=0.9).level == "less likely"
    assert judge(card, 0.08, PHANTOM, required_sensitivity=0.9).level == "absent"


def test_a_number_is_shown_only_in_the_domain_it_was_calibrated_on() -> None:
    both = LabelCard(
        "nodule", calibrated_on=PHANTOM, thresholds=(Threshold(PHANTOM, 0.7), Threshold(REAL, 0.8))
    )
    assert judge(both, 0.9, PHANTOM, required_sensitivity=0.9).probability == 0.9
    real = judge(both, 0.9, REAL, required_sensitivity=0.9)
    assert (real.level, real.probability, real.note) == ("present", None, NOT_CALIBRATED)


def test_a_fitted_label_is_calibrated_and_its_sensitivity_comes_from_other_cases() -> None:
    rng = np.random.default_rng(0)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        truth = (rng.uniform(size=n) < 0.3).astype(int)
        return truth, 1 / (1 + np.exp(-(rng.normal(size=n) + 3.2 * truth + 1)))  # too sure by far

    fit, heldout = draw(1000), draw(800)
    card = fit_label("nodule", fit, heldout, PHANTOM)
    branch = BranchCard(InputSpec(("DX",)), (card,))
    mean = np.mean([calibrate(branch, "nodule", p) for p in heldout[1]])
    assert mean == pytest.approx(heldout[0].mean(), abs=0.03)
    threshold = card.threshold(PHANTOM)
    assert threshold is not None
    assert threshold.sensitivity is not None
    assert threshold.sensitivity.n == heldout[0].sum()
    assert threshold.present is not None
    assert threshold.absent is not None
    assert threshold.absent <= threshold.present
    assert threshold.absent <= 0.1
    assert judge(card, 0.0, PHANTOM, required_sensitivity=0.9).level == "absent"
