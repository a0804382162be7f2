"""Weights: bounded shards, the same values after bf16 rounding, and damage that is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sagittal.errors import BadInput
from sagittal.layers.weights import load_shards, save_shards


def test_shards_are_bounded_and_come_back_rounded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = {f"layer{i}": torch.randn(50, 40) for i in range(6)} | {"count": torch.arange(3)}
    digests = save_shards(tmp_path, tensors, limit=9000)
    assert len(digests) == 3
    assert all((tmp_path / name).stat().st_size < 10_000 for name in digests)
    back = load_shards(tmp_path, digests)
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        wanted = tensor.bfloat16().float() if tensor.is_floating_point() else tensor
        assert torch.equal(back[name], wanted)


def test_saving_again_leaves_no_old_shard(tmp_path: Path) -> None:
    save_shards(tmp_path, {f"layer{i}": torch.zeros(50, 40) for i in range(6)}, limit=9000)
    digests = save_shards(tmp_path, {"layer": torch.zeros(3)})
    assert [path.name for path in tmp_path.iterdir()] == list(digests) == ["model.safetensors"]


def test_damage_and_strange_names_are_refused(tmp_path: Path) -> None:
    digests = save_shards(tmp_path, {"layer": torch.ones(30)})
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BadInput, match=r"not those its config\.json names"):
        load_shards(tmp_path, digests)
    for name in ("../secret.safetensors", "model.pt", "absent"):
        with pytest.raises(BadInput, match="are not there"):
            load_shards(tmp_path, {name: "0"})


def test_one_tensor_too_large_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 10 bytes, got 200"):
        save_shards(tmp_path, {"layer": torch.ones(100)}, limit=10)
