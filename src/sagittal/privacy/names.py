"""Names that a header states, in whatever form a text writes them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sagittal.privacy.found import Found
from sagittal.privacy.words import common, eponyms, fold, spelt_out

# Marks and invisible characters inside a word must not hide it.
_INSIDE = r"[\u0300-\u036f\u00ad\u200b-\u200d\u2060\ufeff]"
WORD = re.compile(rf"[^\W\d_](?:[^\W\d_]|{_INSIDE})*+")
_GAP = re.compile(r"[ \t,.'’^_\-\u2010-\u2015=]{1,3}|[ ,]{0,2}\n ?")
_OTHER_HALF = re.compile(r"-(?=[^\W\d_a-z])[^\W\d_]{2,40}+")
_INITIAL = re.compile(r"[^\W\d_](?![\w/])")
_SPACE = re.compile(r"\s{1,3}")
_EAST = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_POSSESSIVE = re.compile(r"['’][sS]\b")
_HONORIFICS = """
mr mrs ms miss mister dr doctor prof professor sir madam herr herrn frau doktor madame monsieur mme mlle
docteur dra sr sra srta senor senora sig sigra signor signora signore dott dottssa dottor dottoressa sayin
sn bay bayan hr fr drssa dssa don dona uzm op doc mag dipl med
"""
HONORIFICS = frozenset(_HONORIFICS.split())
_AFTER = frozenset({"bey", "hanim", "beyefendi", "hanimefendi", "md", "jr", "sr", "frcr", "mbbs", "rn"})
_PARTICLES = """
van von vom zu zum zur der den de la las le les los del della delle dello di da du des do dos das e y i al
el bin ibn ben abu ter ten te und af av mc mac o d l st san santa
"""
PARTICLES = frozenset(_PARTICLES.split())
_LABELS = """
patient patientin paciente paziente hasta name nom nombre nome adi soyadi re regarding by cc signed
dictated reviewed radiologist physician attending
"""
_LABELLED = frozenset(_LABELS.split())
_THINGS = """
s cyst cysts disease syndrome sign signs line lines lymphoma catheter fracture fractures ganz unit units
score classification node nodes tumor tumour sarcoma nodule ligament canal pouch space stage grade type
angle contusion lesion lesions index scale criteria ratio triangle point artery vein foramen duct fossa
hernia procedure operation shunt graft stent tube filter clip drain device dislocation deformity
contracture defect malformation anomaly body bodies cell cells thyroiditis esophagus oesophagus
encephalopathy aneurysm zyste syndrom krankheit zeichen linien fraktur lymphom katheter klassifikation
knoten maladie signe lignes kyste enfermedad signo quiste malattia segno cisti hastaligi sendromu kisti
bulgusu
"""
_OBJECTS = frozenset(_THINGS.split())
"""What an eponym stands before ("Baker cyst"): then it is no patient."""
_SUFFIXES = re.compile(r"n?[iu]n|[yns]?[aeiu]|[dt][ae]n?|y?l[ae]|l[ae]r|s")
"""Case endings of Turkish, folded, and the genitive of German."""
_LONG = 5


@dataclass(frozen=True)
class _Person:
    key: str
    words: frozenset[str]
    initials: frozenset[str]
    particles: frozenset[str]
    led: dict[str, int]
    """Words that particles lead, and how many: "Heide" of "von der Heide", 2."""


@dataclass
class _Index:
    """Folded word -> the persons whose name it is in, and texts to look for where no spaces stand."""

    persons: dict[str, list[_Person]] = field(default_factory=lambda: defaultdict(list))
    joined: dict[str, _Person] = field(default_factory=dict)


def _parts(name: str) -> list[str]:
    """The components of a DICOM person name (family^given^middle^prefix^suffix), or of a plain one."""
    found = []
    for group in name.split("="):
        # The 4th and 5th component are titles, and so are "Dr" and "Jr" elsewhere.
        found += [part for part in re.split(r"[,^;]", "^".join(group.split("^")[:3])) if part.strip()]
    return found


def _leading(words: Sequence[str]) -> int:
    """How many particles a component begins with."""
    return next((i for i, word in enumerate(words) if word not in PARTICLES), len(words))


def _index(names: Sequence[str]) -> _Index:
    index = _Index()
    for number, name in enumerate(names):
        parts = _parts(name)
        tokens = [[fold(m[0]) for m in WORD.finditer(part)] for part in parts]
        spelt = [[spelt_out(m[0]) for m in WORD.finditer(part)] for part in parts]
        # "Don" and "Hanim" are names where a component is nothing else.
        alone = {part[0] for part in tokens if len(part) == 1}
        words = {w for part in (*tokens, *spelt) for w in part if len(w) > 1}
        words -= (PARTICLES | HONORIFICS | _AFTER) - alone
        whole = {"".join(part) for part in (*tokens, *spelt) if len(part) > 1}
        ends = ["".join(part) for part in tokens if part]
        whole |= {a + b for a in ends for b in ends if a is not b and len(a + b) >= _LONG}
        initials = frozenset(w[0] for part in tokens for w in part if w and w not in HONORIFICS)
        particles = frozenset(w for part in tokens for w in part if w in PARTICLES)
        led = {part[n]: n for part in tokens if 0 < (n := _leading(part)) < len(part)}
        person = _Person(f"name {number}", frozenset(words | whole), initials, particles, led)
        for word in person.words:
            index.persons[word].append(person)
        for part in parts:
            if _EAST.search(part) and len(part.strip()) > 1:
                index.joined[part.strip()] = person
    return index


@dataclass(frozen=True)
class _Token:
    start: int
    end: int
    word: str
    person: _Person | None
    sure: bool


def _lookup(raw: str, index: _Index, language: str) -> _Person | None:
    word = fold(raw)
    for spelling in (word, spelt_out(raw)):
        if spelling in index.persons:
            return index.persons[spelling][0]
    if language == "tr" or word.endswith("s"):
        for cut in range(len(word) - 1, max(_LONG, len(word) - 5) - 1, -1):
            if word[:cut] in index.persons and _SUFFIXES.fullmatch(word[cut:]):
                return index.persons[word[:cut]][0]
    return None


def _always(raw: str, folded: str) -> bool:
    """Whether a word of a name is a name wherever it stands."""
    if folded in common() or folded in HONORIFICS or folded in _AFTER or folded in PARTICLES:
        return False
    if len(folded) <= 2:
        return raw[0].isupper() and not raw.isupper()
    return len(folded) > 3 or not raw.islower()


def _around(text: str, words: list[re.Match[str]], i: int, person: _Person, language: str) -> bool:
    """Whether the words around say that the word at ``i`` is a person, not a thing."""
    this = words[i]
    capital = this[0][0].isupper()
    if i + 1 < len(words):
        gap = text[this.end() : words[i + 1].start()]
        if fold(words[i + 1][0]) in _AFTER and _GAP.fullmatch(gap):
            return True
        initial = words[i + 1][0].isupper() and fold(words[i + 1][0]) in person.initials
        if (
            capital
            and initial
            and gap in (" ", ", ")
            and text[words[i + 1].end() : words[i + 1].end() + 1] == "."
        ):
            return True
    if capital and _POSSESSIVE.match(text, this.end()):
        return True
    first = i
    while first > 0 and fold(words[first - 1][0]) in person.particles:
        first -= 1
    if first == 0:
        return False
    before = words[first - 1]
    gap, said = text[before.end() : words[first].start()], fold(before[0])
    if said in ("ra", "na", "ssa") and first > 1 and text[before.start() - 1] == ".":
        # "Sig.ra", "Dott.ssa"
        said = fold(words[first - 2][0])
    if said in HONORIFICS and re.fullmatch(r"\.?\s{0,2}", gap) and (capital or len(said) > 1):
        return True
    if capital and said in _LABELLED and re.fullmatch(r"\s{0,2}[:#]?\s{0,3}", gap):
        return True
    if capital and len(before[0]) == 1 and before[0].isupper() and re.fullmatch(r"\.\s{0,2}", gap):
        return True
    # A capital in the middle of a sentence; German gives one to every noun.
    title = capital and not this[0].isupper()
    return title and language != "de" and before[0].islower() and _SPACE.fullmatch(gap) is not None


def _short_form(words: list[re.Match[str]], i: int, index: _Index) -> bool:
    """Whether two capitals are an abbreviation ("NG tube" of a Ms Ng), not a name among capitals."""
    raw = words[i][0]
    near = (words[j][0] for j in (i - 1, i + 1) if 0 <= j < len(words))
    shouted = any(w.isupper() and (len(w) > 2 or fold(w) in index.persons) for w in near)
    return len(raw) == 2 and raw.isupper() and not shouted


def _is_thing(text: str, words: list[re.Match[str]], i: int) -> bool:
    """Whether an eponym stands for what it named: "Baker's cyst", "Swan-Ganz", "Hounsfield units"."""
    if fold(words[i][0]) not in eponyms():
        return False
    end = words[i].end()
    at = i + 1
    if at < len(words) and fold(words[at][0]) == "s" and words[at].start() - end <= 1:
        end, at = words[at].end(), at + 1
    if at < len(words):
        gap, word = text[end : words[at].start()], fold(words[at][0])
        if word in _OBJECTS and word != "s" and re.fullmatch(r"[\s-]{1,2}", gap):
            return True
        if gap in ("-", "–") and word in eponyms():
            return True
    if i > 0 and text[words[i - 1].end() : words[i].start()] in ("-", "–"):
        return fold(words[i - 1][0]) in eponyms()
    before = fold(words[i - 1][0]) if i else ""
    return before in ("morbus", "mb", "sindrome", "maladie", "malattia", "enfermedad", "syndrome")


def known_names(text: str, names: Sequence[str], language: str = "") -> Iterator[Found]:
    """Where the names stand: any order, case, spelling of umlauts, initials, possessive, run together.

    A name that is also a word of reports ("Short", "Stein", "May") is taken for a person beside another
    part of the name, an initial or a title, in the possessive, after "patient" or "by", or with a capital
    in the middle of a sentence (not in German). An eponym is no person before what it named.

    Args:
        names: as a DICOM header has them ("Doe^John^^Dr") or as people write them ("Doe, John").
        language: ISO 639-1 code of the text.
    """
    index = _index(names)
    for part, person in index.joined.items():
        for match in re.finditer(re.escape(part), text):
            yield Found(match.start(), match.end(), "NAME", person.key)
    if not index.persons:
        return
    small = frozenset().union(*(p.initials | p.particles for ps in index.persons.values() for p in ps))
    words = list(WORD.finditer(text))
    tokens: list[_Token | None] = []
    for i, match in enumerate(words):
        raw, token = match[0], None
        folded = fold(raw)
        whose = _lookup(raw, index, language)
        if whose is not None and not _is_thing(text, words, i):
            sure = _always(raw, folded) or _around(text, words, i, whose, language)
            if sure or not _short_form(words, i, index):
                token = _Token(match.start(), match.end(), folded, whose, sure)
        elif folded in small and (len(folded) > 1 or _is_initial(text, match)):
            token = _Token(match.start(), match.end(), folded, None, False)
        tokens.append(token)
    for run in _runs(text, tokens):
        yield from _persons(text, run)


def _is_initial(text: str, match: re.Match[str]) -> bool:
    """Whether a letter alone may be a name's: "J", "j.", not the "s" of a possessive."""
    small = match[0].islower() and (
        text[match.end() : match.end() + 1] != "." or text[match.start() - 1] in "'’"
    )
    return not small and _INITIAL.match(text, match.start()) is not None


