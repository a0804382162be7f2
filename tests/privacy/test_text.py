"""Text de-identification: planted people in six languages, clean reports, the way back, time."""

from __future__ import annotations

import csv
import re
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sagittal.privacy.dates import shift_of
from sagittal.privacy.text import Masked, deidentify_text
from sagittal.privacy.words import fold

# Header names with what makes them hard: marks, particles, apostrophes, hyphens, words that are no names.
PEOPLE = {
    "en": [
        "Doe^John^^Dr",
        "O'Brien^Mary^Ann",
        "Short^May",
        "Baker^Thomas",
        "Ng^Li",
        "Van Dyke^Susan",
        "White^Rose",
    ],
    "de": [
        "Müller^Jörg",
        "Meier-Lüdenscheidt^Änne",
        "von der Heide^Hans",
        "Stein^Eva",
        "GROSS^KARL",
        "Weiß^Ute",
    ],
    "fr": [
        "Lefèvre^Hélène",
        "de la Tour^Jean-Luc",
        "Petit^Rose",
        "D'Artois^Noël",
        "Leblanc^Zoé",
        "MARTIN^LÉA",
    ],
    "es": [
        "García Márquez^José",
        "Núñez^Begoña",
        "de la Cruz^Pilar",
        "León^Ángel",
        "Moreno^Blanca",
        "Ibáñez^Íñigo",
    ],
    "it": [
        "Rossi^Giulia",
        "D'Angelo^Niccolò",
        "Della Valle^Chiara",
        "Bianco^Rosa",
        "Esposito^Maria Pia",
        "Ferri^Ugo",
    ],
    "tr": ["Yılmaz^Ayşe", "Şimşek^İbrahim", "Öztürk^Gülşah", "Taş^Can", "Çelik^Işıl", "Kara^Su"],
}
PLACES = {
    "en": ("{} presents with cough.", "Scan of {} shows a nodule.", "I spoke to {}.", "{}: unchanged."),
    "de": (
        "{} klagt über Husten.",
        "Aufnahme von {} zeigt einen Rundherd.",
        "Rücksprache mit {}.",
        "{}: wie zuvor",
    ),
    "fr": (
        "{} consulte pour toux.",
        "L'examen de {} montre un nodule.",
        "Discuté avec {}.",
        "{} : inchangé.",
    ),
    "es": ("{} acude por tos.", "La TC de {} muestra un nódulo.", "Comentado con {}.", "{}: sin cambios."),
    "it": (
        "{} si presenta con tosse.",
        "L'esame di {} mostra un nodulo.",
        "Discusso con {}.",
        "{}: invariato.",
    ),
    "tr": ("{} öksürük ile başvurdu.", "{} için çekilen BT'de nodül.", "{} ile görüşüldü.", "{}: değişmedi."),
}
TITLES = {"en": "Mr.", "de": "Frau", "fr": "Mme", "es": "Sra.", "it": "Sig.ra", "tr": "Sayın"}
PARTICLES = {"de", "la", "von", "der", "van", "dr", "della"}


def forms(name: str, language: str) -> list[str]:
    """The forms in which a text names somebody whom a header names."""
    family, given = name.split("^")[:2]
    return [
        f"{given} {family}",
        f"{family}, {given}",
        f"{family} {given}",
        f"{family}^{given}",
        f"{given} {family}".upper(),
        f"{given} {family}".lower(),
        f"{given[0]}. {family}",
        f"{family} {given[0]}.",
        f"{TITLES[language]} {family}",
        f"{TITLES[language]} {family.upper()}",
        f"{TITLES[language]} {given} {family}'s",
    ]


def words_of(text: str) -> list[str]:
    return [fold(word) for word in re.findall(r"[^\W\d_]{2,}", text)]


@pytest.mark.parametrize("language", PEOPLE)
def test_every_form_of_a_header_name_is_found(language: str) -> None:
    missed, n = [], 0
    for name in PEOPLE[language]:
        for form in forms(name, language):
            for place in PLACES[language]:
                text = place.format(form)
                masked = deidentify_text(text, names=[name], language=language)
                left = set(words_of(masked.text)) - set(words_of(place))
                n += 1
                if left & (set(words_of(name)) - PARTICLES):
                    missed.append((text, masked.text))
                # The rest of the sentence is as it was.
                before, after = place.split("{}")
                assert masked.text.startswith(before) and masked.text.endswith(after), (text, masked.text)
    assert n >= 260 and missed == []


