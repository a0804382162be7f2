"""Several processes: the losses of one, checkpoints for any number, a killed process, global negatives."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sagittal.errors import BadInput
from sagittal.training import checkpoint
from sagittal.training.distributed import World, gather, world
from sagittal.training.loop import FitConfig

SCRIPT = Path(__file__).with_name("together.py")
spec = importlib.util.spec_from_file_location("together", SCRIPT)
assert spec is not None and spec.loader is not None
together = importlib.util.module_from_spec(spec)
spec.loader.exec_module(together)

CONFIG = FitConfig(steps=6, report_steps=1, bf16=False, save_seconds=0.0, average=0.9)


def start(*arguments: object, torchrun: int = 0, restarts: int = 0) -> None:
    """Run the script; gloo on 127.0.0.1."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={torchrun}"]
    if restarts:
        launcher.append(f"--max-restarts={restarts}")
    command = [sys.executable, *(launcher if torchrun else []), str(SCRIPT), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]


def alone(config: FitConfig, folder: Path | None = None, **more: bool) -> Any:
    return json.loads(json.dumps(together.train(World(), folder, config, **more)))


def close(one: Any, other: Any, steps: range) -> None:
    """Equal losses and probes at ``steps`` within 1e-4, and equal averaged weights at the end."""
    curves = [{p["step"]: p["losses"] | p["probes"] for p in run["curve"]} for run in (one, other)]
    for step in steps:
        assert curves[0][step] == pytest.approx(curves[1][step], abs=1e-4), step
    for name, weight in one["weights"].items():
        torch.testing.assert_close(
            torch.tensor(weight), torch.tensor(other["weights"][name]), rtol=0, atol=1e-4, msg=name
        )


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes have reached with DDP and with FSDP2, in a folder."""
    folder = tmp_path_factory.mktemp("pair")
    start(folder, "--fork", 2, "--both", "--steps", 4, "--accumulate", 2)
    return folder


@pytest.mark.parametrize("film", [False, True], ids=["", "batch normalisation"])
def test_two_processes_reach_the_losses_of_one(pair: Path, film: bool) -> None:
    """DDP and FSDP2; and what two have saved, one goes on with, to the same weights and statistics."""
    config = replace(CONFIG, steps=4, accumulate=2)
    whole = alone(config, film=film)
    assert film == any(name.endswith("running_var") for name in whole["weights"])
    for name in ("film-ddp", "film-fsdp") if film else ("ddp", "fsdp"):
        close(json.loads((pair / f"{name}.json").read_text()), whole, range(1, 5))
        saved = checkpoint.found(pair / name)
        assert [path.name for path in saved] == ["step-000000003", "step-000000004"]
        (saved[1] / "state.pt").unlink()  # then it is the one before, written by two
        resumed = alone(config, pair / name, film=film)
        assert "step-000000004 cannot be read" in resumed["curve"][0]["notes"][0]
        close(resumed, whole, range(4, 5))


@pytest.mark.slow
@pytest.mark.parametrize("shard", [(), ("--shard",)], ids=["ddp", "fsdp"])
def test_accumulation_and_another_number_of_processes(tmp_path: Path, shard: tuple[str, ...]) -> None:
    name = "fsdp" if shard else "ddp"
    whole = alone(replace(CONFIG, steps=9, accumulate=2))
    # the schedule belongs to 9 steps, so runs are cut short by their checkpoints, not by --steps
    more = ("--steps", 9, "--accumulate", 2, *shard)
    start(tmp_path, *more, torchrun=2)
    close(json.loads((tmp_path / f"{name}.json").read_text()), whole, range(1, 10))
    for processes in (3, 1, 2):
        newest = checkpoint.found(tmp_path / name)[-1]
        assert newest.name == "step-000000009"
        for path in newest.iterdir():
            path.unlink()
        newest.rmdir()
        start(tmp_path, *more, torchrun=processes)
        close(json.loads((tmp_path / f"{name}.json").read_text()), whole, range(9, 10))


@pytest.mark.slow
@pytest.mark.parametrize("shard", [(), ("--shard",)], ids=["ddp", "fsdp"])
def test_a_killed_process_is_survived(tmp_path: Path, shard: tuple[str, ...]) -> None:
    name = "fsdp" if shard else "ddp"
    (tmp_path / name).mkdir()
    start(tmp_path, "--steps", 8, "--die", 5, *shard, torchrun=2, restarts=3)
    assert (tmp_path / name / "killed").exists()
    result = json.loads((tmp_path / f"{name}.json").read_text())
    assert result["curve"][0]["step"] in (5, 6)  # it went on; it did not begin again
    close(result, alone(replace(CONFIG, steps=8)), range(6, 9))


def test_alone_nothing_is_asked_of_anybody() -> None:
    with world() as here:
        assert (here.rank, here.size, here.device.type) == (0, 1, "cpu")
        assert here.total([1.5, 2.0]) == [1.5, 2.0]
        assert here.any(True) and not here.any(False)
    tensor = torch.ones(2, requires_grad=True)
    assert gather(tensor) is tensor


def test_a_broken_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(BadInput, match="start with torchrun"), world():
        pass
