"""`sagittal-small`: the bundled model, from phantoms to a card, in resumable stages.

    sagittal pretrain recipes/small.py [--out runs/small]      all stages, into a model of the run's own
    python recipes/small.py STAGE [--kind K] [--set name=value] [--out runs/small]      one, also side by side

data       draws the phantoms as arrays (`recipes/arrays.py`)
pretrain   contrastive image-report and masked-image learning over all kinds, one text encoder
fit        label and mask decoders of one kind; the text encoder stays as it is
align      embedding and proportions of one kind, from what encoder and masks show (`recipes/align.py`)
evaluate   calibration and gate on one half of unseen held-out phantoms, results on the other
compare    what was measured beside the card of the model in the package, line by line
pack       weights, config, tokenizer and card into the package

Either way may go on with what the other began.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from arrays import Arrays
from branches import align_branch, fit_branch
from bundle import PACKAGE, compare, evaluate, pack
from kinds import (
    BRANCHES,
    MASKING,
    SPECS,
    Recipe,
    Report,
    config_for,
    line,
    move,
    phantoms,
    picked,
    report_to,
    steps,
    tensors,
)
from statements import drawn, every_text
from torch import Tensor, nn

from sagittal.encoders.text import TextConfig
from sagittal.encoders.tokenizer import train_tokenizer
from sagittal.errors import BadInput
from sagittal.model import Model, save
from sagittal.phantom.truth import LABELS, CaseKind
from sagittal.pretrain.contrastive import attract, contrastive_loss, retrieval, same_findings
from sagittal.pretrain.masked import MaskedHead, block_mask, masked_loss, target
from sagittal.pretrain.recipe import changed, spent
from sagittal.report.vocabulary import concept
from sagittal.training.loop import FitConfig, Progress, fit
from sagittal.training.objective import label_loss


def noted(row: dict[str, Any], step: int) -> str | None:
    """The text beside a masked image: the report, the notes, or nothing, in turn."""
    return (row["report"], row["context"], None)[step % 3]


def prompt(kind: str, labels: np.ndarray, generator: torch.Generator) -> str:
    """What a study shows in the vocabulary's words, in any order; or that it is normal."""
    shown = [
        concept(name).meaning for name, on in zip(LABELS[cast(CaseKind, kind)], labels, strict=True) if on
    ]
    order = torch.randperm(len(shown), generator=generator).tolist()
    return ". ".join(shown[i] for i in order) or "Nothing abnormal"


