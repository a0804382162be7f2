"""What limited the examination and what to do next, in every language."""

from __future__ import annotations

import re

import pytest

from sagittal.report.names import languages
from sagittal.report.parse import parse_document
from sagittal.report.remarks import Interval, Remark, read_remarks, remarks
from sagittal.report.vocabulary import EXAMS

ALL = [*remarks("limitation"), *remarks("recommendation")]
MADE = {
    "en": "The examination: {}.",
    "de": "Die Untersuchung: {}.",
    "fr": "L'examen : {}.",
    "es": "El estudio: {}.",
    "it": "L'esame: {}.",
    "tr": "İnceleme: {}.",
}
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
        text = (MADE if remark.technique else ASKED)[code].format(word)
        found = [r for r in read_remarks(text, code) if r.remark is remark]
        assert any(word in text[r.start : r.end] for r in found), text


def test_a_recommendation_needs_a_word_that_asks_for_it() -> None:
    assert _read("CT of the chest was performed.") == []
    assert _read("CT of the chest is recommended.") == [("ct", "CT of the chest")]
    assert _read("Chest CT, 2 March. Follow-up is advised.") == [("follow_up", "Follow-up")]


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("en", "Ultrasound in 2 weeks.", {"ultrasound": (2, 2, "wk")}),
        ("en", "Repeat chest CT in three to six months.", {"ct": (3, 6, "mo")}),
        ("en", "12-month follow-up MRI.", {"follow_up": (12, 12, "mo"), "mr": (12, 12, "mo")}),
        ("en", "Annual mammography.", {"mammography": (1, 1, "a")}),
        ("de", "MRT-Kontrolle nach 6 Monaten.", {"mr": (6, 6, "mo"), "follow_up": (6, 6, "mo")}),
        ("fr", "Échographie dans 3 mois.", {"ultrasound": (3, 3, "mo")}),
        ("es", "Radiografía de tórax en 4-6 semanas.", {"radiograph": (4, 6, "wk")}),
        ("it", "Ecografia tra 3 mesi.", {"ultrasound": (3, 3, "mo")}),
        ("tr", "6 ay sonra MR.", {"mr": (6, 6, "mo")}),
        # What was, how long it has been so, and how an examination was done asks for nothing.
        ("en", "CT of the abdomen 6 weeks ago.", {}),
        ("en", "Nodule stable on CT for 6 months.", {}),
        ("en", "MRI in 2 months showed regression.", {}),
        ("en", "TECHNIQUE: Annual low-dose CT.", {}),
        ("en", "No change in 3 months on CT.", {}),
        ("de", "CT vor 3 Monaten.", {}),
        ("de", "In 3 Monaten zeigte die CT eine Zunahme.", {}),
        ("fr", "Scanner réalisé il y a 3 mois.", {}),
        ("es", "TC hace 3 meses.", {}),
        ("it", "TC eseguita 3 mesi fa.", {}),
        ("tr", "3 ay önce BT.", {}),
    ],
)
def test_an_examination_with_an_interval_ahead_is_asked_for(
    code: str, text: str, expected: dict[str, tuple[int, int, str]]
) -> None:
    found = {r.remark.key: r.interval for r in read_remarks(text, code) if r.remark.kind == "recommendation"}
    assert found == {key: Interval(*interval) for key, interval in expected.items()}


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


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("en", "Recommend follow-up CT in 6-12 months.", {"follow_up": (6, 12, "mo"), "ct": (6, 12, "mo")}),
        ("en", "Biopsy is advised, and CT in three months.", {"biopsy": None, "ct": (3, 3, "mo")}),
        ("en", "A 12-month follow-up is recommended.", {"follow_up": (12, 12, "mo")}),
        ("en", "RECOMMENDATION: Chest CT after 2 years.", {"ct": (2, 2, "a")}),
        (
            "en",
            "Ultrasound or MRI in 1 to 2 weeks is suggested.",
            {"ultrasound": (1, 2, "wk"), "mr": (1, 2, "wk")},
        ),
        ("de", "CT-Kontrolle in 3 bis 6 Monaten empfohlen.", {"ct": (3, 6, "mo"), "follow_up": (3, 6, "mo")}),
        ("fr", "Contrôle par scanner recommandé à 3 mois.", {"follow_up": (3, 3, "mo"), "ct": (3, 3, "mo")}),
        ("es", "Se recomienda control en seis meses.", {"follow_up": (6, 6, "mo")}),
        ("it", "Si consiglia controllo TC tra 12 mesi.", {"follow_up": (12, 12, "mo"), "ct": (12, 12, "mo")}),
        ("tr", "3 ay sonra BT ile kontrol önerilir.", {"ct": (3, 3, "mo"), "follow_up": (3, 3, "mo")}),
    ],
)
def test_the_interval_of_a_recommendation(code: str, text: str, expected: dict[str, object]) -> None:
    found = {r.remark.key: r.interval for r in read_remarks(text, code)}
    assert found == {key: None if i is None else Interval(*i) for key, i in expected.items()}  # type: ignore[misc]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "No follow-up is needed."),
        ("en", "Follow-up CT is not required."),
        ("en", "No further imaging follow-up is recommended."),
        ("en", "No motion artifact."),
        ("de", "Eine CT-Kontrolle ist nicht erforderlich."),
        ("de", "Keine Verlaufskontrolle erforderlich."),
        ("fr", "Aucun contrôle n'est nécessaire."),
        ("es", "No se recomienda control."),
        ("it", "Non è necessario controllo TC."),
        ("tr", "Takip gerekmez."),
    ],
)
def test_what_is_not_so_is_denied(code: str, text: str) -> None:
    found = read_remarks(text, code)
    assert found and all(r.denied for r in found)


def test_how_the_next_examination_is_to_be_done_limits_nothing() -> None:
    text = "Recommend follow-up chest CT without contrast in 6 months."
    assert [key for key, _ in _read(text)] == ["follow_up", "ct"]


def test_the_parser_gives_remarks_and_counts_their_sentences_as_understood() -> None:
    text = "Limited by motion artifact. 8 mm nodule. CT in 3 months is recommended. Thank you."
    parsed = parse_document(text, "en")
    assert [r.remark.key for r in parsed.remarks] == ["motion", "ct"]
    assert [text[slice(*span)] for span in parsed.unparsed] == ["Thank you."]
