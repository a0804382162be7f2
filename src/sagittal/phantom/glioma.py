"""Treated glioblastomas whose enhancement has grown: progression, or the effect of treatment?

The question needs everything at once, as in practice: the image now, the prior (did it grow, and how much),
the notes (how long since chemoradiation, is the patient worse, steroids) and the laboratory. Every case is a
pure function of seed and index. Given the truth the clues are independent, save that steroids, told in the
notes alone, raise the ratio of neutrophils to lymphocytes: the laboratory is read better with the notes.

The rule is ours and plausible, not fitted to patients. Its directions follow Brandsma et al., Lancet Oncology
2008 (treatment effect mostly within three months, often without symptoms); Brandes et al., J Clin Oncol 2008
(more often with a methylated MGMT promoter); and diffusion restricted in cellular tumour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from sagittal.errors import BadInput
from sagittal.phantom import mr
from sagittal.phantom.brain import MASS_SITES, BrainSubject
from sagittal.phantom.brain_head import HELDOUT, TRAIN, draw_head
from sagittal.phantom.brain_lesions import Lesion
from sagittal.phantom.identity import draw_identity
from sagittal.phantom.truth import SPLITS, Scope, Split
from sagittal.study.context import Context, Lab, Radiotherapy
from sagittal.study.study import Study

WEEKS = 4.35
"""In a month."""


@dataclass(frozen=True)
class Clue:
    """A log-normal clue: medians in treatment effect and in progression, spread of the logarithm."""

    effect: float
    progression: float
    spread: float

    def draw(self, rng: np.random.Generator, progression: bool) -> float:
        median = self.progression if progression else self.effect
        return float(median * np.exp(self.spread * rng.normal()))

    def log_ratio(self, value: float) -> float:
        """Log likelihood ratio of progression to treatment effect."""
        a, b = math.log(value / self.progression), math.log(value / self.effect)
        return (b * b - a * a) / (2 * self.spread**2)


@dataclass(frozen=True)
class Sign:
    """A clue that is there or not: its probabilities in treatment effect and in progression."""

    effect: float
    progression: float

    def draw(self, rng: np.random.Generator, progression: bool) -> bool:
        return bool(rng.random() < (self.progression if progression else self.effect))

    def log_ratio(self, there: bool) -> float:
        a, b = (self.progression, self.effect) if there else (1 - self.progression, 1 - self.effect)
        return math.log(a / b)


PREVALENCE = 0.5
CELLULAR = Sign(0.15, 0.55)  # diffusion restricted
SOLID = Sign(0.35, 0.60)  # enhances throughout, not as a rim
GROWTH = Clue(1.15, 1.45, 0.20)  # radius now over that of the prior
WEEKS_SINCE = Clue(9.0, 20.0, 0.8)  # since the end of chemoradiation
WORSE = Sign(0.30, 0.55)
STEROIDS = 0.5  # of either
LDH = Clue(190.0, 238.0, 0.25)  # U/L
RATIO = Clue(3.0, 4.2, 0.4)  # neutrophils over lymphocytes, without steroids
STEROID_LIFT = 1.6
METHYLATED = Sign(0.60, 0.30)
ABSENT = {"labs": 0.15, "notes": 0.15, "prior": 0.15}
"""How often a whole modality is missing, whatever the truth."""


@dataclass(frozen=True)
class Clues:
    """What is drawn of a patient before any image is made; ``radius_mm`` now says nothing by itself."""

    progression: bool
    radius_mm: float
    cellular: bool
    solid: bool
    growth: float
    weeks: float
    worse: bool
    steroids: bool
    ldh: float
    ratio: float
    methylated: bool

    def evidence(self) -> dict[str, float]:
        """Log likelihood ratios for progression, as an ideal observer has them.

        "image", "notes" and "labs" (once steroids are known) add up; "prior" is what growth adds to the image
        when both dates are seen.
        """
        ratio = self.ratio / (STEROID_LIFT if self.steroids else 1.0)
        return {
            "image": CELLULAR.log_ratio(self.cellular) + SOLID.log_ratio(self.solid),
            "prior": GROWTH.log_ratio(self.growth),
            "notes": WEEKS_SINCE.log_ratio(self.weeks) + WORSE.log_ratio(self.worse),
            "labs": LDH.log_ratio(self.ldh) + RATIO.log_ratio(ratio) + METHYLATED.log_ratio(self.methylated),
        }


def draw_clues(rng: np.random.Generator) -> Clues:
    """Truth and clues of one patient."""
    truth = bool(rng.random() < PREVALENCE)
    steroids = bool(rng.random() < STEROIDS)
    return Clues(
        progression=truth,
        radius_mm=float(rng.uniform(12.0, 22.0)),
        cellular=CELLULAR.draw(rng, truth),
        solid=SOLID.draw(rng, truth),
        growth=GROWTH.draw(rng, truth),
        weeks=WEEKS_SINCE.draw(rng, truth),
        worse=WORSE.draw(rng, truth),
        steroids=steroids,
        ldh=LDH.draw(rng, truth),
        ratio=RATIO.draw(rng, truth) * (STEROID_LIFT if steroids else 1.0),
        methylated=METHYLATED.draw(rng, truth),
    )


@dataclass(frozen=True, eq=False)
class GliomaCase:
    """One patient: the study (with its prior, notes and labs, each of which may be missing) and the truth."""

    study: Study
    clues: Clues


def draw_glioma(*, seed: int, index: int, split: Split = "train", size: int = 64) -> GliomaCase:
    """Draw one patient; the same arguments always give the same case.

    Args:
        size: rows and columns of every series, 64 to 256.

    Raises:
        BadInput: an argument is out of range.
    """
    if split not in SPLITS or seed < 0 or index < 0 or not 64 <= size <= 256:
        raise BadInput(f"glioma {seed}/{index}, {split!r}, size {size}", "0 or more, a split, 64 to 256")
    rngs = [np.random.default_rng([seed, index, SPLITS.index(split), stream]) for stream in range(6)]
    clues = draw_clues(rngs[0])
    subject = _subject(clues, rngs[1], split)
    key = f"glioma/{split}/{seed}/{index}"
    identity = draw_identity(rngs[2], key, sex=subject.sex, age_years=subject.age_years)
    day = identity.study_date
    before = day - timedelta(days=int(rngs[2].integers(42, 90)))
    missing = {name: bool(rngs[3].random() < rate) for name, rate in ABSENT.items()}
    priors = []
    if not missing["prior"]:
        earlier = _before(subject, clues.growth, rngs[4])
        scope = Scope(key, f"{key}/0/{size}", before)
        taken = mr.acquire(earlier, rngs[4], split=split, size=size, scope=scope)
        priors.append(
            Study(
                uid=scope.uid("study"), patient=identity.patient, series=taken.series, date=before,
                description=taken.description, synthetic=True,
            )
        )  # fmt: skip
    scope = Scope(key, f"{key}/1/{size}", day)
    taken = mr.acquire(subject, rngs[5], split=split, size=size, scope=scope)
    end = day - timedelta(days=round(7 * clues.weeks))
    study = Study(
        uid=scope.uid("study"),
        patient=identity.patient,
        series=taken.series,
        date=day,
        description=taken.description,
        context=Context(
            indication="Follow-up of a treated glioblastoma, enhancement has grown.",
            notes=() if missing["notes"] else _notes(clues),
            labs=() if missing["labs"] else _labs(clues, day, rngs[3]),
            radiotherapy=() if missing["notes"] else (Radiotherapy(end - timedelta(days=42), end, 60.0),),
            steroids=None if missing["notes"] else "dexamethasone" if clues.steroids else "none",
        ),
        priors=tuple(priors),
        synthetic=True,
    )
    return GliomaCase(study, clues)


def _subject(clues: Clues, rng: np.random.Generator, split: Split) -> BrainSubject:
    age, sex = float(rng.uniform(30.0, 80.0)), "M" if rng.random() < 0.58 else "F"
    limits = TRAIN if split == "train" else HELDOUT
    head = draw_head(rng, limits, sex=sex, age_years=age, atrophy=float(rng.uniform(0.0, 0.2)))
    places = [(name, p) for name, ps in MASS_SITES.items() if name != "cerebellum" for p in ps]
    site, place = places[rng.integers(len(places))]
    x, y, z = np.array(place) + rng.uniform(-5.0, 5.0, 3)
    x = x if rng.random() < 0.5 else -x
    keys = ["intra_axial_mass", "contrast_enhancement", "vasogenic_oedema"]
    keys += ["restricted_diffusion"] if clues.cellular else []
    oedema = float(rng.uniform(8.0, 16.0))
    lesion = Lesion(
        "glioma",
        tuple(f"{key}-1" for key in keys),
        int(rng.integers(2**62)),
        site,
        ((float(x), float(y), float(z), clues.radius_mm),),
        ragged=float(rng.uniform(0.15, 0.3)),
        strength=float(rng.uniform(0.5, 0.9)),
        enhancement=float(rng.uniform(0.5, 0.9)),
        rim_mm=0.0 if clues.solid else float(rng.uniform(3.0, 5.0)),
        oedema_mm=oedema,
        oedema=float(rng.uniform(0.5, 0.9)),
        push_mm=float(rng.uniform(0.0, 1.0)),
        reach_mm=1.1 * clues.radius_mm + 0.6 * oedema + 6.0,
        diffusion=0.45 if clues.cellular else 1.0,
    )
    return BrainSubject(sex, age, split, head, (lesion,))


def _before(subject: BrainSubject, growth: float, rng: np.random.Generator) -> BrainSubject:
    """The patient at the prior date: the lesion by ``growth`` smaller, its look not yet telling anything."""
    lesion = subject.lesions[0]
    x, y, z, radius = lesion.centres[0]
    before = replace(
        lesion,
        findings=tuple(name for name in lesion.findings if not name.startswith("restricted")),
        centres=((x, y, z, radius / growth),),
        rim_mm=float(rng.uniform(3.0, 5.0)) if rng.random() < 0.5 else 0.0,
        diffusion=1.0,
    )
    return replace(subject, lesions=(before,))


_NUMBERS = ("less than one", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
            "eleven", "twelve")  # fmt: skip


def _notes(clues: Clues) -> tuple[str, ...]:
    months = min(round(clues.weeks / WEEKS), 13)
    since = f"{_NUMBERS[months]} month{'s' * (months > 1)}" if months < 13 else "more than a year"
    return (
        f"Chemoradiation ended {since} ago.",
        "Weakness is worse than at the last visit." if clues.worse else "Clinically unchanged.",
        "Takes dexamethasone." if clues.steroids else "No steroids.",
    )


def _labs(clues: Clues, day: date, rng: np.random.Generator) -> tuple[Lab, ...]:
    """Each value is taken in nine of ten; the methylated share is a measurement around its group's."""
    share = 30.0 * np.exp(0.4 * rng.normal()) if clues.methylated else 3.0 * np.exp(0.4 * rng.normal())
    values = (
        ("Lactate dehydrogenase", clues.ldh, "U/L", 0, 125.0, 220.0),
        ("Neutrophil-lymphocyte ratio", clues.ratio, "1", 1, None, 3.5),
        ("MGMT promoter methylation", float(min(share, 99.0)), "%", 0, None, 9.0),
        ("Sodium", 139.0 * float(np.exp(0.02 * rng.normal())), "mmol/L", 0, 135.0, 145.0),
    )
    taken = [rng.random() < 0.9 for _ in values]
    return tuple(
        Lab(name, round(value, digits), unit, low, high, day)
        for (name, value, unit, digits, low, high), kept in zip(values, taken, strict=True)
        if kept
    )
