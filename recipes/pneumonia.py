"""A head for PneumoniaMNIST (Kermany et al. 2018, CC BY 4.0): frontal chest films of children aged 1-5.

    python recipes/pneumonia.py [OUT]     resumable; default runs/pneumonia/pneumoniamnist

A small network on the 28-pixel pictures, trained from nothing. Its card limits age and view, so that
`read` never shows it an adult film; `predict` reaches it by name.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from sagittal.adapt.full import FullConfig, full
from sagittal.datasets.open import open_data
from sagittal.training.loop import Progress
from sagittal.zoo.card import write_card


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run: about seven minutes on one free core."""

    data: str = "../shared/data/pneumoniamnist/pneumoniamnist_full_reassembled.npz"
    out: str = "runs/pneumonia/pneumoniamnist"
    epochs: int = 24
    seed: int = 0


PUBLISHED = {"auroc": 0.944, "accuracy": 0.854}
"""ResNet-18 at 28 pixels, Yang et al., Scientific Data 2023, table 3."""
LIMITS = (
    "Children aged 1 to 5, frontal (AP) films of one hospital, brought to 28 x 28 pixels: nothing else.",
    "The set gives no patients: several pictures of a child may lie in different splits.",
    "The training file was joined from two copies of the set: its counts are the official ones, its row "
    "order is not, and eight pictures are both in train and in val.",
)


def run(recipe: Recipe) -> None:
    """Train, calibrate on val, measure on test, save."""

    def report(progress: Progress) -> None:
        loss = ", ".join(f"{k} {v:.4f}" for k, v in progress.losses.items())
        print(f"{progress.done:4.0%} {loss} {progress.seconds:.0f} s", flush=True)

    out = Path(recipe.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    card = full(
        open_data(recipe.data),
        out,
        name="pneumoniamnist",
        config=FullConfig(epochs=recipe.epochs, seed=recipe.seed),
        report=report,
        folder=out.parent / "run",
        limitations=LIMITS,
    )
    beside = tuple(
        replace(r, baseline=PUBLISHED[r.measure], baseline_name="published ResNet-18 at 28 px")
        for r in card.results
    )
    write_card(replace(card, results=beside), out)
    for result in beside:
        print(f"{result.measure} of {result.of}: {result.interval}; published {result.baseline}")


if __name__ == "__main__":
    run(Recipe(out=sys.argv[1]) if len(sys.argv) > 1 else Recipe())
