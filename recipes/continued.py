"""Continued pre-training in the order of CXR-Base (arXiv 2410.08861): general pictures, then chest films.

    sagittal pretrain recipes/continued.py [--set general=none] [--out runs/continued]      resumable

general   hidden blocks of general pictures are foretold: drawn shapes, a MedMNIST file, or none at all
films     the same network, head and all, goes on with phantom chest films
model     weights and card; results.json: error on films nobody trained on and AUROC of a linear probe, before
          the films (``start``) and after them (``end``)

Run it with general=shapes and general=none, and compare the two results.json. About three minutes a run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from sagittal.branch import BranchConfig
from sagittal.datasets.open import open_data
from sagittal.encoders.picture import PictureConfig
from sagittal.layers.weights import write_atomic
from sagittal.model import Model, ModelConfig
from sagittal.phantom.cohort import draw
from sagittal.phantom.truth import LABELS, Split
from sagittal.pretrain.masked import MaskedHead, Masking, block_mask, masked_loss, target
from sagittal.pretrain.probe import probed
from sagittal.study.prepare import prepare
from sagittal.study.spec import InputSpec
from sagittal.training.loop import FitConfig, Progress, fit
from sagittal.training.shards import INDEX, Shards, write_shards
from sagittal.training.stream import Batched, Shuffled, loader, stacked
from sagittal.zoo.card import BranchCard, Card, DataUse
from sagittal.zoo.ours import inputs
from sagittal.zoo.save import save


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run; ``size`` is the edge in pixels, a multiple of 8.

    Attributes:
        general: what the first stage sees; ``medmnist`` is the file's path where it is that.
        pictures, films, held_out: how many general pictures, films to learn from, films to measure on.
        first_steps, second_steps: of the two stages.
    """

    general: Literal["shapes", "medmnist", "none"] = "shapes"
    medmnist: str = "../shared/data/pneumoniamnist/pneumoniamnist_full_reassembled.npz"
    pictures: int = 20_000
    films: int = 400
    held_out: int = 200
    size: int = 64
    first_steps: int = 600
    second_steps: int = 200
    batch: int = 16
    learning_rate: float = 2e-3
    width: int = 64
    probe_steps: int = 100
    save_seconds: float = 30.0
    bf16: bool | None = None
    seed: int = 0


MASKING = Masking((8, 8), 0.5, (2, 2))
KIND = "chest-xray"


def film_spec(size: int) -> InputSpec:
    """Frontal chest films of that edge: what the encoder takes."""
    return InputSpec(
        modality=("DX", "CR"), body_part="CHEST", orientation="LF", size=(size, size), fit="resize",
        normalise="percentile",
    )  # fmt: skip


@dataclass(frozen=True)
class Shapes(Sequence[dict[str, Tensor]]):
    """General pictures (1, S, S): ellipses, boxes and stripes over one another, blurred edges, some noise."""

    many: int
    size: int
    seed: int

    def __len__(self) -> int:
        return self.many

    def __getitem__(self, index: Any) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, int(index)])
        y, x = np.mgrid[0 : self.size, 0 : self.size] / self.size - 0.5
        picture = rng.normal() * y + rng.normal() * x
        for _ in range(rng.integers(2, 6)):
            turn, (cy, cx) = rng.uniform(0, np.pi), rng.uniform(-0.5, 0.5, 2)
            ry, rx = rng.uniform(0.1, 0.5, 2)
            v = ((y - cy) * np.cos(turn) + (x - cx) * np.sin(turn)) / ry
            u = ((x - cx) * np.cos(turn) - (y - cy) * np.sin(turn)) / rx
            kind = rng.integers(3)
            edge = 1 - (np.hypot(u, v) if kind == 0 else np.maximum(abs(u), abs(v)))
            inside = 1 / (1 + np.exp(-np.clip(edge * rng.uniform(3, 20), -30, 30)))
            picture = picture + rng.normal() * inside * (np.sin(6 * v) if kind == 2 else 1)
        picture = picture + rng.normal(scale=0.01, size=picture.shape)
        low, high = np.percentile(picture, (1, 99))
        made = np.clip((picture - low) / max(high - low, 1e-6), 0, 1)
        return {"image": torch.from_numpy(made[None].astype(np.float16))}


def films(recipe: Recipe, count: int, split: Split) -> Iterator[dict[str, Tensor]]:
    """Phantom chest films with their labels, as `prepare` makes them."""
    spec = film_spec(recipe.size)
    for index in range(count):
        case = draw("chest-xray", seed=recipe.seed, index=index, split=split, size=max(64, 4 * recipe.size))
        image = prepare(inputs(case.study, spec)[0], spec, case.study).array
        labels = torch.tensor([float(case.truth.labels[name]) for name in LABELS["chest-xray"]])
        yield {"image": torch.from_numpy(image).half(), "labels": labels}


