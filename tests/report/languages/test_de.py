"""What only German asks: compounds, "kleiner" as small and as smaller, verbs at the end."""

from __future__ import annotations

import pytest

from sagittal.report.finding import Severity
from sagittal.report.parse import parse


def test_sizes_belong_to_what_they_measure() -> None:
    (finding,) = parse("Mittellinienverlagerung nach links um 6 mm.", "de")
    assert [(m.quantity, m.values) for m in finding.measurements] == [("shift", (6.0,))]
    hydronephrosis, stone = parse("Hydronephrose links bei 5 mm großem Ureterstein.", "de")
    assert not hydronephrosis.measurements
    assert stone.measurements[0].values == (5.0,)


@pytest.mark.parametrize(
    ("text", "kind", "since", "now", "prior"),
    [
        ("Solider Rundherd, 8 mm, unverändert seit 12.03.2023.", "stable", "2023-03-12", (8.0,), None),
        (
            "Raumforderung größenprogredient, aktuell 34 x 28 mm, zuvor 25 x 20 mm.",
            "larger",
            None,
            (34.0, 28.0),
            (25.0, 20.0),
        ),
        ("Der Rundherd ist deutlich kleiner als in der Voruntersuchung.", "smaller", None, None, None),
        ("Der Pleuraerguss links ist rückläufig.", "smaller", None, None, None),
        ("Pleuraerguss nicht mehr nachweisbar.", "resolved", None, None, None),
        ("Neu aufgetretene Konsolidierung im rechten Unterlappen.", "new", None, None, None),
        ("Keine Größenänderung des Rundherds im linken Oberlappen.", "stable", None, None, None),
    ],
)
def test_change(
    text: str, kind: str, since: str | None, now: tuple[float, ...] | None, prior: tuple[float, ...] | None
) -> None:
    (finding,) = parse(text, "de")
    assert finding.change is not None
    assert finding.severity is None
    assert finding.change.kind.value == kind
    assert str(finding.change.since) == str(since)
    assert (finding.measurements[0].values if finding.measurements else None) == now
    assert (finding.change.prior.values if finding.change.prior else None) == prior


def test_small_is_not_smaller() -> None:
    (finding,) = parse("Kleiner Pleuraerguss rechts.", "de")
    assert finding.change is None
    assert finding.severity is Severity.MILD


def test_number() -> None:
    (finding,) = parse("Drei Rundherde im linken Unterlappen.", "de")
    assert finding.count == 3
