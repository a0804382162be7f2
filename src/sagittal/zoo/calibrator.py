"""From a raw score to a statement, by the card's calibration and thresholds and by `CLINICAL.md`.

A probability belongs to the domain it was calibrated on; absence is a claim that needs a measured
sensitivity on the same domain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sagittal.measure.calibration import Platt, fit_platt
from sagittal.measure.discrimination import at_threshold, threshold_for_sensitivity, threshold_for_specificity
from sagittal.report.finding import Certainty
from sagittal.report.reading import CERTAINTY_BANDS, certainty
from sagittal.study.study import Study
from sagittal.zoo.card import BranchCard, LabelCard, Threshold

NOT_CALIBRATED = "not calibrated on this kind of image"
ABSENCE_UNPROVEN = "absence not claimed: sensitivity not shown on this kind of image"
UNLIKELY = next(edge for edge, word in CERTAINTY_BANDS if word is Certainty.LESS_LIKELY)
"""A plain "no" is never said of what the house's scale would still call less likely (10 % and over)."""


def domain_of(study: Study, branch: str) -> str:
    """The domain a study's scores belong to: phantoms are one of their own."""
    return f"{'phantom' if study.synthetic else 'real'} {branch}"


def calibrate(branch: BranchCard, observation: str, probability: float) -> float:
    """The card's calibration of one raw probability."""
    label = branch.label(observation)
    return float(Platt(label.slope, label.offset).apply(probability))


@dataclass(frozen=True)
class Judgement:
    """What may be said of one score.

    Args:
        level: "present", "absent", a certainty word, or "not assessed".
        probability: the calibrated number, only where it may be shown.
    """

    level: str
    probability: float | None = None
    note: str | None = None


def judge(label: LabelCard, probability: float, domain: str, *, required_sensitivity: float) -> Judgement:
    """What a calibrated ``probability`` in ``domain`` allows to be said.

    A domain in which nothing was measured yields "not assessed", whatever the number.
    """
    threshold = label.threshold(domain)
    if threshold is None:
        return Judgement("not assessed", None, NOT_CALIBRATED)
    known = label.calibrated_on == domain
    shown, note = (probability, None) if known else (None, NOT_CALIBRATED)
    if threshold.present is not None and probability >= threshold.present:
        return Judgement("present", shown, note)
    if threshold.absent is not None and probability < min(threshold.absent, UNLIKELY):
        proven = threshold.sensitivity is not None and threshold.sensitivity.low >= required_sensitivity
        if proven:
            return Judgement("absent", shown, note)
        return Judgement("not assessed", shown, ABSENCE_UNPROVEN)
    return Judgement(certainty(probability).value, shown, note)


def fit_label(
    observation: str,
    fit: tuple[ArrayLike, ArrayLike],
    heldout: tuple[ArrayLike, ArrayLike],
    domain: str,
    *,
    specificity: float = 0.95,
    required_sensitivity: float = 0.90,
) -> LabelCard:
    """Calibrate a label and set its thresholds.

    Args:
        fit: (truth, raw probability) that calibration and thresholds are chosen on.
        heldout: others, that the sensitivity written on the card is measured on, so that choosing
            and measuring never share a case.
        specificity: the lowest threshold with this specificity is where presence is stated.
        required_sensitivity: the absence threshold aims half-way between it and 1, and is never above
            what the house's scale calls unlikely.
    """
    truth, raw = np.asarray(fit[0]), np.asarray(fit[1], float)
    platt = fit_platt(truth, raw)
    probability = platt.apply(raw)
    absent = min(threshold_for_sensitivity(truth, probability, (1 + required_sensitivity) / 2), UNLIKELY)
    # A finding that is less likely than not is never stated as present, however specific it is.
    present = max(threshold_for_specificity(truth, probability, specificity), absent, 0.5)
    measured = at_threshold(heldout[0], platt.apply(heldout[1]), absent).sensitivity
    threshold = Threshold(domain, min(float(present), 1.0), float(absent), measured)
    return LabelCard(observation, platt.slope, platt.offset, domain, (threshold,))