PLANTED = {
    "en": """
Discussed with Dr. <Emily Carter> at 10:30. | Referring physician: <Robert King> | Ms. <Hall> was informed.
Electronically signed by <A. J. Fowler>, MD | MRN <00123456>, accession no. <A-24-981>. | SSN <123-45-6789>.
Patient ID: <PX-88 1203> | Call <(555) 123-4567> or <555.123.4568>. | Fax: <+1 212 555 0199>
Mail <j.doe+ct@mail.example.com> | See <https://portal.example.org/s?id=3>. | <P.O. Box 1234>
Exam of <3/12>.
Lives at <12B Old Mill Road, Springfield, IL 62704>. | Address: <1 High Street, London SW1A 1AA>
Transferred from <St. Mary's Hospital>. | CT at <Massachusetts General Hospital>. | CT of <03/12/2024>.
Compared with <March 5th, 2024>. | Since <5 Jan 2024>. | Born <1931-02-28>. | A <93>-year-old woman.
DOB: <12-Mar-31> | NHS no. <943 476 5919>
""",
    "de": """
Besprochen mit Dr. <Keller> um 10:30 Uhr. | Zuweiser: Dr. med. <Hans Keller> | Befundet von: <Sabine Vogt>
Frau <Schneider> wurde informiert. | Prof. Dr. <Weber> | Pat.-Nr. <4711889> | Versichertennummer: <A123456789>
AHV <756.1234.5678.97> | Fallnummer <2024/001234> | Tel. <044 123 45 67> | Telefon: <+49 (0)30 1234567>
Rückruf <0170 1234567> | <anna@spital.example> | Wohnhaft in <8001 Zürich>. | <Musterstraße 12a, 10115 Berlin>
<Am Hang 3, 8001 Zürich> | <Postfach 1234> | Verlegt aus dem <Universitätsspital Zürich>.
CT im <Klinikum Großhadern>. | CT vom <12.03.2024>. | Voraufnahme <5. Januar 2024>. | geb. <3.4.31>
vom <12.3.> zum Vergleich | <März 2024> | Die <95>-jährige Patientin. | Alter: <91>
""",
    "fr": """
Discuté avec le Dr <Lefèvre> à 10h30. | Médecin traitant : <Jean Moreau> | Signé par : <Claire Fontaine>
Mme <Dupont> est informée. | Pr <Bernard> | IPP : <8001234567> | NIR <2 31 03 75 116 005 42>
dossier n° <778812> | N° de dossier : <2024-5512> | Tél. <01 42 68 53 00> | Portable : <06 12 34 56 78>
<+33 1 42 68 53 00> | <claire@hopital.example> | Demeurant <12 bis, rue de la Paix, 75002 Paris>.
Adresse : <3 avenue Foch, 69006 Lyon> | Habite <5 place du Marché, 31000 Toulouse>.
Transfert du <CHU de Lyon>.
Vue à l'<Hôpital Saint-Louis>. | Scanner du <12/03/2024>. | Comparé au <5 janvier 2024>.
née le <1er mars 1931> | le <12/03> | depuis <mars 2024> | Patiente de <93> ans. | Âgé de <97> ans
""",
    "es": """
Comentado con la Dra. <Carmen Ruiz> a las 10:30. | Médico solicitante: <Javier Soler>
Firmado por: <Lucía Gil>
Sra. <Ortega> informada. | DNI <12345678Z> | NIE <X1234567L> | NHC: <998877> | Historia clínica nº <554433>
Tfno. <612 345 678> | Teléfono: <91 123 45 67> | <+34 612 345 678> | <maria@correo.example>
<Calle de Alcalá 45, 28014 Madrid> | Domicilio: <Avda. de América 12, 3º B, 28002 Madrid>
<Plaza Mayor 3, 37001 Salamanca> | Remitido del <Hospital Universitario La Paz>. | <Clínica San Carlos>
TC del <12/03/2024>. | Previo del <5 de enero de 2024>. | nacida el <12 de marzo de 1931> | el <12/3>
desde <marzo de 2024> | Mujer de <93> años. | Edad: <92>
""",
    "it": """
Discusso con la Dott.ssa <Paola Bianchi> alle 10:30. | Medico curante: <Luca Ferri> | Firmato da: <Anna Conti>
Sig.ra <Galli> informata. | Prof. <Moretti> | Codice fiscale <RSSGLI31C52F205X> | nosologico <2024/00123>
Cartella clinica n. <554433> | Tessera sanitaria <80380000123456789012>
Tel. <02 1234567> | cell. <333 1234567>
<+39 02 1234567> | <giulia@posta.example> | <Via Giuseppe Verdi 12, 20121 Milano (MI)>
Residente in <Corso Italia 3, 10121 Torino>. | <Piazza del Duomo 1, 50122 Firenze> | <Policlinico Gemelli>
Inviato dall'<Ospedale San Raffaele>. | TC del <12/03/2024>. | Precedente del <5 gennaio 2024>.
nata il <12 marzo 1931> | del <12/03> | da <marzo 2024> | Paziente di <93> anni. | Età: <91>
""",
    "tr": """
Uzm. Dr. <Zeynep Arslan> ile 10:30'da görüşüldü. | İsteyen hekim: <Kemal Aydın> | Raporlayan: <Elif Doğan>
Sayın <Mehmet Şahin> bilgilendirildi. | <Ahmet> Bey arandı. | TC Kimlik No: <10000000146> | Hasta no <889900>
protokol no <2024-5567> | Dosya no: <55667> | Tel: <0216 345 67 89> | GSM <0532 123 45 67>
<+90 532 123 45 67> | <ayse@posta.example> | <Cumhuriyet Caddesi No: 12, 34000 Şişli/İstanbul>
Adres: <Atatürk Mah. 5. Sokak No: 3, 06420 Ankara> | <Barbaros Bulvarı No: 7> | <Acıbadem Hastanesi>
<Ankara Üniversitesi Tıp Fakültesi> sevkli | <12.03.2024> tarihli BT. | <5 Ocak 2024> tarihli.
Doğum tarihi <12.03.1931> | <12/03> tarihli | <Mart 2024> | <93> yaşında kadın. | <95> yaşındaki hasta
""",
}


