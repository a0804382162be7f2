"""`sagittal pretrain`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sagittal.cli.common import Device, Json, Quiet, emit
from sagittal.errors import BadInput
from sagittal.meter import compared
from sagittal.pretrain.recipe import UNREADABLE, changed, open_recipe, run_recipe
from sagittal.training.distributed import world
from sagittal.training.loop import Progress
from sagittal.training.stream import unreadable


def pretrain(
    recipe: Annotated[Path, typer.Argument(help="A recipe file, such as recipes/toy.py.")],
    set: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/RECIPE.")] = None,
    country: Annotated[str | None, typer.Option(help="For CO2e, by codecarbon: DEU, FRA …")] = None,
    json: Json = False,
    quiet: Quiet = False,
    seed: Annotated[int | None, typer.Option(help="The recipe's seed; as --set seed=N.")] = None,
    device: Device = "cpu",
) -> None:
    """Run a recipe: one file, one run; again to go on with it. Also under torchrun."""
    loaded = open_recipe(recipe)
    given = [*(set or []), *([f"seed={seed}"] if seed is not None else [])]
    settings = changed(loaded.settings, given)
    folder = out or Path("runs") / loaded.name
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file", "a folder")
    last: list[Progress] = []
    with world(device) as here:
        first = here.rank == 0
        with bar(loaded.name, quiet=quiet or not first) as show:

            def report(progress: Progress) -> None:
                last[:] = [progress]
                show(progress)

            model, used = run_recipe(loaded, settings, folder, report=report, world=here, country=country)
    if not first:
        return
    losses, probes = (last[0].losses, last[0].probes) if last else ({}, {})
    named = [*losses.items(), *((f"probe {name}", value) for name, value in probes.items())]
    shown = ", ".join(f"{name} {value:.4f}" for name, value in named)
    lines = [
        f"{loaded.name}: {model or folder}",
        *([f"{shown} after {last[0].step} steps"] if last else []),
        f"{used.seconds:.0f} s, {used.energy_wh:.2f} Wh ({used.energy_source}), "
        f"{used.co2e_g:.2f} g CO2e ({used.co2e_source})",
        *compared(used),
    ]
    lost = unreadable(folder / UNREADABLE)
    if lost:
        more = f"; and {len(lost) - 3} more in {folder / UNREADABLE}" if len(lost) > 3 else ""
        lines.append(f"{len(lost)} studies could not be used: {'; '.join(lost[:3])}{more}")
    places = {"out": str(folder), "model": str(model) if model else None, "unreadable": lost}
    document = places | {"settings": settings, "losses": losses, "probes": probes, "usage": used}
    emit(document, "\n".join(lines), json=json)


@contextlib.contextmanager
def bar(label: str, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Share done, losses, throughput and time left, on stderr; notes as lines. Silent when quiet."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[at]}"),
    )
    shown = Bar(*columns, console=console, disable=quiet or not console.is_terminal, transient=True)
    with shown:
        task = shown.add_task(label, total=1.0, at="")
        probed: dict[str, float] = {}

        def show(progress: Progress) -> None:
            probed.update(progress.probes)  # they come more seldom than the line is written
            for note in progress.notes if not quiet else ():
                sys.stderr.write(f"sagittal: {' '.join(note.split())}\n")
            shown.update(task, completed=progress.done, at=status(replace(progress, probes=probed)))

        yield show


def status(progress: Progress) -> str:
    """One line: losses, probes, samples a second, time left."""
    losses = " ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
    left = progress.seconds * (1 - progress.done) / progress.done if progress.done else 0.0
    minutes, seconds = divmod(round(left), 60)
    hours, minutes = divmod(minutes, 60)
    kind = "bf16" if progress.bf16 else "float32"
    known = "".join(f" · {name} {value:.3f}" for name, value in progress.probes.items())
    time_left = f"{hours}:{minutes:02d}:{seconds:02d} left"
    return f"{losses}{known} · {progress.items_per_second:.1f}/s {kind} · {time_left}"
