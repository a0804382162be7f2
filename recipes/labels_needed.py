"""Pre-training pays: how many labels an encoder needs with it, and without.

    python recipes/labels_needed.py data | pretrain | curves | table   [--set name=value]   resumable

data      phantom films of 64 pixels: some with their reports and no labels, some with labels, some to test on
pretrain  one encoder each for contrastive (sentences of the reports), masked and both, on 1k, 3k, 10k films
curves    AUROC on unseen films at 10, 100, 1,000 and all labels, 5 seeds: a linear probe on each frozen
          encoder, the same network trained from nothing, a ResNet-18 trained from nothing
table     how many times the labels a network from nothing needs for what each encoder reaches with few

Real films: PneumoniaMNIST (CC BY 4.0), official split, through the same encoders and baselines.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arrays import Arrays, cohort
from films import (
    KIND,
    SPEC,
    WIDTH,
    Batch,
    Conventional,
    FilmEncoder,
    Floats,
    Matcher,
    Reports,
    Seen,
    batches,
    matching,
    pooled,
    reports,
)
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from sagittal.encoders.tokenizer import Tokenizer, train_tokenizer
from sagittal.layers.features import Features
from sagittal.measure.discrimination import auroc
from sagittal.phantom.truth import LABELS
from sagittal.pretrain.masked import MaskedHead, Masking, block_mask, masked_loss, target
from sagittal.pretrain.recipe import changed
from sagittal.training.loop import FitConfig, Progress, fit

MASKING = Masking((8, 8), 0.5, (2, 2))


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run: under an hour on two cores, films included.

    Attributes:
        films: with reports, for pre-training; labelled: others, with labels; test: of the held-out split.
        sizes: films that pre-training may see, for the comparison of objectives.
        counts: labels of a curve; 0 stands for all.
        steps: of pre-training, one entry a size; scratch_steps, resnet_steps: of training from nothing, one
            a count.
        finding: whose labels are counted.
        bf16: None: where this processor gains from it.
    """

    out: str = "runs/labels_needed"
    seed: int = 20261128
    films: int = 10_000
    labelled: int = 5_000
    test: int = 1_500
    finding: str = "rib_fracture"
    sizes: tuple[int, ...] = (1_000, 3_000, 10_000)
    counts: tuple[int, ...] = (10, 100, 1_000, 0)
    seeds: int = 5
    steps: tuple[int, ...] = (300, 600, 1_200)
    batch: int = 64
    learning_rate: float = 4e-3
    scratch_batch: int = 32
    scratch_steps: tuple[int, ...] = (100, 200, 500, 800)
    scratch_rate: float = 3e-3
    resnet_steps: tuple[int, ...] = (50, 100, 200, 400)
    resnet_rate: float = 1e-3
    resnet_seeds: int = 2
    bf16: bool | None = None
    pneumonia: str = "../shared/data/pneumoniamnist/pneumoniamnist_full_reassembled.npz"


def phantoms(recipe: Recipe, part: str) -> Arrays:
    """The films of "films", "labelled" or "test", drawn if they are not there yet.

    The films of the third seed were looked at while the form of the network was chosen: they test nothing.
    """
    streams = ("films", "labelled", "looked at", "test")
    return cohort(
        Path(recipe.out) / part,
        KIND,
        SPEC,
        n=getattr(recipe, part),
        seed=recipe.seed + streams.index(part),
        split="heldout" if part == "test" else "train",
        steps=(2, 2),
    )


def data(recipe: Recipe, first: int, of: int) -> None:
    """Draw all films."""
    for part in ("test", "labelled", "films"):
        print(part, len(phantoms(recipe, part).images))


# --- pre-training ---------------------------------------------------------------------------------------


