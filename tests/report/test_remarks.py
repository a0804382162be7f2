"""What limited the examination and what to do next, in every language."""

from __future__ import annotations

import re

import pytest

from sagittal.report.names import languages
from sagittal.report.remarks import Remark, read_remarks, remarks
from sagittal.report.vocabulary import EXAMS

ALL = [*remarks("limitation"), *remarks("recommendation")]
ASKED = {
    "en": "We recommend the following: {}.",
    "de": "Empfohlen wird: {}.",
    "fr": "Nous recommandons : {}.",
    "es": "Se recomienda: {}.",
    "it": "Si consiglia: {}.",
    "tr": "{} önerilir.",
}


def _read(text: str, language: str = "en") -> list[tuple[str, str]]:
    return [(r.remark.key, text[r.start : r.end]) for r in read_remarks(text, language)]


def test_the_list() -> None:
    assert len({(r.kind, r.key) for r in ALL}) == len(ALL)
    assert all(re.fullmatch(r"[a-z][a-z_]*", r.key) and set(r.exams) <= set(EXAMS) for r in ALL)
    assert [r.key for r in ALL if r.forbidden] == ["clinical_correlation"]


@pytest.mark.parametrize("code", languages())
@pytest.mark.parametrize("remark", ALL, ids=lambda r: r.key)
def test_every_word_of_every_language_is_read_as_what_it_stands_for(remark: Remark, code: str) -> None:
    name = remark.name(code)
    for word in (name.term, *name.synonyms):
        text = ASKED[code].format(word)
        found = [r for r in read_remarks(text, code) if r.remark is remark]
        assert any(word in text[r.start : r.end] for r in found), text


def test_a_recommendation_needs_a_word_that_asks_for_it() -> None:
    assert _read("CT of the chest was performed.") == []
    assert _read("CT of the chest is recommended.") == [("ct", "CT of the chest")]
    assert _read("Chest CT, 2 March. Follow-up is advised.") == [("follow_up", "Follow-up")]


def test_the_longer_phrase_counts() -> None:
    text = "Short-interval follow-up is recommended."
    assert _read(text) == [("short_follow_up", "Short-interval follow-up")]


@pytest.mark.parametrize(
    ("code", "text", "keys"),
    [
        ("en", "Rotated to the left, expiratory film, portable AP.", "rotation poor_inspiration portable"),
        ("en", "Please correlate clinically.", "clinical_correlation"),
        ("de", "CT-Kontrolle in 3 Monaten empfohlen. Keine Voraufnahmen.", "ct follow_up no_prior"),
        ("fr", "Examen sans injection. Un contrôle par scanner est recommandé.", "no_contrast follow_up ct"),
        ("es", "Se recomienda TC de control. Artefactos de movimiento.", "ct follow_up motion"),
        ("it", "Si consiglia controllo TC. Esame eseguito a letto.", "follow_up ct portable"),
        ("tr", "Kontrastsız inceleme. 3 ay sonra BT ile kontrol önerilir.", "no_contrast ct follow_up"),
    ],
)
def test_sentences_as_they_are_written(code: str, text: str, keys: str) -> None:
    assert [key for key, _ in _read(text, code)] == keys.split()
