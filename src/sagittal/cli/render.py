"""`sagittal render`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sagittal.cli.common import Device, Json, Quiet, Seed, complain, emit
from sagittal.report.codec import read_json, to_json
from sagittal.report.disclosure import disclosure, signed
from sagittal.report.known import check_known
from sagittal.report.parted import parted
from sagittal.report.phrasebook import say
from sagittal.report.reading import Reading
from sagittal.report.render import render as render_reading


def render(
    path: Annotated[Path, typer.Argument(help="A reading.json.")],
    language: Annotated[str, typer.Option(help="Language of the text: en, de, fr, es, it, tr.")] = "en",
    audience: Annotated[str, typer.Option(help="radiologist, clinician or patient.")] = "radiologist",
    style: Annotated[str, typer.Option(help="narrative, structured, bullet or impression.")] = "narrative",
    preview: Annotated[bool, typer.Option("--preview", help="Show an unsigned reading, stamped.")] = False,
    writer: Annotated[
        Path | None,
        typer.Option(help="A language model for the wording: .gguf, folder, or JSON with url and model."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """A reading as text for a reader.

    Clinicians and patients get signed readings only; --preview stamps every section instead. --writer words
    findings and impression; every sentence is checked against the findings, and the grammar's stands where
    one fails. An endpoint gets de-identified text only.
    """
    reading = read_json(Reading, path)
    check_known(reading, str(path))
    if (difference := parted(reading)) is not None and not signed(reading) and reading.report.sections:
        complain(f"{path}: drawn up again from the findings, since {difference} in the stored text")
    report = render_reading(reading, language=language, audience=audience, style=style, preview=preview)
    document: Any = report
    if writer is not None:
        from sagittal.tasks.report import reword
        from sagittal.zoo.writer import open_writer

        model = open_writer(writer)
        report, texts = reword(
            reading, model, language=language, audience=audience, style=style, preview=preview
        )
        document = {**to_json(report), "written": texts}
        for note in dict.fromkeys(note for text in texts for note in text.notes):
            complain(f"{model.name}: {note}")
    head = [say("preview", language)] if preview and not signed(reading) else []
    # A patient's text says in its own words who wrote and who signed it.
    head += disclosure(reading, language) if audience != "patient" else []
    emit(document, "\n".join([*head, "", report.text] if head else [report.text]), json=json)
