"""A recipe: one file, one run. A frozen dataclass `Recipe`, all of it with defaults, and a function `run`.

    def run(recipe: Recipe, folder: Path, *, report, world) -> Path | None

``report`` takes the `Progress` of `fit`; ``world`` is who trains together (a recipe that does not ask for it
runs in one process only). What it returns is the folder of a model with its card, or None. Running it
again goes on where it stood.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import hashlib
import importlib.util
import inspect
import json
import math
import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sagittal.errors import BadInput
from sagittal.layers.weights import write_atomic
from sagittal.meter import Usage, metered, total
from sagittal.report.codec import dumps, read_json, to_json
from sagittal.training.distributed import World
from sagittal.training.loop import Progress
from sagittal.zoo.card import read_card, write_card

SETTINGS, USAGE, CURVE = "recipe.json", "usage.json", "progress.jsonl"
UNREADABLE = "unreadable.jsonl"
"""The log of `stream.Tolerant` in a run's folder: what it could not use, named at its end."""


@dataclass(frozen=True)
class Loaded:
    """A recipe file: its name, its default settings (a dataclass), its function and its digest."""

    name: str
    settings: Any
    run: Callable[..., Path | None]
    digest: str


def open_recipe(path: Path) -> Loaded:
    """Import a recipe file; it may import its neighbours.

    Raises:
        BadInput: it is no file, cannot be imported, or lacks `Recipe` or `run`.
    """
    if not path.is_file():
        raise BadInput(f"{path} is no file", "a recipe, such as recipes/toy.py")
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path} is no Python file", "a recipe, such as recipes/toy.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    neighbours = str(path.resolve().parent)
    if neighbours not in sys.path:
        sys.path.insert(0, neighbours)
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ImportError, NameError) as error:
        raise BadInput(f"{path} cannot be imported: {error}") from error
    recipe, run = getattr(module, "Recipe", None), getattr(module, "run", None)
    if not (dataclasses.is_dataclass(recipe) and isinstance(recipe, type)) or not callable(run):
        raise BadInput(f"{path} is no recipe", "a dataclass Recipe and a function run(recipe, folder, …)")
    return Loaded(path.stem, recipe(), run, hashlib.sha256(path.read_bytes()).hexdigest())


def changed(settings: Any, assignments: Sequence[str]) -> Any:
    """The dataclass with ``name=value`` applied, read as the field's type; ``inner.name`` reaches inside.

    Lists are separated by commas, None is ``none``.

    Raises:
        BadInput: no ``=``, an unknown name (the nearest is named), a value of another type.
    """
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise BadInput(f"--set {assignment}", "name=value")
        settings = _with(settings, name.strip().split("."), text.strip(), name.strip())
    return settings


def _with(settings: Any, path: list[str], text: str, name: str) -> Any:
    names = [field.name for field in dataclasses.fields(settings)]
    if path[0] not in names:
        near = difflib.get_close_matches(path[0], names, n=1, cutoff=0.5)
        fix = f"did you mean {near[0]}?" if near else ""
        raise BadInput(f"--set {name}: there is no {path[0]!r}", f"one of {', '.join(names)}", fix)
    if len(path) > 1:
        inner = getattr(settings, path[0])
        if not dataclasses.is_dataclass(inner):
            raise BadInput(f"--set {name}: {path[0]} has no parts", "name=value")
        value: Any = _with(inner, path[1:], text, name)
    else:
        value = _value(get_type_hints(type(settings))[path[0]], text, f"--set {name}={text[:80]}")
    try:
        return replace(settings, **{path[0]: value})
    except ValueError as error:
        raise BadInput(f"--set {name}={text[:80]}: {error}") from None


