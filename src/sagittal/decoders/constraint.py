"""Constrained writing: which token may come next, so that the text stays in a given language.

constraint = of_texts(tokenized answers, vocabulary, end)              # one of these texts
constraint = of_automaton(compiled(parsed("...")), tokenizer.pieces(), end)  # any text of this grammar

What is allowed depends on the tokens so far and on how many may still come, never on the weights: a text
that is begun can always be ended in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sagittal.decoders.automaton import Automaton
from sagittal.errors import BadInput

MAX_ENTRIES = 100_000_000


@dataclass(frozen=True)
class Constraint:
    """A finite automaton over tokens.

    Attributes:
        table: (S, V) int32, the state after a token; -1 where it may not come. State 0 is the start; the end
            token leads to a state from which nothing leads.
        left: (S,) int64, how many tokens it takes at least to the end, the end token included.
    """

    table: Tensor
    left: Tensor

    def to(self, device: torch.device) -> Constraint:
        """The constraint where the decoder is."""
        return Constraint(self.table.to(device), self.left.to(device))

    def begin(self, batch: int) -> Tensor:
        """States (B,) before the first token."""
        return torch.zeros(batch, dtype=torch.int64, device=self.table.device)

    def allowed(self, states: Tensor, most: int) -> Tensor:
        """(B, V) bool: tokens after which the text can still be ended within ``most``, this one included."""
        after = self.table[states].long()
        return (after >= 0) & (self.left[after.clamp(min=0)] < most)

    def step(self, states: Tensor, ids: Tensor) -> Tensor:
        """States (B,) after tokens ids (B,); a row that has ended stays anywhere."""
        return self.table[states, ids].long().clamp(min=0)

    def fits(self, most: int) -> None:
        """Raise BadInput where no text is short enough for ``most`` tokens."""
        if int(self.left[0]) > most:
            raise BadInput(
                f"the shortest allowed text takes {int(self.left[0])} tokens",
                f"room for that many, got {most}",
            )


def of_texts(texts: Sequence[Sequence[int]], vocabulary: int, end: int) -> Constraint:
    """Exactly one of ``texts``, each a row of token ids without start and end: a trie.

    Raises:
        BadInput: no text, or too many.
    """
    rows: list[dict[int, int]] = [{}]
    ends: list[int] = []
    for text in texts:
        state = 0
        for token in text:
            if token not in rows[state]:
                rows[state][token] = len(rows)
                rows.append({})
            state = rows[state][token]
        ends.append(state)
    if not ends:
        raise BadInput("no text is allowed", "at least one")
    _bounded(len(rows), vocabulary)
    table = np.full((len(rows) + 1, vocabulary), -1, np.int32)
    for state, row in enumerate(rows):
        for token, after in row.items():
            table[state, token] = after
    table[ends, end] = len(rows)
    return _constraint(table)


def of_automaton(automaton: Automaton, pieces: Sequence[bytes], end: int) -> Constraint:
    """Any text of ``automaton`` behind one blank, cut into tokens in any way.

    Args:
        pieces: the bytes of each id (`Tokenizer.pieces`); empty for ids that are no text. Every text begins
            with a blank because the tokenizer puts one there; `Tokenizer.decode` takes it away again. Write
            the grammar as the tokenizer leaves texts (`Tokenizer.normal`: lower case), or the decoder has to
            spell what it never read.

    Raises:
        BadInput: too many states for the vocabulary, or no text can be made of the pieces.
    """
    states, vocabulary = len(automaton.table), len(pieces)
    _bounded(states, vocabulary)
    # two more states: 0 is before the blank, the last one stands for -1
    dead = states + 1
    table = np.full((states + 2, 256), dead, np.int32)
    table[1:dead] = np.where(automaton.table >= 0, automaton.table + 1, dead)
    table[0, ord(" ")] = 1
    longest = max(map(len, pieces))
    letters = np.zeros((vocabulary, longest), np.int64)
    sizes = np.array([len(piece) for piece in pieces])
    for index, piece in enumerate(pieces):
        letters[index, : len(piece)] = list(piece)
    after = np.repeat(np.arange(dead, dtype=np.int32)[:, None], vocabulary, axis=1)
    for place in range(longest):
        there = np.flatnonzero(sizes > place)
        after[:, there] = table[after[:, there], letters[there, place]]
    after[:, sizes == 0] = dead
    made = np.full((dead + 1, vocabulary), -1, np.int32)
    made[:dead] = np.where(after == dead, -1, after)
    made[np.flatnonzero(automaton.final) + 1, end] = dead
    return _constraint(made)


def _bounded(states: int, vocabulary: int) -> None:
    if states * vocabulary > MAX_ENTRIES:
        raise BadInput(
            f"the constraint has {states} states", f"at most {MAX_ENTRIES // vocabulary} with these tokens"
        )


def _constraint(table: NDArray[np.int32]) -> Constraint:
    """The last state of ``table`` is the one behind the end token."""
    origin, token = np.nonzero(table >= 0)
    pairs = np.unique(origin * np.int64(len(table)) + table[origin, token])
    origin, after = pairs // len(table), pairs % len(table)
    far = np.iinfo(np.int64).max // 2
    left = np.full(len(table), far, np.int64)
    left[-1] = 0
    while True:
        better = left.copy()
        np.minimum.at(better, origin, left[after] + 1)
        if (better == left).all():
            break
        left = better
    if left[0] >= far:
        raise BadInput("no allowed text can be made of the tokens", "tokens for every letter of it")
    return Constraint(torch.from_numpy(table), torch.from_numpy(left))
