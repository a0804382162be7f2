"""What the house writes in a language is read back, and what its radiologists write is understood.

A language's sentences are in ``xx.toml`` beside this file; a language without one fails.
"""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sagittal.report.finding import Certainty, Finding, Laterality, Presence, Temporality
from sagittal.report.language import detect
from sagittal.report.names import DEFAULT, languages
from sagittal.report.parse import parse
from sagittal.report.render import sentence
from sagittal.report.stated import stated
from sagittal.report.vocabulary import concept, observations, sites

OTHERS = [code for code in languages() if code != DEFAULT]
"""English has its own, longer tests beside its sentences."""
CASES: dict[str, dict[str, Any]] = {
    code: tomllib.loads(Path(__file__).with_name(f"{code}.toml").read_text("utf-8")) for code in languages()
}
LINES = [(code, *line.split(" | ")) for code in CASES for line in CASES[code]["sentences"].splitlines()]


@pytest.mark.parametrize("code", OTHERS)
def test_every_observation_is_read_back(code: str) -> None:
    """Each once; presence, certainty, side and site take turns, so that all of them come up."""
    turns = zip(
        observations(),
        itertools.cycle(Presence),
        itertools.cycle((None, *Certainty)),
        itertools.cycle(place.concept for place in sites()),
        itertools.cycle((None, Laterality.RIGHT, Laterality.LEFT, Laterality.BILATERAL, None)),
        strict=False,
    )
    lost = []
    for what, presence, certainty, place, side in turns:
        finding = Finding(
            concept(what.key), presence=presence, certainty=certainty, site=place, laterality=side
        )
        written = sentence(finding, code)
        if parse(written, code) != [stated(finding)]:
            lost.append(written)
    assert lost == []


def said(finding: Finding) -> str:
    word = finding.certainty.value.replace(" ", "_") if finding.certainty else finding.presence.value
    side, severity = finding.laterality, finding.severity
    place = finding.site.key if finding.site else ""
    more = side.value if side else "", place, severity.value if severity else ""
    return " ".join(filter(None, (finding.observation.key, word, *more)))


@pytest.mark.parametrize(("code", "text", "wanted"), LINES, ids=lambda value: value[:60])
def test_sentences_of_reports(code: str, text: str, wanted: str) -> None:
    assert ", ".join(said(finding) for finding in parse(text, code)) == wanted


@pytest.mark.parametrize("code", OTHERS)
def test_sizes_have_decimal_commas(code: str) -> None:
    case = CASES[code]["size"]
    (finding,) = parse(case["text"], code)
    assert [(m.quantity, m.values, m.unit) for m in finding.measurements] == [
        ("diameter", tuple(case["values"]), case["unit"])
    ]


@pytest.mark.parametrize("code", OTHERS)
def test_change_has_a_date(code: str) -> None:
    case = CASES[code]["change"]
    (finding,) = parse(case["text"], code)
    assert finding.change is not None
    assert (finding.change.kind.value, str(finding.change.since)) == (case["kind"], case["since"])


@pytest.mark.parametrize("code", OTHERS)
def test_history_of_the_patient_and_of_the_family(code: str) -> None:
    case = CASES[code]["history"]
    (own,) = parse(case["own"], code)
    (other,) = parse(case["family"], code)
    assert own.temporality is Temporality.HISTORICAL
    assert other.temporality is Temporality.FAMILY


@pytest.mark.parametrize("code", OTHERS)
def test_sections(code: str) -> None:
    """The language is told by the words; what the technique says is no finding."""
    found = [(f.observation.key, f.presence, f.temporality) for f in parse(CASES[code]["sections"])]
    assert found == [
        ("pulmonary_embolism", Presence.UNCERTAIN, Temporality.HYPOTHETICAL),
        ("pulmonary_embolism", Presence.ABSENT, Temporality.CURRENT),
        ("pleural_effusion", Presence.PRESENT, Temporality.CURRENT),
        ("pulmonary_embolism", Presence.ABSENT, Temporality.CURRENT),
    ]


ALONE = [
    ("de", "Pneumothorax konnte ausgeschlossen werden. Keine Luxation."),
    ("de", "Kein Anhalt für Emphysem."),
    ("de", "Vorbekannter Perikarderguss, zunehmend."),
    ("fr", "Pas d'atélectasie."),
    ("fr", "Pneumothorax droit exclu."),
    ("es", "Fractura descartada."),
    ("it", "Pneumotorace assente."),
    ("tr", "Kalp büyümesi yok."),
    ("tr", "Perikardiyal efüzyon saptanmadı."),
    ("en", "No pneumothorax."),
    ("en", "Emphysema."),
]


def test_the_language_of_one_sentence_is_told() -> None:
    """Each sentence of these files alone; and what is denied is never read as present."""
    for code, case in CASES.items():
        lines = [line.split(" | ") for line in case["sentences"].splitlines()]
        told = [detect(text) == code for text, _ in lines]
        assert sum(told) >= 0.97 * len(told), code
        for text, wanted in lines:
            there = {f.observation.key for f in parse(text) if f.presence is Presence.PRESENT}
            words = (each.split() for each in wanted.split(", "))
            denied = {key for key, word, *_ in words if word == "absent"}
            assert detect(text) == code or not (there & denied), text
    assert [(detect(text), text) for _, text in ALONE] == ALONE


@pytest.mark.parametrize("code", languages())
def test_denied_findings_stay_denied_where_the_language_is_told(code: str) -> None:
    """Every observation of the vocabulary, denied in a sentence of a few words."""
    denied = [sentence(Finding(concept(o.key), presence=Presence.ABSENT), code) for o in observations()]
    told = [detect(text) == code for text in denied]
    assert sum(told) >= 0.97 * len(told)
    assert [text for text in denied if any(f.presence is Presence.PRESENT for f in parse(text))] == []


@pytest.mark.parametrize("text", ["", "XXXX", "12 mm", "ABC.", "Pneumothorax", "日本語"])
def test_where_nothing_tells_the_language_it_is_english(text: str) -> None:
    assert detect(text) == DEFAULT
