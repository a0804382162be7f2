"""`sagittal phantom`: writes a data folder or says in one line why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_writes_a_data_folder(sagittal: Any, tmp_path: Path) -> None:
    out = tmp_path / "p"
    ran = sagittal(
        *("phantom", "--kind", "chest-xray", "--n", 2, "--out", out, "--size", 64, "--seed", 3),
        *("--followup", "--split", "heldout", "--workers", 1, "--json"),
    )
    assert ran.code == 0, ran.err
    assert ran.json["studies"] == 4
    assert ran.json["out"] == str(out)
    assert (out / "labels.csv").read_text().count("\n") == 5
    assert (out / "000001-1" / "truth.json").is_file()
    assert "000001-0" in (out / "labels.csv").read_text().splitlines()[-1]


def test_refuses_in_one_line(sagittal: Any, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    for arguments in (
        ("--kind", "knee", "--n", 1, "--out", tmp_path / "o"),
        ("--kind", "chest-ct", "--n", 1, "--out", tmp_path),
        ("--kind", "chest-ct", "--n", 0, "--out", tmp_path / "o"),
        ("--kind", "chest-ct", "--n", 1),
    ):
        ran = sagittal("phantom", *arguments, "--json")
        assert ran.code == 2
        assert ran.out == ""
        assert ran.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
