"""Turkish reports: what the house writes is read back, and what radiologists write is understood."""

from __future__ import annotations

import itertools

import pytest

from sagittal.report.finding import Certainty, Finding, Laterality, Presence, Temporality
from sagittal.report.parse import parse
from sagittal.report.render import sentence
from sagittal.report.stated import stated
from sagittal.report.vocabulary import concept, observations, sites


def test_every_observation_is_read_back() -> None:
    """Each once; presence, certainty, side and site take turns, so that all of them come up."""
    turns = zip(
        observations(),
        itertools.cycle(Presence),
        itertools.cycle((None, *Certainty)),
        itertools.cycle(place.concept for place in sites()),
        itertools.cycle((None, Laterality.RIGHT, Laterality.LEFT, Laterality.BILATERAL, None)),
        strict=False,
    )
    lost = []
    for what, presence, certainty, place, side in turns:
        finding = Finding(
            concept(what.key), presence=presence, certainty=certainty, site=place, laterality=side
        )
        written = sentence(finding, "tr")
        if parse(written, "tr") != [stated(finding)]:
            lost.append(written)
    assert lost == []


# Key, presence or certainty, and what is said of side, site and severity.
SENTENCES = """
Plevral efüzyon izlenmedi. | pleural_effusion absent
Pnömotoraks saptanmamıştır. | pneumothorax absent
Plevral efüzyon veya pnömotoraks izlenmemektedir. | pleural_effusion absent, pneumothorax absent
Pulmoner emboli lehine bulgu saptanmadı. | pulmonary_embolism absent
Fraktür yoktur. | fracture absent
Nodül, kitle veya konsolidasyon izlenmedi. | nodule absent, mass absent, consolidation absent
Pulmoner emboli dışlandı. | pulmonary_embolism absent
Sağda plevral efüzyon yok, ancak solda hafif plevral efüzyon mevcuttur. | pleural_effusion absent right, pleural_effusion present left mild
Kalp boyutları normaldir. | cardiomegaly absent
Kostofrenik sinüsler açıktır. | pleural_effusion absent
Bilateral plevral efüzyon izlenmektedir. | pleural_effusion present bilateral
Sol akciğer alt lobda atelektazi izlendi. | atelectasis present left lower_lobe
Sağ üst lobda 8,5 mm çapında solid nodül izlendi. | nodule present right upper_lobe
Pnömoni ile uyumlu konsolidasyon. | pneumonia consistent_with, consolidation present
Sağ akciğer alt lobda konsolidasyon mevcuttur. | consolidation present right lower_lobe
Olası kot fraktürü. | rib_fracture possible
Pnömoni ekarte edilemez. | pneumonia possible
Malignite şüphesi. | malignancy possible
Sağ distal radiusta deplase fraktür. | fracture present right radius
Safra kesesinde taş izlendi. | gallstone present gallbladder
Solda hafif hidronefroz mevcuttur. | hydronephrosis present left mild
Mediastinal lenfadenopati saptanmadı. | lymphadenopathy absent mediastinum
Her iki akciğer parankimi doğaldır. | opacity absent
İntrakranial kanama izlenmedi. | intracranial_haemorrhage absent
Sag alt lobda nodul izlendi. | nodule present right lower_lobe
"""  # noqa: E501


def said(finding: Finding) -> str:
    word = finding.certainty.value.replace(" ", "_") if finding.certainty else finding.presence.value
    side, severity = finding.laterality, finding.severity
    place = finding.site.key if finding.site else ""
    more = side.value if side else "", place, severity.value if severity else ""
    return " ".join(filter(None, (finding.observation.key, word, *more)))


@pytest.mark.parametrize("line", SENTENCES.strip().splitlines(), ids=lambda line: line.split(" | ")[0])
def test_sentences_of_reports(line: str) -> None:
    text, wanted = line.split(" | ")
    assert ", ".join(said(finding) for finding in parse(text, "tr")) == wanted


def test_sizes_have_decimal_commas() -> None:
    (finding,) = parse("Sağ üst lobda 8,5 mm çapında solid nodül izlendi.", "tr")
    assert [(m.quantity, m.values, m.unit) for m in finding.measurements] == [("diameter", (8.5,), "mm")]


def test_change_has_a_date() -> None:
    (finding,) = parse("Sol plevral efüzyon stabil, 12.03.2023 tarihinden beri.", "tr")
    assert finding.change is not None
    assert (finding.change.kind.value, str(finding.change.since)) == ("stable", "2023-03-12")


def test_history_of_the_patient_and_of_the_family() -> None:
    (own,) = parse("Öyküde tüberküloz.", "tr")
    (other,) = parse("Aile öyküsünde akciğer kanseri.", "tr")
    assert own.temporality is Temporality.HISTORICAL
    assert other.temporality is Temporality.FAMILY


def test_sections() -> None:
    text = (
        "Klinik bilgi: Pulmoner emboli şüphesi.\n"
        "Teknik: Toraks BT, pnömotoraks yok.\n"
        "Bulgular: Pulmoner emboli izlenmedi. Solda küçük plevral efüzyon mevcuttur.\n"
        "Sonuç: Pulmoner emboli saptanmadı."
    )
    found = [(f.observation.key, f.presence, f.temporality) for f in parse(text)]
    assert found[0][0::2] == ("pulmonary_embolism", Temporality.HYPOTHETICAL)
    assert found[1:] == [
        ("pulmonary_embolism", Presence.ABSENT, Temporality.CURRENT),
        ("pleural_effusion", Presence.PRESENT, Temporality.CURRENT),
        ("pulmonary_embolism", Presence.ABSENT, Temporality.CURRENT),
    ]
