"""What every unsigned page says about itself: an AI drafted it, and nothing is final until signed."""

from __future__ import annotations

from sagittal.report.reading import Reading, Status

DRAFTED = "Drafted by an AI model. Nothing here is final until a radiologist has signed it."
RESEARCH = "Research use only; not a medical device."
PREVIEW = "PREVIEW - NOT SIGNED - NOT FOR CLINICAL USE."
SYNTHETIC = "Synthetic study: a phantom, not a patient."
NO_PLAIN_TEXT = "This is the radiologist's wording; a plain-language version is not available."


def signed(reading: Reading) -> bool:
    """Whether a person has taken responsibility for this version."""
    return reading.status in (Status.SIGNED, Status.AMENDED) and reading.signed_by is not None


def disclosure(reading: Reading) -> tuple[str, ...]:
    """The lines that stand on every page of this reading, most important first."""
    lines = []
    if signed(reading):
        when = f" on {reading.signed_at:%Y-%m-%d %H:%M}" if reading.signed_at else ""
        lines.append(f"Drafted by an AI model, reviewed and signed by {reading.signed_by}{when}.")
    else:
        lines.append(DRAFTED)
    if reading.study.synthetic:
        lines.append(SYNTHETIC)
    lines.append(RESEARCH)
    return tuple(lines)