class Pretrained(Matcher):
    """Image and text encoder with a masked-image head beside them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self.masked = MaskedHead(WIDTH, WIDTH, 1, MASKING)


def objective(
    model: Pretrained, kind: str, said: Reports, recipe: Recipe
) -> Callable[[Batch], dict[str, Tensor]]:
    """The loss terms of a batch of film indices and images."""

    def terms(batch: Batch) -> dict[str, Tensor]:
        image, which, number = batch
        found: dict[str, Tensor] = {}
        if kind in ("contrastive", "both"):
            rng = np.random.default_rng([recipe.seed, number])
            found["pairs"] = matching(model, model.encoder(image), which, said, rng)
        if kind in ("masked", "both"):
            blocks = block_mask(len(image), image.shape[2:], MASKING)
            tokens = model.encoder(model.masked.hide(image, blocks)).coarse
            grid = tokens.transpose(1, 2).unflatten(2, tuple(blocks.shape[2:]))
            guess = model.masked(Features((grid,), tokens, tokens.mean(1)), blocks.shape[2:])
            found["masked"] = masked_loss(guess, target(image, MASKING), blocks)
        return found

    return terms


OBJECTIVES = ("contrastive", "both", "masked")


def folder_of(recipe: Recipe, kind: str, films: int) -> Path:
    """Where a pre-trained encoder lies."""
    return Path(recipe.out) / f"{kind}-{films}"


def pretrain(recipe: Recipe, first: int, of: int) -> None:
    """One encoder an objective and number of films."""
    every = phantoms(recipe, "films")
    pairs = sorted(zip(recipe.sizes, recipe.steps, strict=True), reverse=True)
    jobs = [(kind, *pair) for pair in pairs for kind in OBJECTIVES]
    for kind, count, steps in jobs[first::of]:
        folder = folder_of(recipe, kind, count)
        if (folder / "encoder.pt").exists():
            continue
        films = Arrays(every.images[:count], every.masks[:count], every.labels[:count], every.rows[:count])
        said = reports(films)
        print(f"{kind} {count}: {len(said.statements)} statements", flush=True)
        torch.manual_seed(recipe.seed)
        model = Pretrained(train_tokenizer([text for each in said.wordings for text in each], 512))
        fit(
            model,
            objective(model, kind, said, recipe),
            batches(films.images, recipe.batch, recipe.seed),
            planned(recipe, steps),
            folder=folder,
            report=_say(f"{kind} {count}"),
        )
        for task in tasks(recipe):
            remember(model.eval(), kind, said, task, folder)
        save(model.encoder, folder / "encoder.pt")


def planned(recipe: Recipe, steps: int) -> FitConfig:
    """How an encoder is pre-trained."""
    return FitConfig(
        steps, recipe.learning_rate, weight_decay=0.05, average=None, report_steps=50, save_seconds=120,
        bf16=recipe.bf16,
    )  # fmt: skip


@torch.no_grad()
def remember(model: Pretrained, kind: str, said: Reports, task: Task, folder: Path) -> None:
    """Features of a task's pictures, once: pooled, and beside them what the prompt for its finding says."""
    found = {}
    for part, images in (("train", task.images), ("test", task.test)):
        rows = []
        for start in range(0, len(images), 256):
            seen = model.encoder(torch.from_numpy(np.asarray(images[start : start + 256], np.float32)))
            told = [] if kind == "masked" else [prompted(model, seen, said, task.finding)]
            rows.append(torch.cat([pooled(seen), *told], 1))
        found[part] = torch.cat(rows).numpy()
    np.savez(folder / f"{task.name}.npz", **found)


def prompted(model: Pretrained, seen: Seen, said: Reports, finding: str) -> Tensor:
    """(B, 1): log-odds of the likeliest sentence that names the finding, less those of its denial."""
    named = [
        (presence, words[0])
        for triples, words in zip(said.statements, said.wordings, strict=True)
        for key, presence, _ in triples
        if key == finding and len(triples) == 1
    ]
    yes, no = ([w for p, w in named if (p == "present") == there] for there in (True, False))
    return (model.match(seen, yes).logsumexp(1) - model.match(seen, no).logsumexp(1)).unsqueeze(1)


def _say(name: str) -> Callable[[Progress], None]:
    def say(p: Progress) -> None:
        terms = ", ".join(f"{k} {v:.3f}" for k, v in p.losses.items())
        print(f"{name} step {p.step} {terms} {p.items_per_second:.0f}/s {p.seconds:.0f} s", flush=True)

    return say


