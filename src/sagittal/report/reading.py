"""A reading ties study, models, findings, report, provenance and the radiologist's edits together."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from sagittal.report.code import Concept
from sagittal.report.finding import Certainty, Finding
from sagittal.report.report import Report


class Status(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in review"
    SIGNED = "signed"
    AMENDED = "amended"
    REFUSED = "refused"


@dataclass(frozen=True)
class ModelUse:
    """A model that took part, pinned by the digest of its weights (sha256 hex)."""

    name: str
    version: str
    digest: str
    licence: str = ""


@dataclass(frozen=True)
class Refusal:
    """A model that would not read a series, and why.

    Args:
        distance, threshold: feature-space distance and the gate's threshold, where the gate refused.
    """

    model: str
    series_uid: str
    reason: str
    distance: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Score:
    """One observation's score.

    Args:
        probability: calibrated on ``domain``; None where it must not be shown as a number.
        level: "present", "absent", one of the certainty words, or "not assessed", by the card's
            thresholds.
        note: e.g. "not calibrated on this kind of image".
    """

    observation: Concept
    level: str
    probability: float | None = None
    domain: str | None = None
    series_uid: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class SeriesSummary:
    uid: str
    modality: str
    description: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    orientation: str
    unit: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudySummary:
    """What the reading says of its study; enough to find it again, no voxels."""

    uid: str
    patient_id: str
    date: date | None = None
    sex: str | None = None
    age_years: float | None = None
    description: str = ""
    synthetic: bool = False
    series: tuple[SeriesSummary, ...] = ()
    priors: tuple[str, ...] = ()
    stated: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class MaskSummary:
    """A mask beside the reading: its name (SEG segment label), series, and size."""

    name: str
    series_uid: str
    observation: Concept | None = None
    volume_ml: float | None = None
    model: str | None = None


@dataclass(frozen=True)
class Edit:
    """A person's decision on a finding or sentence: accept, edit, reject, add, sign, amend."""

    action: str
    by: str
    when: datetime
    finding: str | None = None
    before: str | None = None
    after: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Rewording:
    """A language model worded a section; the findings kept it to the facts.

    Args:
        task: "polish", "translate", "simplify" or "summarise"; section: of the report.
        removed: "statement: reason" of what no finding supported.
        restored: sentences it left out or got wrong, put back in the grammar's words.
        notes: why its answer was not used, or what was wrong with it.
    """

    task: str
    section: str
    language: str
    writer: ModelUse
    removed: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """How the reading was made. ``energy_source``: "measured" or "estimated" and from what."""

    created: datetime
    seed: int
    versions: dict[str, str] = field(default_factory=dict)
    prompts: tuple[str, ...] = ()
    rewordings: tuple[Rewording, ...] = ()
    seconds: float = 0.0
    peak_memory_mb: float | None = None
    energy_wh: float | None = None
    energy_source: str | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Reading:
    """The main result. Versions are appended, never overwritten."""

    uid: str
    status: Status
    study: StudySummary
    models: tuple[ModelUse, ...]
    scores: tuple[Score, ...]
    findings: tuple[Finding, ...]
    refusals: tuple[Refusal, ...]
    report: Report
    provenance: Provenance
    masks: tuple[MaskSummary, ...] = ()
    edits: tuple[Edit, ...] = ()
    version: int = 1
    supersedes: str | None = None
    signed_by: str | None = None
    signed_at: datetime | None = None

    def finding(self, tracking_uid: str) -> Finding:
        """The finding a sentence points to; raises KeyError when there is none."""
        for finding in self.findings:
            if finding.tracking_uid == tracking_uid:
                return finding
        raise KeyError(tracking_uid)


CERTAINTY_BANDS: tuple[tuple[float, Certainty], ...] = (
    (0.90, Certainty.CONSISTENT_WITH),
    (0.625, Certainty.PROBABLE),
    (0.375, Certainty.POSSIBLE),
    (0.10, Certainty.LESS_LIKELY),
    (0.0, Certainty.UNLIKELY),
)
"""Lower edge of each certainty word; midpoints between the scale's 75, 50 and 25 %."""


def certainty(probability: float) -> Certainty:
    """The house's word for a probability in [0, 1]."""
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"probability must be in [0, 1], got {probability}")
    return next(word for edge, word in CERTAINTY_BANDS if probability >= edge)
