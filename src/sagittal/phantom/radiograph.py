"""A chest radiograph: Beer-Lambert line integrals, scatter, quantum noise, blur, display curve.

Spectrum: one effective energy for each tube voltage (a mean of the filtered spectrum), with the
mass attenuation of water and of bone mineral there. The beam is `Rays`' weak perspective.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from sagittal.phantom.anatomy import Split, side_sign, span
from sagittal.phantom.chest import ChestSubject
from sagittal.phantom.lesions import Lesion, fracture_points
from sagittal.phantom.scene import Built, build, line_integrals, mimics
from sagittal.phantom.shapes import Array, Rays, detector_rays, length
from sagittal.phantom.texture import noise

_KEV = np.array([40.0, 50.0, 60.0, 80.0, 100.0])
_WATER = np.array([0.2683, 0.2269, 0.2059, 0.1837, 0.1707])
_MINERAL = np.array([0.985, 0.585, 0.404, 0.258, 0.200])
"""cm2/g of water and of calcium hydroxyapatite (mixture rule); NIST XCOM, rounded."""

DEPTH = 4095

VENDORS: dict[Split, tuple[tuple[str, str], ...]] = {
    "train": (("Harrow Medical", "Clarus DR"), ("Lindgren", "Mobil 2"), ("Ostrava Roentgen", "OR-70")),
    "heldout": (("Caldera Imaging", "Vista 4"), ("Nakano", "FX-1")),
}
"""Invented makers, so that no real one is impersonated."""


@dataclass(frozen=True)
class Film:
    """A radiograph with everything that is true of it.

    Args:
        pixels: (H, W) uint16, 0..4095, more is brighter (MONOCHROME2); patient left on the right.
        spacing_mm: at the detector (row, column). view: "PA" or "AP"; position: "ERECT", "RECUMBENT".
        masks: "lung_right", "lung_left", "heart" and one per lesion, (H, W) bool.
        contrast_to_noise: per lesion name, see `contrast`.
        cardiothoracic_ratio: true one, of the anatomy.
        marker: side letter burned in, or "".
    """

    pixels: NDArray[np.uint16]
    spacing_mm: tuple[float, float]
    view: Literal["PA", "AP"]
    position: Literal["ERECT", "RECUMBENT"]
    kvp: float
    exposure_mas: float
    manufacturer: str
    model_name: str
    masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    contrast_to_noise: dict[str, float] = field(default_factory=dict)
    cardiothoracic_ratio: float = 0.0
    marker: str = ""


@dataclass(frozen=True)
class Beam:
    """Acquisition and processing of one film."""

    view: Literal["PA", "AP"]
    kvp: float
    mas: float
    photons: float
    scatter: float
    blur: float
    fov: float
    shift: tuple[float, float]
    roll: float
    yaw: float
    pitch: float
    source_mm: float
    detail: float
    edge: float
    gamma: float
    floor: float
    ceiling: float
    low: float
    air: float
    vendor: tuple[str, str]


def attenuation(kvp: float) -> tuple[float, float]:
    """(water, bone mineral) linear attenuation per g/cm3, 1/mm, at the effective energy."""
    kev = 15.0 + 0.38 * kvp
    water = np.exp(np.interp(np.log(kev), np.log(_KEV), np.log(_WATER)))
    mineral = np.exp(np.interp(np.log(kev), np.log(_KEV), np.log(_MINERAL)))
    return float(water) / 10, float(mineral) / 10


def draw_beam(rng: np.random.Generator, subject: ChestSubject, split: Split) -> Beam:
    """Draw exposure, geometry and processing; held-out ranges do not meet the training ones."""
    chest = subject.chest
    erect = chest.pose == "erect"
    if erect:
        kvp = float(rng.choice([110, 117, 120, 125] if split == "train" else [104, 133, 141]))
    else:
        kvp = float(rng.choice([80, 85, 90] if split == "train" else [75, 96, 102]))
    mas = round(float(rng.uniform(1.2, 4.0)) * (1.0 if erect else 0.8), 2)
    middle = 0.5 * (chest.apex + chest.dome_left - 0.4 * chest.sulcus)
    fine = 1.0 if erect else 1.6
    return Beam(
        view="PA" if erect else "AP",
        kvp=kvp,
        mas=mas,
        photons=mas * kvp**2 * span(rng, split, (10.0, 34.0), (6.0, 10.0)) * (1.0 if erect else 1.8),
        scatter=float(rng.uniform(0.15, 0.4)) if erect else float(rng.uniform(0.3, 0.7)),
        blur=span(rng, split, (0.3, 0.6), (0.6, 0.75)),
        fov=2 * chest.width * float(rng.uniform(1.15, 1.6)),
        shift=(float(rng.normal(0, 13)), middle + float(rng.normal(0, 12))),
        roll=float(rng.normal(0, 0.018)) * fine,
        yaw=float(rng.normal(0, 0.03)) * fine,
        pitch=float(rng.normal(0.02, 0.03)) if erect else float(rng.normal(0.08, 0.06)),
        source_mm=(1800.0 if erect else float(rng.uniform(1000, 1200))) / chest.scale,
        detail=span(rng, split, (0.9, 1.5), (1.5, 1.8)),
        edge=float(rng.uniform(0.5, 1.8)),
        gamma=span(rng, split, (0.85, 1.2), (1.2, 1.4)),
        floor=float(rng.choice([0.0, 0.0, 1.0])) * float(rng.uniform(0.0, 0.15)),
        ceiling=float(rng.uniform(0.74, 0.9)),
        low=float(rng.uniform(0.38, 0.6)),
        air=float(rng.uniform(0.5, 1.6)),
        vendor=VENDORS[split][int(rng.integers(len(VENDORS[split])))],
    )


def radiograph(
    subject: ChestSubject, rng: np.random.Generator, *, split: Split = "train", size: int = 256
) -> Film:
    """Expose and process one film of ``size`` x ``size`` pixels; bytes depend on ``rng`` alone."""
    chest = subject.chest
    beam = draw_beam(rng, subject, split)
    spacing = round(beam.fov * chest.scale / size, 3)
    rays = detector_rays(
        (size, size),
        spacing,
        chest.scale,
        beam.roll,
        beam.shift,
        detector_y=-chest.depth - 45 if beam.view == "PA" else chest.depth + 45,
        source_mm=beam.source_mm,
        yaw=beam.yaw,
        pitch=beam.pitch,
    )
    built = build(chest, subject.lesions, rays)
    built.scene.regions += mimics(chest, rays, subject.nipples, subject.fold)
    soft, bone = line_integrals(built, rays)
    soft *= 1 + 0.012 * noise(rays.at(0.0), chest.seed + 3, 1.3, 1.7, 4)
    water, mineral = attenuation(beam.kvp)
    primary = np.exp(-(water * soft + mineral * bone))
    spread = 38.0 / spacing
    scattered = np.float32(beam.scatter) * _broad(primary, spread)
    signal = gaussian_filter(primary, beam.blur, mode="nearest") + scattered
    photons = np.float32(beam.photons * (spacing / 1.6) ** 2)
    counts = photons * signal
    counts += np.sqrt(counts) * rng.standard_normal(counts.shape, np.float32)
    depth = -np.log(np.maximum(counts / photons, 1e-5))
    purity = (signal - scattered) / signal
    masks, cnr = _truth(subject, built, rays, depth, purity, (water, mineral), beam.blur)
    picture = _process(depth, beam, spacing)
    picture, marker = _dress(picture, rng, subject, masks)
    pixels = np.clip(picture * DEPTH + 0.5, 0, DEPTH).astype(np.uint16)
    return Film(
        pixels,
        (spacing, spacing),
        beam.view,
        "ERECT" if beam.view == "PA" else "RECUMBENT",
        beam.kvp,
        beam.mas,
        *beam.vendor,
        masks=masks,
        contrast_to_noise=cnr,
        cardiothoracic_ratio=chest.ratio,
        marker=marker,
    )


def _broad(image: Array, sigma: float) -> Array:
    """Gaussian blur wide enough to be done on a coarse grid."""
    step = max(1, image.shape[0] // 32)
    rows, columns = image.shape[0] // step, image.shape[1] // step
    coarse = image[: rows * step, : columns * step].reshape(rows, step, columns, step).mean((1, 3))
    coarse = gaussian_filter(coarse, sigma / step, mode="nearest")
    return _stretch(image.shape[0], rows) @ coarse @ _stretch(image.shape[1], columns).T


@lru_cache(maxsize=8)
def _stretch(fine: int, coarse: int) -> Array:
    """(fine, coarse) matrix of linear interpolation between cell centres."""
    where = np.clip((np.arange(fine) + 0.5) * coarse / fine - 0.5, 0, coarse - 1)
    out = np.maximum(1 - np.abs(where[:, None] - np.arange(coarse)), 0).astype(np.float32)
    out.setflags(write=False)
    return out


def _process(depth: Array, beam: Beam, spacing: float) -> Array:
    """Display curve of a digital system: local contrast, edge enhancement, sigmoid; 0..1."""
    base = _broad(depth, 22.0 / spacing)
    value = 0.82 * base + np.float32(beam.detail) * (depth - base)
    fine = depth - gaussian_filter(depth, 4.0 / spacing, mode="nearest")
    h, w = value.shape
    centre = value[h // 6 : -h // 6 : 3, w // 6 : -w // 6 : 3]
    low, high = np.percentile(centre, (6, 96))
    t = (value - low) / max(high - low, 1e-3)
    # Lung (t = 0) is shown at ``low``, mediastinum (t = 1) near the ceiling; air falls to black.
    a = np.float32(beam.low)
    light = a + (1 - a) * np.tanh(np.float32(1.1) * np.maximum(t, 0) ** np.float32(beam.gamma)) / 0.8
    shown = np.where(t > 0, light, a * np.exp(np.float32(beam.air) * np.minimum(t, 0)))
    shown = shown + np.float32(0.5 * beam.edge) * np.clip(fine, -0.35, 0.35) * np.minimum(shown * 4, 1)
    return np.float32(beam.floor) + (np.float32(beam.ceiling - beam.floor)) * np.clip(shown, 0, 1.08)


@lru_cache(maxsize=64)
def _glyph(text: str, height: int) -> Array:
    """Letters as lead markers show them: (h, w) in 0..1."""
    font = ImageFont.load_default(size=height)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(image).text((1 - left, 1 - top), text, fill=255, font=font)
    out = np.asarray(image, np.float32) / 255
    out.setflags(write=False)
    return out


def _dress(
    picture: Array, rng: np.random.Generator, subject: ChestSubject, masks: dict[str, NDArray[np.bool_]]
) -> tuple[Array, str]:
    """Collimation and the side marker, which lies outside the lungs."""
    size = picture.shape[0]
    if rng.random() < 0.35:
        edge = rng.integers(0, max(2, size // 16), 4)
        shutter = np.zeros_like(picture, bool)
        shutter[: edge[0]] = shutter[size - edge[1] :] = True
        shutter[:, : edge[2]] = shutter[:, size - edge[3] :] = True
        picture = np.where(shutter, np.float32(rng.choice([0.0, 0.0, 0.03])), picture)
    if rng.random() < 0.2:
        return picture, ""
    letter = str(rng.choice(["R", "L"]))
    text = (
        letter
        if subject.chest.pose == "erect"
        else str(rng.choice([letter, f"{letter} AP", f"{letter} SUPINE"]))
    )
    glyph = _glyph(text, int(rng.integers(size // 22, size // 13)))
    h, w = glyph.shape
    inset = int(rng.integers(size // 40, size // 9))
    column = inset if letter == "R" else size - inset - w
    lungs = masks["lung_right"] | masks["lung_left"]
    for row in (int(rng.integers(size // 30, size // 5)), size // 40, size - h - size // 40):
        if not lungs[row : row + h, column : column + w].any():
            out = picture.copy()
            patch = out[row : row + h, column : column + w]
            patch += glyph[: patch.shape[0], : patch.shape[1]] * (np.float32(rng.uniform(0.85, 1.0)) - patch)
            return out, letter
    return picture, ""


def _truth(
    subject: ChestSubject,
    built: Built,
    rays: Rays,
    depth: Array,
    purity: Array,
    mu: tuple[float, float],
    blur: float,
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, float]]:
    x = rays.u
    lung = built.aerated > 3
    masks = {
        "lung_right": lung & (x < 0),
        "lung_left": lung & (x > 0),
        "heart": (built.heart[1] - built.heart[0]) > 8,
    }
    changes = {}
    cores = {}
    for lesion in subject.lesions:
        masks[lesion.name], cores[lesion.name] = _lesion_mask(subject, lesion, built, rays)
        soft, bone = built.changes[lesion.name]
        changes[lesion.name] = purity * gaussian_filter((mu[0] * soft + mu[1] * bone) * rays.scale, blur)
    field = built.chamber > 25
    pitch = rays.pitch_mm * rays.scale
    quiet = clutter(depth - sum(changes.values()), field, pitch) if changes else depth
    # An enlarged heart is a width, not a contrast: it has no ratio (as mass effect and atrophy have none).
    cnr = {
        lesion.name: contrast(changes[lesion.name], quiet, cores[lesion.name], field, pitch)
        if cores[lesion.name].any()
        else 0.0
        for lesion in subject.lesions
        if lesion.key != "cardiomegaly"
    }
    return masks, cnr


def _lesion_mask(
    subject: ChestSubject, lesion: Lesion, built: Built, rays: Rays
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(mask of the finding, pixels whose signal it changes)."""
    if lesion.key == "rib_fracture":
        row, column, _ = rays.project(fracture_points(subject.chest, lesion))
        r = np.arange(rays.u.shape[0])[:, None], np.arange(rays.u.shape[1])[None]
        near = np.zeros(rays.u.shape, bool)
        for a, b in zip(row, column, strict=True):
            near |= (r[0] - a) ** 2 + (r[1] - b) ** 2 < (10.0 / rays.pitch_mm) ** 2
        soft, bone = built.changes[lesion.name]
        moved = np.abs(soft) + 2 * np.abs(bone)
        return near, near & (moved > 0.3 * float(moved[near].max(initial=0.0)))
    thick = length(built.shapes[lesion.name])
    if lesion.key == "cardiomegaly":
        return (built.heart[1] - built.heart[0]) > 8, thick > 4
    if lesion.key in ("pleural_effusion", "pneumothorax"):
        # Where it fills a good part of the ray: the rim beside the lung, not the film over its face.
        if lesion.key == "pneumothorax" and subject.chest.pose != "erect":
            change = -built.changes[lesion.name][0]
            mask = change > 0.3 * float(change.max())
        else:
            share = 0.5 if lesion.key == "pneumothorax" else 0.35 if subject.chest.pose == "erect" else 0.2
            mask = (thick > 4) & (thick > share * (thick + built.aerated))
        mask &= rays.u * side_sign(lesion.side) > 0
        return mask, mask
    mask = thick > 0.2 * float(thick.max()) if thick.max() > 0 else thick > 0
    return mask, mask


