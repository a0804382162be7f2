"""One anatomy: the film's line integrals are those of the voxels, and the masks fit."""

from __future__ import annotations

import numpy as np
import pytest

from sagittal.phantom.anatomy import anterior, draw_anatomy
from sagittal.phantom.chest import ChestSubject, draw_chest
from sagittal.phantom.ct_body import grid_rays
from sagittal.phantom.lesions import Lesion
from sagittal.phantom.scene import build, line_integrals
from sagittal.phantom.shapes import Rays, length
from sagittal.phantom.voxels import Grid, voxelise


def _grid(pitch: float, body: tuple[float, float, float], scale: float = 1.0) -> tuple[Grid, Rays]:
    z, y, x = (np.arange(-b, b + pitch, pitch, dtype=np.float32) for b in body)
    grid = Grid(z, y, x)
    return grid, grid_rays(grid, scale)


def _lesioned(seed: int, pose: str) -> ChestSubject:
    for index in range(seed, seed + 500):
        subject = draw_chest(np.random.default_rng(index))
        keys = {lesion.key for lesion in subject.lesions}
        if subject.chest.pose == pose and len(keys) >= 4:
            return subject
    raise AssertionError("no such subject")


@pytest.mark.parametrize("pose", ["erect", "supine"])
def test_line_integrals_equal_the_voxel_projection_within_2_percent(pose: str) -> None:
    subject = _lesioned(100, pose)
    grid, rays = _grid(4.0, (190.0, 190.0, 230.0), subject.chest.scale)
    built = build(subject.chest, subject.lesions, rays, texture=False)
    soft, bone = line_integrals(built, rays)
    soft_voxels, bone_voxels = voxelise(built.scene.regions, built.scene.clouds, grid)
    step = grid.pitch[1] * subject.chest.scale
    inside = (slice(4, -4), slice(4, -4))
    for film, voxels in ((soft, soft_voxels), (bone, bone_voxels)):
        projected = voxels.sum(axis=1) * step
        body = soft[inside] > 20
        error = np.abs(projected[inside] - film[inside])[body]
        scale = film[inside][body].mean()
        assert error.mean() / scale < 0.02
        assert projected[inside][body].sum() == pytest.approx(film[inside][body].sum(), rel=0.02)


@pytest.mark.parametrize("ratio", [0.42, 0.5, 0.6])
def test_the_heart_is_as_wide_as_the_cardiothoracic_ratio_says(ratio: float) -> None:
    chest = draw_anatomy(np.random.default_rng(4), "train", "erect", ratio)
    _, rays = _grid(1.0, (180.0, 10.0, 180.0))
    _, heart = anterior(chest, rays)
    wide = np.flatnonzero(((heart[1] - heart[0]) > 0).any(0))
    assert (wide[-1] - wide[0]) / (2 * chest.width) == pytest.approx(ratio, abs=0.01)
    # The apex points to the patient's left: most of the heart lies there.
    assert abs(rays.u[0, wide[-1]]) > 1.15 * abs(rays.u[0, wide[0]])


def test_lungs_hold_about_as_much_as_lungs_do() -> None:
    volumes = []
    for seed in range(6):
        chest = draw_anatomy(np.random.default_rng(seed), "train", "erect", 0.45)
        if chest.child:
            continue
        _, rays = _grid(3.0, (220.0, 10.0, 180.0))
        built = build(chest, (), rays, texture=False)
        volumes.append(float(length(built.lung).sum()) * 9 * chest.scale**3 / 1e6)
    # Adults' lungs hold 3 to 8 litres at the end of a breath in.
    assert min(volumes) > 2.5 and max(volumes) < 8.5


def _thickness(lesion: Lesion, pose: str) -> tuple[np.ndarray, np.ndarray, Rays]:
    chest = draw_anatomy(np.random.default_rng(8), "train", pose, 0.45)  # type: ignore[arg-type]
    _, rays = _grid(2.0, (220.0, 10.0, 170.0))
    built = build(chest, (lesion,), rays, texture=False)
    return length(built.shapes[lesion.name]), built.changes[lesion.name][0], rays


def test_a_nodule_has_its_volume_and_its_place() -> None:
    lesion = Lesion("nodule", "nodule-1", "right", "mid", (-80.0, 30.0, 0.0), (9.0, 8.0, 9.0), 1.0)
    thick, change, rays = _thickness(lesion, "erect")
    assert thick.sum() * 4 == pytest.approx(4 / 3 * np.pi * 9 * 8 * 9, rel=0.03)
    assert (thick * rays.u).sum() / thick.sum() == pytest.approx(-80, abs=0.3)
    assert change.min() >= 0


def test_erect_air_rises_and_erect_fluid_sinks() -> None:
    air = Lesion("pneumothorax", "pneumothorax-1", "left", "upper", extent=25.0, reach=-20.0)
    water = Lesion("pleural_effusion", "pleural_effusion-1", "left", "lower", extent=-110.0)
    gas, darker, rays = _thickness(air, "erect")
    fluid, brighter, _ = _thickness(water, "erect")
    height = rays.v
    assert (gas * height).sum() / gas.sum() > 30
    assert (fluid * height).sum() / fluid.sum() < -110
    assert not gas[rays.u < 0].any() and not fluid[rays.u < 0].any()
    assert darker.sum() < 0 < brighter.sum()


def test_a_fracture_moves_bone_but_neither_makes_nor_destroys_much_of_it() -> None:
    chest = draw_anatomy(np.random.default_rng(8), "train", "erect", 0.45)
    lesion = Lesion("rib_fracture", "rib_fracture-1", "left", ribs=(5, 6), where=0.4, offset=8.0, seed=3)
    _, rays = _grid(2.0, (220.0, 10.0, 170.0))
    _, bone = build(chest, (lesion,), rays, texture=False).changes["rib_fracture-1"]
    assert np.abs(bone).sum() > 20 * abs(bone.sum())
