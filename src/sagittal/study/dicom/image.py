"""Write a series as DICOM images: DX, CR, CT, MR.

One template is encoded, and only the elements that differ between slices are filled in, so that
writing is bound by the disk. The same series gives the same bytes.
Source: PS3.3 A.2 (CR), A.3 (CT), A.4 (MR), A.26 (DX).
"""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sr.codedict import codes
from pydicom.valuerep import format_number_as_ds

from sagittal.errors import BadInput
from sagittal.study.dicom.header import IMPLEMENTATION_NAME, IMPLEMENTATION_UID, da, fill_study, text
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.study import Acquisition, Series, Study
from sagittal.study.uid import derived_uid, dicom_uid

SOP_CLASS = {
    "CR": uids.ComputedRadiographyImageStorage,
    "DX": uids.DigitalXRayImageStorageForPresentation,
    "CT": uids.CTImageStorage,
    "MR": uids.MRImageStorage,
}
SYNTHETIC = "SYNTHETIC"
"""ImageType value of a synthetic image; with (0010,0200) or (0028,0300) YES it makes a study synthetic."""

_VARYING = (0x00080018, 0x00200013, 0x00200032, 0x00201041, 0x7FE00010)
_POSITIONS = {
    # series position -> (patient orientation, modifier), CID 19 and 20
    "ERECT": ("erect", None),
    "RECUMBENT": ("recumbent", None),
    "SUPINE": ("recumbent", "supine"),
    "PRONE": ("recumbent", "prone"),
    "SEMI-ERECT": ("semi-erect", None),
}
_VIEWS = {"PA": "PosteroAnterior", "AP": "AnteroPosterior", "LL": "LeftLateral", "RL": "RightLateral"}
_WINDOWS = {
    "CHEST": ((40, 400), (-600, 1500)),
    "BRAIN": ((40, 80),),
    "HEAD": ((40, 80),),
}


def write_series(study: Study, series: Series, folder: Path) -> list[Path]:
    """Write ``series`` into ``folder`` (made if absent), one file a slice; returns the paths in order.

    Voxels are rounded to integers: HU for CT, 0 to 65535 for radiographs and MR. SOP instance UIDs
    are those of ``series.instances`` or derived from the series UID and the slice index.

    Raises:
        BadInput: a modality that is not written, or voxels that do not fit.
    """
    if series.modality not in SOP_CLASS:
        raise BadInput(f"a {series.modality} series cannot be written as DICOM", "CR, CT, DX or MR")
    volume = series.volume
    stored, offset = _stored(volume.voxels, series.modality)
    template = _template(study, series, stored, offset)
    sop_class, pieces = str(template.SOPClassUID), _encode(template)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    slices = stored[None] if stored.ndim == 2 else stored
    for index, pixels in enumerate(slices):
        varying = _varying(series, index, pixels)
        path = folder / f"{index + 1:04d}.dcm"
        body = b"".join(
            piece + varying.get(tag, b"") for piece, tag in zip(pieces, (*_VARYING, 0), strict=True)
        )
        path.write_bytes(_preamble(sop_class, sop_uid(series, index)) + body)
        paths.append(path)
    return paths


def sop_uid(series: Series, index: int) -> str:
    """SOP instance UID of a slice: the instance's own, or one derived from series and index."""
    if index < len(series.instances):
        return dicom_uid(series.instances[index].sop_instance_uid)
    return derived_uid(series.uid, "instance", str(index))


def _stored(voxels: NDArray[np.generic], modality: str) -> tuple[NDArray[np.uint16], int]:
    """Voxels as unsigned 16-bit, and the rescale intercept that undoes it."""
    offset = -1024 if modality == "CT" else 0
    values = np.asarray(voxels)
    if values.dtype == np.uint16 and not offset:
        return np.ascontiguousarray(values), 0
    if not np.isfinite(values).all() if values.dtype.kind == "f" else False:
        raise BadInput("the series has voxels that are not finite", "numbers")
    whole = np.rint(values).astype(np.int32) - offset
    if modality == "CT":
        # Scanners clip at the ends of their range as well.
        np.clip(whole, 0, 65535, out=whole)
    if whole.size and (whole.min() < 0 or whole.max() > 65535):
        raise BadInput(
            f"voxels run from {values.min():g} to {values.max():g}", "0 to 65535 for a written image"
        )
    return np.ascontiguousarray(whole.astype("<u2")), offset


