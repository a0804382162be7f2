"""Checkpoints of a run: written whole or not at all, the two newest kept, read back without running code.

One process writes one safetensors file; several write one each (torch.distributed.checkpoint), which any
number of processes, also one, can read.
"""

from __future__ import annotations

import importlib
import os
import pickle
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sagittal.errors import BadInput
from sagittal.training.distributed import World

STEP = re.compile(r"step-(\d{9})")
KEEP = 2
FAILURES = (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError)
ONE = "weights.safetensors"
Place = Callable[[list[str]], dict[str, Tensor]]


def write(
    folder: Path, step: int, tensors: dict[str, Tensor], state: dict[str, Any], world: World | None = None
) -> Path:
    """Save ``tensors``, in full precision, and plain values ``state`` as ``folder/step-…``; drop all but two.

    The folder gets its name only when all of it is on disk, so an interrupted save leaves the last good one.

    Raises:
        BadInput: it cannot be written (the disk is full); what was there before stands.
    """
    world = world or World()
    final, partial = folder / f"step-{step:09d}", folder / f".step-{step:09d}.partial"
    failed = _attempt(lambda: _begin(folder, partial)) if world.rank == 0 else None
    if not world.any(failed is not None):
        failed = _attempt(lambda: _save(partial, tensors, world))
    if not world.any(failed is not None) and world.rank == 0:
        failed = _attempt(lambda: _finish(partial, final, state))
    if world.any(failed is not None):
        if world.rank == 0:
            shutil.rmtree(partial, ignore_errors=True)
        before = found(folder)
        raise BadInput(
            f"checkpoint {final.name} cannot be written: {_reason(failed)}",
            fix=f"make room and run again: it goes on from {before[-1].name if before else 'the start'}",
        ) from failed
    if world.rank == 0:
        for old in found(folder)[:-KEEP]:
            shutil.rmtree(old)
    return final


def _attempt(work: Callable[[], None]) -> BaseException | None:
    """Do it; what went wrong with it, or None."""
    try:
        work()
    except FAILURES as error:
        return error
    except BaseException as error:  # torch raises one of its own for what went wrong on any rank
        if type(error).__name__ != "CheckpointException":
            raise
        return error
    return None


def _begin(folder: Path, partial: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()


def _save(partial: Path, tensors: dict[str, Tensor], world: World) -> None:
    """The tensors: one file, or one a rank."""
    if world.size == 1:
        save_file({n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}, partial / ONE)
        return
    dcp: Any = importlib.import_module("torch.distributed.checkpoint")

    writer = dcp.HuggingFaceStorageWriter(str(partial), save_distributed=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save(dict(tensors), storage_writer=writer)


def _finish(partial: Path, final: Path, state: dict[str, Any]) -> None:
    torch.save(state, partial / "state.pt")
    for path in partial.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)


def found(folder: Path) -> list[Path]:
    """Complete checkpoints in ``folder``, oldest first."""
    return sorted(path for path in folder.glob("step-*") if STEP.fullmatch(path.name))


def read(
    path: Path, place: Place | None = None, world: World | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, state) of one checkpoint.

    Args:
        place: names -> tensors to read into, cut up over the ranks as this run's are; None: whole ones. Only
            asked for where several processes wrote.

    Raises:
        BadInput: it is damaged, or holds anything but tensors and plain values.
    """
    world = world or World()
    tensors: dict[str, Tensor] = {}
    state: dict[str, Any] = {}

    def plain() -> None:
        nonlocal tensors, state
        state = torch.load(path / "state.pt", weights_only=True, map_location="cpu")
        if "processes" not in state:
            raise ValueError("it is of an earlier version")
        if state["processes"] == 1:
            tensors = load_file(path / ONE)
        elif len(list(path.glob("*.safetensors"))) != state["processes"]:
            raise OSError(f"{state['processes']} files of weights were written, not all are there")

    def parts() -> None:
        nonlocal tensors
        tensors = _read_parts(path, place, world)

    failed = _attempt(plain)
    if not world.any(failed is not None) and not tensors:
        failed = _attempt(parts)
    if world.any(failed is not None):
        raise BadInput(
            f"checkpoint {path.name} cannot be read: {_reason(failed)}", fix="delete it to start anew"
        ) from failed
    return tensors, state


def _read_parts(path: Path, place: Place | None, world: World) -> dict[str, Tensor]:
    dcp: Any = importlib.import_module("torch.distributed.checkpoint")

    reader = dcp.HuggingFaceStorageReader(str(path))
    saved: dict[str, Any] = reader.read_metadata().state_dict_metadata
    if place is not None:
        tensors = place(list(saved))
    else:
        tensors = {name: torch.empty(one.size, dtype=one.properties.dtype) for name, one in saved.items()}
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != tuple(saved[name].size):
            raise ValueError(f"{name} has shape {tuple(saved[name].size)}, wanted {tuple(tensor.shape)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.load(tensors, storage_reader=reader, no_dist=world.size == 1)
    return tensors


def latest(
    folder: Path, place: Place | None = None, world: World | None = None
) -> tuple[dict[str, Tensor], dict[str, Any], tuple[str, ...]] | None:
    """The newest readable checkpoint, and a line for every newer one that is damaged; None: there is none.

    A damaged one is put aside as ``.step-….damaged``.

    Raises:
        BadInput: there are some, and none can be read.
    """
    world = world or World()
    saved, notes = found(folder), []
    for path in reversed(saved):
        try:
            tensors, state = read(path, place, world)
        except BadInput as error:
            if path == saved[0]:
                raise
            notes.append(f"{error.what}; going on from the one before")
            world.barrier()  # nobody reads it any more
            if world.rank == 0:
                shutil.rmtree(path.with_name(f".{path.name}.damaged"), ignore_errors=True)
                path.rename(path.with_name(f".{path.name}.damaged"))
            continue
        return tensors, state, tuple(notes)
    return None


def _reason(error: BaseException | None) -> str:
    """The first line of what went wrong, on whichever rank."""
    failures = getattr(error, "failures", None)
    if failures:
        error = next(iter(failures.values()))[0]
    if error is None:
        return "another process failed"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
