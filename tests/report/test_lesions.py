"""The ledger: one lesion, one tracking UID, whatever the date; nothing guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.errors import BadInput, Refused
from sagittal.report.codec import dumps, read_json
from sagittal.report.compare import AMBIGUOUS, DOUBTFUL
from sagittal.report.finding import (
    Change,
    ChangeKind,
    Evidence,
    Finding,
    Laterality,
    Measurement,
    Presence,
    Temporality,
)
from sagittal.report.lesions import Ledger, Role, assign, axes_mm, build, organ
from sagittal.report.vocabulary import concept, site

DAYS = [date(2025, 1, 1) + timedelta(days=60 * k) for k in range(5)]
RIGHT, LEFT = Laterality.RIGHT, Laterality.LEFT


def lesion(
    *mm: float,
    key: str = "nodule",
    where: str | None = "upper_lobe",
    side: Laterality | None = RIGHT,
    uid: str | None = None,
    presence: Presence = Presence.PRESENT,
) -> Finding:
    return Finding(
        concept(key),
        presence=presence,
        site=site(where).concept if where else None,
        laterality=side,
        measurements=(Measurement("diameter", mm, "mm"),) if mm else (),
        tracking_uid=uid,
    )


def ledger(*visits: Sequence[Finding], baseline: int | None = 0, **options: object) -> Ledger:
    dated = list(zip(DAYS, visits, strict=False))
    start = None if baseline is None else DAYS[baseline]
    return build("P1", dated, baseline=start, **options)  # type: ignore[arg-type]


def sizes(book: Ledger) -> dict[str, list[float | None]]:
    """Long axis at every date; None where it was not named or is gone."""
    return {
        one.uid: [axes_mm(f)[0] if (f := one.on(day)) is not None else None for day in book.days]
        for one in book.lesions
    }


def test_a_lesion_keeps_its_uid_through_time() -> None:
    book = ledger(
        [lesion(8.0, uid="a"), lesion(20.0, side=LEFT, uid="b")],
        [lesion(15.0, side=LEFT, uid="x"), lesion(9.0, uid="y")],
        [lesion(11.0), lesion(14.0, side=LEFT)],
    )
    assert sizes(book) == {"a": [8.0, 9.0, 11.0], "b": [20.0, 15.0, 14.0]}
    (a, _) = book.lesions
    changes = [entry.finding.change for entry in a.entries]
    # 8 -> 9 and 9 -> 11: each against the date it was last seen, by Fleischner's 2 mm.
    assert [(c.kind, c.since) for c in changes if c] == [
        (ChangeKind.STABLE, DAYS[0]),
        (ChangeKind.LARGER, DAYS[1]),
    ]
    assert {f.tracking_uid for one in book.lesions for f in [e.finding for e in one.entries]} == {"a", "b"}


def test_a_date_on_which_it_was_not_named_leaves_a_gap_and_no_new_lesion() -> None:
    book = ledger([lesion(8.0, uid="a")], [], [lesion(12.0)])
    assert sizes(book) == {"a": [8.0, None, 12.0]}
    (one,) = book.lesions
    assert one.on(DAYS[1]) is None
    change = one.entries[-1].finding.change
    assert change is not None and (change.kind, change.since) == (ChangeKind.LARGER, DAYS[0])


def test_gone_and_back_again_is_the_same_lesion() -> None:
    none = lesion(presence=Presence.ABSENT, where=None, side=None)
    book = ledger([lesion(8.0, uid="a")], [none], [lesion(7.0)])
    (one,) = book.lesions
    kinds = [e.finding.presence for e in one.entries]
    assert kinds == [Presence.PRESENT, Presence.ABSENT, Presence.PRESENT]
    gone = one.entries[1].finding
    assert gone.change is not None and gone.change.kind is ChangeKind.RESOLVED and gone.measurements == ()


def test_new_is_what_somebody_said_was_not_there() -> None:
    none_left = lesion(presence=Presence.ABSENT, where=None, side=LEFT)
    called = replace(lesion(9.0, key="mass"), change=Change(ChangeKind.NEW))
    book = ledger([lesion(8.0, uid="a"), none_left], [lesion(8.0), lesion(6.0, side=LEFT), called])
    roles = {(one.observation.key, one.entries[0].finding.laterality): one.role for one in book.lesions}
    assert roles == {("nodule", RIGHT): Role.OPEN, ("nodule", LEFT): Role.NEW, ("mass", RIGHT): Role.NEW}
    # Not named at the baseline is no proof that it was not there.
    quiet = ledger([lesion(8.0, uid="a")], [lesion(8.0), lesion(6.0, side=LEFT)])
    assert [one.role for one in quiet.lesions] == [Role.OPEN, Role.OPEN]


def test_what_may_be_two_is_kept_apart() -> None:
    book = ledger([lesion(8.0, uid="a")], [lesion(8.0), lesion(20.0)], [lesion(9.0, uid="a")])
    assert sizes(book) == {"a": [8.0, None, 9.0]}
    assert [(u.day, u.reason) for u in book.unclear] == [(DAYS[1], AMBIGUOUS)] * 2


def test_uncertain_findings_are_entries_of_a_known_lesion_and_never_a_new_one() -> None:
    maybe = lesion(presence=Presence.UNCERTAIN)
    book = ledger([lesion(8.0, uid="a")], [maybe], [lesion(8.0)])
    assert [e.finding.presence for e in book.lesions[0].entries][1] is Presence.UNCERTAIN
    other = ledger(
        [lesion(8.0, uid="a")],
        [lesion(8.0), lesion(presence=Presence.UNCERTAIN, side=LEFT)],
        [lesion(8.0), replace(lesion(9.0, side=LEFT), change=Change(ChangeKind.NEW))],
    )
    assert [u.reason for u in other.unclear] == [DOUBTFUL]
    # Called new, and yet it may be what was doubtful before: a person has to say.
    assert [one.role for one in other.lesions] == [Role.OPEN, Role.OPEN]


def test_only_lesions_are_followed_and_only_those_of_the_day() -> None:
    effusion = Finding(concept("pleural_effusion"), laterality=LEFT)
    history = replace(lesion(30.0), temporality=Temporality.HISTORICAL)
    assert ledger([effusion, history]).lesions == ()
    assert len(ledger([effusion], lesions=["pleural_effusion"]).lesions) == 1


def test_registrations_are_carried_from_date_to_date() -> None:
    def at(x: float, mm: float, uid: str | None = None) -> Finding:
        return replace(lesion(mm, uid=uid), evidence=Evidence("1", box_mm=(x - 4, -4, -4, x + 4, 4, 4)))

    shift = np.eye(4)
    shift[0, 3] = 100.0
    visits = (
        [at(0, 8, "a"), at(40, 9, "b")],
        [at(140, 10)],  # only b was named
        [at(241, 12), at(199, 8)],
    )
    book = ledger(*visits, registrations=[shift, shift])
    assert sizes(book) == {"a": [8.0, None, 8.0], "b": [9.0, 10.0, 12.0]}
    # Where one registration is missing, what was not seen since cannot be placed any more.
    lost = ledger(*visits, registrations=[shift, None])
    assert len(lost.unclear) == 2
    with pytest.raises(BadInput, match="1 transforms for 3 visits"):
        ledger(*visits, registrations=[shift])


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(4)), st.permutations(range(4)), st.permutations(range(4)))
def test_the_order_of_findings_does_not_matter(one: list[int], two: list[int], three: list[int]) -> None:
    places = [("upper_lobe", RIGHT), ("upper_lobe", LEFT), ("lower_lobe", RIGHT), ("lower_lobe", LEFT)]

    def visit(order: list[int], growth: float) -> list[Finding]:
        return [lesion(8.0 + k + growth, where=places[k][0], side=places[k][1]) for k in order]

    book = ledger(visit(one, 0), visit(two, 1), visit(three, 5))
    found = sorted(tuple(v) for v in sizes(book).values())
    assert found == [(8.0 + k, 9.0 + k, 13.0 + k) for k in range(4)]
    # UIDs are made up where there are none, the same ones each time.
    assert book == ledger(visit(one, 0), visit(two, 1), visit(three, 5))


def test_a_ledger_survives_a_file(tmp_path: Path) -> None:
    none = lesion(presence=Presence.ABSENT, where=None, side=LEFT)
    book = ledger(
        [lesion(8.0, 6.0, uid="a"), none], [lesion(9.0, 6.0), lesion(5.0, side=LEFT)], [lesion(), lesion()]
    )
    path = tmp_path / "ledger.json"
    path.write_text(dumps(book), "utf-8")
    assert read_json(Ledger, path) == book
    path.write_text(dumps(book).replace('"baseline": "2025-01-01"', '"baseline": "2024-01-01"'), "utf-8")
    with pytest.raises(BadInput, match="no day of the ledger"):
        read_json(Ledger, path)
    path.write_text(dumps(book).replace('"role": "open"', '"role": "shy"'), "utf-8")
    with pytest.raises(BadInput, match="shy"):
        read_json(Ledger, path)


def test_roles_are_given_by_uid() -> None:
    book = assign(ledger([lesion(12.0, uid="a")], [lesion(12.0)]), {"a": Role.TARGET})
    assert [one.uid for one in book.of(Role.TARGET)] == ["a"]
    with pytest.raises(BadInput, match="no lesion"):
        assign(book, {"b": Role.TARGET})
    with pytest.raises(BadInput, match="cannot be new"):
        assign(book, {"a": Role.NEW})


def test_dates_are_needed_and_must_rise() -> None:
    with pytest.raises(Refused, match="date of every study"):
        build("P1", [(DAYS[0], []), (None, [])])
    for days in ([DAYS[1], DAYS[0]], [DAYS[0], DAYS[0]]):
        with pytest.raises(BadInput, match="each date once"):
            build("P1", [(day, []) for day in days])
    with pytest.raises(BadInput, match="baseline"):
        build("P1", [(DAYS[0], [])], baseline=DAYS[1])


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (lesion(where="upper_lobe"), "lung"),
        (lesion(where="lingula"), "lung"),
        (lesion(key="metastasis", where="liver", side=None), "liver"),
        (lesion(key="metastasis", where="frontal_lobe"), "brain"),
        (lesion(key="lymphadenopathy", where="axilla"), "lymph_nodes"),
        (lesion(key="lymphadenopathy", where="mediastinum", side=None), "lymph_nodes"),
        (lesion(key="mass", where=None, side=None), None),
    ],
)
def test_organs(finding: Finding, expected: str | None) -> None:
    assert organ(finding) == expected


@pytest.mark.parametrize(
    ("measurements", "expected"),
    [
        ([Measurement("diameter", (12.0,), "mm")], (12.0, None)),
        ([Measurement("diameter", (8.0, 12.0), "mm")], (12.0, 8.0)),
        ([Measurement("diameter", (1.2, 0.8), "cm")], (12.0, 8.0)),
        ([Measurement("diameter", (12.0, 8.0, 9.0), "mm")], (12.0, None)),
        ([Measurement("short axis", (8.0,), "mm"), Measurement("long axis", (1.2,), "cm")], (12.0, 8.0)),
        ([Measurement("diameter", (12.0, 8.0), "{pixel}")], (None, None)),
        ([Measurement("diameter", (float("nan"),), "mm")], (None, None)),
        ([Measurement("diameter", (0.0,), "mm")], (None, None)),
        ([Measurement("volume", (12.0,), "mL")], (None, None)),
        ([], (None, None)),
    ],
)
def test_axes(measurements: list[Measurement], expected: tuple[float | None, float | None]) -> None:
    long, short, _ = axes_mm(Finding(concept("mass"), measurements=tuple(measurements)))
    assert (long, short) == pytest.approx(expected)
