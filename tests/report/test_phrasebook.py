"""Fixed sentences: the same in all languages, recognised, translated there and back, and stating nothing."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any

import pytest

from sagittal.report import compare
from sagittal.report.language import language
from sagittal.report.names import DEFAULT, document, languages, names
from sagittal.report.parse import parse, parse_document
from sagittal.report.phrasebook import Said, phrases, recognise, say, translated
from sagittal.report.report import SECTIONS, Report, Section, Sentence, upper
from sagittal.report.segment import sentences
from sagittal.report.stated import ADJECTIVES, QUANTITIES
from sagittal.report.styles import LISTED
from sagittal.report.vocabulary import observations

TABLES = ("headings", "groups", "phrases", "patient", "criteria")
SLOTS: dict[str, Any] = {
    "terms": ("nodule", "pleural_effusion"),
    "dates": (date(2025, 5, 6), None, date(2024, 12, 31)),
    "date": date(2025, 5, 6),
    "when": datetime(2025, 5, 6, 17, 4, tzinfo=UTC),
    "spacing": "2.5",
    "distance": "7.12",
    "threshold": "2.50",
    "volume": "1632",
    "count": "22",
    "series": "T1 post",
    "model": "sagittal-small",
    "reason": "outside its specification",
    "what": "modality MR",
    "problem": "thick slices",
    "statement": "Nodule",
    "text": "Nodule",
    "source": "Fleischner 2017",
    "by": "Dr A. Reader",
    "to": "Dr B",
    "how": "phone",
    "group": "Lungs",
}


def _slots(key: str, code: str = DEFAULT) -> dict[str, Any]:
    return {name: SLOTS[name] for name in re.findall(r"\{(\w+)\}", phrases(code)[key])}


def _shape(table: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Every key with the slots of its text."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= _shape(value, f"{path}/{key}")
        else:
            found[f"{path}/{key}"] = (
                sorted(re.findall(r"\{\w*\}", value)) if isinstance(value, str) else len(value)
            )
    return found


@pytest.mark.parametrize("code", languages())
@pytest.mark.parametrize("table", TABLES)
def test_every_language_has_the_same_phrases_with_the_same_slots(code: str, table: str) -> None:
    assert _shape(document(code)[table]) == _shape(document(DEFAULT)[table])


@pytest.mark.parametrize("code", languages())
def test_what_the_vocabulary_needs_has_words(code: str) -> None:
    file = document(code)
    groups = {o.group for o in observations()}
    assert groups <= set(file["groups"]) and groups <= set(file["patient"]["groups"])
    assert set(file["patient"]["quantities"]) == set(QUANTITIES)
    assert set(ADJECTIVES) <= set(file["patient"]["attributes"])
    sizes = [most for most, _ in file["patient"]["like"]["mm"]]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("code", languages())
def test_criteria_of_comparisons_have_words_and_are_read_back(code: str) -> None:
    constants = {
        v for k, v in vars(compare).items() if k.isupper() and isinstance(v, str) and v != compare.LATE
    }
    assert constants <= set(document(code)["criteria"])
    assert compare.LUNG_RADS + compare.LATE in document(code)["criteria"]
    words = list(document(code)["criteria"].values())
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("code", languages())
def test_headings_are_those_that_the_parser_knows(code: str) -> None:
    """In capitals as well: what a report's text calls a section is read as that section."""
    wanted = [*SECTIONS, "recommendation"]
    for written in (str, lambda heading: upper(heading, code)):
        headings = [written(Report(language=code).heading(name)) for name in wanted]
        text = "\n\n".join(f"{heading}\n{names(code)['nodule'].term}." for heading in headings)
        assert [piece.section for piece in sentences(text, language(code))] == wanted


OWN = ("problem", "group", "the_study", "undated", "recommended", "told", "told_not_read_back")
"""Fragments, and phrases that are mostly somebody's own words."""


@pytest.mark.parametrize("code", languages())
def test_a_phrase_is_recognised_as_itself(code: str) -> None:
    for key in set(phrases(code)) - set(OWN):
        slots = _slots(key)
        said = recognise(say(key, code, **slots), code)
        assert said is not None and phrases(code)[said.key] == phrases(code)[key], key
        written = {k: v for k, v in said.slots.items() if k != "when"}
        assert written == {k: v for k, v in slots.items() if k != "when"}, key


@pytest.mark.parametrize(("source", "target"), list(permutations(languages(), 2)))
def test_a_phrase_is_translated_there_and_back(source: str, target: str) -> None:
    for key in ("compared", "spaced_slices", "not_read_far", "not_assessed", "no_positive", "brain_volume"):
        text = say(key, source, **_slots(key))
        other = translated(text, source, target)
        assert other == say(key, target, **_slots(key)) and other is not None
        assert translated(other, target, source) == text


@pytest.mark.parametrize("code", [c for c in languages() if c != DEFAULT])
def test_reasons_of_the_house_are_translated_and_those_of_others_are_not(code: str) -> None:
    known = say("not_read", model="m", series=say("the_study"), reason=say("no_model"))
    other = translated(known, DEFAULT, code)
    assert other == say(
        "not_read", code, model="m", series=Said("the_study", {}), reason=Said("no_model", {})
    )
    assert other is not None and "model here" not in other and "the study" not in other
    unknown = translated(say("not_read", model="m", series="T1", reason="hard disk full"), DEFAULT, code)
    assert unknown is not None and "hard disk full" in unknown


@pytest.mark.parametrize(
    "text", ["", "Nodule.", "Not stated", "Compared with yesterday.", "Not assessed by the model: x."]
)
def test_words_of_somebody_s_own_are_not_recognised(text: str) -> None:
    assert recognise(text) is None and translated(text, "en", "de") is None


@pytest.mark.parametrize("code", languages())
def test_fixed_sentences_state_no_finding(code: str) -> None:
    for key in phrases(code):
        if not {"{terms}", "{text}", "{statement}"} & set(re.findall(r"\{\w+\}", phrases(code)[key])):
            text = say(key, code, **_slots(key))
            assert parse(text, code) == [], text
    for heading in document(code)["groups"].values():
        for text in (say("group", code, group=heading), f"{heading}: {say('group_not_assessed', code)}"):
            assert parse(text, code) == [], text
    for key in LISTED:
        found = parse_document(say(key, code, terms=("nodule", "cardiomegaly")), code).findings
        assert [f.observation.key for f in found] == ["nodule", "cardiomegaly"]
        assert {f.presence.value for f in found} == {"not assessed"}


@pytest.mark.parametrize("code", languages())
def test_terms_can_be_listed_and_are_told_apart(code: str) -> None:
    terms = [name.term for name in names(code).values()]
    assert not [term for term in terms if ", " in term]
    assert len(set(terms)) == len(terms)


def test_flags_follow_the_findings_not_the_words() -> None:
    sentence = Sentence("Anything.", ("1.2", "1.3"))
    report = Report(
        (Section("impression", (sentence,)), Section("limitations", (sentence,))), actionable={"1.3": 2}
    )
    assert report.text.count(say("actionable_2")) == 1
    assert say("actionable_2", "de") in Report(report.sections, language="de", actionable={"1.3": 2}).text


def test_capitals_are_those_of_the_language() -> None:
    assert upper("kısıtlılık, bilgi", "tr") == "KISITLILIK, BİLGİ"
    assert upper("findings", "en") == "FINDINGS"