@pytest.mark.parametrize("language", PLANTED)
def test_planted_people_are_found(language: str) -> None:
    sentences = [s.strip() for line in PLANTED[language].splitlines() for s in line.split("|") if s.strip()]
    assert len(sentences) >= 20
    missed = []
    for sentence in sentences:
        text, frame = re.sub(r"[<>]", "", sentence), re.sub(r"<[^>]*>", "", sentence)
        masked = deidentify_text(text, language=language)
        rest = re.sub(r"\[[^\]]*\]", "", masked.text)
        pieces = re.findall(r"[^\W\d_]{3,}|\d{2,}", " ".join(re.findall(r"<([^>]+)>", sentence)))
        if any(piece in rest and piece not in frame for piece in pieces):
            missed.append((sentence, masked.text))
        assert masked.restore(masked.text) == text
    # Whoever wrote the rules wrote these sentences: benchmarks/deidentify.py measures on other values.
    assert missed == []


CLEAN = {
    "en": [
        "12 x 8 mm nodule in the right upper lobe (series 3, image 45/120), previously 10 x 7 mm.",
        "Disc protrusion at L4/5; C5-6 and T12/L1 normal. T1, T2/FLAIR and T1-weighted images at 1.5 T.",
        "BI-RADS 4a, Lung-RADS 3, LI-RADS 5, TI-RADS 2, PI-RADS 3, pT2N1M0, Fleischner 2017.",
        "Kerley B lines, Swan-Ganz catheter, 45 Hounsfield units, Baker's cyst, Colles fracture.",
        "Smith fracture. Hodgkin lymphoma. Parkinson disease. Bosniak 2F. Dr. XXXX at 10:30. XXXX Hospital.",
        "78-year-old man, 40 pack-years. 89 year old. Heart 15.2 cm of 30.1 cm, ratio 0.51, 1,200 mL.",
        "May represent scar. The heart may be enlarged. In 3 may recur. SUVmax 12.5. Grade 2/3. 3/6 murmur.",
        "1. No effusion. 2. Normal heart. 3. Mild scoliosis. ET tube 4 cm above the carina. PICC line.",
        "MR BRAIN WITHOUT CONTRAST. CT CHEST. DR CHEST PA AND LATERAL. MS plaques. Don Juan is no patient.",
        "99mTc-MDP 740 MBq, 18F-FDG 5.2 MBq/kg, b = 1000 s/mm2, TR/TE 4000/90, 350 mGy*cm. In 2019.",
    ],
    "de": [
        "12 x 8 mm großer Rundherd im rechten Oberlappen (Serie 3, Bild 45). Kein Pleuraerguss.",
        "Protrusion LWK 4/5, BWK 12 unauffällig. HWK 5/6. Klinik: Dyspnoe. Klappenring 25 mm. M. Crohn.",
        "Gallenstein 8 mm. Ein Stein im Gallengang. Herz normal groß. 78-jähriger Patient. Um 10:30 Uhr.",
        "Zugangsweg 3 cm. Mitralring 28 mm. T2w und FLAIR. Kerley-B-Linien. 10000 Einheiten Heparin.",
    ],
    "fr": [
        "Nodule de 12 x 8 mm du lobe supérieur droit (série 3, image 45). Pas d'épanchement.",
        "Hernie L4-L5. T12. Lignes de Kerley. Maladie de Crohn. Patient de 78 ans. À 10h30.",
        "Séquences T1, T2 FLAIR. 3 cours de chimiothérapie. Kyste de Baker. M. tuberculosis. En mars.",
    ],
    "es": [
        "Nódulo de 12 x 8 mm en lóbulo superior derecho (serie 3, imagen 45). Sin derrame.",
        "Protrusión L4-L5. T12. Líneas de Kerley. Enfermedad de Crohn. Varón de 78 años. Clínica: disnea.",
    ],
    "it": [
        "Nodulo di 12 x 8 mm nel lobo superiore destro (serie 3, immagine 45). Non versamento.",
        "Protrusione L4-L5. T12. Linee di Kerley. Morbo di Crohn. Uomo di 78 anni. Via biliare 8 mm.",
    ],
    "tr": [
        "Sağ üst lobda 12 x 8 mm nodül (seri 3, kesit 45). Plevral efüzyon izlenmedi.",
        "L4-5 disk aralığı. T12. Kerley B çizgileri. 78 yaşında erkek. Saat 10:30. Taş izlenmedi. Kan.",
    ],
}


