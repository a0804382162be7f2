"""The small words that decide what a sentence says of a finding: negation, certainty, time, side,
number, severity, change. Regular expressions and their meaning; no state."""

from __future__ import annotations

import re

from sagittal.report.finding import Certainty, ChangeKind, Laterality, Severity
from sagittal.report.stated import ADJECTIVES, DESCRIBED


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(patterns) + r")\b", re.IGNORECASE)


_SEEN = (
    r"(?:seen|identified|detected|observed|noted|visuali[sz]ed|present|evident|demonstrated|found|"
    r"appreciated|apparent|shown|encountered|recorded|determined|distinguished|detectable|visible|"
    r"revealed|reported|suspected|watched|noticed|selected|viewed|monitored|discerned)"
)
_BE = r"(?:is|are|was|were|has|have|had|be|been|could|can)"

NEGATION_BEFORE = _words(
    r"no(?!\s+(?:longer|(?:\w+\s+){0,2}?change))",
    r"without(?!\s+(?:\w+\s+){0,2}?change)",
    r"w/o",
    r"negative\s+for",
    r"free\s+of",
    r"clear\s+of",
    r"absence\s+of",
    r"lack\s+of",
    r"den(?:y|ies|ied)",
    r"never",
    r"nor",
    r"neither",
    r"(?:is|are|was|were|do|does|did|has|have)\s+not\s+(?:\w+\s+)?(?:a|an|any|have|show|demonstrate|reveal|"
    r"suggest|consistent|compatible|represent)",
    r"no\s+longer\s+any",
)
_EARLIER = r"\s+(?:in|on|at)\s+(?:the\s+)?(?:\w+\s+)?(?:previous|prior|earlier|old)\b"
_NOT_BEFORE = rf"(?!{_EARLIER})"
"""Not seen on the earlier study means new, not absent."""

NEGATION_AFTER = re.compile(
    rf"\b(?:{_BE}\s+){{1,2}}(?:not|never)\s+(?:\w+\s+){{0,2}}?{_SEEN}\b{_NOT_BEFORE}"
    rf"|\bnot\s+(?:\w+ly\s+)?{_SEEN}\b{_NOT_BEFORE}|\b(?:is|are|was|were)\s+absent\b"
    rf"|\bhas\s+been\s+(?:excluded|ruled\s+out)\b|\b(?:is|are|was|were)\s+(?:excluded|ruled\s+out|negative)\b"
    rf"|\b(?:is|are)\s+(?:otherwise\s+)?(?:clear|free)\s+of\b",
    re.IGNORECASE,
)
NEGATION_END = re.compile(
    r"\b(?:except(?:\s+for)?|aside\s+from|apart\s+from|other\s+than|besides|secondary\s+to|due\s+to)\b"
    r"|\band\s+(?:there|an?|mild|moderate|severe|small|stable|unchanged|minimal|bilateral)\b",
    re.IGNORECASE,
)
FINITE = re.compile(
    rf"\b(?:is|are|was|were|has|have|had|appears?|remains?|shows?|demonstrates?)\b"
    rf"(?!\s+(?:\w+\s+){{0,2}}?{_SEEN})|\bthere\b",
    re.IGNORECASE,
)
"""A verb that begins a new statement; "was detected" closes the one before it."""
COORDINATED = re.compile(r"^\s*(?:,\s*)?(?:and|or|nor)\b", re.IGNORECASE)

NOT_ASSESSED_BEFORE = _words(
    r"not\s+assessed(?:\s+by\s+the\s+model)?\s*:",
    r"cannot\s+(?:assess|evaluate)",
    r"not\s+(?:assessed|evaluated)\s+for",
    r"limited\s+(?:assessment|evaluation)\s+(?:for|of)",
)
# A word boundary cannot follow the colon, so that form stands on its own.
NOT_ASSESSED_COLON = re.compile(r"\bnot\s+assessed(?:\s+by\s+the\s+model)?\s*:", re.IGNORECASE)
NOT_ASSESSED_AFTER = _words(
    r"(?:cannot|could\s+not|can\s+not)\s+be\s+(?:\w+ly\s+)?(?:assessed|evaluated)",
    r"(?:is|are|was|were)\s+not\s+(?:\w+ly\s+)?(?:assessed|evaluated)",
)

