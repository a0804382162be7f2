"""DICOM objects to the series of one study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from sagittal.errors import BadInput
from sagittal.study import limits
from sagittal.study.dicom import describe
from sagittal.study.dicom.frame import Frame, frames_of
from sagittal.study.dicom.load import Header, read_header
from sagittal.study.dicom.pixels import Meaning, voxels
from sagittal.study.dicom.stack import Stack, stacks
from sagittal.study.dicom.suv import suv_factor
from sagittal.study.dicom.values import age_years, day, quiet, string, whole
from sagittal.study.files import Source
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.sequence import contrast_phase
from sagittal.study.study import Instance, Patient, Series, Study
from sagittal.study.uid import derived_uid
from sagittal.study.volume import Unit, Volume

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_NOT_IMAGES = (
    "1.2.840.10008.5.1.4.1.1.66",  # raw data, registrations, segmentations, surfaces, tractography
    "1.2.840.10008.5.1.4.1.1.481",  # radiotherapy
    "1.2.840.10008.5.1.4.1.1.88",  # structured reports
    "1.2.840.10008.5.1.4.1.1.11",  # presentation states
    "1.2.840.10008.5.1.4.1.1.9",  # waveforms
    "1.2.840.10008.5.1.4.1.1.104",  # encapsulated documents
    "1.2.840.10008.5.1.4.1.1.30",  # parametric maps
    "1.2.840.10008.5.1.4.1.1.91",  # microscopy annotations
    "1.2.840.10008.5.1.4.1.1.67",  # real-world value maps
    "1.2.840.10008.5.1.4.1.1.77.1.6",  # whole slide microscopy
    "1.2.840.10008.1.3.10",  # DICOMDIR
)
_VOLUMES = ("CT", "MR", "PT", "NM")


@dataclass(frozen=True)
class DicomStudies:
    """What DICOM files hold: one study of a patient a date, oldest first, and what was left out."""

    studies: tuple[Study, ...]
    problems: tuple[str, ...]


def read_dicom(sources: list[Source]) -> DicomStudies:
    """Group files by patient, study and series, and stack what can be stacked.

    Raises:
        BadInput: no file holds an image or object, or files of several patients are mixed.
    """
    with quiet():
        return _read(sources)


def _read(sources: list[Source]) -> DicomStudies:
    problems: list[str] = []
    images: list[Header] = []
    others: list[Header] = []
    for source in sources:
        try:
            header = read_header(source)
        except BadInput as error:
            problems.append(error.what)
            continue
        if _is_other(header):
            others.append(header)
        elif not header.has_pixels:
            problems.append(f"{source.name} has no pixel data (cut off, or not an image)")
        elif header.flaw:
            problems.append(f"{source.name}: {header.flaw}")
        else:
            images.append(header)
    if not images and not others:
        raise BadInput(_nothing(problems), "a DICOM image with its pixels")
    one_patient([*images, *others], problems)
    by_study: dict[str, list[Header]] = {}
    for header in [*images, *others]:
        by_study.setdefault(string(header.ds, "StudyInstanceUID"), []).append(header)
    image_ids = {id(header) for header in images}
    studies = [
        _study(
            uid,
            [h for h in headers if id(h) in image_ids],
            [h for h in headers if id(h) not in image_ids],
        )
        for uid, headers in by_study.items()
    ]
    studies.sort(key=lambda study: (study.date or date.min, study.uid))
    return DicomStudies(tuple(studies), limits.capped(problems))


def _nothing(problems: list[str]) -> str:
    more = f" (and {len(problems) - 1} files like it)" if len(problems) > 1 else ""
    return problems[0] + more if problems else "no DICOM object found"


def _is_other(header: Header) -> bool:
    sop_class = string(header.ds, "SOPClassUID")
    modality = string(header.ds, "Modality")
    return any(sop_class == root or sop_class.startswith(f"{root}.") for root in _NOT_IMAGES) or (
        modality in ("SEG", "SR", "RTSTRUCT", "RTPLAN", "RTDOSE", "PR", "KO", "REG", "DOC", "AU")
    )


def one_patient(headers: list[Header], problems: list[str]) -> None:
    """Refuse a mixture of patients; never names them beyond their IDs' number.

    Raises:
        BadInput: more than one PatientID (or name, where there is no ID).
    """
    known: dict[str, int] = {}
    nameless = 0
    for header in headers:
        identity = string(header.ds, "PatientID").strip().upper()
        if not identity:
            identity = string(header.ds, "PatientName").strip("^ ").upper()
        if identity:
            known[identity] = known.get(identity, 0) + 1
        else:
            nameless += 1
    if len(known) > 1:
        raise BadInput(
            f"the files are of {len(known)} different patients", "one patient", "open one folder a patient"
        )
    if len({_letters(string(header.ds, "PatientName")) for header in headers} - {""}) > 1:
        problems.append("the files carry several patient names under one ID")
    if known and nameless:
        problems.append(f"{nameless} files name no patient and were taken as of this one")


def _letters(name: str) -> str:
    """A name without what writers of DICOM add or leave out."""
    return "".join(c for c in name.upper() if c.isalnum())


def _study(uid: str, images: list[Header], others: list[Header]) -> Study:
    every = [header.ds for header in (*images, *others)]
    first = every[0]
    study_day = day(first, "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
    problems: list[str] = []
    age, sex = _age(every, study_day, problems), _sex(every, problems)
    by_series: dict[str, list[Header]] = {}
    for header in images:
        by_series.setdefault(string(header.ds, "SeriesInstanceUID"), []).append(header)
    series: list[Series] = []
    for series_uid, headers in by_series.items():
        series.extend(_series(series_uid or derived_uid(uid, headers[0].source.name), headers, problems))
    series.sort(key=lambda one: (one.number is None, one.number or 0, one.description, one.uid))
    return Study(
        uid=uid or derived_uid(*(one.uid for one in series)),
        patient=Patient(
            id=next(filter(None, (string(ds, "PatientID") for ds in every)), ""),
            name=next(filter(None, (string(ds, "PatientName") for ds in every)), ""),
            sex=sex,
            birth_date=next(filter(None, (day(ds, "PatientBirthDate") for ds in every)), None),
            age_years=age,
        ),
        series=tuple(series),
        date=study_day,
        description=string(first, "StudyDescription"),
        accession_number=string(first, "AccessionNumber"),
        synthetic=bool(images) and all(describe.is_synthetic(header.ds) for header in images),
        problems=limits.capped(problems),
        others=tuple(_instance(header) for header in others),
    )


def _age(headers: list[Dataset], study_day: date | None, problems: list[str]) -> float | None:
    """The age some header states; not every object of a study carries it."""
    found: dict[float, None] = {}
    for ds in headers:
        age, doubt = age_years(ds, study_day)
        if doubt:
            problems.append(doubt)
        if age is not None:
            found[age] = None
    if found and max(found) - min(found) > 1.5:
        problems.append("the files state different ages; the first is used")
    return next(iter(found), None)


def _sex(headers: list[Dataset], problems: list[str]) -> str | None:
    found = dict.fromkeys(
        sex for ds in headers if (sex := string(ds, "PatientSex").upper()) in ("M", "F", "O")
    )
    if len(found) > 1:
        problems.append("the files state different sexes; none is used")
        return None
    return next(iter(found), None)


def _instance(header: Header) -> Instance:
    return Instance(
        sop_class_uid=string(header.ds, "SOPClassUID"),
        sop_instance_uid=string(header.ds, "SOPInstanceUID"),
        number_of_frames=max(1, whole(header.ds, "NumberOfFrames") or 1),
        path=str(header.source.path),
        member=header.source.member,
    )


def _series(uid: str, headers: list[Header], problems: list[str]) -> list[Series]:
    """The images of one DICOM series: as many `Series` as it holds grids and single pictures."""
    by_source = {id(header.source): header for header in headers}
    placed: dict[bool, list[Frame]] = {False: [], True: []}
    loose: list[Header] = []
    for header in headers:
        frames = frames_of(header.ds, header.source)
        captured = string(header.ds, "SOPClassUID").startswith(SECONDARY_CAPTURE)
        modality = string(header.ds, "Modality")
        if all(f.placed for f in frames) and not captured and modality in _VOLUMES:
            placed[describe.is_localiser(header.ds, _description(header.ds))].extend(frames)
        else:
            loose.append(header)
    found: list[Series] = []
    for localiser, frames in placed.items():
        for stack in stacks(frames):
            held = [by_source[id(frame.source)].ds for frame in stack.frames]
            found.append(_volume(uid, stack, held, localiser))
    for header in loose:
        found.append(_picture(uid, header))
    found.sort(key=lambda one: (-int(np.prod(one.shape)), one.description, one.instances[0].sop_instance_uid))
    return [_part(one, uid, index) for index, one in enumerate(found)]


def _part(series: Series, uid: str, index: int) -> Series:
    """The largest image keeps the series' UID; others get their own, and say whose part they are."""
    if index == 0:
        return series
    first = series.instances[0]
    own = derived_uid(uid, first.sop_instance_uid, series.description, str(index))
    return replace(series, uid=own, part_of=uid)


