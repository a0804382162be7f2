"""Weights of a module as safetensors files of bounded size, named by content; never pickle."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sagittal.errors import BadInput

SHARD_BYTES = 15_000_000
SHARD_NAME = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")


def digest_of(path: Path) -> str:
    """sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: Path, data: bytes) -> None:
    """Write beside ``path``, flush to disk, then rename over it: readers see the old file or the new one."""
    beside = path.with_name(f".{path.name}.partial")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def save_shards(folder: Path, tensors: Mapping[str, Tensor], limit: int = SHARD_BYTES) -> dict[str, str]:
    """Write ``tensors``, floating ones as bf16, to shards of at most ``limit`` bytes each.

    Returns file name -> sha256. Files of an earlier save that are not among them are removed. A single
    tensor larger than ``limit`` is an error of the caller (ValueError).
    """
    shards: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu()
        tensor = (tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor).contiguous()
        size = tensor.numel() * tensor.element_size()
        if size > limit:
            raise ValueError(f"tensor {name} must be at most {limit} bytes, got {size}")
        if filled + size > limit:
            shards.append({})
            filled = 0
        shards[-1][name] = tensor
        filled += size
    digests = {}
    for index, shard in enumerate(shards, 1):
        many = f"-{index:05d}-of-{len(shards):05d}" if len(shards) > 1 else ""
        path = folder / f"model{many}.safetensors"
        beside = path.with_name(f".{path.name}.partial")
        save_file(shard, beside)
        beside.replace(path)
        digests[path.name] = digest_of(path)
    for old in folder.glob("model*.safetensors"):
        if SHARD_NAME.fullmatch(old.name) and old.name not in digests:
            old.unlink()
    return digests


def load_shards(folder: Path, digests: Mapping[str, str]) -> dict[str, Tensor]:
    """Read shards back, floating tensors as float32. Files are mapped, and let go.

    Raises:
        BadInput: a name that is no shard's, a file that is missing or not the one that was saved.
    """
    tensors: dict[str, Tensor] = {}
    for name, digest in digests.items():
        path = folder / name
        if not SHARD_NAME.fullmatch(name) or not path.is_file():
            raise BadInput(
                f"weights {name[:80]!r} of {folder.name} are not there", "a shard beside config.json"
            )
        if digest_of(path) != digest:
            raise BadInput(
                f"weights {name} of {folder.name} are not those its config.json names",
                fix="fetch the model again",
            )
        try:
            part = load_file(path)
        except SafetensorError as error:
            raise BadInput(f"weights {name} of {folder.name} cannot be read: {error}") from error
        tensors |= {key: _own(tensor) for key, tensor in part.items()}
    return tensors


def _own(mapped: Tensor) -> Tensor:
    """A tensor of a mapped file in memory of its own, floating ones as float32.

    bfloat16 is the upper half of float32. numpy shifts it there on this thread alone: torch has threads wait
    for one another at every large tensor, which took a second and a half where processors were busy.
    """
    if mapped.dtype != torch.bfloat16:
        return mapped.float().clone() if mapped.is_floating_point() else mapped.clone()
    own = torch.empty(mapped.shape, dtype=torch.float32)
    upper = mapped.view(torch.int16).numpy()
    np.left_shift(upper, 16, out=own.view(torch.int32).numpy(), dtype=np.int32)
    return own
