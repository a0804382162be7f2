"""A draft checked: against itself, against evidence (a reading, its findings and masks), against its patient.

Every problem has a place, a reason and a grade: ``error`` is wrong or very likely so, ``warning`` wants
a look, ``style`` is wording. The error types of Gertz et al. (Radiology 2024) are `Problem.error_type`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sagittal.report.check_against import against
from sagittal.report.check_duties import Circumstances, duties
from sagittal.report.check_inside import inside, unsupported
from sagittal.report.check_masks import masks
from sagittal.report.check_patient import Patient, Sex, patient, stated_patient
from sagittal.report.check_size import sizes
from sagittal.report.check_style import style
from sagittal.report.finding import Finding
from sagittal.report.known import check_known
from sagittal.report.language import detect
from sagittal.report.names import DEFAULT
from sagittal.report.problem import GERTZ, Grade, Problem, ProblemKind
from sagittal.report.reading import MaskSummary, Reading
from sagittal.report.report import Report
from sagittal.report.spelling import available, misspelt
from sagittal.report.statement import Draft, read
from sagittal.report.vocabulary import observation

__all__ = ["GERTZ", "Grade", "Grounds", "Problem", "ProblemKind", "check", "grounds"]


NOBODY, UNKNOWN = Patient(), Circumstances()


@dataclass(frozen=True)
class Grounds:
    """What a draft is held against.

    Args:
        findings: what is known to be there, not there, or not assessed; None: nothing is known.
        scored: keys of what else was looked for; None: whatever the findings leave out is not there.
        masks: what was drawn.
        patient, circumstances: what the study says of the patient and of itself.
    """

    findings: tuple[Finding, ...] | None = None
    scored: frozenset[str] | None = None
    masks: tuple[MaskSummary, ...] = ()
    patient: Patient = NOBODY
    circumstances: Circumstances = UNKNOWN

    def assessed(self, key: str) -> bool:
        """Whether an observation was looked for."""
        named = any(f.observation.key == key for f in self.findings or ())
        return self.scored is None or key in self.scored or named


def grounds(evidence: Reading | Sequence[Finding] | Grounds | None) -> Grounds:
    """The evidence in one form. A reading knows its patient and what was scored; loose findings are
    taken for all that there is."""
    if evidence is None:
        return Grounds()
    if isinstance(evidence, Grounds):
        return evidence
    check_known(evidence)
    if not isinstance(evidence, Reading):
        return Grounds(tuple(evidence))
    study, report = evidence.study, evidence.report
    scored = frozenset(s.observation.key for s in evidence.scores if s.level != "not assessed")
    sex: Sex | None = "F" if study.sex == "F" else "M" if study.sex == "M" else None
    return Grounds(
        evidence.findings,
        scored if evidence.scores else None,
        evidence.masks,
        Patient(sex, study.age_years),
        Circumstances(
            len(study.priors),
            frozenset(series.modality for series in study.series),
            bool(report.communications),
            bool(report.recommendations),
        ),
    )


def check(
    draft: str | Report,
    evidence: Reading | Sequence[Finding] | Grounds | None = None,
    *,
    language: str | None = None,
) -> list[Problem]:
    """Problems of a draft, the gravest first.

    Args:
        draft: report text, or a report; spans are places in its text.
        evidence: a reading, or findings (taken for complete); None: the draft is held against itself.
        language: ISO 639-1 code; None: the report's own, or the likeliest. Spelling and the rules on
            words (sex, age, comparison) are for English; what is stated and hedges are checked in every
            language.

    Never raises on text; time grows linearly with its length.

    Raises:
        BadInput: a language that is not there, or evidence that the vocabulary does not know.
    """
    if isinstance(draft, Report):
        language = language or draft.language
        draft = draft.text
    code = language or detect(draft)
    known, said = grounds(evidence), read(draft, code)
    return sorted(_merged(_problems(said, known, code)), key=_rank)


def _merged(problems: Iterable[Problem]) -> list[Problem]:
    """One problem a place and kind, with all its reasons; the gravest grade stays."""
    found: dict[tuple[ProblemKind, tuple[int, int], str], Problem] = {}
    for problem in problems:
        name = problem.kind, problem.span, problem.text
        had = found.get(name)
        if had is None:
            found[name] = problem
        elif problem.reason not in had.reason.split("; "):
            grade = min(had.severity, problem.severity, key=_GRADES.index)
            found[name] = replace(had, reason=f"{had.reason}; {problem.reason}", severity=grade)
    return list(found.values())


def _problems(draft: Draft, known: Grounds, code: str) -> Iterator[Problem]:
    if known.findings is not None:
        yield from against(draft, known.findings, known.assessed)
    yield from masks(draft, known.masks)
    yield from sizes(draft)
    yield from inside(draft)
    yield from unsupported(draft)
    yield from style(draft)
    if code != DEFAULT:
        return
    yield from patient(draft, known.patient)
    stated = stated_patient(draft)
    age = known.patient.age_years if known.patient.age_years is not None else stated.age_years
    yield from duties(draft, known.circumstances, replace(known.patient, age_years=age))
    if available():
        yield from _spelling(draft)


def _spelling(draft: Draft) -> Iterator[Problem]:
    """Misspelt words; those of the indication are whoever's who asked."""
    asked = iter([s for s in draft.sentences if s.section == "indication"])
    piece = next(asked, None)
    for word in misspelt(draft.text):
        while piece is not None and piece.end <= word.start:
            piece = next(asked, None)
        inside = piece is not None and piece.start <= word.start
        grade = Grade.WARNING if inside else Grade.ERROR
        reason = f"misspelt; “{word.suggestion}”?"
        span = word.start, word.end
        yield Problem(ProblemKind.SPELLING, span, word.word, reason, grade, suggestion=word.suggestion)


_GRADES = tuple(Grade)


def _rank(problem: Problem) -> tuple[int, int, int]:
    """Errors first; among them what is missing by its actionable category; then by place."""
    category = 9
    if problem.kind is ProblemKind.OMISSION and problem.finding is not None:
        finding = problem.finding
        category = finding.actionable or observation(finding.observation.key).actionable or 8
    return _GRADES.index(problem.severity), category, problem.span[0]
