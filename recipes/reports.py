"""What has changed since the earlier study: a model learns it from reports, streamed from any data set.

    sagittal pretrain recipes/reports.py --set data=FOLDER [--set base=sagittal-small] [--out runs/reports]

``data`` is a data folder with reports.csv, or a published set (docs/how-to/datasets.md); without it, phantom
films with a follow-up are drawn. The base model's encoder and masks stay as they are: studies are opened one
at a time, encoded once and let go (a part of them in each process, resumable); those that cannot be used are
listed at the end, and a patient in two splits stops the run. What learns: the timeline, the embedding and the
text encoder. Our parser reads each report: which sentences say the same, and which tell of a change; these
are wrong for the same images in the other order (BioViL-T, Bannur 2023). Measured on unseen patients: which
way a change went, beside what the areas of the base model's masks say. ``--set priors=0``: without looking
back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from seen import embedded, seen_once
from sentences import OBSERVATIONS, Batch, Told, chosen
from torch import Tensor, nn

from sagittal.datasets.dataset import SPLITS, Dataset
from sagittal.datasets.open import open_data
from sagittal.datasets.priors import with_priors
from sagittal.datasets.splits import check_leaks, split_patients
from sagittal.decoders.label import evidence_size
from sagittal.errors import BadInput
from sagittal.layers.weights import write_atomic
from sagittal.measure.statistics import Interval, bootstrap
from sagittal.model import Earlier, Model
from sagittal.phantom.cohort import write_cohort
from sagittal.phantom.truth import Split
from sagittal.pretrain.contrastive import contrastive_loss
from sagittal.pretrain.progression import progression_loss, reversed_dates
from sagittal.pretrain.recipe import UNREADABLE
from sagittal.pretrain.studies import Studies, wordings
from sagittal.report.codec import dumps
from sagittal.training.distributed import World, gather
from sagittal.training.loop import FitConfig, Progress, fit
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
        chunk: studies that are encoded together, and again where that was interrupted.
    """

    data: str = ""
    patients: int = 2_000
    unseen: int = 400
    base: str = "sagittal-small"
    branch: str = "chest-xray"
    priors: int = 1
    sentences: int = 12
    chunk: int = 500
    steps: int = 1_500
    probe_steps: int = 250
    batch: int = 64
    learning_rate: float = 1e-3
    save_seconds: float = 60.0
    bf16: bool | None = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.priors < 0 or min(self.sentences, self.chunk, self.batch, self.patients, self.unseen) < 1:
            raise ValueError("priors must be 0 or more; sentences, chunk, batch, patients, unseen 1 or more")


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


def parted(data: Dataset, seed: int) -> Dataset:
    """The set's own splits; where it has no test or no val, patients are held out for it."""
    stated = {row.split for row in data.rows}
    if not stated & {"val", "test"}:
        return split_patients(data, seed=seed)
    if "test" not in stated:
        rows = tuple(replace(row, split="test") if row.split == "val" else row for row in data.rows)
        data = replace(data, rows=rows)
    if data.has("val"):
        return data
    held = split_patients(data.only("train"), (0.85, 0.15, 0.0), seed=seed)
    split = {row.study: row.split for row in held.rows}
    return replace(data, rows=tuple(replace(r, split=split.get(r.study, r.split)) for r in data.rows))


def opened(recipe: Recipe, folder: Path, world: World) -> dict[str, Dataset]:
    """train, val and test: studies with reports and priors."""
    if recipe.data:
        data = parted(open_data(recipe.data), recipe.seed)
        check_leaks(data)
        data = with_priors(data, limit=max(1, recipe.priors))
        return {name: data.only(name) for name in SPLITS}
    parts: tuple[tuple[str, int, Split], ...] = (
        ("train", recipe.patients, "train"), ("unseen", recipe.unseen, "heldout"),
    )  # fmt: skip
    for name, count, split in parts:
        if world.rank == 0 and not (folder / name).exists():
            write_cohort("chest-xray", count, folder / name, seed=recipe.seed, split=split, followup=True)
    world.barrier()
    drawn = parted(replace(open_data(folder / "train"), name="phantoms"), recipe.seed)
    return {"train": drawn.only("train"), "val": drawn.only("val"), "test": open_data(folder / "unseen")}