def _runs(text: str, tokens: list[_Token | None]) -> Iterator[list[_Token]]:
    """Tokens with nothing between them but what stands inside one name."""
    run: list[_Token] = []
    for token in tokens:
        if token is not None and run and _joined(text, run, token):
            run.append(token)
            continue
        if run:
            yield run
        run = [] if token is None else [token]
    if run:
        yield run


def _joined(text: str, run: list[_Token], token: _Token) -> bool:
    gap = text[run[-1].end : token.start]
    # A full stop ends a sentence, unless it stands after an initial.
    return _GAP.fullmatch(gap) is not None and ("." not in gap or len(run[-1].word) == 1)


def _persons(text: str, run: list[_Token]) -> Iterator[Found]:
    """The stretches of a run that are names."""
    named = [i for i, t in enumerate(run) if t.person is not None]
    if not named:
        return
    parts = {(p.key, run[i].word) for i in named if (p := run[i].person) is not None}
    several = len(parts) > len({key for key, _ in parts})
    if not several and not any(run[i].sure for i in named):
        return
    first, last = named[0], named[-1]
    owner = run[first].person
    # Particles and initials before the name belong to it, and initials after it.
    led = 0 if owner is None else owner.led.get(run[first].word, 0)
    while first > 0 and led > 0 and len(run[first - 1].word) > 1:
        first, led = first - 1, led - 1
    while first > 0 and len(run[first - 1].word) == 1 and _beside(text, run[first - 1], run[first]):
        first -= 1
    while last + 1 < len(run) and len(run[last + 1].word) == 1 and _beside(text, run[last], run[last + 1]):
        last += 1
    start, end = run[first].start, run[last].end
    if len(run[last].word) == 1 and text[end : end + 1] == ".":
        end += 1
    elif (other := _OTHER_HALF.match(text, end)) is not None:
        end = other.end()
    yield Found(start, end, "NAME", owner.key if owner is not None else "name")


def _beside(text: str, one: _Token, other: _Token) -> bool:
    """An initial beside a name: "J. Doe", "Doe, J.", "J Doe", "O'Brien"."""
    return text[one.end : other.start].strip(" ") in (".", "", "'", "’", ",", "-")
