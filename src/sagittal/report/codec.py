"""Dataclasses to JSON and back, and their JSON Schema, all from the same type hints.

One codec for readings, truth files, contexts and cards: what a dataclass says is what a file holds.
Unknown keys and wrong types are refused by name, since these files come from outside.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable
from datetime import date, datetime
from enum import Enum
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from sagittal.errors import BadInput

T = TypeVar("T")
_PRIMITIVE = {str: "string", int: "integer", float: "number", bool: "boolean"}
MAX_BYTES = 64 * 2**20
"""Largest JSON file that is read."""


def to_json(value: Any) -> Any:
    """A dataclass (or tuple, dict, enum, date, number) as plain JSON values."""
    cls: type = type(value)
    return _writer(cls)(value)


@cache
def _writer(cls: type) -> Callable[[Any], Any]:
    """What makes JSON values of the values of a class."""
    if dataclasses.is_dataclass(cls):
        return _fields_writer(tuple(f.name for f in dataclasses.fields(cls)))
    if issubclass(cls, Enum):
        return attrgetter("_value_")  # `value` goes a longer way to the same
    if issubclass(cls, datetime | date):
        return lambda value: value.isoformat()
    if issubclass(cls, dict):
        return lambda value: {str(key): to_json(item) for key, item in value.items()}
    if issubclass(cls, list | tuple):
        return lambda value: [to_json(item) for item in value]
    if issubclass(cls, float):
        return lambda value: None if value != value else value
    return lambda value: value


def _fields_writer(names: tuple[str, ...]) -> Callable[[Any], dict[str, Any]]:
    """Most fields of a finding are None or text; only the others are worth a call."""
    if len(names) < 2:
        return lambda value: {name: to_json(getattr(value, name)) for name in names}
    of = attrgetter(*names)

    def written(value: Any) -> dict[str, Any]:
        found = dict(zip(names, of(value), strict=True))
        for name, item in found.items():
            if item is not None and type(item) is not str:
                found[name] = to_json(item)
        return found

    return written


def dumps(value: Any) -> str:
    """Stable, readable JSON text; never NaN."""
    return json.dumps(to_json(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def from_json(cls: type[T], value: Any, where: str = "") -> T:
    """Build ``cls`` from JSON values.

    Raises:
        BadInput: a key is unknown or missing, or a value has another type; names the place.
    """
    return typing.cast(T, _build(cls, value, where or cls.__name__))


def _build(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        rest = [arg for arg in args if arg is not type(None)]
        for arg in rest[:-1]:
            try:
                return _build(arg, value, where)
            except BadInput:
                continue
        return _build(rest[-1], value, where)
    if hint is Any:
        return value
    if origin is typing.Literal:
        if value in args:
            return value
        raise BadInput(f"{where} is {value!r}", f"one of {', '.join(map(str, args))}")
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise BadInput(f"{where} is {_name(value)}", "a list")
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_build(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        if len(args) != len(value):
            raise BadInput(f"{where} has {len(value)} entries", f"{len(args)}")
        return tuple(_build(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(args, value, strict=True)))
    if origin is dict:
        if not isinstance(value, dict):
            raise BadInput(f"{where} is {_name(value)}", "an object")
        return {str(key): _build(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return _build_dataclass(typing.cast(type, hint), value, where)
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError:
            raise BadInput(
                f"{where} is {value!r}", f"one of {', '.join(str(m.value) for m in hint)}"
            ) from None
    if hint in (date, datetime):
        try:
            return hint.fromisoformat(value)
        except (TypeError, ValueError):
            raise BadInput(f"{where} is {value!r}", "an ISO 8601 date") from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in _PRIMITIVE and (not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)):
        raise BadInput(f"{where} is {_name(value)}", f"a {_PRIMITIVE[hint]}")
    return value


def _build_dataclass(cls: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise BadInput(f"{where} is {_name(value)}", "an object")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise BadInput(f"{where} has the unknown key {unknown[0]!r}", f"only {', '.join(fields)}")
    hints = _hints(cls)
    built: dict[str, Any] = {}
    for name, spec in fields.items():
        if name in value:
            built[name] = _build(hints[name], value[name], f"{where}.{name}")
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise BadInput(f"{where} lacks the key {name!r}")
    try:
        return cls(**built)
    except ValueError as error:
        raise BadInput(f"{where}: {error}") from None


def _name(value: Any) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


def read_json(cls: type[T], path: str | Path) -> T:
    """Read one dataclass from a JSON file; BadInput in one line on anything wrong with it."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path} is larger than {MAX_BYTES // 2**20} MiB")
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON ({error})") from None
    return from_json(cls, value, str(path))


def schema(cls: type) -> dict[str, Any]:
    """JSON Schema (2020-12) of a dataclass."""
    definitions: dict[str, Any] = {}
    top = _schema(cls, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": cls.__name__,
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(arg, definitions) for arg in args]}
    if hint is type(None):
        return {"type": "null"}
    if hint is Any:
        return {}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return {"type": "array", "items": _schema(args[0], definitions)}
        return {
            "type": "array",
            "prefixItems": [_schema(arg, definitions) for arg in args],
            "minItems": len(args),
            "maxItems": len(args),
        }
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(args[1], definitions)}
    if dataclasses.is_dataclass(hint):
        cls = typing.cast(type, hint)
        if cls.__name__ not in definitions:
            definitions[cls.__name__] = {}
            hints = _hints(cls)
            definitions[cls.__name__] = {
                "type": "object",
                "properties": {f.name: _schema(hints[f.name], definitions) for f in dataclasses.fields(cls)},
                "required": [f.name for f in dataclasses.fields(cls)],
                "additionalProperties": False,
            }
        return {"$ref": f"#/$defs/{cls.__name__}"}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    if hint is datetime:
        return {"type": "string", "format": "date-time"}
    if hint is date:
        return {"type": "string", "format": "date"}
    return {"type": _PRIMITIVE[hint]}
