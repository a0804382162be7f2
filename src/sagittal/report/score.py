"""How well candidate reports say what their references say, by facts.

Each report becomes statements (`sagittal.report.facets`: what counts, and the normal form), the
statements of candidate and reference are paired (`sagittal.report.matching`), and what is counted is:

- **Facets** (observation, presence, laterality, site, size, severity, change): over the statements that
  say the facet, precision is the share of the candidate's, recall the share of the reference's, whose
  partner says the same. A missed statement is a miss in every facet that it states, an invented one
  likewise, so no facet improves by saying less. F1 is 2 P R / (P + R). Pairs need the same observation,
  not the same side: a wrong side costs laterality and nothing else. "Observation" takes a possible
  thing for a present one; "presence" does not. What is only denied is in no facet: leaving "no
  effusion" unsaid is no error, and two normal reports agree perfectly whatever they deny.
- **critical_miss**: of the reference's statements that something of actionable category 1 or 2 is
  present, the share that the candidate neither states nor suspects.
- **hallucination**: of the candidate's statements that something is present, the share that the
  reference neither states nor suspects; **contradiction**: the share that the reference even denies.
- **wrong_side**: of the pairs that both name a side, the share whose sides differ.
- **errors**: missed and invented statements, and facets in which a pair differs, a report.

Averages: "micro" pools the counts of all reports; "macro" is the mean over observations of their pooled
values, over those stated in the candidates (precision), the references (recall) or either (F1);
"sample" is the mean over reports. Empty rule: where nothing is stated nothing is wrong, so precision
without a candidate's statement, recall without a reference's, and a report where neither says anything
are 1, and a rate without a denominator is 0. Intervals: bootstrap by patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagittal.errors import BadInput
from sagittal.measure.metrics import Average, Metric, chosen, known, measure
from sagittal.measure.statistics import Interval
from sagittal.report import textual
from sagittal.report.cases import Case, Sources, beside
from sagittal.report.facets import FACETS, Statement
from sagittal.report.vocabulary import observations

Floats = NDArray[np.float64]
PARTS = ("precision", "recall", "f1")
AVERAGES: tuple[Average, ...] = ("micro", "macro", "sample")
RATES = ("critical_miss", "hallucination", "contradiction", "wrong_side")
FINDINGS = (*(facet.name for facet in FACETS), *RATES, "errors")
"""What is scored where no metric is named."""
VERSION = "1"


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 1.0


_OF = {"precision": slice(0, 2), "recall": slice(2, 4), "f1": slice(0, 4)}
"""Which of a facet's counts (candidate stated, credited; reference stated, credited) a part needs."""


def _part(counts: Floats) -> float:
    """Precision or recall of (stated, credited), F1 of both pairs."""
    shares = [_share(counts[i + 1], counts[i]) for i in range(0, len(counts), 2)]
    if len(shares) == 1:
        return shares[0]
    precision, recall = shares
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@cache
def _columns() -> dict[str, int]:
    return {entry.key: i for i, entry in enumerate(observations())}


def _pooled(facet: int, part: str, cases: Sequence[Case]) -> Floats:
    rows = np.zeros((len(cases), 4))
    for row, case in zip(rows, cases, strict=True):
        for counts in case.match.counts.values():
            row += counts[facet]
    return rows[:, _OF[part]]


def _by_observation(facet: int, part: str, cases: Sequence[Case]) -> Floats:
    rows = np.zeros((len(cases), len(_columns()), 4))
    for row, case in zip(rows, cases, strict=True):
        for key, counts in case.match.counts.items():
            row[_columns()[key]] = counts[facet]
    return rows[:, :, _OF[part]].reshape(len(cases), -1)


def _macro(row: Floats) -> float:
    table = row.reshape(len(_columns()), -1)
    values = [_part(counts) for counts in table[table[:, ::2].any(axis=1)]]
    return sum(values) / len(values) if values else 1.0


def _facet(index: int, part: str, average: Average) -> Metric:
    facet = FACETS[index]

    def each(cases: Sequence[Case]) -> Floats:
        values = [_part(row) for row in _pooled(index, part, cases)]
        return np.stack([np.asarray(values, float), np.ones(len(cases))], axis=1)

    rows, value = {
        "micro": (lambda cases: _pooled(index, part, cases), _part),
        "macro": (lambda cases: _by_observation(index, part, cases), _macro),
        "sample": (each, textual.mean),
    }[average]
    return Metric(
        f"{facet.name}.{part}.{average}",
        VERSION,
        f"{part} of {facet.name}: {facet.about}",
        "higher",
        0.0,
        1.0,
        average,
        "1 where nothing is stated that could be wrong or missing",
        rows,
        value,
    )


