"""The glioma cohort: what each source tells by the rule, that none suffices, and that images obey it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import lognorm

from sagittal.errors import BadInput
from sagittal.measure.discrimination import auroc
from sagittal.phantom.glioma import (
    ABSENT,
    GROWTH,
    METHYLATED,
    STEROID_LIFT,
    WEEKS_SINCE,
    GliomaCase,
    draw_clues,
    draw_glioma,
)


def test_log_ratios_are_those_of_the_distributions() -> None:
    value = 13.7
    expected = lognorm.logpdf(value, 0.8, scale=20.0) - lognorm.logpdf(value, 0.8, scale=9.0)
    assert WEEKS_SINCE.log_ratio(value) == pytest.approx(expected)
    assert METHYLATED.log_ratio(True) == pytest.approx(np.log(0.30 / 0.60))
    assert METHYLATED.log_ratio(False) == pytest.approx(np.log(0.70 / 0.40))


def test_no_source_suffices_and_each_adds() -> None:
    rng = np.random.default_rng(0)
    clues = [draw_clues(rng) for _ in range(4000)]
    truth = [c.progression for c in clues]
    evidence = [c.evidence() for c in clues]
    every = np.array([sum(e.values()) for e in evidence])
    whole = auroc(truth, every)
    assert 0.93 < whole < 0.985
    for name in evidence[0]:
        own = np.array([e[name] for e in evidence])
        assert 0.68 < auroc(truth, own) < 0.86, name
        assert auroc(truth, every - own) < whole - 0.01, name
    # the truth is in the sum alone: it is calibrated
    middle = np.abs(every) < 0.5
    assert abs(np.mean(np.array(truth)[middle]) - 0.5) < 0.06


def test_steroids_confuse_the_laboratory_and_not_the_truth() -> None:
    rng = np.random.default_rng(1)
    clues = [draw_clues(rng) for _ in range(4000)]
    given = np.array([c.steroids for c in clues])
    ratio = np.log([c.ratio for c in clues])
    assert np.exp(ratio[given].mean() - ratio[~given].mean()) == pytest.approx(STEROID_LIFT, rel=0.05)
    truth = np.array([c.progression for c in clues])
    assert abs(truth[given].mean() - truth[~given].mean()) < 0.05


@pytest.fixture(scope="module")
def cases() -> list[GliomaCase]:
    return [draw_glioma(seed=2, index=k) for k in range(4)]


def test_the_same_arguments_give_the_same_case(cases: list[GliomaCase]) -> None:
    again = draw_glioma(seed=2, index=1)
    assert again.clues == cases[1].clues != cases[2].clues
    assert again.study.context == cases[1].study.context
    for first, second in zip(again.study.series, cases[1].study.series, strict=True):
        assert np.array_equal(first.volume.voxels, second.volume.voxels)
    with pytest.raises(BadInput, match="size 32"):
        draw_glioma(seed=0, index=0, size=32)


def test_studies_hold_what_is_not_missing(cases: list[GliomaCase]) -> None:
    for case in cases:
        study, clues = case.study, case.clues
        assert study.synthetic
        assert {s.acquisition.sequence for s in study.series} == {"T1", "T1c", "T2", "FLAIR", "DWI", "ADC"}
        for prior in study.priors:
            assert prior.patient == study.patient
            assert prior.date and study.date
            assert 42 <= (study.date - prior.date).days < 90
        text = " ".join(study.context.notes)
        if text:
            assert ("worse" in text) == clues.worse
            assert ("Takes dexamethasone" in text) == clues.steroids
        else:
            assert not study.context.radiotherapy  # nor does it stand elsewhere
            assert study.context.steroids is None
        values = {lab.name: lab.value for lab in study.context.labs}
        if "MGMT promoter methylation" in values:
            assert (values["MGMT promoter methylation"] > 9) == clues.methylated
        if "Neutrophil-lymphocyte ratio" in values:
            assert values["Neutrophil-lymphocyte ratio"] == pytest.approx(clues.ratio, abs=0.05)
    assert any(case.study.priors for case in cases)
    assert set(ABSENT) == {"labs", "notes", "prior"}


def test_the_lesion_has_grown_since_the_prior(cases: list[GliomaCase]) -> None:
    """Enhancing voxels (T1c over T1 of the same study) are more now where growth is large."""
    grown = [c for c in cases if c.study.priors and c.clues.growth > GROWTH.effect]
    assert grown

    def volume(series: tuple) -> int:  # type: ignore[type-arg]
        images = {s.acquisition.sequence: s.volume.voxels.astype(float) for s in series}
        bright = [
            images[n] / np.median(images[n][images[n] > np.percentile(images[n], 70)]) for n in ("T1c", "T1")
        ]
        return int((bright[0] - bright[1] > 0.35).sum())

    more = [volume(c.study.series) > volume(c.study.priors[0].series) for c in grown]
    assert np.mean(more) > 0.6
