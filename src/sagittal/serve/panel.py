"""The right-hand side of the room as plain values for the templates: findings, scores, report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sagittal.report.draft import ordered
from sagittal.report.finding import Certainty, Change, ChangeKind, Finding, Laterality, Presence, Severity
from sagittal.report.reading import Reading, Refusal, Score
from sagittal.serve.manifest import label, manifest
from sagittal.serve.review import MARKED, closed, decisions, undecided, urgent
from sagittal.serve.shelf import Opened

WORDS = {"accept": "accepted", "edit": "edited", "reject": "rejected", "add": "added"}
CATEGORY = {1: "category 1 · minutes", 2: "category 2 · hours", 3: "category 3 · days"}


@dataclass(frozen=True)
class Card:
    """A finding as the list shows it."""

    uid: str
    name: str
    where: str
    size: str
    level: str
    probability: str
    note: str
    evidence: str
    change: str
    source: str
    decision: str
    category: str
    urgent: bool
    shown: bool
    finding: Finding


@dataclass(frozen=True)
class Bar:
    """A score as the list of everything the model looked for shows it."""

    name: str
    level: str
    percent: str
    note: str


@dataclass(frozen=True)
class Gone:
    """A rejected finding."""

    uid: str
    said: str
    by: str
    reason: str


@dataclass(frozen=True)
class Unread:
    """A refusal, with the series it is about in words."""

    series: str
    refusal: Refusal


@dataclass(frozen=True)
class Choices:
    """What the edit form offers."""

    certainties: tuple[str, ...] = tuple(c.value for c in Certainty)
    sides: tuple[str, ...] = tuple(s.value for s in Laterality)
    severities: tuple[str, ...] = tuple(s.value for s in Severity)
    presences: tuple[str, ...] = tuple(p.value for p in MARKED)


@dataclass(frozen=True)
class Panel:
    """Everything the panel's template needs."""

    reading: Reading
    cards: tuple[Card, ...]
    absent: tuple[Card, ...]
    gone: tuple[Gone, ...]
    unread: tuple[Unread, ...]
    bars: tuple[Bar, ...]
    left: int
    urgent: tuple[Card, ...]
    closed: bool
    choices: Choices = Choices()


def panel(reading: Reading, opened: Opened) -> Panel:
    """Gather the panel of a reading."""
    targets = {target["uid"]: target for target in manifest(opened, reading)["findings"]}
    decided = decisions(reading)
    order = {f.tracking_uid: n for n, f in enumerate(undecided(reading))}
    told = {c.finding for c in reading.report.communications}
    pressing = {f.tracking_uid for f in urgent(reading)} - told
    cards = [
        _card(f, reading, opened, decided.get(f.tracking_uid or "", ""), f.tracking_uid in targets)
        for f in ordered(reading.findings)
        if f.presence in MARKED
    ]
    absent = [
        _card(f, reading, opened, decided.get(f.tracking_uid or "", ""), False)
        for f in reading.findings
        if f.presence is Presence.ABSENT
    ]
    held = {f.tracking_uid for f in reading.findings}
    gone = {
        e.finding: Gone(e.finding, e.before or "", e.by, e.reason or "")
        for e in reading.edits
        if e.action == "reject" and e.finding is not None and e.finding not in held
    }
    return Panel(
        reading=reading,
        cards=tuple(cards),
        absent=tuple(absent),
        gone=tuple(gone.values()),
        unread=tuple(Unread(_series(r.series_uid, opened), r) for r in reading.refusals),
        bars=tuple(_bar(score) for score in reading.scores),
        left=len(order),
        urgent=tuple(card for card in cards if card.uid in pressing),
        closed=closed(reading),
    )


def _series(uid: str, opened: Opened) -> str:
    key = opened.key_of(uid)
    return label(opened.shown[key]) if key is not None else ""


def moment(when: datetime | str) -> str:
    """A time on this machine's clock, with its zone: a reader compares it with the wall."""
    local = (datetime.fromisoformat(when) if isinstance(when, str) else when).astimezone()
    return f"{local:%Y-%m-%d %H:%M} {local.tzname()}"


def change(found: Change | None) -> str:
    """Change against the prior, with its date: "larger since 2016-11-16"."""
    if found is None:
        return ""
    link = "with" if found.kind is ChangeKind.NOT_COMPARABLE else "since"
    return f"{found.kind.value} {link} {found.since}" if found.since else found.kind.value


def _score(finding: Finding, reading: Reading) -> Score | None:
    same = [s for s in reading.scores if s.observation.key == finding.observation.key]
    return same[0] if same else None


def _card(finding: Finding, reading: Reading, opened: Opened, decision: str, shown: bool) -> Card:
    score = _score(finding, reading)
    human = finding.source == "radiologist"
    # A number is shown only where the reading itself may show it (its own domain).
    number = finding.probability if score is not None and score.probability is not None else None
    level = finding.certainty.value if finding.certainty else finding.presence.value
    where = [finding.laterality.value if finding.laterality else ""]
    where += [
        finding.site.meaning if finding.site else "",
        finding.severity.value if finding.severity else "",
    ]
    return Card(
        uid=finding.tracking_uid or "",
        name=finding.observation.meaning,
        where=" · ".join(word for word in where if word),
        size=size(finding),
        level=level,
        probability="" if human else percent(number),
        note="" if human or score is None else score.note or "",
        evidence=evidence(finding, opened),
        change=change(finding.change),
        source=finding.source or "",
        decision=WORDS.get(decision, ""),
        category=CATEGORY.get(finding.actionable or 0, ""),
        urgent=finding.actionable in (1, 2),
        shown=shown,
        finding=finding,
    )


def percent(probability: float | None) -> str:
    """A probability in whole percent, never a certainty; empty where there is none to show."""
    if probability is None:
        return ""
    return "> 99 %" if probability > 0.99 else "< 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def size(finding: Finding) -> str:
    """The first measurement as text."""
    for measurement in finding.measurements:
        values = " × ".join(f"{value:.3g}" for value in measurement.values)
        if measurement.unit == "1":
            return f"{measurement.quantity} {values}"
        unit = {"{pixel}": "pixels"}.get(measurement.unit, measurement.unit)
        return f"{values} {unit}"
    return ""


def diameter(finding: Finding) -> str:
    """Diameters in mm as the edit form takes them, "12 x 9"; empty where there are none."""
    for measurement in finding.measurements:
        if measurement.quantity == "diameter" and measurement.unit == "mm":
            return " x ".join(f"{value:g}" for value in measurement.values)
    return ""


def evidence(finding: Finding, opened: Opened) -> str:
    """What a finding rests on, in words."""
    proof = finding.evidence
    key = opened.key_of(proof.series_uid) if proof else None
    if proof is None or key is None:
        return "no place stated"
    series = opened.shown[key].series
    parts = [series.acquisition.sequence or series.description or series.modality]
    if proof.slices_index and len(series.shape) == 3:
        parts.append(f"slice {proof.slices_index[0] + 1} of {series.shape[0]}")
    if proof.mask:
        parts.append("outlined")
    elif proof.box_mm or proof.box_index:
        parts.append("boxed")
    return " · ".join(parts)


def _bar(score: Score) -> Bar:
    number = score.probability
    return Bar(
        name=score.observation.meaning,
        level=score.level,
        percent=percent(number),
        note=score.note or "",
    )
