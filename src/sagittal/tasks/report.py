"""How a language model is used on reports, and how it is kept to the findings.

Polish, translate, simplify, summarise, answer: the grammar's own sentences go out, what comes back is
checked against them (`tasks.supported`), and whatever fails is replaced by the grammar's text, with a
note. Without a model, or with one that is silent, broken or obeys somebody else, the result is the
grammar's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sagittal.report.draft import ordered
from sagittal.report.finding import Finding, Presence
from sagittal.report.parse import parse
from sagittal.report.reading import ModelUse, Reading, Rewording
from sagittal.report.render import render
from sagittal.report.report import Report, Section, Sentence
from sagittal.report.stated import stated
from sagittal.report.summarise import impression
from sagittal.tasks.simple import entries, rewordable, simplified
from sagittal.tasks.supported import Removed, Statement, checked, wording
from sagittal.tasks.writer import Known, ask, known_of, model_use
from sagittal.zoo.capability import Writes

WORDED = ("findings", "impression")
"""Sections a language model may word; the others are data and stay as they are."""
MARK = "- "
"""What the style "bullet" puts before a sentence."""
NOTHING = "there is nothing that a language model may word"

Context = Mapping[str, str | Sequence[str]]
"""Indication, notes, headers, earlier reports, by name; shown to a model as data."""


@dataclass(frozen=True)
class Written:
    """A text whose every statement a finding supports.

    Args:
        sentences: the text, each with the tracking UIDs of the findings it states.
        removed: what the language model said that no finding supports; not in the text.
        restored: what it left out or got wrong, put back in the grammar's words; in the text.
        notes: why an answer was not used, or what was wrong with it.
        writer: the model that was asked, None where none was.
        prompts: what it was sent, instructions first.
        section: of the report it stands in, "" where in none.
        used: whether some of it stands in the model's words.
    """

    task: str
    language: str
    sentences: tuple[Sentence, ...]
    removed: tuple[Removed, ...] = ()
    restored: tuple[Sentence, ...] = ()
    notes: tuple[str, ...] = ()
    writer: ModelUse | None = None
    prompts: tuple[str, ...] = ()
    section: str = ""
    used: bool = False

    @property
    def text(self) -> str:
        return "\n".join(sentence.text for sentence in self.sentences)


@dataclass(frozen=True)
class _Job:
    """What is asked of whom, and how an answer is read again."""

    task: str
    writer: Writes | None
    language: str
    known: Known | None
    context: Context
    exact: bool = True

    def read(self, text: str) -> list[Finding]:
        return parse(text, language=self.language)

    def statements(self, sentences: Sequence[Sentence]) -> list[Statement]:
        """Sentences with what they state; one in which nothing is read stays as it is."""
        return [Statement(s, tuple(self.read(s.text))) for s in sentences]

    def faithful(self, findings: Sequence[Finding]) -> list[Statement]:
        """The grammar's sentence of each finding. One that does not read back as its finding could not
        be checked: it stays as it is."""
        made = self.statements(render(findings, language=self.language))
        pairs = zip(made, findings, strict=True)
        return [s if list(s.findings) == [stated(f)] else Statement(s.sentence) for s, f in pairs]

    def written(self, statements: Sequence[Statement], material: Sequence[str] = ()) -> Written:
        """The statements in the model's words; what is not supported removed, what is missing put back.

        Args:
            material: what the model gets instead of the statements' own text.
        """
        own = tuple(s.sentence for s in statements if s.required or not s.findings)
        result = Written(self.task, self.language, own)
        told = [s.sentence.text for s in statements if s.findings]
        if not told:
            return replace(result, notes=(NOTHING,))
        parts = {**self.context, "statements": list(material or told)}
        asked = ask(self.writer, self.task, parts, language=self.language, known=self.known)
        used = model_use(self.writer) if self.writer else None
        result = replace(result, notes=asked.notes, prompts=asked.prompts, writer=used)
        if asked.answer is None:
            return result
        done = checked(asked.answer, statements, self.read, language=self.language, exact=self.exact)
        result = replace(result, removed=done.removed)
        if self.exact and self._said(done.sentences) != self._said(own):
            note = "read as a whole, the answer stated something else and was not used"
            return replace(result, notes=(*result.notes, note))
        stands = not set(done.sentences) <= set(own)
        return replace(result, sentences=done.sentences, restored=done.restored, used=stands)

    def _said(self, sentences: Sequence[Sentence]) -> Counter[Finding]:
        return Counter(self.read("\n".join(s.text for s in sentences)))


def polish(
    findings: Sequence[Finding],
    writer: Writes | None,
    *,
    language: str = "en",
    known: Known | None = None,
    context: Context | None = None,
) -> Written:
    """The findings as fluent sentences for a radiologist: all of them and nothing else.

    Args:
        writer: None: the grammar's own sentences.
        known: the patient, for de-identification before anything leaves.

    Raises:
        BadInput: the language is not there.
        KeyError: a finding outside the vocabulary.
    """
    job = _Job("polish", writer, language, known, context or {})
    return job.written(job.faithful(findings))


def translate(
    findings: Sequence[Finding],
    writer: Writes | None,
    *,
    language: str,
    known: Known | None = None,
    context: Context | None = None,
) -> Written:
    """The findings in another language: the model translates the English sentences, its translation is
    read again in that language, and gaps are filled by the grammar's. Else as `polish`."""
    job = _Job("translate", writer, language, known, context or {})
    return job.written(job.faithful(findings), [s.text for s in render(findings)])


