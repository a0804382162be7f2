"""Structured reports: what highdicom reads back, draft and signed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread

from sagittal.errors import BadInput, Refused
from sagittal.report.finding import Certainty, Evidence, Finding, Laterality, Measurement, Presence
from sagittal.report.reading import ModelUse, Provenance, Reading, Status
from sagittal.report.report import Report, Section, Sentence
from sagittal.report.vocabulary import concept, site
from sagittal.study.dicom.image import write_series
from sagittal.study.dicom.seg import write_seg
from sagittal.study.dicom.sr import write_sr
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.open import open_study
from sagittal.study.study import Study
from sagittal.study.summary import summarise
from sagittal.study.volume import Volume

MODELS = (ModelUse("small", "0.1", "ab" * 32),)
WHEN = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def reading(study: Study, **changes: Any) -> Reading:
    uid = study.series[0].uid
    nodule = Finding(
        concept("nodule"),
        certainty=Certainty.PROBABLE,
        probability=0.8,
        domain="phantom",
        site=site("upper_lobe").concept,
        laterality=Laterality.RIGHT,
        measurements=(Measurement("diameter", (12.5, 9.0), "mm"), Measurement("volume", (0.9,), "mL")),
        tracking_uid="2.25.42",
        evidence=Evidence(uid, mask="nodule-1"),
    )
    findings = (
        nodule,
        Finding(
            concept("rib_fracture"), tracking_uid="2.25.43", evidence=Evidence(uid, box_index=(1, 2, 9, 8))
        ),
        Finding(concept("pneumothorax"), presence=Presence.ABSENT),
        Finding(concept("mass"), presence=Presence.NOT_ASSESSED),
    )
    text = Report(
        (
            Section("findings", (Sentence("A 12.5 x 9 mm nodule.", ("2.25.42",)),)),
            Section("not assessed", (Sentence("Not assessed by the model: mass."),)),
        )
    )
    made = Reading(
        "2.25.5", Status.DRAFT, summarise(study), MODELS, (), findings, (), text,
        Provenance(WHEN, 0, {"sagittal": "0.1.0"}),
    )  # fmt: skip
    return replace(made, **changes)


@pytest.fixture(params=["CT", "DX"])
def case(request: Any, build: Any, tmp_path: Path) -> tuple[Study, list[Path]]:
    """A study on disk with its segmentation."""
    if request.param == "CT":
        geometry = Geometry.from_spacing((3.0, 0.8, 0.7))
        made = build(Volume(np.zeros((4, 16, 16), np.int16), geometry, "HU"), "CT")
    else:
        made = build(Volume(np.zeros((16, 24), np.uint16), Plane((1.0, 1.0), "x", ("L", "F"))), "DX")
    write_series(*made, tmp_path / "study")
    study = open_study(tmp_path / "study")
    mask = np.zeros(study.series[0].shape, bool)
    mask[..., 3:9, 4:8] = True
    segs = write_seg(
        tmp_path / "seg.dcm", study, study.series[0], {"nodule-1": mask}, {"nodule-1": concept("nodule")},
        MODELS, created=WHEN,
    )  # fmt: skip
    return study, segs


def texts(ds: Any) -> list[str]:
    """Every TEXT value of a report."""
    found = [ds.TextValue] if ds.get("ValueType") == "TEXT" else []
    for item in ds.get("ContentSequence") or []:
        found += texts(item)
    return found


def test_a_draft_is_preliminary_and_says_what_was_found(case: Any, tmp_path: Path) -> None:
    study, segs = case
    path = write_sr(tmp_path / "sr.dcm", study, reading(study), segmentations=segs)
    ds = dcmread(path)
    assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )
    assert ds.SeriesDescription == "AI draft: structured report"
    assert ds.StudyInstanceUID == study.uid
    content = hd.sr.srread(path).content
    film = len(study.series[0].shape) == 2
    drawn = (
        content.get_planar_roi_measurement_groups()
        if film
        else content.get_volumetric_roi_measurement_groups()
    )
    group = next(g for g in drawn if g.tracking_uid == "2.25.42")
    assert group.finding_type.value == "27925004"
    values = {m.name.meaning: (m.value, m.unit.value) for m in group.get_measurements()}
    assert values == {"Long axis": (12.5, "mm"), "Short axis": (9.0, "mm"), "Volume": (0.9, "mL")}
    (place,) = group.finding_sites
    assert place.laterality.meaning.lower().startswith("right")
    segment = dcmread(segs[0]).SOPInstanceUID
    assert segment in str(ds)
    assert ds.ContentSequence[0].ConceptNameCodeSequence[0].CodeMeaning
    said = texts(ds)
    assert "A 12.5 x 9 mm nodule." in said
    assert "Not assessed by the model: mass." in said
    absent = [g for g in content.get_image_measurement_groups() if g.finding_type.value == "36118008"]
    assert absent[0].get_qualitative_evaluations()[0].value.meaning == "Absent"
    # No probability leaves its domain, and what was not assessed is no finding.
    assert "0.8" not in str(ds)
    assert "4147007" not in str(ds)


def test_signing_makes_a_new_verified_object(case: Any, tmp_path: Path) -> None:
    study, segs = case
    draft = write_sr(tmp_path / "sr.dcm", study, reading(study), segmentations=segs)
    signed = reading(
        study, status=Status.SIGNED, signed_by="Roe^Ann", signed_at=WHEN.replace(hour=9), version=2
    )
    path = write_sr(tmp_path / "signed.dcm", study, signed, segmentations=segs, previous=draft)
    first, ds = dcmread(draft), dcmread(path)
    assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == ("COMPLETE", "VERIFIED", "FINAL")
    observer = ds.VerifyingObserverSequence[0]
    assert (observer.VerifyingObserverName, observer.VerificationDateTime) == ("Roe^Ann", "20240102090405")
    assert first.SOPInstanceUID in str(ds.PredecessorDocumentsSequence)
    assert ds.SOPInstanceUID != first.SOPInstanceUID
    assert not ds.SeriesDescription.startswith("AI draft")


def test_same_reading_same_bytes(case: Any, tmp_path: Path) -> None:
    study, segs = case
    a = write_sr(tmp_path / "a.dcm", study, reading(study), segmentations=segs)
    b = write_sr(tmp_path / "b.dcm", study, reading(study), segmentations=segs)
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_dciodvfy_finds_no_error(case: Any, tmp_path: Path) -> None:
    study, segs = case
    plain = write_sr(tmp_path / "plain.dcm", study, reading(study))
    whole = write_sr(tmp_path / "sr.dcm", study, reading(study), segmentations=segs)
    signed = reading(study, status=Status.SIGNED, signed_by="Roe^Ann", signed_at=WHEN)
    final = write_sr(tmp_path / "signed.dcm", study, signed, segmentations=segs, previous=whole)
    for path in (plain, whole, final):
        ran = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True)
        said = (ran.stdout + ran.stderr).splitlines()
        assert not [line for line in said if line.startswith("Error")], said
        # dciodvfy knows no private coding scheme; that is the only thing it may remark.
        warned = [line for line in said if line.startswith("Warning") and "DICOMDIR" not in line]
        assert all("99SAGITTAL" in line for line in warned), warned


def test_an_empty_draft_is_still_a_report(case: Any, tmp_path: Path) -> None:
    study, _ = case
    path = write_sr(tmp_path / "sr.dcm", study, reading(study, findings=()))
    assert "A 12.5 x 9 mm nodule." in texts(dcmread(path))


def test_what_cannot_be_reported_is_refused(case: Any, tmp_path: Path) -> None:
    study, segs = case
    with pytest.raises(Refused):
        write_sr(tmp_path / "x.dcm", study, reading(study, status=Status.REFUSED))
    with pytest.raises(BadInput, match="signed by nobody"):
        write_sr(tmp_path / "x.dcm", study, reading(study, status=Status.SIGNED))
    elsewhere = (Finding(concept("nodule"), evidence=Evidence("2.25.999")),)
    with pytest.raises(BadInput, match="series that the study lacks"):
        write_sr(tmp_path / "x.dcm", study, reading(study, findings=elsewhere))
    with pytest.raises(BadInput, match="not a structured report"):
        write_sr(tmp_path / "x.dcm", study, reading(study), previous=segs[0])
    assert not (tmp_path / "x.dcm").exists()
