"""What a person does to a draft: accept, edit, reject, add, sign, amend.

Every function takes a `Reading` and gives the next version; nothing is changed in place. A signed
reading is closed: only `amend` opens a version after it. The report is drawn up again from the
findings each time, so text and findings never part.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sagittal.errors import BadInput, Refused
from sagittal.report.finding import (
    Certainty,
    Evidence,
    Finding,
    Laterality,
    Measurement,
    Presence,
    Severity,
)
from sagittal.report.parse import parse
from sagittal.report.reading import Edit, Reading, Status
from sagittal.report.report import Communication, Report

Redraft = Callable[[Reading], Report]
CLOSED = (Status.SIGNED, Status.AMENDED)
LONGEST_NAME, LONGEST_TEXT = 120, 1000
MARKED = (Presence.PRESENT, Presence.UNCERTAIN)
"""Findings that somebody has to decide on; an absence needs no click."""


@dataclass(frozen=True)
class Corrections:
    """What an edit replaces; None leaves a field as it is. ``clear`` empties the named fields."""

    presence: Presence | None = None
    certainty: Certainty | None = None
    laterality: Laterality | None = None
    severity: Severity | None = None
    diameter_mm: tuple[float, ...] | None = None
    clear: tuple[str, ...] = ()


def new_uid() -> str:
    """A DICOM UID from a random UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def closed(reading: Reading) -> bool:
    """Signed: no finding can be touched."""
    return reading.status in CLOSED


def decisions(reading: Reading) -> dict[str, str]:
    """Tracking UID -> the last thing a person did to it (accept, edit, reject, add)."""
    last: dict[str, str] = {}
    for edit in reading.edits:
        if edit.finding is not None and edit.action in ("accept", "edit", "reject", "add", "restore"):
            last[edit.finding] = edit.action
    return last


def undecided(reading: Reading) -> tuple[Finding, ...]:
    """Findings of the draft that nobody has accepted, edited or rejected yet."""
    decided = {uid for uid, action in decisions(reading).items() if action != "restore"}
    return tuple(f for f in reading.findings if f.presence in MARKED and f.tracking_uid not in decided)


def urgent(reading: Reading) -> tuple[Finding, ...]:
    """Findings of category 1 or 2 that the report says are there: someone has to be told."""
    return tuple(f for f in reading.findings if f.presence in MARKED and f.actionable in (1, 2))


def sentence(reading: Reading, tracking_uid: str) -> str:
    """What the report says of a finding (its sentences of the findings section first)."""
    order = ("findings", "impression")
    sections = sorted(reading.report.sections, key=lambda s: order.index(s.name) if s.name in order else 9)
    for section in sections:
        said = [s.text for s in section.sentences if tracking_uid in s.findings]
        if said:
            return " ".join(said)
    return ""


def accept(reading: Reading, tracking_uid: str, *, by: str, when: datetime, redraft: Redraft) -> Reading:
    """The finding stands as drafted."""
    _finding(reading, tracking_uid)
    edit = Edit("accept", _name(by), when, tracking_uid, after=sentence(reading, tracking_uid) or None)
    return _next(reading, reading.findings, edit, redraft)


def reject(
    reading: Reading, tracking_uid: str, *, by: str, when: datetime, redraft: Redraft, reason: str = ""
) -> Reading:
    """The finding is not there: it leaves findings and report; the edit keeps what was said."""
    _finding(reading, tracking_uid)
    kept = tuple(f for f in reading.findings if f.tracking_uid != tracking_uid)
    said = sentence(reading, tracking_uid) or None
    edit = Edit("reject", _name(by), when, tracking_uid, before=said, reason=_text(reason) or None)
    return _next(reading, kept, edit, redraft)


