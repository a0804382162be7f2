"""What is written can be read back: parse(render(findings)) == [stated(f) for f in findings]."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

import sagittal as public
from sagittal.report.finding import (
    Certainty,
    Change,
    ChangeKind,
    Finding,
    Laterality,
    Presence,
    Severity,
    Temporality,
)
from sagittal.report.parse import parse, parse_document
from sagittal.report.render import render, sentence
from sagittal.report.stated import stated
from sagittal.report.vocabulary import concept, observations, site, sites

OBSERVATIONS = observations()
IDS = [o.key for o in OBSERVATIONS]
EASY = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=60, deadline=None, suppress_health_check=EASY)
@given(st.data())
def test_rendered_findings_are_read_back(drawn: Any, data: DataObject) -> None:
    _read_back(drawn, data)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=EASY)
@given(st.data())
def test_rendered_findings_are_read_back_at_length(drawn: Any, data: DataObject) -> None:
    _read_back(drawn, data)


def _read_back(drawn: Any, data: DataObject) -> None:
    findings = data.draw(st.lists(drawn.finding, min_size=1, max_size=3))
    wanted = [stated(f) for f in findings]
    written = render(findings)
    assert parse(written) == wanted
    assert parse(" ".join(s.text for s in written)) == wanted
    assert parse("\n".join(s.text for s in written)) == wanted


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_stated_is_idempotent_and_drops_what_is_not_words(drawn: Any, data: DataObject) -> None:
    finding = stated(data.draw(drawn.finding))
    assert stated(finding) == finding
    assert sentence(finding) == render([finding])[0].text
    empty = finding.probability, finding.evidence, finding.tracking_uid, finding.source, finding.actionable
    assert empty == (None,) * 5


@pytest.mark.parametrize("entry", OBSERVATIONS, ids=IDS)
def test_every_observation_with_every_presence_and_certainty(entry: object) -> None:
    key = entry.key  # type: ignore[attr-defined]
    sides = itertools.cycle((None, *Laterality))
    for presence, word in itertools.product(Presence, (None, *Certainty)):
        finding = Finding(concept(key), presence=presence, certainty=word, laterality=next(sides))
        assert parse(sentence(finding)) == [stated(finding)], sentence(finding)


@pytest.mark.parametrize("entry", OBSERVATIONS, ids=IDS)
def test_every_observation_at_every_site(entry: object) -> None:
    key = entry.key  # type: ignore[attr-defined]
    sides = itertools.cycle((None, Laterality.RIGHT, Laterality.LEFT, Laterality.BILATERAL))
    findings = [
        Finding(concept(key), site=place.concept, laterality=next(sides), severity=Severity.MILD)
        for place in sites()
    ]
    assert parse(render(findings)) == [stated(f) for f in findings]


@pytest.mark.parametrize("entry", OBSERVATIONS, ids=IDS)
def test_every_observation_with_every_change_time_and_count(entry: object) -> None:
    key = entry.key  # type: ignore[attr-defined]
    for kind, when, count in itertools.product(ChangeKind, Temporality, (None, 1, 4)):
        finding = Finding(concept(key), change=Change(kind), temporality=when, count=count)
        assert parse(sentence(finding)) == [stated(finding)], sentence(finding)


def test_synonyms_mean_their_observation() -> None:
    meanings: dict[str, set[str]] = {}
    for entry in OBSERVATIONS:
        name = entry.name()
        for word in (name.term, name.plural, *name.synonyms, *name.abbreviations):
            if word is not None:
                meanings.setdefault(word, set()).add(entry.key)
    for word, keys in meanings.items():
        # A word of two meanings ("parenchymal mass") has the one of the report's region.
        assert keys & {f.observation.key for f in parse(f"There is {word}.")}, word


def test_site_words_mean_their_site() -> None:
    for place in sites():
        name = place.name()
        for word in (name.term, name.plural, *name.synonyms, *name.abbreviations):
            if word is not None:
                assert [f.site for f in parse(f"Nodule in the {word}.")] == [place.concept], word


def test_stated_keeps_only_what_a_sentence_can_carry() -> None:
    gone = Finding(concept("pneumothorax"), change=Change(ChangeKind.RESOLVED))
    assert stated(gone).presence is Presence.ABSENT
    asked = Finding(concept("pneumonia"), temporality=Temporality.HYPOTHETICAL)
    assert stated(asked).presence is Presence.UNCERTAIN
    maybe = Finding(concept("nodule"), certainty=Certainty.POSSIBLE)
    assert stated(maybe).presence is Presence.UNCERTAIN
    none = Finding(concept("nodule"), presence=Presence.ABSENT, count=3, severity=Severity.MILD)
    assert stated(none) == Finding(concept("nodule"), presence=Presence.ABSENT)
    middle = Finding(concept("nodule"), site=site("middle_lobe").concept)
    assert stated(middle).laterality is Laterality.RIGHT


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_parse_never_raises_on_any_text(text: str) -> None:
    parse_document(text)


FRAGMENTS = st.sampled_from(
    [
        *("no", "nodule", "8 mm", "(", ")", ";", ",", ".", "right", "left", "both", "in the", "may", "is"),
        *("not seen", "2024-01-05", "since", "larger", "3", "x", "history of", "effusion", "lungs", "clear"),
        *("(density: solid)", "(scale: x)", "criterion:", "FINDINGS:", "\n", "1.", "RUL", "%", "ratio of"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAGMENTS, max_size=60))
def test_parse_never_raises_on_word_salad_and_spans_lie_inside(words: list[str]) -> None:
    text = " ".join(words)
    parsed = parse_document(text)
    for finding in parsed.findings:
        assert finding.evidence is not None and finding.evidence.span is not None
        start, end = finding.evidence.span
        assert 0 <= start < end <= len(text)
    for start, end in parsed.unparsed:
        assert 0 <= start < end <= len(text)


@pytest.mark.parametrize(
    "text", ["nodule " * 4000, "(" * 50000, "no " * 8000, "1 x " * 5000, "a." * 50000, "lungs " * 4000]
)
def test_long_hostile_text_is_read(text: str) -> None:
    parsed = parse_document(text)
    spans = [f.evidence.span for f in parsed.findings if f.evidence and f.evidence.span]
    assert len(spans) == len(parsed.findings)
    assert all(0 <= start < end <= len(text) for start, end in (*spans, *parsed.unparsed))


def test_public_names_are_these() -> None:
    assert public.parse is parse and public.render is render
