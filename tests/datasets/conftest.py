"""Tiny files in the formats that sets are published in: a few pixels each."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


class Make:
    """Writers below one folder; every picture differs from the others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = 0

    def _path(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.made += 1
        return path

    def text(self, name: str, text: str) -> Path:
        path = self._path(name)
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text, "utf-8")
        return path

    def film(self, name: str, *, bits: int = 8, size: tuple[int, int] = (8, 6)) -> Path:
        path = self._path(name)
        top = 2**bits - 1
        values = np.random.default_rng(self.made).integers(0, top, size)
        values[0, 0] = top
        Image.fromarray(values.astype(np.uint8 if bits == 8 else np.uint16)).save(path)
        return path

    def volume(self, name: str, voxels: Any = None, *, shape: tuple[int, ...] = (4, 5, 6)) -> Path:
        """NIfTI in i, j, k[, channel] order."""
        path = self._path(name)
        if voxels is None:
            voxels = np.random.default_rng(self.made).integers(-1000, 1000, shape)
        nibabel.save(nibabel.Nifti1Image(np.asarray(voxels, np.int16), np.diag([1.5, 1.5, 1.5, 1])), path)
        return path

    def dicom(self, name: str, *, z: float = 0.0, **values: Any) -> Path:
        path = self._path(name)
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = values.get("SOPInstanceUID", generate_uid())
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        given = {
            "SOPClassUID": CTImageStorage,
            "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
            "Modality": "CT",
            "PatientID": "",
            "StudyInstanceUID": "2.25.1",
            "SeriesInstanceUID": "2.25.2",
            "FrameOfReferenceUID": "2.25.3",
            "InstanceNumber": int(z) + 1,
            "ImagePositionPatient": [0, 0, z],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [1, 1],
            "SliceThickness": 1,
            "Rows": 8,
            "Columns": 8,
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 1,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "RescaleSlope": 1,
            "RescaleIntercept": 0,
        } | values
        for keyword, value in given.items():
            setattr(ds, keyword, value)
        pixels = np.random.default_rng(self.made).integers(-900, 900, (8, 8)).astype(np.int16)
        ds.PixelData = pixels.tobytes()
        ds.save_as(path, enforce_file_format=True)
        assert pydicom.dcmread(path).Rows == 8
        return path


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return Make(tmp_path)


@pytest.fixture
def no_images(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """After the call, whoever opens an image fails."""

    def close() -> None:
        def never(*_: object, **__: object) -> None:
            raise AssertionError("an image was opened")

        monkeypatch.setattr("sagittal.study.open.find", never)
        monkeypatch.setattr("sagittal.study.nifti._bytes", never)

    return close
