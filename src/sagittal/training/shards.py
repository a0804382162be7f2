"""Samples in shards: many in a file, found by number, read one at a time.

A shard is a safetensors file of tensors ``NUMBER/NAME``, or a tar file of members ``NUMBER.NAME.npy`` as
WebDataset has them. ``shards.json`` says how many samples each holds.
"""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sagittal.errors import BadInput
from sagittal.layers.weights import write_atomic
from sagittal.training.stream import Sample

INDEX = "shards.json"
Kind = Literal["safetensors", "tar"]


def write_shards(
    samples: Iterable[Sample], folder: Path, *, each: int = 256, kind: Kind = "safetensors"
) -> int:
    """Write samples as they come, ``each`` of them a shard; returns how many. Holds one shard in memory.

    The index is written last: a folder without it was not finished.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)
    counts: dict[str, int] = {}
    rest = iter(samples)
    while part := list(itertools.islice(rest, each)):
        path = folder / f"shard-{len(counts):06d}.{kind}"
        partial = path.with_name(f".{path.name}.partial")
        (_write_tensors if kind == "safetensors" else _write_tar)(part, partial)
        partial.replace(path)
        counts[path.name] = len(part)
    write_atomic(folder / INDEX, json.dumps(counts, indent=1).encode())
    return sum(counts.values())


def _write_tensors(samples: Sequence[Sample], path: Path) -> None:
    save_file(
        {
            f"{i:06d}/{name}": tensor.detach().cpu().contiguous().clone()
            for i, sample in enumerate(samples)
            for name, tensor in sample.items()
        },
        path,
    )


def _write_tar(samples: Sequence[Sample], path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for i, sample in enumerate(samples):
            for name, tensor in sample.items():
                data = io.BytesIO()
                np.save(data, tensor.detach().cpu().numpy(), allow_pickle=False)
                member = tarfile.TarInfo(f"{i:06d}.{name}.npy")
                member.size = data.tell()
                data.seek(0)
                tar.addfile(member, data)


@dataclass(frozen=True)
class Shards(Sequence[Sample]):
    """The samples of a folder of shards, by number. Open files are shared; only what is asked for is read.

    Tar shards without an index, as other tools write them, are counted once when they are opened.

    Raises:
        BadInput: there are no shards, the index names one that is not there, or a sample cannot be read.
    """

    folder: Path

    def __post_init__(self) -> None:
        index = self.folder / INDEX
        if index.exists():
            try:
                counts = {str(name): int(n) for name, n in json.loads(index.read_text("utf-8")).items()}
            except (ValueError, AttributeError, TypeError) as error:
                raise BadInput(f"{index} cannot be read: {error}", "names of shards and counts") from None
            for name in counts:
                if Path(name).name != name or not (self.folder / name).is_file():
                    raise BadInput(f"{index} names {name[:80]!r}, which is not in the folder")
        else:
            counts = {p.name: len(_members(p)) for p in sorted(self.folder.glob("*.tar"))}
        if not sum(counts.values()):
            raise BadInput(f"{self.folder} holds no finished shards", f"{INDEX}, or tar files")
        object.__setattr__(self, "names", tuple(counts))
        object.__setattr__(self, "ends", tuple(itertools.accumulate(counts.values())))

    names: tuple[str, ...] = ()
    ends: tuple[int, ...] = ()

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard = bisect_right(self.ends, index)
        place = index - (self.ends[shard - 1] if shard else 0)
        path = self.folder / self.names[shard]
        try:
            sample = _tar_sample(path, place) if path.suffix == ".tar" else _tensor_sample(path, place)
        except (OSError, SafetensorError, ValueError, IndexError, EOFError, tarfile.TarError) as error:
            raise BadInput(f"sample {place} of {path.name} cannot be read: {error}") from None
        if not sample:
            raise BadInput(f"sample {place} of {path.name} is not there")
        return sample


@lru_cache(maxsize=64)
def _opened(path: Path) -> tuple[Any, dict[str, list[str]]]:
    """A safetensors file, memory-mapped, and its keys by sample."""
    file: Any = safe_open(path, framework="pt")
    keys: dict[str, list[str]] = {}
    names = file.keys()
    for key in names:
        keys.setdefault(key.split("/", 1)[0], []).append(key)
    return file, keys


def _tensor_sample(path: Path, place: int) -> dict[str, Tensor]:
    file, keys = _opened(path)
    return {key.split("/", 1)[1]: file.get_tensor(key) for key in keys.get(f"{place:06d}", [])}


@lru_cache(maxsize=1024)
def _members(path: Path) -> tuple[dict[str, tuple[int, int]], ...]:
    """Of each sample of a tar file its arrays: name -> (offset, bytes). Reads headers only."""
    samples: dict[str, dict[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                base, _, name = Path(member.name).name.partition(".")
                if member.isfile() and name.endswith(".npy"):
                    where = (member.offset_data, member.size)
                    samples.setdefault(base, {})[name.removesuffix(".npy")] = where
    except (OSError, tarfile.TarError) as error:
        raise BadInput(f"shard {path.name} cannot be read: {error}", "an uncompressed tar file") from None
    return tuple(samples.values())


def _tar_sample(path: Path, place: int) -> dict[str, Tensor]:
    sample = {}
    with path.open("rb") as file:
        for name, (offset, size) in _members(path)[place].items():
            file.seek(offset)
            array = np.load(io.BytesIO(file.read(size)), allow_pickle=False)
            sample[name] = torch.from_numpy(array)
    return sample
