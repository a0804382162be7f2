"""A case on disk: DICOM, context.json, truth.json and truth_* masks."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

from sagittal.phantom.truth import Case
from sagittal.report.codec import dumps
from sagittal.study.dicom.image import write_series
from sagittal.study.geometry import Geometry
from sagittal.study.volume import Volume


def write_case(case: Case, folder: Path) -> Path:
    """Write one study into the new folder ``folder``; the same case gives the same bytes."""
    folder.mkdir(parents=True)
    for series in case.study.series:
        write_series(case.study, series, folder / f"series-{series.number or 1:02d}")
    (folder / "context.json").write_text(dumps(case.study.context), encoding="utf-8")
    (folder / "truth.json").write_text(dumps(case.truth), encoding="utf-8")
    for name, mask in case.masks.items():
        write_mask(mask, folder / f"truth_{name}")
    return folder


def write_mask(mask: Volume, stem: Path) -> Path:
    """Write a mask as ``stem``.nii.gz (RAS affine, as NIfTI wants) or ``stem``.png (0 and 255)."""
    voxels = np.asarray(mask.voxels)
    if not isinstance(mask.geometry, Geometry):
        path = stem.with_name(f"{stem.name}.png")
        Image.fromarray((voxels > 0).astype(np.uint8) * 255).save(path, compress_level=1)
        return path
    path = stem.with_name(f"{stem.name}.nii.gz")
    lps_from_zyx = mask.geometry.affine
    ras_from_xyz = np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps_from_zyx[:, [2, 1, 0, 3]]
    make_image: Any = nib.Nifti1Image
    image = make_image(np.ascontiguousarray(voxels.transpose(2, 1, 0), np.uint8), ras_from_xyz)
    image.header.set_xyzt_units("mm")
    buffer = io.BytesIO()
    image.to_file_map({"image": nib.FileHolder(fileobj=buffer), "header": nib.FileHolder(fileobj=buffer)})
    # mtime=0 keeps the clock out of the bytes.
    path.write_bytes(gzip.compress(buffer.getvalue(), compresslevel=1, mtime=0))
    return path
