"""Options every verb shares, and the one place that writes to stdout."""

from __future__ import annotations

import contextlib
import json as _json
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from sagittal.report.codec import to_json

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:N.")]


def emit(document: Any, text: str, *, json: bool) -> None:
    """Print a result: ``document`` (dataclasses welcome) as JSON, or ``text`` for people."""
    if json:
        sys.stdout.write(_json.dumps(to_json(document), ensure_ascii=False, allow_nan=False) + "\n")
    else:
        sys.stdout.write(text.rstrip("\n") + "\n")


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
