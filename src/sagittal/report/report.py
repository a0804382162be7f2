"""A report: sections of sentences, each naming the findings it states."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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
    sections: tuple[Section, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    communications: tuple[Communication, ...] = ()
    limitations: tuple[Limitation, ...] = ()
    language: str = "en"
    audience: str = "radiologist"

    def section(self, name: str) -> Section:
        """The section of that name; an empty one where the report has none."""
        return next((s for s in self.sections if s.name == name), Section(name))

    @property
    def text(self) -> str:
        """Plain text: upper-case headings, one sentence a line."""
        blocks = []
        for section in self.sections:
            lines = "\n".join(sentence.text for sentence in section.sentences)
            blocks.append(f"{section.name.upper()}\n{lines}".rstrip())
        return "\n\n".join(blocks) + "\n"
