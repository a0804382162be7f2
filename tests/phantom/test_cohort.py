"""Cohorts: same seed same bytes, nothing half-written, truth that holds on every grid."""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sagittal.errors import BadInput
from sagittal.phantom import cohort
from sagittal.phantom.cohort import draw, draw_followup, write_cohort
from sagittal.phantom.truth import KINDS, LABELS, Case, CaseKind, Truth
from sagittal.report.codec import read_json
from sagittal.report.finding import ChangeKind, Presence
from sagittal.study.geometry import Geometry
from sagittal.study.open import open_study

PATIENTS = 5
SMALL: dict[CaseKind, int] = {"chest-xray": 64, "chest-ct": 32, "brain-mr": 64}


@cache
def _pairs(kind: CaseKind) -> tuple[tuple[Case, Case], ...]:
    return tuple(draw_followup(kind, seed=3, index=k, size=SMALL[kind]) for k in range(PATIENTS))


def _cases(kind: CaseKind) -> list[Case]:
    return [case for pair in _pairs(kind) for case in pair]


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_bytes_whatever_the_workers(kind: CaseKind, tmp_path: Path) -> None:
    size = SMALL[kind]
    first = write_cohort(kind, 2, tmp_path / "a", seed=4, size=size, workers=1)
    second = write_cohort(kind, 2, tmp_path / "b", seed=4, size=size, workers=2)
    assert _digests(first) == _digests(second)
    assert draw(kind, seed=5, index=0, size=size).truth != draw(kind, seed=4, index=0, size=size).truth


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_reads_back_as_what_was_drawn(kind: CaseKind, tmp_path: Path) -> None:
    out = write_cohort(kind, 1, tmp_path / "d", seed=1, size=SMALL[kind], workers=1, split="heldout")
    rows = list(csv.DictReader((out / "labels.csv").open(encoding="utf-8")))
    assert [row["study"] for row in rows] == ["000000"]
    assert {row["split"] for row in rows} == {"test"}
    assert set(LABELS[kind]) <= set(rows[0])
    assert {"patient", "group:sex", "group:age", "group:manufacturer"} <= set(rows[0])
    for index, row in enumerate(rows):
        case = draw(kind, seed=1, index=index, size=SMALL[kind], split="heldout")
        study = open_study(out / row["study"], context=out / row["study"] / "context.json")
        assert study.synthetic
        assert study.uid == case.study.uid
        assert study.patient.id == row["patient"] == case.study.patient.id
        assert study.date == case.study.date
        assert study.context == case.study.context
        by_uid = {series.uid: series for series in study.series}
        assert set(by_uid) == {series.uid for series in case.study.series}
        for series in case.study.series:
            back = by_uid[series.uid]
            assert np.array_equal(back.volume.voxels, series.volume.voxels)
            assert back.geometry == series.geometry
            assert back.modality == series.modality
            assert back.acquisition.manufacturer == series.acquisition.manufacturer
        truth = read_json(Truth, out / row["study"] / "truth.json")
        assert truth == case.truth
        masks = {path.name.split(".")[0] for path in (out / row["study"]).glob("truth_*")}
        assert masks == {f"truth_{name}" for name in case.masks}


@pytest.mark.parametrize("kind", KINDS)
def test_truth_is_consistent(kind: CaseKind) -> None:
    for case in _cases(kind):
        truth = case.truth
        present = {f.observation.key for f in truth.findings if f.presence is Presence.PRESENT}
        assert {key for key, value in truth.labels.items() if value} <= present
        assert all(truth.labels[key] for key in present & set(truth.labels))
        series = {s.uid: s for s in case.study.series}
        assert len({f.tracking_uid for f in truth.findings}) == len(truth.findings)
        for finding in truth.findings:
            assert finding.source == "phantom"
            evidence = finding.evidence
            if evidence is None or evidence.mask is None:
                continue
            mask = case.masks[evidence.mask]
            assert mask.geometry == series[evidence.series_uid or ""].geometry
            assert mask.shape == series[evidence.series_uid or ""].shape
            if isinstance(mask.geometry, Geometry) and evidence.box_mm is not None:
                points = mask.geometry.to_mm(np.argwhere(mask.voxels))
                low, high = np.array(evidence.box_mm[:3]), np.array(evidence.box_mm[3:])
                assert (points >= low - 0.02).all()
                assert (points <= high + 0.02).all()
            elif evidence.box_index is not None:
                y0, x0, y1, x1 = evidence.box_index
                assert np.count_nonzero(np.asarray(mask.voxels)[y0:y1, x0:x1]) == np.count_nonzero(
                    mask.voxels
                )
        pointed = {u for s in truth.report.sections for t in s.sentences for u in t.findings}
        assert pointed == {f.tracking_uid for f in truth.findings}


