"""A report: sections of sentences, each naming the findings it states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sagittal.report.names import DEFAULT, document

SECTIONS = (
    "indication",
    "technique",
    "comparison",
    "findings",
    "impression",
    "limitations",
    "not assessed",
)
"""The draft's skeleton, always all of it and in this order."""

FLAGGED = ("findings", "impression")
"""Sections whose sentences carry the flags of actionable findings."""


@dataclass(frozen=True)
class Sentence:
    """A sentence and the `Finding.tracking_uid`s it states (none for indication, technique ...)."""

    text: str
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    name: str
    sentences: tuple[Sentence, ...] = ()


@dataclass(frozen=True)
class Recommendation:
    """A consideration with the guideline and version it comes from, or "no source configured"."""

    text: str
    source: str = "no source configured"
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Communication:
    """A critical result that was told to someone: who, to whom, when, how, read back."""

    finding: str
    by: str
    to: str
    when: datetime
    how: str
    read_back: bool


@dataclass(frozen=True)
class Limitation:
    text: str
    series_uid: str | None = None


@dataclass(frozen=True)
class Report:
    """What one reader gets to read.

    Args:
        actionable: tracking UID -> ACR category, of the findings that are flagged in the text.
    """

    sections: tuple[Section, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    communications: tuple[Communication, ...] = ()
    limitations: tuple[Limitation, ...] = ()
    language: str = DEFAULT
    audience: str = "radiologist"
    actionable: dict[str, int] = field(default_factory=dict)

    def section(self, name: str) -> Section:
        """The section of that name; an empty one where the report has none."""
        return next((s for s in self.sections if s.name == name), Section(name))

    def heading(self, name: str) -> str:
        """The heading of a section in the report's language."""
        words = document(self.language)
        table: Mapping[str, str] = words.get("headings", {})
        if self.audience == "patient":
            table = words["patient"]["headings"]
        return table.get(name, name)

    def flag(self, sentence: Sentence) -> str:
        """ "[ACR actionable category 1: minutes]" where the sentence names such a finding, else ""."""
        categories = [self.actionable[uid] for uid in sentence.findings if uid in self.actionable]
        return document(self.language)["phrases"][f"actionable_{min(categories)}"] if categories else ""

    @property
    def text(self) -> str:
        """Plain text: upper-case headings, one sentence a line, flags behind their sentence."""
        blocks = []
        for section in self.sections:
            flags = section.name in FLAGGED
            lines = "\n".join(f"{s.text} {self.flag(s) if flags else ''}".rstrip() for s in section.sentences)
            blocks.append(f"{upper(self.heading(section.name), self.language)}\n{lines}".rstrip())
        return "\n\n".join(blocks) + "\n"


def upper(text: str, language: str) -> str:
    """Upper case; in Turkish the capital of i is İ."""
    return (text.replace("i", "İ") if language == "tr" else text).upper()
