"""One backbone for six tasks, conventional models beside it (Figure 5 of the review of foundation models).

    sagittal pretrain recipes/figure5.py [--set data=runs/labels_needed --set films=6000] [--out runs/figure5]

A nodule, B mass (a lung opacity)   the frozen backbone with a linear head from few labels, and from all
C consolidation, D pleural effusion by prompts: no label of either, but every report says if it is there
E the report, F how urgent it is    by instruction: prompt and image -> text, learned from reports alone
conventional                        a network of its own from nothing for each of A, B, C, D and F, on labels

Writes table.txt and figure5.json; resumable. Phantom films of 64 pixels: it shows how the ways of using a
model differ, nothing about patients. C stands for pneumonia: a film shows the consolidation alone. F's
answers are made from the reports by our parser and the vocabulary's ACR categories. Each number has an
interval over test films; the few labels, and every training, are drawn once. The reports help more than a
hospital's would: they are complete and true, and our parser tells which sentences say the same.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import backbone
import labels_needed as needed
import numpy as np
import torch
from arrays import Arrays
from backbone import URGENCY, Backbone, Said, impression, urgency
from baselines import encoded, probe
from films import KIND, Conventional, Floats, Seen, batches, pooled, sentences, statements
from labels_counted import subset
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sagittal.layers.weights import write_atomic
from sagittal.measure.agreement import quadratic_kappa
from sagittal.measure.discrimination import auroc_bootstrap
from sagittal.measure.statistics import Interval, bootstrap
from sagittal.meter import Usage, compared
from sagittal.phantom.truth import LABELS
from sagittal.pretrain.recipe import spent
from sagittal.report.codec import read_json
from sagittal.report.score import score
from sagittal.training.loop import FitConfig, Progress, fit


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run: ten minutes of one core, after the films are drawn.

    Attributes:
        data: folder with the films of `labels_needed.py`; empty: they are drawn into the run's own.
        films: with reports and no labels; labelled: what "all labels" means; test: held out.
        few: labels of the short training; few_steps, all_steps: of the conventional networks.
        aside: of the labelled, asked every ``probe_steps`` of the pre-training; of their reports alone.
        bf16: None: where this processor gains from it.
    """

    data: str = ""
    films: int = 2_000
    labelled: int = 1_000
    test: int = 600
    few: int = 100
    pretrain_steps: int = 500
    instruct_steps: int = 600
    few_steps: int = 60
    all_steps: int = 300
    aside: int = 200
    probe_steps: int = 100
    batch: int = 64
    instruct_batch: int = 32
    conventional_batch: int = 64
    learning_rate: float = 2e-3
    conventional_rate: float = 4e-3
    repeats: int = 1_000
    bf16: bool | None = None
    seed: int = 20261128


FINDINGS = LABELS[KIND]
ADAPTED = {"A": "nodule", "B": "mass"}
ZONES = [f"{side} {zone} lung zone" for side in ("left", "right") for zone in ("upper", "mid", "lower")]
GRADES = ("mild", "moderate", "severe")
PROMPTED = {
    "C": ("consolidation", [f"consolidation in the {zone}." for zone in ZONES], "no consolidation."),
    "D": (
        "pleural_effusion",
        [
            f"{grade} pleural effusion in the {side} pleural space."
            for grade in GRADES
            for side in ("left", "right")
        ],
        "no pleural effusion.",
    ),
}


def conventional(
    recipe: Recipe, labelled: Arrays, wanted: NDArray[np.int64], classes: int, count: int,
    test: NDArray[Any], path: Path,
) -> tuple[Floats, int]:  # fmt: skip
    """(M, classes) by the backbone's network trained for this alone on ``count`` labels (0: all); cached."""
    rows = chosen(wanted, count)
    if not path.exists():
        torch.manual_seed(recipe.seed)
        net, answers = Conventional(classes), torch.from_numpy(wanted[rows])

        def loss(batch: tuple[Tensor, Tensor, int]) -> dict[str, Tensor]:
            return {"cross_entropy": functional.cross_entropy(net(batch[0]).float(), answers[batch[1]])}

        steps = recipe.few_steps if count else recipe.all_steps
        plan = replace(planned(recipe, steps), learning_rate=recipe.conventional_rate)
        draw = batches(labelled.images[rows], recipe.conventional_batch, recipe.seed)
        fit(net, loss, draw, plan)
        guess = torch.from_numpy(encoded(net.eval(), test)).softmax(1).numpy()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".tmp").open("wb") as file:
            np.save(file, guess)
        path.with_suffix(".tmp").replace(path)
    return np.load(path), len(rows)