_CERTAINTY: tuple[tuple[Certainty | None, tuple[str, ...]], ...] = (
    (
        Certainty.CONSISTENT_WITH,
        (
            r"consistent\s+with",
            r"compatible\s+with",
            r"in\s+keeping\s+with",
            r"diagnostic\s+of",
            r"indicative\s+of",
            r"characteristic\s+of",
            r"in\s+favou?r\s+of",
        ),
    ),
    (
        Certainty.PROBABLE,
        (
            r"probabl[ey]",
            r"(?<!less )(?<!un)likely",
            r"(?<!could )suggest(?:ive\s+of|s|ing|ed)?",
            r"suspicious\s+for",
            r"worrisome\s+for",
            r"presum(?:ed|ably)",
            r"favou?rs?",
            r"favou?red",
            r"suspected",
            r"suspicion\s+of",
            r"evaluated\s+(?:as|in\s+favou?r\s+of)",
            r"thought\s+to\s+(?:be|represent)",
        ),
    ),
    (
        Certainty.POSSIBLE,
        (
            r"(?:can|could|may|might)\s+be\s+considered",
            r"could\s+suggest",
            r"difficult\s+to\s+exclude",
            r"differential(?:\s+\w+){0,2}?\s+includes?",
            r"possibl[ey]",
            r"may(?:\s+(?:be|represent|reflect))?",
            r"might",
            r"could(?!\s+not)",
            r"can\s+(?:be|represent)",
            r"questionable",
            r"question\s+of",
            r"perhaps",
            r"concern(?:ing)?(?:\s+findings?)?\s+for",
            r"versus",
            r"vs",
            r"(?:cannot|can\s+not|could\s+not)\s+(?:be\s+)?(?:entirely\s+|completely\s+|fully\s+)?"
            r"(?:be\s+)?(?:excluded?|ruled?\s+out|exclude)",
            r"not\s+(?:entirely\s+)?excluded",
        ),
    ),
    (Certainty.LESS_LIKELY, (r"less\s+likely", r"less\s+probable")),
    (Certainty.UNLIKELY, (r"unlikely", r"doubtful", r"improbable")),
    (
        None,
        (
            r"(?:is\s+)?uncertain\s+whether(?:\s+there\s+(?:is|are))?",
            r"equivocal(?:\s+for)?",
            r"unclear\s+(?:whether|if)(?:\s+there\s+(?:is|are))?",
        ),
    ),
)
CERTAINTY = tuple((word, _words(*patterns)) for word, patterns in _CERTAINTY)
CERTAINTY_AFTER = re.compile(
    r"(?:is|are|was|were|remains?|be|cannot|can\s+not|could\s+not|not)\s*$", re.IGNORECASE
)
"""What stands before a certainty word that speaks of what was named before it."""
ALWAYS_AFTER = re.compile(r"excluded|ruled\s+out|considered", re.IGNORECASE)

FAMILY = _words(r"family\s+history\s+(?:of|for)", r"(?:mother|father|sister|brother)\s+(?:has|had|with)")
HISTORICAL = _words(
    r"(?<!family )history\s+of",
    r"hx\s+of",
    r"h/o",
    r"previous(?:ly)?\s+(?:treated|diagnosed|known)",
    r"prior\s+history\s+of",
)
HYPOTHETICAL = _words(
    r"evaluat(?:e|ion)\s+for",
    r"rule\s+out",
    r"r/o",
    r"assess(?:ment)?\s+for",
    r"(?<!difficult )to\s+exclude",
    r"looking\s+for",
    r"query",
    r"clinical\s+question",
    r"if",
    r"screening\s+for",
    r"should\s+be\s+(?:considered|excluded)",
)

