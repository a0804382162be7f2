"""`sagittal zoo`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sagittal.cli.common import Device, Json, Quiet, Seed, emit
from sagittal.errors import BadInput
from sagittal.report.codec import to_json
from sagittal.zoo.card import Card
from sagittal.zoo.load import card, names

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=False)


@app.callback()
def _zoo() -> None:
    """Models: list, show."""


@app.command("list")
def list_(json: Json = False, quiet: Quiet = False, seed: Seed = 0, device: Device = "cpu") -> None:
    """Every model that can be named, and what it is for."""
    rows: list[dict[str, Any]] = []
    for name in names():
        try:
            found = card(name)
        except BadInput as error:
            rows.append({"name": name, "problem": str(error)})
            continue
        rows.append(
            {
                "name": name,
                "version": found.version,
                "licence": found.licence,
                "summary": found.summary,
                "branches": list(found.branches),
                "intended_use": found.intended_use,
            }
        )
    lines = [f"{row['name']}: {row.get('summary') or row.get('problem')}" for row in rows]
    emit({"models": rows}, "\n".join(lines), json=json)


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="Name or folder of a model.")],
    json: Json = False,
    quiet: Quiet = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """A model's card: inputs, results with intervals, data and licences, limitations."""
    found = card(model)
    emit(to_json(found), _text(found), json=json)


def _text(found: Card) -> str:
    lines = [
        f"{found.name} {found.version} · {found.licence} · {found.intended_use}",
        found.summary,
        f"{found.parameters:,} parameters · sha256 {found.digest[:16]}",
    ]
    for name, branch in found.branches.items():
        spec = branch.input
        ages = f", age {spec.age_years[0]:g}-{spec.age_years[1]:g}" if spec.age_years else ""
        views = f" {'/'.join(spec.view)}" if spec.view else ""
        lines.append(f"branch {name}: {'/'.join(spec.modality)} {spec.body_part or ''}{views}{ages}")
        if branch.labels:
            lines.append("  scores " + ", ".join(label.observation for label in branch.labels))
        if branch.masks:
            lines.append("  draws " + ", ".join(branch.masks))
    for result in found.results:
        beside = f"; {result.baseline_name} {result.baseline:.3f}" if result.baseline is not None else ""
        where = f"{result.domain}: {result.data}"
        lines.append(f"{result.measure} of {result.of}: {result.interval} on {where}{beside}")
    lines += [f"data: {use.name}, {use.licence}, n = {use.n}" for use in found.data]
    lines += [f"limitation: {text}" for text in found.limitations]
    if found.training is not None:
        usage = found.training
        lines.append(
            f"training: {usage.seconds / 60:.0f} min, {usage.energy_wh:.1f} Wh ({usage.energy_source})"
            + (f", {usage.co2e_g:.1f} g CO2e ({usage.co2e_source})" if usage.co2e_source else "")
        )
    return "\n".join(lines)
