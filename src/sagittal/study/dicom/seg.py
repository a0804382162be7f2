"""Write masks as DICOM Segmentation.

One object a series: binary segments, and beside it a label map where the columns are not a multiple
of eight, because packed bits of such images come out sheared in Orthanc and several viewers.
Source: PS3.3 A.51, C.8.20; PS3.5 8.1.1 (packing of 1-bit frames).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from sagittal.errors import BadInput
from sagittal.report.code import Concept
from sagittal.report.reading import ModelUse
from sagittal.study.dicom import draft
from sagittal.study.dicom.header import MANUFACTURER, text
from sagittal.study.dicom.source import source_datasets
from sagittal.study.dicom.values import quiet
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.study import Series, Study
from sagittal.study.uid import derived_uid, is_uid
from sagittal.version import __version__

SERIES_NUMBER = 9100


def write_seg(
    path: Path,
    study: Study,
    series: Series,
    masks: Mapping[str, NDArray[np.bool_]],
    concepts: Mapping[str, Concept],
    models: Sequence[ModelUse],
    *,
    tracking_uids: Mapping[str, str] | None = None,
    edited: bool = False,
    created: datetime | None = None,
    version: str = "",
    omit_empty_frames: bool = True,
) -> list[Path]:
    """Write ``masks`` as a Segmentation of ``series``; returns what was written.

    Args:
        masks: name (segment label) -> boolean array on the series' own grid.
        concepts: name -> what it shows; names of anatomy ("lung_right", "heart", "brain") and names
            without a concept are coded by themselves.
        models: who drew them, with the digest of the weights.
        tracking_uids: name -> UID that the finding carries in reports and across dates.
        edited: a person changed a mask (SEMIAUTOMATIC instead of AUTOMATIC).
        created: content date; now where not given. The same content and date give the same bytes.

    Raises:
        BadInput: no mask, an empty one only, or one on another grid.
    """
    if not masks:
        raise BadInput("there is no mask to write", "at least one")
    for name, mask in masks.items():
        if mask.shape != series.shape:
            raise BadInput(f"mask {name} has shape {mask.shape}", f"{series.shape}, the grid of its series")
    if not any(mask.any() for mask in masks.values()):
        raise BadInput("all masks are empty", "something drawn")
    path = Path(path)
    stacked = np.stack([np.asarray(mask, bool) for mask in masks.values()], axis=-1)
    if stacked.ndim == 3:
        stacked = stacked[None]
    maker = draft.Maker(version or __version__, tuple(models))
    with quiet():
        sources = source_datasets(study, series)
        if len(sources) > 1 or not isinstance(series.geometry, Geometry):
            sources = sources[: stacked.shape[0]]
        when = created or datetime.now(UTC)
        # A picture that does not say which of its sides is the patient's right has no coded side.
        sided = isinstance(series.geometry, Geometry) or series.geometry.right_is_image_left is not None
        uids = tracking_uids or {}
        described = [
            _segment(number, name, concepts.get(name), maker, uids.get(name), edited=edited, sided=sided)
            for number, name in enumerate(masks, start=1)
        ]
        args = (study, series, sources, stacked, described, maker, when, omit_empty_frames)
        written = [draft.save(_object(*args, kind="BINARY"), path)]
        overlap = bool((stacked.sum(-1) > 1).any())
        if series.shape[-1] % 8 and not overlap:
            beside = path.with_name(f"{path.stem}-labelmap{path.suffix}")
            written.append(draft.save(_object(*args, kind="LABELMAP"), beside))
    return written


def _segment(
    number: int,
    name: str,
    concept: Concept | None,
    maker: draft.Maker,
    tracking: str | None,
    *,
    edited: bool,
    sided: bool,
) -> hd.seg.SegmentDescription:
    side: Any = None
    if (known := draft.anatomy(name)) is not None:
        category: Any = codes.SCT.AnatomicalStructure
        kind, side = known
    elif concept is None:
        category, kind = codes.SCT.AnatomicalStructure, draft.private(name)
    elif concept.key in draft.DEVICES:
        category, kind = codes.SCT.PhysicalObject, draft.coded(concept)
    else:
        category, kind = codes.SCT.MorphologicallyAbnormalStructure, draft.coded(concept)
    if tracking is not None and not is_uid(tracking):
        tracking = derived_uid(tracking)
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=text(name),
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type="SEMIAUTOMATIC" if edited else "AUTOMATIC",
        algorithm_identification=maker.algorithm(),
        tracking_uid=tracking,
        tracking_id=text(name) if tracking else None,
    )
    if side is not None and sided:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = (
            side.value, side.scheme_designator, side.meaning,
        )  # fmt: skip
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [item]
    return description


def _object(
    study: Study,
    series: Series,
    sources: list[Dataset],
    stacked: NDArray[np.bool_],
    described: list[hd.seg.SegmentDescription],
    maker: draft.Maker,
    when: datetime,
    omit_empty_frames: bool,
    *,
    kind: str,
) -> hd.seg.Segmentation:
    labels = "\n".join(f"{d.SegmentLabel} {d.get('TrackingUID', '')}" for d in described)
    identity = "\n".join(f"{model.name} {model.version} {model.digest}" for model in maker.models)
    edited = described[0].SegmentAlgorithmType
    content = draft.digest(stacked, labels, identity, series.uid, study.uid, edited, kind)
    pixels: NDArray[Any] = stacked.astype(np.uint8)
    if kind == "LABELMAP":
        pixels = (pixels * np.arange(1, pixels.shape[-1] + 1, dtype=np.uint8)).max(-1)
    made = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=derived_uid(study.uid, series.uid, "segmentation", kind),
        series_number=SERIES_NUMBER + (kind == "LABELMAP"),
        sop_instance_uid=derived_uid(content, "instance"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=draft.MODEL_NAME,
        software_versions=maker.software,
        device_serial_number="0",
        content_label="AI_DRAFT",
        content_description=text(f"drawn by {draft.names(maker.models)}, for review"),
        omit_empty_frames=omit_empty_frames,
        contributing_equipment=[maker.equipment()],
        **_planes(series, sources),
    )
    if isinstance(series.geometry, Plane):
        sides = series.geometry.patient_orientation
        made.PatientOrientation = list(sides) if sides else ""
    draft.stamp(made, when, content, f"AI draft: segmentation of {series.description or series.modality}")
    return made


def _planes(series: Series, sources: list[Dataset]) -> dict[str, Any]:
    """Where frames lie, needed only where one multi-frame object is the source."""
    geometry = series.geometry
    if not isinstance(geometry, Geometry) or len(sources) == series.shape[0]:
        return {}
    directions, spacing = geometry.directions, geometry.spacing_mm
    return {
        "plane_positions": [
            hd.PlanePositionSequence("PATIENT", [float(v) for v in geometry.to_mm((k, 0, 0))])
            for k in range(series.shape[0])
        ],
        "plane_orientation": hd.PlaneOrientationSequence(
            "PATIENT", [float(v) for v in (*directions[:, 2], *directions[:, 1])]
        ),
        "pixel_measures": hd.PixelMeasuresSequence(
            pixel_spacing=(spacing[1], spacing[2]),
            slice_thickness=series.acquisition.slice_thickness_mm or spacing[0],
        ),
    }
