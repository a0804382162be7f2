"""What every object we derive has in common: who made it, codes, a name that says "AI draft".

UIDs follow from the content, so that making the same thing again gives the same object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from sagittal.report.code import PRIVATE_SCHEME, Concept
from sagittal.report.reading import ModelUse
from sagittal.study.dicom.header import MANUFACTURER, text
from sagittal.study.uid import derived_uid

MODEL_NAME = "Sagittal"
AI_FAMILY = codes.cid7162.ArtificialIntelligence
RIGHT, LEFT = codes.SCT.Right, codes.SCT.Left

_LUNG = Code("39607008", "SCT", "Lung")
ANATOMY: dict[str, tuple[Any, Any]] = {
    # mask name -> type, side; immutable codes, since a segment's own copy gets the side written into it
    "lung_right": (_LUNG, RIGHT),
    "lung_left": (_LUNG, LEFT),
    "heart": (Code("80891009", "SCT", "Heart"), None),
    "brain": (Code("12738006", "SCT", "Brain"), None),
}
DEVICES = {
    "endotracheal_tube",
    "central_line",
    "feeding_tube",
    "chest_tube",
    "pacemaker",
    "other_medical_material",
}


@dataclass(frozen=True)
class Maker:
    """The software as DICOM names it."""

    version: str
    models: tuple[ModelUse, ...]

    @property
    def software(self) -> str:
        return text(f"sagittal {self.version}")

    def algorithm(self) -> hd.AlgorithmIdentificationSequence:
        """PS3.3 C.7.6.13: name, version, family, and the digest of the weights."""
        name = "+".join(dict.fromkeys(model.name for model in self.models)) or MODEL_NAME
        version = "+".join(dict.fromkeys(model.version for model in self.models)) or self.version
        digests = {f"sha256 {model.name}"[:60]: model.digest for model in self.models}
        return hd.AlgorithmIdentificationSequence(
            name=text(name), family=AI_FAMILY, version=text(version), source=MANUFACTURER,
            parameters=digests or None,
        )  # fmt: skip

    def equipment(self) -> hd.ContributingEquipment:
        """Purpose 109102, processing equipment; `stamp` sets the time."""
        return hd.ContributingEquipment(
            manufacturer=MANUFACTURER,
            purpose_of_reference=codes.DCM.ProcessingEquipment,
            manufacturer_model_name=MODEL_NAME,
            software_versions=self.software,
            contribution_description="drafted by a model, for review",
        )


def anatomy(name: str) -> tuple[Any, Any] | None:
    """Type and side of a mask of anatomy; "brain-2" is the second brain of a reading. None for the rest."""
    stem, _, number = name.rpartition("-")
    return ANATOMY.get(stem if stem and number.isdigit() else name)


def coded(concept: Concept) -> hd.sr.CodedConcept:
    """A vocabulary concept as a DICOM code."""
    return hd.sr.CodedConcept(concept.code, concept.scheme, text(concept.meaning))


def private(key: str) -> hd.sr.CodedConcept:
    """A code of our own scheme for something that is in no list."""
    code = key.upper()[:16]
    return hd.sr.CodedConcept(code, PRIVATE_SCHEME, text(key.replace("_", " ")))


def digest(*parts: str | bytes | NDArray[Any]) -> str:
    """SHA-256 over texts and arrays."""
    total = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        if isinstance(raw, np.ndarray):
            raw = str(raw.shape).encode() + np.packbits(raw).tobytes()
        total.update(len(raw).to_bytes(8, "big") + raw)
    return total.hexdigest()


def stamp(ds: Dataset, when: datetime | None, content: str, description: str) -> None:
    """Times, description and dimension UIDs that follow from the content, not from the clock."""
    when = when.astimezone(UTC) if when is not None and when.tzinfo else when or datetime.now(UTC)
    day, time = when.strftime("%Y%m%d"), when.strftime("%H%M%S")
    ds.SeriesDescription = text(description)
    for prefix in ("Content", "Series", "InstanceCreation"):
        setattr(ds, f"{prefix}Date", day)
        setattr(ds, f"{prefix}Time", time)
    for item in ds.get("ContributingEquipmentSequence") or []:
        if item.PurposeOfReferenceCodeSequence[0].CodeValue == codes.DCM.ProcessingEquipment.value:
            item.ContributionDateTime = f"{day}{time}+0000"
    ds.TimezoneOffsetFromUTC = "+0000"
    organisation = derived_uid(content, "dimensions")
    for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in ds.get(keyword) or []:
            item.DimensionOrganizationUID = organisation


def save(ds: Dataset, path: Path) -> Path:
    """Write whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    ds.save_as(temporary)
    temporary.replace(path)
    return path


def names(models: Sequence[ModelUse]) -> str:
    return ", ".join(dict.fromkeys(model.name for model in models)) or MODEL_NAME