def restore(
    reading: Reading, earlier: Reading, tracking_uid: str, *, by: str, when: datetime, redraft: Redraft
) -> Reading:
    """A rejected finding comes back, undecided, as it stood in ``earlier``, with its mask."""
    if any(f.tracking_uid == tracking_uid for f in reading.findings):
        raise Refused("this finding is already in the reading")
    try:
        finding = earlier.finding(tracking_uid)
    except KeyError:
        raise BadInput("there is no such finding in the earlier version") from None
    name = finding.evidence.mask if finding.evidence else None
    held = {mask.name for mask in reading.masks}
    back = tuple(m for m in earlier.masks if m.name == name and m.name not in held)
    made = replace(reading, masks=(*reading.masks, *back))
    return _next(made, (*made.findings, finding), Edit("restore", _name(by), when, tracking_uid), redraft)


def edit(
    reading: Reading,
    tracking_uid: str,
    corrections: Corrections,
    *,
    by: str,
    when: datetime,
    redraft: Redraft,
) -> Reading:
    """The finding is there, but otherwise. A corrected finding no longer shows the model's number."""
    old = _finding(reading, tracking_uid)
    new = corrected(old, corrections)
    if new == old:
        raise BadInput("nothing was changed", "a new value", "accept the finding if it is right")
    new = replace(new, probability=None, domain=None, source="radiologist")
    findings = tuple(new if f.tracking_uid == tracking_uid else f for f in reading.findings)
    before = sentence(reading, tracking_uid) or None
    entry = Edit("edit", _name(by), when, tracking_uid, before=before)
    made = _next(reading, findings, entry, redraft)
    entry = replace(entry, after=sentence(made, tracking_uid) or None)
    return replace(made, edits=(*reading.edits, entry))


def corrected(finding: Finding, corrections: Corrections) -> Finding:
    """The finding with the corrections in place."""
    changes: dict[str, object] = dict.fromkeys(corrections.clear)
    for name in ("presence", "certainty", "laterality", "severity"):
        value = getattr(corrections, name)
        if value is not None:
            changes[name] = value
    if "presence" in corrections.clear:
        raise BadInput("presence is empty", "present or uncertain")
    if corrections.diameter_mm is not None:
        diameter = tuple(sorted(corrections.diameter_mm, reverse=True))
        if not 1 <= len(diameter) <= 3 or not all(0.1 <= value <= 1000 for value in diameter):
            raise BadInput(f"size {diameter} cannot be", "one to three lengths from 0.1 to 1000 mm")
        others = tuple(m for m in finding.measurements if m.quantity != "diameter")
        measured = Measurement("diameter", diameter, "mm", method="radiologist")
        old = next((m for m in finding.measurements if m.quantity == "diameter"), None)
        if old is None or old.values != diameter:
            changes["measurements"] = (measured, *others)
    return replace(finding, **changes)  # type: ignore[arg-type]


def add(
    reading: Reading,
    text: str,
    *,
    by: str,
    when: datetime,
    redraft: Redraft,
    evidence: Evidence | None = None,
) -> Reading:
    """What the draft missed, in a sentence: "8 mm nodule in the right upper lobe."

    Raises:
        BadInput: no finding of the vocabulary can be read out of the sentence.
    """
    _open(reading)
    said = _text(text)
    found = [f for f in parse(said) if f.presence in MARKED]
    if not found:
        raise BadInput(
            "no finding could be read from the sentence",
            "one of the vocabulary's findings",
            'for example "8 mm nodule in the right upper lobe."',
        )
    made = reading
    for finding in found:
        uid = new_uid()
        named = replace(finding, tracking_uid=uid, evidence=evidence, source="radiologist")
        entry = Edit("add", _name(by), when, uid, after=said)
        made = replace(made, findings=(*made.findings, named), edits=(*made.edits, entry))
    return _version(reading, made, redraft)


