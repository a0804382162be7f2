"""What every unsigned page says about itself: an AI drafted it, and nothing is final until signed."""

from __future__ import annotations

from sagittal.report.names import DEFAULT
from sagittal.report.phrasebook import say
from sagittal.report.reading import Reading, Status


def signed(reading: Reading) -> bool:
    """Whether a person has taken responsibility for this version."""
    return reading.status in (Status.SIGNED, Status.AMENDED) and reading.signed_by is not None


def disclosure(reading: Reading, language: str = DEFAULT) -> tuple[str, ...]:
    """The lines that stand on every page of this reading, most important first."""
    lines = []
    if not signed(reading):
        lines.append(say("drafted", language))
    elif reading.signed_at:
        lines.append(say("signed_on", language, by=reading.signed_by, when=reading.signed_at))
    else:
        lines.append(say("signed", language, by=reading.signed_by))
    if reading.study.synthetic:
        lines.append(say("synthetic", language))
    lines.append(say("research", language))
    return tuple(lines)