@pytest.mark.parametrize("kind", KINDS)
def test_sides_of_findings_are_the_sides_of_their_masks(kind: CaseKind) -> None:
    checked = 0
    for case in _cases(kind):
        for finding in case.truth.findings:
            side = finding.laterality.value if finding.laterality else ""
            evidence = finding.evidence
            if side not in ("right", "left") or evidence is None or evidence.mask not in case.masks:
                continue
            mask = case.masks[evidence.mask]
            index_mean = np.argwhere(np.asarray(mask.voxels) > 0).mean(axis=0)
            if isinstance(mask.geometry, Geometry):
                brain = case.masks.get("brain")
                middle = 0.0
                if brain is not None:
                    middle = float(mask.geometry.to_mm(np.argwhere(brain.voxels))[:, 0].mean())
                offset = float(mask.geometry.to_mm(index_mean)[0]) - middle
            else:
                lungs = [np.argwhere(case.masks[f"lung_{s}"].voxels)[:, 1].mean() for s in ("right", "left")]
                offset = float(index_mean[1] - np.mean(lungs))
            assert (offset > 0) == (side == "left"), (finding.observation.key, side, offset)
            checked += 1
    assert checked >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_follow_up_is_the_same_patient_later_with_true_changes(kind: CaseKind) -> None:
    kinds = set()
    prior, _ = _pairs(kind)[0]
    assert draw(kind, seed=3, index=0, size=SMALL[kind]).truth == prior.truth
    for prior, current in _pairs(kind):
        assert current.study.priors == (prior.study,)
        assert prior.study.patient.id == current.study.patient.id
        assert prior.study.patient.birth_date == current.study.patient.birth_date
        assert prior.truth.date < current.truth.date
        assert prior.study.uid != current.study.uid
        before = {f.tracking_uid: f for f in prior.truth.findings}
        for finding in current.truth.findings:
            change = finding.change
            if change is None:
                continue
            kinds.add(change.kind)
            assert change.since == prior.truth.date
            old = before.get(finding.tracking_uid)
            if change.kind is ChangeKind.NEW:
                assert old is None
                continue
            if change.kind is ChangeKind.RESOLVED:
                assert finding.presence is Presence.ABSENT
                continue
            if finding.observation.key == "nodule" and old is not None:
                now, then = finding.measurements[0].values[0], old.measurements[0].values[0]
                if change.kind is ChangeKind.LARGER:
                    assert now - then >= 2
                elif change.kind is ChangeKind.SMALLER:
                    assert then - now >= 2
                else:
                    assert abs(now - then) < 1.5
    assert kinds, "five patients, and nothing to compare"


@pytest.mark.parametrize("kind", ["chest-xray", "chest-ct"])
def test_truth_files_are_never_opened(kind: CaseKind, tmp_path: Path) -> None:
    out = write_cohort(kind, 1, tmp_path / "d", seed=1, size=SMALL[kind], workers=1)
    before = open_study(out / "000000")
    for path in (out / "000000").glob("truth*"):
        path.write_bytes(b"\0not what it says\xff" * 50)
    after = open_study(out / "000000")
    assert [s.uid for s in before.series] == [s.uid for s in after.series]
    assert before.problems == after.problems


def test_nothing_is_left_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = cohort.write_case, []

    def fail(case: Any, folder: Path) -> Path:
        calls.append(folder)
        if len(calls) == 2:
            raise OSError("disk full")
        return original(case, folder)

    monkeypatch.setattr(cohort, "write_case", fail)
    with pytest.raises(OSError, match="disk full"):
        write_cohort("chest-xray", 3, tmp_path / "x", size=64, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(BadInput, match="is there already"):
        write_cohort("chest-xray", 1, tmp_path, size=64)
    with pytest.raises(BadInput, match="is there already"):
        write_cohort("chest-xray", 1, tmp_path / "note.txt", size=64)
    assert (tmp_path / "note.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"kind": "knee"}, "kind"),
        ({"split": "val"}, "split"),
        ({"seed": -1}, "seed"),
        ({"size": 8}, "size"),
        ({"size": 100_000}, "size"),
        ({"n": 0}, "--n"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_written(
    changes: dict[str, Any], word: str, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {"kind": "chest-xray", "n": 1, "out": tmp_path / "o"} | changes
    with pytest.raises(BadInput, match=word):
        write_cohort(**arguments)
    assert not (tmp_path / "o").exists()


def test_an_empty_folder_may_be_given_and_val_is_a_tenth(tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    out = write_cohort("chest-xray", 10, tmp_path / "o", size=64, workers=2)
    rows = list(csv.DictReader((out / "labels.csv").open(encoding="utf-8")))
    assert [row["split"] for row in rows].count("val") == 1
    assert "prior" not in rows[0]
    assert list(tmp_path.iterdir()) == [out]


_DIGEST = """
import hashlib, sys
from sagittal.phantom.cohort import draw
digest = hashlib.sha256()
for kind, size in (("chest-xray", 128), ("chest-ct", 64), ("brain-mr", 96)):
    case = draw(kind, seed=2, index=1, size=size)
    for series in case.study.series:
        digest.update(series.volume.voxels.tobytes())
    for name in sorted(case.masks):
        digest.update(case.masks[name].voxels.tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_threads_of_the_linear_algebra() -> None:
    found = []
    for threads in ("1", "4"):
        environment = os.environ | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        ran = subprocess.run(
            [sys.executable, "-c", _DIGEST], env=environment, capture_output=True, text=True, check=True
        )
        found.append(ran.stdout)
    assert found[0] == found[1]
