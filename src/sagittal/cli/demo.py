"""`sagittal demo`: sample studies, read by the bundled model, in the reading room."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagittal.cli.common import Device, Json, Quiet, Seed, emit
from sagittal.errors import SagittalError
from sagittal.optional import needs
from sagittal.settings import ServeSettings

if TYPE_CHECKING:
    from sagittal.serve.server import Running

LIMIT_SECONDS = 110.0


@dataclass(frozen=True)
class Outcome:
    """What `--check --json` prints."""

    ok: bool
    seconds: float
    steps: tuple[object, ...]


def demo(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 for any.")] = 8080,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Walk through it without a browser.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Sample studies, read by the bundled model, in the reading room."""
    for package in ("fastapi", "uvicorn", "python_multipart"):
        needs(package, feature="the reading room", extra="serve")
    from sagittal.serve.samples import fill
    from sagittal.serve.server import serving
    from sagittal.serve.worker import reader

    with (
        _ended_from_outside(),
        tempfile.TemporaryDirectory(prefix="sagittal-demo-", ignore_cleanup_errors=True) as folder,
    ):
        settings = ServeSettings(
            Path(folder), port=0 if check else port, device=device, seed=seed, teaching=True
        )
        with serving(settings, reader(settings)) as running:
            room = running.room
            broken: list[str] = []
            closing = threading.Event()

            def arrived() -> None:
                if closing.is_set():
                    raise KeyboardInterrupt
                room.worker.wake()

            def draw() -> None:
                try:
                    fill(room.store, seed=seed, arrived=arrived)
                except KeyboardInterrupt:
                    return
                except Exception as error:
                    broken.append(f"the samples could not be drawn ({type(error).__name__}: {error})")

            drawing = threading.Thread(target=draw, name="sagittal-samples", daemon=True)
            drawing.start()
            try:
                if check:
                    raise typer.Exit(_check(running, broken, json=json, quiet=quiet))
                emit(
                    {"url": running.url},
                    f"The reading room is open at {running.url} (ctrl-c closes it)",
                    json=json,
                )
                sys.stdout.flush()
                if not no_browser:
                    webbrowser.open(running.url)
                while drawing.is_alive() or not broken:
                    time.sleep(0.5)
            except KeyboardInterrupt:
                return
            finally:
                # The sample that is being drawn is finished first: what is written after the folder was
                # removed would stay.
                closing.set()
                drawing.join()
    raise SagittalError(broken[0])


@contextlib.contextmanager
def _ended_from_outside() -> Iterator[None]:
    """A closed terminal or a kill ends the demo as ctrl-c does: the samples leave with it."""
    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    signals = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = [signal.signal(number, signal.default_int_handler) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _check(running: Running, broken: list[str], *, json: bool, quiet: bool) -> int:
    from sagittal.serve.check import Check, Step
    from sagittal.serve.samples import expected

    start = time.monotonic()
    steps: list[Step] = []
    check = Check(running, expected=expected(), seconds=LIMIT_SECONDS, broken=broken)
    for step in check.steps():
        steps.append(step)
        if not json and not quiet:
            print(f"{'ok    ' if step.ok else 'FAILED'}  {step.name}: {step.detail}", flush=True)
    seconds = round(time.monotonic() - start, 1)
    ok = all(step.ok for step in steps)
    passed = sum(step.ok for step in steps)
    emit(Outcome(ok, seconds, tuple(steps)), f"{passed} of {len(steps)} steps ok in {seconds} s", json=json)
    return 0 if ok else 1
