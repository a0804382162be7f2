"""What films, and films beside their reports, teach without a label: four objectives, each with its probe.

    sagittal pretrain recipes/selfsupervised.py [--set objective=distillation] [--out runs/distilled]

views            two views of a film belong together; ``pieces`` makes large batches fit a small memory
distillation     a student foretells what its slowly following teacher sees of another view
masked_text      hidden words of the report, with the film in view and without
image_from_text  a film is drawn from its report; the image encoder is left as it was

``data`` is a data folder or a published set (docs/how-to/datasets.md), for the last two with reports; without
it, phantom films are drawn. Studies that cannot be used are listed in unused-*.json. Every ``probe_steps``
the model is asked about films kept aside from training, the split "val", never a test's; results.json has
the answers before the run and after it. A few minutes on one core; run it again to go on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from augment import film
from continued import KIND, film_spec, shards
from torch import Tensor, nn

from sagittal.branch import BranchConfig
from sagittal.datasets.dataset import Dataset
from sagittal.datasets.open import open_data
from sagittal.datasets.splits import split_patients
from sagittal.encoders.picture import PictureConfig
from sagittal.encoders.text import TextConfig
from sagittal.encoders.tokenizer import train_tokenizer
from sagittal.errors import BadInput
from sagittal.layers.features import Tokens
from sagittal.layers.weights import write_atomic
from sagittal.model import Model, ModelConfig
from sagittal.phantom.cohort import write_cohort
from sagittal.pretrain.contrastive import in_pieces, view_loss
from sagittal.pretrain.distillation import Distillation, DistillationConfig, health
from sagittal.pretrain.masked import Masking
from sagittal.pretrain.masked_text import MaskedTextHead, hide_words, masked_text_loss, named
from sagittal.pretrain.probe import probed
from sagittal.pretrain.studies import Studies, Texts, texts_of, wordings
from sagittal.report.codec import dumps
from sagittal.training.distributed import World, gather
from sagittal.training.flow import flow_loss
from sagittal.training.loop import FitConfig, Progress, fit
from sagittal.training.shards import Shards
from sagittal.training.stream import Batched, Shuffled, loader, stacked
from sagittal.zoo.card import BranchCard, Card, DataUse
from sagittal.zoo.save import save


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run.

    Attributes:
        data: a set; empty: ``films`` phantoms, of which every tenth is kept aside.
        size: edge in pixels, a multiple of 8.
        pieces: of ``views``, how many views are encoded at a time (`in_pieces`); 0: all at once. The other
            objectives have no use for it: their films do not see each other.
        learning_rate: None: 5e-4 for ``distillation``, whose teacher collapses at more; else 2e-3.
        hidden: share of a report's words that is hidden (``masked_text``).
        momentum: of the teacher (``distillation``).
    """

    objective: Literal["views", "distillation", "masked_text", "image_from_text"] = "views"
    data: str = ""
    films: int = 800
    size: int = 64
    width: int = 64
    steps: int = 600
    probe_steps: int = 100
    batch: int = 32
    pieces: int = 0
    learning_rate: float | None = None
    hidden: float = 0.4
    momentum: float = 0.99
    save_seconds: float = 30.0
    bf16: bool | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pieces and self.objective != "views":
            raise ValueError("pieces are for objective=views")


LENGTH, WORDS, HEADS = 128, 512, 4
MOST = 1000  # films of a large set that the probes look at
READS = ("masked_text", "image_from_text")

LEARNT = {
    "views": "A picture encoder that knows which two views are of one film.",
    "distillation": "A picture encoder that foretells its own teacher, of other views and of hidden places.",
    "masked_text": "A picture and a text encoder that foretell hidden words of reports beside their films.",
    "image_from_text": "A text encoder and what draws films from reports; the image encoder learnt nothing.",
}

Batch = dict[str, Tensor]
Numbers = dict[str, float]
Guess = tuple[Tensor, Tokens, Tensor]  # logits, the whole text, which words were hidden


@dataclass(frozen=True)
class Learner:
    """What is fitted, the loss terms of a batch, and what is asked of films kept aside."""

    module: nn.Module
    terms: Callable[[Batch], dict[str, Tensor]]
    asked: Callable[[Batch], Numbers]


def two(image: Tensor) -> tuple[Tensor, Tensor]:
    """Two views of films (B, 1, H, W): moved, exposed, blurred, never mirrored."""
    here, chance = image.cpu(), torch.default_generator
    first, second = (film(here, here[:, :, :1, :1], chance)[0].to(image.device) for _ in range(2))  # no masks
    return first, second


