"""Image, prior and report: contrastive pre-training streamed from any data set that has reports.

    sagittal pretrain recipes/reports.py [--set data=FOLDER] [--set priors=0] [--out runs/reports]
    torchrun --nproc-per-node 2 --no-python sagittal pretrain recipes/reports.py --set data=FOLDER

``data`` is a data folder with reports.csv, or a published set (docs/how-to/datasets.md); without it, phantom
films with a follow-up are drawn. Studies are opened one at a time; those that cannot be used are listed in
results.json, and a patient in two splits stops the run. Our parser reads each report: which sentences say the
same, and which tell of a change since the earlier study. These are wrong for the same images in the other
order (BioViL-T, Bannur 2023). Measured on unseen patients: which way a change went.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sagittal.datasets.dataset import Dataset
from sagittal.datasets.open import open_data
from sagittal.datasets.priors import with_priors
from sagittal.datasets.splits import split_patients
from sagittal.encoders.picture import PictureConfig
from sagittal.encoders.text import TextConfig
from sagittal.encoders.tokenizer import Tokenizer, read_tokenizer, train_tokenizer
from sagittal.layers.features import Tokens
from sagittal.layers.weights import write_atomic
from sagittal.measure.statistics import bootstrap
from sagittal.model import BranchConfig, Model, ModelConfig
from sagittal.phantom.cohort import write_cohort
from sagittal.phantom.truth import Split
from sagittal.pretrain.progression import progression_loss, reversed_dates
from sagittal.pretrain.studies import Studies, earlier_of, wordings
from sagittal.report.codec import dumps
from sagittal.report.finding import ChangeKind, Finding
from sagittal.report.parse import parse_document
from sagittal.study.spec import InputSpec
from sagittal.training.distributed import World, full_weights, gather
from sagittal.training.loop import FitConfig, Progress, fit
from sagittal.training.stream import Batched, Shuffled, Tolerant, loader, stacked, unreadable
from sagittal.zoo.card import BranchCard, Card, DataUse
from sagittal.zoo.save import save

BRANCH = "chest-xray"
TURNS = {ChangeKind.NEW: 1, ChangeKind.LARGER: 1, ChangeKind.SMALLER: -1, ChangeKind.RESOLVED: -1}
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run.

    Attributes:
        data: the set; empty: ``patients`` phantoms with two films each, and ``unseen`` more to measure on.
        priors: earlier images that are looked at; 0: the current one alone.
        size: edge in pixels, a multiple of 16.
        sentences, length: of a report, and tokens of a sentence, at most.
        probed: validation studies with a prior that are asked for the direction of change in training.
        workers: processes that open studies ahead.
    """

    data: str = ""
    patients: int = 3_000
    unseen: int = 500
    priors: int = 1
    size: int = 64
    sentences: int = 12
    length: int = 48
    steps: int = 1_200
    probe_steps: int = 200
    probed: int = 64
    batch: int = 32
    learning_rate: float = 2e-3
    width: int = 96
    workers: int = 0
    save_seconds: float = 60.0
    bf16: bool | None = None
    seed: int = 0


def spec_of(recipe: Recipe) -> InputSpec:
    """What the encoder takes."""
    return InputSpec(
        modality=("DX", "CR"), body_part="CHEST", orientation="LF", size=(recipe.size, recipe.size),
        fit="resize", normalise="percentile",
    )  # fmt: skip


# --- samples ---


@dataclass(frozen=True)
class Said:
    """A sentence of a report.

    Attributes:
        about: the finding, of several the first; meaning: what it says of all, as a number above 0.
        turn: 1 where something is new or larger, -1 where it is smaller or gone, else 0.
    """

    text: str
    about: str
    meaning: int
    turn: int


@lru_cache(maxsize=100_000)
def said(report: str) -> list[Said]:
    """The sentences that state a finding, as our parser reads them."""
    found: dict[tuple[int, int], list[Finding]] = {}
    for finding in parse_document(report).findings:
        assert finding.evidence is not None and finding.evidence.span is not None
        found.setdefault(finding.evidence.span, []).append(finding)
    return [
        Said(report[start:end], each[0].observation.key, _meaning(each), _turn(each[0]))
        for (start, end), each in found.items()
    ]


def _turn(finding: Finding) -> int:
    return TURNS.get(finding.change.kind, 0) if finding.change else 0


def _meaning(findings: list[Finding]) -> int:
    whats = sorted(
        (f.observation.key, f.presence.value, str(f.laterality), str(f.change.kind) if f.change else "")
        for f in findings
    )
    return 1 + int.from_bytes(sha256(repr(whats).encode()).digest()[:6], "big")


