"""Findings to an impression, by rule: what the grammar says where nobody words it better.

For findings that were read from a radiologist's text. A model's own findings go through
`sagittal.report.draft`, whose impression also says that silence excludes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sagittal.report.draft import IMPRESSIONS, ordered
from sagittal.report.finding import ChangeKind, Finding, Kind, Presence, Temporality
from sagittal.report.render import render
from sagittal.report.report import Sentence
from sagittal.report.stated import stated
from sagittal.report.vocabulary import observation

BY_THE_WAY = frozenset(
    {
        "arterial_wall_calcification",
        "calcification",
        "disc_degeneration",
        "endplate_change",
        "flattened_diaphragm",
        "foreign_body",
        "granuloma",
        "healed_fracture",
        "kyphosis",
        "osteoarthritis",
        "osteopenia",
        "osteophyte",
        "other_medical_material",
        "scoliosis",
        "spinal_hardware",
        "spondylosis",
        "sternal_wires",
        "surgical_clips",
        "tortuous_aorta",
    }
)
"""Old or expected things that radiologists leave in the findings: of those described at least ten times
in the 2,735 training reports of clin-summ's Open-i part, the ones that under a tenth of the impressions
repeat (`benchmarks/impressions.py --carried`)."""

ACUTE = frozenset(
    {
        "cavity",
        "consolidation",
        "ground_glass_opacity",
        "heart_failure",
        "mass",
        "opacity",
        "pleural_effusion",
        "pneumomediastinum",
        "pneumonia",
        "pneumoperitoneum",
        "pneumothorax",
        "pulmonary_embolism",
        "pulmonary_oedema",
        "rib_fracture",
        "tuberculosis",
    }
)
"""What "no acute abnormality" of a chest denies."""
URGENT = 2
"""ACR categories that no limit cuts off: minutes and hours."""
NOTHING_ACUTE = Sentence("No acute cardiopulmonary abnormality.")


def impression(findings: Sequence[Finding], *, language: str = "en") -> tuple[Sentence, ...]:
    """What a reader needs to know: what is urgent, inferences, what is there or may be, in this order and
    most important first.

    At most `draft.IMPRESSIONS` findings unless more are urgent, each thing and side once; nothing absent,
    past or asked for. What is found `BY_THE_WAY` is left out beside anything else.
    """
    told = [f for f in ordered([_graded(f) for f in findings]) if _tells(f)]
    inferred = [f for f in told if observation(f.observation.key).kind is Kind.INFERENCE]
    lines = [*inferred, *(f for f in told if f not in inferred)]
    lines.sort(key=lambda f: (f.actionable or 9) > URGENT)
    once = {(f.observation.key, f.laterality): f for f in reversed(lines)}
    lines = [f for f in lines if once[f.observation.key, f.laterality] is f]
    matters = [f for f in lines if f.observation.key not in BY_THE_WAY]
    urgent = sum((f.actionable or 9) <= URGENT for f in matters)
    return render((matters or lines)[: max(IMPRESSIONS, urgent)], language=language)


def _graded(finding: Finding) -> Finding:
    """The finding with the vocabulary's ACR category, which no text carries."""
    category = observation(finding.observation.key).actionable if _tells(finding) else None
    return finding if finding.actionable else replace(finding, actionable=category)


def conclusion(findings: Sequence[Finding]) -> tuple[Sentence, ...]:
    """The impression of a radiologist's English findings on a chest, with "no acute abnormality" where
    something acute was looked for and nothing is there or suspected.

    Not for a model's findings: theirs is no judgement of everything that could be acute.
    """
    there = {f.observation.key for f in findings if _tells(f)}
    denied = {f.observation.key for f in findings if stated(f).presence is Presence.ABSENT}
    if there & ACUTE or not denied & ACUTE:
        return impression(findings)
    mattering = [f for f in findings if f.observation.key not in BY_THE_WAY]
    return (*impression(mattering), NOTHING_ACUTE)


def _tells(finding: Finding) -> bool:
    said = stated(finding)
    resolved = said.change is not None and said.change.kind is ChangeKind.RESOLVED
    there = said.presence in (Presence.PRESENT, Presence.UNCERTAIN) or resolved
    return there and said.temporality is Temporality.CURRENT
