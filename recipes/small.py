"""`sagittal-small`: the bundled model, from phantoms to a card, in resumable stages.

    sagittal pretrain recipes/small.py [--out runs/small]      all stages, into a model of the run's own
    python recipes/small.py STAGE [--kind K] [--set name=value] [--out runs/small]      one, also side by side

data       draws the phantoms as arrays (`recipes/arrays.py`)
pretrain   contrastive image-report and masked-image learning over all kinds, one text encoder
fit        label and mask decoders of one kind; the text encoder stays as it is
align      embedding and proportions of one kind, from what encoder and masks show (`recipes/align.py`)
evaluate   calibration and gate on one half of unseen held-out phantoms, results on the other
compare    what was measured beside the card of the model in the package, line by line
pack       weights, config, tokenizer and card into the package

Either way may go on with what the other began.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import augment
import numpy as np
import torch
from align import align, known, proportions, widened
from arrays import ANATOMY, FIELDLESS, Arrays, cohort, mask_names
from results import label_results, lesion_dice, sensitivity_by_cnr, thumbnail_auroc
from statements import drawn, every_text, prompt_results
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from sagittal.encoders.picture import PictureConfig
from sagittal.encoders.text import TextConfig
from sagittal.encoders.tokenizer import train_tokenizer
from sagittal.encoders.volume import VolumeConfig
from sagittal.errors import BadInput
from sagittal.measure.calibration import Platt
from sagittal.meter import Usage, total
from sagittal.model import BranchConfig, Model, ModelConfig, load, save
from sagittal.phantom.truth import LABELS, CaseKind, Split
from sagittal.pretrain.contrastive import attract, contrastive_loss, retrieval, same_findings
from sagittal.pretrain.masked import MaskedHead, Masking, block_mask, masked_loss, target
from sagittal.pretrain.recipe import changed, spent
from sagittal.report.codec import dumps, read_json
from sagittal.report.vocabulary import concept
from sagittal.study.spec import InputSpec
from sagittal.training.loop import FitConfig, Progress, fit
from sagittal.training.objective import label_loss, mask_loss
from sagittal.zoo.calibrator import fit_label
from sagittal.zoo.card import BranchCard, Card, DataUse, Result
from sagittal.zoo.gate import Gate, fit_gate, load_gates, save_gates
from sagittal.zoo.save import gate_card
from sagittal.zoo.save import save as save_model


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run, under 2 hours on two cores.

    Seconds are budgets on the wall clock: of each step of a kind's fit on one core (films on one, scans and
    then heads on the other), and of one call, after which ``fit`` is called again and goes on.

    Attributes:
        kinds: what it reads; shrink: every edge is divided by it; most_steps: of each fit, whatever the time.
        measured: the last of the held-out phantoms, used for nothing but results; the others calibrate.
        probe_steps: of pre-training, on studies of those that calibrate, ``aside`` of each kind; 0: time is
            short, none.
        lead: by how much a branch has to beat the thumbnails to be packed.
        statistics: batches that batch statistics are taken from; wordings: of each finding, for prompts.
    """

    kinds: tuple[CaseKind, ...] = ("chest-xray", "chest-ct", "brain-mr")
    shrink: int = 1
    most_steps: int = 100_000
    probe_steps: int = 0
    aside: int = 32
    lead: float = 0.0
    statistics: int = 60
    wordings: int = 64
    seed: int = 20261125
    films: int = 6000
    scans: int = 600
    heads: int = 600
    held_out_films: int = 800
    held_out_volumes: int = 520
    measured: int = 400
    pretrain_seconds: float = 330.0
    coarse_seconds: float = 1200.0
    film_seconds: float = 1800.0
    crop_seconds: float = 720.0
    scan_seconds: float = 480.0
    head_seconds: float = 480.0
    stage_seconds: float = 1700.0
    pretrain_batch: int = 32
    pretrain_volume_batch: int = 4
    pretrain_texts: int = 32
    pretrain_rate: float = 5e-4
    coarse_batch: int = 32
    film_batch: int = 8
    volume_batch: int = 2
    crop_batch: int = 4
    learning_rate: float = 1.2e-3
    average: float = 0.997
    hippocampus: str = "runs/hippocampus"
    text_dropout: float = 0.5
    contrastive_weight: float = 0.2
    prompt_weight: float = 0.5
    align_images: int = 3000
    align_passes: int = 2
    align_steps: int = 2000
    texts: int = 64