@dataclass(frozen=True)
class Told(Sequence[Batch]):
    """Studies with the sentences of their reports: ids, mask (J, T), meaning and turn (J); 0: no more."""

    studies: Studies
    tokenizer: Tokenizer
    recipe: Recipe

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, index: int) -> Batch:  # type: ignore[override]
        sample = self.studies[index]
        many, length = self.recipe.sentences, self.recipe.length
        found = said(self.studies.data.rows[index].report)[:many]
        tokens = self.tokenizer([each.text for each in found], length)
        missing = (0, length - tokens.ids.shape[1], 0, many - len(found))
        sample["ids"] = functional.pad(tokens.ids, missing)
        sample["mask"] = functional.pad(tokens.mask, missing)
        for name, values in (("meaning", [e.meaning for e in found]), ("turn", [e.turn for e in found])):
            sample[name] = torch.tensor(values + [0] * (many - len(found)))
        return sample


def chosen(batch: Batch) -> tuple[Tokens, Tensor, Tensor]:
    """One sentence of each report, by chance: its tokens, meaning (B,) and turn (B,)."""
    there = (batch["meaning"] != 0).float()
    there[:, 0] += (there.sum(1) == 0).float()  # a report without any finding: its meaning is 0, of no image
    which = torch.multinomial(there, 1)[:, 0]
    rows = torch.arange(len(which))
    return (
        Tokens(batch["ids"][rows, which], batch["mask"][rows, which]),
        batch["meaning"][rows, which],
        batch["turn"][rows, which],
    )


# --- the model ---


def both_ways(model: Model, batch: Batch) -> tuple[Tensor, Tensor]:
    """(B, E) each, of the sequences and of the same reversed; of the first image alone without priors."""
    image, earlier = batch["image"], earlier_of(batch)
    oldest, later = reversed_dates(image, earlier)
    if not model.config.priors:
        return model.embed(BRANCH, image), model.embed(BRANCH, oldest)
    return model.embed(BRANCH, image, earlier=earlier), model.embed(BRANCH, oldest, earlier=later)


def objective(model: Model, batch: Batch) -> dict[str, Tensor]:
    """Which sentence belongs to which study, among those of all processes."""
    text, meaning, turn = chosen(batch)
    if model.config.priors:
        there, back = both_ways(model, batch)
        changed = (turn != 0) & ~batch["earlier.days"].isnan().all(1)
    else:
        there = back = model.embed(BRANCH, batch["image"])
        changed = torch.zeros_like(turn, dtype=torch.bool)
    words = model.encode_text(*text)
    there, back, words = map(gather, (there, back, words))
    stated, meaning, changed = map(gather, (batch["meaning"], meaning, changed.long()))
    right = (stated[:, :, None] == meaning).any(1) & (meaning != 0)
    return {"pairs": progression_loss(there, back, words, model.scale, changed > 0, right.float())}


def built(recipe: Recipe, tokenizer: Tokenizer) -> Model:
    """An untrained model."""
    encoder = PictureConfig(
        widths=(16, 32, 64, recipe.width), blocks=(0, 1, 1, 1), strides=(2, 2, 2, 2), heads=4, contrast=13,
        norm="batch",
    )  # fmt: skip
    text = TextConfig(tokenizer.size, recipe.length, layers=2, heads=4)
    config = ModelConfig(
        {BRANCH: BranchConfig(encoder)}, text, recipe.width, embedding=96, heads=4, priors=recipe.priors > 0
    )
    model = Model(config, tokenizer)
    # with the usual 0.02 sentences that share most of their words begin alike, and stay so for long
    torch.nn.init.normal_(model.text.embed.weight)  # type: ignore[union-attr]
    return model


# --- the run ---


def opened(recipe: Recipe, folder: Path, world: World) -> tuple[Dataset, Dataset]:
    """(to learn from, unseen): studies with reports and priors; by the set's own splits, or by patient."""
    if recipe.data:
        data = open_data(recipe.data)
        data = data if any(row.split for row in data.rows) else split_patients(data, seed=recipe.seed)
        unseen = data.only("test" if data.has("test") else "val")
        return with_priors(data, limit=recipe.priors), with_priors(unseen)
    parts: tuple[tuple[str, int, Split], ...] = (
        ("train", recipe.patients, "train"), ("unseen", recipe.unseen, "heldout"),
    )  # fmt: skip
    for name, count, split in parts:
        if world.rank == 0 and not (folder / name).exists():
            write_cohort(
                BRANCH, count, folder / name, seed=recipe.seed, split=split, followup=True, size=recipe.size
            )
    world.barrier()
    return open_data(folder / "train"), open_data(folder / "unseen")


