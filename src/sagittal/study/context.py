"""What is known about the patient beside the images."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True)
class Lab:
    """A laboratory value with its unit (UCUM) and the laboratory's own reference range."""

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    date: date | None = None


@dataclass(frozen=True)
class Operation:
    name: str
    date: date | None = None


@dataclass(frozen=True)
class Radiotherapy:
    """A course of radiotherapy: dates, total dose in Gy, and the field it covered."""

    start: date | None = None
    end: date | None = None
    dose_gy: float | None = None
    field: str = ""


@dataclass(frozen=True)
class Context:
    """Indication, notes, laboratory, treatment. Everything may be missing; nothing is guessed."""

    indication: str = ""
    notes: tuple[str, ...] = ()
    labs: tuple[Lab, ...] = ()
    medications: tuple[str, ...] = ()
    pathology: str = ""
    molecular: dict[str, str] = field(default_factory=dict)
    operations: tuple[Operation, ...] = ()
    radiotherapy: tuple[Radiotherapy, ...] = ()
    systemic_therapy: tuple[str, ...] = ()
    steroids: str | None = None
    performance_status: str | None = None