def run(recipe: Recipe, folder: Path, *, report: Callable[[Progress], None], world: World) -> Path:
    """Open, encode, learn, measure, save."""
    base = load(recipe.base)
    if not isinstance(base, SagittalModel) or base.model.tokenizer is None or base.model.config.text is None:
        raise BadInput(f"{recipe.base} reads no text", "a model of our family with a text encoder")
    card, tokenizer, length = base.card, base.model.tokenizer, base.model.config.text.length
    spec = card.branch(recipe.branch).input
    data = opened(recipe, folder, world)
    wordings(data["train"])  # says so where there are no reports
    torch.manual_seed(recipe.seed)
    model = begun(recipe, base).to(world.device)
    log = folder / UNREADABLE
    if world.rank == 0:
        log.unlink(missing_ok=True)
    seen: dict[str, Sequence[Batch]] = {}
    for name, part in data.items():
        studies = Studies(part, spec, priors=max(1, recipe.priors) if name == "train" else 1)
        told = Told(studies, tokenizer, length, recipe.sentences)
        seen[name] = seen_once(
            model, recipe.branch, told, folder / "seen" / name, chunk=recipe.chunk, log=log, world=world
        )
    check_told(recipe, seen["train"])
    plan = FitConfig(
        steps=recipe.steps, learning_rate=recipe.learning_rate, weight_decay=0.05, average=None,
        save_seconds=recipe.save_seconds, probe_steps=recipe.probe_steps, bf16=recipe.bf16, seed=recipe.seed,
    )  # fmt: skip

    def here(batch: Batch) -> Batch:
        return {name: each.to(world.device) for name, each in batch.items()}

    def probes() -> dict[str, float]:
        batch = here(stacked([seen["val"][i] for i in range(min(200, len(seen["val"])))]))
        fits = [fits for _, fits in directions(model, recipe.branch, batch)]
        return {"direction": float(torch.cat(fits).mean())}

    fit(
        learning(model, recipe.branch),
        lambda batch: objective(model, recipe.branch, here(batch)),
        loader(Batched(Shuffled(seen["train"], seed=recipe.seed), recipe.batch, world.rank, world.size)),
        plan,
        folder=folder / "fit",
        report=report,
        probes=probes,
        world=world,
    )
    if world.rank:
        return folder / "model"
    model.cpu().eval()
    place = saved(recipe, base, model, folder / "model", data["train"])
    write_atomic(folder / "results.json", dumps(measured(model, recipe.branch, seen["test"])).encode())
    return place


def check_told(recipe: Recipe, seen: Sequence[Batch]) -> None:
    """Is there anything to learn? Looked for until one such study is met.

    Raises:
        BadInput: no report states a finding; or none tells of a change since a prior that is there.
    """
    stated = changed = False
    for sample in (seen[i] for i in range(len(seen))):
        stated = stated or bool((sample["meaning"] != 0).any())
        dated = not bool(sample["earlier.days"].isnan().all())
        changed = changed or (dated and bool((sample["turn"] != 0).any()))
        if stated and (changed or not recipe.priors):
            return
    if not stated:
        raise BadInput("no report states a finding that our parser knows", "reports in a language it reads")
    raise BadInput("no report tells of a change since a dated prior", "studies with priors", "--set priors=0")


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


def measured(model: Model, branch: str, seen: Sequence[Batch]) -> dict[str, object]:
    """Share of the sentences of change that fit the true order better, of all and of each finding.

    ``model``: ours (without priors it has both images, each alone, to compare); ``area``: the baseline.
    Intervals are bootstraps over studies; nothing but counts where no sentence tells of a change.
    """
    about: list[str] = []
    studies: list[int] = []
    right: dict[str, list[float]] = {"model": [], "area": []}
    for start in range(0, len(seen), 64):
        rows = range(start, min(start + 64, len(seen)))
        batch = stacked([seen[i] for i in rows])
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
    for name in ("all", *sorted(set(about))) if about else ():
        mine = np.ones(len(kinds), bool) if name == "all" else kinds == name
        shares = {way: share(np.array(values)[mine], groups[mine]) for way, values in right.items()}
        result[name] = {"sentences": int(mine.sum()), **shares}
    return result


def share(right: NDArray[np.float64], studies: NDArray[np.int64]) -> Interval:
    """Mean, with its interval over studies."""
    return bootstrap(lambda rows: float(right[rows].mean()), len(right), groups=studies)


def saved(recipe: Recipe, base: SagittalModel, model: Model, folder: Path, data: Dataset) -> Path:
    """Weights and card."""
    name = data.name if recipe.data else "Sagittal phantoms, chest-xray, two dates"
    licence = (data.licence or "not stated") if recipe.data else "Apache-2.0 (drawn by this package)"
    known = base.card.branch(recipe.branch)
    masks, gates = model.config.branches[recipe.branch].masks, {}
    if recipe.branch in base.gates:  # it judges the encoder's features, which are the base's own
        gates[recipe.branch] = base.gates[recipe.branch]
    card = Card(
        name="reports",
        version="1",
        family="sagittal",
        summary=f"{base.card.name} {base.card.version}, taught by reports what has changed since a prior.",
        licence=licence,
        digest="",
        branches={recipe.branch: BranchCard(known.input, masks=masks, gate=known.gate if gates else None)},
        data=(*base.card.data, DataUse(name, licence, len(data))),
        read_by_default=False,
    )
    save(folder, model, card, gates)
    return folder
