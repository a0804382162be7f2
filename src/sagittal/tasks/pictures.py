"""Key images of a reading as PNG: the slice that shows most, windowed, with the masks' outlines on it."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from sagittal.report.reading import Reading
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.study import Series, Study

EDGE = 512
"""Longer side of a key image in pixels."""
COLOURS = ((255, 176, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0))
"""Okabe and Ito's palette: told apart by colour-blind readers too."""
LUNG_WINDOW = (-1350.0, 150.0)
"""Window 1500 / level -600 as low and high HU."""


def window(series: Series, pixels: NDArray[np.float32]) -> tuple[float, float]:
    """Grey range for a key image: the lung window for CT of the chest, robust percentiles otherwise."""
    if series.unit == "HU" and (series.body_part or "") in ("CHEST", "THORAX", "LUNG"):
        return LUNG_WINDOW
    low, high = np.percentile(pixels, (0.5, 99.5))
    return float(low), float(max(high, low + 1e-6))


def key_images(
    study: Study, reading: Reading, masks: Mapping[str, NDArray[np.bool_]]
) -> dict[tuple[str, str], bytes]:
    """PNG bytes by (series UID, name): one image a finding with a mask, else one a series with masks."""
    series_of = {series.uid: series for series in study.series}
    held = {summary.name: summary.series_uid for summary in reading.masks}
    pictures: dict[tuple[str, str], bytes] = {}
    for finding in reading.findings:
        evidence = finding.evidence
        if evidence is None or evidence.series_uid not in series_of or evidence.mask not in masks:
            continue
        series = series_of[evidence.series_uid]
        place = evidence.slices_index[0] if evidence.slices_index else None
        name = str(evidence.mask)
        pictures[(series.uid, name)] = _picture(series, place, {name: masks[name]})
    for uid, series in series_of.items():
        mine = {name: masks[name] for name, at in held.items() if at == uid and name in masks}
        anatomy = {
            n: m for n, m in mine.items() if n.split("-")[0] in ("lung_right", "lung_left", "heart", "brain")
        }
        if anatomy:
            together = np.any(list(anatomy.values()), axis=0)
            place = None if together.ndim == 2 else int(np.argmax(together.reshape(len(together), -1).sum(1)))
            pictures[(uid, "anatomy")] = _picture(series, place, anatomy)
    return pictures


def _picture(series: Series, place: int | None, masks: Mapping[str, NDArray[np.bool_]]) -> bytes:
    voxels = series.volume.voxels
    pixels = np.asarray(voxels if place is None else voxels[place], np.float32)
    low, high = window(series, pixels)
    grey = np.clip((pixels - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    aspect = _aspect(series.geometry)
    height, width = grey.shape[0] * aspect, float(grey.shape[1])
    scale = EDGE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    flip = _flips(series.geometry)
    image = Image.fromarray(np.flip(grey, flip) if flip else grey).resize(size, Image.Resampling.BILINEAR)
    canvas = np.asarray(image.convert("RGB")).copy()
    for number, mask in enumerate(masks.values()):
        plane = mask if place is None else mask[place]
        plane = np.flip(plane, flip) if flip else plane
        drawn = (
            np.asarray(Image.fromarray(plane.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR))
            > 127
        )
        edge = ndimage.binary_dilation(drawn) & ~drawn
        canvas[edge] = COLOURS[number % len(COLOURS)]
    final = Image.fromarray(canvas)
    _letters(final, series.geometry)
    out = io.BytesIO()
    final.save(out, "PNG", optimize=True)
    return out.getvalue()


def _aspect(geometry: Geometry | Plane) -> float:
    spacing = geometry.spacing_mm
    return float(spacing[-2] / spacing[-1]) if spacing else 1.0


def _flips(geometry: Geometry | Plane) -> tuple[int, ...]:
    """Axes to flip so that the right is on the screen's left and up is up, where sides are known."""
    if isinstance(geometry, Plane):
        return (1,) if geometry.right_is_image_left is False else ()
    flips = []
    if geometry.orientation[2] == "R":
        flips.append(1)
    if geometry.orientation[1] in "AS":
        flips.append(0)
    return tuple(flips)


def _letters(image: Image.Image, geometry: Geometry | Plane) -> None:
    """R and L at the sides, from the geometry; nothing where it is not stated."""
    if isinstance(geometry, Plane):
        known = geometry.right_is_image_left is not None
    else:
        known = geometry.orientation[2] in "LR"
    if known:
        pen = ImageDraw.Draw(image)
        middle = image.height // 2
        pen.text((6, middle), "R", fill=(255, 255, 255))
        pen.text((image.width - 14, middle), "L", fill=(255, 255, 255))
