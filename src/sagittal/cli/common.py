"""Options every verb shares, and the one place that writes to stdout."""

from __future__ import annotations

import contextlib
import json as _json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from sagittal.errors import BadInput
from sagittal.report.codec import to_json

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random; no effect where nothing is.")]
Prior = Annotated[Path | None, typer.Option("--prior", help="An earlier study of the same patient.")]
ContextFile = Annotated[Path | None, typer.Option("--context", help="Indication, notes, labs ... as JSON.")]
Assume = Annotated[str | None, typer.Option("--assume", help="What the files do not say: K=V,K=V.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:N; no effect where no model runs.")]


def emit(document: Any, text: str, *, json: bool) -> None:
    """Print a result: ``document`` (dataclasses welcome) as JSON, or ``text`` for people."""
    if json:
        sys.stdout.write(_json.dumps(to_json(document), ensure_ascii=False, allow_nan=False) + "\n")
    else:
        sys.stdout.write(text.rstrip("\n") + "\n")


def complain(message: str) -> None:
    """The one line on stderr that says why there is no result."""
    sys.stderr.write(f"sagittal: {' '.join(message.split())}\n")


def check_out(out: Path) -> None:
    """Refuse an output file that cannot be written before the work that it takes.

    Raises:
        BadInput: ``out`` is a folder, or its own folder is not there or not open for writing.
    """
    try:
        if out.is_dir():
            raise BadInput(f"{out} is a folder", "a file name")
        folder = out.absolute().parent
        if not folder.is_dir():
            raise BadInput(f"{out} cannot be written: its folder does not exist")
        if not os.access(folder, os.W_OK):
            raise BadInput(f"{out} cannot be written: its folder is not open for writing")
    except OSError as error:
        raise BadInput(f"{out} cannot be written ({error.strerror})") from None


@contextlib.contextmanager
def progress(label: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr; yields ``advance(n)``. Silent when quiet or not on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(label, total=total)
        yield lambda n: bar.advance(task, n)