def _value(hint: Any, text: str, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if type(None) in arguments and text.lower() == "none":
            return None
        rest = [argument for argument in arguments if argument is not type(None)]
        if len(rest) == 1:
            return _value(rest[0], text, where)
    if origin is Literal:
        known = {str(argument): argument for argument in arguments}
        if text not in known:
            raise BadInput(where, f"one of {', '.join(known)}")
        return known[text]
    if origin is tuple:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        hints = arguments[:1] * len(parts) if arguments[-1] is Ellipsis else arguments
        if len(hints) != len(parts):
            raise BadInput(where, f"{len(hints)} values with commas between")
        return tuple(_value(inner, part, where) for inner, part in zip(hints, parts, strict=True))
    if hint is bool:
        if text.lower() not in ("true", "false"):
            raise BadInput(where, "true or false")
        return text.lower() == "true"
    if hint in (int, float):
        try:
            number = hint(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise BadInput(where, "a whole number" if hint is int else "a number")
        return number
    if hint is str:
        return text
    raise BadInput(where, "a setting that is a number, a text, true or false, or a list of them")


def run_recipe(
    recipe: Loaded,
    settings: Any,
    folder: Path,
    *,
    report: Callable[[Progress], None] | None = None,
    world: World | None = None,
    country: str | None = None,
) -> tuple[Path | None, Usage]:
    """Run it, or go on with it; (the model's folder or None, what it took, over all calls).

    Beside the weights: the settings (`recipe.json`), the losses (`progress.jsonl`), and what was used so far
    (`usage.json`), which also goes onto the model's card, where the recipe has written none.

    Args:
        country: three letters (ISO 3166), for codecarbon; see `sagittal.meter`.

    Raises:
        BadInput: the folder holds a run with other settings; or several processes and a recipe for one.
    """
    world = world or World()
    takes = inspect.signature(recipe.run).parameters
    if world.size > 1 and "world" not in takes:
        raise BadInput(f"recipe {recipe.name} runs in one process", fix="start it without torchrun")
    first = world.rank == 0
    if first:
        _claim(folder, recipe, settings)
    world.barrier()

    def tell(progress: Progress) -> None:
        with (folder / CURVE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(progress)) + "\n")
        if report is not None:
            report(progress)

    more = {"report": tell, "world": world}
    used = Usage()
    before = [read_json(Usage, folder / USAGE)] if first and (folder / USAGE).exists() else []
    with metered(country if first else None) as meter:
        try:
            model = recipe.run(settings, folder, **{name: more[name] for name in more if name in takes})
        finally:
            if first:  # also of a call that was stopped
                used = total([*before, _of_all(meter.stop(), world)])
                write_atomic(folder / USAGE, dumps(used).encode())
    if first and model is not None and (model / "card.json").exists():
        card = read_card(model)
        if card.training is None:
            write_card(replace(card, training=used), model)
    return model, used


@contextlib.contextmanager
def spent(path: Path) -> Iterator[None]:
    """What a part of a run takes, also one that is stopped, added to what is in ``path`` of calls before."""
    before = [read_json(Usage, path)] if path.exists() else []
    with metered() as meter:
        try:
            yield
        finally:
            write_atomic(path, dumps(total([*before, meter.stop()])).encode())


def _of_all(usage: Usage, world: World) -> Usage:
    """What all processes took, if the others took as much as this one; a measured machine is counted once."""
    if world.size == 1:
        return usage
    measured = usage.energy_source.startswith("measured")
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if measured else 1
    times = max(1, world.size // here)
    return replace(
        usage,
        cpu_seconds=usage.cpu_seconds * world.size,
        energy_wh=usage.energy_wh * times,
        co2e_g=usage.co2e_g * times,
        energy_source=f"{usage.energy_source}, x {times}",
    )


def _claim(folder: Path, recipe: Loaded, settings: Any) -> None:
    """Write the settings, or see that they are those of the run that is there."""
    wanted = {"recipe": recipe.name, "digest": recipe.digest, "settings": to_json(settings)}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SETTINGS
    if path.exists():
        try:
            there = json.loads(path.read_text("utf-8"))
            old, name = dict(there["settings"]), there["recipe"]
        except (ValueError, KeyError, TypeError):
            raise BadInput(f"{path} cannot be read", fix="choose another --out") from None
        if name != recipe.name:
            raise BadInput(f"{folder} holds a run of recipe {name}", fix="choose another --out")
        new = json.loads(dumps(settings))
        differ = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        if differ:
            was = f"{differ[0]}={old.get(differ[0])}"
            raise BadInput(
                f"{folder} holds a run with other settings: {', '.join(differ)}", was, "choose another --out"
            )
    write_atomic(path, dumps(wanted).encode())
