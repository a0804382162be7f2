"""Pre-training pays: how many labels an encoder needs with it, and without.

    sagittal pretrain recipes/labels_needed.py [--out runs/labels_needed]     all of it; again to go on
    python recipes/labels_needed.py STAGE [--part 0/2] [--set name=value]     a stage, on several cores

data      phantom films of 64 pixels: some with their reports and no labels, some with labels, some to test on
pretrain  one encoder each for contrastive (sentences of the reports), masked and both, on 1k, 3k, 10k films;
          more on films of which as few have the finding as of the labelled, as they come and evened
curves    scores of unseen films at 10, 100, 1,000 and all labels, 5 seeds: a linear probe on each frozen
          encoder, the same network trained from nothing, a ResNet-18 trained from nothing
table     how many times the labels a network from nothing needs for what each encoder reaches with few

Every finding is in a third of the phantoms: its positives among the labelled are thinned to 3 %. Test films
stay as they are drawn: AUROC does not depend on it. Sets of few labels hold at least two of either answer,
so the smallest are richer than that, for every way alike.

Real films: PneumoniaMNIST (CC BY 4.0), official split, through the same encoders and baselines.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arrays import Arrays, cohort
from baselines import ResNet18, encoded, probe, settle, trained
from films import KIND, SPEC, Conventional, FilmEncoder, Floats, batches, pooled, reports
from labels_counted import Counted, Rows, counted, shown, subset, thinned
from numpy.typing import NDArray
from objectives import OBJECTIVES, TOLD, Pretrained, features, objective, strata
from torch import nn
from torch.nn import functional

from sagittal.encoders.tokenizer import train_tokenizer
from sagittal.layers.weights import write_atomic
from sagittal.phantom.truth import LABELS, Split
from sagittal.pretrain.recipe import changed
from sagittal.report.codec import dumps
from sagittal.training.loop import FitConfig, Progress, fit

Report = Callable[[Progress], None]
EVERY = slice(None)


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run, films included.

    Attributes:
        films: with reports, for pre-training; labelled: others, with labels; test: of the held-out split.
        finding: whose labels are counted.
        prevalence: its share among the labelled films, in which the first positives stay; None: as drawn.
        sizes: films that pre-training may see, for the comparison of objectives.
        counts: labels of a curve; 0 stands for all.
        steps: of pre-training, one entry a size; scratch_steps, resnet_steps: of training from nothing, one
            a count.
        balanced: the finding has half of the weight, in every batch of these and in the probes.
        bf16: None: where this processor gains from it.
    """

    seed: int = 20261128
    films: int = 10_000
    labelled: int = 5_000
    test: int = 1_500
    finding: str = "rib_fracture"
    prevalence: float | None = 0.03
    sizes: tuple[int, ...] = (1_000, 3_000, 10_000)
    counts: tuple[int, ...] = (10, 100, 1_000, 0)
    seeds: int = 5
    steps: tuple[int, ...] = (300, 600, 1_200)
    batch: int = 64
    learning_rate: float = 4e-3
    scratch_batch: int = 32
    scratch_steps: tuple[int, ...] = (100, 300, 800, 2_000)
    scratch_rate: float = 3e-3
    resnet_steps: tuple[int, ...] = (100, 200, 500, 1_000)
    resnet_rate: float = 1e-3
    balanced: bool = True
    resamples: int = 2_000
    bf16: bool | None = None
    pneumonia: str = "../shared/data/pneumoniamnist/pneumoniamnist_full_reassembled.npz"


def phantoms(recipe: Recipe, folder: Path, part: str) -> Arrays:
    """The films of "films", "labelled" or "test", drawn if they are not there yet.

    The films of the third seed were looked at while the form of the network was chosen: they test nothing.
    """
    streams = ("films", "labelled", "looked at", "test")
    split: Split = "heldout" if part == "test" else "train"
    seed = recipe.seed + streams.index(part)
    n = getattr(recipe, part)
    return cohort(folder / part, KIND, SPEC, n=n, seed=seed, split=split, steps=(2, 2))


