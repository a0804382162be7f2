"""How tissue becomes signal: relaxation and diffusion of every material, and the sequences' equations.

Spin echo: PD (1 - exp(-TR/T1)) exp(-TE/T2). Inversion recovery: PD (1 - 2 exp(-TI/T1) + exp(-TR/T1))
exp(-TE/T2). Spoiled gradient echo: PD sin a (1 - E1) / (1 - cos a E1) exp(-TE/T2*). Diffusion: spin
echo times exp(-b ADC). Contrast agent: 1/T1' = 1/T1 + r1 C. (Haacke et al., Magnetic Resonance
Imaging, 1999; Stejskal and Tanner 1965; relaxivity r1 of a gadolinium chelate in plasma: Rohrer 2005.)
Relaxation times are round values of the literature (Bojorquez 2017 at 3 T; Stanisz 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sagittal.phantom.noise import Array

SEQUENCES = ("T1", "T1c", "T2", "FLAIR", "DWI", "ADC")
IMAGES = ("T1", "T1c", "T2", "FLAIR", "B0", "DWI")
"""What is acquired; ADC is computed from B0 and DWI."""

STUFF = ("tumour", "rim", "necrosis", "pus", "oedema", "infarct", "gliosis")

# proton density, T1 at 1.5 T and at 3 T, T2 at 1.5 T in ms, ADC in 1e-3 mm2/s, contrast uptake (mmol/L)
_TABLE: dict[str, tuple[float, float, float, float, float, float]] = {
    "air": (0.0, 1000, 1000, 50, 1.0, 0.0),
    "csf": (1.00, 3900, 4200, 1500, 2.9, 0.0),
    "grey": (0.84, 1000, 1380, 98, 0.84, 0.012),
    "white": (0.71, 640, 860, 78, 0.76, 0.006),
    "deep_grey": (0.81, 850, 1180, 83, 0.76, 0.012),
    "pallidum": (0.76, 720, 1000, 66, 0.76, 0.012),
    "stem": (0.74, 720, 960, 82, 0.78, 0.008),
    "fat": (0.95, 260, 370, 75, 0.3, 0.0),
    "muscle": (0.76, 950, 1300, 38, 1.3, 0.05),
    "bone": (0.05, 800, 800, 5, 1.0, 0.0),
    "marrow": (0.70, 420, 520, 52, 0.4, 0.03),
    "dura": (0.35, 900, 1100, 30, 0.9, 0.45),
    "blood": (0.30, 1400, 1700, 8, 2.5, 1.5),
    "choroid": (0.88, 1150, 1500, 150, 1.7, 0.7),
    "vitreous": (1.00, 3500, 4000, 900, 2.8, 0.0),
    "mucosa": (0.85, 1200, 1500, 110, 1.6, 0.35),
    "ventricle": (1.00, 4000, 4300, 1600, 3.0, 0.0),
    "tumour": (0.88, 1400, 1800, 155, 1.25, 0.03),
    "rim": (0.86, 1150, 1500, 125, 1.05, 0.95),
    "necrosis": (0.95, 2300, 2700, 270, 2.1, 0.03),
    "pus": (0.93, 1900, 2300, 200, 0.50, 0.02),
    "oedema": (0.85, 1200, 1550, 170, 1.50, 0.008),
    "infarct": (0.82, 1100, 1450, 125, 0.36, 0.01),
    "gliosis": (0.82, 1080, 1430, 160, 1.20, 0.008),
}


@dataclass(frozen=True)
class Protocol:
    """Sequence timing of one examination; ms, degrees, s/mm2."""

    field_t: float
    t1_tr: float
    t1_te: float
    t1_flip: float
    t2_tr: float
    t2_te: float
    flair_tr: float
    flair_te: float
    flair_ti: float
    dwi_tr: float
    dwi_te: float
    b_value: float

    @property
    def gradient_echo(self) -> bool:
        """Whether the T1 images are spoiled gradient echoes rather than spin echoes."""
        return self.t1_flip < 60.0


@dataclass(frozen=True, eq=False)
class Material:
    """Columns of relaxation and diffusion, one row a material."""

    names: tuple[str, ...]
    density: NDArray[np.float64]
    t1: NDArray[np.float64]
    t2: NDArray[np.float64]
    adc: NDArray[np.float64]
    uptake: NDArray[np.float64]


def materials(
    names: tuple[str, ...],
    field_t: float,
    rng: np.random.Generator,
    *,
    spread: float = 0.04,
    maturity: float = 1.0,
) -> Material:
    """Rows of the table at a field strength with a patient's own biological spread.

    Args:
        spread: standard deviation of the logarithm of T1, T2 and ADC.
        maturity: of myelin; below 1, white matter is longer in T1 and T2.
    """
    rows = np.array([_TABLE[name] for name in names])
    high = (field_t - 1.5) / 1.5
    vary = np.exp(spread * rng.standard_normal((3, len(names))))
    young = np.array([1.0 - maturity if name in ("white", "stem", "pallidum") else 0.0 for name in names])
    return Material(
        names,
        rows[:, 0],
        (rows[:, 1] * (1 - high) + rows[:, 2] * high) * vary[0] * (1 + 0.7 * young),
        rows[:, 3] * (1 - 0.10 * high) * vary[1] * (1 + 0.5 * young),
        rows[:, 4] * 1e-3 * vary[2] * (1 + 0.3 * young),
        rows[:, 5],
    )


def signals(material: Material, protocol: Protocol, *, uptake: float = 1.0, fat_kept: float = 1.0) -> Array:
    """(images, materials) signals in the order of `IMAGES`, equilibrium magnetisation 1.

    Args:
        uptake: dose and timing factor of the contrast agent.
        fat_kept: what fat suppression leaves of fat on the diffusion images.
    """
    pd, t1, t2 = material.density, material.t1, material.t2
    relaxivity = 4.3e-3 if protocol.field_t < 2 else 3.7e-3  # per mmol/L and ms
    t1_post = 1.0 / (1.0 / t1 + relaxivity * material.uptake * uptake)

    def weighted(t1: NDArray[np.float64]) -> NDArray[np.float64]:
        e1 = np.exp(-protocol.t1_tr / t1)
        if not protocol.gradient_echo:
            return np.asarray(pd * (1 - e1) * np.exp(-protocol.t1_te / t2))
        flip = np.deg2rad(protocol.t1_flip)
        return np.asarray(
            pd * np.sin(flip) * (1 - e1) / (1 - np.cos(flip) * e1) * np.exp(-protocol.t1_te / (0.6 * t2))
        )

    spin = pd * (1 - np.exp(-protocol.t2_tr / t1)) * np.exp(-protocol.t2_te / t2)
    flair = pd * (1 - 2 * np.exp(-protocol.flair_ti / t1) + np.exp(-protocol.flair_tr / t1))
    flair = flair * np.exp(-protocol.flair_te / t2)
    b0 = pd * (1 - np.exp(-protocol.dwi_tr / t1)) * np.exp(-protocol.dwi_te / t2)
    b0 = np.where(np.isin(material.names, ("fat", "marrow")), b0 * fat_kept, b0)
    dwi = b0 * np.exp(-protocol.b_value * material.adc)
    rows = [weighted(t1), weighted(t1_post), spin, flair, b0, dwi]
    return np.asarray(np.stack(rows), np.float32)


def diffusion_coefficient(b0: Array, dwi: Array, b_value: float, floor: float) -> Array:
    """Apparent diffusion coefficient in 1e-6 mm2/s from two images; 0 where ``b0`` is under ``floor``."""
    valid = b0 > floor
    ratio = np.log(np.maximum(b0, 1e-6) / np.maximum(dwi, 1e-6)) * np.float32(1e6 / b_value)
    return np.where(valid, np.clip(ratio, 0.0, 4000.0), 0.0).astype(np.float32)
