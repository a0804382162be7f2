"""`sagittal adapt`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sagittal.adapt.fit import METHODS, adapt_to
from sagittal.cli.common import Device, Json, Quiet, Seed, emit, progress


def adapt(
    data: Annotated[Path, typer.Option(help="A data folder with labels.csv, or a MedMNIST .npz.")],
    out: Annotated[Path, typer.Option(help="Folder of the new model; must not exist yet.")],
    method: Annotated[str, typer.Option(help=f"One of {', '.join(METHODS)}.")] = "probe",
    base: Annotated[str, typer.Option(help="Model whose features a probe uses.")] = "sagittal-small",
    branch: Annotated[str | None, typer.Option(help="Which branch of it; default: what fits.")] = None,
    epochs: Annotated[int, typer.Option(min=1, max=1000, help="Passes over the data (full).")] = 25,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Fit a model to labelled local data."""
    with progress("adapting", None, quiet=quiet) as advance:
        card = adapt_to(
            data,
            out,
            method=method,
            base=base,
            branch=branch,
            epochs=epochs,
            seed=seed,
            device=device,
            advance=advance,
        )
    lines = [
        f"{result.measure} of {result.of}: {result.interval} on {result.data}" for result in card.results
    ]
    text = "\n".join([f"{card.name}: {out}", *lines, *card.limitations])
    emit({"out": str(out), "card": card}, text, json=json)