def _counted(name: str, case: Case) -> tuple[int, int]:
    """Numerator and denominator of a rate in one case."""
    match = case.match
    if name == "critical_miss":
        return len(match.missed_critical), match.critical
    if name == "wrong_side":
        sided = [p for p in match.pairs if p.candidate.side is not None and p.reference.side is not None]
        return sum("laterality" in pair.differs for pair in sided), len(sided)
    wrong = match.unsupported
    if name == "contradiction":
        wrong = tuple(s for s in wrong if any(s is other for other in match.contradicted))
    return len(wrong), match.present


_RATE = {
    "critical_miss": "present findings of category 1 or 2, missed by the candidate",
    "hallucination": "stated as present, unsupported by the reference",
    "contradiction": "stated as present, denied by the reference",
    "wrong_side": "pairs that both name a side, with different sides",
}


def _rate(name: str) -> Metric:
    def rows(cases: Sequence[Case]) -> Floats:
        return np.array([_counted(name, case) for case in cases], float).reshape(-1, 2)

    def value(row: Floats) -> float:
        return float(row[0] / row[1]) if row[1] else 0.0

    empty = "0 where there is no such finding to get wrong"
    return Metric(f"{name}.micro", VERSION, _RATE[name], "lower", 0.0, 1.0, "micro", empty, rows, value)


def _errors(cases: Sequence[Case]) -> Floats:
    return np.array([(errors(case), 1.0) for case in cases]).reshape(-1, 2)


def errors(case: Case) -> float:
    """Missed and invented statements of a report, and facets in which a pair differs."""
    match = case.match
    return float(len(match.missed) + len(match.extra) + sum(len(pair.differs) for pair in match.pairs))


METRICS: tuple[Metric, ...] = (
    *(_facet(i, part, average) for i in range(len(FACETS)) for part in PARTS for average in AVERAGES),
    *(_rate(name) for name in RATES),
    Metric(
        "errors.sample",
        VERSION,
        "missed, invented and differing statements a report",
        "lower",
        0.0,
        float("inf"),
        "sample",
        "0 where neither report states anything",
        _errors,
        textual.mean,
    ),
    *textual.METRICS,
)
"""Every metric that Sagittal brings; `metrics` adds those of plug-ins."""


def metrics() -> dict[str, Metric]:
    """All metrics by name: ours, then those of plug-ins.

    Raises:
        BadInput: a plug-in cannot be loaded, or its metric's name is taken.
    """
    return known(METRICS)


def pick(wanted: Sequence[str] | None = None) -> tuple[Metric, ...]:
    """Metrics by name or by the words a name begins with; `FINDINGS` where none is named.

    Raises:
        MissingExtra: a model's metric that no plug-in brings; the message says what it needs.
        BadInput: a name that nothing has.
    """
    everything = metrics()
    picked: dict[str, Metric] = {}
    for name in FINDINGS if wanted is None else wanted:
        if name.split(".")[0] in ("radcliq", "radcliq_v1"):
            found: tuple[Metric, ...] = (textual.radcliq(everything),)
        else:
            try:
                found = chosen([name], everything)
            except BadInput as unknown:
                raise textual.explain(name) or unknown from None
        picked |= {metric.name: metric for metric in found}
    return tuple(picked.values())


@dataclass(frozen=True)
class Scores:
    """What `score` found.

    Args:
        metrics: what each number is, in order; values: its interval, by name.
        cases, patients: how many.
        counts: affirmed statements in references and candidates, the denominators of the rates by name,
            and "unread": cases in which a side names nothing of the vocabulary, not even to deny it.
        samples: a JSON-ready object a case: id, patient, metrics, pairs, misses, hallucinations.
    """

    metrics: tuple[Metric, ...]
    values: dict[str, Interval]
    cases: int
    patients: int
    counts: dict[str, int]
    samples: tuple[dict[str, Any], ...]

    def document(self) -> dict[str, Any]:
        """The numbers with all it takes to read them, as JSON values; without the samples."""
        rows = []
        for metric in self.metrics:
            found = self.values[metric.name]
            rows.append(
                {
                    "name": metric.name,
                    "version": metric.version,
                    "about": metric.about,
                    "better": metric.better,
                    "range": [bound if np.isfinite(bound) else None for bound in (metric.low, metric.high)],
                    "average": metric.average,
                    "empty": metric.empty,
                    "value": found.value,
                    "low": found.low,
                    "high": found.high,
                    "level": found.level,
                    "interval": found.method,
                }
            )
        return {"cases": self.cases, "patients": self.patients, "counts": self.counts, "metrics": rows}