def _description(ds: Dataset) -> str:
    return string(ds, "SeriesDescription")


def _volume(uid: str, stack: Stack, held: list[Dataset], localiser: bool) -> Series:
    ds, frames, problems = held[0], stack.frames, list(stack.problems)
    description = _description(ds)
    label = f"{description} ({stack.label})" if stack.label else description
    if localiser:
        problems.append("localiser: kept out of volumes")
    references = {string(one, "FrameOfReferenceUID") for one in held} - {""}
    if len(references) > 1:
        problems.append(
            f"the slices name {len(references)} frames of reference: their places may not be comparable"
        )
    factor, unit = _unit(ds, frames, problems)
    bits, signed = describe.bits(ds)
    inverted = string(ds, "PhotometricInterpretation") == "MONOCHROME1" and unit == "arbitrary"
    shape = (len(frames), frames[0].rows, frames[0].columns)
    too_big = int(np.prod(shape)) > limits.MAX_VOXELS
    if too_big:
        problems.append(f"{int(np.prod(shape))} voxels are more than is read")
    readable = stack.regular and not localiser and not too_big
    geometry = Geometry(stack.affine, string(ds, "FrameOfReferenceUID") or None)
    technique = describe.acquisition(ds, frames[0], description)
    return Series(
        uid=uid,
        modality=string(ds, "Modality") or "OT",
        shape=shape,
        geometry=geometry,
        unit=unit,
        decode=_decoder(frames, Meaning(bits, signed, inverted, factor), geometry, unit, readable, problems),
        description=label,
        body_part=describe.body_part(ds),
        position=describe.position(ds, description),
        contrast_phase=contrast_phase(description, technique.contrast_agent)
        if string(ds, "Modality") == "CT"
        else None,
        acquisition=technique,
        instances=_instances(frames),
        number=whole(ds, "SeriesNumber"),
        problems=limits.capped(problems),
        readable=readable,
    )


