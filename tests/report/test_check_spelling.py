"""Misspelt words: known slips, words that are right, and slips drawn at random."""

from __future__ import annotations

import random

import pytest

from sagittal.errors import MissingExtra
from sagittal.report import spelling
from sagittal.report.check import ProblemKind, check
from sagittal.report.spelling import correction, known, misspelt

pytest.importorskip("spellchecker", reason="pyspellchecker (extra check) is not installed")


def words(text: str) -> list[tuple[str, str]]:
    return [(slip.word, slip.suggestion) for slip in misspelt(text)]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("pnuemonia", "pneumonia"),
        ("effussion", "effusion"),
        ("atelectesis", "atelectasis"),
        ("cardiomegally", "cardiomegaly"),
        ("pneumothroax", "pneumothorax"),
        ("consolidaton", "consolidation"),
        ("meidastinum", "mediastinum"),
        ("bilaterl", "bilateral"),
        ("hpyodense", "hypodense"),
        ("haemorhage", "haemorrhage"),
    ],
)
def test_a_slip_and_what_was_meant(wrong: str, right: str) -> None:
    assert words(f"There is {wrong} today.") == [(wrong, right)]


@pytest.mark.parametrize(
    "text",
    [
        "Hypodense, subpleural and peribronchovascular; non-dependent, retrocrural, pericholecystic.",
        "Haemorrhage, oedema, oesophagus, tumour, ischaemia, visualised, grey matter, centre.",
        "Micronodules, hemidiaphragms, syndesmophytes, angiomyolipomas, pneumatoceles, osteophytes.",
        "Aortic transection; ilial, cardial and mesiobasal changes.",
        "The tip of the PICC lies in the SVC; COPD; s/p CABG; T2-FLAIR; 12mm; e.g. AICD.",
        "XXXX-year-old with XXXX, x-XXXX of the XXXX.",
        "Seen by Dr Schmidtke in Heidelberg; a Chilaiditi sign.",
        "Write to Joergensen@hospitl.org or see pacs.hospitl.org/viwer.",
    ],
)
def test_what_is_right_or_no_word_is_left_alone(text: str) -> None:
    assert words(text) == []


def test_places_are_those_of_the_text() -> None:
    text = "Small effussion.\nPlueral thickening."
    assert [text[s.start : s.end] for s in misspelt(text)] == ["effussion", "Plueral"]


def test_an_english_word_that_reports_do_not_use() -> None:
    assert words("Plural effusion and aortic facture.") == [("Plural", "pleural"), ("facture", "fracture")]


def test_nothing_near_is_no_error() -> None:
    assert not known("zwieblung") and correction("zwieblung") is None
    assert words("The zwieblung is normal.") == []


LONG = ["pneumothorax", "consolidation", "mediastinum", "cardiomegaly", "emphysema", "atelectasis"]


@pytest.mark.parametrize("word", LONG)
def test_random_slips_in_long_words_are_found(word: str) -> None:
    chance = random.Random(word)
    slips = set()
    for _ in range(40):
        i = chance.randrange(1, len(word) - 1)
        slips |= {word[:i] + word[i + 1 :], word[:i] + word[i] + word[i:], word[:i] + "q" + word[i + 1 :]}
        slips |= {word[:i] + word[i + 1] + word[i] + word[i + 2 :]}
    slips.discard(word)
    assert {wrong: [slip for slip, _ in words(wrong)] for wrong in slips} == {
        wrong: [wrong] for wrong in slips
    }
    # The plural may be as near as the singular.
    assert {meant[:8] for wrong in slips for _, meant in words(wrong)} == {word[:8]}


def test_without_the_word_list_the_rest_is_still_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str, **_: str) -> None:
        raise MissingExtra(f"{module} is not installed")

    monkeypatch.setattr(spelling, "needs", missing)
    spelling._general.cache_clear()
    try:
        assert not spelling.available()
        kinds = [p.kind for p in check("FINDINGS: Plueral effussion in the left middle lobe.", language="en")]
    finally:
        spelling._general.cache_clear()
    assert kinds == [ProblemKind.SIDE]
