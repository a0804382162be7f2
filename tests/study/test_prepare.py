"""prepare: exact grids, honest refusals, and masks that come home."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.errors import Refused
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.prepare import prepare
from sagittal.study.spec import InputSpec
from sagittal.study.study import Acquisition, Patient, Series, Study
from sagittal.study.volume import Volume


def series(voxels: np.ndarray, geometry: Geometry | Plane, **more: object) -> Series:
    volume = Volume(voxels, geometry, "arbitrary")
    fields = {"uid": "2.25.1", "modality": "MR", "unit": "arbitrary"} | more
    return Series(shape=volume.shape, geometry=geometry, decode=lambda: volume, **fields)  # type: ignore[arg-type]


def turned(shape: tuple[int, ...], order: tuple[int, ...], signs: tuple[int, ...]) -> Geometry:
    """A grid whose index axes are the patient axes in some order and direction."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for index_axis, (patient_axis, sign) in enumerate(zip(order, signs, strict=True)):
        affine[patient_axis, index_axis] = sign * (1.0 + 0.5 * index_axis)
    affine[:3, 3] = (5.0, -7.0, 11.0)
    return Geometry(affine)


@settings(max_examples=12, deadline=None)
@given(
    order=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    size=st.tuples(*[st.integers(5, 14)] * 3),
)
def test_reorienting_keeps_every_voxel_at_its_place(
    order: list[int], signs: tuple[int, ...], size: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    voxels = rng.random((6, 7, 8)).astype(np.float32)
    one = series(voxels, turned(voxels.shape, tuple(order), signs))
    spec = InputSpec(("MR",), orientation="SPL", size=size, fit="crop", normalise="window", window=(0, 1))
    made = prepare(one, spec)
    assert isinstance(made.geometry, Geometry)
    assert made.geometry.orientation == "SPL"
    index = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), -1)
    native = one.geometry.to_index(made.geometry.to_mm(index))  # type: ignore[union-attr]
    nearest = np.round(native).astype(int)
    assert np.allclose(native, nearest, atol=1e-6)
    inside = ((nearest >= 0) & (nearest < voxels.shape)).all(-1)
    picked = voxels[tuple(np.moveaxis(np.where(inside[..., None], nearest, 0), -1, 0))]
    assert np.array_equal(made.array[0], np.where(inside, picked, 0))


@settings(max_examples=12, deadline=None)
@given(order=st.permutations([0, 1, 2]), signs=st.tuples(*[st.sampled_from([-1, 1])] * 3))
def test_a_mask_comes_home(order: list[int], signs: tuple[int, ...]) -> None:
    mask = np.zeros((10, 12, 14), bool)
    mask[2:5, 3:9, 4:12] = True
    one = series(mask.astype(np.float32), turned(mask.shape, tuple(order), signs))
    made = prepare(one, InputSpec(("MR",), orientation="SPL", size=(16, 16, 22), fit="crop"))
    there = made.from_native(mask)
    assert there.sum() == mask.sum()
    assert np.array_equal(made.to_native(there), mask)
    assert np.array_equal(made.to_native(np.stack([there, ~there]))[0], mask)


@pytest.mark.parametrize("shape", [(100, 80), (64, 200), (257, 256)])
def test_resize_keeps_proportions_and_centre(shape: tuple[int, int]) -> None:
    voxels = np.zeros(shape, np.float32)
    y, x = np.indices(shape)
    middle = (np.array(shape) - 1) / 2
    radius = min(shape) / 4
    voxels[(y - middle[0]) ** 2 + (x - middle[1]) ** 2 < radius**2] = 1
    one = series(voxels, Plane((0.5, 0.5)), modality="DX")
    made = prepare(one, InputSpec(("DX",), size=(64, 64), fit="resize", normalise="window", window=(0, 1)))
    assert isinstance(made.geometry, Plane) and made.geometry.spacing_mm is not None
    scale = max(shape) / 64
    assert made.geometry.spacing_mm == pytest.approx((0.5 * scale, 0.5 * scale))
    drawn = made.array[0] > 0.5
    rows, columns = np.nonzero(drawn)
    assert rows.mean() == pytest.approx(31.5, abs=0.3) and columns.mean() == pytest.approx(31.5, abs=0.3)
    assert drawn.sum() == pytest.approx(np.pi * (radius / scale) ** 2, rel=0.1)
    back = made.to_native(drawn)
    truth = voxels > 0.5
    assert 2 * (back & truth).sum() / (back.sum() + truth.sum()) > 0.93


