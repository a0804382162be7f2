"""The main job end to end: phantoms through the command line, a real brain MR half read, half refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sagittal.phantom.cohort import write_cohort
from sagittal.report.codec import from_json, schema
from sagittal.report.reading import Reading
from sagittal.report.report import SECTIONS
from sagittal.study.open import open_study
from sagittal.tasks.read import read, redraft
from sagittal.zoo.load import BUNDLED

Cli = Callable[..., Any]

pytestmark = pytest.mark.skipif(
    not (BUNDLED / "sagittal-small" / "card.json").is_file(), reason="the bundled weights are not here"
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantoms") / "films"
    write_cohort("chest-xray", 1, out, seed=5, split="heldout")
    return next(path for path in sorted(out.iterdir()) if path.is_dir())


def test_a_phantom_film_is_read_into_files_that_validate(film: Path, tmp_path: Path, sagittal: Cli) -> None:
    out = tmp_path / "reading"
    ran = sagittal("read", film, "--out", out, "--json", "--context", film / "context.json")
    assert ran.code == 0, ran.err
    jsonschema.validate(ran.json, schema(Reading))
    assert json.loads((out / "reading.json").read_text()) == ran.json
    reading = from_json(Reading, ran.json)
    assert tuple(s.name for s in reading.report.sections) == SECTIONS
    assert reading.study.synthetic and reading.models[0].name == "sagittal-small"
    ids = {f.tracking_uid for f in reading.findings}
    for section in reading.report.sections:
        for sentence in section.sentences:
            assert set(sentence.findings) <= ids
    names = {m.name for m in reading.masks}
    assert {"lung_right", "lung_left"} <= names
    for finding in reading.findings:
        assert finding.evidence is not None
        assert finding.evidence.mask is None or finding.evidence.mask in names
    assert {"report.txt", "report.html", "seg.dcm", "sr.dcm"} <= {p.name for p in out.iterdir()}
    assert "Nothing here is final" in (out / "report.txt").read_text()
    if shutil.which("dciodvfy"):
        for name in ("seg.dcm", "sr.dcm"):
            said = subprocess.run(["dciodvfy", str(out / name)], capture_output=True, text=True).stderr
            assert not [line for line in said.splitlines() if line.startswith("Error")], said


def test_reading_twice_says_the_same(film: Path) -> None:
    first, second = (read(open_study(film)).reading for _ in range(2))
    assert first.scores == second.scores and first.findings == second.findings
    assert first.report == second.report and first.uid == second.uid


def test_a_rejected_finding_leaves_the_report(film: Path) -> None:
    from dataclasses import replace

    done = read(open_study(film))
    fewer = replace(done.reading, findings=done.reading.findings[1:])
    again = redraft(done.study, fewer)
    gone = {f.tracking_uid for f in done.reading.findings[:1]}
    assert not gone & {uid for s in again.sections for t in s.sentences for uid in t.findings}


def test_an_unknown_model_and_a_missing_study_are_one_line(film: Path, tmp_path: Path, sagittal: Cli) -> None:
    for arguments in (
        ("read", film, "--model", "nonsense"),
        ("read", tmp_path / "nothing"),
        ("read", film, "--no"),
    ):
        ran = sagittal(*arguments, "--json", "--out", tmp_path / "out")
        assert ran.code == 2 and ran.out == "" and ran.err.count("\n") == 1, (ran.out, ran.err)
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_real_brain_study_is_half_read_and_half_refused(
    shared_data: Path, tmp_path: Path, sagittal: Cli
) -> None:
    out = tmp_path / "out"
    ran = sagittal("read", shared_data / "brain_tumor_mr_dicom" / "Study3", "--out", out, "--json")
    assert ran.code == 0, ran.err
    reading = from_json(Reading, ran.json)
    volumes = sorted(m.volume_ml for m in reading.masks if m.name.startswith("brain") and m.volume_ml)
    assert volumes == pytest.approx([1632, 1678], abs=10)
    assert "thick slices: 22 at 6.5 mm" in reading.report.text
    assert not reading.findings and reading.refusals