def save(module: nn.Module, path: Path) -> None:
    """Weights, whole or not at all."""
    torch.save(module.state_dict(), path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


# --- curves ---------------------------------------------------------------------------------------------


class ResNet18(nn.Module):
    """ResNet-18 (He 2016) for one channel."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        look = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        stages: list[nn.Module] = [look, nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
        widths = (64, 64, 128, 256, 512)
        for inside, outside in pairwise(widths):
            stages += [_Basic(inside, outside, 1 if inside == outside else 2), _Basic(outside, outside, 1)]
        self.body = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(512, outputs)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.body(image))


def _stage(inside: int, outside: int, stride: int) -> nn.Module:
    look = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
    return nn.Sequential(look, nn.BatchNorm2d(outside), nn.ReLU(inplace=True))


class _Basic(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.body = nn.Sequential(_stage(inside, outside, stride), second, nn.BatchNorm2d(outside))
        same = stride == 1 and inside == outside
        self.beside: nn.Module = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.beside(x))


def probe(train: Floats, wanted: Floats, test: Floats, *, prompt: bool = False) -> Floats:
    """Scores of test rows by a ridge regression whose penalty leave-one-out errors choose.

    ``prompt``: the last column is the answer to a prompt. The regression is then of what the prompt leaves
    unexplained: few labels, which choose a strong penalty, stay with the prompt.
    """
    from sklearn.linear_model import RidgeCV

    mean, spread = train.mean(0), train.std(0) + 1e-6
    train, test = (train - mean) / spread, (test - mean) / spread
    told, asked = (table[:, -1] if prompt else np.zeros(len(table), np.float32) for table in (train, test))
    model = RidgeCV(np.logspace(-1, 6, 22)).fit(train, 2 * wanted - 1 - told)
    return np.asarray(asked + model.predict(test), np.float32)


@dataclass(frozen=True, eq=False)
class Task:
    """Labelled pictures (N, 1, H, W), answers (N,), and those to test on; ``finding`` is prompted for.

    ``pace``: of the steps of training from nothing, the share that this task takes.
    """

    name: str
    finding: str
    images: NDArray[Any]
    wanted: Floats
    test: NDArray[Any]
    truth: Floats
    pace: float = 1.0


@cache
def tasks(recipe: Recipe) -> list[Task]:
    """The phantom finding, and real films where they are at hand."""
    labelled, test = phantoms(recipe, "labelled"), phantoms(recipe, "test")
    column = LABELS[KIND].index(recipe.finding)
    wanted, truth = (each.labels[:, column].astype(np.float32) for each in (labelled, test))
    found = [Task(recipe.finding, recipe.finding, labelled.images, wanted, test.images, truth)]
    if Path(recipe.pneumonia).exists():
        with np.load(recipe.pneumonia) as file:
            pictures = {
                s: torch.from_numpy(file[f"{s}_images"])[:, None].float() / 255 for s in ("train", "test")
            }
            answers = {s: file[f"{s}_labels"].ravel().astype(np.float32) for s in ("train", "test")}
        large = {
            s: functional.interpolate(p, (64, 64), mode="bilinear").numpy().astype(np.float16)
            for s, p in pictures.items()
        }
        found.append(
            Task(
                "pneumonia",
                "consolidation",
                large["train"],
                answers["train"],
                large["test"],
                answers["test"],
                pace=0.5,
            )
        )
    return found


def subset(wanted: Floats, count: int, seed: int) -> NDArray[np.int64]:
    """``count`` rows by chance, all where 0, with at least two of either answer."""
    if not count or count >= len(wanted):
        return np.arange(len(wanted))
    rng = np.random.default_rng([17, seed, count])
    while True:
        rows = rng.choice(len(wanted), count, replace=False)
        if 2 <= wanted[rows].sum() <= count - 2:
            return np.sort(rows)


def trained(make: Callable[[int], nn.Module], task: Task, rows: NDArray[np.int64], steps: int, rate: float,
            recipe: Recipe, seed: int) -> Floats:  # fmt: skip
    """Scores of the test pictures by a network trained on ``rows`` from nothing."""
    torch.manual_seed(seed)
    net = make(1)
    images, wanted = task.images[rows], torch.from_numpy(task.wanted[rows])
    draw = batches(images, recipe.scratch_batch, seed)
    config = FitConfig(steps, rate, weight_decay=0.05, average=0.99, bf16=recipe.bf16)

    def loss(batch: Batch) -> dict[str, Tensor]:
        guess = net(batch[0])[:, 0]
        return {"bce": functional.binary_cross_entropy_with_logits(guess, wanted[batch[1]])}

    fit(net, loss, draw, config)
    # The average of the weights has batch statistics of its own (Izmailov 2018).
    update_bn((batch[0] for batch, _ in zip(draw(0), range(30), strict=False)), net)
    return scores(net.eval(), task.test)


def scores(net: Callable[[Tensor], Tensor], images: NDArray[Any]) -> Floats:
    """First output of a network for each picture."""
    return encoded(net, images)[:, 0]


def encoded(net: Callable[[Tensor], Tensor], images: NDArray[Any]) -> Floats:
    """Outputs (N, D) of a network in evaluation mode."""
    with torch.no_grad():
        pieces = [
            net(torch.from_numpy(np.asarray(images[i : i + 256], np.float32)))
            for i in range(0, len(images), 256)
        ]
    return torch.cat(pieces).numpy()


def curves(recipe: Recipe, first: int, of: int) -> None:
    """AUROC of every way, number of labels and seed; one JSON file each, so that it can be resumed."""
    out = Path(recipe.out) / "curves"
    out.mkdir(parents=True, exist_ok=True)
    jobs = []
    for task in tasks(recipe):
        for seed in range(recipe.seeds):
            for count, steps, few in zip(
                recipe.counts, recipe.scratch_steps, recipe.resnet_steps, strict=True
            ):
                jobs += [(task, way, count, 0, seed) for way in ("untrained", *frozen(recipe))]
                jobs.append((task, "scratch", count, round(task.pace * steps), seed))
                if seed < recipe.resnet_seeds:
                    jobs.append((task, "resnet18", count, round(task.pace * few), seed))
    # The frozen ones first: they are done in minutes. Then a seed of both networks after the other.
    jobs.sort(key=lambda job: (job[3] > 0, job[4]))
    for task, way, count, steps, seed in jobs[first::of]:
        path = out / f"{task.name}-{way}-{count}-{seed}.json"
        if path.exists():
            continue
        rows = subset(task.wanted, count, seed)
        if way == "scratch":
            guess = trained(Conventional, task, rows, steps, recipe.scratch_rate, recipe, seed)
        elif way == "resnet18":
            guess = trained(ResNet18, task, rows, steps, recipe.resnet_rate, recipe, seed)
        else:
            known, unseen = _untrained(task, seed) if way == "untrained" else _remembered(recipe, task, way)
            prompt = way.startswith(("contrastive", "both"))
            guess = probe(known[rows], task.wanted[rows], unseen, prompt=prompt)
        path.write_text(json.dumps({"auroc": auroc(task.truth, guess), "labels": len(rows)}))
        print(path.stem, round(auroc(task.truth, guess), 4), flush=True)


def frozen(recipe: Recipe) -> list[str]:
    """Ways whose encoder is there."""
    folders = {f"{kind}-{n}": folder_of(recipe, kind, n) for kind in OBJECTIVES for n in recipe.sizes}
    return [way for way, folder in folders.items() if (folder / "encoder.pt").exists()]


@cache
def _remembered(recipe: Recipe, task: Task, way: str) -> tuple[Floats, Floats]:
    with np.load(Path(recipe.out) / way / f"{task.name}.npz") as file:
        return file["train"], file["test"]


@cache
def _untrained(task: Task, seed: int) -> tuple[Floats, Floats]:
    torch.manual_seed(seed)
    encoder = FilmEncoder()
    update_bn(
        (batch[0] for batch, _ in zip(batches(task.images, 64, seed)(0), range(20), strict=False)), encoder
    )
    encoder.eval()
    known, unseen = (encoded(lambda image: pooled(encoder(image)), each) for each in (task.images, task.test))
    return known, unseen


def needed(counts: Floats, areas: Floats, wanted: float) -> float:
    """Labels at which a curve first reaches ``wanted``, between two counts by the logarithm; inf: never."""
    for i, area in enumerate(areas):
        if area >= wanted:
            if i == 0:
                return float(counts[0])
            share = (wanted - areas[i - 1]) / (area - areas[i - 1])
            return float(math.exp(np.interp(share, (0, 1), np.log(counts[i - 1 : i + 1]))))
    return float("inf")


def ratio(pretrained: Floats, scratch: Floats, counts: Floats, at: int = 0, seed: int = 0) -> dict[str, Any]:
    """How many times more labels scratch (seeds, counts) needs for what the pre-trained reaches with few.

    The AUROC asked for is the mean that the pre-trained reaches at ``counts[at]``. Where scratch never
    does, the ratio is that of all labels, a lower bound (``at_least``). Interval: bootstrap of both's seeds.
    """
    rng = np.random.default_rng(seed)
    found, bounds = [], []
    for draw in range(2000):
        pick = rng.integers(0, len(scratch), len(scratch)) if draw else np.arange(len(scratch))
        other = rng.integers(0, len(pretrained), len(pretrained)) if draw else np.arange(len(pretrained))
        wanted = float(pretrained[other].mean(0)[at])
        labels = needed(counts, np.maximum.accumulate(scratch[pick].mean(0)), wanted)
        bounds.append(math.isinf(labels))
        found.append(min(labels, float(counts[-1])) / float(counts[at]))
    low, high = np.quantile(found[1:], [0.025, 0.975])
    reached = float(pretrained.mean(0)[at])
    return {
        "auroc": reached,
        "ratio": found[0],
        "low": float(low),
        "high": float(high),
        "at_least": bounds[0],
    }


def _area(path: Path) -> float:
    return float(json.loads(path.read_text())["auroc"])


def table(recipe: Recipe, first: int, of: int) -> None:
    """Means over seeds, and the ratios; writes table.json."""
    found: dict[str, Any] = {}
    for task in tasks(recipe):
        counts = np.array([c or len(task.wanted) for c in recipe.counts], np.float64)
        ways: dict[str, Floats] = {}
        for path in (Path(recipe.out) / "curves").glob(f"{task.name}-*-0-0.json"):
            way = path.stem.removeprefix(f"{task.name}-").removesuffix("-0-0")
            there = [f"{task.name}-{way}-{{}}-{seed}.json" for seed in range(recipe.seeds)]
            rows = [[path.parent / each.format(count) for count in recipe.counts] for each in there]
            done = [row for row in rows if all(cell.exists() for cell in row)]
            ways[way] = np.array([[_area(cell) for cell in row] for row in done])
        at = ", ".join(f"{count:.0f}" for count in counts)
        print(f"\n{task.name}: AUROC (standard deviation over seeds) at {at} labels")
        for way, areas in sorted(ways.items(), key=lambda item: -item[1].mean()):
            print(
                f"  {way:20}"
                + "  ".join(f"{m:.3f} ({s:.3f})" for m, s in zip(areas.mean(0), areas.std(0), strict=True))
            )
        prompts = {}
        for way in frozen(recipe):
            if way.startswith(("contrastive", "both")):
                prompts[way] = auroc(task.truth, _remembered(recipe, task, way)[1][:, -1])
                print(f"  {way} by a prompt for {task.finding}, no label: {prompts[way]:.3f}")
        ratios = {}
        for way, areas in ways.items():
            for base in ("scratch", "resnet18"):
                if base not in ways or way in ("scratch", "resnet18", "untrained"):
                    continue
                for at in range(len(counts) - 1):
                    each = ratio(areas, ways[base], counts, at)
                    ratios[f"{way} with {counts[at]:.0f} against {base}"] = each
                    least = "at least " if each["at_least"] else ""
                    value, span = f"{least}{each['ratio']:.1f}", f"{each['low']:.1f}-{each['high']:.1f}"
                    print(
                        f"  {way} with {counts[at]:.0f} labels, AUROC {each['auroc']:.3f}: {base} needs "
                        f"{value} times as many ({span})"
                    )
        found[task.name] = {
            "counts": counts.tolist(),
            "prompt": prompts,
            "auroc": {way: areas.tolist() for way, areas in ways.items()},
            "ratios": ratios,
        }
    (Path(recipe.out) / "table.json").write_text(json.dumps(found, indent=1))


STAGES: dict[str, Callable[[Recipe, int, int], None]] = {
    "data": data,
    "pretrain": pretrain,
    "curves": curves,
    "table": table,
}


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--part", default="0/1", help="K/N: every Nth job from the Kth, to share cores")
    given = parser.parse_args()
    recipe = changed(Recipe(), given.set)
    torch.set_num_threads(1)
    first, of = map(int, given.part.split("/"))
    STAGES[given.stage](recipe, first, of)


if __name__ == "__main__":
    main()
