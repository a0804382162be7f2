"""One slice each: classic instances and frames of enhanced ones look the same from here on.

Source: PS3.3 C.7.6.16 (multi-frame functional groups), C.7.6.2 (image plane).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from sagittal.study.dicom.values import first, items, number, numbers, string, strings
from sagittal.study.files import Source

DISCRIMINATORS = (
    "ImageType",
    "EchoTime",
    "EchoNumbers",
    "InversionTime",
    "DiffusionBValue",
    "DiffusionGradient",
    "TemporalPosition",
    "TriggerTime",
    "AcquisitionNumber",
    "ComplexImageComponent",
    "ConvolutionKernel",
    "AcquisitionTime",
    "Instance",
)
"""What tells apart images at one place, tried in this order when places repeat."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Where one frame lies and how its stored values become real ones.

    Args:
        index: zero-based frame in its instance, of ``frames``.
        orientation: (2, 3), direction cosines of a row and of a column; None without geometry.
        position_mm: LPS of the first pixel's centre.
        spacing_mm: row and column pitch.
        keys: values of `DISCRIMINATORS`.
    """

    source: Source
    index: int
    frames: int
    sop_class_uid: str
    sop_instance_uid: str
    rows: int
    columns: int
    orientation: NDArray[np.float64] | None
    position_mm: NDArray[np.float64] | None
    spacing_mm: tuple[float, float] | None
    thickness_mm: float | None
    slope: float
    intercept: float
    instance_number: int
    keys: dict[str, str]

    @property
    def normal(self) -> NDArray[np.float64]:
        assert self.orientation is not None
        return np.cross(self.orientation[0], self.orientation[1])

    @property
    def placed(self) -> bool:
        """Whether it can be part of a volume."""
        return self.orientation is not None and self.position_mm is not None and self.spacing_mm is not None


def frames_of(ds: Dataset, source: Source) -> list[Frame]:
    """The frames of one image object; ``ds`` without pixel data."""
    count = max(1, int(number(ds, "NumberOfFrames") or 1))
    shared, per_frame = (
        first(ds, "SharedFunctionalGroupsSequence"),
        items(ds, "PerFrameFunctionalGroupsSequence"),
    )
    if not per_frame and "SharedFunctionalGroupsSequence" not in ds:
        # Without functional groups no frame has a place of its own: the first stands for all.
        return [_frame(ds, source, 0, count, [ds])]
    none = Dataset()
    return [
        _frame(ds, source, index, count, [per_frame[index] if index < len(per_frame) else none, shared])
        for index in range(count)
    ]


def _group(groups: list[Dataset], keyword: str) -> Dataset:
    """A functional group macro of the frame or shared; the object itself where it is classic."""
    for group in groups:
        item = first(group, keyword)
        if len(item):
            return item
    return Dataset()


def _frame(ds: Dataset, source: Source, index: int, count: int, groups: list[Dataset]) -> Frame:
    classic = groups[0] is ds
    orientation_group = ds if classic else _group(groups, "PlaneOrientationSequence")
    position_group = ds if classic else _group(groups, "PlanePositionSequence")
    measures = ds if classic else _group(groups, "PixelMeasuresSequence")
    values = ds if classic else _group(groups, "PixelValueTransformationSequence")
    slope, intercept = number(values, "RescaleSlope"), number(values, "RescaleIntercept")
    cosines = numbers(orientation_group, "ImageOrientationPatient", 6)
    position = numbers(position_group, "ImagePositionPatient", 3)
    spacing = numbers(measures, "PixelSpacing", 2)
    # A classic object with several frames has one place for all of them: none of them is placed.
    placed = not (classic and count > 1)
    return Frame(
        source=source,
        index=index,
        frames=count,
        sop_class_uid=string(ds, "SOPClassUID"),
        sop_instance_uid=string(ds, "SOPInstanceUID"),
        rows=int(number(ds, "Rows") or 0),
        columns=int(number(ds, "Columns") or 0),
        orientation=_cosines(cosines) if placed else None,
        position_mm=np.array(position) if position and placed else None,
        spacing_mm=(spacing[0], spacing[1]) if spacing and min(spacing) > 0 else None,
        thickness_mm=number(measures, "SliceThickness"),
        slope=slope or 1.0,
        intercept=intercept or 0.0,
        instance_number=int(number(ds, "InstanceNumber") or 0) * (count + 1) + index,
        keys=_keys(ds, groups, classic),
    )


def _cosines(values: tuple[float, ...] | None) -> NDArray[np.float64] | None:
    """Two orthonormal rows, or None where the header holds no such thing."""
    if values is None:
        return None
    rows = np.array(values).reshape(2, 3)
    lengths = np.linalg.norm(rows, axis=1)
    if (abs(lengths - 1) > 0.01).any() or abs(rows[0] @ rows[1]) > 0.01:
        return None
    return rows / lengths[:, None]


def _keys(ds: Dataset, groups: list[Dataset], classic: bool) -> dict[str, str]:
    def pick(keyword: str, group: str, name: str | None = None) -> str:
        where = ds if classic else _group(groups, group)
        return "/".join(strings(where, name or keyword))

    content = "" if classic else "FrameContentSequence"
    keys = {
        "ImageType": pick("ImageType", "MRImageFrameTypeSequence", None if classic else "FrameType"),
        "EchoTime": pick("EchoTime", "MREchoSequence", None if classic else "EffectiveEchoTime"),
        "EchoNumbers": "/".join(strings(ds, "EchoNumbers")),
        "InversionTime": "/".join(strings(ds, "InversionTime")),
        "DiffusionBValue": pick("DiffusionBValue", "MRDiffusionSequence"),
        "DiffusionGradient": "/".join(
            strings(
                first(_group(groups, "MRDiffusionSequence"), "DiffusionGradientDirectionSequence"),
                "DiffusionGradientOrientation",
            )
            or strings(ds, "DiffusionGradientOrientation")
        ),
        "TemporalPosition": pick(
            "TemporalPositionIdentifier", content, None if classic else "TemporalPositionIndex"
        ),
        "TriggerTime": "/".join(strings(ds, "TriggerTime")),
        "AcquisitionNumber": pick(
            "AcquisitionNumber", content, None if classic else "FrameAcquisitionNumber"
        ),
        "ComplexImageComponent": pick("ComplexImageComponent", "MRImageFrameTypeSequence"),
        "ConvolutionKernel": "/".join(strings(ds, "ConvolutionKernel")),
        "AcquisitionTime": "/".join(strings(ds, "AcquisitionTime")) if classic else "",
        # Several enhanced objects over one place are several volumes.
        "Instance": "" if classic else string(ds, "SOPInstanceUID"),
    }
    return keys