def summarise(
    findings: Sequence[Finding],
    writer: Writes | None,
    *,
    language: str = "en",
    known: Known | None = None,
    context: Context | None = None,
) -> Written:
    """An impression: at least what `report.summarise` says, in the model's words where they hold.

    Place, looks, grade and number may be left out; presence, certainty, side and size may not. Else as
    `polish`.
    """
    job = _Job("summarise", writer, language, known, context or {}, exact=False)
    own = job.statements(impression(findings, language=language))
    needed = Counter(f for statement in own for f in statement.findings)
    told = [f for f in ordered(findings) if f.presence is not Presence.NOT_ASSESSED]
    more = [replace(s, required=False) for s in job.faithful(told) if s.findings]
    more = [s for s in more if not Counter(s.findings) <= needed]
    done = job.written([*own, *more])
    # A model that copies all it was given sums nothing up: what it may add has to be in words of its own.
    copied = {s.sentence.text for s in more}
    kept = tuple(s for s in done.sentences if s.text not in copied)
    return replace(done, sentences=kept, used=not set(kept) <= {s.sentence for s in own})


def answer(
    question: str,
    findings: Sequence[Finding],
    writer: Writes | None,
    *,
    language: str = "en",
    known: Known | None = None,
    context: Context | None = None,
) -> Written:
    """What the findings say about a question; "the report does not say" where they say nothing.

    What the question names and the findings state is always in the answer. Else as `polish`.
    """
    job = _Job("answer", writer, language, known, {**(context or {}), "question": question}, exact=False)
    asked = {f.observation.key for f in job.read(question)}
    statements = [
        replace(s, required=any(f.observation.key in asked for f in s.findings))
        for s in job.faithful(findings)
        if s.findings
    ]
    found = job.written(statements)
    if found.sentences:
        return found
    silence = wording(language).get("not_said") or wording("en")["not_said"]
    return replace(found, sentences=(Sentence(silence),))


def _simplified(
    sentences: Sequence[Sentence], reading: Reading, writer: Writes | None, language: str, known: Known
) -> Written:
    """A patient's explanations in a model's words, where they keep everything (`tasks.simple`)."""
    result = Written("simplify", language, tuple(sentences))
    places = [i for i, s in enumerate(sentences) if rewordable(s, reading.findings, language)]
    if not places:
        return replace(result, notes=(NOTHING,))
    own = [sentences[i] for i in places]
    asked = ask(
        writer,
        "simplify",
        {"statements": [s.text for s in own]},
        language=language,
        known=known,
        json=True,
        use=lambda text: len(entries(text) or ()) == len(own),
    )
    used = model_use(writer) if writer else None
    result = replace(result, notes=asked.notes, prompts=asked.prompts, writer=used)
    told = entries(asked.answer) if asked.answer is not None else None
    if told is None or len(told) != len(own):
        return result
    done = simplified(told, own, language)
    whole = list(sentences)
    for i, sentence in zip(places, done.sentences, strict=True):
        whole[i] = sentence
    stands = not set(whole) <= set(sentences)
    return replace(result, sentences=tuple(whole), removed=done.removed, restored=done.restored, used=stands)


def reword(
    reading: Reading,
    writer: Writes | None,
    *,
    language: str = "en",
    audience: str = "radiologist",
    style: str = "narrative",
    preview: bool = False,
    known: Known | None = None,
) -> tuple[Report, tuple[Written, ...]]:
    """A reading's report for a reader with findings and impression in a model's words.

    Every sentence names the findings it states, and the limitations (or the last section) say who
    worded it. A sentence that cannot be read again (a measured line, "the model states no finding")
    stays as it is, and so do headings inside a section.

    Raises:
        BadInput, Refused: as `report.render`, before anything is sent.
    """
    report = render(reading, language=language, audience=audience, style=style, preview=preview)
    known = known or known_of(reading)
    job = _Job("polish", writer, language, known, {})
    texts: list[Written] = []
    sections: list[Section] = []
    for section in report.sections:
        if section.name in WORDED:
            plain = [replace(s, text=s.text.removeprefix(MARK)) for s in section.sentences]
            if audience == "patient":
                text = _simplified(plain, reading, writer, language, known)
            else:
                text = job.written(job.statements(plain))
            listed = style == "bullet"
            told = tuple(replace(s, text=MARK + s.text) if listed else s for s in text.sentences)
            text = replace(text, section=section.name, sentences=told)
            section = replace(section, sentences=told)
            texts.append(text)
        sections.append(section)
    usual = [i for i, s in enumerate(sections) if s.name in ("limitations", "about")] or [len(sections) - 1]
    sections[usual[-1]] = _disclosed(sections[usual[-1]], texts, language)
    return replace(report, sections=tuple(sections)), tuple(texts)


def _disclosed(section: Section, texts: Sequence[Written], language: str) -> Section:
    """The section with a line that says who worded the report, and what checking it cost."""
    writer = next((text.writer for text in texts if text.used), None)
    form = wording(language).get("disclosure")
    if writer is None or form is None:
        return section
    removed, restored = sum(len(t.removed) for t in texts), sum(len(t.restored) for t in texts)
    line = form.format(name=writer.name, removed=removed, restored=restored)
    return replace(section, sentences=(*section.sentences, Sentence(line)))


def recorded(reading: Reading, texts: Sequence[Written]) -> Reading:
    """The reading with what a language model was asked, said wrongly, left out and could not do."""
    uses = tuple(
        Rewording(
            text.task,
            text.section,
            text.language,
            text.writer,
            tuple(f"{each.text} [{each.reason}]" for each in text.removed),
            tuple(sentence.text for sentence in text.restored),
            text.notes,
        )
        for text in texts
        if text.writer is not None
    )
    prompts = tuple(dict.fromkeys(p for text in texts if text.writer for p in text.prompts))
    provenance = replace(
        reading.provenance,
        prompts=(*reading.provenance.prompts, *prompts),
        rewordings=(*reading.provenance.rewordings, *uses),
    )
    return replace(reading, provenance=provenance)
