"""What names a person leaves the text and comes back; what a reading needs stays."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.privacy.text import deidentify_text

PLANTED = {
    "en": "Patient Jane Ashworth, born 12/03/1950, MRN 84512377. Nodule 12 x 8 mm. Call 020 7946 0958.",
    "de": "Patientin Frau Jane Ashworth, geb. 12.03.1950, MRN 84512377. Rundherd 12 x 8 mm. Tel. 030 901820.",
    "fr": "Patiente Mme Jane Ashworth, née le 12/03/1950, MRN 84512377. Nodule 12 x 8 mm. Tél. 01 42 34 56 78.",  # noqa: E501
    "es": "Paciente Jane Ashworth, nacida el 12/03/1950, MRN 84512377. Nódulo 12 x 8 mm. Tel. 912 345 678.",
    "it": "Paziente Jane Ashworth, nata il 12/03/1950, MRN 84512377. Nodulo 12 x 8 mm. Tel. 06 1234 5678.",
    "tr": "Hasta Jane Ashworth, doğum 12.03.1950, MRN 84512377. Nodül 12 x 8 mm. Tel. 0212 345 67 89.",
}
CLINICAL = (
    "Kerley B lines. L4/5 disc bulge, T2/FLAIR hyperintensity, T12 fracture. XXXX blanks. BI-RADS tissue.",
    "Swan-Ganz catheter in the right atrium. 35 HU. Slice 14 of 120. Fleischner 2017. Nodule 12 x 8 mm.",
)


@pytest.mark.parametrize("code", PLANTED)
def test_the_patient_leaves_and_the_finding_stays(code: str) -> None:
    text = PLANTED[code]
    masked = deidentify_text(text, names=("Ashworth^Jane",), identifiers=("84512377",), language=code)
    for secret in ("Jane", "Ashworth", "84512377", "12/03/1950", "12.03.1950"):
        assert secret not in masked.text, masked.text
    assert "12 x 8 mm" in masked.text
    assert masked.restore(masked.text) == text


@pytest.mark.parametrize("text", CLINICAL)
def test_words_of_the_field_are_no_person(text: str) -> None:
    assert deidentify_text(text).text == text


def test_intervals_between_dates_survive() -> None:
    text = "CT on 2024-01-05. Control on 2024-03-05."
    masked = deidentify_text(text, dates=(date(2024, 1, 5),), seed=3)
    assert "2024-01-05" not in masked.text and masked.restore(masked.text) == text
    assert deidentify_text(text, seed=3).text == deidentify_text(text, seed=3).text


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=200))
def test_what_was_taken_comes_back(text: str) -> None:
    masked = deidentify_text(text, names=("Ashworth^Jane",))
    assert masked.restore(masked.text) == text