@pytest.mark.parametrize(("language", "text"), [(lang, t) for lang, texts in CLEAN.items() for t in texts])
def test_clinical_text_stays_as_it_is(language: str, text: str) -> None:
    for said in (language, None):
        assert deidentify_text(text, language=said).text == text


@pytest.mark.parametrize(
    ("name", "text", "masked"),
    [
        ("Short^May", "Mr. Short is short of breath.", "Mr. [NAME-1] is short of breath."),
        ("Short^May", "It may recur in a short time. SHORT AXIS VIEW.", None),
        ("Baker^Tom", "Baker's cyst. Seen by Mr. Baker.", "Baker's cyst. Seen by Mr. [NAME-1]."),
        ("Swan^Ann", "Swan-Ganz catheter of Ann Swan", "Swan-Ganz catheter of [NAME-1]"),
        ("Ng^Li", "NG tube. 5 ng/mL. Ms Ng is well.", "NG tube. 5 ng/mL. Ms [NAME-1] is well."),
        ("Doe^Tim", "T. Doe: T1 and T2.", "[NAME-1]: T1 and T2."),
        ("Doe^John", "Mr. Doe came. John Doe left.", "Mr. [NAME-1] came. [NAME-1a] left."),
        ("Mueller^Joerg", "Jörg Müller. Müller-Schmid", "[NAME-1]. [NAME-1a]"),
        ("Müller^Jörg", "MUELLER JOERG", "[NAME-1]"),
        ("Yamada^Tarou=山田^太郎", "山田さん", "[NAME-1]さん"),
        ("Doe^John", "DOE_JOHN_CT.pdf DoeJohn", "[NAME-1]_CT.pdf [NAME-1a]"),
        ("Doe^John", "Jo\u200bhn D\u00adoe", "[NAME-1]"),
        ("Müller^Ute", "Mu\u0308ller", "[NAME-1]"),
    ],
)
def test_names_and_what_looks_like_them(name: str, text: str, masked: str | None) -> None:
    assert deidentify_text(text, names=[name], language="en").text == (text if masked is None else masked)


