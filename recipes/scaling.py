"""A scaling law from runs of a minute, and whether it foretells a larger one that it has not seen.

    sagittal pretrain recipes/scaling.py [--out runs/scaling]       then runs/scaling/scaling.json
    python recipes/scaling.py [FOLDER]                              the same, with the table

Encoders of four sizes foretell hidden blocks of 32-pixel pieces of phantom films, each piece seen once; the
loss is of films of the held-out split. The law is fitted to the small runs, then the largest model is trained
on more pieces than any of them saw. Every finished run is kept: run it again to go on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sagittal.branch import BranchConfig
from sagittal.encoders.picture import PictureConfig
from sagittal.layers.weights import write_atomic
from sagittal.meter import metered
from sagittal.model import Model, ModelConfig
from sagittal.phantom.cohort import draw
from sagittal.pretrain.masked import MaskedHead, Masking, block_mask, masked_loss, target
from sagittal.pretrain.scaling import Trial, fit_law
from sagittal.report.codec import dumps
from sagittal.study.prepare import prepare
from sagittal.study.spec import InputSpec
from sagittal.training.loop import FitConfig, Progress, fit
from sagittal.zoo.ours import inputs


@dataclass(frozen=True)
class Recipe:
    """The sweep: every width on every amount, then ``largest_width`` on ``most`` pieces."""

    films: int = 96
    unseen_films: int = 24
    widths: tuple[int, ...] = (8, 16, 24, 32)
    amounts: tuple[int, ...] = (1000, 2000, 4000, 8000)
    largest_width: int = 48
    most: int = 16000
    batch: int = 16
    learning_rate: float = 4e-3
    seed: int = 0


PIECE = 32
MASKING = Masking((8, 8), 0.5, (2, 2))
SPEC = InputSpec(
    modality=("DX", "CR"), body_part="CHEST", orientation="LF", size=(128, 128), fit="resize",
    normalise="percentile",
)  # fmt: skip


def films(n: int, split: str, seed: int) -> Tensor:
    """(n, 128, 128) phantom films."""
    images = []
    for index in range(n):
        study = draw("chest-xray", seed=seed, index=index, split=split, size=128).study  # type: ignore[arg-type]
        images.append(torch.from_numpy(prepare(inputs(study, SPEC)[0], SPEC, study).array)[0])
    return torch.stack(images)


def pieces(images: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """(n, 1, 32, 32) random pieces of films, half of them mirrored."""
    which = torch.randint(len(images), (n,), generator=generator)
    corner = torch.randint(images.shape[1] - PIECE + 1, (2, n), generator=generator)
    inside = torch.arange(PIECE)
    rows, columns = corner[0][:, None, None] + inside[None, :, None], corner[1][:, None, None] + inside
    found = images[which[:, None, None], rows, columns]
    mirror = torch.rand(n, 1, 1, generator=generator) < 0.5
    return torch.where(mirror, found.flip(2), found)[:, None]


def network(width: int, seed: int) -> nn.ModuleDict:
    """An encoder of three stages and its head."""
    torch.manual_seed(seed)
    encoder = PictureConfig(
        widths=(width, width, width), blocks=(1, 1, 1), strides=(2, 2, 2), heads=4, mixers=1
    )
    config = ModelConfig({"film": BranchConfig(encoder)}, width=width, embedding=8, heads=4)
    return nn.ModuleDict({"model": Model(config), "head": MaskedHead(width, width, 1, MASKING)})


def loss_of(net: nn.ModuleDict, image: Tensor, generator: torch.Generator) -> Tensor:
    """Masked loss of pieces (B, 1, 32, 32)."""
    head, model = net["head"], net["model"]
    blocks = block_mask(len(image), image.shape[2:], MASKING, generator)
    wanted = target(image, MASKING)
    return masked_loss(
        head(model.encode("film", head.hide(image, blocks)), wanted.shape[2:-1]), wanted, blocks
    )


def trial(
    recipe: Recipe, width: int, amount: int, seen: Tensor, unseen: Tensor, report: Callable[[Progress], None]
) -> dict[str, float]:
    """One run; its size, data, loss on unseen films, seconds and energy."""
    net = network(width, recipe.seed)

    def batches(start: int) -> Iterator[tuple[Tensor, torch.Generator]]:
        for step in range(start, amount // recipe.batch):
            own = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
            yield pieces(seen, recipe.batch, own), own

    plan = FitConfig(
        steps=amount // recipe.batch, learning_rate=recipe.learning_rate * (8 / width) ** 0.5,
        average=None, bf16=False, report_steps=100, seed=recipe.seed,
    )  # fmt: skip
    with metered() as meter:
        fit(net, lambda batch: {"masked": loss_of(net, *batch)}, batches, plan, report=report)
    net.eval()
    with torch.inference_mode():
        own = torch.Generator().manual_seed(12345)
        losses = [float(loss_of(net, piece, own)) for piece in unseen.split(256)]
    return {
        "width": width, "parameters": sum(p.numel() for p in parameters(net)), "samples": amount,
        "loss": sum(losses) / len(losses), "seconds": meter.usage.seconds, "energy_wh": meter.usage.energy_wh,
    }  # fmt: skip


def operations(recipe: Recipe) -> float:
    """Operations a parameter and piece, forward and backward, counted; the mean of the sizes."""
    found = []
    for width in recipe.widths:
        net = network(width, recipe.seed)
        with FlopCounterMode(display=False) as counter:
            loss_of(net, torch.randn(4, 1, PIECE, PIECE), torch.Generator()).backward()
        found.append(counter.get_total_flops() / 4 / sum(p.numel() for p in parameters(net)))
    return sum(found) / len(found)


def parameters(net: nn.ModuleDict) -> list[nn.Parameter]:
    """Those that the objective uses."""
    return [p for n, p in net.named_parameters() if n.startswith(("model.branches.film.encoder", "head."))]


def run(recipe: Recipe, folder: Path, *, report: Callable[[Progress], None]) -> None:
    """Small runs, the law, the larger run beside what was foretold."""
    kept = folder / "runs.jsonl"
    lines = kept.read_text().splitlines() if kept.exists() else []
    found = {(run["width"], run["samples"]): run for run in map(json.loads, lines)}
    small = [(width, amount) for amount in recipe.amounts for width in recipe.widths]
    wanted = [*small, (recipe.largest_width, recipe.most)]
    if not set(wanted) <= set(found):
        seen = films(recipe.films, "train", recipe.seed)
        unseen = films(recipe.unseen_films, "heldout", recipe.seed)
        test = pieces(unseen, 2048, torch.Generator().manual_seed(777))
        for width, amount in wanted:
            if (width, amount) not in found:
                found[width, amount] = trial(recipe, width, amount, seen, test, report)
                with kept.open("a") as file:
                    file.write(json.dumps(found[width, amount]) + "\n")
    done = [found[one] for one in wanted]
    trials = [Trial(r["parameters"], r["samples"], r["loss"]) for r in done]
    fitted, larger = fit_law(trials[:-1]), trials[-1]
    foretold = fitted.foretell(larger.parameters, larger.samples)
    seconds = sum(r["seconds"] for r in done)
    flops = operations(recipe)
    spent = sum(flops * t.parameters * t.samples for t in trials)
    joules = 3600 * sum(r["energy_wh"] for r in done) / spent
    most = flops * larger.parameters * larger.samples
    result = {
        "law": fitted.law,
        "exponents": fitted.exponents(),
        "foretold": foretold,
        "measured": larger,
        "inside": foretold.low <= larger.loss <= foretold.high,
        "best_small": min(t.loss for t in trials[:-1]),
        "seconds": seconds,
        "flops": flops,
        "joules_per_flop": joules,
        "plans": [asdict(fitted.plan(k * most, joules_per_flop=joules, flops=flops)) for k in (1, 10)],
    }
    write_atomic(folder / "scaling.json", dumps(result).encode())


def main() -> None:
    """Run, then print the table."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/scaling")
    folder.mkdir(parents=True, exist_ok=True)
    run(Recipe(), folder, report=lambda progress: None)
    for line in (folder / "runs.jsonl").read_text().splitlines():
        one = json.loads(line)
        print(
            f"N {one['parameters']:7,}  D {one['samples']:6,}  loss {one['loss']:.4f} {one['seconds']:5.0f} s"
        )
    result = json.loads((folder / "scaling.json").read_text())
    foretold, measured = result["foretold"], result["measured"]
    values = [f"{k} {v:.3g} ({lo:.3g} to {hi:.3g})" for k, (v, lo, hi) in result["exponents"].items()]
    print("law:", ", ".join(values))
    print(
        f"larger run: foretold {foretold['loss']:.4f} ({foretold['low']:.4f} to {foretold['high']:.4f}), "
        f"measured {measured['loss']:.4f}: {'inside' if result['inside'] else 'OUTSIDE'}; "
        f"best small run {result['best_small']:.4f}; {result['seconds']:.0f} s"
    )
    for plan in result["plans"]:
        print(
            f"{plan['beyond']:.0f} x the largest run's compute: N {plan['parameters']:,.0f}, "
            f"D {plan['samples']:,.0f}, loss {plan['loss']['loss']:.4f} "
            f"({plan['loss']['low']:.4f} to {plan['loss']['high']:.4f}), {plan['energy_wh']:.2f} Wh"
        )


if __name__ == "__main__":
    main()