SPECS: dict[str, InputSpec] = {
    "chest-xray": InputSpec(
        modality=("DX", "CR"),
        body_part="CHEST",
        view=("PA", "AP"),
        age_years=(3.0, 120.0),
        orientation="LF",
        size=(256, 256),
        fit="resize",
        normalise="percentile",
    ),
    "chest-ct": InputSpec(
        modality=("CT",),
        body_part="CHEST",
        age_years=(3.0, 120.0),
        orientation="SPL",
        size=(128, 128, 128),
        fit="resize",
        unit="HU",
        window=(-1000.0, 400.0),
        normalise="window",
        max_slice_mm=6.0,
    ),
    "brain-mr": InputSpec(
        modality=("MR",),
        body_part="BRAIN",
        age_years=(3.0, 120.0),
        sequence=("T1", "T1c", "T2", "FLAIR", "DWI", "ADC"),
        orientation="SPL",
        size=(32, 128, 128),
        fit="crop",
        normalise="percentile",
        channels=6,
        max_slice_mm=8.0,
    ),
}
STEPS: dict[str, tuple[int, ...]] = {"chest-xray": (2, 2), "chest-ct": (2, 2, 2), "brain-mr": (1, 2, 2)}
BRANCHES: dict[str, PictureConfig | VolumeConfig] = {
    "chest-xray": PictureConfig(
        widths=(24, 32, 64, 128, 192),
        blocks=(0, 1, 2, 2, 1),
        finest=1,
        detail=(2, 2),
        contrast=25,
        norm="batch",
    ),
    "chest-ct": VolumeConfig(
        widths=(48, 48, 96, 128),
        blocks=(0, 1, 2, 1),
        kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
        strides=((4, 4, 4), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
        detail=(2, 2, 2),
        norm="batch",
    ),
    "brain-mr": VolumeConfig(
        channels=6,
        widths=(32, 64, 96, 128),
        blocks=(0, 1, 2, 1),
        kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
        strides=((1, 4, 4), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
        detail=(1, 2, 2),
        norm="batch",
    ),
}
CROPS: dict[str, tuple[int, int, int]] = {"chest-ct": (64, 64, 64), "brain-mr": (16, 64, 64)}
"""An eighth of a volume: mask decoders learn on these first, many times the steps in the same time."""
BALANCE: dict[str, float] = {"chest-xray": 0.0, "chest-ct": 0.1, "brain-mr": 0.1}
"""See `mask_loss`: lesions fill a hundredth of a film and a ten-thousandth of a volume."""
MASKING: dict[str, Masking] = {
    "chest-xray": Masking(),
    "chest-ct": Masking((16, 16, 16), 0.5, (4, 4, 4)),
    "brain-mr": Masking((4, 16, 16), 0.5, (2, 4, 4)),
}


def counts(recipe: Recipe, kind: str) -> tuple[int, int]:
    """(train, held-out) phantoms of a kind."""
    if kind == "chest-xray":
        return recipe.films, recipe.held_out_films
    return (recipe.scans if kind == "chest-ct" else recipe.heads), recipe.held_out_volumes


def spec_of(recipe: Recipe, kind: str) -> InputSpec:
    """What a branch takes."""
    spec = SPECS[kind]
    return replace(spec, size=tuple(n // recipe.shrink for n in spec.size or ()))


def phantoms(recipe: Recipe, out: Path, kind: CaseKind, split: Split, workers: int = 2) -> Arrays:
    """The arrays of a kind and split, drawn if they are not there yet."""
    train, held = counts(recipe, kind)
    return cohort(
        out / f"{kind}-{split}",
        kind,
        spec_of(recipe, kind),
        n=train if split == "train" else held,
        # The held-out split has its own stream as well as its own ranges.
        seed=recipe.seed + (split == "heldout"),
        split=split,
        steps=STEPS[kind],
        workers=workers,
    )


def config_for(kinds: tuple[str, ...], text: TextConfig | None) -> ModelConfig:
    """The configuration with these branches."""
    branches = {
        kind: BranchConfig(BRANCHES[kind], LABELS[cast(CaseKind, kind)], mask_names(kind)) for kind in kinds
    }
    return ModelConfig(branches=branches, text=text)


Report = Callable[[Progress], None]


def line(progress: Progress) -> str:
    """A report as JSON."""
    return json.dumps(
        {k: v if not isinstance(v, float) else round(v, 5) for k, v in asdict(progress).items()}
    )


def report_to(log: Path, report: Report) -> Report:
    """``report``, which also keeps one line a report in a file."""

    def write(progress: Progress) -> None:
        with log.open("a") as file:
            file.write(line(progress) + "\n")
        report(progress)

    return write


def picked(arrays: Arrays, step: int, size: int, seed: int) -> tuple[np.ndarray, torch.Generator]:
    """Rows of batch ``step``: a fresh permutation every epoch; and the batch's own generator."""
    n = len(arrays.rows)
    per_epoch = max(1, n // size)
    order = np.random.default_rng([seed, step // per_epoch]).permutation(n)
    start = (step % per_epoch) * size
    return np.sort(order[start : start + size]), torch.Generator().manual_seed(seed * 1_000_003 + step)


def steps(
    size: Callable[[int], int], seconds: float = math.inf
) -> Callable[[int], Iterator[tuple[Tensor, int]]]:
    """What `fit` asks for: from a step on, (as many zeros as the step has items, step), for so many seconds.

    The objective finds its rows from the step alone; the zeros only tell `fit` how many they are.
    """

    def batches(start: int) -> Iterator[tuple[Tensor, int]]:
        began = time.monotonic()
        for step in itertools.count(start):
            if time.monotonic() - began >= seconds:
                return
            yield torch.zeros(size(step)), step

    return batches


def tensors(arrays: Arrays, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """image (B, C, *S) float, masks (B, M, *s) in 0..1, labels (B, L) float."""
    image = torch.from_numpy(arrays.images[rows].astype(np.float32))
    masks = torch.from_numpy(arrays.masks[rows].astype(np.float32) / 255)
    return image, masks, torch.from_numpy(arrays.labels[rows].astype(np.float32))


def move(kind: str, image: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The kind's augmentation."""
    return (augment.film if kind == "chest-xray" else augment.scan)(image, masks, generator)


def noted(row: dict[str, Any], step: int) -> str | None:
    """The text beside a masked image: the report, the notes, or nothing, in turn."""
    return (row["report"], row["context"], None)[step % 3]


def prompt(kind: str, labels: np.ndarray, generator: torch.Generator) -> str:
    """What a study shows in the vocabulary's words, in any order; or that it is normal."""
    shown = [
        concept(name).meaning for name, on in zip(LABELS[cast(CaseKind, kind)], labels, strict=True) if on
    ]
    order = torch.randperm(len(shown), generator=generator).tolist()
    return ". ".join(shown[i] for i in order) or "Nothing abnormal"


def pretrain(recipe: Recipe, out: Path, report: Report) -> None:
    """One text encoder, every image encoder: matching reports attract, hidden blocks are foretold."""
    sets: dict[str, Arrays] = {kind: phantoms(recipe, out, kind, "train") for kind in recipe.kinds}
    texts = [t for a in sets.values() for row in a.rows for t in (row["report"], row["context"])]
    tokenizer = train_tokenizer(texts + [t for kind in recipe.kinds for t in every_text(LABELS[kind])])
    torch.manual_seed(recipe.seed)
    model = Model(config_for(recipe.kinds, TextConfig(vocabulary=tokenizer.size)), tokenizer)
    # With the usual .02 all texts begin nearly alike, and those that share words are not told apart for long.
    nn.init.normal_(model.text.embed.weight)
    heads = nn.ModuleDict(
        {
            kind: MaskedHead(
                model.config.width, BRANCHES[kind].widths[-1], BRANCHES[kind].channels, MASKING[kind]
            )
            for kind in recipe.kinds
        }
    )
    # Films come three times as often as volumes: they are cheaper by more than that.
    turns = [
        kind
        for kind in ("chest-xray", "chest-xray", "chest-ct", "chest-xray", "brain-mr")
        if kind in recipe.kinds
    ]

    def size_of(step: int) -> int:
        film = turns[step % len(turns)] == "chest-xray"
        return recipe.pretrain_batch if film else recipe.pretrain_volume_batch

    def objective(batch: tuple[Tensor, int]) -> dict[str, Tensor]:
        size, step = len(batch[0]), batch[1]
        kind = turns[step % len(turns)]
        rows, generator = picked(sets[kind], step, recipe.pretrain_texts, recipe.seed)
        image, masks, labels = tensors(sets[kind], rows[:size])
        image, _ = move(kind, image, masks, generator)
        said, length = sets[kind].labels[rows], model.config.text.length
        every = torch.from_numpy(said.astype(np.float32))
        reports = model.encode_text(*tokenizer([sets[kind].rows[i]["report"] for i in rows], length))
        prompts = model.encode_text(*tokenizer([prompt(kind, row, generator) for row in said], length))
        # Reports and prompts that say the same attract: a space of findings, before any image is understood.
        texts = contrastive_loss(reports, prompts, model.scale, same_findings(every))
        axis = model.axes([drawn(label, generator) for label in LABELS[kind]])
        told = label_loss(model.asked(reports, axis), every)
        features = model.encode(kind, image)
        shown = model.branches[kind].embed(features)
        pairs = attract(shown, reports, model.scale, same_findings(labels, every))
        pairs = pairs + label_loss(model.asked(shown, axis), labels[:size])
        head = heads[kind]
        few = image[: max(2, size // 3)]
        blocks = block_mask(len(few), image.shape[2:], MASKING[kind], generator)
        hidden = model.encode(kind, head.hide(few, blocks))
        # What is hidden is foretold from the rest and from the notes: here fusion learns to listen.
        notes = tokenizer([noted(sets[kind].rows[i], step) for i in rows[: len(few)]], length)
        fused = model.fusion(hidden.tokens, {"text": model.text(notes)})
        hidden = replace(hidden, tokens=fused)
        wanted = target(few, MASKING[kind])
        guess = head(hidden, wanted.shape[2:-1])
        return {
            "contrastive": pairs,
            "masked": masked_loss(guess, wanted, blocks),
            "text": texts,
            "statement": told,
        }

    def probes() -> dict[str, float]:
        return {f"retrieval of {kind}": retrieved(recipe, out, kind, model) for kind in recipe.kinds}

    both = nn.ModuleDict({"model": model, "heads": heads})
    plan = FitConfig(
        steps=recipe.most_steps,
        max_seconds=recipe.pretrain_seconds,
        learning_rate=recipe.pretrain_rate,
        probe_steps=recipe.probe_steps,
        seed=recipe.seed,
    )
    with spent(out / "pretrain-usage.json"):
        fit(
            both,
            objective,
            steps(size_of),
            plan,
            folder=out / "pretrain-run",
            report=report_to(out / "pretrain.jsonl", report),
            probes=probes,
        )
    save(model, out / "pretrained")


def retrieved(recipe: Recipe, out: Path, kind: CaseKind, model: Model) -> float:
    """Share of images whose nearest report says what they show, among studies that calibrate later."""
    held = phantoms(recipe, out, kind, "heldout")
    rows = np.arange(min(recipe.aside, len(held.rows) - recipe.measured))
    image, _, labels = tensors(held, rows)
    texts = model.tokenizer([held.rows[i]["report"] for i in rows], model.config.text.length)
    pieces = image.split(recipe.pretrain_volume_batch)
    shown = torch.cat([model.branches[kind].embed(model.encode(kind, piece)) for piece in pieces])
    return retrieval(shown, model.encode_text(*texts), same_findings(labels))


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


@torch.inference_mode()
def outputs(
    model: Model, kind: str, data: Arrays, batch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Tensor]:
    """Label logits (N, L), masks (N, M, *s) bool, pooled features (N, D), embeddings (N, E) of a cohort."""
    logits, outlines, pooled, embedded = [], [], [], []
    for start in range(0, len(data.rows), batch):
        rows = np.arange(start, min(start + batch, len(data.rows)))
        image, _, _ = tensors(data, rows)
        texts = model.tokenizer([data.rows[i]["context"] for i in rows], model.config.text.length)
        output = model(kind, image, texts, upsample=False)
        logits.append(output.label_logits.numpy())
        outlines.append(output.mask_logits.numpy() > 0)
        pooled.append(output.features.pooled.numpy())
        embedded.append(output.embedding)
    return np.concatenate(logits), np.concatenate(outlines), np.concatenate(pooled), torch.cat(embedded)


@dataclass(frozen=True)
class Evaluation:
    """What a branch brings to the card; ``curve`` is sensitivity by contrast-to-noise."""

    branch: BranchCard
    data: tuple[DataUse, ...] = ()
    results: tuple[Result, ...] = ()
    curve: tuple[Result, ...] = ()


def evaluate(recipe: Recipe, out: Path, kind: CaseKind) -> None:
    """Calibrate on the first held-out phantoms, measure on the last 400, write both beside the weights."""
    labels = LABELS[kind]
    train, held = (phantoms(recipe, out, kind, split) for split in ("train", "heldout"))
    # In a fresh clone there is no fit: then the weights of the package are measured again.
    model = load(out / kind if (out / kind / "config.json").exists() else PACKAGE)
    logits, outlines, pooled, embedded = outputs(model, kind, held, 16 if kind == "chest-xray" else 2)
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    n = len(held.rows) - recipe.measured
    domain = f"phantom {kind}"
    cards = [
        fit_label(
            label, (held.labels[:n, i], probability[:n, i]), (held.labels[n:, i], probability[n:, i]), domain
        )
        for i, label in enumerate(labels)
    ]
    test = held.last(recipe.measured)
    results = label_results(
        test.labels, logits[n:], labels, thumbnail_auroc(train, test, labels), kind
    ) + lesion_dice(test, outlines[n:], mask_names(kind), len(ANATOMY[kind]), kind)
    truth = torch.from_numpy(test.labels.astype(np.float32))
    results += prompt_results(model, embedded[n:], truth, labels, kind)
    calibrated = np.stack(
        [Platt(c.slope, c.offset).apply(probability[n:, i]) for i, c in enumerate(cards)], axis=1
    )
    present = [card.thresholds[0].present or 1.0 for card in cards]
    curve = sensitivity_by_cnr(test.rows, calibrated, labels, present, kind)
    (out / kind).mkdir(exist_ok=True)
    half = n // 2
    gate = fit_gate(pooled[:half], pooled[half:n])
    save_gates({kind: gate}, out / kind)
    evaluation = Evaluation(
        BranchCard(
            spec_of(recipe, kind), tuple(cards), mask_names(kind), gate_card(gate, 0.99, half, n - half)
        ),
        (
            DataUse(
                f"Sagittal phantoms, {kind}, train split",
                "Apache-2.0 (drawn by this package)",
                len(train.rows),
            ),
        ),
        tuple(results),
        tuple(curve),
    )
    (out / kind / "evaluation.json").write_text(dumps(evaluation))
    print(f"{kind}: {recipe.measured} held-out phantoms never used for fitting, choosing or calibrating")
    for r in results:
        beside = f"   {r.baseline_name} {r.baseline:.3f}" if r.baseline is not None else ""
        print(
            f"  {r.measure:6} {r.of:36} {r.interval.value:.3f} "
            f"({r.interval.low:.3f}-{r.interval.high:.3f}){beside}"
        )
    for step in curve:
        s = step.interval
        print(f"  sensitivity, {step.of}: {s.value:.2f} ({s.low:.2f}-{s.high:.2f}), n={s.n}")


def pack(recipe: Recipe, out: Path, where: Path) -> None:
    """Merge the evaluated branches into one model with one card, in the folder ``where``.

    Raises:
        BadInput: a kind was not evaluated, or none is better than thumbnails.
    """
    for kind in recipe.kinds:
        if not (out / kind / "evaluation.json").exists():
            raise BadInput(f"{kind} was not evaluated", fix="run evaluate, or leave it out by --set kinds=…")
    evaluated = {kind: read_json(Evaluation, out / kind / "evaluation.json") for kind in recipe.kinds}
    kinds = [kind for kind in recipe.kinds if worth_shipping(evaluated[kind], recipe.lead)]
    for kind in set(recipe.kinds) - set(kinds):
        print(f"{kind} is left out: it does not beat the thumbnail baseline")
    if not kinds:
        raise BadInput("no branch beats the thumbnail baseline", fix="fit longer")
    # What was not fitted anew stays as it is in the package: a branch of real MR knows nothing of the others.
    real = Path(recipe.hippocampus)
    real = real if (real / "config.json").exists() else PACKAGE
    folders = {kind: out / kind for kind in kinds} | {"hippocampus": real}
    loaded = {name: load(folder) for name, folder in folders.items()}
    parts = {name: part if part.config.embed_masks else widened(part) for name, part in loaded.items()}
    # Text encoder and fusion are those of pre-training: every branch was fitted to them as they are.
    first = parts[kinds[0]]
    weights = {k: v for k, v in first.state_dict().items() if not k.startswith("branches.")}
    for name, part in parts.items():
        weights |= {k: v for k, v in part.state_dict().items() if k.startswith(f"branches.{name}.")}
    branches = {name: part.config.branches[name] for name, part in parts.items()}
    model = Model(replace(first.config, branches=branches), first.tokenizer)
    model.load_state_dict(weights)
    gates: dict[str, Gate] = {}
    for kind in kinds:
        gates |= load_gates(out / kind)
    evaluations = {
        name: packed(name) if folder == PACKAGE else read_json(Evaluation, folder / "evaluation.json")
        for name, folder in folders.items()
    }
    card = Card(
        name="sagittal-small",
        version="0.2.0",
        family="sagittal",
        summary="Findings learnt from phantoms; the hippocampus from real MR.",
        licence="Apache-2.0 (code and recipe); hippocampus branch CC BY-SA 4.0",
        digest="",
        branches={name: e.branch for name, e in evaluations.items()},
        data=tuple(d for e in evaluations.values() for d in e.data),
        results=tuple(r for e in evaluations.values() for r in (*e.results, *e.curve)),
        limitations=LIMITATIONS,
        training=total(
            [
                read_json(Usage, out / f"{stage}-usage.json")
                for stage in ("pretrain", *kinds, *(f"{kind}-align" for kind in kinds))
            ]
        ),
    )
    card = save_model(where, model, card, gates)
    size = sum(p.stat().st_size for p in where.glob("*"))
    print(f"{where}: {card.parameters} parameters, {size / 1e6:.1f} MB, digest {card.digest[:12]}")


def packed(name: str) -> Evaluation:
    """What the card in the package says of a branch."""
    card = read_json(Card, PACKAGE / "card.json")
    domains = (f"phantom {name}", f"real {name}")
    results = tuple(r for r in card.results if r.domain in domains)
    data = tuple(d for d in card.data if name in d.name.casefold())
    return Evaluation(card.branches[name], data, results)


def compare(recipe: Recipe, out: Path) -> None:
    """Every line of the package's card beside the same line of the new evaluations."""
    for kind in recipe.kinds:
        path = out / kind / "evaluation.json"
        if not path.exists():
            continue
        new = read_json(Evaluation, path)
        reached = {(r.measure, r.of): r for r in (*new.results, *new.curve)}
        print(f"{kind}: in the package, new")
        for r in packed(kind).results:
            other = reached.get((r.measure, r.of))
            change = "" if other is None else f"{other.interval.value - r.interval.value:+.3f}"
            beside = other.interval if other else "-"
            print(f"  {r.measure:12.12} {r.of:36.36} {r.interval}   {beside}  {change}")


def worth_shipping(evaluation: Evaluation, lead: float = 0.0) -> bool:
    """A branch whose mean AUROC does not beat a thumbnail's has nothing to say to a reader."""
    mean = next(r for r in evaluation.results if r.measure == "auroc" and r.of == "mean")
    return mean.baseline is not None and mean.interval.low > mean.baseline + lead


LIMITATIONS = (
    "Research use only. Not a medical device.",
    "Findings were learnt from phantoms alone; on patients they are not calibrated and are not assessed.",
    "Lungs on real films: measured on frontal films only (recipes/lungs_real.py).",
    "Children under 3 years and lateral films are outside the specification.",
    "Nodules on CT are scored (AUROC .75) and outlined (Dice .27) poorly; cerebral atrophy on MR is told "
    "worse than by a thumbnail.",
    "Prompts are answered in the space that images and reports share: they rank, nothing calibrates them.",
    "The energy is that of pre-training and of the branches learnt from phantoms, without the drawing of the "
    "phantoms and without the hippocampus branch (ten minutes on two cores).",
)
PACKAGE = Path(__file__).resolve().parents[1] / "src/sagittal/zoo/weights/sagittal-small"
STAGES = ("data", "pretrain", "fit", "align", "evaluate", "compare", "pack")


def run(recipe: Recipe, folder: Path, *, report: Report) -> Path:
    """All stages in order; what is finished is not done again. Only the stage `pack` changes the package."""
    with contextlib.redirect_stdout(sys.stderr):  # what goes to the terminal is the command's to say
        for kind in recipe.kinds:
            for split in ("train", "heldout"):
                phantoms(recipe, folder, kind, split)
        if not (folder / "pretrained/config.json").exists():
            pretrain(recipe, folder, report)
        for kind in recipe.kinds:
            if (folder / kind / "evaluation.json").exists():
                continue
            while not fit_branch(recipe, folder, kind, report):
                pass
            align_branch(recipe, folder, kind)
            evaluate(recipe, folder, kind)
        compare(recipe, folder)
        pack(recipe, folder, folder / "model")
    return folder / "model"


def main() -> None:
    """Run one stage; a stage that was cut short goes on where it stood."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--kind", choices=tuple(SPECS))
    parser.add_argument("--split", choices=("train", "heldout"))
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs/small"))
    args = parser.parse_args()
    try:
        stage(changed(Recipe(), args.set), args)
    except BadInput as error:
        raise SystemExit(str(error)) from None


def stage(recipe: Recipe, args: argparse.Namespace) -> None:
    """The one that was asked for."""
    if args.threads:
        torch.set_num_threads(args.threads)
    out, kinds = args.out, (args.kind,) if args.kind else recipe.kinds
    out.mkdir(parents=True, exist_ok=True)

    def report(progress: Progress) -> None:
        print(line(progress), flush=True)

    if args.stage == "pretrain":
        pretrain(recipe, out, report)
    elif args.stage == "compare":
        compare(recipe, out)
    elif args.stage == "pack":
        pack(recipe, out, PACKAGE)
    for kind in kinds:
        if args.stage == "data":
            for split in (args.split,) if args.split else ("train", "heldout"):
                phantoms(recipe, out, kind, split, workers=args.threads or 2)
        elif args.stage == "fit":
            fit_branch(recipe, out, kind, report)
        elif args.stage == "align":
            align_branch(recipe, out, kind)
        elif args.stage == "evaluate":
            evaluate(recipe, out, kind)


if __name__ == "__main__":
    main()
