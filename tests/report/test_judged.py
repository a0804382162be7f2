"""Agreement with radiologists: a toy set whose answer is known, scipy as oracle, ReXVal's two files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from sagittal.errors import BadInput
from sagittal.report.judged import CATEGORIES, Judged, NoOrder, agreement, read_judged
from sagittal.report.score import metrics

FINDINGS = ("Cardiomegaly.", "Right pleural effusion.", "Left pneumothorax.", "Rib fracture.")
KINDS = ("radgraph", "bertscore", "s_emb", "bleu")


def judged(study: int, kind: str, candidate: str, reference: str, *counts: float) -> Judged:
    return Judged(str(study), kind, candidate, reference, {(2, True): counts})


TOY = [
    judged(study, kind, " ".join(FINDINGS[: 4 - missed]), " ".join(FINDINGS), missed, missed + 1)
    for study in range(6)
    for missed, kind in enumerate(KINDS)
]
"""Candidates that leave out 0, 1, 2 and 3 findings; two raters who count nearly that many."""


@pytest.mark.parametrize("name", ["errors.sample", "observation.recall.micro", "observation.f1.sample"])
def test_a_metric_that_orders_as_the_raters_do_has_tau_1(name: str) -> None:
    found = agreement(TOY, metrics()[name], repeats=50)
    assert (found.value, found.low, found.high, found.n) == pytest.approx((1.0, 1.0, 1.0, 6))
    assert found.method == "bootstrap by study"


def test_a_metric_that_orders_the_other_way_has_tau_minus_1() -> None:
    assert agreement(TOY, lambda c, r: -float(len(c)), repeats=50).value == pytest.approx(-1.0)
    assert agreement(TOY, lambda c, r: float(len(c)), repeats=50).value == pytest.approx(1.0)


def test_tau_with_ties_is_scipys_tau_b_and_the_interval_draws_studies() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 5, 80)
    wrong = np.clip(6 - scores + rng.integers(-2, 3, 80), 0, None)
    rows = [
        judged(i // 4, str(i % 4), str(s), "", float(w))
        for i, (s, w) in enumerate(zip(scores, wrong, strict=True))
    ]
    found = agreement(rows, lambda c, r: float(c), repeats=200)
    assert found.value == pytest.approx(kendalltau(scores, -wrong).statistic)
    assert found.low < found.value < found.high
    assert found.n == 20


def test_only_significant_errors_count_where_asked() -> None:
    both = Judged("1", "a", "", "", {(1, True): (1.0, 3.0), (4, False): (2.0, 0.0)})
    assert both.mean_errors() == 3.0
    assert both.mean_errors(significant_only=True) == 2.0


def test_without_an_order_there_is_nothing_to_agree_with() -> None:
    with pytest.raises(NoOrder, match="all scores"):
        agreement(TOY, lambda c, r: 1.0)
    with pytest.raises(BadInput, match="1 judged study"):
        agreement(TOY[:4], metrics()["errors.sample"])


def write(folder: Path, errors: list[dict[str, object]], *, numbered: bool = False) -> tuple[Path, Path]:
    texts, counts = folder / "texts.csv", folder / "errors.csv"
    with texts.open("w", newline="") as file:
        names = [*(["study_number"] if numbered else ["study_id"]), "gt_report", *KINDS]
        writer = csv.writer(file)
        writer.writerow(names)
        for study in range(3):
            candidates = [" ".join(FINDINGS[: 4 - missed]) for missed in range(4)]
            writer.writerow([study if numbered else f"s{study}", " ".join(FINDINGS), *candidates])
    with counts.open("w", newline="") as file:
        table = csv.DictWriter(file, list(errors[0]))
        table.writeheader()
        table.writerows(errors)
    return texts, counts


def rated() -> list[dict[str, object]]:
    return [
        {
            "study_number": study,
            "candidate_type": kind,
            "rater_index": rater,
            "error_category": category,
            "clinically_significant": significant,
            "num_errors": missed if (category, significant) == (2, True) else 0,
        }
        for study in range(3)
        for missed, kind in enumerate(KINDS)
        for rater in range(2)
        for category in CATEGORIES
        for significant in (True, False)
    ]


@pytest.mark.parametrize("numbered", [True, False])
def test_rexvals_two_files(tmp_path: Path, numbered: bool) -> None:
    reports = read_judged(*write(tmp_path, rated(), numbered=numbered))
    assert len(reports) == 12
    first = next(r for r in reports if (r.study, r.candidate_type) == ("1", "s_emb"))
    assert (first.candidate, first.mean_errors()) == ("Cardiomegaly. Right pleural effusion.", 2.0)
    assert agreement(reports, metrics()["errors.sample"], repeats=20).value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"study_number": 9}, "no report 'radgraph' of study '9'"),
        ({"candidate_type": "gpt"}, "no report 'gpt' of study '0'"),
        ({"error_category": 7}, "category 7"),
        ({"num_errors": "two"}, "line 2 is not a count"),
        ({"num_errors": -1}, "-1 errors"),
        ({"clinically_significant": "perhaps"}, "True or False"),
        ({"rater_index": 1}, "counted the same errors twice"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, change: dict[str, object], said: str) -> None:
    rows = rated()
    rows[0] = {**rows[0], **change}
    with pytest.raises(BadInput, match=said):
        read_judged(*write(tmp_path, rows))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "num_errors"} for row in rated()]
    with pytest.raises(BadInput, match="no column 'num_errors'"):
        read_judged(*write(tmp_path, rows))
