"""A draft held against itself and its patient: each problem with its clean twin."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.report.check import GERTZ, Grade, Grounds, Problem, ProblemKind, check
from sagittal.report.check_duties import Circumstances
from sagittal.report.check_patient import Patient, stated_patient
from sagittal.report.check_size import LIMITS
from sagittal.report.reading import Reading
from sagittal.report.report import Report, Section, Sentence
from sagittal.report.statement import read

KIND = ProblemKind
NORMAL = """INDICATION: 45 year old man with cough.
COMPARISON: None.
FINDINGS: The lungs are clear. No pleural effusion or pneumothorax. Heart size is normal.
IMPRESSION: No acute cardiopulmonary abnormality."""


def found(draft: str, kind: ProblemKind, evidence: Grounds | None = None) -> list[Problem]:
    return [p for p in check(draft, evidence, language="en") if p.kind is kind]


def test_a_normal_report_has_no_problem() -> None:
    assert check(NORMAL) == []


CASES = [
    (KIND.CONTRADICTION, "FINDINGS: Left pleural effusion. No pleural effusion.", "No pleural effusion."),
    (KIND.CONTRADICTION, "FINDINGS: Right pneumothorax.\nIMPRESSION: Normal chest.", "Right pneumothorax."),
    (KIND.CONTRADICTION, "FINDINGS: No fracture.\nIMPRESSION: Skull fracture.", "Skull fracture."),
    (KIND.CONTRADICTION, "FINDINGS: No nodule.\nIMPRESSION: 5 mm nodule.", "5 mm nodule."),
    (KIND.OMISSION, "FINDINGS:\n  \n  Impression:\nEmphysema.", "FINDINGS:"),
    (KIND.SIDE, "FINDINGS: Left effusion is seen.\nIMPRESSION: Right effusion.", "Right effusion."),
    (KIND.SIDE, "FINDINGS: Opacity in the left middle lobe.", "left middle lobe"),
    (KIND.SIDE, "FINDINGS: Opacity in the right lingula.", "right lingula"),
    (KIND.SIZE, "FINDINGS: 8 cm nodule in the right lung.", "8 cm nodule in the right lung."),
    (KIND.SIZE, "FINDINGS: 8 mm nodule.\nIMPRESSION: 12 mm nodule.", "12 mm nodule."),
    (KIND.SIZE, "FINDINGS: 700 mm mass in the right lung.", "700 mm mass in the right lung."),
    (KIND.PATIENT, "INDICATION: 45 year old man.\nFINDINGS: The uterus is normal.", "uterus"),
    (KIND.PATIENT, "INDICATION: 60F, pain.\nFINDINGS: The prostate is enlarged.", "prostate"),
    (KIND.PATIENT, "FINDINGS: The prostate is normal. The uterus is normal.", "uterus"),
    (KIND.PATIENT, "INDICATION: 45 year old man.\nFINDINGS: Open growth plates.", "Open growth plates"),
    (KIND.PATIENT, "INDICATION: 3 year old girl.\nFINDINGS: Degenerative changes.", "Degenerative"),
    (KIND.UNSUPPORTED, "FINDINGS: No pneumothorax.\nIMPRESSION: Pneumonia.", "Pneumonia."),
    (KIND.COMPARISON, "COMPARISON: None.\nFINDINGS: Emphysema, unchanged.", "unchanged"),
    (KIND.FOLLOW_UP, "TECHNIQUE: CT.\nFINDINGS: 8 mm nodule.", "8 mm nodule."),
    (KIND.COMMUNICATION, "FINDINGS: Right pneumothorax.", "Right pneumothorax."),
    (KIND.OMISSION, "FINDINGS: There is no evidence of . Emphysema.", "There is no evidence of"),
    (KIND.OMISSION, "FINDINGS: Emphysema.\nIMPRESSION:", "IMPRESSION:"),
    (KIND.OMISSION, "FINDINGS: Emphysema.\nIMPRESSION: 1. 2. Emphysema.", "1."),
    (KIND.OMISSION, "FINDINGS: Right pneumothorax.\nIMPRESSION: Emphysema.", "Right pneumothorax."),
    (KIND.INSERTION, "FINDINGS: There is is an effusion.", "is is"),
    (KIND.HEDGE, "FINDINGS: Pneumonia cannot be excluded.", "cannot be excluded"),
    (KIND.HEDGE, "FINDINGS: Opacity, correlate clinically.", "correlate clinically"),
    (KIND.HEDGE, "FINDINGS: Probable pneumonia, possibly edema.", "Probable pneumonia, possibly"),
]
TWINS = [
    (KIND.CONTRADICTION, "FINDINGS: Left pleural effusion. No right pleural effusion."),
    (KIND.CONTRADICTION, "FINDINGS: Small left pleural effusion. No large pleural effusion."),
    (KIND.CONTRADICTION, "FINDINGS: Nodule in the liver. No nodule in the lungs."),
    (KIND.CONTRADICTION, "FINDINGS: Scarring.\nIMPRESSION: No acute cardiopulmonary abnormality."),
    (KIND.CONTRADICTION, "FINDINGS: No displaced fracture.\nIMPRESSION: Skull fracture."),
    (KIND.CONTRADICTION, "FINDINGS: No rib fracture.\nIMPRESSION: Skull fracture."),
    (KIND.CONTRADICTION, "FINDINGS: No fracture. Skull fracture.\nIMPRESSION: Skull fracture."),
    (KIND.CONTRADICTION, "FINDINGS: No nodule in the liver.\nIMPRESSION: 5 mm nodule in the right lung."),
    (KIND.OMISSION, "FINDINGS:\nLungs: There is a 5 mm nodule.\nIMPRESSION:\nNodule."),
    (KIND.OMISSION, "FINDINGS:\n\nLUNGS: Emphysema.\nIMPRESSION:\nEmphysema."),
    (KIND.SIDE, "FINDINGS: Bilateral effusions are seen.\nIMPRESSION: Right effusion."),
    (KIND.SIDE, "FINDINGS: Opacity in the right middle lobe and the left lingula."),
    (KIND.SIZE, "FINDINGS: 30 mm nodule in the right lung."),
    (KIND.SIZE, "FINDINGS: 38 mm nodule in the right lobe of the thyroid."),
    (KIND.SIZE, "FINDINGS: 8 mm nodule.\nIMPRESSION: 9 mm nodule."),
    (KIND.PATIENT, "INDICATION: 45 year old woman.\nFINDINGS: The uterus is normal."),
    (KIND.PATIENT, "INDICATION: Pain.\nFINDINGS: The uterus is normal."),
    (KIND.UNSUPPORTED, "FINDINGS: Consolidation.\nIMPRESSION: Pneumonia."),
    (KIND.COMPARISON, "COMPARISON: 2020-01-02.\nFINDINGS: Emphysema, unchanged."),
    (KIND.FOLLOW_UP, "TECHNIQUE: CT.\nFINDINGS: 5 mm nodule in the right lung."),
    (KIND.FOLLOW_UP, "TECHNIQUE: CT.\nFINDINGS: 8 mm nodule. CT in 6 months is recommended."),
    (KIND.FOLLOW_UP, "INDICATION: Lung cancer.\nTECHNIQUE: CT.\nFINDINGS: 8 mm nodule in the right lung."),
    (KIND.FOLLOW_UP, "INDICATION: 30 year old man.\nTECHNIQUE: CT.\nFINDINGS: 8 mm nodule in the lung."),
    (KIND.COMMUNICATION, "FINDINGS: Right pneumothorax, discussed with Dr. A by telephone at 10:05."),
    (KIND.OMISSION, "FINDINGS: There is no evidence of XXXX. Emphysema."),
    (KIND.HEDGE, "FINDINGS: Probable pneumonia. Possible edema."),
]


@pytest.mark.parametrize(("kind", "draft", "quoted"), CASES)
def test_problem(kind: ProblemKind, draft: str, quoted: str) -> None:
    problems = found(draft, kind)
    assert problems and quoted in {p.text.strip() for p in problems} | {p.text for p in problems}, problems
    for problem in problems:
        assert draft[slice(*problem.span)] == problem.text
        assert problem.error_type == GERTZ.get(kind, "other")


ELSEWHERE = [
    ("fr", KIND.CONTRADICTION, "Pas d'épanchement pleural. Épanchement pleural gauche."),
    ("de", KIND.CONTRADICTION, "Kein Pleuraerguss. Pleuraerguss links."),
    ("es", KIND.CONTRADICTION, "Sin derrame pleural. Derrame pleural izquierdo."),
    ("it", KIND.CONTRADICTION, "Non versamento pleurico. Versamento pleurico sinistro."),
    ("tr", KIND.CONTRADICTION, "Plevral efüzyon yok. Solda plevral efüzyon."),
    ("de", KIND.CONTRADICTION, "BEFUND: Keine Fraktur.\nBEURTEILUNG: Schädelfraktur."),
    ("de", KIND.HEDGE, "Eine Pneumonie ist nicht auszuschließen."),
    ("de", KIND.HEDGE, "Eine Pneumonie kann nicht sicher ausgeschlossen werden."),
    ("fr", KIND.HEDGE, "Une pneumonie ne peut être formellement exclue."),
    ("es", KIND.HEDGE, "No se puede descartar neumonía."),
    ("it", KIND.HEDGE, "Non si può escludere polmonite."),
    ("tr", KIND.HEDGE, "Pnömoni dışlanamaz."),
    ("de", KIND.OMISSION, "Befund:\n\nBeurteilung: Kein Pneumothorax."),
]
ELSEWHERE_CLEAN = [
    ("fr", KIND.CONTRADICTION, "Pas de gros épanchement pleural. Épanchement pleural gauche."),
    ("fr", KIND.CONTRADICTION, "Pas d'épanchement pleural droit. Épanchement pleural gauche."),
    ("de", KIND.CONTRADICTION, "Kein weiterer Pleuraerguss. Pleuraerguss links."),
    ("de", KIND.CONTRADICTION, "Kein Pleuraerguss rechts. Pleuraerguss links."),
    ("es", KIND.CONTRADICTION, "Sin derrame pleural derecho. Derrame pleural izquierdo."),
    ("it", KIND.CONTRADICTION, "Versamento pleurico sinistro. Non altro versamento pleurico."),
    ("tr", KIND.CONTRADICTION, "Sağda plevral efüzyon yok. Solda plevral efüzyon."),
    ("de", KIND.HEDGE, "Pneumothorax ausgeschlossen."),
    ("fr", KIND.HEDGE, "Pneumonie exclue."),
    ("es", KIND.HEDGE, "Se descarta neumonía."),
    ("it", KIND.HEDGE, "Esclusa polmonite."),
    ("de", KIND.OMISSION, "Befund:\nLunge: Kein Infiltrat.\nBeurteilung: Kein Infiltrat."),
]


@pytest.mark.parametrize(("code", "kind", "draft"), ELSEWHERE)
def test_problem_in_another_language(code: str, kind: ProblemKind, draft: str) -> None:
    problems = [p for p in check(draft, language=code) if p.kind is kind]
    assert problems
    assert all(draft[slice(*p.span)] == p.text for p in problems)


@pytest.mark.parametrize(("code", "kind", "draft"), ELSEWHERE_CLEAN)
def test_no_problem_in_another_language(code: str, kind: ProblemKind, draft: str) -> None:
    assert [p for p in check(draft, language=code) if p.kind is kind] == []


@pytest.mark.parametrize(("kind", "draft"), TWINS)
def test_no_problem(kind: ProblemKind, draft: str) -> None:
    assert found(draft, kind) == []


def test_every_kind_has_one_grade_but_what_says_so() -> None:
    """What a kind is worth when nothing but the text is there; omissions and insertions come in two."""
    grades = {kind: {p.severity for p in found(draft, kind)} for kind, draft, _ in CASES}
    style, warnings = {KIND.HEDGE}, {KIND.UNSUPPORTED, KIND.COMPARISON, KIND.FOLLOW_UP, KIND.COMMUNICATION}
    for kind, said in grades.items():
        want = Grade.STYLE if kind in style else Grade.WARNING if kind in warnings else Grade.ERROR
        assert want in said or kind in (KIND.PATIENT, KIND.OMISSION), kind


def test_the_study_knows_sex_age_priors_and_modality() -> None:
    draft = "FINDINGS: The prostate is normal. 8 mm nodule. Emphysema, unchanged since the last study."
    known = Grounds(
        patient=Patient("F", 60.0), circumstances=Circumstances(priors=0, modalities=frozenset({"CT"}))
    )
    kinds = {p.kind for p in check(draft, known, language="en")}
    assert {KIND.PATIENT, KIND.COMPARISON, KIND.FOLLOW_UP} <= kinds
    told = replace(known, circumstances=Circumstances(priors=1, modalities=frozenset({"DX"})))
    assert {p.kind for p in check(draft, told, language="en")} == {KIND.PATIENT}


@pytest.mark.parametrize(
    ("text", "patient"),
    [
        ("45 year old man", Patient("M", 45)),
        ("67-year-old female with cough", Patient("F", 67)),
        ("45M, chest pain", Patient("M", 45)),
        ("82 y/o F", Patient("F", 82)),
        ("6-month-old boy", Patient("M", 0.5)),
        ("XXXX-year-old woman", Patient("F", None)),
        ("Cough for 3 weeks", Patient(None, None)),
        ("Family history: mother with cancer", Patient(None, None)),
    ],
)
def test_who_the_indication_speaks_of(text: str, patient: Patient) -> None:
    assert stated_patient(read(f"INDICATION: {text}\nFINDINGS: Clear lungs.", "en")) == patient


def test_the_request_is_spelt_by_who_asked() -> None:
    pytest.importorskip("spellchecker")
    draft = "INDICATION: Cough, pnuemonia?\nFINDINGS: Left pnuemonia."
    assert [p.severity for p in found(draft, KIND.SPELLING)] == [Grade.ERROR, Grade.WARNING]


def test_fleischner_is_named() -> None:
    (problem,) = found("TECHNIQUE: CT.\nFINDINGS: 8 mm nodule in the right lung.", KIND.FOLLOW_UP)
    assert "Fleischner Society 2017" in problem.reason


def test_every_limit_has_a_source_and_an_order() -> None:
    for limit in LIMITS.values():
        assert limit.source and 0 < limit.least < limit.most


def test_a_draft_of_the_house_agrees_with_its_own_reading(reading: Reading) -> None:
    errors = [p for p in check(reading.report, reading) if p.severity is Grade.ERROR]
    assert errors == []


def test_a_report_object_is_checked_in_its_own_text() -> None:
    report = Report((Section("findings", (Sentence("Opacity in the left middle lobe."),)),))
    (problem,) = [p for p in check(report) if p.kind is KIND.SIDE]
    assert report.text[slice(*problem.span)] == "left middle lobe"


WORDS = (
    "no effusion left right 8 mm cm . IMPRESSION: FINDINGS: nodule 1. • plueral prostate uterus ( ) ; XXXX "
    "possible likely"
)


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(WORDS.split()),
        max_size=40,
    ).map("\n ".join)
    | st.text(max_size=200)
)
def test_any_text_gives_problems_inside_it(text: str) -> None:
    for problem in check(text, language="en"):
        start, end = problem.span
        assert 0 <= start <= end <= len(text)
        assert problem.reason


@pytest.mark.parametrize(
    "piece",
    [
        "8 mm nodule in the right upper lobe. No pleural effusion. Left effusion. ",
        "plueral ",
        "there is no evidence of ",
        "1. ",
        "IMPRESSION: ",
        "45 year old man, the uterus and prostate. ",
    ],
)
def test_time_grows_linearly(piece: str) -> None:
    def seconds(repeats: int) -> float:
        text = f"FINDINGS: {piece * repeats}"
        best = []
        for _ in range(3):
            begun = time.process_time()
            check(text, language="en")
            best.append(time.process_time() - begun)
        return min(best)

    seconds(2)
    small = 6_000 // len(piece)
    # Four times the text may take four times the time, with room for the clock; not sixteen.
    assert seconds(4 * small) < 9 * seconds(small) + 0.05
