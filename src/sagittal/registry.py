"""What other packages bring: entry points, and what a program registers while it runs.

A plug-in belongs to a group. A package brings one by an entry point in its own pyproject.toml,

    [project.entry-points."sagittal.metrics"]
    my_metric = "my_package.metrics:MY_METRIC"

a program by `register`. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from sagittal.errors import BadInput

T = TypeVar("T")
GROUPS = {"metrics": "sagittal.metrics"}
"""Group -> its entry-point group. A group appears here with the first thing that reads it."""

_HERE: dict[str, dict[str, object]] = {}


def _group(group: str) -> str:
    if group not in GROUPS:
        raise ValueError(f"group must be one of {', '.join(GROUPS)}, got {group!r}")
    return GROUPS[group]


@cache
def _installed(group: str) -> dict[str, EntryPoint]:
    # Once a process: looking through every installed package takes a tenth of a second.
    return {point.name: point for point in entry_points(group=_group(group))}


def register(group: str, name: str, thing: object) -> None:
    """Make ``thing`` known in this process.

    Raises:
        ValueError: the group is unknown, or the name is taken; `forget` it first.
    """
    if name in names(group):
        raise ValueError(f"{group} already has {name!r}")
    _HERE.setdefault(group, {})[name] = thing


def forget(group: str, name: str) -> None:
    """Undo `register`; what a package brings stays. KeyError where nothing was registered."""
    del _HERE.get(group, {})[name]


def names(group: str) -> tuple[str, ...]:
    """Names of the plug-ins of a group, sorted; none is imported."""
    return tuple(sorted({*_installed(group), *_HERE.get(group, {})}))


def load(group: str, name: str, cls: type[T]) -> T:
    """The plug-in of that name.

    Raises:
        BadInput: there is none of that name, it cannot be imported, or it is no ``cls``.
    """
    here = _HERE.get(group, {})
    if name in here:
        thing, origin = here[name], "registered in this process"
    else:
        point = _installed(group).get(name)
        if point is None:
            raise BadInput(
                f"no plug-in {name!r} in {group}", f"one of {', '.join(names(group)) or 'none is installed'}"
            )
        origin = f"{point.value} of {point.dist.name if point.dist else 'an unknown package'}"
        try:
            thing = point.load()
        # Whatever a stranger's module raises while it is imported is a fact about that package.
        except Exception as error:
            raise BadInput(
                f"plug-in {name!r} ({origin}) cannot be loaded ({type(error).__name__}: {error})"
            ) from error
    if not isinstance(thing, cls):
        raise BadInput(f"plug-in {name!r} ({origin}) is a {type(thing).__name__}", f"a {cls.__name__}")
    return thing
