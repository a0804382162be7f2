"""What `sagittal-small` learns from: its settings, the kinds of images, their networks and their batches.

`small.py` runs it.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import augment
import numpy as np
import torch
from arrays import Arrays, cohort, mask_names
from torch import Tensor

from sagittal.branch import BranchConfig
from sagittal.encoders.picture import PictureConfig
from sagittal.encoders.text import TextConfig
from sagittal.encoders.volume import VolumeConfig
from sagittal.model import ModelConfig
from sagittal.phantom.truth import LABELS, CaseKind, Split
from sagittal.pretrain.masked import Masking
from sagittal.study.spec import InputSpec
from sagittal.training.loop import Progress


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
    thickest = spec.max_slice_mm and spec.max_slice_mm * recipe.shrink
    return replace(spec, size=tuple(n // recipe.shrink for n in spec.size or ()), max_slice_mm=thickest)


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
