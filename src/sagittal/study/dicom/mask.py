"""Masks that others drew: RTSTRUCT contours and SEG frames, on the grid of the image they belong to.

Source: PS3.3 A.19 and C.8.8.6 (RT structure set), A.51 and C.8.20 (segmentation).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from sagittal.errors import BadInput
from sagittal.study.dicom.frame import Frame, frames_of
from sagittal.study.dicom.load import decode
from sagittal.study.dicom.values import first, items, number, numbers, quiet, string, whole
from sagittal.study.files import Source
from sagittal.study.geometry import Geometry
from sagittal.study.study import Instance, Series, Study
from sagittal.study.volume import Volume

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
GRID_TOLERANCE = 0.05
"""How far, in voxels, a frame may lie off the image grid and still be a slice of it."""


@dataclass(frozen=True, eq=False)
class NamedMask:
    """A boolean mask on the grid of ``series``; the name is what the object calls it."""

    name: str
    series: Series
    volume: Volume


def read_masks(study: Study, series: Series | None = None) -> list[NamedMask]:
    """Every mask among the study's other objects, or only those drawn on ``series``.

    Raises:
        BadInput: there is none, or one that lies on another grid or names an image that is not here.
    """
    found: list[NamedMask] = []
    objects = [o for o in study.others if o.sop_class_uid in (RTSTRUCT, *SEGMENTATION)]
    if not objects:
        raise BadInput(f"{study.path or 'the study'} holds no mask", "an RTSTRUCT or SEG beside the images")
    for one in objects:
        with quiet():
            ds = _load(one)
            target = _target(ds, study)
            if series is not None and target is not series:
                continue
            if target is None:
                raise BadInput("a mask refers to an image that is not here", "the images it was drawn on")
            if one.sop_class_uid == RTSTRUCT:
                found.extend(_contours(ds, target))
            else:
                found.extend(_segments(ds, _source(one), target))
    if not found:
        raise BadInput("no mask was drawn on that series", "a series that an RTSTRUCT or SEG refers to")
    return found


def _source(instance: Instance) -> Source:
    path = Path(instance.path)
    return Source(path.name, path, path.stat().st_size, instance.member)


def _load(instance: Instance) -> Dataset:
    try:
        with _source(instance).open() as stream:
            return dcmread(stream, force=True)
    except BadInput:
        raise
    except Exception as error:
        # A broken object may raise anything inside the parser.
        raise BadInput(f"{instance.path} cannot be read ({error})") from None


def _target(ds: Dataset, study: Study) -> Series | None:
    """The series a mask was drawn on: by instance, series UID, or alone in its frame."""
    series_uids, instances = set(), set()
    for reference in _walk(ds):
        if uid := string(reference, "SeriesInstanceUID"):
            series_uids.add(uid)
        if uid := string(reference, "ReferencedSOPInstanceUID"):
            instances.add(uid)
    series_uids.discard(string(ds, "SeriesInstanceUID"))
    readable = [one for one in study.series if one.readable]
    by_instance = [one for one in readable if any(i.sop_instance_uid in instances for i in one.instances)]
    by_uid = [one for one in readable if (one.part_of or one.uid) in series_uids]
    for found in (by_instance, by_uid):
        if len(found) == 1:
            return found[0]
    frame = string(ds, "FrameOfReferenceUID") or string(
        first(ds, "ReferencedFrameOfReferenceSequence"), "FrameOfReferenceUID"
    )
    same = [
        one
        for one in (by_instance or by_uid or readable)
        if isinstance(one.geometry, Geometry) and one.geometry.frame_of_reference_uid == frame
    ]
    return same[0] if len(same) == 1 else None


def _walk(ds: Dataset, depth: int = 0) -> list[Dataset]:
    """The nested datasets that carry references to images; not the frames themselves."""
    found = [ds]
    if depth > 8:
        return found
    for keyword in (
        "ReferencedFrameOfReferenceSequence",
        "RTReferencedStudySequence",
        "RTReferencedSeriesSequence",
        "ReferencedSeriesSequence",
        "ReferencedInstanceSequence",
        "ContourImageSequence",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
        "DerivationImageSequence",
        "SourceImageSequence",
    ):
        for item in items(ds, keyword):
            found.extend(_walk(item, depth + 1))
    return found


def _contours(ds: Dataset, series: Series) -> list[NamedMask]:
    geometry = series.geometry
    if not isinstance(geometry, Geometry):
        raise BadInput("an RTSTRUCT refers to a picture", "a volume")
    names = {whole(roi, "ROINumber"): string(roi, "ROIName") for roi in items(ds, "StructureSetROISequence")}
    found = []
    for roi in items(ds, "ROIContourSequence"):
        mask = np.zeros(series.shape, bool)
        drawn = False
        for contour in items(roi, "ContourSequence"):
            points = numbers(contour, "ContourData")
            if string(contour, "ContourGeometricType") != "CLOSED_PLANAR" or not points or len(points) % 3:
                continue
            index = geometry.to_index(np.array(points).reshape(-1, 3))
            slices = np.rint(index[:, 0])
            if np.ptp(index[:, 0]) > 0.5:
                raise BadInput("a contour does not lie in a slice of the image", "planar contours")
            k = int(slices[0])
            if 0 <= k < series.shape[0]:
                # Contours of one slice and structure cut holes into each other.
                mask[k] ^= fill(index[:, 1:], series.shape[1:])
                drawn = True
        if drawn:
            number_ = whole(roi, "ReferencedROINumber")
            name = names.get(number_) or f"ROI {number_}"
            found.append(NamedMask(name, series, Volume(mask, geometry)))
    return found


def fill(polygon: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels of a (y, x) grid whose centre lies inside a closed polygon (even-odd rule).

    Args:
        polygon: (N, 2) vertices y, x in pixel indices.
    """
    rows, columns = shape
    toggles = np.zeros((rows, columns + 1), np.int32)
    for (y0, x0), (y1, x1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        if y0 > y1:
            y0, x0, y1, x1 = y1, x1, y0, x0
        # Half-open in y: a vertex on a row belongs to one of its two edges only.
        low, high = max(0, int(np.ceil(y0))), min(rows, int(np.ceil(y1)))
        y = np.arange(low, high)
        x = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
        np.add.at(toggles, (y, np.clip(np.ceil(x), 0, columns).astype(int)), 1)
    return (np.cumsum(toggles, axis=1)[:, :columns] % 2).astype(bool)


def _segments(ds: Dataset, source: Source, series: Series) -> list[NamedMask]:
    labels = {
        whole(segment, "SegmentNumber") or 0: string(segment, "SegmentLabel")
        for segment in items(ds, "SegmentSequence")
    }
    frames = frames_of(ds, source)
    kind = string(ds, "SegmentationType")
    stored = decode(source, [frame.index for frame in frames], frames[0].frames)
    masks = {segment: np.zeros(series.shape, bool) for segment in labels}
    groups = items(ds, "PerFrameFunctionalGroupsSequence")
    threshold = (number(ds, "MaximumFractionalValue") or 1.0) / 2 if kind == "FRACTIONAL" else 0.5
    for frame, values in zip(frames, stored, strict=True):
        place = _place(frame, series)
        if place is None:
            continue
        if kind == "LABELMAP":
            for segment in masks:
                masks[segment][place] |= values == segment
            continue
        group = groups[frame.index] if frame.index < len(groups) else Dataset()
        shared = first(ds, "SharedFunctionalGroupsSequence")
        identity = first(group, "SegmentIdentificationSequence") or first(
            shared, "SegmentIdentificationSequence"
        )
        segment = whole(identity, "ReferencedSegmentNumber") or 0
        if segment in masks:
            masks[segment][place] |= values >= threshold
    return [
        NamedMask(labels[segment] or f"segment {segment}", series, Volume(mask, series.geometry))
        for segment, mask in masks.items()
        if segment or kind != "LABELMAP"
    ]


def _place(frame: Frame, series: Series) -> tuple[int, ...] | tuple[()] | None:
    """Which slice of the series a frame is; () for a picture, None outside the volume."""
    if (frame.rows, frame.columns) != series.shape[-2:]:
        raise BadInput(
            f"a segmentation of {frame.rows} x {frame.columns} pixels lies on an image of "
            f"{series.shape[-2]} x {series.shape[-1]}",
            "one grid",
        )
    geometry = series.geometry
    if not isinstance(geometry, Geometry):
        return ()
    if not frame.placed or frame.orientation is None or frame.spacing_mm is None:
        raise BadInput("a segmentation frame has no place in the patient", "position and orientation")
    corners = np.array([[0, 0], [frame.rows - 1, 0], [0, frame.columns - 1]], float)
    row, column = frame.orientation * np.array(frame.spacing_mm)[::-1, None]
    points = frame.position_mm + corners[:, :1] * column + corners[:, 1:] * row
    index = geometry.to_index(points)
    k = round(float(index[0, 0]))
    wanted = np.column_stack([np.full(3, k), corners])
    off = np.abs(index - wanted)
    off[:, 0] /= 5  # slices may lie a quarter of a voxel off along the normal
    if off.max() > GRID_TOLERANCE:
        raise BadInput("a segmentation lies on another grid than its image", "frames that are its slices")
    return (k,) if 0 <= k < series.shape[0] else None
