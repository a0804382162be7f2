"""A small pre-training run from end to end: phantom films, shards, hidden blocks foretold, a card.

    sagittal pretrain recipes/toy.py [--set steps=200] [--out runs/toy]
    torchrun --nproc-per-node 2 --no-python sagittal pretrain recipes/toy.py --set shard=true

About a minute on two cores. Copy it to begin a recipe of your own; run it again to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from sagittal.branch import BranchConfig
from sagittal.encoders.picture import PictureConfig
from sagittal.model import Model, ModelConfig
from sagittal.phantom.cohort import draw
from sagittal.pretrain.masked import MaskedHead, Masking, block_mask, masked_loss, target
from sagittal.study.prepare import prepare
from sagittal.study.spec import InputSpec
from sagittal.training.distributed import World, full_weights
from sagittal.training.loop import FitConfig, Progress, fit
from sagittal.training.shards import INDEX, Shards, write_shards
from sagittal.training.stream import Batched, Shuffled, loader, stacked
from sagittal.zoo.card import BranchCard, Card, DataUse
from sagittal.zoo.ours import inputs
from sagittal.zoo.save import save


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run.

    Attributes:
        films: to learn from; aside: others, on which it is seen while training whether that was learnt.
        size: edge in pixels, a multiple of 16.
    """

    films: int = 128
    aside: int = 16
    size: int = 64
    steps: int = 120
    probe_steps: int = 40
    batch: int = 16
    learning_rate: float = 2e-3
    width: int = 64
    accumulate: int = 1
    workers: int = 0
    save_seconds: float = 30.0
    bf16: bool | None = None
    compile: bool = False
    shard: bool = False
    seed: int = 0


MASKING = Masking((16, 16), 0.5, (4, 4))


def films(recipe: Recipe, spec: InputSpec, which: range) -> Iterator[dict[str, Tensor]]:
    """Phantom chest films, one after the other, as `prepare` makes them."""
    for index in which:
        study = draw("chest-xray", seed=recipe.seed, index=index, size=4 * recipe.size).study
        image = prepare(inputs(study, spec)[0], spec, study).array
        yield {"image": torch.from_numpy(image).half()}


def run(recipe: Recipe, folder: Path, *, report: Callable[[Progress], None], world: World) -> Path:
    """Draw, write shards, learn, save."""
    spec = InputSpec(
        modality=("DX", "CR"), body_part="CHEST", orientation="LF", size=(recipe.size, recipe.size),
        fit="resize", normalise="percentile",
    )  # fmt: skip
    parts = {"shards": range(recipe.films), "aside": range(recipe.films, recipe.films + recipe.aside)}
    for name, which in parts.items():
        if world.rank == 0 and not (folder / name / INDEX).exists():
            write_shards(films(recipe, spec, which), folder / name, each=64)
    world.barrier()
    torch.manual_seed(recipe.seed)
    encoder = PictureConfig(widths=(16, 32, recipe.width), blocks=(1, 1, 1), strides=(4, 2, 2), heads=4)
    config = ModelConfig({"chest-xray": BranchConfig(encoder)}, width=recipe.width, embedding=32, heads=4)
    model, head = Model(config), MaskedHead(recipe.width, recipe.width, 1, MASKING)
    both = nn.ModuleDict({"model": model, "head": head}).to(world.device)

    def objective(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        image = batch["image"].float().to(world.device)
        # the blocks belong to the films, so that any number of processes hides the same ones
        seeds = (image.double().abs().sum(dim=(1, 2, 3)) * 1e3).long().tolist()
        hide = [
            block_mask(1, image.shape[2:], MASKING, torch.Generator().manual_seed(seed)) for seed in seeds
        ]
        blocks = torch.cat(hide).to(world.device)
        wanted = target(image, MASKING)
        guess = head(model.encode("chest-xray", head.hide(image, blocks)), wanted.shape[2:-1])
        return {"masked": masked_loss(guess, wanted, blocks)}

    unseen = stacked(list(Shards(folder / "aside")))

    def probes() -> dict[str, float]:
        """The same films and blocks each time: what hidden blocks of films it never saw are foretold to."""
        return {"unseen": float(objective(unseen)["masked"])}

    samples = Shuffled(Shards(folder / "shards"), seed=recipe.seed)
    plan = FitConfig(
        steps=recipe.steps, learning_rate=recipe.learning_rate, accumulate=recipe.accumulate, average=0.98,
        save_seconds=recipe.save_seconds, probe_steps=recipe.probe_steps, bf16=recipe.bf16,
        compile=recipe.compile, shard=recipe.shard, seed=recipe.seed,
    )  # fmt: skip
    batches = loader(Batched(samples, recipe.batch, world.rank, world.size), recipe.workers)
    fit(
        both, objective, batches, plan, folder=folder / "checkpoints", report=report, probes=probes,
        world=world,
    )  # fmt: skip
    weights = full_weights(model)
    if world.rank == 0:
        whole = Model(config)
        whole.load_state_dict(weights)
        card = Card(
            name="toy",
            version="1",
            family="sagittal",
            summary="A picture encoder that has foretold hidden blocks of phantom films; it scores nothing.",
            licence="Apache-2.0",
            digest="",
            branches={"chest-xray": BranchCard(spec)},
            data=(
                DataUse("Sagittal phantoms, chest-xray", "Apache-2.0 (drawn by this package)", recipe.films),
            ),
            read_by_default=False,
        )
        save(folder / "model", whole, card)
    return folder / "model"
