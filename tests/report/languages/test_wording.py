"""Wording that is grammatical, sentence by sentence."""

from __future__ import annotations

import pytest

from sagittal.report.finding import Certainty, Finding, Laterality
from sagittal.report.parse import parse
from sagittal.report.render import sentence
from sagittal.report.stated import stated
from sagittal.report.vocabulary import concept, site

EMBOLISM = Finding(concept("pulmonary_embolism"), certainty=Certainty.UNLIKELY)
BLEED = Finding(
    concept("intracranial_haemorrhage"), site=site("basal_ganglia").concept, laterality=Laterality.LEFT
)


@pytest.mark.parametrize(
    ("code", "finding", "text"),
    [
        # A bare noun takes no verb where the language wants an article before it.
        ("fr", EMBOLISM, "Embolie pulmonaire peu probable."),
        ("es", EMBOLISM, "Embolia pulmonar poco probable."),
        ("it", EMBOLISM, "Embolia polmonare poco probabile."),
        # One side has several basal ganglia.
        ("fr", BLEED, "dans les noyaux gris centraux gauches."),
        ("es", BLEED, "en los ganglios basales izquierdos."),
        ("it", BLEED, "nei nuclei della base sinistri."),
        ("tr", BLEED, "sol bazal ganglionlarda"),
    ],
)
def test_wording(code: str, finding: Finding, text: str) -> None:
    written = sentence(finding, code)
    assert text.lower() in written.lower()
    assert parse(written, code) == [stated(finding)]
