"""The main job: a study in, a drafted reading out.

Every model that may read unasked is offered every series that could be its input. What it may not
read is refused by name, what it read is judged by its card, and the report says both.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sagittal.errors import MissingExtra, Refused
from sagittal.meter import metered
from sagittal.report.code import Concept
from sagittal.report.compare import compare
from sagittal.report.draft import draft
from sagittal.report.finding import Finding
from sagittal.report.phrasebook import say
from sagittal.report.reading import (
    MaskSummary,
    ModelUse,
    Provenance,
    Reading,
    Refusal,
    Score,
    Status,
)
from sagittal.report.report import Report, Sentence
from sagittal.report.vocabulary import concept
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.study import Series, Study
from sagittal.study.summary import summarise
from sagittal.study.uid import derived_uid
from sagittal.study.volume import Volume
from sagittal.tasks.anatomy import plausible_lungs
from sagittal.tasks.findings import interpret
from sagittal.version import __version__
from sagittal.zoo.capability import Inference, Infers, Loaded, Segments
from sagittal.zoo.card import BranchCard
from sagittal.zoo.load import DEFAULT, cached
from sagittal.zoo.ours import inputs

HELPERS = ("deepbet",)
"""Models with one narrow job that read beside the chosen one, where they are installed."""


UNKNOWN_MODALITY = "OT"
"""What pictures and NIfTI have until the user states more."""


@dataclass(frozen=True, eq=False)
class Read:
    """A reading with the masks that travel beside it, each on the grid of its own series."""

    reading: Reading
    masks: dict[str, Volume]
    study: Study

    def write(self, out: Path) -> list[Path]:
        """Write reading.json, report.txt, report.html, seg.dcm and sr.dcm; all of them or none."""
        from sagittal.tasks.export import write_reading

        return write_reading(self.study, self.reading, {n: v.voxels for n, v in self.masks.items()}, out)


@dataclass
class _Found:
    """What the models have said so far."""

    scores: list[Score]
    findings: list[Finding]
    unread: list[Score]
    refusals: list[Refusal]
    masks: dict[str, Volume]
    summaries: list[MaskSummary]
    measured: list[Sentence]
    models: dict[str, ModelUse]


def read(
    study: Study,
    *,
    model: str = DEFAULT,
    prior: Study | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> Read:
    """Read a study: scores, findings with evidence, masks, a drafted report, provenance.

    Args:
        model: name or folder; ``HELPERS`` read beside it where they are installed.
        prior: an earlier study of the patient; the latest of ``study.priors`` where not given.
        seed: recorded; reading is deterministic.

    Raises:
        BadInput: no such model, or nothing in the study can be decoded.
    """
    if prior is not None:
        study = replace(study, priors=(prior, *study.priors))
    with metered() as meter:
        found = _look(study, model, device)
        findings, dates, not_compared = _compared(study, found.findings, model, device)
    summary = summarise(study)
    scores = (*found.scores, *found.unread)
    nothing = not found.scores and not found.masks
    report = draft(
        summary,
        findings,
        indication=study.context.indication,
        prior_dates=dates,
        not_compared=not_compared,
        scores=scores,
        refusals=found.refusals,
        measured=found.measured,
    )
    usage = meter.usage
    created = datetime.now(UTC).replace(microsecond=0)
    reading = Reading(
        uid=derived_uid("reading", study.uid, *sorted(m.digest for m in found.models.values()), str(seed)),
        status=Status.REFUSED if nothing else Status.DRAFT,
        study=summary,
        models=tuple(found.models.values()),
        scores=scores,
        findings=tuple(findings),
        refusals=tuple(found.refusals),
        report=report,
        provenance=Provenance(
            created,
            seed,
            versions=versions(),
            seconds=round(usage.seconds, 3),
            peak_memory_mb=round(usage.peak_memory_mb, 1),
            energy_wh=round(usage.energy_wh, 5),
            energy_source=usage.energy_source,
            device=device,
        ),
        masks=tuple(found.summaries),
    )
    return Read(reading, found.masks, study)


def _compared(
    study: Study, findings: list[Finding], model: str, device: str
) -> tuple[list[Finding], list[date | None], list[str]]:
    """The findings with their change since the latest prior, the dates compared with, and why a prior
    that is there was not compared."""
    if not study.priors:
        return findings, [], []
    earlier = max(study.priors, key=lambda p: str(p.date or ""))

    def not_compared(reason: str) -> tuple[list[Finding], list[date | None], list[str]]:
        if earlier.date is None:
            return findings, [], [say("not_compared_undated", reason=reason)]
        return findings, [], [say("not_compared", date=earlier.date, reason=reason)]

    if not findings:
        return not_compared(say("no_finding_here"))
    before = _look(earlier, model, device)
    if not before.scores:
        reasons = "; ".join(dict.fromkeys(refusal.reason for refusal in before.refusals))
        return not_compared(reasons or say("nothing_readable"))
    changed = compare(before.findings, findings, prior_date=earlier.date, current_date=study.date)
    return list(changed), [earlier.date], []


def redraft(study: Study, reading: Reading) -> Report:
    """The report drawn up again from a reading's present findings, after a person changed them."""
    nothing = say("nothing")
    keep = [s for s in reading.report.section("findings").sentences if not s.findings and s.text != nothing]
    compared = reading.report.section("comparison").sentences
    fresh = draft(
        reading.study,
        reading.findings,
        indication=study.context.indication,
        scores=reading.scores,
        refusals=reading.refusals,
        measured=keep,
    )
    sections = tuple(
        replace(section, sentences=compared) if section.name == "comparison" and compared else section
        for section in fresh.sections
    )
    return replace(fresh, sections=sections, communications=reading.report.communications)


