"""What the branches of `sagittal-small` reach, beside those of the package; one model of them with a card."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from align import widened
from arrays import ANATOMY, Arrays, mask_names
from kinds import (
    Recipe,
    phantoms,
    spec_of,
    tensors,
)
from results import label_results, lesion_dice, sensitivity_by_cnr, thumbnail_auroc
from statements import prompt_results
from torch import Tensor

from sagittal.errors import BadInput
from sagittal.measure.calibration import Platt
from sagittal.meter import Usage, total
from sagittal.model import Model, load
from sagittal.phantom.truth import LABELS, CaseKind
from sagittal.report.codec import dumps, read_json
from sagittal.zoo.calibrator import fit_label
from sagittal.zoo.card import BranchCard, Card, DataUse, Result
from sagittal.zoo.gate import Gate, fit_gate, load_gates, save_gates
from sagittal.zoo.save import gate_card
from sagittal.zoo.save import save as save_model


@torch.inference_mode()
def outputs(
    model: Model, kind: str, data: Arrays, batch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Tensor]:
    """Label logits (N, L), masks (N, M, *s) bool, pooled features (N, D), embeddings (N, E) of a cohort."""
    logits, outlines, pooled, embedded = [], [], [], []
    for start in range(0, len(data.rows), batch):
        rows = np.arange(start, min(start + batch, len(data.rows)))
        image, _, _ = tensors(data, rows)
        texts = model.tokenizer([data.rows[i]["context"] for i in rows], model.config.text.length)
        output = model(kind, image, texts, upsample=False)
        logits.append(output.label_logits.numpy())
        outlines.append(output.mask_logits.numpy() > 0)
        pooled.append(output.features.pooled.numpy())
        embedded.append(output.embedding)
    return np.concatenate(logits), np.concatenate(outlines), np.concatenate(pooled), torch.cat(embedded)


@dataclass(frozen=True)
class Evaluation:
    """What a branch brings to the card; ``curve`` is sensitivity by contrast-to-noise."""

    branch: BranchCard
    data: tuple[DataUse, ...] = ()
    results: tuple[Result, ...] = ()
    curve: tuple[Result, ...] = ()


def evaluate(recipe: Recipe, out: Path, kind: CaseKind) -> None:
    """Calibrate on the first held-out phantoms, measure on the last 400, write both beside the weights."""
    labels = LABELS[kind]
    train, held = (phantoms(recipe, out, kind, split) for split in ("train", "heldout"))
    # In a fresh clone there is no fit: then the weights of the package are measured again.
    model = load(out / kind if (out / kind / "config.json").exists() else PACKAGE)
    logits, outlines, pooled, embedded = outputs(model, kind, held, 16 if kind == "chest-xray" else 2)
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    n = len(held.rows) - recipe.measured
    domain = f"phantom {kind}"
    cards = [
        fit_label(
            label, (held.labels[:n, i], probability[:n, i]), (held.labels[n:, i], probability[n:, i]), domain
        )
        for i, label in enumerate(labels)
    ]
    test = held.last(recipe.measured)
    results = label_results(
        test.labels, logits[n:], labels, thumbnail_auroc(train, test, labels), kind
    ) + lesion_dice(test, outlines[n:], mask_names(kind), len(ANATOMY[kind]), kind)
    truth = torch.from_numpy(test.labels.astype(np.float32))
    results += prompt_results(model, embedded[n:], truth, labels, kind)
    calibrated = np.stack(
        [Platt(c.slope, c.offset).apply(probability[n:, i]) for i, c in enumerate(cards)], axis=1
    )
    present = [card.thresholds[0].present or 1.0 for card in cards]
    curve = sensitivity_by_cnr(test.rows, calibrated, labels, present, kind)
    (out / kind).mkdir(exist_ok=True)
    half = n // 2
    gate = fit_gate(pooled[:half], pooled[half:n])
    save_gates({kind: gate}, out / kind)
    evaluation = Evaluation(
        BranchCard(
            spec_of(recipe, kind), tuple(cards), mask_names(kind), gate_card(gate, 0.99, half, n - half)
        ),
        (
            DataUse(
                f"Sagittal phantoms, {kind}, train split",
                "Apache-2.0 (drawn by this package)",
                len(train.rows),
            ),
        ),
        tuple(results),
        tuple(curve),
    )
    (out / kind / "evaluation.json").write_text(dumps(evaluation))
    print(f"{kind}: {recipe.measured} held-out phantoms never used for fitting, choosing or calibrating")
    for r in results:
        beside = f"   {r.baseline_name} {r.baseline:.3f}" if r.baseline is not None else ""
        print(
            f"  {r.measure:6} {r.of:36} {r.interval.value:.3f} "
            f"({r.interval.low:.3f}-{r.interval.high:.3f}){beside}"
        )
    for step in curve:
        s = step.interval
        print(f"  sensitivity, {step.of}: {s.value:.2f} ({s.low:.2f}-{s.high:.2f}), n={s.n}")


def pack(recipe: Recipe, out: Path, where: Path) -> None:
    """Merge the evaluated branches into one model with one card, in the folder ``where``.

    Raises:
        BadInput: a kind was not evaluated, or none is better than thumbnails.
    """
    for kind in recipe.kinds:
        if not (out / kind / "evaluation.json").exists():
            raise BadInput(f"{kind} was not evaluated", fix="run evaluate, or leave it out by --set kinds=…")
    evaluated = {kind: read_json(Evaluation, out / kind / "evaluation.json") for kind in recipe.kinds}
    kinds = [kind for kind in recipe.kinds if worth_shipping(evaluated[kind], recipe.lead)]
    for kind in set(recipe.kinds) - set(kinds):
        print(f"{kind} is left out: it does not beat the thumbnail baseline")
    if not kinds:
        raise BadInput("no branch beats the thumbnail baseline", fix="fit longer")
    # What was not fitted anew stays as it is in the package: a branch of real MR knows nothing of the others.
    real = Path(recipe.hippocampus)
    real = real if (real / "config.json").exists() else PACKAGE
    folders = {kind: out / kind for kind in kinds} | {"hippocampus": real}
    loaded = {name: load(folder) for name, folder in folders.items()}
    parts = {name: part if part.config.embed_masks else widened(part) for name, part in loaded.items()}
    # Text encoder and fusion are those of pre-training: every branch was fitted to them as they are.
    first = parts[kinds[0]]
    weights = {k: v for k, v in first.state_dict().items() if not k.startswith("branches.")}
    for name, part in parts.items():
        weights |= {k: v for k, v in part.state_dict().items() if k.startswith(f"branches.{name}.")}
    branches = {name: part.config.branches[name] for name, part in parts.items()}
    model = Model(replace(first.config, branches=branches), first.tokenizer)
    model.load_state_dict(weights)
    gates: dict[str, Gate] = {}
    for kind in kinds:
        gates |= load_gates(out / kind)
    evaluations = {
        name: packed(name) if folder == PACKAGE else read_json(Evaluation, folder / "evaluation.json")
        for name, folder in folders.items()
    }
    card = Card(
        name="sagittal-small",
        version=VERSION if where == PACKAGE else f"{VERSION}+{where.absolute().parent.name}",
        family="sagittal",
        summary="Findings learnt from phantoms; the hippocampus from real MR.",
        licence="Apache-2.0 (code and recipe); hippocampus branch CC BY-SA 4.0",
        digest="",
        branches={name: e.branch for name, e in evaluations.items()},
        data=tuple(d for e in evaluations.values() for d in e.data),
        results=tuple(r for e in evaluations.values() for r in (*e.results, *e.curve)),
        limitations=LIMITATIONS,
        training=total(
            [
                read_json(Usage, out / f"{stage}-usage.json")
                for stage in ("pretrain", *kinds, *(f"{kind}-align" for kind in kinds))
            ]
        ),
    )
    card = save_model(where, model, card, gates)
    size = sum(p.stat().st_size for p in where.glob("*"))
    print(f"{where}: {card.parameters} parameters, {size / 1e6:.1f} MB, digest {card.digest[:12]}")


def packed(name: str) -> Evaluation:
    """What the card in the package says of a branch."""
    card = read_json(Card, PACKAGE / "card.json")
    domains = (f"phantom {name}", f"real {name}")
    results = tuple(r for r in card.results if r.domain in domains)
    data = tuple(d for d in card.data if name in d.name.casefold())
    return Evaluation(card.branches[name], data, results)


def compare(recipe: Recipe, out: Path) -> None:
    """Every line of the package's card beside the same line of the new evaluations."""
    for kind in recipe.kinds:
        path = out / kind / "evaluation.json"
        if not path.exists():
            continue
        new = read_json(Evaluation, path)
        reached = {(r.measure, r.of): r for r in (*new.results, *new.curve)}
        print(f"{kind}: in the package, new")
        for r in packed(kind).results:
            other = reached.get((r.measure, r.of))
            change = "" if other is None else f"{other.interval.value - r.interval.value:+.3f}"
            beside = other.interval if other else "-"
            print(f"  {r.measure:12.12} {r.of:36.36} {r.interval}   {beside}  {change}")


def worth_shipping(evaluation: Evaluation, lead: float = 0.0) -> bool:
    """A branch whose mean AUROC does not beat a thumbnail's has nothing to say to a reader."""
    mean = next(r for r in evaluation.results if r.measure == "auroc" and r.of == "mean")
    return mean.baseline is not None and mean.interval.low > mean.baseline + lead


LIMITATIONS = (
    "Research use only. Not a medical device.",
    "Findings were learnt from phantoms alone; on patients they are not calibrated and are not assessed.",
    "Lungs on real films: measured on frontal films only (recipes/lungs_real.py).",
    "Children under 3 years and lateral films are outside the specification.",
    "Nodules on CT are scored (AUROC .75) and outlined (Dice .27) poorly; cerebral atrophy on MR is told "
    "worse than by a thumbnail.",
    "Prompts are answered in the space that images and reports share: they rank, nothing calibrates them.",
    "The energy is that of pre-training and of the branches learnt from phantoms, without the drawing of the "
    "phantoms and without the hippocampus branch (ten minutes on two cores).",
)
VERSION = "0.2.0"
PACKAGE = Path(__file__).resolve().parents[1] / "src/sagittal/zoo/weights/sagittal-small"
