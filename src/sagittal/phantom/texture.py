"""Band-limited random textures anchored in the body."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sagittal.phantom.shapes import Array

TILE = 512


@lru_cache(maxsize=64)
def tile(kind: int, slope: float, cut: float = 0.0) -> Array:
    """(512, 512) periodic noise of unit variance whose amplitude falls as 1/f**``slope``.

    ``cut`` (cycles a tile) removes what varies more slowly. A fixed pool: patients differ by where
    in the tile they look.
    """
    rng = np.random.default_rng(977 + kind)
    f = np.fft.fftfreq(TILE) * TILE
    radius = np.hypot(f[:, None], np.fft.rfftfreq(TILE)[None] * TILE)
    radius[0, 0] = 1
    amplitude = radius**-slope
    amplitude[radius < cut] *= 0.15
    amplitude[0, 0] = 0
    phase = rng.uniform(0, 2 * np.pi, radius.shape)
    noise = np.fft.irfft2(amplitude * np.exp(1j * phase), (TILE, TILE))
    noise = (noise / noise.std()).astype(np.float32)
    noise.setflags(write=False)
    return noise


def noise(
    xz: tuple[Array, Array], seed: int, mm: float, slope: float, cut: float = 0.0, pool: int = 3
) -> Array:
    """Noise at body points; one tile pixel is ``mm`` wide (nearest pixel)."""
    field = tile(seed % pool, slope, cut)
    a = xz[0] * np.float32(1 / mm) + np.float32((seed // 7) % 509 + 4096)
    b = xz[1] * np.float32(1 / mm) + np.float32((seed // 3571) % 509 + 4096)
    index = ((b.astype(np.int32) & (TILE - 1)) << 9) | (a.astype(np.int32) & (TILE - 1))
    return field.ravel()[index]