def clutter(background: Array, field: NDArray[np.bool_], pitch_mm: float) -> Array:
    """What competes with a lesion: the log signal without its slow course (mean within ~12 mm)."""
    inside = field.astype(np.float32)
    sigma = 8.0 / pitch_mm
    weight = np.maximum(gaussian_filter(inside, sigma), 1e-3)
    return background - gaussian_filter(background * inside, sigma) / weight


def contrast(
    change: Array, quiet: Array, mask: NDArray[np.bool_], field: NDArray[np.bool_], pitch_mm: float
) -> float:
    """Contrast-to-noise ratio of one lesion.

    The mean absolute change it makes to the log signal inside ``mask`` (blur and scatter included),
    over the standard deviation of the lesion-free `clutter` - ribs, vessels, texture, quantum noise -
    in a ring 12 mm wide round it, inside the lung ``field``.
    """
    reach = max(2, round(12.0 / pitch_mm))
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    r0, r1 = max(rows[0] - reach, 0), rows[-1] + reach + 1
    c0, c1 = max(columns[0] - reach, 0), columns[-1] + reach + 1
    inside = mask[r0:r1, c0:c1]
    ring = (gaussian_filter(inside.astype(np.float32), reach / 2) > 0.03) & ~inside & field[r0:r1, c0:c1]
    noise = quiet[r0:r1, c0:c1][ring] if ring.sum() >= 24 else quiet[field]
    return float(np.abs(change[mask]).mean()) / max(float(noise.std()), 1e-6)
