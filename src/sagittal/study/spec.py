"""What a model accepts. `prepare` builds exactly this array or refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class InputSpec:
    """An input contract; None or empty means "any".

    Args:
        modality: accepted DICOM modalities.
        body_part: upper-case DICOM BodyPartExamined, e.g. CHEST, BRAIN, HIPPOCAMPUS.
        view: accepted ViewPosition values; position: accepted patient positions.
        age_years: inclusive range.
        contrast_phase, b_value, sequence: as in `Series` and `Acquisition`; for a multi-channel MR
            input ``sequence`` lists the channels in order.
        orientation: array-axis letters the model was trained in ("SPL"); a picture is "LF"
            (patient left on the picture's right, feet down).
        spacing_mm: z, y, x (y, x) to resample to; None keeps the native grid.
        size: z, y, x (y, x) of the array after padding or cropping; None keeps it.
        fit: how ``size`` is reached: "resize" the whole field, or "crop" / pad around its centre.
        unit: unit the voxels must have.
        window: values mapped linearly to [0, 1] and clipped; None: robust 0.5-99.5 percentile.
        normalise: "window", "percentile" or "zscore".
        max_slice_mm: thickest slice that is accepted.
    """

    modality: tuple[str, ...]
    body_part: str | None = None
    view: tuple[str, ...] = ()
    position: tuple[str, ...] = ()
    age_years: tuple[float, float] | None = None
    contrast_phase: tuple[str, ...] = ()
    b_value: tuple[float, float] | None = None
    sequence: tuple[str, ...] = ()
    orientation: str | None = None
    spacing_mm: tuple[float, ...] | None = None
    size: tuple[int, ...] | None = None
    fit: Literal["resize", "crop", "native"] = "native"
    unit: Literal["HU", "SUV", "arbitrary"] = "arbitrary"
    window: tuple[float, float] | None = None
    normalise: Literal["window", "percentile", "zscore"] = "percentile"
    channels: int = 1
    max_slice_mm: float | None = None
