"""Italian reports: what the house writes is read back, and what radiologists write is understood."""

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
        written = sentence(finding, "it")
        if parse(written, "it") != [stated(finding)]:
            lost.append(written)
    assert lost == []


# Key, presence or certainty, and what is said of side, site and severity.
SENTENCES = """
Non si osserva versamento pleurico né pneumotorace. | pleural_effusion absent, pneumothorax absent
Assenza di versamento pleurico. | pleural_effusion absent
Non evidenza di embolia polmonare. | pulmonary_embolism absent
Non segni di pneumotorace. | pneumothorax absent
Lo pneumotorace non è più visibile. | pneumothorax absent
Non si apprezzano noduli, masse o linfoadenomegalie. | nodule absent, mass absent, lymphadenopathy absent
Assenza di versamento pleurico, pneumotorace o addensamenti. | pleural_effusion absent, pneumothorax absent, consolidation absent
Non versamento a destra, ma piccolo versamento a sinistra. | pleural_effusion absent right, pleural_effusion present left mild
Cardiomegalia moderata senza segni di edema polmonare. | cardiomegaly present moderate, pulmonary_oedema absent
Ombra cardiaca nei limiti. | cardiomegaly absent
Seni costofrenici liberi. | pleural_effusion absent
Versamento pleurico bilaterale, maggiore a destra. | pleural_effusion present bilateral
Atelettasia del lobo inferiore sinistro. | atelectasis present left lower_lobe
Nodulo solido nel lobo superiore destro di 8,5 mm. | nodule present right upper_lobe
Addensamento basale destro compatibile con polmonite. | consolidation present right lung_base, pneumonia consistent_with
Sospetta frattura costale a sinistra. | rib_fracture probable left
Possibile pneumotorace apicale destro. | pneumothorax possible right lung_apex
Non si può escludere una polmonite. | pneumonia possible
La frattura è poco probabile. | fracture unlikely
Frattura scomposta del radio distale destro. | fracture present right radius
Colelitiasi senza segni di colecistite. | gallstone present, cholecystitis absent
Lieve idronefrosi a sinistra. | hydronephrosis present left mild
Non linfonodi mediastinici aumentati di volume. | lymphadenopathy absent mediastinal_node
Non emorragia intracranica né spostamento della linea mediana. | intracranial_haemorrhage absent, midline_shift absent
Lieve versamento pleurico a sx, non pneumotorace. | pleural_effusion present left mild, pneumothorax absent
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
    assert ", ".join(said(finding) for finding in parse(text, "it")) == wanted


def test_sizes_have_decimal_commas() -> None:
    (finding,) = parse("Nodulo solido nel lobo superiore destro di 8,5 mm.", "it")
    assert [(m.quantity, m.values, m.unit) for m in finding.measurements] == [("diameter", (8.5,), "mm")]


def test_change_has_a_date() -> None:
    (finding,) = parse("Versamento pleurico sinistro stabile dal 12/03/2023.", "it")
    assert finding.change is not None
    assert (finding.change.kind.value, str(finding.change.since)) == ("stable", "2023-03-12")


def test_history_of_the_patient_and_of_the_family() -> None:
    (own,) = parse("Pregressa tubercolosi.", "it")
    (other,) = parse("Anamnesi familiare di carcinoma polmonare.", "it")
    assert own.temporality is Temporality.HISTORICAL
    assert other.temporality is Temporality.FAMILY


def test_sections() -> None:
    text = (
        "Quesito clinico: sospetta embolia polmonare.\n"
        "Tecnica: TC del torace, non pneumotorace.\n"
        "Reperti: Non si osserva embolia polmonare. Piccolo versamento pleurico a sinistra.\n"
        "Conclusioni: Non segni di embolia polmonare."
    )
    found = [(f.observation.key, f.presence, f.temporality) for f in parse(text)]
    assert found[0][0::2] == ("pulmonary_embolism", Temporality.HYPOTHETICAL)
    assert found[1:] == [
        ("pulmonary_embolism", Presence.ABSENT, Temporality.CURRENT),
        ("pleural_effusion", Presence.PRESENT, Temporality.CURRENT),
        ("pulmonary_embolism", Presence.ABSENT, Temporality.CURRENT),
    ]