def versions() -> dict[str, str]:
    """Versions of what computed the reading."""
    import torch

    return {
        "sagittal": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
    }


def _look(study: Study, model: str, device: str) -> _Found:
    found = _Found([], [], [], [], {}, [], [], {})
    taken: set[str] = set()
    helped: set[str] = set()
    chosen = cached(model, device)
    loaded = [chosen, *(helper for name in HELPERS if (helper := _helper(name, device)) is not None)]
    for one in loaded:
        for branch, card in one.card.branches.items():
            if one is chosen and not card.labels:
                # A branch that only draws is asked for by name (`segment --task`).
                continue
            for group in inputs(study, card.input):
                if _use(one, branch, card, study, group, found):
                    (taken if one is chosen else helped).update(series.uid for series in group)
    refused = {r.series_uid for r in found.refusals}
    for series in study.series:
        if series.uid not in taken | refused:
            reason = _why_not(series, study, chosen, helped=series.uid in helped)
            found.refusals.append(Refusal(chosen.card.name, series.uid, reason))
    return found


def _why_not(series: Series, study: Study, model: Loaded, *, helped: bool) -> str:
    """Why no branch was even offered this series; ``helped``: a helper measured something on it."""
    if not series.readable:
        return "; ".join(series.problems)
    if series.modality == UNKNOWN_MODALITY:
        return "the file does not say its modality; state it with --assume modality=...,body_part=..."
    for name, card in model.card.branches.items():
        wanted = card.input.sequence
        if card.labels and wanted and series.modality in card.input.modality:
            there = {s.acquisition.sequence for s in study.series if s.readable}
            missing = [sequence for sequence in wanted if sequence not in there]
            if missing:
                return f"{name} reads {', '.join(wanted)} together; this study has no {', '.join(missing)}"
    return f"no model here {'looks for findings on' if helped else 'reads'} this kind of series"


def _helper(name: str, device: str) -> Loaded | None:
    try:
        return cached(name, device)
    except MissingExtra:
        return None


