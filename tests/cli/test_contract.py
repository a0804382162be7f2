"""What every verb keeps: the common options, one line on stderr, the exit code, nothing written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydicom import dcmread

from sagittal.cli.app import VERBS

COMMON = ("--json", "--quiet", "--seed", "--device")


@pytest.mark.parametrize("verb", [*(v for v in VERBS if v != "zoo"), "zoo list", "zoo show"])
def test_every_verb_takes_the_common_options(sagittal: Any, verb: str) -> None:
    ran = sagittal(*verb.split(), "--help")
    assert ran.code == 0
    assert [option for option in COMMON if option not in ran.out] == []


@pytest.fixture
def place(tmp_path: Path, shared_data: Path) -> Path:
    """Bad things by name."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("hello")
    Image.new("L", (1, 1)).save(tmp_path / "one.png")
    Image.new("L", (40, 40), 7).save(tmp_path / "film.png")
    source = shared_data / "dicom_variety" / "test_files" / "CT_small.dcm"
    (tmp_path / "cut.dcm").write_bytes(source.read_bytes()[:20000])
    ds = dcmread(source)
    (tmp_path / "mixed").mkdir()
    shutil.copy(source, tmp_path / "mixed" / "a.dcm")
    ds.PatientID, ds.SOPInstanceUID = "other", "1.2.3"
    ds.save_as(tmp_path / "mixed" / "b.dcm")
    del ds.PixelData
    ds.save_as(tmp_path / "bare.dcm")
    return tmp_path


LONG = "x" * 300
BAD = ["empty", "note.txt", "none", "one.png", "cut.dcm", "bare.dcm", "mixed", LONG]
ON_PATHS = {
    "inspect": [],
    "convert": ["out.nii.gz"],
    "read": ["--out", "out"],
    "segment": ["--task", "lungs", "--out", "out.nii.gz"],
}


def one_line(ran: Any, place: Path, before: list[Path]) -> None:
    assert (ran.code, ran.out) == (2, ""), ran
    assert len(ran.err.splitlines()) == 1, ran.err
    assert ran.err.startswith("sagittal: ")
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("verb", ON_PATHS)
@pytest.mark.parametrize("name", BAD)
def test_a_path_that_is_no_study(
    sagittal: Any, place: Path, monkeypatch: pytest.MonkeyPatch, verb: str, name: str
) -> None:
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    one_line(sagittal(verb, place / name, *ON_PATHS[verb], "--json"), place, before)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bogus"], "No such command"),
        (["inspect"], "Missing argument"),
        (["inspect", "film.png", "--colour"], "sagittal inspect --help"),
        (["zoo"], "Missing command"),
        (["zoo", "show", "none"], "unknown model"),
        (["read", "film.png", "--model", "none"], "unknown model"),
        (["segment", "film.png", "--task", "lungs", "--model", "none", "--out", "m.nii"], "unknown model"),
        (["predict", "empty", "--model", "none", "--out", "p.csv"], "unknown model"),
        (["predict", "empty", "--model", "pneumoniamnist", "--out", "none/p.csv"], "does not exist"),
        (["predict", "empty", "--model", "pneumoniamnist", "--out", "empty"], "is a folder"),
        (["predict", "empty", "--model", "pneumoniamnist", "--out", "p.csv"], "labels.csv"),
        (["convert", "film.png", "none/o.nii.gz"], "does not exist"),
        (["segment", "film.png", "--task", "lungs", "--out", "none/m.nii"], "does not exist"),
        (["parse", "note.txt", "--out", "none/o.jsonl"], "does not exist"),
        (["parse", "film.png"], "is a PNG image"),
        (["phantom", "--kind", "bogus", "--n", "1", "--out", "q"], "unknown"),
        (["read", "film.png", "--context", "note.txt"], "not JSON"),
        (["predict", LONG, "--model", "pneumoniamnist", "--out", "p.csv"], "too long"),
        (["adapt", "--data", "empty", "--out", LONG], "too long"),
        (["phantom", "--kind", "chest-xray", "--n", "1", "--out", LONG], "too long"),
        (["zoo", "show", LONG], "too long"),
        (["read", "film.png", "--device", "bogus"], "device"),
    ],
)
def test_bad_words(
    sagittal: Any, place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    ran = sagittal(*arguments)
    one_line(ran, place, before)
    assert said in ran.err


def test_a_refusal_is_on_stderr_too(sagittal: Any, place: Path) -> None:
    ran = sagittal("read", place / "film.png", "--model", "pneumoniamnist", "--json")
    assert ran.code == 3
    assert ran.json["status"] == "refused"
    assert len(ran.err.splitlines()) == 1


def test_why_the_only_series_cannot_be_converted(sagittal: Any, place: Path, tmp_path: Path) -> None:
    for name in "ab":
        path = place / "mixed" / f"{name}.dcm"
        ds = dcmread(path)
        ds.PatientID, ds.ImageType = "1", ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        ds.save_as(path)
    ran = sagittal("convert", place / "mixed", tmp_path / "o.nii")
    assert ran.code == 2
    assert "localiser" in ran.err


def test_output_is_utf8_whatever_the_terminal_says(place: Path) -> None:
    name = os.fsencode(place) + b"/\xff.png"
    shutil.copy(place / "film.png", name)
    code = "import sys; from sagittal.cli.app import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, "inspect", name],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert "·" in ran.stdout.decode()
