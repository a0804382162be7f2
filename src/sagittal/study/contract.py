"""Is a series within an `InputSpec`? What the file does not say may be stated; still unknown is refused."""

from __future__ import annotations

from sagittal.errors import Refused
from sagittal.study.geometry import Geometry
from sagittal.study.spec import InputSpec
from sagittal.study.study import Series, Study


def check(series: Series, spec: InputSpec, study: Study | None = None, *, sequence: str = "") -> list[str]:
    """Return what rests on the user's word; raise where the series does not fit.

    ``open_study`` has already put what the user stated into the series and patient; ``study.stated``
    tells which of it was stated.

    Raises:
        Refused: names what was wanted and what was found ("unknown" where the file does not say).
    """
    said = dict(study.stated) if study is not None else {}
    notes: list[str] = []

    def want(what: str, key: str, fits: bool, wanted: str, got: object) -> None:
        if not fits:
            unknown = got in (None, "", ())
            hint = f" (state it with --assume {key}=...)" if unknown else ""
            raise Refused(f"{what} does not fit{hint}", wanted, "unknown" if unknown else str(got))
        if key in said:
            notes.append(f"{what} {got}: stated by user")

    if not series.readable:
        raise Refused(
            "the series cannot be read as an image", "a readable series", "; ".join(series.problems)
        )
    want(
        "modality", "modality", series.modality in spec.modality, " or ".join(spec.modality), series.modality
    )
    dimensions = len(spec.size or spec.spacing_mm or series.shape)
    want("dimensions", "shape", len(series.shape) == dimensions, str(dimensions), len(series.shape))
    if spec.body_part is not None:
        part = (series.body_part or "").upper()
        want("body part", "body_part", part in _same_part(spec.body_part), spec.body_part, part)
    if spec.view:
        want("view", "view", series.view in spec.view, " or ".join(spec.view), series.view)
    if spec.position:
        want(
            "position",
            "position",
            series.position in spec.position,
            " or ".join(spec.position),
            series.position,
        )
    if spec.contrast_phase:
        phase = series.contrast_phase
        want(
            "contrast phase",
            "contrast_phase",
            phase in spec.contrast_phase,
            " or ".join(spec.contrast_phase),
            phase,
        )
    sequences = (sequence,) if sequence else spec.sequence
    if sequences:
        got = series.acquisition.sequence
        want("sequence", "sequence", got in sequences, " or ".join(sequences), got)
    if spec.b_value is not None:
        low, high = spec.b_value
        b = series.acquisition.b_value
        want("b-value", "b_value", b is not None and low <= b <= high, f"{low:g} to {high:g} s/mm2", b)
    if spec.age_years is not None:
        low, high = spec.age_years
        age = study.patient.age_years if study is not None else None
        want("age", "age", age is not None and low <= age <= high, f"{low:g} to {high:g} years", age)
    want("unit", "unit", series.unit == spec.unit, spec.unit, series.unit)
    if spec.max_slice_mm is not None and isinstance(series.geometry, Geometry):
        thick = max(series.geometry.spacing_mm)
        want(
            "slice spacing",
            "spacing",
            thick <= spec.max_slice_mm + 1e-3,
            f"at most {spec.max_slice_mm:g} mm",
            f"{thick:.1f} mm",
        )
    return notes


def _same_part(part: str) -> tuple[str, ...]:
    """Names under which DICOM files carry the same region (PS3.16 Annex L)."""
    return {
        "BRAIN": ("BRAIN", "HEAD"),
        "CHEST": ("CHEST", "THORAX", "LUNG"),
    }.get(part, (part,))
