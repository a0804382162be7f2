"""A CT scanner: Hounsfield units of a body in, an image of a given protocol out.

Physics kept: bone contrast falls with tube voltage; detail is limited by the reconstruction kernel
in the plane and by slice thickness along z; quantum noise follows the attenuation of the rays that
pass a pixel, is coloured by the ramp filter times the kernel, and is streaky along the long axis of
the shoulders; dense bone hardens the beam and darkens its surroundings; the patient lies on a table.
Source of the noise spectrum: Riederer, Pelc and Chesler 1978 (ramp times kernel squared).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from sagittal.phantom.truth import Split

Array = NDArray[np.float32]

WATER_PER_MM = {80: 0.0245, 90: 0.0234, 100: 0.0226, 110: 0.0220, 120: 0.0214, 130: 0.0210, 140: 0.0206}
"""Effective attenuation of water by tube voltage (kVp), for noise only."""


@dataclass(frozen=True)
class Range:
    """A parameter's values: uniform over the ``bands``, which are disjoint."""

    bands: tuple[tuple[float, float], ...]

    def draw(self, rng: np.random.Generator) -> float:
        widths = np.array([high - low for low, high in self.bands])
        low, high = self.bands[rng.choice(len(self.bands), p=widths / widths.sum())]
        return float(rng.uniform(low, high))


@dataclass(frozen=True)
class Ranges:
    """What a split's protocols are drawn from."""

    vendors: tuple[tuple[str, str], ...]
    kernels: tuple[tuple[str, float, float], ...]
    """(name, in-plane blur sigma in mm, edge boost)."""
    kvp: tuple[int, ...]
    mas: Range
    slice_mm: Range
    field: Range
    noise_hu: Range
    table_mm: Range


RANGES: dict[Split, Ranges] = {
    "train": Ranges(
        vendors=(("Aurelia", "Halo 64"), ("Borealis", "Prism 128"), ("Cantor", "Spiral 40")),
        kernels=(("soft-2", 1.45, 0.0), ("body-3", 1.15, 0.1), ("lung-6", 0.75, 0.45)),
        kvp=(110, 120, 130),
        mas=Range(((60, 180),)),
        slice_mm=Range(((2.0, 3.2),)),
        field=Range(((1.0, 1.1),)),
        noise_hu=Range(((14, 30),)),
        table_mm=Range(((6, 18),)),
    ),
    "heldout": Ranges(
        vendors=(("Dunelm", "Vela 80"), ("Elara", "Axis 256")),
        kernels=(("STD", 1.3, 0.05), ("DETAIL", 0.9, 0.3), ("SOFT+", 1.6, 0.0)),
        kvp=(90, 100, 140),
        mas=Range(((30, 55), (190, 260))),
        slice_mm=Range(((1.2, 1.9), (3.4, 4.5))),
        field=Range(((0.93, 0.985), (1.12, 1.2))),
        noise_hu=Range(((9, 13), (31, 38))),
        table_mm=Range(((2, 5), (19, 26))),
    ),
}
"""Held-out protocols share no vendor, kernel, voltage or range with those trained on."""


@dataclass(frozen=True)
class Protocol:
    """One scan's settings; lengths in mm, ``noise_hu`` behind 300 mm of water.

    ``field``: width of the reconstructed field as a multiple of the patient's.
    """

    manufacturer: str
    model_name: str
    kernel: str
    blur_mm: float
    boost: float
    kvp: int
    mas: float
    slice_mm: float
    field: float
    noise_hu: float
    table_mm: float
    circle: bool


def draw_protocol(rng: np.random.Generator, split: Split) -> Protocol:
    """Settings from the split's ranges; tube current buys noise (half the noise at four times)."""
    ranges = RANGES[split]
    manufacturer, model = ranges.vendors[rng.integers(len(ranges.vendors))]
    kernel, blur, boost = ranges.kernels[rng.integers(len(ranges.kernels))]
    return Protocol(
        manufacturer=manufacturer,
        model_name=model,
        kernel=kernel,
        blur_mm=blur,
        boost=boost,
        kvp=int(ranges.kvp[rng.integers(len(ranges.kvp))]),
        mas=round(ranges.mas.draw(rng)),
        slice_mm=round(ranges.slice_mm.draw(rng), 2),
        field=round(ranges.field.draw(rng), 3),
        noise_hu=round(ranges.noise_hu.draw(rng), 1),
        table_mm=round(ranges.table_mm.draw(rng), 1),
        circle=bool(rng.random() < 0.5),
    )


