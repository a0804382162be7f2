"""How fast a training step of each bundled branch is on this machine, in images a second.

    python benchmarks/throughput.py [--threads 2] [--seconds 10] [--out throughput.json]

Random images of the recipe's size; encoder, fusion, label and mask decoders, losses, gradients.
``per_second`` is by the wall clock (best step), ``per_cpu_second`` by processor time of this process, and
``reference_gigaflops`` is what one plain residual block reaches at the same moment, so that a slow or busy
machine is told from a slow model.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recipes"))
import hippocampus
import kinds

from sagittal.branch import BranchConfig
from sagittal.encoders.picture import PictureConfig
from sagittal.encoders.volume import VolumeConfig
from sagittal.layers.convolution import ResidualBlock
from sagittal.model import Model, ModelConfig
from sagittal.training.objective import label_loss, mask_loss

BATCH = {"chest-xray": 16, "chest-ct": 2, "brain-mr": 2, "hippocampus": 4}


def branches() -> dict[str, tuple[BranchConfig, tuple[int, ...]]]:
    """name -> (configuration, size of an image) of what the recipes train."""
    config = kinds.config_for(tuple(kinds.BRANCHES), None)
    found = {name: (config.branches[name], kinds.SPECS[name].size or ()) for name in config.branches}
    return found | {
        hippocampus.BRANCH: (
            BranchConfig(hippocampus.ENCODER, masks=hippocampus.MASKS),
            hippocampus.Recipe().window,
        )
    }


def steps(config: BranchConfig, size: tuple[int, ...], batch: int) -> tuple[Callable[[], None], int]:
    """A training step, and how many parameters it trains."""
    model = Model(ModelConfig({"it": config}))
    image = torch.randn(batch, config.encoder.channels, *size)
    first = model("it", image, upsample=False)
    labels = None if first.label_logits is None else (torch.rand_like(first.label_logits) > 0.7).float()
    masks = None if first.mask_logits is None else (torch.rand_like(first.mask_logits) > 0.9).float()

    def step() -> None:
        model.zero_grad()
        out = model("it", image, upsample=False)
        loss = image.new_zeros(())
        if labels is not None:
            loss = loss + label_loss(out.label_logits, labels)
        if masks is not None:
            loss = loss + mask_loss(out.mask_logits, masks)
        loss.backward()

    return step, sum(p.numel() for p in model.branches.parameters())


def reference(encoder: PictureConfig | VolumeConfig) -> tuple[Callable[[], None], int]:
    """One residual block of 32 channels, forwards and backwards; its gigaflops."""
    axes = 2 if isinstance(encoder, PictureConfig) else 3
    size = (16, 32, 64, 64) if axes == 2 else (2, 32, 16, 32, 32)
    block = ResidualBlock(32, 32, (3,) * axes, (1,) * axes)
    kind = torch.channels_last if axes == 2 else torch.channels_last_3d
    x = torch.randn(size).contiguous(memory_format=kind).requires_grad_()
    flops = 3 * 2 * 2 * 32 * 3**axes * x.numel()
    return (lambda: block(x).sum().backward()), flops


def best(step: Callable[[], None], seconds: float) -> tuple[float, float]:
    """(wall, processor) seconds of the fastest step within about ``seconds``."""
    step()
    began, wall, cpu = time.perf_counter(), float("inf"), float("inf")
    while time.perf_counter() - began < seconds:
        a, b = time.perf_counter(), time.process_time()
        step()
        wall, cpu = min(wall, time.perf_counter() - a), min(cpu, time.process_time() - b)
    return wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for name, (config, size) in branches().items():
        batch = BATCH[name]
        step, parameters = steps(config, size, batch)
        wall, cpu = best(step, options.seconds)
        block, flops = reference(config.encoder)
        bare, _ = best(block, options.seconds / 5)
        row = {
            "branch": name,
            "size": list(size),
            "parameters": parameters,
            "per_second": round(batch / wall, 2),
            "per_cpu_second": round(batch / cpu, 2),
            "reference_gigaflops": round(flops / bare / 1e9, 1),
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    if options.out:
        document = {"threads": options.threads, "torch": torch.__version__, "branches": rows}
        options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
