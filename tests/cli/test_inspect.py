"""`sagittal inspect`: the JSON of the contract, and bad input as one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sagittal.study.geometry import Geometry
from sagittal.study.nifti import write_nifti
from sagittal.study.volume import Volume


def volume(voxels: np.ndarray | None = None) -> Volume:
    filled = np.arange(60, dtype=np.int16).reshape(3, 4, 5) if voxels is None else voxels
    return Volume(filled, Geometry.from_spacing((6.5, 1.0, 2.0)))


def test_json_has_what_the_contract_names(sagittal: Any, tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "t1.nii.gz", volume())
    ran = sagittal("inspect", path, "--json", "--assume", "modality=MR,age=54Y")
    assert (ran.code, ran.err) == (0, "")
    assert set(ran.json) == {"study", "series", "problems"}
    (series,) = ran.json["series"]
    wanted = {"uid", "modality", "description", "shape", "spacing_mm", "orientation", "unit", "problems"}
    assert wanted <= set(series)
    assert series["shape"] == [3, 4, 5]
    assert np.allclose(series["spacing_mm"], [6.5, 1.0, 2.0])
    assert (series["orientation"], series["modality"], series["sequence"]) == ("SPL", "MR", "T1")
    assert series["problems"] == ["thick slices: 3 at 6.5 mm"]
    assert ran.json["study"]["stated"] == {"modality": "MR", "age": "54Y"}
    assert ran.json["study"]["age_years"] == 54.0


def test_text_says_the_same_without_the_name(sagittal: Any, shared_data: Path) -> None:
    ran = sagittal("inspect", shared_data / "brain_tumor_mr_dicom" / "Study3")
    assert ran.code == 0
    assert "22 x 320 x 280 · 6.5 x 0.688 x 0.688 mm · SPL" in ran.out
    assert ran.out.count("thick slices: 22 at 6.5 mm") == 4
    assert "^" not in ran.out


def bad(tmp_path: Path, kind: str) -> list[Any]:
    """Command lines that must end in one line and exit code 2."""
    path = tmp_path / "x"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "text file":
        path.write_text("hello")
    elif kind == "one pixel":
        Image.new("L", (1, 1)).save(path, "PNG")
    elif kind in ("nan", "4d", "context", "assume", "prior", "flag"):
        voxels = np.ones((3, 4, 5), np.float32)
        if kind == "nan":
            voxels[1, 1, 1] = np.nan
        write_nifti(tmp_path / "x.nii.gz", volume(voxels))
        path = tmp_path / "x.nii.gz"
    if kind == "4d":
        import nibabel as nib

        nib.Nifti1Image(np.ones((3, 4, 5, 2), np.int16), np.eye(4)).to_filename(path)
    if kind == "context":
        (tmp_path / "c.json").write_text("{not json")
        return [path, "--context", tmp_path / "c.json"]
    if kind == "prior":
        return [path, "--prior", tmp_path / "none"]
    return [path, *{"assume": ["--assume", "colour=red"], "flag": ["--colour"]}.get(kind, [])]


@pytest.mark.parametrize(
    "kind",
    ["empty folder", "text file", "missing", "one pixel", "nan", "4d", "context", "assume", "prior", "flag"],
)  # fmt: skip
def test_bad_input_is_one_line(sagittal: Any, tmp_path: Path, kind: str) -> None:
    arguments = bad(tmp_path, kind)
    before = sorted(tmp_path.rglob("*"))
    for json in ([], ["--json"]):
        ran = sagittal("inspect", *arguments, *json)
        assert ran.code == 2, ran
        assert ran.out == ""
        assert len(ran.err.splitlines()) == 1, ran.err
        assert ran.err.startswith("sagittal: ")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "DICOMDIR-empty.dcm", "no_meta.dcm", "rtplan.dump"])
def test_broken_dicom_is_one_line(sagittal: Any, shared_data: Path, name: str) -> None:
    (path,) = (shared_data / "dicom_variety").rglob(name)
    ran = sagittal("inspect", path)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
