"""Frozen configuration dataclasses to JSON and back, strictly: a file from outside may say anything."""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sagittal.errors import BadInput

LARGEST = 1_000_000
DEEPEST = 64
T = TypeVar("T")


def shallow(where: str, depths: Sequence[int]) -> None:
    """Refuse a network deeper than any we would build: building it would take minutes before it fails.

    Raises:
        BadInput: more than 64 entries, or one outside 0..64.
    """
    if len(depths) > DEEPEST or any(not 0 <= depth <= DEEPEST for depth in depths):
        raise BadInput(f"{where} is {str(list(depths))[:80]}", f"at most {DEEPEST} of 0 to {DEEPEST} each")


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass as JSON-ready dictionaries and lists."""
    return dataclasses.asdict(config)


def from_json(kind: type[T], value: Any, where: str = "config") -> T:
    """Build the dataclass ``kind`` from parsed JSON.

    Raises:
        BadInput: an unknown or missing key (the nearest valid one is named), a value of another type, an
            integer beyond a million.
    """
    return _dataclass(kind, value, where)


def _dataclass(kind: type[Any], value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise BadInput(f"{where} is {type(value).__name__}", "an object")
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in value:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            raise BadInput(
                f"{where} has the unknown key {str(key)[:80]!r}",
                f"one of {', '.join(fields)}",
                f"did you mean {near[0]!r}?" if near else "",
            )
    for name, field in fields.items():
        optional = (
            field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        )
        if name not in value and not optional:
            raise BadInput(f"{where} lacks the key {name!r}")
    return kind(**{key: _value(hints[key], item, f"{where}.{key}") for key, item in value.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint, value, where)
    if origin in (Union, types.UnionType):
        return _union(arguments, value, where)
    if origin is Literal:
        if value not in arguments:
            raise BadInput(f"{where} is {str(value)[:80]!r}", f"one of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple and isinstance(value, list | tuple):
        if arguments[-1] is not Ellipsis and len(arguments) != len(value):
            raise BadInput(f"{where} has {len(value)} entries", f"{len(arguments)}")
        hints = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        pairs = enumerate(zip(hints, value, strict=True))
        return tuple(_value(inner, item, f"{where}[{index}]") for index, (inner, item) in pairs)
    if origin is dict and isinstance(value, dict):
        return {str(key): _value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return value
    if hint in (str, bool) and isinstance(value, hint):
        return value
    name = getattr(hint, "__name__", str(hint))
    raise BadInput(f"{where} is {str(value)[:80]!r}", f"{name} (integers at most {LARGEST})")


def _union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    """None, or the dataclass whose ``kind`` the value names."""
    if value is None and type(None) in options:
        return None
    options = tuple(option for option in options if option is not type(None))
    if len(options) == 1:
        return _value(options[0], value, where)
    named = {option.kind: option for option in options}
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in named:
        raise BadInput(f"{where} has kind {str(kind)[:80]!r}", f"one of {', '.join(named)}")
    return _dataclass(named[kind], value, where)
