"""The mask of a row, on the grid of its image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sagittal.datasets.dataset import Dataset, Row
from sagittal.errors import BadInput
from sagittal.study.files import Source
from sagittal.study.geometry import Geometry
from sagittal.study.nifti import read_nifti
from sagittal.study.volume import Volume


def read_mask(data: Dataset, row: Row) -> Volume:
    """(z, y, x) uint16 values of ``data.mask_labels``; 0 is background.

    A folder of one file a structure becomes one array; where structures overlap, the later label stays.

    Raises:
        BadInput: the row has no mask, a file is missing or damaged, or holds a value without a name.
    """
    if not row.mask:
        raise BadInput(f"{row.study} of {data.name} has no mask")
    path = (data.folder or Path()) / row.mask
    if path.is_dir():
        return _merged(data, row, path)
    volume = _read(path)
    values = set(np.unique(volume.voxels).tolist())
    if any(value != int(value) for value in values):
        raise BadInput(f"{path} has values between whole numbers", "a mask of label values")
    unknown = sorted(values - {0, *data.mask_labels}) if data.mask_labels else []
    if unknown:
        named = ", ".join(f"{k} {v}" for k, v in list(data.mask_labels.items())[:8])
        raise BadInput(f"{path} has the value {unknown[0]:g}", f"0 or one of: {named}")
    return volume.like(volume.voxels.astype(np.uint16))


def _merged(data: Dataset, row: Row, folder: Path) -> Volume:
    merged: Volume | None = None
    for value, name in sorted(data.mask_labels.items()):
        path = folder / f"{name}.nii.gz"
        if not path.is_file():
            raise BadInput(f"{row.study} of {data.name} lacks {path.name}", "one file a structure")
        one = _read(path)
        if merged is None:
            merged = one.like(np.zeros(one.shape, np.uint16))
        if one.shape != merged.shape or not _same_grid(one, merged):
            raise BadInput(f"{path} is on another grid than the structures before it")
        merged.voxels[one.voxels > 0] = value
    if merged is None:
        raise BadInput(f"{folder} holds no structure")
    return merged


def _read(path: Path) -> Volume:
    if not path.is_file():
        raise BadInput(f"{path} does not exist", "the mask the set names")
    return read_nifti(Source(path.name, path.absolute(), path.stat().st_size)).volume


def _same_grid(one: Volume, other: Volume) -> bool:
    a, b = one.geometry, other.geometry
    return isinstance(a, Geometry) and isinstance(b, Geometry) and np.allclose(a.affine, b.affine, atol=1e-3)
