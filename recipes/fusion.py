"""Does fusion pay? Progression or treatment effect in phantom gliomas from image, prior, notes and labs.

    python recipes/fusion.py [OUT]      resumable; default runs/fusion; about ten minutes on two free cores

Early, intermediate and late fusion against each modality alone, three seeds each, and every fusion with each
modality taken away at reading time. Images are read by the bundled model, frozen: a token is what one of its
masks shows. Everything else is trained here. Intervals are bootstraps over test patients of the mean of the
seeds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from glioma_features import LABS, SOURCES, Cohort, cohort
from numpy.typing import NDArray
from torch import Tensor, nn

from sagittal.encoders.table import MISSING, NUMBER, Concept, Rows, TableConfig, TableEncoder
from sagittal.fusion.dropout import drop_modalities
from sagittal.fusion.early import EarlyFusion
from sagittal.fusion.intermediate import MutualFusion
from sagittal.fusion.late import LateFusion
from sagittal.layers.features import Features, masked_mean
from sagittal.measure.discrimination import auroc
from sagittal.measure.statistics import Interval, bootstrap
from sagittal.training.loop import FitConfig, fit
from sagittal.training.objective import label_loss


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run."""

    out: str = "runs/fusion"
    train: int = 400
    test: int = 250
    data_seed: int = 0
    seeds: int = 3
    width: int = 32
    heads: int = 2
    layers: int = 1
    drop: float = 0.25
    noise: float = 0.8  # on what masks show and on labs, in standard deviations: few patients, many numbers
    steps: int = 250
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    repeats: int = 1000


FUSIONS = ("early", "intermediate", "late")
Given = dict[str, Features]


class Reader(nn.Module):
    """Features of patients to the log odds of progression (B,), by one kind of fusion of some sources."""

    def __init__(self, kind: str, sources: tuple[str, ...], recipe: Recipe, words: int, seen: Tensor) -> None:
        super().__init__()
        width, heads = recipe.width, recipe.heads
        self.kind, self.sources = kind, sources
        self.register_buffer("mean", seen.mean(0))
        self.register_buffer("spread", seen.std(0) + 1e-3)
        self.masks = nn.Parameter(torch.randn(*seen.shape[1:], width) * seen.shape[2] ** -0.5)
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(torch.randn(64, width) * 0.02)
        self.labs = TableEncoder(TableConfig({n: Concept("z") for n in LABS}, 1, heads), width)
        fusions: dict[str, Callable[[], nn.Module]] = {
            "early": lambda: EarlyFusion(width, heads, sources, recipe.layers),
            "intermediate": lambda: MutualFusion(width, heads, sources, recipe.layers),
            "late": lambda: LateFusion(width, sources, 1),
        }
        self.fusion = fusions[kind]()
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, 1)

    def encode(self, batch: dict[str, Tensor], noise: float = 0.0) -> Given:
        """One entry a source; masks say which rows have it."""
        given: Given = {}
        for i, name in enumerate(("image", "prior")):
            seen = (batch["masks"][:, i] - self.mean) / self.spread
            seen = seen + noise * torch.randn_like(seen)
            given[name] = _features(
                torch.einsum("bmk,mkd->bmd", seen, self.masks), batch["there"][:, i, None]
            )
        notes = self.words(batch["words"]) + self.places[: batch["words"].shape[1]]
        given["notes"] = _features(notes, batch["words"] > 0)
        labs = batch["labs"]
        given["labs"] = self.labs(
            Rows(
                torch.arange(labs.shape[1]).expand_as(labs),
                torch.where(labs.isnan(), MISSING, NUMBER),
                labs.nan_to_num() + 0.5 * noise * torch.randn_like(labs),
                torch.full_like(labs, torch.nan),
                batch["there"][:, 3, None].expand_as(labs),
            )
        )
        return {name: given[name] for name in self.sources}

    def forward(self, given: Given, rows: int) -> Tensor:
        if self.kind == "early":
            pooled: Tensor = self.fusion(given, rows).pooled
        elif self.kind == "late":
            return self.fusion(given, rows)[:, 0]
        else:
            pooled = torch.zeros(rows, self.norm.normalized_shape[0])
            count = torch.zeros(rows, 1)
            for features in self.fusion(given).values():
                there = features.mask.any(1, keepdim=True).float()
                pooled, count = pooled + features.pooled * there, count + there
            pooled = pooled / count.clamp(min=1)
        return self.out(self.norm(pooled))[:, 0]