def test_known_identifiers_in_any_grouping() -> None:
    text = "PAT 0012345, pat0012345, 7 mm, A1 segment, ID: 77"
    masked = deidentify_text(text, identifiers=["PAT-0012345", "7", "A1"], language="en")
    assert masked.text == "[ID-1], [ID-1a], 7 mm, A1 segment, ID: [ID-2]"


def test_dates_keep_their_intervals_and_weekdays() -> None:
    text = "CT 03/12/2024, MR 20 March 2024, US 2024-04-01, 14. März 2024, 5 mars 2024"
    real = [date(2024, 3, 12), date(2024, 3, 20), date(2024, 4, 1), date(2024, 3, 14), date(2024, 3, 5)]
    for seed in range(30):
        masked = deidentify_text(text, language="en", seed=seed)
        moved = [day + shift_of(seed) for day in real]
        shown = [surrogate[1:-1] for surrogate, _ in masked.surrogates]
        assert shown[0] == f"{moved[0]:%m/%d/%Y}" and shown[2] == moved[2].isoformat()
        for day, surrogate in zip(moved, shown, strict=True):
            numbers = {int(n) for n in re.findall(r"\d+", surrogate)}
            assert {day.year, day.day} <= numbers
        assert shift_of(seed) % timedelta(weeks=1) == timedelta(0) and shift_of(seed) < timedelta(weeks=-7)
    assert len({shift_of(seed) for seed in range(200)}) > 60


@pytest.mark.parametrize(
    ("language", "known", "text", "first"),
    [
        ("en", (), "03/04/2024", date(2024, 3, 4)),
        ("de", (), "03/04/2024", date(2024, 4, 3)),
        ("en", (date(2024, 4, 3),), "03/04/2024", date(2024, 4, 3)),
        ("en", (), "03/04/2024 and 25/04/2024", date(2024, 4, 3)),
        ("fr", (), "03/04/2024 and 04/25/2024", date(2024, 3, 4)),
        ("en", (), "03.04.2024", date(2024, 4, 3)),
    ],
)
def test_which_number_is_the_month(language: str, known: tuple[date, ...], text: str, first: date) -> None:
    masked = deidentify_text(text, dates=known, language=language)
    moved = first + shift_of(0)
    form = "%d.%m.%Y" if "." in text else "%d/%m/%Y" if first.day == 3 else "%m/%d/%Y"
    assert masked.surrogates[0][0] == f"[{moved.strftime(form)}]"


NOTE = "John Doe, 03/12/2024. Mr. Doe saw Dr. Carter on 5 March 2024. MRN 1234567. Call 555-123-4567."


def test_a_model_may_drop_repeat_and_alter_surrogates() -> None:
    masked: Masked = deidentify_text(NOTE, names=["Doe^John"], language="en")
    by = {original: surrogate for surrogate, original in masked.surrogates}
    doe, day, mrn = by["Doe"], by["5 March 2024"], by["1234567"]
    assert masked.restore(f"{doe} and {doe}.") == "Doe and Doe."
    assert masked.restore("Nothing of it.") == "Nothing of it."
    assert masked.restore(f"{mrn.lower()} {mrn[1:-1]}") == "1234567 1234567"
    assert masked.restore(f"**{doe}**, \\[ID 1\\], [ ID-1 ]") == "**Doe**, 1234567, 1234567"
    assert masked.restore(f"on {day[1:-1]}.") == "on 5 March 2024."
    assert masked.restore("[NAME-77] [ID-9] ID-9") == "[NAME-77] [ID-9] ID-9"
    # "NAME-1" is not the beginning of "NAME-1x", nor a date that of a longer one.
    assert masked.restore("NAME-1x") == "NAME-1x"
    assert masked.restore("1" + day[1:-1]) == "1" + day[1:-1]


def test_what_looks_like_a_surrogate_already_is_left_alone() -> None:
    text = "[NAME-1] NAME-2, name 3 and John Doe [DATE-1] [x]"
    masked = deidentify_text(text, names=["Doe^John"], language="en")
    assert masked.text == "[NAME-1] NAME-2, name 3 and [NAME-4] [DATE-1] [x]"
    assert masked.restore(masked.text) == text
    assert masked.restore("NAME-1 [NAME-1] name-4") == "NAME-1 [NAME-1] John Doe"