def run(recipe: Recipe, folder: Path, *, report: Callable[[Progress], None], world: World) -> Path:
    """Open, learn, measure, save."""
    data, unseen = opened(recipe, folder, world)
    studies = Studies.of(data, spec_of(recipe), priors=recipe.priors)
    if world.rank == 0 and not (folder / "tokenizer.json").exists():
        made = train_tokenizer(wordings(studies.data), 1024)
        write_atomic(folder / "tokenizer.json", made.dumps().encode())
    world.barrier()
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    torch.manual_seed(recipe.seed)
    model = built(recipe, tokenizer).to(world.device)
    log = folder / "unreadable.jsonl"
    samples = Tolerant(Shuffled(Told(studies, tokenizer, recipe), seed=recipe.seed), log)
    plan = FitConfig(
        steps=recipe.steps, learning_rate=recipe.learning_rate, weight_decay=0.05, average=None,
        save_seconds=recipe.save_seconds, probe_steps=recipe.probe_steps, bf16=recipe.bf16, seed=recipe.seed,
    )  # fmt: skip
    aside = Studies(data.only("val"), spec_of(recipe), priors=1) if data.has("val") else None
    asked = probes(model, Told(aside, tokenizer, recipe), recipe.probed) if aside else None
    batches = loader(Batched(samples, recipe.batch, world.rank, world.size), recipe.workers)
    fit(
        model,
        lambda batch: objective(model, {name: each.to(world.device) for name, each in batch.items()}),
        batches,
        plan,
        folder=folder / "fit",
        report=report,
        probes=asked,
        world=world,
    )
    whole = full_weights(model)
    if world.rank:
        return folder / "model"
    final = built(recipe, tokenizer)
    final.load_state_dict(whole)
    found = measured(final.eval(), Told(Studies(unseen, spec_of(recipe), priors=1), tokenizer, recipe))
    found["not used"] = list(unreadable(log))
    write_atomic(folder / "results.json", (dumps(found) + "\n").encode())
    return saved(recipe, final, folder / "model", data)


def probes(model: Model, told: Told, many: int) -> Callable[[], dict[str, float]]:
    """What `fit` asks while it trains: of validation studies, is the direction of a change known?"""
    rows = [i for i, row in enumerate(told.studies.data.rows) if row.prior][:many]
    batch = stacked([told[i] for i in rows]) if rows else {}

    def ask() -> dict[str, float]:
        if not batch:
            return {}
        here = {name: each.to(model.scale.device) for name, each in batch.items()}
        return {"direction": float(torch.cat([fits for _, fits in directions(model, here)]).float().mean())}

    return ask


@torch.no_grad()
def directions(model: Model, batch: Batch) -> list[tuple[Tensor, Tensor]]:
    """For each study, its sentences of change and whether each fits the true order better than the other."""
    there, back = both_ways(model, batch)
    found = []
    for place, (turns, days) in enumerate(zip(batch["turn"], batch["earlier.days"], strict=True)):
        which = turns.nonzero()[:, 0] if not days.isnan().all() else turns.new_zeros(0)
        right = torch.zeros(0, dtype=torch.bool)
        if len(which):
            words = model.encode_text(batch["ids"][place, which], batch["mask"][place, which])
            right = (words @ (there[place] - back[place]) > 0).cpu()
        found.append((which.cpu(), right))
    return found


def measured(model: Model, told: Told) -> dict[str, object]:
    """On studies with a prior: share of the sentences of change that fit the true order better.

    A model without priors has the current image and the oldest one, each alone, to compare. All sentences,
    and those about each finding; intervals are bootstraps over studies.
    """
    about: list[str] = []
    studies: list[int] = []
    right: list[float] = []
    numbers = [i for i, row in enumerate(told.studies.data.rows) if row.prior]
    for start in range(0, len(numbers), 64):
        these = numbers[start : start + 64]
        for number, (which, fits) in zip(
            these, directions(model, stacked([told[i] for i in these])), strict=True
        ):
            sentences = said(told.studies.data.rows[number].report)
            about += [sentences[i].about for i in which.tolist()]
            studies += [number] * len(which)
            right += fits.float().tolist()
    kinds, groups, values = np.array(about), np.array(studies), np.array(right)
    result: dict[str, object] = {"studies": len(set(studies)), "sentences": len(right)}
    for name in ("all", *sorted(set(about))):
        mine = np.ones(len(kinds), bool) if name == "all" else kinds == name
        share, whose = values[mine], groups[mine]
        result[name] = bootstrap(lambda rows, v=share: float(v[rows].mean()), len(share), groups=whose)
    return result


def saved(recipe: Recipe, model: Model, folder: Path, data: Dataset) -> Path:
    """Weights and card."""
    name = data.name if recipe.data else f"Sagittal phantoms, {BRANCH}, two dates"
    licence = (data.licence or "not stated") if recipe.data else "Apache-2.0 (drawn by this package)"
    card = Card(
        name="reports",
        version="1",
        family="sagittal",
        summary="An image encoder that learnt which sentences of reports belong to which study and prior.",
        licence=licence,
        digest="",
        branches={BRANCH: BranchCard(spec_of(recipe))},
        data=(DataUse(name, licence, len(data)),),
        read_by_default=False,
    )
    save(folder, model, card)
    return folder
