"""Bring a model by name or folder."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import torch

from sagittal.errors import BadInput
from sagittal.zoo import deepbet
from sagittal.zoo.capability import Loaded
from sagittal.zoo.card import Card, read_card
from sagittal.zoo.ours import load_sagittal
from sagittal.zoo.probe import load_probe

BUNDLED = Path(__file__).parent / "weights"
"""Models that come with the package, a folder each."""
DEFAULT = "sagittal-small"


def _load_probe(folder: Path, found: Card, device: str) -> Loaded:
    base = found.base.get("folder") or found.base.get("name", "")
    return load_probe(folder, found, load(base, device), device)


FAMILIES: dict[str, Callable[[Path, Card, str], Loaded]] = {
    "sagittal": load_sagittal,
    "probe": _load_probe,
}
"""Card's ``family`` -> loader of a folder."""

INSTALLED: dict[str, tuple[Callable[[], Card], Callable[[str], Loaded]]] = {
    "deepbet": (deepbet.card, deepbet.load_deepbet),
}
"""Models whose weights come with another package: name -> (card, loader)."""


def names() -> tuple[str, ...]:
    """Names that `load` knows, bundled ones first."""
    bundled = sorted(p.parent.name for p in BUNDLED.glob("*/card.json"))
    return (*bundled, *INSTALLED)


def card(name_or_folder: str | Path) -> Card:
    """A model's card, without its weights.

    Raises:
        BadInput: there is no such model; lists those there are.
    """
    if str(name_or_folder) in INSTALLED:
        return INSTALLED[str(name_or_folder)][0]()
    return read_card(_folder(name_or_folder))


def load(name_or_folder: str | Path, device: str = "cpu") -> Loaded:
    """Load a model by name (see `names`) or from a folder with ``card.json``.

    Raises:
        BadInput: no such model, damaged files, or a device this machine lacks.
        MissingExtra: its weights come with a package that is not installed.
    """
    check_device(device)
    if str(name_or_folder) in INSTALLED:
        return INSTALLED[str(name_or_folder)][1](device)
    folder = _folder(name_or_folder)
    found = read_card(folder)
    if found.family not in FAMILIES:
        raise BadInput(
            f"{folder}: unknown model family {found.family!r}",
            f"one of {', '.join(FAMILIES)}",
            "a newer sagittal may know it",
        )
    return FAMILIES[found.family](folder, found, device)


@functools.lru_cache(maxsize=4)
def cached(name_or_folder: str, device: str = "cpu") -> Loaded:
    """`load`, kept: for a program that reads many studies with one model."""
    return load(name_or_folder, device)


def check_device(device: str) -> None:
    """Raises BadInput unless ``device`` is cpu or a CUDA device this machine has."""
    kind, _, index = device.partition(":")
    if device == "cpu":
        return
    if kind != "cuda" or (index and not index.isdigit()):
        raise BadInput(f"device {device!r} is unknown", "cpu, cuda or cuda:N")
    if not torch.cuda.is_available() or int(index or 0) >= torch.cuda.device_count():
        raise BadInput(f"device {device} is not on this machine", "cpu")


def _folder(name_or_folder: str | Path) -> Path:
    text = str(name_or_folder)
    if text in names():
        return BUNDLED / text
    folder = Path(text)
    if "\0" not in text and folder.is_dir():
        return folder
    raise BadInput(
        f"unknown model {text!r}",
        f"one of {', '.join(names())}, or a folder with card.json",
        "see: sagittal zoo list",
    )
