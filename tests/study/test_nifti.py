"""NIfTI in and out, with nibabel and SimpleITK as judges."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.errors import BadInput
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.nifti import write_nifti
from sagittal.study.open import open_study
from sagittal.study.volume import Volume


def save(path: Path, data: np.ndarray, affine: Any = None, **header: Any) -> Path:
    made = nib.Nifti1Image(data, np.eye(4) if affine is None else affine)
    for key, value in header.items():
        made.header[key] = value
    made.to_filename(path)
    return path


def test_hippocampus_crops_are_where_simpleitk_has_them(shared_data: Path) -> None:
    for path in sorted((shared_data / "msd_hippocampus" / "images").iterdir())[:12]:
        series = open_study(path).series[0]
        oracle = sitk.ReadImage(str(path))
        assert series.shape == oracle.GetSize()[::-1]
        assert np.array_equal(series.volume.voxels, sitk.GetArrayFromImage(oracle))
        for index in ((0, 0, 0), (3, 5, 7)):
            ours = series.geometry.to_mm(index)  # type: ignore[union-attr]
            assert np.allclose(ours, oracle.TransformIndexToPhysicalPoint(index[::-1]), atol=1e-3)


def test_orientation_agrees_with_nibabel(shared_data: Path) -> None:
    path = shared_data / "totalseg_reference" / "example_seg_fast.nii.gz"
    ours = open_study(path).series[0].geometry.orientation
    # nibabel names the ends of i, j, k; our axes are k, j, i.
    assert ours == "".join(nib.aff2axcodes(nib.load(path).affine))[::-1]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), dtype=st.sampled_from(["u1", "i2", "u2", "i4", "f4", "b1"]))
def test_what_is_written_is_read_back(tmp_path_factory: Any, seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * rng.uniform(0.3, 6, 3), rng.uniform(-200, 200, 3)
    voxels = rng.integers(0, 2 if dtype == "b1" else 200, rng.integers(2, 7, 3)).astype(dtype)
    volume = Volume(voxels, Geometry(affine))
    path = write_nifti(tmp_path_factory.mktemp("n") / "x.nii.gz", volume)
    series = open_study(path).series[0]
    assert series.geometry == volume.geometry
    assert np.array_equal(series.volume.voxels, voxels)


def test_scaling_and_byte_order(tmp_path: Path) -> None:
    data = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    path = save(tmp_path / "s.nii", data)
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([0.5, -3.0], "<f4").tobytes()
    path.write_bytes(bytes(raw))
    voxels = open_study(path).series[0].volume.voxels
    assert np.array_equal(voxels, (data * 0.5 - 3).transpose(2, 1, 0))
    big = nib.Nifti1Image(data.astype(">i2"), np.eye(4), nib.Nifti1Header(endianness=">"))
    big.to_filename(tmp_path / "b.nii")
    series = open_study(tmp_path / "b.nii").series[0]
    assert np.array_equal(series.volume.voxels, data.transpose(2, 1, 0))
    assert series.volume.voxels.dtype.isnative


def test_nifti2_and_units(tmp_path: Path) -> None:
    data = np.ones((3, 4, 5), np.float32)
    nib.Nifti2Image(data, np.diag([2.0, 2, 2, 1])).to_filename(tmp_path / "two.nii.gz")
    assert open_study(tmp_path / "two.nii.gz").series[0].geometry.spacing_mm == (2.0, 2.0, 2.0)
    path = save(tmp_path / "m.nii", data, np.diag([0.002, 0.002, 0.002, 1.0]), xyzt_units=1)
    assert np.allclose(open_study(path).series[0].geometry.spacing_mm, 2.0, atol=1e-5)


def test_what_the_header_does_not_say_is_said(tmp_path: Path) -> None:
    data = np.ones((3, 4, 5), np.float32)
    path = save(tmp_path / "x.nii", data)
    raw = bytearray(path.read_bytes())
    raw[252:256] = bytes(4)  # qform_code and sform_code
    path.write_bytes(bytes(raw))
    assert "no orientation" in open_study(path).series[0].problems[0]
    thick = save(tmp_path / "t.nii", data, np.diag([1.0, 1, 6.5, 1]))
    assert open_study(thick).series[0].problems == ("thick slices: 5 at 6.5 mm",)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (np.ones((4, 4, 4, 3), np.float32), "4 dimensions"),
        (np.array([[[1.0, np.nan], [2.0, np.inf]]] * 2, np.float32), "4 voxels that are not finite"),
        (np.ones((3, 3, 3), np.complex64), "complex64"),
        (np.ones((1, 1, 1), np.float32), "more than one voxel"),
    ],
)
def test_images_that_are_not_taken(tmp_path: Path, data: np.ndarray, what: str) -> None:
    with pytest.raises(BadInput, match=what):
        open_study(save(tmp_path / "x.nii.gz", data))


def test_one_volume_in_four_dimensions_is_taken(tmp_path: Path) -> None:
    path = save(tmp_path / "x.nii.gz", np.ones((4, 5, 6, 1), np.int16))
    assert open_study(path).series[0].shape == (6, 5, 4)


def test_rgb_voxels_are_named(shared_data: Path) -> None:
    path = shared_data / "totalseg_reference" / "spine_report" / "example_ct_report" / "spine_report.nii.gz"
    with pytest.raises(BadInput, match="plain numbers"):
        open_study(path)


def test_damage_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype(np.int16)
    path = save(tmp_path / "x.nii", noise)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(BadInput, match="truncated"):
        open_study(path)
    packed = gzip.compress(whole)
    for bad in (packed[:-30], packed[:900] + b"\xff" * 40 + packed[940:]):
        (tmp_path / "y.nii.gz").write_bytes(bad)
        with pytest.raises(BadInput):
            open_study(tmp_path / "y.nii.gz")
    (tmp_path / "y.nii.gz").write_bytes(gzip.compress(whole[:300]) + gzip.compress(whole[300:]))
    assert open_study(tmp_path / "y.nii.gz").series[0].shape == (20, 20, 20)
    singular = bytearray(whole)
    singular[280:328] = b"\0" * 48
    path.write_bytes(bytes(singular))
    with pytest.raises(BadInput, match="affine"):
        open_study(path)


def test_fuzzed_headers_never_give_a_traceback(tmp_path: Path) -> None:
    whole = save(tmp_path / "x.nii", np.ones((6, 6, 6), np.float32)).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(120):
        damaged = bytearray(whole)
        for place in rng.integers(40, 352, 4):
            damaged[place] = int(rng.integers(256))
        (tmp_path / "f.nii").write_bytes(bytes(damaged))
        try:
            series = open_study(tmp_path / "f.nii").series[0]
            assert series.volume.shape == series.shape
        except BadInput as error:
            assert "\n" not in str(error)


def test_sidecar_tells_modality_and_sequence(tmp_path: Path) -> None:
    path = save(tmp_path / "x.nii.gz", np.ones((4, 5, 6), np.int16))
    said = {"Modality": "MR", "RepetitionTime": 9.0, "EchoTime": 0.11, "InversionTime": 2.5,
            "ScanningSequence": "SE\\IR", "MagneticFieldStrength": 3, "Manufacturer": "Maker"}  # fmt: skip
    (tmp_path / "x.json").write_text(json.dumps(said))
    series = open_study(path).series[0]
    assert (series.modality, series.acquisition.sequence) == ("MR", "FLAIR")
    assert series.acquisition.te_ms == pytest.approx(110)
    (tmp_path / "x.json").write_text("[" * 100_000)
    assert open_study(path).series[0].modality == "OT"


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    volume = Volume(np.ones((4, 5), np.uint8), Plane((0.5, 0.25)))
    path = write_nifti(tmp_path / "p.nii.gz", volume)
    made: Any = nib.load(path)
    assert made.shape == (5, 4, 1)
    assert np.allclose(made.header.get_zooms()[:2], (0.25, 0.5))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.nii.gz"]
    with pytest.raises(BadInput, match="cannot be written"):
        write_nifti(tmp_path / "no" / "p.nii.gz", volume)


@pytest.mark.parametrize("kind", ["int64", "uint64"])
def test_large_integers_do_not_wrap(tmp_path: Path, kind: str) -> None:
    voxels = np.arange(24, dtype=kind).reshape(2, 3, 4) + np.array(2**40, kind)
    path = write_nifti(tmp_path / "x.nii.gz", Volume(voxels, Geometry.from_spacing((1, 1, 1))))
    assert (voxels == np.asarray(nib.load(path).dataobj).T).all()


def test_what_overflows_single_precision_is_not_finite(tmp_path: Path, recwarn: Any) -> None:
    path = tmp_path / "x.nii"
    nib.Nifti1Image(np.full((3, 4, 5), 1e300), np.eye(4)).to_filename(path)
    with pytest.raises(BadInput, match="not finite"):
        open_study(path)
    assert not recwarn.list


def test_a_sheared_grid_claims_no_qform(tmp_path: Path) -> None:
    affine = np.array(Geometry.from_spacing((5, 1, 1)).affine)
    affine[:3, 0] = (0, 1.3, 4.8)
    voxels = np.ones((3, 4, 5), np.int16)
    path = write_nifti(tmp_path / "x.nii", Volume(voxels, Geometry(affine)))
    header = nib.load(path).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)
    (series,) = open_study(path).series
    assert series.geometry == Geometry(affine)
    assert not series.problems


def test_a_name_too_long_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="too long"):
        write_nifti(tmp_path / ("x" * 300 + ".nii"), Volume(np.ones((2, 2, 2)), Geometry(np.eye(4))))
