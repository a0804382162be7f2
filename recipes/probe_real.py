"""What pre-training on phantoms is worth on real images: linear probes against the same encoder untrained.

    python recipes/probe_real.py [MODEL]      default: the bundled sagittal-small

PneumoniaMNIST (CC BY 4.0) by its official split; BUSI breast ultrasound (licence unknown: testing only,
nothing fitted on it is kept) by a fixed split of its files, benign / malignant / normal. Features of the
film branch before any head; a logistic regression whose penalty the validation rows choose.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sagittal.adapt.probe import fit_head
from sagittal.datasets.medmnist import open_medmnist
from sagittal.measure.discrimination import delong_test
from sagittal.measure.statistics import wilson
from sagittal.model import Model
from sagittal.study.open import open_study
from sagittal.study.prepare import prepare
from sagittal.study.spec import InputSpec
from sagittal.study.study import Study
from sagittal.zoo.load import DEFAULT, load
from sagittal.zoo.ours import SagittalModel

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """``branch``: whose encoder; ``seeds``: of the untrained encoders that are averaged over."""

    pneumonia: str = "../shared/data/pneumoniamnist/pneumoniamnist_full_reassembled.npz"
    busi: str = "../shared/data/busi"
    out: str = "runs/probe_real.json"
    branch: str = "chest-xray"
    seeds: tuple[int, ...] = (0, 1, 2)
    batch: int = 32
    size: tuple[int, int] = (128, 128)
    """Of the probed pictures: the encoder takes any size, and these sets hold 28 pixels or small crops."""


@dataclass(frozen=True, eq=False)
class Task:
    """Named rows: studies, targets (N, L), split a row."""

    name: str
    classes: tuple[str, ...]
    images: Floats
    targets: Floats
    split: NDArray[np.str_]
    exclusive: bool


def anything(spec: InputSpec, size: tuple[int, int]) -> InputSpec:
    """The array form of a contract without its population: a probe of features makes no statement."""
    return replace(
        spec,
        modality=("DX", "CR", "US", "OT"),
        body_part=None,
        view=(),
        position=(),
        age_years=None,
        size=size,
    )


def array(study: Study, spec: InputSpec) -> NDArray[np.float16]:
    """One study's array (C, *S), halved in memory."""
    return prepare(study.series[0], spec, study).array.astype(np.float16)


def pneumonia(recipe: Recipe, spec: InputSpec) -> Task:
    """PneumoniaMNIST by its official split."""
    data = open_medmnist(recipe.pneumonia)
    images = np.stack([array(row.load(), spec) for row in data.rows])
    split = np.array([row.split for row in data.rows])
    return Task("pneumoniamnist", data.labels, images, data.targets, split, False)


def busi(recipe: Recipe, spec: InputSpec) -> Task:
    """BUSI: 60 / 15 / 25 by a hash of the file's name."""
    classes = ("benign", "malignant", "normal")
    images, targets, split = [], [], []
    for column, name in enumerate(classes):
        for path in sorted((Path(recipe.busi) / name).glob("*.png")):
            place = int(hashlib.sha256(f"{name}/{path.name}".encode()).hexdigest()[:8], 16) / 2**32
            images.append(array(open_study(path), spec))
            targets.append(np.eye(len(classes))[column])
            split.append("train" if place < 0.6 else "val" if place < 0.75 else "test")
    return Task("busi", classes, np.stack(images), np.asarray(targets, np.float32), np.array(split), True)


@torch.inference_mode()
def encode(model: Model, recipe: Recipe, images: NDArray[np.float16]) -> Floats:
    """Pooled features (N, D), once."""
    parts = []
    for start in range(0, len(images), recipe.batch):
        batch = torch.from_numpy(images[start : start + recipe.batch].astype(np.float32))
        parts.append(model.encode(recipe.branch, batch).pooled.numpy())
    return np.concatenate(parts)


def probe(features: Floats, task: Task) -> NDArray[np.float64]:
    """Probabilities (N, L) of the test rows."""
    rows = {name: task.split == name for name in ("train", "val", "test")}
    fitted = fit_head(
        (features[rows["train"]], task.targets[rows["train"]]),
        (features[rows["val"]], task.targets[rows["val"]]),
        exclusive=task.exclusive,
    )
    return fitted.head.probabilities(features[rows["test"]], exclusive=task.exclusive)


def run(recipe: Recipe, name: str) -> None:
    """Print and save one line an encoder and set."""
    loaded = load(name)
    assert isinstance(loaded, SagittalModel)
    spec = anything(loaded.card.branch(recipe.branch).input, recipe.size)
    rows = []
    for task in (pneumonia(recipe, spec), busi(recipe, spec)):
        truth = task.targets[task.split == "test"]
        trained = probe(encode(loaded.model, recipe, task.images), task)
        untrained = []
        for seed in recipe.seeds:
            torch.manual_seed(seed)
            fresh = Model(replace(loaded.model.config, text=None)).eval()
            untrained.append(probe(encode(fresh, recipe, task.images), task))
        for column, label in enumerate(task.classes):
            tests = [delong_test(truth[:, column], trained[:, column], u[:, column]) for u in untrained]
            rows.append(
                {
                    "set": task.name,
                    "label": label,
                    "n_test": len(truth),
                    "auroc": tests[0].first,
                    "auroc_untrained": float(np.mean([t.second for t in tests])),
                    "p_worst_of_seeds": max(t.p for t in tests),
                }
            )
        rows.append({"set": task.name, "label": "accuracy", **accuracy(truth, trained, untrained, task)})
    for row in rows:
        print(json.dumps(row))
    Path(recipe.out).parent.mkdir(parents=True, exist_ok=True)
    Path(recipe.out).write_text(json.dumps({"model": name, "rows": rows}, indent=1) + "\n")


def accuracy(
    truth: Floats, trained: NDArray[np.float64], untrained: list[NDArray[np.float64]], task: Task
) -> dict[str, float]:
    """Share of right answers, with Wilson's interval for the trained encoder."""

    def right(p: NDArray[np.float64]) -> NDArray[np.bool_]:
        same = p.argmax(1) == truth.argmax(1) if task.exclusive else (p[:, 0] >= 0.5) == (truth[:, 0] == 1)
        return np.asarray(same)

    interval = wilson(int(right(trained).sum()), len(truth))
    mean = float(np.mean([right(u).mean() for u in untrained]))
    return {"value": interval.value, "low": interval.low, "high": interval.high, "untrained": mean}


if __name__ == "__main__":
    run(Recipe(), sys.argv[1] if len(sys.argv) > 1 else DEFAULT)