def score(
    candidates: Sources,
    references: Sources,
    *,
    metrics: Sequence[str] | None = None,
    patients: Mapping[str, str] | Sequence[str] | None = None,
    language: str | None = None,
    level: float = 0.95,
    repeats: int = 1000,
    seed: int = 0,
) -> Scores:
    """Candidate reports against their references, with intervals by patient and every case's detail.

    Args:
        candidates, references: reports (text, `Report`, `Reading`, or findings), as lists of one order
            or as mappings by id; the kinds may be mixed.
        metrics: names, or the words they begin with ("laterality", "bleu_4"); None: `FINDINGS`.
        patients: one a case, by place or id; None: every case is a patient of its own.
        language: of the texts; None: found out for each.

    Raises:
        BadInput: ids or lengths differ, a name is unknown, or a metric of words got findings only.
        MissingExtra: a metric needs a package that is not installed.
    """
    picked = pick(metrics)
    return score_cases(
        beside(candidates, references, patients=patients, language=language),
        picked,
        level=level,
        repeats=repeats,
        seed=seed,
    )


def score_cases(
    cases: Sequence[Case],
    picked: Sequence[Metric],
    *,
    level: float = 0.95,
    repeats: int = 1000,
    seed: int = 0,
) -> Scores:
    """`score` of cases that were put together before."""
    if not cases:
        raise BadInput("there are no reports to score")
    owners = [case.patient for case in cases]
    found = {m.name: measure(m, cases, owners, level=level, repeats=repeats, seed=seed) for m in picked}
    counts = {
        "reference": sum(len(case.reference.statements.affirmed) for case in cases),
        "candidate": sum(len(case.candidate.statements.affirmed) for case in cases),
        **{name: sum(_counted(name, case)[1] for case in cases) for name in RATES},
        "unread": sum(not (case.candidate.findings and case.reference.findings) for case in cases),
    }
    samples = tuple(
        sample(case, {name: each.cases[i] for name, each in found.items()}) for i, case in enumerate(cases)
    )
    values = {name: each.interval for name, each in found.items()}
    return Scores(tuple(picked), values, len(cases), len(set(owners)), counts, samples)


def _said(statement: Statement, text: str | None) -> dict[str, Any]:
    evidence = statement.finding.evidence
    span = evidence.span if evidence is not None else None
    return {
        "observation": statement.key,
        "presence": statement.presence.value,
        "laterality": statement.side.value if statement.side is not None else None,
        "site": statement.site,
        "size_mm": statement.size_mm,
        "severity": statement.severity.value if statement.severity is not None else None,
        "change": statement.change.value if statement.change is not None else None,
        "finding": statement.finding.tracking_uid,
        "span": list(span) if span is not None else None,
        "text": text[span[0] : span[1]] if span is not None and text is not None else None,
    }


def sample(case: Case, values: Mapping[str, float]) -> dict[str, Any]:
    """One case as a JSON line: its metrics, what answered what, what was missed and what was invented."""
    match, ours, theirs = case.match, case.candidate.text, case.reference.text

    def among(statement: Statement, some: Sequence[Statement]) -> bool:
        return any(statement is other for other in some)

    return {
        "id": case.id,
        "patient": case.patient,
        "metrics": dict(values),
        "pairs": [
            {
                "candidate": _said(pair.candidate, ours),
                "reference": _said(pair.reference, theirs),
                "differs": list(pair.differs),
            }
            for pair in match.pairs
        ],
        "misses": [
            {**_said(s, theirs), "critical": s.critical, "denied": among(s, match.denied)}
            for s in match.missed
        ],
        "hallucinations": [
            {**_said(s, ours), "contradicted": among(s, match.contradicted)} for s in match.unsupported
        ],
        "suspicions": [
            {**_said(s, ours), "contradicted": among(s, match.contradicted)}
            for s in match.extra
            if not among(s, match.unsupported)
        ],
    }
