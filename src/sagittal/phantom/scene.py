"""Puts a chest and its lesions on a grid of rays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from sagittal.phantom.anatomy import (
    MUSCLE,
    Chest,
    anterior,
    cage,
    dome,
    outline,
    posterior,
    side_sign,
    table,
)
from sagittal.phantom.lesions import (
    Lesion,
    air_gap,
    blob,
    broken_rib,
    bronchograms,
    excess,
    fluid_gap,
    fracture_points,
    spicules,
)
from sagittal.phantom.shapes import (
    FAR,
    Array,
    Cloud,
    Interval,
    Rays,
    Region,
    Scene,
    Term,
    capsule,
    clip,
    ellipsoid,
    length,
    minus,
    slab,
    splat2,
)
from sagittal.phantom.skeleton import SIDES, girdle, glenoid, plates, rib_clouds, rib_paths, ribs, spine
from sagittal.phantom.texture import noise
from sagittal.phantom.vessels import hilum, vessels

PLEURA = 0.4
"""Density the visceral pleura adds to the outermost 1.6 mm of a lung that air surrounds."""


@dataclass(eq=False)
class Built:
    """A scene with what the masks and the contrast of lesions need.

    Args:
        lung: terms of aerated lung; heart: interval of the heart alone inside the cage.
        changes: per lesion name, (soft, bone) thickness it adds (g/cm3 x body mm, (H, W)).
        shapes: per lesion name, the terms of its own region, for masks; empty for fractures.
    """

    scene: Scene
    cage: Interval
    lung: tuple[Term, ...]
    heart: Interval
    cuts: tuple[Interval, Interval, Interval]
    changes: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    shapes: dict[str, tuple[Term, ...]] = field(default_factory=dict)

    @cached_property
    def aerated(self) -> Array:
        """(H, W) thickness of aerated lung, body mm."""
        return length(self.lung)

    @cached_property
    def chamber(self) -> Array:
        """(H, W) thickness of the whole pleural space: lung, fluid and free air, body mm."""
        return length(self.full)

    @cached_property
    def full(self) -> tuple[Term, ...]:
        """Terms of the pleural space."""
        return minus(self.cage, self.cuts)


def build(chest: Chest, lesions: Sequence[Lesion], rays: Rays, *, texture: bool = True) -> Built:
    """Evaluate everything on ``rays``.

    ``texture`` adds what is too fine to draw (interstitium, marrow); it averages to nothing.
    """
    xz = rays.at(0.0)
    skin, muscle = outline(chest, rays)
    front, heart_only = anterior(chest, rays)
    back = posterior(chest, rays)
    deep = {le.side: 0.9 * le.extent for le in lesions if le.key == "pneumothorax" and chest.pose != "erect"}
    below = dome(chest, xz, deep)
    cuts = (front, back, below)
    lookup = table(chest)
    whole = cage(chest, xz, 0.0, lookup)
    gaps = [le for le in lesions if le.key in ("pneumothorax", "pleural_effusion")]
    inner = _held_off(chest, gaps, xz, whole, lookup) if gaps else whole
    lung = minus(inner, cuts)
    built = Built(Scene(), whole, lung, heart_only, cuts)
    regions = built.scene.regions
    regions += [
        Region("skin", ((*skin, 1.0),), soft=0.93),
        Region("muscle", ((*muscle, 1.0),), soft=MUSCLE - 0.93),
    ]
    fine = None
    if texture:
        fine = 1 + 0.02 * noise(xz, chest.seed, 1.05, 0.9, 8) + 0.04 * noise(xz, chest.seed + 5, 1.6, 1.6, 3)
    regions.append(Region("lung", lung, soft=chest.lung - MUSCLE, texture=fine))
    regions += _airways(chest, rays) + _abdomen(chest, rays) + plates(chest, rays)
    regions += _limbs(chest, rays, skin)
    marrow = 1 + 0.16 * noise(xz, chest.seed + 11, 1.0, 0.7) if texture else None
    for region in spine(chest, rays):
        grain = marrow[:, slice(*region.columns)] if marrow is not None else None
        regions.append(replace(region, texture=grain))
    broken = {(le.side, n) for le in lesions for n in le.ribs}
    built.scene.clouds += ribs(chest, frozenset(broken)) + girdle(chest)
    for lesion in lesions:
        _add(chest, lesion, rays, built, inner, lookup)
    blobs = [le for le in lesions if le.key in ("consolidation", "mass")]
    built.scene.clouds.append(_inside(rays, vessels(chest), inner, cuts, blobs))
    return built


def _held_off(
    chest: Chest,
    gaps: Sequence[Lesion],
    xz: tuple[Array, Array],
    whole: Interval,
    lookup: tuple[Array, tuple[Array, ...]],
) -> Interval:
    """The cage as far as the lung still fills it."""
    x, z = xz
    off = np.zeros_like(x)
    front, back = whole
    for lesion in gaps:
        here = (x * side_sign(lesion.side)) > 0
        if chest.pose == "erect":
            gap = fluid_gap(lesion, z) if lesion.key == "pleural_effusion" else air_gap(chest, lesion, z)
            off = off + np.where(here, gap, 0)
    if off.any():
        front, back = cage(chest, xz, off, lookup)
    for lesion in gaps:
        here = (x * side_sign(lesion.side)) > 0
        if chest.pose != "erect" and lesion.key == "pleural_effusion":
            # A layer in front of the back wall, thicker below.
            slope = np.clip(1 - (z - np.float32(chest.dome_left)) / 230, 0.15, 1.0)
            back = np.where(here, np.minimum(back, whole[1] - np.float32(lesion.extent) * slope), back)
        elif chest.pose != "erect":
            slope = np.clip(1.1 - (z - np.float32(chest.dome_left - 40)) / 200, 0.1, 1.0)
            front = np.where(here, np.maximum(front, whole[0] + np.float32(lesion.extent) * slope), front)
    return front, back


def _airways(chest: Chest, rays: Rays) -> list[Region]:
    """Trachea and main bronchi, cut out of the mediastinum."""
    xz = rays.at(2.0)
    r = 8.2
    rng = np.random.default_rng((chest.seed, 17))
    lean = float(rng.normal(0, 3)) - 2
    tube = capsule(xz, (lean * 0.3 - 2, 6, 2), (lean, -8, 190), r, r + 0.6)
    out = [Region("trachea", ((*tube, 1.0),), soft=-MUSCLE * 0.97)]
    for side in ("right", "left"):
        hx, hy, hz = hilum(chest, side)
        tube = capsule(xz, (-2, 6, 0), (hx * 0.92, hy + 4, hz - 12), 6.4, 4.6)
        out.append(Region(f"bronchus-{side}", ((*tube, 1.0),), soft=-0.62))
    return out


def _abdomen(chest: Chest, rays: Rays) -> list[Region]:
    """Gas under the left dome (flat below when erect) and in the colon."""
    xz = rays.at(-10.0)
    rng = np.random.default_rng((chest.seed, 19))
    out = []
    if chest.bubble > 0.25:
        r = 14 + 20 * chest.bubble
        top = chest.dome_left - 7
        gas = ellipsoid(xz, (62 + rng.normal(0, 8), -14, top - 0.6 * r), (r, 0.8 * r, 0.62 * r))
        if chest.pose == "erect":
            level = np.float32(top - 0.75 * r)
            gas = (np.where(xz[1] > level, gas[0], FAR), np.where(xz[1] > level, gas[1], -FAR))
        out.append(Region("stomach", ((*gas, 1.0),), soft=-0.9))
    for _ in range(int(rng.integers(0, 5))):
        centre = (rng.uniform(20, 105), -40.0, chest.dome_left - rng.uniform(35, 80))
        gas = ellipsoid(xz, centre, (rng.uniform(8, 20), 9.0, rng.uniform(6, 13)), rng.uniform(-1, 1))
        out.append(Region("bowel", ((*gas, 1.0),), soft=-0.6))
    return out


def _limbs(chest: Chest, rays: Rays, skin: Interval) -> list[Region]:
    """Upper arms beside the chest and the folds they make."""
    if chest.pose == "ct":
        return []
    xz = rays.at(20.0)
    out = []
    for side in ("right", "left"):
        sign = side_sign(side)
        gx, gy, gz = glenoid(chest, sign)
        fat = 0.9 * chest.fat
        arm = capsule(xz, (gx + sign * 16, gy, gz), (gx + sign * 52, gy, gz - 230), 40 + fat, 40 + fat)
        out.append(Region(f"arm-{side}", minus(arm, (skin,)), soft=0.99))
    return out


def _add(
    chest: Chest,
    lesion: Lesion,
    rays: Rays,
    built: Built,
    inner: Interval,
    lookup: tuple[Array, tuple[Array, ...]],
) -> None:
    """Add one lesion to the scene, with its shape and what it changes."""
    xz = rays.at(0.0)
    x, _ = xz
    none = np.zeros_like(x)
    regions, clouds = built.scene.regions, built.scene.clouds
    if lesion.key in ("nodule", "mass", "consolidation"):
        local = rays.at(lesion.centre[1])
        change = excess(chest, lesion)
        terms = clip(built.lung, blob(lesion, local))
        regions.append(Region(lesion.name, terms, soft=change))
        soft = change * length(terms)
        extra = None
        if lesion.margin == "spiculated":
            extra = spicules(lesion, 0.8 * change)
        elif lesion.key == "consolidation":
            extra = bronchograms(lesion, -0.8 * change)
        if extra is not None and len(extra.points):
            clouds.append(extra)
            soft = soft + extra.soft * splat2(rays, extra.points, extra.volume)
        built.changes[lesion.name] = (soft, none)
        built.shapes[lesion.name] = terms
    elif lesion.key in ("pleural_effusion", "pneumothorax"):
        here = (x * side_sign(lesion.side)) > 0
        whole = built.cage
        alone = _held_off(chest, (lesion,), xz, whole, lookup)
        side = (np.where(here, -FAR, FAR), np.where(here, FAR, -FAR))
        full = clip(built.full, side)
        left = clip(minus(alone, built.cuts), side)
        terms = (*full, *((f, b, -s) for f, b, s in left))
        if lesion.key == "pleural_effusion":
            soft = (MUSCLE - chest.lung) * length(terms)
        else:
            regions.append(Region(lesion.name, terms, soft=-MUSCLE))
            soft = -chest.lung * length(terms)
            if chest.pose != "erect":
                # The deep sulcus: what was wall and abdomen is lung and air now.
                shallow = clip(minus(whole, (*built.cuts[:2], dome(chest, xz))), side)
                soft = soft - (MUSCLE - chest.lung) * (length(full) - length(shallow))
            if chest.pose == "erect":
                shell = _pleura(chest, lesion, xz, built, side, lookup)
                regions.append(Region(f"{lesion.name}-pleura", shell, soft=PLEURA))
                soft = soft + PLEURA * length(shell)
        built.changes[lesion.name] = (soft, none)
        built.shapes[lesion.name] = terms
    elif lesion.key == "rib_fracture":
        soft, bone = none, none
        paths = rib_paths(chest)
        for number in lesion.ribs:
            now = broken_rib(chest, lesion, number)
            path = paths[SIDES.index(lesion.side), number - 1]
            before = rib_clouds(chest, path[None], np.array([number]))[0]
            clouds.append(now)
            change2 = splat2(rays, now.points, now.volume) - splat2(rays, before.points, before.volume)
            soft, bone = soft + now.soft * change2, bone + now.bone * change2
        for k, point in enumerate(fracture_points(chest, lesion)):
            # Blood under the parietal pleura bulges inwards.
            inward = -side_sign(lesion.side) * 4.0
            centre = (float(point[0]) + inward, float(point[1]) * 0.96, float(point[2]))
            bulge = clip(built.lung, ellipsoid(xz, centre, (12.0, 42.0, 18.0)))
            regions.append(Region(f"{lesion.name}-blood-{k}", bulge, soft=0.9 * (MUSCLE - chest.lung)))
            soft = soft + 0.9 * (MUSCLE - chest.lung) * length(bulge)
        built.changes[lesion.name] = (soft, bone)
    elif lesion.key == "cardiomegaly":
        usual, usual_heart = anterior(chest.with_ratio(0.48), rays)
        before_lung = minus(inner, (usual, built.cuts[1], built.cuts[2]))
        more = length(before_lung) - length(built.lung)
        built.changes[lesion.name] = ((MUSCLE - chest.lung) * more, none)
        built.shapes[lesion.name] = (
            (*built.heart, 1.0),
            *((f, b, -s) for f, b, s in clip(((*built.heart, 1.0),), usual_heart)),
        )


def _pleura(
    chest: Chest,
    lesion: Lesion,
    xz: tuple[Array, Array],
    built: Built,
    side: Interval,
    lookup: tuple[Array, tuple[Array, ...]],
) -> tuple[Term, ...]:
    """The outermost 1.6 mm of the lung where air lies outside it: the visceral pleural line."""
    gap = air_gap(chest, lesion, xz[1])
    edge = cage(chest, xz, gap, lookup)
    core = cage(chest, xz, gap + 1.6, lookup)
    free = (np.where(gap > 1.5, side[0], FAR), np.where(gap > 1.5, side[1], -FAR))
    outer = clip(minus(edge, built.cuts), free)
    return (*outer, *((f, b, -s) for f, b, s in clip(minus(core, built.cuts), free)))


def _inside(
    rays: Rays, cloud: Cloud, inner: Interval, cuts: Sequence[Interval], blobs: Sequence[Lesion]
) -> Cloud:
    """The part of a vessel cloud that lies in aerated lung; drowned where the lung is consolidated."""
    height, width = rays.u.shape
    row, column, _ = rays.project(cloud.points)
    r = np.clip((row + 0.5).astype(np.int32), 0, height - 1)
    c = np.clip((column + 0.5).astype(np.int32), 0, width - 1)
    index = r * width + c
    y = cloud.points[:, 1]
    keep = (y > inner[0].ravel()[index]) & (y < inner[1].ravel()[index])
    for front, back in cuts:
        keep &= (y < front.ravel()[index]) | (y > back.ravel()[index])
    points, volume = cloud.points[keep], cloud.volume[keep]
    for lesion in blobs:
        centre, radii = np.array(lesion.centre, np.float32), np.array(lesion.radii, np.float32)
        q = (((points - centre) / radii) ** 2).sum(1)
        volume = np.where(q < 1, volume * np.float32(1 - min(lesion.density, 0.9)), volume)
    return Cloud(cloud.name, points, volume, cloud.soft, cloud.bone)


def line_integrals(built: Built, rays: Rays) -> tuple[Array, Array]:
    """(soft, bone): density x length along every ray, g/cm3 x real mm, (H, W)."""
    soft = np.zeros(rays.u.shape, np.float32)
    bone = np.zeros(rays.u.shape, np.float32)
    for region in built.scene.regions:
        thick = built.aerated if region.terms is built.lung else region.thickness()
        if region.texture is not None:
            thick = thick * region.texture
        if region.soft:
            soft[:, slice(*region.columns)] += np.float32(region.soft) * thick
        if region.bone:
            bone[:, slice(*region.columns)] += np.float32(region.bone) * thick
    for soft_density, bone_density, clouds in _grouped(built.scene.clouds):
        points = np.concatenate([c.points for c in clouds])
        volume = np.concatenate([c.volume for c in clouds])
        thick = splat2(rays, points, volume)
        soft += np.float32(soft_density) * thick
        bone += np.float32(bone_density) * thick
    return np.maximum(soft, 0) * np.float32(rays.scale), np.maximum(bone, 0) * np.float32(rays.scale)


def _grouped(clouds: Sequence[Cloud]) -> list[tuple[float, float, list[Cloud]]]:
    groups: dict[tuple[float, float], list[Cloud]] = {}
    for cloud in clouds:
        groups.setdefault((cloud.soft, cloud.bone), []).append(cloud)
    return [(soft, bone, members) for (soft, bone), members in groups.items()]


def mimics(chest: Chest, rays: Rays, nipples: bool, fold: str) -> list[Region]:
    """Nipple shadows and a skin fold: not lesions."""
    out = []
    x, z = rays.at(-chest.depth - 20)
    rng = np.random.default_rng((chest.seed, 23))
    if nipples:
        r = rng.uniform(4.0, 6.5)
        nx, nz = rng.uniform(78, 98), chest.dome_right + rng.uniform(14, 34)
        d2 = (np.abs(x) - np.float32(nx)) ** 2 + (z - np.float32(nz) - np.float32(3) * np.sign(x)) ** 2
        thick = 9 * np.sqrt(np.maximum(1 - d2 / np.float32(r * r), 0))
        out.append(Region("nipple", slab(thick.astype(np.float32), -chest.depth - 25), soft=1.0))
    if fold:
        sign = side_sign(fold)
        slope = rng.uniform(-0.25, 0.1)
        d = sign * x - np.float32(rng.uniform(70, 105)) - np.float32(slope) * z
        d = d + 3 * np.sin(z / np.float32(40))
        reach = np.clip((z - np.float32(rng.uniform(-110, -70))) / 20, 0, 1)
        reach = reach * np.clip((np.float32(rng.uniform(40, 80)) - z) / 20, 0, 1)
        thick = np.where(d > 0, 11 * np.exp(-np.maximum(d, 0) / 22), 0) * reach
        out.append(Region("skin-fold", slab(thick.astype(np.float32), chest.depth + 15), soft=1.0))
    return out
