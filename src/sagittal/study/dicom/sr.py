"""Write a reading as a structured report: Comprehensive 3D SR, TID 1500.

A draft is COMPLETE, UNVERIFIED and PRELIMINARY, observed by a device; a signed reading is a new
object that is VERIFIED and FINAL, names its verifying observer and its predecessor. Probabilities
are not written: they belong to a domain that an archive does not know.
Source: PS3.16 TID 1500, 1410, 1411, 1501; PS3.3 A.35.13, C.17.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.sr import CodedConcept
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from sagittal.errors import BadInput, Refused
from sagittal.report.code import PRIVATE_SCHEME
from sagittal.report.codec import dumps
from sagittal.report.finding import Finding, Laterality, Measurement, Presence
from sagittal.report.reading import Reading, Status
from sagittal.study.dicom import draft
from sagittal.study.dicom.header import MANUFACTURER, text
from sagittal.study.dicom.source import source_datasets
from sagittal.study.dicom.values import items, quiet
from sagittal.study.geometry import Geometry
from sagittal.study.study import Series, Study
from sagittal.study.uid import derived_uid, dicom_uid

SERIES_NUMBER = 9200
_SIGNED = (Status.SIGNED, Status.AMENDED)
_HEADINGS: dict[str, Any] = {
    "indication": codes.DCM.IndicationsForProcedure,
    "technique": codes.DCM.CurrentProcedureDescriptions,
    "comparison": codes.DCM.PriorProcedureDescriptions,
    "findings": codes.DCM.Findings,
    "impression": codes.DCM.Impressions,
    "limitations": CodedConcept("LIMITATIONS", PRIVATE_SCHEME, "Limitations"),
    "not assessed": CodedConcept("NOT_ASSESSED", PRIVATE_SCHEME, "Not assessed"),
}
_PRESENCE: dict[Presence, Any] = {
    Presence.PRESENT: codes.SCT.Present,
    Presence.ABSENT: codes.SCT.Absent,
    Presence.UNCERTAIN: codes.DCM.PresenceUndetermined,
}
_SIDES: dict[Laterality, Any] = {
    Laterality.RIGHT: codes.SCT.Right,
    Laterality.LEFT: codes.SCT.Left,
    Laterality.BILATERAL: codes.SCT.RightAndLeft,
}
_UNITS = {"1": "no units", "mm": "mm", "cm": "cm", "mL": "mL", "{pixel}": "pixels", "%": "percent"}


def write_sr(
    path: Path,
    study: Study,
    reading: Reading,
    *,
    segmentations: Sequence[Path] = (),
    previous: Path | None = None,
    organisation: str = "not stated",
    version: str = "",
) -> Path:
    """Write ``reading`` as a structured report of ``study``.

    Args:
        segmentations: SEG files whose segment labels are the masks that findings name.
        previous: the report this one replaces; becomes its predecessor.
        organisation: of the verifying observer, for a signed reading.

    Raises:
        Refused: the reading is refused: there is nothing to report.
        BadInput: an image that a finding rests on is not in the study, or ``previous`` is no report.
    """
    if reading.status is Status.REFUSED:
        raise Refused("nothing could be read, so there is nothing to report", "a drafted reading", "refused")
    signed = reading.status in _SIGNED
    if signed and not reading.signed_by:
        raise BadInput("the reading is signed by nobody", "Reading.signed_by")
    maker = draft.Maker(version or reading.provenance.versions.get("sagittal", ""), reading.models)
    when = reading.signed_at if signed and reading.signed_at else reading.provenance.created
    with quiet():
        segments = _segments(segmentations)
        used = {f.evidence.series_uid for f in reading.findings if f.evidence and f.evidence.series_uid}
        sources = {
            one.uid: source_datasets(study, one) for one in study.series if one.uid in used or not used
        }
        lost = used - set(sources)
        if lost:
            raise BadInput(f"the reading refers to {len(lost)} series that the study lacks", "its own study")
        groups = [
            _group(finding, study, sources, segments, maker)
            for finding in reading.findings
            if finding.presence in _PRESENCE
        ]
        content = hd.sr.MeasurementReport(
            observation_context=_observers(reading, maker, signed),
            procedure_reported=codes.SCT.ImagingProcedure,
            imaging_measurements=groups or [_no_finding(study)],
            title=codes.DCM.ImagingMeasurementReport,
        )
        _sections(content[0], reading)
        key = draft.digest(dumps(reading), str(previous and _load(previous).SOPInstanceUID))
        evidence = [ds for found in sources.values() for ds in found] + [ds for ds, _ in segments.values()]
        report = hd.sr.Comprehensive3DSR(
            evidence=list({ds.SOPInstanceUID: ds for ds in evidence}.values()),
            content=content[0],
            series_instance_uid=derived_uid(study.uid, "report"),
            series_number=SERIES_NUMBER,
            sop_instance_uid=derived_uid(key, "instance"),
            instance_number=reading.version,
            manufacturer=MANUFACTURER,
            is_complete=True,
            is_final=signed,
            is_verified=signed,
            verifying_observer_name=text(reading.signed_by or "") if signed else None,
            verifying_organization=text(organisation) if signed else None,
            previous_versions=[_load(previous)] if previous else None,
            contributing_equipment=[maker.equipment()],
        )
    _finish(report, maker, signed, when, key)
    return draft.save(report, path)


def _finish(report: Dataset, maker: draft.Maker, signed: bool, when: datetime, key: str) -> None:
    report.ManufacturerModelName = draft.MODEL_NAME
    report.SoftwareVersions = maker.software
    draft.stamp(report, when, key, "Structured report, signed" if signed else "AI draft: structured report")
    verified = f"{report.ContentDate}{report.ContentTime}"
    for observer in report.get("VerifyingObserverSequence") or []:
        observer.VerificationDateTime = verified
    scheme = Dataset()
    scheme.CodingSchemeDesignator = PRIVATE_SCHEME
    scheme.CodingSchemeName = "Sagittal's own vocabulary"
    scheme.CodingSchemeResponsibleOrganization = MANUFACTURER
    report.CodingSchemeIdentificationSequence = [scheme]
    report.PreliminaryFlag = "FINAL" if signed else "PRELIMINARY"


def _load(path: Path) -> Dataset:
    try:
        ds = dcmread(path)
    except Exception as error:
        # Whatever is wrong with it, it is no predecessor.
        raise BadInput(f"{path} is not a structured report ({error})") from None
    if ds.get("Modality") != "SR":
        raise BadInput(f"{path} is not a structured report", "the report that is replaced")
    return ds


def _segments(paths: Sequence[Path]) -> dict[str, tuple[Dataset, int]]:
    """Segment label -> its object and number; the first file that has a label wins."""
    found: dict[str, tuple[Dataset, int]] = {}
    for path in paths:
        ds = dcmread(path, stop_before_pixels=True)
        for segment in items(ds, "SegmentSequence"):
            found.setdefault(str(segment.SegmentLabel), (ds, int(segment.SegmentNumber)))
    return found


def _observers(reading: Reading, maker: draft.Maker, signed: bool) -> hd.sr.ObservationContext:
    identity = "+".join(model.digest for model in maker.models) or maker.software
    device = hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid("device", identity),
            name=text(draft.names(maker.models)),
            manufacturer_name=MANUFACTURER,
            model_name=draft.MODEL_NAME,
            serial_number=text(identity),
        ),
    )
    person = None
    if signed:
        person = hd.sr.ObserverContext(
            observer_type=codes.DCM.Person,
            observer_identifying_attributes=hd.sr.PersonObserverIdentifyingAttributes(
                name=text(reading.signed_by or "")
            ),
        )
    return hd.sr.ObservationContext(observer_person_context=person, observer_device_context=device)


def _no_finding(study: Study) -> Any:
    """The one group of a report that states no finding: the template must have a group."""
    name = CodedConcept("FINDINGS_STATED", PRIVATE_SCHEME, "Findings stated by the model")
    value = CodedConcept("NONE", PRIVATE_SCHEME, "None; this does not exclude disease")
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=derived_uid(study.uid, "no finding"), identifier="no finding stated"
        ),
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(name, value)],
    )


def _group(
    finding: Finding,
    study: Study,
    sources: dict[str, list[Dataset]],
    segments: dict[str, tuple[Dataset, int]],
    maker: draft.Maker,
) -> Any:
    """One measurement group, with the region it rests on where there is one."""
    evidence = finding.evidence
    name = evidence.mask if evidence and evidence.mask else finding.observation.key
    key = finding.tracking_uid or derived_uid(study.uid, finding.observation.key, name)
    common: dict[str, Any] = {
        "tracking_identifier": hd.sr.TrackingIdentifier(uid=dicom_uid(key), identifier=text(name)),
        "finding_type": draft.coded(finding.observation),
        "finding_sites": _sites(finding),
        "algorithm_id": hd.sr.AlgorithmIdentification(
            name=text(draft.names(maker.models)), version=text(maker.software)
        ),
        "measurements": [m for one in finding.measurements for m in _measurements(one)] or None,
        "qualitative_evaluations": _evaluations(finding),
    }
    series = next((s for s in study.series if evidence and s.uid == evidence.series_uid), None)
    if series is None or evidence is None:
        return hd.sr.MeasurementsAndQualitativeEvaluations(**common)
    images = sources[series.uid]
    if evidence.mask in segments:
        return _with_segment(common, series, images, *segments[str(evidence.mask)])
    if evidence.box_index is not None and len(images) == 1 and not isinstance(series.geometry, Geometry):
        y0, x0, y1, x1 = evidence.box_index
        corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
        region = hd.sr.ImageRegion(
            graphic_type=hd.sr.GraphicTypeValues.POLYLINE,
            graphic_data=np.array(corners, float),
            source_image=hd.sr.SourceImageForRegion.from_source_image(images[0]),
        )
        return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **common)
    shown = [images[k] for k in evidence.slices_index[:8] if k < len(images)] or images[:1]
    pointers = [hd.sr.SourceImageForMeasurementGroup.from_source_image(image) for image in shown]
    return hd.sr.MeasurementsAndQualitativeEvaluations(source_images=pointers, **common)


def _with_segment(
    common: dict[str, Any], series: Series, images: list[Dataset], seg: Dataset, number: int
) -> Any:
    # highdicom 0.28's from_segmentation fails on objects of one segment: references are built by hand.
    if isinstance(series.geometry, Geometry):
        segment = hd.sr.ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=number,
            source_series=hd.sr.SourceSeriesForSegmentation(str(images[0].SeriesInstanceUID)),
        )
        return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **common)
    numbers = [
        identity.get("ReferencedSegmentNumber")
        for group in items(seg, "PerFrameFunctionalGroupsSequence")
        for identity in items(group, "SegmentIdentificationSequence")
    ]
    # The only segment of a single-frame object is named in the shared groups instead.
    frame = numbers.index(number) + 1 if number in numbers else 1
    drawn = hd.sr.ReferencedSegmentationFrame(
        sop_class_uid=seg.SOPClassUID,
        sop_instance_uid=seg.SOPInstanceUID,
        frame_number=frame,
        segment_number=number,
        source_image=hd.sr.SourceImageForSegmentation(
            str(images[0].SOPClassUID), str(images[0].SOPInstanceUID)
        ),
    )
    # A frame of a binary segmentation belongs to one segment; naming both is not allowed (PS3.3 10.3).
    del drawn[0].ReferencedSOPSequence[0].ReferencedSegmentNumber
    return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_segment=drawn, **common)


def _sites(finding: Finding) -> list[hd.sr.FindingSite] | None:
    if finding.site is None:
        return None
    # A side of the image is not a side of the patient: it stays in the text.
    side = _SIDES.get(finding.laterality) if finding.laterality else None
    return [hd.sr.FindingSite(draft.coded(finding.site), laterality=side)]


def _measurements(measurement: Measurement) -> list[hd.sr.Measurement]:
    unit = CodedConcept(measurement.unit, "UCUM", _UNITS.get(measurement.unit, measurement.unit))
    names: Sequence[Any]
    if measurement.quantity == "diameter":
        names = (
            (codes.SCT.LongAxis, codes.SCT.ShortAxis)
            if len(measurement.values) > 1
            else (codes.SCT.Diameter,)
        )
    elif measurement.quantity == "volume":
        names = (codes.SCT.Volume,)
    else:
        names = (draft.private(measurement.quantity),)
    return [
        hd.sr.Measurement(name=name, value=float(value), unit=unit)
        for name, value in zip(names, measurement.values, strict=False)
    ]


def _evaluations(finding: Finding) -> list[hd.sr.QualitativeEvaluation]:
    found = [hd.sr.QualitativeEvaluation(codes.DCM.PresenceOfProperty, _PRESENCE[finding.presence])]
    said = (("certainty", finding.certainty), ("severity", finding.severity))
    found += [
        hd.sr.QualitativeEvaluation(draft.private(name), draft.private(value.value.replace(" ", "_")))
        for name, value in said
        if value is not None
    ]
    found += [
        hd.sr.QualitativeEvaluation(draft.private(name), draft.private(value.replace(" ", "_")))
        for name, value in finding.attributes
    ]
    return found


def _sections(root: Dataset, reading: Reading) -> None:
    """The report's text below its headings; TID 1500 may be extended."""
    for section in reading.report.sections:
        if not section.sentences or section.name not in _HEADINGS:
            continue
        heading = _HEADINGS[section.name]
        container = hd.sr.ContainerContentItem(
            name=heading, is_content_continuous=False, relationship_type="CONTAINS"
        )
        container.ContentSequence = hd.sr.ContentSequence(
            [
                hd.sr.TextContentItem(
                    name=codes.DCM.Finding if section.name == "findings" else heading,
                    value=sentence.text,
                    relationship_type="CONTAINS",
                )
                for sentence in section.sentences
            ]
        )
        root.ContentSequence.append(container)
