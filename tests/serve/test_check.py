"""The walk of `sagittal demo --check` passes where the room is right, and fails where it is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sagittal.report.report import Report
from sagittal.serve import samples, worker
from sagittal.serve.check import Check
from sagittal.serve.samples import Sample, expected, fill
from sagittal.serve.server import serving
from sagittal.settings import ServeSettings

FEW = (Sample("chest-xray", "pneumothorax", followup=True), Sample("chest-xray", "nodule"))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SAMPLES", FEW)


@pytest.mark.usefixtures("few")
def test_the_demo_checks_itself(
    kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, sagittal: Callable[..., Any]
) -> None:
    knows = kit.truthful()
    monkeypatch.setattr(worker, "reader", lambda settings: knows)
    ran = sagittal("demo", "--check", "--json")
    failed = [step for step in ran.json["steps"] if not step["ok"]]
    assert failed == []
    assert (ran.code, ran.json["ok"]) == (0, True)
    names = [step["name"] for step in ran.json["steps"]]
    assert {"accept", "sign", "exports download and are valid", "amend"} <= set(names)
    # What people see on a terminal never includes a traceback or a path of ours.
    assert ran.err == ""


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("fault", "step"),
    [
        ("the report does not follow", "edit, and the report follows"),
        ("the samples break", "every study is read, or says why not"),
        ("the reader breaks", "every study is read, or says why not"),
    ],
)
def test_a_fault_is_found_and_named(tmp_path: Path, kit: SimpleNamespace, fault: str, step: str) -> None:
    good = kit.truthful()
    stuck: dict[str, Report] = {}

    def never_follows(study: Any, reading: Any) -> Report:
        return stuck.setdefault(study.uid, reading.report)

    def fails(study: Any) -> Any:
        raise RuntimeError("no")

    reader, broken = good, []
    if fault == "the report does not follow":
        reader = replace(good, redraft=never_follows)
    elif fault == "the reader breaks":
        reader = replace(good, read=fails)
    else:
        broken = ["the samples could not be drawn"]
    with serving(ServeSettings(tmp_path, port=0), reader) as running:
        fill(running.room.store, arrived=running.room.worker.wake)
        check = Check(running, expected=expected(), seconds=60, broken=broken)
        steps = list(check.steps())
    assert [s.name for s in steps if not s.ok] == [step]
    assert steps[-1].name == step


def test_a_bad_port_is_told_in_one_line(sagittal: Callable[..., Any]) -> None:
    ran = sagittal("demo", "--port", "99999")
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_demo_that_is_killed_leaves_no_study_behind(tmp_path: Path, name: str) -> None:
    code = "from sagittal.cli.app import main; main()"
    demo = subprocess.Popen(
        [sys.executable, "-c", code, "demo", "--no-browser", "--port", "0"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    with demo:
        assert "http://127.0.0.1:" in demo.stdout.readline()
        assert list(tmp_path.glob("sagittal-demo-*"))
        demo.send_signal(getattr(signal, name))
        assert demo.wait(60) == 0
    assert list(tmp_path.glob("sagittal-demo-*")) == []
