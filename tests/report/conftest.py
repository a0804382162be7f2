"""Findings drawn by hypothesis, over the whole vocabulary and every field a sentence may carry."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from sagittal.report.draft import draft
from sagittal.report.finding import (
    Certainty,
    Change,
    ChangeKind,
    Evidence,
    Finding,
    Kind,
    Laterality,
    Measurement,
    Presence,
    Severity,
    Temporality,
)
from sagittal.report.reading import (
    MaskSummary,
    ModelUse,
    Provenance,
    Reading,
    Refusal,
    Score,
    SeriesSummary,
    Status,
    StudySummary,
)
from sagittal.report.stated import ADJECTIVES, QUANTITIES, UNITS
from sagittal.report.vocabulary import concept, observations, site, sites

WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABC0123456789 .,-/≥()\n;:", max_size=30)
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(
        [
            "at the detector, uncorrected",
            "mask, longest axis",
            "Fleischner 2017, at least 2 mm",
            "RECIST 1.1",
            "no nodule, 3 masses",
        ]
    ),
    WORDS,
)
VALUES = st.one_of(
    st.floats(0, 400), st.floats(-2000, 2e6), st.sampled_from([0.0, 9.95, 9.96, float("nan"), float("inf")])
)
MEASUREMENTS = st.builds(
    Measurement,
    quantity=st.sampled_from([*QUANTITIES, "cardiothoracic_ratio", "glow"]),
    values=st.lists(VALUES, min_size=0, max_size=4).map(tuple),
    unit=st.sampled_from([*UNITS, "mm[Hg]"]),
    method=TEXTS,
    plane=st.sampled_from([None, "axial", "coronal", "no such plane"]),
    spacing_source=TEXTS,
)
ATTRIBUTES = st.one_of(
    st.sampled_from([(name, value) for value, name in ADJECTIVES.items()]),
    st.tuples(
        st.sampled_from(
            ["density", "margin", "enhancement", "tip position", "tip_position", "scale", "criterion"]
        ),
        st.one_of(st.sampled_from(["ring", "ground-glass", "3 cm above the carina", "no nodule"]), WORDS),
    ),
)
FINDINGS: SearchStrategy[Finding] = st.builds(
    Finding,
    observation=st.sampled_from([o.concept for o in observations()]),
    presence=st.sampled_from(Presence),
    certainty=st.none() | st.sampled_from(Certainty),
    probability=st.none() | st.floats(0, 1),
    site=st.none() | st.sampled_from([s.concept for s in sites()]),
    laterality=st.none() | st.sampled_from(Laterality),
    severity=st.none() | st.sampled_from(Severity),
    attributes=st.lists(ATTRIBUTES, max_size=3).map(tuple),
    count=st.none() | st.integers(-1, 1200),
    temporality=st.one_of(st.just(Temporality.CURRENT), st.sampled_from(Temporality)),
    measurements=st.lists(MEASUREMENTS, max_size=3).map(tuple),
    change=st.none()
    | st.builds(
        Change,
        kind=st.sampled_from(ChangeKind),
        since=st.none() | st.dates(date(1900, 1, 1), date(2100, 1, 1)),
        criterion=TEXTS,
        prior=st.none() | MEASUREMENTS,
    ),
    actionable=st.sampled_from([None, 1, 2, 3]),
    tracking_uid=st.just("1.2.3"),
    evidence=st.none() | st.just(Evidence(series_uid="1.2")),
    source=st.just("model test"),
)


class Drawn:
    """Strategies with a short name in failure messages."""

    finding = FINDINGS


@pytest.fixture(scope="session")
def drawn() -> Drawn:
    """``drawn.finding``: any finding of the vocabulary, sensible or not."""
    return Drawn()


def _reading() -> Reading:
    """A small draft: a nodule seen, an effusion possible, a pneumothorax absent, one series refused."""
    study = StudySummary(
        "1.2.3",
        "P1",
        date(2026, 3, 4),
        "F",
        61.0,
        "CT chest",
        series=(
            SeriesSummary("1.2.3.1", "CT", "Lung", (128, 256, 256), (2.0, 0.7, 0.7), "SPL", "HU"),
            SeriesSummary("1.2.3.2", "CT", "Scout", (1, 256, 256), None, "SPL", "HU", ("one slice",)),
        ),
    )
    findings = (
        Finding(
            concept("nodule"),
            site=site("upper_lobe").concept,
            laterality=Laterality.RIGHT,
            measurements=(Measurement("diameter", (8.2, 6.0), "mm", plane="axial"),),
            probability=0.91,
            domain="phantom chest-ct",
            actionable=3,
            tracking_uid="2.25.1",
            evidence=Evidence("1.2.3.1", mask="nodule-1", slices_index=(40, 41)),
            source="model test",
        ),
        Finding(
            concept("pleural_effusion"),
            presence=Presence.UNCERTAIN,
            certainty=Certainty.POSSIBLE,
            laterality=Laterality.LEFT,
            tracking_uid="2.25.2",
        ),
        Finding(concept("pneumothorax"), presence=Presence.ABSENT, tracking_uid="2.25.3"),
        Finding(concept("pneumonia"), Kind.INFERENCE, certainty=Certainty.PROBABLE, tracking_uid="2.25.4"),
    )
    refusals = (Refusal("test", "1.2.3.2", "a localiser", 3.2, 1.5),)
    scores = (
        Score(concept("nodule"), "present", 0.91, "phantom chest-ct", "1.2.3.1"),
        Score(concept("emphysema"), "not assessed", None, None, "1.2.3.1"),
    )
    return Reading(
        uid="2.25.9",
        status=Status.DRAFT,
        study=study,
        models=(ModelUse("test", "1.0", "ab" * 32, "Apache-2.0"),),
        scores=scores,
        findings=findings,
        refusals=refusals,
        report=draft(study, findings, indication="Cough", scores=scores, refusals=refusals),
        provenance=Provenance(datetime(2026, 3, 4, 12, tzinfo=UTC), 0, {"sagittal": "0.1.0"}),
        masks=(MaskSummary("nodule-1", "1.2.3.1", concept("nodule"), 0.2, "test"),),
    )


@pytest.fixture
def reading() -> Reading:
    """A draft reading with findings, refusals and scores."""
    return _reading()
