"""A phantom patient for brain MR: head, lesions, and what they are called."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from sagittal.phantom.brain_head import HELDOUT, TRAIN, Head, draw_head
from sagittal.phantom.brain_lesions import Lesion, LesionKind
from sagittal.phantom.truth import Split
from sagittal.report.finding import ChangeKind

Point = tuple[float, float, float]

MASS_SITES: dict[str, tuple[Point, ...]] = {
    "frontal_lobe": ((26.0, -30.0, 28.0), (34.0, -20.0, 32.0), (22.0, -38.0, 12.0)),
    "parietal_lobe": ((28.0, 40.0, 38.0), (36.0, 30.0, 32.0)),
    "temporal_lobe": ((44.0, 6.0, -18.0), (46.0, 26.0, -4.0)),
    "occipital_lobe": ((24.0, 72.0, 14.0), (28.0, 66.0, 20.0)),
    "cerebellum": ((23.0, 62.0, -36.0),),
}
"""Centres in head mm, on the left; how often a site is drawn follows its number of centres."""

TERRITORIES: dict[str, tuple[Point, ...]] = {
    "frontal_lobe": ((40.0, -16.0, 30.0), (12.0, -40.0, 24.0)),
    "parietal_lobe": ((46.0, 34.0, 28.0), (38.0, 22.0, 44.0)),
    "temporal_lobe": ((52.0, 20.0, 0.0), (50.0, 2.0, -14.0)),
    "occipital_lobe": ((16.0, 78.0, 8.0),),
    "insula": ((40.0, -4.0, 4.0),),
    "cerebellum": ((26.0, 66.0, -40.0),),
}
PERFORATORS: dict[str, tuple[Point, ...]] = {
    "thalamus": ((11.0, 17.0, 7.0),),
    "basal_ganglia": ((26.0, -2.0, 3.0), (19.0, 4.0, 8.0)),
    "white_matter": ((26.0, 0.0, 28.0), (24.0, 20.0, 30.0)),
    "brain_stem": ((5.0, 24.0, -28.0),),
}

MASS_RATE = 0.37
INFARCT_RATE = 0.31
VISIBLE_PUSH_MM = 3.0
"""Displacement from which mass effect is a finding; lesions without it push less than half as much."""


@dataclass(frozen=True)
class BrainSubject:
    """One patient at one time."""

    sex: str
    age_years: float
    split: Split
    head: Head
    lesions: tuple[Lesion, ...]

    @property
    def atrophic(self) -> bool:
        """Whether atrophy is beyond what is called healthy (the two are drawn apart)."""
        return self.head.atrophy >= 0.5


def draw_patient(rng: np.random.Generator, split: Split) -> BrainSubject:
    """Draw a patient with any of: a mass, an infarct, white-matter disease, atrophy, or nothing."""
    child = rng.random() < 0.08
    age = rng.uniform(4.0, 16.0) if child else rng.uniform(18.0, 89.0)
    sex = "M" if rng.random() < 0.5 else "F"
    elderly = 0.18 if age < 40 else 0.33 if age < 62 else 0.42
    atrophy = rng.uniform(0.5, 1.0) if rng.random() < elderly else rng.uniform(0.0, 0.2)
    head = draw_head(rng, TRAIN if split == "train" else HELDOUT, sex=sex, age_years=age, atrophy=atrophy)
    names: Counter[str] = Counter()
    lesions = []
    mass = rng.random() < MASS_RATE
    if mass:
        lesions.append(_draw_mass(rng, names))
    if rng.random() < (INFARCT_RATE - 0.07 if mass else INFARCT_RATE):
        lesions.append(_draw_infarct(rng, names))
    diseased = rng.random() < elderly + 0.03
    extent = rng.uniform(0.5, 1.1) if diseased else rng.uniform(0.0, 0.12)
    found = _named(names, "white_matter_hyperintensity") if diseased else ()
    lesions.append(
        Lesion(
            "white_matter", found, int(rng.integers(2**62)), "white_matter", extent=extent,
            strength=_conspicuity(rng, 0.44, 0.67),
        )
    )  # fmt: skip
    return BrainSubject(sex, float(age), split, head, tuple(lesions))


def _conspicuity(rng: np.random.Generator, faintest: float, middle: float) -> float:
    """Half of all lesions are fainter than ``middle``, where contrast-to-noise is about 3."""
    if rng.random() < 0.5:
        return float(rng.uniform(faintest, middle))
    return float(rng.uniform(middle, min(2.2 * middle, 1.0)))


def _named(names: Counter[str], *keys: str) -> tuple[str, ...]:
    names.update(keys)
    return tuple(f"{key}-{names[key]}" for key in keys)


def _place(rng: np.random.Generator, sites: dict[str, tuple[Point, ...]], jitter: float) -> tuple[str, Point]:
    choices = [(key, point) for key, points in sites.items() for point in points]
    site, point = choices[rng.integers(len(choices))]
    x, y, z = np.array(point) + rng.uniform(-jitter, jitter, 3)
    return site, (float(x if rng.random() < 0.5 else -x), float(y), float(z))


def _draw_mass(rng: np.random.Generator, names: Counter[str]) -> Lesion:
    kinds: tuple[LesionKind, ...] = ("glioma", "metastasis", "abscess")
    kind = kinds[rng.choice(3, p=(0.46, 0.33, 0.21))]
    site, (x, y, z) = _place(rng, MASS_SITES, 6.0)
    radius = {"glioma": rng.uniform(11, 23), "metastasis": rng.uniform(6, 13), "abscess": rng.uniform(9, 17)}[
        kind
    ]
    centres = [(x, y, z, float(radius))]
    if kind == "metastasis":
        for _ in range(int(rng.integers(0, 3))):
            _, (u, v, w) = _place(rng, MASS_SITES, 6.0)
            centres.append((u, v, w, float(rng.uniform(4.0, 8.0))))
    keys = ["intra_axial_mass"]
    enhancing = kind != "glioma" or rng.random() < 0.62
    if enhancing:
        keys.append("contrast_enhancement")
    wet = rng.random() < 0.80
    if wet:
        keys.append("vasogenic_oedema")
    pushing = rng.random() < 0.66
    if pushing:
        keys.append("mass_effect")
    cellular = kind == "glioma" and rng.random() < 0.12
    if kind == "abscess" or cellular:
        keys.append("restricted_diffusion")
    hollow = {"glioma": enhancing and rng.random() < 0.7, "metastasis": radius > 8, "abscess": True}[kind]
    oedema = rng.uniform(8.0, 20.0)
    reach = 1.1 * radius + 0.6 * (oedema if wet else 0.0) + 6.0
    most = min(13.0, 0.5 * reach)
    return Lesion(
        kind,
        _named(names, *keys),
        int(rng.integers(2**62)),
        site,
        tuple(centres),
        ragged={"glioma": rng.uniform(0.2, 0.4), "metastasis": 0.08, "abscess": 0.10}[kind],
        strength=_conspicuity(rng, 0.28, 0.42),
        enhancement=_conspicuity(rng, 0.21, 0.32) if enhancing else 0.0,
        rim_mm=rng.uniform(2.4, 4.5) if hollow else 0.0,
        oedema_mm=oedema if wet else 0.0,
        oedema=_conspicuity(rng, 0.40, 0.61),
        push_mm=rng.uniform(VISIBLE_PUSH_MM + 1.5, max(most, VISIBLE_PUSH_MM + 2))
        if pushing
        else rng.uniform(0.0, 1.0),
        reach_mm=reach,
        diffusion=0.45 if cellular else 1.0,
    )


def _draw_infarct(rng: np.random.Generator, names: Counter[str]) -> Lesion:
    keys = ["acute_infarct", "restricted_diffusion"]
    large = rng.random() < 0.65
    site, (x, y, z) = _place(rng, TERRITORIES if large else PERFORATORS, 4.0 if large else 2.5)
    radius = rng.uniform(10.0, 25.0) if large else rng.uniform(4.5, 7.0)
    swollen = large and radius > 14 and rng.random() < 0.5
    gyral = large and rng.random() < 0.15
    if swollen:
        keys.append("mass_effect")
    if gyral:
        keys.append("contrast_enhancement")
    return Lesion(
        "infarct",
        _named(names, *keys),
        int(rng.integers(2**62)),
        site,
        ((x, y, z, float(radius)),),
        ragged=0.22 if large else 0.12,
        strength=_conspicuity(rng, 0.17, 0.25),
        enhancement=rng.uniform(0.5, 1.0) if gyral else 0.0,
        push_mm=rng.uniform(VISIBLE_PUSH_MM + 0.5, 8.0) if swollen else 0.0,
        reach_mm=1.2 * radius + 6.0,
    )


def evolve_patient(
    subject: BrainSubject, rng: np.random.Generator
) -> tuple[BrainSubject, dict[str, ChangeKind]]:
    """The patient weeks to months later: masses grow, shrink, stay or go; an infarct is no longer acute.

    Returns:
        The later patient (same head, same age: the cohort dates the study) and, by finding, its change.
    """
    changes: dict[str, ChangeKind] = {}
    names: Counter[str] = Counter()
    for lesion in subject.lesions:
        for finding in lesion.findings:
            key, number = finding.rsplit("-", 1)
            names[key] = max(names[key], int(number))
    later: list[Lesion] = []
    for lesion in subject.lesions:
        if lesion.kind == "infarct":
            changes |= dict.fromkeys(lesion.findings, ChangeKind.RESOLVED)
            continue
        if lesion.kind == "white_matter":
            later.append(lesion)
            changes |= dict.fromkeys(lesion.findings, ChangeKind.STABLE)
            continue
        kind = (ChangeKind.LARGER, ChangeKind.SMALLER, ChangeKind.STABLE, ChangeKind.RESOLVED)[
            rng.choice(4, p=(0.35, 0.25, 0.30, 0.10))
        ]
        changes |= dict.fromkeys(lesion.findings, kind)
        if kind is not ChangeKind.RESOLVED:
            factor = {ChangeKind.LARGER: 1.35, ChangeKind.SMALLER: 0.72}.get(kind, 1.0)
            later.append(_grown(lesion, factor))
    if (
        not any(lesion.kind == "glioma" or lesion.kind == "metastasis" for lesion in later)
        and rng.random() < 0.3
    ):
        fresh = _draw_mass(rng, names)
        later.append(fresh)
        changes |= dict.fromkeys(fresh.findings, ChangeKind.NEW)
    return replace(subject, lesions=tuple(later)), changes


def _grown(lesion: Lesion, factor: float) -> Lesion:
    centres = tuple((x, y, z, r * factor) for x, y, z, r in lesion.centres)
    visible = lesion.name("mass_effect") is not None
    moved = lesion.push_mm * factor
    return replace(
        lesion,
        centres=centres,
        oedema_mm=lesion.oedema_mm * factor,
        reach_mm=lesion.reach_mm * (0.5 + 0.5 * factor),
        push_mm=max(moved, VISIBLE_PUSH_MM) if visible else min(moved, 1.3),
    )