def pictures(recipe: Recipe) -> Iterator[dict[str, Tensor]]:
    """The training pictures of a MedMNIST file, at our size and in 0..1."""
    data = open_data(recipe.medmnist).only("train")
    for row in data.rows[: recipe.pictures]:
        voxels = torch.from_numpy(np.asarray(row.load().series[0].volume.voxels, np.float32))
        image = nn.functional.interpolate(
            voxels.reshape(1, 1, *voxels.shape[-2:]), (recipe.size, recipe.size)
        )
        low, high = image.amin(), image.amax()
        yield {"image": ((image - low) / (high - low).clamp(min=1e-6))[0].half()}


def shards(folder: Path, samples: Callable[[], Iterable[dict[str, Tensor]]]) -> Shards:
    """Written once."""
    if not (folder / INDEX).exists():
        write_shards(samples(), folder, each=64)
    return Shards(folder)


def run(recipe: Recipe, folder: Path, *, report: Callable[[Progress], None]) -> Path:
    """General pictures, then films; measured before and after the films; saved."""
    torch.manual_seed(recipe.seed)
    encoder = PictureConfig(widths=(16, 32, recipe.width), blocks=(1, 1, 1), strides=(2, 2, 2), heads=4)
    config = ModelConfig({KIND: BranchConfig(encoder)}, width=recipe.width, embedding=32, heads=4)
    model, head = Model(config), MaskedHead(recipe.width, recipe.width, 1, MASKING)
    both = nn.ModuleDict({"model": model, "head": head})

    def error(image: Tensor, blocks: Tensor) -> Tensor:
        wanted = target(image, MASKING)
        guess = head(model.encode(KIND, head.hide(image, blocks)), wanted.shape[2:-1])
        return masked_loss(guess, wanted, blocks)

    def objective(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        image = batch["image"].float()
        return {"masked": error(image, block_mask(len(image), image.shape[2:], MASKING))}

    def stage(name: str, source: Sequence[Any], steps: int) -> None:
        """Fit on ``source``; a stage that was finished gives its weights back at once."""
        plan = FitConfig(
            steps=steps, learning_rate=recipe.learning_rate, average=0.98, save_seconds=recipe.save_seconds,
            probe_steps=recipe.probe_steps, bf16=recipe.bf16, seed=recipe.seed,
        )  # fmt: skip
        batches = loader(Batched(Shuffled(source, seed=recipe.seed), recipe.batch))
        if steps:
            fit(both, objective, batches, plan, folder=folder / name, report=report, probes=probes)

    known = shards(folder / "films-shards", lambda: films(recipe, recipe.films, "train"))
    unseen = shards(folder / "unseen-shards", lambda: films(recipe, recipe.held_out, "heldout"))
    train, test = (stacked([each[i] for i in range(len(each))]) for each in (known, unseen))

    def encode(images: Tensor) -> Tensor:
        return model.encode(KIND, images).pooled

    def probes() -> dict[str, float]:
        """A linear probe from every other training film to the rest: those held out wait for the end."""
        halves = [(train["image"][i::2].float(), train["labels"][i::2]) for i in (0, 1)]
        return {"auroc": probed(encode, *halves)}

    @torch.no_grad()
    def measured() -> dict[str, float]:
        both.eval()
        image = test["image"].float()
        blocks = block_mask(len(image), image.shape[2:], MASKING, torch.Generator().manual_seed(recipe.seed))
        pieces = zip(image.split(64), blocks.split(64), strict=True)
        errors = [float(error(each, hidden)) * len(each) for each, hidden in pieces]
        sets = [(each["image"].float(), each["labels"]) for each in (train, test)]
        auroc = probed(encode, *sets, module=model)
        return {"masked": sum(errors) / len(image), "auroc": auroc}

    if recipe.general == "shapes":
        stage("general", Shapes(recipe.pictures, recipe.size, recipe.seed), recipe.first_steps)
    elif recipe.general == "medmnist":
        stage("general", shards(folder / "general-shards", lambda: pictures(recipe)), recipe.first_steps)
    results = {"start": measured()}
    stage("films", known, recipe.second_steps)
    results["end"] = measured()
    write_atomic(folder / "results.json", (json.dumps(results, indent=1) + "\n").encode())
    return saved(recipe, model, folder / "model")


def saved(recipe: Recipe, model: Model, folder: Path) -> Path:
    """Weights and card."""
    general = {
        "shapes": (DataUse("Drawn shapes", "Apache-2.0 (drawn by this recipe)", recipe.pictures),),
        "medmnist": (DataUse(Path(recipe.medmnist).name, "see the file's source", recipe.pictures),),
        "none": (),
    }[recipe.general]
    card = Card(
        name="continued",
        version="1",
        family="sagittal",
        summary="A picture encoder that foretold hidden blocks of general pictures, then of phantom films.",
        licence="Apache-2.0" if recipe.general != "medmnist" else "that of its pictures",
        digest="",
        branches={KIND: BranchCard(film_spec(recipe.size))},
        data=(*general, DataUse(f"Sagittal phantoms, {KIND}", "Apache-2.0 (by this package)", recipe.films)),
        read_by_default=False,
    )  # fmt: skip
    save(folder, model, card)
    return folder