def _template(study: Study, series: Series, stored: NDArray[np.uint16], offset: int) -> Dataset:
    ds = Dataset()
    fill_study(ds, study)
    acquisition = series.acquisition
    ds.SOPClassUID = SOP_CLASS[series.modality]
    ds.Modality = series.modality
    ds.SeriesInstanceUID = dicom_uid(series.uid)
    ds.SeriesNumber = series.number if series.number is not None else 1
    ds.SeriesDescription = text(series.description or acquisition.sequence or "")
    ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = da(study.date)
    ds.ContentTime = ""
    ds.InstanceCreationDate = da(study.date)
    ds.Manufacturer = text(acquisition.manufacturer or "")
    if acquisition.model_name:
        ds.ManufacturerModelName = text(acquisition.model_name)
    if series.body_part:
        ds.BodyPartExamined = text(series.body_part.upper(), 16)
    if study.synthetic:
        ds.QualityControlImage = "YES"
    _pixels(ds, stored, offset, series.modality)
    _contrast(ds, acquisition)
    if isinstance(series.geometry, Geometry):
        _cross_section(ds, study, series, series.geometry)
    else:
        _radiograph(ds, study, series, series.geometry, stored)
    _technique(ds, series)
    return ds


def _pixels(ds: Dataset, stored: NDArray[np.uint16], offset: int, modality: str) -> None:
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.BitsAllocated = 16
    ds.BitsStored = 12 if not stored.size or int(stored.max()) < 4096 else 16
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = 0
    ds.LossyImageCompression = "00"
    if modality == "CT":
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = offset, 1, "HU"
    if modality == "DX":
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
        ds.PresentationLUTShape = "IDENTITY"


def _contrast(ds: Dataset, acquisition: Acquisition) -> None:
    if acquisition.contrast_agent:
        ds.ContrastBolusAgent = text(acquisition.contrast_agent)


def _image_type(study: Study, *values: str) -> list[str]:
    return [*values, SYNTHETIC] if study.synthetic else [value for value in values if value]


def _cross_section(ds: Dataset, study: Study, series: Series, geometry: Geometry) -> None:
    spacing, directions = geometry.spacing_mm, geometry.directions
    ds.FrameOfReferenceUID = dicom_uid(
        geometry.frame_of_reference_uid or derived_uid(study.uid, "frame of reference")
    )
    ds.PositionReferenceIndicator = ""
    ds.PatientPosition = text(series.position or "", 16)
    ds.ImageOrientationPatient = [ds_text(v) for v in (*directions[:, 2], *directions[:, 1])]
    ds.PixelSpacing = [ds_text(spacing[1]), ds_text(spacing[2])]
    ds.SliceThickness = ds_text(series.acquisition.slice_thickness_mm or spacing[0])
    ds.AcquisitionNumber = 1
    if series.modality == "CT":
        ds.ImageType = _image_type(study, "ORIGINAL", "PRIMARY", "AXIAL")
        windows = _WINDOWS.get((series.body_part or "").upper(), ((40, 400),))
        ds.WindowCenter = [ds_text(center) for center, _ in windows]
        ds.WindowWidth = [ds_text(width) for _, width in windows]
    else:
        adc = series.acquisition.sequence == "ADC"
        ds.ImageType = _image_type(
            study, *(("DERIVED", "PRIMARY", "ADC") if adc else ("ORIGINAL", "PRIMARY", "M"))
        )
        ds.SpacingBetweenSlices = ds_text(spacing[0])
        _window(ds, series)


def _window(ds: Dataset, series: Series) -> None:
    voxels = series.volume.voxels
    sample = voxels[::2, ::2] if voxels.ndim == 2 else voxels[::4, ::4, ::4]
    low, high = np.percentile(sample, (0.5, 99.5))
    ds.WindowCenter = ds_text(round((low + high) / 2))
    ds.WindowWidth = ds_text(max(2, round(high - low)))


def _radiograph(ds: Dataset, study: Study, series: Series, plane: Plane, stored: NDArray[np.uint16]) -> None:
    ds.ImageType = _image_type(study, "ORIGINAL", "PRIMARY", "")
    ds.PatientOrientation = list(plane.patient_orientation) if plane.patient_orientation else ""
    if plane.spacing_mm:
        ds.ImagerPixelSpacing = [ds_text(v) for v in plane.spacing_mm]
    ds.BurnedInAnnotation = "NO"
    ds.ViewPosition = text(series.view or "", 16)
    _window(ds, series)
    if series.modality == "CR":
        ds.setdefault("BodyPartExamined", "")
        return
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.ImageLaterality = "U"
    ds.PixelIntensityRelationship = "LOG"
    ds.PixelIntensityRelationshipSign = -1
    ds.DetectorType = ds.PositionerType = ""
    ds.AcquisitionContextSequence = []
    ds.AnatomicRegionSequence = _region(series.body_part)
    if view := _VIEWS.get((series.view or "").upper()):
        ds.ViewCodeSequence = [_item(getattr(codes.SCT, view))]
    if not plane.spacing_mm:
        # Type 1 in the DX Detector module: without it only CR can hold the picture truthfully.
        raise BadInput("a DX image without a pixel pitch", "Plane.spacing_mm, or modality CR")
    if series.position and series.position.upper() in _POSITIONS:
        ds.PatientOrientationCodeSequence = _position(series.position.upper())


