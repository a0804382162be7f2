"""``--assume``: what the user states because the file does not say it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from sagittal.errors import BadInput
from sagittal.study.geometry import Plane
from sagittal.study.sequence import mr_sequence
from sagittal.study.study import Series, Study

KEYS = (
    "modality",
    "body_part",
    "view",
    "position",
    "age",
    "sex",
    "orientation",
    "contrast_phase",
    "sequence",
    "b_value",
    "unit",
    "spacing_mm",
    "date",
)
_SEQUENCES = {name.upper(): name for name in ("T1", "T1c", "T2", "FLAIR", "DWI", "ADC")}
_PHASES = ("none", "arterial", "portal venous", "delayed", "enhanced")
_MODALITIES = ("CR", "CT", "DX", "MG", "MR", "NM", "OT", "PT", "RF", "US", "XA", "XC")


def parse_assume(assume: str | Mapping[str, str] | None) -> dict[str, str]:
    """``"modality=MR,age=54Y"`` (or a mapping) as checked, normalised values.

    Keys: modality; body_part (CHEST, BRAIN ...); view (PA, AP, LL ...); position (ERECT, SUPINE ...);
    age (54Y, 6M, 54); sex (M, F, O); orientation of a picture (LF: patient left on the right, feet
    down); contrast_phase (none, arterial, portal venous, delayed, enhanced); sequence (T1, T1c, T2,
    FLAIR, DWI, ADC); b_value; unit (HU, SUV); spacing_mm of a picture (0.15 or 0.15x0.15); date.

    Raises:
        BadInput: an unknown key, or a value that makes no sense for it.
    """
    if not assume:
        return {}
    if isinstance(assume, str):
        pairs = []
        for part in assume.split(","):
            key, equals, value = part.partition("=")
            if not equals or not value.strip():
                raise BadInput(f"--assume has {part.strip()!r}", "KEY=VALUE, separated by commas")
            pairs.append((key, value))
    else:
        pairs = list(assume.items())
    stated: dict[str, str] = {}
    for key, value in pairs:
        key = key.strip().lower().replace("-", "_")
        if key not in KEYS:
            raise BadInput(f"--assume has the unknown key {key!r}", f"one of {', '.join(KEYS)}")
        if key in stated:
            raise BadInput(f"--assume names {key} twice")
        stated[key] = _checked(key, str(value).strip())
    return stated


def _checked(key: str, value: str) -> str:
    def wrong(expected: str) -> BadInput:
        return BadInput(f"--assume {key}={value}", expected)

    upper = value.upper()
    if key == "modality":
        if upper not in _MODALITIES:
            raise wrong(f"one of {', '.join(_MODALITIES)}")
        return upper
    if key == "age":
        if age_from(value) is None:
            raise wrong("54Y, 6M, 3W, 10D or a number of years")
        return upper
    if key == "sex":
        if upper[:1] not in ("M", "F", "O"):
            raise wrong("M, F or O")
        return upper[:1]
    if key == "orientation":
        letters = upper.replace("\\", "").replace("/", "")
        sides = ("LR", "AP", "HF")
        axes = [next((i for i, pair in enumerate(sides) if c in pair), -1) for c in letters]
        if len(letters) != 2 or -1 in axes or axes[0] == axes[1]:
            raise wrong("two letters of L R A P H F: where columns and where rows go, e.g. LF")
        return letters
    if key == "sequence":
        if upper not in _SEQUENCES:
            raise wrong(f"one of {', '.join(_SEQUENCES.values())}")
        return _SEQUENCES[upper]
    if key == "contrast_phase":
        if value.lower() not in _PHASES:
            raise wrong(f"one of {', '.join(_PHASES)}")
        return value.lower()
    if key == "unit":
        if upper not in ("HU", "SUV"):
            raise wrong("HU or SUV")
        return upper
    if key == "b_value":
        if not _number(value) or float(value) < 0:
            raise wrong("s/mm2, e.g. 1000")
        return value
    if key == "spacing_mm":
        if _spacing(value) is None:
            raise wrong("millimetres, e.g. 0.15 or 0.15x0.15")
        return value
    if key == "date":
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            raise wrong("YYYY-MM-DD") from None
    if not value.replace(" ", "").replace("_", "").replace("-", "").isalnum() or len(value) > 32:
        raise wrong("a word")
    return upper


def _number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _spacing(text: str) -> tuple[float, float] | None:
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(_number(part) and 0 < float(part) < 100 for part in parts):
        return None
    return float(parts[0]), float(parts[-1])


def age_from(text: str) -> float | None:
    """Years from "54Y", "6M", "3W", "10D" or "54"."""
    unit = text[-1:].upper()
    digits, divisor = (
        (text[:-1], {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}[unit])
        if unit in (*"YMWD",)
        else (text, 1.0)
    )
    if not _number(digits):
        return None
    years = float(digits) / divisor
    return years if 0 <= years <= 130 else None


@dataclass(frozen=True)
class _Taken:
    """What of the statements was used, and where a file said otherwise."""

    used: dict[str, str]
    problems: list[str]


def apply_assume(study: Study, stated: Mapping[str, str]) -> Study:
    """Fill what the files do not say; where they do, they are kept and the study says so."""
    if not stated:
        return study
    taken = _Taken({}, [])
    patient = study.patient
    if "age" in stated:
        age = age_from(stated["age"])
        agrees = patient.age_years is not None and age is not None and abs(patient.age_years - age) < 1
        if _may(taken, "age", stated, patient.age_years, agrees):
            patient = replace(patient, age_years=age)
    if "sex" in stated and _may(taken, "sex", stated, patient.sex, patient.sex == stated["sex"]):
        patient = replace(patient, sex=stated["sex"])
    day = study.date
    if "date" in stated:
        given = date.fromisoformat(stated["date"])
        if _may(taken, "date", stated, day, day == given):
            day = given
    series = tuple(_series(one, stated, taken) for one in study.series)
    return replace(
        study,
        patient=patient,
        date=day,
        series=series,
        stated={**study.stated, **taken.used},
        problems=(*study.problems, *dict.fromkeys(taken.problems)),
    )


def _may(taken: _Taken, key: str, stated: Mapping[str, str], known: object, agrees: bool) -> bool:
    """Whether to use a statement: only where nothing is known."""
    if known is None or known == "":
        taken.used[key] = stated[key]
        return True
    if not agrees:
        taken.problems.append(
            f"{key}={stated[key]} was stated, but the file says otherwise: the file is kept"
        )
    return False


def _series(series: Series, stated: Mapping[str, str], taken: _Taken) -> Series:
    changes: dict[str, object] = {}
    modality = series.modality
    if "modality" in stated:
        known = None if modality == "OT" else modality
        if _may(taken, "modality", stated, known, modality == stated["modality"]):
            changes["modality"] = modality = stated["modality"]
    for key in ("body_part", "view", "position", "contrast_phase"):
        if key in stated and (key != "contrast_phase" or modality == "CT"):
            known = getattr(series, key)
            if _may(taken, key, stated, known, known == stated[key]):
                changes[key] = stated[key]
    acquisition = series.acquisition
    if modality == "MR":
        if "sequence" in stated:
            known = acquisition.sequence
            if _may(taken, "sequence", stated, known, known == stated["sequence"]):
                acquisition = replace(acquisition, sequence=stated["sequence"])
        elif acquisition.sequence is None:
            acquisition = replace(acquisition, sequence=mr_sequence(description=series.description))
        if "b_value" in stated:
            b = acquisition.b_value
            if _may(taken, "b_value", stated, b, b == float(stated["b_value"])):
                acquisition = replace(acquisition, b_value=float(stated["b_value"]))
        changes["acquisition"] = acquisition
    changes |= _unit(series, modality, stated, taken) | _plane(series, stated, taken)
    return _changed(series, changes) if changes else series


def _unit(series: Series, modality: str, stated: Mapping[str, str], taken: _Taken) -> dict[str, object]:
    if "unit" in stated:
        known = None if series.unit == "arbitrary" else series.unit
        if _may(taken, "unit", stated, known, known == stated["unit"]):
            return {"unit": stated["unit"]}
    elif modality == "CT" and series.modality == "OT" and series.unit == "arbitrary":
        line = "voxels are taken as HU because the modality was stated as CT"
        return {"unit": "HU", "problems": (*series.problems, line)}
    return {}


def _plane(series: Series, stated: Mapping[str, str], taken: _Taken) -> dict[str, object]:
    plane = series.geometry
    if not isinstance(plane, Plane):
        return {}
    if "orientation" in stated:
        given = (stated["orientation"][0], stated["orientation"][1])
        known = plane.patient_orientation
        if _may(taken, "orientation", stated, known, known == given):
            plane = replace(plane, patient_orientation=given)
    if "spacing_mm" in stated:
        spacing = _spacing(stated["spacing_mm"])
        if _may(taken, "spacing_mm", stated, plane.spacing_mm, plane.spacing_mm == spacing):
            plane = replace(plane, spacing_mm=spacing, spacing_source="stated by user")
    return {} if plane is series.geometry else {"geometry": plane}


def _changed(series: Series, changes: dict[str, object]) -> Series:
    """The series with other metadata; its volume follows the same unit and plane."""
    changed = replace(series, **changes)  # type: ignore[arg-type]
    if "unit" not in changes and "geometry" not in changes:
        return changed
    geometry, unit = changed.geometry, changed.unit

    def decode():  # type: ignore[no-untyped-def]
        return replace(series.volume, geometry=geometry, unit=unit)

    return replace(changed, decode=decode)
