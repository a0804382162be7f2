"""Which earlier studies a report names, by their dates."""

from __future__ import annotations

from datetime import date

import pytest

from sagittal.report.names import languages
from sagittal.report.parse import parse_document

MARCH = date(2024, 3, 12)


def _named(text: str, code: str = "en") -> list[tuple[str, date | None]]:
    return [(text[p.start : p.end], p.day) for p in parse_document(text, code).priors]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COMPARISON: CT chest 12 March 2024 and radiograph 2023-05-01.", [MARCH, date(2023, 5, 1)]),
        ("Compared to the prior CT of March 12, 2024, the nodule is larger.", [MARCH]),
        ("The effusion is stable since 2024-03-12.", [MARCH]),
        ("COMPARISON: 3/22/2019", [date(2019, 3, 22)]),
        ("COMPARISON: 22.3.19", [date(2019, 3, 22)]),
        ("COMPARISON: 3/3/2019", [date(2019, 3, 3)]),
        # Nobody can say which of the two it is.
        ("COMPARISON: 03/04/2019", [None]),
        ("COMPARISON: 13/14/2019", []),
        ("COMPARISON: None.", []),
        ("Surgery on 12 March 2024. No effusion.", []),
        ("FINDINGS: 8 x 6 mm nodule, previously 6 mm, T10/11.", []),
    ],
)
def test_dates_of_priors(text: str, expected: list[date | None]) -> None:
    assert [day for _, day in _named(text)] == expected


SENTENCES = {
    "en": "Compared with the study of 12 March 2024.",
    "de": "Im Vergleich zur Voruntersuchung vom 12.03.2024.",
    "fr": "Par rapport au scanner du 12/03/2024.",
    "es": "Comparado con el estudio previo del 12/03/2024.",
    "it": "Confrontato con la TC del 12/03/2024.",
    "tr": "12.03.2024 tarihli önceki inceleme ile karşılaştırıldı.",
}


@pytest.mark.parametrize("code", languages())
def test_every_language_names_its_priors(code: str) -> None:
    text = SENTENCES[code]
    ((words, day),) = _named(text, code)
    assert day == MARCH and words in text


def test_another_date_of_the_report_settles_the_order() -> None:
    """Day and month of the one can be told from the other; where two differ nothing is."""
    text = "EXAM DATE: 11/25/2023\nCOMPARISON: 05/04/2023.\nFINDINGS: Nodule."
    assert _named(text) == [("05/04/2023", date(2023, 5, 4))]
    assert _named(text.replace("11/25", "25/11")) == [("05/04/2023", date(2023, 4, 5))]
    assert _named(text.replace("11/25", "11/10")) == [("05/04/2023", None)]
    assert _named(text + " Compared with 25/11/2022.")[0] == ("05/04/2023", None)
