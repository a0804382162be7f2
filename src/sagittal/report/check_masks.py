"""A draft held against the masks beside a reading: what was drawn must not be denied, nor differ in size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from sagittal.report.check_difference import lengths
from sagittal.report.finding import Laterality, Measurement
from sagittal.report.problem import Grade, Problem, ProblemKind
from sagittal.report.reading import MaskSummary
from sagittal.report.statement import Draft, Statement, negative, positive, sides

VOLUME_FACTOR = 3.0
"""A volume and a mask's volume that differ by more than this are not one thing (house bound)."""

DIAMETER_FACTOR = 2.0
"""So are a longest diameter and that of the ball of the mask's volume: a lesion twice as long as it is
wide and deep has 1.6 times the diameter of its ball (house bound)."""

SPECK_ML = 0.01
"""Less is noise of the outline: a ball of 2.7 mm."""

COMPACT = frozenset({"nodule", "mass", "intra_axial_mass", "extra_axial_mass"})


def masks(draft: Draft, drawn: Sequence[MaskSummary]) -> Iterator[Problem]:
    """Problems of the draft beside the masks that name an observation."""
    for mask in drawn:
        if mask.observation is None or mask.volume_ml is None or mask.volume_ml < SPECK_ML:
            continue
        side = _side(mask.name)
        for statement in (s for s in draft.statements if s.key == mask.observation.key):
            finding = statement.finding
            elsewhere = side is not None and sides(finding) and side not in sides(finding)
            if elsewhere:
                continue
            if negative(finding):
                reason = f"the mask “{mask.name}” holds {mask.volume_ml:.2g} mL of it"
                yield _at(draft, statement, ProblemKind.CONTRADICTION, reason)
            elif positive(finding) and (unlike := _size(finding.measurements, mask)):
                yield _at(draft, statement, ProblemKind.SIZE, unlike)


def _at(draft: Draft, statement: Statement, kind: ProblemKind, reason: str) -> Problem:
    words = draft.words(statement.span)
    return Problem(kind, statement.span, words, reason, Grade.ERROR, statement.finding)


def _side(name: str) -> Laterality | None:
    words = name.lower().replace("_", " ").split()
    found = [s for s in (Laterality.RIGHT, Laterality.LEFT) if s.value in words]
    return found[0] if len(found) == 1 else None


def _size(measurements: Sequence[Measurement], mask: MaskSummary) -> str | None:
    """Why the sizes cannot be the mask's; None where they may be."""
    volume = mask.volume_ml or 0.0
    for measurement in measurements:
        if measurement.quantity == "volume" and measurement.unit == "mL":
            said = measurement.values[0]
            if max(said, volume) > VOLUME_FACTOR * min(said, volume):
                return f"the mask “{mask.name}” holds {volume:.2g} mL"
        if measurement.quantity == "diameter" and mask.observation and mask.observation.key in COMPACT:
            ball = 10 * (6 * volume / math.pi) ** (1 / 3)
            long = max(lengths(measurement), default=ball)
            if max(long, ball) > DIAMETER_FACTOR * min(long, ball):
                return f"the mask “{mask.name}” has the volume of a ball of {ball:.0f} mm"
    return None
