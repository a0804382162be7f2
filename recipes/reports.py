"""What has changed since the earlier study: a model learns it from reports, streamed from any data set.

    sagittal pretrain recipes/reports.py --set data=FOLDER [--set base=sagittal-small] [--out runs/reports]

``data`` is a data folder with reports.csv, or a published set (docs/how-to/datasets.md); without it, phantom
films with a follow-up are drawn. The base model's encoder and masks stay as they are: studies are opened one
at a time, encoded once and let go; those that cannot be used are listed in unused-*.json, and a patient in
two splits stops the run. What learns: the timeline, the embedding and the text encoder. Our parser reads each
report: which sentences say the same, and which tell of a change; these are wrong for the same images in the
other order (BioViL-T, Bannur 2023). Measured on unseen patients: which way a change went, beside what the
areas of the base model's masks say. ``--set priors=0``: the same without looking back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sentences import OBSERVATIONS, Batch, Told, chosen
from torch import Tensor, nn

from sagittal.datasets.dataset import Dataset
from sagittal.datasets.open import open_data
from sagittal.datasets.priors import with_priors
from sagittal.datasets.splits import split_patients
from sagittal.decoders.label import evidence_size, mask_evidence
from sagittal.errors import BadInput
from sagittal.layers.features import Features
from sagittal.layers.weights import write_atomic
from sagittal.measure.statistics import Interval, bootstrap
from sagittal.model import Earlier, Model
from sagittal.phantom.cohort import write_cohort
from sagittal.phantom.truth import Split
from sagittal.pretrain.contrastive import contrastive_loss
from sagittal.pretrain.progression import progression_loss, reversed_dates
from sagittal.pretrain.studies import Studies, wordings
from sagittal.report.codec import dumps
from sagittal.training.distributed import World, gather
from sagittal.training.loop import FitConfig, Progress, fit
from sagittal.training.shards import INDEX, Shards, write_shards
from sagittal.training.stream import Batched, Shuffled, loader, stacked
from sagittal.zoo.card import BranchCard, Card, DataUse
from sagittal.zoo.load import load
from sagittal.zoo.ours import SagittalModel
from sagittal.zoo.save import save


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run.

    Attributes:
        data: the set; empty: ``patients`` phantoms with two films each, and ``unseen`` more to measure on.
        base: a model of our family with a text encoder; branch: of it.
        priors: earlier images that are looked at; 0: none, for comparison.
        sentences: of a report, at most.
    """

    data: str = ""
    patients: int = 2_000
    unseen: int = 400
    base: str = "sagittal-small"
    branch: str = "chest-xray"
    priors: int = 1
    sentences: int = 12
    steps: int = 1_500
    probe_steps: int = 250
    batch: int = 64
    learning_rate: float = 1e-3
    save_seconds: float = 60.0
    bf16: bool | None = False
    seed: int = 0


# --- what the base sees, once ---


@torch.no_grad()
def encoded(model: Model, branch: str, told: Told, log: list[str]) -> Iterator[Batch]:
    """Each study that can be used, its images replaced by what the encoder and the masks see of them.

    tokens (N, D), evidence (K), and of the earlier ones before.tokens (P, N, D), before.evidence (P, K).
    """
    part = model.branch(branch)
    for index in range(len(told)):
        try:
            sample = told[index]
        except BadInput as reason:
            log.append(str(reason))
            continue
        days = sample["earlier.days"]
        there = ~days.isnan()
        images = torch.cat([sample.pop("image")[None], sample.pop("earlier.images")[there]])
        features = model.encode(branch, images.to(model.scale.device))
        drawn = part.drawn(features)
        seen = {"tokens": features.tokens}
        seen["evidence"] = features.tokens[:, 0, :0] if drawn is None else mask_evidence(drawn).flatten(1)
        for name, values in seen.items():
            values = values.cpu().half()
            sample[name] = values[0]
            sample[f"before.{name}"] = values.new_zeros(len(days), *values.shape[1:])
            sample[f"before.{name}"][there] = values[1:]
        yield sample


def embedded(model: Model, branch: str, batch: Batch, *, back: bool = False) -> Tensor:
    """(B, E) of what was `encoded`, the earlier images in view; ``back``: of the same, oldest last.

    Without priors: of the first image alone.
    """
    part, days = model.branch(branch), batch["earlier.days"]
    pairs = []
    for name in ("tokens", "evidence"):
        now, before = batch[name].float(), Earlier(batch[f"before.{name}"].float(), days)
        pairs.append(reversed_dates(now, before) if back else (now, before))
    (tokens, (old, ages)), (evidence, (shown, _)) = pairs
    features = Features((), tokens, tokens.mean(1))
    if model.config.priors:
        earlier = [part.dated(t, e) for t, e in zip(old.unbind(1), shown.unbind(1), strict=True)]
        features = model.since(features, earlier, ages)
    return part.embed(features, evidence=evidence)


