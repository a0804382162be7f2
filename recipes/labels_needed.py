"""Pre-training pays: how many labels an encoder needs with it, and without.

    python recipes/labels_needed.py data | pretrain | curves | table   [--set name=value]   resumable

data      phantom films of 64 pixels: some with their reports and no labels, some with labels, some to test on
pretrain  one encoder each for contrastive (sentences of the reports), masked and both, on 1k, 3k, 10k films
curves    AUROC on unseen films at 10, 100, 1,000 and all labels, 5 seeds: a linear probe on each frozen
          encoder, the same network trained from nothing, a ResNet-18 trained from nothing
table     labels that each needs for the same AUROC, their ratio and its interval; writes JSON

Real films: PneumoniaMNIST (CC BY 4.0), official split, through the same encoders and baselines.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
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
from sagittal.pretrain.contrastive import attract
from sagittal.pretrain.masked import MaskedHead, Masking, block_mask, masked_loss, target
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
        finding: whose labels are counted.
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
    steps: int = 2_500
    batch: int = 64
    sentences: int = 48
    learning_rate: float = 1.5e-3
    scratch_batch: int = 32
    scratch_steps: tuple[int, ...] = (150, 300, 900, 2_000)
    pneumonia: str = "../shared/data/pneumoniamnist/pneumoniamnist_full_reassembled.npz"


ENCODER = PictureConfig(widths=(24, 48, 96, 128), blocks=(1, 1, 2, 1), strides=(2, 2, 2, 1), mixers=1, heads=4)
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


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--part", default="0/1", help="K/N: every Nth job from the Kth, to share cores")
    given = parser.parse_args()
    known = {field.name: field for field in fields(Recipe)}
    changed = {}
    for each in given.set:
        name, _, value = each.partition("=")
        if name not in known:
            sys.exit(f"{name!r} is no setting; one of {', '.join(known)}")
        changed[name] = type(getattr(Recipe(), name))(json.loads(value) if value[:1] in "[0123456789" else value)
    torch.set_num_threads(1)
    first, of = map(int, given.part.split("/"))
    STAGES[given.stage](replace(Recipe(), **changed), first, of)


def data(recipe: Recipe, first: int, of: int) -> None:
    """Draw all films."""
    for part in ("test", "labelled", "films"):
        print(part, len(phantoms(recipe, part).images))


STAGES: dict[str, Callable[[Recipe, int, int], None]] = {"data": data}

if __name__ == "__main__":
    main()
