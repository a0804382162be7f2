"""Lesions from masks: places, sides and sizes with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from sagittal.report.finding import Laterality
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.volume import Volume
from sagittal.tasks.anatomy import plausible_lungs
from sagittal.tasks.findings import cardiothoracic_ratio
from sagittal.tasks.localise import diameter, feret, lesions, side, volume


def ball(radius_mm: float, spacing: tuple[float, float, float], centre: tuple[float, float, float]) -> Volume:
    z, y, x = np.indices((40, 60, 60)) * np.array(spacing)[:, None, None, None]
    mask = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius_mm**2
    return Volume(mask, Geometry.from_spacing(spacing))


def test_a_ball_has_its_diameter_volume_and_box() -> None:
    found = lesions(ball(12, (2.0, 1.0, 1.0), (40, 30, 20)))
    assert len(found) == 1
    long, short = diameter(found[0]).values
    assert long == pytest.approx(24, abs=1.6) and short == pytest.approx(24, abs=1.6)
    ml = volume(found[0])
    assert ml is not None and ml.values[0] == pytest.approx(4 / 3 * np.pi * 1.2**3, rel=0.03)
    box = found[0].box_mm
    assert box is not None
    assert np.allclose(box, (7.5, 17.5, 29, 32.5, 42.5, 53), atol=2.1)
    assert found[0].slices_index[0] == 20


def test_small_pieces_are_dropped_and_the_largest_come_first() -> None:
    big, small = ball(10, (1, 1, 1), (20, 30, 40)), ball(4, (1, 1, 1), (20, 10, 10))
    speck = ball(1, (1, 1, 1), (5, 50, 50))
    both = big.like(big.voxels | small.voxels | speck.voxels)
    sizes = [lesion.voxels for lesion in lesions(both, smallest_mm=4)]
    assert len(sizes) == 2 and sizes[0] > sizes[1]


@pytest.mark.parametrize(("flip", "expected"), [(False, Laterality.RIGHT), (True, Laterality.LEFT)])
def test_sides_of_a_volume_come_from_its_affine(flip: bool, expected: Laterality) -> None:
    one = ball(6, (1, 1, 1), (20, 30, 12))
    affine = np.array(one.geometry.affine)  # type: ignore[union-attr]
    if flip:
        affine[:3, 2] *= -1
    turned = Volume(one.voxels, Geometry(affine))
    assert side(lesions(turned)[0]) is expected


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [(("L", "F"), Laterality.RIGHT), (("R", "F"), Laterality.LEFT), (None, Laterality.IMAGE_LEFT)],
)
def test_sides_of_a_film_come_from_its_orientation(
    orientation: tuple[str, str] | None, expected: Laterality
) -> None:
    mask = np.zeros((50, 60), bool)
    mask[10:20, 5:15] = True
    plane = Plane(None, None, orientation)
    found = lesions(Volume(mask, plane))[0]
    assert side(found) is expected
    assert diameter(found).unit == "{pixel}"


def test_feret_of_a_rectangle_is_its_diagonal() -> None:
    plane = np.zeros((20, 30), bool)
    plane[5:9, 10:13] = True
    long, _ = feret(plane, (1.0, 1.0))
    assert long == pytest.approx(5.0)


def _films(left_first: bool = False) -> dict[str, Volume]:
    plane = Plane(None, None, ("L", "F"))
    right, left, heart = (np.zeros((100, 100), bool) for _ in range(3))
    right[15:80, 10:42], left[15:80, 58:90], heart[50:85, 35:75] = True, True, True
    if left_first:
        right, left = left, right
    return {n: Volume(m, plane) for n, m in (("lung_right", right), ("lung_left", left), ("heart", heart))}


def test_lungs_are_kept_only_where_they_can_be_lungs() -> None:
    assert set(plausible_lungs(_films())) == {"lung_right", "lung_left"}
    assert plausible_lungs(_films(left_first=True)) == {}
    small = _films()
    small["lung_left"] = small["lung_left"].like(np.zeros((100, 100), bool))
    assert plausible_lungs(small) == {}


def test_cardiothoracic_ratio_of_boxes() -> None:
    assert cardiothoracic_ratio(_films()) == pytest.approx(40 / 80)
    assert cardiothoracic_ratio({}) is None