def _use(
    one: Loaded, branch: str, card: BranchCard, study: Study, group: Sequence[Series], found: _Found
) -> bool:
    """Let one branch read one input; True where it contributed something."""
    first = group[0]
    try:
        if card.labels and isinstance(one, Infers):
            inference = one.infer(study, group, branch=branch)
        elif isinstance(one, Segments):
            drawn = one.segment(study, group, branch=branch).masks
            _note(one, found)
            return bool(_keep_anatomy(one, first, drawn, found))
        else:
            return False
    except Refused as refusal:
        found.refusals.append(Refusal(one.card.name, first.uid, str(refusal)))
        return False
    _note(one, found)
    shown = _keep_anatomy(one, first, inference.masks.masks, found)
    distance = inference.scores.distance
    if distance is not None and not distance.ok:
        found.refusals.append(
            Refusal(
                one.card.name,
                first.uid,
                say("unlike"),
                round(distance.distance, 3),
                round(distance.threshold, 3),
            )
        )
        labels = [concept(label.observation) for label in card.labels]
        found.unread += [Score(label, "not assessed", series_uid=first.uid) for label in labels]
        return bool(shown)
    _keep_findings(one, card, study, first, inference, shown, found)
    return True


def _note(one: Loaded, found: _Found) -> None:
    card = one.card
    found.models[card.name] = ModelUse(card.name, card.version, card.digest, card.licence)


def _keep_findings(
    one: Loaded,
    card: BranchCard,
    study: Study,
    first: Series,
    inference: Inference,
    names: dict[str, str],
    found: _Found,
) -> None:
    """``names``: mask names of the model -> of the reading, for the anatomy already kept."""
    said = interpret(
        study,
        first,
        inference,
        card,
        model=one.card.name,
        required_sensitivity=one.card.required_sensitivity,
    )
    found.scores += said.scores
    kept = {n: _keep_mask(one, first, n, m, said.concepts.get(n), found) for n, m in said.masks.items()}
    names = names | {name: summary.name for name, summary in kept.items()}
    found.findings += [_resting_on(finding, names) for finding in said.findings]


def _resting_on(finding: Finding, names: Mapping[str, str]) -> Finding:
    """The finding with its mask under the name the reading keeps it by; none where it was not kept."""
    if finding.evidence is None or finding.evidence.mask is None:
        return finding
    return replace(finding, evidence=replace(finding.evidence, mask=names.get(finding.evidence.mask)))


def _keep_anatomy(one: Loaded, series: Series, drawn: Mapping[str, Volume], found: _Found) -> dict[str, str]:
    """Keep masks of anatomy where they look like anatomy, and say a brain's volume.

    Returns:
        The model's names of what was kept -> the names in the reading.
    """
    kept = plausible_lungs(drawn) | {n: m for n, m in drawn.items() if n == "brain" and m.voxels.any()}
    if "lung_right" in kept and "heart" in drawn and drawn["heart"].voxels.any():
        kept["heart"] = drawn["heart"]
    names = {}
    for name, mask in kept.items():
        summary = _keep_mask(one, series, name, mask, None, found)
        names[name] = summary.name
        if name == "brain" and summary.volume_ml is not None:
            where = series.description or series.uid
            volume = f"{summary.volume_ml:.0f}"
            text = say("brain_volume", volume=volume, series=where, model=one.card.name)
            found.measured.append(Sentence(text))
    if "lung_right" in kept and isinstance(series.geometry, Plane):
        unoriented = series.geometry.right_is_image_left is None
        key = "lungs_outlined_hung" if unoriented else "lungs_outlined"
        found.measured.append(Sentence(say(key, model=one.card.name)))
    return names


def _keep_mask(
    one: Loaded, series: Series, name: str, mask: Volume, of: Concept | None, found: _Found
) -> MaskSummary:
    # Two T1 series each have a brain; the second mask gets a number.
    unique, number = name, 2
    while unique in found.masks:
        unique, number = f"{name}-{number}", number + 1
    ml = None
    if isinstance(mask.geometry, Geometry):
        ml = round(mask.inside_ml, 2)
    found.masks[unique] = mask
    found.summaries.append(MaskSummary(unique, series.uid, of, ml, one.card.name))
    return found.summaries[-1]


def write(study: Study, reading: Reading, masks: Mapping[str, NDArray[np.bool_]], out: Path) -> list[Path]:
    """The files of a reading, whoever last changed it; see `Read.write`."""
    from sagittal.tasks.export import write_reading

    return write_reading(study, reading, masks, out)
