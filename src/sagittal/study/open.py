"""Open a study from whatever it lies in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sagittal.errors import BadInput
from sagittal.report.codec import read_json
from sagittal.study import limits
from sagittal.study.context import Context
from sagittal.study.dicom.read import read_dicom
from sagittal.study.files import Found, Kind, Source, find
from sagittal.study.nifti import read_nifti
from sagittal.study.picture import read_picture
from sagittal.study.stated import apply_assume, parse_assume
from sagittal.study.study import Patient, Series, Study
from sagittal.study.uid import derived_uid

EXPECTED = "a DICOM folder, file or zip, NIfTI, PNG or JPEG"


def open_study(
    path: str | Path,
    *,
    context: str | Path | Context | None = None,
    prior: str | Path | Study | None = None,
    assume: str | Mapping[str, str] | None = None,
) -> Study:
    """Read the study that ``path`` holds; voxels are decoded when they are first asked for.

    What a file is, its content decides, not its name. Files called ``truth*`` are never opened.

    Args:
        path: a DICOM folder, file or zip; a NIfTI file or a folder of them; a PNG or JPEG.
        context: a JSON file of `Context`; by default ``context.json`` in the folder, where there is one.
        prior: an earlier study of the same patient. Earlier studies found in ``path`` itself are
            attached as well.
        assume: what the files do not say, ``"modality=MR,age=54Y"``; see `parse_assume`. Recorded in
            ``Study.stated``.

    Raises:
        BadInput: nothing readable there, several patients mixed, a damaged context or a wrong statement.
    """
    path = Path(path)
    stated = parse_assume(assume)
    found = find(path)
    known = _context(path, context)
    study = _from_dicom(found) if found.of("dicom") else _from_files(found, path)
    study = replace(
        study,
        context=known,
        path=str(path),
        problems=limits.capped([*found.problems, *study.problems]),
    )
    study = apply_assume(study, stated)
    if prior is not None:
        study = _attach(study, prior if isinstance(prior, Study) else open_study(prior, assume=None))
    return study


def open_files(paths: Sequence[Path]) -> Study:
    """The study that these DICOM files are, wherever they lie.

    Raises:
        BadInput: no files, one is missing or no DICOM, or they are of several patients.
    """
    by_kind: dict[Kind, list[Source]] = {}
    for path in paths:
        for kind, sources in find(path).by_kind.items():
            by_kind.setdefault(kind, []).extend(sources)
    found = Found(by_kind, [])
    if not found.of("dicom"):
        raise BadInput(f"none of {len(paths)} files is DICOM", "DICOM files of one study")
    return replace(_from_dicom(found), path=str(paths[0].parent))


def _context(path: Path, context: str | Path | Context | None) -> Context:
    if isinstance(context, Context):
        return context
    if context is not None:
        return read_json(Context, context)
    beside = path / "context.json"
    return read_json(Context, beside) if path.is_dir() and beside.is_file() else Context()


def _from_dicom(found: Found) -> Study:
    read = read_dicom(found.of("dicom"))
    studies, problems = read.studies, list(read.problems)
    with_images = [study for study in studies if study.series]
    if len(with_images) > 1:
        days = [study.date for study in with_images]
        if None in days or len(set(days)) < len(days):
            raise BadInput(
                f"there are {len(with_images)} studies whose dates do not tell which is the latest",
                "one study, or studies of different dates",
                "open one folder a study",
            )
        problems.append(f"{len(with_images)} studies: the latest is read, the earlier ones are its priors")
    study = with_images[-1] if with_images else studies[-1]
    priors = tuple(reversed(with_images[:-1]))
    others = tuple(other for one in studies if one not in priors for other in one.others)
    left = len(found.of("nifti")) + len(found.of("picture"))
    if left:
        problems.append(f"{left} NIfTI files or pictures beside the DICOM files were left out")
    return replace(study, priors=priors, others=others, problems=limits.capped([*problems, *study.problems]))


def _from_files(found: Found, path: Path) -> Study:
    """NIfTI files and pictures: they name no patient, so together they are taken as one study."""
    series: list[Series] = []
    problems: list[str] = []
    failures: list[BadInput] = []
    for kind, read in (("nifti", read_nifti), ("picture", read_picture)):
        for source in found.of(kind):  # type: ignore[arg-type]
            try:
                series.append(read(source))
            except BadInput as error:
                failures.append(error)
                problems.append(error.what)
    if not series:
        if failures:
            raise failures[0]
        count = sum(map(len, found.by_kind.values()))
        what = f"{path} is not an image" if path.is_file() else f"{path} holds {count} files, none an image"
        raise BadInput(what, EXPECTED)
    if len(series) > 1:
        problems.append(f"{len(series)} files that name no patient were taken as one study")
    unique = {one.uid: one for one in series}
    if len(unique) < len(series):
        problems.append(f"{len(series) - len(unique)} copies of the same file were dropped")
    return Study(
        uid=derived_uid("study", *sorted(unique)),
        patient=Patient(),
        series=tuple(unique.values()),
        problems=limits.capped(problems),
    )


def _attach(study: Study, prior: Study) -> Study:
    mine, theirs = study.patient.id.strip().upper(), prior.patient.id.strip().upper()
    if mine and theirs and mine != theirs:
        raise BadInput("the prior is of another patient", "an earlier study of the same patient")
    problems = list(study.problems)
    if prior.uid == study.uid:
        raise BadInput("the prior is the study itself", "an earlier study of the same patient")
    if not mine or not theirs:
        problems.append("the prior is taken as of this patient: a file names none")
    if study.date and prior.date and prior.date > study.date:
        problems.append(f"the prior ({prior.date}) is later than the study ({study.date})")
    if prior.date is None:
        problems.append("the prior has no date")
    return replace(study, priors=(*study.priors, prior), problems=limits.capped(problems))