def test_identity_changes_no_value() -> None:
    voxels = np.arange(256 * 256, dtype=np.float32).reshape(256, 256)
    one = series(voxels, Plane(None, None, ("L", "F")), modality="DX")
    spec = InputSpec(
        ("DX",), orientation="LF", size=(256, 256), fit="resize", normalise="window", window=(0, 65535)
    )
    assert np.array_equal(prepare(one, spec).array[0], voxels / np.float32(65535))


@pytest.mark.parametrize(("orientation", "axis"), [(("R", "F"), 1), (("L", "H"), 0)])
def test_a_picture_is_turned_to_the_wanted_side(orientation: tuple[str, str], axis: int) -> None:
    voxels = np.arange(64, dtype=np.float32).reshape(8, 8)
    one = series(voxels, Plane(None, None, orientation), modality="DX")
    spec = InputSpec(("DX",), orientation="LF", size=(8, 8), fit="resize", normalise="window", window=(0, 63))
    made = prepare(one, spec)
    assert np.allclose(made.array[0] * 63, np.flip(voxels, axis))
    assert isinstance(made.geometry, Plane) and made.geometry.patient_orientation == ("L", "F")


def test_several_series_meet_on_the_first_ones_grid() -> None:
    smooth = np.add.outer(np.add.outer(np.arange(12.0), np.arange(16.0)), np.arange(20.0)).astype(np.float32)
    first = series(smooth, Geometry.from_spacing((2, 1, 1)), acquisition=Acquisition(sequence="T1"))
    shifted = Geometry.from_spacing((2, 1, 1), (-3.0, -2.0, -4.0))
    big = np.add.outer(np.add.outer(np.arange(16.0) - 2, np.arange(20.0) - 2), np.arange(26.0) - 3)
    second = series(big.astype(np.float32), shifted, acquisition=Acquisition(sequence="T2"))
    spec = InputSpec(("MR",), sequence=("T1", "T2"), channels=2, normalise="window", window=(-50, 100))
    made = prepare([first, second], spec)
    assert np.allclose(made.array[0], made.array[1], atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (InputSpec(("CT",)), "CT"),
        (InputSpec(("MR",), body_part="BRAIN"), "BRAIN"),
        (InputSpec(("MR",), unit="HU"), "HU"),
        (InputSpec(("MR",), age_years=(18, 99)), "18 to 99 years"),
        (InputSpec(("MR",), sequence=("T1",)), "T1"),
        (InputSpec(("MR",), max_slice_mm=1.5), "at most 1.5 mm"),
        (InputSpec(("MR",), view=("PA",)), "PA"),
    ],
)
def test_outside_the_specification_is_refused_by_name(spec: InputSpec, wanted: str) -> None:
    one = series(np.ones((4, 5, 6), np.float32), Geometry.from_spacing((2, 1, 1)))
    with pytest.raises(Refused) as caught:
        prepare(one, spec, Study("1", Patient(age_years=7.0), (one,)))
    assert wanted in caught.value.wanted and caught.value.got


def test_not_a_number_is_refused() -> None:
    voxels = np.ones((4, 5, 6), np.float32)
    voxels[1, 2, 3] = np.nan
    with pytest.raises(Refused, match="finite"):
        prepare(series(voxels, Geometry.from_spacing((1, 1, 1))), InputSpec(("MR",)))


def test_what_the_user_stated_is_told() -> None:
    one = series(np.ones((4, 5, 6), np.float32), Geometry.from_spacing((1, 1, 1)), body_part="BRAIN")
    study = Study("1", Patient(), (one,), stated={"body_part": "BRAIN"})
    assert prepare(one, InputSpec(("MR",), body_part="BRAIN"), study).stated == (
        "body part BRAIN: stated by user",
    )