def _features(tokens: Tensor, mask: Tensor) -> Features:
    mask = mask.expand(tokens.shape[:2])
    return Features((), tokens, masked_mean(tokens, mask), mask)


def tensors(data: Cohort, vocabulary: dict[str, int], scale: tuple[Any, Any]) -> dict[str, Tensor]:
    """A cohort as one batch: notes as word numbers (0: none), the logarithm of labs as z-scores."""
    texts = [[vocabulary.get(word, 1) for word in note.lower().split()] for note in data.notes]
    length = max(map(len, texts))
    with np.errstate(invalid="ignore"):
        labs = (np.log(data.labs) - scale[0]) / scale[1]
    return {
        "masks": torch.from_numpy(data.masks),
        "words": torch.tensor([text + [0] * (length - len(text)) for text in texts]),
        "labs": torch.from_numpy(labs).float(),
        "there": torch.from_numpy(data.there),
        "truth": torch.from_numpy(data.truth).float(),
    }


def train(kind: str, sources: tuple[str, ...], seed: int, data: dict[str, Tensor], recipe: Recipe) -> Reader:
    """Fit one reader; several sources are trained with modality dropout."""
    torch.manual_seed(seed)
    reader = Reader(kind, sources, recipe, int(data["words"].max()) + 1, data["masks"][:, 0])
    hide = torch.Generator().manual_seed(seed)

    def batches(start: int) -> Iterator[dict[str, Tensor]]:
        for number in range(start, recipe.steps):
            rng = torch.Generator().manual_seed(seed * 100_003 + number)
            chosen = torch.randint(len(data["truth"]), (recipe.batch,), generator=rng)
            yield {name: value[chosen] for name, value in data.items()}

    def objective(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        given = reader.encode(batch, recipe.noise)
        if len(sources) > 1:
            given = drop_modalities(given, recipe.drop, hide)
        logits = reader(given, len(batch["truth"]))
        return {"truth": label_loss(logits[:, None], batch["truth"][:, None])}

    config = FitConfig(
        recipe.steps, recipe.learning_rate, recipe.weight_decay, average=0.98, seed=seed, report_steps=10**6
    )
    fit(reader, objective, batches, config)
    return reader.eval()


@torch.no_grad()
def predict(reader: Reader, data: dict[str, Tensor], without: str | None = None) -> NDArray[np.float64]:
    """Log odds (N,), with one source taken away from everybody."""
    given = {name: features for name, features in reader.encode(data).items() if name != without}
    return reader(given, len(data["truth"])).double().numpy()


def mean_auroc(truth: NDArray[Any], scores: NDArray[Any]) -> float:
    """Mean over seeds (S, N); NaN in a draw of one class."""
    return float(np.mean([auroc(truth, s) for s in scores])) if 0 < truth.sum() < len(truth) else float("nan")


def mean_accuracy(truth: NDArray[Any], scores: NDArray[Any]) -> float:
    """Share right at even odds, mean over seeds (S, N)."""
    return float(((scores > 0) == truth).mean())


def over_patients(
    measure: Callable[[NDArray[Any], NDArray[Any]], float], truth: NDArray[Any], scores: NDArray[Any],
    recipe: Recipe, beside: NDArray[Any] | None = None,
) -> Interval:  # fmt: skip
    """A measure of (S, N) scores, or its difference to that of ``beside``, bootstrapped over patients."""

    def value(index: NDArray[np.intp]) -> float:
        own = measure(truth[index], scores[:, index])
        return own if beside is None else own - measure(truth[index], beside[:, index])

    return bootstrap(value, len(truth), repeats=recipe.repeats)


def run(recipe: Recipe) -> dict[str, Any]:
    """Draw, train, measure; writes ``fusion.json``."""
    out = Path(recipe.out)
    torch.set_num_threads(1)
    made = cohort(out / "cohort", n=recipe.train, seed=recipe.data_seed, split="train")
    held = cohort(out / "cohort", n=recipe.test, seed=recipe.data_seed, split="heldout")
    words = sorted({word for note in made.notes for word in note.lower().split()})
    vocabulary = {word: number for number, word in enumerate(words, start=2)}
    scale = np.nanmean(np.log(made.labs), 0), np.nanstd(np.log(made.labs), 0)
    fitted, tested = tensors(made, vocabulary, scale), tensors(held, vocabulary, scale)
    truth = held.truth
    tag = "-".join(str(value) for value in asdict(recipe).values() if not isinstance(value, str))

    def scores(kind: str, sources: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
        found: dict[str, list[Any]] = {}
        for seed in range(recipe.seeds):
            path = out / "predictions" / f"{kind}-{'+'.join(sources)}-{seed}-{tag}.npz"
            if not path.exists():
                reader = train(kind, sources, seed, fitted, recipe)
                cases = {"all": predict(reader, tested)}
                if len(sources) > 1:
                    cases |= {name: predict(reader, tested, without=name) for name in sources}
                path.parent.mkdir(parents=True, exist_ok=True)
                np.savez(path.with_suffix(".tmp.npz"), **cases)
                path.with_suffix(".tmp.npz").replace(path)
                print(f"  {path.stem}: AUROC {auroc(truth, cases['all']):.3f}", flush=True)
            for name, value in np.load(path).items():
                found.setdefault(name, []).append(value)
        return {name: np.stack(values) for name, values in found.items()}

    def both(values: NDArray[np.float64]) -> dict[str, Any]:
        return {
            "auroc": asdict(over_patients(mean_auroc, truth, values, recipe)),
            "accuracy": asdict(over_patients(mean_accuracy, truth, values, recipe)),
            "auroc_of_each_seed": [auroc(truth, row) for row in values],
        }

    known = held.evidence * held.there  # of the ideal observer, who measures growth and knows of steroids
    report: dict[str, Any] = {
        "recipe": asdict(recipe),
        "test_patients": len(truth),
        "progression": int(truth.sum()),
        "ideal": {
            **both(known.sum(1)[None]),
            "without": {n: both((known.sum(1) - known[:, i])[None]) for i, n in enumerate(SOURCES)},
        },
    }
    alone = {name: scores("early", (name,))["all"] for name in SOURCES}
    report["alone"] = {name: both(values) for name, values in alone.items()}
    area = {name: mean_auroc(truth, values) for name, values in alone.items()}
    best = max(area, key=area.__getitem__)
    report["best alone"] = best

    def gain(values: NDArray[np.float64], beside: str) -> dict[str, Any]:
        return asdict(over_patients(mean_auroc, truth, values, recipe, alone[beside]))

    for kind in FUSIONS:
        found = scores(kind, SOURCES)
        report[kind] = {**both(found["all"]), "gain over best alone": gain(found["all"], best), "without": {}}
        for name in SOURCES:
            left = max((other for other in SOURCES if other != name), key=area.__getitem__)
            report[kind]["without"][name] = {
                **both(found[name]),
                "best left": left,
                "gain over best left": gain(found[name], left),
            }
    (out / "fusion.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return report


def table(report: dict[str, Any]) -> str:
    """The figures, one line each."""

    def line(name: str, found: dict[str, Any]) -> str:
        area, right = (Interval(**found[key]) for key in ("auroc", "accuracy"))
        return f"{name:28} AUROC {area}   accuracy {right}"

    lines = [line(f"{name} alone", found) for name, found in report["alone"].items()]
    for kind in ("ideal", *FUSIONS):
        lines.append(line(kind, report[kind]))
        if kind in FUSIONS:
            gain = Interval(**report[kind]["gain over best alone"])
            lines.append(f"  over {report['best alone']} alone: {gain}")
        for name, found in report[kind]["without"].items():
            lines.append(line(f"  without {name}", found))
            if "best left" in found:
                lines[-1] += f"   over {found['best left']}: {Interval(**found['gain over best left'])}"
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run(Recipe(out=sys.argv[1]) if len(sys.argv) > 1 else Recipe())))
