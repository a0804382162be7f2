"""Study -> Series -> Volume."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

from sagittal.study.context import Context
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.volume import Unit, Volume


@dataclass(frozen=True)
class Patient:
    """Who was examined. ``age_years`` at the time of the study; None where the file does not say."""

    id: str = ""
    name: str = ""
    sex: str | None = None
    birth_date: date | None = None
    age_years: float | None = None


@dataclass(frozen=True)
class Acquisition:
    """How the image was made; None where the file does not say. Units in the names."""

    manufacturer: str | None = None
    model_name: str | None = None
    kvp: float | None = None
    exposure_mas: float | None = None
    kernel: str | None = None
    tr_ms: float | None = None
    te_ms: float | None = None
    ti_ms: float | None = None
    flip_angle_deg: float | None = None
    field_strength_t: float | None = None
    b_value: float | None = None
    slice_thickness_mm: float | None = None
    contrast_agent: str | None = None
    sequence: str | None = None
    """MR weighting the file states or implies: T1, T1c, T2, FLAIR, DWI, ADC."""


@dataclass(frozen=True)
class Instance:
    """One SOP instance a series was read from, in the volume's slice order."""

    sop_class_uid: str
    sop_instance_uid: str
    number_of_frames: int = 1
    path: str = ""
    member: str | None = None
    """Name inside ``path`` where that is a zip."""


@dataclass(frozen=True, eq=False)
class Series:
    """One series. ``decode`` runs at most once, when `volume` is first asked for.

    Args:
        uid: SeriesInstanceUID, or one derived from the content of a file without DICOM identity.
        modality: DICOM modality (CT, MR, DX, CR, PT, US, OT ...).
        shape: (z, y, x) or (y, x), known without decoding.
        geometry: same as the volume's.
        view: PA, AP, LL, RL ... as DICOM ViewPosition; position: ERECT, RECUMBENT ...
        problems: what is wrong or doubtful, one line each.
        readable: False when the problems forbid stacking or decoding; `volume` then raises BadInput.
        part_of: SeriesInstanceUID where one DICOM series holds several images and ``uid`` names
            only this one (an echo, a b-value, one of two films); None: ``uid`` is it.
    """

    uid: str
    modality: str
    shape: tuple[int, ...]
    geometry: Geometry | Plane
    unit: Unit
    decode: Callable[[], Volume]
    description: str = ""
    body_part: str | None = None
    view: str | None = None
    position: str | None = None
    contrast_phase: str | None = None
    acquisition: Acquisition = field(default_factory=Acquisition)
    instances: tuple[Instance, ...] = ()
    number: int | None = None
    problems: tuple[str, ...] = ()
    readable: bool = True
    part_of: str | None = None

    @cached_property
    def volume(self) -> Volume:
        """The decoded voxels with their geometry."""
        return self.decode()


@dataclass(frozen=True, eq=False)
class Study:
    """One examination of one patient, with what else is known and the studies before it.

    Args:
        stated: what the user stated because the file does not (``--assume``), key -> value.
        synthetic: the file says so (phantoms do).
        path: where it was opened from.
        others: objects beside the images: segmentations, structure sets, reports ...
    """

    uid: str
    patient: Patient
    series: tuple[Series, ...]
    date: date | None = None
    description: str = ""
    accession_number: str = ""
    context: Context = field(default_factory=Context)
    priors: tuple[Study, ...] = ()
    synthetic: bool = False
    stated: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    path: str = ""
    others: tuple[Instance, ...] = ()

    def with_(self, **changes: object) -> Study:
        """A copy with some fields replaced."""
        return replace(self, **changes)  # type: ignore[arg-type]