@settings(max_examples=16, deadline=None)
@given(
    first=st.sampled_from("LRFH"),
    second=st.sampled_from("LRFH"),
    spacing=st.tuples(st.floats(0.2, 2), st.floats(0.2, 2)),
)
def test_pictures_turned_any_way_come_out_upright(
    first: str, second: str, spacing: tuple[float, float]
) -> None:
    if (first in "LR") == (second in "LR"):
        return
    voxels = np.arange(63, dtype=np.float32).reshape(9, 7)
    one = series(voxels, Plane(spacing, "x", (first, second)), modality="DX")
    made = prepare(one, InputSpec(("DX",), orientation="LF", normalise="window", window=(0, 62)))
    across, down = ("L" if first in "LR" else "F"), ("F" if second in "HF" else "L")
    upright = np.flip(voxels, 1) if first != across else voxels
    upright = np.flip(upright, 0) if second != down else upright
    upright = upright.T if first in "HF" else upright
    assert np.allclose(made.array[0] * 62, upright)
    wanted = spacing[::-1] if first in "HF" else spacing
    assert made.geometry == Plane((pytest.approx(wanted[0]), pytest.approx(wanted[1])), "x", ("L", "F"))
    assert np.array_equal(made.to_native(made.from_native(voxels)), voxels)


def test_a_lateral_film_is_not_taken_for_a_frontal_one() -> None:
    one = series(np.ones((9, 7), np.float32), Plane(None, None, ("A", "F")), modality="DX")
    with pytest.raises(Refused) as caught:
        prepare(one, InputSpec(("DX",), orientation="LF"))
    assert (caught.value.wanted, caught.value.got) == ("LF", "AF")


def test_labels_stay_labels() -> None:
    labels = np.random.default_rng(0).choice([0, 3, 7], (9, 11, 13)).astype(np.int16)
    one = series(labels.astype(np.float32), Geometry.from_spacing((2, 1, 1)))
    made = prepare(one, InputSpec(("MR",), spacing_mm=(1.0, 0.7, 0.7)))
    there = made.from_native(labels)
    assert set(np.unique(there)) <= {0, 3, 7}
    assert (made.to_native(there) == labels).mean() > 0.95


def test_series_of_different_frames_of_reference_are_not_mixed() -> None:
    def one(sequence: str, frame: str) -> Series:
        geometry = Geometry(Geometry.from_spacing((2, 1, 1), (len(frame), 0, 0)).affine, frame)
        return series(np.ones((4, 5, 6), np.float32), geometry, acquisition=Acquisition(sequence=sequence))

    spec = InputSpec(("MR",), sequence=("T1", "T2"), channels=2)
    with pytest.raises(Refused, match="frame of reference"):
        prepare([one("T1", "1.2"), one("T2", "1.2.3")], spec)


def test_any_of_several_sequences_will_do_for_one_channel() -> None:
    one = series(
        np.ones((4, 5, 6), np.float32),
        Geometry.from_spacing((1, 1, 1)),
        acquisition=Acquisition(sequence="T2"),
    )
    assert prepare(one, InputSpec(("MR",), sequence=("T1", "T2"))).array.shape == (1, 4, 5, 6)
    with pytest.raises(Refused) as caught:
        prepare(one, InputSpec(("MR",), sequence=("T1", "T1c")))
    assert (caught.value.wanted, caught.value.got) == ("T1 or T1c", "T2")


def test_resampling_agrees_with_simpleitk() -> None:
    grid = np.meshgrid(*[np.linspace(0, 2, n) for n in (9, 20, 24)], indexing="ij")
    voxels = (2 + np.sin(grid[0]) + np.cos(2 * grid[1]) + grid[2]).astype(np.float32)
    one = series(voxels, Geometry.from_spacing((4.0, 1.0, 1.2), (3.0, -5.0, 7.0)))
    made = prepare(one, InputSpec(("MR",), spacing_mm=(2.0, 0.8, 0.9), normalise="window", window=(0.0, 8.0)))
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1.2, 1.0, 4.0))
    image.SetOrigin((3.0, -5.0, 7.0))
    target: Geometry = made.geometry  # type: ignore[assignment]
    like = sitk.Image(*[int(n) for n in made.array.shape[:0:-1]], sitk.sitkFloat32)
    like.SetSpacing(target.spacing_mm[::-1])
    like.SetOrigin(target.to_mm((0, 0, 0)))
    oracle = sitk.GetArrayFromImage(sitk.Resample(image, like, sitk.Transform(), sitk.sitkLinear, -1.0))
    inside = oracle >= 0
    assert inside.mean() > 0.95
    assert np.abs(oracle / 8 - made.array[0])[inside].max() < 1e-5