PIECES = [
    *(
        "Doe",
        "JOHN",
        "doe",
        "J.",
        "Dr.",
        "Mr. ",
        "Smith",
        "May",
        "Stein",
        "van der ",
        "O'",
        "Müller",
        "'s",
        "-",
        "/",
    ),
    *(
        "[",
        "]",
        "[NAME-1]",
        "NAME-1",
        "[DATE-1]",
        "[12 March 2024]",
        "[16 October 2023]",
        "(",
        ")",
        ".",
        "Mu\u0308ller",
    ),
    *(
        "12 March 2024",
        "12.3.2024",
        "12/03/24",
        "11.3.2024",
        "2024-03-12",
        "March\n2024",
        "March 12",
        "20240312",
    ),
    *(
        "MRN ",
        "1234567",
        "ID: ",
        "555-123-4567",
        "a@b.example",
        "https://x.example/y",
        "12 Main Street",
        "1931",
    ),
    *(
        "12 x 8 mm",
        "T1",
        "L4/5",
        "XXXX",
        "\n",
        " ",
        " ",
        ", ",
        ": ",
        "No effusion",
        "Patient: ",
        "rue de la ",
    ),
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=60), st.integers(0, 3))
@example("1.10.2024 01.10.2024 1.10.2024", 0)
@example("[John Doe] [[Doe]] [12.3.2024", 1)
def test_what_was_taken_out_comes_back(text: str, seed: int) -> None:
    masked = deidentify_text(text, names=["Doe^John", "Stein^May"], identifiers=["1234567"], seed=seed)
    assert masked.restore(masked.text) == text
    surrogates = [surrogate for surrogate, _ in masked.surrogates]
    assert len(set(surrogates)) == len(surrogates)
    assert not any(a in b for a in surrogates for b in surrogates if a is not b)
    assert not any(surrogate in text for surrogate in surrogates)
    again = deidentify_text(text, names=["Doe^John", "Stein^May"], identifiers=["1234567"], seed=seed)
    assert again == masked


@pytest.mark.parametrize(
    ("file", "columns"),
    [
        ("openi_reports/indiana_reports.csv", ("indication", "findings", "impression")),
        ("ctrate_reports/train.csv", ("report_text",)),
    ],
)
def test_false_alarms_on_reports_without_people(
    shared_data: Path, file: str, columns: tuple[str, ...]
) -> None:
    with (shared_data / file).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))[::20]
    texts = ["\n".join(row[c] for c in columns) for row in rows]
    # CT-RATE kept its dates, which are no false alarms: those read as dates count where they name no day.
    alarms = [
        (surrogate, original)
        for text in texts
        for surrogate, original in deidentify_text(text, language="en").surrogates
        if re.match(r"\[[A-Z]+-\d", surrogate)
    ]
    print(f"{file}: {len(alarms)} false alarms in {len(texts)} reports {alarms[:5]}")
    assert len(alarms) < len(texts) / 100


HOSTILE = [
    *(
        "Doe ",
        "Doe, J. ",
        "Dr. ",
        "Dr. Aa ",
        "de la ",
        "A. ",
        "Aa-",
        "1 Aa ",
        "rue de la ",
        "Via Aa ",
        "Aa Hospital ",
    ),
    *(
        "12 May ",
        "12.3.",
        "1.",
        "1 ",
        "+1 ",
        "(",
        "[",
        "[NAME-1] ",
        "a@",
        "a.",
        "MRN ",
        "address: a",
        "\n",
        "e\u0301",
    ),
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_with_length_only(unit: str) -> None:
    def seconds(n: int) -> float:
        text = unit * (n // len(unit))
        begun = time.process_time()
        masked = deidentify_text(text, names=["Doe^John"], identifiers=["123456789"], language="en")
        masked.restore(text)
        return time.process_time() - begun

    seconds(200)
    # Eight times the text may take twenty times as long; with the square it would be 64 times, however often
    # it is tried; a machine that is busy elsewhere is slow only now and then.
    pairs = ((seconds(1_000), seconds(8_000)) for _ in range(5))
    assert any(long < 20 * short + 0.05 for short, long in pairs)
