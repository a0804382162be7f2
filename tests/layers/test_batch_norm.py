"""Batch normalisation: torch's own when alone; with two gloo processes, torch's own of the whole batch.

python test_batch_norm.py FOLDER        what the processes do; the tests start it
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from sagittal.layers.batch_norm import BatchNorm, across

WIDTH = 6
TORCH = {4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
CASES: dict[str, tuple[tuple[int, ...], tuple[int, int], torch.dtype, float | None]] = {
    # size of an image, images of each process, precision, momentum
    "even": ((4, 5), (3, 3), torch.float64, 0.1),
    "uneven": ((4, 5), (5, 2), torch.float64, 0.1),
    "volumes, one process without any": ((3, 2, 4), (4, 0), torch.float64, 0.1),
    "cumulative": ((4, 5), (1, 3), torch.float64, None),
    "float32": ((8, 8), (6, 3), torch.float32, 0.1),
    "bfloat16": ((8, 8), (6, 3), torch.bfloat16, 0.1),
}
STEPS = 2


def problem(name: str) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """(batch, slopes of the output, weights) of a case, far from mean 0, where squares lose digits."""
    size, counts, kind, _ = CASES[name]
    draw = torch.Generator().manual_seed(7)
    x = (
        torch.randn(sum(counts), WIDTH, *size, generator=draw, dtype=torch.float64)
        + 30 * torch.arange(WIDTH)[(None, slice(None), *(None,) * len(size))]
    )
    slope = torch.randn(x.shape, generator=draw, dtype=torch.float64)
    weights = {"weight": torch.rand(WIDTH, generator=draw) + 0.5, "bias": torch.randn(WIDTH, generator=draw)}
    return x.to(kind), slope.to(kind), weights


def learn(norm: nn.Module, name: str, x: Tensor, slope: Tensor) -> dict[str, Tensor]:
    """Two steps: outputs, slopes of everything, buffers."""
    norm.load_state_dict(problem(name)[2], strict=False)
    norm.to(torch.promote_types(CASES[name][2], torch.float32)).train()
    found = {}
    for step in range(STEPS):
        each = (x * (1 + step)).requires_grad_()
        y = norm(each)
        y.backward(slope)
        found |= {f"y{step}": y.detach(), f"x{step}": each.grad}
    return found | {n: p.grad for n, p in norm.named_parameters()} | dict(norm.named_buffers())


def process(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    for name, (_, counts, _, momentum) in CASES.items():
        x, slope, _ = problem(name)
        mine = slice(0, counts[0]) if rank == 0 else slice(counts[0], None)
        norm = BatchNorm(WIDTH, momentum=momentum)
        across(nn.Sequential(norm), True)
        torch.save(learn(norm, name, x[mine], slope[mine]), folder / f"{name}-{rank}.pt")
    if rank == 0:  # the other process is not there: this would wait for it
        norm.eval()(x)
        across(norm, False)
        norm.train()(x)
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes have found, in a folder."""
    folder = tmp_path_factory.mktemp("norm")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, __file__, str(folder)], capture_output=True, text=True, env=environment, timeout=120,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_are_one(together: Path, name: str) -> None:
    size, _, kind, momentum = CASES[name]
    x, slope, _ = problem(name)
    wanted = learn(TORCH[2 + len(size)](WIDTH, momentum=momentum), name, x, slope)
    first, second = (torch.load(together / f"{name}-{rank}.pt") for rank in (0, 1))
    near = {torch.float64: (1e-9, 1e-9), torch.float32: (1e-4, 1e-4), torch.bfloat16: (2e-2, 2e-2)}[kind]
    for key, value in wanted.items():
        if key[:-1] in ("x", "y"):
            found = torch.cat([first[key], second[key]])
        elif key in ("weight", "bias"):
            found = first[key] + second[key]  # each process's share: DDP joins them
        else:
            assert torch.equal(first[key], second[key]), key
            found = first[key]
        assert found.dtype == value.dtype, key
        torch.testing.assert_close(
            found, value, rtol=near[0], atol=near[1], msg=lambda m, key=key: f"{key}: {m}"
        )


@pytest.mark.parametrize("name", CASES)
def test_alone_it_is_torchs_own_to_the_bit(name: str) -> None:
    size, _, _, momentum = CASES[name]
    x, slope, _ = problem(name)
    ours = BatchNorm(WIDTH, momentum=momentum)
    across(ours, True)  # there is nobody to ask
    theirs = TORCH[2 + len(size)](WIDTH, momentum=momentum)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    wanted = learn(theirs, name, x, slope)
    found = learn(ours, name, x, slope)
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_a_row_of_numbers_is_no_map() -> None:
    with pytest.raises(ValueError, match=r"\(B, C, \*S\), got \(6,\)"):
        BatchNorm(WIDTH)(torch.zeros(WIDTH))


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=process, args=(rank, Path(sys.argv[1]))) for rank in (0, 1)]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
    raise SystemExit(max(abs(each.exitcode or 0) for each in processes))