def scan(
    hu: Array, spacing_mm: tuple[float, float, float], protocol: Protocol, rng: np.random.Generator
) -> Array:
    """Image a body.

    Args:
        hu: (z, y, x) in HU, air -1000, y growing to posterior; not changed.
        spacing_mm: of ``hu``, z, y, x.

    Returns:
        (z, y, x) float32 HU in [-1024, 3071].
    """
    dense = np.maximum(hu - 150, 0)
    body = (hu + np.float32((120 / protocol.kvp) ** 0.6 - 1) * dense).astype(np.float32, copy=False)
    _lay_on_table(body, spacing_mm, protocol)
    across, along = _paths(body, spacing_mm, protocol)
    body -= _hardening(dense, spacing_mm)
    transfer = _transfer(hu.shape[1:], spacing_mm, protocol)
    image = _in_plane(_along_z(body, spacing_mm, protocol), transfer)
    image += _noise(hu.shape, spacing_mm, protocol, transfer, across, along, rng)
    if protocol.circle:
        image[:, _outside_circle(hu.shape[1:])] = -1024
    return np.clip(image, -1024, 3071, out=image)


def seen(change: Array, spacing_mm: tuple[float, float, float], protocol: Protocol) -> Array:
    """A difference of two bodies as the scanner would show it, without noise."""
    transfer = _transfer(change.shape[1:], spacing_mm, protocol)
    return _in_plane(_along_z(change, spacing_mm, protocol), transfer)


