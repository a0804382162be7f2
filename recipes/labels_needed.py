"""Pre-training pays: how many labels an encoder needs with it, and without.

    python recipes/labels_needed.py data | pretrain | curves | table   [--set name=value]   resumable

data      phantom films of 64 pixels: some with their reports and no labels, some with labels, some to test on
pretrain  one encoder each for contrastive (sentences of the reports), masked and both, on 1k, 3k, 6k films
curves    AUROC on unseen films at 10, 100, 1,000 and all labels, 5 seeds: a linear probe on each frozen
          encoder, the same network trained from nothing, a ResNet-18 trained from nothing
table     labels that each needs for the same AUROC, their ratio and its interval; writes JSON

Real films: PneumoniaMNIST (CC BY 4.0), official split, through the same encoders and baselines.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arrays import Arrays, cohort
from augment import film
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sagittal.encoders.picture import PictureConfig, PictureEncoder
from sagittal.encoders.text import TextConfig, TextEncoder
from sagittal.encoders.tokenizer import Tokenizer, train_tokenizer
from sagittal.measure.discrimination import auroc
from sagittal.phantom.truth import LABELS
from sagittal.pretrain.contrastive import sigmoid_loss
from sagittal.pretrain.masked import MaskedHead, Masking, block_mask, masked_loss, target
from sagittal.pretrain.recipe import changed
from sagittal.report.parse import parse
from sagittal.study.spec import InputSpec
from sagittal.training.loop import FitConfig, Progress, fit

Floats = NDArray[np.float32]
KIND = "chest-xray"
SPEC = InputSpec(
    modality=("DX", "CR"),
    body_part="CHEST",
    orientation="LF",
    size=(64, 64),
    fit="resize",
    normalise="percentile",
)
MASKING = Masking((16, 16), 0.5, (2, 2))


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run: under an hour on two cores, films included.

    Attributes:
        films: with reports, for pre-training; labelled: others, with labels; test: of the held-out split.
        sizes: films that pre-training may see, for the comparison of objectives.
        counts: labels of a curve; 0 stands for all.
        steps: of pre-training, one entry a size; scratch_steps: of training from nothing, one a count.
        finding: whose labels are counted.
        bf16: None: where this processor gains from it.
    """

    out: str = "runs/labels_needed"
    seed: int = 20261128
    films: int = 6_000
    labelled: int = 5_000
    test: int = 1_500
    finding: str = "rib_fracture"
    sizes: tuple[int, ...] = (1_000, 3_000, 6_000)
    counts: tuple[int, ...] = (10, 100, 1_000, 0)
    seeds: int = 5
    steps: tuple[int, ...] = (400, 600, 1_000)
    batch: int = 64
    sentences: int = 48
    learning_rate: float = 1.5e-3
    scratch_batch: int = 32
    scratch_steps: tuple[int, ...] = (80, 200, 500, 1_000)
    resnet_seeds: int = 3
    bf16: bool | None = None
    pneumonia: str = "../shared/data/pneumoniamnist/pneumoniamnist_full_reassembled.npz"


ENCODER = PictureConfig(
    widths=(24, 48, 96, 128), blocks=(1, 1, 2, 1), strides=(2, 2, 2, 1), mixers=1, heads=4
)
WIDTH = 128


def phantoms(recipe: Recipe, part: str) -> Arrays:
    """The films of "films", "labelled" or "test", drawn if they are not there yet."""
    streams = ("films", "labelled", "test")
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


def statements(text: str) -> frozenset[tuple[str, str, str]]:
    """What a sentence says, as far as two images may share it: observation, presence, side."""
    return frozenset(
        (f.observation.key, f.presence.value, str(f.laterality or "")) for f in parse(text, "en")
    )


