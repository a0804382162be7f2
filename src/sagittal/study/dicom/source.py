"""The image objects a derived object refers to, as header datasets."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from pydicom import uid as uids
from pydicom.dataset import Dataset, FileMetaDataset

from sagittal.errors import BadInput
from sagittal.study.dicom.header import fill_study
from sagittal.study.dicom.image import SOP_CLASS, ds_text, sop_uid
from sagittal.study.dicom.values import quiet
from sagittal.study.files import Source
from sagittal.study.geometry import Geometry
from sagittal.study.study import Series, Study
from sagittal.study.uid import derived_uid, dicom_uid


def source_datasets(study: Study, series: Series) -> list[Dataset]:
    """One header a slice, in slice order (one in all for a multi-frame object).

    Where the series was not read from DICOM files (a phantom in memory, NIfTI, a picture) the
    identity is the one that `write_series` would give it.

    Raises:
        BadInput: the files are gone.
    """
    if not series.instances or not series.instances[0].path:
        return [_made(study, series, index) for index in range(_slices(series))]
    found: list[Dataset] = []
    for instance in series.instances:
        path = Path(instance.path)
        try:
            with quiet(), Source(path.name, path, path.stat().st_size, instance.member).open() as stream:
                ds = dcmread(stream, stop_before_pixels=True, force=True)
        except (OSError, EOFError) as error:
            raise BadInput(f"{path} cannot be read any more ({error})") from None
        _complete(ds)
        found.append(ds)
    return found


def _slices(series: Series) -> int:
    return series.shape[0] if isinstance(series.geometry, Geometry) else 1


def _complete(ds: Dataset) -> None:
    """Give what derived objects copy and files in the wild may lack; empty means unknown."""
    for keyword in (
        "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber",
        "StudyDate", "StudyTime", "ReferringPhysicianName", "PositionReferenceIndicator",
    ):  # fmt: skip
        if keyword not in ds:
            setattr(ds, keyword, "")
    if getattr(ds, "file_meta", None) is None:
        ds.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = uids.ImplicitVRLittleEndian


def _made(study: Study, series: Series, index: int) -> Dataset:
    ds = Dataset()
    fill_study(ds, study)
    _complete(ds)
    ds.SOPClassUID = SOP_CLASS.get(series.modality, uids.SecondaryCaptureImageStorage)
    ds.SOPInstanceUID = sop_uid(series, index)
    ds.SeriesInstanceUID = dicom_uid(series.part_of or series.uid)
    ds.SeriesNumber = series.number if series.number is not None else 1
    ds.InstanceNumber = index + 1
    ds.Modality = series.modality
    ds.Rows, ds.Columns = series.shape[-2:]
    geometry = series.geometry
    if isinstance(geometry, Geometry):
        frame = geometry.frame_of_reference_uid or derived_uid(study.uid, "frame of reference")
        ds.FrameOfReferenceUID = dicom_uid(frame)
        spacing, directions = geometry.spacing_mm, geometry.directions
        ds.ImageOrientationPatient = [ds_text(v) for v in (*directions[:, 2], *directions[:, 1])]
        ds.ImagePositionPatient = [ds_text(v) for v in geometry.to_mm((index, 0, 0))]
        ds.PixelSpacing = [ds_text(spacing[1]), ds_text(spacing[2])]
        ds.SliceThickness = ds_text(series.acquisition.slice_thickness_mm or spacing[0])
    elif geometry.patient_orientation:
        ds.PatientOrientation = list(geometry.patient_orientation)
    return ds