def chosen(wanted: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The same few rows for both kinds of model, none of a class left out by chance alone (0: all)."""
    return subset((wanted > 0).astype(np.float32), count, 0)


@dataclass(frozen=True)
class Line:
    """A number of the table: ``labels`` that the model saw for this task."""

    task: str
    about: str
    model: str
    labels: int
    measure: str
    value: Interval


def films_of(recipe: Recipe, folder: Path, part: str) -> Arrays:
    """ "films", "labelled" or "test", drawn if they are not there yet."""
    counts = {"films": recipe.films, "labelled": recipe.labelled, "test": recipe.test}
    where = needed.Recipe(seed=recipe.seed, **counts)
    return first(needed.phantoms(where, Path(recipe.data) if recipe.data else folder, part), counts[part])


def first(films: Arrays, n: int) -> Arrays:
    """The first ``n`` films."""
    return Arrays(films.images[:n], films.masks[:n], films.labels[:n], films.rows[:n])


def run(recipe: Recipe, folder: Path, *, report: Callable[[Progress], None]) -> None:
    """Draw, pre-train, instruct, adapt, prompt, train the conventional ones; the table."""
    films, labelled, test = (films_of(recipe, folder, part) for part in ("films", "labelled", "test"))
    said = backbone.read(films)
    torch.manual_seed(recipe.seed)
    model = backbone.built(said)
    with spent(folder / "usage-pretraining.json"):
        plan, where = planned(recipe, recipe.pretrain_steps), folder / "pretrain"
        plan = replace(plan, probe_steps=recipe.probe_steps)
        aside = first(labelled, recipe.aside)
        backbone.pretrain(model, films.images, said, plan, recipe.batch, where, report, aside)
    with spent(folder / "usage-instruction.json"):
        plan, where = planned(recipe, recipe.instruct_steps), folder / "instruct"
        tokens = backbone.seen(model.encoder, films.images)
        backbone.instruct(model, tokens, said, plan, recipe.instruct_batch, where, report)
    needed.save(model, folder / "backbone.pt")
    with spent(folder / "usage-reading.json"):
        known, unseen = (backbone.seen(model.encoder, part.images) for part in (labelled, test))
        lines = few_and_none(model, recipe, known, unseen, labelled, test)
        lines += instructed(model, recipe, unseen, said, test)
    with spent(folder / "usage-conventional.json"):
        lines += beside(recipe, folder, labelled, test)
    lines.sort(key=lambda line: line.task)
    usages = {
        name: read_json(Usage, folder / f"usage-{name}.json")
        for name in ("pretraining", "instruction", "reading", "conventional")
    }
    counts = {"reading": {"images": len(labelled.rows) + len(test.rows), "answers": 2 * len(test.rows)}}
    footprint = {name: compared(used, **counts.get(name, {})) for name, used in usages.items()}
    text = shown(lines, footprint, usages)
    document = {
        "settings": asdict(recipe), "lines": [asdict(line) for line in lines],
        "usage": {name: asdict(used) for name, used in usages.items()}, "footprint": footprint,
    }  # fmt: skip
    write_atomic(folder / "figure5.json", (json.dumps(document, indent=1) + "\n").encode())
    write_atomic(folder / "table.txt", text.encode())
    sys.stderr.write(text)


def planned(recipe: Recipe, steps: int) -> FitConfig:
    """How everything is fitted; no average of the weights."""
    return FitConfig(
        steps, recipe.learning_rate, weight_decay=0.05, average=None, report_steps=25, bf16=recipe.bf16,
        seed=recipe.seed,
    )  # fmt: skip


FOUNDATION = "foundation"


def area(recipe: Recipe, truth: NDArray[Any], guess: Floats) -> Interval:
    """AUROC, bootstrap over films, each of a patient of its own."""
    patients = np.arange(len(truth))
    return auroc_bootstrap(truth.astype(int), guess, patients, repeats=recipe.repeats, seed=recipe.seed)


def few_and_none(
    model: Backbone, recipe: Recipe, known: Seen, unseen: Seen, labelled: Arrays, test: Arrays
) -> list[Line]:
    """A and B by a linear head, C and D by prompts."""
    lines = []
    table, asked = (
        torch.cat([pooled(some) for some in backbone.pieces(films)]).numpy() for films in (known, unseen)
    )
    for task, key in ADAPTED.items():
        column = FINDINGS.index(key)
        wanted = labelled.labels[:, column].astype(np.int64)
        for count in (recipe.few, 0):
            rows = chosen(wanted, count)
            guess = probe(table[rows], wanted[rows].astype(np.float32), asked)
            value = area(recipe, test.labels[:, column], guess)
            lines.append(Line(task, key, f"{FOUNDATION}, linear head", len(rows), "AUROC", value))
    for task, (key, yes, no) in PROMPTED.items():
        value = area(recipe, test.labels[:, FINDINGS.index(key)], backbone.prompted(model, unseen, yes, no))
        lines.append(Line(task, key, f"{FOUNDATION}, prompts", 0, "AUROC", value))
    return lines


def named(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """True level of each film."""
    every = [[key for key, there in zip(FINDINGS, row, strict=True) if there] for row in labels]
    return np.array([urgency(present) for present in every])


def instructed(model: Backbone, recipe: Recipe, unseen: Seen, said: Said, test: Arrays) -> list[Line]:
    """E and F, and what needs no image at all."""
    texts, references = backbone.written(model, unseen), [impression(row["report"]) for row in test.rows]
    usual = Counter(said.impressions).most_common(1)[0][0]
    everything = " ".join(f"{key.capitalize()}.".replace("_", " ") for key in FINDINGS)
    lines = []
    for name, candidates in (
        (f"{FOUNDATION}, instruction", texts),
        ("template: the most common report", [usual] * len(texts)),
        ("template: every finding named", [everything] * len(texts)),
    ):
        wanted = ("observation.f1.micro", "observation.f1.macro", "laterality.f1.micro")
        found = score(candidates, references, metrics=wanted, language="en", repeats=recipe.repeats).values
        lines += [Line("E", "report", name, 0, measure, found[measure]) for measure in wanted]
    truth, chances = named(test.labels), backbone.triaged(model, unseen)
    lines += triage_lines(recipe, f"{FOUNDATION}, instruction", 0, truth, chances)
    stated = [
        sorted({key for s in sentences(text) for key, there, _ in statements(s) if there == "present"})
        for text in texts
    ]
    derived = np.array([urgency(present) for present in stated])
    lines.append(Line("F", "triage", f"{FOUNDATION}, its report", 0, "kappa", kappa(recipe, truth, derived)))
    usual_level = np.bincount(said.urgent, minlength=4).argmax()
    constant = kappa(recipe, truth, np.full(len(truth), usual_level))
    lines.append(Line("F", "triage", "the most common answer", 0, "kappa", constant))
    return lines


def kappa(recipe: Recipe, truth: NDArray[np.int64], guess: NDArray[np.int64]) -> Interval:
    """Quadratic kappa, bootstrap over films."""
    return bootstrap(
        lambda rows: quadratic_kappa(truth[rows], guess[rows], len(URGENCY)),
        len(truth), repeats=recipe.repeats, seed=recipe.seed,
    )  # fmt: skip


def triage_lines(
    recipe: Recipe, name: str, labels: int, truth: NDArray[np.int64], chances: Floats
) -> list[Line]:
    """Agreement on the level, and whether what cannot wait comes first."""
    first = area(recipe, truth == 3, chances[:, 3])
    return [
        Line("F", "triage", name, labels, "kappa", kappa(recipe, truth, chances.argmax(1))),
        Line("F", "triage", name, labels, "AUROC of minutes", first),
    ]


def beside(recipe: Recipe, folder: Path, labelled: Arrays, test: Arrays) -> list[Line]:
    """The conventional models: one a task and number of labels."""
    lines = []
    keys = ADAPTED | {task: key for task, (key, _, _) in PROMPTED.items()}
    for count in (recipe.few, 0):
        where = folder / "conventional"
        for task, key in keys.items():
            column = FINDINGS.index(key)
            wanted = labelled.labels[:, column].astype(np.int64)
            path = where / f"{task}-{count}.npy"
            guess, n = conventional(recipe, labelled, wanted, 2, count, test.images, path)
            value = area(recipe, test.labels[:, column], guess[:, 1])
            lines.append(Line(task, key, "conventional", n, "AUROC", value))
        path = where / f"F-{count}.npy"
        levels = named(labelled.labels)
        guess, n = conventional(recipe, labelled, levels, len(URGENCY), count, test.images, path)
        lines += triage_lines(recipe, "conventional", n, named(test.labels), guess)
    return lines


def verdicts(lines: Sequence[Line]) -> list[str]:
    """Each foundation line beside every other model of its task: ahead or behind only if intervals part."""
    found = []
    for line in lines:
        for other in lines:
            same = (line.task, line.measure) == (other.task, other.measure)
            if not same or not line.model.startswith(FOUNDATION) or other.model.startswith(FOUNDATION):
                continue
            ours, theirs = line.value, other.value
            word = (
                "ahead of" if ours.low > theirs.high else "behind" if ours.high < theirs.low else "level with"
            )
            found.append(
                f"{line.task} {line.measure}: {line.model} ({line.labels} labels) {word} "
                f"{other.model} ({other.labels})"
            )
    return sorted(found, key=lambda text: ("behind" not in text, "level" not in text))


def shown(lines: Sequence[Line], footprint: dict[str, tuple[str, ...]], usages: dict[str, Usage]) -> str:
    """The table as text; each part of the run with what it took."""
    rows = [f"{'task':22}{'model':34}{'labels':>7}  {'measure':22}value (95% interval)"]
    rows += [
        f"{line.task} {line.about:20}{line.model:34}{line.labels:7d}  {line.measure:22}{line.value}"
        for line in lines
    ]
    rows += ["", *verdicts(lines)]
    for name, said in footprint.items():
        rows += [
            "",
            f"{name}: {usages[name].cpu_seconds:.0f} s of processor",
            *(f"  {each}" for each in said),
        ]
    return "\n".join(rows) + "\n"
