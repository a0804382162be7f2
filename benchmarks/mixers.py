"""Attention, state space, recurrence and hybrid side by side: speed, memory, and what each can learn.

    python benchmarks/mixers.py [--longest 32768] [--steps 300] [--out mixers.json] [--plot mixers.png]

Speed: three bidirectional pre-norm blocks of equal width on random tokens, 1,024 to 32,768 of them (a CT of
512 x 512 x 128 voxels in patches of 16 x 16 x 4 is 32,768), forwards, and forwards and backwards, on one
processor core. Every measurement has a process of its own, whose processor time and peak of resident memory
are read: neither depends on what else the machine does. Where a kind overtakes attention is printed.

Quality, two questions with a known answer, everything generated:
recall: among 32 tokens some carry a key and a value; the last one asks for a key (chance 1/8). A fixed memory
    must hold all pairs until it is asked, attention looks them up; a window is 8 tokens here, so that local
    attention and hybrid have to carry what is farther.
lesions: a noisy volume with two lesions anywhere, each bright or dark: are both of one kind (chance 1/2)? No
    patch knows alone, and no sum over patches does.

One learning rate and few steps for all: it says how readily a kind learns these, not what it could hold.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.encoders.vit import VitConfig, VitEncoder
from sagittal.layers.mixer import MixerConfig, blocks

WIDTH, HEADS, LAYERS = 64, 4, 3
KINDS = {
    "attention": MixerConfig(heads=HEADS),
    "local attention": MixerConfig(heads=HEADS, window=128),
    "state space": MixerConfig("state_space"),
    "recurrent": MixerConfig("recurrent", heads=HEADS),
    "hybrid": MixerConfig("hybrid", heads=HEADS, window=128),
    "LSTM": MixerConfig("lstm"),
}
SMALL, TOKENS, VALUES, WINDOW = 32, 32, 8, 8  # of the two questions
GRID = (4, 32, 32)  # voxels; 64 patches of 4 x 4 x 4


def measure(config: MixerConfig, length: int, train: bool, seconds: float, pipe: Connection) -> None:
    """Send seconds of the fastest pass and its peak memory in bytes above what was there before."""
    torch.manual_seed(0)
    layers = blocks(config, WIDTH, LAYERS)
    tokens = torch.randn(1, length, WIDTH, requires_grad=train)
    out = tokens[:, :512]
    for layer in layers:
        out = layer(out)
    if train:
        out.sum().backward()  # what the libraries load and keep at the first pass is not measured
    del out
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    best, began = math.inf, time.process_time()
    while best == math.inf or time.process_time() - began + best < seconds:
        start = time.process_time()
        with torch.set_grad_enabled(train):
            out = tokens
            for layer in layers:
                out = layer(out)
        if train:
            out.square().mean().backward()
        best = min(best, time.process_time() - start)
        del out
    pipe.send((best, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)))


def apart(work: Callable[..., None], *arguments: object) -> tuple[float, int]:
    """Run ``work`` in a process of its own and return what it sends."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(*arguments, there))
    process.start()
    there.close()
    try:
        return here.recv()
    finally:
        process.join()


def speeds(longest: int, seconds: float) -> list[dict[str, Any]]:
    rows = []
    for length in [2**power for power in range(10, 16) if 2**power <= longest]:
        for train in (False, True):
            for name, config in KINDS.items():
                best, peak = apart(measure, config, length, train, seconds)
                row = {
                    "mixer": name,
                    "tokens": length,
                    "pass": "forward and backward" if train else "forward",
                    "tokens_per_cpu_second": round(length / best),
                    "peak_megabytes": round(peak / 1e6, 1),
                }
                rows.append(row)
                print(json.dumps(row), flush=True)
    return rows