def _lay_on_table(body: Array, spacing_mm: tuple[float, float, float], protocol: Protocol) -> None:
    """Put a curved carbon shell with a foam core under the patient (in place, only where air is)."""
    _, height, width = body.shape
    rows = np.flatnonzero((body[:: max(1, len(body) // 8)] > -300).any(axis=(0, 2)))
    back_mm = (rows[-1] + 1 if len(rows) else height) * spacing_mm[1]
    x = (np.arange(width) - (width - 1) / 2) * spacing_mm[2]
    y = (np.arange(height) + 0.5) * spacing_mm[1]
    depth = y[:, None] - (back_mm + protocol.table_mm - x[None] ** 2 / 900)
    edge = np.clip((215 - np.abs(x)) / spacing_mm[2], 0, 1)[None]
    thin, pitch = 1.5, spacing_mm[1]

    def cover(low: float, high: float) -> NDArray[np.float64]:
        return edge * np.clip(np.minimum(depth - low, high - depth) / pitch + 0.5, 0, 1)

    shell = np.minimum(thin / pitch, 1) * (cover(0, pitch) + cover(30, 30 + pitch))
    table = (870 * shell + 60 * cover(0, 30)).astype(np.float32)
    body += np.where(body < -900, table[None], np.float32(0))


def _paths(body: Array, spacing_mm: tuple[float, float, float], protocol: Protocol) -> tuple[Array, Array]:
    """Attenuation along x (z, y) and along y (z, x)."""
    mu = np.float32(WATER_PER_MM[protocol.kvp] / 1000)
    across = (body.sum(axis=2) + 1000 * body.shape[2]) * (mu * np.float32(spacing_mm[2]))
    along = (body.sum(axis=1) + 1000 * body.shape[1]) * (mu * np.float32(spacing_mm[1]))
    return np.maximum(across, 0), np.maximum(along, 0)


def _hardening(dense: Array, spacing_mm: tuple[float, float, float]) -> Array:
    """HU lost because rays met bone: grows with the product of the bone met both ways."""
    x = dense.sum(axis=2) * np.float32(spacing_mm[2] / 1000)
    y = dense.sum(axis=1) * np.float32(spacing_mm[1] / 1000)
    return np.float32(0.12) * np.minimum(x, 40)[:, :, None] + np.float32(0.12) * np.minimum(y, 40)[:, None, :]


def _transfer(shape: tuple[int, ...], spacing_mm: tuple[float, float, float], protocol: Protocol) -> Array:
    """(height, width // 2 + 1) modulation transfer of the kernel."""
    fy = scipy.fft.fftfreq(shape[0], spacing_mm[1])[:, None]
    fx = scipy.fft.rfftfreq(shape[1], spacing_mm[2])[None, :]
    f2 = fy**2 + fx**2
    gauss = np.exp(-2 * (np.pi * protocol.blur_mm) ** 2 * f2)
    peak = np.exp(-(((np.sqrt(f2) - 0.12) / 0.06) ** 2))
    return (gauss * (1 + protocol.boost * peak)).astype(np.float32)


def _in_plane(image: Array, transfer: Array) -> Array:
    spectrum = scipy.fft.rfft2(image, axes=(1, 2))
    spectrum *= transfer
    result: Array = scipy.fft.irfft2(spectrum, s=image.shape[1:], axes=(1, 2))
    return result


def _side_weight(spacing_mm: tuple[float, float, float], protocol: Protocol) -> float:
    """Weight of each neighbour in a three-tap slice profile as wide as the slice."""
    return float(min(0.3, 0.12 * (protocol.slice_mm / spacing_mm[0]) ** 2))


def _along_z(image: Array, spacing_mm: tuple[float, float, float], protocol: Protocol) -> Array:
    side = np.float32(_side_weight(spacing_mm, protocol))
    out = image * (1 - 2 * side)
    out[1:] += side * image[:-1]
    out[:-1] += side * image[1:]
    out[0] += side * image[0]
    out[-1] += side * image[-1]
    return out


def _noise(
    shape: tuple[int, ...],
    spacing_mm: tuple[float, float, float],
    protocol: Protocol,
    transfer: Array,
    across: Array,
    along: Array,
    rng: np.random.Generator,
) -> Array:
    white: Array = rng.standard_normal(shape, dtype=np.float32)
    fy = scipy.fft.fftfreq(shape[1], spacing_mm[1])[:, None]
    fx = scipy.fft.rfftfreq(shape[2], spacing_mm[2])[None, :]
    colour = transfer * np.sqrt(np.sqrt(fy**2 + fx**2) + 0.004).astype(np.float32)
    # rfft keeps one of each conjugate pair, so columns but the first (and last) count twice.
    twice = np.full(colour.shape[1], 2.0)
    twice[0] = 1
    twice[-1] = 1 if shape[2] % 2 == 0 else 2
    colour /= np.float32(np.sqrt((colour.astype(float) ** 2 * twice).sum() / (shape[1] * shape[2])))
    side = _side_weight(spacing_mm, protocol)
    noise = _in_plane(_along_z(white, spacing_mm, protocol), colour)
    noise /= np.float32(np.sqrt((1 - 2 * side) ** 2 + 2 * side**2))
    reference = 300 * WATER_PER_MM[protocol.kvp]
    across_gain = np.exp(np.minimum(across - reference, 1.8))
    along_gain = np.exp(np.minimum(along - reference, 1.8))
    level = np.sqrt((across_gain[:, :, None] + along_gain[:, None, :]) / 2 + np.float32(0.02))
    noise *= level
    # The few photons that cross both shoulders leave streaks from side to side.
    streak = rng.standard_normal(across.shape, dtype=np.float32)
    streak *= np.float32(0.3) * np.sqrt(across_gain)
    fade = np.hanning(shape[2] + 2)[1:-1].astype(np.float32)
    noise += streak[:, :, None] * fade
    noise *= np.float32(protocol.noise_hu)
    return noise


def _outside_circle(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    centre_y, centre_x = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    outside: NDArray[np.bool_] = (y - centre_y) ** 2 + (x - centre_x) ** 2 > (min(shape) / 2) ** 2
    return outside
