"""What surrounds the brain: skull, scalp, orbits, sinuses, muscle, face and neck."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sagittal.phantom.brain_head import Head
from sagittal.phantom.brain_shape import Canvas, ellipsoid, occupancy, tube
from sagittal.phantom.noise import Array


def head_surface(head: Head, x: Array, y: Array, z: Array, depth: Array, texture: Array) -> Array:
    """Depth in mm under the skin; arguments as in `paint_cover`."""
    thick = head.skull_mm + head.scalp_mm + 0.5 * texture
    surface = np.minimum(thick + depth, z + 48.0)
    low = np.flatnonzero(z < 25.0)
    u, v, w = x[low], y[low], z[low]
    face = ellipsoid(u, v, w, (0.0, -18.0, -52.0), (67.0, 74.0, 66.0))
    neck = ellipsoid(u, v, w, (0.0, 38.0, -90.0), (64.0, 66.0, 80.0))
    nose = ellipsoid(u, v, w, (0.0, -92.0, -58.0), (13.0, 18.0, 20.0))
    surface[low] = np.maximum(np.maximum(surface[low], face), np.maximum(neck, nose))
    return surface


def paint_cover(
    head: Head, x: Array, y: Array, z: Array, depth: Array, texture: Array, surface: Array
) -> Array:
    """Tissue fractions (tissues, n) of points outside the inner table of the skull.

    Args:
        depth: of the points under the inner table, negative here.
        texture: smooth noise of about unit variance at the points.
        surface: their `head_surface`.
    """
    canvas = Canvas(x.size)
    out = -depth
    side = np.abs(x)
    thick = head.skull_mm + 0.5 * texture
    canvas.paint("air", 1.0 - occupancy(surface))

    low = np.flatnonzero((z < 0) & (y < 70))
    _paint_face(canvas, low, side[low], y[low], z[low], texture[low])
    base = occupancy(-24.0 - z, 16.0)
    canvas.paint("muscle", occupancy(2.0 - surface) * 0.75)
    shell = np.minimum(out, thick - out)
    canvas.paint("marrow", occupancy(shell - 1.7, 2.2) * (0.9 - 0.5 * base))
    canvas.paint("bone", occupancy(shell + 0.6))
    temporalis = np.minimum(ellipsoid(side, y, z, (66.0, -22.0, -18.0), (16.0, 38.0, 46.0)), surface - 4.0)
    canvas.paint("muscle", occupancy(temporalis) * 0.95)
    canvas.paint("fat", occupancy(6.5 + texture - surface, 3.0) * 0.95)
    scalp = occupancy(z + 20.0, 20.0)
    canvas.paint("fat", np.clip(scalp + 0.30 + 0.45 * texture, 0.05, 0.95))
    canvas.paint("muscle", np.ones(1, np.float32))
    return canvas.fraction


def _paint_face(
    canvas: Canvas, where: NDArray[np.int64], side: Array, y: Array, z: Array, texture: Array
) -> None:
    """Eyes, orbits, sinuses, mastoids; ``side`` is the distance from the midline."""
    globe = ellipsoid(side, y, z, (32.0, -62.0, -34.0), (12.3, 12.3, 12.3))
    lens = ellipsoid(side, y, z, (32.5, -71.5, -34.0), (4.5, 2.2, 4.5))
    canvas.paint("muscle", occupancy(lens), where)
    canvas.paint("vitreous", occupancy(globe), where)
    canvas.paint("muscle", occupancy(globe + 1.6), where)
    nerve = tube(side, y, z, [(31.0, -50.0, -34.0, 2.2), (14.0, -18.0, -26.0, 2.0)])
    lateral = tube(side, y, z, [(43.0, -60.0, -34.0, 1.8), (20.0, -22.0, -30.0, 1.5)])
    medial = tube(side, y, z, [(21.5, -60.0, -34.0, 1.8), (14.0, -24.0, -30.0, 1.5)])
    upper = tube(side, y, z, [(31.0, -62.0, -20.5, 2.0), (16.0, -22.0, -26.0, 1.5)])
    canvas.paint(
        "muscle", occupancy(np.maximum(np.maximum(nerve, lateral), np.maximum(medial, upper))), where
    )
    cone = np.maximum(
        ellipsoid(side, y, z, (30.0, -57.0, -34.0), (17.0, 20.0, 17.0)),
        tube(side, y, z, [(29.0, -52.0, -33.0, 15.0), (13.0, -18.0, -28.0, 4.0)]),
    )
    canvas.paint("fat", occupancy(cone) * 0.95, where)
    septa: Array = np.clip(0.8 * np.sin(0.8 * side + 0.3 * texture) + 0.8 * texture - 0.2, 0.0, 0.8)
    nasal = np.minimum(np.minimum(12.0 - side, y + 84.0), np.minimum(-24.0 - y, -27.0 - z))
    canvas.paint("mucosa", occupancy(nasal) * septa, where)
    hollow = np.maximum(nasal, ellipsoid(side, y, z, (6.0, -19.0, -38.0), (9.0, 11.0, 9.0)))
    hollow = np.maximum(hollow, ellipsoid(side, y, z, (9.0, -76.0, -19.0), (11.0, 6.0, 11.0)))
    maxillary = ellipsoid(side, y, z, (30.0, -48.0, -66.0), (14.0, 18.0, 16.0))
    canvas.paint("mucosa", np.maximum(occupancy(maxillary) - occupancy(maxillary - 1.8), 0.0), where)
    hollow = np.maximum(hollow, maxillary)
    canvas.paint("air", occupancy(hollow), where)
    mastoid = ellipsoid(side, y, z, (53.0, 34.0, -42.0), (13.0, 17.0, 16.0))
    petrous = tube(side, y, z, [(52.0, 30.0, -38.0, 9.0), (16.0, 10.0, -38.0, 6.0)])
    cells = np.clip(0.25 + 0.4 * texture, 0.0, 0.6)
    canvas.paint("mucosa", occupancy(mastoid) * cells * 0.5, where)
    canvas.paint("bone", occupancy(np.maximum(mastoid, petrous)) * 0.95, where)
    canvas.paint(
        "marrow", occupancy(ellipsoid(side, y, z, (0.0, 4.0, -44.0), (12.0, 7.0, 16.0))) * 0.85, where
    )
    ear = ellipsoid(side, y, z, (78.0, 22.0, -34.0), (5.0, 14.0, 22.0))
    canvas.paint("fat", 0.4 * occupancy(ear), where)
    jaw = ellipsoid(side, y, z, (48.0, -8.0, -62.0), (6.0, 9.0, 26.0))
    canvas.paint("marrow", occupancy(jaw - 1.0), where)
    canvas.paint("bone", occupancy(jaw + 1.5), where)
    sling = ellipsoid(side, y, z, (36.0, -14.0, -58.0), (9.0, 16.0, 22.0))
    canvas.paint("muscle", occupancy(sling), where)
