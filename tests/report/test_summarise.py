"""Findings to an impression, by rule."""

from __future__ import annotations

import pytest

from sagittal.report.parse import parse
from sagittal.report.summarise import ACUTE, BY_THE_WAY, NOTHING_ACUTE, conclusion, impression
from sagittal.report.vocabulary import observation


def said(text: str) -> list[str]:
    return [s.text for s in conclusion(parse(text, language="en"))]


def test_what_matters_most_comes_first_and_only_once() -> None:
    text = (
        "Mild cardiomegaly. Scoliosis. Large right pneumothorax. Large pneumothorax on the right. "
        "Probable pneumonia. No pleural effusion. History of emphysema."
    )
    assert said(text) == ["Probable pneumonia.", "Severe pneumothorax on the right.", "Mild cardiomegaly."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The lungs are clear. No pleural effusion.", [NOTHING_ACUTE.text]),
        ("No pneumothorax. Cardiomegaly.", ["Cardiomegaly.", NOTHING_ACUTE.text]),
        ("No pneumothorax. Possible consolidation.", ["Possible consolidation."]),
        ("Cardiomegaly.", ["Cardiomegaly."]),
        ("Scoliosis.", ["Scoliosis."]),
        ("No pneumothorax. Scoliosis.", [NOTHING_ACUTE.text]),
        ("The patient was rotated.", []),
        ("", []),
    ],
)
def test_nothing_acute_is_said_only_where_it_was_looked_for(text: str, expected: list[str]) -> None:
    assert said(text) == expected


def test_a_models_findings_never_say_that_all_is_well() -> None:
    assert impression(parse("No pneumothorax. No pleural effusion.", language="en")) == ()


def test_at_most_five() -> None:
    text = "Nodule. Mass. Consolidation. Atelectasis. Cardiomegaly. Hiatal hernia. Pneumothorax. Emphysema."
    lines = impression(parse(text, language="en"))
    assert len(lines) == 5 and lines[0].text == "Pneumothorax."


def test_the_lists_name_what_the_vocabulary_has_and_are_apart() -> None:
    assert all(observation(key) for key in BY_THE_WAY | ACUTE)
    assert BY_THE_WAY.isdisjoint(ACUTE)
