"""Small studies in memory, and DICOM made from them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from sagittal.study.dicom.image import write_series
from sagittal.study.geometry import Geometry
from sagittal.study.study import Acquisition, Patient, Series, Study
from sagittal.study.volume import Volume

Build = Callable[..., tuple[Study, Series]]


@pytest.fixture(scope="session")
def build() -> Build:
    """``build(volume, modality=..., **series fields)`` -> study and its series."""

    def make(volume: Volume, modality: str = "CT", *, synthetic: bool = False, **fields: Any) -> Any:
        given = {"uid": "2.25.77", "body_part": "CHEST", "description": "made"} | fields
        series = Series(
            modality=modality,
            shape=volume.shape,
            geometry=volume.geometry,
            unit=volume.unit,
            decode=lambda: volume,
            **given,
        )
        patient = Patient("P1", "Doe^Jo", "F", date(1960, 5, 6), 60.0)
        study = Study("2.25.7", patient, (series,), date=date(2021, 2, 3), synthetic=synthetic)
        return study, series

    return make


@pytest.fixture(scope="session")
def ct() -> Volume:
    """Six slices of different content, 2.5 mm apart."""
    rng = np.random.default_rng(1)
    voxels = rng.integers(-1024, 1500, (6, 12, 10)).astype(np.int16)
    return Volume(voxels, Geometry.from_spacing((2.5, 0.8, 0.7), (-10.5, 20.25, -300.0)), "HU")


@pytest.fixture
def ct_folder(build: Build, ct: Volume, tmp_path: Path) -> Path:
    """A folder with that CT as DICOM."""
    study, series = build(ct, acquisition=Acquisition(slice_thickness_mm=2.5, kvp=120.0))
    write_series(study, series, tmp_path / "ct")
    return tmp_path / "ct"


@pytest.fixture(scope="session")
def edit() -> Callable[..., None]:
    """``edit(path, Keyword=value, ...)`` rewrites a DICOM file; None deletes."""

    def change(path: Path, **values: Any) -> None:
        ds: Dataset = dcmread(path)
        for keyword, value in values.items():
            if value is None:
                del ds[keyword]
            else:
                setattr(ds, keyword, value)
        if "SOPInstanceUID" in values:
            ds.file_meta.MediaStorageSOPInstanceUID = values["SOPInstanceUID"]
        ds.save_as(path)

    return change
