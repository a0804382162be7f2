"""The words around a phantom: why it was requested, notes, laboratory values, the reference report.

Context leans only weakly on what is there (a symptom is at most twice as likely with its finding
as without) and never names it, so that a model cannot read the answer from the request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from sagittal.phantom.truth import CaseKind
from sagittal.report.finding import Finding, Presence
from sagittal.report.render import render
from sagittal.report.report import SECTIONS, Report, Section, Sentence
from sagittal.report.vocabulary import concept
from sagittal.study.context import Context, Lab
from sagittal.study.study import Series

MAX_LIFT = 2.0
"""Largest factor by which a finding raises the odds of a symptom."""


@dataclass(frozen=True)
class _Reason:
    """A request text, how common it is, the labels that double it, and the ages it suits."""

    text: str
    weight: float
    lifted_by: tuple[str, ...] = ()
    ages: tuple[float, float] = (0.0, 120.0)


_CHEST = (
    _Reason("Cough for two weeks.", 3, ("consolidation", "nodule")),
    _Reason("Fever and cough.", 3, ("consolidation", "pleural_effusion")),
    _Reason("Shortness of breath.", 3, ("pleural_effusion", "cardiomegaly", "pneumothorax", "emphysema")),
    _Reason("Chest pain.", 2.5, ("pneumothorax", "rib_fracture", "pleural_effusion")),
    _Reason("Fall from standing height, tender chest wall.", 1.5, ("rib_fracture", "pneumothorax")),
    _Reason("Road traffic collision, pain on breathing.", 1, ("rib_fracture", "pneumothorax")),
    _Reason("Pre-operative assessment.", 2, (), (16, 120)),
    _Reason("Weight loss over three months.", 1.5, ("mass", "nodule"), (30, 120)),
    _Reason("Blood in the sputum.", 1, ("mass", "consolidation"), (25, 120)),
    _Reason("Swollen ankles.", 1, ("cardiomegaly", "pleural_effusion"), (30, 120)),
    _Reason("Long-term smoker, less able to climb stairs.", 1.5, ("emphysema", "mass"), (35, 120)),
    _Reason("Check before starting immunosuppression.", 1, (), (16, 120)),
    _Reason("Occupational health check.", 1, (), (18, 67)),
    _Reason("Wheeze and poor feeding.", 2, ("consolidation",), (0, 4)),
)
_BRAIN = (
    _Reason("Headache for several weeks.", 3, ("intra_axial_mass", "mass_effect", "vasogenic_oedema")),
    _Reason("First seizure.", 2, ("intra_axial_mass", "vasogenic_oedema")),
    _Reason("Sudden weakness of one arm.", 1.5, ("acute_infarct", "restricted_diffusion"), (25, 120)),
    _Reason("Slurred speech since this morning.", 1.5, ("acute_infarct",), (25, 120)),
    _Reason("Memory complaints.", 2, ("cerebral_atrophy", "white_matter_hyperintensity"), (45, 120)),
    _Reason("Dizziness.", 2.5, ("white_matter_hyperintensity",)),
    _Reason("Fever and confusion.", 1, ("contrast_enhancement", "restricted_diffusion")),
    _Reason("Unsteady gait.", 1.5, ("cerebral_atrophy", "white_matter_hyperintensity"), (30, 120)),
    _Reason("Known cancer elsewhere, staging.", 1.5, ("contrast_enhancement",), (25, 120)),
    _Reason("Migraine with aura.", 2, (), (8, 70)),
    _Reason("Hearing loss on one side.", 1, (), (8, 120)),
    _Reason("Developmental delay.", 1, (), (0, 10)),
)
_NOTES = {
    "chest": (
        "Smoker, 20 pack-years.",
        "Never smoked.",
        "High blood pressure, treated.",
        "Asthma in childhood.",
        "Type 2 diabetes.",
        "No relevant history.",
        "Previous imaging elsewhere, not available.",
    ),
    "brain": (
        "High blood pressure, treated.",
        "No focal deficit on examination.",
        "Left-handed.",
        "Type 2 diabetes.",
        "No relevant history.",
        "Previous imaging elsewhere, not available.",
    ),
}


@dataclass(frozen=True)
class _Assay:
    """A laboratory test: log-normal around ``median``, times ``lift`` when a label is there."""

    name: str
    unit: str
    median: float
    spread: float
    low: float | None
    high: float | None
    digits: int
    lift: float = 1.0
    lifted_by: tuple[str, ...] = ()


# Adult reference ranges as laboratories commonly print them; a phantom's laboratory is its own.
_ASSAYS = (
    _Assay("C-reactive protein", "mg/L", 6, 1.2, None, 5, 1, 1.8, ("consolidation", "contrast_enhancement")),
    _Assay("Leucocytes", "10*9/L", 7.5, 0.3, 4.0, 10.0, 1, 1.15, ("consolidation",)),
    _Assay("Haemoglobin", "g/dL", 13.4, 0.12, 12.0, 17.0, 1),
    _Assay("NT-proBNP", "pg/mL", 130, 1.0, None, 125, 0, 1.7, ("cardiomegaly", "pleural_effusion")),
    _Assay("Creatinine", "umol/L", 78, 0.28, 45, 104, 0),
    _Assay("Sodium", "mmol/L", 139, 0.02, 135, 145, 0),
)


def draw_context(
    rng: np.random.Generator, kind: CaseKind, labels: Mapping[str, int], age_years: float, day: date
) -> Context:
    """Request, notes and laboratory values that fit the patient and hint at most weakly."""
    chest = kind != "brain-mr"
    reasons = [r for r in (_CHEST if chest else _BRAIN) if r.ages[0] <= age_years <= r.ages[1]]
    weights = np.array(
        [r.weight * (MAX_LIFT if any(labels.get(key) for key in r.lifted_by) else 1.0) for r in reasons]
    )
    indication = reasons[rng.choice(len(reasons), p=weights / weights.sum())].text
    pool = _NOTES["chest" if chest else "brain"]
    if age_years < 16:
        pool = tuple(n for n in pool if n in ("No relevant history.", "Asthma in childhood."))
    notes = tuple(pool[i] for i in sorted(rng.choice(len(pool), size=int(rng.integers(0, 2)), replace=False)))
    labs = []
    for assay in _ASSAYS:
        taken, value = rng.random() < 0.45, assay.median * float(np.exp(assay.spread * rng.normal()))
        if any(labels.get(key) for key in assay.lifted_by):
            value *= assay.lift
        if taken and age_years >= 16:
            labs.append(Lab(assay.name, round(value, assay.digits), assay.unit, assay.low, assay.high, day))
    return Context(indication=indication, notes=notes, labs=tuple(labs))


def draw_report(
    findings: Sequence[Finding],
    labels: Mapping[str, int],
    context: Context,
    series: Sequence[Series],
    prior: date | None,
) -> Report:
    """The report of a radiologist who knows the truth: every finding, and what is not there.

    Args:
        labels: those that are 0 are stated to be absent.
        prior: date of the study it is compared with.
    """
    told = [_as_told(finding) for finding in findings]
    named = {finding.observation.key for finding in findings}
    absent = [
        Finding(concept(key), presence=Presence.ABSENT)
        for key, value in labels.items()
        if not value and key not in named
    ]
    brief = [replace(f, measurements=(), attributes=(), change=None) for f in told if _stays(f)]
    compared = f"Study of {prior.isoformat()}." if prior else "None available."
    filled = {
        "indication": (Sentence(context.indication),),
        "technique": (Sentence(_technique(series)),),
        "comparison": (Sentence(compared),),
        "findings": (*render(told), *render(absent)),
        "impression": render(brief) or (Sentence("Nothing abnormal among what was looked for."),),
    }
    return Report(tuple(Section(name, filled.get(name, ())) for name in SECTIONS))


def _stays(finding: Finding) -> bool:
    return finding.presence is Presence.PRESENT


def _as_told(finding: Finding) -> Finding:
    """Without what only a phantom knows: the method "truth", the criterion, the mask's volume."""
    first = finding.measurements[:1]
    told = tuple(replace(m, method=None, plane=None, spacing_source=None) for m in first)
    change = finding.change
    if change is not None:
        old = replace(change.prior, method=None, plane=None, spacing_source=None) if change.prior else None
        change = replace(change, criterion=None, prior=old)
    return replace(finding, measurements=told, change=change, evidence=None)


def _technique(series: Sequence[Series]) -> str:
    first = series[0]
    if first.modality == "MR":
        names = [s.acquisition.sequence for s in series if s.acquisition.sequence]
        return f"MR of the brain: {', '.join(names)}."
    if first.modality == "CT":
        return f"CT of the chest, slices of {first.acquisition.slice_thickness_mm:g} mm, no contrast agent."
    return f"{first.view} chest radiograph, {(first.position or 'position not stated').lower()}."
