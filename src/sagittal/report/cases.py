"""Candidates beside references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from sagittal.errors import BadInput
from sagittal.report.facets import Statements, statements
from sagittal.report.finding import Finding
from sagittal.report.matching import Match, match
from sagittal.report.parse import parse_document
from sagittal.report.reading import Reading
from sagittal.report.report import Report

_NAMED = 5

Source: TypeAlias = str | Report | Reading | Sequence[Finding]
"""One report: its text, or what it says."""


@dataclass(frozen=True)
class Reported:
    """One report, by its text, its findings or both.

    Args:
        text: None where only findings are known.
        given: the findings, where they were not to be parsed from the text.
        language: of the text (ISO 639-1); None: found out.
    """

    text: str | None = None
    given: tuple[Finding, ...] | None = None
    language: str | None = None

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        if self.given is not None:
            return self.given
        return parse_document(self.text or "", self.language).findings

    @cached_property
    def statements(self) -> Statements:
        return statements(self.findings)


@dataclass(frozen=True)
class Case:
    """A candidate and its reference."""

    id: str
    patient: str
    candidate: Reported
    reference: Reported

    @cached_property
    def match(self) -> Match:
        """BadInput that names the case where it cannot be scored."""
        try:
            return match(self.candidate.statements, self.reference.statements)
        except BadInput as error:
            raise BadInput(f"case {self.id}: {error}") from error

    @property
    def texts(self) -> tuple[str, str]:
        """Both texts.

        Raises:
            BadInput: one of the two is known by its findings only.
        """
        if self.candidate.text is None or self.reference.text is None:
            raise BadInput(f"case {self.id} has findings and no text", "report texts for a metric of words")
        return self.candidate.text, self.reference.text


def reported(source: Source | Reported, language: str | None = None) -> Reported:
    """A report in any of its forms.

    Raises:
        BadInput: it is none of them.
    """
    if isinstance(source, Reported):
        return source
    if isinstance(source, str):
        return Reported(source, None, language)
    if isinstance(source, Report):
        return Reported(source.text, None, source.language)
    if isinstance(source, Reading):
        return Reported(source.report.text, source.findings, source.report.language)
    if isinstance(source, Sequence):
        findings = [finding for finding in source if isinstance(finding, Finding)]
        if len(findings) == len(source):
            return Reported(None, tuple(findings))
    raise BadInput(
        f"a report is a {type(source).__name__}", "text, a Report, a Reading or a list of findings"
    )


Sources: TypeAlias = Mapping[str, Source | Reported] | Sequence[Source | Reported]


def beside(
    candidates: Sources,
    references: Sources,
    *,
    patients: Mapping[str, str] | Sequence[str] | None = None,
    language: str | None = None,
) -> tuple[Case, ...]:
    """Candidates beside their references: by id where both are mappings, by place where both are lists.

    Args:
        patients: one a case; None: every case is a patient of its own.
        language: of the texts; None: found out for each.

    Raises:
        BadInput: ids or lengths differ, there is nothing to score, or a report is none.
    """
    for name, given in (("candidates", candidates), ("references", references)):
        if isinstance(given, str) or not isinstance(given, Mapping | Sequence):
            raise BadInput(f"{name} is a {type(given).__name__}", "a list of reports, or a mapping by id")
    if isinstance(candidates, Mapping) != isinstance(references, Mapping):
        raise BadInput("one of candidates and references has ids and the other none", "both alike")
    ours, theirs = _by_id(candidates), _by_id(references)
    if not isinstance(candidates, Mapping) and len(ours) != len(theirs):
        raise BadInput(
            f"{len(ours)} candidates and {len(theirs)} references", "as many of one as of the other"
        )
    _same_ids(ours, theirs)
    if not ours:
        raise BadInput("there are no reports to score")
    owners = _owners(patients, list(ours))
    return tuple(
        Case(key, owners[key], reported(source, language), reported(theirs[key], language))
        for key, source in ours.items()
    )


def _by_id(sources: Sources) -> dict[str, Source | Reported]:
    if isinstance(sources, Mapping):
        return dict(sources)
    return {str(i): source for i, source in enumerate(sources)}


def _owners(patients: Mapping[str, str] | Sequence[str] | None, ids: Sequence[str]) -> dict[str, str]:
    if patients is None:
        return {key: key for key in ids}
    if isinstance(patients, Mapping):
        lost = [key for key in ids if key not in patients]
        if lost:
            raise BadInput(f"no patient for {_some(lost)}")
        return {key: str(patients[key]) for key in ids}
    if len(patients) != len(ids):
        raise BadInput(f"{len(patients)} patients for {len(ids)} cases", "one a case")
    return {key: str(patient) for key, patient in zip(ids, patients, strict=True)}


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return ", ".join(ids[:_NAMED]) + more


def _same_ids(candidates: Mapping[str, Any], references: Mapping[str, Any]) -> None:
    alone = [key for key in candidates if key not in references]
    lacking = [key for key in references if key not in candidates]
    parts = []
    if alone:
        parts.append(f"{len(alone)} without a reference ({_some(alone)})")
    if lacking:
        parts.append(f"{len(lacking)} without a candidate ({_some(lacking)})")
    if parts:
        raise BadInput(f"ids differ: {', '.join(parts)}", "the same ids on both sides")
