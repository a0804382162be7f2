"""Planes hang as they should, hold the file's own samples, and their labels come from geometry."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagittal.serve.pixels import cut, encoding, hang, letters, planes, window_values
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.volume import Volume

ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def landmarks(order: tuple[int, ...], signs: tuple[int, ...]) -> Volume:
    """A volume stored in any axis order whose voxel value tells its place: 100 S + 10 P + L."""
    shape = (3, 4, 5)  # along S, P, L
    spacing = (5.0, 2.0, 1.0)
    towards = {0: (0, 0, 1.0), 1: (0, 1.0, 0), 2: (1.0, 0, 0)}
    s, p, l = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")  # noqa: E741
    array = np.transpose(100 * s + 10 * p + l, order)
    affine = np.eye(4)
    origin = np.zeros(3)
    for axis, anatomical in enumerate(order):
        step = np.array(towards[anatomical]) * spacing[anatomical] * signs[axis]
        affine[:3, axis] = step
        if signs[axis] < 0:
            array = np.flip(array, axis)
            origin -= step * (shape[anatomical] - 1)
    affine[:3, 3] = origin
    return Volume(array.astype(np.int16), Geometry(affine))


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_any_storage_order_hangs_the_same(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    volume = landmarks(order, signs)
    view = hang(volume)
    s, p, l = np.meshgrid(range(3), range(4), range(5), indexing="ij")  # noqa: E741
    assert np.array_equal(view.voxels, 100 * s + 10 * p + l)
    by_name = {plane.name: plane for plane in planes(view)}
    assert by_name["axial"].edges == ("A", "P", "R", "L")
    assert by_name["coronal"].edges == ("S", "I", "R", "L")
    assert by_name["sagittal"].edges == ("S", "I", "A", "P")
    assert (by_name["coronal"].row_pitch, by_name["coronal"].column_pitch) == (5.0, 1.0)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS[::5])
def test_a_plane_says_where_its_samples_are(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    volume = landmarks(order, signs)
    assert isinstance(volume.geometry, Geometry)
    view = hang(volume)
    for plane in planes(view):
        for k, r, c in ((0, 0, 0), (plane.count - 1, 1, 2), (1, plane.rows - 1, plane.columns - 1)):
            point = plane.affine @ (k, r, c, 1)
            native = np.rint(volume.geometry.to_index(point[:3])).astype(int)
            assert cut(view.voxels, plane.name, k)[r, c] == volume.voxels[tuple(native)]


def test_native_indices_find_their_displayed_place() -> None:
    for order, signs in ORIENTATIONS:
        volume = landmarks(order, signs)
        view = hang(volume)
        for native in ((0, 0, 0), (1, 2, 1), (2, 1, 2)):
            shown = np.rint(view.index(np.array(native, float))).astype(int)
            assert view.voxels[tuple(shown)] == volume.voxels[native]


def test_oblique_edges_name_both_sides() -> None:
    turn = np.deg2rad(30)
    assert letters(np.array([np.cos(turn), np.sin(turn), 0])) == "LP"
    turn = np.deg2rad(10)
    assert letters(np.array([-np.cos(turn), np.sin(turn), 0])) == "R"


@pytest.mark.parametrize(
    ("stated", "edges", "corner"),
    [
        (("L", "F"), ("S", "I", "R", "L"), 0),
        (("R", "F"), ("S", "I", "R", "L"), 3),
        (("L", "H"), ("S", "I", "R", "L"), 8),
        (("P", "F"), ("S", "I", "A", "P"), 0),
        (("A", "F"), ("S", "I", "A", "P"), 3),
        (("F", "L"), ("S", "I", "R", "L"), 0),
    ],
)
def test_a_film_hangs_by_its_stated_orientation(
    stated: tuple[str, str], edges: tuple[str, ...], corner: int
) -> None:
    voxels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    view = hang(Volume(voxels, Plane((0.2, 0.1), "at the detector", stated)))
    assert view.edges == edges
    assert view.voxels[0, 0, 0] == corner
    turned = stated[0] in "HF"
    assert view.voxels.shape == ((1, 4, 3) if turned else (1, 3, 4))
    assert view.pitch == ((1.0, 0.1, 0.2) if turned else (1.0, 0.2, 0.1))


@pytest.mark.parametrize("stated", [None, ("", ""), ("X", "Y"), ("<b>", "F")])
def test_a_film_without_orientation_is_left_alone_and_unlabelled(stated: tuple[str, str] | None) -> None:
    voxels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    view = hang(Volume(voxels, Plane(None, None, stated)))
    assert view.edges == ("", "", "", "")
    assert view.unit == "pixel"
    assert np.array_equal(view.voxels[0], voxels)


def test_masks_turn_with_their_image() -> None:
    volume = landmarks((2, 0, 1), (-1, 1, -1))
    view = hang(volume)
    mask = volume.voxels > 150
    assert np.array_equal(view.turn(mask), view.voxels > 150)


@given(st.integers(-32768, 32767), st.integers(0, 70000))
def test_whole_numbers_travel_without_loss_where_they_fit(low: int, span: int) -> None:
    values = np.array([[low, low + span]], np.int32)
    how = encoding(values)
    stored = np.frombuffer(how.encode(values), "<i2" if how.dtype == "int16" else "<u2").astype(float)
    error = np.abs(stored * how.slope + how.intercept - values[0])
    fits = low + span <= 32767 or (low >= 0 and low + span <= 65535)
    assert error.max() <= (0 if fits else how.slope / 2 + 1e-9)


def test_fractions_travel_within_half_a_step() -> None:
    values = np.linspace(-3.7, 812.3, 5000).reshape(50, 100)
    how = encoding(values)
    back = np.frombuffer(how.encode(values), "<u2").reshape(values.shape) * how.slope + how.intercept
    assert np.abs(back - values).max() <= how.slope / 2 + 1e-12
    flat = np.full((2, 2), 0.5)
    assert np.frombuffer(encoding(flat).encode(flat), "<u2").max() == 0


def test_window_function_is_the_standards() -> None:
    # PS3.3 C.11.2.1.2.1: at or below c - .5 - (w - 1)/2 black, above c - .5 + (w - 1)/2 white.
    width, level = 400.0, 40.0
    edges = np.array([level - 0.5 - (width - 1) / 2, level - 0.5 + (width - 1) / 2, level - 0.5])
    assert window_values(edges, width, level).tolist() == [0, 255, 128]
    assert window_values(np.array([-5000.0, 5000.0]), width, level).tolist() == [0, 255]


def test_asking_for_a_plane_that_is_not_there_is_an_index_error() -> None:
    view = hang(landmarks((0, 1, 2), (1, 1, 1)))
    for plane, k in (("axial", 3), ("axial", -1), ("coronal", 4), ("oblique", 0)):
        with pytest.raises(IndexError):
            cut(view.voxels, plane, k)
