"""Write a model folder: weights and config by the learning tower, gates, and the card last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sagittal.model import Model
from sagittal.model import save as save_weights
from sagittal.zoo.card import Card, GateCard, write_card
from sagittal.zoo.gate import Gate, save_gates


def save(folder: Path, model: Model, card: Card, gates: Mapping[str, Gate] | None = None) -> Card:
    """Save ``model`` with its card; returns the card as written, with digest and size filled in.

    Args:
        gates: branch -> gate; every branch with one must say so on the card (`GateCard`).

    Raises:
        ValueError: gates and card do not name the same branches.
    """
    gates = gates or {}
    carded = {name for name, branch in card.branches.items() if branch.gate is not None}
    if carded != set(gates):
        raise ValueError(f"card must have a gate for {sorted(gates)}, got {sorted(carded)}")
    folder.mkdir(parents=True, exist_ok=True)
    # A card names weights that are all there: it goes away first and comes back last.
    (folder / "card.json").unlink(missing_ok=True)
    digest = save_weights(model, folder)
    if gates:
        save_gates(gates, folder)
    card = replace(card, digest=digest, parameters=sum(p.numel() for p in model.parameters()))
    write_card(card, folder)
    return card


def gate_card(gate: Gate, quantile: float, n_fit: int, n_heldout: int) -> GateCard:
    """The card's line about a fitted gate."""
    return GateCard(gate.threshold, quantile, n_fit, n_heldout)