_SIDE_WORDS: tuple[tuple[str, Laterality], ...] = (
    (r"image[\s-]+left|left\s+(?:side\s+)?of\s+the\s+image", Laterality.IMAGE_LEFT),
    (r"image[\s-]+right|right\s+(?:side\s+)?of\s+the\s+image", Laterality.IMAGE_RIGHT),
    (
        r"bilateral(?:ly)?|both(?:\s+sides)?|either(?:\s+side)?|bibasilar|bibasal|biapical|bihilar",
        Laterality.BILATERAL,
    ),
    (r"right(?:[\s-]+sided)?|rightward", Laterality.RIGHT),
    (r"left(?:[\s-]+sided)?|leftward", Laterality.LEFT),
    (r"(?:in|of|at)\s+the\s+midline", Laterality.MIDLINE),
)
SIDES = re.compile(
    "|".join(rf"(?P<s{i}>\b(?:{words})\b)" for i, (words, _) in enumerate(_SIDE_WORDS)), re.IGNORECASE
)


def side_of(match: re.Match[str]) -> Laterality:
    """The side that a match of `SIDES` names."""
    return _SIDE_WORDS[int(str(match.lastgroup)[1:])][1]


_SEVERITY = (
    (r"mild(?:ly)?\s+to\s+moderate(?:ly)?", Severity.MODERATE),
    (r"moderate(?:ly)?\s+to\s+severe(?:ly)?", Severity.SEVERE),
    (r"mild(?:ly)?|minimal(?:ly)?|slight(?:ly)?|subtle|minor|faint", Severity.MILD),
    (r"moderate(?:ly)?(?:[\s-]+sized)?", Severity.MODERATE),
    (r"severe(?:ly)?|marked(?:ly)?|extensive|massive|gross|advanced", Severity.SEVERE),
)
_SIZED = ((r"small|tiny|trace", Severity.MILD), (r"large", Severity.SEVERE))
_GRADES = (*_SEVERITY, *_SIZED)
SEVERITY = re.compile(
    "|".join(rf"(?P<g{i}>\b(?:{words})\b)" for i, (words, _) in enumerate(_GRADES)), re.IGNORECASE
)


def severity_of(match: re.Match[str], graded_by_size: bool) -> Severity | None:
    """The grade of a match of `SEVERITY`; small and large grade only what is graded by size."""
    index = int(str(match.lastgroup)[1:])
    return _GRADES[index][1] if index < len(_SEVERITY) or graded_by_size else None


_THAN = r"(?!\s+than(?:\s{3,}|\s+\d))"
"""Sizes are blanked: "smaller than      " compares with a number, not with another day."""
_CHANGE = (
    (r"not\s+comparable(?:\s+with)?", ChangeKind.NOT_COMPARABLE),
    (
        r"no\s+longer\s+(?:seen|visible|identified|present|evident|visuali[sz]ed|demonstrated|observed)"
        r"|resolved|resolution\s+of|has\s+cleared|have\s+cleared|disappeared|completely\s+regressed|removed|removal\s+of|clearing\s+of",
        ChangeKind.RESOLVED,
    ),
    (
        r"(?:no|without)\s+(?:\w+\s+){0,2}?change|unchanged|stable|similar\s+to|persist(?:s|ent)",
        ChangeKind.STABLE,
    ),
    (
        rf"(?<!the )larger{_THAN}|increas(?:e|ed|es|ing)|worsen(?:ed|ing)|progress(?:ed|ion|ive|ing)"
        r"|bigger|grown|growth",
        ChangeKind.LARGER,
    ),
    (
        rf"(?<!the )smaller{_THAN}|decreas(?:e|ed|es|ing)|improv(?:ed|ing|ement)|reduced|reduction"
        r"|regress(?:ed|ion)|diminished",
        ChangeKind.SMALLER,
    ),
    (rf"new(?:ly)?(?!\s+york)|not\s+(?:\w+ly\s+)?{_SEEN}{_EARLIER}", ChangeKind.NEW),
)
CHANGE = re.compile(
    "|".join(rf"(?P<c{i}>\b(?:{words})\b)" for i, (words, _) in enumerate(_CHANGE)), re.IGNORECASE
)


