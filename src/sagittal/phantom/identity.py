"""Who a phantom patient is: invented names, numbers and dates that nobody has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from sagittal.phantom.truth import uid
from sagittal.study.study import Patient

_FAMILY = (
    "Abara", "Adler", "Aguilar", "Ahlgren", "Aoki", "Baptiste", "Barzani", "Bellini", "Bianchi", "Bjork",
    "Borges", "Brandt", "Calder", "Castellan", "Chaudhri", "Cho", "Contreras", "Dahl", "Delacroix", "Demir",
    "Diallo", "Drozd", "Eklund", "Fadel", "Falk", "Farkas", "Fontaine", "Garnier", "Ghali", "Grieg",
    "Haddad", "Halvorsen", "Hara", "Hoang", "Iwata", "Jansky", "Kaplan", "Karimi", "Keller", "Kimura",
    "Kowal", "Laine", "Lindqvist", "Lozano", "Madani", "Mbeki", "Mehra", "Moreau", "Nakata", "Novak",
    "Okafor", "Oliveira", "Osei", "Petrov", "Quispe", "Rahman", "Rinaldi", "Salonen", "Santoro", "Sato",
    "Soares", "Tanaka", "Thorne", "Ueda", "Varga", "Weiss", "Yilmaz", "Zander",
)  # fmt: skip
_FEMALE = (
    "Ada", "Aiko", "Amara", "Anja", "Beatriz", "Carla", "Chiara", "Dalia", "Elif", "Emma", "Esther",
    "Fatima", "Freya", "Greta", "Hana", "Ines", "Jia", "Karin", "Leila", "Lucia", "Maren", "Mina", "Nadia",
    "Olga", "Priya", "Rosa", "Sofia", "Tove", "Uma", "Vera", "Yara", "Zoe",
)  # fmt: skip
_MALE = (
    "Adam", "Ali", "Andre", "Ben", "Bruno", "Carlos", "Daniel", "Dmitri", "Emil", "Farid", "Felix", "Goran",
    "Hiro", "Ibrahim", "Ivan", "Jonas", "Kenji", "Kofi", "Leo", "Luca", "Marek", "Mateo", "Nils", "Omar",
    "Pavel", "Rafael", "Ravi", "Samir", "Tariq", "Viktor", "Wei", "Yusuf",
)  # fmt: skip

FIRST_DAY = date(2015, 1, 1)
LAST_DAY = date(2024, 12, 31)


@dataclass(frozen=True)
class Identity:
    """A patient and the first study date."""

    patient: Patient
    study_date: date


def draw_identity(rng: np.random.Generator, patient_key: str, *, sex: str, age_years: float) -> Identity:
    """Invent a person of that sex ("M", "F") and age.

    Args:
        patient_key: decides the patient ID, so that no two patients share one.
        age_years: at the first study.
    """
    first = _FEMALE if sex == "F" else _MALE
    name = f"{_FAMILY[rng.integers(len(_FAMILY))]}^{first[rng.integers(len(first))]}"
    day = FIRST_DAY + timedelta(days=int(rng.integers((LAST_DAY - FIRST_DAY).days)))
    birth = day - timedelta(days=round(age_years * 365.2425))
    number = int(uid(patient_key, "patient").removeprefix("2.25.")) % 10**10
    patient = Patient(
        id=f"PH{number:010d}", name=name, sex=sex, birth_date=birth, age_years=age_on(birth, day)
    )
    return Identity(patient, day)


def age_on(birth: date, day: date) -> float:
    """Age in years: whole ones from 2 on, whole months below (as a DICOM Age String holds them)."""
    months = (day.year - birth.year) * 12 + day.month - birth.month - (day.day < birth.day)
    return float(months // 12) if months >= 24 else months / 12


def later(rng: np.random.Generator, day: date) -> date:
    """A follow-up date six weeks to eighteen months after ``day``."""
    return day + timedelta(days=int(rng.integers(42, 548)))
