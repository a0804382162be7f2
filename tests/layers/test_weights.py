"""Weights: bounded shards, the same values after bf16 rounding, and damage that is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sagittal.errors import BadInput
from sagittal.layers import weights
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


def test_every_bfloat16_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    every = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    tensors = {
        "every": every,
        "one": every[7].clone(),
        "none": every[:0].clone(),
        "grid": every.reshape(64, -1).T,
    }
    back = load_shards(tmp_path, save_shards(tmp_path, tensors))
    for name, tensor in tensors.items():
        torch.testing.assert_close(back[name], tensor.float(), rtol=0, atol=0, equal_nan=True)


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="the system does not list mapped files")
def test_files_are_mapped_while_they_are_read_and_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = []

    def watched(path: Path) -> dict[str, torch.Tensor]:
        found = load_file(path)
        mapped.append(str(path) in Path("/proc/self/maps").read_text())
        return found

    monkeypatch.setattr(weights, "load_file", watched)
    tensors = {"layer": torch.ones(50, 40), "count": torch.arange(3)}
    back = load_shards(tmp_path, save_shards(tmp_path, tensors))
    assert mapped == [True]  # once
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
    (tmp_path / "model.safetensors").write_bytes(b"")  # nobody looks there any more
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


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
