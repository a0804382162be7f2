"""A draft's statements held against findings: what is missing, added, on the other side, of another size.

Statements and findings of one observation are paired one to one: equal ones first, then those that only
differ in what one of them leaves open, then those that differ least. A draft may say a thing twice
(findings and impression) and may say less than the evidence; it may not say less often than the
evidence counts lesions, nor anything that the evidence denies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sagittal.report.check_difference import (
    SLIP,
    alike,
    covers,
    differences,
    longest,
    one_place,
    overlap,
    unlike_sizes,
    where,
)
from sagittal.report.finding import ChangeKind, Finding, Laterality, Presence
from sagittal.report.problem import Grade, Problem, ProblemKind
from sagittal.report.render import describe
from sagittal.report.stated import stated
from sagittal.report.statement import (
    RIGHT_LEFT,
    Draft,
    Statement,
    current,
    negative,
    positive,
    sides,
)
from sagittal.report.vocabulary import observation


def against(draft: Draft, findings: Sequence[Finding], assessed: Callable[[str], bool]) -> Iterator[Problem]:
    """Problems of the draft's statements beside the findings.

    Args:
        findings: the evidence, in any order.
        assessed: whether the evidence looked for an observation; what it did not look for is no error.
    """
    evidence: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if current(finding):
            evidence[finding.observation.key].append(stated(finding))
    said: dict[str, list[Statement]] = defaultdict(list)
    for statement in draft.statements:
        if current(statement.finding):
            said[statement.key].append(statement)
    sources = {stated(f): f for f in findings}
    for key in dict.fromkeys((*evidence, *said)):
        one = _Observation(draft, key, evidence[key], said[key], assessed(key), sources)
        yield from one.problems()


@dataclass(frozen=True)
class _Observation:
    """All that is said and known of one observation."""

    draft: Draft
    key: str
    evidence: Sequence[Finding]
    said: Sequence[Statement]
    assessed: bool
    sources: Mapping[Finding, Finding]

    def problems(self) -> Iterator[Problem]:
        evidence, said = _unequal(self.evidence, self.said)
        missing = [f for f in evidence if positive(f)]
        extra = [s for s in said if positive(s.finding)]
        yield from self._one_side(missing, extra)
        yield from self._swapped(missing, extra)
        wrong = list(self._wrong_side(extra))
        missing, extra = self._compatible(missing, extra)
        while missing and extra:
            finding, statement = min(
                ((f, s) for f in missing[:_MOST] for s in extra[:_MOST]),
                key=lambda pair: len(differences(pair[0], pair[1].finding)),
            )
            missing.remove(finding)
            extra.remove(statement)
            yield from self._differs(finding, statement)
        # A finding whose statement is on the wrong side is not missing as well.
        turned = [p.finding for p in wrong]
        missing = [f for f in missing if f not in turned]
        yield from wrong
        denials = [s for s in said if negative(s.finding)]
        for finding in missing:
            yield from self._missing(finding, denials)
        for statement in extra:
            yield from self._extra(statement)
        for statement in denials:
            yield from self._denied(statement)

    def _one_side(self, missing: Sequence[Finding], extra: Sequence[Statement]) -> Iterator[Problem]:
        """What is on one side here and on both there."""
        known = _sides([f for f in self.evidence if positive(f)])
        told = _sides([s.finding for s in self.said if positive(s.finding)])
        for statement in extra:
            if sides(statement.finding) == RIGHT_LEFT and len(known) == 1:
                yield self._at(statement, ProblemKind.SIDE, f"the evidence has it only {where(known)}")
        if extra and len(told) == 1 and any(sides(f) == RIGHT_LEFT for f in missing):
            yield self._at(extra[0], ProblemKind.SIDE, "the evidence has it on both sides")

    def _swapped(self, missing: list[Finding], extra: list[Statement]) -> Iterator[Problem]:
        """The same place or size on the other side, before anything vaguer is taken for the same."""
        for finding in missing[:_MOST]:
            near = [s for s in extra[:_MOST] if alike(finding, s.finding)]
            if any(not differences(finding, s.finding) for s in near):
                continue
            for statement in near:
                different = differences(finding, statement.finding)
                if [d.kind for d in different] == [ProblemKind.SIDE]:
                    missing.remove(finding)
                    extra.remove(statement)
                    yield self._at(statement, ProblemKind.SIDE, different[0].reason, finding)
                    break

    def _wrong_side(self, extra: list[Statement]) -> Iterator[Problem]:
        """A side that no finding of that place has; findings without a side do not speak for it."""
        known = [f for f in self.evidence[:_MOST] if positive(f) and sides(f)]
        for statement in extra[:_MOST]:
            side = sides(statement.finding)
            near = [f for f in known if one_place(f, statement.finding)]
            if len(side) == 1 and near and not any(sides(f) & side for f in near):
                extra.remove(statement)
                reason = f"the evidence has it {where(sides(near[0]))}"
                yield self._at(statement, ProblemKind.SIDE, reason, near[0])

    def _compatible(
        self, missing: list[Finding], extra: list[Statement]
    ) -> tuple[list[Finding], list[Statement]]:
        """What is left after pairs that do not contradict each other."""
        left = []
        for finding in missing:
            fits = [s for s in extra[:_MOST] if not differences(finding, s.finding)]
            if fits:
                extra.remove(max(fits, key=lambda s: _shared(finding, s.finding)))
            else:
                left.append(finding)
        return left, extra

    def _differs(self, finding: Finding, statement: Statement) -> Iterator[Problem]:
        for difference in differences(finding, statement.finding):
            yield self._at(statement, difference.kind, difference.reason, finding)

    def _missing(self, finding: Finding, denials: list[Statement]) -> Iterator[Problem]:
        denial = next((s for s in denials if overlap(s.finding, finding)), None)
        if denial is not None:
            denials.remove(denial)
            reason = f"the evidence states {describe(finding)}"
            yield self._at(denial, ProblemKind.CONTRADICTION, reason, finding)
            return
        told = [s for s in self.said if positive(s.finding) and not differences(finding, s.finding)]
        if any(self._group(s) for s in told) and longest(finding) <= self._stated_size():
            return
        source = self.sources.get(finding, finding)
        # What a model only holds possible may well be dismissed by whoever writes the report.
        guessed = finding.presence is Presence.UNCERTAIN and source.probability is not None
        category = _category(source)
        words = describe(finding)
        reason = f"the evidence states {words}; the draft does not"
        if told:
            number_known = sum(positive(f) and not differences(finding, f) for f in self.evidence)
            reason = f"the evidence states {number_known} such findings ({words}); the draft {len(told)}"
        if category is not None:
            reason += f" (ACR actionable category {category})"
        end = self.draft.end("findings", "impression", "")
        grade = Grade.WARNING if guessed else Grade.ERROR
        yield Problem(ProblemKind.OMISSION, (end, end), words, reason, grade, finding)

    def _group(self, statement: Statement) -> bool:
        """Whether a statement speaks of several lesions at once."""
        finding, plural = statement.finding, observation(self.key).plural
        several = (finding.count or 1) > 1 or finding.laterality is Laterality.BILATERAL
        return several or (plural or "\0").split()[-1] in self.draft.words(statement.span).lower()

    def _stated_size(self) -> float:
        """The longest diameter in mm that the draft gives: a group of lesions ("nodules in both lungs")
        speaks for those that are not larger."""
        return max((longest(s.finding) for s in self.said if positive(s.finding)), default=0.0)

    def _extra(self, statement: Statement) -> Iterator[Problem]:
        """A statement more than there are findings: said again, or wrong, or not in the evidence."""
        known = [f for f in self.evidence[:_MOST] if positive(f)]
        if statement.finding.presence is Presence.PRESENT:
            known = [f for f in known if f.presence is Presence.PRESENT] or known
        found = [(f, differences(f, statement.finding)) for f in known]
        if any(not different for _, different in found):
            yield from self._slipped(statement)
            return
        if found:
            finding, different = min(found, key=lambda pair: len(pair[1]))
            for one in different:
                yield self._at(statement, one.kind, one.reason, finding)
            return
        denied = next((f for f in self.evidence if negative(f) and overlap(f, statement.finding)), None)
        if denied is not None:
            reason = f"the evidence states no {describe(denied)}"
            yield self._at(statement, ProblemKind.CONTRADICTION, reason, denied)
        elif self.assessed:
            yield self._at(statement, ProblemKind.INSERTION, "the evidence does not state it")
        else:
            reason = "the evidence did not assess it; nothing supports the statement"
            yield self._at(statement, ProblemKind.INSERTION, reason, grade=Grade.WARNING)

    def _slipped(self, statement: Statement) -> Iterator[Problem]:
        """A size ten times that of a finding in the same place, where a vaguer finding would let it pass."""
        for finding in (f for f in self.evidence[:_MOST] if positive(f)):
            if finding.measurements and overlap(finding, statement.finding):
                reason = next(unlike_sizes(finding.measurements, statement.finding.measurements), "")
                if SLIP in reason:
                    yield self._at(statement, ProblemKind.SIZE, reason, finding)
                    return

    def _denied(self, statement: Statement) -> Iterator[Problem]:
        gone = [f for f in self.evidence if _gone(f) and sides(f)]
        if _gone(statement.finding) and sides(statement.finding) and gone:
            # "The left catheter has been removed", where it was the right one.
            if not any(sides(f) & sides(statement.finding) for f in gone):
                reason = f"the evidence has it {where(sides(gone[0]))}"
                yield self._at(statement, ProblemKind.SIDE, reason, gone[0])
            return
        if any(negative(f) and overlap(statement.finding, f) for f in self.evidence):
            return
        known = next((f for f in self.evidence if positive(f) and covers(statement.finding, f)), None)
        if known is not None and self.draft.qualified(statement):
            return
        unknown = next((f for f in self.evidence if f.presence is Presence.NOT_ASSESSED), None)
        if known is not None:
            reason = f"the evidence states {describe(known)}"
            yield self._at(statement, ProblemKind.CONTRADICTION, reason, known)
        elif unknown is not None:
            reason = "the evidence says that it was not assessed: absence is a claim"
            yield self._at(statement, ProblemKind.NOT_ASSESSED, reason, unknown)
        elif not self.assessed:
            reason = "the evidence did not assess it: absence is a claim"
            yield self._at(statement, ProblemKind.NOT_ASSESSED, reason, grade=Grade.WARNING)

    def _at(
        self,
        statement: Statement,
        kind: ProblemKind,
        reason: str,
        finding: Finding | None = None,
        grade: Grade = Grade.ERROR,
    ) -> Problem:
        words = self.draft.words(statement.span)
        return Problem(kind, statement.span, words, reason, grade, finding or statement.finding)


_MOST = 50
"""Statements of one observation that are compared pairwise; beyond, a text is no report."""


def _unequal(evidence: Sequence[Finding], said: Sequence[Statement]) -> tuple[list[Finding], list[Statement]]:
    """What is left when equal pairs are taken out."""
    waiting: dict[Finding, int] = defaultdict(int)
    for statement in said:
        waiting[statement.finding] += 1
    left = []
    for finding in evidence:
        if waiting.get(finding, 0):
            waiting[finding] -= 1
        else:
            left.append(finding)
    others = []
    for statement in reversed(said):
        if waiting[statement.finding]:
            waiting[statement.finding] -= 1
            others.append(statement)
    return left, others[::-1]


def _gone(finding: Finding) -> bool:
    """Whether it was there before and is not now."""
    return negative(finding) and finding.change is not None and finding.change.kind is ChangeKind.RESOLVED


def _category(finding: Finding) -> int | None:
    return finding.actionable or observation(finding.observation.key).actionable


def _shared(finding: Finding, other: Finding) -> int:
    """How many details are the same in both."""
    pairs = (
        (finding.laterality, other.laterality),
        (finding.site, other.site),
        (finding.measurements, other.measurements),
        (finding.severity, other.severity),
        (finding.presence, other.presence),
        (finding.count, other.count),
    )
    return sum(one == two for one, two in pairs)


def _sides(findings: Sequence[Finding]) -> frozenset[Laterality]:
    """Sides that the findings lie on together; none where one of them does not say."""
    all_ = [sides(finding) for finding in findings]
    return frozenset().union(*all_) if all(all_) else frozenset()