def data(recipe: Recipe, folder: Path, report: Report, part: slice = EVERY) -> None:
    """Draw all films, by two processes."""
    for name in ("test", "labelled", "films"):
        phantoms(recipe, folder, name)


def answers(films: Arrays, recipe: Recipe) -> Floats:
    """(N,) whether each film has the finding."""
    return films.labels[:, LABELS[KIND].index(recipe.finding)].astype(np.float32)


# --- pre-training ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """An encoder: its objective, how many films it may see, its steps.

    ``rare``: they are thinned as the labelled; ``evened``: what is seldom said is drawn as often as the rest.
    """

    kind: str
    films: int
    steps: int
    rare: bool = False
    evened: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.films}{'-rare' * self.rare}{'-evened' * self.evened}"


def plans(recipe: Recipe) -> list[Plan]:
    """The objectives on every number of films, the largest first; then those that read, on rare findings."""
    pairs = sorted(zip(recipe.sizes, recipe.steps, strict=True), reverse=True)
    every = [Plan(kind, *pair) for pair in pairs for kind in OBJECTIVES]
    rare = [Plan(kind, *pairs[0], rare=True) for kind in TOLD]
    return every if recipe.prevalence is None else [*every, *rare, replace(rare[0], evened=True)]


def archive(recipe: Recipe, films: Arrays, plan: Plan) -> Arrays:
    """The films that an encoder may see."""
    share = recipe.prevalence if plan.rare else None
    rows = thinned(answers(films, recipe)[: plan.films], share)
    parts = (films.images[rows], films.masks[rows], films.labels[rows])
    return Arrays(*parts, [films.rows[row] for row in rows])


def pretrain(recipe: Recipe, folder: Path, report: Report, part: slice = EVERY) -> None:
    """One encoder a plan, and the features of all labelled and test films."""
    every = phantoms(recipe, folder, "films")
    for plan in plans(recipe)[part]:
        where = folder / plan.name
        if (where / "encoder.pt").exists():
            continue
        films = archive(recipe, every, plan)
        said = reports(films)
        _note(f"{plan.name}: {len(films.images)} films, {len(said.statements)} statements")
        torch.manual_seed(recipe.seed)
        model = Pretrained(train_tokenizer([text for each in said.wordings for text in each], 512))
        fit(
            model,
            objective(model, plan.kind, said, recipe.seed),
            batches(films.images, recipe.batch, recipe.seed, strata(said) if plan.evened else ()),
            planned(recipe, plan.steps),
            folder=where,
            report=report,
        )
        model.eval()
        for task in tasks(recipe, folder):
            known, unseen = (
                features(model, plan.kind, said, task.finding, each) for each in (task.images, task.test)
            )
            np.savez(where / f"{task.name}.npz", train=known, test=unseen)
        save(model.encoder, where / "encoder.pt")


def planned(recipe: Recipe, steps: int) -> FitConfig:
    """How an encoder is pre-trained."""
    return FitConfig(
        steps, recipe.learning_rate, weight_decay=0.05, average=None, report_steps=50, save_seconds=120,
        bf16=recipe.bf16,
    )  # fmt: skip


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def save(module: nn.Module, path: Path) -> None:
    """Weights, whole or not at all."""
    torch.save(module.state_dict(), path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


# --- curves ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Task:
    """Labelled pictures (N, 1, H, W), answers (N,), and those to test on; ``finding`` is prompted for.

    ``rows``: of the labelled ones, those that may be used. ``pace``: of the steps of training from nothing,
    the share that this task takes.
    """

    name: str
    finding: str
    images: NDArray[Any]
    wanted: Floats
    test: NDArray[Any]
    truth: Floats
    rows: Rows
    pace: float = 1.0

    def chosen(self, count: int, seed: int) -> Rows:
        """Rows of ``images``: ``count`` of those in use (0: all), the same for every way."""
        return self.rows[subset(self.wanted[self.rows], count, seed)]


@cache
def tasks(recipe: Recipe, folder: Path) -> list[Task]:
    """The phantom finding, and real films where they are at hand."""
    labelled, test = phantoms(recipe, folder, "labelled"), phantoms(recipe, folder, "test")
    wanted, name = answers(labelled, recipe), recipe.finding
    rows = thinned(wanted, recipe.prevalence)
    found = [Task(name, name, labelled.images, wanted, test.images, answers(test, recipe), rows)]
    if Path(recipe.pneumonia).is_file():
        with np.load(recipe.pneumonia) as file:
            pictures = [
                torch.from_numpy(file[f"{s}_images"])[:, None].float() / 255 for s in ("train", "test")
            ]
            known, truth = (file[f"{s}_labels"].ravel().astype(np.float32) for s in ("train", "test"))
        train, unseen = (
            functional.interpolate(each, SPEC.size, mode="bilinear").numpy().astype(np.float16)
            for each in pictures
        )
        rows = np.arange(len(known))
        found.append(Task("pneumonia", "consolidation", train, known, unseen, truth, rows, pace=0.5))
    return found


NETWORKS = ("scratch", "resnet18")


@dataclass(frozen=True)
class Job:
    """One point of a curve: a way with ``count`` labels of a seed; ``steps`` of training from nothing."""

    task: Task
    way: str
    count: int
    seed: int
    steps: int = 0

    def path(self, folder: Path) -> Path:
        return folder / "curves" / f"{self.task.name}-{self.way}-{self.count}-{self.seed}.npz"


def jobs(recipe: Recipe, folder: Path) -> list[Job]:
    """The frozen encoders first, minutes in all; then one network after the other."""
    found = []
    for task in tasks(recipe, folder):
        for seed in range(recipe.seeds):
            for i, count in enumerate(recipe.counts):
                found += [Job(task, way, count, seed) for way in ("untrained", *frozen(recipe, folder))]
                for way, steps in zip(NETWORKS, (recipe.scratch_steps, recipe.resnet_steps), strict=True):
                    found.append(Job(task, way, count, seed, round(task.pace * steps[i])))
    return sorted(found, key=lambda job: NETWORKS.index(job.way) if job.steps else -1)


def curves(recipe: Recipe, folder: Path, report: Report, part: slice = EVERY) -> None:
    """Test scores of every way, number of labels and seed; one file each, so that it can be resumed."""
    (folder / "curves").mkdir(parents=True, exist_ok=True)
    for job in jobs(recipe, folder)[part]:
        path = job.path(folder)
        if path.exists():
            continue
        began, rows = time.process_time(), job.task.chosen(job.count, job.seed)
        guess = guessed(recipe, folder, job, rows, report)
        file = io.BytesIO()
        np.savez(file, scores=guess.astype(np.float32), rows=rows, seconds=time.process_time() - began)
        write_atomic(path, file.getvalue())
        _note(f"{path.stem} {len(rows)} labels {time.process_time() - began:.0f} s")


def guessed(recipe: Recipe, folder: Path, job: Job, rows: Rows, report: Report) -> Floats:
    """Scores (M,) of the test pictures, learnt from ``rows``."""
    task, seed = job.task, job.seed
    if job.way in NETWORKS:
        torch.manual_seed(seed)
        net: nn.Module = Conventional(1) if job.way == "scratch" else ResNet18(1)
        rate = recipe.scratch_rate if job.way == "scratch" else recipe.resnet_rate
        plan = replace(planned(recipe, job.steps), learning_rate=rate, average=0.99)
        more = {"batch": recipe.scratch_batch, "seed": seed, "balanced": recipe.balanced}
        net = trained(net, task.images[rows], task.wanted[rows], plan, report=report, **more)
        return encoded(net, task.test)[:, 0]
    known, unseen = _untrained(task, seed) if job.way == "untrained" else remembered(folder / job.way, task)
    wanted, prompt = task.wanted[rows], job.way.startswith(TOLD)
    return probe(known[rows], wanted, unseen, prompt=prompt, balanced=recipe.balanced)


def frozen(recipe: Recipe, folder: Path) -> list[str]:
    """Ways whose encoder is there."""
    return [plan.name for plan in plans(recipe) if (folder / plan.name / "encoder.pt").exists()]


@cache
def remembered(where: Path, task: Task) -> tuple[Floats, Floats]:
    """Features of the labelled and of the test pictures, as pre-training left them."""
    file = np.load(where / f"{task.name}.npz")
    return file["train"], file["test"]


@cache
def _untrained(task: Task, seed: int) -> tuple[Floats, Floats]:
    torch.manual_seed(seed)
    encoder = FilmEncoder()
    settle(encoder, batches(task.images, 64, seed), 20)
    encoder.eval()
    known, unseen = (encoded(lambda image: pooled(encoder(image)), each) for each in (task.images, task.test))
    return known, unseen


# --- the table ------------------------------------------------------------------------------------------


def table(recipe: Recipe, folder: Path, report: Report, part: slice = EVERY) -> None:
    """Means over seeds and ratios, with 95 % intervals of seeds and test films; table.txt, table.json."""
    found = [measured(recipe, folder, task) for task in tasks(recipe, folder)]
    write_atomic(folder / "table.json", dumps(found).encode())
    write_atomic(folder / "table.txt", "\n".join(map(shown, found)).encode())


def measured(recipe: Recipe, folder: Path, task: Task) -> Counted:
    """All points that are there; of a way, the first seeds that have all of them."""
    scores, minutes = {}, {}
    ways = frozen(recipe, folder)
    for way in ("untrained", *ways, *NETWORKS):
        paths = (
            [Job(task, way, count, seed).path(folder) for count in recipe.counts]
            for seed in range(recipe.seeds)
        )
        there = takewhile(lambda row: all(path.exists() for path in row), paths)
        if done := [[np.load(path) for path in row] for row in there]:
            scores[way] = np.array([[point["scores"] for point in row] for row in done])
            minutes[way] = sum(float(point["seconds"]) for row in done for point in row) / 60
    chosen = [[task.chosen(count, seed) for seed in range(recipe.seeds)] for count in recipe.counts]
    return counted(
        task.name,
        task.truth,
        scores,
        {way: remembered(folder / way, task)[1][:, -1] for way in ways if way.startswith(TOLD)},
        counts=tuple(count or len(task.rows) for count in recipe.counts),
        positives=tuple(float(np.mean([task.wanted[rows].sum() for rows in each])) for each in chosen),
        minutes=minutes,
        beside=NETWORKS,
        resamples=recipe.resamples,
    )


STAGES = {"data": data, "pretrain": pretrain, "curves": curves, "table": table}


def run(recipe: Recipe, folder: Path, *, report: Report) -> None:
    """All stages; what is done already is not done again."""
    for stage in STAGES.values():
        stage(recipe, folder, report)


def main() -> None:
    """The second command line above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--out", type=Path, default=Path("runs/labels_needed"))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--part", default="0/1", help="K/N: every Nth job from the Kth, to share cores")
    given = parser.parse_args()
    recipe = changed(Recipe(), given.set)
    torch.set_num_threads(1)
    first, of = map(int, given.part.split("/"))
    STAGES[given.stage](recipe, given.out, said, slice(first, None, of))
    if given.stage == "table":
        print((given.out / "table.txt").read_text())


def said(p: Progress) -> None:
    """Progress as a line."""
    terms = ", ".join(f"{k} {v:.3f}" for k, v in p.losses.items())
    _note(f"step {p.step} {terms} {p.items_per_second:.0f}/s {p.seconds:.0f} s")


if __name__ == "__main__":
    main()