@dataclass(frozen=True)
class Reports:
    """What the reports of films say; what says the same, as our parser reads it, is one statement.

    Attributes:
        statements: what each says; wordings: its sentences, in the order met.
        of_film: statements of each film.
    """

    statements: tuple[frozenset[tuple[str, str, str]], ...]
    wordings: tuple[tuple[str, ...], ...]
    of_film: tuple[tuple[int, ...], ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """One sentence a statement."""
        return tuple(wordings[0] for wordings in self.wordings)


def sentences(report: str) -> list[str]:
    """The report cut at its full stops."""
    return report.replace(". ", ".\n").split("\n")


def reports(films: Arrays) -> Reports:
    """The films' reports; the parser is asked once a wording."""
    known: dict[frozenset[tuple[str, str, str]], int] = {}
    wordings: list[list[str]] = []
    read: dict[str, int] = {}
    rows = []
    for row in films.rows:
        mine = set()
        for sentence in sentences(row["report"]):
            if sentence not in read:
                said = statements(sentence)
                if said and said not in known:
                    known[said] = len(known)
                    wordings.append([])
                read[sentence] = known.get(said, -1)
                if said:
                    wordings[read[sentence]].append(sentence)
            mine.add(read[sentence])
        rows.append(tuple(sorted(mine - {-1})))
    return Reports(tuple(known), tuple(map(tuple, wordings)), tuple(rows))


class Pretrained(nn.Module):
    """An image encoder with a text tower and a masked-image head beside it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.encoder = PictureEncoder(ENCODER, WIDTH)
        self.text = TextEncoder(
            TextConfig(vocabulary=max(tokenizer.size, 300), length=32, layers=2, heads=4), WIDTH
        )
        self.project = nn.Linear(2 * WIDTH, 96)
        self.project_text = nn.Linear(WIDTH, 96)
        self.scale = nn.Parameter(torch.tensor(2.3))
        self.bias = nn.Parameter(torch.tensor(-1.0))
        self.masked = MaskedHead(WIDTH, ENCODER.widths[-1], 1, MASKING)


def features(encoder: nn.Module, image: Tensor) -> Tensor:
    """(B, 2 D): mean and highest of the tokens; a fracture is one token among sixty-four."""
    found = encoder(image)
    return torch.cat([found.pooled, found.tokens.amax(1)], 1)


def objective(
    model: Pretrained, kind: str, said: Reports, recipe: Recipe
) -> Callable[[Batch], dict[str, Tensor]]:
    """The loss terms of a batch of film indices and images."""

    def terms(batch: Batch) -> dict[str, Tensor]:
        image, which, number = batch
        found: dict[str, Tensor] = {}
        if kind in ("contrastive", "both"):
            rng = np.random.default_rng([recipe.seed, number])
            rows = [said.of_film[i] for i in which.tolist()]
            pool = np.unique(np.concatenate([np.asarray(row) for row in rows]))
            chosen = rng.permutation(pool)[: recipe.sentences]
            right = torch.tensor([[float(j in row) for j in chosen] for row in map(set, rows)])
            tokens = model.tokenizer([said.sentences[j] for j in chosen], 32)
            text = functional.normalize(model.project_text(model.text(tokens).pooled), dim=1)
            seen = functional.normalize(model.project(features(model.encoder, image)), dim=1)
            # A sentence is right for many films: every pair a question of its own, averaged over sentences.
            found["pairs"] = sigmoid_loss(seen, text, model.scale, model.bias, right) / len(chosen)
        if kind in ("masked", "both"):
            blocks = block_mask(len(image), image.shape[2:], MASKING)
            hidden = model.encoder(model.masked.hide(image, blocks))
            found["masked"] = masked_loss(
                model.masked(hidden, blocks.shape[2:]), target(image, MASKING), blocks
            )
        return found

    return terms


Batch = tuple[Tensor, Tensor, int]
"""Images (B, 1, 64, 64), their indices (B,), the number of the batch."""


def augmented(image: Tensor, rng: np.random.Generator) -> Tensor:
    """The films as they may look elsewhere."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    return film(image, torch.zeros(len(image), 1, 4, 4), generator)[0]


def batches(
    images: NDArray[Any],
    size: int,
    seed: int,
    vary: Callable[[Tensor, np.random.Generator], Tensor] = augmented,
) -> Callable[[int], Iterator[Batch]]:
    """Batches of varied images, the same at every call."""

    def draw(start: int) -> Iterator[Batch]:
        for number in range(start, 10**9):
            rng = np.random.default_rng([seed, number])
            which = np.sort(rng.choice(len(images), min(size, len(images)), replace=False))
            image = torch.from_numpy(np.asarray(images[which], np.float32))
            yield vary(image, rng), torch.from_numpy(which), number

    return draw


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
        torch.manual_seed(recipe.seed)
        model = Pretrained(train_tokenizer(said.sentences, 400))
        fit(
            model,
            objective(model, kind, said, recipe),
            batches(films.images, recipe.batch, recipe.seed),
            FitConfig(steps, recipe.learning_rate, report_steps=50, save_seconds=120, bf16=recipe.bf16),
            folder=folder,
            report=_say(f"{kind} {count}"),
        )
        save(model.encoder, folder / "encoder.pt")


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


class Scratch(nn.Module):
    """The network that is pre-trained, trained from nothing instead."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.encoder = PictureEncoder(ENCODER, WIDTH)
        self.head = nn.Linear(2 * WIDTH, outputs)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(features(self.encoder, image))


def probe(train: Floats, wanted: Floats, test: Floats) -> Floats:
    """Scores of test rows by a ridge regression whose penalty leave-one-out errors choose."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 6, 22)))
    return np.asarray(model.fit(train, 2 * wanted - 1).predict(test), np.float32)


@dataclass(frozen=True)
class Task:
    """Labelled pictures (N, 1, H, W), answers (N,), and those to test on."""

    name: str
    images: NDArray[Any]
    wanted: Floats
    test: NDArray[Any]
    truth: Floats


def tasks(recipe: Recipe) -> list[Task]:
    """The phantom finding, and real films where they are at hand."""
    labelled, test = phantoms(recipe, "labelled"), phantoms(recipe, "test")
    column = LABELS[KIND].index(recipe.finding)
    wanted, truth = (each.labels[:, column].astype(np.float32) for each in (labelled, test))
    found = [Task(recipe.finding, labelled.images, wanted, test.images, truth)]
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
        found.append(Task("pneumonia", large["train"], answers["train"], large["test"], answers["test"]))
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


def trained(make: Callable[[int], nn.Module], task: Task, rows: NDArray[np.int64], steps: int, recipe: Recipe,
            seed: int) -> Floats:  # fmt: skip
    """Scores of the test pictures by a network trained on ``rows`` from nothing."""
    torch.manual_seed(seed)
    net = make(1)
    images, wanted = task.images[rows], torch.from_numpy(task.wanted[rows])
    draw = batches(images, recipe.scratch_batch, seed)
    average = 0.99 if steps > 400 else None
    config = FitConfig(steps, learning_rate=1e-3, weight_decay=0.05, average=average, bf16=recipe.bf16)

    def loss(batch: Batch) -> dict[str, Tensor]:
        guess = net(batch[0])[:, 0]
        return {"bce": functional.binary_cross_entropy_with_logits(guess, wanted[batch[1]])}

    fit(net, loss, draw, config)
    if isinstance(net, ResNet18):
        # The average of the weights needs statistics of its own.
        net.train()
        with torch.no_grad():
            for batch, _ in zip(draw(0), range(20), strict=False):
                net(batch[0])
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
            for count, steps in zip(recipe.counts, recipe.scratch_steps, strict=True):
                jobs += [(task, way, count, steps, seed) for way in ("scratch", "untrained")]
                if seed < recipe.resnet_seeds:
                    jobs.append((task, "resnet18", count, steps, seed))
                for n in recipe.sizes:
                    jobs += [
                        (task, f"{kind}-{n}", count, steps, seed)
                        for kind in ("contrastive", "masked", "both")
                    ]
    cached: dict[tuple[str, str], tuple[Floats, Floats]] = {}
    # The frozen ones first: they are done in minutes.
    jobs.sort(
        key=lambda job: ("scratch", "resnet18").index(job[1]) if job[1] in ("scratch", "resnet18") else -1
    )
    for task, way, count, steps, seed in jobs[first::of]:
        path = out / f"{task.name}-{way}-{count}-{seed}.json"
        frozen = way not in ("scratch", "resnet18", "untrained")
        if path.exists() or (frozen and not _weights(recipe, way).exists()):
            continue
        rows = subset(task.wanted, count, seed)
        if way in ("scratch", "resnet18"):
            guess = trained(Scratch if way == "scratch" else ResNet18, task, rows, steps, recipe, seed)
        else:
            name = f"{way}-{seed}" if way == "untrained" else way
            if (task.name, name) not in cached:
                cached[task.name, name] = _cached(recipe, task, way, seed)
            known, unseen = cached[task.name, name]
            guess = probe(known[rows], task.wanted[rows], unseen)
        area = auroc(task.truth, guess)
        path.write_text(json.dumps({"auroc": area, "labels": len(rows)}))
        print(path.stem, round(area, 4), flush=True)


def _weights(recipe: Recipe, way: str) -> Path:
    kind, _, films = way.rpartition("-")
    return folder_of(recipe, kind, int(films)) / "encoder.pt"


def _cached(recipe: Recipe, task: Task, way: str, seed: int) -> tuple[Floats, Floats]:
    torch.manual_seed(seed)
    encoder = PictureEncoder(ENCODER, WIDTH)
    if way != "untrained":
        encoder.load_state_dict(torch.load(_weights(recipe, way), weights_only=True))
    encoder.eval()
    return (
        encoded(lambda image: features(encoder, image), task.images),
        encoded(lambda image: features(encoder, image), task.test),
    )


def needed(counts: Floats, areas: Floats, wanted: float) -> float:
    """Labels at which a curve first reaches ``wanted``, between two counts by the logarithm; inf: never."""
    for i, area in enumerate(areas):
        if area >= wanted:
            if i == 0:
                return float(counts[0])
            share = (wanted - areas[i - 1]) / (area - areas[i - 1])
            return float(math.exp(np.interp(share, (0, 1), np.log(counts[i - 1 : i + 1]))))
    return float("inf")


def ratio(pretrained: Floats, scratch: Floats, counts: Floats, seed: int = 0) -> dict[str, Any]:
    """How many times more labels scratch (seeds, counts) needs for what the pre-trained reaches with few.

    The AUROC asked for is the highest that the mean of scratch's curve reaches with all labels; where
    pre-training exceeds it at the smallest count, the ratio is a lower bound. Interval: bootstrap of seeds.
    """
    rng = np.random.default_rng(seed)
    found = []
    for draw in range(2000):
        pick = rng.integers(0, len(scratch), len(scratch)) if draw else np.arange(len(scratch))
        other = rng.integers(0, len(pretrained), len(pretrained)) if draw else np.arange(len(pretrained))
        a, b = pretrained[other].mean(0), np.maximum.accumulate(scratch[pick].mean(0))
        wanted = float(b[-1])
        found.append(needed(counts, b, wanted) / needed(counts, np.maximum.accumulate(a), wanted))
    low, high = np.quantile(found[1:], [0.025, 0.975])
    return {"ratio": found[0], "low": float(low), "high": float(high)}


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
        ratios = {
            f"{way} against {base}": ratio(areas, ways[base], counts)
            for way, areas in ways.items()
            for base in ("scratch", "resnet18")
            if base in ways and way not in ("scratch", "resnet18", "untrained")
        }
        for name, each in ratios.items():
            print(
                f"  {name}: {each['ratio']:.1f} times fewer labels ({each['low']:.1f} to {each['high']:.1f})"
            )
        found[task.name] = {
            "counts": counts.tolist(),
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
