"""`sagittal render`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sagittal.cli.common import Device, Json, Quiet, Seed, emit
from sagittal.report.codec import read_json
from sagittal.report.disclosure import disclosure, signed
from sagittal.report.phrasebook import say
from sagittal.report.reading import Reading
from sagittal.report.render import render as render_reading


def render(
    path: Annotated[Path, typer.Argument(help="A reading.json.")],
    language: Annotated[str, typer.Option(help="Language of the text: en, de, fr, es, it, tr.")] = "en",
    audience: Annotated[str, typer.Option(help="radiologist, clinician or patient.")] = "radiologist",
    style: Annotated[str, typer.Option(help="narrative, structured, bullet or impression.")] = "narrative",
    preview: Annotated[bool, typer.Option("--preview", help="Show an unsigned reading, stamped.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """A reading as text for a reader.

    Clinicians and patients get signed readings only; --preview stamps every section instead.
    """
    reading = read_json(Reading, path)
    report = render_reading(reading, language=language, audience=audience, style=style, preview=preview)
    head = [say("preview", language)] if preview and not signed(reading) else []
    # A patient's text says in its own words who wrote and who signed it.
    head += disclosure(reading, language) if audience != "patient" else []
    emit(report, "\n".join([*head, "", report.text] if head else [report.text]), json=json)
