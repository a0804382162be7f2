"""Metrics of words against the packages that define them, and RadCliQ's published constants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal import registry
from sagittal.errors import BadInput, MissingExtra
from sagittal.measure.metrics import Metric, measure, per_case
from sagittal.report.cases import Case, beside
from sagittal.report.score import METRICS, metrics, pick, score
from sagittal.report.textual import METRICS as WORDS
from sagittal.report.textual import mean, radcliq_v1

sacrebleu = pytest.importorskip("sacrebleu")
rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
BY_NAME = {metric.name: metric for metric in WORDS}
A = [
    "The heart is enlarged. Small right pleural effusion.",
    "No acute disease.",
    "There is a 9 mm nodule in the left upper lobe, not seen on the prior study.",
]
B = [
    "Heart size is enlarged. There is a small right effusion.",
    "No acute cardiopulmonary disease.",
    "A nodule of 9 mm is seen in the left upper lobe.",
]


def value(name: str, candidates: list[str], references: list[str]) -> float:
    cases = beside(candidates, references)
    return measure(BY_NAME[name], cases, [c.id for c in cases], repeats=2).interval.value


@pytest.mark.parametrize("order", [1, 2, 4])
def test_bleu_of_a_set_is_sacrebleus(order: int) -> None:
    theirs = sacrebleu.BLEU(lowercase=True, effective_order=True, max_ngram_order=order)
    expected = theirs.corpus_score(A, [B]).score / 100
    assert value(f"bleu_{order}.corpus", A, B) == pytest.approx(expected)
    alone = [theirs.sentence_score(a, [b]).score / 100 for a, b in zip(A, B, strict=True)]
    assert per_case(BY_NAME[f"bleu_{order}.corpus"], beside(A, B)) == pytest.approx(alone)


def test_rouge_l_is_the_packages_on_plain_words() -> None:
    theirs = rouge_scorer.RougeScorer(["rougeL"])
    expected = [theirs.score(b, a)["rougeL"].fmeasure for a, b in zip(A, B, strict=True)]
    assert per_case(BY_NAME["rouge_l.sample"], beside(A, B)) == pytest.approx(expected)


def test_rouge_l_by_hand() -> None:
    """Longest common subsequence "no effusion" of 2 and 3 words: F1 = 2 * 1 * 2/3 / (1 + 2/3)."""
    assert value("rouge_l.sample", ["No effusion."], ["No pleural effusion"]) == pytest.approx(0.8)


def test_letters_that_are_not_ascii_are_letters() -> None:
    assert value("rouge_l.sample", ["Kein Erguß rechts"], ["Kein Erguß rechts"]) == 1.0
    assert value("rouge_l.sample", ["größer"], ["gr er"]) == 0.0


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_any_text_agrees_with_itself_however_short(text: str) -> None:
    for name in BY_NAME:
        assert value(name, [text], [text]) == pytest.approx(1.0), name


@settings(max_examples=50)
@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), min_size=1, max_size=4))
def test_any_pair_of_texts_is_in_range(pairs: list[tuple[str, str]]) -> None:
    for name in BY_NAME:
        assert 0.0 <= value(name, [a for a, _ in pairs], [b for _, b in pairs]) <= 1.0


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(MissingExtra, match=r"ROUGE-L needs rouge_score.* pip install 'sagittal\[validate\]'"):
        score(A, B, metrics=["rouge_l"])


def test_radcliq_of_a_perfect_report_is_the_published_minimum() -> None:
    assert radcliq_v1(1, 1, 1, 1)[0] == pytest.approx(-1.4407, abs=5e-5)


def test_radcliq_of_the_mean_report_is_zero_and_worse_reports_score_higher() -> None:
    assert radcliq_v1(0.53792, 0.61757, 0.76479, 0.44738)[0] == pytest.approx(0.0, abs=1e-9)
    worse = radcliq_v1([0.9, 0.4], [0.9, 0.4], [0.9, 0.4], [0.9, 0.4])
    assert worse[0] < worse[1]


@pytest.mark.parametrize("parts", [(1, [1, 1], 1, 1), (1, 1, float("nan"), 1)])
def test_radcliq_refuses_components_that_do_not_fit(parts: Any) -> None:
    with pytest.raises(BadInput, match="component"):
        radcliq_v1(*parts)


@pytest.fixture
def models() -> Iterator[None]:
    """Stand-ins for the three models that RadCliQ needs: the share of words in common."""

    def rows(cases: Any) -> Any:
        shares = []
        for case in cases:
            a, b = (set(text.lower().split()) for text in case.texts)
            shares.append((len(a & b) / len(a | b) if a | b else 1.0, 1.0))
        return np.array(shares)

    names = ("radgraph", "bertscore", "semb")
    for name in names:
        metric = Metric(f"{name}.sample", "0", "a stand-in", "higher", 0.0, 1.0, "sample", "1", rows, mean)
        registry.register("metrics", name, metric)
    yield
    for name in names:
        registry.forget("metrics", name)


def test_with_plug_ins_for_its_components_radcliq_can_be_asked_for(models: None) -> None:
    found = score(A, A, metrics=["radcliq_v1", "radgraph"])
    assert found.values["radcliq_v1.sample"].value == pytest.approx(-1.4407, abs=5e-5)
    assert found.values["radgraph.sample"].value == 1.0
    (metric,) = pick(["radcliq"])
    assert (metric.better, metric.best) == ("lower", pytest.approx(-1.4407, abs=5e-5))
    assert score(A, B, metrics=["radcliq"]).values["radcliq_v1.sample"].value > metric.best


def test_what_is_registered_is_gone_afterwards() -> None:
    assert set(metrics()) == {metric.name for metric in METRICS}


def test_a_case_without_a_text_is_named() -> None:
    (case,) = beside({"x": []}, {"x": "Normal."})
    assert isinstance(case, Case)
    with pytest.raises(BadInput, match="case x has findings and no text"):
        _ = case.texts