def change_of(match: re.Match[str]) -> ChangeKind:
    """The kind that a match of `CHANGE` names."""
    return _CHANGE[int(str(match.lastgroup)[1:])][1]


_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
COUNT = re.compile(
    r"(?<![\w.,/-])(?P<n>\d{1,3}|" + "|".join(_NUMBERS) + r"|single|solitary)"
    r"(?!\s*(?:mm|cm|ml|x|×|%|st|nd|rd|th|months?|weeks?|days?|years?|hours?)\b|[.,/-]?\d|\s*[-×/%.])"
    r"(?:\s+(?:areas?|foci|focus|regions?)\s+of)?\b",
    re.IGNORECASE,
)


def count_of(match: re.Match[str]) -> int:
    """The number that a match of `COUNT` names."""
    word = match["n"].lower()
    if word in ("single", "solitary"):
        return 1
    return _NUMBERS.index(word) + 1 if word in _NUMBERS else int(word)


ADJECTIVE = re.compile(
    r"\b(?:"
    + "|".join(re.escape(a).replace(r"\-", r"[\s-]+") for a in sorted(ADJECTIVES, key=len, reverse=True))
    + r")\b",
    re.IGNORECASE,
)


def adjective_of(match: re.Match[str]) -> tuple[str, str]:
    """Attribute name and value of a match of `ADJECTIVE`."""
    value = "-".join(re.split(r"[\s-]+", match[0].lower()))
    return ADJECTIVES[value], value


def describes(key: str) -> bool:
    """Whether such adjectives describe the observation of that key."""
    return key in DESCRIBED


_NORMAL = (
    r"(?:normal|unremarkable|clear|within\s+(?:the\s+)?normal\s+(?:limits|range)|not\s+enlarged|"
    r"natural|sharp|intact|not\s+widened|stable\s+and\s+normal)"
)
_SUBJECTS: tuple[tuple[str, str], ...] = (
    (
        "cardiomegaly",
        r"heart(?:\s+(?:size|contours?|shadow))?|cardiac\s+(?:silhouette|size|contours?|shadow)|"
        r"cardiomediastinal\s+(?:silhouettes?|contours?)|heart\s+and\s+mediastin\w+|cardiac(?=\s+and\s+mediastinal)|heart\s+contour,\s+size",
    ),
    (
        "widened_mediastinum",
        r"mediastinum|mediastinal\s+(?:silhouette|contours?|width|size)|"
        r"cardiomediastinal\s+(?:silhouettes?|contours?)",
    ),
    ("opacity", r"lungs?(?:\s+fields?)?|lung\s+parenchyma|both\s+lungs"),
    ("pleural_effusion", r"pleural\s+(?:spaces?|cavit\w+)|costophrenic\s+(?:angles?|sulc\w+)|pleura"),
    ("hilar_enlargement", r"hil(?:a|um)|hilar\s+(?:contours?|structures?)"),
)
_VERB = "is|are|was|were|appears?|remains?|have|has|shows?|with"
NORMAL_AFTER = re.compile(
    rf"(?:,?\s+(?!(?:{_VERB})\b)[\w/-]+){{0,6}}?,?\s+(?:(?:{_VERB})\s+)?(?:(?!otherwise|not\b|ab)\w+\s+){{0,2}}?"
    rf"{_NORMAL}\b(?!\s+(?:of|variant))",
    re.IGNORECASE,
)
PART = re.compile(r"\s+(?:bases?|apex|apices|apical|periphery|zones?|lobes?|bases)\b", re.IGNORECASE)
ONE_SIDE = re.compile(r"\b(right|left)\s+$", re.IGNORECASE)
NORMAL_BEFORE = re.compile(r"\b(?:normal|clear|unremarkable)\s+(?:\w+\s+)?$", re.IGNORECASE)
SUBJECTS = tuple((key, re.compile(rf"\b(?:{words})\b", re.IGNORECASE)) for key, words in _SUBJECTS)