def _unit(ds: Dataset, frames: tuple[Frame, ...], problems: list[str]) -> tuple[float, Unit]:
    modality = string(ds, "Modality")
    if modality == "PT":
        factor, why = suv_factor(ds)
        if factor is None:
            problems.append(why or "SUV not computed")
            return 1.0, "arbitrary"
        return factor, "SUV"
    if modality == "CT":
        kind = string(ds, "RescaleType").upper()
        if kind not in ("", "HU"):
            problems.append(f"rescale type is {kind}, not HU")
            return 1.0, "arbitrary"
        enhanced = "SharedFunctionalGroupsSequence" in ds
        if "RescaleIntercept" not in ds and not enhanced:
            problems.append("no rescale in the header: the values are not known to be HU")
            return 1.0, "arbitrary"
        return 1.0, "HU"
    return 1.0, "arbitrary"


def _picture(uid: str, header: Header) -> Series:
    ds, problems = header.ds, []
    frames = frames_of(ds, header.source)
    description, modality = _description(ds), string(ds, "Modality") or "OT"
    sop_class = string(ds, "SOPClassUID")
    count = frames[0].frames
    readable = count == 1
    if sop_class.startswith(SECONDARY_CAPTURE):
        problems.append("secondary capture: kept out of volumes")
    elif describe.is_localiser(ds, description):
        problems.append("localiser: kept out of volumes")
    elif modality in _VOLUMES:
        problems.append(f"{modality} image without position or orientation: kept out of volumes")
    if not readable:
        problems.append(f"{count} frames without a place in the patient (cine): not read")
    if (whole(ds, "SamplesPerPixel") or 1) > 1 or string(ds, "PhotometricInterpretation") == "PALETTE COLOR":
        problems.append("colour image: its luminance is read")
    if string(ds, "PresentationIntentType").upper() == "FOR PROCESSING":
        problems.append("for processing, not for presentation: grey levels are raw")
    plane = describe.plane(ds)
    bits, signed = describe.bits(ds)
    inverted = string(ds, "PhotometricInterpretation") == "MONOCHROME1"
    shape = (frames[0].rows, frames[0].columns)
    return Series(
        uid=uid,
        modality=modality,
        shape=shape if readable else (count, *shape),
        geometry=plane,
        unit="arbitrary",
        decode=_decoder(
            tuple(frames), Meaning(bits, signed, inverted), plane, "arbitrary", readable, problems
        ),
        description=description,
        body_part=describe.body_part(ds),
        view=describe.view(ds),
        position=describe.position(ds, description),
        acquisition=describe.acquisition(ds, frames[0], description),
        instances=_instances(tuple(frames[:1])),
        number=whole(ds, "SeriesNumber"),
        problems=limits.capped(problems),
        readable=readable,
    )


def _instances(frames: tuple[Frame, ...]) -> tuple[Instance, ...]:
    """Each object once, in slice order."""
    found: dict[str, Instance] = {}
    for frame in frames:
        found.setdefault(
            frame.sop_instance_uid or frame.source.name,
            Instance(
                frame.sop_class_uid,
                frame.sop_instance_uid,
                frame.frames,
                str(frame.source.path),
                frame.source.member,
            ),
        )
    return tuple(found.values())


def _decoder(
    frames: tuple[Frame, ...],
    meaning: Meaning,
    geometry: Geometry | Plane,
    unit: Unit,
    readable: bool,
    problems: list[str],
) -> Callable[[], Volume]:
    why = "; ".join(problems)

    def run() -> Volume:
        if not readable:
            raise BadInput(f"this series cannot be read as one image: {why}", fix="choose another series")
        values: NDArray[np.generic] = voxels(frames, meaning, flat=isinstance(geometry, Plane))
        return Volume(values, geometry, unit)

    return run
