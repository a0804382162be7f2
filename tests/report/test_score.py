"""Scoring by facts: known answers, the promises of every rule, and the order of the statements."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.errors import BadInput, MissingExtra
from sagittal.report.cases import beside
from sagittal.report.facets import statements
from sagittal.report.finding import (
    Change,
    ChangeKind,
    Finding,
    Laterality,
    Measurement,
    Presence,
    Severity,
    Temporality,
)
from sagittal.report.score import FINDINGS, Scores, metrics, pick, score
from sagittal.report.textual import PLUG_INS
from sagittal.report.vocabulary import concept, observations, site

FACET_NAMES = FINDINGS[:7]
FEW = ("nodule", "pleural_effusion", "pneumothorax", "pulmonary_oedema")
"""Few observations, so that statements meet their like."""


def once(candidate: Any, reference: Any, *names: str) -> Scores:
    return score([candidate], [reference], metrics=names or None, language="en", repeats=2)


def value(candidate: Any, reference: Any, name: str) -> float:
    return once(candidate, reference, name).values[name].value


def prf(candidate: Any, reference: Any, facet: str) -> tuple[float, float]:
    found = once(candidate, reference, facet).values
    return found[f"{facet}.precision.micro"].value, found[f"{facet}.recall.micro"].value


FINDING = st.builds(
    Finding,
    observation=st.sampled_from([concept(key) for key in FEW]),
    presence=st.sampled_from([Presence.PRESENT, Presence.PRESENT, Presence.UNCERTAIN, Presence.ABSENT]),
    site=st.none() | st.sampled_from([site(k).concept for k in ("lung", "upper_lobe", "lung_apex")]),
    laterality=st.none() | st.sampled_from([Laterality.RIGHT, Laterality.LEFT, Laterality.BILATERAL]),
    severity=st.none() | st.sampled_from(Severity),
    measurements=st.just(())
    | st.integers(3, 30).map(lambda mm: (Measurement("diameter", (float(mm),), "mm"),)),
    change=st.none() | st.sampled_from(list(ChangeKind)[:5]).map(Change),
)
REPORT = st.lists(FINDING, max_size=6)


@settings(max_examples=50)
@given(REPORT)
def test_a_report_agrees_perfectly_with_itself(findings: list[Finding]) -> None:
    found = once(findings, list(findings))
    for metric in found.metrics:
        assert found.values[metric.name].value == metric.best, metric.name


@given(REPORT, REPORT, st.randoms(use_true_random=False))
def test_the_order_of_statements_changes_nothing(a: list[Finding], b: list[Finding], random: Any) -> None:
    names = [f"{f}.{p}.micro" for f in FACET_NAMES for p in ("precision", "recall")]
    names += [name for name in FINDINGS[7:] if name != "errors"]
    first = once(a, b, *names)
    random.shuffle(a)
    random.shuffle(b)
    second = once(a, b, *names)
    for name, interval in first.values.items():
        assert interval.value == pytest.approx(second.values[name].value), name


def test_of_two_that_may_be_left_over_the_same_one_is_whatever_their_order() -> None:
    anywhere = Finding(concept("nodule"))
    upper, lower = (replace(anywhere, site=site(k).concept) for k in ("upper_lobe", "lower_lobe"))
    a, b = [upper, lower], [anywhere, replace(upper, presence=Presence.ABSENT)]
    rates = {value(order, b, "contradiction.micro") for order in (a, a[::-1])}
    assert len(rates) == 1


@settings(max_examples=50)
@given(REPORT, REPORT)
def test_precision_is_recall_with_the_sides_changed(a: list[Finding], b: list[Finding]) -> None:
    there, back = once(a, b), once(b, a)
    for facet in FACET_NAMES:
        # A size's tolerance is a share of the reference's, so it alone has a direction.
        if facet != "size":
            for average in ("micro", "macro", "sample"):
                one = there.values[f"{facet}.precision.{average}"].value
                other = back.values[f"{facet}.recall.{average}"].value
                assert one == pytest.approx(other), (facet, average)


DISTINCT = st.lists(
    st.sampled_from([o.key for o in observations()]), min_size=2, max_size=6, unique=True
).map(lambda keys: [Finding(concept(key)) for key in keys])


@settings(max_examples=30)
@given(DISTINCT)
def test_a_dropped_finding_costs_recall_and_an_added_one_precision(findings: list[Finding]) -> None:
    dropped = once(findings[1:], findings).values
    added = once(findings, findings[1:]).values
    for average in ("micro", "macro", "sample"):
        assert dropped[f"observation.precision.{average}"].value == 1.0
        assert dropped[f"observation.recall.{average}"].value < 1.0
        assert added[f"observation.precision.{average}"].value < 1.0
        assert added[f"observation.recall.{average}"].value == 1.0
    assert dropped["hallucination.micro"].value == 0.0
    assert added["hallucination.micro"].value == pytest.approx(1 / len(findings))


@settings(max_examples=40)
@given(REPORT, FINDING)
def test_one_more_invention_never_raises_precision_nor_changes_recall(
    findings: list[Finding], extra: Finding
) -> None:
    strange = replace(extra, observation=concept("rib_fracture"), presence=Presence.PRESENT, change=None)
    one, two = once(findings, findings), once([*findings, strange], findings)
    for facet in FACET_NAMES:
        name = f"{facet}.precision.micro"
        assert two.values[name].value <= one.values[name].value
        assert two.values[f"{facet}.recall.micro"].value == one.values[f"{facet}.recall.micro"].value
    assert two.values["hallucination.micro"].value > 0.0


SIDED = st.lists(
    st.tuples(
        st.sampled_from([o.key for o in observations() if o.laterality == "sided"]),
        st.sampled_from([Laterality.RIGHT, Laterality.LEFT]),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda pair: pair[0],
).map(lambda pairs: [Finding(concept(key), laterality=side) for key, side in pairs])


@settings(max_examples=30)
@given(SIDED)
def test_a_swapped_side_costs_laterality_and_nothing_else(findings: list[Finding]) -> None:
    other = {Laterality.RIGHT: Laterality.LEFT, Laterality.LEFT: Laterality.RIGHT}
    swapped = [replace(findings[0], laterality=other[findings[0].laterality]), *findings[1:]]  # type: ignore[index]
    found = once(swapped, findings)
    wrong = {metric.name for metric in found.metrics if found.values[metric.name].value != metric.best}
    parts = {
        f"laterality.{p}.{a}" for p in ("precision", "recall", "f1") for a in ("micro", "macro", "sample")
    }
    assert wrong == parts | {"wrong_side.micro", "errors.sample"}
    assert found.values["wrong_side.micro"].value == pytest.approx(1 / len(findings))
    assert found.values["errors.sample"].value == 1.0


NORMAL = "The lungs are clear. No pleural effusion or pneumothorax. Heart size is normal."
OTHER_NORMAL = "No acute cardiopulmonary abnormality."


@pytest.mark.parametrize("candidate", [NORMAL, OTHER_NORMAL, ""])
def test_two_normal_reports_agree_perfectly_whatever_they_deny(candidate: str) -> None:
    found = once(candidate, NORMAL)
    for metric in found.metrics:
        assert found.values[metric.name].value == metric.best, metric.name


def test_the_counts_of_a_worked_example() -> None:
    """Reference: effusion R, pneumothorax L, nodule RUL 10 mm; candidate: effusion L, nodule R lung
    11 mm, invented rib fracture, pneumothorax denied."""
    reference = "Small right pleural effusion. Left pneumothorax. 10 mm nodule in the right upper lobe."
    candidate = "Left pleural effusion. 11 mm nodule in the right lung. Rib fracture. No pneumothorax."
    found = once(candidate, reference).values
    assert found["observation.precision.micro"].value == pytest.approx(2 / 3)
    assert found["observation.recall.micro"].value == pytest.approx(2 / 3)
    # Of the sides left (effusion) and right (nodule), and of right, left and right in the reference.
    assert found["laterality.precision.micro"].value == pytest.approx(1 / 2)
    assert found["laterality.recall.micro"].value == pytest.approx(1 / 3)
    assert found["size.f1.micro"].value == 1.0
    assert found["severity.recall.micro"].value == 0.0
    assert found["critical_miss.micro"].value == 1.0
    assert found["hallucination.micro"].value == pytest.approx(1 / 3)
    assert found["contradiction.micro"].value == 0.0
    assert found["wrong_side.micro"].value == pytest.approx(1 / 2)
    sample = once(candidate, reference).samples[0]
    assert [(m["observation"], m["critical"], m["denied"]) for m in sample["misses"]] == [
        ("pneumothorax", True, True)
    ]
    assert [h["observation"] for h in sample["hallucinations"]] == ["rib_fracture"]
    effusion = next(p for p in sample["pairs"] if p["reference"]["observation"] == "pleural_effusion")
    assert effusion["differs"] == ["laterality"]
    start, end = effusion["reference"]["span"]
    assert reference[start:end] == effusion["reference"]["text"]
    assert "right pleural effusion" in effusion["reference"]["text"]


def test_what_the_reference_denies_is_a_contradiction_where_it_denies_it() -> None:
    said = "Right pneumothorax."
    assert value(said, "No pneumothorax.", "contradiction.micro") == 1.0
    assert value(said, "No left pneumothorax.", "contradiction.micro") == 0.0
    assert value(said, "Normal heart.", "contradiction.micro") == 0.0
    assert value(said, "Normal heart.", "hallucination.micro") == 1.0


def test_a_suspicion_costs_presence_and_is_no_hallucination() -> None:
    suspected = [Finding(concept("pneumonia"), presence=Presence.UNCERTAIN)]
    sure = [Finding(concept("pneumonia"))]
    assert prf(suspected, sure, "observation") == (1.0, 1.0)
    assert prf(suspected, sure, "presence") == (0.0, 0.0)
    assert value(suspected, [], "hallucination.micro") == 0.0
    assert prf(suspected, [], "observation") == (0.0, 1.0)
    assert value(sure, suspected, "hallucination.micro") == 0.0


def nodule(mm: float, place: str | None = None, **more: Any) -> Finding:
    where = site(place).concept if place else None
    return Finding(
        concept("nodule"), site=where, measurements=(Measurement("diameter", (mm,), "mm"),), **more
    )


@pytest.mark.parametrize(
    ("mm", "reference", "agree"),
    [(8, 10, 1), (7.9, 10, 0), (12, 10, 1), (24, 20, 1), (25, 20, 0), (3, 1, 1)],
)
def test_sizes_agree_within_2_mm_or_a_fifth_of_the_reference(mm: float, reference: float, agree: int) -> None:
    assert prf([nodule(mm)], [nodule(reference)], "size") == (agree, agree)


def test_a_size_in_centimetres_is_the_same_size() -> None:
    centimetres = Finding(concept("nodule"), measurements=(Measurement("diameter", (1.2, 0.8), "cm"),))
    assert prf([centimetres], [nodule(12)], "size") == (1.0, 1.0)


def test_a_part_of_the_place_has_half_the_credit() -> None:
    apex, lobe, base = (nodule(9, p) for p in ("lung_apex", "upper_lobe", "lung_base"))
    lung = nodule(9, "lung")
    assert prf([apex], [apex], "site") == (1.0, 1.0)
    assert prf([apex], [base], "site") == (0.0, 0.0)
    if statements([lung]).affirmed[0].site is not None:
        assert prf([lung], [lobe], "site") == (0.5, 0.5) == prf([lobe], [lung], "site")
    lingula = nodule(9, "lingula")
    assert prf([lingula], [lobe], "site") == (0.5, 0.5) == prf([lobe], [lingula], "site")


def test_statements_are_paired_so_that_most_facets_agree() -> None:
    reference = [nodule(5, laterality=Laterality.RIGHT), nodule(20, laterality=Laterality.LEFT)]
    candidate = [nodule(20, laterality=Laterality.LEFT), nodule(5, laterality=Laterality.RIGHT)]
    found = once(candidate, reference).values
    assert found["errors.sample"].value == 0.0
    # Sides first, then sizes.
    crossed = [nodule(5, laterality=Laterality.LEFT), nodule(20, laterality=Laterality.RIGHT)]
    assert prf(crossed, reference, "laterality") == (1.0, 1.0)
    assert prf(crossed, reference, "size") == (0.0, 0.0)


def test_bilateral_is_right_and_left() -> None:
    both = "Bilateral pleural effusions."
    assert once(both, "Right pleural effusion. Left pleural effusion.").values["errors.sample"].value == 0.0
    assert prf("Right pleural effusion.", both, "observation") == (1.0, 0.5)
    assert prf("Right pleural effusion.", both, "laterality") == (1.0, 0.5)


def test_a_statement_without_a_side_answers_both_halves() -> None:
    none, both = "Pleural effusions.", "Bilateral pleural effusions."
    assert prf(none, both, "observation") == (1.0, 1.0) == prf(both, none, "observation")
    assert prf(none, both, "laterality") == (1.0, 0.0)
    # But not two separate ones.
    two = [nodule(5, laterality=Laterality.RIGHT), nodule(20, laterality=Laterality.LEFT)]
    assert prf([Finding(concept("nodule"))], two, "observation") == (1.0, 0.5)


def test_bilateral_says_nothing_where_no_side_is_expected() -> None:
    assert once("Bilateral emphysema.", "Emphysema.").values["errors.sample"].value == 0.0


def test_a_repetition_counts_once_and_two_lesions_twice() -> None:
    text = "Findings: 8 mm nodule in the right upper lobe. Impression: Right upper lobe nodule."
    assert len(statements(beside([text], [text])[0].candidate.findings).affirmed) == 1
    assert once(text, "8 mm nodule in the right upper lobe.").values["errors.sample"].value == 0.0
    two = [nodule(8, tracking_uid="2.25.1"), nodule(8, tracking_uid="2.25.2")]
    assert prf([nodule(8)], two, "observation") == (1.0, 0.5)


def test_a_tracked_finding_and_an_untracked_one_that_says_the_same_are_one() -> None:
    two = [nodule(8, tracking_uid="2.25.1"), nodule(8, tracking_uid="2.25.2")]
    for order in ([nodule(8), *two], [two[0], nodule(8), two[1]], [*two, nodule(8)]):
        assert len(statements(order).affirmed) == 2


def test_what_is_not_said_of_now_does_not_count() -> None:
    past = [
        Finding(concept("pneumonia"), temporality=Temporality.HISTORICAL),
        Finding(concept("mass"), temporality=Temporality.HYPOTHETICAL),
        Finding(concept("nodule"), presence=Presence.NOT_ASSESSED),
    ]
    assert once(past, []).values["errors.sample"].value == 0.0
    assert value(past, past, "observation.f1.micro") == 1.0


def test_what_has_resolved_is_a_change_and_no_finding() -> None:
    gone, stable = "The effusion has resolved.", "The effusion is unchanged."
    assert prf(gone, gone, "change") == (1.0, 1.0)
    assert prf(stable, gone, "change") == (0.0, 0.0)
    assert value(stable, gone, "contradiction.micro") == 1.0
    assert prf(gone, NORMAL, "observation") == (1.0, 1.0)


def test_a_place_that_goes_without_saying_is_not_scored() -> None:
    heart = [Finding(concept("cardiomegaly"), site=site("heart").concept)]
    plain = [Finding(concept("cardiomegaly"))]
    assert prf(plain, heart, "site") == (1.0, 1.0)


def test_a_category_given_by_the_finding_overrules_the_vocabularys() -> None:
    known = [Finding(concept("pneumothorax"), actionable=3)]
    assert value([], known, "critical_miss.micro") == 0.0
    urgent = [Finding(concept("nodule"), actionable=2)]
    assert value([], urgent, "critical_miss.micro") == 1.0


def test_averages_by_hand() -> None:
    """Two cases: 1 of 1 found; 0 of 2 found with 1 invented. Observations: a found, b and c missed, d."""
    a, b, c, d = (Finding(concept(k)) for k in ("nodule", "mass", "atelectasis", "cavity"))
    found = score([[a], [d]], [[a], [b, c]], metrics=["observation"], repeats=20).values
    assert found["observation.precision.micro"].value == pytest.approx(1 / 2)
    assert found["observation.recall.micro"].value == pytest.approx(1 / 3)
    assert found["observation.f1.micro"].value == pytest.approx(2 / 5)
    assert found["observation.precision.macro"].value == pytest.approx(1 / 2)
    assert found["observation.recall.macro"].value == pytest.approx(1 / 3)
    assert found["observation.f1.macro"].value == pytest.approx(1 / 4)
    assert found["observation.f1.sample"].value == pytest.approx(1 / 2)


def test_f1_agrees_with_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    import numpy as np

    rng = np.random.default_rng(0)
    keys = ["nodule", "mass", "cavity", "atelectasis", "emphysema"]
    truth, said = (rng.integers(0, 2, (40, 5)) for _ in range(2))
    reports = [
        [[Finding(concept(k)) for k, there in zip(keys, row, strict=True) if there] for row in rows]
        for rows in (said, truth)
    ]
    found = score(*reports, metrics=["observation"], repeats=2).values
    for average, theirs in (("micro", "micro"), ("macro", "macro"), ("sample", "samples")):
        for part, function in (
            ("precision", sklearn.precision_score),
            ("recall", sklearn.recall_score),
            ("f1", sklearn.f1_score),
        ):
            ours = found[f"observation.{part}.{average}"].value
            assert ours == pytest.approx(function(truth, said, average=theirs, zero_division=1.0)), (
                part,
                average,
            )


def test_cases_of_a_patient_are_drawn_together() -> None:
    a, nothing = [Finding(concept("nodule"))], list[Finding]()
    candidates = [a, nothing] * 20
    one = score(candidates, [a] * 40, metrics=["observation.recall.micro"])
    pairs = [str(i // 20) for i in range(40)]
    two = score(candidates, [a] * 40, metrics=["observation.recall.micro"], patients=pairs)
    interval, by_two = (s.values["observation.recall.micro"] for s in (one, two))
    assert (interval.n, by_two.n, two.patients) == (40, 2, 2)
    assert interval.value == by_two.value == 0.5
    # Both patients have a recall of one half, so no draw of patients varies; draws of cases do.
    assert interval.high - interval.low > 0.2
    assert by_two.low == by_two.high == 0.5


def test_mixed_kinds_of_reports(reading: Any) -> None:
    text = "8 mm nodule in the right upper lobe."
    found = score(
        {"a": text, "b": reading},
        {"a": [nodule(8, "upper_lobe", laterality=Laterality.RIGHT)], "b": reading.report},
    )
    assert found.cases == 2
    assert found.values["observation.f1.sample"].value == 1.0
    assert [s["id"] for s in found.samples] == ["a", "b"]


@pytest.mark.parametrize(
    ("candidates", "references", "said"),
    [
        (["a"], ["a", "b"], "1 candidates and 2 references"),
        (
            {"a": "", "b": "", "d": ""},
            {"a": "", "c": ""},
            r"2 without a reference \(b, d\), 1 without a cand",
        ),
        ([], [], "no reports"),
        ("abc", ["a"], "candidates is a str"),
        ([1], ["a"], "a report is a int"),
        ({"a": ""}, [""], "has ids"),
        ([[1, 2]], ["a"], "list of findings"),
    ],
)
def test_bad_input_is_one_clear_error(candidates: Any, references: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        score(candidates, references)


def test_a_finding_outside_the_vocabulary_names_its_case() -> None:
    strange = replace(concept("nodule"), key="glow")
    with pytest.raises(BadInput, match="case x: 'glow'"):
        score({"x": [Finding(strange)]}, {"x": []})


def test_patients_must_fit() -> None:
    with pytest.raises(BadInput, match="2 patients for 1 cases"):
        score([""], [""], patients=["a", "b"])
    with pytest.raises(BadInput, match="no patient for a"):
        score({"a": ""}, {"a": ""}, patients={})


def test_words_cannot_be_compared_where_there_are_findings_only() -> None:
    with pytest.raises(BadInput, match="case 0 has findings and no text"):
        score([[]], [""], metrics=["rouge_l"])


def test_too_many_statements_of_one_observation_are_refused() -> None:
    many = [nodule(mm) for mm in range(1, 300)]
    with pytest.raises(BadInput, match="299 different statements of nodule"):
        score([many], [[]])


@pytest.mark.parametrize("name", PLUG_INS)
def test_a_models_metric_that_is_absent_says_what_it_needs(name: str) -> None:
    with pytest.raises(MissingExtra) as error:
        pick([name])
    wanted = PLUG_INS[name]
    for word in (wanted.package, wanted.version, wanted.weights, "sagittal.metrics"):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_radcliq_asks_for_its_components() -> None:
    with pytest.raises(MissingExtra, match="radgraph"):
        pick(["radcliq_v1"])


def test_names_and_beginnings_of_names() -> None:
    assert [m.name for m in pick(["laterality.f1"])] == [
        f"laterality.f1.{a}" for a in ("micro", "macro", "sample")
    ]
    assert len(pick(["site", "site.f1.micro"])) == 9
    assert not {m.name for m in pick()} & {"bleu_4.corpus", "rouge_l.sample"}
    with pytest.raises(BadInput, match="unknown metric 'lateral'"):
        pick(["lateral"])


def test_a_metric_of_every_facet_part_and_average_is_there() -> None:
    assert {
        f"{f}.{p}.{a}"
        for f in FACET_NAMES
        for p in ("precision", "recall", "f1")
        for a in ("micro", "macro", "sample")
    } < set(metrics())


@settings(max_examples=25)
@given(st.text(max_size=200))
def test_any_text_can_be_scored_and_agrees_with_itself(text: str) -> None:
    assert once(text, text).values["errors.sample"].value == 0.0


def test_any_finding_can_be_scored(drawn: Any) -> None:
    @settings(max_examples=60)
    @given(st.lists(drawn.finding, max_size=5), st.lists(drawn.finding, max_size=5))
    def every(a: list[Finding], b: list[Finding]) -> None:
        a = [replace(f, tracking_uid=None) for f in a]
        found = once(a, b)
        for metric in found.metrics:
            assert metric.low <= found.values[metric.name].value <= metric.high

    every()
