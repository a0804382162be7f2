"""From one model's inference on one series to findings, each with its evidence and measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sagittal.report.code import Concept
from sagittal.report.finding import Certainty, Evidence, Finding, Laterality, Measurement, Presence
from sagittal.report.reading import Score
from sagittal.report.vocabulary import observation, site
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.study import Series, Study
from sagittal.study.uid import derived_uid
from sagittal.study.volume import Volume
from sagittal.tasks.anatomy import plausible_lungs
from sagittal.tasks.localise import Lesion, diameter, lesions, side, volume
from sagittal.zoo.calibrator import domain_of, judge
from sagittal.zoo.capability import Inference
from sagittal.zoo.card import BranchCard

NOT_IN_VIEW = "absence not claimed: the lungs were not found whole on the image"
SMALLEST_MM = 4.0
"""Pieces of a mask below this equivalent diameter are not lesions of their own."""
SIZED = ("nodule", "mass", "intra_axial_mass", "acute_infarct", "white_matter_hyperintensity")
"""Observations whose pieces are separate lesions, each with a diameter."""
CARDIOTHORACIC_LIMIT = 0.5
"""Danzer 1919; only on an adult erect PA film."""
ADULT_YEARS = 18.0


@dataclass(frozen=True, eq=False)
class Interpreted:
    """What one inference led to."""

    scores: tuple[Score, ...]
    findings: tuple[Finding, ...]
    masks: dict[str, Volume]
    concepts: dict[str, Concept]


def interpret(
    study: Study,
    series: Series,
    inference: Inference,
    card: BranchCard,
    *,
    model: str,
    required_sensitivity: float,
) -> Interpreted:
    """Judge every score by the card, and turn what may be said into findings.

    Present -> the pieces of the label's own mask, or one finding for the study where it has none;
    probable or possible -> uncertain; absent -> absent; anything else stays a score.
    """
    domain = domain_of(study, inference.scores.branch)
    drawn = inference.masks.masks
    whole = in_view(drawn)
    scores, findings, masks = [], [], {}
    concepts: dict[str, Concept] = {}
    for label in card.labels:
        entry = observation(label.observation)
        p = inference.scores.calibrated[label.observation]
        said = judge(label, p, domain, required_sensitivity=required_sensitivity)
        if said.level == "absent" and not whole:
            said = replace(said, level="not assessed", note=NOT_IN_VIEW)
        scores.append(
            Score(entry.concept, said.level, said.probability, label.calibrated_on, series.uid, said.note)
        )
        presence, certainty = _presence(said.level)
        if presence is None:
            continue
        base = Finding(
            entry.concept,
            entry.kind,
            presence,
            certainty,
            said.probability,
            domain if said.probability is not None else None,
            source=f"model {model}",
            evidence=Evidence(series_uid=series.uid),
        )
        if presence is Presence.ABSENT:
            findings.append(_tracked(base, study, series, 0))
            continue
        placed = _placed(base, study, series, drawn)
        for number, (finding, lesion) in enumerate(placed, 1):
            name = f"{entry.key}-{number}"
            if lesion is not None and finding.evidence is not None:
                masks[name], concepts[name] = lesion.mask, entry.concept
                finding = replace(finding, evidence=replace(finding.evidence, mask=name))
            findings.append(_tracked(finding, study, series, number))
    return Interpreted(tuple(scores), tuple(findings), masks, concepts)


def _presence(level: str) -> tuple[Presence | None, Certainty | None]:
    if level == "present":
        return Presence.PRESENT, None
    if level == "absent":
        return Presence.ABSENT, None
    if level in (Certainty.CONSISTENT_WITH, Certainty.PROBABLE, Certainty.POSSIBLE):
        return Presence.UNCERTAIN, Certainty(level)
    return None, None


def _tracked(finding: Finding, study: Study, series: Series, number: int) -> Finding:
    """With its UID: two films of one study each have their own findings."""
    entry = observation(finding.observation.key)
    uid = derived_uid("finding", study.uid, series.uid, entry.key, str(number))
    actionable = entry.actionable if finding.presence is Presence.PRESENT else None
    return replace(finding, tracking_uid=uid, actionable=actionable)


def in_view(drawn: Mapping[str, Volume]) -> bool:
    """Whether the region that absence would be claimed of is on the image: both lungs, where the model
    draws lungs, in a possible shape and place."""
    return not {"lung_right", "lung_left"} <= set(drawn) or bool(plausible_lungs(drawn))


def _placed(
    base: Finding, study: Study, series: Series, drawn: Mapping[str, Volume]
) -> list[tuple[Finding, Lesion | None]]:
    key = base.observation.key
    if key == "cardiomegaly":
        return [(_heart(base, study, series, drawn), None)]
    mask = drawn.get(key)
    pieces = lesions(mask, smallest_mm=SMALLEST_MM, most=5) if mask is not None else []
    if not pieces:
        return [(base, None)]
    entry, middle = observation(key), middle_index(drawn)
    if key not in SIZED:
        pieces = _one_a_side(pieces, middle)
    found: list[tuple[Finding, Lesion | None]] = []
    for piece in pieces:
        lateral: Laterality | None = side(piece, middle) if entry.laterality == "sided" else None
        where = _site(key, piece, drawn)
        measurements: tuple[Measurement, ...] = ()
        if key in SIZED:
            measurements = (diameter(piece),)
        elif (ml := volume(piece)) is not None:
            measurements = (ml,)
        evidence = Evidence(
            series_uid=series.uid,
            box_mm=piece.box_mm,
            box_index=piece.box_index if isinstance(piece.mask.geometry, Plane) else None,
            slices_index=piece.slices_index[:5],
        )
        found.append(
            (
                replace(
                    base,
                    laterality=lateral,
                    site=site(where).concept if where else None,
                    measurements=measurements,
                    evidence=evidence,
                ),
                piece,
            )
        )
    return found


def _one_a_side(pieces: list[Lesion], middle: float | None) -> list[Lesion]:
    """Join what lies on one side: an effusion in three pieces is one effusion."""
    joined: dict[bool, list[Lesion]] = {}
    for piece in pieces:
        split = (piece.mask.shape[-1] - 1) / 2 if middle is None else middle
        joined.setdefault(piece.centre_index[-1] > split, []).append(piece)
    out = []
    for group in joined.values():
        together = np.any([p.mask.voxels for p in group], axis=0)
        whole = lesions(group[0].mask.like(together), most=50)
        first = whole[0]
        if len(whole) > 1:
            where = np.nonzero(together)
            low, high = [int(w.min()) for w in where], [int(w.max()) + 1 for w in where]
            first = Lesion(
                group[0].mask.like(together),
                tuple(float(w.mean()) for w in where),
                (*low, *high),
                first.slices_index,
                int(together.sum()),
            )
        out.append(first)
    return sorted(out, key=lambda p: -p.voxels)


def middle_index(drawn: Mapping[str, Volume]) -> float | None:
    """Column half-way between the lungs, or of the brain's centre; None where neither was drawn."""
    lungs = [drawn[name].voxels for name in ("lung_right", "lung_left") if name in drawn]
    if len(lungs) == 2 and all(lung.any() for lung in lungs):
        return float(np.mean([np.nonzero(lung)[-1].mean() for lung in lungs]))
    if "brain" in drawn and drawn["brain"].voxels.any():
        return float(np.nonzero(drawn["brain"].voxels)[-1].mean())
    return None


