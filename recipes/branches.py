"""One kind of `sagittal-small`: encoder and decoders fitted, then its embedding and proportions.

Pre-training (`small.py`) comes before, measuring (`bundle.py`) after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import augment
import numpy as np
import torch
from align import align, known, proportions, widened
from arrays import ANATOMY, FIELDLESS, Arrays, mask_names
from kinds import (
    BALANCE,
    CROPS,
    STEPS,
    Recipe,
    Report,
    config_for,
    move,
    phantoms,
    picked,
    report_to,
    steps,
    tensors,
)
from statements import drawn
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from sagittal.model import Model, load, save
from sagittal.phantom.truth import LABELS, CaseKind
from sagittal.pretrain.contrastive import attract, same_findings
from sagittal.pretrain.recipe import spent
from sagittal.training.loop import FitConfig, fit
from sagittal.training.objective import label_loss, mask_loss


def part(out: Path, kind: str) -> Model:
    """The pre-trained model with only this kind's branch; text encoder and fusion do not learn any more.

    They are shared by all kinds, so branches can be fitted side by side and still go into one model.
    """
    whole = load(out / "pretrained")
    model = Model(config_for((kind,), whole.config.text), whole.tokenizer)
    wanted = model.state_dict()
    model.load_state_dict({name: value for name, value in whole.state_dict().items() if name in wanted})
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(("text.", "project_text", "scale", "fusion.")))
    return model


def mask_weight(kind: str) -> Tensor:
    """How much each mask counts: anatomy is learnt in minutes, small lesions are what takes the hours."""
    weight = {"nodule": 2.0, "rib_fracture": 2.0} | dict.fromkeys(ANATOMY[kind], 0.3)
    return torch.tensor([weight.get(name, 1.0) for name in mask_names(kind)])


def crop(
    arrays: Arrays, kind: str, row: int, rng: np.random.Generator, shrink: int = 1
) -> tuple[Tensor, Tensor]:
    """A piece (C, *S) of one volume and its masks (M, *s); two thirds of the pieces hold a lesion."""
    size, steps = tuple(n // shrink for n in CROPS[kind]), STEPS[kind]
    masks = arrays.masks[row]
    whole = masks.shape[1:]
    small = [n // k for n, k in zip(size, steps, strict=True)]
    corner = [int(rng.integers(0, n - m + 1)) for n, m in zip(whole, small, strict=True)]
    lesions = [c for c in range(len(ANATOMY[kind]), len(masks)) if masks[c].max() >= 128]
    if lesions and rng.random() < 2 / 3:
        places = np.argwhere(masks[int(rng.choice(lesions))] >= 128)
        middle = places[rng.integers(len(places))] + rng.integers(-4, 5, 3)
        corner = [int(np.clip(c - m // 2, 0, n - m)) for c, m, n in zip(middle, small, whole, strict=True)]
    coarse = tuple(slice(c, c + m) for c, m in zip(corner, small, strict=True))
    fine = tuple(slice(c * k, c * k + n) for c, k, n in zip(corner, steps, size, strict=True))
    image = arrays.images[(row, slice(None), *fine)].astype(np.float32)
    return torch.from_numpy(image), torch.from_numpy(masks[(slice(None), *coarse)].astype(np.float32) / 255)


Objective = Callable[[tuple[Tensor, int]], dict[str, Tensor]]


def pieces_objective(recipe: Recipe, kind: CaseKind, model: Model, data: Arrays) -> Objective:
    """The masks of pieces of volumes: decoder and encoder learn on these before they meet whole ones."""
    weight = mask_weight(kind)

    def objective(batch: tuple[Tensor, int]) -> dict[str, Tensor]:
        rows, generator = picked(data, batch[1], recipe.crop_batch, recipe.seed + 3)
        rng = np.random.default_rng([recipe.seed, batch[1]])
        pieces = [crop(data, kind, int(row), rng, recipe.shrink) for row in rows]
        image, masks = (torch.stack(each) for each in zip(*pieces, strict=True))
        image, masks = augment.scan(image, masks, generator, shift=False)
        features = model.encode(kind, image)
        drawn = model.branches[kind].masks(features.pyramid, features.tokens)
        return {"mask": mask_loss(drawn, masks, weight=weight, balance=BALANCE[kind])}

    return objective


@dataclass(frozen=True)
class Words:
    """What texts a kind's images are held against; the text encoder does not learn any more.

    Attributes:
        reports: (N, E) of the training studies; known: (N, L) what each of them says.
        axes: (K, L, E) findings beside their denials, in so many wordings.
    """

    reports: Tensor
    known: Tensor
    axes: Tensor


@torch.no_grad()
def words(recipe: Recipe, kind: CaseKind, model: Model, data: Arrays) -> Words:
    """The texts of a kind through the frozen encoder."""
    tokenizer, length = model.tokenizer, model.config.text.length
    reports = [row["report"] for row in data.rows]
    parts = [model.encode_text(*tokenizer(reports[i : i + 256], length)) for i in range(0, len(reports), 256)]
    generator = torch.Generator().manual_seed(recipe.seed)
    each = [model.axes([drawn(label, generator) for label in LABELS[kind]]) for _ in range(recipe.wordings)]
    return Words(torch.cat(parts), torch.from_numpy(data.labels.astype(np.float32)), torch.stack(each))


def whole_objective(
    recipe: Recipe,
    kind: CaseKind,
    model: Model,
    data: Arrays,
    said: Words,
    size: int,
    *,
    coarse: bool = False,
) -> Objective:
    """Labels, masks and texts of whole images; ``coarse``: at half their size."""
    tokenizer, length, weight = model.tokenizer, model.config.text.length, mask_weight(kind)

    def objective(batch: tuple[Tensor, int]) -> dict[str, Tensor]:
        rows, generator = picked(data, batch[1], size, recipe.seed + 1 + coarse)
        image, masks, labels = tensors(data, rows)
        image, masks = move(kind, image, masks, generator)
        if coarse:
            image, masks = functional.avg_pool2d(image, 2), functional.avg_pool2d(masks, 2)
        silent = torch.rand(len(rows), generator=generator) < recipe.text_dropout
        notes = [None if quiet else data.rows[i]["context"] for i, quiet in zip(rows, silent, strict=True)]
        output = model(kind, image, tokenizer(notes, length), upsample=False)
        others = torch.randperm(len(said.known), generator=generator)[: recipe.texts]
        near = torch.cat([torch.from_numpy(rows), others])
        right = same_findings(labels, said.known[near])
        axis = said.axes[int(torch.randint(len(said.axes), (1,), generator=generator))]
        return {
            "label": label_loss(output.label_logits, labels),
            "mask": mask_loss(output.mask_logits, masks, weight=weight, balance=BALANCE[kind]),
            "contrastive": recipe.contrastive_weight
            * attract(output.embedding, said.reports[near], model.scale, right),
            "prompt": recipe.prompt_weight * label_loss(model.asked(output.embedding, axis), labels),
        }

    return objective


class Whole(nn.Module):
    """image -> what the model says of it: the form in which `update_bn` asks."""

    def __init__(self, model: Model, kind: str) -> None:
        super().__init__()
        self.model, self.kind = model, kind

    def forward(self, image: Tensor) -> Tensor:
        return self.model(self.kind, image, upsample=False).embedding


def restate(model: Model, kind: CaseKind, data: Arrays, size: int, seed: int, batches: int) -> None:
    """The averaged weights get the batch statistics that belong to them (Izmailov 2018)."""

    def images() -> Iterator[Tensor]:
        for step in range(batches):
            rows, generator = picked(data, step, size, seed + 7)
            image, masks, _ = tensors(data, rows)
            yield move(kind, image, masks, generator)[0]

    update_bn(images(), Whole(model, kind))
    model.eval()


@dataclass(frozen=True)
class Step:
    """A part of a fit: what learns, for how long, at which multiple of the learning rate."""

    name: str
    objective: Objective
    size: int
    seconds: float
    rate: float = 1.0


def fit_steps(recipe: Recipe, kind: CaseKind, model: Model, data: Arrays) -> tuple[Step, Step]:
    """Pieces of volumes before whole ones; films at half their size, four times as many, before full size."""
    said = words(recipe, kind, model, data)
    size = recipe.film_batch if kind == "chest-xray" else recipe.volume_batch
    seconds = {
        "chest-xray": recipe.film_seconds,
        "chest-ct": recipe.scan_seconds,
        "brain-mr": recipe.head_seconds,
    }[kind]
    whole = Step(kind, whole_objective(recipe, kind, model, data, said, size), size, seconds)
    if kind in CROPS:
        pieces = pieces_objective(recipe, kind, model, data)
        return Step(f"{kind}-crops", pieces, recipe.crop_batch, recipe.crop_seconds, 1.5), whole
    many = recipe.coarse_batch
    coarse = whole_objective(recipe, kind, model, data, said, many, coarse=True)
    return Step(f"{kind}-coarse", coarse, many, recipe.coarse_seconds, 2.0), whole


def fit_branch(recipe: Recipe, out: Path, kind: CaseKind, report: Report) -> bool:
    """Decoders and encoder of one kind, with masks, labels and texts, for ``stage_seconds`` at most.

    Returns whether it is done: if not, the next call goes on.
    """
    data, done = phantoms(recipe, out, kind, "train"), True
    model, began = part(out, kind), time.monotonic()
    with spent(out / f"{kind}-usage.json"):
        every = fit_steps(recipe, kind, model, data)
        for step in every:
            plan = FitConfig(
                steps=recipe.most_steps,
                max_seconds=step.seconds,
                learning_rate=step.rate * recipe.learning_rate,
                average=recipe.average,
                seed=recipe.seed,
                report_steps=50,
                save_seconds=180.0,
            )
            left = recipe.stage_seconds - (time.monotonic() - began)
            reached = fit(
                model,
                step.objective,
                steps(lambda _, size=step.size: size, left),
                plan,
                folder=out / f"{step.name}-run",
                report=report_to(out / f"{step.name}.jsonl", report),
            )
            if reached.done < 1:
                print(f"{step.name}: {reached.done:.0%}; the next call goes on")
                done = False
                break
        restate(model, kind, data, every[-1].size, recipe.seed, recipe.statistics)
    save(model, out / kind)
    return done


def align_branch(recipe: Recipe, out: Path, kind: CaseKind) -> None:
    """The last step of a branch, in a few minutes; the second time it begins from where it ended."""
    data, model = phantoms(recipe, out, kind, "train"), load(out / kind)
    if not model.config.embed_masks:
        model = widened(model)
    count, size = min(len(data.rows), recipe.align_images), 8 if kind == "chest-xray" else 2

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(recipe.align_passes * count // size):
            rows, generator = picked(data, step, size, recipe.seed + 11)
            image, masks, _ = tensors(data, rows)
            yield move(kind, image, masks, generator)[0], torch.from_numpy(rows)

    with spent(out / f"{kind}-align-usage.json"):
        seen = known(model, kind, batches())
        said = words(recipe, kind, model, data)

        def loss(embedding: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
            axis = said.axes[int(torch.randint(len(said.axes), (1,), generator=generator))]
            others = torch.randperm(len(said.known), generator=generator)[: 4 * recipe.texts]
            right = same_findings(said.known[rows], said.known[others])
            near = attract(embedding, said.reports[others], model.scale.detach(), right)
            asked = label_loss(model.asked(embedding, axis), said.known[rows])
            return asked + recipe.contrastive_weight * near

        align(model, kind, seen, loss, steps=recipe.align_steps, seed=recipe.seed)
        which = [label for label in LABELS[kind] if label in FIELDLESS]
        proportions(model, kind, seen, LABELS[kind], which, data.labels)
    save(model, out / kind)
