"""Checkpoints: whole or not at all, and no code runs on reading."""

from __future__ import annotations

import errno
import pickle
import resource
from pathlib import Path

import pytest
import torch

from sagittal.errors import BadInput
from sagittal.training import checkpoint

STATE = {"processes": 1}


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        checkpoint.write(tmp_path, step, {"w": torch.full((2,), float(step))}, STATE | {"step": step})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000002", "step-000000010"]
    weights, state = checkpoint.read(checkpoint.found(tmp_path)[-1])
    assert weights["w"].tolist() == [10, 10]
    assert state == {"step": 10, "processes": 1}


@pytest.mark.parametrize("writer", ["safetensors", "torch"])
def test_a_full_disk_leaves_the_last_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    checkpoint.write(tmp_path, 1, {"w": torch.ones(2)}, STATE)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((checkpoint, "save_file") if writer == "safetensors" else (torch, "save")), full)
    wanted = (
        "checkpoint step-000000002 cannot be written: .*No space left on device; make room and run again: "
    )
    with pytest.raises(BadInput, match=wanted + "it goes on from step-000000001"):
        checkpoint.write(tmp_path, 2, {"w": torch.zeros(2)}, STATE)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001"]  # the partial one takes no room
    assert checkpoint.read(checkpoint.found(tmp_path)[-1])[0]["w"].tolist() == [1, 1]
    checkpoint.write(tmp_path, 2, {"w": torch.zeros(2)}, STATE)


def test_a_write_that_really_stops_half_way(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, 1, {"w": torch.ones(2)}, STATE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(BadInput, match=r"step-000000002 cannot be written: .*File too large"):
            checkpoint.write(tmp_path, 2, {"w": torch.zeros(100_000)}, STATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001"]


@pytest.mark.parametrize("file", ["weights.safetensors", "state.pt"])
def test_a_damaged_one_falls_back_to_the_one_before(tmp_path: Path, file: str) -> None:
    for step in (1, 2):
        checkpoint.write(tmp_path, step, {"w": torch.full((50,), float(step))}, STATE)
    damaged = tmp_path / "step-000000002" / file
    damaged.write_bytes(damaged.read_bytes()[:-40])
    found = checkpoint.latest(tmp_path)
    assert found is not None
    tensors, _, notes = found
    assert tensors["w"][0] == 1
    assert len(notes) == 1
    assert notes[0].startswith("checkpoint step-000000002 cannot be read")
    assert notes[0].endswith("going on from the one before")
    checkpoint.write(tmp_path, 2, {"w": torch.full((50,), 2.0)}, STATE)
    again = checkpoint.latest(tmp_path)
    assert again is not None
    assert again[0]["w"][0] == 2
    assert again[2] == ()
    for path in checkpoint.found(tmp_path):
        (path / "state.pt").write_bytes(b"no")
    with pytest.raises(BadInput, match="cannot be read"):
        checkpoint.latest(tmp_path)


def test_damage_and_code_are_refused(tmp_path: Path) -> None:
    path = checkpoint.write(tmp_path, 1, {"w": torch.ones(2)}, STATE)
    good = (path / "state.pt").read_bytes()
    (path / "state.pt").write_bytes(good[: len(good) // 2])
    with pytest.raises(BadInput, match="checkpoint step-000000001 cannot be read"):
        checkpoint.read(path)

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save(STATE | {"step": Payload()}, path / "state.pt", pickle_module=pickle)
    with pytest.raises(BadInput, match="cannot be read"):
        checkpoint.read(path)
    assert not (tmp_path / "ran").exists()
