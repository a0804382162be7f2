"""A set of texts as a finite automaton over bytes: Thompson's construction, subsets, Moore's minimum."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sagittal.decoders.pattern import Either, OneOf, Pattern, Repeat, Then
from sagittal.errors import BadInput

MAX_LETTERS, MAX_STATES = 100_000, 20_000


@dataclass(frozen=True)
class Automaton:
    """Deterministic and minimal: ``table`` (S, 256) int32, the state after a byte or -1; ``final`` (S,) bool.

    State 0 is the start; from every state a final one can be reached.
    """

    table: NDArray[np.int32]
    final: NDArray[np.bool_]

    def accepts(self, text: bytes) -> bool:
        """Whether ``text`` is one of the texts."""
        state = 0
        for byte in text:
            state = int(self.table[state, byte])
            if state < 0:
                return False
        return bool(self.final[state])


@dataclass
class _Net:
    """Thompson's automaton: from each node, the nodes reached by nothing and those reached by a byte."""

    free: list[list[int]] = field(default_factory=list)
    moves: list[list[tuple[frozenset[int], int]]] = field(default_factory=list)

    def node(self) -> int:
        if len(self.free) >= MAX_LETTERS:
            raise BadInput("the pattern is too large", f"at most {MAX_LETTERS} letters with all repetitions")
        self.free.append([])
        self.moves.append([])
        return len(self.free) - 1

    def add(self, pattern: Pattern, start: int) -> int:
        """Lay ``pattern`` from ``start``; returns where it ends."""
        if isinstance(pattern, OneOf):
            end = self.node()
            self.moves[start].append((pattern.allowed, end))
            return end
        if isinstance(pattern, Then):
            for part in pattern.parts:
                start = self.add(part, start)
            return start
        if isinstance(pattern, Either):
            end = self.node()
            for part in pattern.parts:
                first = self.node()
                self.free[start].append(first)
                self.free[self.add(part, first)].append(end)
            return end
        return self._repeat(pattern, start)

    def _repeat(self, pattern: Repeat, start: int) -> int:
        for _ in range(pattern.least):
            start = self.add(pattern.part, start)
        end = self.node()
        if pattern.most is None:
            loop = self.node()
            self.free[start].append(loop)
            self.free[self.add(pattern.part, loop)].append(loop)
            self.free[loop].append(end)
            return end
        for _ in range(pattern.most - pattern.least):
            first = self.node()
            self.free[start] += [first, end]
            start = self.add(pattern.part, first)
        self.free[start].append(end)
        return end

    def closure(self, nodes: set[int]) -> frozenset[int]:
        found, left = set(nodes), list(nodes)
        while left:
            for other in self.free[left.pop()]:
                if other not in found:
                    found.add(other)
                    left.append(other)
        # only nodes that lead on by a byte, and ends, tell states apart
        return frozenset(n for n in found if self.moves[n] or not self.free[n])


def compiled(pattern: Pattern) -> Automaton:
    """The smallest automaton of a pattern.

    Raises:
        BadInput: more than 100,000 letters or 20,000 states, or no text matches.
    """
    net = _Net()
    start = net.node()
    end = net.add(pattern, start)
    states: dict[frozenset[int], int] = {net.closure({start}): 0}
    rows: list[NDArray[np.int32]] = []
    todo = list(states)
    for state in todo:  # grows while it is walked
        targets: dict[int, set[int]] = {}
        for node in state:
            for allowed, other in net.moves[node]:
                for byte in allowed:
                    targets.setdefault(byte, set()).add(other)
        row = np.full(256, -1, np.int32)
        seen: dict[frozenset[int], int] = {}
        for byte, nodes in targets.items():
            key = frozenset(nodes)
            if key not in seen:
                after = net.closure(nodes)
                if after not in states:
                    states[after] = len(states)
                    todo.append(after)
                seen[key] = states[after]
            row[byte] = seen[key]
        rows.append(row)
        if len(states) > MAX_STATES:
            raise BadInput("the pattern is too large", f"at most {MAX_STATES} states")
    final = np.array([end in state for state in todo])
    return _minimal(np.stack(rows), final)


def _minimal(table: NDArray[np.int32], final: NDArray[np.bool_]) -> Automaton:
    """States from which the same texts are left become one (Moore 1956); dead ends go."""
    columns, of_byte = np.unique(table, axis=1, return_inverse=True)
    of_byte = of_byte.reshape(-1)
    label, count = final.astype(np.int64), 0
    while True:
        after = np.where(columns >= 0, label[columns], -1)
        _, label = np.unique(np.column_stack([label, after]), axis=0, return_inverse=True)
        label = label.reshape(-1)
        if label.max() + 1 == count:
            break
        count = int(label.max()) + 1
    first = np.full(count, len(label))
    np.minimum.at(first, label, np.arange(len(label)))
    small = np.where(columns[first] >= 0, label[columns[first]], -1)
    ends = final[first]
    alive = ends.copy()
    while True:
        more = alive | ((small >= 0) & alive[small]).any(1)
        if (more == alive).all():
            break
        alive = more
    if not alive[label[0]]:
        raise BadInput("no text matches the pattern")
    order = np.flatnonzero(alive)
    order = np.concatenate([[label[0]], order[order != label[0]]])  # the start comes first
    name = np.full(count + 1, -1, np.int32)
    name[order] = np.arange(len(order))
    return Automaton(name[small[order]][:, of_byte], ends[order])
