"""What the acquisition modules hand to the cohort, and what is known for sure about a case.

A kind's module (radiograph, CT, MR) is three functions; `sagittal.phantom.cohort` does the rest:

- ``draw_subject(rng, split) -> Subject``: anatomy, demographics and lesions of one patient. Any
  object with ``sex`` ("M" or "F") and ``age_years`` will do.
- ``evolve(subject, rng) -> tuple[Subject, dict[str, ChangeKind]]``: the same patient later; by
  lesion name: new, larger, smaller, stable, resolved (the name of a resolved lesion is that of
  the earlier subject). A lesion keeps its name, so that its tracking UID stays.
- ``acquire(subject, rng, *, split, size, scope) -> Acquired``: images, masks and findings.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, Protocol, get_args

from sagittal.report.finding import Finding
from sagittal.report.report import Report
from sagittal.study.study import Series, Study
from sagittal.study.volume import Volume

CaseKind = Literal["chest-xray", "chest-ct", "brain-mr"]
Split = Literal["train", "heldout"]
KINDS: tuple[CaseKind, ...] = get_args(CaseKind)
SPLITS: tuple[Split, ...] = get_args(Split)

LABELS: dict[CaseKind, tuple[str, ...]] = {
    "chest-xray": (
        "nodule",
        "mass",
        "pleural_effusion",
        "pneumothorax",
        "consolidation",
        "cardiomegaly",
        "rib_fracture",
    ),
    "chest-ct": ("nodule", "pleural_effusion", "consolidation", "emphysema"),
    "brain-mr": (
        "intra_axial_mass",
        "contrast_enhancement",
        "vasogenic_oedema",
        "mass_effect",
        "restricted_diffusion",
        "acute_infarct",
        "white_matter_hyperintensity",
        "cerebral_atrophy",
    ),
}
"""Label columns of each kind; every one is present in 25-40 % of studies."""


class Subject(Protocol):
    """What every kind's subject tells about the patient."""

    @property
    def sex(self) -> str: ...

    @property
    def age_years(self) -> float: ...


def uid(*parts: object) -> str:
    """A UID that depends on ``parts`` alone: 2.25.<128-bit number> (PS3.5 B.2)."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


@dataclass(frozen=True)
class Scope:
    """Names things: ``patient_key`` is the same at every date, ``study_key`` only on one."""

    patient_key: str
    study_key: str
    date: date

    def uid(self, *parts: object) -> str:
        """UID of something of this study, e.g. ``uid("series", "T1")``."""
        return uid(self.study_key, *parts)

    def tracking_uid(self, lesion: str) -> str:
        """UID of a lesion of this patient, the same at every date."""
        return uid(self.patient_key, "lesion", lesion)


@dataclass(frozen=True, eq=False)
class Acquired:
    """Images with everything that is true of them.

    Args:
        series: decoding from memory, geometry and acquisition filled in.
        masks: name -> boolean or integer volume, on the grid of the series that the finding's
            evidence names; anatomy "lung_right", "lung_left", "heart", "brain"; lesions "<key>-<n>".
        findings: source "phantom", with site, laterality, measurements, evidence, tracking UID.
        labels: every column of `LABELS` of the kind -> 0 or 1.
        contrast_to_noise: tracking UID -> |mean change inside the lesion| / standard deviation of
            the lesion-free image in a ring around it (clutter and noise).
        measurements: what is true of the anatomy, e.g. "cardiothoracic_ratio", "brain_volume_ml".
        view: PA, AP, ... for groups; empty for cross-sections.
        description: StudyDescription.
    """

    series: tuple[Series, ...]
    masks: dict[str, Volume]
    findings: tuple[Finding, ...]
    labels: dict[str, int]
    contrast_to_noise: dict[str, float]
    measurements: dict[str, float] = field(default_factory=dict)
    view: str = ""
    description: str = ""


@dataclass(frozen=True)
class Truth:
    """The content of ``truth.json``."""

    kind: CaseKind
    seed: int
    index: int
    split: Split
    study_uid: str
    date: date
    findings: tuple[Finding, ...]
    labels: dict[str, int]
    contrast_to_noise: dict[str, float]
    measurements: dict[str, float]
    demographics: dict[str, Any]
    report: Report
    timepoint: int = 0


@dataclass(frozen=True, eq=False)
class Case:
    """A study in memory with its masks and truth."""

    study: Study
    masks: dict[str, Volume]
    truth: Truth
