"""`sagittal predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sagittal.cli.common import Assume, Device, Json, Quiet, Seed, check_out, emit, progress
from sagittal.datasets.open import open_data
from sagittal.datasets.reading import summary
from sagittal.tasks.classify import predict as run
from sagittal.tasks.classify import write_csv
from sagittal.zoo.load import load


def predict(
    data: Annotated[Path, typer.Argument(help="A data folder with labels.csv, or a MedMNIST .npz.")],
    model: Annotated[str, typer.Option(help="Name or folder of a model; see: sagittal zoo list.")],
    out: Annotated[Path, typer.Option(help="CSV to write: study, patient, split, a column a label.")],
    split: Annotated[str | None, typer.Option(help="train, val or test; default: all.")] = None,
    branch: Annotated[str | None, typer.Option(help="Which branch of the model; default: what fits.")] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="Ask in words instead: 'broken rib', or 'broken rib | intact ribs'. Repeatable."),
    ] = None,
    assume: Assume = None,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """A probability a label, or an answer a prompt, for every study of a data set."""
    check_out(out)
    loaded = load(model, device)
    opened = open_data(data)
    chosen = opened.only(split) if split else opened
    with progress("predicting", len(chosen), quiet=quiet) as advance:
        found = run(chosen, loaded, branch=branch, assume=assume, prompts=prompt or (), advance=advance)
    write_csv(found, out)
    reasons = sorted({row.refused for row in found.rows if row.refused})
    document = {
        "out": str(out),
        "model": found.model,
        "labels": found.labels,
        "studies": len(found.rows),
        "refused": found.refused,
        "reasons": reasons,
        "unreadable": found.unreadable,
        "out_of_distribution": found.outside,
    }
    scored = len(found.rows) - len(found.unreadable)
    text = f"{scored} studies scored by {found.model}: {out}"
    if prompt:
        text += "\nPrompts rank studies; nothing has calibrated them, so they are no probabilities."
    if found.refused:
        text += f"\n{found.refused} refused, their cells are empty: {reasons[0]}"
    if found.unreadable:
        text += f"\n{summary(found.unreadable, len(found.rows))}; their cells are empty"
    if found.outside:
        text += f"\n{found.outside} unlike what the model learnt (scored all the same)"
    emit(document, text, json=json)
