"""One door to every way of adapting."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sagittal.adapt.full import FullConfig, full
from sagittal.adapt.probe import probe
from sagittal.datasets.open import open_data
from sagittal.datasets.reading import checked
from sagittal.errors import BadInput
from sagittal.zoo.capability import Encodes
from sagittal.zoo.card import Card, write_card
from sagittal.zoo.load import DEFAULT, load, names

METHODS = ("probe", "full")


def adapt_to(
    data: str | Path,
    out: str | Path,
    *,
    method: str = "probe",
    base: str = DEFAULT,
    branch: str | None = None,
    epochs: int = 25,
    seed: int = 0,
    device: str = "cpu",
    advance: Callable[[int], None] | None = None,
) -> Card:
    """Fit a model to ``data`` (see `open_data`) and write its folder ``out``, whole or not at all.

    Every study is opened once before: those that cannot be read are left out, and listed among the card's
    limitations.

    Args:
        method: "probe": a linear head on the features of ``base``; "full": a small picture network
            trained from nothing.

    Raises:
        BadInput: unknown method or model, unusable data, or ``out`` exists.
    """
    out = Path(out)
    if method not in METHODS:
        raise BadInput(f"unknown method {method!r}", f"one of {', '.join(METHODS)}")
    if out.exists():
        raise BadInput(f"{out} exists already", "a folder that does not")
    if not out.absolute().parent.is_dir():
        raise BadInput(f"{out}: the folder it should lie in does not exist")
    opened, reading = checked(open_data(data))
    if not opened.labels:
        raise BadInput(f"{data} has no label to learn", "a column a label, behind study, patient and split")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        if method == "probe":
            model = load(base, device)
            if not isinstance(model, Encodes):
                raise BadInput(f"model {base} gives no features for a probe", "a model of our own family")
            card = probe(opened, model, partial, name=out.name, branch=branch, seed=seed, advance=advance)
        else:
            config = FullConfig(epochs=epochs, seed=seed)
            tick = (lambda _: advance(1)) if advance is not None else None
            card = full(opened, partial, name=out.name, config=config, report=tick)
        if reading.failed:
            card = replace(card, limitations=(*card.limitations, reading.summary))
        if card.base and base not in names():  # a name alone finds only what comes with the package
            card = replace(card, base=card.base | {"folder": str(Path(base).resolve())})
        write_card(card, partial)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return card
