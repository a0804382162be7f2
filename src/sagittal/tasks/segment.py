"""Draw a named structure: `sagittal segment PATH --task T`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sagittal.errors import BadInput, Refused
from sagittal.report.code import PRIVATE_SCHEME, Concept
from sagittal.report.reading import ModelUse, Refusal
from sagittal.study.geometry import Geometry
from sagittal.study.nifti import write_nifti
from sagittal.study.open import open_study
from sagittal.study.stated import apply_assume, parse_assume
from sagittal.study.study import Series, Study
from sagittal.study.volume import Volume
from sagittal.zoo.capability import Masks, Segments
from sagittal.zoo.card import Card
from sagittal.zoo.load import load
from sagittal.zoo.ours import inputs


@dataclass(frozen=True)
class Task:
    """A structure that can be asked for by name.

    Args:
        model: who draws it by default; branches: which of its branches may, first fitting first.
        labels: value in a NIfTI label map -> mask name.
    """

    name: str
    model: str
    branches: tuple[str, ...]
    labels: dict[int, str]
    summary: str


TASKS = {
    task.name: task
    for task in (
        Task(
            "hippocampus",
            "sagittal-small",
            ("hippocampus",),
            {1: "hippocampus_anterior", 2: "hippocampus_posterior"},
            "anterior and posterior hippocampus on an MR crop around it",
        ),
        Task("brain", "deepbet", ("brain-t1",), {1: "brain"}, "the brain on T1-weighted MR"),
        Task(
            "lungs",
            "sagittal-small",
            ("chest-xray", "chest-ct"),
            {1: "lung_right", 2: "lung_left"},
            "both lungs on a frontal chest film or chest CT",
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Segmented:
    """What was drawn.

    Args:
        labels: value -> mask name; masks: mask name -> bool mask on the series' own grid.
        series: which was drawn on; model: by whom; stated: what rests on the user's word.
        refusals: series that were tried and did not fit.
        distance, threshold: the gate's, where the model has one.
    """

    task: str
    study: Study
    series: Series
    labels: dict[int, str]
    masks: dict[str, Volume]
    model: ModelUse
    stated: tuple[str, ...]
    refusals: tuple[Refusal, ...] = ()
    distance: float | None = None
    threshold: float | None = None

    @property
    def label_map(self) -> NDArray[np.uint8]:
        """One array on the series' grid: the labels' values, 0 elsewhere."""
        out = np.zeros(self.series.shape, np.uint8)
        for value, name in self.labels.items():
            out[self.masks[name].voxels] = value
        return out

    def volumes_ml(self) -> dict[str, float | None]:
        """mL a mask; None on a picture, which has no depth."""
        if not isinstance(self.series.geometry, Geometry):
            return dict.fromkeys(self.masks)
        return {name: mask.inside_ml for name, mask in self.masks.items()}


def segment(
    path: str | Path | Study,
    *,
    task: str,
    model: str | None = None,
    assume: str | Mapping[str, str] | None = None,
    series_uid: str | None = None,
    device: str = "cpu",
) -> Segmented:
    """Draw ``task`` on the first series of a study that fits.

    Naming the task states modality and body part where the file does not say them.

    Args:
        series_uid: only this series.

    Raises:
        BadInput: unknown task, model or series; an unreadable study.
        Refused: no series is within the model's specification and gate; says why of each.
    """
    if task not in TASKS:
        raise BadInput(f"unknown task {task!r}", f"one of {', '.join(TASKS)}")
    wanted = TASKS[task]
    user = parse_assume(assume)
    study = path if isinstance(path, Study) else open_study(path, assume=user)
    loaded = load(model or wanted.model, device)
    if not isinstance(loaded, Segments):
        raise BadInput(f"model {loaded.card.name} draws no masks", "a model that does")
    branches = [name for name in wanted.branches if name in loaded.card.branches]
    if not branches:
        raise BadInput(f"model {loaded.card.name} has no branch for {task}", " or ".join(wanted.branches))
    if series_uid is not None and series_uid not in {s.uid for s in study.series}:
        raise BadInput(
            f"the study has no series {series_uid!r}", f"one of {', '.join(s.uid for s in study.series)}"
        )
    refusals: list[Refusal] = []
    for branch in branches:
        spec = loaded.card.branch(branch).input
        named = {"modality": spec.modality[0], "body_part": spec.body_part or ""}
        told = apply_assume(study, {k: v for k, v in named.items() if v and k not in user})
        for (series,) in inputs(told, spec):
            if series_uid not in (None, series.uid):
                continue
            try:
                drawn = loaded.segment(told, (series,), branch=branch)
                _check(drawn, wanted)
            except Refused as refusal:
                refusals.append(Refusal(loaded.card.name, series.uid, str(refusal)))
                continue
            return _segmented(wanted, told, series, drawn, loaded.card, refusals)
    reason = refusals[0].reason if refusals else "no series of the study fits"
    raise Refused(f"{task} was not drawn: {reason}")


def _check(drawn: Masks, task: Task) -> None:
    if drawn.distance is not None and not drawn.distance.ok:
        raise Refused(
            "the image is unlike those the model learnt",
            f"distance at most {drawn.distance.threshold:.2f}",
            f"{drawn.distance.distance:.2f}",
        )
    if not any(drawn.masks[name].voxels.any() for name in task.labels.values()):
        raise Refused("nothing was found")


def _segmented(
    task: Task, study: Study, series: Series, drawn: Masks, card: Card, refusals: list[Refusal]
) -> Segmented:
    distance = drawn.distance
    return Segmented(
        task.name,
        study,
        series,
        task.labels,
        {name: drawn.masks[name] for name in task.labels.values()},
        ModelUse(card.name, card.version, card.digest, card.licence),
        drawn.stated,
        tuple(refusals),
        distance.distance if distance else None,
        distance.threshold if distance else None,
    )


def write_mask(result: Segmented, out: Path) -> tuple[Path, ...]:
    """Write what was drawn on the image's own grid: a label map as NIfTI, or a DICOM SEG; returns the files.

    Raises:
        BadInput: another ending, or a file that cannot be written.
    """
    if out.name.endswith((".nii", ".nii.gz")):
        return (write_nifti(out, Volume(result.label_map, result.series.geometry)),)
    if out.name.endswith(".dcm"):
        # Only here: the DICOM writers take seconds to import.
        from sagittal.study.dicom.seg import write_seg

        masks = {name: mask.voxels for name, mask in result.masks.items()}
        return tuple(write_seg(out, result.study, result.series, masks, concepts(result), (result.model,)))
    raise BadInput(f"{out} names no kind of mask", "MASK.nii.gz, MASK.nii or MASK.dcm")


def concepts(result: Segmented) -> dict[str, Concept]:
    """How each mask is coded in a SEG: names of this house, since no shipped list gives them one code."""
    return {name: Concept(name, PRIVATE_SCHEME, name, name.replace("_", " ")) for name in result.masks}