def _site(key: str, piece: Lesion, drawn: Mapping[str, Volume]) -> str | None:
    """Upper, mid or lower zone by thirds of the lungs' height; otherwise the observation's own site."""
    entry = observation(key)
    lungs = [drawn[name].voxels for name in ("lung_right", "lung_left") if name in drawn]
    zoned = key in ("nodule", "mass", "consolidation")
    if zoned and lungs and any(lung.any() for lung in lungs):
        rows = np.nonzero(np.any(lungs, axis=0))[0]
        share = (piece.centre_index[0] - rows.min()) / max(1, np.ptp(rows))
        geometry = piece.mask.geometry
        if isinstance(geometry, Geometry) and geometry.orientation[0] == "S":
            share = 1 - share
        return ("upper_zone", "mid_zone", "lower_zone")[int(np.clip(share * 3, 0, 2))]
    return entry.sites[0] if entry.sites and entry.laterality != "none" else None


def _heart(base: Finding, study: Study, series: Series, drawn: Mapping[str, Volume]) -> Finding:
    """Evidence and, on an adult erect PA film only, the cardiothoracic ratio from the masks."""
    heart = drawn.get("heart")
    evidence = base.evidence
    if heart is not None and heart.voxels.any():
        piece = lesions(heart, most=1)[0]
        evidence = Evidence(series_uid=series.uid, mask="heart", box_index=piece.box_index)
    ratio = cardiothoracic_ratio(drawn)
    adult = study.patient.age_years is not None and study.patient.age_years >= ADULT_YEARS
    measurable = series.view == "PA" and series.position == "ERECT" and adult and in_view(drawn)
    measurements: tuple[Measurement, ...] = ()
    if measurable and ratio is not None:
        measurements = (
            Measurement("ratio", (round(ratio, 2),), "1", "cardiothoracic ratio of the outlines"),
        )
    return replace(base, evidence=evidence, measurements=measurements)


def cardiothoracic_ratio(drawn: Mapping[str, Volume]) -> float | None:
    """Widest heart over widest chest, both along rows, from the masks; None where one is missing."""
    names = ("heart", "lung_right", "lung_left")
    if any(name not in drawn or not drawn[name].voxels.any() for name in names):
        return None
    heart = np.nonzero(drawn["heart"].voxels.any(0))[0]
    chest = np.nonzero((drawn["lung_right"].voxels | drawn["lung_left"].voxels).any(0))[0]
    return float((np.ptp(heart) + 1) / (np.ptp(chest) + 1))
