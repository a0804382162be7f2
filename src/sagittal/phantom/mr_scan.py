"""A scanner: protocols of invented vendors, and from signal to image.

Image formation: receive bias, blur of a finite matrix, echo-planar distortion near the sinuses,
complex Gaussian noise and magnitude (so Rician, Gudbjartsson and Patz 1995), rescaling to integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from sagittal.phantom.mr_signal import Protocol
from sagittal.phantom.noise import Array, smooth_field
from sagittal.phantom.truth import Split


@dataclass(frozen=True)
class ScanRange:
    """What scans are drawn from; the splits never overlap in any of these.

    Args:
        vendors: (manufacturer, model).
        t1_tr, t2_te, flair_te, dwi_te: ms.
        noise: standard deviation over the mean brain signal.
        bias: standard deviation of the logarithm of the receive field.
        slice_mm: slice thickness; field_of_view_mm: edge of the square field.
    """

    vendors: tuple[tuple[str, str], ...]
    t1_tr: tuple[float, float]
    t2_te: tuple[float, float]
    flair_te: tuple[float, float]
    dwi_te: tuple[float, float]
    noise: tuple[float, float]
    bias: tuple[float, float]
    slice_mm: tuple[float, float]
    field_of_view_mm: tuple[float, float]


RANGES: dict[Split, ScanRange] = {
    "train": ScanRange(
        vendors=(("Aurelia", "Ostra 15"), ("Borealis", "Meridian MR"), ("Cantor", "Vela 3")),
        t1_tr=(450, 620),
        t2_te=(82, 108),
        flair_te=(88, 125),
        dwi_te=(70, 92),
        noise=(0.020, 0.045),
        bias=(0.06, 0.16),
        slice_mm=(4.6, 5.0),
        field_of_view_mm=(222, 236),
    ),
    "heldout": ScanRange(
        vendors=(("Deneb", "Lyra 30"),),
        t1_tr=(625, 700),
        t2_te=(109, 116),
        flair_te=(126, 135),
        dwi_te=(93, 99),
        noise=(0.046, 0.052),
        bias=(0.162, 0.19),
        slice_mm=(5.02, 5.15),
        field_of_view_mm=(237, 242),
    ),
}


@dataclass(frozen=True)
class Scan:
    """One examination's scanner and settings; ``seed`` of bias, noise and distortion."""

    manufacturer: str
    model: str
    protocol: Protocol
    noise: float
    bias: float
    slice_mm: float
    field_of_view_mm: float
    blur_px: float
    fat_kept: float
    distortion_mm: float
    uptake: float


def draw_scan(rng: np.random.Generator, split: Split) -> Scan:
    """Draw scanner and protocol from the split's ranges."""
    limits = RANGES[split]
    field = 1.5 if rng.random() < 0.55 else 3.0
    echo = rng.random() < 0.6
    flair_tr = rng.uniform(8500, 10000)
    # The inversion time nulls fluid: TI = T1 (ln 2 - ln(1 + exp(-TR/T1))).
    t1 = 3950 + 300 * (field > 2)
    null = t1 * (np.log(2) - np.log1p(np.exp(-flair_tr / t1)))
    t1_tr = rng.uniform(*limits.t1_tr)
    vendor = limits.vendors[rng.integers(len(limits.vendors))]
    flip = 90.0 if echo else rng.uniform(65, 80)
    protocol = Protocol(
        field_t=field,
        t1_tr=round(t1_tr * (1.2 if field > 2 else 1.0)),
        t1_te=round(rng.uniform(8, 14), 1) if echo else round(rng.uniform(2.5, 5), 1),
        t1_flip=round(flip),
        t2_tr=round(rng.uniform(3500, 5500)),
        t2_te=round(rng.uniform(*limits.t2_te)),
        flair_tr=round(flair_tr),
        flair_te=round(rng.uniform(*limits.flair_te)),
        flair_ti=round(null * rng.uniform(0.985, 1.01)),
        dwi_tr=round(rng.uniform(4000, 6500)),
        dwi_te=round(rng.uniform(*limits.dwi_te)),
        b_value=1000.0,
    )
    return Scan(
        vendor[0],
        vendor[1],
        protocol,
        noise=rng.uniform(*limits.noise),
        bias=rng.uniform(*limits.bias),
        slice_mm=round(rng.uniform(*limits.slice_mm), 2),
        field_of_view_mm=round(rng.uniform(*limits.field_of_view_mm)),
        blur_px=rng.uniform(0.35, 0.6),
        fat_kept=rng.uniform(0.04, 0.12),
        distortion_mm=rng.uniform(0.0, 7.0),
        uptake=rng.uniform(0.75, 1.25),
    )


_TAPS = 5
"""Neighbours that a blur looks at on either side; sigmas stay under a pixel."""


def blur(images: Array, sigma_px: float) -> Array:
    """Smooth (..., y, x) in the plane."""
    reach = np.arange(-_TAPS, _TAPS + 1)
    taps = np.exp(-0.5 * (reach / max(sigma_px, 0.1)) ** 2).astype(np.float32)
    out = np.asarray(images, np.float32)
    for axis in (-2, -1):
        # What lies outside is left out, not taken for dark.
        weight = ndimage.correlate1d(np.ones(out.shape[axis], np.float32), taps, mode="constant")
        out = ndimage.correlate1d(out, taps, axis=axis, mode="constant")
        out /= weight[:, None] if axis == -2 else weight
    return out


def distort(images: Array, shift_px: Array) -> Array:
    """Shift (k, z, y, x) along y by ``shift_px`` (z, y, x), linear interpolation (echo-planar)."""
    last = images.shape[-2] - 1
    position = np.clip(np.arange(last + 1, dtype=np.float32)[:, None] + shift_px, 0, last - 0.001)
    low = position.astype(np.int64)
    weight = position - low
    out = np.empty_like(images)
    for k, image in enumerate(images):
        a, b = np.take_along_axis(image, low, 1), np.take_along_axis(image, low + 1, 1)
        out[k] = a + (b - a) * weight
    return out


def bias_field(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    spread: float,
) -> Array:
    """A positive smooth receive field (z, y, x), mean of its logarithm about 0."""
    return np.asarray(np.exp(spread * smooth_field(rng, shape, spacing_mm, 75.0)), np.float32)


def magnitude(real: Array, imaginary: Array) -> Array:
    """Magnitude of a complex image; with noise in both parts its distribution is Rician."""
    return np.asarray(np.sqrt(real * real + imaginary * imaginary), np.float32)
