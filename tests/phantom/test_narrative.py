"""Does the request give the answer away? Does the report say the truth?"""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from sagittal.phantom.narrative import MAX_LIFT, draw_context
from sagittal.phantom.truth import KINDS, LABELS, CaseKind
from sagittal.report.vocabulary import observation

DAY = date(2020, 5, 4)


def _contexts(kind: CaseKind, labels: dict[str, int], age: float, n: int) -> list[object]:
    rng = np.random.default_rng(7)
    return [draw_context(rng, kind, labels, age, DAY) for _ in range(n)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("age", [0.5, 12.0, 30.0, 70.0])
def test_context_never_names_an_observation(kind: CaseKind, age: float) -> None:
    words = set()
    for entry in map(observation, LABELS[kind]):
        words |= {entry.term.lower(), *(s.lower() for s in entry.name().synonyms)}
    for context in _contexts(kind, dict.fromkeys(LABELS[kind], 1), age, 200):
        text = f"{context.indication} {' '.join(context.notes)}".lower()  # type: ignore[attr-defined]
        assert text.strip()
        named = [word for word in words if f" {word} " in f" {text.replace('.', ' ').replace(',', ' ')} "]
        assert not named, (named, text)


def test_a_finding_at_most_doubles_the_odds_of_a_symptom() -> None:
    n = 1500
    without = [c.indication for c in _contexts("chest-xray", {}, 60.0, n)]  # type: ignore[attr-defined]
    for key in ("consolidation", "pleural_effusion", "mass"):
        labels = {key: 1}
        with_it = [c.indication for c in _contexts("chest-xray", labels, 60.0, n)]  # type: ignore[attr-defined]
        for reason in set(without):
            p, q = without.count(reason) / n, with_it.count(reason) / n
            if min(p, 1 - q) < 0.01:
                continue
            odds = (q / (1 - q)) / (p / (1 - p))
            assert odds < MAX_LIFT * 1.5, (key, reason, odds)


def test_children_get_requests_and_notes_of_children() -> None:
    for context in _contexts("chest-xray", {}, 4.0, 200):
        text = f"{context.indication} {' '.join(context.notes)}"  # type: ignore[attr-defined]
        assert "moker" not in text
        assert "Occupational" not in text
        assert not context.labs, "adult reference ranges do not fit a child"  # type: ignore[attr-defined]


def test_laboratory_values_are_plausible_and_dated() -> None:
    labs = [lab for c in _contexts("chest-ct", {"consolidation": 1}, 50.0, 300) for lab in c.labs]  # type: ignore[attr-defined]
    assert len(labs) > 300
    for lab in labs:
        assert lab.value > 0
        assert lab.unit
        assert lab.date == DAY
    sodium = [lab.value for lab in labs if lab.name == "Sodium"]
    assert 130 < min(sodium) <= max(sodium) < 150
