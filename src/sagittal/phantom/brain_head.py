"""Parameters of a head: everything `brain_shape` needs to build the same one again.

Head coordinates are LPS millimetres of an adult of mean size, origin at the anterior commissure, so
that structures stand where an atlas has them (the sign of left-right and front-back is DICOM's).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class HeadRange:
    """What heads are drawn from; `TRAIN` and `HELDOUT` never overlap in any of these.

    Args:
        scale: overall size over the mean of that age and sex.
        fold_mm: wavelength of the cortical folding.
        cortex_mm: thickness of the grey ribbon.
        breadth: width over length, relative to the mean.
    """

    scale: tuple[float, float]
    fold_mm: tuple[float, float]
    cortex_mm: tuple[float, float]
    breadth: tuple[float, float]


TRAIN = HeadRange(scale=(0.945, 1.035), fold_mm=(18.5, 22.5), cortex_mm=(2.5, 3.1), breadth=(0.955, 1.03))
HELDOUT = HeadRange(scale=(1.036, 1.065), fold_mm=(22.6, 24.0), cortex_mm=(3.12, 3.3), breadth=(1.031, 1.06))


@dataclass(frozen=True)
class Head:
    """One head. Lengths in mm of the mean adult, before ``scale``.

    Args:
        seed: of everything drawn point by point (folds, warps, textures).
        scale: (x, y, z) over the mean adult.
        tilt_deg: rotation about x, y, z; shift_mm: LPS position of the origin.
        fold_mm, cortex_mm: of the cortex.
        fold_depth_mm: mean depth of sulci.
        sulcus_mm: mean half width of sulci; rim_mm: fluid over the convexity.
        ventricle: radius of the ventricles over the mean, (right, left, third).
        atrophy: 0 none, 1 severe; already contained in the widths.
        maturity: 0 newborn, 1 adult myelin.
        skull_mm, scalp_mm: thicknesses.
    """

    seed: int
    scale: tuple[float, float, float]
    tilt_deg: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    fold_mm: float
    cortex_mm: float
    fold_depth_mm: float
    sulcus_mm: float
    rim_mm: float
    ventricle: tuple[float, float, float]
    atrophy: float
    maturity: float
    skull_mm: float
    scalp_mm: float


def draw_head(
    rng: np.random.Generator, limits: HeadRange, *, sex: str, age_years: float, atrophy: float
) -> Head:
    """Draw a head of that age and sex.

    Brain size reaches 95 % of the adult's by six years; sulci and ventricles widen slowly with age
    in everyone, and beyond that with ``atrophy``.
    """
    growth = 0.77 + 0.19 * (1.0 - np.exp(-age_years / 3.0))
    size = rng.uniform(*limits.scale) * growth * (1.015 if sex == "M" else 0.985)
    breadth = rng.uniform(*limits.breadth)
    ageing = max(0.0, age_years - 35.0) / 50.0
    # Fluid spaces vary a lot among the healthy: ventricles, the space over the convexity and the depth
    # of sulci each by themselves. Atrophy shows most reliably in how wide the sulci are.
    widening = float(np.exp(rng.normal(0.0, 0.30)))
    side = float(np.exp(rng.normal(0.0, 0.10)))
    ventricle = min(widening * (1.0 + 0.30 * ageing + 0.10 * atrophy), 2.6)
    thin = float(np.exp(rng.normal(0.0, 0.12)))
    space = float(np.exp(rng.normal(0.0, 0.65)))
    return Head(
        seed=int(rng.integers(2**62)),
        scale=(size * breadth, size, size * rng.uniform(0.97, 1.03)),
        tilt_deg=(rng.normal(-2.0, 3.5), rng.normal(0.0, 2.0), rng.normal(0.0, 2.5)),
        shift_mm=(rng.normal(0.0, 2.0), rng.normal(-15.0, 2.5), rng.normal(0.0, 3.0)),
        fold_mm=rng.uniform(*limits.fold_mm),
        cortex_mm=rng.uniform(*limits.cortex_mm) - 0.15 * atrophy,
        fold_depth_mm=rng.uniform(9.0, 21.0),
        sulcus_mm=thin * (0.42 + 0.15 * ageing + 0.46 * atrophy),
        rim_mm=min(space * (0.9 + 0.5 * ageing + 0.1 * atrophy), 4.5),
        ventricle=(
            ventricle * side,
            ventricle / side,
            min(widening * (0.8 + 0.3 * ageing + 0.1 * atrophy), 2.4),
        ),
        atrophy=atrophy,
        maturity=float(1.0 - np.exp(-(age_years + 0.3) / 1.3)),
        skull_mm=rng.uniform(5.0, 8.5) * (0.55 + 0.45 * growth),
        scalp_mm=rng.uniform(4.0, 8.5),
    )