def crossings(rows: list[dict[str, Any]], figure: str) -> dict[str, str]:
    """Where each mixer overtakes attention in ``figure``, between two lengths in log scale."""
    found = {}
    for kind in ("forward", "forward and backward"):
        lines: dict[str, list[tuple[float, float]]] = {name: [] for name in KINDS}
        for row in rows:
            if row["pass"] == kind:
                sign = 1 if figure == "tokens_per_cpu_second" else -1
                point = (math.log2(row["tokens"]), sign * math.log2(max(row[figure], 0.1)))
                lines[row["mixer"]].append(point)
        for name in list(KINDS)[1:]:
            lead = [(x, y - z) for (x, y), (_, z) in zip(lines[name], lines["attention"], strict=True)]
            found[f"{name}, {kind}"] = where(lead)
    return found


def where(lead: list[tuple[float, float]]) -> str:
    """The length at which a lead (log2 length, log2 ratio) turns positive for good."""
    if lead[-1][1] <= 0:
        return f"beyond {round(2 ** lead[-1][0])}"
    behind = [index for index, (_, y) in enumerate(lead) if y <= 0]
    if not behind:
        return f"below {round(2 ** lead[0][0])}"
    (x, y), (right, above) = lead[behind[-1]], lead[behind[-1] + 1]
    return str(round(2 ** (x + (right - x) * -y / (above - y))))


class Recall(nn.Module):
    """ids of keys and values (B, N), 0 for none -> logits (B, VALUES) at the last token."""

    def __init__(self, config: MixerConfig, pairs: int) -> None:
        super().__init__()
        causal = replace(config, causal=True)
        self.key, self.value = nn.Embedding(2 * pairs + 1, SMALL), nn.Embedding(VALUES + 1, SMALL)
        self.blocks, self.read = blocks(causal, SMALL, LAYERS), nn.Linear(SMALL, VALUES)

    def forward(self, keys: Tensor, values: Tensor) -> Tensor:
        tokens = self.key(keys) + self.value(values)
        for block in self.blocks:
            tokens = block(tokens)
        return self.read(tokens[:, -1])


def recall_batch(pairs: int, count: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """``pairs`` of twice as many keys, each with a value, at random places; the last asks for one."""
    keys, values = (
        torch.zeros(count, TOKENS, dtype=torch.int64),
        torch.zeros(count, TOKENS, dtype=torch.int64),
    )
    places = torch.rand(count, TOKENS - 1).argsort(1)[:, :pairs]
    chosen = torch.rand(count, 2 * pairs).argsort(1)[:, :pairs] + 1
    given = torch.randint(1, VALUES + 1, (count, pairs))
    keys.scatter_(1, places, chosen), values.scatter_(1, places, given)
    keys[:, -1] = chosen[:, 0]  # the order of places is random: the first is any
    return (keys, values), given[:, 0] - 1


class Lesions(nn.Module):
    """volume (B, 1, *GRID) -> logits (B, 2)."""

    def __init__(self, config: MixerConfig) -> None:
        super().__init__()
        vit = VitConfig(patch=(4, 4, 4), layers=LAYERS, heads=HEADS, ratio=3, widths=(), mixer=config)
        self.encoder, self.read = VitEncoder(vit, SMALL), nn.Linear(SMALL, 2)

    def forward(self, volume: Tensor) -> Tensor:
        return self.read(self.encoder(volume).pooled)


def lesions_batch(count: int) -> tuple[tuple[Tensor], Tensor]:
    """Noise, and two lesions of 4 voxels, bright or dark, in different patches."""
    volume = torch.randn(count, 1, *GRID)
    cells = volume.unflatten(4, (-1, 4)).unflatten(3, (-1, 4)).unflatten(2, (-1, 4))  # views
    sign = 3 * (2 * torch.randint(0, 2, (count, 2)) - 1)
    place = torch.rand(count, cells[0, 0, :, 0, :, 0, :, 0].numel()).argsort(1)[:, :2]
    high, wide = cells.shape[4], cells.shape[6]
    for lesion in range(2):
        z, y, x = place[:, lesion] // (high * wide), place[:, lesion] // wide % high, place[:, lesion] % wide
        cells[torch.arange(count), 0, z, :, y, :, x, :] += sign[:, lesion].reshape(-1, 1, 1, 1)
    return (volume,), (sign[:, 0] == sign[:, 1]).long()


def learn(model: nn.Module, batch: Callable[[int], tuple[tuple[Tensor, ...], Tensor]], steps: int) -> float:
    """Accuracy on 1,024 new cases after ``steps`` steps of 16."""
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps + 1)
    for _ in range(steps):
        inputs, answer = batch(16)
        optimiser.zero_grad()
        functional.cross_entropy(model(*inputs), answer).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    right = 0
    with torch.no_grad():
        for _ in range(8):
            inputs, answer = batch(128)
            right += int((model(*inputs).argmax(1) == answer).sum())
    return right / 1024


