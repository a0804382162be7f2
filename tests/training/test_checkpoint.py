"""Checkpoints: whole or not at all, and no code runs on reading."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from sagittal.errors import BadInput
from sagittal.training import checkpoint


def test_only_the_last_is_kept(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        checkpoint.write(tmp_path, step, {"w": torch.full((2,), float(step))}, {"step": step})
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000010"]
    weights, state = checkpoint.read(checkpoint.found(tmp_path)[-1])
    assert weights["w"].tolist() == [10, 10]
    assert state == {"step": 10}


def test_a_save_that_fails_leaves_the_last_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.write(tmp_path, 1, {"w": torch.ones(2)}, {"step": 1})

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.write(tmp_path, 2, {"w": torch.zeros(2)}, {"step": 2})
    monkeypatch.undo()
    last = checkpoint.found(tmp_path)[-1]
    assert last.name == "step-000000001"
    assert checkpoint.read(last)[1] == {"step": 1}


def test_damage_and_code_are_refused(tmp_path: Path) -> None:
    path = checkpoint.write(tmp_path, 1, {"w": torch.ones(2)}, {"step": 1})
    good = (path / "state.pt").read_bytes()
    (path / "state.pt").write_bytes(good[: len(good) // 2])
    with pytest.raises(BadInput, match="checkpoint step-000000001 cannot be read"):
        checkpoint.read(path)

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"step": Payload()}, path / "state.pt", pickle_module=pickle)
    with pytest.raises(BadInput, match="cannot be read"):
        checkpoint.read(path)
    assert not (tmp_path / "ran").exists()