def views(recipe: Recipe, model: Model) -> Learner:
    """Each view's right one is the other of its film, among those of all processes."""

    def embed(image: Tensor) -> Tensor:
        return model.embed(KIND, image)

    def terms(batch: Batch) -> dict[str, Tensor]:
        both = torch.cat(two(batch["image"]))
        found = in_pieces(embed, [both], recipe.pieces) if recipe.pieces else embed(both)
        first, second = (gather(each) for each in found.chunk(2))
        return {"views": view_loss(first, second, model.scale)}

    return Learner(model, terms, lambda batch: {})


def distillation(recipe: Recipe, model: Model) -> Learner:
    """The model's encoder is the student; of several processes the first one's answers are the centre."""
    # with the usual 0.04 these films, few and alike, soon all get every answer
    config = DistillationConfig(128, teacher=0.01, momentum=recipe.momentum, masking=Masking((8, 8), 0.4))

    taught = Distillation(model.branch(KIND).encoder, recipe.width, 1, config)

    def terms(batch: Batch) -> dict[str, Tensor]:
        taught.follow()
        return taught(*two(batch["image"]))

    def asked(batch: Batch) -> Numbers:
        answers, _ = taught.answers(taught.teacher(batch["image"]))
        return dict(health(answers)._asdict())

    return Learner(taught, terms, asked)


def masked_text(recipe: Recipe, model: Model) -> Learner:
    """The same hidden words foretold twice: with the film in view, and from the other words alone."""
    head, text = MaskedTextHead(recipe.width, HEADS), model.text
    assert text is not None

    def guesses(batch: Batch, chance: torch.Generator | None = None) -> dict[str, Guess]:
        report = texts_of(batch, "report")
        hidden, where = hide_words(report, recipe.hidden, chance)
        said, words = text(hidden), text.embed.weight
        ways = {"seen": model.encode(KIND, batch["image"]), "alone": None}
        return {name: (head(said, image, words), report, where) for name, image in ways.items()}

    def terms(batch: Batch) -> dict[str, Tensor]:
        return {name: masked_text_loss(*guess) for name, guess in guesses(batch).items()}

    def asked(batch: Batch) -> Numbers:
        found = guesses(batch, torch.Generator().manual_seed(recipe.seed))
        return {f"named_{name}": named(*guess) for name, guess in found.items()}

    return Learner(nn.ModuleDict({"model": model, "head": head}), terms, asked)


def image_from_text(recipe: Recipe, model: Model) -> Learner:
    """Noise becomes the film of a report; asked: its error with that report, and with another film's."""
    draw, text = model.branch(KIND).draw, model.text
    assert draw is not None and text is not None

    def terms(batch: Batch) -> dict[str, Tensor]:
        return {"flow": flow_loss(draw, 2 * batch["image"] - 1, text(texts_of(batch, "report")))}

    def error(batch: Batch, turn: int) -> float:
        report = Tokens(*(each.roll(turn, 0) for each in texts_of(batch, "report")))
        said, image = text(report), 2 * batch["image"] - 1
        same = [torch.Generator().manual_seed(recipe.seed + n) for n in range(4)]
        errors = [float(flow_loss(draw, image, said, drop=0.0, generator=chance)) for chance in same]
        return sum(errors) / len(errors)

    def asked(batch: Batch) -> Numbers:
        return {"error": error(batch, 0), "error_of_another_report": error(batch, 1)}

    return Learner(model, terms, asked)


LEARNERS = {each.__name__: each for each in (views, distillation, masked_text, image_from_text)}


def opened(recipe: Recipe, folder: Path, world: World) -> Dataset:
    """Films of the splits "train" and "val"; those of a test stay where they are."""
    if not recipe.data and world.rank == 0 and not (folder / "films").exists():
        write_cohort(KIND, recipe.films, folder / "films", seed=recipe.seed, size=max(64, 4 * recipe.size))
    world.barrier()
    data = open_data(recipe.data or folder / "films")
    if not data.has("val"):
        learnt = data.only("train") if data.has("train") else data
        data = split_patients(learnt, (0.85, 0.15, 0), seed=recipe.seed)
    return data


