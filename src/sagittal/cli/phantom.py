"""`sagittal phantom`: studies whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from sagittal.cli.common import Device, Json, Quiet, Seed, emit, progress
from sagittal.phantom.cohort import write_cohort
from sagittal.phantom.truth import KINDS, SPLITS, CaseKind, Split


def phantom(
    kind: Annotated[str, typer.Option("--kind", help=f"One of {', '.join(KINDS)}.")],
    n: Annotated[int, typer.Option("--n", help="Number of patients.")],
    out: Annotated[Path, typer.Option("--out", help="New or empty folder.")],
    followup: Annotated[bool, typer.Option("--followup", help="Two studies a patient.")] = False,
    split: Annotated[str, typer.Option("--split", help=f"One of {', '.join(SPLITS)}.")] = "train",
    size: Annotated[int | None, typer.Option("--size", help="Edge length in voxels.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes; default: all.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Write a data folder of phantom studies: DICOM, context, labels, and the truth beside them."""
    with progress("phantoms", n, quiet=quiet) as advance:
        folder = write_cohort(
            cast(CaseKind, kind),
            n,
            out,
            seed=seed,
            split=cast(Split, split),
            followup=followup,
            size=size,
            workers=workers,
            advance=advance,
        )
    studies = n * (2 if followup else 1)
    emit(
        {"out": str(folder), "kind": kind, "split": split, "studies": studies, "seed": seed},
        f"{studies} {kind} studies in {folder}",
        json=json,
    )