def pretrain(recipe: Recipe, out: Path, report: Report) -> None:
    """One text encoder, every image encoder: matching reports attract, hidden blocks are foretold."""
    sets: dict[str, Arrays] = {kind: phantoms(recipe, out, kind, "train") for kind in recipe.kinds}
    texts = [t for a in sets.values() for row in a.rows for t in (row["report"], row["context"])]
    tokenizer = train_tokenizer(texts + [t for kind in recipe.kinds for t in every_text(LABELS[kind])])
    torch.manual_seed(recipe.seed)
    model = Model(config_for(recipe.kinds, TextConfig(vocabulary=tokenizer.size)), tokenizer)
    # With the usual .02 all texts begin nearly alike, and those that share words are not told apart for long.
    nn.init.normal_(model.text.embed.weight)
    heads = nn.ModuleDict(
        {
            kind: MaskedHead(
                model.config.width, BRANCHES[kind].widths[-1], BRANCHES[kind].channels, MASKING[kind]
            )
            for kind in recipe.kinds
        }
    )
    # Films come three times as often as volumes: they are cheaper by more than that.
    turns = [
        kind
        for kind in ("chest-xray", "chest-xray", "chest-ct", "chest-xray", "brain-mr")
        if kind in recipe.kinds
    ]

    def size_of(step: int) -> int:
        film = turns[step % len(turns)] == "chest-xray"
        return recipe.pretrain_batch if film else recipe.pretrain_volume_batch

    def objective(batch: tuple[Tensor, int]) -> dict[str, Tensor]:
        size, step = len(batch[0]), batch[1]
        kind = turns[step % len(turns)]
        rows, generator = picked(sets[kind], step, recipe.pretrain_texts, recipe.seed)
        image, masks, labels = tensors(sets[kind], rows[:size])
        image, _ = move(kind, image, masks, generator)
        said, length = sets[kind].labels[rows], model.config.text.length
        every = torch.from_numpy(said.astype(np.float32))
        reports = model.encode_text(*tokenizer([sets[kind].rows[i]["report"] for i in rows], length))
        prompts = model.encode_text(*tokenizer([prompt(kind, row, generator) for row in said], length))
        # Reports and prompts that say the same attract: a space of findings, before any image is understood.
        texts = contrastive_loss(reports, prompts, model.scale, same_findings(every))
        axis = model.axes([drawn(label, generator) for label in LABELS[kind]])
        told = label_loss(model.asked(reports, axis), every)
        features = model.encode(kind, image)
        shown = model.branches[kind].embed(features)
        pairs = attract(shown, reports, model.scale, same_findings(labels, every))
        pairs = pairs + label_loss(model.asked(shown, axis), labels[:size])
        head = heads[kind]
        few = image[: max(2, size // 3)]
        blocks = block_mask(len(few), image.shape[2:], MASKING[kind], generator)
        hidden = model.encode(kind, head.hide(few, blocks))
        # What is hidden is foretold from the rest and from the notes: here fusion learns to listen.
        notes = tokenizer([noted(sets[kind].rows[i], step) for i in rows[: len(few)]], length)
        fused = model.fusion(hidden.tokens, {"text": model.text(notes)})
        hidden = replace(hidden, tokens=fused)
        wanted = target(few, MASKING[kind])
        guess = head(hidden, wanted.shape[2:-1])
        return {
            "contrastive": pairs,
            "masked": masked_loss(guess, wanted, blocks),
            "text": texts,
            "statement": told,
        }

    def probes() -> dict[str, float]:
        return {f"retrieval of {kind}": retrieved(recipe, out, kind, model) for kind in recipe.kinds}

    both = nn.ModuleDict({"model": model, "heads": heads})
    plan = FitConfig(
        steps=recipe.most_steps,
        max_seconds=recipe.pretrain_seconds,
        learning_rate=recipe.pretrain_rate,
        probe_steps=recipe.probe_steps,
        seed=recipe.seed,
    )
    with spent(out / "pretrain-usage.json"):
        fit(
            both,
            objective,
            steps(size_of),
            plan,
            folder=out / "pretrain-run",
            report=report_to(out / "pretrain.jsonl", report),
            probes=probes,
        )
    save(model, out / "pretrained")


def retrieved(recipe: Recipe, out: Path, kind: CaseKind, model: Model) -> float:
    """Share of images whose nearest report says what they show, among studies that calibrate later."""
    held = phantoms(recipe, out, kind, "heldout")
    rows = np.arange(min(recipe.aside, len(held.rows) - recipe.measured))
    image, _, labels = tensors(held, rows)
    texts = model.tokenizer([held.rows[i]["report"] for i in rows], model.config.text.length)
    pieces = image.split(recipe.pretrain_volume_batch)
    shown = torch.cat([model.branches[kind].embed(model.encode(kind, piece)) for piece in pieces])
    return retrieval(shown, model.encode_text(*texts), same_findings(labels))


STAGES = ("data", "pretrain", "fit", "align", "evaluate", "compare", "pack")


def run(recipe: Recipe, folder: Path, *, report: Report) -> Path:
    """All stages in order; what is finished is not done again. Only the stage `pack` changes the package."""
    with contextlib.redirect_stdout(sys.stderr):  # what goes to the terminal is the command's to say
        for kind in recipe.kinds:
            for split in ("train", "heldout"):
                phantoms(recipe, folder, kind, split)
        if not (folder / "pretrained/config.json").exists():
            pretrain(recipe, folder, report)
        for kind in recipe.kinds:
            if (folder / kind / "evaluation.json").exists():
                continue
            while not fit_branch(recipe, folder, kind, report):
                pass
            align_branch(recipe, folder, kind)
            evaluate(recipe, folder, kind)
        compare(recipe, folder)
        pack(recipe, folder, folder / "model")
    return folder / "model"


def main() -> None:
    """Run one stage; a stage that was cut short goes on where it stood."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--kind", choices=tuple(SPECS))
    parser.add_argument("--split", choices=("train", "heldout"))
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs/small"))
    args = parser.parse_args()
    try:
        stage(changed(Recipe(), args.set), args)
    except BadInput as error:
        raise SystemExit(str(error)) from None


def stage(recipe: Recipe, args: argparse.Namespace) -> None:
    """The one that was asked for."""
    if args.threads:
        torch.set_num_threads(args.threads)
    out, kinds = args.out, (args.kind,) if args.kind else recipe.kinds
    out.mkdir(parents=True, exist_ok=True)

    def report(progress: Progress) -> None:
        print(line(progress), flush=True)

    if args.stage == "pretrain":
        pretrain(recipe, out, report)
    elif args.stage == "compare":
        compare(recipe, out)
    elif args.stage == "pack":
        pack(recipe, out, PACKAGE)
    for kind in kinds:
        if args.stage == "data":
            for split in (args.split,) if args.split else ("train", "heldout"):
                phantoms(recipe, out, kind, split, workers=args.threads or 2)
        elif args.stage == "fit":
            fit_branch(recipe, out, kind, report)
        elif args.stage == "align":
            align_branch(recipe, out, kind)
        elif args.stage == "evaluate":
            evaluate(recipe, out, kind)


if __name__ == "__main__":
    main()
