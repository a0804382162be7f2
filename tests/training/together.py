"""A small run for several processes, as a user's script would be: `torchrun together.py FOLDER …`.

Not a test: `test_distributed.py` starts it. With --fork N it starts N processes itself, which is quicker.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sagittal.layers.convolution import Patchify, ResidualBlock
from sagittal.pretrain.contrastive import contrastive_loss
from sagittal.training.distributed import World, full_weights, gather, world
from sagittal.training.loop import FitConfig, Progress, fit

GLOBAL_BATCH = 12


class Net(nn.Module):
    """Two towers with blocks in a list, one of which a batch does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = nn.Linear(6, 8), nn.Linear(5, 8)
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.idle = nn.Linear(3, 3)
        self.scale = nn.Parameter(torch.tensor(1.0))


class Film(nn.Module):
    """Convolutions with batch normalisation, in a list and outside it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Patchify(1, 8, (2, 2), "batch")
        self.blocks = nn.ModuleList(ResidualBlock(8, 8, (3, 3), (1, 1), kind="batch") for _ in range(2))
        self.out = nn.Linear(8, 1)
        self.scale = nn.Parameter(torch.tensor(1.0))


def batches(start: int, here: World) -> Iterator[tuple[Tensor, Tensor]]:
    """This process's part of global batch ``start``, ``start + 1`` …"""
    part = GLOBAL_BATCH // here.size
    rows = slice(here.rank * part, (here.rank + 1) * part)
    step = start
    while True:
        x = torch.randn(GLOBAL_BATCH, 6, generator=torch.Generator().manual_seed(step))
        yield x[rows], torch.cat([x[:, :3].sin(), x[:, :2]], 1)[rows]
        step += 1


def objective(net: Net, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Contrastive over the global batch, and a plain mean; the module itself is never called."""
    image, text = net.image(batch[0]), net.text(batch[1])
    for block in net.blocks:
        image = image + torch.tanh(block(image))
    a, b = (gather(nn.functional.normalize(x, dim=1)) for x in (image, text))
    return {"pairs": contrastive_loss(a, b, net.scale), "size": 0.1 * image.square().mean()}


def probes(net: Net) -> dict[str, float]:
    """How near 30 pairs are that nobody trained on; blocks are called, and the rest reached into."""
    x = torch.randn(30, 6, generator=torch.Generator().manual_seed(10**6))
    image, text = net.image(x), net.text(torch.cat([x[:, :3].sin(), x[:, :2]], 1))
    for block in net.blocks:
        image = image + torch.tanh(block(image))
    near = nn.functional.normalize(image, dim=1) @ nn.functional.normalize(text, dim=1).T
    return {"near": float(near.diagonal().mean()), "scale": float(net.scale)}


def look(net: Film, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Six numbers of a row as a small film, one of the others to be told from it."""
    x = net.stem(torch.einsum("bi,bj->bij", batch[0], batch[0]).unsqueeze(1))
    for block in net.blocks:
        x = block(x)
    return {"error": (net.scale * net.out(x.mean((2, 3))) - batch[1][:, :1]).square().mean()}


def seen(net: Film) -> dict[str, float]:
    """The error on rows that nobody trained on."""
    return {"held out": float(look(net, next(batches(10**6, World())))["error"])}


def train(
    here: World, folder: Path | None, config: FitConfig, die: int = 0, *, film: bool = False
) -> dict[str, object]:
    """Losses by step and the weights at the end; process 1 is killed once at step ``die``."""
    torch.manual_seed(3 + 100 * here.rank)  # processes that begin apart must be brought together
    net: Any = (Film() if film else Net()).to(here.device)
    curve: list[Progress] = []
    marker = folder / "killed" if folder else Path()

    def told(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        if die and here.rank == 1 and steps[0] == die and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        steps[0] += 1
        return look(net, batch) if film else objective(net, batch)

    steps = [0]
    fit(
        net, told, lambda n: batches(n, here), replace(config, probe_steps=1), folder=folder,
        report=curve.append, probes=lambda: seen(net) if film else probes(net), world=here,
    )  # fmt: skip
    weights = {name: tensor.tolist() for name, tensor in full_weights(net).items()}
    return {"curve": [asdict(p) for p in curve], "weights": weights}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fork", type=int, default=0)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--die", type=int, default=0)
    parser.add_argument("--shard", action="store_true")
    parser.add_argument("--both", action="store_true", help="DDP and FSDP2, of either net, one after another")
    args = parser.parse_args()
    if args.fork:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(args.fork)}
        context = multiprocessing.get_context("fork")
        processes = []
        for rank in range(args.fork):
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            processes.append(context.Process(target=run, args=(args,)))
            processes[-1].start()
        for process in processes:
            process.join()
        raise SystemExit(max(abs(process.exitcode) for process in processes))
    else:
        run(args)


def run(args: argparse.Namespace) -> None:
    """What every process does."""
    with world() as here:
        both = (False, True) if args.both else (args.shard,)
        for film, shard in itertools.product((False, True) if args.both else (False,), both):
            name = ("film-" if film else "") + ("fsdp" if shard else "ddp")
            config = FitConfig(
                steps=args.steps, accumulate=args.accumulate, report_steps=1, bf16=False, save_seconds=0.0,
                average=0.9, shard=shard,
            )  # fmt: skip
            result = train(here, args.folder / name, config, args.die, film=film)
            if here.rank == 0:
                (args.folder / f"{name}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