def qualities(steps: int, seeds: int) -> list[dict[str, Any]]:
    rows = []
    tasks: list[tuple[str, Callable[[MixerConfig], nn.Module], Callable[[int], Any]]] = [
        (f"recall of {pairs}", lambda c, p=pairs: Recall(c, p), lambda n, p=pairs: recall_batch(p, n))
        for pairs in (2, 12)
    ]
    tasks.append(("lesions", Lesions, lesions_batch))
    for task, build, batch in tasks:
        for name, config in KINDS.items():
            for seed in range(seeds):
                torch.manual_seed(seed)
                narrow = replace(config, window=WINDOW if config.window else 0)
                accuracy = learn(build(narrow), batch, steps)
                rows.append({"task": task, "mixer": name, "seed": seed, "accuracy": round(accuracy, 3)})
                print(json.dumps(rows[-1]), flush=True)
    return rows


def plot(document: dict[str, Any], path: Path) -> None:
    """Speed and memory over length, and accuracy by task."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    shown = {"tokens_per_cpu_second": "tokens a second of one core", "peak_megabytes": "peak memory in MB"}
    for axis, (value, label) in zip(axes[:2], shown.items(), strict=True):
        for name in KINDS:
            rows = [r for r in document["speed"] if r["mixer"] == name and r["pass"] != "forward"]
            axis.loglog([r["tokens"] for r in rows], [r[value] for r in rows], marker=".", label=name)
        axis.set(xlabel="tokens", ylabel=label, title="forwards and backwards")
        axis.set_xticks([2**k for k in range(10, 16)], [f"{2 ** (k - 10)}k" for k in range(10, 16)])
        axis.minorticks_off()
    axes[0].legend(fontsize="small")
    tasks = list(dict.fromkeys(row["task"] for row in document["quality"]))
    for index, name in enumerate(KINDS):
        means = []
        for task in tasks:
            found = [r["accuracy"] for r in document["quality"] if (r["task"], r["mixer"]) == (task, name)]
            means.append(sum(found) / len(found))
        axes[2].bar([x + 0.13 * (index - 2.5) for x in range(len(tasks))], means, 0.13)
    axes[2].set_xticks(range(len(tasks)), tasks)
    axes[2].set(
        ylabel="accuracy",
        title=f"new cases, {document['steps']} steps, {document['seeds']} seed(s)",
        ylim=(0, 1),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--longest", type=int, default=32768)
    parser.add_argument("--seconds", type=float, default=0.5, help="of repeating one measurement")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="parts that it already holds are not measured again")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    before = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    speed = before.get("speed") or speeds(options.longest, options.seconds)
    overtakes = {figure: crossings(speed, figure) for figure in ("tokens_per_cpu_second", "peak_megabytes")}
    print(json.dumps({"overtakes attention at": overtakes}, indent=1), flush=True)
    document: dict[str, Any] = {
        "width": WIDTH,
        "blocks": LAYERS,
        "torch": torch.__version__,
        "parameters": {
            name: sum(p.numel() for p in blocks(config, WIDTH, LAYERS).parameters())
            for name, config in KINDS.items()
        },
        "speed": speed,
        "overtakes": overtakes,
        "steps": options.steps,
        "seeds": options.seeds,
        "quality": before.get("quality")
        or (qualities(options.steps, options.seeds) if options.steps else []),
    }
    if options.out:
        options.out.write_text(json.dumps(document, indent=1) + "\n")
    if options.plot:
        plot(document, options.plot)


if __name__ == "__main__":
    main()