# --- the run ---


def objective(model: Model, branch: str, batch: Batch) -> dict[str, Tensor]:
    """Which sentence belongs to which study, among those of all processes; and which way it changed."""
    text, meaning, turn = chosen(batch)
    there, words = embedded(model, branch, batch), model.encode_text(*text)
    there, words = gather(there), gather(words)
    stated, meaning = gather(batch["meaning"]), gather(meaning)
    right = (stated[:, :, None] == meaning).any(1) & (meaning != 0)
    terms = {"pairs": contrastive_loss(there, words, model.scale, right.float())}
    if model.config.priors:
        back = gather(embedded(model, branch, batch, back=True))
        changed = gather(((turn != 0) & ~batch["earlier.days"].isnan().all(1)).long())
        terms["direction"] = progression_loss(there, back, words, model.scale, changed > 0)
    return terms


def begun(recipe: Recipe, base: SagittalModel) -> Model:
    """The base's branch and text encoder, in a model that looks back; no labels: none is calibrated."""
    old = base.model
    branch = replace(
        old.config.branches[recipe.branch], labels=(), grades=(), events=(), prompts=False, draws=()
    )
    config = replace(old.config, branches={recipe.branch: branch}, priors=recipe.priors > 0)
    model = Model(config, old.tokenizer)
    mine = model.state_dict()
    known = {name: tensor for name, tensor in old.state_dict().items() if name in mine}
    model.load_state_dict(mine | known)
    return model.eval()


def learning(model: Model, branch: str) -> nn.ModuleDict:
    """The parts that are fitted; the rest stays as the base has it."""
    part = model.branch(branch)
    assert model.text is not None and model.project_text is not None
    parts = {"text": model.text, "said": model.project_text, "pool": part.pool, "project": part.project}
    if model.timeline is not None:
        parts["timeline"] = model.timeline
    if part.remember is not None:
        parts["remember"] = part.remember
    return nn.ModuleDict(parts)


def opened(recipe: Recipe, folder: Path, world: World) -> tuple[Dataset, Dataset]:
    """(to learn from, unseen): studies with reports and priors; by the set's own splits, or by patient."""
    if recipe.data:
        data = open_data(recipe.data)
        data = data if any(row.split for row in data.rows) else split_patients(data, seed=recipe.seed)
        data = with_priors(data, limit=max(1, recipe.priors))
        return data, data.only("test" if data.has("test") else "val")
    parts: tuple[tuple[str, int, Split], ...] = (
        ("train", recipe.patients, "train"), ("unseen", recipe.unseen, "heldout"),
    )  # fmt: skip
    for name, count, split in parts:
        if world.rank == 0 and not (folder / name).exists():
            write_cohort("chest-xray", count, folder / name, seed=recipe.seed, split=split, followup=True)
    world.barrier()
    return open_data(folder / "train"), open_data(folder / "unseen")


def run(recipe: Recipe, folder: Path, *, report: Callable[[Progress], None], world: World) -> Path:
    """Open, encode, learn, measure, save."""
    base = load(recipe.base)
    if not isinstance(base, SagittalModel) or base.model.tokenizer is None or base.model.config.text is None:
        raise BadInput(f"{recipe.base} reads no text", "a model of our family with a text encoder")
    card, tokenizer, length = base.card, base.model.tokenizer, base.model.config.text.length
    spec = card.branch(recipe.branch).input
    data, unseen = opened(recipe, folder, world)
    parts = {
        "train": Studies.of(data, spec, priors=max(1, recipe.priors)),
        "unseen": Studies(unseen, spec, priors=1),
    }
    if data.has("val"):
        parts["val"] = Studies(data.only("val"), spec, priors=1)
    wordings(parts["train"].data)  # says so where there are no reports
    torch.manual_seed(recipe.seed)
    model = begun(recipe, base)
    for name, studies in parts.items():
        if world.rank == 0 and not (folder / "seen" / name / INDEX).exists():
            told, log = Told(studies, tokenizer, length, recipe.sentences), []
            write_shards(encoded(model, recipe.branch, told, log), folder / "seen" / name)
            write_atomic(folder / f"unused-{name}.json", dumps(log).encode())
    world.barrier()
    model.to(world.device)
    shards = {name: Shards(folder / "seen" / name) for name in parts}
    plan = FitConfig(
        steps=recipe.steps, learning_rate=recipe.learning_rate, weight_decay=0.05, average=None,
        save_seconds=recipe.save_seconds, probe_steps=recipe.probe_steps, bf16=recipe.bf16, seed=recipe.seed,
    )  # fmt: skip

    def here(batch: Batch) -> Batch:
        return {name: each.to(world.device) for name, each in batch.items()}

    def probes() -> dict[str, float]:
        asked = shards["val" if "val" in shards else "train"]
        batch = here(stacked([asked[i] for i in range(min(200, len(asked)))]))
        return {
            "direction": float(
                torch.cat([fits for _, fits in directions(model, recipe.branch, batch)]).mean()
            )
        }

    fit(
        learning(model, recipe.branch),
        lambda batch: objective(model, recipe.branch, here(batch)),
        loader(Batched(Shuffled(shards["train"], seed=recipe.seed), recipe.batch, world.rank, world.size)),
        plan,
        folder=folder / "fit",
        report=report,
        probes=probes,
        world=world,
    )
    if world.rank:
        return folder / "model"
    model.cpu().eval()
    found = measured(model, recipe.branch, shards["unseen"])
    write_atomic(folder / "results.json", dumps(found).encode())
    return saved(recipe, card, model, folder / "model", data)


