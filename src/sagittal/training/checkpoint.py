"""Checkpoints of a run: written whole or not at all, read back without running code."""

from __future__ import annotations

import os
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sagittal.errors import BadInput

STEP = re.compile(r"step-(\d{9})")


def write(folder: Path, step: int, weights: dict[str, Tensor], state: dict[str, Any]) -> Path:
    """Save full-precision ``weights`` and the optimiser's ``state`` as ``folder/step-…``; drop older ones.

    The folder gets its name only when all of it is on disk, so an interrupted save leaves the last good one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final, partial = folder / f"step-{step:09d}", folder / f".step-{step:09d}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()},
        partial / "weights.safetensors",
    )
    torch.save(state, partial / "state.pt")
    for path in partial.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    for old in found(folder)[:-1]:
        shutil.rmtree(old)
    return final


def found(folder: Path) -> list[Path]:
    """Complete checkpoints in ``folder``, oldest first."""
    return sorted(path for path in folder.glob("step-*") if STEP.fullmatch(path.name))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(weights, state) of one checkpoint.

    Raises:
        BadInput: it is damaged, or holds anything but tensors and plain values.
    """
    try:
        state = torch.load(path / "state.pt", weights_only=True, map_location="cpu")
        return load_file(path / "weights.safetensors"), state
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(
            f"checkpoint {path.name} cannot be read: {reason}", fix="delete it to start anew"
        ) from error