def sign(
    reading: Reading, *, by: str, when: datetime, communications: Sequence[Communication] = ()
) -> Reading:
    """A person takes responsibility; from here on the reading is closed.

    Raises:
        Refused: already signed, findings still undecided, or a category 1-2 finding without the
            record of who was told, how and when.
        BadInput: a communication is dated after the signature.
    """
    _open(reading)
    name = _name(by)
    if reading.status is Status.REFUSED:
        raise Refused("nothing was read, so there is nothing to sign; add findings first")
    left = undecided(reading)
    if left:
        names = ", ".join(f.observation.meaning for f in left[:4])
        raise Refused(f"{len(left)} finding(s) still need a decision: {names}")
    told = {c.finding for c in (*reading.report.communications, *communications)}
    untold = [f for f in urgent(reading) if f.tracking_uid not in told]
    if untold:
        finding = untold[0]
        raise Refused(
            f"{finding.observation.meaning} is a category {finding.actionable} finding: record who was "
            "told, by whom, when, how and whether it was read back"
        )
    if any(c.when > when for c in communications):
        raise BadInput("the time of the communication lies in the future", "when somebody was told")
    report = replace(reading.report, communications=(*reading.report.communications, *communications))
    after_amendment = any(e.action == "amend" for e in reading.edits)
    return replace(
        reading,
        uid=new_uid(),
        supersedes=reading.uid,
        version=reading.version + 1,
        status=Status.AMENDED if after_amendment else Status.SIGNED,
        report=report,
        edits=(*reading.edits, Edit("sign", name, when)),
        signed_by=name,
        signed_at=when,
    )


def communication(
    finding: str, *, by: str, to: str, how: str, when: datetime, read_back: bool
) -> Communication:
    """The record that a critical result reached somebody; every part has to be there."""
    return Communication(finding, _name(by), _name(to, "who was told"), when, _name(how, "how"), read_back)


def amend(reading: Reading, *, by: str, when: datetime, reason: str) -> Reading:
    """Open a version after a signed one; the signed version stays what it is."""
    if not closed(reading):
        raise Refused("only a signed reading can be amended", wanted="signed", got=reading.status.value)
    why = _text(reason)
    if not why:
        raise BadInput("the reason of the amendment is empty", "a sentence")
    return replace(
        reading,
        uid=new_uid(),
        supersedes=reading.uid,
        version=reading.version + 1,
        status=Status.IN_REVIEW,
        edits=(*reading.edits, Edit("amend", _name(by), when, reason=why)),
        signed_by=None,
        signed_at=None,
    )


def _next(reading: Reading, findings: tuple[Finding, ...], entry: Edit, redraft: Redraft) -> Reading:
    _open(reading)
    made = replace(reading, findings=findings, edits=(*reading.edits, entry))
    return _version(reading, made, redraft)


def _version(old: Reading, made: Reading, redraft: Redraft) -> Reading:
    kept = {f.evidence.mask for f in made.findings if f.evidence is not None}
    gone = {f.evidence.mask for f in old.findings if f.evidence is not None} - kept
    made = replace(
        made,
        uid=new_uid(),
        supersedes=old.uid,
        version=old.version + 1,
        status=Status.IN_REVIEW,
        masks=tuple(m for m in made.masks if m.name not in gone),
    )
    report = redraft(made)
    return replace(made, report=replace(report, communications=old.report.communications))


def _open(reading: Reading) -> None:
    if closed(reading):
        raise Refused("the reading is signed and closed; amend it to change it")


def _finding(reading: Reading, tracking_uid: str) -> Finding:
    _open(reading)
    try:
        return reading.finding(tracking_uid)
    except KeyError:
        raise BadInput("there is no such finding in the reading", fix="load the page again") from None


def _name(text: str, what: str = "the name") -> str:
    cleaned = " ".join(text.split())
    if not cleaned or len(cleaned) > LONGEST_NAME or not cleaned.isprintable():
        raise BadInput(f"{what} is missing or too long", f"1 to {LONGEST_NAME} printable characters")
    return cleaned


def _text(text: str) -> str:
    cleaned = " ".join(text.split())
    if len(cleaned) > LONGEST_TEXT:
        raise BadInput("the text is too long", f"at most {LONGEST_TEXT} characters")
    return cleaned
