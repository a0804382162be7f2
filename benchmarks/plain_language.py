"""How easy the text for patients is, over the whole vocabulary in every language.

    python benchmarks/plain_language.py [--out FILE]

One report of three findings round every observation: it is there (mild, 12 x 8 mm, larger), the next may be
there, the one after is not; each at its usual place. Graded by the formula made for the language
(`sagittal.report.readability`): the whole text, and what is said of the three findings alone. The baseline is
the radiologist's report of the same findings in the same language.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import mean
from typing import Any

from sagittal.report.draft import draft
from sagittal.report.finding import (
    Certainty,
    Change,
    ChangeKind,
    Finding,
    Laterality,
    Measurement,
    Presence,
    Severity,
)
from sagittal.report.names import languages
from sagittal.report.readability import FORMULAS, grade
from sagittal.report.reading import Provenance, Reading, SeriesSummary, Status, StudySummary
from sagittal.report.render import render
from sagittal.report.vocabulary import Observation, observations, site

GOAL = 6.0
SERIES = SeriesSummary("1.1", "CT", "x", (9, 9, 9), (1.0, 1.0, 1.0), "SPL", "HU")
STUDY = StudySummary("1", "P", date(2026, 3, 4), series=(SERIES,))


def readings() -> Iterator[Reading]:
    """Signed readings of three findings each, one an observation of the vocabulary."""
    entries = observations()
    for i in range(len(entries)):
        findings = (
            _found(
                entries[i],
                "2.25.1",
                severity=Severity.MILD,
                measurements=(Measurement("diameter", (12.0, 8.0), "mm"),),
                change=Change(ChangeKind.LARGER, date(2025, 1, 2)),
            ),
            _found(
                entries[(i + 1) % len(entries)],
                "2.25.2",
                presence=Presence.UNCERTAIN,
                certainty=Certainty.POSSIBLE,
            ),
            _found(entries[(i + 2) % len(entries)], "2.25.3", presence=Presence.ABSENT),
        )
        yield Reading(
            "1.2",
            Status.SIGNED,
            STUDY,
            (),
            (),
            findings,
            (),
            draft(STUDY, findings),
            Provenance(datetime(2026, 3, 4, tzinfo=UTC), 0),
            signed_by="Dr A. Reader",
        )


def _found(entry: Observation, uid: str, **facts: Any) -> Finding:
    place = site(entry.sites[0]).concept if entry.sites else None
    side = Laterality.LEFT if entry.laterality == "sided" else None
    return Finding(entry.concept, entry.kind, site=place, laterality=side, tracking_uid=uid, **facts)


def measure(code: str) -> dict[str, Any]:
    """Grades of all reports in one language."""
    grades: dict[str, list[float]] = {"whole text": [], "findings alone": [], "radiologist": []}
    for reading in readings():
        plain = render(reading, language=code, audience="patient")
        told = [s.text for section in plain.sections for s in section.sentences if s.findings]
        doctor = render(reading, language=code).section("findings").sentences
        grades["whole text"].append(grade(plain.text, code).grade)
        grades["findings alone"].append(grade("\n".join(told), code).grade)
        grades["radiologist"].append(grade("\n".join(s.text for s in doctor), code).grade)
    return {
        "formula": FORMULAS[code].name,
        "reports": len(grades["whole text"]),
        **{
            name: {
                "at most grade 6": sum(one <= GOAL for one in all_),
                "mean": round(mean(all_), 2),
                "hardest": round(max(all_), 2),
            }
            for name, all_ in grades.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    results = {code: measure(code) for code in languages()}
    print("language, formula: reports; at most grade 6 / mean / hardest")
    for code, row in results.items():
        print(f"{code}, {row['formula']}: {row['reports']}")
        for name in ("whole text", "findings alone", "radiologist"):
            print(f"    {name}: " + " / ".join(str(value) for value in row[name].values()))
    if args.out:
        args.out.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
