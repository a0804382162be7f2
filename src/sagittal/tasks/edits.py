"""What radiologists changed: pairs of drafted and signed text from the versions of readings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sagittal.report.reading import Reading, Status
from sagittal.report.report import Report
from sagittal.report.stated import stated

WORDED = ("findings", "impression")
"""Sections a person words; the others are data."""


@dataclass(frozen=True)
class EditedPair:
    """A section as it was drafted and as it was signed.

    Attributes:
        reading: UID of the signed version; study: of its study.
        section: "findings" or "impression"; language: of both texts.
        indication: what the draft was written for; "" where the report has none.
        draft, edited: the texts, differing.
        reworded: the findings are the same: only the words were changed.
    """

    reading: str
    study: str
    section: str
    language: str
    indication: str
    draft: str
    edited: str
    reworded: bool


def edited_pairs(versions: Iterable[Reading], *, sections: Sequence[str] = WORDED) -> tuple[EditedPair, ...]:
    """Pairs from versions of any number of readings, in any order; the store keeps them all.

    The draft is the model's, the version that the chain of ``supersedes`` begins with; the edited text is
    that of the last version of the chain that was signed. What was never signed teaches nothing; a section
    that stood unchanged or was left empty, a chain whose draft is missing and a report turned into another
    language or for another audience make no pair. The texts are a patient's: de-identify them before they
    leave the house.
    """
    by_uid = {version.uid: version for version in versions}
    replaced = {version.supersedes for version in by_uid.values() if version.supersedes}
    pairs: list[EditedPair] = []
    for newest in by_uid.values():
        if newest.uid in replaced:
            continue
        chain = [newest]
        while (before := by_uid.get(chain[-1].supersedes or "")) is not None and before not in chain:
            chain.append(before)
        signed = next((v for v in chain if v.status in (Status.SIGNED, Status.AMENDED)), None)
        if signed is None or chain[-1].supersedes or chain[-1].status is not Status.DRAFT:
            continue
        pairs += _pairs(chain[-1], signed, sections)
    return tuple(pairs)


def _pairs(draft: Reading, signed: Reading, sections: Sequence[str]) -> list[EditedPair]:
    old, new = draft.report, signed.report
    if (old.language, old.audience) != (new.language, new.audience):
        return []
    reworded = {stated(f) for f in draft.findings} == {stated(f) for f in signed.findings}
    return [
        EditedPair(
            signed.uid, signed.study.uid, name, new.language, _text(old, "indication"),
            _text(old, name), _text(new, name), reworded,
        )
        for name in sections
        if _text(old, name) and _text(new, name) and _text(old, name) != _text(new, name)
    ]  # fmt: skip


def _text(report: Report, name: str) -> str:
    return " ".join(sentence.text.strip() for sentence in report.section(name).sentences).strip()