def usable(studies: Studies, log: Path) -> Iterator[Batch]:
    """Each study that can be used; the others go into ``log``."""
    unused: list[str] = []
    for index in range(len(studies)):
        try:
            yield studies[index]
        except BadInput as reason:
            unused.append(str(reason))
    write_atomic(log, dumps(unused).encode())


def begun(recipe: Recipe, data: Dataset) -> Model:
    """The model that learns; one that reads has a tokenizer of the reports it learns from."""
    tokenizer = train_tokenizer(wordings(data.only("train")), WORDS) if recipe.objective in READS else None
    torch.manual_seed(recipe.seed)
    encoder = PictureConfig(widths=(16, 32, recipe.width), blocks=(1, 1, 1), strides=(2, 2, 2), heads=HEADS)
    draws = (16, 32, recipe.width) if recipe.objective == "image_from_text" else ()
    text = TextConfig(tokenizer.size, LENGTH, layers=2, heads=HEADS) if tokenizer else None
    config = ModelConfig({KIND: BranchConfig(encoder, draws=draws)}, text, recipe.width, 32, HEADS)
    return Model(config, tokenizer)


def run(recipe: Recipe, folder: Path, *, report: Callable[[Progress], None], world: World) -> Path:
    """Open, write shards, ask, learn, ask again, save."""
    data, spec = opened(recipe, folder, world), film_spec(recipe.size)
    model = begun(recipe, data)
    texts = Texts(model.tokenizer, LENGTH) if model.tokenizer else None
    for split in ("train", "val"):
        if world.rank == 0:
            studies, log = Studies.of(data, spec, split, texts=texts), folder / f"unused-{split}.json"
            shards(folder / split, lambda: usable(studies, log))  # noqa: B023
    world.barrier()
    learner = LEARNERS[recipe.objective](recipe, model)
    nn.ModuleList([model, learner.module]).to(world.device)

    here = lambda batch: {name: each.to(world.device) for name, each in batch.items()}  # noqa: E731
    train, val = (Shards(folder / split) for split in ("train", "val"))
    known, aside = (here(stacked([each[i] for i in range(min(MOST, len(each)))])) for each in (train, val))

    def probes() -> Numbers:
        """What is known of the films kept aside; labels are for this alone."""
        found = learner.asked(aside)
        if recipe.objective != "image_from_text" and data.labels:
            sets = [(each["image"], each["labels"].cpu()) for each in (known, aside)]
            found["auroc"] = probed(lambda image: model.encode(KIND, image).pooled.cpu(), *sets)
        return {name: value for name, value in found.items() if math.isfinite(value)}

    @torch.no_grad()
    def now() -> Numbers:
        learner.module.eval()
        return probes()

    start, usual = now(), 5e-4 if recipe.objective == "distillation" else 2e-3
    plan = FitConfig(
        steps=recipe.steps, learning_rate=recipe.learning_rate or usual, average=0.98, bf16=recipe.bf16,
        save_seconds=recipe.save_seconds, probe_steps=recipe.probe_steps, seed=recipe.seed,
    )  # fmt: skip
    batches = loader(Batched(Shuffled(train, seed=recipe.seed), recipe.batch, world.rank, world.size))
    fit(
        learner.module, lambda batch: learner.terms(here(batch)), batches, plan,
        folder=folder / "checkpoints", report=report, probes=probes, world=world,
    )  # fmt: skip
    if world.rank == 0:
        found = {"start": start, "end": now()}
        write_atomic(folder / "results.json", dumps(found).encode())
        save(folder / "model", model.cpu(), card(recipe, data, len(train), len(val), found))
    return folder / "model"


def card(recipe: Recipe, data: Dataset, films: int, aside: int, found: dict[str, Numbers]) -> Card:
    """What was learnt, and what the probes said of it before and after."""
    changes = [f"{name} {found['start'][name]:.3f} to {value:.3f}" for name, value in found["end"].items()]
    name = data.name if recipe.data else f"Sagittal phantoms, {KIND}"
    licence = (data.licence or "not stated") if recipe.data else "Apache-2.0 (drawn by this package)"
    return Card(
        name=f"selfsupervised-{recipe.objective}",
        version="1",
        family="sagittal",
        summary=f"{LEARNT[recipe.objective]} Of {aside} films kept aside: {', '.join(changes)}.",
        licence=licence if recipe.data else "Apache-2.0",
        digest="",
        branches={KIND: BranchCard(film_spec(recipe.size))},
        data=(DataUse(name, licence, films),),
        read_by_default=False,
    )