def _item(code: object) -> Dataset:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator = code.value, code.scheme_designator  # type: ignore[attr-defined]
    ds.CodeMeaning = code.meaning  # type: ignore[attr-defined]
    return ds


def _region(body_part: str | None) -> list[Dataset]:
    known = {"CHEST": codes.SCT.Chest, "BRAIN": codes.SCT.Brain, "HEAD": codes.SCT.Head}
    code = known.get((body_part or "").upper())
    return [_item(code)] if code else []


def _position(position: str) -> list[Dataset]:
    orientation, modifier = _POSITIONS[position]
    known = {
        "erect": codes.NCIt.Erect,
        "recumbent": codes.SCT.Recumbent,
        "semi-erect": codes.SCT.SemiErect,
        "supine": codes.SCT.Supine,
        "prone": codes.SCT.Prone,
    }
    item = _item(known[orientation])
    if modifier:
        item.PatientOrientationModifierCodeSequence = [_item(known[modifier])]
    return [item]


def _technique(ds: Dataset, series: Series) -> None:
    a = series.acquisition
    if series.modality != "MR":
        ds.KVP = ds_text(a.kvp) if a.kvp else ""
        if a.exposure_mas is not None:
            ds.Exposure = round(a.exposure_mas)
            ds.ExposureInuAs = round(a.exposure_mas * 1000)
    if series.modality == "CT":
        ds.ConvolutionKernel = text(a.kernel or "", 16)
    if series.modality != "MR":
        return
    inversion = a.ti_ms is not None
    gradient = a.flip_angle_deg is not None and a.flip_angle_deg < 60
    kind = "EP" if a.b_value is not None else "GR" if gradient else "SE"
    ds.ScanningSequence = [kind, "IR"] if inversion else kind
    ds.SequenceVariant = "NONE"
    ds.ScanOptions = ""
    ds.MRAcquisitionType = "2D"
    ds.EchoTrainLength = ""
    ds.RepetitionTime = ds_text(a.tr_ms) if a.tr_ms else ""
    ds.EchoTime = ds_text(a.te_ms) if a.te_ms is not None else ""
    if inversion:
        ds.InversionTime = ds_text(a.ti_ms)
    if a.flip_angle_deg is not None:
        ds.FlipAngle = ds_text(a.flip_angle_deg)
    if a.field_strength_t is not None:
        ds.MagneticFieldStrength = ds_text(a.field_strength_t)
    if a.b_value is not None:
        ds.DiffusionBValue = float(a.b_value)


def ds_text(value: float | None) -> str:
    """A number as a DICOM decimal string of at most 16 characters."""
    # -0.0 and 0.0 are one number and must give one text.
    return format_number_as_ds(float(value or 0.0) + 0.0)


def _encode(template: Dataset) -> list[bytes]:
    """The encoded template, cut where a varying element belongs."""
    edges = (0, *_VARYING, 0xFFFFFFFF)
    pieces = []
    for low, high in itertools.pairwise(edges):
        part = Dataset({element.tag: element for element in template if low < element.tag < high})
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_dataset(buffer, part, parent_encoding="utf-8")
        pieces.append(buffer.getvalue())
    return pieces


def _element(tag: int, vr: str, value: bytes) -> bytes:
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "OW") else b" "
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in ("OB", "OW"):
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def _preamble(sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """128 zeros, "DICM" and the file meta information (PS3.10 7.1), written by hand for speed."""
    meta = b"".join(
        (
            _element(0x00020001, "OB", b"\x00\x01"),
            _element(0x00020002, "UI", sop_class_uid.encode()),
            _element(0x00020003, "UI", sop_instance_uid.encode()),
            _element(0x00020010, "UI", uids.ExplicitVRLittleEndian.encode()),
            _element(0x00020012, "UI", IMPLEMENTATION_UID.encode()),
            _element(0x00020013, "SH", IMPLEMENTATION_NAME.encode()),
        )
    )
    return b"\0" * 128 + b"DICM" + _element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta


def _varying(series: Series, index: int, pixels: NDArray[np.uint16]) -> dict[int, bytes]:
    elements = {
        0x00080018: _element(0x00080018, "UI", sop_uid(series, index).encode()),
        0x00200013: _element(0x00200013, "IS", str(index + 1).encode()),
        0x7FE00010: _element(0x7FE00010, "OW", pixels.astype("<u2", copy=False).tobytes()),
    }
    if isinstance(series.geometry, Geometry):
        origin = series.geometry.to_mm((index, 0, 0))
        directions = series.geometry.directions
        along = float(origin @ np.cross(directions[:, 2], directions[:, 1]))
        elements[0x00200032] = _element(0x00200032, "DS", "\\".join(map(ds_text, origin)).encode())
        elements[0x00201041] = _element(0x00201041, "DS", ds_text(round(along, 6)).encode())
    return elements
