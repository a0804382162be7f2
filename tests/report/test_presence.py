"""What a text says of any phrase: `presence`, and its agreement with `parse`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.errors import BadInput
from sagittal.report.finding import Certainty, Presence, Temporality
from sagittal.report.language import language
from sagittal.report.lexicon import find_observations, tokens
from sagittal.report.names import names
from sagittal.report.parse import parse, parse_document
from sagittal.report.presence import presence
from sagittal.report.scope import Said
from sagittal.report.vocabulary import observations

SAID = {
    "present": [
        "No change in the [effusion].",
        "No increase in the [effusion].",
        "No interval change in the left [pleural effusion].",
        "No significant interval change in the [mass].",
        "No definite change in [nodule] size.",
        "Not only [consolidation] but also effusion.",
        "Not only consolidation but also [effusion].",
        "Gram negative [pneumonia].",
        "Gram-negative [sepsis].",
        "No effusion but [consolidation].",
        "No effusion; [mass] unchanged.",
        "Suspicious for [infection] versus edema.",
        "Consistent with [pneumonia].",
        "There is a [pneumothorax].",
        "[Pneumothorax] is seen.",
        "Resolving [pneumonia].",
        "Unresolved [pneumonia].",
        "No mass, midline shift or hemorrhage; stable [infarct].",
        "No change from prior: [effusion] persists.",
        "Nodule not significantly changed, [effusion] is small.",
        "The [nodule] is not significantly changed.",
        "The [nodule] has not changed.",
        "The [nodule] has not increased in size.",
        "The [nodule] is no larger.",
        "The [tumor] does not extend into the fissure.",
        "[Effusion] is no longer loculated.",
        "Without change in [cardiomegaly].",
        "Without contrast: [hemangioma] in liver.",
        "The patient ambulated without difficulty and has [cough].",
        "No fever except for [chills] at night.",
        "No abnormality other than [atelectasis].",
        "No fracture aside from the [compression fracture].",
        "No acute disease apart from [cardiomegaly].",
        "No acute process, however [emphysema].",
        "No acute process although [emphysema] is noted.",
        "No acute process, yet there is [emphysema].",
        "No acute process, with [emphysema] noted.",
        "There is [cardiomegaly] without effusion.",
        "[Dyspnea] without chest pain.",
        "Shortness of breath due to [asthma], not heart failure.",
        "[Cyst] rather than mass.",
        "No evidence of active disease. [Scoliosis].",
        "Trachea midline; [scoliosis].",
        "Probable [atelectasis].",
        "Worsening [edema].",
        "The patient reports [fever].",
        "Denies pain but has [nausea].",
        "Denies pain and has had [nausea].",
        "Chest tube removed, [pneumothorax] persists.",
        "[Pneumothorax] is unchanged.",
        "[Effusion], no pneumothorax.",
        "[Effusion] with no pneumothorax.",
        "Small [effusion], otherwise no abnormality.",
        "The previously seen [nodule] is unchanged.",
        "As compared to the previous exam, the [effusion] is larger.",
        "Old [rib fractures] are noted.",
    ],
    "absent": [
        "No [pleural] effusion.",
        "No pleural or [pericardial effusion].",
        "No [pleural] or pericardial effusion.",
        "No atelectatic [change].",
        "No effusion, [pneumothorax] or consolidation.",
        "No effusion, pneumothorax or [consolidation].",
        "No effusion, pneumothorax, or [consolidation] is seen.",
        "No [effusion]; mass unchanged.",
        "Lungs are free of [consolidation].",
        "There is no evidence of [thrombus].",
        "No evidence for active [bleeding].",
        "The patient denies [chest pain].",
        "Patient denied [fever], chills, or night sweats.",
        "Patient denied fever, chills, or [night sweats].",
        "[Pneumonia] was ruled out.",
        "[Fracture] has been ruled out.",
        "[Malignancy] has been excluded.",
        "The patient was ruled out for [myocardial infarction].",
        "She was ruled out for [MI].",
        "No history of [stroke].",
        "No prior history of [malignancy].",
        "[Pneumothorax] is not seen.",
        "[Pneumothorax] not seen.",
        "[Pneumothorax]: none.",
        "[Effusion]: absent.",
        "[Effusion] - no.",
        "Effusions: None. [Fractures]: None.",
        "[Effusions], none.",
        "Negative for [fracture].",
        "CT is negative for acute [hemorrhage].",
        "GI ROS is -ve for [malignant cells].",
        "Without [nodules].",
        "w/o [fever].",
        "Absence of [wall motion abnormality].",
        "The liver is normal without focal [lesion].",
        "There are no suspicious [nodules].",
        "No new [infiltrate].",
        "There is no longer [pneumothorax].",
        "[Pneumothorax] has resolved.",
        "Complete resolution of [pneumothorax].",
        "Interval resolution of the [effusion].",
        "Not consistent with [edema].",
        "Findings do not suggest [edema].",
        "This would not be typical for [sarcoidosis].",
        "Neither [mass] nor effusion.",
        "Neither mass nor [effusion].",
        "No mass effect, midline shift, or [hemorrhage].",
        "The lungs are clear of [infiltrate].",
        "No [mass], midline shift or hemorrhage; stable infarct.",
        "The [tumor] is not seen.",
        "[Effusion] is no longer seen.",
        "There is cardiomegaly without [effusion].",
        "Dyspnea without [chest pain].",
        "Shortness of breath due to asthma, not [heart failure].",
        "Cyst rather than [mass].",
        "The heart is not [enlarged].",
        "Heart not [enlarged].",
        "No [XXXX] effusion.",
        "No XXXX [effusion].",
        "There are no XXXX of a [pleural effusion].",
        "no comma no [effusion] period",
        "No complaints of [pain].",
        "Denies any [pain], nausea, vomiting, diarrhea.",
        "Denies any pain, nausea, vomiting, [diarrhea].",
        "She has never had [seizures].",
        "Never a [smoker].",
        "Failed to reveal [thrombus].",
        "Failure to demonstrate [leak].",
        "Unremarkable for [age].",
        "No radiographic evidence of [tuberculosis].",
        "Lack of [enhancement].",
        "There is lack of [flow].",
        "Imaging shows no [thrombus] or stenosis.",
        "No [calculus] is identified.",
        "No obvious [calculus].",
        "[Metastases] are not demonstrated.",
        "[Metastases] could not be demonstrated.",
        "[Lesion] was not detected.",
        "[Effusion] and pneumothorax are absent.",
        "Both [effusion] and pneumothorax are absent.",
        "Effusion, no [pneumothorax].",
        "No effusion. No [pneumothorax]",
        "The previously noted [nodule] is not seen today.",
        "The previously described [infiltrate] has cleared.",
        "Previously seen [nodule] no longer visualized.",
    ],
    "uncertain": [
        "Rule out [pneumonia].",
        "r/o [stroke]",
        "[Pneumonia] cannot be ruled out.",
        "[Pneumonia] cannot be excluded.",
        "Cannot exclude [pneumonia].",
        "Cannot rule out [pneumonia].",
        "[Aspergilloma] should be excluded.",
        "[Aspergilloma] has not been ruled out.",
        "Evaluate for [effusion].",
        "If [effusion] develops, repeat the film.",
        "Return if [fever] occurs.",
        "Evaluation of possible [PE].",
        "Concern for [malignancy].",
        "Suspicious for infection versus [edema].",
        "[Edema] is unlikely.",
        "Unlikely to represent [malignancy].",
        "Question of [nodule].",
        "Questionable [nodule] at the base.",
        "Possible [nodule].",
        "[nodule]?",
        "Could represent [atelectasis].",
        "Atelectasis or [pneumonia] could be considered.",
        "Equivocal [lesion].",
        "It is unclear whether there is a [fracture].",
        "Differential includes [lymphoma].",
        "Borderline [cardiomegaly].",
        "CT to exclude [dissection].",
        "Screening for [lung cancer].",
        "Looking for [source of infection].",
    ],
    "historical": [
        "History of [stroke].",
        "Status post resection of a [nodule].",
        "Status post [nephrectomy].",
        "Previous [myocardial infarction].",
        "Past medical history of [diabetes].",
        "Past history significant for [asthma].",
        "Prior [pneumonia].",
        "Known history of [lymphoma].",
        "s/p [appendectomy].",
        "Hx [CHF].",
        "Mother had [breast cancer].",
        "Family history of [colon cancer].",
        "Family history significant for [colon cancer].",
        "Her father died of [lung cancer].",
    ],
}
"""The phrase in brackets, and what the sentence says of it."""


def phrase(marked: str) -> tuple[str, tuple[int, int]]:
    start, end = marked.index("["), marked.index("]")
    return marked.replace("[", "", 1).replace("]", "", 1), (start, end - 1)


@pytest.mark.parametrize(
    ("marked", "word"), [(marked, word) for word, all_ in SAID.items() for marked in dict.fromkeys(all_)]
)
def test_what_is_said_of_a_phrase(marked: str, word: str) -> None:
    text, span = phrase(marked)
    assert presence(text, span, "en").word == word


def test_certainty_and_time_come_with_the_word() -> None:
    assert presence("Likely sarcoid.", (7, 13)) == Said(Presence.PRESENT, Certainty.PROBABLE)
    assert presence("Sarcoid is unlikely.", (0, 7)).certainty is Certainty.UNLIKELY
    assert presence("Family history of sarcoid.", (18, 25)).temporality is Temporality.FAMILY
    assert presence("No history of sarcoid.", (14, 21)) == Said(Presence.ABSENT, None, Temporality.HISTORICAL)
    # A section decides as in `parse`.
    assert presence("INDICATION: cough", (12, 17)).temporality is Temporality.HYPOTHETICAL
    assert presence("Not assessed: widgets.", (14, 21)).presence is Presence.NOT_ASSESSED


@pytest.mark.parametrize(
    ("text", "phrase", "word"),
    [
        ("Past medical history of diabetes, gout, and asthma.", "gout", "historical"),
        ("Past medical history of diabetes, gout, and asthma.", "asthma", "historical"),
        ("Return if he develops nausea, fever or chills.", "fever", "uncertain"),
        ("Return if he develops nausea, fever or chills.", "chills", "uncertain"),
        ("History of lymphoma, stable node in the neck, and rash.", "rash", "present"),
        ("History of lymphoma, who has a rash, and cough.", "cough", "present"),
        ("Status post lobectomy, cough, and fever.", "cough", "present"),
        ("Status post biopsy with pain.", "pain", "present"),
    ],
)
def test_time_reaches_through_a_series_of_short_items(text: str, phrase: str, word: str) -> None:
    start = text.index(phrase)
    assert presence(text, (start, start + len(phrase)), "en").word == word


@pytest.mark.parametrize("span", [(3, 3), (-1, 2), (0, 99), (4, 2)])
def test_a_span_outside_the_text_is_refused(span: tuple[int, int]) -> None:
    with pytest.raises(BadInput):
        presence("No rash.", span)


def test_a_span_in_a_heading_or_a_note_is_answered() -> None:
    assert presence("FINDINGS: clear", (0, 8)).word == "present"
    assert presence("Nodule (margin: spiculated).", (16, 26)).word == "present"
    assert presence("Mass (no calcification).", (9, 22)).word == "absent"


FRAMES = [
    "{}.", "No {}.", "No {} or {}.", "No {}, {}, or {}.", "No {} but {}.", "{}; no {}.", "{} without {}.",
    "Possible {}.", "{} is unlikely.", "{} cannot be excluded.", "No change in the {}.", "{} has resolved.",
    "History of {}.", "Family history of {}.", "Evaluate for {}.", "{} is not seen.",
    "{}, {} and {} are absent.",
    "Status post {} placement.", "If {} develops, {}.", "Findings consistent with {}, no {}.", "{}: none.",
    "Prior {}.", "The prior {} is unchanged.", "Borderline {}.",
]  # fmt: skip
TERMS = sorted(
    {word for o in observations() for n in [names("en")[o.key]] for word in (n.term, *n.synonyms[:3])}
)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(FRAMES), st.lists(st.sampled_from(TERMS), min_size=3, max_size=3))
def test_words_of_the_vocabulary_are_said_as_parse_says(frame: str, terms: list[str]) -> None:
    text = frame.format(*terms)
    english = language("en")
    found = parse_document(text, "en").findings
    words = tokens(text, 0, len(text), english)
    for hit in find_observations(text, words, english):
        said = presence(text, (hit.start, hit.end), "en")
        read = {(f.presence, f.certainty, f.temporality) for f in found if f.observation.key in hit.keys}
        # A general word may not be read at all, and a term named twice has two readings.
        assert not read or (said.presence, said.certainty, said.temporality) in read


def test_a_pseudo_negation_that_holds_a_finding_denies_it() -> None:
    assert [f.presence.value for f in parse("No atelectatic change.")] == ["absent"]
    assert [f.presence.value for f in parse("No change in the atelectasis.")] == ["present"]