@torch.no_grad()
def directions(model: Model, branch: str, batch: Batch) -> list[tuple[Tensor, Tensor]]:
    """For each study its sentences of change, and 1 where one fits the true order better than the other."""
    gain = embedded(model, branch, batch) - embedded(model, branch, batch, back=True)
    found = []
    for place, (turns, days) in enumerate(zip(batch["turn"], batch["earlier.days"], strict=True)):
        which = turns.nonzero()[:, 0] if not days.isnan().all() else turns.new_zeros(0)
        right = gain.new_zeros(len(which))
        if len(which):
            words = model.encode_text(batch["ids"][place, which], batch["mask"][place, which])
            right = (words @ gain[place] > 0).float()
        found.append((which.cpu(), right.cpu()))
    return found


def by_area(model: Model, branch: str, batch: Batch, names: list[list[str]]) -> list[Tensor]:
    """The baseline: 1 where the area of the finding's mask has changed as the sentence says; .5 without one.

    names: the finding of each sentence of change, a list a study; the oldest image counts.
    """
    part = model.config.branches[branch]
    size = evidence_size(model.branch(branch).axes)
    now = batch["evidence"].float()
    old, _ = reversed_dates(now, Earlier(batch["before.evidence"].float(), batch["earlier.days"]))
    grown = (now - old).unflatten(1, (len(part.masks), size))[..., 2]
    found = []
    for place, mine in enumerate(names):
        turns = batch["turn"][place][batch["turn"][place] != 0][: len(mine)].sign()
        sides = (
            torch.stack(
                [
                    grown[place, part.masks.index(n)].sign() if n in part.masks else torch.tensor(0.0)
                    for n in mine
                ]
            )
            if mine
            else torch.zeros(0)
        )
        found.append((sides * turns + 1) / 2)
    return found


def measured(model: Model, branch: str, shards: Shards) -> dict[str, object]:
    """Share of the sentences of change that fit the true order better, of all and of each finding.

    ``model``: ours (without priors it has both images, each alone, to compare); ``area``: the baseline.
    Intervals are bootstraps over studies.
    """
    about: list[str] = []
    studies: list[int] = []
    right: dict[str, list[float]] = {"model": [], "area": []}
    for start in range(0, len(shards), 64):
        rows = range(start, min(start + 64, len(shards)))
        batch = stacked([shards[i] for i in rows])
        ours = directions(model, branch, batch)
        names = [
            [OBSERVATIONS[int(batch["about"][p, s])] for s in which] for p, (which, _) in enumerate(ours)
        ]
        areas = by_area(model, branch, batch, names)
        for place, row in enumerate(rows):
            about += names[place]
            studies += [row] * len(names[place])
            right["model"] += ours[place][1].tolist()
            right["area"] += areas[place].tolist()
    kinds, groups = np.array(about), np.array(studies)
    result: dict[str, object] = {"studies": len(set(studies)), "sentences": len(about)}
    for name in ("all", *sorted(set(about))):
        mine = np.ones(len(kinds), bool) if name == "all" else kinds == name
        shares = {way: share(np.array(values)[mine], groups[mine]) for way, values in right.items()}
        result[name] = {"sentences": int(mine.sum()), **shares}
    return result


def share(right: NDArray[np.float64], studies: NDArray[np.int64]) -> Interval:
    """Mean, with its interval over studies."""
    return bootstrap(lambda rows: float(right[rows].mean()), len(right), groups=studies)


def saved(recipe: Recipe, base: Card, model: Model, folder: Path, data: Dataset) -> Path:
    """Weights and card."""
    name = data.name if recipe.data else "Sagittal phantoms, chest-xray, two dates"
    licence = (data.licence or "not stated") if recipe.data else "Apache-2.0 (drawn by this package)"
    branch = BranchCard(base.branch(recipe.branch).input, masks=model.config.branches[recipe.branch].masks)
    card = Card(
        name="reports",
        version="1",
        family="sagittal",
        summary=f"{base.name} {base.version}, which has learnt from reports what changed since a prior.",
        licence=licence,
        digest="",
        branches={recipe.branch: branch},
        data=(*base.data, DataUse(name, licence, len(data))),
        read_by_default=False,
    )
    save(folder, model, card)
    return folder
