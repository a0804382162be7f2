"""Brain MR of a phantom patient: T1, T1c, T2, FLAIR, DWI and ADC on one grid, with the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sagittal.phantom import mr_truth
from sagittal.phantom.brain import BrainSubject, draw_patient, evolve_patient
from sagittal.phantom.brain_build import Anatomy, Grid, build
from sagittal.phantom.brain_lesions import Layer, layers, push
from sagittal.phantom.brain_shape import TISSUES
from sagittal.phantom.mr_scan import Scan, bias_field, blur, distort, draw_scan, magnitude
from sagittal.phantom.mr_signal import (
    IMAGES,
    SEQUENCES,
    STUFF,
    Material,
    diffusion_coefficient,
    materials,
    signals,
)
from sagittal.phantom.noise import Array, product
from sagittal.phantom.truth import Acquired, Scope, Split
from sagittal.report.finding import ChangeKind

Indices = NDArray[np.int64]
SLICES = 32
_BRAIN = tuple(TISSUES.index(name) for name in ("grey", "white", "deep_grey", "pallidum", "stem"))
_TEXTURE = {"T1": 0.030, "T1c": 0.030, "T2": 0.045, "FLAIR": 0.045, "B0": 0.045, "DWI": 0.05}
"""How much smooth local variation of tissue changes each image."""


def draw_subject(rng: np.random.Generator, split: Split) -> BrainSubject:
    """Draw one patient; see `sagittal.phantom.brain`."""
    return draw_patient(rng, split)


def evolve(subject: BrainSubject, rng: np.random.Generator) -> tuple[BrainSubject, dict[str, ChangeKind]]:
    """The same patient later."""
    return evolve_patient(subject, rng)


@dataclass(frozen=True, eq=False)
class Exposure:
    """The images of one examination, and what the difficulty of its lesions is measured on.

    Args:
        voxels: sequence -> (z, y, x) uint16; ADC in 1e-6 mm2/s.
        clean: sequence -> (z, y, x) of the box without lesions but with noise; change: what lesions
            add, without noise. Both in units of the sequence's mean brain signal.
    """

    grid: Grid
    anatomy: Anatomy
    stack: tuple[Layer, ...]
    voxels: dict[str, NDArray[np.uint16]]
    clean: dict[str, Array]
    change: dict[str, Array]


def acquire(
    subject: BrainSubject, rng: np.random.Generator, *, split: Split, size: int, scope: Scope
) -> Acquired:
    """Image the patient.

    Args:
        size: rows and columns; the number of slices is `SLICES`.
    """
    scan = draw_scan(rng, split)
    exposure = expose(subject, scan, rng, size)
    return mr_truth.acquired(subject, scan, exposure, scope)


def expose(subject: BrainSubject, scan: Scan, rng: np.random.Generator, size: int) -> Exposure:
    """Run the scanner over the patient; deterministic in ``rng``."""
    pixel = scan.field_of_view_mm / size
    spacing = (scan.slice_mm, pixel, pixel)
    edge = -pixel * (size - 1) / 2
    grid = Grid((SLICES, size, size), spacing, (edge, edge, -68.0 - 3 * (scan.slice_mm - 4.8)))
    anatomy = build(subject.head, grid, push(subject.lesions))
    stack = tuple(layers(subject.lesions, anatomy))

    names = materials(TISSUES, scan.protocol.field_t, rng, maturity=subject.head.maturity)
    table = signals(names, scan.protocol, uptake=scan.uptake, fat_kept=scan.fat_kept)
    inside = product(table, anatomy.fraction)
    outside = product(table, anatomy.cover)
    brain = np.zeros(len(TISSUES), np.float32)
    brain[list(_BRAIN)] = 1.0
    matter = product(brain[None], anatomy.fraction)[0]
    level = (inside * matter).sum(1) / matter.sum()
    for row, name in enumerate(IMAGES):
        inside[row] *= 1.0 + _TEXTURE[name] * anatomy.noise[0 if row < 2 else 1] * matter
    with_lesions = _overlay(subject, scan, anatomy, stack, inside, rng)

    scale = level[:, None, None, None]
    plain = np.stack([anatomy.slices(inside[k], outside[k]) for k in range(len(IMAGES))]) / scale
    delta = np.stack([anatomy.slices(with_lesions[k] - inside[k]) for k in range(len(IMAGES))]) / scale
    touched = np.flatnonzero(delta.any((0, 2, 3)))
    plain = _resolve(subject, scan, spacing, plain, np.arange(SLICES))
    delta[:, touched] = _resolve(subject, scan, spacing, delta[:, touched], touched)
    field = bias_field(rng, plain.shape[1:], spacing, scan.bias)
    plain *= field
    delta *= field

    voxels: dict[str, NDArray[np.uint16]] = {}
    clean: dict[str, Array] = {}
    change: dict[str, Array] = {}
    top, left = anatomy.corner
    height, width = plain.shape[2:]
    window = (slice(None), slice(top, top + height), slice(left, left + width))
    floats: dict[str, Array] = {}
    for k, name in enumerate(IMAGES):
        noise = rng.standard_normal((2, *grid.shape), dtype=np.float32)
        noise *= np.float32(scan.noise * (1.0 if name not in ("B0", "DWI") else 0.8))
        image = noise[0].copy()
        clean[name] = plain[k] + noise[0][window]
        change[name] = delta[k]
        image[window] += plain[k] + delta[k]
        floats[name] = magnitude(image, noise[1])
    floor = 0.25
    change["ADC"] = diffusion_coefficient(
        plain[4] + delta[4], (plain[5] + delta[5]) * _ratio(level), scan.protocol.b_value, floor
    ) - diffusion_coefficient(plain[4], plain[5] * _ratio(level), scan.protocol.b_value, floor)
    clean["ADC"] = diffusion_coefficient(
        clean["B0"], clean["DWI"] * _ratio(level), scan.protocol.b_value, floor
    )
    floats["ADC"] = diffusion_coefficient(
        floats["B0"], floats["DWI"] * _ratio(level), scan.protocol.b_value, floor
    )
    for name in SEQUENCES:
        gain = 1.0 if name == "ADC" else rng.uniform(180.0, 700.0)
        voxels[name] = np.rint(np.minimum(floats[name] * gain, 60000.0)).astype(np.uint16)
    return Exposure(grid, anatomy, stack, voxels, clean, change)


def _ratio(level: Array) -> np.float32:
    """Brings the diffusion image back to the scale of its b = 0 image."""
    return np.float32(level[5] / level[4])


def _overlay(
    subject: BrainSubject, scan: Scan, anatomy: Anatomy, stack: tuple[Layer, ...], inside: Array,
    rng: np.random.Generator,
) -> Array:  # fmt: skip
    """Signals at the points inside the skull once the lesions are in; each lesion is its own tissue."""
    out = inside.copy()
    tables = []
    for lesion in subject.lesions:
        own = materials(STUFF, scan.protocol.field_t, rng, spread=0.06)
        adc = own.adc * np.where(np.isin(np.array(STUFF), ("tumour", "rim")), lesion.diffusion, 1.0)
        own = Material(own.names, own.density, own.t1, own.t2, adc, own.uptake)
        tables.append(signals(own, scan.protocol, uptake=scan.uptake))
    for layer in stack:
        value = tables[layer.lesion][:, STUFF.index(layer.stuff)]
        texture = 1.0 + 0.06 * anatomy.noise[2][layer.where]
        out[:, layer.where] += layer.share * (value[:, None] * texture - out[:, layer.where])
    return out


def _resolve(
    subject: BrainSubject, scan: Scan, spacing: tuple[float, float, float], images: Array, slices: Indices
) -> Array:
    """Finite matrix for all; echo-planar images are blurrier and bent near the sinuses."""
    out = np.concatenate([blur(images[:4], scan.blur_px), blur(images[4:], scan.blur_px + 0.35)])
    height, width = images.shape[2:]
    levels = slices * spacing[0] - 68.0 - subject.head.shift_mm[2] + 26.0
    near = np.flatnonzero(np.abs(levels) < 40.0)
    if len(near) == 0:
        return out
    rows = (np.arange(height) - (height - 1) / 2) * spacing[1] + 45.0
    columns = (np.arange(width) - (width - 1) / 2) * spacing[2]
    squared = ((levels[near] ** 2)[:, None, None] + (rows**2)[:, None] + columns**2).astype(np.float32)
    reach = np.exp(squared * np.float32(-0.5 / 18.0**2))
    out[4:, near] = distort(out[4:, near], reach * np.float32(scan.distortion_mm / spacing[1]))
    return out
