"""Does a metric order reports as radiologists do? Agreement with a judged set in the form of ReXVal.

ReXVal (Yu et al., Patterns 2023; PhysioNet, credentialed, not shipped): 50 reference reports, each with
four candidates; six radiologists counted in each candidate the errors of six categories, clinically
significant or not. Two files: the texts, a row a study with ``gt_report`` and a column a candidate type;
the errors, a row a study, candidate type, rater, category and significance, with ``num_errors``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from sagittal.errors import BadInput
from sagittal.measure.metrics import Metric, per_case
from sagittal.measure.statistics import Interval, bootstrap
from sagittal.report.cases import Case, Reported

CATEGORIES = {
    1: "false prediction of a finding",
    2: "omission of a finding",
    3: "wrong location of a finding",
    4: "wrong severity of a finding",
    5: "comparison that the reference does not make",
    6: "omission of a comparison",
}
"""ReXVal's categories of errors."""


@dataclass(frozen=True)
class Judged:
    """A candidate report that radiologists judged.

    Args:
        errors: (category, significant) -> each rater's count, in one order of raters.
    """

    study: str
    candidate_type: str
    candidate: str
    reference: str
    errors: dict[tuple[int, bool], tuple[float, ...]]

    def mean_errors(self, *, significant_only: bool = False) -> float:
        """Errors of all categories, the mean over raters."""
        rows = [
            counts for (_, significant), counts in self.errors.items() if significant or not significant_only
        ]
        return float(np.sum(np.mean(rows, axis=1))) if rows else 0.0


class NoOrder(BadInput):
    """All scores, or all error counts, are the same: nothing can agree or disagree."""


def agreement(
    judged: Sequence[Judged],
    metric: Metric | Callable[[str, str], float],
    *,
    significant_only: bool = False,
    level: float = 0.95,
    repeats: int = 1000,
    seed: int = 0,
) -> Interval:
    """Kendall's tau-b between a metric and the radiologists' mean number of errors.

    Turned so that 1 is full agreement whichever way the metric points: more errors are a worse score.
    The interval draws studies, since candidates of one reference are not independent.

    Args:
        metric: a metric, or (candidate, reference) -> a number that is higher for better reports.

    Raises:
        BadInput: fewer than two studies.
        NoOrder: all scores or all counts are the same, in the set or in most draws.
    """
    cases = [
        Case(f"{j.study} {j.candidate_type}", j.study, Reported(j.candidate), Reported(j.reference))
        for j in judged
    ]
    if isinstance(metric, Metric):
        values = per_case(metric, cases) * (1.0 if metric.better == "higher" else -1.0)
    else:
        values = np.array([metric(j.candidate, j.reference) for j in judged], float)
    wrong = np.array([j.mean_errors(significant_only=significant_only) for j in judged])
    studies = [j.study for j in judged]
    if len(set(studies)) < 2:
        raise BadInput(f"{len(set(studies))} judged study", "two or more")
    if len(np.unique(values)) < 2 or len(np.unique(wrong)) < 2:
        raise NoOrder("there is no order to agree with: all scores or all error counts are the same")

    def tau(index: NDArray[np.intp]) -> float:
        if np.ptp(values[index]) == 0 or np.ptp(wrong[index]) == 0:
            return float("nan")
        return float(kendalltau(values[index], -wrong[index], variant="b").statistic)

    try:
        found = bootstrap(tau, len(judged), groups=studies, repeats=repeats, level=level, seed=seed)
    except ValueError as error:
        raise NoOrder(f"{len(set(studies))} studies give no interval: {error}") from None
    return replace(found, method="bootstrap by study")


def read_judged(texts: Path, errors: Path) -> tuple[Judged, ...]:
    """A judged set from two CSV files in ReXVal's form.

    Args:
        texts: columns ``gt_report`` and one a candidate type, a row a study; the study is the row's
            ``study_number`` or, without such a column, its place from 0 (as in ReXVal).
        errors: columns ``study_number, candidate_type, rater_index, error_category,
            clinically_significant, num_errors``.

    Raises:
        BadInput: a file cannot be read, lacks a column, or counts errors of a report that is not there.
    """
    reports = {
        row.get("study_number") or str(place): row for place, row in enumerate(_rows(texts, ("gt_report",)))
    }
    counts: dict[tuple[str, str], dict[tuple[int, bool], dict[str, float]]] = {}
    raters: dict[str, None] = {}
    wanted = (
        "study_number",
        "candidate_type",
        "rater_index",
        "error_category",
        "clinically_significant",
        "num_errors",
    )
    for line, row in enumerate(_rows(errors, wanted), start=2):
        study, kind, rater = row["study_number"], row["candidate_type"], row["rater_index"]
        if study not in reports or kind == "gt_report" or kind not in reports[study]:
            raise BadInput(f"{errors} line {line}: {texts} has no report {kind!r} of study {study!r}")
        try:
            category, number = int(row["error_category"]), float(row["num_errors"])
            significant = {"true": True, "1": True, "false": False, "0": False}[
                row["clinically_significant"].strip().lower()
            ]
        except (ValueError, KeyError):
            raise BadInput(
                f"{errors} line {line} is not a count of errors", "numbers, and True or False"
            ) from None
        if category not in CATEGORIES or not 0 <= number < float("inf"):
            raise BadInput(f"{errors} line {line}: category {category}, {number:g} errors", "category 1 to 6")
        raters[rater] = None
        each = counts.setdefault((study, kind), {}).setdefault((category, significant), {})
        if rater in each:
            raise BadInput(f"{errors} line {line}: rater {rater} counted the same errors twice")
        each[rater] = number
    return tuple(
        Judged(
            study,
            kind,
            reports[study][kind],
            reports[study]["gt_report"],
            # What a rater did not list was not seen.
            {what: tuple(each.get(rater, 0.0) for rater in raters) for what, each in found.items()},
        )
        for (study, kind), found in counts.items()
    )


def _rows(path: Path, wanted: Sequence[str]) -> list[dict[str, str]]:
    try:
        table = csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline=""), strict=True)
        missing = [name for name in wanted if name not in (table.fieldnames or ())]
        if missing:
            raise BadInput(f"{path} has no column {missing[0]!r}", f"the columns {', '.join(wanted)}")
        return [{key: value or "" for key, value in row.items() if key is not None} for row in table]
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror})", "a CSV") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} is not a CSV ({error})") from None
