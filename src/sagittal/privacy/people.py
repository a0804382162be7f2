"""People and houses that no header names: known by the words around them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from sagittal.privacy.found import Found
from sagittal.privacy.names import PARTICLES
from sagittal.privacy.words import clinical, common, double, eponyms, fold

UPPER = "A-ZÀ-ÖØ-ÞĞİŞŁŚŽČŠŹĆŃĄĘŐŰŘĐ"
LOWER = "a-zà-öø-ÿğışłśžčšźćńąęőűřđ"
_TITLED = (
    # A title, and more titles: "Prof. Dr. med."
    r"(?:Prof(?:essor|\.)?(?:ssa)?\.?|PROF\.|Dr(?:\.|a\.?|\.?\s?ssa\.?)?|DR\.|Doctor|Docteur|Doktor|Doc\.|Dott(?:\.|\.?ssa\.?|or|oressa)"
    r"|Mr\.?|Mrs\.?|Ms\.?|Miss|MR\.|MRS\.|MS\.|Mme\.?|Mlle|Madame|Monsieur|MM\.|Herrn?|Frau|Hr\.|Fr\.|Sra?\.|Srta\.?|Señor(?:a|ita)?|Dña\.|Don|Doña"
    r"|Sig(?:\.|\.?ra|\.?na)\.?|Signora?|Signorina|Sayın|Sn\.|Uzm\.|Op\.|Doç\.|Yrd\.|Öğr\.|Gör\.|Arş\.|Bayan|Bay|PD|Priv\.-Doz\.|Univ\.-Prof\.|OA|OÄ"
    r"|Pr\.?|M\.)"
)
_MORE = r"(?:[ \t]{1,2}|(?<=\.))(?:Dr\.?|Prof\.?|med\.?|Med\.|h\.c\.|dent\.|univ\.|rer\.|nat\.|phil\.|habil\.|Uzm\.|Doç\.|Dott\.(?:ssa)?|Ing\.|Üyesi)(?![\w])"  # noqa: E501
_TITLE = re.compile(
    rf"(?<![\w.-])(?P<title>{_TITLED})(?![{LOWER}{UPPER}])(?P<more>(?:{_MORE}){{0,5}}+)[ \t\u00a0]{{0,2}}\n?"
)
_BARE = frozenset({"Pr", "Pr.", "M.", "Don", "Bay", "OA", "OÄ", "PD", "Fr.", "MM.", "Op.", "Miss", "Doc."})
"""Titles that are other things as well; the language, or two words that are names, must speak for them."""
_OF = {
    "Pr": "fr",
    "Pr.": "fr",
    "M.": "fr",
    "MM.": "fr",
    "Don": "es",
    "Bay": "tr",
    "OA": "de",
    "OÄ": "de",
    "PD": "de",
}
_TOKEN = re.compile(
    rf"(?P<initial>[{UPPER}]\.(?:-?[{UPPER}]\.)?(?![{UPPER}{LOWER}]{{2}}))"
    rf"|(?P<word>(?:[DLOdl]['’]|Mc|Mac)?[{UPPER}](?:[{LOWER}]++(?:-[{UPPER}][{LOWER}]++){{0,2}}|[{UPPER}]{{1,30}}+(?:-[{UPPER}]{{2,30}}+){{0,2}}))"
    rf"(?![{UPPER}{LOWER}\d])|(?P<small>[{LOWER}]{{1,5}}['’]?)(?![{UPPER}{LOWER}])"
)
_BETWEEN = re.compile(r"[ \t\u00a0]{0,2}(?:, ?(?=[^\W\d_a-z]))?")
_BLANK = re.compile(r"[Xx]{2,}")
_After = Literal["title", "by", "label"]
_CUES = (
    r"(?:electronically\s+|digitally\s+|elektronisch\s+)?(?:signed|dictated|reported|read|interpreted|reviewed|approved|verified|transcribed|"
    r"discussed|communicated|performed|requested|ordered|referred)(?:\s+(?:off|with|to))?\s+by|(?:discussed|communicated)\s+(?:with|to)"
    r"|referring\s+(?:physician|doctor|provider|clinician|md)|ordering\s+(?:physician|provider)|attending(?:\s+physician)?|radiologist|resident|technologist"
    r"|patient(?:\s?'s)?\s+name|patient|name|nurse|physician|surgeon|cc"
    r"|(?:befundet|diktiert|unterschrieben|freigegeben|vidiert|signiert|besprochen)\s+(?:von|durch|mit)|befunder(?:in)?|zuweiser(?:in)?|überweiser(?:in)?|hausarzt|hausärztin|gez\.|patientin"
    r"|(?:signé|dicté|validé|relu|rédigé|interprété|adressé|prescrit)e?\s+par|médecin(?:\s+(?:traitant|prescripteur|demandeur|radiologue))?|radiologue|patiente|nom(?:\s+du\s+patient)?"
    r"|(?:firmado|dictado|informado|validado|remitido|solicitado)\s+por|médico(?:\s+(?:solicitante|informante|responsable))?|radiólogo|radióloga|paciente|nombre(?:\s+del\s+paciente)?"
    r"|(?:firmato|refertato|dettato|validato|inviato|richiesto)\s+(?:da|dal|dalla)|medico(?:\s+(?:curante|richiedente|refertante|radiologo))?|radiologo|paziente|nome(?:\s+del\s+paziente)?"
    r"|raporlayan|raporu\s+yazan|onaylayan|isteyen\s+(?:hekim|doktor)|hekim|radyolog|hasta(?:nın)?(?:\s+ad[ıi](?:\s+soyad[ıi])?)?|ad[ıi]\s+soyad[ıi]|imza"
)
_CUE = re.compile(rf"(?<![\w-])(?P<cue>{_CUES})(?P<colon>\s{{0,2}}[:=]\s{{0,3}}|\s{{1,2}})", re.IGNORECASE)
_BY = re.compile(r"(?:\s(?:by|with|to|von|durch|mit|par|por|da|dal|dalla)|gez\.)\Z", re.IGNORECASE)
_DEGREE = re.compile(
    rf"(?<![\w.])(?P<name>(?:[{UPPER}]\.\s?|[{UPPER}][{LOWER}-]{{1,30}}+\s){{1,3}}[{UPPER}][\w'’-]{{1,30}}+),?\s{{1,2}}"
    r"(?:M\.?\s?D\.?|D\.O\.|DO|FRCR|FRCPC|MBBS|MBChB|RN|PA-C|ARNP|RT\(R\)|PhD)(?![\w])"
)
_BEY = re.compile(
    rf"(?<![\w'’-])(?P<name>[{UPPER}][{LOWER}]{{1,20}}+(?:\s[{UPPER}][{LOWER}]{{1,20}}+)?)\s(?:Bey|Hanım|Beyefendi|Hanımefendi)(?:['’]?[{LOWER}]{{0,4}})(?![\w])"
)


def _name_after(text: str, at: int, *, german: bool, capitals: bool, after: _After) -> int | None:
    """Where the name that begins at ``at`` ends; None where there is none.

    Args:
        german: nouns have capitals, so a second word may be one.
        capitals: a word in capitals may be a name.
        after: what stands before it.
    """
    end: int | None = None
    words: list[str] = []
    for _ in range(_MOST_TOKENS):
        token = _TOKEN.match(text, at)
        if token is None:
            break
        word = token["word"]
        if word and not (fold(word) in PARTICLES and not word.isupper()):
            if len(words) == 3 or _BLANK.fullmatch(word):
                break
            if word.isupper() and (len(word) < 3 or not capitals):
                break
            words.append(word)
            if _is_name(
                words, end is not None, german=german, after=after, rest=text[token.end() : token.end() + 1]
            ):
                end = token.end()
        elif token["initial"]:
            end = token.end() if end is not None else None
        elif token["small"] and (fold(token["small"]) not in PARTICLES or fold(token["small"]) in _AND):
            break
        gap = _BETWEEN.match(text, token.end())
        if gap is None or ("," in gap[0] and len(words) > 1):
            break
        at = gap.end()
    return end


def _is_name(words: list[str], begun: bool, *, german: bool, after: _After, rest: str) -> bool:
    """Whether the last of the words belongs to a name that the ones before it may have begun."""
    parts = [fold(part) for part in words[-1].split("-")]
    if not all(part in common() for part in parts):
        return True
    if parts[0] in _NEVER:
        return False
    if len(words) == 1:
        # "Dr. Stein", but not "Dr. Lungs" nor "Patient: Chest".
        return after == "title" and (parts[0] in double() or parts[0] not in clinical())
    if len(words) == 2 and (begun or after != "label"):
        return not german or parts[0] in double() or rest in ("", ".", ",", ";", ":", ")", "\n")
    return False


_MOST_TOKENS = 8
_AND = frozenset({"e", "y", "i", "a", "und", "et", "and"})
_NEVER = frozenset(
    {"no", "the", "left", "right", "normal", "none", "mild", "small", "an", "as", "at", "by", "he", "in"}
)


def people(text: str, language: str = "") -> Iterator[Found]:
    """Names after a title, after who signed or asked, before a degree.

    Args:
        language: ISO 639-1 code; it settles what "M.", "Pr", "Don" and "Bay" are.
    """
    german = language == "de"
    for match in _TITLE.finditer(text):
        title = match["title"]
        bare = title in _BARE and not match["more"]
        if bare and _OF.get(title, language) != language:
            continue
        line = text[max(0, match.start() - 40) : match.end() + 40]
        capitals = not line.isupper() or title.endswith(".")
        end = _name_after(
            text, match.end(), german=german, capitals=capitals, after="label" if bare else "title"
        )
        name = text[match.end() : end] if end is not None else ""
        if name and not (bare and fold(name) in eponyms()):
            yield _person(text, match.end(), match.end() + len(name))
    for match in _CUE.finditer(text):
        by = _BY.search(match["cue"]) is not None
        if not by and ":" not in match["colon"] and "=" not in match["colon"]:
            continue
        end = _name_after(text, match.end(), german=german, capitals=not by, after="by" if by else "label")
        if end is not None:
            yield _person(text, match.end(), end)
    for pattern in (_DEGREE, _BEY):
        for match in pattern.finditer(text):
            words = [fold(w) for w in re.findall(r"[^\W\d_]{2,}", match["name"])]
            if not all(w in common() for w in words) and not _BLANK.search(match["name"]):
                yield _person(text, match.start("name"), match.end("name"))


def _person(text: str, start: int, end: int) -> Found:
    words = re.findall(r"[^\W\d_]{2,}", text[start:end])
    return Found(start, end, "NAME", f"person {fold(words[-1]) if words else text[start:end]}")


# Houses -------------------------------------------------------------------------------------------------

_OWN = rf"(?:[{UPPER}][{LOWER}'’]{{1,30}}+(?:-[{UPPER}][{LOWER}]{{1,30}}+){{0,2}}|St\.|Sankt|Saint|Sainte|San|Santa|Sant['’][{UPPER}][{LOWER}]+|[{UPPER}]{{2,6}})"  # noqa: E501
_LINK = r"(?:of|the|de|la|du|des|del|della|di|le|los|las|am|im|an der|für|rechts der|and|&|y|e|d['’])"
_HOUSES = tuple(
    re.compile(pattern)
    for pattern in (
        # St. Mary's Hospital, Massachusetts General Hospital, University Medical Center of Utrecht
        rf"(?<![\w-])(?:{_OWN}\s){{1,4}}(?:Hospital|Medical\s(?:Center|Centre)|Clinic|Infirmary|Health\s(?:System|Center|Centre)|Hospice|Hastanesi|Hastahanesi"
        rf"|Tıp\sMerkezi|Tıp\sFakültesi(?:\sHastanesi)?|Üniversitesi(?:\s(?:Tıp\sFakültesi|Hastanesi)){{0,2}})(?:(?:,)?\s{_LINK}\s{_OWN}(?:\s{_OWN})?)?",
        rf"(?<![\w-])(?:Hospital|Hôpital|Hôpitaux|Clinique|Centre\sHospitalier(?:\s(?:Universitaire|Régional))?|CHU|CHUV|CHR|Polyclinique|Hospices\sCivils|Clínica|Sanatorio|Policlínico"
        rf"|Ospedale|Ospedali|Policlinico|Clinica|Casa\sdi\sCura|Istituto|Azienda\s(?:Ospedaliera|Sanitaria)(?:\sUniversitaria)?|Klinikum|Universitätsklinikum|Universitätsklinik|Universitätsspital"
        rf"|Kantonsspital|Spital|Krankenhaus|Kreiskrankenhaus|Inselspital|Medizinische\sHochschule|Charité)(?:\s(?:{_LINK}\s){{0,2}}(?:l['’])?{_OWN}){{1,4}}",
        rf"(?<![\w-])(?:Charité|CHUV|Inselspital|[{UPPER}][{LOWER}]+(?:spital|klinikum|krankenhaus|klinik))(?![\w-])",
        rf"(?<=[iI]n\sder\s)Klinik\s(?:{_LINK}\s)?{_OWN}",
    )
)
_NO_HOUSE_WORDS = """
the this our local outside other general hospital university medical center centre clinic emergency department
radiology klinik poliklinik universitatsklinik tagesklinik frauenklinik kinderklinik augenklinik medizinische
universite universitaire universitario
"""
_NO_HOUSE = frozenset(_NO_HOUSE_WORDS.split())


def houses(text: str) -> Iterator[Found]:
    """Hospitals, clinics and practices with a name of their own."""
    for pattern in _HOUSES:
        for match in pattern.finditer(text):
            words = [fold(w) for w in re.findall(r"[^\W\d_]{2,}", match[0])]
            own = [w for w in words if w not in _NO_HOUSE and w not in PARTICLES and not _BLANK.fullmatch(w)]
            if any(_BLANK.fullmatch(w) for w in words) or not own:
                continue
            if len(own) == len(words) == 1 or any(w not in clinical() for w in own):
                yield Found(match.start(), match.end(), "HOSPITAL", fold(match[0]))
